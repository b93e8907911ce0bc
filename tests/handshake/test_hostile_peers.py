"""Peers that send what no honest one would: a typed, bounded, escaped error, within the caller's time-out.

Rule: what is sent is written byte by byte, or comes from a stock ``ssl`` context with odd certificates.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import time
import warnings
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

import mtls
from mtls import FailureReason as F
from mtls._handshake import flight
from mtls._handshake.loopback import connected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority

_TLS12 = b"\x03\x03"
_TIMEOUT = 0.5
_PATIENCE = 10.0
"""What a busy machine may take for what has a time-out of half a second."""
_LONGEST = 20_000
"""Characters of a text or record that a hostile peer had a part in."""
SERVER, CLIENT = mtls.Role.SERVER, mtls.Role.CLIENT
ONLY = [
    mtls.TLSPolicy(name=f"{version.label} only", minimum_version=version, maximum_version=version)
    for version in mtls.TLSVersion
]


def record(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _TLS12 + len(body).to_bytes(2, "big") + body


def alert(level: int, number: int) -> bytes:
    return record(21, bytes([level, number]))


def message(kind: int, body: bytes, *, length: int | None = None) -> bytes:
    return bytes([kind]) + (len(body) if length is None else length).to_bytes(3, "big") + body


HELLO = _TLS12 + bytes(32) + b"\0" + flight.ECDSA.to_bytes(2, "big") + b"\0" + b"\0\5\xff\1\0\1\0"
GOOD_HELLO = record(22, message(2, HELLO))


@contextmanager
def peer(action: Callable[[socket.socket], object]) -> Iterator[socket.socket]:
    """A plain socket whose other end a thread has; it may break whenever it likes."""
    near, far = socket.socketpair()
    near.settimeout(_TIMEOUT)
    far.settimeout(_PATIENCE)

    def run() -> None:
        with far:
            try:
                action(far)
            except OSError:  # our side has gone: that is what is tested
                return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with near:
            yield near
    finally:
        near.close()
        thread.join()


def sends(*parts: bytes) -> Callable[[socket.socket], None]:
    """Waits for our first message, says these, and waits for our end."""

    def action(far: socket.socket) -> None:
        far.recv(65536)
        for part in parts:
            far.sendall(part)
        while far.recv(65536):
            pass

    return action


def failure(profile: mtls.TLSProfile, action: Callable[[socket.socket], object]) -> mtls.HandshakeError:
    """What our side says of a peer that does this."""
    hostname = "localhost" if profile.role is CLIENT else None
    start = time.monotonic()
    with peer(action) as raw, pytest.raises(mtls.HandshakeError) as caught:
        profile.ssl_context().wrap_socket(raw, server_side=profile.role is SERVER, server_hostname=hostname)
    assert time.monotonic() - start < _PATIENCE
    error = caught.value
    assert isinstance(error.__cause__, OSError)
    is_fit_to_print(error)
    return error


def is_fit_to_print(error: mtls.HandshakeError) -> None:
    """Bounded, and nothing in it that a terminal would obey."""
    text = f"{error}\n{error!r}\n{error.hint}"
    assert len(text) < _LONGEST
    assert all(character.isprintable() or character == "\n" for character in text)
    for form in (error.to_dict(), error.to_attributes()):
        line = json.dumps(form)
        assert len(line) < _LONGEST
        assert line.isprintable()


# --- messages ---


MALFORMED: dict[str, tuple[bytes, ...]] = {
    "a ServerHello that is cut short": (record(22, message(2, HELLO[:20])),),
    "a ServerHello with more than belongs there": (record(22, message(2, HELLO + bytes(7))),),
    "a version of tomorrow": (record(22, message(2, b"\3\x99" + HELLO[2:])),),
    "a session id of 255 bytes": (record(22, message(2, HELLO[:34] + b"\xff" + bytes(255) + HELLO[35:])),),
    "a message of no known type": (record(22, message(77, b"what is this")),),
    "a message of type 0, over and over": (record(22, message(0, b"")) * 50,),
    "a Certificate before any hello": (record(22, message(11, b"\0\0\0")),),
    "a Finished before any hello": (record(22, message(20, bytes(12))),),
    "a Certificate of 16 MB": (GOOD_HELLO, record(22, message(11, bytes(16000), length=0xFFFFFF))),
    "a Certificate whose lengths do not add up": (GOOD_HELLO, record(22, message(11, b"\xff\xff\xff" + bytes(40)))),
    "a certificate that is no certificate": (GOOD_HELLO, record(22, message(11, b"\0\0\x0b\0\0\x08nonsense"))),
    "a record of 65,535 bytes": (b"\x16\3\3\xff\xff" + bytes(65535),),
    "a record of no known type": (record(99, b"what is this"),),
    "application data in the clear": (record(23, b"HTTP/1.1 200 OK"),),
    "empty records without end": (record(22, b"") * 5000,),
    "warnings without end": (alert(1, 90) * 500,),
    "an alert of one byte": (record(21, b"\2"),),
    "an alert of level 9": (alert(9, 40),),
}


@pytest.mark.parametrize("parts", MALFORMED.values(), ids=MALFORMED)
@pytest.mark.parametrize("role", [CLIENT, SERVER], ids=str)
def test_whatever_is_sent_ends_in_a_typed_error_of_our_own_side(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile, role: mtls.Role, parts: tuple[bytes, ...]
) -> None:
    profile = client_profile if role is CLIENT else server_profile

    def action(far: socket.socket) -> None:
        if role is CLIENT:
            far.recv(65536)
        for part in parts:
            far.sendall(part)
        far.shutdown(socket.SHUT_WR)
        while far.recv(65536):
            pass

    error = failure(profile, action)
    assert error.role is role
    assert error.failure in {F.MALFORMED, F.NOT_TLS, F.PROTOCOL_VERSION, F.CLOSED, F.BAD_SIGNATURE, F.PEER_ERROR}
    assert error.failure is not F.PEER_ERROR or error.alert is None
    early = {None, 1, 2} if role is SERVER else {None, 2, 3}
    assert error.step in early


def test_a_certificate_message_of_16_mb_is_refused_at_its_header(client_profile: mtls.ClientProfile) -> None:
    error = failure(client_profile, sends(GOOD_HELLO, record(22, message(11, bytes(16000), length=0xFFFFFF))))
    assert (error.failure, error.side) == (F.MALFORMED, mtls.Side.LOCAL)
    assert error.step is mtls.HandshakeStep.SERVER_CERTIFICATE
    assert error.reason == "EXCESSIVE_MESSAGE_SIZE"


@pytest.mark.parametrize("policy", ONLY, ids=lambda policy: policy.name)
@pytest.mark.parametrize("role", [CLIENT, SERVER], ids=str)
def test_a_chain_that_is_too_long_is_a_malformed_certificate_message(
    authority: CertificateAuthority, tmp_path: Path, role: mtls.Role, policy: mtls.TLSPolicy
) -> None:
    """OpenSSL refuses more than 100 kB by the header, before anything is parsed."""
    trust = authority.truststore
    profile: mtls.TLSProfile
    if role is CLIENT:
        profile = mtls.TLSProfile.client(truststore=trust, policy=policy)
    else:
        profile = mtls.TLSProfile.server(keystore=authority.server("localhost"), truststore=trust, policy=policy)
    error = failure(profile, shows(role, *odd_chain(tmp_path, "a" * 60_000)))
    assert (error.step, error.failure, error.side) == (3 if role is CLIENT else 5, F.MALFORMED, mtls.Side.LOCAL)


@pytest.mark.parametrize("drip", [b"\x16", GOOD_HELLO], ids=["a record that never ends", "a hello, byte by byte"])
@pytest.mark.parametrize("role", [CLIENT, SERVER], ids=str)
def test_a_peer_that_drips_holds_nobody_longer_than_the_time_out(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile, role: mtls.Role, drip: bytes
) -> None:
    stop = threading.Event()

    def action(far: socket.socket) -> None:
        sent = 0
        while not stop.wait(0.02):
            far.sendall(drip[sent : sent + 1] or b"\0")
            sent += 1

    try:
        error = failure(client_profile if role is CLIENT else server_profile, action)
    finally:
        stop.set()
    assert isinstance(error, mtls.HandshakeTimeoutError) or error.failure in {F.MALFORMED, F.NOT_TLS}


def test_a_silent_peer_is_a_time_out(client_profile: mtls.ClientProfile) -> None:
    error = failure(client_profile, sends())
    assert isinstance(error, mtls.HandshakeTimeoutError)
    assert isinstance(error, TimeoutError)
    assert (error.step, error.failure, error.evidence) == (mtls.HandshakeStep.SERVER_HELLO, F.TIMED_OUT, "inferred")


@pytest.mark.parametrize("policy", ONLY, ids=lambda policy: policy.name)
@pytest.mark.parametrize(
    ("answer", "cause"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", F.NOT_TLS), (b"", F.CLOSED)],
    ids=["plain HTTP", "a close"],
)
def test_a_session_that_was_offered_is_no_sign_that_the_server_spoke(
    authority: CertificateAuthority, policy: mtls.TLSPolicy, answer: bytes, cause: F
) -> None:
    profile = mtls.TLSProfile.client(truststore=authority.truststore, policy=policy)
    client = profile.ssl_context()
    server = mtls.TLSProfile.server(keystore=authority.server("localhost")).ssl_context()
    with connected(client, server, server_hostname="localhost") as (near, _):
        session = near.tls.session

    def action(far: socket.socket) -> None:
        far.recv(65536)
        far.sendall(answer)

    with peer(action) as raw, pytest.raises(mtls.HandshakeError) as caught:
        client.wrap_socket(raw, server_hostname="localhost", session=session)
    error = caught.value
    assert (error.step, error.failure, error.tls_version) == (mtls.HandshakeStep.SERVER_HELLO, cause, None)


# --- alerts ---


def test_a_warning_that_came_before_is_not_why_we_refused(client_profile: mtls.ClientProfile) -> None:
    nonsense = record(22, message(11, b"\0\0\x0b\0\0\x08nonsense"))
    error = failure(client_profile, sends(alert(1, 112), GOOD_HELLO, nonsense))  # unrecognized_name, as a warning
    assert (error.side, error.failure, error.alert) == (mtls.Side.LOCAL, F.MALFORMED, None)
    assert error.step is mtls.HandshakeStep.SERVER_CERTIFICATE


@pytest.mark.parametrize("number", [40, 42, 48, 50, 116])
def test_an_alert_before_our_turn_to_show_a_certificate_is_no_word_on_ours(
    authority: CertificateAuthority, number: int
) -> None:
    """TLS 1.2, the server's flight up to its CertificateRequest: what follows is not in answer to a certificate."""
    client = mtls.TLSProfile.client(
        truststore=authority.truststore, keystore=authority.client("me"), policy=ONLY[0]
    ).ssl_context()
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"), truststore=authority.truststore)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = server.ssl_context().wrap_bio(to_server, to_client, server_side=True)
    for end in (near, far):
        with pytest.raises(ssl.SSLWantReadError):
            end.do_handshake()
    whole, messages = to_client.read(), []
    while whole:
        length = 5 + int.from_bytes(whole[3:5], "big")
        messages.append(whole[:length])
        whole = whole[length:]
    assert [part[5] for part in messages] == [2, 11, 12, 13, 14]
    to_client.write(b"".join(messages[:-1]) + alert(2, number))
    with pytest.raises(mtls.HandshakeError) as caught:
        near.do_handshake()
    assert (caught.value.side, caught.value.step) == (mtls.Side.PEER, None)
    assert caught.value.failure is not F.CERTIFICATE_REQUIRED


@pytest.mark.parametrize("number", [1, 19, 39, 77, 99, 200, 254])
def test_an_alert_that_nobody_registered_is_no_claim(client_profile: mtls.ClientProfile, number: int) -> None:
    error = failure(client_profile, sends(alert(2, number)))
    assert (error.alert, error.failure, error.side) == (None, F.PEER_ERROR, mtls.Side.PEER)
    assert error.step is mtls.HandshakeStep.SERVER_HELLO


LIES = {
    "certificate_required": (116, F.PEER_ERROR, None),  # nobody has asked for one
    "certificate_expired": (45, F.EXPIRED, None),  # nobody has seen ours
    "unknown_ca": (48, F.UNKNOWN_CA, None),
    "certificate_revoked": (44, F.REVOKED, None),
    "bad_record_mac": (20, F.PEER_ERROR, None),  # nothing encrypted was out
    "decrypt_error": (51, F.BAD_SIGNATURE, mtls.HandshakeStep.SERVER_HELLO),
}


@pytest.mark.parametrize(("name", "lie"), LIES.items(), ids=LIES)
def test_an_alert_that_contradicts_the_facts_is_told_as_what_the_peer_says(
    client_profile: mtls.ClientProfile, name: str, lie: tuple[int, F, mtls.HandshakeStep | None]
) -> None:
    number, claimed, step = lie
    error = failure(client_profile, sends(alert(2, number)))
    assert (error.alert, error.side) == (name, mtls.Side.PEER)
    assert (error.failure, error.step) == (claimed, step)
    assert error.step is not None or error.because


def test_a_server_that_claims_to_have_got_no_certificate_and_had_not_asked_is_not_believed(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    """TLS 1.3: the alert comes under the keys of the connection, so it needs a server that speaks them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.save_keystore(authority.server("localhost"), tmp_path)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me")).ssl_context()
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = context.wrap_bio(to_server, to_client, server_side=True)
    for end in (near, far, near, far):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    to_client.read()
    to_client.write(alert(2, 116))  # in the clear: OpenSSL takes no such record any more
    with pytest.raises(mtls.HandshakeError) as caught:
        near.read()
    assert caught.value.side is mtls.Side.LOCAL
    assert caught.value.step in {None, mtls.HandshakeStep.APPLICATION_DATA}
    is_fit_to_print(caught.value)


# --- certificates ---


def odd_chain(folder: Path, common_name: str, *, copies: int = 1) -> tuple[Path, Path]:
    """A self-signed certificate with this name, as many times, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    with warnings.catch_warnings(action="ignore"):  # that the name is too long is the point
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    chain, secret = folder / "chain.pem", folder / "key.pem"
    others = [] if copies == 1 else [certificate_number(number) for number in range(copies - 1)]
    chain.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in (certificate, *others)))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return chain, secret


def certificate_number(number: int) -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"CA number {number}")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(number + 1)
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )


NAMES = {
    "that colours a terminal": "\x1b[31;1mroot\x1b[0m\x1b]0;owned\x07",
    "that forges a line of a log": "x\r\n2026-01-01 00:00:00 ERROR everything is fine\r\n",
    "that is written backwards": "\u202egnp.exe\u2066",
    "of 40,000 characters": "a" * 40_000,
    "of nothing": "",
    "with a NUL": "good.example\0.evil.example",
}


@pytest.mark.parametrize("role", [CLIENT, SERVER], ids=str)
@pytest.mark.parametrize("odd", NAMES.values(), ids=NAMES)
def test_a_name_cannot_flood_a_log_nor_speak_to_a_terminal(
    client_profile: mtls.ClientProfile,
    server_profile: mtls.ServerProfile,
    tmp_path: Path,
    role: mtls.Role,
    odd: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    error = failure(client_profile if role is CLIENT else server_profile, shows(role, *odd_chain(tmp_path, odd)))
    assert error.side is mtls.Side.LOCAL
    assert error.step == (4 if role is CLIENT else 6)
    assert error.findings
    for finding in error.findings:
        assert len(finding.message) < _LONGEST
        assert finding.message.isprintable()
        assert finding.remedy.isprintable()
    for entry in caplog.records:
        assert len(entry.getMessage()) < _LONGEST


@pytest.mark.parametrize("role", [CLIENT, SERVER], ids=str)
def test_a_chain_of_a_hundred_certificates_is_told_in_a_few(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile, tmp_path: Path, role: mtls.Role
) -> None:
    error = failure(
        client_profile if role is CLIENT else server_profile, shows(role, *odd_chain(tmp_path, "odd", copies=100))
    )
    assert error.step == (4 if role is CLIENT else 6)
    assert len(error.peer_chain) == 100
    assert len(error.to_dict()["peer_chain"]) <= 20


def shows(role: mtls.Role, chain: Path, key: Path) -> Callable[[socket.socket], None]:
    """A stock peer of the other role that shows this chain."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role is CLIENT else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(chain, key)

    def action(far: socket.socket) -> None:
        with context.wrap_socket(far, server_side=role is CLIENT) as tls:
            tls.recv(1)

    return action


# --- faults of our own ---


INSIDE = [
    "mtls._handshake.connection.diagnose",
    "mtls._handshake.connection.reading_of",
    "mtls._handshake.connection.Connection._observe",
    "mtls._handshake.connection.Connection._peer_chain",
    "mtls._handshake.connection.Connection._facts",
    "mtls._handshake.connection.Connection._account",
    "mtls._handshake.connection.Connection.version",
    "mtls._handshake.listening.HandshakeLog.peer_chain",
]
WHEN_READ = [
    "mtls._handshake.account.explain_chain",
    "mtls._handshake.account.of_refused_chain",
    "mtls._wording.sentence",
    "mtls._wording.what_happened",
    "mtls._certificate.label",
]


def _broken(*_: Any, **__: Any) -> Any:
    text = "a fault of our own"
    raise RuntimeError(text)


@pytest.mark.parametrize("role", [CLIENT, SERVER], ids=str)
@pytest.mark.parametrize("inside", [*INSIDE, *WHEN_READ])
def test_no_fault_of_our_own_hides_that_a_peer_was_refused(
    client_profile: mtls.ClientProfile,
    server_profile: mtls.ServerProfile,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    role: mtls.Role,
    inside: str,
) -> None:
    profile = client_profile if role is CLIENT else server_profile
    action = shows(role, *odd_chain(tmp_path, "odd"))
    profile.ssl_context()
    monkeypatch.setattr(inside, property(_broken) if inside.endswith("HandshakeLog.peer_chain") else _broken)
    error = failure(profile, action)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert error.role is role or inside in INSIDE
    told = [entry for entry in caplog.records if entry.exc_info is not None]
    if inside == "mtls._handshake.listening.HandshakeLog.peer_chain" and role is CLIENT:
        assert not told  # OpenSSL still has the chain of a server, and the log is not asked
        return
    assert told
    assert all(entry.name == "mtls" for entry in told)
