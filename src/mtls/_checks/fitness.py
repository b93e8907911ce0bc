"""Does this keystore fit that role? Usage, chain and form of our own certificates, as a peer will judge them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from mtls._certificate import extension, is_ca, is_self_issued, label, name, subject_alternative_names
from mtls._checks.dates import check_dates
from mtls._checks.form import strict_faults, unknown_critical, wrong_eku
from mtls._checks.strength import check_strength
from mtls._model import AnchorKind, ChainRules, EKUPolicy, FailureReason, Finding, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from mtls._credentials.keystore import Keystore
    from mtls._credentials.truststore import Truststore
    from mtls._policy import TLSPolicy

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
"""The curves that TLS 1.3 has a signature scheme for and peers offer in TLS 1.2 (measured: OpenSSL 3 ends every
handshake with another one).
"""


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
        findings += _form(certificate, role, chain_rules, position)
        if position:
            findings += _issues_certificates(certificate, role, position)
            findings += _path_length(keystore, role, position)
    findings += _leaf_curve(keystore.certificate, role)
    findings += _leaf_key_usage(keystore.certificate, role)
    findings += _names(keystore.certificate, role)
    findings += _completeness(keystore, truststore, role)
    findings += _tidiness(keystore, role)
    return findings


def _extended_key_usage(
    certificate: x509.Certificate, role: Role, policy: EKUPolicy, position: int
) -> Iterator[Finding]:
    who = f"{'leaf' if position == 0 else 'intermediate'} {label(certificate)}"
    common = {"step": role.verified_at, "certificate": certificate, "position": position, "required": role.eku}
    ask = f"ask the CA for a certificate with {role.eku}"
    if position == 0 and extension(certificate, x509.ExtendedKeyUsage) is None:
        required = policy is EKUPolicy.REQUIRED
        yield Finding(
            failure=FailureReason.WRONG_EKU if required else FailureReason.EKU_ABSENT,
            severity=Severity.ERROR if required else Severity.WARNING,
            message=f"{who} has no extended key usage; strict peers want {role.eku} (RFC 5280, 4.2.1.12)",
            remedy=ask,
            presented="none",
            **common,  # type: ignore[arg-type] # the four keywords fit their fields
        )
    for fault in wrong_eku(certificate, role):
        if position:
            remedy = f"have the leaf issued by a CA whose own certificate allows {role.eku}, or has no EKU"
        elif role is Role.CLIENT:
            remedy = f"{ask}; public CAs stopped issuing it in 2026, so it has to be a private CA"
        else:
            remedy = ask
        yield Finding(
            failure=fault.failure,
            severity=Severity.ERROR,
            message=f"{who} {fault.text}",
            remedy=remedy,
            presented=fault.presented,
            **common,  # type: ignore[arg-type] # the four keywords fit their fields
        )


def _leaf_curve(leaf: x509.Certificate, role: Role) -> Iterator[Finding]:
    key = leaf.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name not in _CURVES:
        yield Finding(
            failure=FailureReason.NO_SHARED_SIGNATURE_ALGORITHM,
            severity=Severity.ERROR,
            step=role.certificate_step,
            message=f"the key of leaf {label(leaf)} is on the curve {key.curve.name}, with which TLS 1.3 cannot sign "
            "(RFC 8446, 4.2.3) and which peers do not accept in TLS 1.2",
            remedy="get a certificate for a key on P-256, or an RSA key",
            certificate=leaf,
            position=0,
            required="P-256, P-384 or P-521",
            presented=key.curve.name,
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


def _path_length(keystore: Keystore, role: Role, position: int) -> Iterator[Finding]:
    """RFC 5280, 4.2.1.9: how many CAs may stand between this one and the leaf; self-issued ones do not count."""
    certificate, below = keystore.chain[position - 1], keystore.chain[: position - 1]
    constraints = extension(certificate, x509.BasicConstraints)
    limit = None if constraints is None else constraints.path_length
    count = sum(not is_self_issued(each) for each in below)
    if limit is not None and count > limit:
        yield Finding(
            failure=FailureReason.PATH_TOO_LONG,
            severity=Severity.ERROR,
            step=role.verified_at,
            message=f"intermediate {label(certificate)} allows {limit} CAs below itself (pathLenConstraint), and the "
            f"chain has {count}",
            remedy="have the leaf issued by a CA that stands higher, or this CA issued anew with a longer path",
            certificate=certificate,
            position=position,
            required=f"at most {limit}",
            presented=str(count),
        )


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
    issuers = [anchor for anchor in anchors if anchor.subject == top.issuer and _issued(anchor, top)]
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
