"""Are the certificates of a path used for what they were issued for? Extended key usage, key usage, CA flag, length."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from mtls._certificate import allows, extension, has_readable_extensions, is_self_issued, label
from mtls._checks.form import wrong_eku
from mtls._checks.path import owner_of
from mtls._checks.strength import key_strength, public_key
from mtls._model import ChainRules, EKUPolicy, FailureReason, Finding, Role, Severity, TLSVersion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mtls._policy import TLSPolicy

_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
"""The curves that TLS 1.3 has a signature scheme for and peers offer in TLS 1.2 (measured: OpenSSL 3 ends every
handshake with another one).
"""
_PUBLIC = x509.ObjectIdentifier("2.23.140.1")
"""The arc of the CA/Browser Forum: a certificate policy below it is what public CAs write into theirs."""


def check_usage(
    path: Sequence[x509.Certificate],
    role: Role,
    *,
    eku: EKUPolicy,
    chain_rules: ChainRules,
    anchor: x509.Certificate | None = None,
) -> Iterator[Finding]:
    """WRONG_EKU, EKU_ABSENT, WRONG_KEY_USAGE, NOT_A_CA, PATH_TOO_LONG and a key that TLS cannot sign with.

    ``path`` is leaf first; ``role`` is that of its owner; ``anchor`` is its last certificate where it is trusted.
    Extensions that cannot be read are not taken for absent.
    """
    below, counted = 0, 1
    for position, certificate in enumerate(path):
        if not has_readable_extensions(certificate):
            continue
        place = _Place(certificate, position, anchor, is_top=position == len(path) - 1)
        yield from _extended_key_usage(place, role, eku)
        if position:
            yield from _issues_certificates(place, role, chain_rules)
            limit = _path_length(certificate)
            if limit is not None and position - 1 > limit:
                below += sum(not is_self_issued(each) for each in path[counted:position])
                counted = position
                yield from _longer_than(limit, below, place, role)
    yield from unusable_key(path[0], role)
    yield from _leaf_key_usage(path[0], role)


def unusable_key(leaf: x509.Certificate, role: Role) -> Iterator[Finding]:
    """NO_SHARED_SIGNATURE_ALGORITHM for a key with which no handshake can be signed, whatever its path says."""
    key = public_key(leaf)
    if isinstance(key, (rsa.RSAPublicKey, ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
        return
    if isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name in _CURVES:
            return
        presented = key.curve.name
        what = f"is on the curve {presented}, with which TLS 1.3 cannot sign (RFC 8446, 4.2.3) and which peers do not "
        what += "accept in TLS 1.2"
    else:
        _, presented = key_strength(leaf)
        what = f"is {presented}, with which TLS 1.3 cannot sign (RFC 8446, 4.2.3)"
    yield Finding(
        failure=FailureReason.NO_SHARED_SIGNATURE_ALGORITHM,
        severity=Severity.ERROR,
        step=role.certificate_step,
        message=f"the key of leaf {label(leaf)} {what}",
        remedy="get a certificate for a key on P-256, or an RSA key",
        certificate=leaf,
        position=0,
        required="RSA, Ed25519, Ed448, or EC on P-256, P-384 or P-521",
        presented=presented,
    )


class _Place(NamedTuple):
    """A certificate and where it stands in the path."""

    certificate: x509.Certificate
    position: int
    anchor: x509.Certificate | None
    is_top: bool

    @property
    def who(self) -> str:
        """How a message begins; only those who have something to say ask for it."""
        return f"{owner_of(self.position, self.certificate, self.anchor)} {label(self.certificate)}"


def unusable_in_tls12(leaf: x509.Certificate, role: Role, policy: TLSPolicy) -> Iterator[Finding]:
    """WRONG_KEY_USAGE for a server's EC or Edwards key without digitalSignature where only TLS 1.2 is allowed: its
    client compares the key usage with the cipher suite, once the path is accepted.
    """
    usage = extension(leaf, x509.KeyUsage)
    signs = usage is None or usage.digital_signature
    if signs or role is not Role.SERVER or policy.maximum_version > TLSVersion.TLSv1_2:
        return
    if not isinstance(public_key(leaf), rsa.RSAPublicKey):
        for finding in _leaf_key_usage(leaf, role):
            yield replace(finding, severity=Severity.ERROR)


def _extended_key_usage(place: _Place, role: Role, policy: EKUPolicy) -> Iterator[Finding]:
    certificate, position = place.certificate, place.position
    present = extension(certificate, x509.ExtendedKeyUsage)
    fits = present is not None and allows(present, role)
    public_client = fits and position == 0 and role is Role.CLIENT and _is_public(certificate)
    if (fits and not public_client) or (present is None and position):
        return
    common = {"step": role.verified_at, "certificate": certificate, "position": position, "required": role.eku}
    ask = f"ask the CA for a certificate with {role.eku}"
    if present is None:
        required = policy is EKUPolicy.REQUIRED
        yield Finding(
            failure=FailureReason.WRONG_EKU if required else FailureReason.EKU_ABSENT,
            severity=Severity.ERROR if required else Severity.WARNING,
            message=f"{place.who} has no extended key usage; strict peers want {role.eku} (RFC 5280, 4.2.1.12)",
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
            message=f"{place.who} {fault.text}",
            remedy=remedy,
            presented=fault.presented,
            **common,  # type: ignore[arg-type] # the four keywords fit their fields
        )
    if public_client:
        yield Finding(
            failure=FailureReason.WRONG_EKU,
            severity=Severity.WARNING,
            message=f"{place.who} is a client certificate of a public CA, and public CAs stopped issuing clientAuth in "
            "2026: what it is renewed with will be refused",
            remedy="move clients to a private CA before this certificate ends",
            presented="clientAuth of a public CA",
            **common,  # type: ignore[arg-type] # the four keywords fit their fields
        )


def _is_public(certificate: x509.Certificate) -> bool:
    policies = extension(certificate, x509.CertificatePolicies)
    prefix = f"{_PUBLIC.dotted_string}."
    return any(policy.policy_identifier.dotted_string.startswith(prefix) for policy in policies or ())


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


def _issues_certificates(place: _Place, role: Role, rules: ChainRules) -> Iterator[Finding]:
    certificate, position = place.certificate, place.position
    usage = extension(certificate, x509.KeyUsage)
    faults = []
    if not _counts_as_ca(certificate, usage, rules if place.is_top else ChainRules.STRICT):
        faults.append((FailureReason.NOT_A_CA, "is no CA (basicConstraints)", "CA:TRUE"))
    if usage is not None and not usage.key_cert_sign:
        faults.append((FailureReason.WRONG_KEY_USAGE, "may not sign certificates (keyUsage)", "keyCertSign"))
    for failure, text, needed in faults:
        yield Finding(
            failure=failure,
            severity=Severity.ERROR,
            step=role.verified_at,
            message=f"{place.who} {text}, so no peer accepts what it issued",
            remedy="have the leaf issued by a proper CA",
            certificate=certificate,
            position=position,
            required=needed,
        )


def _counts_as_ca(certificate: x509.Certificate, usage: x509.KeyUsage | None, rules: ChainRules) -> bool:
    """At the top of a path, and unless it is strict, OpenSSL takes two for a CA that have no basicConstraints: a
    version 1 root, and a certificate whose keyUsage says so.
    """
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is not None:
        return constraints.ca
    version_1_root = certificate.version is x509.Version.v1 and is_self_issued(certificate)
    return rules is ChainRules.LENIENT and (version_1_root or (usage is not None and usage.key_cert_sign))


def _path_length(certificate: x509.Certificate) -> int | None:
    """RFC 5280, 4.2.1.9: how many CAs may stand between this one and the leaf; self-issued ones do not count."""
    constraints = extension(certificate, x509.BasicConstraints)
    return None if constraints is None else constraints.path_length


def _longer_than(limit: int, count: int, place: _Place, role: Role) -> Iterator[Finding]:
    if count > limit:
        yield Finding(
            failure=FailureReason.PATH_TOO_LONG,
            severity=Severity.ERROR,
            step=role.verified_at,
            message=f"{place.who} allows {limit} CAs below itself (pathLenConstraint), and the chain has {count}",
            remedy="have the leaf issued by a CA that stands higher, or this CA issued anew with a longer path",
            certificate=place.certificate,
            position=place.position,
            required=f"at most {limit}",
            presented=str(count),
        )
