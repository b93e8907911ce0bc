"""What OpenSSL's codes and TLS alerts mean, as data.

Rule: keyed on codes (reason names, verify codes, alert numbers), never on message text. The rules that place a failure
in a step are in ``diagnosis``; this file only says what a code stands for.
"""

from __future__ import annotations

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
    120: "no_application_protocol",
    121: "ech_required",
}
"""Every alert of the IANA registry "TLS Alerts" by its number."""

_ALERT_PREFIXES = ("SSLV3_ALERT_", "TLSV13_ALERT_", "TLSV1_ALERT_", "TLSV1_")
_ALERT_SPELLINGS = {"user_cancelled": "user_canceled"}
_ALERTS_BY_NAME = {name: number for number, name in ALERT_NAMES.items()}


def alert_of_reason(reason: str | None) -> str | None:
    """The IANA name of the alert that an OpenSSL reason says was received, ``None`` where it says none.

    OpenSSL names a received alert after the protocol that introduced it: ``SSLV3_ALERT_BAD_CERTIFICATE``,
    ``TLSV1_UNRECOGNIZED_NAME`` (without ``ALERT``), ``TLSV13_ALERT_CERTIFICATE_REQUIRED``.
    """
    for prefix in _ALERT_PREFIXES:
        if reason is not None and reason.startswith(prefix):
            name = reason.removeprefix(prefix).lower()
            name = _ALERT_SPELLINGS.get(name, name)
            return name if name in _ALERTS_BY_NAME else None
    return None


CERTIFICATE_ALERTS: dict[str, F] = {
    "no_certificate": F.CERTIFICATE_REQUIRED,
    "bad_certificate": F.CERTIFICATE_REJECTED,
    "unsupported_certificate": F.CERTIFICATE_REJECTED,
    "certificate_revoked": F.REVOKED,
    "certificate_expired": F.EXPIRED,
    "certificate_unknown": F.CERTIFICATE_REJECTED,
    "unknown_ca": F.UNKNOWN_CA,
    "access_denied": F.CERTIFICATE_REJECTED,
    "certificate_unobtainable": F.CERTIFICATE_REJECTED,
    "bad_certificate_status_response": F.CERTIFICATE_REJECTED,
    "bad_certificate_hash_value": F.CERTIFICATE_REJECTED,
}
"""Alerts by which a peer refuses a certificate, and no more than what they claim (Java, Go and GnuTLS use one of them
for every cause)."""

NEGOTIATION_ALERTS: dict[str, F] = {
    "protocol_version": F.PROTOCOL_VERSION,
    "inappropriate_fallback": F.PROTOCOL_VERSION,
    "insufficient_security": F.NO_SHARED_CIPHER,
    "unrecognized_name": F.UNRECOGNIZED_NAME,
    "no_application_protocol": F.ALPN,
    "missing_extension": F.MALFORMED,
    "unsupported_extension": F.MALFORMED,
    "unknown_psk_identity": F.PEER_ERROR,
    "ech_required": F.PEER_ERROR,
}
"""Alerts that belong to the hellos whenever they come before the end of the handshake."""

OTHER_ALERTS: dict[str, F] = {
    "unexpected_message": F.MALFORMED,
    "record_overflow": F.MALFORMED,
    "decompression_failure": F.MALFORMED,
    "illegal_parameter": F.MALFORMED,
    "decode_error": F.MALFORMED,
    "bad_record_mac": F.TAMPERED,
    "decryption_failed": F.TAMPERED,
    "decrypt_error": F.BAD_SIGNATURE,
    "handshake_failure": F.PEER_ERROR,
    "internal_error": F.PEER_ERROR,
    "export_restriction": F.PEER_ERROR,
    "too_many_cids_requested": F.PEER_ERROR,
    "user_canceled": F.CLOSED,
    "no_renegotiation": F.PEER_ERROR,
    "close_notify": F.CLOSED,
    "certificate_required": F.CERTIFICATE_REQUIRED,
}
"""Every other alert; its step depends on how far the handshake had come."""

VERIFY_CODES: dict[int, F] = {
    1: F.CERTIFICATE_REJECTED,  # UNSPECIFIED
    2: F.UNKNOWN_CA,  # UNABLE_TO_GET_ISSUER_CERT
    3: F.CRL_MISSING,  # UNABLE_TO_GET_CRL
    4: F.BAD_SIGNATURE,  # UNABLE_TO_DECRYPT_CERT_SIGNATURE
    5: F.BAD_SIGNATURE,  # UNABLE_TO_DECRYPT_CRL_SIGNATURE
    6: F.MALFORMED,  # UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY
    7: F.BAD_SIGNATURE,  # CERT_SIGNATURE_FAILURE
    8: F.BAD_SIGNATURE,  # CRL_SIGNATURE_FAILURE
    9: F.NOT_YET_VALID,  # CERT_NOT_YET_VALID
    10: F.EXPIRED,  # CERT_HAS_EXPIRED
    11: F.CRL_EXPIRED,  # CRL_NOT_YET_VALID
    12: F.CRL_EXPIRED,  # CRL_HAS_EXPIRED
    13: F.MALFORMED,  # ERROR_IN_CERT_NOT_BEFORE_FIELD
    14: F.MALFORMED,  # ERROR_IN_CERT_NOT_AFTER_FIELD
    15: F.MALFORMED,  # ERROR_IN_CRL_LAST_UPDATE_FIELD
    16: F.MALFORMED,  # ERROR_IN_CRL_NEXT_UPDATE_FIELD
    17: F.CERTIFICATE_REJECTED,  # OUT_OF_MEM
    18: F.SELF_SIGNED,  # DEPTH_ZERO_SELF_SIGNED_CERT
    19: F.UNKNOWN_CA,  # SELF_SIGNED_CERT_IN_CHAIN: the untrusted root was sent along
    20: F.UNKNOWN_CA,  # UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: F.UNKNOWN_CA,  # UNABLE_TO_VERIFY_LEAF_SIGNATURE
    22: F.PATH_TOO_LONG,  # CERT_CHAIN_TOO_LONG
    23: F.REVOKED,  # CERT_REVOKED
    24: F.MALFORMED,  # NO_ISSUER_PUBLIC_KEY
    25: F.PATH_TOO_LONG,  # PATH_LENGTH_EXCEEDED
    26: F.WRONG_EKU,  # INVALID_PURPOSE
    27: F.UNKNOWN_CA,  # CERT_UNTRUSTED
    28: F.CERTIFICATE_REJECTED,  # CERT_REJECTED
    29: F.UNKNOWN_CA,  # SUBJECT_ISSUER_MISMATCH
    30: F.UNKNOWN_CA,  # AKID_SKID_MISMATCH
    31: F.UNKNOWN_CA,  # AKID_ISSUER_SERIAL_MISMATCH
    32: F.WRONG_KEY_USAGE,  # KEYUSAGE_NO_CERTSIGN
    33: F.CRL_MISSING,  # UNABLE_TO_GET_CRL_ISSUER
    34: F.UNKNOWN_CRITICAL_EXTENSION,  # UNHANDLED_CRITICAL_EXTENSION
    35: F.WRONG_KEY_USAGE,  # KEYUSAGE_NO_CRL_SIGN
    36: F.UNKNOWN_CRITICAL_EXTENSION,  # UNHANDLED_CRITICAL_CRL_EXTENSION
    37: F.WRONG_KEY_USAGE,  # INVALID_NON_CA
    38: F.PATH_TOO_LONG,  # PROXY_PATH_LENGTH_EXCEEDED
    39: F.WRONG_KEY_USAGE,  # KEYUSAGE_NO_DIGITAL_SIGNATURE
    40: F.CERTIFICATE_REJECTED,  # PROXY_CERTIFICATES_NOT_ALLOWED
    41: F.MALFORMED,  # INVALID_EXTENSION
    42: F.MALFORMED,  # INVALID_POLICY_EXTENSION
    43: F.CERTIFICATE_REJECTED,  # NO_EXPLICIT_POLICY
    44: F.CRL_MISSING,  # DIFFERENT_CRL_SCOPE
    45: F.MALFORMED,  # UNSUPPORTED_EXTENSION_FEATURE
    46: F.CERTIFICATE_REJECTED,  # UNNESTED_RESOURCE
    47: F.NAME_CONSTRAINTS,  # PERMITTED_VIOLATION
    48: F.NAME_CONSTRAINTS,  # EXCLUDED_VIOLATION
    49: F.NAME_CONSTRAINTS,  # SUBTREE_MINMAX
    50: F.CERTIFICATE_REJECTED,  # APPLICATION_VERIFICATION
    51: F.NAME_CONSTRAINTS,  # UNSUPPORTED_CONSTRAINT_TYPE
    52: F.NAME_CONSTRAINTS,  # UNSUPPORTED_CONSTRAINT_SYNTAX
    53: F.NAME_CONSTRAINTS,  # UNSUPPORTED_NAME_SYNTAX
    54: F.CRL_MISSING,  # CRL_PATH_VALIDATION_ERROR
    55: F.UNKNOWN_CA,  # PATH_LOOP
    56: F.WEAK_KEY,  # SUITE_B_INVALID_VERSION
    57: F.WEAK_KEY,  # SUITE_B_INVALID_ALGORITHM
    58: F.WEAK_KEY,  # SUITE_B_INVALID_CURVE
    59: F.WEAK_SIGNATURE,  # SUITE_B_INVALID_SIGNATURE_ALGORITHM
    60: F.WEAK_KEY,  # SUITE_B_LOS_NOT_ALLOWED
    61: F.WEAK_KEY,  # SUITE_B_CANNOT_SIGN_P_384_WITH_P_256
    62: F.HOSTNAME_MISMATCH,  # HOSTNAME_MISMATCH
    63: F.HOSTNAME_MISMATCH,  # EMAIL_MISMATCH
    64: F.HOSTNAME_MISMATCH,  # IP_ADDRESS_MISMATCH
    65: F.CERTIFICATE_REJECTED,  # DANE_NO_MATCH
    66: F.WEAK_KEY,  # EE_KEY_TOO_SMALL
    67: F.WEAK_KEY,  # CA_KEY_TOO_SMALL
    68: F.WEAK_SIGNATURE,  # CA_MD_TOO_WEAK
    69: F.CERTIFICATE_REJECTED,  # INVALID_CALL
    70: F.CERTIFICATE_REJECTED,  # STORE_LOOKUP
    71: F.CERTIFICATE_REJECTED,  # NO_VALID_SCTS
    72: F.CERTIFICATE_REJECTED,  # PROXY_SUBJECT_NAME_VIOLATION
    73: F.CERTIFICATE_REJECTED,  # OCSP_VERIFY_NEEDED
    74: F.CERTIFICATE_REJECTED,  # OCSP_VERIFY_FAILED
    75: F.CERTIFICATE_REJECTED,  # OCSP_CERT_UNKNOWN
    76: F.BAD_SIGNATURE,  # UNSUPPORTED_SIGNATURE_ALGORITHM
    77: F.BAD_SIGNATURE,  # SIGNATURE_ALGORITHM_MISMATCH
    78: F.BAD_SIGNATURE,  # SIGNATURE_ALGORITHM_INCONSISTENCY
    79: F.NOT_A_CA,  # INVALID_CA
    80: F.NOT_A_CA,  # PATHLEN_INVALID_FOR_NON_CA
    81: F.WRONG_KEY_USAGE,  # PATHLEN_WITHOUT_KU_KEY_CERT_SIGN
    82: F.WRONG_KEY_USAGE,  # KU_KEY_CERT_SIGN_INVALID_FOR_NON_CA
    83: F.MALFORMED,  # ISSUER_NAME_EMPTY
    84: F.MALFORMED,  # SUBJECT_NAME_EMPTY
    85: F.MISSING_EXTENSION,  # MISSING_AUTHORITY_KEY_IDENTIFIER
    86: F.MISSING_EXTENSION,  # MISSING_SUBJECT_KEY_IDENTIFIER
    87: F.MALFORMED,  # EMPTY_SUBJECT_ALT_NAME
    88: F.MALFORMED,  # EMPTY_SUBJECT_SAN_NOT_CRITICAL
    89: F.MALFORMED,  # CA_BCONS_NOT_CRITICAL
    90: F.UNKNOWN_CRITICAL_EXTENSION,  # AUTHORITY_KEY_IDENTIFIER_CRITICAL
    91: F.UNKNOWN_CRITICAL_EXTENSION,  # SUBJECT_KEY_IDENTIFIER_CRITICAL
    92: F.MISSING_EXTENSION,  # CA_CERT_MISSING_KEY_USAGE
    93: F.MALFORMED,  # EXTENSIONS_REQUIRE_VERSION_3
    94: F.MALFORMED,  # EC_KEY_EXPLICIT_PARAMS
    95: F.CERTIFICATE_REJECTED,  # RPK_UNTRUSTED (OpenSSL 3.2)
}
"""``X509_V_ERR_*`` (x509_vfy.h of OpenSSL 3) to a failure."""

_SAME_CODE: dict[F, frozenset[F]] = {
    F.UNKNOWN_CA: frozenset({F.INCOMPLETE_CHAIN, F.SELF_SIGNED}),
    F.SELF_SIGNED: frozenset({F.UNKNOWN_CA}),
    F.WRONG_EKU: frozenset({F.WRONG_KEY_USAGE}),
    F.NOT_A_CA: frozenset({F.WRONG_KEY_USAGE, F.MISSING_EXTENSION}),
}
"""What the checks can tell apart where OpenSSL has one code: 20 is an unknown CA and a missing intermediate, 26 the
extended and the plain key usage, 79 every reason for which a certificate is no CA.
"""


def fits_code(failure: F, code: int) -> bool:
    """Whether ``failure`` is what OpenSSL's verify code means, or one of the things it means."""
    general = VERIFY_CODES.get(code)
    return general is not None and (failure is general or failure in _SAME_CODE.get(general, ()))


CALLER_REASONS = frozenset(
    {
        "APPLICATION_DATA_AFTER_CLOSE_NOTIFY",  # unwrap() with data unread
        "BAD_LENGTH",  # a shorter write after one that failed
        "BAD_WRITE_RETRY",  # another buffer after SSLWantWriteError
        "PROTOCOL_IS_SHUTDOWN",  # a write after unwrap()
        "SHUTDOWN_WHILE_IN_INIT",
        "UNINITIALIZED",
    }
)
"""What OpenSSL says of the calls that the program makes: no peer has a part in it."""

NOT_TLS_REASONS = frozenset({"HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "WRONG_VERSION_NUMBER", "UNKNOWN_PROTOCOL"})
"""What OpenSSL says of bytes that are no TLS record."""

NEGOTIATION_REASONS: dict[str, F] = {
    "UNSUPPORTED_PROTOCOL": F.PROTOCOL_VERSION,
    "NO_PROTOCOLS_AVAILABLE": F.PROTOCOL_VERSION,
    "NO_CIPHERS_AVAILABLE": F.NO_SHARED_CIPHER,
    "UNSUPPORTED_SSL_VERSION": F.PROTOCOL_VERSION,
    "WRONG_SSL_VERSION": F.PROTOCOL_VERSION,
    "VERSION_TOO_LOW": F.PROTOCOL_VERSION,
    "VERSION_TOO_HIGH": F.PROTOCOL_VERSION,
    "BAD_PROTOCOL_VERSION_NUMBER": F.PROTOCOL_VERSION,
    "INAPPROPRIATE_FALLBACK": F.PROTOCOL_VERSION,
    "UNSAFE_LEGACY_RENEGOTIATION_DISABLED": F.PROTOCOL_VERSION,
    "NO_SHARED_CIPHER": F.NO_SHARED_CIPHER,
    "NO_CIPHERS_SPECIFIED": F.NO_SHARED_CIPHER,
    "NO_CIPHER_MATCH": F.NO_SHARED_CIPHER,
    "WRONG_CIPHER_RETURNED": F.NO_SHARED_CIPHER,
    "UNKNOWN_CIPHER_RETURNED": F.NO_SHARED_CIPHER,
    "NO_SUITABLE_GROUPS": F.NO_SHARED_GROUP,
    "NO_SHARED_GROUPS": F.NO_SHARED_GROUP,
    "NO_SUITABLE_KEY_SHARE": F.NO_SHARED_GROUP,
    "UNSUPPORTED_ELLIPTIC_CURVE": F.NO_SHARED_GROUP,
    "NO_SHARED_SIGNATURE_ALGORITHMS": F.NO_SHARED_SIGNATURE_ALGORITHM,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": F.NO_SHARED_SIGNATURE_ALGORITHM,
    "WRONG_SIGNATURE_TYPE": F.NO_SHARED_SIGNATURE_ALGORITHM,
    "NO_APPLICATION_PROTOCOL": F.ALPN,
    "DH_KEY_TOO_SMALL": F.WEAK_KEY,
}
"""What our own OpenSSL finds missing while the hellos are exchanged."""

TAMPERED_REASONS = frozenset(
    {
        "DECRYPTION_FAILED_OR_BAD_RECORD_MAC",
        "DECRYPTION_FAILED",
        "BLOCK_CIPHER_PAD_IS_WRONG",
        "DIGEST_CHECK_FAILED",
        "BAD_FINISHED",
        "ENCRYPTED_LENGTH_TOO_LONG",
    }
)
"""What does not decrypt, or does not match the hash of the handshake."""
