"""Do the CRLs cover what a profile will judge? Freshness, and which anchors have one.

Rule: OpenSSL takes a CRL only from a certificate of the path that it built. So it must be signed by an anchor or by an
intermediate that the peer sends, and of an intermediate that is itself the anchor nothing in the path can say whether
it was revoked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from mtls._certificate import extension, label, name, when
from mtls._model import AnchorKind, FailureReason, Finding, HandshakeStep, Revocation, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mtls._credentials.truststore import Truststore

_LISTED = 10
"""More findings of one kind than this tell nobody anything."""
_OFF = "ask for revocation=Revocation.OFF by name"


def check_crls(
    truststore: Truststore, revocation: Revocation, *, step: HandshakeStep, now: datetime
) -> Iterator[Finding]:
    """CRL_EXPIRED, CRL_MISSING and WRONG_KEY_USAGE (a CA that may not sign CRLs): errors where no peer could pass."""
    if revocation is Revocation.OFF:
        return
    fresh = [crl for crl in truststore.crls if _out_of_date(crl, now) is None]
    for crl in truststore.crls:
        text = _out_of_date(crl, now)
        if text is not None:
            yield _stale(crl, text, now, step, Severity.WARNING if fresh else Severity.ERROR)
    gaps = {anchor: gap for anchor in truststore if (gap := _gap(anchor, truststore, fresh, revocation)) is not None}
    hopeless = len(gaps) == len(truststore) and all(gap.certain for gap in gaps.values())
    for anchor, gap in list(gaps.items())[:_LISTED]:
        yield Finding(
            failure=gap.failure,
            severity=Severity.ERROR if hopeless else Severity.WARNING,
            step=step,
            message=f"{gap.text}: with revocation={revocation.value} what it issued is refused",
            remedy=gap.remedy,
            certificate=anchor,
            required=gap.required,
            presented="none",
        )


class _Gap(NamedTuple):
    """Why an anchor is not covered; ``certain`` unless a CRL of an intermediate below it may do."""

    text: str
    remedy: str
    required: str
    failure: FailureReason = FailureReason.CRL_MISSING
    certain: bool = True


def _gap(
    anchor: x509.Certificate,
    truststore: Truststore,
    fresh: Sequence[x509.CertificateRevocationList],
    revocation: Revocation,
) -> _Gap | None:
    own = any(_signed(crl, anchor) for crl in fresh)
    who, needed = label(anchor), f"a fresh CRL of {label(anchor)}"
    if own and _may_not_sign_crls(anchor):
        text = f"{who} has a keyUsage without cRLSign, so its CRL does not count"
        remedy = f"have the CA certificate issued anew with cRLSign, or {_OFF}"
        return _Gap(text, remedy, "cRLSign", FailureReason.WRONG_KEY_USAGE)
    match truststore.kind_of(anchor):
        case AnchorKind.LEAF:
            above = [other for other in truststore if other.subject == anchor.issuer]
            if any(_signed(crl, other) for crl in fresh for other in above):
                return None
            text = f"{who} is trusted as a single certificate, and no anchor with a fresh CRL issued it"
            return _Gap(text, f"trust the CA that issued it, with its CRL, or {_OFF}", "a CRL of its issuer")
        case AnchorKind.INTERMEDIATE if revocation is Revocation.CHAIN:
            text = f"{who} is an intermediate, and nothing in a path that ends with it can say whether it was revoked"
            remedy = "trust the root above it, with the CRLs of both, or ask for revocation=Revocation.LEAF by name"
            return _Gap(text, remedy, "the root as the anchor")
        case _ if own:
            return None
        case _:
            below = revocation is Revocation.LEAF and bool(fresh)
            text = f"there is no fresh CRL of {who}"
            return _Gap(text, f"give its CRL with crls=, or {_OFF}", needed, certain=not below)


def _out_of_date(crl: x509.CertificateRevocationList, now: datetime) -> str | None:
    begins, ends = crl.last_update_utc, crl.next_update_utc
    if ends is not None and ends < now:
        return f"was to be renewed by {when(ends)}"
    return f"begins on {when(begins)} only" if begins > now else None


def _stale(
    crl: x509.CertificateRevocationList, text: str, now: datetime, step: HandshakeStep, severity: Severity
) -> Finding:
    ends = "open" if crl.next_update_utc is None else when(crl.next_update_utc)
    return Finding(
        failure=FailureReason.CRL_EXPIRED,
        severity=severity,
        step=step,
        message=f"the CRL of {name(crl.issuer)} {text}: what that CA issued is refused",
        remedy="fetch the current CRL",
        required=f"valid at {when(now)}",
        presented=f"{when(crl.last_update_utc)} to {ends}",
    )


def _signed(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    if crl.issuer != issuer.subject:
        return False
    try:
        return crl.is_signature_valid(issuer.public_key())  # type: ignore[arg-type] # another kind is a TypeError
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return True  # cryptography cannot check it; OpenSSL may


def _may_not_sign_crls(anchor: x509.Certificate) -> bool:
    usage = extension(anchor, x509.KeyUsage)
    return usage is not None and not usage.crl_sign
