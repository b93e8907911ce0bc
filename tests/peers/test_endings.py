"""How a connection ends after a good handshake: data that came before the end is kept, and an end that nobody explains
stays the exception it is.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import sys
from collections import Counter
from typing import TYPE_CHECKING

import httpx
import pytest
import urllib3

import mtls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.peers.conftest import Clients, Files, Serve, Server

_DEADLINE = 20.0
_BIG = bytes(2 * 1024 * 1024)
_PAGE = bytes(range(256)) * 160  # 40 KiB: three records
_ANSWER = b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(_PAGE), _PAGE)
_REQUEST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(_BIG)
_GONE = (BrokenPipeError, ConnectionResetError)


@contextlib.contextmanager
def _connected(
    server: Server, context: ssl.SSLContext, *, suppress_ragged_eofs: bool = True
) -> Iterator[ssl.SSLSocket]:
    with (
        server.connect() as sock,
        context.wrap_socket(sock, server_hostname="localhost", suppress_ragged_eofs=suppress_ragged_eofs) as tls,
    ):
        yield tls


def _read_head(tls: ssl.SSLSocket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received and (part := tls.recv(4096)):
        received += part
    return received


def _receive_all(tls: ssl.SSLSocket) -> bytes:
    """All data; the connection may end in a reset."""
    received = b""
    with contextlib.suppress(*_GONE):
        while part := tls.recv(10_000):
            received += part
    return received


def _write_in_vain(server: Server, tls: ssl.SSLSocket) -> None:
    """Ask, wait until the server has answered and gone, and write on: that write fails."""
    tls.sendall(_REQUEST)
    server.outcome()
    with pytest.raises(_GONE) as caught:
        tls.sendall(_BIG)
    assert not isinstance(caught.value, ssl.SSLError)


def _reset(tls: ssl.SSLSocket) -> None:
    tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    tls.close()


@pytest.fixture
def after_the_handshake(
    serve: Serve, server_context: mtls.TLSContext
) -> Callable[[Callable[[ssl.SSLSocket], object]], Server]:
    """A server that does something with each connection that has come about, and then closes it bluntly."""

    def start(then: Callable[[ssl.SSLSocket], object]) -> Server:
        def handle(connection: socket.socket) -> object:
            with server_context.wrap_socket(connection, server_side=True) as tls:
                return then(tls)

        return serve(handle)

    return start


class TestAnAnswerBeforeTheClose:
    """The server reads the head of a request, answers 403 in three records and closes on what it has not read."""

    @pytest.fixture
    def server(self, after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server]) -> Server:
        def answer_and_go(tls: ssl.SSLSocket) -> None:
            assert _read_head(tls).startswith(b"POST")
            tls.sendall(_ANSWER)

        return after_the_handshake(answer_and_go)

    def test_is_read_whole_after_the_write_has_failed(self, server: Server, clients: Clients) -> None:
        for _ in range(20):
            with _connected(server, clients.good) as tls:
                _write_in_vain(server, tls)
                assert tls.pending() > 0
                assert _receive_all(tls) == _ANSWER

    @pytest.mark.parametrize("size", [1, 7, 10_000, 20_000])
    def test_is_read_whole_into_a_buffer(self, server: Server, clients: Clients, size: int) -> None:
        with _connected(server, clients.good) as tls:
            _write_in_vain(server, tls)
            received, buffer = b"", bytearray(size)
            with contextlib.suppress(*_GONE):
                while count := tls.recv_into(buffer):
                    received += buffer[:count]
            assert received == _ANSWER

    def test_is_read_by_http_client(self, server: Server, clients: Clients) -> None:
        for _ in range(20):
            connection = http.client.HTTPSConnection("localhost", server.port, context=clients.good, timeout=_DEADLINE)
            with contextlib.closing(connection):
                with contextlib.suppress(*_GONE):
                    connection.request("POST", "/", _BIG)
                answer = connection.getresponse()
                assert answer.status == http.HTTPStatus.FORBIDDEN
                assert answer.read() == _PAGE

    def test_is_read_by_httpx(self, server: Server, clients: Clients) -> None:
        with httpx.Client(verify=clients.good, trust_env=False) as client:
            for _ in range(20):
                answer = client.post(f"https://localhost:{server.port}/", content=_BIG)
                assert (answer.status_code, answer.content) == (403, _PAGE)

    def test_is_read_by_urllib3(self, server: Server, clients: Clients) -> None:
        """It forgives EPIPE and ECONNRESET while it writes, and no ``SSLEOFError``."""
        manager = urllib3.PoolManager(ssl_context=clients.good, retries=False)
        for _ in range(20):
            answer = manager.request("POST", f"https://localhost:{server.port}/", body=_BIG)
            assert (answer.status, answer.data) == (403, _PAGE)
        manager.clear()


_UNEXPLAINED = {ssl.SSLEOFError: "closed", ConnectionResetError: "reset", BrokenPipeError: "reset"}
"""What Python says when a connection just ends (3.11 and 3.12 say EOF for most of it), and what we call it."""


def _ending(server: Server, context: ssl.SSLContext, *, suppress_ragged_eofs: bool = True) -> OSError | bytes:
    """What a client reads, or the error it gets instead."""
    with _connected(server, context, suppress_ragged_eofs=suppress_ragged_eofs) as tls:
        tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
        try:
            return tls.recv(1)
        except OSError as error:
            return error


def _error(server: Server, context: ssl.SSLContext) -> OSError:
    ending = _ending(server, context, suppress_ragged_eofs=False)
    assert isinstance(ending, OSError)
    return ending


@pytest.fixture
def stock_client(client_files: Files, policy: mtls.TLSPolicy) -> ssl.SSLContext:
    """The same client as the standard library makes it."""
    context = ssl.create_default_context(cafile=str(client_files.ca))
    context.load_cert_chain(client_files.certificate, client_files.key)
    context.maximum_version = ssl.TLSVersion.MAXIMUM_SUPPORTED
    context.minimum_version = ssl.TLSVersion(policy.minimum_version)
    context.maximum_version = ssl.TLSVersion(policy.maximum_version)
    return context


class TestAnEndThatNobodyExplains:
    """It passes as it is; what is known is attached to it."""

    @pytest.fixture
    def closing(self, after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server]) -> Server:
        return after_the_handshake(_read_head)

    @pytest.fixture
    def resetting(self, after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server]) -> Server:
        def reset(tls: ssl.SSLSocket) -> None:
            _read_head(tls)
            _reset(tls)

        return after_the_handshake(reset)

    def test_a_silent_close_reads_as_nothing(self, closing: Server, clients: Clients) -> None:
        with _connected(closing, clients.good) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert tls.recv(1) == b""
            assert tls.recv(1) == b""

    def test_a_silent_close_is_the_eof_error_for_those_who_want_it(self, closing: Server, clients: Clients) -> None:
        with _connected(closing, clients.good, suppress_ragged_eofs=False) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(ssl.SSLEOFError) as caught:
                tls.recv(1)
        assert type(caught.value) is ssl.SSLEOFError
        known = mtls.explain(caught.value)
        assert isinstance(known, mtls.HandshakeError)
        assert (known.step, known.side, known.failure, known.alert) == (None, None, "closed", None)
        assert (known.evidence, known.phase) == ("inferred", "first_read")

    def test_a_reset_while_reading_stays_what_it_is(
        self, resetting: Server, clients: Clients, stock_client: ssl.SSLContext
    ) -> None:
        """A :class:`ConnectionResetError` since Python 3.13; before, ``ssl`` takes it for the end of the stream."""
        ours, stock = (_ending(resetting, context) for context in (clients.good, stock_client))
        assert type(ours) is type(stock) is (ConnectionResetError if sys.version_info >= (3, 13) else bytes)

    def test_a_reset_while_reading_is_known_for_what_it_is(
        self, resetting: Server, clients: Clients, stock_client: ssl.SSLContext
    ) -> None:
        ours, stock = (
            _ending(resetting, context, suppress_ragged_eofs=False) for context in (clients.good, stock_client)
        )
        assert isinstance(ours, OSError)
        assert type(ours) is type(stock)
        assert type(ours) in _UNEXPLAINED
        known = mtls.explain(ours)
        assert isinstance(known, mtls.HandshakeError)
        assert (known.step, known.side, known.failure, known.alert) == (None, None, _UNEXPLAINED[type(ours)], None)
        assert (known.evidence, known.phase, known.role) == ("inferred", "first_read", "client")
        assert mtls.explain(RuntimeError(ours)) is known

    def test_a_reset_of_a_client_without_a_certificate_is_no_refusal_in_tls_1_2(
        self, serve: Serve, server_files: Files, clients: Clients
    ) -> None:
        """There the refusal is a part of the handshake; in 1.3 nobody knows."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(server_files.certificate, server_files.key)

        def reset(connection: socket.socket) -> None:
            with context.wrap_socket(connection, server_side=True) as tls:
                _read_head(tls)
                _reset(tls)

        known = mtls.explain(_error(serve(reset), clients.bare))
        assert isinstance(known, mtls.HandshakeError)
        assert known.evidence == "inferred"
        assert known.step == 8  # the server asked for none, and in TLS 1.3 its session ticket has come

    def test_a_reset_after_data_is_step_8(
        self, after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server], clients: Clients
    ) -> None:
        def answer_and_reset(tls: ssl.SSLSocket) -> None:
            tls.sendall(b"some")
            _read_head(tls)
            _reset(tls)

        server = after_the_handshake(answer_and_reset)
        with _connected(server, clients.good, suppress_ragged_eofs=False) as tls:
            assert tls.recv(4) == b"some"
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with pytest.raises(OSError) as caught:  # noqa: PT011 - its type is what is tested
                tls.recv(1)
        assert type(caught.value) in _UNEXPLAINED
        known = mtls.explain(caught.value)
        assert isinstance(known, mtls.HandshakeError)
        assert (known.step, known.side, known.failure) == (8, None, _UNEXPLAINED[type(caught.value)])
        assert (known.evidence, known.phase) == ("inferred", "read")

    def test_a_reset_while_writing_stays_what_it_is(self, resetting: Server, clients: Clients) -> None:
        with _connected(resetting, clients.good) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            resetting.outcome()
            with pytest.raises(OSError) as caught:  # noqa: PT011 - its type is what is tested
                tls.sendall(b"more")
        assert type(caught.value) in _UNEXPLAINED
        known = mtls.explain(caught.value)
        assert isinstance(known, mtls.HandshakeError)
        assert (known.step, known.side, known.alert) == (None, None, None)
        assert known.failure == _UNEXPLAINED[type(caught.value)]
        assert (known.evidence, known.phase) == ("inferred", "first_write")

    def test_an_orderly_close_reads_as_nothing_and_stays_what_it_is_for_a_write(
        self, after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server], clients: Clients
    ) -> None:
        def say_goodbye(tls: ssl.SSLSocket) -> None:
            _read_head(tls)
            tls.settimeout(0)
            with contextlib.suppress(ssl.SSLWantReadError):
                tls.unwrap()

        server = after_the_handshake(say_goodbye)
        with _connected(server, clients.good) as tls:
            tls.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert tls.recv(1) == b""
            server.outcome()
            with pytest.raises(ssl.SSLZeroReturnError) as caught:
                tls.sendall(_BIG)
        assert mtls.explain(caught.value) is None

    def test_a_timeout_while_reading_stays_a_timeout(
        self, after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server], clients: Clients
    ) -> None:
        server = after_the_handshake(lambda tls: tls.recv(1))
        with _connected(server, clients.good) as tls:
            tls.settimeout(0.05)
            with pytest.raises(TimeoutError) as caught:
                tls.recv(1)
            assert type(caught.value) is TimeoutError
            tls.settimeout(_DEADLINE)
            tls.sendall(b"x")  # the connection lives on
        assert server.outcome() == b"x"
        known = mtls.explain(caught.value)
        assert isinstance(known, mtls.HandshakeTimeoutError)
        assert (known.step, known.side, known.failure, known.evidence) == (None, None, "timed_out", "inferred")

    def test_nothing_to_read_yet_is_said_as_ssl_says_it(
        self, after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server], clients: Clients
    ) -> None:
        server = after_the_handshake(lambda tls: tls.recv(1))
        with _connected(server, clients.good) as tls:
            tls.setblocking(False)
            with pytest.raises(ssl.SSLWantReadError) as caught:
                tls.recv(1)
            assert mtls.explain(caught.value) is None
            tls.setblocking(True)
            tls.sendall(b"x")
        assert server.outcome() == b"x"


class TestARetryingLibrary:
    """An unexplained end must not become an ``ssl.SSLError``: urllib3 would send a POST again."""

    @pytest.fixture(params=["resets", "closes"])
    def server(
        self,
        request: pytest.FixtureRequest,
        after_the_handshake: Callable[[Callable[[ssl.SSLSocket], object]], Server],
    ) -> Server:
        def end(tls: ssl.SSLSocket) -> None:
            received = _read_head(tls)
            while b"small" not in received and len(received) < len(_BIG) // 2:  # a small body is read to its end
                received += tls.recv(65536)
            if request.param == "resets":
                _reset(tls)

        return after_the_handshake(end)

    @pytest.mark.parametrize("body", [pytest.param(b"small", id="small"), pytest.param(_BIG, id="2 MB")])
    def test_sends_a_post_no_more_often_than_with_a_stock_context(
        self, server: Server, clients: Clients, stock_client: ssl.SSLContext, body: bytes
    ) -> None:
        if body is _BIG and sys.version_info < (3, 13):
            pytest.skip(
                "a failed write is an SSLEOFError in the ssl of this Python, and urllib3 retries that by chance"
            )
        url = f"https://localhost:{server.port}/"
        sent = Counter[str]()
        for name, context in (("ours", clients.good), ("stock", stock_client)):
            for _ in range(5):
                before = server.connections
                with (
                    urllib3.PoolManager(ssl_context=context, retries=urllib3.Retry(3, backoff_factor=0)) as manager,
                    pytest.raises(urllib3.exceptions.HTTPError),
                ):
                    manager.request("POST", url, body=body)
                sent[name] += server.connections - before
        assert sent == {"ours": 5, "stock": 5}
