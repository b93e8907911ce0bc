"""Can this truststore do its work? Anchors and CRLs, as they will be used on the peers of one role."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509

from mtls._certificate import extension, label, name, when
from mtls._checks.dates import check_dates
from mtls._model import AnchorKind, ChainRules, FailureReason, Finding, HandshakeStep, Revocation, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mtls._credentials.truststore import Truststore

_LISTED = 10
"""More findings of one kind than this tell nobody anything."""


def check_truststore(
    truststore: Truststore,
    role: Role,
    *,
    chain_rules: ChainRules,
    revocation: Revocation,
    authorized: bool,
    now: datetime,
) -> list[Finding]:
    """Every fault of the anchors and CRLs that ``role`` (ours) judges its peers by. ``now`` is aware.

    One bad anchor among good ones is a warning; when no anchor is usable, each is an error. ``authorized`` says
    whether the profile decides by ``authorize=`` who may come in.
    """
    step = role.other.verified_at
    if not len(truststore):
        return [_empty(step)]
    # to know the public CAs certifi has to be read, which only a server or a large truststore is worth
    worth_it = role is Role.SERVER or len(truststore) > _LISTED
    public = truststore._public_anchors() if worth_it else ()
    findings: list[Finding] = []
    unusable: dict[x509.Certificate, list[Finding]] = {}
    for anchor in truststore:
        if anchor in public:
            continue  # dates and form of the public CAs are their maintainers' business
        kind = truststore.kind_of(anchor)
        dates = check_dates(anchor, now, step=step, owner="trust anchor")
        faults = [finding for finding in dates if finding.severity is Severity.ERROR]
        faults += _form(anchor, kind, chain_rules, step)
        findings += [finding for finding in dates if finding.severity is Severity.WARNING]
        findings += _leaf_as_anchor(anchor, kind, step)
        if faults:
            unusable[anchor] = faults
    hopeless = len(unusable) == len(truststore)
    for faults in unusable.values():
        findings += faults if hopeless else [_softened(fault) for fault in faults]
    findings += _revocation(truststore, revocation, step, now)
    if role is Role.SERVER and public and not authorized:
        findings.append(_everyone(len(public), step))
    return findings


def _empty(step: HandshakeStep) -> Finding:
    return Finding(
        failure=FailureReason.UNKNOWN_CA,
        severity=Severity.ERROR,
        step=step,
        message="the truststore holds no trust anchor, so every peer would be refused",
        remedy="put the CA certificate of the peers into it",
        required="at least one trust anchor",
        presented="none",
    )


def _everyone(count: int, step: HandshakeStep) -> Finding:
    return Finding(
        failure=FailureReason.NOT_AUTHORIZED,
        severity=Severity.ERROR,
        step=step,
        message=f"{count} of the anchors are public CAs: whoever owns any domain gets a certificate from them",
        remedy="trust the private CA of your clients only, or say with authorize= who may come in",
        required="a private CA, or authorize=",
        presented=f"{count} public CAs",
    )


def _leaf_as_anchor(anchor: x509.Certificate, kind: AnchorKind, step: HandshakeStep) -> Iterator[Finding]:
    if kind is AnchorKind.LEAF:
        yield Finding(
            failure=FailureReason.LEAF_AS_ANCHOR,
            severity=Severity.WARNING,
            step=step,
            message=f"{label(anchor)} is trusted as a single certificate, no CA: trust ends with it on "
            f"{when(anchor.not_valid_after_utc)}, or when the peer renews",
            remedy="trust the CA that issued it, and say with authorize= or the host name which peer is meant",
            certificate=anchor,
        )


def _form(anchor: x509.Certificate, kind: AnchorKind, rules: ChainRules, step: HandshakeStep) -> Iterator[Finding]:
    """What strict chain checking refuses in a CA (X509_V_FLAG_X509_STRICT)."""
    if kind is AnchorKind.LEAF or rules is not ChainRules.STRICT:
        return
    constraints = extension(anchor, x509.BasicConstraints)
    usage = extension(anchor, x509.KeyUsage)
    if constraints is None:
        failure, missing = FailureReason.NOT_A_CA, "basicConstraints"
    elif usage is None:
        failure, missing = FailureReason.MISSING_EXTENSION, "keyUsage"
    elif not usage.key_cert_sign:
        failure, missing = FailureReason.WRONG_KEY_USAGE, "keyCertSign in its keyUsage"
    elif extension(anchor, x509.SubjectKeyIdentifier) is None:
        failure, missing = FailureReason.MISSING_EXTENSION, "subjectKeyIdentifier"
    else:
        return
    yield Finding(
        failure=failure,
        severity=Severity.ERROR,
        step=step,
        message=f"trust anchor {label(anchor)} has no {missing}; under strict rules (RFC 5280) OpenSSL refuses it",
        remedy="have the CA certificate issued anew, or ask for chain_rules=ChainRules.LENIENT by name",
        certificate=anchor,
        required=missing,
        presented="none",
    )


def _revocation(
    truststore: Truststore, revocation: Revocation, step: HandshakeStep, now: datetime
) -> Iterator[Finding]:
    if revocation is Revocation.OFF:
        return
    covered = set()
    for crl in truststore.crls:
        end = crl.next_update_utc
        if end is not None and end < now:
            yield _crl(
                FailureReason.CRL_EXPIRED,
                f"the CRL of {name(crl.issuer)} was to be renewed by {when(end)}: what that CA issued is refused",
                "fetch the current CRL",
                step,
                Severity.WARNING if len(truststore.crls) > 1 else Severity.ERROR,
            )
        else:
            covered.add(crl.issuer)
    needed = {
        anchor: anchor.issuer if truststore.kind_of(anchor) is not AnchorKind.ROOT else anchor.subject
        for anchor in truststore
    }
    missing = [anchor for anchor, issuer in needed.items() if anchor.subject not in covered and issuer not in covered]
    none_at_all = len(missing) == len(needed)
    for anchor in missing[:_LISTED]:
        yield _crl(
            FailureReason.CRL_MISSING,
            f"there is no fresh CRL of {label(anchor)}: with revocation={revocation.value} what it issued is refused",
            "give its CRL with crls=, or ask for revocation=Revocation.OFF by name",
            step,
            Severity.ERROR if none_at_all else Severity.WARNING,
            anchor,
        )


def _crl(
    failure: FailureReason,
    message: str,
    remedy: str,
    step: HandshakeStep,
    severity: Severity,
    anchor: x509.Certificate | None = None,
) -> Finding:
    return Finding(failure=failure, severity=severity, step=step, message=message, remedy=remedy, certificate=anchor)


def _softened(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.WARNING)
