"""What the library may say of a cell: derived from what is wrong and what the evidence tells, never from its answer.

Rule: the step of the fault where the evidence determines it; ``None`` where it does not, or the step of the fault as
``inferred`` where it was the one in progress. The failure itself, or a more general one that is true.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import mtls
from mtls import FailureReason as F
from tests.matrix import alerts, faults
from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.matrix.cells import Cell

PAGE, SERVED, QUIET = "page", "served", "quiet"
"""No TLS failure at all: a page that refuses, a page as asked for, or an end without a word."""


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Everything that may be said."""

    reason: str
    """Why this is what the evidence tells."""
    steps: frozenset[int | None] = frozenset()
    """The steps that are right; with more than one, the table leaves it open."""
    inferred: frozenset[int] = frozenset()
    """Steps that are right as well if the evidence is ``inferred``."""
    exact: frozenset[F] = frozenset()
    general: frozenset[F] = frozenset()
    sides: frozenset[str | None] = frozenset()
    alert: str | None = None
    any_alert: bool = False
    """The peer may say what it likes."""
    sure: Mapping[str, int] = field(default_factory=dict)
    """The alerts that determine the step, where the peer may say what it likes."""
    carried: bool = False
    """Whether what was said, or our own verdict, names the cause."""
    without: str = ""
    """``PAGE``, ``SERVED`` or ``QUIET``, where no error is to be raised."""


_BY_ALERT = {
    "unknown_ca": F.UNKNOWN_CA,
    "certificate_expired": F.EXPIRED,
    "certificate_revoked": F.REVOKED,
    "certificate_required": F.CERTIFICATE_REQUIRED,
    "protocol_version": F.PROTOCOL_VERSION,
    "no_application_protocol": F.ALPN,
    "unrecognized_name": F.UNRECOGNIZED_NAME,
    "insufficient_security": F.NO_SHARED_CIPHER,
}
"""The alerts that name one cause (RFC 8446, 6.2); the other ones are said for several."""
_OF_A_CERTIFICATE = {
    "bad_certificate",
    "unsupported_certificate",
    "certificate_revoked",
    "certificate_expired",
    "certificate_unknown",
    "unknown_ca",
    "access_denied",
}
_UNTRUSTED = {F.INCOMPLETE_CHAIN, F.SELF_SIGNED, F.BAD_SIGNATURE}
"""What is an unknown CA as well to whoever has no issuer."""


def expected(cell: Cell) -> Expected:
    """What may be said of a cell whose peer says what ``alerts`` has of it."""
    if cell.cut is not None:
        return cell.cut.expected
    answer = alerts.said(cell)
    if not answer:
        return _we_refuse(cell)
    if answer == alerts.NO_HELLO:
        return _no_hello()
    if answer == alerts.PAGE:
        return Expected(reason="the handshake is good, the refusal is a page (FACTS M20)", without=PAGE)
    if answer == alerts.ACCEPTS:
        return Expected(reason="the peer does not mind", without=SERVED)
    if answer == alerts.ENDS:
        return Expected(reason="the peer closes in good order after a good handshake", without=QUIET)
    if answer == alerts.CLOSES:
        return _closed(cell)
    return _told(cell, answer)


def _we_refuse(cell: Cell) -> Expected:
    """Our own OpenSSL says what it refuses."""
    fault = cell.fault
    steps: set[int | None] = {fault.step}
    if fault.name == base.PLAIN:
        steps = {2 if cell.role is mtls.Role.CLIENT else 1}
    elif fault.kind is faults.Kind.NEGOTIATION and cell.role is mtls.Role.SERVER:
        steps = {1, 2}  # the table has both
    return Expected(
        reason="our own verdict",
        steps=frozenset(steps),
        exact=fault.exact,
        general=frozenset(_more_general(cell, "")),
        sides=frozenset({mtls.Side.LOCAL}),
        carried=fault.name != "incomplete chain",  # one code of OpenSSL stands for this and for an unknown CA (V6)
    )


def _no_hello() -> Expected:
    return Expected(
        reason="what arrives is an alert in the place of a ClientHello",
        steps=frozenset({1}),
        exact=frozenset({F.MALFORMED, F.PEER_ERROR}),
        sides=frozenset({mtls.Side.LOCAL, mtls.Side.PEER}),
    )


def _told(cell: Cell, alert: str) -> Expected:
    """The peer sent an alert."""
    fault = cell.fault
    determined = _determined(cell, alert)
    named = _BY_ALERT.get(alert)
    return Expected(
        reason=f"{alert}: {determined or 'says nothing about the step'}",
        steps=frozenset({fault.step if determined else None}),
        inferred=frozenset() if determined else frozenset({fault.step}),
        exact=fault.exact,
        general=frozenset(_more_general(cell, alert)),
        sides=frozenset({mtls.Side.PEER}),
        alert=alert,
        carried=named in fault.exact,
    )


def _determined(cell: Cell, alert: str) -> str:
    """Why an alert determines the step; empty if it does not."""
    if cell.fault.kind is faults.Kind.NEGOTIATION:
        return "nothing but the ClientHello was sent so far"
    if alert == "certificate_required":
        return "its name says it"
    if cell.role is mtls.Role.SERVER:
        return "a client judges one certificate, ours" if alert in _OF_A_CERTIFICATE else ""
    if cell.fault.name == faults.NONE:
        if alert in _OF_A_CERTIFICATE | {"handshake_failure"}:
            return "after the server's certificate, from a server that we had none to show (M19)"
        return ""
    return "the server judges one certificate, ours" if alert in _OF_A_CERTIFICATE else ""


def _closed(cell: Cell) -> Expected:
    fault = cell.fault
    first = fault.kind is faults.Kind.NEGOTIATION
    return Expected(
        reason="a close right after the ClientHello" if first else "a close after the certificate, without a word",
        steps=frozenset({fault.step}) if first else frozenset({None}),
        inferred=frozenset({fault.step}),
        exact=fault.exact,
        general=frozenset({F.CLOSED, F.RESET, F.CERTIFICATE_REJECTED}),
        sides=frozenset({None, mtls.Side.PEER}),
        without="" if first else QUIET,
    )


def _more_general(cell: Cell, alert: str) -> set[F]:
    """What is true of the fault, and says less."""
    fault = cell.fault
    found = {F.PEER_ERROR} if alert else set()
    if fault.kind in {faults.Kind.CLIENT, faults.Kind.SERVER}:
        found.add(F.CERTIFICATE_REJECTED)
    if fault.exact & _UNTRUSTED:
        found.add(F.UNKNOWN_CA)
    if alert == "decode_error":
        found.add(F.MALFORMED)  # it is the peer's word for what it got
    if alert == "insufficient_security" or fault.name == base.GROUP:
        found.add(F.NO_SHARED_CIPHER)
    return found
