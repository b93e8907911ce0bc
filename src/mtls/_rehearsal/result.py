"""``Handshake``: one handshake and how it went, as a value and as a picture.

Rule: the steps that are done are a set, and each side's part holds what that side can know and no more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mtls import _certificate
from mtls._model import Evidence, Verdict
from mtls._rehearsal.picture import draw
from mtls.errors import HandshakeError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography import x509

    from mtls._handshake.peer import PeerIdentity
    from mtls._handshake.trace import TraceEvent
    from mtls._model import Finding, HandshakeStep
    from mtls._profile import ClientProfile, ServerProfile

_VERSION = 1
_LISTED = 10
_NAMES_LISTED = 20
_NAME_LENGTH = 253
"""Of a host name (RFC 1035, 2.3.4)."""
_MESSAGE_LENGTH = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class HandshakeSide:
    """What one side saw: its error, the peer it verified, its verdict, and its messages and alerts in order.

    ``error`` is ``None`` where this side saw nothing wrong; :func:`explain` reads one that is no ``HandshakeError``.
    ``peer`` is ``None`` without a verified certificate; ``peer_chain`` is what arrived, leaf first, verified or not.
    Into the server that was probed nobody can look: of that side only ``peer_chain`` (what we sent) and ``verdict`` are
    known; what it told us is the client's ``error``.
    """

    error: OSError | None
    peer: PeerIdentity | None
    peer_chain: tuple[x509.Certificate, ...]
    trace: tuple[TraceEvent, ...]
    verdict: Verdict = Verdict.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Handshake:
    """One handshake and how it went, from :func:`rehearse` or :func:`probe`. ``print`` it to see the picture.

    ``ok`` says whether both sides were satisfied and exchanged data (a probe does that in HTTP only); ``failed_step``
    is ``None`` then, and where nothing tells. ``completed`` is the set of steps that were done, ``skipped`` those that
    one-way TLS does not have.

    ``accepted_issuers`` are the names of the CAs from which the server asked for a certificate (RFC 4514, the first
    50), empty where it named none (any CA), ``None`` where it asked for no certificate. ``issuer_fits`` says whether
    our certificate comes from one of them, ``None`` where that is no question. ``began`` is when it began (UTC), and
    ``duration`` how long it took, in seconds.

    Of a probe ``server_profile`` is ``None``, ``address`` is the IP address and port that was connected to, and
    ``http_status`` that of the answer, ``None`` where none came.
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
    server_profile: ServerProfile | None
    address: str | None = None
    accepted_issuers: tuple[str, ...] | None = None
    issuer_fits: bool | None = None
    http_status: int | None = None
    began: datetime | None = None
    duration: float | None = None
    _look: Callable[[], tuple[Finding, ...]] = field(default=tuple, compare=False)

    @property
    def ok(self) -> bool:
        """Whether nothing failed on either side."""
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

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What the checks say of the server's chain (steps 3 and 4) and of the client's certificate (5 and 6), errors
        first; of a handshake that went well these are warnings. They are made when somebody reads them.
        """
        return self._look()

    def raise_for_failure(self) -> None:
        """Raise the error of the side that knows best, with the picture as a note; nothing if ``ok``."""
        error = self.error
        if error is not None:
            picture = str(self)
            if picture not in getattr(error, "__notes__", ()):
                error.add_note(picture)
            raise error

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form, version 1: no secrets, bounded, what a peer chose escaped; certificates by label, serial
        number, dates and fingerprint.
        """
        hostname = self.server_hostname
        issuers = self.accepted_issuers
        return {
            "version": _VERSION,
            "ok": self.ok,
            "failed_step": None if self.failed_step is None else int(self.failed_step),
            "completed": sorted(map(int, self.completed)),
            "skipped": sorted(map(int, self.skipped)),
            "address": self.address,
            "server_hostname": None if hostname is None else _certificate.printable(hostname, _NAME_LENGTH),
            "began": None if self.began is None else self.began.isoformat(),
            "duration": None if self.duration is None else round(self.duration, 6),
            "tls_version": self.tls_version,
            "cipher": self.cipher,
            "alpn": self.alpn,
            "http_status": self.http_status,
            "certificate_asked": issuers is not None,
            "accepted_issuers": None if issuers is None else list(issuers[:_NAMES_LISTED]),
            "issuer_fits": self.issuer_fits,
            "findings": [finding.to_dict() for finding in self.findings[:_LISTED]],
            "client": _side_record(self.client),
            "server": _side_record(self.server),
        }

    def __str__(self) -> str:
        return draw(self)

    def __repr__(self) -> str:
        if self.ok:
            return f"<Handshake ok: {self.tls_version}, {len(self.completed)} steps>"
        step = "an unknown step" if self.failed_step is None else f"step {self.failed_step.value}"
        return f"<Handshake failed at {step}: {self.error!r}>"


def _side_record(side: HandshakeSide) -> dict[str, Any]:
    from mtls._record import certificate_facts

    error = side.error
    return {
        "verdict": side.verdict.value,
        "error": error.to_dict() if isinstance(error, HandshakeError) else _plain(error),
        "peer": None if side.peer is None else certificate_facts(_certificate.der(side.peer.certificate)),
        "peer_chain": [certificate_facts(_certificate.der(each)) for each in side.peer_chain[:_LISTED]],
        "peer_chain_length": len(side.peer_chain),
        "trace": [event.to_dict() for event in side.trace],
    }


def _plain(error: OSError | None) -> dict[str, Any] | None:
    """An exception that is no ``HandshakeError``, in the same form as one as far as it goes."""
    if error is None:
        return None
    return {"error": type(error).__name__, "message": _certificate.printable(str(error), _MESSAGE_LENGTH)}
