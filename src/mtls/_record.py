"""A ``HandshakeError`` as a record for a log: JSON-ready, versioned, bounded, without secrets.

Rule: names from a certificate are escaped and cut, and lists are cut: a hostile peer cannot flood a log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtls import _certificate
from mtls._model import Phase

if TYPE_CHECKING:
    from cryptography import x509

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
        "peer_address": _bounded(error.peer_address),
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
    """The same, flat, by the names of OpenTelemetry's conventions (``tls``, ``error``, ``exception``, ``server``,
    ``client``, ``network``), with names of our own below ``tls.handshake`` for what they do not have. What is not known
    is left out.
    """
    found: dict[str, str | int | bool | None] = {
        "error.type": error.failure.value,
        "exception.type": f"{type(error).__module__}.{type(error).__qualname__}",
        "exception.message": str(error),
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
        **_ends(error),
        **_shown(error),
    }
    return {name: value for name, value in found.items() if value is not None}


def _ends(error: HandshakeError) -> dict[str, str | int | None]:
    """Who is at the other end: the host that a client asked for, and the address and port, apart from each other."""
    address, port = _apart(error.peer_address)
    ends: dict[str, str | int | None] = {"network.peer.address": address, "network.peer.port": port}
    if error.role is not None:
        theirs = error.role.other.value
        ends |= {f"{theirs}.address": address, f"{theirs}.port": port}
    if error.server_hostname is not None:
        ends["server.address"] = _bounded(error.server_hostname)
    return ends


def _apart(peer: str | None) -> tuple[str | None, int | None]:
    """``[2001:db8::1]:443`` as address and port; the path of a Unix socket has no port."""
    host, colon, port = (peer or "").rpartition(":")
    if not colon or not port.isdecimal():
        return _bounded(peer), None
    return _bounded(host.removeprefix("[").removesuffix("]")), int(port)


def _shown(error: HandshakeError) -> dict[str, str | None]:
    """The two leaf certificates, each under the side that showed it."""
    if error.role is None:
        return {}
    chain = error._peer_chain
    leaves = ((error.role, error._local_certificate), (error.role.other, chain[0] if chain else None))
    found: dict[str, str | None] = {}
    for role, encoded in leaves:
        facts = certificate_facts(encoded) or {}
        found |= {f"tls.{role.value}.{name}": facts.get(field) for field, name in _CERTIFICATE_ATTRIBUTES.items()}
        if digest := facts.get("sha256"):
            found[f"tls.{role.value}.hash.sha256"] = digest.upper()  # as the convention has it
    return found


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
        "serial_number": _serial_number(certificate),
        "not_before": certificate.not_valid_before_utc.isoformat(),
        "not_after": certificate.not_valid_after_utc.isoformat(),
        "sha256": _certificate.fingerprint(certificate),
    }


def _serial_number(certificate: x509.Certificate) -> str | None:
    """In hexadecimal, as ``openssl x509 -serial`` has it; cut, since nobody holds a CA to the 20 bytes of RFC 5280."""
    number = _certificate.serial_number(certificate)
    return None if number is None else _certificate.printable(f"{number:x}")
