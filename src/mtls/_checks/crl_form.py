"""What one CRL is, whoever is looked for in it: its kind, its key, and what in it has to be understood.

Rule: as OpenSSL reads it without its flag for extended CRL support, which ``ssl`` has no name for. What
``cryptography`` cannot decode counts as absent: OpenSSL has the last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cryptography import x509
from cryptography.x509.oid import CRLEntryExtensionOID

from mtls._certificate import extension, same_name, serial_number
from mtls._credentials.foreign import Refused, attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography.x509.extensions import ExtensionType

_E = TypeVar("_E", bound="ExtensionType")

DELTA = "is a delta CRL, which says only what changed since another one"
_INDIRECT = "is an indirect CRL, which OpenSSL does not support here"
_SOME_REASONS = "is for some reasons of revocation only, which OpenSSL does not support here"
_CONTRADICTION = "is for several kinds of certificates, each of which it says is the only one"
_DELTA_OID = bytes.fromhex("0603551d1b")
_UNDERSTOOD = frozenset({"2.5.29.27", "2.5.29.28", "2.5.29.35"})
"""deltaCRLIndicator, issuingDistributionPoint, authorityKeyIdentifier: all that OpenSSL lets be critical in a CRL."""
_TRUE = b"\x01\x01\xff"
"""How ``critical`` is encoded in DER: a CRL holds it as often as it holds critical extensions, or by chance more."""


def is_delta(crl: x509.CertificateRevocationList) -> bool:
    """Whether it has a deltaCRLIndicator (RFC 5280, 5.2.4), or may have one where its extensions cannot be decoded."""
    found = attempt(lambda: [each.oid for each in crl.extensions])
    if isinstance(found, Refused):
        return _DELTA_OID in crl.tbs_certlist_bytes
    return x509.DeltaCRLIndicator.oid in found


def unsupported(crl: x509.CertificateRevocationList) -> str | None:
    """Why it can decide about no certificate at all, as the rest of a sentence; ``None`` if it can.

    A delta CRL OpenSSL does not pass over: it takes it for a complete one, and what the complete one revoked passes.
    """
    if is_delta(crl):
        return DELTA
    part = crl_extension(crl, x509.IssuingDistributionPoint)
    if part is None:
        return None
    if part.indirect_crl:
        return _INDIRECT
    if part.only_some_reasons is not None:
        return _SOME_REASONS
    kinds = part.only_contains_user_certs, part.only_contains_ca_certs, part.only_contains_attribute_certs
    return _CONTRADICTION if sum(kinds) > 1 else None


def unknown_critical(crl: x509.CertificateRevocationList) -> list[str]:
    """The critical extensions that OpenSSL does not know, of the CRL or of an entry: they may change what it says."""
    found = attempt(lambda: [each.oid.dotted_string for each in crl.extensions if each.critical])
    critical = [] if isinstance(found, Refused) else found
    if unknown := sorted(set(critical) - _UNDERSTOOD):
        return unknown
    if crl.tbs_certlist_bytes.count(_TRUE) <= len(critical):
        return []  # a long list is not walked through for nothing
    return sorted({oid for entry in crl for oid in _critical_in(entry)})


def signer_among(crl: x509.CertificateRevocationList, signers: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """Whose key OpenSSL checks the signature with: the first of ``signers`` by key identifier alone, those further up
    in the path by key identifier and name.
    """
    sought = crl_extension(crl, x509.AuthorityKeyIdentifier)
    if sought is None or _is_of_key(sought, signers[0]):
        return signers[0]
    issuer = crl.issuer
    return next((each for each in signers[1:] if same_name(each.subject, issuer) and _is_of_key(sought, each)), None)


def may_be_signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether its authorityKeyIdentifier, as far as it has one, fits ``issuer``. Their names are not compared."""
    return signer_among(crl, [issuer]) is not None


def _is_of_key(sought: x509.AuthorityKeyIdentifier, issuer: x509.Certificate) -> bool:
    own = extension(issuer, x509.SubjectKeyIdentifier)
    if sought.key_identifier is not None and own is not None and sought.key_identifier != own.digest:
        return False
    serial = sought.authority_cert_serial_number
    if serial is not None and serial != serial_number(issuer):
        return False
    names = [each.value for each in sought.authority_cert_issuer or () if isinstance(each, x509.DirectoryName)]
    return not names or same_name(names[0], issuer.issuer)


def is_signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether its signature verifies; ``True`` where ``cryptography`` cannot tell, because OpenSSL may."""
    checked = attempt(lambda: crl.is_signature_valid(issuer.public_key()))  # type: ignore[arg-type] # or a TypeError
    return True if isinstance(checked, Refused) else checked


def crl_extension(crl: x509.CertificateRevocationList, kind: type[_E]) -> _E | None:
    """The extension of this kind, or ``None`` where it is absent or cannot be read."""
    return extension(crl, kind)  # type: ignore[arg-type] # CRLs have them, too


def _critical_in(entry: x509.RevokedCertificate) -> Iterator[str]:
    extensions = attempt(lambda: list(entry.extensions))
    for each in [] if isinstance(extensions, Refused) else extensions:
        if each.critical and each.oid != CRLEntryExtensionOID.CERTIFICATE_ISSUER:
            yield each.oid.dotted_string
