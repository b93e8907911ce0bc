"""The keys we make: their kinds, the hash each signs with, and the digest each is known by.

Rule: every kind is one that TLS signs with, and no key signs with a hash weaker than its curve.
"""

from __future__ import annotations

import enum
import hashlib
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mtls.errors import UsageError

if TYPE_CHECKING:
    from cryptography import x509

    from mtls._credentials.keys import PrivateKey


class KeyType(enum.StrEnum):
    """The kinds of private key that can be made."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    RSA_4096 = "rsa-4096"
    EC_P256 = "ec-p256"
    EC_P384 = "ec-p384"
    EC_P521 = "ec-p521"
    ED25519 = "ed25519"
    ED448 = "ed448"


_CURVES = {KeyType.EC_P256: ec.SECP256R1(), KeyType.EC_P384: ec.SECP384R1(), KeyType.EC_P521: ec.SECP521R1()}


def generate_key(key_type: KeyType | str) -> PrivateKey:
    """A new private key."""
    try:
        wanted = KeyType(key_type)
    except ValueError:
        text = f"key_type={key_type!r} is unknown; use one of {', '.join(KeyType)}"
        raise UsageError(text) from None
    if wanted in _CURVES:
        return ec.generate_private_key(_CURVES[wanted])
    if wanted is KeyType.ED25519:
        return ed25519.Ed25519PrivateKey.generate()
    if wanted is KeyType.ED448:
        return ed448.Ed448PrivateKey.generate()
    return rsa.generate_private_key(public_exponent=65537, key_size=int(wanted.value.removeprefix("rsa-")))


def default_hash(key: PrivateKey) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512 | None:
    """The hash to sign with: as strong as the curve (RFC 5480, 4), and none for Ed25519 and Ed448 (RFC 8410)."""
    if isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)):
        return None
    if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, (ec.SECP384R1, ec.SECP521R1)):
        return hashes.SHA384() if isinstance(key.curve, ec.SECP384R1) else hashes.SHA512()
    return hashes.SHA256()


def key_digest(holder: PrivateKey | x509.Certificate | x509.CertificateSigningRequest) -> str:
    """The SHA-256 digest of the SubjectPublicKeyInfo, in hexadecimal: the same for a key and its certificate."""
    encoded = holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(encoded).hexdigest()
