"""The handshake of one connection as somebody reads it: messages, alerts, what was shown and asked for.

Rule: values only, bounded and escaped, safe to print and to log. They hold no key and no application data. They are
made from what was heard when they are read: a trace that nobody looks at costs next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mtls import _certificate
from mtls._handshake.authority_names import shown_names
from mtls._handshake.listening import HandshakeLog
from mtls._handshake.trace import Direction
from mtls._model import Role
from mtls.errors import HandshakeError

if TYPE_CHECKING:
    from cryptography import x509

    from mtls._handshake.connection import Connection
    from mtls._handshake.trace import TraceEvent


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Trace:
    """The handshake of one connection, as this side saw it. ``print`` it to see the messages as arrows.

    ``events`` are the messages and alerts in order, up to the end of the handshake; what a client of TLS 1.3 hears
    later is in ``error``. ``error`` is what this side failed with, ``None`` where its handshake ended well.
    ``peer_chain`` is what the peer sent, leaf first, not verified. ``accepted_issuers`` are the names of the CAs that a
    server asked for (RFC 4514), ``None`` where it asked for no certificate, empty where it named none: any CA.
    ``certificate_sent`` says whether this side showed a certificate. They are read from what was heard when somebody
    asks.
    """

    role: Role
    error: OSError | None
    tls_version: str | None
    server_hostname: str | None
    peer_address: str | None
    _log: HandshakeLog

    @property
    def events(self) -> tuple[TraceEvent, ...]:
        """The messages and alerts, in order."""
        return self._log.events

    @property
    def peer_chain(self) -> tuple[x509.Certificate, ...]:
        """What the peer sent and ``cryptography`` can read, leaf first; not verified."""
        return tuple(filter(None, map(_certificate.parse, self._log.peer_chain)))

    @property
    def accepted_issuers(self) -> tuple[str, ...] | None:
        """The names of the CAs that the server asked for."""
        authorities = self._log.authorities
        return None if authorities is None else shown_names(authorities)

    @property
    def certificate_sent(self) -> bool:
        """Whether this side showed a certificate."""
        return self.role is Role.SERVER or bool(self._log.own_chain)

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form, version 1: no secrets, certificates by label, serial number, end date and fingerprint."""
        from mtls._record import certificate_facts

        error, issuers = self.error, self.accepted_issuers
        return {
            "version": 1,
            "role": self.role.value,
            "tls_version": self.tls_version,
            "server_hostname": self.server_hostname,
            "peer_address": self.peer_address,
            "events": [event.to_dict() for event in self.events],
            "peer_chain": [certificate_facts(_certificate.der(each)) for each in self.peer_chain[:_LISTED]],
            "accepted_issuers": None if issuers is None else list(issuers[:_LISTED]),
            "certificate_sent": self.certificate_sent,
            "error": error.to_dict() if isinstance(error, HandshakeError) else None if error is None else repr(error),
        }

    def __str__(self) -> str:
        other = self.role.other.value if self.server_hostname is None else self.server_hostname
        names = (self.role.value, _certificate.printable(other, 40))
        left, right = names if self.role is Role.CLIENT else (other, self.role.value)
        lines = [f"{'':>10}  {left:<{_COLUMN}}{'':{_ARROW + 4}}{right}"]
        lines += [self._line(event) for event in self.events]
        if self.error is not None:
            lines.append(f"  {self.error}")
        return "\n".join(lines)

    def _line(self, event: TraceEvent) -> str:
        from_client = (event.direction is Direction.SENT) is (self.role is Role.CLIENT)
        name = f"alert {event.name}" if event.is_alert else event.name
        size = f"{event.size:,} bytes"
        left, right = (name, size) if from_client else (size, name)
        line = "─" * _ARROW
        arrow = f"{line}▶" if from_client else f"◀{line}"
        mark = "  ✗" if event.is_alert and event.name not in _HARMLESS else ""
        return f"{event.at * 1000:7.1f} ms  {left:<{_COLUMN}}{arrow}   {right}{mark}"

    def __repr__(self) -> str:
        ended = "ok" if self.error is None else "failed"
        return f"<Trace of the {self.role.value}: {len(self.events)} messages, {ended}>"


_ARROW, _COLUMN, _LISTED = 16, 30, 20
_HARMLESS = frozenset({"close_notify", "user_canceled"})


def trace_of(connection: Connection, real: Any, error: OSError | None) -> Trace:
    """The trace of one connection; empty where this Python cannot listen."""
    return Trace(
        role=connection.settings.role,
        error=error,
        tls_version=connection.version(real),
        server_hostname=connection.server_hostname,
        peer_address=connection.address,
        _log=connection.log or HandshakeLog(),
    )
