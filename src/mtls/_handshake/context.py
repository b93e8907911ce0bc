"""``TLSContext``: a real ``ssl.SSLContext`` whose trust, identity and checks nobody can loosen.

Theory of operation. The object that libraries hold is an empty, sealed shell; its pair ``_wrap_socket``/``_wrap_bio``,
which every way of making a connection ends in (``accept`` and a late ``connect`` too), hands the work to an OpenSSL
context of the current generation. A reload builds and proves a new generation and swaps one reference. Setters pass
what is already so or stricter (urllib3 and httpcore assign on every connection) and raise for the rest. It is a guard,
not a wall: ``ssl.SSLContext.load_verify_locations(context, ...)``, called unbound, reaches the shell, which serves
nothing.
"""

from __future__ import annotations

import _ssl
import contextlib
import ssl
import threading
import weakref
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, Self

from mtls._handshake.connection import Connection
from mtls._handshake.following import ContextStatus, Follower, Reload
from mtls._handshake.hostnames import asked_name
from mtls._handshake.seal import Sealed
from mtls._handshake.standins import Unfinished
from mtls._model import Role
from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mtls._handshake.generation import Generation, Narrowing
    from mtls._handshake.tracing import Trace
    from mtls.errors import HandshakeError

# another library may have replaced ssl.SSLContext by a subclass of its own; the real class is in the MRO of either
_RealSSLContext: type[ssl.SSLContext] = next(kind for kind in ssl.SSLContext.__mro__ if kind.__module__ == "ssl")

_ALPN_LENGTH = 255
_ALPN: ContextVar[Mapping[weakref.ref[TLSContext], tuple[str, ...]]] = ContextVar(
    "mtls_alpn", default=MappingProxyType({})
)
"""What was asked for in this thread or task. HTTP libraries set the list before each connection, on a context that is
used by others as well, and anyio then makes the connection in another thread: a context variable follows it there, a
thread-local would not. (Identities never travel like this: a server's callbacks run in the context of anybody.)
"""
_HOSTNAME_PLACE = 2
"""Of ``server_hostname`` behind ``server_side`` in ``ssl.SSLContext.wrap_socket``."""


class Watch(NamedTuple):
    """Who is told what about the connections of a context."""

    trace: Callable[[Trace], object] | None = None
    on_handshake_error: Callable[[HandshakeError], object] | None = None


NOBODY = Watch()


class TLSContext(Sealed, _RealSSLContext):  # type: ignore[misc,valid-type] # the class is found at run time, see above
    """A sealed context, made by :meth:`TLSProfile.ssl_context`. Hand it to any library that takes an ``SSLContext``.

    It may be shared by threads. Whatever would widen trust, drop a check or swap the identity raises
    :class:`SealedContextError`; the same value, a stricter one, and ALPN pass. An ALPN list holds for the connections
    of the thread or task that set it; others keep the profile's. Give each consumer a context of its own.
    """

    _profile: Any
    _generation: Generation
    _rebuild: Callable[[], tuple[Any, Generation]]
    _follower: Follower | None
    _narrowing: Narrowing
    _watch: Watch
    _keeps_log: bool
    _lock: threading.RLock
    _reloading: bool
    _status: ContextStatus

    @classmethod
    def _make(  # noqa: PLR0913 - one keyword for each thing that ssl_context() was asked for
        cls,
        profile: Any,
        generation: Generation,
        rebuild: Callable[[], tuple[Any, Generation]],
        *,
        reload: Reload | None = None,
        paths: tuple[str, ...] = (),
        watch: Watch = NOBODY,
        keeps_log: bool = False,
    ) -> TLSContext:
        role = generation.settings.role
        protocol = ssl.PROTOCOL_TLS_CLIENT if role is Role.CLIENT else ssl.PROTOCOL_TLS_SERVER
        self = _ssl._SSLContext.__new__(cls, int(protocol))
        inside = self.__dict__
        inside.update(
            _profile=profile,
            _generation=generation,
            _rebuild=rebuild,
            _follower=None if reload is None else Follower(paths, reload),
            _narrowing=(),
            _watch=watch,
            _keeps_log=keeps_log,
            _lock=threading.RLock(),
            _reloading=False,
            _status=ContextStatus.first(),
        )
        inside["_inside"] = frozenset({*inside, "_inside"})
        return self

    def __new__(cls, *_: Any, **__: Any) -> Self:
        text = "a TLSContext comes from profile.ssl_context(), which checks it first"
        raise UsageError(text)

    # --- what it is ---

    @property
    def profile(self) -> Any:
        """The profile that is being served; after a reload the one that was read anew."""
        return self._profile

    @property
    def generation(self) -> int:
        """1 for the material the context was made from, one more for each successful reload."""
        return self._status.generation

    def status(self) -> ContextStatus:
        """Which generation serves since when, and how the last reload ended."""
        return self._status

    def reload(self) -> ContextStatus:
        """Read the files again, build and prove a new generation, and serve it to new connections.

        Existing connections keep theirs, and sessions do not cross. On any failure the old generation stays in service
        and the error is raised: ``KeystoreError``, ``TruststoreError``, ``ConfigurationError``, or ``UsageError`` where
        nothing was read from a file.
        """
        with self._lock:
            if self._reloading:  # a signal handler, or a password function that connects with this context
                return self._status
            self.__dict__["_reloading"] = True
            try:
                profile, successor = self._rebuild()
                from mtls._handshake import proof

                proof.prove(successor)
            except Exception as fault:
                self.__dict__["_status"] = self._status.failed(fault)
                raise
            finally:
                self.__dict__["_reloading"] = False
            self.__dict__.update(_profile=profile, _generation=successor, _status=self._status.succeeded())
            return self._status

    def __repr__(self) -> str:
        return f"<TLSContext generation {self.generation} of {self._profile!r}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        text = "a TLSContext holds a private key and cannot be pickled or copied: make one in each process"
        raise UsageError(text)

    # --- making connections ---

    def wrap_socket(self, sock: Any, server_side: bool = False, *args: Any, **options: Any) -> Any:
        """As :meth:`ssl.SSLContext.wrap_socket`. Raises :class:`UsageError`, and leaves ``sock`` open, for the wrong
        role, a missing name, and a name that ``hosts=`` does not list.
        """
        hostname = options.get("server_hostname") if len(args) <= _HOSTNAME_PLACE else args[_HOSTNAME_PLACE]
        self._admit(server_side=server_side, hostname=hostname)
        return super().wrap_socket(sock, server_side, *args, **options)

    def wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool = False,
        server_hostname: Any = None,
        session: Any = None,
    ) -> Any:
        """As :meth:`ssl.SSLContext.wrap_bio`. Raises :class:`UsageError` like :meth:`wrap_socket`."""
        self._admit(server_side=server_side, hostname=server_hostname)
        return super().wrap_bio(incoming, outgoing, server_side, server_hostname, session)

    def _wrap_socket(
        self,
        sock: Any,
        server_side: bool,
        server_hostname: Any = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> Any:
        self._admit(server_side=server_side, hostname=server_hostname)
        return self._begin("_wrap_socket", (sock, server_side, server_hostname), owner or sock, session)

    def _wrap_bio(
        self,
        incoming: Any,
        outgoing: Any,
        server_side: bool,
        server_hostname: Any = None,
        *,
        owner: Any = None,
        session: Any = None,
    ) -> Any:
        self._admit(server_side=server_side, hostname=server_hostname)
        begun = self._begin("_wrap_bio", (incoming, outgoing, server_side, server_hostname), owner, session)
        owner._mtls.memory = incoming, outgoing
        return begun

    def _begin(self, method: str, arguments: tuple[Any, ...], owner: Any, session: Any) -> Any:
        if owner is None:
            text = "a sealed context makes connections through wrap_socket() and wrap_bio() only"
            raise UsageError(text)
        self._follow()
        generation = self._generation
        serving = generation.serving(self._alpn(), self._narrowing)
        real = getattr(serving.context, method)(*arguments, owner=owner)
        connection = Connection(self, generation, serving, arguments[-1], keeps_log=self._keeps_log)
        if session is not None:
            with contextlib.suppress(ValueError):  # of another generation: the full handshake is the answer
                connection.resume(real, session)
        owner._mtls = connection
        return Unfinished(real, owner, connection)

    def _admit(self, *, server_side: bool, hostname: Any) -> None:
        role = self._generation.settings.role
        if bool(server_side) is not (role is Role.SERVER):
            made, asked = role.value, (Role.SERVER if server_side else Role.CLIENT).value
            text = (
                f"this context was made for the {made} side and is used on the {asked} side: use TLSProfile.{asked}()"
            )
            raise UsageError(text)
        if role is Role.SERVER:
            return
        if not hostname and (self.check_hostname or self._generation.settings.hosts):
            text = "a client names the server it wants: give server_hostname="
            raise UsageError(text)
        if hostname:
            self._admit_host(hostname)

    def _admit_host(self, hostname: str | bytes) -> None:
        asked_name(hostname, self._generation.settings.hosts)

    def _follow(self) -> None:
        if self._follower is not None and not self._reloading and self._follower.changed():
            self._follower.attempt(self.reload)

    # --- ALPN ---

    def set_alpn_protocols(self, alpn_protocols: Iterable[str]) -> None:
        """As :meth:`ssl.SSLContext.set_alpn_protocols`, for the connections of this thread or task."""
        names = tuple(alpn_protocols)
        if not all(isinstance(name, str) and name.isascii() and 0 < len(name) <= _ALPN_LENGTH for name in names):
            text = f"ALPN protocols must be ASCII names of 1 to {_ALPN_LENGTH} characters, not {names!r}"
            raise UsageError(text)
        alive = {context: asked for context, asked in _ALPN.get().items() if context() is not None}
        _ALPN.set({**alive, weakref.ref(self): names})

    def _set_alpn_protocols(self, protos: bytes) -> None:
        names, rest = [], bytes(protos)
        while rest:
            names.append(rest[1 : 1 + rest[0]].decode("ascii"))
            rest = rest[1 + rest[0] :]
        self.set_alpn_protocols(names)

    def _alpn(self) -> tuple[str, ...]:
        return _ALPN.get().get(weakref.ref(self), self._generation.settings.alpn)

    # --- the seal ---

    @property  # type: ignore[misc] # read-only on purpose
    def __class__(self) -> Any:
        """``isinstance(context, ssl.SSLContext)`` holds even after another library has replaced that name."""
        return TLSContext if ssl.SSLContext is _RealSSLContext else ssl.SSLContext

    def _serving(self) -> Any:
        return self._generation.serving(self._alpn(), self._narrowing).context

    def _keep(self, name: str, value: int) -> None:
        with self._lock:
            narrowing = tuple(sorted((dict(self._narrowing) | {name: value}).items()))
            try:
                self._generation.serving(self._alpn(), narrowing)
            except (ValueError, OverflowError, ssl.SSLError) as fault:
                text = f"OpenSSL does not take {name}={value}: {fault}"
                raise UsageError(text) from fault
            self.__dict__["_narrowing"] = narrowing

    def _cipher_string(self) -> str:
        return self._generation.settings.policy.cipher_string
