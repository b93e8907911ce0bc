"""Keys and signatures against the policy's security level, counted as OpenSSL counts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, x25519
from cryptography.hazmat.primitives.serialization import Encoding

import mtls
from mtls import FailureReason, HandshakeStep, Severity, TLSPolicy, TLSProfile
from mtls._checks.strength import check_strength

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric import rsa

    from mtls import Finding, Keystore
    from mtls.authority import CertificateAuthority

WEAK_KEY, WEAK_SIGNATURE = FailureReason.WEAK_KEY, FailureReason.WEAK_SIGNATURE
SHA256_WITH_RSA = bytes.fromhex("2a864886f70d01010b")
ED25519_OID, UNKNOWN_OID = bytes.fromhex("06032b6570"), bytes.fromhex("06032b657f")


def _level(level: int) -> TLSPolicy:
    return TLSPolicy(name=f"level {level}", security_level=level)


def _judge(certificate: x509.Certificate, level: int) -> list[Finding]:
    step = HandshakeStep.CLIENT_VERIFIES_SERVER
    return check_strength(certificate, _level(level), step=step, owner="leaf", position=0)


def _failures(certificate: x509.Certificate, level: int) -> list[FailureReason]:
    return [finding.failure for finding in _judge(certificate, level)]


def _certificate(public_key: Any, signed_by: Any = None, digest: Any = None) -> x509.Certificate:
    """A certificate for any kind of key, those that no keystore takes included."""
    key = ec.generate_private_key(ec.SECP521R1()) if signed_by is None else signed_by
    subject, issuer = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("leaf", "CA"))
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
    builder = builder.serial_number(1).not_valid_before(datetime(2030, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2031, 1, 1, tzinfo=UTC))
    ed = isinstance(key, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
    return builder.sign(key, None if ed else digest or hashes.SHA512())


@pytest.mark.parametrize(
    ("bits", "highest"),
    [(1024, 1), (2048, 2), (3072, 3)],
)
def test_an_rsa_key_passes_up_to_the_level_of_its_size(
    rsa_key: Callable[[int], rsa.RSAPrivateKey], bits: int, highest: int
) -> None:
    certificate = _certificate(rsa_key(bits).public_key())
    assert [_failures(certificate, level) for level in range(highest + 1)] == [[]] * (highest + 1)
    assert _failures(certificate, highest + 1) == [WEAK_KEY]


def test_an_rsa_key_is_worth_what_openssl_says() -> None:
    """The figures are those of ``RSA_security_bits`` in OpenSSL 3.0."""
    from mtls._policy import rsa_security_bits

    worth = {
        7: 0, 512: 56, 768: 72, 1000: 80, 1024: 80, 1536: 96, 1990: 112, 2000: 112, 2047: 112, 2048: 112, 2432: 120,
        3072: 128, 4096: 152, 7680: 192, 7681: 200, 15360: 256, 16384: 272,
    }  # fmt: skip
    assert {bits: rsa_security_bits(bits) for bits in worth} == worth


@pytest.mark.parametrize(
    ("key", "highest"),
    [
        (ec.generate_private_key(ec.SECP192R1()), 1),
        (ec.generate_private_key(ec.SECP224R1()), 2),
        (ec.generate_private_key(ec.SECP256R1()), 3),
        (ec.generate_private_key(ec.SECP384R1()), 4),
        (ec.generate_private_key(ec.SECP521R1()), 5),
        (ed25519.Ed25519PrivateKey.generate(), 3),
        (ed448.Ed448PrivateKey.generate(), 4),
        (dsa.generate_private_key(2048), 2),
        (x25519.X25519PrivateKey.generate(), 0),
    ],
    ids=["P-192", "P-224", "P-256", "P-384", "P-521", "Ed25519", "Ed448", "DSA 2048", "X25519"],
)
def test_a_key_passes_up_to_the_level_of_its_kind(key: Any, highest: int) -> None:
    certificate = _certificate(key.public_key())
    passed = [level for level in range(6) if WEAK_KEY not in _failures(certificate, level)]
    assert passed == list(range(highest + 1))


@pytest.mark.parametrize(
    ("signer", "digest", "highest"),
    [
        (ec.generate_private_key(ec.SECP521R1()), hashes.SHA224(), 2),
        (ec.generate_private_key(ec.SECP521R1()), hashes.SHA3_224(), 2),
        (ec.generate_private_key(ec.SECP521R1()), hashes.SHA256(), 3),
        (ec.generate_private_key(ec.SECP521R1()), hashes.SHA384(), 4),
        (ec.generate_private_key(ec.SECP521R1()), hashes.SHA512(), 5),
        (ed25519.Ed25519PrivateKey.generate(), None, 3),
        (ed448.Ed448PrivateKey.generate(), None, 4),
    ],
    ids=["SHA-224", "SHA3-224", "SHA-256", "SHA-384", "SHA-512", "Ed25519", "Ed448"],
)
def test_a_signature_passes_up_to_the_level_of_its_digest(signer: Any, digest: Any, highest: int) -> None:
    certificate = _certificate(ec.generate_private_key(ec.SECP521R1()).public_key(), signer, digest)
    passed = [level for level in range(6) if WEAK_SIGNATURE not in _failures(certificate, level)]
    assert passed == list(range(highest + 1))


@pytest.mark.parametrize(("digest", "last_arc", "bits"), [("sha1", "05", 63), ("md5", "04", 39)])
def test_a_signature_over_an_old_digest_fails_even_level_1(
    rsa_key: Callable[[int], rsa.RSAPrivateKey], digest: str, last_arc: str, bits: int
) -> None:
    key = ec.generate_private_key(ec.SECP521R1()).public_key()
    plain = _certificate(key, rsa_key(2048), hashes.SHA256()).public_bytes(Encoding.DER)
    old = bytes.fromhex("2a864886f70d0101" + last_arc)
    assert plain.count(SHA256_WITH_RSA) == 2
    certificate = x509.load_der_x509_certificate(plain.replace(SHA256_WITH_RSA, old))
    assert _failures(certificate, 0) == []
    [found] = _judge(certificate, 1)
    assert found == mtls.Finding(
        failure=WEAK_SIGNATURE,
        severity=Severity.ERROR,
        step=HandshakeStep.CLIENT_VERIFIES_SERVER,
        message=f"the signature on leaf CN=leaf uses {digest.upper()}, worth {bits} bits; level 1 asks for 80",
        remedy="have the certificate issued anew, with a stronger key and SHA-256 or better (RSA 2048, EC P-256)",
        certificate=certificate,
        position=0,
        required="80 bits",
        presented=f"{bits} bits",
    )


def test_a_profile_refuses_a_sha1_certificate_before_openssl_does(
    signed_with: Callable[[str], Keystore], authority: CertificateAuthority
) -> None:
    profile = TLSProfile.client(truststore=authority.truststore, keystore=signed_with("sha1"))
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    [found] = caught.value.report.errors
    assert (found.failure, found.step) == (WEAK_SIGNATURE, HandshakeStep.SERVER_VERIFIES_CLIENT)
    assert "uses SHA1, worth 63 bits; MOZILLA_INTERMEDIATE asks for 112" in found.message


def test_a_weak_key_is_told_with_its_kind_and_worth(rsa_key: Callable[[int], rsa.RSAPrivateKey]) -> None:
    [found] = _judge(_certificate(rsa_key(1024).public_key()), 2)
    assert found.message == "the key of leaf CN=leaf is RSA 1024, worth 80 bits; level 2 asks for 112"
    assert (found.required, found.presented, found.severity) == ("112 bits", "80 bits", Severity.ERROR)


def test_the_own_signature_of_a_self_signed_certificate_is_not_judged(
    openssl: Callable[..., Path],
) -> None:
    folder = openssl(
        *("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha1"),
        *("-keyout", "self.key", "-out", "self.pem", "-subj", "/CN=self"),
    )
    certificate = mtls.Keystore.from_pem(folder / "self.pem", folder / "self.key").certificate
    assert certificate.signature_hash_algorithm is not None
    assert certificate.signature_hash_algorithm.name == "sha1"
    assert _failures(certificate, 3) == []


def test_a_key_of_an_unknown_algorithm_is_worth_nothing_and_no_exception() -> None:
    plain = _certificate(ed25519.Ed25519PrivateKey.generate().public_key()).public_bytes(Encoding.DER)
    assert plain.count(ED25519_OID) == 1
    certificate = x509.load_der_x509_certificate(plain.replace(ED25519_OID, UNKNOWN_OID))
    [found] = _judge(certificate, 1)
    assert found.failure is WEAK_KEY
    assert (
        found.message == "the key of leaf CN=leaf is of the unknown kind 1.3.101.127, worth 0 bits; level 1 asks for 80"
    )


def test_a_signature_of_an_unknown_algorithm_is_worth_nothing_and_no_exception() -> None:
    signer = ed25519.Ed25519PrivateKey.generate()
    plain = _certificate(ec.generate_private_key(ec.SECP256R1()).public_key(), signer).public_bytes(Encoding.DER)
    assert plain.count(ED25519_OID) == 2
    certificate = x509.load_der_x509_certificate(plain.replace(ED25519_OID, UNKNOWN_OID))
    [found] = _judge(certificate, 1)
    assert found.failure is WEAK_SIGNATURE
    assert found.message == (
        "the signature on leaf CN=leaf uses the unknown algorithm 1.3.101.127, worth 0 bits; level 1 asks for 80"
    )


def test_a_weak_intermediate_is_told_with_its_place(
    authority: CertificateAuthority, rsa_key: Callable[[int], rsa.RSAPrivateKey]
) -> None:
    keystore = authority.intermediate("weak CA", private_key=rsa_key(1024)).server("localhost")
    [found] = TLSProfile.server(keystore=keystore).check().errors
    assert (found.failure, found.position, found.certificate) == (WEAK_KEY, 1, keystore.chain[0])
    assert found.message.startswith("the key of intermediate CN=weak CA is RSA 1024, worth 80 bits")
