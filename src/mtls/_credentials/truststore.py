"""The CA certificates (or pinned leaf certificates) that we accept peers from, with their CRLs.

Rule: what is an anchor was named by the caller. Nothing is added in silence, and nothing else imports certifi.
"""

from __future__ import annotations

import functools
import hashlib
from typing import TYPE_CHECKING, NamedTuple, Self, final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mtls import _certificate as facts
from mtls._credentials import system, trust, x509_objects
from mtls._credentials.chain import is_self_signed
from mtls._credentials.secret import Passphrase, Password
from mtls._credentials.snapshot import Snapshot
from mtls._credentials.sources import (
    Named,
    Origin,
    Source,
    current_generation,
    directory_path,
    file_name,
    in_generation,
    objects,
    origins,
    paths_of,
    usable,
)
from mtls._credentials.trust import Trust
from mtls._model import AnchorKind
from mtls.errors import TruststoreError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Iterator, Sequence

__all__ = ["Truststore"]

_SHOWN = 20


class _Part(NamedTuple):
    """One source of a truststore: what it brought, how to read it again, and its files (none: it stays as it is)."""

    trust: Trust
    read: Callable[[], Trust]
    paths: tuple[str, ...]


@final
class Truststore(Snapshot):
    """Trust anchors and CRLs: whom we accept, as an immutable snapshot of its sources.

    It iterates over its anchors, each once, in the order of the sources; ``|`` joins two truststores with the CRLs of
    both; two are equal if they hold the same anchors and CRLs. It is safe to share between threads and is not pickled.

    Not checked here, because it depends on policy and time: dates, strength, and the signatures of the CRLs. Trust
    settings (of a ``TRUSTED CERTIFICATE``, a Java store or an operating system) are not read: an anchor is an anchor.
    A source is bounded by its size only (16 MiB).
    """

    __slots__ = ("_parts", "anchors", "crls")
    _constructors = "Truststore.from_pem(), from_directory(), from_pkcs12(), from_certificates(), certifi() or system()"

    _parts: tuple[_Part, ...]
    anchors: tuple[x509.Certificate, ...]
    """The trust anchors: CA certificates, or single leaf certificates that are pinned."""
    crls: tuple[x509.CertificateRevocationList, ...]
    """The certificate revocation lists."""

    @classmethod
    def from_pem(cls, *sources: Source, crls: Sequence[Source] = ()) -> Self:
        """A truststore from PEM bundles (paths, or contents as ``bytes``).

        Every certificate in them is an anchor, every CRL block a CRL; private keys are passed over unread. ``crls``
        are further CRL sources, in PEM or, as CAs publish them, in DER (RFC 5280, 4.2.1.13).

        Raises :class:`~mtls.TruststoreError` where a source cannot be used (its ``failure`` tells why) or holds no
        certificate, and :class:`~mtls.UsageError` without a source, for ``None``, or for a wrong type.
        """
        given = [Origin(source, "source", TruststoreError) for source in sources]
        found = origins(crls, "crls", TruststoreError)
        del sources, crls  # a key may be among them, and a traceback can show locals
        if not given:
            raise UsageError("Truststore.from_pem() needs a source; from_certificates([]) makes an empty truststore")
        lists = usable(found)
        return cls._of(lambda: trust.from_pem(given, lists), paths_of([*given, *lists]))

    @classmethod
    def from_directory(
        cls, directory: str | os.PathLike[str], *, files: Sequence[str] = ("ca.crt",), crls: Sequence[str] = ()
    ) -> Self:
        """A truststore from the PEM ``files`` named, of one directory, by default as Kubernetes mounts them.

        All are read from the same generation of the mount (the directory behind its ``..data`` link). Other files of
        the directory are never read: an intermediate that slips in from ``tls.crt`` would let in all it ever signed.

        Raises :class:`~mtls.TruststoreError` and :class:`~mtls.UsageError` as :meth:`from_pem` does.
        """
        given = Origin(directory, "directory", TruststoreError)
        found = origins(files, "files", TruststoreError), origins(crls, "crls", TruststoreError)
        del directory, files, crls  # they may be secrets by mistake, and a traceback can show locals
        names, crl_names = (list(map(file_name, usable(origin))) for origin in found)
        path = directory_path(given)
        if not names:
            raise UsageError("files is empty: name at least one file")

        def read() -> Trust:
            generation = current_generation(path)
            return trust.from_pem(
                [in_generation(generation, path, name, TruststoreError) for name in names],
                [in_generation(generation, path, name, TruststoreError) for name in crl_names],
            )

        lasting = [in_generation(path, path, name, TruststoreError) for name in (*names, *crl_names)]
        return cls._of(read, paths_of(lasting))

    @classmethod
    def from_pkcs12(cls, source: Source, *, password: Password | None = None, crls: Sequence[Source] = ()) -> Self:
        """A truststore from PKCS#12 (RFC 7292), Java's ``trustedCertEntry`` included.

        Of a file with a private key (a keystore) only the CA certificates become anchors, never the leaf. ``password``
        is ``str`` (UTF-8), ``bytes`` or a callable; left out, it is tried without one and with the empty one.

        Raises :class:`~mtls.TruststoreError` and :class:`~mtls.UsageError` as :meth:`from_pem` does.
        """
        origin, phrase = Origin(source, "source", TruststoreError), Passphrase(password)
        found = origins(crls, "crls", TruststoreError)
        del source, password, crls  # they may be secrets, and a traceback can show locals
        lists = usable(found)
        phrase.checked()
        return cls._of(lambda: trust.from_pkcs12(origin, phrase, lists), paths_of([origin, *lists]))

    @classmethod
    def from_certificates(
        cls, certificates: Iterable[x509.Certificate], *, crls: Iterable[x509.CertificateRevocationList] = ()
    ) -> Self:
        """A truststore from objects of ``cryptography``. It may be empty; a profile that needs one refuses it then.

        Raises :class:`~mtls.UsageError` for anything that is no such object, and :class:`~mtls.TruststoreError`
        (``DAMAGED``) for one that cannot be read in full.
        """
        found = objects(certificates, x509.Certificate, "certificates")
        lists = objects(crls, x509.CertificateRevocationList, "crls")
        del certificates, crls  # a key may be among them by mistake, and a traceback can show locals
        source = Named("certificates", TruststoreError)
        held = Trust([x509_objects.readable(each, source) for each in usable(found)], usable(lists))
        return cls._of(lambda: held, ())

    @classmethod
    def certifi(cls) -> Self:
        """The public CAs of Mozilla's programme, as the package ``certifi`` has them.

        Raises :class:`~mtls.TruststoreError` where the package has lost its file.
        """
        return cls._of(lambda: Trust(_certifi(), public=True), ())

    @classmethod
    def system(cls) -> Self:
        """The CAs of this machine: where Python's OpenSSL looks for them (:func:`ssl.get_default_verify_paths`, which
        heeds ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``), and on Windows the store ``ROOT``.

        They count as public CAs. A certificate among them that cannot be read is left out. CRLs are not read.

        Raises :class:`~mtls.TruststoreError` (``NOT_FOUND``) where there is none.
        """
        return cls._of(lambda: Trust(system.anchors(), public=True), system.paths())

    @property
    def fingerprint(self) -> str:
        """A SHA-256 digest over all anchors and CRLs in lower-case hexadecimal; their order does not count."""
        digest = hashlib.sha256()
        for kind, members in ((b"anchors", self.anchors), (b"crls", self.crls)):
            digest.update(kind)
            for one in sorted(hashlib.sha256(facts.der(member)).digest() for member in members):
                digest.update(one)
        return digest.hexdigest()

    def kind_of(self, certificate: x509.Certificate) -> AnchorKind:
        """What a certificate is as a trust anchor: a root, an intermediate, or a leaf that is pinned."""
        if not isinstance(certificate, x509.Certificate):
            raise UsageError(f"certificate must be a cryptography.x509.Certificate, not {type(certificate).__name__}")
        if not facts.is_ca(certificate):
            return AnchorKind.LEAF
        return AnchorKind.ROOT if is_self_signed(certificate) else AnchorKind.INTERMEDIATE

    def __or__(self, other: Truststore) -> Truststore:
        if not isinstance(other, Truststore):
            return NotImplemented
        return self._joined(tuple({id(part): part for part in (*self._parts, *other._parts)}.values()))

    def __len__(self) -> int:
        return len(self.anchors)

    def __iter__(self) -> Iterator[x509.Certificate]:
        return iter(self.anchors)

    def __contains__(self, certificate: object) -> bool:
        return certificate in self.anchors

    def __eq__(self, other: object) -> bool:
        return self._identity == other._identity if isinstance(other, Truststore) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity)

    def __str__(self) -> str:
        lines = [
            f"{facts.label(anchor)} ({self.kind_of(anchor)}), ends {facts.when(anchor.not_valid_after_utc)}"
            for anchor in self.anchors[:_SHOWN]
        ]
        if len(self) > _SHOWN:
            lines.append(f"… and {len(self) - _SHOWN} more")
        if self.crls:
            lines.append(_count(len(self.crls), "CRL"))
        return "\n".join(lines or ["no anchors"])

    def __repr__(self) -> str:
        kinds = [self.kind_of(anchor) for anchor in self.anchors]
        counts = [_count(kinds.count(kind), kind.value) for kind in AnchorKind if kind in kinds]
        inside = f" ({', '.join(counts)})" if counts else ""
        crls = f", {_count(len(self.crls), 'CRL')}" if self.crls else ""
        return f"<Truststore {_count(len(self), 'anchor')}{inside}{crls}>"

    @property
    def _identity(self) -> tuple[object, ...]:
        return frozenset(self.anchors), frozenset(map(facts.der, self.crls)), frozenset(self._listed_as_public)

    @property
    def _listed_as_public(self) -> Iterator[x509.Certificate]:
        return (anchor for part in self._parts if part.trust.public for anchor in part.trust.anchors)

    def _public_anchors(self) -> tuple[x509.Certificate, ...]:
        """The anchors that are public CAs: those of the machine's or certifi's list, and those that certifi knows."""
        listed, known = frozenset(self._listed_as_public), _certifi_digests()
        return tuple(anchor for anchor in self.anchors if anchor in listed or facts.fingerprint(anchor) in known)

    def _anchors_der(self) -> bytes:
        return b"".join(map(facts.der, self.anchors))

    def _crls_pem(self) -> bytes:
        return b"".join(crl.public_bytes(Encoding.PEM) for crl in self.crls)

    @property
    def _paths(self) -> tuple[str, ...]:
        """The files to watch, absolute; empty for a truststore of bytes or objects."""
        return tuple(dict.fromkeys(path for part in self._parts for path in part.paths))

    def _reload(self) -> Truststore:
        """A truststore read anew from the same files; parts that were not read from files stay as they are."""
        if not self._paths:
            raise UsageError("this truststore was not read from files, so it cannot be read again: make it from paths")
        return self._joined(tuple(part._replace(trust=part.read()) if part.paths else part for part in self._parts))

    @classmethod
    def _of(cls, read: Callable[[], Trust], paths: tuple[str, ...]) -> Self:
        return cls._joined((_Part(read(), read, paths),))

    @classmethod
    def _joined(cls, parts: tuple[_Part, ...]) -> Self:
        return cls._made(
            _parts=parts,
            anchors=tuple(dict.fromkeys(anchor for part in parts for anchor in part.trust.anchors)),
            crls=tuple({facts.der(crl): crl for part in parts for crl in part.trust.crls}.values()),
        )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _certifi() -> tuple[x509.Certificate, ...]:
    import certifi

    return tuple(x509_objects.readable_ones(Origin(certifi.where(), "certifi", TruststoreError).read()))


@functools.cache
def _certifi_digests() -> frozenset[str]:
    return frozenset(map(facts.fingerprint, _certifi()))
