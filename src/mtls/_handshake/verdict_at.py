"""The verdict for another time than now, composed of what OpenSSL says with all dates set aside, and of the dates.

Theory of operation. ``ssl`` offers no way to set the time of a validation, but OpenSSL can leave the dates out of it.
Two things still depend on them. Between several issuers of one name OpenSSL takes the first that is valid at the time:
where it took another, that one is hidden, and it is asked again, until the path is the one that it would have taken.
And the dates of that path, and of its CRLs, are compared afterwards, in the order in which OpenSSL would have done it.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from mtls import _certificate
from mtls._checks.crl_choice import needing_a_crl
from mtls._checks.crl_form import is_delta
from mtls._checks.path import Issuers, preferred, valid_at
from mtls._checks.revocation import faults, passed_over, sought_for
from mtls._checks.signatures import signed_by
from mtls._credentials.truststore import Truststore
from mtls._handshake.verdict import Judge, Verdict
from mtls._model import FailureReason
from mtls.errors import VerdictUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from cryptography import x509

    from mtls._handshake.generation import Settings

_NOT_YET_VALID, _EXPIRED, _CRL_NOT_YET_VALID, _CRL_EXPIRED, _BAD_SIGNATURE = 9, 10, 11, 12, 7
_OF_CRLS = frozenset({3, 5, 8, 11, 12, 15, 16, 23, 33, 35, 36, 44, 54})
_AFTER_THE_DATES = frozenset({0, *range(41, 44), *range(46, 50), *range(51, 54)})
"""What OpenSSL looks at once it has compared every date: name constraints, address blocks, policies."""
_MESSAGES = {
    _NOT_YET_VALID: "certificate is not yet valid",
    _EXPIRED: "certificate has expired",
    _CRL_NOT_YET_VALID: "CRL is not yet valid",
    _CRL_EXPIRED: "CRL has expired",
}
_NO_ANCHOR = frozenset({2, 18, 19, 20, 21})
"""OpenSSL came to the end of the path without an anchor."""


def judge_at(settings: Settings, chain: Sequence[bytes], hostname: str | None, at: datetime) -> Verdict:
    """The verdict that a handshake would come to at the time ``at`` (aware; parts of a second do not count).

    Raises :class:`VerdictUnavailableError` where it cannot be composed: a certificate whose dates cannot be read, or
    issuers of one name between which the time chooses differently for two certificates of one path.
    """
    assert settings.truststore is not None
    moment = at.replace(microsecond=0)
    sent, anchors = _readable(chain), settings.truststore.anchors
    lists = list(settings.truststore.crls)
    known = Issuers(sent), Issuers(anchors)
    hidden: set[x509.Certificate] = set()
    while True:
        trust = Truststore.from_certificates([each for each in anchors if each not in hidden], crls=lists)
        judge = Judge(replace(settings, truststore=trust), dates=False)
        verdict = judge.judge([_certificate.der(sent[0]), *_encoded(sent[1:], hidden)], hostname)
        if not verdict.judged:
            return verdict
        path = _readable(verdict.path)
        in_the_way = _passed_over(_Choices(path, verdict.code, *known, moment), hidden)
        late = _lists_passed_over(path, settings, moment)
        if not in_the_way and not any(crl in late for crl in lists):
            break
        hidden |= in_the_way
        lists = [crl for crl in lists if in_the_way or crl not in late]
    code = _code(verdict.code, path, settings, moment)
    return verdict if code == verdict.code else Verdict(code, _MESSAGES[code], verdict.path)


def _encoded(sent: Sequence[x509.Certificate], hidden: AbstractSet[x509.Certificate]) -> list[bytes]:
    return [_certificate.der(each) for each in sent if each not in hidden]


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


# --- which issuers OpenSSL would have taken ---


class _Choices(NamedTuple):
    """The path that OpenSSL took without dates, and what it chose from."""

    path: tuple[x509.Certificate, ...]
    code: int
    sent: Issuers
    anchors: Issuers
    moment: datetime


def _passed_over(choices: _Choices, hidden: AbstractSet[x509.Certificate]) -> set[x509.Certificate]:
    """What it would have passed over at the time and took, or what stood in its way; empty for an honest path.

    Hidden is what would be passed over; that it is not needed elsewhere in the path is looked at here as well.
    """
    path = choices.path
    steps: list[tuple[x509.Certificate, x509.Certificate | None]] = [*pairwise(path)]
    if choices.code in _NO_ANCHOR:
        steps.append((path[-1], None))
    for place, (certificate, taken) in enumerate(steps):
        issuers = _issuers(choices, certificate, path[: place + 1])
        preferences = preferred(issuers, choices.moment)
        if any(each in hidden for each in preferences):
            name = _certificate.label(certificate)
            text = (
                f"there are several issuers of one name, and for {name} one would be taken at that time that is passed "
                "over for another certificate of the same path, which cannot be composed; judge it without the twins"
            )
            raise VerdictUnavailableError(text)
        if taken not in preferences:
            return {each for each in issuers if each not in preferences} - hidden
    return set()


def _issuers(
    choices: _Choices, certificate: x509.Certificate, path: Sequence[x509.Certificate]
) -> list[x509.Certificate]:
    """Those that OpenSSL chooses between: the trusted ones, or, where there is none, those that were sent."""
    trusted = choices.anchors.of(certificate)
    return trusted or [each for each in choices.sent.of(certificate) if each not in path]


def _lists_passed_over(
    path: Sequence[x509.Certificate], settings: Settings, moment: datetime
) -> list[x509.CertificateRevocationList]:
    """The CRLs that OpenSSL would not have taken at the time, because another one is in date."""
    assert settings.truststore is not None
    return [
        crl
        for position in range(len(needing_a_crl(path, settings.revocation)))
        for crl in passed_over(sought_for(path, position), settings.truststore.crls, moment)
    ]


# --- the dates, in OpenSSL's order: those of CRLs from the leaf up, then those of certificates from the anchor down ---


def _code(dateless: int, path: Sequence[x509.Certificate], settings: Settings, moment: datetime) -> int:
    """Raises :class:`VerdictUnavailableError` where OpenSSL accepts and the CRLs of that time say otherwise."""
    if dateless not in _AFTER_THE_DATES | _OF_CRLS | {_BAD_SIGNATURE}:
        return dateless
    said = _said_by_crls(path, settings, moment)
    for failure, crls in said:
        if failure is FailureReason.CRL_EXPIRED:
            return _CRL_NOT_YET_VALID if all(moment < crl.last_update_utc for crl in crls) else _CRL_EXPIRED
        if dateless in _OF_CRLS:
            return dateless
    if dateless in _OF_CRLS:
        return dateless
    for certificate, issuer in reversed([*pairwise(path), (path[-1], path[-1])]):
        if dateless == _BAD_SIGNATURE and certificate != issuer and signed_by(certificate, issuer) is False:
            return dateless
        if not valid_at(certificate, moment):
            return _NOT_YET_VALID if moment < certificate.not_valid_before_utc else _EXPIRED
    assert settings.truststore is not None
    if said and dateless == 0 and not any(map(is_delta, settings.truststore.crls)):  # for a delta it is refused anyway
        text = "which of several CRLs of one CA counts depends on the time in a way that cannot be composed"
        raise VerdictUnavailableError(text)
    return dateless


def _said_by_crls(
    path: Sequence[x509.Certificate], settings: Settings, moment: datetime
) -> list[tuple[FailureReason, tuple[x509.CertificateRevocationList, ...]]]:
    """The first fault of the CRLs for each certificate that needs one, the leaf's first."""
    assert settings.truststore is not None
    found = []
    for position in range(len(needing_a_crl(path, settings.revocation))):
        fault = next(faults(sought_for(path, position), settings.truststore.crls, moment), None)
        if fault is not None:
            found.append((fault.failure, fault.crls))
    return found
