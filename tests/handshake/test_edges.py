"""Calls in an unusual order: what the caller does wrong is not blamed on the peer, and nothing that arrived is lost."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from typing import TYPE_CHECKING, Any

import pytest

import mtls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.authority import CertificateAuthority

ANSWER = bytes(range(256)) * 160
"""Three records, so that not all of it is read at once."""
ENDED = (BrokenPipeError, ConnectionResetError)


@pytest.fixture
def visit(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> Callable[..., contextlib.AbstractContextManager[tuple[Any, threading.Event]]]:
    """A connection over TCP to a server that does something and goes; the event says that it has gone."""

    @contextlib.contextmanager
    def connected(
        serve: Callable[[ssl.SSLSocket], object], client: mtls.ClientProfile = client_profile
    ) -> Iterator[tuple[Any, threading.Event]]:
        gone = threading.Event()

        def run() -> None:
            raw, _ = listener.accept()
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with contextlib.suppress(OSError), server_profile.ssl_context().wrap_socket(raw, server_side=True) as tls:
                serve(tls)
            gone.set()

        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=run)
            thread.start()
            try:
                with (
                    socket.create_connection(listener.getsockname(), timeout=10) as raw,
                    client.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls,
                ):
                    yield tls, gone
            finally:
                thread.join()

    return connected


def answer_and_go(tls: ssl.SSLSocket) -> None:
    tls.recv(100)
    tls.sendall(ANSWER)


def reset(tls: ssl.SSLSocket) -> None:
    tls.recv(100)
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def fail_a_write(tls: ssl.SSLSocket, gone: threading.Event) -> None:
    tls.sendall(b"x" * 100)
    gone.wait(10)
    with pytest.raises(ENDED):
        tls.sendall(bytes(2 << 20))


def read_all(tls: ssl.SSLSocket) -> bytes:
    received = b""
    with contextlib.suppress(*ENDED):
        while part := tls.recv(10_000):
            received += part
    return received


@pytest.mark.parametrize("second", [1, 100, 2 << 20, 3 << 20])
def test_data_survives_a_second_write_that_fails(visit: Any, second: int) -> None:
    with visit(answer_and_go) as (tls, gone):
        fail_a_write(tls, gone)
        with pytest.raises(ENDED):
            tls.sendall(bytes(second))
        assert read_all(tls) == ANSWER
        with pytest.raises(ENDED):
            tls.send(b"x")


@pytest.mark.parametrize("asked", [0, 1000])
def test_kept_data_fills_a_buffer_as_openssl_would(visit: Any, asked: int) -> None:
    with visit(answer_and_go) as (tls, gone):
        fail_a_write(tls, gone)
        buffer = bytearray(12)
        assert tls.recv_into(buffer, asked) == 12
        assert bytes(buffer) + read_all(tls) == ANSWER


def test_a_smaller_write_after_a_failed_one_is_not_called_the_fault_of_the_peer(visit: Any) -> None:
    with visit(reset) as (tls, gone):
        tls.sendall(b"x")
        gone.wait(10)
        with pytest.raises(OSError, match=r"."):
            tls.sendall(bytes(2 << 20))
        with pytest.raises(OSError, match=r".") as caught:
            tls.sendall(b"y")
    assert not isinstance(caught.value, mtls.HandshakeError)


def test_closing_with_unread_data_stays_the_error_it_is(visit: Any) -> None:
    def talk(tls: ssl.SSLSocket) -> None:
        tls.sendall(b"data")
        tls.recv(10)
        tls.unwrap()

    with visit(talk) as (tls, _), pytest.raises(ssl.SSLError) as caught:
        tls.unwrap()
    assert caught.value.reason == "APPLICATION_DATA_AFTER_CLOSE_NOTIFY"
    assert not isinstance(caught.value, mtls.HandshakeError)


def test_another_buffer_after_want_write_is_a_mistake_of_the_caller(visit: Any) -> None:
    done = threading.Event()

    def stay(tls: ssl.SSLSocket) -> None:
        tls.recv(1)
        done.wait(10)

    def fill(tls: ssl.SSLSocket) -> None:
        for _ in range(1000):
            tls.send(bytes(1 << 20))

    with visit(stay) as (tls, _):
        tls.setblocking(False)
        with pytest.raises(ssl.SSLWantWriteError):
            fill(tls)
        try:
            with pytest.raises(ssl.SSLError) as caught:
                tls.send(b"y")
        finally:
            done.set()
    assert not isinstance(caught.value, mtls.HandshakeError)


def test_reading_nothing_is_no_data(visit: Any, bare_client_profile: mtls.ClientProfile) -> None:
    with visit(answer_and_go, bare_client_profile) as (tls, _):
        assert tls.recv(0) == b""
        with pytest.raises(mtls.HandshakeError) as caught:
            tls.recv(1)
    assert (caught.value.step, caught.value.phase) == (mtls.HandshakeStep.CLIENT_CERTIFICATE, mtls.Phase.FIRST_READ)


@pytest.mark.parametrize(
    ("role", "name", "value"),
    [
        (mtls.Role.CLIENT, "num_tickets", 0),
        (mtls.Role.CLIENT, "verify_mode", 7),
        (mtls.Role.SERVER, "verify_mode", 7),
        (mtls.Role.CLIENT, "minimum_version", 0x9999),
    ],
)
def test_a_value_that_openssl_does_not_take_leaves_the_context_as_it_was(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile, role: mtls.Role, name: str, value: int
) -> None:
    ours = client_profile if role is mtls.Role.CLIENT else server_profile
    context = ours.ssl_context()
    with pytest.raises(mtls.UsageError, match=f"OpenSSL does not take {name}={value}"):
        setattr(context, name, value)
    assert context.verify_mode is ssl.CERT_REQUIRED
    options: dict[str, Any] = {"server_hostname": "localhost"} if role is mtls.Role.CLIENT else {"server_side": True}
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), **options)


def test_a_deprecated_option_is_warned_of_where_it_is_set(client_profile: mtls.ClientProfile) -> None:
    context = client_profile.ssl_context()
    stricter = context.options | ssl.OP_NO_TLSv1_3
    with pytest.warns(DeprecationWarning, match=r"ssl.OP_NO_SSL\*/ssl.OP_NO_TLS\* options are deprecated"):
        context.options = stricter
    context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def test_what_a_library_leaves_on_a_context_is_its_own_business(client_profile: mtls.ClientProfile) -> None:
    context: Any = client_profile.ssl_context()
    context.cache = 1
    context.cache = 2
    del context.cache
    for name in ("_generation", "_profile", "wrap_socket", "sslsocket_class", "_inside"):
        with pytest.raises(mtls.SealedContextError, match=name):
            setattr(context, name, None)
        with pytest.raises(mtls.SealedContextError, match=name):
            delattr(context, name)


@pytest.mark.parametrize("hostname", ["10.0.0.1 evil.example", "010.0.0.1", "+10.0.0.1", ".example", "a\0b", "a\nb"])
def test_a_name_that_programs_read_in_different_ways_is_asked_for_by_nobody(
    authority: CertificateAuthority, hostname: str
) -> None:
    """OpenSSL finds the address 10.0.0.1 in the first three."""
    server = mtls.TLSProfile.server(keystore=authority.server("10.0.0.1"))
    client = mtls.TLSProfile.client(truststore=authority.truststore)
    assert mtls.rehearse(client, server, hostname="10.0.0.1").ok
    with pytest.raises(mtls.UsageError, match="is no host name"):
        mtls.rehearse(client, server, hostname=hostname)
