"""Our socket and object classes: where a refusal that comes after the handshake is heard.

The lost alert: in TLS 1.3 a refused client often sees its write fail with a bare EOF, EPIPE or reset while the alert
waits in the receive buffer. After a failed write exactly one non-blocking read is made, never a loop, never a wait. The
normal state calls the C object directly; what is special about a connection stands in for that object (``standins``).
"""

from __future__ import annotations

import contextlib
import errno
import ssl
import threading
from typing import TYPE_CHECKING, Any, NoReturn

from mtls._handshake.address import address_of
from mtls._handshake.connection import Traffic, attach, names_the_cause
from mtls._handshake.standins import NOT_YET, Leftover, Refused, non_blocking
from mtls._model import Phase
from mtls.errors import HandshakeError, SealedContextError

if TYPE_CHECKING:
    import socket

    from mtls._handshake.connection import Connection

_HANDLED = (*NOT_YET, HandshakeError)
_SIGNALS = (*_HANDLED, ssl.SSLZeroReturnError)
_RECORD = 16384
_ENDED = (ssl.SSLEOFError, ConnectionError)


class _Hooks:
    """What both classes share; mixed in before the class of ``ssl``."""

    _mtls: Connection
    _sslobj: Any
    _session: Any
    _heard = False
    """Whether application data has arrived."""
    _wrote = False
    """Whether application data may have gone out."""
    _reading = False
    """Whether another thread may be inside of OpenSSL's read, which corrupts the heap when it is entered twice."""
    _late_read: threading.RLock | None = None
    """Held while a failed write reads: a read of another thread that begins meanwhile waits for it."""

    @property
    def context(self) -> Any:
        """The sealed context that this connection was made by."""
        return self._mtls.context if "_mtls" in self.__dict__ else self.__dict__["_context"]

    @context.setter
    def context(self, context: Any) -> None:
        if context is not self.context:
            text = "the context of a connection cannot be exchanged: make a connection with the other context instead"
            raise SealedContextError(text)

    def _read_failed(self, cause: OSError, phase: Phase = Phase.FIRST_READ) -> NoReturn:
        real = self._sslobj
        if real is None:
            raise cause
        error = self._explain(real, cause, phase)
        try:
            if error is not None and names_the_cause(error):
                self._refused(real, error, cause)
            attach(cause, error)
            raise cause
        finally:
            del self, real, error, cause  # the same as in _refused

    def _write_failed(self, cause: OSError) -> NoReturn:
        real = self._sslobj
        if isinstance(real, Refused):  # a read of another thread has just heard it
            real.write(b"")
        if real is None or isinstance(real, Leftover) or isinstance(cause, ssl.SSLZeroReturnError):
            raise cause
        error = self._explain(real, cause, Phase.FIRST_WRITE)
        if error is None:  # a mistake of the caller, which leaves the connection as it is
            raise cause
        if names_the_cause(error):
            self._refused(real, error, cause)
        if not isinstance(cause, _ENDED):
            attach(cause, error)
            raise cause
        late_read = threading.RLock()  # not a plain lock: a signal handler of this thread may read, too
        with late_read:
            self._late_read = late_read
            try:
                attach(cause, error)
                if not self._reading:
                    self._hear_what_waits(real, error, cause)
                raise cause
            finally:
                self._late_read = None
                del self, real, error, cause  # the same as in _refused

    def _hear_what_waits(self, real: Any, error: HandshakeError, cause: OSError) -> None:
        """The one read after a failed write: a refusal, data that came before the end, or nothing."""
        try:
            with non_blocking(self):
                waiting = real.read(_RECORD)
        except NOT_YET:
            return
        except OSError as late:
            told = self._explain(real, late, Phase.FIRST_WRITE, drained=True)
            if told is not None and names_the_cause(told):
                self._refused(real, told, late)
            # what was in the way has been read, so whether a session ticket came is known now
            attach(cause, self._explain(real, cause, Phase.FIRST_WRITE, drained=True))
            return
        if not waiting:
            return
        failure = cause
        if isinstance(cause, ssl.SSLEOFError):
            # Python 3.11 says EOF where 3.13 says EPIPE, and HTTP libraries read the answer only after an EPIPE
            failure = BrokenPipeError(errno.EPIPE, "the peer closed the connection; what it sent before can be read")
            failure.__cause__ = cause
        attach(failure, error)
        self._heard = True
        self._sslobj = Leftover(real, self, waiting, failure)
        raise failure

    @property
    def session(self) -> Any:
        """As :attr:`ssl.SSLSocket.session`; give it to a later connection of the same context to resume this one."""
        sslobj = self._sslobj
        if sslobj is None:
            return None
        if getattr(sslobj, "admitted", True):
            self._mtls.remember(sslobj)
        return sslobj.session

    @session.setter
    def session(self, session: Any) -> None:
        self._session = session  # of a socket that is not connected yet
        if (sslobj := self._sslobj) is not None:
            sslobj.session = session

    def _refused(self, real: Any, error: HandshakeError, cause: OSError) -> NoReturn:
        self._mtls.report(error)
        self._sslobj = Refused(real, self, error, cause)
        try:
            raise error from cause
        finally:
            del self, real, error, cause  # the traceback holds this frame, and would keep the connection alive

    def _explain(self, real: Any, cause: OSError, phase: Phase, *, drained: bool = False) -> HandshakeError | None:
        if self._heard:
            phase = {Phase.FIRST_READ: Phase.READ, Phase.FIRST_WRITE: Phase.WRITE}.get(phase, phase)
        self._mtls.address = address_of(self) or self._mtls.address
        traffic = Traffic(heard=self._heard, wrote=self._wrote, drained=drained or phase is Phase.FIRST_READ)
        return self._mtls.error(cause, real, phase=phase, traffic=traffic)


class TLSObject(_Hooks, ssl.SSLObject):
    """The :class:`ssl.SSLObject` that asyncio, anyio and trio get from our context."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """As :meth:`ssl.SSLObject.read`; a refusal that arrives now is a :class:`HandshakeError`."""
        try:
            data = self._sslobj.read(len) if buffer is None else self._sslobj.read(len, buffer)
        except _SIGNALS:
            raise
        except OSError as cause:
            self._read_failed(cause)
        if data:
            self._heard = True
        return data

    def write(self, data: Any) -> int:
        """As :meth:`ssl.SSLObject.write`."""
        self._wrote = True
        try:
            return self._sslobj.write(data)  # type: ignore[no-any-return] # the C object is not typed
        except _HANDLED:
            raise
        except OSError as cause:
            self._write_failed(cause)

    def unwrap(self) -> None:
        """As :meth:`ssl.SSLObject.unwrap`."""
        self._wrote = True  # a close_notify is encrypted like data
        try:
            self._sslobj.shutdown()
        except _SIGNALS:
            raise
        except OSError as cause:
            self._read_failed(cause, Phase.SHUTDOWN)

    def hear(self, words: bytes, cause: OSError) -> NoReturn:
        """Read what the peer had sent before a write failed in the transport, and raise what it says, or ``cause``."""
        self._wrote = True
        if self._mtls.memory is not None:
            with contextlib.suppress(ssl.SSLError):  # the loop has told it that there is no more
                self._mtls.memory[0].write(words)
        self._write_failed(cause)


class TLSSocket(_Hooks, ssl.SSLSocket):
    """The :class:`ssl.SSLSocket` that blocking and non-blocking code gets from our context."""

    suppress_ragged_eofs: bool

    def read(self, len: int = 1024, buffer: Any = None) -> Any:
        """As :meth:`ssl.SSLSocket.read`; a refusal that arrives now is a :class:`HandshakeError`."""
        self._reading = True
        try:
            if (late_read := self._late_read) is not None:
                with late_read:
                    pass
            sslobj = self._sslobj
            if sslobj is None:
                return super().read(len, buffer)
            data = sslobj.read(len) if buffer is None else sslobj.read(len, buffer)
        except _SIGNALS:
            raise
        except ssl.SSLEOFError as cause:
            if not self.suppress_ragged_eofs:
                self._read_failed(cause)
            return b"" if buffer is None else 0
        except OSError as cause:
            self._read_failed(cause)
        finally:
            self._reading = False
        if data:
            self._heard = True
        return data

    def write(self, data: Any) -> int:
        """As :meth:`ssl.SSLSocket.write`; a refusal that explains a failed write is a :class:`HandshakeError`."""
        sslobj = self._sslobj
        if sslobj is None:
            return super().write(data)
        self._wrote = True
        try:
            return sslobj.write(data)  # type: ignore[no-any-return] # the C object is not typed
        except _HANDLED:
            raise
        except OSError as cause:
            self._write_failed(cause)

    def send(self, data: Any, flags: int = 0) -> int:
        """As :meth:`ssl.SSLSocket.send`, which does not go through ``write``; ``sendall`` and ``sendfile`` use it."""
        sslobj = self._sslobj
        if sslobj is None or flags:
            return super().send(data, flags)
        self._wrote = True
        try:
            return sslobj.write(data)  # type: ignore[no-any-return] # the C object is not typed
        except _HANDLED:
            raise
        except OSError as cause:
            self._write_failed(cause)

    def unwrap(self) -> socket.socket:
        """As :meth:`ssl.SSLSocket.unwrap`."""
        self._wrote = True  # a close_notify is encrypted like data
        try:
            return super().unwrap()
        except _SIGNALS:
            raise
        except OSError as cause:
            self._read_failed(cause, Phase.SHUTDOWN)
