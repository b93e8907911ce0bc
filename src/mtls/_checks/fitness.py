"""Does this keystore fit that role? Usage, chain and form of our own certificates, as a peer will judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls._certificate import is_ca, is_self_issued, label, name, same_name, subject_alternative_names
from mtls._checks.dates import check_dates
from mtls._checks.form import strict_faults, unknown_critical
from mtls._checks.path import Issuers
from mtls._checks.strength import check_strength
from mtls._checks.usage import check_usage
from mtls._model import AnchorKind, ChainRules, EKUPolicy, FailureReason, Finding, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cryptography import x509

    from mtls._credentials.keystore import Keystore
    from mtls._credentials.truststore import Truststore
    from mtls._policy import TLSPolicy


def check_keystore(  # noqa: PLR0913 - each is a fact of its own, keyword-only
    keystore: Keystore,
    role: Role,
    *,
    truststore: Truststore | None,
    policy: TLSPolicy,
    eku: EKUPolicy,
    chain_rules: ChainRules,
    now: datetime,
) -> list[Finding]:
    """Every fault of our own leaf and intermediates for ``role``, each at the step where the peer would notice.

    Whether the peer trusts the issuer cannot be seen from here. ``truststore`` only helps to tell whether the chain is
    complete. ``now`` is aware.
    """
    step = role.verified_at
    findings: list[Finding] = []
    for position, certificate in enumerate((keystore.certificate, *keystore.chain)):
        owner = "leaf" if position == 0 else "intermediate"
        severity = Severity.WARNING if _has_twin(keystore, position) else Severity.ERROR
        findings += check_dates(certificate, now, step=step, owner=owner, position=position, severity=severity)
        findings += check_strength(certificate, policy, step=step, owner=owner, position=position)
        findings += _form(certificate, role, chain_rules, position)
    findings += check_usage((keystore.certificate, *keystore.chain), role, eku=eku, chain_rules=chain_rules)
    findings += _names(keystore.certificate, role)
    findings += _completeness(keystore, truststore, role)
    findings += _tidiness(keystore, role)
    return findings


def _has_twin(keystore: Keystore, position: int) -> bool:
    """Whether it is a cross-signed CA whose self-signed form is in the keystore.

    OpenSSL does not look at it where that form is trusted.
    """
    if position == 0 or position != len(keystore.chain) or keystore.root is None:
        return False
    return same_name(keystore.chain[-1].subject, keystore.root.subject)


def _form(certificate: x509.Certificate, role: Role, rules: ChainRules, position: int) -> Iterator[Finding]:
    """What OpenSSL always refuses is an error; what peers refuse that are strict (Python 3.13) is a warning."""
    faults = [(fault, Severity.ERROR, "OpenSSL refuses it") for fault in unknown_critical(certificate)]
    if rules is ChainRules.STRICT:
        judged = "peers that read RFC 5280 strictly (Python 3.13) refuse it"
        faults += [(fault, Severity.WARNING, judged) for fault in strict_faults(certificate, issuer=position > 0)]
    for fault, severity, judged in faults:
        yield Finding(
            failure=fault.failure,
            severity=severity,
            step=role.verified_at,
            message=f"{label(certificate)} {fault.text}; {judged}",
            remedy="ask the CA for a certificate in proper form",
            certificate=certificate,
            position=position,
            required=fault.required,
            presented=fault.presented,
        )


def _names(leaf: x509.Certificate, role: Role) -> Iterator[Finding]:
    if role is Role.SERVER and not subject_alternative_names(leaf):
        yield Finding(
            failure=FailureReason.HOSTNAME_MISMATCH,
            severity=Severity.WARNING,
            step=role.verified_at,
            message=f"leaf {label(leaf)} has no subjectAltName, so no client finds the name it asked for (RFC 9525)",
            remedy="ask the CA for a certificate with the server's names in the subjectAltName",
            certificate=leaf,
            position=0,
            required="a subjectAltName",
            presented="none",
        )


def _completeness(keystore: Keystore, truststore: Truststore | None, role: Role) -> Iterator[Finding]:
    """Whether the chain that we send reaches a root, as far as it can be told from what is at hand.

    An issuer that is in the truststore only is no certain fault: OpenSSL sends it along with a lone leaf, and a peer
    that trusts what we trust needs no more.
    """
    top = keystore.chain[-1] if keystore.chain else keystore.certificate
    if keystore.root is not None or is_self_issued(top):
        return
    anchors = () if truststore is None else truststore.anchors
    issuers = Issuers(anchors).of(top)
    if any(truststore is not None and truststore.kind_of(issuer) is AnchorKind.ROOT for issuer in issuers):
        return
    gap = any(is_ca(certificate) for certificate in keystore.unrelated)
    certain = gap and not issuers
    if issuers:
        text = f"its issuer {name(top.issuer)} is an intermediate that is in the truststore but not in the keystore"
    elif gap:
        text = f"the keystore holds CA certificates, but not the issuer {name(top.issuer)} of {label(top)}"
    else:
        text = f"the issuer {name(top.issuer)} of {label(top)} is not at hand; peers must know it themselves"
    yield Finding(
        failure=FailureReason.INCOMPLETE_CHAIN,
        severity=Severity.ERROR if certain else Severity.WARNING,
        step=role.verified_at,
        message=f"the chain of {label(keystore.certificate)} {'is' if certain else 'may be'} incomplete: {text}",
        remedy=f"put the certificate of {name(top.issuer)} and what lies between it and the root behind the leaf; with "
        "the root in the file, too, it is known to be complete",
        certificate=top,
        position=len(keystore.chain),
        required=name(top.issuer),
    )


def _tidiness(keystore: Keystore, role: Role) -> Iterator[Finding]:
    for certificate in keystore.unrelated:
        yield Finding(
            failure=FailureReason.SUPERFLUOUS_CERTIFICATE,
            severity=Severity.WARNING,
            step=role.certificate_step,
            message=f"{label(certificate)} lies in the keystore but does not belong to the chain; it is not sent",
            remedy="take it out of the file",
            certificate=certificate,
        )
    if keystore.reordered:
        yield Finding(
            failure=FailureReason.WRONG_ORDER,
            severity=Severity.WARNING,
            step=role.certificate_step,
            message="the source holds the chain in another order; it is sent in the right one, leaf first (RFC 8446, "
            "4.4.2), but other programs that read the file may not do that",
            remedy="write the leaf first, then each issuer after what it issued",
            certificate=keystore.certificate,
        )
