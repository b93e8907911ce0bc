"""Is this certificate written as RFC 5280 asks? Faults for which OpenSSL refuses it whatever else it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mtls._certificate import (
    allows,
    eku_names,
    extension,
    extensions_by_kind,
    has_readable_extensions,
    is_ca,
    is_self_issued,
)
from mtls._model import FailureReason, Role

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNDERSTOOD = frozenset(
    {
        "2.5.29.15",  # keyUsage
        "2.5.29.17",  # subjectAltName
        "2.5.29.19",  # basicConstraints
        "2.5.29.30",  # nameConstraints
        "2.5.29.31",  # cRLDistributionPoints
        "2.5.29.32",  # certificatePolicies
        "2.5.29.33",  # policyMappings
        "2.5.29.36",  # policyConstraints
        "2.5.29.37",  # extendedKeyUsage
        "2.5.29.54",  # inhibitAnyPolicy
        "1.3.6.1.5.5.7.1.7",  # IP address blocks (RFC 3779)
        "1.3.6.1.5.5.7.1.8",  # AS numbers (RFC 3779)
        "1.3.6.1.5.5.7.1.14",  # proxyCertInfo (RFC 3820)
        "2.16.840.1.113730.1.1",  # Netscape's certificate type
    }
)
"""The extensions that OpenSSL processes (``X509_supported_extension``); RFC 5280, 4.2, has it refuse other critical
ones.
"""


_NEVER_CRITICAL = {"2.5.29.14": "subjectKeyIdentifier", "2.5.29.35": "authorityKeyIdentifier"}
"""What must not be critical (RFC 5280, 4.2.1.1 and 4.2.1.2); OpenSSL 3.0 does not process it then, newer ones do."""

_NEEDED_BY_ISSUERS = {x509.SubjectKeyIdentifier: "subjectKeyIdentifier", x509.KeyUsage: "keyUsage"}


class Fault(NamedTuple):
    """What is wrong, as the rest of a sentence that begins with the certificate."""

    failure: FailureReason
    text: str
    required: str
    presented: str


def unknown_critical(certificate: x509.Certificate) -> Iterator[Fault]:
    """A critical extension that OpenSSL does not process (RFC 5280, 4.2)."""
    if not has_readable_extensions(certificate):
        return  # OpenSSL may well decode them
    critical = [each.oid.dotted_string for each in certificate.extensions if each.critical]
    unknown = [_NEVER_CRITICAL.get(oid, oid) for oid in critical if oid not in _UNDERSTOOD]
    if unknown:
        text = f"has a critical extension that OpenSSL does not know: {', '.join(unknown)}"
        known = "no critical extension but those of RFC 5280"
        yield Fault(FailureReason.UNKNOWN_CRITICAL_EXTENSION, text, known, ", ".join(unknown))


def wrong_eku(certificate: x509.Certificate, role: Role) -> Iterator[Fault]:
    """An extended key usage that is there and does not name the role; OpenSSL asks it of every CA in a path, too."""
    present = extension(certificate, x509.ExtendedKeyUsage)
    if present is not None and not allows(present, role):
        uses = eku_names(present)
        text = f"allows {uses} only; a {role.value} needs {role.eku} (RFC 5280, 4.2.1.12)"
        yield Fault(FailureReason.WRONG_EKU, text, role.eku, uses)


def strict_faults(certificate: x509.Certificate, *, issuer: bool, anchor: bool = False) -> Iterator[Fault]:
    """What X509_V_FLAG_X509_STRICT refuses. ``issuer``: the certificate stands above another one in the path."""
    present = extensions_by_kind(certificate)
    constraints, usage = present.get(x509.BasicConstraints), present.get(x509.KeyUsage)
    missing = []
    if x509.AuthorityKeyIdentifier not in present and not anchor and not is_self_issued(certificate):
        missing.append("authorityKeyIdentifier")
    if issuer:
        missing += [called for kind, called in _NEEDED_BY_ISSUERS.items() if kind not in present]
    if missing:
        text, names = f"has no {' and no '.join(missing)}", ", ".join(missing)
        yield Fault(FailureReason.MISSING_EXTENSION, text, names, "none")
    if usage is not None and usage.value.key_cert_sign and not is_ca(certificate):
        text = "has keyCertSign in its keyUsage, but is no CA (RFC 5280, 4.2.1.3)"
        yield Fault(FailureReason.WRONG_KEY_USAGE, text, "a keyUsage without keyCertSign", "keyCertSign")
    if constraints is not None and constraints.value.ca and not constraints.critical:
        text = "has a basicConstraints that is not critical (RFC 5280, 4.2.1.9)"
        yield Fault(FailureReason.MALFORMED, text, "critical basicConstraints", "not critical")
    alternative = present.get(x509.SubjectAlternativeName)
    if not certificate.subject.rdns and (issuer or alternative is None or not alternative.critical):
        needed = "a subject" if issuer else "a subject, or a critical subjectAltName"
        yield Fault(FailureReason.MALFORMED, "has an empty subject (RFC 5280, 4.1.2.6)", needed, "an empty subject")
