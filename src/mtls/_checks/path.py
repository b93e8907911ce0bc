"""Which certificates follow each other from a leaf to an anchor, chosen as OpenSSL chooses them.

Rule: this is no verdict. OpenSSL takes the first issuer that fits by name, key identifier and dates, those it trusts
before those that were sent, and never turns back; so does this. Signatures are looked at elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mtls._certificate import extension, same_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

_LONGEST = 100
"""OpenSSL follows no longer path than this (``SSL_CTX_set_verify_depth``)."""


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

    ``sent`` is the message in its order. A path ends at the first certificate that is an anchor.
    """
    path = [begun[0]]
    rest = list(begun[1:])
    known = frozenset(anchors)
    while path[-1] not in known and len(path) < _LONGEST:
        if rest:
            path.append(rest.pop(0))
            continue
        if looks_self_signed(path[-1]):
            break
        issuers = [each for each in anchors if may_have_issued(each, path[-1]) and each not in path]
        issuers = issuers or [each for each in sent if may_have_issued(each, path[-1]) and each not in path]
        if not issuers:
            break
        path.append(_preferred(issuers, now))
    return Path(tuple(path), path[-1] if path[-1] in known else None)


def may_have_issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether name and key identifiers fit; the signature is not looked at (RFC 5280, 4.2.1.1 and 4.2.1.2)."""
    if not same_name(issuer.subject, certificate.issuer):
        return False
    wanted = extension(certificate, x509.AuthorityKeyIdentifier)
    if wanted is None:
        return True
    own = extension(issuer, x509.SubjectKeyIdentifier)
    if own is not None and wanted.key_identifier is not None and own.digest != wanted.key_identifier:
        return False
    return wanted.authority_cert_serial_number in {None, issuer.serial_number} and _names_issuer(wanted, issuer)


def looks_self_signed(certificate: x509.Certificate) -> bool:
    """Whether subject and issuer are one name, and the key identifiers do not say otherwise."""
    return may_have_issued(certificate, certificate)


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


def _preferred(issuers: list[x509.Certificate], now: datetime) -> x509.Certificate:
    return preferred(issuers, now)[0]


def _names_issuer(wanted: x509.AuthorityKeyIdentifier, issuer: x509.Certificate) -> bool:
    names = [name.value for name in wanted.authority_cert_issuer or () if isinstance(name, x509.DirectoryName)]
    return not names or any(same_name(name, issuer.issuer) for name in names)
