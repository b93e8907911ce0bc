"""Is this certificate valid at that time, and for how much longer?"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from mtls._certificate import distance, label, when
from mtls._model import FailureReason, Finding, HandshakeStep, Severity

if TYPE_CHECKING:
    from datetime import datetime

    from cryptography import x509

_SOON = timedelta(days=14)
_SOON_SHARE = 3
"""A certificate ends soon in its last 14 days, or in the last third of its life if that is shorter."""


def check_dates(
    certificate: x509.Certificate,
    now: datetime,
    *,
    step: HandshakeStep,
    owner: str,
    position: int | None = None,
    severity: Severity = Severity.ERROR,
) -> list[Finding]:
    """EXPIRED, NOT_YET_VALID (of the given severity) or EXPIRES_SOON (a warning); RFC 5280, 4.1.2.5.

    ``owner`` says whose it is ("leaf", "intermediate", "trust anchor"). ``now`` is aware. As for OpenSSL 3 the
    last second does not count any more, although RFC 5280 includes it.
    """
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = end - now
    if start <= now < end and (left >= _SOON or left >= (end - start) / _SOON_SHARE):
        return []
    name = f"{owner} {label(certificate)}"
    if now >= end:
        failure, text = FailureReason.EXPIRED, f"{name} ended on {when(end)}, {distance(now - end)} ago"
        remedy = "renew it"
    elif now < start:
        failure = FailureReason.NOT_YET_VALID
        text = f"{name} begins on {when(start)}, in {distance(start - now)}"
        remedy = "wait until then, have it issued with an earlier date, or set the clock of this machine right"
    else:
        failure, text = FailureReason.EXPIRES_SOON, f"{name} ends on {when(end)}, in {distance(left)}"
        remedy, severity = "renew it before then", Severity.WARNING
    finding = Finding(
        failure=failure,
        severity=severity,
        step=step,
        message=text,
        remedy=remedy,
        certificate=certificate,
        position=position,
        required=f"valid at {when(now)}",
        presented=f"{when(start)} to {when(end)}",
    )
    return [finding]
