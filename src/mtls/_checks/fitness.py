"""Does this keystore fit that role? Usage, chain and form of our own certificates, as a peer will judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mtls._certificate import (
    EKU_OIDS,
    eku_names,
    extension,
    is_ca,
    is_self_issued,
    label,
    name,
    subject_alternative_names,
)
from mtls._checks.dates import check_dates
from mtls._checks.strength import check_strength
from mtls._model import AnchorKind, ChainRules, EKUPolicy, FailureReason, Finding, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

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
        findings += check_dates(certificate, now, step=step, owner=owner, position=position)
        findings += check_strength(certificate, policy, step=step, owner=owner, position=position)
        findings += _extended_key_usage(certificate, role, eku, position)
        if position:
            findings += _issues_certificates(certificate, role, position)
        if chain_rules is ChainRules.STRICT:
            findings += _strict_form(certificate, role, position)
    findings += _leaf_key_usage(keystore.certificate, role)
    findings += _names(keystore.certificate, role)
    findings += _completeness(keystore, truststore, role)
    findings += _tidiness(keystore, role)
    return findings


def _extended_key_usage(
    certificate: x509.Certificate, role: Role, policy: EKUPolicy, position: int
) -> Iterator[Finding]:
    present = extension(certificate, x509.ExtendedKeyUsage)
    who = f"{'leaf' if position == 0 else 'intermediate'} {label(certificate)}"
    common = {"step": role.verified_at, "certificate": certificate, "position": position, "required": role.eku}
    if present is None:
        if position:
            return
        required = policy is EKUPolicy.REQUIRED
        yield Finding(
            failure=FailureReason.WRONG_EKU if required else FailureReason.EKU_ABSENT,
            severity=Severity.ERROR if required else Severity.WARNING,
            message=f"{who} has no extended key usage; strict peers want {role.eku} (RFC 5280, 4.2.1.12)",
            remedy=f"ask the CA for a certificate with {role.eku}",
            presented="none",
            **common,  # type: ignore[arg-type] # the four keywords fit their fields
        )
    elif EKU_OIDS[role] not in present:
        uses = eku_names(present)
        remedy = f"ask the CA for a certificate with {role.eku}"
        if role is Role.CLIENT and position == 0:
            remedy += "; public CAs stopped issuing it in 2026, so it has to be a private CA"
        if position:
            remedy = f"have the leaf issued by a CA whose own certificate allows {role.eku}, or has no EKU"
        yield Finding(
            failure=FailureReason.WRONG_EKU,
            severity=Severity.ERROR,
            message=f"{who} allows {uses} only; a {role.value} needs {role.eku} (RFC 5280, 4.2.1.12)",
            remedy=remedy,
            presented=uses,
            **common,  # type: ignore[arg-type] # the four keywords fit their fields
        )


def _leaf_key_usage(leaf: x509.Certificate, role: Role) -> Iterator[Finding]:
    usage = extension(leaf, x509.KeyUsage)
    if usage is None or usage.digital_signature:
        return
    tolerated = usage.key_agreement or (role is Role.SERVER and usage.key_encipherment)
    yield Finding(
        failure=FailureReason.WRONG_KEY_USAGE,
        severity=Severity.WARNING if tolerated else Severity.ERROR,
        step=role.verified_at,
        message=f"leaf {label(leaf)} has a keyUsage without digitalSignature, which TLS 1.3 and ECDHE sign with "
        "(RFC 8446, 4.4.2.2)",
        remedy="ask the CA for a certificate with keyUsage digitalSignature",
        certificate=leaf,
        position=0,
        required="digitalSignature",
        presented="a keyUsage without it",
    )


def _issues_certificates(certificate: x509.Certificate, role: Role, position: int) -> Iterator[Finding]:
    who = f"intermediate {label(certificate)}"
    usage = extension(certificate, x509.KeyUsage)
    if not is_ca(certificate):
        failure, text, needed = FailureReason.NOT_A_CA, "is no CA (basicConstraints)", "CA:TRUE"
    elif usage is not None and not usage.key_cert_sign:
        failure, text, needed = FailureReason.WRONG_KEY_USAGE, "may not sign certificates (keyUsage)", "keyCertSign"
    else:
        return
    yield Finding(
        failure=failure,
        severity=Severity.ERROR,
        step=role.verified_at,
        message=f"{who} {text}, so no peer accepts what it issued",
        remedy="have the leaf issued by a proper CA",
        certificate=certificate,
        position=position,
        required=needed,
    )


def _strict_form(certificate: x509.Certificate, role: Role, position: int) -> Iterator[Finding]:
    """What X509_V_FLAG_X509_STRICT refuses, as peers on Python 3.13 do. Our own peer may be lenient: a warning."""
    wanted: list[tuple[str, type[x509.ExtensionType]]] = []
    if not is_self_issued(certificate):
        wanted.append(("authorityKeyIdentifier", x509.AuthorityKeyIdentifier))
    if position:
        wanted += [("subjectKeyIdentifier", x509.SubjectKeyIdentifier), ("keyUsage", x509.KeyUsage)]
    missing = [text for text, kind in wanted if extension(certificate, kind) is None]
    if missing:
        yield Finding(
            failure=FailureReason.MISSING_EXTENSION,
            severity=Severity.WARNING,
            step=role.verified_at,
            message=f"{label(certificate)} has no {' and no '.join(missing)}; peers that read RFC 5280 strictly "
            "(Python 3.13) refuse it",
            remedy="ask the CA for a certificate that has it",
            certificate=certificate,
            position=position,
            required=", ".join(missing),
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
    """Whether the chain that we send reaches a root, as far as it can be told from what is at hand."""
    top = keystore.chain[-1] if keystore.chain else keystore.certificate
    if keystore.root is not None or is_self_issued(top):
        return
    anchors = () if truststore is None else truststore.anchors
    issuers = [anchor for anchor in anchors if anchor.subject == top.issuer and _issued(anchor, top)]
    if any(truststore is not None and truststore.kind_of(issuer) is AnchorKind.ROOT for issuer in issuers):
        return
    gap = any(is_ca(certificate) for certificate in keystore.unrelated)
    certain = bool(issuers) or gap
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
        "the root in the file, too, it is known to be complete (a root is never sent)",
        certificate=top,
        position=len(keystore.chain),
        required=name(top.issuer),
    )


def _issued(issuer: x509.Certificate, subject: x509.Certificate) -> bool:
    own = extension(issuer, x509.SubjectKeyIdentifier)
    wanted = extension(subject, x509.AuthorityKeyIdentifier)
    return own is None or wanted is None or wanted.key_identifier in {None, own.digest}


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
