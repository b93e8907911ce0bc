"""What is wrong with the chain behind a failed handshake: made when somebody asks, by the checks.

Rule: OpenSSL and the peer have decided; this only explains. Where the checks find nothing that fits the verdict, the
verdict stands alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls import _certificate
from mtls._checks.chain import JudgedChain, errors, explain_chain
from mtls._checks.fitness import check_keystore
from mtls._handshake.authority_names import parsed_name
from mtls._handshake.hostnames import asked_name
from mtls._handshake.verify_codes import VERIFY_CODES, fits_code
from mtls._model import FailureReason, Finding, HandshakeStep, Severity
from mtls.errors import Account, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mtls._credentials.keystore import Keystore
    from mtls._handshake.generation import Settings

_SHOWN = 3
"""More names than this do not fit a line."""
_ABOUT_THE_CERTIFICATE = frozenset(
    {
        FailureReason.UNKNOWN_CA,
        FailureReason.CERTIFICATE_REJECTED,
        FailureReason.CLOSED,
        FailureReason.RESET,
        FailureReason.PEER_ERROR,
    }
)
"""What a server that knows none of our issuers may say."""


def of_refused_chain(
    settings: Settings, sent: Sequence[bytes], begun: Sequence[bytes], code: int, hostname: str | None, now: datetime
) -> Account:
    """Every fault of a peer's chain that we refused with this verify code, at the time ``now`` (aware).

    ``sent`` is what the peer sent and ``begun`` the path that OpenSSL took, as far as it came (DER, leaf first).
    """
    general = VERIFY_CODES.get(code, FailureReason.CERTIFICATE_REJECTED)
    if settings.truststore is None or not sent:
        return Account(general, (), None)
    path = [_certificate.parse(each) for each in begun]
    judged = JudgedChain(
        sent=tuple(map(_certificate.parse, sent)),
        begun=tuple(each for each in path if each is not None) if None not in path else (),
        anchors=settings.truststore.anchors,
        crls=settings.truststore.crls,
        role=settings.role.other,
        now=now,
        policy=settings.policy,
        eku=settings.eku,
        chain_rules=settings.chain_rules,
        revocation=settings.revocation,
        hostname=_compared(settings, hostname),
    )
    findings = explain_chain(judged)
    faults = errors(findings)
    if not any(fits_code(finding.failure, code) for finding in faults):
        return Account(general, tuple(findings), sent[0])
    culprit = faults[0].certificate
    return Account(faults[0].failure, tuple(findings), sent[0] if culprit is None else _certificate.der(culprit))


def _compared(settings: Settings, hostname: str | None) -> str | None:
    if hostname is None or not settings.check_hostname:
        return None
    try:
        return asked_name(hostname, settings.hosts)
    except UsageError:
        return None


def of_our_chain(settings: Settings, authorities: Sequence[bytes], failure: FailureReason, now: datetime) -> Account:
    """What is known to be wrong with our own chain, which the peer refused; the failure stays what the peer claims.

    ``authorities`` are the names of the CAs that a server asked for (DER), empty where it named none.
    """
    keystore = settings.keystore
    if keystore is None:
        return Account(failure, (), None)
    findings = check_keystore(
        keystore,
        settings.role,
        truststore=settings.truststore,
        policy=settings.policy,
        eku=settings.eku,
        chain_rules=settings.chain_rules,
        now=now,
    )
    if failure in _ABOUT_THE_CERTIFICATE and (wanted := _asked_for_others(keystore, authorities)):
        findings.insert(0, wanted)
    findings.sort(key=lambda finding: finding.severity is not Severity.ERROR)
    return Account(failure, tuple(findings), _certificate.der(keystore.certificate))


def _asked_for_others(keystore: Keystore, authorities: Sequence[bytes]) -> Finding | None:
    """That the server asked for certificates of other CAs than ours."""
    names = [name for name in map(parsed_name, authorities) if name is not None]
    if not names:
        return None
    accepted = {_certificate.comparable(name) for name in names}
    ours = [certificate.issuer for certificate in (keystore.certificate, *keystore.chain)]
    if any(_certificate.comparable(issuer) in accepted for issuer in ours):
        return None
    shown = ", ".join(_certificate.name(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    own = _certificate.name(ours[-1])
    return Finding(
        failure=FailureReason.UNKNOWN_CA,
        severity=Severity.ERROR,
        step=HandshakeStep.SERVER_VERIFIES_CLIENT,
        message=f"the server accepts certificates from {shown}{more}; ours is from {own}",
        remedy=f"ask the server's owner to trust {own}, or get a certificate from a CA that it accepts",
        certificate=keystore.certificate,
        position=0,
        required=f"an issuer among {shown}{more}",
        presented=own,
    )
