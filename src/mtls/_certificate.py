"""What one certificate says, in a line that is safe to print.

Rule: whatever comes out of a certificate was chosen by somebody else, so it is bounded and its control characters are
escaped before it reaches a text. Dates are aware datetimes in UTC.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls._model import Role

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.x509.extensions import ExtensionType

_LABEL_LENGTH = 100
_SHOWN_USAGES = 10
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,  # of version 45, for a name of a type that it does not know
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    Warning,  # where the application has made errors of warnings: a serial number of 0, a name over 64 characters
)
"""What ``cryptography`` raises for certificates that OpenSSL may have passed."""
_LATE = ("subject", "issuer", "not_valid_before_utc", "not_valid_after_utc")
_E = TypeVar("_E", bound="ExtensionType")
_NONE_READABLE: tuple[x509.Extension[Any], ...] = ()
ComparableName = tuple[frozenset[tuple[str, bytes]], ...]

EKU_OIDS = {Role.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH, Role.SERVER: ExtendedKeyUsageOID.SERVER_AUTH}
"""The extended key usage that each role needs (RFC 5280, 4.2.1.12)."""

_SERVER_GATED = (x509.ObjectIdentifier("1.3.6.1.4.1.311.10.3.3"), x509.ObjectIdentifier("2.16.840.1.113730.4.1"))
"""Server-gated cryptography of Microsoft and Netscape."""

_EKU_NAMES = {
    ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth",
    ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "anyExtendedKeyUsage",
    ExtendedKeyUsageOID.CODE_SIGNING: "codeSigning",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "emailProtection",
    ExtendedKeyUsageOID.TIME_STAMPING: "timeStamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "OCSPSigning",
}


def der(certificate: x509.Certificate | x509.CertificateRevocationList) -> bytes:
    """The DER encoding."""
    return certificate.public_bytes(Encoding.DER)


def parse(encoded: bytes) -> x509.Certificate | None:
    """The certificate in ``encoded`` (DER), or ``None`` where ``cryptography`` cannot read all that a text needs."""
    try:
        return readable(x509.load_der_x509_certificate(encoded))
    except _UNREADABLE:
        return None


def readable(certificate: x509.Certificate) -> x509.Certificate | None:
    """The certificate itself, or ``None`` where ``cryptography`` cannot read all that a text needs."""
    try:
        for part in _LATE:  # decoded, and kept, at the first use
            getattr(certificate, part)
    except _UNREADABLE:
        return None
    return certificate


def fingerprint(certificate: x509.Certificate) -> str:
    """The SHA-256 digest of the DER encoding, in lower-case hexadecimal."""
    return certificate.fingerprint(hashes.SHA256()).hex()


def public_key_der(certificate: x509.Certificate) -> bytes:
    """The SubjectPublicKeyInfo in DER (RFC 5280, 4.1.2.7)."""
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def serial_number(certificate: x509.Certificate) -> int | None:
    """The serial number; ``None`` where ``cryptography`` only warns of one that is not positive, and that is an error
    here. Some public roots have a 0.
    """
    try:
        return certificate.serial_number
    except _UNREADABLE:
        return None


def label(certificate: x509.Certificate) -> str:
    """Whom the certificate names: ``CN=…`` where there is one, else the whole subject, else the first SAN."""
    subject = name(certificate.subject)
    if subject != "(empty name)":
        return subject
    names = subject_alternative_names(certificate)
    return printable(names[0] if names else f"serial {serial_number(certificate) or 0:x}")


def name(distinguished: x509.Name) -> str:
    """A distinguished name as ``CN=…``, or in full (RFC 4514) where it has no common name."""
    try:
        common = distinguished.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        text = f"CN={common[-1].value!s}" if common else distinguished.rfc4514_string()
    except ValueError:
        text = "(unreadable name)"
    return printable(text) or "(empty name)"


def printable(text: str, limit: int = _LABEL_LENGTH) -> str:
    """``text`` with control characters escaped and cut to ``limit`` characters."""
    cut = text if len(text) <= limit else text[: limit - 1] + "…"
    if cut.isprintable():
        return cut
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cut)


def subject_alternative_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Every DNS name, IP address, URI and e-mail address of the subjectAltName, in that order."""
    san = extension(certificate, x509.SubjectAlternativeName)
    if san is None:
        return ()
    kinds = (x509.DNSName, x509.IPAddress, x509.UniformResourceIdentifier, x509.RFC822Name)
    return tuple(str(value) for kind in kinds for value in san.get_values_for_type(kind))


def extension(certificate: x509.Certificate, kind: type[_E]) -> _E | None:
    """The extension of this kind, or ``None`` where it is absent or cannot be read."""
    for entry in _extensions(certificate):  # an exception for each absent one would cost more than all else
        if type(entry.value) is kind:
            return entry.value
    return None


def extensions_by_kind(certificate: x509.Certificate) -> dict[type[ExtensionType], x509.Extension[Any]]:
    """Each extension that ``cryptography`` knows, with its criticality; none where they cannot be read."""
    return {type(entry.value): entry for entry in _extensions(certificate)}


def has_readable_extensions(certificate: x509.Certificate) -> bool:
    """Whether ``cryptography`` can decode its extensions: one that it cannot makes all of them unknown, not absent."""
    return _extensions(certificate) is not _NONE_READABLE


def _extensions(certificate: x509.Certificate) -> Iterable[x509.Extension[Any]]:
    try:
        return certificate.extensions
    except _UNREADABLE:
        return _NONE_READABLE


def eku_names(usages: x509.ExtendedKeyUsage) -> str:
    """The usages as people write them: ``clientAuth, serverAuth``; unknown ones by their number, ten at most."""
    names = [_EKU_NAMES.get(oid, printable(oid.dotted_string)) for oid in islice(usages, _SHOWN_USAGES)]
    more = f" and {len(usages) - _SHOWN_USAGES} more" if len(usages) > _SHOWN_USAGES else ""
    return ", ".join(names) + more


def allows(usages: x509.ExtendedKeyUsage, role: Role) -> bool:
    """Whether OpenSSL takes the usages for those of a role: the old names of serverAuth count as well."""
    return EKU_OIDS[role] in usages or (role is Role.SERVER and any(oid in _SERVER_GATED for oid in usages))


def is_ca(certificate: x509.Certificate) -> bool:
    """Whether basicConstraints says CA (RFC 5280, 4.2.1.9). A version 1 root has none and is taken for a CA."""
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None:
        return certificate.version is x509.Version.v1 and is_self_issued(certificate)
    return constraints.ca


def is_self_issued(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are the same name."""
    return same_name(certificate.subject, certificate.issuer)


def same_name(one: x509.Name, other: x509.Name) -> bool:
    """RFC 5280, 7.1, as OpenSSL does it: the case of ASCII letters and repeated blanks do not count."""
    return one == other or comparable(one) == comparable(other)


def comparable(distinguished: x509.Name) -> ComparableName:
    """The name in a form that is equal, and has the same hash, for the same names. Make it once: names may be long."""
    return tuple(
        frozenset((part.oid.dotted_string, _canonical(part.value)) for part in rdn) for rdn in distinguished.rdns
    )


def _canonical(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else b" ".join(value.encode().lower().split())


def when(moment: datetime) -> str:
    """A date and time in UTC, to the minute."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def distance(span: timedelta) -> str:
    """How long a span is, in the largest unit that fits: ``3 days``, ``1 hour``, ``20 seconds``."""
    seconds = int(abs(span.total_seconds()))
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            count = seconds // length
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"
