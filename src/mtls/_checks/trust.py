"""Can this truststore do its work? Anchors and CRLs, as they will be used on the peers of one role."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cryptography import x509

from mtls._certificate import extension, is_self_issued, label, when
from mtls._checks.crls import check_crls
from mtls._checks.dates import check_dates
from mtls._checks.form import Fault, strict_faults, unknown_critical, wrong_eku
from mtls._checks.strength import key_strength
from mtls._model import AnchorKind, ChainRules, FailureReason, Finding, HandshakeStep, Revocation, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mtls._credentials.truststore import Truststore
    from mtls._policy import TLSPolicy

_LARGE = 10
"""A client's truststore with more anchors than this may hold the public CAs."""
_LENIENT = "chain_rules=ChainRules.LENIENT"


def check_truststore(  # noqa: PLR0913 - each is a fact of its own, keyword-only
    truststore: Truststore,
    role: Role,
    *,
    chain_rules: ChainRules,
    revocation: Revocation,
    authorized: bool,
    now: datetime,
    policy: TLSPolicy | None = None,
) -> list[Finding]:
    """Every fault of the anchors and CRLs that ``role`` (ours) judges its peers by. ``now`` is aware.

    One bad anchor among good ones is a warning; when no anchor is usable, each is an error. ``authorized`` says
    whether the profile decides by ``authorize=`` who may come in. Without ``policy`` no key is weak.
    """
    step = role.other.verified_at
    if not len(truststore):
        return [_empty(step)]
    # to know the public CAs certifi has to be read, which only a server or a large truststore is worth
    worth_it = role is Role.SERVER or len(truststore) > _LARGE
    public = truststore._public_anchors() if worth_it else ()
    findings: list[Finding] = []
    unusable: dict[x509.Certificate, list[Finding]] = {}
    for anchor in truststore:
        if anchor in public:
            continue  # dates and form of the public CAs are their maintainers' business
        kind = truststore.kind_of(anchor)
        seen = check_dates(anchor, now, step=step, owner="trust anchor")
        seen += _form(anchor, kind, chain_rules, role.other, policy)
        faults = [finding for finding in seen if finding.severity is Severity.ERROR]
        findings += [finding for finding in seen if finding.severity is Severity.WARNING]
        findings += _leaf_as_anchor(anchor, kind, step)
        if faults:
            unusable[anchor] = faults
    hopeless = len(unusable) == len(truststore)
    for faults in unusable.values():
        findings += faults if hopeless else [_softened(fault) for fault in faults]
    findings += check_crls(truststore, revocation, step=step, now=now)
    if role is Role.SERVER and public and not authorized:
        findings.append(_everyone(len(public), step))
    return findings


def lists_gone(role: Role) -> Finding:
    """The finding for files that held CRLs before and hold none now, so that nobody would be refused as revoked."""
    return Finding(
        failure=FailureReason.CRL_MISSING,
        severity=Severity.ERROR,
        step=role.other.verified_at,
        message="the CRLs that the truststore held are gone, so revocation would silently end",
        remedy="put the current CRL back, or build a profile with revocation=Revocation.OFF by name",
        required="a CRL",
        presented="none",
    )


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


def _form(
    anchor: x509.Certificate, kind: AnchorKind, rules: ChainRules, peer: Role, policy: TLSPolicy | None
) -> Iterator[Finding]:
    """What OpenSSL refuses in any anchor, and what strict chain checking refuses in a CA."""
    again = "have the CA certificate issued anew"
    always = (*unknown_critical(anchor), *wrong_eku(anchor, peer), *_weak_key(anchor, policy))
    error, warning = Severity.ERROR, Severity.WARNING
    faults = [(fault, "OpenSSL refuses it", again, error) for fault in always]
    if kind is not AnchorKind.LEAF and rules is ChainRules.STRICT:
        judged, remedy = "under strict rules (RFC 5280) OpenSSL refuses it", f"{again}, or ask for {_LENIENT} by name"
        strict = (*_no_ca(anchor), *strict_faults(anchor, issuer=True, anchor=True))
        if _may_be_the_peer_itself(anchor):
            judged = f"{judged} as a CA, but takes it as the peer's own certificate"
        severity = warning if _may_be_the_peer_itself(anchor) else error
        faults += [(fault, judged, remedy, severity) for fault in strict]
    for fault, judged, remedy, severity in faults:
        yield Finding(
            failure=fault.failure,
            severity=severity,
            step=peer.verified_at,
            message=f"trust anchor {label(anchor)} {fault.text}; {judged}",
            remedy=remedy,
            certificate=anchor,
            required=fault.required,
            presented=fault.presented,
        )


def _may_be_the_peer_itself(anchor: x509.Certificate) -> bool:
    """A self-signed certificate with names or uses, as ``openssl req -x509`` makes it: a CA by its flag, or a pin."""
    kinds = (x509.SubjectAlternativeName, x509.ExtendedKeyUsage)
    return is_self_issued(anchor) and any(extension(anchor, kind) is not None for kind in kinds)


def _weak_key(anchor: x509.Certificate, policy: TLSPolicy | None) -> Iterator[Fault]:
    """The signature on an anchor is never judged, its key is."""
    bits, key = key_strength(anchor)
    if policy is not None and bits < policy.minimum_security_bits:
        needed = f"{policy.minimum_security_bits} bits"
        text = f"has a key ({key}) worth {bits} bits, and {policy.name} asks for {policy.minimum_security_bits}"
        yield Fault(FailureReason.WEAK_KEY, text, needed, f"{bits} bits")


def _no_ca(anchor: x509.Certificate) -> Iterator[Fault]:
    """A version 1 root, and a CA that may not sign certificates: OpenSSL reports both as no CA."""
    usage = extension(anchor, x509.KeyUsage)
    if extension(anchor, x509.BasicConstraints) is None:
        yield Fault(FailureReason.NOT_A_CA, "has no basicConstraints", "basicConstraints", "none")
    if usage is not None and not usage.key_cert_sign:
        yield Fault(FailureReason.WRONG_KEY_USAGE, "has no keyCertSign in its keyUsage", "keyCertSign", "none")


def _softened(finding: Finding) -> Finding:
    return replace(finding, severity=Severity.WARNING)
