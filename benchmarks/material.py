"""Certificates, keys and contexts of both kinds: ours, and stock ones with equal settings.

Rule: both kinds read the same files and are set up alike, so that what differs is the library. A chain is a leaf, one
intermediate and the root, all with keys of one kind.
"""

from __future__ import annotations

import atexit
import functools
import ssl
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypedDict

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mtls import MOZILLA_INTERMEDIATE, Keystore, Role, TLSPolicy, TLSProfile, TLSVersion, Truststore
from mtls.authority import CertificateAuthority, KeyType

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from cryptography import x509

    from mtls import ClientProfile, ServerProfile

HOST = "localhost"
EC, RSA2048, RSA4096 = KeyType.EC_P256, KeyType.RSA_2048, KeyType.RSA_4096
NAMES = {EC: "EC P-256", RSA2048: "RSA 2048", RSA4096: "RSA 4096"}
VERSIONS = {TLSVersion.TLSv1_3: "TLS 1.3", TLSVersion.TLSv1_2: "TLS 1.2"}


class Files(NamedTuple):
    """What one side is given, in PEM: its chain and key, and the root that it trusts."""

    certificate: Path
    key: Path
    root: Path


class Choice(TypedDict, total=False):
    """How a side differs from the usual: whom it trusts, and whether it has a certificate to show."""

    root: Path
    identity: bool


@functools.cache
def files(role: Role, kind: KeyType) -> Files:
    """The files of one side; both sides of a kind are of one CA."""
    folder = _folder() / f"{role.value}-{kind.value}"
    folder.mkdir()
    authority = _authority(kind)
    issue = authority.client if role is Role.CLIENT else authority.server
    held = issue(HOST, key_type=kind)
    key = held._private_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    made = Files(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")
    made.certificate.write_bytes(_pem([held.certificate, *held.chain]))
    made.key.write_bytes(key)
    made.root.write_bytes(_pem([authority.root]))
    return made


@functools.cache
def foreign_root() -> Path:
    """A root that nobody here has a certificate of."""
    path = _folder() / "foreign.crt"
    path.write_bytes(_pem([CertificateAuthority("somebody else").root]))
    return path


def policy(version: TLSVersion) -> TLSPolicy:
    """The default policy, for one version only."""
    return replace(MOZILLA_INTERMEDIATE, minimum_version=version, maximum_version=version)


def profile(
    role: Role,
    given: Files,
    rules: TLSPolicy = MOZILLA_INTERMEDIATE,
    **choice: Unpack[Choice],
) -> ClientProfile | ServerProfile:
    """Our profile for one side, read from its files."""
    truststore = Truststore.from_pem(choice.get("root", given.root))
    if not choice.get("identity", True):
        return TLSProfile.client(truststore=truststore, policy=rules)
    keystore = Keystore.from_pem(given.certificate, given.key)
    if role is Role.CLIENT:
        return TLSProfile.client(keystore=keystore, truststore=truststore, policy=rules)
    return TLSProfile.server(keystore=keystore, truststore=truststore, policy=rules)


def stock(
    role: Role,
    given: Files,
    rules: TLSPolicy = MOZILLA_INTERMEDIATE,
    **choice: Unpack[Choice],
) -> ssl.SSLContext:
    """A context of the standard library with the settings that a profile makes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if role is Role.CLIENT else ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.minimum_version = ssl.TLSVersion(rules.minimum_version)
    context.maximum_version = ssl.TLSVersion(rules.maximum_version)
    context.set_ciphers(rules.cipher_string)
    context.hostname_checks_common_name = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    context.load_verify_locations(choice.get("root", given.root))
    if choice.get("identity", True):
        context.load_cert_chain(given.certificate, given.key)
    return context


@functools.cache
def _authority(kind: KeyType) -> CertificateAuthority:
    return CertificateAuthority("benchmark root", key_type=kind).intermediate("benchmark issuer", key_type=kind)


@functools.cache
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="mtls-benchmarks-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


def _pem(certificates: Sequence[x509.Certificate]) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
