"""uvicorn in a thread, and clients of many names."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest
import uvicorn

import mtls
from mtls.integrations.uvicorn import ssl_context_factory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.authority import CertificateAuthority

_DEADLINE = 20.0


class Running(NamedTuple):
    """A server that accepts connections."""

    port: int
    server: uvicorn.Server

    def url(self, path: str, scheme: str = "https") -> str:
        return f"{scheme}://localhost:{self.port}{path}"


class ServeASGI(Protocol):
    """Runs an application under uvicorn in a thread; ``None`` for the profile is a server without TLS."""

    def __call__(
        self, app: Any, profile: mtls.ServerProfile | None, *, reload: mtls.Reload | None = None, **options: Any
    ) -> Running: ...


@pytest.fixture
def serve_asgi() -> Iterator[ServeASGI]:
    running: list[tuple[uvicorn.Server, threading.Thread, socket.socket]] = []

    def serve(
        app: Any, profile: mtls.ServerProfile | None, *, reload: mtls.Reload | None = None, **options: Any
    ) -> Running:
        chosen: dict[str, Any] = {
            "http": "mtls.integrations.uvicorn:AutoHTTPProtocol",
            "ws": "mtls.integrations.uvicorn:AutoWebSocketsProtocol",
            "lifespan": "off",
            "log_config": None,
            **options,
        }
        if profile is not None:
            chosen["ssl_context_factory"] = ssl_context_factory(profile, reload=reload)
        server = uvicorn.Server(uvicorn.Config(app, **chosen))
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        running.append((server, thread, listener))
        return Running(listener.getsockname()[1], server)

    yield serve
    for server, thread, listener in running:
        server.should_exit = True
        thread.join(_DEADLINE)
        with contextlib.suppress(OSError):
            listener.close()
        assert not thread.is_alive()


class ClientOf(Protocol):
    """The context of a client with a certificate for this name."""

    def __call__(self, name: str | None, *, issuer: CertificateAuthority | None = None) -> mtls.TLSContext: ...


@pytest.fixture(scope="session")
def client_of(authority: CertificateAuthority) -> ClientOf:
    made: dict[tuple[str | None, int], mtls.ClientProfile] = {}

    def make(name: str | None, *, issuer: CertificateAuthority | None = None) -> mtls.TLSContext:
        ca = issuer or authority
        key = name, id(ca)
        if key not in made:
            trust: Callable[..., mtls.ClientProfile] = mtls.TLSProfile.client
            shown = {} if name is None else {"keystore": ca.client(name)}
            made[key] = trust(truststore=authority.truststore, **shown)
        return made[key].ssl_context()

    return make
