"""Our socket and object classes: nothing gets past the rules, no refusal and no data is lost."""

from __future__ import annotations

import errno
import gc
import logging
import socket
import ssl
import threading
import weakref
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import _certificate
from mtls._handshake import connection
from mtls._handshake.loopback import join
from mtls._handshake.standins import Leftover, Refused, Unfinished

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.authority import CertificateAuthority

TLS12 = replace(mtls.MOZILLA_INTERMEDIATE, name="TLS12", maximum_version=mtls.TLSVersion.TLSv1_2)
TLS13 = replace(mtls.MOZILLA_INTERMEDIATE, name="TLS13", minimum_version=mtls.TLSVersion.TLSv1_3)
BOTH = pytest.mark.parametrize("policy", [TLS12, TLS13], ids=lambda policy: policy.name)


@contextmanager
def serving(action: Callable[[socket.socket], None]) -> Iterator[socket.socket]:
    """A plain socket whose other end a thread has; what the thread raises is raised here."""
    near, far = socket.socketpair()
    near.settimeout(5)
    far.settimeout(5)
    faults: list[BaseException] = []

    def run() -> None:
        try:
            with far:
                action(far)
        except BaseException as fault:  # noqa: BLE001 - raised again in the test
            faults.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        with near:
            yield near
    finally:
        thread.join()
    if faults:
        raise faults[0]


def shake(context: ssl.SSLContext, failing: type[BaseException] = ()) -> Callable[[socket.socket], None]:  # type: ignore[assignment] # an empty tuple catches nothing
    def action(raw: socket.socket) -> None:
        try:
            with context.wrap_socket(raw, server_side=True) as tls:
                tls.sendall(b"hello")
                tls.recv(5)
        except failing:
            return

    return action


# --- before the handshake has ended ---


@BOTH
@pytest.mark.parametrize("first_call", ["read", "recv", "write", "send", "sendall"])
def test_using_a_connection_before_its_handshake_does_not_get_around_the_rules(
    authority: CertificateAuthority, policy: mtls.TLSPolicy, first_call: str
) -> None:
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        authorize=mtls.PeerPolicy.dns("somebody.else"),
        policy=policy,
    )
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me")).ssl_context()

    def connect(raw: socket.socket) -> None:
        try:
            with client.wrap_socket(raw, server_hostname="localhost") as tls:
                tls.sendall(b"hello")
                tls.recv(1)
        except OSError:  # refused: how it shows depends on the moment
            pass

    with (
        serving(connect) as raw,
        profile.ssl_context().wrap_socket(raw, server_side=True, do_handshake_on_connect=False) as tls,
    ):
        arguments = () if first_call in {"read", "recv"} else (b"secret",)
        with pytest.raises(mtls.PeerVerificationError) as caught:
            getattr(tls, first_call)(*arguments)
        assert caught.value.failure is mtls.FailureReason.NOT_AUTHORIZED
        for again in (tls.recv, tls.read):
            with pytest.raises(mtls.PeerVerificationError):
                again(5)
        with pytest.raises(mtls.PeerVerificationError):
            tls.send(b"secret")
        assert tls.pending() == 0
        assert mtls.peer_identity(tls) is None


def test_an_object_read_before_its_handshake_does_not_get_around_the_rules(authority: CertificateAuthority) -> None:
    client = mtls.TLSProfile.client(
        truststore=authority.truststore, server_identity=mtls.PeerPolicy.spki("0" * 64)
    ).ssl_context()
    server = mtls.TLSProfile.server(keystore=authority.server("localhost")).ssl_context()
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        near.read()
    with pytest.raises(ssl.SSLWantReadError):
        far.do_handshake()
    with pytest.raises(mtls.PeerVerificationError):
        near.read()
    with pytest.raises(mtls.PeerVerificationError):
        near.write(b"secret")


def test_an_unconnected_socket_stays_the_error_it_is(client_profile: mtls.ClientProfile) -> None:
    with (
        socket.socket() as raw,
        client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls,
        pytest.raises(OSError, match="not connected") as caught,
    ):
        tls.do_handshake()
    assert type(caught.value) is OSError
    assert caught.value.errno == errno.ENOTCONN


def test_a_refused_connect_stays_the_error_it_is(client_profile: mtls.ClientProfile) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()
    with (
        socket.socket() as raw,
        client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls,
        pytest.raises(ConnectionRefusedError),
    ):
        tls.connect(address)


def test_a_connection_that_is_dropped_unfinished_is_freed_at_once(client_profile: mtls.ClientProfile) -> None:
    gc.collect()
    gc.disable()
    try:
        tls = client_profile.ssl_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        assert isinstance(tls._sslobj, Unfinished)
        watched = weakref.ref(tls)
        del tls
        assert watched() is None
    finally:
        gc.enable()


def test_after_the_handshake_the_c_object_is_called_directly(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    near, far = join(client_profile.ssl_context(), server_profile.ssl_context(), server_hostname="localhost")
    assert type(near.tls._sslobj).__module__ == type(far.tls._sslobj).__module__ == "_ssl"


# --- a refusal ---


@BOTH
def test_the_original_exception_is_the_cause_and_its_codes_stay(
    server_profile: mtls.ServerProfile, bare_client_profile: mtls.ClientProfile, policy: mtls.TLSPolicy
) -> None:
    client = replace(bare_client_profile, policy=policy)
    near, far = join(client.ssl_context(), server_profile.ssl_context(), server_hostname="localhost")
    for side, reason in ((far, "PEER_DID_NOT_RETURN_A_CERTIFICATE"), (near, None)):
        assert isinstance(side.error, mtls.HandshakeError)
        cause = side.error.__cause__
        assert isinstance(cause, ssl.SSLError)
        assert (side.error.args, side.error.errno) == (cause.args, cause.errno)
        assert (side.error.reason, side.error.library) == (cause.reason, "SSL")
        assert reason is None or side.error.reason == reason


def test_a_refusal_is_said_again_at_every_later_call(
    server_profile: mtls.ServerProfile, bare_client_profile: mtls.ClientProfile
) -> None:
    near, _ = join(
        replace(bare_client_profile, policy=TLS13).ssl_context(),
        server_profile.ssl_context(),
        server_hostname="localhost",
    )
    first = near.error
    assert isinstance(first, mtls.HandshakeError)
    assert isinstance(near.tls._sslobj, Refused)
    for call in (near.tls.read, near.tls.do_handshake, near.tls.unwrap, lambda: near.tls.write(b"x")):
        with pytest.raises(mtls.HandshakeError) as caught:
            call()
        assert (caught.value.step, caught.value.alert) == (first.step, "certificate_required")
        cause = caught.value.__cause__
        assert isinstance(cause, ssl.SSLError)
        assert isinstance(first.__cause__, ssl.SSLError)
        assert (type(cause), cause.args, cause.reason) == (
            type(first.__cause__), first.__cause__.args, first.__cause__.reason,
        )  # fmt: skip
    assert near.tls.pending() == 0


@BOTH
@pytest.mark.parametrize("hostname", ["localhost", "api.example"])
def test_a_refused_connection_is_freed_without_the_collector(
    authority: CertificateAuthority,
    server_profile: mtls.ServerProfile,
    bare_client_profile: mtls.ClientProfile,
    policy: mtls.TLSPolicy,
    hostname: str,
) -> None:
    client = replace(bare_client_profile, policy=policy).ssl_context()
    server = server_profile.ssl_context()
    gc.collect()
    gc.disable()
    try:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = client.wrap_bio(to_client, to_server, server_hostname=hostname)
        far = server.wrap_bio(to_server, to_client, server_side=True)
        refused = [0, 0]
        for _ in range(3):
            for place in (0, 1):
                try:
                    (near, far)[place].read()
                except mtls.HandshakeError:
                    refused[place] += 1
                except ssl.SSLWantReadError:
                    pass
        assert all(refused)
        watched = [weakref.ref(near), weakref.ref(far)]
        del near, far
        assert [each() for each in watched] == [None, None]
    finally:
        gc.enable()


def test_a_denied_peer_sees_an_orderly_end_and_learns_no_more(authority: CertificateAuthority) -> None:
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=lambda _: False, policy=TLS13
    ).ssl_context()
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me")).ssl_context()
    with (
        serving(shake(server, mtls.PeerVerificationError)) as raw,
        client.wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        assert tls.recv(100) == b""


@pytest.mark.parametrize("answer", [1, "yes", None, object()])
def test_only_true_admits(authority: CertificateAuthority, answer: Any, caplog: pytest.LogCaptureFixture) -> None:
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=lambda _: answer
    )
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me"))
    result = mtls.rehearse(client, profile)
    assert result.failed_step is mtls.HandshakeStep.SERVER_VERIFIES_CLIENT
    assert "<PeerIdentity me>" in caplog.text


def test_an_authorize_function_that_raises_refuses(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: mtls.PeerIdentity) -> bool:
        raise LookupError

    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=broken
    )
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me"))
    error = mtls.rehearse(client, profile).server.error
    assert isinstance(error, mtls.PeerVerificationError)
    assert "authorize= raised LookupError" in str(error)
    assert "authorize= raised, so the peer is refused" in caplog.text


def test_authorize_is_not_asked_about_nobody(authority: CertificateAuthority) -> None:
    asked: list[mtls.PeerIdentity] = []
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        client_auth=mtls.ClientAuth.OPTIONAL,
        authorize=lambda peer: asked.append(peer) is None,  # type: ignore[func-returns-value] # it always is
    )
    assert mtls.rehearse(mtls.TLSProfile.client(truststore=authority.truststore), profile).ok
    assert asked == []


# --- endings without a word ---


def read_and_close(raw: socket.socket) -> None:
    raw.recv(10)


def test_a_peer_that_closes_after_the_hello_is_placed_there_as_inferred(client_profile: mtls.ClientProfile) -> None:
    with serving(read_and_close) as raw, pytest.raises(mtls.HandshakeError) as caught:
        client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost")
    error = caught.value
    assert (error.step, error.evidence, error.side) == (mtls.HandshakeStep.SERVER_HELLO, mtls.Evidence.INFERRED, None)
    assert error.failure in {mtls.FailureReason.CLOSED, mtls.FailureReason.RESET}


def test_a_peer_that_is_silent_is_a_time_out_too(client_profile: mtls.ClientProfile) -> None:
    near, far = socket.socketpair()
    near.settimeout(0.05)
    with far, near, pytest.raises(TimeoutError) as caught:
        client_profile.ssl_context().wrap_socket(near, server_hostname="localhost")
    assert isinstance(caught.value, mtls.HandshakeTimeoutError)
    assert (caught.value.step, caught.value.failure) == (
        mtls.HandshakeStep.SERVER_HELLO, mtls.FailureReason.TIMED_OUT,
    )  # fmt: skip


def plain_http(raw: socket.socket) -> None:
    raw.recv(4096)
    raw.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def test_bytes_that_are_no_tls_are_named_so(client_profile: mtls.ClientProfile) -> None:
    with serving(plain_http) as raw, pytest.raises(mtls.HandshakeError) as caught:
        client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost")
    assert (caught.value.step, caught.value.failure, caught.value.side) == (
        mtls.HandshakeStep.SERVER_HELLO, mtls.FailureReason.NOT_TLS, mtls.Side.LOCAL,
    )  # fmt: skip


def test_a_plain_request_to_a_tls_server_is_named_so(server_profile: mtls.ServerProfile) -> None:
    with (
        serving(lambda raw: raw.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")) as raw,
        pytest.raises(mtls.HandshakeError) as caught,
    ):
        server_profile.ssl_context().wrap_socket(raw, server_side=True)
    assert (caught.value.step, caught.value.failure) == (mtls.HandshakeStep.CLIENT_HELLO, mtls.FailureReason.NOT_TLS)


def test_a_time_out_after_the_handshake_passes_unchanged_and_carries_what_is_known(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    waiting = threading.Event()

    def silent(raw: socket.socket) -> None:
        with server_profile.ssl_context().wrap_socket(raw, server_side=True):
            waiting.wait(5)

    with serving(silent) as raw, client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls:
        tls.settimeout(0.05)
        with pytest.raises(TimeoutError) as caught:
            tls.recv(1)
        waiting.set()
    assert not isinstance(caught.value, ssl.SSLError)
    told = mtls.explain(caught.value)
    assert isinstance(told, mtls.HandshakeError)
    assert (told.step, told.failure, told.phase) == (None, mtls.FailureReason.TIMED_OUT, mtls.Phase.FIRST_READ)


def test_a_socket_that_was_closed_here_is_no_failure_of_the_peer(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    with (
        serving(shake(server_profile.ssl_context(), OSError)) as raw,
        client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls,
    ):
        tls.close()
        with pytest.raises((OSError, ValueError)) as caught:
            tls.send(b"x")
    assert not isinstance(caught.value, mtls.MTLSError)


# --- what was sent before a close ---


@pytest.mark.parametrize("buffered", [False, True])
def test_data_that_came_before_a_close_is_read_after_the_failed_write(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile, *, buffered: bool
) -> None:
    answer = b"HTTP/1.1 413 Too Large\r\n\r\n" * 10

    def respond(raw: socket.socket) -> None:
        with server_profile.ssl_context().wrap_socket(raw, server_side=True) as tls:
            tls.recv(1)
            tls.sendall(answer)

    with serving(respond) as raw, client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls:
        with pytest.raises((BrokenPipeError, ConnectionResetError)) as caught:
            tls.sendall(b"x" * 50_000_000)
        assert not isinstance(caught.value, ssl.SSLError)
        assert isinstance(tls._sslobj, Leftover)
        assert tls.pending() == len(answer)
        received = bytearray()
        while len(received) < len(answer):
            if buffered:
                part = bytearray(7)
                received += part[: tls.recv_into(part)]
            else:
                received += tls.recv(7)
        assert bytes(received) == answer


# --- faults of our own ---


def test_a_fault_in_the_explanation_does_not_hide_the_failure(
    client_profile: mtls.ClientProfile, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(connection, "diagnose", broken)
    with serving(plain_http) as raw, pytest.raises(mtls.HandshakeError) as caught:
        client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost")
    assert (caught.value.step, caught.value.failure) == (None, mtls.FailureReason.PEER_ERROR)
    assert isinstance(caught.value.__cause__, ssl.SSLError)
    assert "could not be explained" in caplog.text


def test_a_peer_whose_certificate_cannot_be_read_is_refused_where_rules_apply(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_certificate, "parse", lambda _: None)
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=lambda _: True
    )
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me"))
    _, far = join(client.ssl_context(), profile.ssl_context(), server_hostname="localhost")
    assert isinstance(far.error, mtls.PeerVerificationError)
    assert far.error.failure is mtls.FailureReason.MALFORMED


def test_the_library_logs_under_one_name(authority: CertificateAuthority, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=lambda _: False
    )
    mtls.rehearse(mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me")), profile)
    assert {record.name for record in caplog.records} == {"mtls"}
