"""Two contexts joined: in memory (a whole handshake without a port, in a few milliseconds) or over a loopback socket.

Rule: no sleeping. In memory each side runs until it wants to read; when neither can go on, it is over.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mtls._model import Role

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Tap = Callable[[Role, bytes], object]

_CLIENT_SAYS = b"client"
_SERVER_SAYS = b"server"
_WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


@dataclass(slots=True)
class Side:
    """One end: its TLS object, whether its handshake ended, whether data arrived, and what it failed with."""

    tls: Any
    finished: bool = False
    heard: bool = False
    error: OSError | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will happen on this side's own account."""
        return self.error is not None or self.heard

    def attempt(self, action: Callable[[], object]) -> bool:
        """Do something; True if it went through, False if it waits for the peer or failed."""
        try:
            action()
        except _WAITING:
            return False
        except OSError as error:
            self.error = error
            return False
        return True


def join(
    client: ssl.SSLContext, server: ssl.SSLContext, *, server_hostname: str | None, tap: Tap | None = None
) -> tuple[Side, Side]:
    """Run a handshake between two contexts and let each side send a few bytes to the other.

    Both results are there even when one side failed: the other then reads the alert, or the end of the stream. ``tap``
    is told what goes over the wire, with the role that sent it; nothing (``b""``) is the end of what it sends.
    """
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    from_client, from_server = (to_server, to_client) if tap is None else (ssl.MemoryBIO(), ssl.MemoryBIO())
    near = Side(client.wrap_bio(to_client, from_client, server_side=False, server_hostname=server_hostname))
    far = Side(server.wrap_bio(to_server, from_server, server_side=True))
    pairs = (
        (near, Role.CLIENT, from_client, to_server, _CLIENT_SAYS),
        (far, Role.SERVER, from_server, to_client, _SERVER_SAYS),
    )
    ended: set[int] = set()
    while True:
        before = (near.finished, near.over, far.finished, far.over, to_client.pending, to_server.pending)
        for side, role, outgoing, onward, says in pairs:
            _run(side, says)
            if tap is not None and (said := outgoing.read()):
                tap(role, said)
                onward.write(said)
            if side.error is not None and id(onward) not in ended:
                onward.write_eof()
                ended.add(id(onward))
                if tap is not None:
                    tap(role, b"")
        after = (near.finished, near.over, far.finished, far.over, to_client.pending, to_server.pending)
        if (near.over and far.over) or before == after:
            return near, far


def _run(side: Side, says: bytes) -> None:
    if side.over:
        return
    if not side.finished:
        side.finished = side.attempt(side.tls.do_handshake)
        if side.finished:
            side.attempt(lambda: side.tls.write(says))
    if side.finished and side.error is None:
        _listen(side)


def _listen(side: Side) -> None:
    received: list[bytes] = []
    if side.attempt(lambda: received.append(side.tls.read())):
        side.heard = bool(received[0])
        if not side.heard:
            side.error = ConnectionResetError(
                errno.ECONNRESET, "the peer closed the connection before it sent anything"
            )


@contextlib.contextmanager
def connected(
    client: ssl.SSLContext, server: ssl.SSLContext, *, server_hostname: str, timeout: float = 5.0
) -> Iterator[tuple[Side, Side]]:
    """The same over a real socket on the loopback interface, the server in a thread of its own.

    ``timeout`` is in seconds, for each call on the socket. Either context may be one of the user's. Both sockets are
    closed at the end of the ``with`` block.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as opened:
        listener.settimeout(timeout)
        accepted: list[Side] = []

        def serve() -> None:
            raw, _ = listener.accept()
            raw.settimeout(timeout)
            far = Side(server.wrap_socket(raw, server_side=True, do_handshake_on_connect=False))
            accepted.append(far)
            _converse(far, _SERVER_SAYS)

        thread = threading.Thread(target=serve, name="mtls-loopback-server")
        thread.start()
        try:
            raw = socket.create_connection(listener.getsockname(), timeout)
            wrapped = client.wrap_socket(raw, server_hostname=server_hostname, do_handshake_on_connect=False)
            near = Side(opened.enter_context(wrapped))
            _converse(near, _CLIENT_SAYS)
        finally:
            thread.join()
        far = accepted[0]
        opened.enter_context(far.tls)
        yield near, far


def _converse(side: Side, says: bytes) -> None:
    """Handshake, send a few bytes, read a few: what fails is kept on the side."""
    side.finished = side.attempt(side.tls.do_handshake)
    if side.finished and side.attempt(lambda: side.tls.write(says)):
        _listen(side)
