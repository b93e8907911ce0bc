"""A ``HandshakeError`` as a record for a log: JSON-ready, versioned, bounded, without secrets.

Rule: names from a certificate are escaped and cut, and lists are cut: a hostile peer cannot flood a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtls import _certificate

if TYPE_CHECKING:
    from mtls.errors import HandshakeError

_VERSION = 1
_LISTED = 10


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
        "server_hostname": error.server_hostname,
        "peer_address": error.peer_address,
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
