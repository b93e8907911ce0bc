"""Does this CRL speak about this certificate, or about another part of what the CA issued?

Rule: the issuingDistributionPoint of the CRL (RFC 5280, 5.2.5) is compared with the certificate and with the
cRLDistributionPoints in it (4.2.1.13) as OpenSSL compares them, whether it is critical or not.
"""

from __future__ import annotations

from cryptography import x509

from mtls._certificate import extension, label, printable, same_name
from mtls._checks.crl_form import crl_extension

EVERY_REASON = frozenset(x509.ReasonFlags) - {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
_SHOWN = 3


def scope(crl: x509.CertificateRevocationList, certificate: x509.Certificate | None) -> frozenset[x509.ReasonFlags]:
    """The reasons of revocation for which it speaks about ``certificate``; ``None`` is one that it was made for."""
    part = crl_extension(crl, x509.IssuingDistributionPoint)
    if certificate is None:
        return frozenset() if part is not None and part.only_contains_attribute_certs else EVERY_REASON
    if part is not None and _of_another_kind(part, certificate) is not None:
        return frozenset()
    at = None if part is None else _names_of(part, crl.issuer)
    for point in extension(certificate, x509.CRLDistributionPoints) or ():
        if _is_of_point(crl, at, point, certificate):
            return EVERY_REASON if point.reasons is None else EVERY_REASON & point.reasons
    return EVERY_REASON if at is None else frozenset()


def why_out_of_scope(crl: x509.CertificateRevocationList, certificate: x509.Certificate | None) -> str:
    """What it is for instead, as the rest of a sentence."""
    part = crl_extension(crl, x509.IssuingDistributionPoint)
    if part is None or certificate is None:
        return "is for attribute certificates only"
    names = [printable(str(each.value)) for each in _names_of(part, crl.issuer) or ()]
    where = f"is for its distribution point {', '.join(names[:_SHOWN])} only, which {label(certificate)} does not name"
    return _of_another_kind(part, certificate) or where


def _of_another_kind(part: x509.IssuingDistributionPoint, certificate: x509.Certificate) -> str | None:
    constraints = extension(certificate, x509.BasicConstraints)
    authority = constraints is not None and constraints.ca
    if part.only_contains_attribute_certs:
        return "is for attribute certificates only"
    if part.only_contains_user_certs and authority:
        return f"is for end entities only, and {label(certificate)} is a CA"
    if part.only_contains_ca_certs and not authority:
        return f"is for CAs only, and {label(certificate)} is none"
    return None


def _is_of_point(
    crl: x509.CertificateRevocationList,
    at: list[x509.GeneralName] | None,
    point: x509.DistributionPoint,
    certificate: x509.Certificate,
) -> bool:
    """Whether a distribution point that the certificate names is that of the CRL (RFC 5280, 6.3.3 (b) (2))."""
    issuers = [each.value for each in point.crl_issuer or () if isinstance(each, x509.DirectoryName)]
    if point.crl_issuer is not None and not any(same_name(issuer, crl.issuer) for issuer in issuers):
        return False
    names = _names_of(point, issuers[0] if issuers else certificate.issuer)
    return at is None or names is None or any(_same(one, other) for one in at for other in names)


def _names_of(
    point: x509.DistributionPoint | x509.IssuingDistributionPoint, base: x509.Name
) -> list[x509.GeneralName] | None:
    if point.relative_name is not None:
        return [x509.DirectoryName(x509.Name([*base.rdns, point.relative_name]))]
    return None if point.full_name is None else list(point.full_name)


def _same(one: x509.GeneralName, other: x509.GeneralName) -> bool:
    if isinstance(one, x509.DirectoryName) and isinstance(other, x509.DirectoryName):
        return same_name(one.value, other.value)
    return one == other
