"""What a profile demands of a peer beyond OpenSSL's verdict: EKU policy, identity, authorization, dates on resumption.

Rule: it may only narrow. Only ``is True`` admits, an exception refuses, and nobody without a verified certificate is
asked about.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mtls import _certificate
from mtls._handshake.hostnames import dns_name_matches
from mtls._handshake.peer import PeerIdentity, PeerPolicy, identity_of
from mtls._model import EKUPolicy, FailureReason, Role
from mtls.errors import ChainError

if TYPE_CHECKING:
    from datetime import datetime

    from mtls._handshake.generation import Settings

_log = logging.getLogger("mtls")

Refusal = tuple[FailureReason, str, bytes | None]


def refusal(settings: Settings, real: Any, now: datetime, hostname: str | None = None) -> Refusal | None:
    """Why the peer of a finished handshake is refused, with its leaf (DER); ``None`` lets it in.

    ``hostname`` is the name that a client asked for.
    """
    if settings.truststore is None:
        return None
    try:
        peer = identity_of(real)
    except ChainError:
        text = "its certificate cannot be read, so the rules of the profile cannot be applied to it"
        return FailureReason.MALFORMED, text, real.getpeercert(True)
    if peer is None:
        if settings.verify_mode is ssl.CERT_REQUIRED:
            return FailureReason.CERTIFICATE_REQUIRED, "it showed no certificate", None
        return None  # ClientAuth.OPTIONAL and no certificate: there is nobody to ask about
    leaf = _certificate.der(peer.certificate)
    rules = (
        _resumed_out_of_date(peer, now),
        _resumed_elsewhere(settings, peer, hostname),
        _eku(settings, peer),
        _identity(settings, peer),
    )
    for rule in rules:
        if rule is not None:
            return *rule, leaf
    return None


def _resumed_out_of_date(peer: PeerIdentity, now: datetime) -> tuple[FailureReason, str] | None:
    """A resumed session skips OpenSSL's checks, so the leaf may have ended since the full handshake."""
    if peer.resumed and now > peer.certificate.not_valid_after_utc:
        ended = _certificate.when(peer.certificate.not_valid_after_utc)
        return FailureReason.EXPIRED, f"it ended on {ended}, after the session that was resumed had begun"
    return None


def _resumed_elsewhere(
    settings: Settings, peer: PeerIdentity, hostname: str | None
) -> tuple[FailureReason, str] | None:
    """OpenSSL compares no name on a resumed session, and a caller may give the session of another server."""
    if not peer.resumed or not settings.check_hostname or hostname is None:
        return None
    try:
        wanted = str(ipaddress.ip_address(hostname))
    except ValueError:
        fits = any(dns_name_matches(hostname, name) for name in peer.dns_names)
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
    wanted = settings.server_identity
    if settings.role is Role.CLIENT and isinstance(wanted, PeerPolicy) and wanted(peer) is not True:
        return FailureReason.NOT_AUTHORIZED, f"{peer!r} is not {wanted!r}"
    if settings.authorize is None:
        return None
    try:
        admitted = settings.authorize(peer)
    except Exception as fault:  # noqa: BLE001 - whatever it raises, it did not admit
        _log.exception("authorize= raised, so the peer is refused")
        return FailureReason.NOT_AUTHORIZED, f"authorize= raised {type(fault).__name__} for {peer!r}"
    if admitted is not True:
        return FailureReason.NOT_AUTHORIZED, f"authorize= does not admit {peer!r}"
    return None
