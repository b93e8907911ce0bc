"""The certificates of the matrix: one good client and server, and one of each that is not.

Rule: every bad identity has exactly one fault; whoever refuses it can only mean that one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

import mtls
from mtls._credentials.request import key_usage
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from pathlib import Path

NOW, DAY = datetime.now(UTC), timedelta(days=1)
HOST = "localhost"
ADMITTED, INTRUDER = "billing-prod", "intruder"
"""The one client that an application lets in, and one with a certificate as good as that."""
_CA_NAME = "matrix root"
_WEAK_BITS = 1024


@dataclass(frozen=True)
class Identity:
    """A keystore, and the same as files: the leaf with its intermediates, and the key (PKCS#8, PEM)."""

    name: str
    keystore: mtls.Keystore
    certificate: Path
    key: Path
    bundle: Path
    """Key and chain in one file, as HAProxy reads it."""


class Pki:
    """Everybody's certificates, on disk and in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.root = CertificateAuthority(_CA_NAME)
        self._issuing = self.root.intermediate("matrix issuing CA")
        stranger, impostor = CertificateAuthority("stranger root"), CertificateAuthority(_CA_NAME)
        self.clients = self._identities("client", self._kinds("client", stranger, impostor))
        self.servers = self._identities("server", self._kinds("server", stranger, impostor))
        for identity in (self.clients["revoked"], self.servers["revoked"]):
            self.root.revoke(identity.keystore)
        self.truststore = self.root.truststore
        self.with_crls = mtls.Truststore.from_certificates(
            [self.root.certificate], crls=[self.root.crl(), self._issuing.crl()]
        )
        self.ca = self._write("ca.crt", self.root.certificate.public_bytes(Encoding.PEM))
        crls = b"".join(crl.public_bytes(Encoding.PEM) for crl in self.with_crls.crls)
        self.crls = self._write("ca.crl", crls)
        self.root_crl = self._write("root.crl", self.with_crls.crls[0].public_bytes(Encoding.PEM))

    def _kinds(
        self, role: str, stranger: CertificateAuthority, impostor: CertificateAuthority
    ) -> dict[str, mtls.Keystore]:
        client = role == "client"
        names = (ADMITTED,) if client else (HOST, "127.0.0.1")

        def issue(authority: CertificateAuthority, *other: str, **fields: Any) -> mtls.Keystore:
            return (authority.client if client else authority.server)(*(other or names), **fields)

        chained = issue(self._issuing)
        right, wrong = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
        if client:
            right, wrong = wrong, right
        weak = rsa.generate_private_key(public_exponent=65537, key_size=_WEAK_BITS)
        kinds = {
            "good": issue(self.root),
            "unknown CA": issue(stranger),
            "self-signed": _self_signed(names, right),
            "expired": issue(self.root, not_before=NOW - 9 * DAY, not_after=NOW - DAY),
            "not yet valid": issue(self.root, not_before=NOW + DAY, not_after=NOW + 9 * DAY),
            "wrong EKU": issue(self.root, eku=[wrong]),
            "incomplete chain": mtls.Keystore.from_objects(chained._private_key, chained.certificate, ()),
            "right name, wrong key": issue(impostor),
            "revoked": issue(self.root),
            "weak key": issue(self.root, private_key=weak),
        }
        if client:
            kinds["not authorized"] = issue(self.root, INTRUDER)
        else:
            kinds["host name"] = issue(self.root, "other.example")
        return kinds

    def _identities(self, role: str, kinds: dict[str, mtls.Keystore]) -> dict[str, Identity]:
        return {name: self._saved(role, name, keystore) for name, keystore in kinds.items()}

    def _saved(self, role: str, name: str, keystore: mtls.Keystore) -> Identity:
        stem = f"{role}-{name.replace(' ', '-').replace(',', '')}"
        chain = b"".join(
            certificate.public_bytes(Encoding.PEM) for certificate in (keystore.certificate, *keystore.chain)
        )
        key = keystore._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Identity(
            name,
            keystore,
            self._write(f"{stem}.crt", chain),
            self._write(f"{stem}.key", key),
            self._write(f"{stem}.pem", key + chain),
        )

    def _write(self, name: str, content: bytes) -> Path:
        path = self._folder / name
        path.write_bytes(content)
        path.chmod(0o644)  # Apache and nginx may read it as another user
        return path


def _self_signed(names: tuple[str, ...], eku: x509.ObjectIdentifier) -> mtls.Keystore:
    own = CertificateAuthority(
        names[0],
        names=names,
        eku=[eku],
        basic_constraints=x509.BasicConstraints(ca=False, path_length=None),
        key_usage=key_usage("digital_signature"),
    )
    return mtls.Keystore.from_objects(own._key, own.certificate, ())
