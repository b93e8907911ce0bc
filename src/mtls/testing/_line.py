"""One connection of a test server: a socket, a TLS object in memory, and what happens on the wire between them.

Rule: it ends in an orderly way. What the client still sends is thrown away before the socket is closed, so that no
reset overtakes what it was told.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from typing import TYPE_CHECKING, Any

from mtls._handshake.loopback import Side
from mtls._rehearsal.rehearsal import side_of
from mtls.testing._cut import Action
from mtls.testing._http import answers, is_http
from mtls.testing._wire import Tap

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls._handshake.context import TLSContext
    from mtls._rehearsal.result import HandshakeSide
    from mtls.testing._cut import Cut

_CHUNK = 65536


class GoneError(Exception):
    """The fault was to end here, without a further word."""


class Line:
    """One connection of a server."""

    def __init__(self, connection: socket.socket, context: TLSContext, cut: Cut | None) -> None:
        self._socket = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._cut = cut
        self._tap = None if cut is None else Tap(cut, self._tls._mtls.log)

    def serve(self, tell: Callable[[HandshakeSide], object]) -> None:
        """Shake hands, tell how it went, and answer until the client ends. Raises :class:`OSError`."""
        side = Side(self._tls)
        try:
            self._shake(side, tell)
            if side.error is None:
                self._answer()
                self._bid_farewell()
        finally:
            self._drain()

    def _shake(self, side: Side, tell: Callable[[HandshakeSide], object]) -> None:
        try:
            self._do(self._tls.do_handshake)
            side.finished = True
        except OSError as error:
            side.error = error
        finally:  # also where the fault ends it here
            self.side = side_of(side, accepted=side.finished)
            tell(self.side)

    def _answer(self) -> None:
        first = self._read()
        if is_http(first):
            answers(first, self._read, self._write, self.side.peer)
            return
        while first:
            self._write(first)
            first = self._read()

    def _read(self) -> bytes:
        """What came, ``b""`` at the end."""
        try:
            return bytes(self._do(self._tls.read, _CHUNK))
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return b""

    def _write(self, data: bytes) -> None:
        self._do(self._tls.write, data)

    def _bid_farewell(self) -> None:
        with contextlib.suppress(OSError):
            self._tls.unwrap()  # says close_notify, and does not wait for the client's
        self._flush()

    def _do(self, action: Callable[..., Any], *arguments: Any) -> Any:
        """Call it until the TLS object has what it needs."""
        while True:
            try:
                return action(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                if data := self._socket.recv(_CHUNK):
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            finally:
                self._flush()

    def _flush(self) -> None:
        """Send what the TLS object has written, as far as the fault lets it. Raises :class:`GoneError` at its end."""
        data = self._outgoing.read()
        tap = self._tap
        if tap is not None and not tap.reached:
            data = tap.pass_on(data)
        if data:
            self._socket.sendall(data)
        if tap is not None and tap.over:
            self._tap = None  # said once
            self._outgoing = ssl.MemoryBIO()
            raise GoneError

    def _drain(self) -> None:
        """Say that nothing more comes, and take what the client still sends until it ends, too."""
        action = None if self._cut is None else self._cut.action
        with contextlib.suppress(OSError):
            if action is Action.RESET and self._tap is None:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            if action is not Action.SILENCE:
                self._socket.shutdown(socket.SHUT_WR)
            while self._socket.recv(_CHUNK):
                pass
