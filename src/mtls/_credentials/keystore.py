"""Our own identity: a private key, its certificate and the intermediates above it.

Rule: a keystore that exists is right: its key fits its leaf, and its chain is in order.
"""

from __future__ import annotations

import hashlib
import time
from typing import TYPE_CHECKING, Self, final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from mtls import _certificate as facts
from mtls._credentials import chain as chains
from mtls._credentials import keys
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.material import (
    MOST_CERTIFICATES,
    DirectoryRecipe,
    Material,
    PemRecipe,
    Pkcs12Recipe,
    Recipe,
)
from mtls._credentials.secret import Passphrase, Password, Secret
from mtls._credentials.snapshot import Snapshot
from mtls._credentials.sources import Named, Origin, Source, directory_path, file_name, objects, usable
from mtls._credentials.x509_objects import readable
from mtls._model import SourceFailure
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable
    from datetime import datetime

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PublicKeyTypes

    from mtls._credentials.keys import PrivateKey

__all__ = ["Keystore"]

_UNFINISHED = frozenset(
    {SourceFailure.KEY_MISMATCH, SourceFailure.NOT_FOUND, SourceFailure.EMPTY, SourceFailure.DAMAGED}
)
"""What a directory looks like while somebody is writing into it."""

_SHOWN = 3


@final
class Keystore(Snapshot):
    """A private key with its certificate chain: what one side of a TLS connection shows and proves.

    A keystore is an immutable snapshot of its sources, equal to another one with the same certificates, and safe to
    share between threads. It has no public way to the bytes of the key, and is not pickled.

    Not checked here, because it depends on role, policy and time: dates, extended key usage, key usage, strength, and
    whether the chain reaches a CA that anybody trusts. ``profile.check()`` reports those.
    """

    __slots__ = ("_chain", "_key_pem", "_private_key", "_recipe")
    _constructors = "Keystore.from_pem(), from_pkcs12(), from_directory() or from_objects()"
    _chain: chains.Chain
    _key_pem: Secret
    _private_key: PrivateKey
    _recipe: Recipe | None

    @classmethod
    def from_pem(cls, certificate: Source, key: Source | None = None, *, password: Password | None = None) -> Self:
        """A keystore from PEM (RFC 7468): certificates in any order, and the key in the same source or in ``key``.

        A ``str`` or path object is a path, ``bytes`` are the content. The leaf is the certificate that the key fits
        (the first one, where several do). The key may be PKCS#8 (RFC 5958) or traditional RSA or EC (RFC 8017, 5915),
        plain or encrypted; ``password`` is ``str`` (UTF-8), ``bytes``, or a callable that is called only if the key is
        encrypted. With ``key`` given, a key in ``certificate`` is passed over.

        Raises :class:`~mtls.KeystoreError` where a source cannot be used (its ``failure`` tells why), and
        :class:`~mtls.UsageError` for ``None`` or a wrong type as a source or password.
        """
        key_origin = None if key is None else Origin(key, "key", KeystoreError)
        recipe = PemRecipe(Origin(certificate, "certificate", KeystoreError), key_origin, Passphrase(password))
        del certificate, key, password  # they may be secrets, and a traceback can show locals
        return cls._from(recipe)

    @classmethod
    def from_pkcs12(cls, source: Source, *, password: Password | None = None) -> Self:
        """A keystore from PKCS#12 (RFC 7292), as OpenSSL, Windows and Java's keytool write it.

        ``source`` is a path or the content (``bytes``). ``password``: as for :meth:`from_pem`; left out, it is tried
        without one and with the empty one. Its certificates have no order, so :attr:`reordered` is false. A file with
        several private keys is refused, because it does not tell which one to use.

        Raises :class:`~mtls.KeystoreError` and :class:`~mtls.UsageError` as :meth:`from_pem` does.
        """
        recipe = Pkcs12Recipe(Origin(source, "source", KeystoreError), Passphrase(password))
        del source, password  # they may be secrets, and a traceback can show locals
        return cls._from(recipe)

    @classmethod
    def from_directory(
        cls,
        directory: str | os.PathLike[str],
        *,
        certificate: str = "tls.crt",
        key: str = "tls.key",
        password: Password | None = None,
    ) -> Self:
        """A keystore from two PEM files in a directory, by default as Kubernetes mounts a Secret of type TLS.

        Both are read from the same generation of the mount (the directory behind its ``..data`` link). Files that do
        not fit together, as in the middle of a rotation, are read again three times within 0.2 seconds.

        Raises :class:`~mtls.KeystoreError` and :class:`~mtls.UsageError` as :meth:`from_pem` does.
        """
        given = [Origin(directory, "directory", KeystoreError), Origin(certificate, "certificate", KeystoreError)]
        given.append(Origin(key, "key", KeystoreError))
        phrase = Passphrase(password)
        del directory, certificate, key, password  # they may be secrets by mistake, and a traceback can show locals
        return cls._from(DirectoryRecipe(directory_path(given[0]), file_name(given[1]), file_name(given[2]), phrase))

    @classmethod
    def from_objects(
        cls, private_key: PrivateKey, certificate: x509.Certificate, chain: Iterable[x509.Certificate] = ()
    ) -> Self:
        """A keystore from objects of ``cryptography``; ``chain`` may have any order and may hold the root.

        Raises :class:`~mtls.KeystoreError` where the key does not fit ``certificate`` or is of another kind than RSA,
        EC, Ed25519 or Ed448, and :class:`~mtls.UsageError` for anything that is no such object.
        """
        found = objects(chain, x509.Certificate, "chain", MOST_CERTIFICATES)
        del chain  # it may hold a key by mistake, and a traceback can show locals
        wrong = _wrong_key(private_key) or _wrong_certificate(certificate)
        if wrong is not None:
            del private_key, certificate
            raise UsageError(wrong)
        members = usable(found)
        source = Named("objects", KeystoreError)
        key = keys.checked(private_key, source)
        if len(members) >= MOST_CERTIFICATES:
            problem = f"the chain has more than {MOST_CERTIFICATES} certificates"
            raise source.refusal(SourceFailure.TOO_LARGE, problem, "a list of CAs belongs into a truststore")
        certificates = tuple(readable(member, source) for member in (certificate, *members))
        return cls._assembled(Material(key, certificates, source, source, leaf=certificate), None)

    @property
    def certificate(self) -> x509.Certificate:
        """The leaf: the certificate of our key."""
        return self._chain.leaf

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """The intermediates in the order in which they are sent: each one issued the one before it, the first one the
        leaf. The leaf and the root are left out.
        """
        return self._chain.intermediates

    @property
    def root(self) -> x509.Certificate | None:
        """The self-signed CA at the end of the chain if the source holds it. It is not part of what is sent: a peer
        that trusts it has it (RFC 8446, 4.4.2). OpenSSL completes a lone leaf from the truststore of the same context,
        and may send a root that it finds there.
        """
        return self._chain.root

    @property
    def unrelated(self) -> tuple[x509.Certificate, ...]:
        """The certificates of the source that are not part of the chain. They are not sent."""
        return self._chain.unrelated

    @property
    def reordered(self) -> bool:
        """Whether the source had the chain in another order than leaf first, each followed by its issuer."""
        return self._chain.reordered

    @property
    def names(self) -> tuple[str, ...]:
        """The DNS names, IP addresses, URIs and e-mail addresses of the leaf's subjectAltName, as text."""
        return facts.subject_alternative_names(self.certificate)

    @property
    def not_after(self) -> datetime:
        """When the leaf ends, an aware datetime in UTC. An intermediate may end earlier."""
        return self.certificate.not_valid_after_utc

    @property
    def spki_sha256(self) -> str:
        """The SHA-256 digest of the leaf's SubjectPublicKeyInfo in lower-case hexadecimal: the same after a renewal
        with the same key.
        """
        return hashlib.sha256(facts.public_key_der(self.certificate)).hexdigest()

    def __eq__(self, other: object) -> bool:
        return self._identity == other._identity if isinstance(other, Keystore) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        count = len(self.chain) or "no"
        return (
            f"<Keystore {facts.label(self.certificate)} ({keys.describe(self._public_key)}), "
            f"ends {facts.when(self.not_after)}, {count} intermediate{'' if count == 1 else 's'}>"
        )

    @property
    def _identity(self) -> tuple[object, ...]:
        return self._chain.leaf, self._chain.intermediates, self._chain.root

    @property
    def _public_key(self) -> CertificatePublicKeyTypes:
        return self.certificate.public_key()

    @property
    def _paths(self) -> tuple[str, ...]:
        """The files to watch, absolute; empty for a keystore of bytes or objects."""
        return self._recipe.paths if self._recipe else ()

    def _reload(self) -> Keystore:
        """A keystore read anew from the same sources with the same password (a callable is called again)."""
        if self._recipe is None:
            text = "this keystore was not read from files, so it cannot be read again: make it from paths"
            raise UsageError(text)
        return Keystore._from(self._recipe)

    def _pem(self) -> Secret:
        """Key (PKCS#8, not encrypted), leaf and intermediates in PEM: what ``load_cert_chain`` takes."""
        certificates = [one.public_bytes(Encoding.PEM) for one in (self.certificate, *self.chain)]
        return Secret(b"".join([self._key_pem.reveal(), *certificates]))

    @classmethod
    def _from(cls, recipe: Recipe) -> Self:
        password = recipe.password.checked().for_one_load()
        for pause in recipe.pauses:
            try:
                return cls._assembled(recipe.read(password), recipe)
            except KeystoreError as exc:
                if exc.failure not in _UNFINISHED:
                    raise
            time.sleep(pause)
        return cls._assembled(recipe.read(password), recipe)

    @classmethod
    def _assembled(cls, material: Material, recipe: Recipe | None) -> Self:
        leaf = _leaf(material)
        algorithm = leaf.public_key_algorithm_oid.dotted_string
        key_pem = attempt(lambda: keys.to_pem(material.key, algorithm))
        if isinstance(key_pem, Refused):
            problem, remedy = "the private key cannot be exported", "OpenSSL needs the key itself, not a handle of it"
            raise material.key_source.refusal(SourceFailure.UNSUPPORTED_KEY, problem, remedy) from key_pem.cause
        chain = chains.arrange(leaf, material.certificates)
        return cls._made(
            _chain=chain if material.ordered else chain._replace(reordered=False),
            _key_pem=key_pem,
            _private_key=material.key,
            _recipe=recipe if recipe is not None and recipe.paths else None,
        )


def _leaf(material: Material) -> x509.Certificate:
    """The certificate that the key fits, the first one where there are several."""
    public_key: PublicKeyTypes | Refused = attempt(material.key.public_key)
    for candidate in material.certificates if material.leaf is None else [material.leaf]:
        if attempt(lambda candidate=candidate: candidate.public_key() == public_key) is True:  # type: ignore[misc] # the default binds the loop variable
            return candidate
    held = ", ".join(_described(certificate) for certificate in material.certificates[:_SHOWN])
    more = " …" if len(material.certificates) > _SHOWN else ""
    kind = "unreadable" if isinstance(public_key, Refused) else keys.describe(public_key)
    where = "" if material.certificate_source is material.key_source else f" in {material.certificate_source.name}"
    problem = f"the private key ({kind}) fits no certificate{where}: {held}{more}"
    remedy = "give the key that this certificate was requested with, or the certificate that was issued for this key"
    raise material.key_source.refusal(SourceFailure.KEY_MISMATCH, problem, remedy)


def _described(certificate: x509.Certificate) -> str:
    key = attempt(certificate.public_key)
    return f"{facts.label(certificate)} ({'unreadable key' if isinstance(key, Refused) else keys.describe(key)})"


def _wrong_certificate(given: object) -> str | None:
    if isinstance(given, x509.Certificate):
        return None
    unset = ", which looks like an unset variable" if given is None else ""
    return f"certificate must be of the type cryptography.x509.Certificate, not {type(given).__name__}{unset}"


def _wrong_key(given: object) -> str | None:
    if hasattr(given, "public_key") and not isinstance(given, x509.Certificate):
        return None  # a key of some kind: which ones fit TLS is told by keys.checked()
    unset = ", which looks like an unset variable" if given is None else ""
    return f"private_key must be a private key object of cryptography, not {type(given).__name__}{unset}"
