"""Every way in which ``ssl`` makes a connection, in both roles, names the same step.

The server greets and the client reads: a client that only reads hears the alert itself, and no write gets in its way.
asyncio sends no alert when a handshake fails (``sslproto`` aborts the transport with the alert still in memory), so its
peers hear an unexplained end, whatever context it uses.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import select
import socket
import ssl
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

import mtls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.authority import CertificateAuthority
    from tests.peers.conftest import Clients, Placed, Serve, Server

    ClientWay = Callable[[ssl.SSLContext, int, str], bytes]
    ServerWay = Callable[[ssl.SSLContext, socket.socket], object]

_T = TypeVar("_T")
_DEADLINE = 20.0
_GREETING = b"hello"


# --- ways to be a client: connect, and read what the server says ---


def _blocking_client(context: ssl.SSLContext, port: int, name: str) -> bytes:
    with _connected(port, None) as sock, context.wrap_socket(sock, server_hostname=name) as tls:
        return _read_all(tls)


def _client_with_a_timeout(context: ssl.SSLContext, port: int, name: str) -> bytes:
    with _connected(port, _DEADLINE) as sock, context.wrap_socket(sock, server_hostname=name) as tls:
        return _read_all(tls)


def _client_that_connects_late(context: ssl.SSLContext, port: int, name: str) -> bytes:
    with context.wrap_socket(socket.socket(), server_hostname=name) as tls:
        tls.connect(("127.0.0.1", port))
        return _read_all(tls)


def _client_that_reads_at_once(context: ssl.SSLContext, port: int, name: str) -> bytes:
    with (
        _connected(port, _DEADLINE) as sock,
        context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False) as tls,
    ):
        return _read_all(tls)


def _client_that_reads_into_a_buffer(context: ssl.SSLContext, port: int, name: str) -> bytes:
    buffer, count = bytearray(100), 0
    with _connected(port, _DEADLINE) as sock, context.wrap_socket(sock, server_hostname=name) as tls:
        while received := tls.recv_into(memoryview(buffer)[count:]):
            count += received
    return bytes(buffer[:count])


def _client_with_a_file(context: ssl.SSLContext, port: int, name: str) -> bytes:
    with (
        _connected(port, _DEADLINE) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
        tls.makefile("rb") as file,
    ):
        return file.read()


def _non_blocking_client(context: ssl.SSLContext, port: int, name: str) -> bytes:
    with (
        _connected(port, 0.0) as sock,
        context.wrap_socket(sock, server_hostname=name, do_handshake_on_connect=False) as tls,
    ):
        _when_ready(tls, tls.do_handshake)
        received = b""
        while part := _when_ready(tls, lambda: tls.recv(100)):
            received += part
        return received


def _memory_client(context: ssl.SSLContext, port: int, name: str) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_hostname=name)
    with _connected(port, _DEADLINE) as sock:
        _pump(sock, incoming, outgoing, tls.do_handshake)
        received = b""
        while part := _pump(sock, incoming, outgoing, lambda: tls.read(100)):
            received += part
        return received


def _asyncio_client(context: ssl.SSLContext, port: int, name: str) -> bytes:
    async def visit() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
        return await _read_and_close(reader, writer)

    return asyncio.run(visit())


def _asyncio_client_that_starts_tls(context: ssl.SSLContext, port: int, name: str) -> bytes:
    async def visit() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await writer.start_tls(context, server_hostname=name)
        except OSError:
            writer.transport.abort()
            raise
        return await _read_and_close(reader, writer)

    return asyncio.run(visit())


_CLIENT_WAYS = [
    _blocking_client,
    _client_with_a_timeout,
    _client_that_connects_late,
    _client_that_reads_at_once,
    _client_that_reads_into_a_buffer,
    _client_with_a_file,
    _non_blocking_client,
    _memory_client,
    _asyncio_client,
    _asyncio_client_that_starts_tls,
]


# --- ways to be a server: accept one client, greet it, and return its names ---


def _blocking_server(context: ssl.SSLContext, listener: socket.socket) -> object:
    with _accepted(listener, _DEADLINE) as sock, context.wrap_socket(sock, server_side=True) as tls:
        return _greet(tls)


def _server_with_a_wrapped_listener(context: ssl.SSLContext, listener: socket.socket) -> object:
    with context.wrap_socket(listener, server_side=True) as wrapped:
        tls, _ = wrapped.accept()
        with tls:
            return _greet(tls)


def _server_that_writes_at_once(context: ssl.SSLContext, listener: socket.socket) -> object:
    with (
        _accepted(listener, _DEADLINE) as sock,
        context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as tls,
    ):
        return _greet(tls)


def _server_with_a_lazy_wrapped_listener(context: ssl.SSLContext, listener: socket.socket) -> object:
    with context.wrap_socket(listener, server_side=True, do_handshake_on_connect=False) as wrapped:
        tls, _ = wrapped.accept()
        with tls:
            return _greet(tls)


def _non_blocking_server(context: ssl.SSLContext, listener: socket.socket) -> object:
    with (
        _accepted(listener, 0.0) as sock,
        context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as tls,
    ):
        _when_ready(tls, tls.do_handshake)
        _when_ready(tls, lambda: tls.send(_GREETING))
        return _names(tls)


def _memory_server(context: ssl.SSLContext, listener: socket.socket) -> object:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing, server_side=True)
    with _accepted(listener, _DEADLINE) as sock:
        _pump(sock, incoming, outgoing, tls.do_handshake)
        _pump(sock, incoming, outgoing, lambda: tls.write(_GREETING))
        return _names(tls)


def _asyncio_server(context: ssl.SSLContext, listener: socket.socket) -> object:
    async def serve() -> object:
        outcome: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(_GREETING)
            with contextlib.suppress(OSError):
                await writer.drain()
            names = _names(writer)
            await _closed(writer)
            outcome.set_result(names)

        with _logged_errors(outcome):  # asyncio drops the error of a handshake that fails on a server
            server = await asyncio.start_server(greet, sock=listener, ssl=context)
            async with server:
                return await asyncio.wait_for(outcome, _DEADLINE)

    return asyncio.run(serve())


_SERVER_WAYS = [
    _blocking_server,
    _server_with_a_wrapped_listener,
    _server_that_writes_at_once,
    _server_with_a_lazy_wrapped_listener,
    _non_blocking_server,
    _memory_server,
    _asyncio_server,
]


_SILENT_WAYS = (_asyncio_client, _asyncio_client_that_starts_tls)
_UNEXPLAINED = (
    (4, None, "closed", None, "inferred", "handshake"),
    (4, None, "reset", None, "inferred", "handshake"),
    (None, None, "reset", None, "inferred", "first_read"),
)


# --- what the ways are made of ---


def _connected(port: int, timeout: float | None) -> socket.socket:
    sock = socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE)
    sock.settimeout(timeout)
    return sock


def _accepted(listener: socket.socket, timeout: float) -> socket.socket:
    sock, _ = listener.accept()
    sock.settimeout(timeout)
    return sock


def _read_all(tls: ssl.SSLSocket) -> bytes:
    received = b""
    while part := tls.recv(100):
        received += part
    return received


def _greet(tls: ssl.SSLSocket) -> object:
    tls.sendall(_GREETING)
    names = _names(tls)
    with contextlib.suppress(OSError):
        tls.unwrap()
    return names


def _names(connection: Any) -> tuple[str, ...]:
    identity = mtls.peer_identity(connection)
    assert identity is not None
    return identity.dns_names


def _when_ready(tls: ssl.SSLSocket, action: Callable[[], _T]) -> _T:
    while True:
        try:
            return action()
        except ssl.SSLWantReadError:
            assert select.select([tls], [], [], _DEADLINE)[0]
        except ssl.SSLWantWriteError:
            assert select.select([], [tls], [], _DEADLINE)[1]


def _pump(sock: socket.socket, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, action: Callable[[], _T]) -> _T:
    """Do something with a memory object whose peer is at the other end of a socket."""
    while True:
        try:
            return action()
        except ssl.SSLWantReadError:
            _flush(sock, outgoing)
            if data := sock.recv(65536):
                incoming.write(data)
            else:
                incoming.write_eof()
        finally:
            _flush(sock, outgoing)


def _flush(sock: socket.socket, outgoing: ssl.MemoryBIO) -> None:
    """Send what a memory object has to say, an alert too. If the peer has gone, what it said can still be read."""
    if data := outgoing.read():
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.sendall(data)


async def _read_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    try:
        return await asyncio.wait_for(reader.read(), _DEADLINE)
    finally:
        await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@contextlib.contextmanager
def _logged_errors(outcome: asyncio.Future[object]) -> Iterator[None]:
    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            assert isinstance(record.args, tuple)
            assert isinstance(record.args[0], mtls.HandshakeError)
            outcome.set_exception(record.args[0])

    logger, handler = logging.getLogger("mtls"), Handler()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


# --- the tests ---


@pytest.fixture
def greeting_server(serve: Serve, server_context: mtls.TLSContext) -> Server:
    def greet(connection: socket.socket) -> object:
        with server_context.wrap_socket(connection, server_side=True) as tls:
            return _greet(tls)

    return serve(greet)


def _failure(call: Callable[[], object]) -> mtls.MTLSError | None:
    """What ``explain`` finds in the error that a call raises."""
    with pytest.raises(OSError) as caught:  # noqa: PT011 - what is in it is what the tests are about
        call()
    return mtls.explain(caught.value)


def _visit(context: ssl.SSLContext, port: int) -> mtls.MTLSError | bytes | None:
    """What a client reads, or what ``explain`` finds in the error that it gets."""
    try:
        return _client_with_a_timeout(context, port, "localhost")
    except OSError as error:
        return mtls.explain(error)


def _later(policy: mtls.TLSPolicy) -> str:
    """The phase in which a client hears that its certificate was refused."""
    return "first_read" if policy.minimum_version is mtls.TLSVersion.TLSv1_3 else "handshake"


def _told(policy: mtls.TLSPolicy) -> str:
    """The alert that OpenSSL sends to a client without a certificate."""
    return "certificate_required" if policy.minimum_version is mtls.TLSVersion.TLSv1_3 else "handshake_failure"


def _id(way: object) -> str:
    return str(getattr(way, "__name__", way)).strip("_")


@pytest.mark.parametrize("way", _CLIENT_WAYS, ids=_id)
class TestAnyClient:
    def test_with_a_certificate_reads_the_greeting(
        self, greeting_server: Server, clients: Clients, way: ClientWay
    ) -> None:
        assert way(clients.good, greeting_server.port, "localhost") == _GREETING
        assert greeting_server.outcome() == ("billing-prod",)

    def test_without_one_is_told_at_step_5(
        self, greeting_server: Server, clients: Clients, policy: mtls.TLSPolicy, placed: Placed, way: ClientWay
    ) -> None:
        error = _failure(lambda: way(clients.bare, greeting_server.port, "localhost"))
        assert placed(error) == (5, "peer", "certificate_required", _told(policy), "observed", _later(policy))
        assert placed(greeting_server.error())[:3] == (5, "local", "certificate_required")

    def test_of_another_ca_is_told_at_step_6(
        self, greeting_server: Server, clients: Clients, policy: mtls.TLSPolicy, placed: Placed, way: ClientWay
    ) -> None:
        error = _failure(lambda: way(clients.strange, greeting_server.port, "localhost"))
        assert placed(error) == (6, "peer", "unknown_ca", "unknown_ca", "observed", _later(policy))
        assert placed(greeting_server.error())[:3] == (6, "local", "unknown_ca")

    def test_that_wanted_another_name_refuses_at_step_4(
        self, greeting_server: Server, clients: Clients, placed: Placed, way: ClientWay
    ) -> None:
        error = _failure(lambda: way(clients.good, greeting_server.port, "other.example"))
        assert isinstance(error, mtls.PeerVerificationError)
        assert placed(error) == (4, "local", "hostname_mismatch", None, "observed", "handshake")
        assert error.server_hostname == "other.example"
        heard = placed(greeting_server.error())
        if way in _SILENT_WAYS:
            assert heard in _UNEXPLAINED
        else:
            assert heard == (4, "peer", "certificate_rejected", "bad_certificate", "observed", "handshake")

    def test_that_admits_nobody_refuses_the_server_at_step_4(
        self,
        greeting_server: Server,
        client_profile: mtls.ClientProfile,
        policy: mtls.TLSPolicy,
        placed: Placed,
        way: ClientWay,
    ) -> None:
        context = replace(client_profile, policy=policy, authorize=lambda _: False).ssl_context()
        error = _failure(lambda: way(context, greeting_server.port, "localhost"))
        assert isinstance(error, mtls.PeerVerificationError)
        assert placed(error) == (4, "local", "not_authorized", None, "observed", "handshake")


class Visited:
    """A server that runs one of the ways in a thread, for one client."""

    def __init__(self, way: ServerWay, context: ssl.SSLContext) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._result: object = None
        self._thread = threading.Thread(target=self._run, args=(way, context))
        self._thread.start()

    def _run(self, way: ServerWay, context: ssl.SSLContext) -> None:
        with self._listener:
            try:
                self._result = way(context, self._listener)
            except OSError as error:
                self._result = error

    def result(self) -> object:
        self._thread.join(_DEADLINE)
        assert not self._thread.is_alive()
        return self._result

    def failure(self) -> mtls.MTLSError | None:
        result = self.result()
        assert isinstance(result, OSError), result
        return mtls.explain(result)


@pytest.mark.parametrize("way", _SERVER_WAYS, ids=_id)
class TestAnyServer:
    def test_greets_a_client_with_a_certificate_and_knows_its_name(
        self, server_context: mtls.TLSContext, clients: Clients, way: ServerWay
    ) -> None:
        server = Visited(way, server_context)
        assert _client_with_a_timeout(clients.good, server.port, "localhost") == _GREETING
        assert server.result() == ("billing-prod",)

    def test_refuses_a_client_without_one_at_step_5(
        self,
        server_context: mtls.TLSContext,
        clients: Clients,
        policy: mtls.TLSPolicy,
        placed: Placed,
        way: ServerWay,
    ) -> None:
        server = Visited(way, server_context)
        told = _visit(clients.bare, server.port)
        assert placed(server.failure()) == (5, "local", "certificate_required", None, "observed", "handshake")
        assert isinstance(told, mtls.HandshakeError)
        assert placed(told) == (5, "peer", "certificate_required", _told(policy), "observed", _later(policy))

    def test_refuses_a_client_of_another_ca_at_step_6(
        self,
        server_context: mtls.TLSContext,
        clients: Clients,
        policy: mtls.TLSPolicy,
        placed: Placed,
        way: ServerWay,
    ) -> None:
        server = Visited(way, server_context)
        told = _visit(clients.strange, server.port)
        error = server.failure()
        assert isinstance(error, mtls.PeerVerificationError)
        assert placed(error) == (6, "local", "unknown_ca", None, "observed", "handshake")
        assert error.verify_code == 20
        assert isinstance(told, mtls.HandshakeError)
        assert placed(told) == (6, "peer", "unknown_ca", "unknown_ca", "observed", _later(policy))

    def test_hears_at_step_4_that_it_has_another_name(
        self, server_context: mtls.TLSContext, clients: Clients, placed: Placed, way: ServerWay
    ) -> None:
        server = Visited(way, server_context)
        refused = _failure(lambda: _client_with_a_timeout(clients.good, server.port, "other.example"))
        assert placed(refused)[:3] == (4, "local", "hostname_mismatch")
        expected = (4, "peer", "certificate_rejected", "bad_certificate", "observed", "handshake")
        assert placed(server.failure()) == expected

    def test_gives_nothing_to_a_client_that_is_not_authorized(
        self,
        server_profile: mtls.ServerProfile,
        clients: Clients,
        policy: mtls.TLSPolicy,
        placed: Placed,
        way: ServerWay,
    ) -> None:
        authorize = mtls.PeerPolicy.dns("somebody-else")
        server = Visited(way, replace(server_profile, policy=policy, authorize=authorize).ssl_context())
        told = _visit(clients.good, server.port)
        assert told == b""
        error = server.failure()
        assert isinstance(error, mtls.PeerVerificationError)
        assert placed(error) == (6, "local", "not_authorized", None, "observed", "handshake")
        assert error.certificate is not None
        assert error.peer_chain[0] == error.certificate


def test_a_server_that_reads_at_once_gets_nothing_from_a_client_that_is_not_authorized(
    server_profile: mtls.ServerProfile,
    clients: Clients,
    policy: mtls.TLSPolicy,
    placed: Placed,
    authority: CertificateAuthority,
) -> None:
    """OpenSSL would finish the handshake inside of its read, and hand over what the client says."""

    def read_at_once(context: ssl.SSLContext, listener: socket.socket) -> object:
        with (
            _accepted(listener, _DEADLINE) as sock,
            context.wrap_socket(sock, server_side=True, do_handshake_on_connect=False) as tls,
        ):
            return tls.recv(100)

    authorize = mtls.PeerPolicy.dns("somebody-else")
    for refused in (
        replace(server_profile, policy=policy, authorize=authorize),
        replace(server_profile, policy=policy),
    ):
        server = Visited(read_at_once, refused.ssl_context())
        with (
            _connected(server.port, _DEADLINE) as sock,
            clients.good.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            with contextlib.suppress(OSError):
                tls.sendall(b"let me in")
            if refused.authorize is None:
                assert server.result() == b"let me in"
            else:
                assert placed(server.failure())[:3] == (6, "local", "not_authorized")
