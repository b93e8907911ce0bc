"""Servers on this machine for the clients of other libraries: HTTP/1.1, HTTP/2 and WebSocket on one port, and a proxy.

Rule: every server notes what it saw; a client is believed only together with what its server says.
"""

from __future__ import annotations

import contextlib
import gc
import queue
import select
import socket
import ssl
import threading
import warnings
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import unquote

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived
from websockets.server import ServerProtocol

import mtls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader

    from websockets.http11 import Request

    from mtls.authority import CertificateAuthority

DEADLINE = 20.0
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
_FOUND = "HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(autouse=True, scope="session")
def _no_proxy_settings_from_outside() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
            patch.delenv(name, raising=False)
            patch.delenv(name.upper(), raising=False)
        yield


# --- servers ---


class Seen(NamedTuple):
    """One request as its server saw it."""

    path: str
    client: str | None
    """The first DNS name of the client's certificate."""
    alpn: str | None


class _Listener:
    """Serves every connection in a thread of its own, and ends them all when it is closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        if self._stopping:
            return
        self._stopping = True
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE).close()  # accept() wakes up
        self._threads[0].join(DEADLINE)
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            if self._stopping:
                connection.close()
                return
            connection.settimeout(DEADLINE)
            # what Nagle's algorithm holds back, a reset throws away before it was ever sent
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection: socket.socket) -> None:
        handle = connection.dup()  # wrapping detaches the socket, and this one can still be shut down
        with self._lock:
            self._open.add(handle)
        try:
            with connection:
                self._serve(connection)
        finally:
            with self._lock:
                self._open.remove(handle)
            handle.close()

    def _serve(self, connection: socket.socket) -> None:
        raise NotImplementedError


class Server(_Listener):
    """Answers ``hello``, or the redirect that a path ``/to/<url>`` asks for; notes each request and each refusal.

    The answer to ``/half`` ends when ``rest`` is set.
    """

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._outcomes: queue.Queue[Seen | OSError] = queue.Queue()
        self.rest = threading.Event()
        super().__init__()
        self.url = f"https://localhost:{self.port}/"

    def outcome(self) -> Seen | OSError:
        """The next request, or what the next connection failed with."""
        return self._outcomes.get(timeout=DEADLINE)

    def seen(self) -> Seen:
        """The next request."""
        outcome = self.outcome()
        assert isinstance(outcome, Seen), outcome
        return outcome

    def heard_no_request(self) -> bool:
        """Whether no request came that was not asked for; there is no later one, for this closes the server."""
        self.close()
        return not any(isinstance(outcome, Seen) for outcome in self._outcomes.queue)

    def heard_nothing_more(self) -> bool:
        """The same, and no connection failed that was not asked for."""
        self.close()
        return self._outcomes.empty()

    def _serve(self, connection: socket.socket) -> None:
        try:
            tls = self._context.wrap_socket(connection, server_side=True)
        except OSError as error:
            connection.close()
            self._outcomes.put(error)
            return
        with tls, contextlib.suppress(OSError):
            (self._serve_http2 if tls.selected_alpn_protocol() == "h2" else self._serve_http)(tls)

    def _note(self, tls: ssl.SSLSocket, path: str) -> None:
        self._outcomes.put(Seen(path, _client_of(tls), tls.selected_alpn_protocol()))

    def _serve_http(self, tls: ssl.SSLSocket) -> None:
        data = tls.makefile("rb")
        while head := _head(data):
            data.read(sum(int(line[15:]) for line in head.splitlines() if line.lower().startswith(b"content-length:")))
            path = head.split(b" ")[1].decode()
            self._note(tls, path)
            if b"upgrade: websocket" in head.lower():
                self._serve_websocket(tls, head)
                return
            to = _target(path)
            answer = _FOUND.format(to).encode() if to else _OK
            if path == "/half":
                tls.sendall(answer[:-2])
                self.rest.wait(DEADLINE)
                answer = answer[-2:]
            tls.sendall(answer)

    def _serve_websocket(self, tls: ssl.SSLSocket, head: bytes) -> None:
        protocol = ServerProtocol()
        protocol.receive_data(head + b"\r\n")
        request: Request = protocol.events_received()[0]  # type: ignore[assignment] # it has just been sent
        to = _target(request.path).replace("https:", "wss:")
        if to:
            tls.sendall(_FOUND.format(to).encode())
            return
        protocol.send_response(protocol.accept(request))
        protocol.send_text(b"hello")
        tls.sendall(b"".join(protocol.data_to_send()))
        if request.path == "/half":
            self.rest.wait(DEADLINE)
        protocol.send_close()
        tls.sendall(b"".join(protocol.data_to_send()))
        tls.recv(65536)  # its close frame; a client waits until the server ends the connection

    def _serve_http2(self, tls: ssl.SSLSocket) -> None:
        http2 = H2Connection(H2Configuration(client_side=False))
        http2.initiate_connection()
        tls.sendall(http2.data_to_send())
        while data := tls.recv(65536):
            for event in http2.receive_data(data):
                if isinstance(event, RequestReceived):
                    self._note(tls, dict(event.headers)[b":path"].decode())
                    http2.send_headers(event.stream_id, [(":status", "200")])
                    http2.send_data(event.stream_id, b"hello", end_stream=True)
            tls.sendall(http2.data_to_send())


class Recorder(_Listener):
    """Answers nothing, and keeps every byte that a connection brings."""

    def __init__(self) -> None:
        self._received: queue.Queue[bytes] = queue.Queue()
        super().__init__()
        self.url = f"https://127.0.0.1:{self.port}/"

    def received(self) -> list[bytes]:
        """What came on each connection so far; there is no later one, for this closes the server."""
        self.close()
        return [self._received.get() for _ in range(self._received.qsize())]

    def _serve(self, connection: socket.socket) -> None:
        received = b""
        with contextlib.suppress(OSError):
            while part := connection.recv(65536):
                received += part
        self._received.put(received)


class Proxy(_Listener):
    """A proxy that knows only CONNECT, in the clear or behind TLS; notes whom it tunnelled where."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self._tunnels: queue.Queue[tuple[str | None, str] | OSError] = queue.Queue()
        super().__init__()
        self.url = f"{'http' if context is None else 'https'}://localhost:{self.port}"

    def tunnel(self) -> tuple[str | None, str] | OSError:
        """The client and the target of the next tunnel, or what it failed with."""
        return self._tunnels.get(timeout=DEADLINE)

    def _serve(self, connection: socket.socket) -> None:
        try:
            near = connection if self._context is None else self._context.wrap_socket(connection, server_side=True)
        except OSError as error:
            connection.close()
            self._tunnels.put(error)
            return
        with near, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += near.recv(4096)
            target = head.split(b" ")[1].decode()
            self._tunnels.put((_client_of(near), target))
            with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2])), timeout=DEADLINE) as far:
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _join(near, far)


def _head(data: BufferedReader) -> bytes:
    head = b""
    while (line := data.readline()) not in {b"\r\n", b""}:
        head += line
    return head


def _target(path: str) -> str:
    return unquote(path.partition("/to/")[2])


def _client_of(connection: socket.socket) -> str | None:
    identity = mtls.peer_identity(connection) if isinstance(connection, ssl.SSLSocket) else None
    return identity.dns_names[0] if identity else None


def _join(near: socket.socket, far: socket.socket) -> None:
    others = {near: far, far: near}
    while True:
        ready, _, _ = select.select(list(others), [], [], DEADLINE)
        for one in ready:
            data = one.recv(65536)
            if not data:
                return
            while isinstance(one, ssl.SSLSocket) and one.pending():
                data += one.recv(65536)
            others[one].sendall(data)


class Serve(Protocol):
    """Starts a server on a profile; it is stopped at the end of the test.

    Without ``tickets`` a client that reads in one thread and writes in another, which ``ssl`` is not made for
    (python/cpython#143756), has nothing to read while it writes its request: it would hang once in a thousand times.
    """

    def __call__(self, profile: mtls.ServerProfile, *, tickets: bool = True) -> Server: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as running:

        def start(profile: mtls.ServerProfile, *, tickets: bool = True) -> Server:
            context = profile.ssl_context()
            if not tickets:
                context.num_tickets = 0
            return running.enter_context(contextlib.closing(Server(context)))

        yield start


@pytest.fixture
def server(serve: Serve, server_profile: mtls.ServerProfile) -> Server:
    """A two-way server of the authority."""
    return serve(server_profile)


@pytest.fixture
def strange_server(serve: Serve, stranger: CertificateAuthority) -> Server:
    """A server of the CA that nobody trusts; it asks for no certificate."""
    return serve(mtls.TLSProfile.server(keystore=stranger.server("localhost", "127.0.0.1")))


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    """A host that is not meant to hear anything; its name is its address."""
    with contextlib.closing(Recorder()) as running:
        yield running


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A proxy in the clear."""
    with contextlib.closing(Proxy()) as running:
        yield running


@pytest.fixture
def tls_proxy(server_profile: mtls.ServerProfile) -> Iterator[Proxy]:
    """A proxy that demands a certificate of the authority."""
    with contextlib.closing(Proxy(server_profile.ssl_context())) as running:
        yield running


# --- clients ---


class ContextOf(Protocol):
    """The context of a profile. At the end of the test no library has changed what it trusts and checks."""

    def __call__(self, profile: mtls.ClientProfile) -> mtls.TLSContext: ...


@pytest.fixture
def context_of() -> Iterator[ContextOf]:
    made: list[tuple[mtls.TLSContext, tuple[object, ...]]] = []

    def make(profile: mtls.ClientProfile) -> mtls.TLSContext:
        context = profile.ssl_context()
        made.append((context, _state(context)))
        return context

    yield make
    for context, before in made:
        assert _state(context) == before


def _state(context: mtls.TLSContext) -> tuple[object, ...]:
    return (
        context.cert_store_stats(),
        context.get_ca_certs(binary_form=True),
        context.verify_mode,
        context.verify_flags,
        context.check_hostname,
        context.minimum_version,
        context.maximum_version,
        context.options,
        context.generation,
    )


@pytest.fixture
def context(client_profile: mtls.ClientProfile, context_of: ContextOf) -> mtls.TLSContext:
    """The context of a client with a certificate."""
    return context_of(client_profile)


def only(version: mtls.TLSVersion) -> mtls.TLSPolicy:
    """One version and no other, so that the server has no choice."""
    return mtls.TLSPolicy(name=f"{version.label} only", minimum_version=version, maximum_version=version)


class Refused(NamedTuple):
    """A client that the server turns away, what it is to be told, and what the server says of it."""

    profile: Callable[[mtls.TLSVersion], mtls.ClientProfile]
    told: tuple[int, str, str]
    server_says: tuple[int, str, str]


@pytest.fixture(params=["no certificate", "stranger's CA"])
def refused(request: pytest.FixtureRequest, authority: CertificateAuthority, stranger: CertificateAuthority) -> Refused:
    trust, make = authority.truststore, mtls.TLSProfile.client
    if request.param == "no certificate":
        return Refused(
            lambda version: make(truststore=trust, policy=only(version)),
            (5, "peer", "certificate_required"),
            (5, "local", "certificate_required"),
        )
    intruder = stranger.client("intruder")
    return Refused(
        lambda version: make(truststore=trust, keystore=intruder, policy=only(version)),
        (6, "peer", "unknown_ca"),
        (6, "local", "unknown_ca"),
    )


class Placed(Protocol):
    """Step, side and failure of what ``mtls.explain`` finds in an exception; ``None`` where it finds nothing."""

    def __call__(self, exc: BaseException) -> tuple[object, ...] | None: ...


@pytest.fixture(scope="session")
def placed() -> Placed:
    def place(exc: BaseException) -> tuple[object, ...] | None:
        found = mtls.explain(exc)
        if found is None:
            return None
        assert isinstance(found, mtls.HandshakeError), found
        return found.step, found.side, found.failure

    return place


@contextlib.contextmanager
def forgotten_sockets() -> Iterator[None]:
    """asyncio leaves a socket to the collector if ``wrap_bio`` raises, with any context."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
        gc.collect()
