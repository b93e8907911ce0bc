"""The TLS alerts: their registered names, and what a peer that sends one claims.

Rule: keyed on numbers and OpenSSL's reason names, never on message text. An alert is a claim of the peer, and it may be
wrong; where in the handshake it belongs is decided in ``rules``.
"""

from __future__ import annotations

import enum

from mtls._model import FailureReason as F

ALERT_NAMES: dict[int, str] = {
    0: "close_notify",
    10: "unexpected_message",
    20: "bad_record_mac",
    21: "decryption_failed",
    22: "record_overflow",
    30: "decompression_failure",
    40: "handshake_failure",
    41: "no_certificate",
    42: "bad_certificate",
    43: "unsupported_certificate",
    44: "certificate_revoked",
    45: "certificate_expired",
    46: "certificate_unknown",
    47: "illegal_parameter",
    48: "unknown_ca",
    49: "access_denied",
    50: "decode_error",
    51: "decrypt_error",
    52: "too_many_cids_requested",
    60: "export_restriction",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    90: "user_canceled",
    100: "no_renegotiation",
    109: "missing_extension",
    110: "unsupported_extension",
    111: "certificate_unobtainable",
    112: "unrecognized_name",
    113: "bad_certificate_status_response",
    114: "bad_certificate_hash_value",
    115: "unknown_psk_identity",
    116: "certificate_required",
    117: "general_error",
    120: "no_application_protocol",
    121: "ech_required",
}
"""Every alert of the IANA registry "TLS Alerts" by its number."""


class AlertKind(enum.StrEnum):
    """What an alert speaks of."""

    REQUIRED = "a certificate that is required"
    NEGOTIATION = "what was offered in the hellos"
    CERTIFICATE = "a certificate"
    SIGNATURE = "a signature or a Finished"
    RECORD = "a record that does not decrypt"
    HANDSHAKE_FAILURE = "parameters that it does not accept"
    FORM = "the form of a message"
    NOTHING = "nothing in particular"


ALERTS: dict[str, tuple[AlertKind, F]] = {
    "certificate_required": (AlertKind.REQUIRED, F.CERTIFICATE_REQUIRED),
    "protocol_version": (AlertKind.NEGOTIATION, F.PROTOCOL_VERSION),
    "inappropriate_fallback": (AlertKind.NEGOTIATION, F.PROTOCOL_VERSION),
    "insufficient_security": (AlertKind.NEGOTIATION, F.NO_SHARED_CIPHER),
    "unrecognized_name": (AlertKind.NEGOTIATION, F.UNRECOGNIZED_NAME),
    "no_application_protocol": (AlertKind.NEGOTIATION, F.ALPN),
    "missing_extension": (AlertKind.NEGOTIATION, F.MALFORMED),
    "unsupported_extension": (AlertKind.NEGOTIATION, F.MALFORMED),
    "unknown_psk_identity": (AlertKind.NEGOTIATION, F.PEER_ERROR),
    "ech_required": (AlertKind.NEGOTIATION, F.PEER_ERROR),
    "no_certificate": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),  # of SSL 3, and reserved ever since
    "bad_certificate": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),
    "unsupported_certificate": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),
    "certificate_revoked": (AlertKind.CERTIFICATE, F.REVOKED),
    "certificate_expired": (AlertKind.CERTIFICATE, F.EXPIRED),
    "certificate_unknown": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),
    "unknown_ca": (AlertKind.CERTIFICATE, F.UNKNOWN_CA),
    "access_denied": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),
    "certificate_unobtainable": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),
    "bad_certificate_status_response": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),
    "bad_certificate_hash_value": (AlertKind.CERTIFICATE, F.CERTIFICATE_REJECTED),
    "decrypt_error": (AlertKind.SIGNATURE, F.BAD_SIGNATURE),
    "bad_record_mac": (AlertKind.RECORD, F.TAMPERED),
    "decryption_failed": (AlertKind.RECORD, F.TAMPERED),
    "handshake_failure": (AlertKind.HANDSHAKE_FAILURE, F.PEER_ERROR),
    "unexpected_message": (AlertKind.FORM, F.MALFORMED),
    "record_overflow": (AlertKind.FORM, F.MALFORMED),
    "decompression_failure": (AlertKind.FORM, F.MALFORMED),
    "illegal_parameter": (AlertKind.FORM, F.MALFORMED),
    "decode_error": (AlertKind.FORM, F.MALFORMED),
    "internal_error": (AlertKind.NOTHING, F.PEER_ERROR),
    "general_error": (AlertKind.NOTHING, F.PEER_ERROR),
    "export_restriction": (AlertKind.NOTHING, F.PEER_ERROR),
    "too_many_cids_requested": (AlertKind.NOTHING, F.PEER_ERROR),
    "no_renegotiation": (AlertKind.NOTHING, F.PEER_ERROR),
    "user_canceled": (AlertKind.NOTHING, F.CLOSED),
    "close_notify": (AlertKind.NOTHING, F.CLOSED),
}
"""Every alert: what it speaks of, and no more than what it claims (Java, Go and GnuTLS use one for every cause)."""

_PREFIXES = ("SSLV3_ALERT_", "TLSV13_ALERT_", "TLSV1_ALERT_", "TLSV1_")
_SPELLINGS = {"user_cancelled": "user_canceled"}


def alert_of_reason(reason: str | None) -> str | None:
    """The IANA name of the alert that an OpenSSL reason says was received, ``None`` where it says none.

    OpenSSL names a received alert after the protocol that introduced it: ``SSLV3_ALERT_BAD_CERTIFICATE``,
    ``TLSV1_UNRECOGNIZED_NAME`` (without ``ALERT``), ``TLSV13_ALERT_CERTIFICATE_REQUIRED``.
    """
    for prefix in _PREFIXES:
        if reason is not None and reason.startswith(prefix):
            name = reason.removeprefix(prefix).lower()
            name = _SPELLINGS.get(name, name)
            return name if name in ALERTS else None
    return None
