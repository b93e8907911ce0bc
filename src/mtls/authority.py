"""A certificate authority for development and tests. Never for production.

Rule: what it makes by default passes the strictest reading of RFC 5280; every fault is asked for by name, in one list
of fields (:class:`CertificateFields`) that means the same wherever a certificate is made.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict, TypeVar, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from mtls import _certificate
from mtls._credentials import saving
from mtls._credentials.keystore import Keystore
from mtls._credentials.request import (
    EKU_OF,
    CertificateRequest,
    KeyType,
    default_hash,
    default_subject,
    general_names,
    generate_key,
    key_usage,
    load_csr,
    parse_role,
    proven,
    request_for,
    requested,
)
from mtls._credentials.saving import Existing
from mtls._credentials.secret import Passphrase, Secret
from mtls._credentials.sources import Named, Origin
from mtls._credentials.truststore import Truststore
from mtls._model import Role, SourceFailure
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Unpack

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes as PublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    from mtls._credentials.keys import PrivateKey
    from mtls._credentials.request import Name
    from mtls._credentials.secret import Password
    from mtls._credentials.sources import Source

__all__ = ["CertificateAuthority", "CertificateFields", "Existing", "KeyType"]

_BACKDATED = timedelta(hours=1)
_LEAF, _INTERMEDIATE, _ROOT = timedelta(days=90), timedelta(days=5 * 365), timedelta(days=10 * 365)
_CRL_LIFETIME = timedelta(days=7)
_MAY_BE_NONE = frozenset({"eku", "key_usage", "basic_constraints", "path_length"}) | {
    "subject_key_identifier",
    "authority_key_identifier",
}
_OF_THE_KEY = frozenset({"key_type", "private_key"})
_KEYS = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey, ed448.Ed448PrivateKey)
_CSR = x509.CertificateSigningRequest
_ROOT_FILES, _INTERMEDIATE_FILES = "ca", "intermediate"
_E = TypeVar("_E", bound=x509.ExtensionType)


class CertificateFields(TypedDict, total=False):
    """Every field of a certificate that can be set, by keyword, wherever this module makes one.

    Left out, a field is what a well-behaved CA would write.
    """

    subject: x509.Name
    """Default: ``CN=`` the name of the CA, or the first name of a leaf; empty if that is over 64 characters."""
    names: Sequence[Name]
    """The subjectAltName, critical if the subject is empty. Strings as in ``CertificateRequest.new``."""
    not_before: datetime
    """Aware. Default: an hour ago, or the usual lifetime before a ``not_after`` that is past."""
    not_after: datetime
    """Aware. Default: 90 days (leaf), 5 years (intermediate), 10 years (root) from now, or from ``not_before``."""
    eku: Sequence[x509.ObjectIdentifier] | None
    """``None``: that of the role (none for a CA). ``()``: no extended key usage extension."""
    key_usage: x509.KeyUsage | None
    """``None``: no extension. Default: digitalSignature (leaf), keyCertSign and cRLSign (CA)."""
    basic_constraints: x509.BasicConstraints | None
    """``None``: no extension. Default: CA:TRUE or CA:FALSE, critical."""
    path_length: int | None
    """The pathLenConstraint of a CA; ``None``, the default: no limit."""
    name_constraints: x509.NameConstraints
    """Critical. Default: none."""
    key_type: KeyType | str
    """Default: ``EC_P256``."""
    private_key: PrivateKey
    """A key to use again instead of a new one."""
    serial_number: int
    """Default: 159 random bits."""
    signature_hash: HashAlgorithm | None
    """Default: SHA-256, or as strong as the issuer's curve; ``None`` for Ed25519 and Ed448. SHA-1 is refused where
    ``cryptography`` no longer signs with it.
    """
    subject_key_identifier: x509.SubjectKeyIdentifier | None
    """``None``: no extension. Default: from the public key (RFC 5280, 4.2.1.2, method 1)."""
    authority_key_identifier: x509.AuthorityKeyIdentifier | None
    """``None``: no extension. Default: the issuer's key identifier; a root has none."""
    crl_distribution_points: Sequence[str]
    """URLs of the CRL. Default: none."""
    ca_issuers: Sequence[str]
    """URLs of the issuer's certificate (authorityInfoAccess). Default: none."""
    ocsp_responders: Sequence[str]
    """URLs of OCSP responders (authorityInfoAccess). Default: none."""
    extensions: Sequence[x509.Extension[Any]]
    """Further extensions, unknown and critical ones too; one of a kind named above takes its place."""


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
        wanted = _of_ca(name, _checked(fields))
        key = _key(wanted)
        certificate = _build(key.public_key(), wanted, _ROOT, key, None)
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
        loaded._assemble(held._private_key, held.certificate, root, held.chain, None)  # noqa: SLF001 - our own class
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
        wanted = _of_ca(name, _checked(fields))
        key = _key(wanted)
        certificate = _build(key.public_key(), wanted, _INTERMEDIATE, self._key, self._certificate)
        below = CertificateAuthority.__new__(CertificateAuthority)
        below._assemble(key, certificate, self._root, self.chain, self)  # noqa: SLF001 - our own class
        return below

    def server(self, *san: Name, **fields: Unpack[CertificateFields]) -> Keystore:
        """A new key with a server certificate for these names, for 90 days, and its chain."""
        return self._leaf(Role.SERVER, san, _checked(fields))

    def client(self, *san: Name, **fields: Unpack[CertificateFields]) -> Keystore:
        """A new key with a client certificate for these names, for 90 days, and its chain."""
        return self._leaf(Role.CLIENT, san, _checked(fields))

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
        wanted = _checked(fields)
        if clash := sorted(_OF_THE_KEY & wanted.keys()):
            text = f"{clash[0]}= makes no sense with a CSR, which brings its key; leave it out"
            raise UsageError(text)
        request = proven(given, Named("csr", KeystoreError)) if isinstance(given, _CSR) else load_csr(given)
        if "names" not in wanted:
            wanted["names"] = list(_asked(request, x509.SubjectAlternativeName, "names (subjectAltName)", "names=[…]"))
        if "eku" not in wanted and role is not None:
            wanted["eku"] = [EKU_OF[parse_role(role)]]
        if "eku" not in wanted:
            wanted["eku"] = list(_asked(request, x509.ExtendedKeyUsage, "extended key usage", "role="))
        wanted.setdefault("subject", request.subject)
        return self._issue(request.public_key(), wanted), *self.chain

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
        when = _moment("at", datetime.now(UTC) if at is None else at)
        with self._lock:
            self._revoked[certificate.serial_number] = when, reason

    def crl(
        self, *, this_update: datetime | None = None, next_update: datetime | None = None
    ) -> x509.CertificateRevocationList:
        """A complete CRL (RFC 5280, 5) of what was revoked so far, with a number higher than the one before.

        Aware datetimes; by default issued an hour ago and good for 7 days.
        """
        this_update, next_update = _period(("this_update", this_update), ("next_update", next_update), _CRL_LIFETIME)
        with self._lock:
            self._crl_number = max(self._crl_number + 1, int(datetime.now(UTC).timestamp() * 1_000_000))
            number, revoked = self._crl_number, list(self._revoked.items())
        with _refusals("this CRL"):
            builder = x509.CertificateRevocationListBuilder(self._certificate.subject)
            builder = builder.last_update(this_update).next_update(next_update)
            builder = builder.add_extension(_key_identifier(self._certificate), critical=False)
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
            for serial, (when, reason) in revoked:
                entry = x509.RevokedCertificateBuilder(serial, when)
                if reason is not x509.ReasonFlags.unspecified:  # RFC 5280, 5.3.1: absent rather than unspecified
                    entry = entry.add_extension(x509.CRLReason(reason), critical=False)
                builder = builder.add_revoked_certificate(entry.build())
            return builder.sign(self._key, default_hash(self._key))

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
        key = saving.key_file(folder / "tls.key", keystore._private_key, passphrase)  # noqa: SLF001 - our own class
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
        key = _key(wanted)
        if general and not {"eku", "extensions"} & wanted.keys():
            request = request_for(key, general, role, subject)
            return request.complete(self.sign(request, **_without(wanted, _OF_THE_KEY)))
        faulty: CertificateFields = {"eku": [EKU_OF[role]], **wanted, "subject": subject, "names": general}
        return Keystore.from_objects(key, self._issue(key.public_key(), faulty), self.chain)

    def _issue(self, public_key: PublicKey, wanted: CertificateFields) -> x509.Certificate:
        leaf: CertificateFields = {"key_usage": key_usage("digital_signature"), **wanted}
        leaf.setdefault("basic_constraints", _constraints(leaf, ca=False))
        return _build(public_key, leaf, _LEAF, self._key, self._certificate)

    def __repr__(self) -> str:
        name, end = (
            _certificate.name(self._certificate.subject),
            _certificate.when(self._certificate.not_valid_after_utc),
        )
        return f"<CertificateAuthority {name}, for development, until {end}, {len(self._revoked)} revoked>"

    def __reduce__(self) -> NoReturn:
        text = "a CertificateAuthority holds a private key and is not pickled: use save() and load()"
        raise UsageError(text)


def _checked(fields: CertificateFields) -> CertificateFields:
    """The fields, as a copy that may change, without an ``eku`` that asks for the default."""
    known = CertificateFields.__annotations__
    for field, value in fields.items():
        if field not in known:
            text = f"there is no field {field!r}; the fields are {', '.join(known)}"
            raise UsageError(text)
        if value is None and field not in _MAY_BE_NONE:
            text = f"{field}=None looks like an unset variable; leave it out for the default"
            raise UsageError(text)
    if fields.keys() >= {"basic_constraints", "path_length"}:
        text = "basic_constraints= holds the path length already; leave path_length= out"
        raise UsageError(text)
    checked = fields.copy()
    if checked.get("eku", ()) is None:
        del checked["eku"]
    return checked


def _without(fields: CertificateFields, names: Iterable[str]) -> CertificateFields:
    return cast("CertificateFields", {name: value for name, value in fields.items() if name not in names})


def _of_ca(name: str, wanted: CertificateFields) -> CertificateFields:
    """The fields of a CA certificate."""
    with _refusals(f"a CA with the name {name!r:.100}"):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    ca: CertificateFields = {"subject": subject, "key_usage": key_usage("key_cert_sign", "crl_sign"), **wanted}
    ca.setdefault("basic_constraints", _constraints(ca, ca=True))
    return ca


def _constraints(wanted: CertificateFields, *, ca: bool) -> x509.BasicConstraints:
    with _refusals("path_length"):
        return x509.BasicConstraints(ca=ca, path_length=wanted.get("path_length"))


def _key(wanted: CertificateFields) -> PrivateKey:
    if wanted.keys() >= _OF_THE_KEY:
        text = "key_type= and private_key= are given; the key that is there has its type, leave key_type= out"
        raise UsageError(text)
    key = wanted.get("private_key")
    if key is None:
        return generate_key(wanted.get("key_type", KeyType.EC_P256))
    if not isinstance(key, _KEYS):
        text = f"private_key= takes an RSA, EC, Ed25519 or Ed448 private key of cryptography, not {type(key).__name__}"
        raise UsageError(text)
    return key


def _build(
    public_key: PublicKey,
    wanted: CertificateFields,
    lifetime: timedelta,
    signing_key: PrivateKey,
    issuer: x509.Certificate | None,
) -> x509.Certificate:
    """The certificate; without an issuer, a self-signed one."""
    bounds = ("not_before", wanted.get("not_before")), ("not_after", wanted.get("not_after"))
    not_before, not_after = _period(*bounds, lifetime)
    names = general_names(wanted.get("names", ()))
    subject = wanted["subject"]
    with _refusals("this certificate"):
        builder = x509.CertificateBuilder().subject_name(subject).public_key(public_key)
        builder = builder.issuer_name(subject if issuer is None else issuer.subject)
        builder = builder.serial_number(wanted.get("serial_number", x509.random_serial_number()))
        builder = builder.not_valid_before(not_before).not_valid_after(not_after)
        for extension in _extensions(wanted, names, public_key, issuer):
            builder = builder.add_extension(extension.value, extension.critical)
        algorithm = wanted.get("signature_hash", default_hash(signing_key))
        return builder.sign(signing_key, algorithm)  # type: ignore[arg-type] # any hash may be asked for, and refused


def _extensions(
    wanted: CertificateFields, names: list[x509.GeneralName], public_key: PublicKey, issuer: x509.Certificate | None
) -> Iterable[x509.Extension[Any]]:
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, urls in (
            (AuthorityInformationAccessOID.OCSP, wanted.get("ocsp_responders", ())),
            (AuthorityInformationAccessOID.CA_ISSUERS, wanted.get("ca_issuers", ())),
        )
        for url in urls
    ]
    points = [
        x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)
        for url in wanted.get("crl_distribution_points", ())
    ]
    eku, own = wanted.get("eku") or (), x509.SubjectKeyIdentifier.from_public_key(public_key)
    proposed: list[tuple[x509.ExtensionType | None, bool]] = [
        (wanted.get("basic_constraints"), True),
        (wanted.get("key_usage"), True),
        (x509.ExtendedKeyUsage(eku) if eku else None, False),
        (x509.SubjectAlternativeName(names) if names else None, not wanted["subject"]),
        (wanted.get("name_constraints"), True),
        (wanted.get("subject_key_identifier", own), False),
        (wanted.get("authority_key_identifier", None if issuer is None else _key_identifier(issuer)), False),
        (x509.CRLDistributionPoints(points) if points else None, False),
        (x509.AuthorityInformationAccess(access) if access else None, False),
    ]
    chosen = {
        value.oid: x509.Extension(value.oid, critical, value) for value, critical in proposed if value is not None
    }
    return (chosen | {extension.oid: extension for extension in wanted.get("extensions", ())}).values()


def _key_identifier(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    own = _certificate.extension(issuer, x509.SubjectKeyIdentifier)
    if own is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type] # it signed
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


def _period(
    start: tuple[str, datetime | None], end: tuple[str, datetime | None], lifetime: timedelta
) -> tuple[datetime, datetime]:
    """From when until when; what is left out is the usual, moved so that the period is not empty."""
    now = datetime.now(UTC).replace(microsecond=0)
    begins = None if start[1] is None else _moment(*start)
    ends = None if end[1] is None else _moment(*end)
    if begins is None:
        begins = now - _BACKDATED
        if ends is not None and ends <= begins:
            begins = ends - lifetime
    return begins, ends or max(begins, now) + lifetime


def _moment(field: str, moment: object) -> datetime:
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        kind = "a naive datetime" if isinstance(moment, datetime) else type(moment).__name__
        text = f"{field}= takes an aware datetime, not {kind}: datetime.now(UTC), or .replace(tzinfo=UTC)"
        raise UsageError(text)
    return moment.astimezone(UTC).replace(microsecond=0)


def _asked(csr: x509.CertificateSigningRequest, kind: type[_E], what: str, remedy: str) -> _E:
    found = requested(csr, kind)
    if found is None:
        text = f"the CSR asks for no {what}; say it with {remedy}"
        raise UsageError(text)
    return found


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Turns what ``cryptography`` refuses to encode into a :class:`UsageError`."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, OverflowError, UnsupportedAlgorithm) as exc:
        text = f"{what} cannot be made: {exc}"
        raise UsageError(text) from exc


def _pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
