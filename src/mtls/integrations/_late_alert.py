"""What a peer said before it closed, where an event loop would drop it.

Theory of operation. In TLS 1.3 a refused client has often begun to send: its write fails, and the alert waits in the
receive buffer of the kernel. An event loop writes to the socket itself, takes the failed write for the end of the
connection, and closes with the alert unread; no TLS object is asked. ``LateAlertSocket`` answers such a write with "not
now" while there is something to read, so that the loop reads first. It always ends: what waits is finite, because the
connection is over, and a loop that does not read (asyncio's flow control, anyio between two calls) gets the error after
a few tries. Then what waits is kept in ``last_words``, for who holds the socket.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING, Any, NoReturn

from mtls._handshake.hooks import TLSObject
from mtls._handshake.standins import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed import ReadableBuffer

    from mtls.errors import HandshakeError

_PEEKED = 1024
"""Bytes by which it is seen whether something was read since the last try."""
_TRIES = 4
"""How often a write is put off while nobody reads: a loop that does reads before it writes again."""
_MOST_WORDS = 65536
"""Bytes that are kept: an alert has 24, and an early answer (an HTTP 400) has a few hundred."""


class LateAlertSocket(socket.socket):
    """A non-blocking TCP socket whose writes fail only when everything that the peer had sent was read."""

    __slots__ = ("_peeked", "_tries", "last_words")

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._peeked = b""
        self._tries = 0
        self.last_words: bytes = b""
        """What was still unread when a write failed, if nobody wanted to read it before."""

    def send(self, data: ReadableBuffer, flags: int = 0, /) -> int:
        """As :meth:`socket.socket.send`."""
        try:
            return super().send(data, flags)
        except ConnectionError as failure:
            self._put_off(failure)

    def sendmsg(self, buffers: Iterable[ReadableBuffer], /, *more: Any) -> int:
        """As :meth:`socket.socket.sendmsg`."""
        try:
            return super().sendmsg(buffers, *more)
        except ConnectionError as failure:
            self._put_off(failure)

    def _put_off(self, failure: ConnectionError) -> NoReturn:
        """Raise :class:`BlockingIOError` if something waits that a loop will read, else the failure."""
        if self.gettimeout() != 0:  # a blocking caller would wait for ever
            raise failure
        waiting = b""
        with contextlib.suppress(OSError):
            waiting = self.recv(_PEEKED, socket.MSG_PEEK)
        if not waiting:
            raise failure
        self._tries = 1 if waiting != self._peeked else self._tries + 1
        self._peeked = waiting
        if self._tries > _TRIES:
            self.last_words = read_waiting(self)
            raise failure
        raise BlockingIOError(errno.EAGAIN, "what the peer sent before it closed is read first") from failure


def read_waiting(sock: socket.socket) -> bytes:
    """What can be read at once from a socket that does not block, up to 64 KiB."""
    words = b""
    with contextlib.suppress(OSError):
        while len(words) < _MOST_WORDS and (part := sock.recv(_MOST_WORDS - len(words))):
            words += part
    return words


def hear(tls: object, words: bytes, failure: BaseException | None) -> None:
    """Raise what a TLS object of ours makes of the last words of its peer, after a write that failed below it.

    A :class:`~mtls.HandshakeError` for a refusal. Else the failure itself, with what is known attached to it; data that
    came before the end can then be read. Returns where there is nothing to hear, and nobody to hear it.
    """
    if words and isinstance(tls, TLSObject) and isinstance(failure, ConnectionError):
        tls.hear(words, failure)


def refusal_of(tls: object) -> HandshakeError | None:
    """What a TLS object of ours was refused with, ``None`` if it was not."""
    inner = getattr(tls, "_sslobj", None)
    return inner.error if isinstance(inner, Refused) else None
