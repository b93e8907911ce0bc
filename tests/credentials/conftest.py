"""Certificates made in code, and the foreign programs that make key files."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import NameOID

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes

NOW = datetime.now(UTC).replace(microsecond=0)


class Tool(Protocol):
    """Runs a foreign program and returns its output."""

    def __call__(self, program: str, *args: str, given: bytes | None = None) -> bytes: ...


@pytest.fixture(scope="session")
def tool() -> Tool:
    return _run


def _run(program: str, *args: str, given: bytes | None = None) -> bytes:
    if shutil.which(program) is None:
        reason = f"{program} is not installed"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    run = subprocess.run([program, *args], input=given, capture_output=True, check=False, env=environment, timeout=60)
    assert run.returncode == 0, (program, args, run.stdout + run.stderr)
    return run.stdout


class Pki:
    """A root, an intermediate, a leaf, and whatever else a test makes."""

    def __init__(self) -> None:
        self.root_key, self.intermediate_key, self.leaf_key = (self.new_key() for _ in range(3))
        self.root = self.certificate("Root", self.root_key, ca=True)
        self.intermediate = self.certificate(
            "Intermediate", self.intermediate_key, issuer=(self.root, self.root_key), ca=True
        )
        self.leaf = self.certificate(
            "leaf", self.leaf_key, issuer=(self.intermediate, self.intermediate_key), names=["leaf.example"]
        )

    @staticmethod
    def new_key() -> ec.EllipticCurvePrivateKey:
        return ec.generate_private_key(ec.SECP256R1())

    @functools.cached_property
    def rsa_key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65537, 2048)

    def certificate(
        self,
        name: str,
        key: CertificateIssuerPrivateKeyTypes,
        *,
        issuer: tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes] | None = None,
        ca: bool = False,
        names: list[str] | None = None,
        days: int = 30,
        signer: CertificateIssuerPrivateKeyTypes | None = None,
        key_ids: bool = True,
    ) -> x509.Certificate:
        """A certificate of ``key`` issued by ``issuer`` (else self-signed), signed with ``signer`` if that is given."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer_key = issuer[1] if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer[0].subject if issuer else subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - timedelta(hours=1))
            .not_valid_after(NOW + timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if key_ids:
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        if names:
            san = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
            builder = builder.add_extension(san, critical=False)
        used = signer or issuer_key
        no_digest = isinstance(used, (ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey))
        return builder.sign(used, None if no_digest else hashes.SHA256())

    def crl(self, *serials: int) -> x509.CertificateRevocationList:
        """A CRL of the root."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.root.subject)
            .last_update(NOW - timedelta(hours=1))
            .next_update(NOW + timedelta(days=1))
        )
        for serial in serials:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW).build()
            builder = builder.add_revoked_certificate(revoked)
        return builder.sign(self.root_key, hashes.SHA256())

    @staticmethod
    def pem(*members: x509.Certificate | x509.CertificateRevocationList | CertificateIssuerPrivateKeyTypes) -> bytes:
        """Certificates, CRLs and keys (PKCS#8, not encrypted) as PEM, in the order given."""
        return b"".join(
            member.public_bytes(Encoding.PEM)
            if isinstance(member, (x509.Certificate, x509.CertificateRevocationList))
            else member.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            for member in members
        )

    @staticmethod
    def encrypted(key: CertificateIssuerPrivateKeyTypes, password: str) -> bytes:
        """A key as encrypted PKCS#8 in PEM."""
        encryption = BestAvailableEncryption(password.encode())
        return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)


@pytest.fixture(scope="session")
def pki() -> Pki:
    return Pki()
