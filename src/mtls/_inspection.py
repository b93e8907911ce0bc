"""What ``profile.check()`` finds: the pure checks of our own side, and what OpenSSL says of our chain and our anchors.

Rule: the checks explain, and where OpenSSL refuses something that none of them found, its own word is a finding too.
"""

from __future__ import annotations

import _ssl
import functools
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

from mtls._certificate import der, label
from mtls._checks.coherence import check_policy, unknown_ciphers
from mtls._checks.crls import freshness
from mtls._checks.fitness import check_keystore
from mtls._checks.path import may_have_issued
from mtls._checks.trust import check_truststore
from mtls._credentials.truststore import Truststore
from mtls._handshake.anchor_verdict import judge_anchor
from mtls._handshake.verdict import Judge, Verdict
from mtls._handshake.verdict_at import judge_at
from mtls._handshake.verify_codes import VERIFY_CODES, fits_code
from mtls._model import AnchorKind, ChainRules, FailureReason, Finding, Revocation, Severity
from mtls._report import Report
from mtls.errors import VerdictUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from cryptography import x509

    from mtls._credentials.keystore import Keystore
    from mtls._handshake.generation import Settings

_MOST_ANCHORS = 20
"""For more anchors than this OpenSSL is not asked one by one: they are somebody's list."""
_EXPIRED = frozenset({9, 10})


def report_on(
    settings: Settings, unused: Sequence[Finding], now: datetime, *, at: datetime | None = None, ask: bool = True
) -> Report:
    """The report on one profile at the time ``now``; ``at`` is the same time where the caller named one.

    ``unused`` are the findings about options without effect. Without ``ask`` OpenSSL is not asked.
    """
    findings = [*check_policy(settings.policy, settings.role, settings.keystore), *unused]
    if not findings and not _knows_ciphers(settings.policy.cipher_string):
        findings.append(unknown_ciphers(settings.policy))
    ask = ask and not findings
    left_out: list[str] = []
    if settings.keystore is not None:
        own = check_keystore(
            settings.keystore,
            settings.role,
            truststore=settings.truststore,
            policy=settings.policy,
            eku=settings.eku,
            chain_rules=settings.chain_rules,
            now=now,
        )
        findings += own
        if ask:
            findings += _our_chain(settings, settings.keystore, own, at, left_out)
    if settings.truststore is not None:
        theirs = check_truststore(
            settings.truststore,
            settings.role,
            chain_rules=settings.chain_rules,
            revocation=settings.revocation,
            policy=settings.policy,
            authorized=settings.authorize is not None,
            now=now,
        )
        findings += theirs
        if ask:
            findings += _our_anchors(settings, settings.truststore, theirs, left_out)
    findings.sort(key=lambda found: (found.severity is not Severity.ERROR, found.step, found.position or 0))
    return Report(
        settings.role,
        settings.keystore is not None and settings.truststore is not None,
        tuple(findings),
        not_checked=(*_not_checked(settings), *left_out),
        checked=tuple(_checked(settings, now)),
    )


def _our_chain(
    settings: Settings, keystore: Keystore, found: Sequence[Finding], at: datetime | None, left_out: list[str]
) -> Iterator[Finding]:
    """Our chain as a peer will see it that trusts its top and reads it without strictness, as most do.

    Why OpenSSL could not be asked is added to ``left_out``.
    """
    top = keystore.root or (keystore.chain[-1] if keystore.chain else keystore.certificate)
    anchors = () if settings.truststore is None else settings.truststore.anchors
    above = [anchor for anchor in anchors if may_have_issued(anchor, top)]
    peer = replace(
        settings,
        role=settings.role.other,
        keystore=None,
        truststore=Truststore.from_certificates(above or [top]),
        chain_rules=ChainRules.LENIENT,
        revocation=Revocation.OFF,
    )
    chain = [der(certificate) for certificate in (keystore.certificate, *keystore.chain)]
    try:
        verdict = Judge(peer).judge(chain) if at is None else judge_at(peer, chain, None, at)
    except VerdictUnavailableError as fault:
        left_out.append(f"OpenSSL's verdict on our own chain: {fault}")
        return
    if verdict.accepted or _is_told(verdict, found):
        return
    text = f"a peer's OpenSSL refuses the chain of {label(keystore.certificate)}"
    finding = _own_word(verdict, settings, text, None)
    if finding.failure is FailureReason.UNKNOWN_CA:
        text = f"{finding.message}, although it trusts the top of it: it does not know an algorithm in there"
        finding = replace(finding, failure=FailureReason.BAD_SIGNATURE, message=text)
    yield replace(finding, certificate=keystore.certificate)


def _our_anchors(
    settings: Settings, truststore: Truststore, found: Sequence[Finding], left_out: list[str]
) -> Iterator[Finding]:
    """Each anchor as the issuer of a peer, and as the peer's own certificate; the dates are for the pure checks, which
    know the time that is meant. That there are too many to ask OpenSSL about is added to ``left_out``.
    """
    if len(truststore) > _MOST_ANCHORS:
        left_out.append(f"OpenSSL's verdict on each anchor: there are {len(truststore)}, more than {_MOST_ANCHORS}")
        return
    refused = [
        (anchor, verdict)
        for anchor in truststore
        if (verdict := _refused_as_anchor(settings, anchor, truststore.kind_of(anchor))) is not None
    ]
    hopeless = len(refused) == len(truststore)
    for anchor, verdict in refused:
        about = [finding for finding in found if finding.certificate == anchor]
        if _is_told(verdict, about, Severity.WARNING):
            continue
        text = f"OpenSSL takes {label(anchor)} for no trust anchor"
        certain = hopeless and (not verdict.judged or not _is_good_as_peer(settings, anchor))
        severity = Severity.ERROR if certain else Severity.WARNING
        yield replace(_own_word(verdict, settings, text, anchor), severity=severity)


def _refused_as_anchor(settings: Settings, anchor: x509.Certificate, kind: AnchorKind) -> Verdict | None:
    """What OpenSSL has against an anchor of this kind; ``None`` for nothing, or for a key that signs nothing here."""
    try:
        if kind is AnchorKind.LEAF and _is_good_as_peer(settings, anchor):
            return None
        verdict = judge_anchor(settings, anchor)
    except VerdictUnavailableError as fault:  # OpenSSL does not even load it
        return Verdict(0, str(fault), (), judged=False)
    return None if verdict is None or verdict.accepted or verdict.code in _EXPIRED else verdict


def _is_good_as_peer(settings: Settings, anchor: x509.Certificate) -> bool:
    """Whether a peer gets in whose own certificate it is; dates are set aside."""
    alone = Truststore.from_certificates([anchor])
    pinning = replace(settings, truststore=alone, revocation=Revocation.OFF)
    return Judge(pinning, dates=False).judge([der(anchor)]).accepted


def _is_told(verdict: Verdict, found: Sequence[Finding], least: Severity = Severity.ERROR) -> bool:
    severities = {Severity.ERROR, least}
    return any(
        finding.severity in severities and (not verdict.judged or fits_code(finding.failure, verdict.code))
        for finding in found
    )


def _own_word(verdict: Verdict, settings: Settings, text: str, anchor: x509.Certificate | None) -> Finding:
    step = settings.role.verified_at if anchor is None else settings.role.other.verified_at
    return Finding(
        failure=VERIFY_CODES.get(verdict.code, FailureReason.MALFORMED) if verdict.judged else FailureReason.MALFORMED,
        severity=Severity.ERROR,
        step=step,
        message=f"{text}: {verdict.message} (verify code {verdict.code})",
        remedy="have the certificate that this speaks of issued anew by a CA that follows RFC 5280",
        certificate=anchor,
    )


def _checked(settings: Settings, now: datetime) -> Iterator[str]:
    if settings.truststore is not None and settings.revocation is not Revocation.OFF:
        yield from freshness(settings.truststore.crls, now)


def _not_checked(settings: Settings) -> Iterator[str]:
    yield from settings.policy.unenforceable
    if settings.truststore is not None and settings.revocation is Revocation.OFF:
        yield "revocation of peers: the truststore holds no CRLs, or revocation is OFF"


@functools.lru_cache(maxsize=64)
def _knows_ciphers(cipher_string: str) -> bool:
    context = _ssl._SSLContext(int(ssl.PROTOCOL_TLS_SERVER))
    try:
        context.set_ciphers(cipher_string)
    except ssl.SSLError:
        return False
    return True
