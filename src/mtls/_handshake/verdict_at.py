"""The verdict for another time than now, composed of what OpenSSL says with all dates set aside, and of the dates.

Theory of operation. ``ssl`` offers no way to set the time of a validation, but OpenSSL can leave the dates out of it.
Two things still depend on them. Between several issuers of one name OpenSSL takes the first that is valid at the time,
so those that it would pass over are left out beforehand; where one path needs what another must not see, nothing honest
can be said. And the dates of the path that it took are compared afterwards, in the order in which OpenSSL would have.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mtls import _certificate
from mtls._checks.crl_choice import in_date, issuing_key, may_hold, needing_a_crl
from mtls._checks.path import may_have_issued, preferred, valid_at
from mtls._checks.signatures import signed_by
from mtls._credentials.truststore import Truststore
from mtls._handshake.verdict import Judge, Verdict
from mtls.errors import VerdictUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from mtls._handshake.generation import Settings

_NOT_YET_VALID, _EXPIRED, _CRL_NOT_YET_VALID, _CRL_EXPIRED, _BAD_SIGNATURE, _REVOKED = 9, 10, 11, 12, 7, 23
_AFTER_THE_DATES = frozenset({0, *range(41, 44), *range(46, 50), *range(51, 54)})
"""What OpenSSL looks at once it has compared every date: name constraints, address blocks, policies."""
_MESSAGES = {
    _NOT_YET_VALID: "certificate is not yet valid",
    _EXPIRED: "certificate has expired",
    _CRL_NOT_YET_VALID: "CRL is not yet valid",
    _CRL_EXPIRED: "CRL has expired",
}


class _Material(NamedTuple):
    """A message and a truststore without what OpenSSL would pass over at the time."""

    sent: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]


def judge_at(settings: Settings, chain: Sequence[bytes], hostname: str | None, at: datetime) -> Verdict:
    """The verdict that a handshake would come to at the time ``at`` (aware; parts of a second do not count).

    Raises :class:`VerdictUnavailableError` where it cannot be composed: a certificate whose dates cannot be read, or
    issuers of one name between which the time chooses differently for two certificates of the chain.
    """
    assert settings.truststore is not None
    moment = at.replace(microsecond=0)
    sent = _readable(chain)
    seen = _as_seen(sent, settings.truststore.anchors, moment)
    lists = _lists_in_date(settings.truststore.crls, moment)
    trust = Truststore.from_certificates(seen.anchors, crls=lists)
    dateless = Judge(replace(settings, truststore=trust), dates=False)
    verdict = dateless.judge([_certificate.der(each) for each in seen.sent], hostname)
    if not verdict.judged:
        return verdict
    path = _readable(verdict.path)
    code = _code(verdict.code, path, lists, settings, moment)
    return verdict if code == verdict.code else Verdict(code, _MESSAGES[code], verdict.path)


def _readable(chain: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    found = []
    for position, encoded in enumerate(chain):
        certificate = _certificate.parse(encoded)
        if certificate is None:
            text = (
                f"the certificate at place {position} cannot be read, so what its dates would mean at another time is "
                "not known; leave at= out to have it judged now"
            )
            raise VerdictUnavailableError(text)
        found.append(certificate)
    return tuple(found)


# --- which issuers OpenSSL would see ---


def _as_seen(sent: tuple[x509.Certificate, ...], anchors: tuple[x509.Certificate, ...], moment: datetime) -> _Material:
    kept: tuple[set[x509.Certificate], ...] = (set(), set())
    passed_over: tuple[set[x509.Certificate], ...] = (set(), set())
    asked, open_ends = {sent[0]}, [sent[0]]
    while open_ends:
        certificate = open_ends.pop()
        for place, pool in enumerate((sent[1:], anchors)):
            issuers = [each for each in pool if may_have_issued(each, certificate)]
            chosen = preferred(issuers, moment)
            kept[place].update(chosen)
            passed_over[place].update(each for each in issuers if each not in chosen)
            following = [each for each in chosen if each not in asked]
            asked.update(following)
            open_ends += following
    for place in range(2):
        if torn := kept[place] & passed_over[place]:
            name = _certificate.label(next(iter(torn)))
            text = (
                f"there are several issuers of one name, and at that time {name} would be taken for one certificate "
                "and passed over for another, which cannot be composed; judge a chain without its twin"
            )
            raise VerdictUnavailableError(text)
    return _Material(
        (sent[0], *(each for each in sent[1:] if each not in passed_over[0])),
        tuple(each for each in anchors if each not in passed_over[1]),
    )


def _lists_in_date(
    crls: Sequence[x509.CertificateRevocationList], moment: datetime
) -> list[x509.CertificateRevocationList]:
    """Without those that are out of date where the same CA has one that is not."""
    return [
        crl
        for crl in crls
        if in_date(crl, moment) or not any(_same_source(crl, other) and in_date(other, moment) for other in crls)
    ]


def _same_source(one: x509.CertificateRevocationList, other: x509.CertificateRevocationList) -> bool:
    return _certificate.same_name(one.issuer, other.issuer) and issuing_key(one) == issuing_key(other)


# --- the dates, in OpenSSL's order: CRLs from the leaf up, then certificates from the anchor down ---


def _code(
    dateless: int,
    path: Sequence[x509.Certificate],
    lists: Sequence[x509.CertificateRevocationList],
    settings: Settings,
    moment: datetime,
) -> int:
    if dateless not in {*_AFTER_THE_DATES, _BAD_SIGNATURE, _REVOKED}:
        return dateless
    for certificate in needing_a_crl(path, settings.revocation):
        if dateless == _REVOKED and _is_revoked(certificate, lists):
            return dateless
        if late := _crl_date(certificate, lists, moment):
            return late
    if dateless == _REVOKED:
        return dateless
    for certificate, issuer in reversed([*pairwise(path), (path[-1], path[-1])]):
        if dateless == _BAD_SIGNATURE and certificate != issuer and signed_by(certificate, issuer) is False:
            return dateless
        if not valid_at(certificate, moment):
            return _NOT_YET_VALID if moment < certificate.not_valid_before_utc else _EXPIRED
    return dateless


def _crl_date(certificate: x509.Certificate, lists: Sequence[x509.CertificateRevocationList], moment: datetime) -> int:
    found = [crl for crl in lists if may_hold(crl, certificate)]
    if not found or any(in_date(crl, moment) for crl in found):
        return 0
    return _CRL_NOT_YET_VALID if all(moment < crl.last_update_utc for crl in found) else _CRL_EXPIRED


def _is_revoked(certificate: x509.Certificate, lists: Sequence[x509.CertificateRevocationList]) -> bool:
    serial = certificate.serial_number
    return any(
        crl.get_revoked_certificate_by_serial_number(serial) is not None for crl in lists if may_hold(crl, certificate)
    )
