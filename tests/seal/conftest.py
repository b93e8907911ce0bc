"""HTTPS servers in a thread that note what each connection negotiated, and keystores on disk for other libraries."""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

import mtls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority

_DEADLINE = 20.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Request(NamedTuple):
    """One served request: its path, the protocol chosen by ALPN, and whether the client showed a certificate."""

    path: str
    alpn: str | None
    known: bool


class Server:
    """Answers one request for each connection, and keeps what it saw, or the error."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._outcomes: queue.Queue[Request | OSError] = queue.Queue()
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self.url = f"https://localhost:{self.port}"
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def outcome(self) -> Request | OSError:
        return self._outcomes.get(timeout=_DEADLINE)

    def close(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), timeout=_DEADLINE).close()
        self._thread.join(_DEADLINE)
        self._listener.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self._stopping:
                    return
                connection.settimeout(_DEADLINE)
                try:
                    outcome: Request | OSError = self._serve(connection)
                except OSError as error:
                    outcome = error
            self._outcomes.put(outcome)

    def _serve(self, connection: socket.socket) -> Request:
        with self._context.wrap_socket(connection, server_side=True) as tls:
            head = b""
            while b"\r\n\r\n" not in head and (part := tls.recv(4096)):
                head += part
            tls.sendall(_ANSWER)
            path = head.split(b" ")[1].decode() if b" " in head else ""
            return Request(path, tls.selected_alpn_protocol(), known=bool(tls.getpeercert()))


class Serve(Protocol):
    """Starts a server on a context; it is stopped at the end of the test."""

    def __call__(self, context: ssl.SSLContext) -> Server: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    started: list[Server] = []

    def start(context: ssl.SSLContext) -> Server:
        started.append(Server(context))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def server(serve: Serve, server_profile: mtls.ServerProfile) -> Server:
    """A two-way server of the authority."""
    return serve(server_profile.ssl_context())


@pytest.fixture
def foreign_server(serve: Serve, stranger: CertificateAuthority) -> Server:
    """A server of the CA that nobody trusts; it asks for no certificate."""
    return serve(mtls.TLSProfile.server(keystore=stranger.server("localhost", "127.0.0.1")).ssl_context())


@pytest.fixture
def context(client_profile: mtls.ClientProfile) -> mtls.TLSContext:
    """A client's context that trusts one CA."""
    return client_profile.ssl_context()


@pytest.fixture(scope="session")
def client_folder(tmp_path_factory: pytest.TempPathFactory, authority: CertificateAuthority) -> Path:
    """``tls.crt``, ``tls.key`` and ``ca.crt`` of another client of the authority."""
    folder = tmp_path_factory.mktemp("client")
    authority.save_keystore(authority.client("another"), folder)
    return folder


@pytest.fixture(scope="session")
def foreign_folder(tmp_path_factory: pytest.TempPathFactory, stranger: CertificateAuthority) -> Path:
    """The same of the stranger: ``ca.crt`` is the CA that nobody is to trust."""
    folder = tmp_path_factory.mktemp("foreign")
    stranger.save_keystore(stranger.client("intruder"), folder)
    return folder
