"""Are this certificate's key and signature strong enough for that policy?"""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from mtls._certificate import label
from mtls._model import FailureReason, Finding, HandshakeStep, Severity
from mtls._policy import TLSPolicy, rsa_security_bits, signature_security_bits

_USUAL = "a stronger key and SHA-256 or better (RSA 2048, EC P-256)"
_STRONG_ENOUGH = {
    3: "a stronger key and SHA-256 or better (RSA 3072, EC P-256)",
    4: "a stronger key and SHA-384 or better (RSA 7680, EC P-384)",
    5: "a stronger key and SHA-512 (RSA 15360, EC P-521)",
}
_ED25519_BITS = 128
_ED448_BITS = 224


def check_strength(
    certificate: x509.Certificate,
    policy: TLSPolicy,
    *,
    step: HandshakeStep,
    owner: str,
    position: int,
    anchor: bool = False,
) -> list[Finding]:
    """WEAK_KEY and WEAK_SIGNATURE against the policy's security level, counted as OpenSSL counts.

    The signature on a trust ``anchor`` is not judged, nor a self-signed certificate's own: nobody relies on it.
    """
    needed = policy.minimum_security_bits
    found = []
    key_bits, key_name = key_strength(certificate)
    if key_bits < needed:
        found.append((FailureReason.WEAK_KEY, f"the key of {owner} {label(certificate)} is {key_name}", key_bits))
    signature_bits, digest = _signature_strength(certificate)
    if signature_bits < needed and not anchor and certificate.subject != certificate.issuer:
        text = f"the signature on {owner} {label(certificate)} uses {digest}"
        found.append((FailureReason.WEAK_SIGNATURE, text, signature_bits))
    return [
        Finding(
            failure=failure,
            severity=Severity.ERROR,
            step=step,
            message=f"{text}, worth {bits} bits; {policy.name} asks for {needed}",
            remedy=f"have the certificate issued anew, with {_STRONG_ENOUGH.get(policy.security_level, _USUAL)}",
            certificate=certificate,
            position=position,
            required=f"{needed} bits",
            presented=f"{bits} bits",
        )
        for failure, text, bits in found
    ]


def key_strength(certificate: x509.Certificate) -> tuple[int, str]:
    """The security bits of its public key and what to call that: ``(128, "EC secp256r1")``."""
    match key := public_key(certificate):
        case rsa.RSAPublicKey():
            return rsa_security_bits(key.key_size), f"RSA {key.key_size}"
        case dsa.DSAPublicKey():
            return rsa_security_bits(key.key_size), f"DSA {key.key_size}"
        case ec.EllipticCurvePublicKey():
            return key.key_size // 2, f"EC {key.curve.name}"
        case ed25519.Ed25519PublicKey():
            return _ED25519_BITS, "Ed25519"
        case ed448.Ed448PublicKey():
            return _ED448_BITS, "Ed448"
        case x509.ObjectIdentifier():
            return 0, f"of the unknown kind {key.dotted_string}"
        case _:
            return 0, type(key).__name__


def public_key(certificate: x509.Certificate) -> object:
    """The key, or the number of its algorithm where ``cryptography`` cannot read it."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return certificate.public_key_algorithm_oid


def _signature_strength(certificate: x509.Certificate) -> tuple[int, str]:
    try:
        digest = certificate.signature_hash_algorithm
    except (UnsupportedAlgorithm, ValueError):
        return 0, f"the unknown algorithm {certificate.signature_algorithm_oid.dotted_string}"
    if digest is None:  # Ed25519 and Ed448 sign the message itself
        is_448 = certificate.signature_algorithm_oid == x509.SignatureAlgorithmOID.ED448
        return (_ED448_BITS, "Ed448") if is_448 else (_ED25519_BITS, "Ed25519")
    return signature_security_bits(digest.name, digest.digest_size * 8), digest.name.upper()
