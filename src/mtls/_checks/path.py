"""Which certificates follow each other from a leaf to an anchor, chosen as OpenSSL chooses them.

Rule: this is no verdict. OpenSSL takes the first issuer that fits by name, key identifier and dates, those it trusts
before those that were sent, and never turns back; so does this. Signatures are looked at elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mtls._certificate import comparable, extension, serial_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from mtls._certificate import ComparableName

_LONGEST = 100
"""OpenSSL follows no longer path than this (``SSL_CTX_set_verify_depth``)."""

_RSA, _RSA_PSS, _EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10045.2.1"
_ED25519, _ED448 = "1.3.101.112", "1.3.101.113"
_SIGNED_BY = {
    _RSA_PSS: {_RSA, _RSA_PSS},
    "1.2.840.113549.1.1": {_RSA},
    "1.2.840.10045.4": {_EC},
    _ED25519: {_ED25519},
    _ED448: {_ED448},
}
"""Signature algorithms, or the arc they stand in, and the kinds of key that make them."""


class Path(NamedTuple):
    """Certificates from the leaf upwards, and the trust anchor they end at, if any."""

    certificates: tuple[x509.Certificate, ...]
    anchor: x509.Certificate | None

    @property
    def top(self) -> x509.Certificate:
        """The last certificate: the anchor, or the one whose issuer is not known."""
        return self.certificates[-1]


def complete(
    begun: Sequence[x509.Certificate],
    sent: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> Path:
    """The path that begins with ``begun``, continued to an anchor or to where no issuer is known.

    ``sent`` is the message in its order. What is behind an anchor in ``begun`` stays: OpenSSL looks at it as well.
    """
    path = list(begun)
    if known := [each for each in path if each in anchors]:
        return Path(tuple(path), known[-1])
    trusted, given = Issuers(anchors), Issuers(sent)
    while path[-1] not in anchors and len(path) < _LONGEST and not looks_self_signed(path[-1]):
        issuers = [each for each in trusted.of(path[-1]) if each not in path]
        issuers = issuers or [each for each in given.of(path[-1]) if each not in path]
        if not issuers:
            break
        path.append(preferred(issuers, now)[0])
    return Path(tuple(path), path[-1] if path[-1] in anchors else None)


class Issuers:
    """Certificates that may have issued others. Each name is made comparable once, since a peer may send long ones."""

    def __init__(self, certificates: Iterable[x509.Certificate]) -> None:
        self._certificates = certificates

    def of(self, certificate: x509.Certificate) -> list[x509.Certificate]:
        """Those whose name, key identifiers and kind of key fit (RFC 5280, 4.2.1.1 and 4.2.1.2); whether the signature
        is theirs is not looked at.
        """
        named = [
            each
            for each in self._by_name.get(comparable(certificate.issuer), ())
            if _may_make(each.certificate.public_key_algorithm_oid, certificate.signature_algorithm_oid)
        ]
        wanted = extension(certificate, x509.AuthorityKeyIdentifier)
        if wanted is None:
            return [each.certificate for each in named]
        names = [name.value for name in wanted.authority_cert_issuer or () if isinstance(name, x509.DirectoryName)]
        issued_by = frozenset(map(comparable, names))
        return [each.certificate for each in named if each.fits(wanted, issued_by)]

    @cached_property
    def _by_name(self) -> dict[ComparableName, list[_Issuer]]:
        found = defaultdict(list)
        for each in self._certificates:
            found[comparable(each.subject)].append(_Issuer(each))
        return dict(found)


class _Issuer:
    """A certificate with what an authorityKeyIdentifier is compared with."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.certificate = certificate
        identifier = extension(certificate, x509.SubjectKeyIdentifier)
        self._key = None if identifier is None else identifier.digest

    def fits(self, wanted: x509.AuthorityKeyIdentifier, issued_by: frozenset[ComparableName]) -> bool:
        if None not in {self._key, wanted.key_identifier} and self._key != wanted.key_identifier:
            return False
        serial = wanted.authority_cert_serial_number
        if serial is not None and serial != serial_number(self.certificate):
            return False
        return not issued_by or self._issued_by in issued_by

    @cached_property
    def _issued_by(self) -> ComparableName:
        return comparable(self.certificate.issuer)


def _may_make(key: x509.ObjectIdentifier, signature: x509.ObjectIdentifier) -> bool:
    """Whether OpenSSL believes a key of this kind to make signatures of this kind; of kinds unknown here it may."""
    if signature.dotted_string in _SIGNED_BY:
        return key.dotted_string in _SIGNED_BY[signature.dotted_string]
    kinds = [kinds for prefix, kinds in _SIGNED_BY.items() if signature.dotted_string.startswith(f"{prefix}.")]
    return not kinds or key.dotted_string in kinds[0]


def may_have_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether ``issuer`` fits as the issuer of ``certificate``; of several ask :class:`Issuers`."""
    return bool(Issuers([issuer]).of(certificate))


def looks_self_signed(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are one name, and the key identifiers do not say otherwise."""
    return may_have_issued(certificate, certificate)


def owner_of(position: int, certificate: x509.Certificate, anchor: x509.Certificate | None) -> str:
    """What a certificate at this place of a path is called."""
    if position == 0:
        return "leaf"
    return "trust anchor" if certificate == anchor else "intermediate"


def valid_at(certificate: x509.Certificate, now: datetime) -> bool:
    """Whether OpenSSL takes it for valid: from its first second to the one before its last."""
    return certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc


def preferred(issuers: Iterable[x509.Certificate], now: datetime) -> list[x509.Certificate]:
    """Of several issuers those among which dates do not choose: the valid ones, else the one that ends last."""
    found = list(issuers)
    valid = [each for each in found if valid_at(each, now)]
    if valid or not found:
        return valid
    return [max(found, key=lambda each: each.not_valid_after_utc)]
