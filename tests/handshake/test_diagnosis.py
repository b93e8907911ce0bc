"""The rules that place a failure, one sentence each; the real peers that they are made for are in tests/peers."""

from __future__ import annotations

from typing import Any

import pytest

from mtls._handshake.diagnosis import Diagnosis, Observation, diagnose
from mtls._model import Evidence, Role, Side
from mtls._model import FailureReason as F
from mtls._model import HandshakeStep as S

CLIENT, SERVER = Role.CLIENT, Role.SERVER

AT_HELLO: dict[str, Any] = {}
AT_CERTIFICATES: dict[str, Any] = {"hello_seen": True, "chain_seen": True}
DONE_13: dict[str, Any] = {**AT_CERTIFICATES, "finished": True, "tls13": True}
DONE_12: dict[str, Any] = {**AT_CERTIFICATES, "finished": True, "tls13": False}
TALKING: dict[str, Any] = {**DONE_13, "data_received": True}


def place(role: Role | None, situation: dict[str, Any], **seen: Any) -> Diagnosis:
    return diagnose(Observation(role=role, **{**situation, **seen}))


ALERTS = [
    # role, situation, has a certificate, reason -> step, failure
    (CLIENT, AT_HELLO, True, "SSLV3_ALERT_HANDSHAKE_FAILURE", S.SERVER_HELLO, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, False, "SSLV3_ALERT_HANDSHAKE_FAILURE", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, AT_CERTIFICATES, True, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (CLIENT, DONE_13, False, "SSLV3_ALERT_HANDSHAKE_FAILURE", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_12, False, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (CLIENT, DONE_13, False, "TLSV13_ALERT_CERTIFICATE_REQUIRED", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_13, True, "TLSV13_ALERT_CERTIFICATE_REQUIRED", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_13, True, "TLSV1_ALERT_UNKNOWN_CA", S.SERVER_VERIFIES_CLIENT, F.UNKNOWN_CA),
    (CLIENT, AT_CERTIFICATES, True, "SSLV3_ALERT_CERTIFICATE_EXPIRED", S.SERVER_VERIFIES_CLIENT, F.EXPIRED),
    (CLIENT, DONE_13, False, "SSLV3_ALERT_BAD_CERTIFICATE", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_12, False, "SSLV3_ALERT_BAD_CERTIFICATE", S.APPLICATION_DATA, F.CERTIFICATE_REJECTED),
    (CLIENT, AT_HELLO, True, "SSLV3_ALERT_BAD_CERTIFICATE", None, F.CERTIFICATE_REJECTED),
    (CLIENT, TALKING, True, "TLSV1_ALERT_UNKNOWN_CA", S.APPLICATION_DATA, F.UNKNOWN_CA),
    (CLIENT, AT_HELLO, True, "TLSV1_ALERT_PROTOCOL_VERSION", S.SERVER_HELLO, F.PROTOCOL_VERSION),
    (CLIENT, AT_HELLO, True, "TLSV1_UNRECOGNIZED_NAME", S.SERVER_HELLO, F.UNRECOGNIZED_NAME),
    (CLIENT, AT_HELLO, True, "TLSV1_ALERT_INTERNAL_ERROR", S.SERVER_HELLO, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, True, "TLSV1_ALERT_INTERNAL_ERROR", None, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, True, "TLSV1_ALERT_DECRYPT_ERROR", S.SERVER_VERIFIES_CLIENT, F.BAD_SIGNATURE),
    (CLIENT, AT_CERTIFICATES, False, "TLSV1_ALERT_DECRYPT_ERROR", S.KEY_EXCHANGE, F.TAMPERED),
    (CLIENT, AT_CERTIFICATES, False, "SSLV3_ALERT_BAD_RECORD_MAC", S.KEY_EXCHANGE, F.TAMPERED),
    (CLIENT, TALKING, False, "SSLV3_ALERT_BAD_RECORD_MAC", S.APPLICATION_DATA, F.TAMPERED),
    (SERVER, {"hello_seen": True}, True, "TLSV1_ALERT_UNKNOWN_CA", S.CLIENT_VERIFIES_SERVER, F.UNKNOWN_CA),
    (SERVER, DONE_13, True, "TLSV1_ALERT_UNKNOWN_CA", None, F.UNKNOWN_CA),
    (SERVER, {"hello_seen": True}, True, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (SERVER, {"hello_seen": True, "tls13": False}, True, "TLSV1_ALERT_DECRYPT_ERROR", S.KEY_EXCHANGE, F.TAMPERED),
    (SERVER, {"hello_seen": True, "tls13": True}, True, "TLSV1_ALERT_DECRYPT_ERROR", None, F.BAD_SIGNATURE),
    (None, AT_HELLO, False, "TLSV1_ALERT_UNKNOWN_CA", None, F.UNKNOWN_CA),
    (None, AT_HELLO, False, "TLSV13_ALERT_CERTIFICATE_REQUIRED", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
]


@pytest.mark.parametrize(("role", "situation", "has_certificate", "reason", "step", "failure"), ALERTS)
def test_an_alert_is_placed_by_how_far_the_handshake_had_come(
    *, role: Role, situation: dict[str, Any], has_certificate: bool, reason: str, step: S | None, failure: F
) -> None:
    found = place(role, situation, has_certificate=has_certificate, reason=reason)
    assert (found.step, found.failure, found.side, found.evidence) == (step, failure, Side.PEER, Evidence.OBSERVED)
    assert found.alert is not None


OWN = [
    (CLIENT, AT_CERTIFICATES, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 20}, S(4), F.UNKNOWN_CA),
    (SERVER, AT_CERTIFICATES, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 10}, S(6), F.EXPIRED),
    (None, AT_HELLO, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 10}, None, F.EXPIRED),
    (None, AT_HELLO, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 62}, S(4), F.HOSTNAME_MISMATCH),
    (CLIENT, AT_CERTIFICATES, {"reason": "CERTIFICATE_VERIFY_FAILED"}, S(4), F.CERTIFICATE_REJECTED),
    (SERVER, AT_HELLO, {"reason": "PEER_DID_NOT_RETURN_A_CERTIFICATE"}, S(5), F.CERTIFICATE_REQUIRED),
    (SERVER, AT_HELLO, {"reason": "HTTP_REQUEST"}, S(1), F.NOT_TLS),
    (CLIENT, AT_HELLO, {"reason": "WRONG_VERSION_NUMBER"}, S(2), F.NOT_TLS),
    (None, AT_HELLO, {"reason": "WRONG_VERSION_NUMBER"}, None, F.NOT_TLS),
    (CLIENT, AT_CERTIFICATES, {"reason": "WRONG_VERSION_NUMBER"}, None, F.MALFORMED),
    (SERVER, AT_HELLO, {"reason": "NO_SHARED_CIPHER"}, S(2), F.NO_SHARED_CIPHER),
    (SERVER, AT_HELLO, {"reason": "UNSUPPORTED_PROTOCOL"}, S(2), F.PROTOCOL_VERSION),
    (SERVER, AT_HELLO, {"reason": "NO_SUITABLE_SIGNATURE_ALGORITHM"}, S(2), F.NO_SHARED_SIGNATURE_ALGORITHM),
    (CLIENT, AT_CERTIFICATES, {"reason": "NO_SUITABLE_SIGNATURE_ALGORITHM"}, S(5), F.NO_SHARED_SIGNATURE_ALGORITHM),
    (CLIENT, {**AT_CERTIFICATES, "tls13": True}, {"reason": "BAD_SIGNATURE"}, S(4), F.BAD_SIGNATURE),
    (CLIENT, {**AT_CERTIFICATES, "tls13": False}, {"reason": "BAD_SIGNATURE"}, S(7), F.BAD_SIGNATURE),
    (CLIENT, AT_CERTIFICATES, {"reason": "BAD_SIGNATURE"}, None, F.BAD_SIGNATURE),
    (SERVER, AT_CERTIFICATES, {"reason": "BAD_SIGNATURE"}, S(6), F.BAD_SIGNATURE),
    (CLIENT, AT_CERTIFICATES, {"reason": "DIGEST_CHECK_FAILED"}, S(7), F.TAMPERED),
    (CLIENT, TALKING, {"reason": "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"}, S(8), F.TAMPERED),
    (CLIENT, TALKING, {"reason": "LENGTH_MISMATCH"}, S(8), F.MALFORMED),
    (CLIENT, DONE_13, {"reason": "LENGTH_MISMATCH"}, None, F.MALFORMED),
    (SERVER, AT_HELLO, {"reason": "LENGTH_MISMATCH"}, S(1), F.MALFORMED),
]


@pytest.mark.parametrize(("role", "situation", "seen", "step", "failure"), OWN)
def test_an_error_of_our_own_openssl_is_ours(
    role: Role, situation: dict[str, Any], seen: dict[str, Any], step: S | None, failure: F
) -> None:
    found = place(role, situation, **seen)
    assert (found.step, found.failure, found.side, found.alert) == (step, failure, Side.LOCAL, None)


SILENT = [
    (CLIENT, AT_HELLO, False, S.SERVER_HELLO),
    (SERVER, AT_HELLO, False, S.CLIENT_HELLO),
    (CLIENT, AT_CERTIFICATES, True, None),
    (SERVER, {"hello_seen": True}, True, None),
    (CLIENT, DONE_13, True, None),
    (CLIENT, DONE_13, False, None),
    (CLIENT, DONE_12, True, None),
    (CLIENT, DONE_12, False, S.APPLICATION_DATA),
    (CLIENT, TALKING, True, S.APPLICATION_DATA),
    (None, AT_HELLO, False, None),
]


@pytest.mark.parametrize("failure", [F.CLOSED, F.RESET, F.TIMED_OUT])
@pytest.mark.parametrize(("role", "situation", "has_certificate", "step"), SILENT)
def test_an_end_without_a_word_is_inferred_and_often_unplaced(
    *, role: Role, situation: dict[str, Any], has_certificate: bool, step: S | None, failure: F
) -> None:
    found = place(role, situation, has_certificate=has_certificate, transport=failure)
    assert (found.step, found.failure, found.side, found.evidence) == (step, failure, None, Evidence.INFERRED)


def test_the_error_without_a_reason_name_before_finished_is_the_alpn_alert() -> None:
    found = place(CLIENT, AT_HELLO, unnamed=True)
    assert (found.step, found.failure, found.alert) == (S.SERVER_HELLO, F.ALPN, "no_application_protocol")


def test_an_alert_that_the_registry_does_not_know_is_no_claim() -> None:
    found = place(CLIENT, DONE_13, reason="TLSV1_ALERT_OF_TOMORROW")
    assert found.alert is None
