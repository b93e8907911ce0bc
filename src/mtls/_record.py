"""A ``HandshakeError`` as a record for a log: JSON-ready, versioned, bounded, without secrets.

Rule: names from a certificate are escaped and cut, and lists are cut: a hostile peer cannot flood a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtls import _certificate
from mtls._model import Phase, Role

if TYPE_CHECKING:
    from mtls.errors import HandshakeError

_VERSION = 1
_LISTED = 10
_NAME_LENGTH = 253
"""Of a host name (RFC 1035, 2.3.4)."""
_CERTIFICATE_ATTRIBUTES = {
    "subject": "subject",
    "issuer": "issuer",
    "not_before": "not_before",
    "not_after": "not_after",
    "sha256": "hash.sha256",
}


def record(error: HandshakeError) -> dict[str, Any]:
    """The fields of the error; ``version`` grows when a field changes its meaning."""
    return {
        "version": _VERSION,
        "error": type(error).__name__,
        "message": str(error),
        "step": None if error.step is None else int(error.step),
        "step_name": None if error.step is None else error.step.name,
        "side": error.side and error.side.value,
        "role": error.role and error.role.value,
        "failure": error.failure.value,
        "alert": error.alert,
        "evidence": error.evidence.value,
        "phase": error.phase.value,
        "tls_version": error.tls_version,
        "server_hostname": _bounded(error.server_hostname),
        "peer_address": error.peer_address,
        "because": error.because,
        "docs_anchor": error.docs_anchor,
        "certificate": certificate_facts(error._certificate),
        "local_certificate": certificate_facts(error._local_certificate),
        "peer_chain": [certificate_facts(encoded) for encoded in error._peer_chain[:_LISTED]],
        "hint": error.hint,
        "findings": [finding.to_dict() for finding in error.findings[:_LISTED]],
        "openssl": {
            "reason": error.reason,
            "library": error.library,
            "verify_code": error.verify_code,
            "verify_message": error.verify_message,
        },
    }


def attributes(error: HandshakeError) -> dict[str, str | int | bool]:
    """The same, flat, by the names of OpenTelemetry's semantic conventions (``tls``, ``error``, ``server``), with names
    of our own below ``tls.handshake`` for what they do not have. What is not known is left out.
    """
    own = "client" if error.role is Role.CLIENT else "server"
    theirs = "server" if error.role is Role.CLIENT else "client"
    found: dict[str, str | int | bool | None] = {
        "error.type": error.failure.value,
        "error.message": str(error),
        "tls.established": error.phase is not Phase.HANDSHAKE,
        "tls.protocol.name": "tls",
        "tls.protocol.version": None if error.tls_version is None else error.tls_version.removeprefix("TLS "),
        "tls.handshake.step": None if error.step is None else int(error.step),
        "tls.handshake.step_name": None if error.step is None else error.step.name.lower(),
        "tls.handshake.side": error.side and error.side.value,
        "tls.handshake.role": error.role and error.role.value,
        "tls.handshake.alert": error.alert,
        "tls.handshake.evidence": error.evidence.value,
        "tls.handshake.phase": error.phase.value,
        "tls.handshake.verify_code": error.verify_code or None,
        "server.address": _bounded(error.server_hostname),
        "network.peer.address": error.peer_address,
    }
    if error.role is not None:
        chain = error._peer_chain
        for side, encoded in ((own, error._local_certificate), (theirs, chain[0] if chain else None)):
            facts = certificate_facts(encoded) or {}
            for field, name in _CERTIFICATE_ATTRIBUTES.items():
                found[f"tls.{side}.{name}"] = facts.get(field)
    return {name: value for name, value in found.items() if value is not None}


def _bounded(text: str | None) -> str | None:
    return None if text is None else _certificate.printable(text, _NAME_LENGTH)


def certificate_facts(encoded: bytes | None) -> dict[str, Any] | None:
    """A certificate in a log line: bounded, escaped, no key."""
    if encoded is None:
        return None
    certificate = _certificate.parse(encoded)
    if certificate is None:
        return {"subject": None, "size": len(encoded)}
    return {
        "subject": _certificate.label(certificate),
        "issuer": _certificate.name(certificate.issuer),
        "serial_number": f"{certificate.serial_number:x}",
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "sha256": _certificate.fingerprint(certificate),
    }
