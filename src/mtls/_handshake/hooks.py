"""Our socket and object classes: where a handshake ends well or badly, and where a late refusal is heard.

Theory of operation. ``ssl.SSLSocket`` and ``ssl.SSLObject`` do everything through ``_sslobj``, the C object. While a
connection is in a special state a small stand-in takes its place, so the normal state costs nothing:

* ``Unfinished`` until the handshake has ended: it runs the handshake, translates its failure, applies the rules of the
  profile, and then steps aside. Reading or writing too early cannot get around it.
* ``Refused`` after a refusal: every later call raises it again. httpx swallows a write error and reads.
* ``Leftover`` after a failed write with data waiting: the data comes first.

The lost alert: in TLS 1.3 a refused client often sees its write fail with a bare EOF, EPIPE or reset while the alert
waits in the receive buffer. After a failed write exactly one non-blocking read is made, never a loop, never a wait.
"""

from __future__ import annotations

import contextlib
import copy
import errno
import socket
import ssl
import weakref
from typing import TYPE_CHECKING, Any, NoReturn

from mtls._handshake.connection import Connection, attach, names_the_cause
from mtls._model import Phase
from mtls.errors import HandshakeError, SealedContextError

if TYPE_CHECKING:
    from collections.abc import Iterator

_NOT_YET = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_SIGNALS = (*_NOT_YET, ssl.SSLZeroReturnError, HandshakeError)
_RECORD = 16384


class _StandIn:
    """Passes on to the C object whatever it does not do itself."""

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
        if owner is not None and owner._sslobj is self:
            owner._sslobj = successor


class Unfinished(_StandIn):
    """A connection whose handshake has not ended well."""

    unfinished = True

    def __init__(self, real: Any, owner: Any, connection: Connection) -> None:
        super().__init__(real, owner)
        self._connection = connection

    def do_handshake(self) -> None:
        """Run the handshake on; raise what it failed with as a :class:`HandshakeError`."""
        try:
            self._real.do_handshake()
        except _NOT_YET:
            raise
        except OSError as cause:
            owner = self._owner()
            if isinstance(owner, socket.socket):
                self._connection.address = peer_address(owner)
            error = self._connection.error(cause, self._real, phase=Phase.HANDSHAKE)
            if error is None:
                raise
            self._replace(Refused(self._real, owner, error))
            raise error from cause
        try:
            self._connection.established(self._real)
        except HandshakeError as error:
            self._say_goodbye()
            self._replace(Refused(self._real, self._owner(), error))
            raise
        self._replace(self._real)

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

    def __init__(self, real: Any, owner: Any, error: HandshakeError) -> None:
        super().__init__(real, owner)
        self._error = error

    def _again(self, *_: Any) -> NoReturn:
        again = copy.copy(self._error)
        raise again from self._error.__cause__

    do_handshake = read = write = shutdown = _again

    def pending(self) -> int:
        """Nothing can be read."""
        return 0


class Leftover(_StandIn):
    """Data that the peer sent before it closed, kept for the next reads."""

    def __init__(self, real: Any, owner: Any, data: bytes) -> None:
        super().__init__(real, owner)
        self._data = data

    def read(self, length: int, buffer: Any = None) -> Any:
        """What ``_SSLSocket.read`` does, from the kept data first."""
        part = self._data[:length]
        self._data = self._data[length:]
        if not self._data:
            self._replace(self._real)
        if buffer is None:
            return part
        memoryview(buffer).cast("B")[: len(part)] = part
        return len(part)

    def pending(self) -> int:
        """How many bytes can be read without the network."""
        return len(self._data) + int(self._real.pending())


class _Hooks:
    """What both classes share; mixed in before the class of ``ssl``."""

    _mtls: Connection
    _sslobj: Any
    _heard = False
    """Whether application data has arrived."""

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
        error = self._explain(cause, phase)
        if error is not None and names_the_cause(error):
            self._sslobj = Refused(self._sslobj, self, error)
            raise error from cause
        attach(cause, error)
        raise cause

    def _write_failed(self, cause: OSError) -> NoReturn:
        real = self._sslobj
        error = self._explain(cause, Phase.FIRST_WRITE)
        if names_the_cause(error):
            self._read_failed(cause, Phase.FIRST_WRITE)
        try:
            with non_blocking(self):
                waiting = real.read(_RECORD)
        except _NOT_YET:
            waiting = b""
        except OSError as late:
            told = self._explain(late, Phase.FIRST_WRITE)
            if told is not None and names_the_cause(told):
                self._sslobj = Refused(real, self, told)
                raise told from late
            waiting = b""
        attach(cause, error)
        if not waiting:
            raise cause
        self._heard = True
        self._sslobj = Leftover(real, self, waiting)
        if isinstance(cause, ssl.SSLEOFError):
            # Python 3.11 says EOF where 3.13 says EPIPE, and HTTP libraries read the answer only after an EPIPE
            broken = BrokenPipeError(errno.EPIPE, "the peer closed the connection; what it sent before can be read")
            attach(broken, error)
            raise broken from cause
        raise cause

    def _explain(self, cause: OSError, phase: Phase) -> HandshakeError | None:
        if self._heard:
            phase = {Phase.FIRST_READ: Phase.READ, Phase.FIRST_WRITE: Phase.WRITE}.get(phase, phase)
        if isinstance(self, socket.socket):
            self._mtls.address = peer_address(self)
        return self._mtls.error(cause, self._sslobj, phase=phase, data_received=self._heard)


class TLSObject(_Hooks, ssl.SSLObject):
    """The :class:`ssl.SSLObject` that asyncio, anyio and trio get from our context."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the name of the parameter in ssl
        """As :meth:`ssl.SSLObject.read`; a refusal that arrives now is a :class:`HandshakeError`."""
        try:
            data = self._sslobj.read(len) if buffer is None else self._sslobj.read(len, buffer)
        except _SIGNALS:
            raise
        except OSError as cause:
            self._read_failed(cause)
        self._heard = True
        return data

    def write(self, data: Any) -> int:
        """As :meth:`ssl.SSLObject.write`."""
        try:
            return self._sslobj.write(data)  # type: ignore[no-any-return] # the C object is not typed
        except _SIGNALS:
            raise
        except OSError as cause:
            self._write_failed(cause)

    def unwrap(self) -> None:
        """As :meth:`ssl.SSLObject.unwrap`."""
        try:
            self._sslobj.shutdown()
        except _SIGNALS:
            raise
        except OSError as cause:
            self._read_failed(cause, Phase.SHUTDOWN)


class TLSSocket(_Hooks, ssl.SSLSocket):
    """The :class:`ssl.SSLSocket` that blocking and non-blocking code gets from our context."""

    def read(self, len: int = 1024, buffer: Any = None) -> Any:  # noqa: A002 - the name of the parameter in ssl
        """As :meth:`ssl.SSLSocket.read`; a refusal that arrives now is a :class:`HandshakeError`."""
        sslobj = self._sslobj
        if sslobj is None:
            return super().read(len, buffer)
        try:
            data = sslobj.read(len) if buffer is None else sslobj.read(len, buffer)
        except _SIGNALS:
            raise
        except ssl.SSLEOFError as cause:
            if not self.suppress_ragged_eofs:
                self._read_failed(cause)
            return b"" if buffer is None else 0
        except OSError as cause:
            self._read_failed(cause)
        self._heard = True
        return data

    def write(self, data: Any) -> int:
        """As :meth:`ssl.SSLSocket.write`; a refusal that explains a failed write is a :class:`HandshakeError`."""
        sslobj = self._sslobj
        if sslobj is None:
            return super().write(data)
        try:
            return sslobj.write(data)  # type: ignore[no-any-return] # the C object is not typed
        except _SIGNALS:
            raise
        except OSError as cause:
            self._write_failed(cause)

    def send(self, data: Any, flags: int = 0) -> int:
        """As :meth:`ssl.SSLSocket.send`, which does not go through ``write``; ``sendall`` and ``sendfile`` use it."""
        sslobj = self._sslobj
        if sslobj is None or flags:
            return super().send(data, flags)
        try:
            return sslobj.write(data)  # type: ignore[no-any-return] # the C object is not typed
        except _SIGNALS:
            raise
        except OSError as cause:
            self._write_failed(cause)

    def unwrap(self) -> socket.socket:
        """As :meth:`ssl.SSLSocket.unwrap`."""
        try:
            return super().unwrap()
        except _SIGNALS:
            raise
        except OSError as cause:
            self._read_failed(cause, Phase.SHUTDOWN)


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


def peer_address(sock: socket.socket) -> str | None:
    """``host:port`` of the other end, ``None`` where the system has forgotten it."""
    try:
        address = sock.getpeername()
    except OSError:
        return None
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return str(address) or None
