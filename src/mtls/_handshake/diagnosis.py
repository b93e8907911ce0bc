"""Which step a failure belongs to, who refused and why: the evidence of one connection, and the rule that reads it.

Theory of operation: an :class:`Observation` is what the connection still knows after it failed; the table in ``rules``
places it. An alert or an error of our own OpenSSL is *observed*; a close, a reset or a silence is at best *inferred*.
Where the evidence does not tell the step it stays ``None``: never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

from mtls._handshake.alerts import ALERT_NAMES, ALERTS, AlertKind, alert_of_reason
from mtls._handshake.reasons import REASONS, ReasonKind
from mtls._handshake.rules import RULES, Progress, Rule, Shown, Trigger
from mtls._handshake.verify_codes import VERIFY_CODES
from mtls._model import Evidence, FailureReason, HandshakeStep, Role, Side

_UNREGISTERED = (AlertKind.NOTHING, FailureReason.PEER_ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is known about a connection at the moment it failed.

    ``reason`` and ``verify_code`` are OpenSSL's; ``transport`` is set instead where no TLS error came: ``CLOSED``,
    ``RESET`` or ``TIMED_OUT``. ``unnamed`` marks an SSL error that Python has no reason name for; ``listened`` says
    that the messages were heard, and ``alert`` then is the number of the alert that arrived.
    """

    role: Role | None
    progress: Progress = Progress.NOTHING
    shown: Shown = Shown.NONE
    tls13: bool | None = None
    ticket: bool | None = None
    wrote: bool | None = None
    message: str | None = None
    reason: str | None = None
    verify_code: int = 0
    transport: FailureReason | None = None
    unnamed: bool = False
    listened: bool = False
    alert: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Where a failure belongs, and why there."""

    failure: FailureReason
    step: HandshakeStep | None
    side: Side | None
    evidence: Evidence
    because: str
    alert: str | None = None


def diagnose(seen: Observation) -> Diagnosis:
    """Place a failure."""
    if seen.transport is not None:
        rule = _first(seen.transport, seen, seen.transport)
        return _placed(rule, seen.transport, None, Evidence.INFERRED)
    alert = _alert(seen)
    if alert is not None or (seen.unnamed and seen.alert is not None):
        kind, failure = ALERTS.get(alert or "", _UNREGISTERED)
        rule = _first(kind, seen, failure, alert)
        return _placed(rule, failure, Side.PEER, rule.evidence, alert)
    reason = "CERTIFICATE_VERIFY_FAILED" if seen.verify_code else seen.reason or ""
    own, failure = REASONS.get(reason, (ReasonKind.FORM, FailureReason.MALFORMED))
    if not reason and not seen.listened:
        own, failure = ReasonKind.UNNAMED, FailureReason.PEER_ERROR
    if own is ReasonKind.VERIFICATION:
        failure = VERIFY_CODES.get(seen.verify_code, failure)
    rule = _first(own, seen, failure)
    return _placed(rule, failure, None if own is ReasonKind.UNNAMED else Side.LOCAL, rule.evidence)


def _alert(seen: Observation) -> str | None:
    """The alert that the peer sent, by its registered name; ``None`` too for one that nobody registered.

    Python has no name for some alerts, nor for the errors of other parts of OpenSSL: only who listened knows which.
    """
    named = alert_of_reason(seen.reason)
    if named is None and seen.unnamed and seen.alert is not None:
        return ALERT_NAMES.get(seen.alert)
    return named


def _first(trigger: Trigger, seen: Observation, failure: FailureReason, alert: str | None = None) -> Rule:
    return next(rule for rule in RULES[trigger] if _holds(rule, seen, failure, alert))


def _holds(rule: Rule, seen: Observation, failure: FailureReason, alert: str | None) -> bool:
    return (
        (rule.role is None or rule.role is seen.role)
        and (rule.progress is None or seen.progress in rule.progress)
        and (rule.shown is None or seen.shown in rule.shown)
        and (rule.tls13 is None or rule.tls13 is seen.tls13)
        and (rule.ticket is None or rule.ticket is seen.ticket)
        and (rule.wrote is None or rule.wrote is seen.wrote)
        and (rule.message is None or seen.message in rule.message)
        and (rule.alert is None or rule.alert == alert)
        and (rule.reason is None or rule.reason == seen.reason)
        and (rule.failures is None or failure in rule.failures)
    )


def _placed(
    rule: Rule, failure: FailureReason, side: Side | None, evidence: Evidence, alert: str | None = None
) -> Diagnosis:
    return Diagnosis(
        failure=rule.failure or failure,
        step=rule.step,
        side=side,
        evidence=evidence,
        because=rule.because,
        alert=alert,
    )
