"""What stands in for the C object (``_sslobj``) while a connection is in a special state.

Theory of operation. ``ssl.SSLSocket`` and ``ssl.SSLObject`` do everything through ``_sslobj``. While a connection is in
a special state a small stand-in takes its place, so the normal state costs nothing:

* ``Unfinished`` until the handshake has ended: it runs the handshake, translates its failure, applies the rules of the
  profile, and then steps aside. Reading or writing too early cannot get around it.
* ``Refused`` after a refusal: every later call raises it again. httpx swallows a write error and reads.
* ``LastWord`` before that, on a server in an event loop: the alert has to be sent.
* ``Leftover`` after a failed write with data waiting: the data comes first, and every later write fails the same way.
"""

from __future__ import annotations

import contextlib
import copy
import logging
import socket
import ssl
import sys
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from mtls._handshake.address import address_of
from mtls._model import FailureReason, Phase, Role
from mtls.errors import HandshakeError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mtls._handshake.connection import Connection

_log = logging.getLogger("mtls")
_LINGERS = 5
"""For how many seconds a refused client may stay to hear why."""
_THROWS_AWAY = 16 * 1024 * 1024
"""How many bytes it may send meanwhile."""
_FRAMES = 8
"""How far up the stack the protocol of asyncio is looked for: it is the fourth."""
NOT_YET = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _StandIn:
    """Passes on to the C object whatever it does not do itself."""

    admitted = False
    """Whether the peer has passed every check, OpenSSL's and the profile's."""

    def __init__(self, real: Any, owner: Any) -> None:
        self._real = real
        self._owner = weakref.ref(owner)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @property
    def session(self) -> Any:
        return self._real.session

    @session.setter
    def session(self, session: Any) -> None:
        self._real.session = session

    def _replace(self, successor: Any) -> None:
        owner = self._owner()
        if owner is not None and getattr(owner, "_sslobj", None) is self:
            owner._sslobj = successor


class Unfinished(_StandIn):
    """A connection whose handshake has not ended well."""

    def __init__(self, real: Any, owner: Any, connection: Connection) -> None:
        super().__init__(real, owner)
        self._connection = connection

    def do_handshake(self) -> None:
        """Run the handshake on; raise what it failed with as a :class:`HandshakeError`."""
        try:
            self._real.do_handshake()
        except NOT_YET:
            raise
        except OSError as cause:
            owner = self._owner()
            self._connection.address = address_of(owner) or self._connection.address
            error = self._connection.error(cause, self._real, phase=Phase.HANDSHAKE)
            try:
                if error is None:
                    raise
                error.__cause__ = cause
                self._connection.report(error)
                self._connection.show_trace(self._real, error)
                self._refused(error, cause)
                raise error
            finally:
                del owner, error  # the traceback holds this frame, and would keep the connection alive
        try:
            owner = self._owner()
            if self._connection.settings.role is Role.SERVER and (
                self._connection.settings.has_rules or isinstance(owner, socket.socket)
            ):
                self._connection.address = address_of(owner) or self._connection.address
            del owner
            self._connection.established(self._real)
        except HandshakeError as error:
            self._connection.show_trace(self._real, error)
            self._say_goodbye()
            self._refused(error)
            raise
        except BaseException:  # a rule was interrupted: it did not admit, and it is not asked again
            interrupted = HandshakeError(failure=FailureReason.NOT_AUTHORIZED, role=self._connection.settings.role)
            self._replace(Refused(self._real, self._owner(), interrupted))
            raise
        self._connection.show_trace(self._real, None)
        self._connection.settle(self._real)
        self._replace(self._real)

    @property
    def session(self) -> Any:
        return self._real.session

    @session.setter
    def session(self, session: Any) -> None:
        self._connection.resume(self._real, session)

    def _refused(self, error: HandshakeError, cause: BaseException | None = None) -> None:
        """Have the refusal stand in; it may have to be sent before it is raised."""
        last_word = LastWord(self._real, self._owner(), error, cause)
        if last_word.is_unsent(self._connection):
            self._replace(last_word)
            last_word.do_handshake()
        self._replace(Refused(self._real, self._owner(), error, cause))

    def read(self, *arguments: Any) -> Any:
        """Finish the handshake first: OpenSSL would do it inside its read, past the rules of the profile."""
        self.do_handshake()
        return self._real.read(*arguments)

    def write(self, data: Any) -> Any:
        """Finish the handshake first."""
        self.do_handshake()
        return self._real.write(data)

    def _say_goodbye(self) -> None:
        """Close in an orderly way: no alert can be sent from here, and a bare close could look like a fault."""
        with contextlib.suppress(OSError), non_blocking(self._owner()):
            self._real.shutdown()


class Refused(_StandIn):
    """A connection that was refused; it carries nothing any more."""

    def __init__(self, real: Any, owner: Any, error: HandshakeError, cause: BaseException | None = None) -> None:
        super().__init__(real, owner)
        # copies, because the tracebacks of the exceptions hold the connection, and only the collector would free it
        self._error = copy.copy(error)
        self._error.__cause__ = copy.copy(cause)

    @property
    def error(self) -> HandshakeError:
        """What it was refused with."""
        error = copy.copy(self._error)
        error.__cause__ = self._error.__cause__
        return error

    def _again(self, *_: Any) -> NoReturn:
        raise copy.copy(self._error) from self._error.__cause__

    do_handshake = read = write = shutdown = _again

    def pending(self) -> int:
        """Nothing can be read."""
        return 0


class LastWord(Refused):
    """A refused client of a server in an event loop, which must still hear why.

    When a handshake fails, asyncio, uvloop and trio drop the connection and what OpenSSL had to say (the alert) with
    it. Told to wait for more they send it first. What the client was sending meanwhile is thrown away, because a
    connection that is closed with data unread ends in a reset, which can overtake the alert (RFC 9112, 9.6). It is over
    when the client closes, when it has sent too much, after ``_LINGERS`` seconds in asyncio, or when the loop's time
    for a handshake has run out. A client does not do this: its caller waits for the error.
    """

    _left = _THROWS_AWAY

    def is_unsent(self, known: Connection) -> bool:
        """Whether there is a last word, and a loop that would drop it."""
        if known.settings.role is not Role.SERVER or known.memory is None or not known.memory[1].pending:
            return False
        self._incoming = known.memory[0]
        asyncio, trio = sys.modules.get("asyncio"), sys.modules.get("trio")
        if asyncio is not None and (loop := asyncio._get_running_loop()) is not None:
            _cut_off_later(loop)
            return True
        return trio is not None and bool(trio.lowlevel.in_trio_run())

    def do_handshake(self, *_: Any) -> NoReturn:
        """Ask for more, or raise the refusal."""
        self._left -= len(self._incoming.read())
        if self._left <= 0 or self._incoming.eof:
            self._again()
        raise ssl.SSLWantReadError(ssl.SSL_ERROR_WANT_READ, "the refusal is sent before the connection is closed")


def _cut_off_later(loop: Any) -> None:
    """Have asyncio end its wait for a handshake after ``_LINGERS`` seconds, not after a minute.

    From Python 3.12 on a server that is closed waits for every connection, one that lingers, too. The protocol of
    asyncio is calling, and its own time-out does nothing once the connection is over; uvloop waits for nobody.
    """
    frame = sys._getframe(1)
    for _ in range(_FRAMES):
        if frame.f_back is None:
            return
        frame = frame.f_back
        stop = getattr(frame.f_locals.get("self"), "_check_handshake_timeout", None)
        if stop is not None:
            loop.call_later(_LINGERS, _call, weakref.WeakMethod(stop))
            return


def _call(method: weakref.WeakMethod[Any]) -> None:
    alive = method()
    if alive is not None:
        alive()


class Leftover(_StandIn):
    """A connection whose peer sent data and closed: the data comes first, and nothing can be written any more."""

    admitted = True

    def __init__(self, real: Any, owner: Any, data: bytes, failure: OSError) -> None:
        super().__init__(real, owner)
        self._data = data
        self._failure = copy.copy(failure)
        self._failure.__cause__ = copy.copy(failure.__cause__)

    def read(self, length: int, buffer: Any = None) -> Any:
        """What ``_SSLSocket.read`` does, from the kept data first."""
        if not self._data:
            return self._real.read(length) if buffer is None else self._real.read(length, buffer)
        if buffer is None:
            part = self._data[:length]
        else:
            view = memoryview(buffer).cast("B")
            part = self._data[: length if 0 < length <= len(view) else len(view)]
            view[: len(part)] = part
        self._data = self._data[len(part) :]
        return part if buffer is None else len(part)

    def write(self, _: Any) -> NoReturn:
        """The failure of the write that found the data: OpenSSL would call another write a mistake of its caller."""
        raise copy.copy(self._failure) from self._failure.__cause__

    def pending(self) -> int:
        """How many bytes can be read without the network."""
        return len(self._data) + int(self._real.pending())


@contextlib.contextmanager
def non_blocking(owner: Any) -> Iterator[None]:
    """Let nothing wait meanwhile. A memory object never does."""
    if not isinstance(owner, socket.socket):
        yield
        return
    timeout = owner.gettimeout()
    owner.settimeout(0.0)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            owner.settimeout(timeout)
