"""Which CRL speaks about which certificate, and is it in date? As OpenSSL chooses them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mtls._certificate import extension, same_name
from mtls._model import Revocation

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime


def needing_a_crl(path: Sequence[x509.Certificate], revocation: Revocation) -> Sequence[x509.Certificate]:
    """The certificates of a path (leaf first) that a CRL is demanded for; the anchor is one of them."""
    return {Revocation.CHAIN: path, Revocation.LEAF: path[:1], Revocation.OFF: ()}[revocation]


def may_hold(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Whether OpenSSL would look for a certificate in this CRL: issued under the same name and, where both say, by the
    same key (a CA that was given a new key keeps its name).
    """
    if not same_name(crl.issuer, certificate.issuer):
        return False
    keys = issuing_key(crl), issuing_key(certificate)
    return None in keys or keys[0] == keys[1]


def issuing_key(signed: x509.Certificate | x509.CertificateRevocationList) -> bytes | None:
    """The identifier of the key that signed it, where it says (RFC 5280, 4.2.1.1 and 5.2.1)."""
    identifier = extension(signed, x509.AuthorityKeyIdentifier)  # type: ignore[arg-type] # CRLs have them too
    return None if identifier is None else identifier.key_identifier


def in_date(crl: x509.CertificateRevocationList, now: datetime) -> bool:
    """Whether the CRL has begun and not ended; one without an end does not (RFC 5280, 5.1.2.5)."""
    return crl.last_update_utc <= now and (crl.next_update_utc is None or now < crl.next_update_utc)
