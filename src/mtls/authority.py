"""A certificate authority for development and tests. Never for production.

Rule: what it makes by default passes the strictest reading of RFC 5280; every fault is asked for by name, in one list
of fields (:class:`CertificateFields`) that means the same wherever a certificate is made.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from mtls import _certificate, _issuing
from mtls._credentials import saving
from mtls._credentials.csr import EKU_OF, load_csr, proven
from mtls._credentials.key_types import KeyType
from mtls._credentials.keystore import Keystore
from mtls._credentials.names import default_subject, general_names
from mtls._credentials.request import CertificateRequest, request_for
from mtls._credentials.saving import Existing
from mtls._credentials.secret import Passphrase, Secret
from mtls._credentials.sources import Named, Origin
from mtls._credentials.truststore import Truststore
from mtls._issuing import CertificateFields
from mtls._model import Role, SourceFailure
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    import os
    from typing import Unpack

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes as PublicKey

    from mtls._credentials.keys import PrivateKey
    from mtls._credentials.names import Name
    from mtls._credentials.secret import Password
    from mtls._credentials.sources import Source

__all__ = ["CertificateAuthority", "CertificateFields", "Existing", "KeyType"]

_LEAF, _INTERMEDIATE, _ROOT = timedelta(days=90), timedelta(days=5 * 365), timedelta(days=10 * 365)
_CRL_LIFETIME = timedelta(days=7)
_CSR = x509.CertificateSigningRequest
_ROOT_FILES, _INTERMEDIATE_FILES = "ca", "intermediate"


class CertificateAuthority:
    """A root CA **for development and tests only**: its keys are ordinary objects in this process's memory, it keeps
    no record of what it issued, and it signs whatever it is asked to. ::

        ca = CertificateAuthority()
        server, client = ca.server("localhost"), ca.client("billing.example")
        expired = ca.client("late.example", not_after=datetime.now(UTC) - timedelta(days=1))

    ``fields`` are those of :class:`CertificateFields`; so they are in every method. Whatever the call gets wrong
    (a naive datetime, an unknown field, a value that cannot be encoded) raises :class:`~mtls.UsageError`. May be
    shared by threads.
    """

    __slots__ = ("_above", "_certificate", "_crl_number", "_key", "_lock", "_parent", "_revoked", "_root")

    def __init__(self, name: str = "mtls development CA", **fields: Unpack[CertificateFields]) -> None:
        wanted = _issuing.of_ca(name, _issuing.checked(fields))
        key = _issuing.key_of(wanted)
        certificate = _issuing.build(key.public_key(), wanted, _ROOT, key, None)
        self._assemble(key, certificate, certificate, (), None)

    def _assemble(
        self,
        key: PrivateKey,
        certificate: x509.Certificate,
        root: x509.Certificate,
        above: tuple[x509.Certificate, ...],
        parent: CertificateAuthority | None,
    ) -> None:
        self._key, self._certificate, self._root, self._above, self._parent = key, certificate, root, above, parent
        self._revoked: dict[int, tuple[datetime, x509.ReasonFlags]] = {}
        self._crl_number = 0
        self._lock = threading.Lock()

    @classmethod
    def load(cls, directory: str | os.PathLike[str], *, password: Password | None = None) -> CertificateAuthority:
        """The CA that :meth:`save` wrote. What it revoked is not remembered, nor is the key of the CA above it.

        Raises :class:`~mtls.KeystoreError` if a file is missing or damaged, the password is wrong or missing, or key
        and certificate do not fit; :class:`~mtls.UsageError` if the certificate is no CA's.
        """
        passphrase, secret, call = Passphrase(password), Secret.of(password), password if callable(password) else None
        del password  # a traceback that shows local variables must not show it
        passphrase.checked()
        folder = Path(directory)
        present = [stem for stem in (_ROOT_FILES, _INTERMEDIATE_FILES) if (folder / f"{stem}.key").exists()]
        if len(present) > 1:
            problem = f"the directory holds {_ROOT_FILES}.key and {_INTERMEDIATE_FILES}.key, two authorities"
            remedy, failure = "keep each in a directory of its own", SourceFailure.SEVERAL_KEYS
            raise KeystoreError(problem, source=_certificate.printable(str(folder)), failure=failure, remedy=remedy)
        stem = present[0] if present else _ROOT_FILES
        files = folder / f"{stem}.crt", folder / f"{stem}.key"
        held = Keystore.from_pem(*files, password=call if secret is None else secret.reveal())
        root = held.certificate if stem == _ROOT_FILES else held.root
        if root is None or not _certificate.is_ca(held.certificate):
            text = f"{folder / stem}.crt is not the certificate of a CA with its root; load what save() wrote"
            raise UsageError(text)
        loaded = cls.__new__(cls)
        loaded._assemble(held._private_key, held.certificate, root, held.chain, None)
        return loaded

    @property
    def certificate(self) -> x509.Certificate:
        """The certificate of this CA."""
        return self._certificate

    @property
    def root(self) -> x509.Certificate:
        """The root at the top; of a root, its own certificate."""
        return self._root

    @property
    def chain(self) -> tuple[x509.Certificate, ...]:
        """What a leaf of this CA is sent with: the intermediates from this one up; the root is left out."""
        return () if self._certificate == self._root else (self._certificate, *self._above)

    @property
    def truststore(self) -> Truststore:
        """The root as the only anchor, without CRLs."""
        return Truststore.from_certificates([self._root])

    def truststore_with_crl(self) -> Truststore:
        """The root as the only anchor, with a fresh CRL of this CA and of each one above it.

        Raises :class:`~mtls.UsageError` for a loaded intermediate: the key of the CA above is not there to sign with.
        """
        crls, authority = [self.crl()], self
        while authority._certificate != self._root:
            if authority._parent is None:
                name = _certificate.name(authority.certificate.issuer)
                text = f"the key of {name} is not loaded, so there is no CRL of it; use the authority that has it"
                raise UsageError(text)
            authority = authority._parent
            crls.append(authority.crl())
        return Truststore.from_certificates([self._root], crls=crls)

    def intermediate(
        self, name: str = "mtls development intermediate CA", **fields: Unpack[CertificateFields]
    ) -> CertificateAuthority:
        """A new CA below this one, for 5 years; give ``path_length=0`` to one that may only issue leaves."""
        wanted = _issuing.of_ca(name, _issuing.checked(fields))
        key = _issuing.key_of(wanted)
        certificate = _issuing.build(key.public_key(), wanted, _INTERMEDIATE, self._key, self._certificate)
        below = CertificateAuthority.__new__(CertificateAuthority)
        below._assemble(key, certificate, self._root, self.chain, self)
        return below

    def server(self, *san: Name, **fields: Unpack[CertificateFields]) -> Keystore:
        """A new key with a server certificate for these names, for 90 days, and its chain."""
        return self._leaf(Role.SERVER, san, _issuing.checked(fields))

    def client(self, *san: Name, **fields: Unpack[CertificateFields]) -> Keystore:
        """A new key with a client certificate for these names, for 90 days, and its chain."""
        return self._leaf(Role.CLIENT, san, _issuing.checked(fields))

    def sign(
        self,
        csr: CertificateRequest | x509.CertificateSigningRequest | Source,
        *,
        role: Role | str | None = None,
        **fields: Unpack[CertificateFields],
    ) -> tuple[x509.Certificate, ...]:
        """The answer to a CSR (a path or ``bytes``: PEM or DER): the certificate and its :attr:`chain`.

        Key, subject, subjectAltName and EKU are taken from the CSR, nothing else that it asks for (so no request makes
        itself a CA); ``role`` and ``fields`` take precedence. Raises :class:`~mtls.KeystoreError` if the CSR
        cannot be read or is not signed by its own key (``DAMAGED``), :class:`~mtls.UsageError` if neither it nor the
        call gives names or a role. Who sent it is not checked.
        """
        known = csr.csr if isinstance(csr, CertificateRequest) else csr
        given = known if isinstance(known, _CSR) else Origin(known, "csr", KeystoreError)
        del csr, known  # it may be a key by mistake, and a traceback may show local variables
        wanted = _issuing.checked(fields)
        if clash := sorted(_issuing.OF_THE_KEY & wanted.keys()):
            text = f"{clash[0]}= makes no sense with a CSR, which brings its key; leave it out"
            raise UsageError(text)
        request = proven(given, Named("csr", KeystoreError)) if isinstance(given, _CSR) else load_csr(given)
        return self._issue(request.public_key(), _issuing.answer_to(request, role, wanted)), *self.chain

    def revoke(
        self,
        issued: x509.Certificate | Keystore | CertificateAuthority,
        *,
        reason: x509.ReasonFlags = x509.ReasonFlags.unspecified,
        at: datetime | None = None,
    ) -> None:
        """Put a certificate on the CRLs that :meth:`crl` makes from now on.

        ``at`` is an aware datetime, by default now. Raises :class:`~mtls.UsageError` if this CA did not issue it.
        """
        certificate = issued if isinstance(issued, x509.Certificate) else issued.certificate
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (ValueError, TypeError, InvalidSignature) as exc:
            label = _certificate.label(certificate)
            text = f"{label} was not issued by {_certificate.label(self._certificate)}; ask the CA that issued it"
            raise UsageError(text) from exc
        when = _issuing.moment("at", datetime.now(UTC) if at is None else at)
        with self._lock:
            self._revoked[certificate.serial_number] = when, reason

    def crl(
        self, *, this_update: datetime | None = None, next_update: datetime | None = None
    ) -> x509.CertificateRevocationList:
        """A complete CRL (RFC 5280, 5) of what was revoked so far, with a number higher than the one before.

        Aware datetimes; by default issued an hour ago and good for 7 days.
        """
        updates = _issuing.period(("this_update", this_update), ("next_update", next_update), _CRL_LIFETIME)
        with self._lock:
            self._crl_number = max(self._crl_number + 1, int(datetime.now(UTC).timestamp() * 1_000_000))
            number, revoked = self._crl_number, list(self._revoked.items())
        return _issuing.revocation_list(self._certificate, self._key, updates, number, revoked)

    def save(
        self,
        directory: str | os.PathLike[str],
        *,
        password: Password | None = None,
        existing: Existing | str = Existing.REFUSE,
    ) -> None:
        """Write ``ca.crt`` (the root) and ``ca.key`` (PKCS#8, mode 0600), all or nothing.

        An intermediate writes ``ca.crt``, ``intermediate.crt`` (itself up to the root) and ``intermediate.key``: its
        own certificate in ``ca.crt`` would make it a trust anchor. The directory is made if it is missing. Raises
        :class:`~mtls.UsageError` if a file exists and is not to be replaced; an :class:`OSError` passes.
        """
        passphrase = Passphrase(password)
        del password  # a traceback that shows local variables must not show it
        stem = _INTERMEDIATE_FILES if self.chain else _ROOT_FILES
        folder = Path(directory)
        key = saving.key_file(folder / f"{stem}.key", self._key, passphrase)
        files = [saving.certificate_file(folder / f"{_ROOT_FILES}.crt", _pem(self._root))]
        if self.chain:
            files.append(saving.certificate_file(folder / f"{stem}.crt", _pem(*self.chain, self._root)))
        with saving.directory(folder):
            saving.write(key, *files, existing=existing)

    def save_keystore(
        self,
        keystore: Keystore,
        directory: str | os.PathLike[str],
        *,
        password: Password | None = None,
        existing: Existing | str = Existing.REFUSE,
    ) -> None:
        """Write a keystore in the layout of Kubernetes: ``tls.crt`` (leaf and chain), ``tls.key`` (PKCS#8, mode 0600)
        and ``ca.crt`` (the root of this CA, for whom the keystore's peers come from); raises as :meth:`save` does.
        """
        passphrase = Passphrase(password)
        del password  # a traceback that shows local variables must not show it
        folder = Path(directory)
        key = saving.key_file(folder / "tls.key", keystore._private_key, passphrase)
        leaf = saving.certificate_file(folder / "tls.crt", _pem(keystore.certificate, *keystore.chain))
        with saving.directory(folder):
            saving.write(key, leaf, saving.certificate_file(folder / "ca.crt", _pem(self._root)), existing=existing)

    def _leaf(self, role: Role, names: tuple[Name, ...], wanted: CertificateFields) -> Keystore:
        if names and "names" in wanted:
            text = "the names are given twice; give them either before the fields or as names="
            raise UsageError(text)
        general = general_names(wanted.pop("names", names))
        if not general and not wanted.get("subject"):
            text = f"a {role.value} certificate needs at least one name, or a subject="
            raise UsageError(text)
        subject = wanted.pop("subject") if "subject" in wanted else default_subject(general)
        key = _issuing.key_of(wanted)
        if general and not {"eku", "extensions"} & wanted.keys():
            request = request_for(key, general, role, subject)
            return request.complete(self.sign(request, **_issuing.without(wanted, _issuing.OF_THE_KEY)))
        faulty: CertificateFields = {"eku": [EKU_OF[role]], **wanted, "subject": subject, "names": general}
        return Keystore.from_objects(key, self._issue(key.public_key(), faulty), self.chain)

    def _issue(self, public_key: PublicKey, wanted: CertificateFields) -> x509.Certificate:
        return _issuing.build(public_key, _issuing.of_leaf(wanted), _LEAF, self._key, self._certificate)

    def __repr__(self) -> str:
        own = self._certificate
        name, end = _certificate.name(own.subject), _certificate.when(own.not_valid_after_utc)
        return f"<CertificateAuthority {name}, for development, until {end}, {len(self._revoked)} revoked>"

    def __reduce__(self) -> NoReturn:
        text = "a CertificateAuthority holds a private key and is not pickled: use save() and load()"
        raise UsageError(text)


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
