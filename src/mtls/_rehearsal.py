"""A whole handshake between two profiles, in memory, with both verdicts and the picture.

Rule: the steps that are done are a set, read from the messages that went over the wire and from where each side
failed; they are never derived from a step's number (TLS 1.3 does the key exchange before the certificates).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtls._certificate import parse
from mtls._handshake.connection import ATTACHED, attach
from mtls._handshake.listening import HandshakeLog
from mtls._handshake.loopback import Side, connected, join
from mtls._handshake.peer import PeerIdentity, identity_of
from mtls._handshake.trace import Direction, TraceEvent
from mtls._model import Evidence, HandshakeStep, Phase
from mtls._picture import draw
from mtls._profile import ClientProfile, ServerProfile
from mtls.errors import HandshakeError, UsageError

if TYPE_CHECKING:
    from cryptography import x509

    from mtls._handshake.connection import Connection
    from mtls._handshake.context import TLSContext

_S = HandshakeStep
_TWO_WAY_ONLY = frozenset({_S.CLIENT_CERTIFICATE, _S.SERVER_VERIFIES_CLIENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeSide:
    """What one side saw: its error, the peer it verified, and its messages and alerts in order.

    ``error`` is ``None`` where this side saw nothing wrong; :func:`explain` reads one that is no ``HandshakeError``.
    ``peer`` is ``None`` without a verified certificate; ``peer_chain`` is what arrived, leaf first, verified or not.
    """

    error: OSError | None
    peer: PeerIdentity | None
    peer_chain: tuple[x509.Certificate, ...]
    trace: tuple[TraceEvent, ...]


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Handshake:
    """One handshake and how it went. ``print`` it to see the picture.

    ``ok`` says whether both sides were satisfied and exchanged data; ``failed_step`` is ``None`` then, and where
    nothing tells. ``completed`` is the set of steps that were done, ``skipped`` those that one-way TLS does not have.
    """

    client: HandshakeSide
    server: HandshakeSide
    completed: frozenset[HandshakeStep]
    skipped: frozenset[HandshakeStep]
    tls_version: str | None
    cipher: str | None
    alpn: str | None
    server_hostname: str | None
    client_profile: ClientProfile
    server_profile: ServerProfile

    @property
    def ok(self) -> bool:
        """Whether every step was done."""
        return self.client.error is None and self.server.error is None

    @property
    def error(self) -> OSError | None:
        """The error of the side that knows best: the one that refused, else the one that was told."""
        known = [error for error in (self.server.error, self.client.error) if isinstance(error, HandshakeError)]
        known.sort(key=lambda error: (error.side != "local", error.evidence is not Evidence.OBSERVED))
        return next(iter(known), self.client.error or self.server.error)

    @property
    def failed_step(self) -> HandshakeStep | None:
        """The step that failed."""
        return self.error.step if isinstance(self.error, HandshakeError) else None

    def raise_for_failure(self) -> None:
        """Raise the error of the side that knows best, with the picture as a note; nothing if ``ok``."""
        error = self.error
        if error is not None:
            picture = str(self)
            if picture not in getattr(error, "__notes__", ()):
                error.add_note(picture)
            raise error

    def __str__(self) -> str:
        return draw(self)

    def __repr__(self) -> str:
        if self.ok:
            return f"<Handshake ok: {self.tls_version}, {len(self.completed)} steps>"
        step = "an unknown step" if self.failed_step is None else f"step {self.failed_step.value}"
        return f"<Handshake failed at {step}: {self.error!r}>"


def rehearse(client: ClientProfile, server: ServerProfile, *, hostname: str | None = "localhost") -> Handshake:
    """Run a real handshake between two profiles in memory: no port, no file, a few milliseconds.

    Each side then sends a few bytes, so that a refusal that TLS 1.3 delivers late is heard. ``hostname`` is the name
    the client asks for. Both sides run with this interpreter's OpenSSL, so it shows what the two profiles do to each
    other, not what another TLS library would. Raises :class:`ConfigurationError` if a profile has errors of its own,
    and :class:`UsageError` for a profile of the wrong role; a refused handshake is a result, not an exception.
    """
    near, far = join(*_contexts(client, server), server_hostname=hostname)
    return _observe(client, server, near, far, hostname)


def handshake_over_socket(client: ClientProfile, server: ServerProfile, *, hostname: str) -> Handshake:
    """The same over a real socket on the loopback interface; raises like :func:`rehearse`."""
    with connected(*_contexts(client, server), server_hostname=hostname) as (near, far):
        return _observe(client, server, near, far, hostname)


def _contexts(client: ClientProfile, server: ServerProfile) -> tuple[TLSContext, TLSContext]:
    for profile, kind in ((client, ClientProfile), (server, ServerProfile)):
        if not isinstance(profile, kind):
            text = f"a rehearsal takes a ClientProfile and a ServerProfile, in this order; got {type(profile).__name__}"
            raise UsageError(text)
    return client._observed_context(), server._observed_context()


def _observe(client: ClientProfile, server: ServerProfile, near: Side, far: Side, hostname: str | None) -> Handshake:
    real = near.tls._sslobj
    cipher = real.cipher() or far.tls._sslobj.cipher()
    certificate_asked = _saw(near, "CertificateRequest", Direction.RECEIVED)
    skipped = frozenset() if _client_certificate_matters(server, far, asked=certificate_asked) else _TWO_WAY_ONLY
    return Handshake(
        client=_side(near),
        server=_side(far),
        completed=frozenset(_completed(near, far)) - skipped,
        skipped=skipped,
        tls_version=None if cipher is None else cipher[1].replace("TLSv", "TLS "),
        cipher=None if cipher is None else cipher[0],
        alpn=real.selected_alpn_protocol(),
        server_hostname=hostname,
        client_profile=client,
        server_profile=server,
    )


def _completed(near: Side, far: Side) -> set[HandshakeStep]:
    done = set()
    server_chain = bool(_log(near).peer_chain)
    client_chain = bool(_log(far).peer_chain)
    if _saw(far, "ClientHello", Direction.RECEIVED):
        done.add(_S.CLIENT_HELLO)
    if _saw(near, "ServerHello", Direction.RECEIVED):
        done.add(_S.SERVER_HELLO)
    if server_chain:
        done.add(_S.SERVER_CERTIFICATE)
    if server_chain and (_saw(near, "Finished", Direction.SENT) or _saw(near, "ClientKeyExchange", Direction.SENT)):
        done.add(_S.CLIENT_VERIFIES_SERVER)
    if client_chain:
        done.add(_S.CLIENT_CERTIFICATE)
    if client_chain and far.finished:
        done.add(_S.SERVER_VERIFIES_CLIENT)
    if near.finished:
        done.add(_S.KEY_EXCHANGE)
    if near.heard and far.heard:
        done.add(_S.APPLICATION_DATA)
    failed = {side.error.step for side in (near, far) if isinstance(side.error, HandshakeError)}
    return done - failed


def _client_certificate_matters(server: ServerProfile, far: Side, *, asked: bool) -> bool:
    """Steps 5 and 6 are skipped where the server did not ask, or only offered and the client had nothing to show."""
    if server.truststore is None:
        return False
    required = server.client_auth is None or server.client_auth.value == "required"
    return required or bool(_log(far).peer_chain) or not asked


def _side(side: Side) -> HandshakeSide:
    error = side.error
    attached = getattr(error, ATTACHED, None)
    if isinstance(error, OSError) and not isinstance(error, HandshakeError) and attached is None:
        connection: Connection = side.tls._mtls
        attach(error, connection.error(error, side.tls._sslobj, phase=Phase.FIRST_READ))
    verified = side.finished and side.tls.context.profile.truststore is not None
    peer = identity_of(side.tls._sslobj, side.tls._mtls.paths) if verified and error is None else None
    log = _log(side)
    arrived = tuple(filter(None, map(parse, log.peer_chain)))
    return HandshakeSide(error=error, peer=peer, peer_chain=arrived, trace=log.events)


def _saw(side: Side, name: str, direction: Direction) -> bool:
    return _log(side).saw(name, direction)


def _log(side: Side) -> HandshakeLog:
    return side.tls._mtls.log or HandshakeLog()
