"""Servers of ours in a thread, good and hostile ones, and a laboratory of four foreign ones."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol

import pytest

import mtls
from tests.matrix.lab import Lab
from tests.matrix.peers.apache import Apache
from tests.matrix.peers.haproxy import HAProxy
from tests.matrix.peers.nginx import Nginx
from tests.matrix.peers.openssl import OpenSSL
from tests.matrix.pki import Pki

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from tests.matrix.peers import base

DEADLINE = 20.0
POLICIES = {
    version: mtls.TLSPolicy(name=version.label, minimum_version=version, maximum_version=version)
    for version in mtls.TLSVersion
}


@pytest.fixture(params=list(mtls.TLSVersion), ids=lambda version: version.name)
def policy(request: pytest.FixtureRequest) -> mtls.TLSPolicy:
    """One version and no other."""
    return POLICIES[request.param]


class Serve(Protocol):
    """Starts a server that does this with each connection; the port. What it raises as ``OSError`` ends one."""

    def __call__(self, how: Callable[[socket.socket], object], host: str = "127.0.0.1") -> int: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as running:

        def start(how: Callable[[socket.socket], object], host: str = "127.0.0.1") -> int:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listener = running.enter_context(socket.create_server((host, 0), family=family))
            stopping = threading.Event()

            def run() -> None:
                while True:
                    connection, _ = listener.accept()
                    with connection, contextlib.suppress(OSError):
                        if stopping.is_set():
                            return
                        connection.settimeout(DEADLINE)
                        how(connection)

            thread = threading.Thread(target=run)
            thread.start()

            def stop() -> None:
                stopping.set()
                socket.create_connection(listener.getsockname()[:2]).close()  # accept() wakes up
                thread.join(DEADLINE)
                assert not thread.is_alive()

            running.callback(stop)
            return int(listener.getsockname()[1])

        yield start


class Answering:
    """A TLS server for one connection: it hears a request, does something, and says goodbye."""

    def __init__(
        self, context: ssl.SSLContext, does: Callable[[ssl.SSLSocket], object] | bytes = b"", *, hears: bool = True
    ) -> None:
        self._context = context
        self._does = does
        self._hears = hears
        self.asked: list[bytes] = []
        self.outcome: OSError | None = None
        self.over = threading.Event()

    def __call__(self, connection: socket.socket) -> None:
        try:
            with self._context.wrap_socket(connection, server_side=True) as tls:
                if self._hears:
                    self.asked.append(tls.recv(4096))
                if isinstance(self._does, bytes):
                    tls.sendall(self._does)
                else:
                    self._does(tls)
                tls.unwrap()
        except OSError as error:
            self.outcome = error
        finally:
            self.over.set()


class NginxHTTP2(Nginx):
    """The same nginx, which speaks HTTP/2 where a client offers it."""

    name = "nginx-h2"

    def _site(self, site: base.Site, port: int) -> str:
        return super()._site(site, port).replace(" ssl;", " ssl http2;")


FOREIGN = (OpenSSL, Nginx, NginxHTTP2, Apache, HAProxy)


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("probe")
    running = Lab(folder, Pki(folder))
    try:
        with ThreadPoolExecutor(len(FOREIGN)) as pool:
            list(pool.map(running.start, FOREIGN))
        yield running
    finally:
        running.stop()
