"""Servers that mean harm: each ends within the time that was given, in a typed result that is safe to print."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls import Verdict
from tests.matrix.peers.base import Site
from tests.matrix.peers.openssl import OpenSSL
from tests.matrix.pki import Identity
from tests.probe.conftest import Answering

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.probe.conftest import Serve

SHORT = 0.7
"""Seconds for a server that uses all the time it gets."""
SLACK = 3.0
"""What a busy machine may add."""
ESCAPES = "\x1b[31mred\x07\n\x1b]0;title\x1b\\"
MOST = 64 * 1024
_pace = threading.Event()


def visit(port: int, profile: mtls.ClientProfile, *, timeout: float = 10.0) -> mtls.Handshake:
    """Probe it; whatever it is, the result comes in time and can be printed."""
    began = time.monotonic()
    result = mtls.probe(("localhost", port), profile, timeout=timeout)
    assert time.monotonic() - began < timeout + SLACK
    record = json.dumps(result.to_dict(), ensure_ascii=False)
    for text in (str(result), repr(result), record, str(result.error)):
        assert all(char.isprintable() or char == "\n" for char in text)
        assert len(text) < MOST
    return result


def until_it_leaves(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while connection.recv(65536):
            pass


def say(data: bytes) -> Callable[[socket.socket], None]:
    def do(connection: socket.socket) -> None:
        connection.sendall(data)
        until_it_leaves(connection)

    return do


def drip(data: bytes, then: bytes) -> Callable[[socket.socket], None]:
    """Begin, and then go on for ever, a little at a time."""

    def do(connection: socket.socket) -> None:
        connection.sendall(data)
        while True:
            _pace.wait(0.01)
            connection.sendall(then)

    return do


def hear_and_break_off(connection: socket.socket) -> None:
    connection.recv(10)
    break_off(connection)


def break_off(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def record(kind: int, content: bytes) -> bytes:
    return bytes((kind, 3, 3)) + len(content).to_bytes(2, "big") + content


HELLO_REQUEST = record(22, bytes(4))
CASES: dict[str, tuple[Callable[[socket.socket], object], F, S | None, str | None]] = {
    "is silent": (until_it_leaves, F.TIMED_OUT, S.SERVER_HELLO, "inferred"),
    "drips bytes of a record that never ends": (
        drip(b"\x16\x03\x03\x3f\xff\x02\x00\xff\xff", b"\0"), F.TIMED_OUT, S.SERVER_HELLO, "inferred",
    ),
    "sends hello requests for ever": (drip(b"", HELLO_REQUEST), F.TIMED_OUT, S.SERVER_HELLO, "inferred"),
    "sends garbage": (say(bytes(range(200, 256)) * 900), F.NOT_TLS, S.SERVER_HELLO, "observed"),
    "answers in plain HTTP": (say(b"HTTP/1.1 400 Bad Request\r\n\r\n"), F.NOT_TLS, S.SERVER_HELLO, "observed"),
    "closes at once": (lambda _: None, F.CLOSED, S.SERVER_HELLO, "inferred"),
    "breaks off at once": (hear_and_break_off, F.RESET, S.SERVER_HELLO, "inferred"),
    "sends an alert that does not exist": (say(record(21, b"\x02\xfe")), F.PEER_ERROR, S.SERVER_HELLO, "observed"),
    "sends warnings for ever": (drip(b"", record(21, b"\x01\x5a") * 50), F.MALFORMED, S.SERVER_HELLO, "observed"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_server_that(case: str, serve: Serve, client_profile: mtls.ClientProfile) -> None:
    behaviour, failure, step, evidence = CASES[case]
    result = visit(serve(behaviour), client_profile, timeout=SHORT if failure is F.TIMED_OUT else 10.0)
    error = result.client.error
    assert isinstance(error, mtls.HandshakeError)
    if case == "closes at once" and error.failure is F.RESET:  # it left our ClientHello unread
        failure = F.RESET
    assert (error.failure, error.evidence) == (failure, evidence)
    assert error.step is step
    assert isinstance(error, mtls.HandshakeTimeoutError) is (failure is F.TIMED_OUT)
    assert isinstance(error.__cause__, OSError)
    assert error.peer_address == result.address
    assert result.client.verdict is (Verdict.REFUSED if error.side is mtls.Side.LOCAL else Verdict.UNKNOWN)
    assert not result.ok
    assert result.completed <= {S.CLIENT_HELLO}


class TestAfterAGoodHandshake:
    def test_a_server_that_says_nothing_has_accepted_us_and_is_waited_for_no_longer(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile
    ) -> None:
        server = Answering(server_profile.ssl_context(), until_it_leaves)
        result = visit(serve(server), client_profile, timeout=SHORT)
        assert isinstance(result.error, mtls.HandshakeTimeoutError)
        assert (result.failed_step, result.error.evidence) == (None, "inferred")
        assert (result.ok, result.server.verdict) == (False, Verdict.ACCEPTED)
        assert S.SERVER_VERIFIES_CLIENT in result.completed

    def test_a_silent_server_of_tls_13_without_session_tickets_has_told_nothing(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile
    ) -> None:
        context = server_profile.ssl_context()
        context.num_tickets = 0
        result = visit(serve(Answering(context, until_it_leaves)), client_profile, timeout=SHORT)
        assert (result.ok, result.tls_version, result.server.verdict) == (False, "TLS 1.3", Verdict.UNKNOWN)
        assert S.SERVER_VERIFIES_CLIENT not in result.completed

    @pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 400 No\r\nContent-Length: 999999\r\n\r\n"])
    def test_an_answer_without_an_end_is_read_no_further_than_it_takes(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile, head: bytes
    ) -> None:
        def flood(tls: ssl.SSLSocket) -> None:
            tls.sendall(head)
            while True:
                tls.sendall(b"x" * 16384)

        result = visit(serve(Answering(server_profile.ssl_context(), flood)), client_profile)
        assert (result.ok, result.server.verdict) == (True, Verdict.ACCEPTED)
        assert result.duration is not None
        assert result.duration < 5

    def test_an_answer_that_drips_is_cut_off_in_time(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile
    ) -> None:
        def slowly(tls: ssl.SSLSocket) -> None:
            tls.sendall(b"HTTP/1.1 200 OK\r\n")
            while True:
                _pace.wait(0.01)
                tls.sendall(b"x")

        result = visit(serve(Answering(server_profile.ssl_context(), slowly)), client_profile, timeout=SHORT)
        assert (result.ok, result.server.verdict, result.http_status) == (True, Verdict.ACCEPTED, None)

    @pytest.mark.parametrize(
        "answer",
        [
            b"\0" * 100,
            b"HTTP/1.1 999999 \x1b[31m\r\n\r\n",
            b"HTTP/1.1 200",
            b"HTTP/1.1 400 No\r\nContent-Length: x\r\n\r\n",
        ],
    )
    def test_an_answer_that_is_no_http_is_no_refusal(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile, answer: bytes
    ) -> None:
        result = visit(serve(Answering(server_profile.ssl_context(), answer)), client_profile)
        assert (result.ok, result.server.verdict) == (True, Verdict.ACCEPTED)

    def test_a_server_that_breaks_off_before_it_answers_has_told_nothing(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile
    ) -> None:
        def leave(tls: ssl.SSLSocket) -> None:
            break_off(tls)
            raise ConnectionAbortedError

        result = visit(serve(Answering(server_profile.ssl_context(), leave)), client_profile)
        assert isinstance(result.error, mtls.HandshakeError)
        assert result.error.failure in {F.RESET, F.CLOSED}
        assert (result.ok, result.error.side, result.server.verdict) == (False, None, Verdict.UNKNOWN)


class TestCertificates:
    @pytest.fixture
    def crafted(self, tmp_path: Path) -> Callable[..., ssl.SSLContext]:
        """A server that sends a leaf with this name, and others behind it."""

        def make(authority: CertificateAuthority | None, organisation: str, behind: int = 0) -> ssl.SSLContext:
            key = ec.generate_private_key(ec.SECP256R1())
            leaf = _certificate(key, organisation, authority)
            others = [_certificate(key, f"{organisation} {number}", None) for number in range(behind)]
            file = tmp_path / "server.pem"
            file.write_bytes(
                key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
                + b"".join(each.public_bytes(Encoding.PEM) for each in (leaf, *others))
            )
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(file)
            return context

        return make

    def test_a_hundred_of_them_are_counted_and_ten_are_recorded(
        self,
        serve: Serve,
        crafted: Callable[..., ssl.SSLContext],
        authority: CertificateAuthority,
        client_profile: mtls.ClientProfile,
    ) -> None:
        server = Answering(crafted(authority, ESCAPES, 99), b"HTTP/1.1 200 OK\r\n\r\n")
        result = visit(serve(server), client_profile)
        assert result.ok
        assert len(result.client.peer_chain) == 100
        recorded = result.to_dict()["client"]
        assert (len(recorded["peer_chain"]), recorded["peer_chain_length"]) == (10, 100)
        assert max(map(len, str(result).splitlines()[:9])) <= 100

    @pytest.mark.parametrize("behind", [0, 99])
    def test_an_untrusted_one_with_a_name_of_40_000_characters_and_escapes_is_cut(
        self, serve: Serve, crafted: Callable[..., ssl.SSLContext], client_profile: mtls.ClientProfile, behind: int
    ) -> None:
        length = 40_000 if not behind else 100
        server = Answering(crafted(None, ESCAPES + "x" * length, behind))
        result = visit(serve(server), client_profile)
        assert (result.failed_step, result.client.verdict) == (S.CLIENT_VERIFIES_SERVER, Verdict.REFUSED)
        assert result.findings
        assert server.asked == []

    def test_one_that_openssl_accepts_and_nobody_else_can_read_is_no_peer_that_could_be_told_of(
        self,
        serve: Serve,
        tmp_path: Path,
        authority: CertificateAuthority,
        client_profile: mtls.ClientProfile,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        file = tmp_path / "server.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        file.write_bytes(
            private + _with_a_negative_serial_number(_certificate(key, "x", authority, serial=5), authority)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        result = visit(serve(Answering(context, b"HTTP/1.1 200 OK\r\n\r\n")), client_profile)
        assert (result.ok, result.client.verdict, result.client.peer) == (True, Verdict.ACCEPTED, None)
        assert result.client.peer_chain == ()
        assert F.MALFORMED in [finding.failure for finding in result.findings]

    def test_more_than_openssl_takes_are_refused(
        self, serve: Serve, crafted: Callable[..., ssl.SSLContext], client_profile: mtls.ClientProfile
    ) -> None:
        result = visit(serve(Answering(crafted(None, "x" * 2000, 99))), client_profile)
        assert isinstance(result.error, mtls.HandshakeError)
        assert (result.error.side, result.error.failure, result.failed_step) == ("local", F.MALFORMED, 3)


@pytest.mark.parametrize("count", [1, 300])
def test_the_names_of_the_cas_that_a_server_asks_for_are_cut_and_escaped(
    count: int, tmp_path: Path, client_profile: mtls.ClientProfile, authority: CertificateAuthority
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    listed = tmp_path / "asked.pem"
    asked = [_certificate(key, f"{ESCAPES}{number}{'x' * 90}", None) for number in range(count)]
    listed.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in asked))
    keystore = authority.server("localhost")
    authority.save_keystore(keystore, tmp_path)
    server = Identity("server", keystore, tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "tls.key")
    peer = OpenSSL(tmp_path)
    try:
        [port] = peer.start([Site(name="asks", identity=server, client_ca=listed)]).values()
        result = visit(port, client_profile)
    finally:
        peer.stop()
    assert (result.failed_step, result.server.verdict) == (S.SERVER_VERIFIES_CLIENT, Verdict.REFUSED)
    assert result.accepted_issuers is not None
    assert len(result.accepted_issuers) == min(count, 50)
    assert all(issuer.isprintable() and len(issuer) <= 200 for issuer in result.accepted_issuers)
    assert result.issuer_fits is False
    assert len(result.to_dict()["accepted_issuers"]) == min(count, 20)


def _certificate(
    key: ec.EllipticCurvePrivateKey, organisation: str, authority: CertificateAuthority | None, *, serial: int = 0
) -> x509.Certificate:
    attribute: Any = x509.NameAttribute
    name = x509.Name([attribute(x509.NameOID.ORGANIZATION_NAME, organisation, _validate=False)])
    now = datetime.now(UTC)
    issuer_key = key if authority is None else authority._key
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name if authority is None else authority.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(identifier, critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _with_a_negative_serial_number(certificate: x509.Certificate, authority: CertificateAuthority) -> bytes:
    """The same in PEM, signed anew, with -123 where it has 5: OpenSSL reads it, and cryptography does not."""
    signer = authority._key
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    body = certificate.tbs_certificate_bytes.replace(b"\x02\x01\x05", b"\x02\x01\x85", 1)
    signature = b"\0" + signer.sign(body, ec.ECDSA(hashes.SHA256()))
    algorithm = bytes.fromhex("300a06082a8648ce3d040302")
    content = body + algorithm + b"\x03" + bytes((len(signature),)) + signature
    whole = b"\x30\x82" + len(content).to_bytes(2, "big") + content
    return ssl.DER_cert_to_PEM_cert(whole).encode()
