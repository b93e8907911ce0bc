"""uvicorn with the application and the profile: in the foreground, or in a thread for tests and the demonstration."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import uvicorn

import mtls
from mtls.integrations.uvicorn import AutoHTTPProtocol, run, ssl_context_factory
from service.app import app
from service.tls import profile

GRACE = 3
"""How long an idle client may hold up the end, in seconds; without it TLS waits 30 for its goodbye."""


def serve(host: str, port: int) -> None:
    """Serve until Ctrl-C or SIGTERM, and follow the files of the profile when they are rotated.

    Raises an ``mtls.MTLSError`` that says what to do, before anything listens, if the profile cannot work.
    """
    run(app, profile, context_reload=mtls.Reload(), host=host, port=port, timeout_graceful_shutdown=GRACE)


@contextlib.contextmanager
def serving(served: mtls.ServerProfile, reload: mtls.Reload | None = None) -> Iterator[str]:
    """The URL of the same server in a thread, on a free port of this machine."""
    factory = ssl_context_factory(served, reload=reload)
    config = uvicorn.Config(
        app, http=AutoHTTPProtocol, ssl_context_factory=factory, timeout_graceful_shutdown=GRACE, log_config=None
    )
    config.load()  # a profile that cannot work raises here, not in the thread
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"https://localhost:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
