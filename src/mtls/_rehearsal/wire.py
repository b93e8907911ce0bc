"""The socket beneath a TLS object: what is sent and received, in the time that is left, with whoever listens in.

Rule: a peer that went away may have said why before, so a write that fails is no end yet; the read after it tells.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from mtls._handshake.address import peer_address
from mtls._model import Role
from mtls._rehearsal.pcapng import Endpoint

if TYPE_CHECKING:
    import socket
    import ssl

    from mtls._rehearsal.capture import Recorder
    from mtls._rehearsal.dialing import Deadline

_CHUNK = 65_536


class Wire:
    """A connected socket between the two memories of a TLS object of a client."""

    def __init__(
        self,
        sock: socket.socket,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        deadline: Deadline,
        recorder: Recorder | None,
    ) -> None:
        self.address = peer_address(sock)
        self._sock = sock
        self._incoming = incoming
        self._outgoing = outgoing
        self._deadline = deadline
        self._recorder = recorder
        self._broken = False
        if recorder is not None:
            recorder.ends = Endpoint(*sock.getsockname()[:2]), Endpoint(*sock.getpeername()[:2])

    def send(self) -> None:
        """Send what OpenSSL has to say. Once that fails, what the server said before is still to be read."""
        data = self._outgoing.read()
        if not data or self._broken:
            return
        self._record(Role.CLIENT, data)
        self._sock.settimeout(self._deadline.left())
        try:
            self._sock.sendall(data)
        except ConnectionError:
            self._broken = True

    def receive(self) -> None:
        """Give OpenSSL what arrives next, or the end."""
        self._sock.settimeout(self._deadline.left())
        try:
            data = self._sock.recv(_CHUNK)
        except ConnectionError:
            if self._recorder is not None:
                self._recorder.reset(Role.SERVER)
            raise
        self._record(Role.SERVER, data)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()

    def leave(self) -> None:
        """Send the last word if it can be sent now."""
        with contextlib.suppress(OSError):
            if data := self._outgoing.read():
                self._record(Role.CLIENT, data)
                self._sock.settimeout(0)
                self._sock.sendall(data)
        self._record(Role.CLIENT, b"")

    def _record(self, role: Role, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.tap(role, data)
