"""Our side of a cell: contexts with the hooks of the library in place, and one connection through them.

Rule: a keystore that the library refuses to use is shown all the same, so that a peer can refuse it; everything else is
what ``profile.ssl_context()`` makes.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import mtls
from tests.matrix.peers.base import DEADLINE
from tests.matrix.pki import HOST, NOW

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

READ, WRITE, WRITE_MUCH = "read first", "write 100 bytes", "write 2 MB"
USES = (READ, WRITE, WRITE_MUCH)
_MUCH = 2 * 1024 * 1024
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


class Outcome(NamedTuple):
    """What our side of a connection came to."""

    error: BaseException | None
    """What was raised, in the handshake or later."""
    data: bytes
    """What was read."""
    shaken: bool
    """Whether our ``do_handshake`` ended well."""
    peer_said: str = ""
    """What the program on the other side said about it."""

    @property
    def explained(self) -> mtls.HandshakeError | None:
        """What ``mtls.explain`` makes of it."""
        found = None if self.error is None else mtls.explain(self.error)
        assert found is None or isinstance(found, mtls.HandshakeError), found
        return found


def policy(version: mtls.TLSVersion, *, weak: bool = False) -> mtls.TLSPolicy:
    """One version; at security level 0 OpenSSL takes a weak key of our own."""
    name = f"{version.label} only"
    return mtls.TLSPolicy(name=name, minimum_version=version, maximum_version=version, security_level=0 if weak else 2)


def context_of(profile: Any) -> ssl.SSLContext:
    """The context of a profile, whatever the check has to say about our own certificate."""
    fresh = replace(profile)
    fresh._built.checked, fresh._built.good_until = NOW - timedelta(days=1), NOW + timedelta(days=1)
    context: ssl.SSLContext = fresh.ssl_context()
    return context


def visit(context: ssl.SSLContext, port: int, use: str, *, host: str = HOST, timeout: float = DEADLINE) -> Outcome:
    """Connect as a client and use the connection in one of three ways."""
    data, shaken = b"", False
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with context.wrap_socket(sock, server_hostname=host) as tls:
                shaken = True
                if use != READ:
                    tls.sendall(request(use))
                while part := tls.recv(65536):
                    data += part
                    if use != READ and b"\r\n\r\n" in data:
                        break
    except OSError as error:
        return Outcome(error, data, shaken)
    return Outcome(None, data, shaken)


def request(use: str) -> bytes:
    """An HTTP request of 100 bytes, or of 2 MB and its head."""
    if use == WRITE_MUCH:
        return b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % _MUCH + bytes(_MUCH)
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Padding: "
    return head + b"x" * (100 - len(head) - 4) + b"\r\n\r\n"


@dataclass
class Reception:
    """A server of ours for one connection."""

    context: ssl.SSLContext
    timeout: float = DEADLINE

    def receive(self, call: Callable[[int], str]) -> Outcome:
        """Have somebody call, and answer like a web server."""
        said: list[str] = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(DEADLINE)
            port: int = listener.getsockname()[1]
            caller = threading.Thread(target=lambda: said.append(call(port)))
            caller.start()
            try:
                connection, _ = listener.accept()
                outcome = self._answer(connection)
            finally:
                caller.join(DEADLINE)
        return outcome._replace(peer_said=" ".join(said))

    def _answer(self, connection: socket.socket) -> Outcome:
        data, shaken = b"", False
        connection.settimeout(self.timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            with connection, self.context.wrap_socket(connection, server_side=True) as tls:
                shaken = True
                while b"\r\n\r\n" not in data and (part := tls.recv(65536)):
                    data += part
                tls.sendall(_ANSWER)
                with contextlib.suppress(OSError):
                    tls.unwrap()
        except OSError as error:
            return Outcome(error, data, shaken)
        return Outcome(None, data, shaken)
