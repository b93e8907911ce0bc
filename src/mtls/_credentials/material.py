"""A private key with the certificates beside it, as a source holds them.

Rule: here is read and told what the source holds; whether key and certificates fit each other is the keystore's
question. A recipe remembers where material came from, so that it can be read again.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mtls._credentials import keys, pem, pkcs12, x509_objects
from mtls._credentials.sources import Document, Named, Origin, current_generation, in_generation, paths_of
from mtls._model import SourceFailure
from mtls.errors import KeystoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cryptography import x509

    from mtls._credentials.secret import Passphrase

MOST_CERTIFICATES = 100
"""The most certificates that a keystore may bring."""

_NO_RETRY: tuple[float, ...] = ()


class Material(NamedTuple):
    """A key, its certificates in the order of the source (if it has one), and the sources as errors name them."""

    key: keys.PrivateKey
    certificates: tuple[x509.Certificate, ...]
    key_source: Named
    certificate_source: Named
    ordered: bool = True
    leaf: x509.Certificate | None = None
    """The leaf, where the source says which one it is."""


class Recipe(Protocol):
    """How to read material. ``pauses``: seconds to wait before it is read again, if it does not fit together."""

    @property
    def password(self) -> Passphrase: ...
    @property
    def paths(self) -> tuple[str, ...]: ...
    @property
    def pauses(self) -> tuple[float, ...]: ...
    def read(self, password: Passphrase) -> Material: ...


class PemRecipe:
    """Certificates and key from one PEM source or from two."""

    __slots__ = ("_certificate", "_key", "password")
    pauses = _NO_RETRY

    def __init__(self, certificate: Origin, key: Origin | None, password: Passphrase) -> None:
        self._certificate = certificate
        self._key = key
        self.password = password

    @property
    def paths(self) -> tuple[str, ...]:
        """The files."""
        return paths_of([self._certificate, self._key] if self._key else [self._certificate])

    def read(self, password: Passphrase) -> Material:
        """Read both. With a key source of its own, a key beside the certificates is passed over, as in OpenSSL."""
        document = self._certificate.read()
        key_document = self._key.read() if self._key else document
        blocks = pem.blocks(document)
        key_blocks = pem.blocks(key_document) if self._key else blocks
        _check_not_swapped(blocks, key_blocks, document)
        _check_number(sum(block.is_certificate for block in blocks), document)
        certificates = tuple(x509_objects.certificate(block) for block in blocks if block.is_certificate)
        if not certificates:
            raise pem.without("certificate", SourceFailure.NO_CERTIFICATE, blocks, document)
        found = [block for block in key_blocks if block.is_private_key]
        if not found:
            raise pem.without("private key", SourceFailure.NO_KEY, key_blocks, key_document)
        _check_one_key(len(found), key_document)
        return Material(keys.from_block(found[0], password), certificates, key_document, document)


class DirectoryRecipe:
    """A directory with certificates and key in two files, such as Kubernetes mounts a TLS secret.

    kubelet writes new files into a new directory and renames the symbolic link ``..data`` to it: so the link is
    resolved once and both files are read behind it. Other tools write one file after the other: so material that does
    not fit together is read again a few times.
    """

    __slots__ = ("_certificate", "_directory", "_key", "password")
    pauses = (0.02, 0.05, 0.1)

    def __init__(self, directory: str, certificate: str, key: str, password: Passphrase) -> None:
        self._directory = directory
        self._certificate = certificate
        self._key = key
        self.password = password

    @property
    def paths(self) -> tuple[str, ...]:
        """The files by their lasting names, not those behind the link."""
        return tuple(dict.fromkeys(os.path.join(self._directory, name) for name in (self._certificate, self._key)))  # noqa: PTH118

    def read(self, password: Passphrase) -> Material:
        """Read both files behind the link as it is now."""
        generation = current_generation(self._directory)
        certificate = in_generation(generation, self._directory, self._certificate, KeystoreError)
        key = in_generation(generation, self._directory, self._key, KeystoreError)
        return PemRecipe(certificate, None if certificate.path == key.path else key, password).read(password)


class Pkcs12Recipe:
    """A PKCS#12 file."""

    __slots__ = ("_origin", "password")
    pauses = _NO_RETRY

    def __init__(self, origin: Origin, password: Passphrase) -> None:
        self._origin = origin
        self.password = password

    @property
    def paths(self) -> tuple[str, ...]:
        """The file."""
        return paths_of([self._origin])

    def read(self, password: Passphrase) -> Material:
        """Read it. Its certificates have no order."""
        document = self._origin.read()
        contents = pkcs12.open_(document, password)
        _check_one_key(pkcs12.private_keys(document), document)
        if contents.key is None:
            remedy = "a truststore is read by Truststore.from_pkcs12()"
            raise document.refusal(SourceFailure.NO_KEY, "it holds no private key", remedy)
        if not contents.certificates:
            remedy = "export it again together with its certificate"
            raise document.refusal(SourceFailure.NO_CERTIFICATE, "it holds a private key but no certificate", remedy)
        _check_number(len(contents.certificates), document)
        certificates = tuple(x509_objects.readable(one, document) for one in contents.certificates)
        return Material(keys.checked(contents.key, document), certificates, document, document, ordered=False)


def _check_not_swapped(blocks: Sequence[pem.Block], key_blocks: Sequence[pem.Block], document: Document) -> None:
    has_certificate, has_key = any(b.is_certificate for b in blocks), any(b.is_private_key for b in key_blocks)
    swapped = any(b.is_private_key for b in blocks) and any(b.is_certificate for b in key_blocks)
    if swapped and not has_certificate and not has_key:
        problem = "it holds a private key where the certificate is expected, and the other source holds the certificate"
        raise document.refusal(SourceFailure.NO_CERTIFICATE, problem, "swap certificate and key in the call")


def _check_one_key(count: int, document: Document) -> None:
    if count > 1:
        problem = f"it holds {count} private keys, and nothing tells which one to use"
        raise document.refusal(SourceFailure.SEVERAL_KEYS, problem, "keep each key in a file of its own")


def _check_number(count: int, document: Document) -> None:
    if count > MOST_CERTIFICATES:
        problem = f"it holds {count} certificates, and a keystore takes {MOST_CERTIFICATES}"
        raise document.refusal(SourceFailure.TOO_LARGE, problem, "a list of CAs belongs into a truststore")
