"""From the fields of a certificate to the certificate, and from what was revoked to the CRL.

Rule: a field that is left out is what a well-behaved CA writes, one that is given is written as given, fault or not;
what cannot be written is refused as :class:`~mtls.UsageError`.
"""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509.oid import AuthorityInformationAccessOID

from mtls import _certificate
from mtls._credentials.csr import EKU_OF, requested
from mtls._credentials.key_types import KeyType, default_hash, generate_key
from mtls._credentials.keys import PrivateKey
from mtls._credentials.names import general_names
from mtls._credentials.request import key_usage, parse_role
from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes as PublicKey
    from cryptography.hazmat.primitives.hashes import HashAlgorithm

    from mtls._credentials.names import Name
    from mtls._model import Role

OF_THE_KEY = frozenset({"key_type", "private_key"})
_MAY_BE_NONE = frozenset({"eku", "key_usage", "basic_constraints", "path_length"}) | {
    "subject_key_identifier",
    "authority_key_identifier",
}
_BACKDATED = timedelta(hours=1)
_E = TypeVar("_E", bound=x509.ExtensionType)


class CertificateFields(TypedDict, total=False):
    """Every field of a certificate that can be set, by keyword, wherever ``mtls.authority`` makes one.

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


def checked(fields: CertificateFields) -> CertificateFields:
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
    wanted = fields.copy()
    if wanted.get("eku", ()) is None:
        del wanted["eku"]
    return wanted


def without(fields: CertificateFields, names: Iterable[str]) -> CertificateFields:
    """The fields but for these."""
    return cast("CertificateFields", {name: value for name, value in fields.items() if name not in names})


def of_ca(name: str, wanted: CertificateFields) -> CertificateFields:
    """The fields of a CA certificate."""
    with _refusals(f"a CA with the name {name!r:.100}"):
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    ca: CertificateFields = {"subject": subject, "key_usage": key_usage("key_cert_sign", "crl_sign"), **wanted}
    ca.setdefault("basic_constraints", _constraints(ca, ca=True))
    return ca


def of_leaf(wanted: CertificateFields) -> CertificateFields:
    """The fields of a leaf certificate."""
    leaf: CertificateFields = {"key_usage": key_usage("digital_signature"), **wanted}
    leaf.setdefault("basic_constraints", _constraints(leaf, ca=False))
    return leaf


def answer_to(
    csr: x509.CertificateSigningRequest, role: Role | str | None, wanted: CertificateFields
) -> CertificateFields:
    """The fields of a leaf certificate for a CSR: what is not wanted otherwise is as the CSR asks for."""
    asked = wanted.copy()
    if "names" not in asked:
        asked["names"] = list(_asked(csr, x509.SubjectAlternativeName, "names (subjectAltName)", "names=[…]"))
    if "eku" not in asked and role is not None:
        asked["eku"] = [EKU_OF[parse_role(role)]]
    if "eku" not in asked:
        asked["eku"] = list(_asked(csr, x509.ExtendedKeyUsage, "extended key usage", "role="))
    asked.setdefault("subject", csr.subject)
    return asked


def key_of(wanted: CertificateFields) -> PrivateKey:
    """The key to certify: a new one, or the one that is given."""
    if wanted.keys() >= OF_THE_KEY:
        text = "key_type= and private_key= are given; the key that is there has its type, leave key_type= out"
        raise UsageError(text)
    key = wanted.get("private_key")
    if key is None:
        return generate_key(wanted.get("key_type", KeyType.EC_P256))
    if not isinstance(key, PrivateKey):
        text = f"private_key= takes an RSA, EC, Ed25519 or Ed448 private key of cryptography, not {type(key).__name__}"
        raise UsageError(text)
    return key


def build(
    public_key: PublicKey,
    wanted: CertificateFields,
    lifetime: timedelta,
    signing_key: PrivateKey,
    issuer: x509.Certificate | None,
) -> x509.Certificate:
    """The certificate; without an issuer, a self-signed one."""
    bounds = ("not_before", wanted.get("not_before")), ("not_after", wanted.get("not_after"))
    not_before, not_after = period(*bounds, lifetime)
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


def revocation_list(
    issuer: x509.Certificate,
    signing_key: PrivateKey,
    updates: tuple[datetime, datetime],
    number: int,
    revoked: Iterable[tuple[int, tuple[datetime, x509.ReasonFlags]]],
) -> x509.CertificateRevocationList:
    """The complete CRL (RFC 5280, 5) of these serial numbers, with this update and the next one."""
    with _refusals("this CRL"):
        builder = x509.CertificateRevocationListBuilder(issuer.subject)
        builder = builder.last_update(updates[0]).next_update(updates[1])
        builder = builder.add_extension(_key_identifier(issuer), critical=False)
        builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for serial, (when, reason) in revoked:
            entry = x509.RevokedCertificateBuilder(serial, when)
            if reason is not x509.ReasonFlags.unspecified:  # RFC 5280, 5.3.1: absent rather than unspecified
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(signing_key, default_hash(signing_key))


def period(
    start: tuple[str, datetime | None], end: tuple[str, datetime | None], lifetime: timedelta
) -> tuple[datetime, datetime]:
    """From when until when; what is left out is the usual, moved so that the period is not empty."""
    now = datetime.now(UTC).replace(microsecond=0)
    begins = None if start[1] is None else moment(*start)
    ends = None if end[1] is None else moment(*end)
    if begins is None:
        begins = now - _BACKDATED
        if ends is not None and ends <= begins:
            begins = ends - lifetime
    return begins, ends or max(begins, now) + lifetime


def moment(field: str, moment: object) -> datetime:
    """The moment in UTC, in whole seconds, as a certificate holds it."""
    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        kind = "a naive datetime" if isinstance(moment, datetime) else type(moment).__name__
        text = f"{field}= takes an aware datetime, not {kind}: datetime.now(UTC), or .replace(tzinfo=UTC)"
        raise UsageError(text)
    return moment.astimezone(UTC).replace(microsecond=0)


def _constraints(wanted: CertificateFields, *, ca: bool) -> x509.BasicConstraints:
    with _refusals("path_length"):
        return x509.BasicConstraints(ca=ca, path_length=wanted.get("path_length"))


def _asked(csr: x509.CertificateSigningRequest, kind: type[_E], what: str, remedy: str) -> _E:
    found = requested(csr, kind)
    if found is None:
        text = f"the CSR asks for no {what}; say it with {remedy}"
        raise UsageError(text)
    return found


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
    """How the issuer is named in what it signs: as it names itself, else by its key."""
    own = _certificate.extension(issuer, x509.SubjectKeyIdentifier)
    if own is None:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.public_key())  # type: ignore[arg-type] # it signed
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(own)


@contextmanager
def _refusals(what: str) -> Iterator[None]:
    """Turns what ``cryptography`` refuses to encode into a :class:`UsageError`."""
    try:
        yield
    except (ValueError, TypeError, AttributeError, OverflowError, UnsupportedAlgorithm) as exc:
        text = f"{what} cannot be made: {exc}"
        raise UsageError(text) from exc
