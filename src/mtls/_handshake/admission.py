"""What a profile demands of a peer beyond OpenSSL's verdict: EKU policy, identity, authorization, and on a resumed
connection what OpenSSL would not look at again.

Rule: it may only narrow. Only ``is True`` admits, an exception refuses, and nobody without a verified certificate is
asked about.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mtls import _certificate
from mtls._checks.crl_choice import may_hold
from mtls._checks.host_name import certificate_covers
from mtls._handshake.peer import PeerIdentity, identity_of
from mtls._handshake.peer_policy import PeerPolicy
from mtls._model import EKUPolicy, FailureReason, Role
from mtls.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from mtls._handshake.connection import Connection
    from mtls._handshake.generation import Settings

_log = logging.getLogger("mtls")

_CRL_CHECK_CHAIN = ssl.VERIFY_CRL_CHECK_CHAIN & ~ssl.VERIFY_CRL_CHECK_LEAF
_RULE_LENGTH = 300

Refusal = tuple[FailureReason, str, bytes | None]


def refusal(connection: Connection, real: Any, now: datetime) -> Refusal | None:
    """Why the peer of a finished handshake is refused, with its leaf (DER); ``None`` lets it in."""
    settings = connection.settings
    if settings.truststore is None:
        return None
    try:
        peer = identity_of(real, connection.paths)
    except ChainError:
        text = "its certificate cannot be read, so the rules of the profile cannot be applied to it"
        return FailureReason.MALFORMED, text, real.getpeercert(True)
    if peer is None:
        if settings.verify_mode is ssl.CERT_REQUIRED:
            return FailureReason.CERTIFICATE_REQUIRED, "it showed no certificate", None
        return None  # ClientAuth.OPTIONAL and no certificate: there is nobody to ask about
    leaf = _certificate.der(peer.certificate)
    context = connection.serving.context
    resumed = (
        _resumed_out_of_date(peer, now),
        _resumed_without_revocation(settings, peer, context.verify_flags, now),
        _resumed_elsewhere(peer, connection.server_hostname if context.check_hostname else None),
    )
    for rule in (*resumed, *objections(settings, peer)):
        if rule is not None:
            return *rule, leaf
    return None


def objections(settings: Settings, peer: PeerIdentity) -> list[tuple[FailureReason, str]]:
    """What the rules of the profile have against a peer whose path OpenSSL accepts, each with the reason."""
    return [objection for objection in (_eku(settings, peer), _identity(settings, peer)) if objection is not None]


def _resumed_out_of_date(peer: PeerIdentity, now: datetime) -> tuple[FailureReason, str] | None:
    """A resumed session skips OpenSSL's checks, so a certificate may have ended since the full handshake."""
    if not peer.resumed:
        return None
    for certificate in peer.chain:
        if now >= certificate.not_valid_after_utc:
            ended = _certificate.when(certificate.not_valid_after_utc)
            whose = "it" if certificate is peer.chain[0] else f"{_certificate.label(certificate)} in its chain"
            return FailureReason.EXPIRED, f"{whose} ended on {ended}, after the session that was resumed had begun"
    return None


def _resumed_without_revocation(
    settings: Settings, peer: PeerIdentity, flags: int, now: datetime
) -> tuple[FailureReason, str] | None:
    """The lists of a generation do not change, but they end: then a full handshake would be refused, too."""
    if not peer.resumed or settings.truststore is None or not flags & ssl.VERIFY_CRL_CHECK_LEAF:
        return None
    for certificate in peer.chain if flags & _CRL_CHECK_CHAIN else peer.chain[:1]:
        lists = [crl for crl in settings.truststore.crls if may_hold(crl, certificate)]
        if lists and all(crl.next_update_utc is not None and crl.next_update_utc <= now for crl in lists):
            issuer = _certificate.name(certificate.issuer)
            text = f"every CRL of {issuer} has ended since the session that was resumed had begun"
            return FailureReason.CRL_EXPIRED, text
    return None


def _resumed_elsewhere(peer: PeerIdentity, hostname: str | None) -> tuple[FailureReason, str] | None:
    """OpenSSL compares no name on a resumed session, and a caller may give the session of another server."""
    if not peer.resumed or hostname is None:
        return None
    try:
        wanted = str(ipaddress.ip_address(hostname))
    except ValueError:
        fits = any(certificate_covers(name, hostname) for name in peer.dns_names)
    else:
        fits = wanted in peer.ip_addresses
    if fits:
        return None
    return FailureReason.HOSTNAME_MISMATCH, f"the session was resumed with {hostname!r}, and belongs to {peer!r}"


def _eku(settings: Settings, peer: PeerIdentity) -> tuple[FailureReason, str] | None:
    if settings.eku is not EKUPolicy.REQUIRED:
        return None
    wanted = settings.role.other
    present = _certificate.extension(peer.certificate, x509.ExtendedKeyUsage)
    if present is None:
        return FailureReason.WRONG_EKU, f"it has no extended key usage, and this profile requires {wanted.eku}"
    if _certificate.EKU_OIDS[wanted] not in present:
        return FailureReason.WRONG_EKU, f"its extended key usage does not include {wanted.eku}"
    return None


def _identity(settings: Settings, peer: PeerIdentity) -> tuple[FailureReason, str] | None:
    asked: list[tuple[str, Callable[[PeerIdentity], bool]]] = []
    if settings.role is Role.CLIENT and isinstance(settings.server_identity, PeerPolicy):
        asked.append(("server_identity=", settings.server_identity))
    if settings.authorize is not None:
        asked.append(("authorize=", settings.authorize))
    for called, rule in asked:
        objection = objection_of(rule, peer, called)
        if objection is None:
            continue
        if isinstance(rule, PeerPolicy):
            objection += f", only {_certificate.printable(repr(rule), _RULE_LENGTH)}"
        return FailureReason.NOT_AUTHORIZED, objection
    return None


def objection_of(rule: Callable[[PeerIdentity], bool], peer: PeerIdentity, called: str) -> str | None:
    """Why a rule does not admit a verified peer, ``None`` if it does; ``called`` is the rule's name in the text."""
    try:
        admitted: object = rule(peer)
    except Exception as fault:  # noqa: BLE001 - whatever it raises, it did not admit
        _log.exception("%s raised, so the peer is refused", called)
        return f"{called} raised {type(fault).__name__} for {peer!r}"
    if isinstance(admitted, Coroutine):
        admitted.close()
        return f"{called} is an async function, which nothing can wait for here, so it does not admit {peer!r}"
    return None if admitted is True else f"{called} does not admit {peer!r}"
