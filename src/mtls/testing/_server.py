"""A TLS server on the loopback interface, in threads of its own: a good one, or one with a fault.

Theory of operation: each connection is a socket, a TLS object in memory and, for a fault of the wire, a tap between the
two. It ends in an orderly way: what it had to say is sent, what the client still sends is thrown away, so that no reset
overtakes an alert. ``close`` waits for every thread, so nothing is left behind.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import threading
from typing import TYPE_CHECKING, Self, final

from mtls._model import Role
from mtls._profile import ServerProfile, TLSProfile
from mtls.errors import UsageError
from mtls.testing._authorities import the_authority
from mtls.testing._catalogue import Demand, the_fault
from mtls.testing._line import GoneError, Line
from mtls.testing._scene import Scene, served_name

if TYPE_CHECKING:
    from mtls._handshake.context import TLSContext
    from mtls._rehearsal.result import HandshakeSide
    from mtls.testing._authorities import Authority
    from mtls.testing._catalogue import Fault
    from mtls.testing._cut import Cut


@final
class LoopbackServer:
    """A running TLS server with this profile, on a free port of the loopback interface. ::

        with LoopbackServer(profile) as server:
            httpx.get(server.url, verify=client_profile.ssl_context())
            assert server.wait_for_handshake().peer.dns_names == ("billing.example",)

    It answers HTTP/1.1 (with who called, or with the body that was sent) and sends anything else back as it came. It
    listens once it exists; ``with`` or :meth:`close` ends it. With a ``fault`` (of ``FAULTS.of("server")``, or its id)
    it has that fault; a faulty certificate comes from ``authority``. ``timeout``, in seconds, is how long a connection
    may be idle. Raises :class:`~mtls.ConfigurationError` for a profile with errors, :class:`~mtls.UsageError` for a
    fault that a server cannot have. May be used from any thread.
    """

    profile: ServerProfile
    """The profile that it was made with."""
    fault: Fault | None
    """Its fault."""
    host: str
    """A name of its certificate that a client asks for; ``localhost`` if that is one."""

    def __init__(
        self,
        profile: ServerProfile,
        *,
        fault: Fault | str | None = None,
        authority: Authority | None = None,
        timeout: float = 5.0,
    ) -> None:
        if not isinstance(profile, ServerProfile):
            text = f"a LoopbackServer takes a ServerProfile, not {type(profile).__name__}"
            raise UsageError(text)
        wanted = None if fault is None else the_fault(fault)
        if wanted is None:
            self._start(profile, None, profile._observed_context(), None, timeout)
        else:
            scene = _faulty(profile, wanted, authority)
            self._start(profile, wanted, scene.context(Role.SERVER), scene.cut, timeout)

    @classmethod
    def _of(cls, scene: Scene, timeout: float) -> Self:
        """The server on this stage."""
        server = cls.__new__(cls)
        server._start(scene.server, scene.fault, scene.context(Role.SERVER), scene.cut, timeout)
        return server

    def _start(
        self, profile: ServerProfile, fault: Fault | None, context: TLSContext, cut: Cut | None, timeout: float
    ) -> None:
        self.profile, self.fault, self._context, self._cut = profile, fault, context, cut
        self.host = served_name(profile)
        self._timeout = timeout
        self._results: queue.SimpleQueue[HandshakeSide] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open: dict[threading.Thread, socket.socket] = {}
        self._closed = False
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, name="mtls-testing-server", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._port

    @property
    def address(self) -> str:
        """``localhost:port``."""
        return f"localhost:{self.port}"

    @property
    def url(self) -> str:
        """``https://localhost:port/``."""
        return f"https://{self.address}/"

    def wait_for_handshake(self, timeout: float = 5.0) -> HandshakeSide:
        """The server's side of the next handshake that has ended, in their order: its error, and who called.

        Waits for ``timeout`` seconds; raises :class:`AssertionError` if there is none.
        """
        try:
            return self._results.get(timeout=timeout)
        except queue.Empty:
            text = f"no further handshake with {self.address} has ended within {timeout:g} seconds"
            raise AssertionError(text) from None

    def close(self) -> None:
        """End every connection, and wait until it is over; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        with contextlib.suppress(OSError):  # accept() waits for somebody
            socket.create_connection(("127.0.0.1", self._port), 1.0).close()
        self._thread.join()
        with self._lock:
            threads = list(self._open)
            for connection in self._open.values():
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _accept(self) -> None:
        with self._listener:
            while True:
                connection, _ = self._listener.accept()
                if self._closed:
                    connection.close()
                    return
                connection.settimeout(self._timeout)
                thread = threading.Thread(target=self._serve, args=(connection,), name="mtls-testing-connection")
                thread.daemon = True
                with self._lock:
                    self._open[thread] = connection
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, contextlib.suppress(OSError, GoneError):
                Line(connection, self._context, self._cut).serve(self._results.put)
        finally:
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else self.address
        return f"<LoopbackServer {state}{'' if self.fault is None else f', {self.fault.id}'}>"


def is_playable(fault: Fault) -> bool:
    """Whether a server can have this fault by itself, whatever the rules of its clients."""
    return fault.culprit is Role.SERVER and fault.demand in {None, Demand.STRICT}


def _faulty(profile: ServerProfile, fault: Fault, authority: Authority | None) -> Scene:
    """The stage of a server with a fault, for any client."""
    if fault.culprit is not Role.SERVER:
        text = f"{fault.id!r} is a fault of a client, and a server cannot have it; FAULTS.of('server') are its own"
        raise UsageError(text)
    if not is_playable(fault):
        text = f"{fault.id!r} needs a rule of the client ({fault.demand}); try it with assert_refuses()"
        raise UsageError(text)
    from mtls.authority import CertificateAuthority

    issuer = CertificateAuthority("loopback CA") if authority is None else the_authority(authority)
    client = TLSProfile.client(truststore=issuer.truststore, policy=profile.policy)
    return Scene(fault, client, profile, issuer, served_name(profile), adds=False)
