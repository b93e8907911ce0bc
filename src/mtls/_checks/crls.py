"""Do the CRLs of a truststore cover what a profile will judge? Which anchors have one, and is each of use?

Rule: OpenSSL takes a CRL only from a certificate of the path that it built. So it must be signed by an anchor or by an
intermediate that the peer sends, and of an intermediate that is itself the anchor nothing in the path can say whether
it was revoked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mtls._certificate import distance, name, same_name, when
from mtls._checks.crl_choice import in_date, issuing_key, needing_a_crl
from mtls._checks.crl_form import DELTA, crl_extension, is_delta, is_signed_by, may_be_signed_by, unsupported
from mtls._checks.revocation import (
    Fault,
    Sought,
    bad_signature,
    faults,
    not_understood,
    of_another_key,
    out_of_date,
    sought_for,
    unusable,
)
from mtls._credentials.chain import issued
from mtls._model import AnchorKind, FailureReason, Finding, HandshakeStep, Revocation, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from mtls._credentials.truststore import Truststore

_LISTED = 10
"""More findings of one kind than this tell nobody anything."""
_SOON_SHARE = 10
"""A CRL ends soon in the last tenth of its life: a CA that is well has published the next one by then."""
_ATTRIBUTES, _POINT = "is for attribute certificates only", "is for one distribution point only"
_USERS, _CAS = "is for end entities only", "is for CAs only"


def check_crls(
    truststore: Truststore, revocation: Revocation, *, step: HandshakeStep, now: datetime
) -> Iterator[Finding]:
    """Which anchors no CRL speaks for, and why: errors where no peer could pass. Which CRLs are of no use, or soon will
    be: warnings, as another may make up for it. But a delta CRL is an error: OpenSSL takes it for a complete one.
    """
    if revocation is Revocation.OFF:
        return
    gaps = {anchor: found for anchor in truststore if (found := _gaps(anchor, truststore, revocation, now))}
    certain = revocation is Revocation.CHAIN or not any(
        _may_serve_below(crl, truststore, now) for crl in truststore.crls
    )
    hopeless = len(gaps) == len(truststore) and all(
        certain or truststore.kind_of(anchor) is AnchorKind.LEAF for anchor in gaps
    )
    told: set[int] = set()
    for anchor, found in list(gaps.items())[:_LISTED]:
        what = "it" if truststore.kind_of(anchor) is AnchorKind.LEAF else "what it issued"
        for fault in found:
            told.update(id(crl) for crl in fault.crls)
            severity = Severity.ERROR if hopeless or any(map(is_delta, fault.crls)) else Severity.WARNING
            message = f"{fault.text}: with revocation={revocation.value} {what} is refused"
            yield _finding(fault, severity, step, message, anchor)
    rest = [crl for crl in truststore.crls if id(crl) not in told]
    yield from check_deltas(rest, step=step)
    complete = [crl for crl in rest if not is_delta(crl)]
    flaws = [flaw for crl in complete if (flaw := _flaw(crl, truststore, now)) is not None]
    for flaw in flaws[:_LISTED]:
        yield _finding(flaw, Severity.WARNING, step, f"{flaw.text}: it does not count")
    flawed = {id(crl) for flaw in flaws for crl in flaw.crls}
    sound = [crl for crl in complete if id(crl) not in flawed]
    yield from _partial(sound, step)
    yield from _ends_soon(sound, step, now)


def check_deltas(crls: Sequence[x509.CertificateRevocationList], *, step: HandshakeStep) -> Iterator[Finding]:
    """CRL_MISSING for every delta CRL: OpenSSL takes it for a complete one, so what that one lists would pass."""
    for crl in [crl for crl in crls if is_delta(crl)][:_LISTED]:
        fault = unusable(crl, DELTA)
        text = f"{fault.text}: OpenSSL takes it for a complete one, so what that one lists would pass"
        yield _finding(fault, Severity.ERROR, step, text)


def freshness(crls: Sequence[x509.CertificateRevocationList], now: datetime) -> list[str]:
    """A sentence for each CRL, for ten at most: whose it is, from when, until when, and how much it lists."""
    sentences = [_freshness(crl, now) for crl in crls[:_LISTED]]
    return [*sentences, f"... and {len(crls) - _LISTED} more CRLs"] if len(crls) > _LISTED else sentences


def _freshness(crl: x509.CertificateRevocationList, now: datetime) -> str:
    ends, count = crl.next_update_utc, len(crl)
    until = "no next update"
    if ends is not None:
        far = distance(ends - now)
        until = f"next update {when(ends)} ({f'in {far}' if now < ends else f'{far} ago'})"
    entries = f"{count} entr{'y' if count == 1 else 'ies'}"
    return f"CRL of {name(crl.issuer)}: issued {when(crl.last_update_utc)}, {until}, {entries}"


# --- the anchors ---


def _gaps(anchor: x509.Certificate, truststore: Truststore, revocation: Revocation, now: datetime) -> list[Fault]:
    """Why a path that ends with ``anchor`` does not pass, each cause once."""
    path, leaf = [anchor], truststore.kind_of(anchor) is AnchorKind.LEAF
    if leaf:
        path += [other for other in truststore if other != anchor and issued(other, anchor)][:1]
    # a path has a certificate that the anchor issued, and for a whole chain the anchor itself is looked up as well
    looked_up = [] if leaf else [Sought(anchor.subject, path, None)]
    checked = path if leaf or revocation is Revocation.CHAIN else []
    looked_up += [sought_for(path, position) for position in range(len(needing_a_crl(checked, revocation)))]
    found = (fault for sought in looked_up for fault in faults(sought, truststore.crls, now))
    return list({(fault.failure, tuple(map(id, fault.crls)) or fault.text): fault for fault in found}.values())


# --- the lists ---


def _flaw(crl: x509.CertificateRevocationList, truststore: Truststore, now: datetime) -> Fault | None:
    """Why a CRL is of no use to any anchor, or not for all that its CA issued."""
    if (why := _of_no_use(crl)) is not None:
        return unusable(crl, why)
    if (fault := out_of_date(crl, now) or not_understood(crl)) is not None:
        return fault
    namesakes = [anchor for anchor in truststore if same_name(anchor.subject, crl.issuer)]
    fitting = [anchor for anchor in namesakes if may_be_signed_by(crl, anchor)]
    if namesakes and not fitting:
        return of_another_key(crl, namesakes[0])
    return (
        None if not fitting or any(is_signed_by(crl, anchor) for anchor in fitting) else bad_signature(crl, fitting[0])
    )


def _of_no_use(crl: x509.CertificateRevocationList) -> str | None:
    """Why it can decide about no certificate, as the rest of a sentence; ``None`` if it can."""
    return unsupported(crl) or (_ATTRIBUTES if _part(crl) == _ATTRIBUTES else None)


def _may_serve_below(crl: x509.CertificateRevocationList, truststore: Truststore, now: datetime) -> bool:
    """Whether an intermediate that a peer sends may have signed it, so that it covers the leaves of that one."""
    if not in_date(crl, now) or _of_no_use(crl) is not None or not_understood(crl) is not None:
        return False
    namesakes = (anchor for anchor in truststore if same_name(anchor.subject, crl.issuer))
    return not any(may_be_signed_by(crl, anchor) and is_signed_by(crl, anchor) for anchor in namesakes)


def _partial(crls: Sequence[x509.CertificateRevocationList], step: HandshakeStep) -> Iterator[Finding]:
    """CRL_MISSING for a list about a part of what its CA issued, where none of the others has the rest."""
    for crl in [crl for crl in crls if _part(crl) is not None][:_LISTED]:
        parts = {_part(other) for other in crls if _same_source(crl, other)}
        part = _part(crl)
        if part is not None and None not in parts and not parts >= {_USERS, _CAS}:
            fault = unusable(crl, part)
            yield _finding(fault, Severity.WARNING, step, f"{fault.text}: whatever else this CA issued is refused")


def _part(crl: x509.CertificateRevocationList) -> str | None:
    """Which part of what its CA issued the list is about, ``None`` for all."""
    part = crl_extension(crl, x509.IssuingDistributionPoint)
    if part is None:
        return None
    if part.only_contains_attribute_certs:
        return _ATTRIBUTES
    if part.full_name is not None or part.relative_name is not None:
        return _POINT
    if part.only_contains_user_certs:
        return _USERS
    return _CAS if part.only_contains_ca_certs else None


def _ends_soon(crls: Sequence[x509.CertificateRevocationList], step: HandshakeStep, now: datetime) -> Iterator[Finding]:
    """EXPIRES_SOON for a list in the last tenth of its life, where no other of the same CA lasts longer."""
    near = [(crl, ends) for crl in crls if (ends := _near_end(crl, now)) is not None]
    last = [(crl, ends) for crl, ends in near if not any(_outlasts(other, crl, ends) for other in crls)]
    for crl, ends in last[:_LISTED]:
        text = f"the CRL of {name(crl.issuer)} ends on {when(ends)}, in {distance(ends - now)}"
        remedy = f"fetch the next CRL of {name(crl.issuer)} before then"
        presented = f"{when(crl.last_update_utc)} to {when(ends)}"
        fault = Fault(FailureReason.EXPIRES_SOON, text, remedy, f"valid at {when(now)} and on", presented)
        yield _finding(fault, Severity.WARNING, step, f"{text}: then what that CA issued is refused")


def _near_end(crl: x509.CertificateRevocationList, now: datetime) -> datetime | None:
    """When it ends, if it is in the last tenth of its life."""
    ends = crl.next_update_utc
    return ends if ends is not None and ends - now < (ends - crl.last_update_utc) / _SOON_SHARE else None


def _outlasts(other: x509.CertificateRevocationList, crl: x509.CertificateRevocationList, ends: datetime) -> bool:
    return _same_source(other, crl) and (other.next_update_utc is None or other.next_update_utc > ends)


def _same_source(one: x509.CertificateRevocationList, other: x509.CertificateRevocationList) -> bool:
    return issuing_key(one) == issuing_key(other) and same_name(one.issuer, other.issuer)


def _finding(
    fault: Fault, severity: Severity, step: HandshakeStep, message: str, anchor: x509.Certificate | None = None
) -> Finding:
    return Finding(
        failure=fault.failure,
        severity=severity,
        step=step,
        message=message,
        remedy=fault.remedy,
        certificate=anchor,
        required=fault.required,
        presented=fault.presented,
    )
