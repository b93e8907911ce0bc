"""Private keys: read, checked against themselves, described, and written for OpenSSL.

Rule: a key that comes out of here is of a kind that TLS signs with, and its two halves belong together.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, cast, get_args

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
    load_pem_private_key,
)

from mtls._credentials.der import OCTET_STRING, SEQUENCE, children, element, encoded
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.secret import Secret, revealed
from mtls._model import SourceFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes

    from mtls._credentials.pem import Block
    from mtls._credentials.secret import Passphrase
    from mtls._credentials.sources import Named
    from mtls.errors import SourceError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
"""The keys that TLS 1.2 and 1.3 sign with."""

_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_PSS = "1.2.840.113549.1.1.10"
_PSS_IDENTIFIER = bytes.fromhex("300b06092a864886f70d01010a")
_REENCRYPT = "decrypt it with the tool that made it, and encrypt it with: openssl pkcs8 -topk8 -v2 aes-256-cbc"
_NEEDED = "TLS needs an RSA, EC (P-256, P-384, P-521), Ed25519 or Ed448 key"
_UNREADABLE = {
    "OPENSSH PRIVATE KEY": (
        SourceFailure.WRONG_FORMAT,
        "is in the OpenSSH format, not PEM of PKCS#8",
        "convert a copy of it in place: ssh-keygen -p -N '' -m PEM -f COPY",
    ),
    "PKCS#11 PROVIDER URI": (
        SourceFailure.UNSUPPORTED_KEY,
        "names a key in a token (PKCS#11), which cannot be read",
        "a keystore needs the key itself",
    ),
    "TSS2 PRIVATE KEY": (
        SourceFailure.UNSUPPORTED_KEY,
        "is a key in a TPM, which cannot be read",
        "a keystore needs the key itself",
    ),
}


def from_block(block: Block, password: Passphrase) -> PrivateKey:
    """The key of a PEM block: PKCS#8 or traditional, plain or encrypted. The password is asked for if it is needed.

    Raises the error of the source: ``PASSWORD_REQUIRED``, ``WRONG_PASSWORD``, ``WRONG_FORMAT``, ``DAMAGED`` or
    ``UNSUPPORTED_KEY``.
    """
    if block.label in _UNREADABLE:
        failure, problem, remedy = _UNREADABLE[block.label]
        raise block.document.refusal(failure, f"{block.place} {problem}", remedy)
    encoded_key = block.der()
    if block.cipher is not None:
        return checked(_decrypted(block, password, _traditional(block)), block.document)
    if [child.tag for child in children(encoded_key, element(encoded_key))] == [SEQUENCE, OCTET_STRING]:
        return checked(_decrypted(block, password, _pkcs8(encoded_key)), block.document)
    if block.label == "ENCRYPTED PRIVATE KEY":
        raise block.damaged("is no EncryptedPrivateKeyInfo (RFC 5958)")
    key = attempt(lambda: _pkcs8(encoded_key)(None))
    if isinstance(key, Refused):
        raise _unreadable(block, key) from key.cause
    return checked(key, block.document)


def checked(key: object, source: Named) -> PrivateKey:
    """``key`` itself. Raises ``UNSUPPORTED_KEY`` for a kind that TLS does not sign with, and ``DAMAGED`` where the
    private half does not belong to the public one.

    An RSA key is checked with integers alone: the full check of ``cryptography`` proves the primes, which costs 40 to
    300 ms and tells nothing about a key that fits its certificate.
    """
    if not isinstance(key, get_args(PrivateKey)):
        name = type(key).__name__.removesuffix("PrivateKey").removeprefix("_")
        raise source.refusal(SourceFailure.UNSUPPORTED_KEY, f"the private key is a {name} key", _NEEDED)
    if isinstance(key, rsa.RSAPrivateKey) and attempt(lambda: _is_whole(key.private_numbers())) is not True:
        problem = "the RSA key is damaged: its numbers do not belong together"
        raise source.refusal(SourceFailure.DAMAGED, problem, "get the key again from where it came from")
    return cast("PrivateKey", key)


def describe(key: PublicKeyTypes) -> str:
    """The kind of a public key as people write it: ``RSA 2048``, ``ECDSA P-256``, ``Ed25519``."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {_CURVES.get(key.curve.name, key.curve.name)}"
    return type(key).__name__.removesuffix("PublicKey")


def to_pem(key: PrivateKey, algorithm: str) -> Secret:
    """The unencrypted key as PEM of PKCS#8, for a certificate whose key has the OID ``algorithm``.

    ``cryptography`` writes an RSASSA-PSS key as a plain RSA key, which OpenSSL then refuses beside its certificate.
    """
    plain = Secret(key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    if algorithm == _PSS:
        version, _, octets = children(plain, element(plain))
        parts = Secret(plain.reveal()[version.start : version.end]), Secret(_PSS_IDENTIFIER)
        plain = encoded(SEQUENCE, *parts, Secret(plain.reveal()[octets.start : octets.end]))
    return Secret(b"-----BEGIN PRIVATE KEY-----\n%b-----END PRIVATE KEY-----\n" % base64.encodebytes(plain.reveal()))


def _is_whole(numbers: rsa.RSAPrivateNumbers) -> bool:
    """RFC 8017, 3.2. The numbers are never bound: locals can end up in a traceback."""
    return (
        numbers.p > 1
        and numbers.q > 1
        and numbers.p * numbers.q == numbers.public_numbers.n
        and numbers.dmp1 == numbers.d % (numbers.p - 1)
        and numbers.dmq1 == numbers.d % (numbers.q - 1)
        and numbers.public_numbers.e * numbers.dmp1 % (numbers.p - 1) == 1
        and numbers.public_numbers.e * numbers.dmq1 % (numbers.q - 1) == 1
        and numbers.iqmp * numbers.q % numbers.p == 1
    )


def _pkcs8(encoded_key: Secret) -> Callable[[Secret | None], PrivateKeyTypes]:
    return lambda password: load_der_private_key(
        encoded_key.reveal(), revealed(password), unsafe_skip_rsa_key_validation=True
    )


def _traditional(block: Block) -> Callable[[Secret | None], PrivateKeyTypes]:
    return lambda password: load_pem_private_key(
        block.pem().reveal(), revealed(password), unsafe_skip_rsa_key_validation=True
    )


def _decrypted(block: Block, password: Passphrase, load: Callable[[Secret | None], PrivateKeyTypes]) -> object:
    secret = password.ask(block.document)
    if secret is None:
        problem = f"{block.place} is encrypted and no password was given"
        raise block.document.refusal(SourceFailure.PASSWORD_REQUIRED, problem, "give it as password=")
    key = attempt(lambda: load(secret))
    if not isinstance(key, Refused):
        return key
    if key.unsupported:
        problem = f"{block.place} is encrypted with a cipher that cannot be read{_named(block)}"
        raise block.document.refusal(SourceFailure.UNSUPPORTED_KEY, problem, _REENCRYPT) from key.cause
    problem = f"{block.place} does not open with the password given"
    remedy = "check the password (and a line break at its end); a damaged file looks the same"
    raise block.document.refusal(SourceFailure.WRONG_PASSWORD, problem, remedy) from key.cause


def _named(block: Block) -> str:
    return f" ({block.cipher})" if block.cipher else ""


def _unreadable(block: Block, refused: Refused) -> SourceError:
    if refused.unsupported:
        problem = f"{block.place} is of a kind that cannot be read"
        return block.document.refusal(SourceFailure.UNSUPPORTED_KEY, problem, _NEEDED)
    return block.damaged("is not a well-formed private key")
