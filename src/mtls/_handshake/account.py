"""What the checks say of the chains behind a handshake: what is wrong with the one that was refused, and what is worth
knowing of those that were not. It is made when somebody asks.

Rule: OpenSSL and the peer have decided; this only explains. Where the checks find nothing that fits the verdict, the
verdict stands alone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mtls import _certificate
from mtls._checks.chain import JudgedChain, errors, explain_chain, remarks_on
from mtls._checks.fitness import check_keystore
from mtls._handshake.authority_names import parsed_name
from mtls._handshake.hostnames import asked_name
from mtls._handshake.verify_codes import VERIFY_CODES, fits_code
from mtls._model import FailureReason, Finding, HandshakeStep, Severity
from mtls.errors import Account, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from mtls._credentials.keystore import Keystore
    from mtls._credentials.truststore import Truststore
    from mtls._handshake.generation import Settings
    from mtls.errors import HandshakeError

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
_ABOUT_THE_SERVER = frozenset({HandshakeStep.SERVER_CERTIFICATE, HandshakeStep.CLIENT_VERIFIES_SERVER})
_ABOUT_THE_CLIENT = frozenset({HandshakeStep.CLIENT_CERTIFICATE, HandshakeStep.SERVER_VERIFIES_CLIENT})


def of_refused_chain(
    settings: Settings, sent: Sequence[bytes], begun: Sequence[bytes], code: int, hostname: str | None, now: datetime
) -> Account:
    """Every fault of a peer's chain that we refused with this verify code, at the time ``now`` (aware).

    ``sent`` is what the peer sent and ``begun`` the path that OpenSSL took, as far as it came (DER, leaf first).
    """
    general = VERIFY_CODES.get(code, FailureReason.CERTIFICATE_REJECTED)
    if settings.truststore is None or not sent:
        return Account(general, (), None)
    findings = explain_chain(_judged(settings, settings.truststore, sent, begun, hostname, now))
    faults = errors(findings)
    if not any(fits_code(finding.failure, code) for finding in faults):
        return Account(general, tuple(findings), sent[0])
    culprit = faults[0].certificate
    return Account(faults[0].failure, tuple(findings), sent[0] if culprit is None else _certificate.der(culprit))


def _judged(
    settings: Settings,
    truststore: Truststore,
    sent: Sequence[bytes],
    begun: Sequence[bytes],
    hostname: str | None,
    now: datetime,
) -> JudgedChain:
    path = [_certificate.parse(each) for each in begun]
    return JudgedChain(
        sent=tuple(map(_certificate.parse, sent)),
        begun=tuple(each for each in path if each is not None) if None not in path else (),
        anchors=truststore.anchors,
        crls=truststore.crls,
        role=settings.role.other,
        now=now,
        policy=settings.policy,
        eku=settings.eku,
        chain_rules=settings.chain_rules,
        revocation=settings.revocation,
        hostname=_compared(settings, hostname),
    )


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
    findings = _of_ours(settings, keystore, now)
    if failure in _ABOUT_THE_CERTIFICATE and (wanted := _asked_for_others(keystore, authorities)):
        findings.insert(0, wanted)
    findings.sort(key=lambda finding: finding.severity is not Severity.ERROR)
    return Account(failure, tuple(findings), _certificate.der(keystore.certificate))


def _of_ours(settings: Settings, keystore: Keystore, now: datetime) -> list[Finding]:
    return check_keystore(
        keystore,
        settings.role,
        truststore=settings.truststore,
        policy=settings.policy,
        eku=settings.eku,
        chain_rules=settings.chain_rules,
        now=now,
    )


class Chains(NamedTuple):
    """What the two sides of a handshake showed each other, as a client knows it."""

    sent: tuple[bytes, ...]
    """By the server (DER, leaf first)."""
    path: tuple[bytes, ...]
    """The path that OpenSSL took, as far as it came."""
    authorities: tuple[bytes, ...] | None
    """The names of the CAs that the server asked for (DER), ``None`` where it did not ask."""


def of_both_chains(
    settings: Settings, chains: Chains, error: HandshakeError | None, hostname: str | None, now: datetime
) -> tuple[Finding, ...]:
    """The findings of the error, and what the checks know of the chain that was not refused: the server's, and, if the
    server asked for it, our own. Errors first.

    That the server asked for certificates of other CAs is an error where it refused us, and else a warning: the list is
    a hint (RFC 8446, 4.2.4), and a server may accept what it does not name.
    """
    found = list(error.findings) if error is not None else []
    told = {finding.step for finding in found}
    if settings.truststore is not None and chains.sent and told.isdisjoint(_ABOUT_THE_SERVER):
        judged = _judged(settings, settings.truststore, chains.sent, chains.path, hostname, now)
        found += remarks_on(judged)
    keystore = settings.keystore
    if keystore is not None and chains.authorities is not None and told.isdisjoint(_ABOUT_THE_CLIENT):
        found += _of_ours(settings, keystore, now)
        if wanted := _asked_for_others(keystore, chains.authorities):
            found.append(replace(wanted, severity=Severity.WARNING))
    return tuple(sorted(found, key=lambda finding: finding.severity is not Severity.ERROR))


def fits(keystore: Keystore, authorities: Sequence[bytes]) -> bool | None:
    """Whether our certificate comes from one of the CAs that a server asked for; ``None`` where it named none, or names
    that cannot be read.
    """
    names = [parsed_name(each) for each in authorities]
    accepted = {_certificate.comparable(name) for name in names if name is not None}
    if any(_certificate.comparable(issuer) in accepted for issuer in _issuers(keystore)):
        return True
    return None if None in names or not names else False


def _issuers(keystore: Keystore) -> list[x509.Name]:
    return [certificate.issuer for certificate in (keystore.certificate, *keystore.chain)]


def _asked_for_others(keystore: Keystore, authorities: Sequence[bytes]) -> Finding | None:
    """That the server asked for certificates of other CAs than ours."""
    if fits(keystore, authorities) is not False:
        return None
    names = [name for name in map(parsed_name, authorities) if name is not None]
    shown = ", ".join(_certificate.name(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    own = _certificate.name(_issuers(keystore)[-1])
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
