"""The rules that place a failure, one sentence each; the real peers that they are made for are in tests/peers."""

from __future__ import annotations

from typing import Any

import pytest

from mtls._handshake.diagnosis import Diagnosis, Observation, diagnose
from mtls._handshake.rules import Progress, Shown
from mtls._model import Evidence, Role, Side
from mtls._model import FailureReason as F
from mtls._model import HandshakeStep as S

CLIENT, SERVER = Role.CLIENT, Role.SERVER

P, C = Progress, Shown
AT_HELLO: dict[str, Any] = {"progress": P.NOTHING}
HELLO_SEEN: dict[str, Any] = {"progress": P.HELLO}
AT_CERTIFICATES: dict[str, Any] = {"progress": P.CHAIN}
ANSWERED: dict[str, Any] = {"progress": P.ANSWERED}
DONE_13: dict[str, Any] = {"progress": P.FINISHED, "tls13": True}
TICKET_13: dict[str, Any] = {**DONE_13, "ticket": True}
DONE_12: dict[str, Any] = {"progress": P.FINISHED, "tls13": False}
TALKING: dict[str, Any] = {"progress": P.TALKED, "tls13": True}
UNKNOWN: dict[str, Any] = {"progress": P.UNKNOWN}


def place(role: Role | None, situation: dict[str, Any], **seen: Any) -> Diagnosis:
    return diagnose(Observation(role=role, **{**situation, **seen}))


ALERTS = [
    # role, situation, what is known of our certificate, reason -> step, failure
    (CLIENT, AT_HELLO, C.PERHAPS, "SSLV3_ALERT_HANDSHAKE_FAILURE", S.SERVER_HELLO, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, C.NONE, "SSLV3_ALERT_HANDSHAKE_FAILURE", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, AT_CERTIFICATES, C.PERHAPS, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (CLIENT, DONE_13, C.NONE, "SSLV3_ALERT_HANDSHAKE_FAILURE", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_12, C.NONE, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (CLIENT, DONE_13, C.NONE, "TLSV13_ALERT_CERTIFICATE_REQUIRED", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_13, C.PERHAPS, "TLSV13_ALERT_CERTIFICATE_REQUIRED", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_13, C.PERHAPS, "TLSV1_ALERT_UNKNOWN_CA", S.SERVER_VERIFIES_CLIENT, F.UNKNOWN_CA),
    (CLIENT, AT_CERTIFICATES, C.PERHAPS, "SSLV3_ALERT_CERTIFICATE_EXPIRED", S.SERVER_VERIFIES_CLIENT, F.EXPIRED),
    (CLIENT, DONE_13, C.NONE, "SSLV3_ALERT_BAD_CERTIFICATE", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, DONE_12, C.NONE, "SSLV3_ALERT_BAD_CERTIFICATE", S.APPLICATION_DATA, F.CERTIFICATE_REJECTED),
    (CLIENT, AT_HELLO, C.PERHAPS, "SSLV3_ALERT_BAD_CERTIFICATE", None, F.CERTIFICATE_REJECTED),
    (CLIENT, TALKING, C.PERHAPS, "TLSV1_ALERT_UNKNOWN_CA", S.APPLICATION_DATA, F.UNKNOWN_CA),
    (CLIENT, AT_HELLO, C.PERHAPS, "TLSV1_ALERT_PROTOCOL_VERSION", S.SERVER_HELLO, F.PROTOCOL_VERSION),
    (CLIENT, AT_HELLO, C.PERHAPS, "TLSV1_UNRECOGNIZED_NAME", S.SERVER_HELLO, F.UNRECOGNIZED_NAME),
    (CLIENT, AT_HELLO, C.PERHAPS, "TLSV1_ALERT_INTERNAL_ERROR", S.SERVER_HELLO, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, C.PERHAPS, "TLSV1_ALERT_INTERNAL_ERROR", None, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, C.PERHAPS, "TLSV1_ALERT_DECRYPT_ERROR", S.SERVER_VERIFIES_CLIENT, F.BAD_SIGNATURE),
    (CLIENT, AT_CERTIFICATES, C.NONE, "TLSV1_ALERT_DECRYPT_ERROR", S.KEY_EXCHANGE, F.TAMPERED),
    (CLIENT, AT_CERTIFICATES, C.NONE, "SSLV3_ALERT_BAD_RECORD_MAC", S.KEY_EXCHANGE, F.TAMPERED),
    (CLIENT, TALKING, C.NONE, "SSLV3_ALERT_BAD_RECORD_MAC", S.APPLICATION_DATA, F.TAMPERED),
    (SERVER, HELLO_SEEN, C.NONE, "TLSV1_ALERT_UNKNOWN_CA", S.CLIENT_VERIFIES_SERVER, F.UNKNOWN_CA),
    (SERVER, DONE_13, C.PERHAPS, "TLSV1_ALERT_UNKNOWN_CA", None, F.UNKNOWN_CA),
    (SERVER, HELLO_SEEN, C.NONE, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (SERVER, {**HELLO_SEEN, "tls13": False}, C.NONE, "TLSV1_ALERT_DECRYPT_ERROR", S.KEY_EXCHANGE, F.TAMPERED),
    (SERVER, {**HELLO_SEEN, "tls13": True}, C.NONE, "TLSV1_ALERT_DECRYPT_ERROR", None, F.BAD_SIGNATURE),
    (CLIENT, DONE_13, C.EMPTY, "SSLV3_ALERT_HANDSHAKE_FAILURE", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
    (CLIENT, ANSWERED, C.SENT, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (CLIENT, ANSWERED, C.NOT_ASKED, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (CLIENT, DONE_13, C.NOT_ASKED, "TLSV1_ALERT_ACCESS_DENIED", S.APPLICATION_DATA, F.CERTIFICATE_REJECTED),
    (CLIENT, DONE_13, C.SENT, "SSLV3_ALERT_BAD_RECORD_MAC", None, F.TAMPERED),
    (CLIENT, {**DONE_13, "wrote": True}, C.SENT, "SSLV3_ALERT_BAD_RECORD_MAC", None, F.TAMPERED),
    (CLIENT, {**DONE_13, "wrote": False}, C.SENT, "SSLV3_ALERT_BAD_RECORD_MAC", S.KEY_EXCHANGE, F.TAMPERED),
    (CLIENT, {**TICKET_13, "wrote": True}, C.SENT, "SSLV3_ALERT_BAD_RECORD_MAC", None, F.TAMPERED),
    (CLIENT, DONE_12, C.SENT, "SSLV3_ALERT_BAD_RECORD_MAC", S.APPLICATION_DATA, F.TAMPERED),
    (CLIENT, AT_HELLO, C.SENT, "TLSV1_ALERT_DECRYPT_ERROR", S.SERVER_HELLO, F.BAD_SIGNATURE),
    (CLIENT, ANSWERED, C.PERHAPS, "TLSV1_ALERT_PROTOCOL_VERSION", None, F.PROTOCOL_VERSION),
    (SERVER, HELLO_SEEN, C.NONE, "TLSV13_ALERT_CERTIFICATE_REQUIRED", None, F.CERTIFICATE_REQUIRED),
    (SERVER, AT_HELLO, C.NONE, "TLSV1_ALERT_UNKNOWN_CA", None, F.UNKNOWN_CA),
    (CLIENT, AT_HELLO, C.NOT_ASKED, "TLSV13_ALERT_CERTIFICATE_REQUIRED", None, F.PEER_ERROR),
    (CLIENT, DONE_13, C.NOT_ASKED, "TLSV13_ALERT_CERTIFICATE_REQUIRED", None, F.PEER_ERROR),
    (CLIENT, DONE_13, C.SENT, "TLSV13_ALERT_CERTIFICATE_REQUIRED", None, F.CERTIFICATE_REJECTED),
    (CLIENT, AT_CERTIFICATES, C.NOT_YET, "TLSV13_ALERT_CERTIFICATE_REQUIRED", None, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, C.NOT_YET, "SSLV3_ALERT_HANDSHAKE_FAILURE", None, F.PEER_ERROR),
    (CLIENT, AT_CERTIFICATES, C.NOT_YET, "SSLV3_ALERT_BAD_CERTIFICATE", None, F.CERTIFICATE_REJECTED),
    (CLIENT, AT_CERTIFICATES, C.NOT_YET, "TLSV1_ALERT_DECRYPT_ERROR", None, F.BAD_SIGNATURE),
    (CLIENT, AT_HELLO, C.PERHAPS, "SSLV3_ALERT_BAD_RECORD_MAC", None, F.PEER_ERROR),
    (None, UNKNOWN, C.NONE, "TLSV1_ALERT_PROTOCOL_VERSION", S.SERVER_HELLO, F.PROTOCOL_VERSION),
    (None, UNKNOWN, C.NONE, "SSLV3_ALERT_BAD_RECORD_MAC", None, F.TAMPERED),
    (None, UNKNOWN, C.NONE, "TLSV1_ALERT_UNKNOWN_CA", None, F.UNKNOWN_CA),
    (None, UNKNOWN, C.NONE, "TLSV13_ALERT_CERTIFICATE_REQUIRED", S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED),
]


@pytest.mark.parametrize(("role", "situation", "shown", "reason", "step", "failure"), ALERTS)
def test_an_alert_is_placed_by_how_far_the_handshake_had_come(
    role: Role, situation: dict[str, Any], shown: Shown, reason: str, step: S | None, failure: F
) -> None:
    found = place(role, situation, shown=shown, reason=reason)
    assert (found.step, found.failure, found.side, found.evidence) == (step, failure, Side.PEER, Evidence.OBSERVED)
    assert found.alert is not None


OWN = [
    (CLIENT, AT_CERTIFICATES, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 20}, S(4), F.UNKNOWN_CA),
    (SERVER, AT_CERTIFICATES, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 10}, S(6), F.EXPIRED),
    (None, UNKNOWN, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 10}, None, F.EXPIRED),
    (None, UNKNOWN, {"reason": "CERTIFICATE_VERIFY_FAILED", "verify_code": 62}, S(4), F.HOSTNAME_MISMATCH),
    (CLIENT, AT_CERTIFICATES, {"reason": "CERTIFICATE_VERIFY_FAILED"}, S(4), F.CERTIFICATE_REJECTED),
    (SERVER, AT_HELLO, {"reason": "PEER_DID_NOT_RETURN_A_CERTIFICATE"}, S(5), F.CERTIFICATE_REQUIRED),
    (SERVER, AT_HELLO, {"reason": "HTTP_REQUEST"}, S(1), F.NOT_TLS),
    (CLIENT, AT_HELLO, {"reason": "WRONG_VERSION_NUMBER"}, S(2), F.NOT_TLS),
    (None, UNKNOWN, {"reason": "WRONG_VERSION_NUMBER"}, None, F.NOT_TLS),
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
    (CLIENT, AT_HELLO, C.NONE, S.SERVER_HELLO),
    (SERVER, AT_HELLO, C.NONE, S.CLIENT_HELLO),
    (CLIENT, HELLO_SEEN, C.NOT_ASKED, None),
    (CLIENT, {**HELLO_SEEN, "message": "EncryptedExtensions"}, C.NOT_ASKED, S.SERVER_CERTIFICATE),
    (CLIENT, {**HELLO_SEEN, "message": "HelloRetryRequest"}, C.NOT_ASKED, S.SERVER_HELLO),
    (CLIENT, AT_CERTIFICATES, C.PERHAPS, None),
    (SERVER, HELLO_SEEN, C.NONE, None),
    (SERVER, AT_CERTIFICATES, C.NONE, None),
    (SERVER, DONE_13, C.NONE, None),
    (CLIENT, {**ANSWERED, "tls13": False}, C.NOT_ASKED, S.KEY_EXCHANGE),
    (CLIENT, {**ANSWERED, "tls13": False}, C.PERHAPS, None),
    (CLIENT, DONE_13, C.PERHAPS, None),
    (CLIENT, DONE_13, C.NONE, None),
    (CLIENT, DONE_13, C.NOT_ASKED, None),
    (CLIENT, TICKET_13, C.NOT_ASKED, S.APPLICATION_DATA),
    (CLIENT, TICKET_13, C.SENT, None),
    (CLIENT, TICKET_13, C.EMPTY, None),
    (CLIENT, DONE_12, C.SENT, None),
    (CLIENT, DONE_12, C.EMPTY, None),
    (CLIENT, DONE_12, C.NONE, None),
    (CLIENT, DONE_12, C.NOT_ASKED, S.APPLICATION_DATA),
    (CLIENT, TALKING, C.PERHAPS, S.APPLICATION_DATA),
    (None, UNKNOWN, C.NONE, None),
]


@pytest.mark.parametrize("failure", [F.CLOSED, F.RESET, F.TIMED_OUT])
@pytest.mark.parametrize(("role", "situation", "shown", "step"), SILENT)
def test_an_end_without_a_word_is_inferred_and_often_unplaced(
    role: Role, situation: dict[str, Any], shown: Shown, step: S | None, failure: F
) -> None:
    found = place(role, situation, shown=shown, transport=failure)
    assert (found.step, found.failure, found.side, found.evidence) == (step, failure, None, Evidence.INFERRED)


ENDED = [
    (CLIENT, ANSWERED, C.SENT, S.SERVER_VERIFIES_CLIENT),
    (CLIENT, ANSWERED, C.EMPTY, S.CLIENT_CERTIFICATE),
    (CLIENT, {**DONE_13, "ticket": False}, C.SENT, S.SERVER_VERIFIES_CLIENT),
    (CLIENT, {**DONE_13, "ticket": False}, C.EMPTY, S.CLIENT_CERTIFICATE),
    (SERVER, ANSWERED, C.NONE, S.CLIENT_VERIFIES_SERVER),
]


@pytest.mark.parametrize(("role", "situation", "shown", "step"), ENDED)
def test_an_end_right_after_a_certificate_went_out_is_inferred_to_be_a_refusal_and_a_silence_is_not(
    role: Role, situation: dict[str, Any], shown: Shown, step: S
) -> None:
    for failure in (F.CLOSED, F.RESET):
        found = place(role, situation, shown=shown, transport=failure)
        assert (found.step, found.failure, found.side, found.evidence) == (step, failure, None, Evidence.INFERRED)
        assert "certificate" in found.because
    assert place(role, situation, shown=shown, transport=F.TIMED_OUT).step is None


FORM = [
    (CLIENT, "ServerHello", S(2)),
    (CLIENT, "Certificate", S(3)),
    (CLIENT, "CertificateVerify", S(4)),
    (CLIENT, "ServerKeyExchange", S(7)),
    (SERVER, "ClientHello", S(1)),
    (SERVER, "Certificate", S(5)),
    (SERVER, "CertificateVerify", S(6)),
    (SERVER, "ClientKeyExchange", S(7)),
    (CLIENT, "CertificateRequest", None),
    (CLIENT, None, None),
]


@pytest.mark.parametrize(("role", "message", "step"), FORM)
def test_a_malformed_body_belongs_to_the_message_that_arrived_last(
    role: Role, message: str | None, step: S | None
) -> None:
    found = place(role, HELLO_SEEN, message=message, reason="LENGTH_MISMATCH")
    assert (found.step, found.failure, found.side) == (step, F.MALFORMED, Side.LOCAL)
    order = place(role, HELLO_SEEN, message=message, reason="UNEXPECTED_MESSAGE")
    assert order.step is None  # OpenSSL refuses it by its header, before it counts as arrived


def test_gnutls_says_decode_error_to_a_client_that_showed_nothing() -> None:
    found = place(CLIENT, ANSWERED, shown=C.EMPTY, reason="TLSV1_ALERT_DECODE_ERROR")
    assert (found.step, found.failure) == (S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED)
    assert (found.side, found.evidence) == (Side.PEER, Evidence.INFERRED)
    assert place(CLIENT, ANSWERED, shown=C.SENT, reason="TLSV1_ALERT_DECODE_ERROR").step is None


def test_an_error_without_a_reason_name_that_a_trace_saw_as_an_alert_is_that_alert() -> None:
    found = place(CLIENT, HELLO_SEEN, unnamed=True, listened=True, alert=120)
    assert (found.step, found.failure, found.alert) == (S.SERVER_HELLO, F.ALPN, "no_application_protocol")


def test_an_error_without_a_reason_name_after_the_hello_is_no_alert() -> None:
    found = place(CLIENT, HELLO_SEEN, unnamed=True, listened=True, message="Certificate")
    assert (found.step, found.failure, found.alert) == (S.SERVER_CERTIFICATE, F.MALFORMED, None)


def test_an_alert_number_that_nobody_registered_is_the_peers_and_has_no_name() -> None:
    found = place(CLIENT, AT_HELLO, unnamed=True, listened=True, alert=200)
    assert (found.step, found.failure, found.side, found.alert) == (S.SERVER_HELLO, F.PEER_ERROR, Side.PEER, None)


def test_an_error_without_a_reason_name_that_nobody_listened_to_is_nobodys() -> None:
    """It may be an alert without a name here, or an error of another part of our own OpenSSL."""
    for situation in (AT_HELLO, HELLO_SEEN, UNKNOWN, DONE_13):
        found = place(CLIENT, situation, unnamed=True)
        assert (found.step, found.failure, found.side, found.alert) == (None, F.PEER_ERROR, None, None)


def test_an_alert_that_the_registry_does_not_know_is_no_claim() -> None:
    found = place(CLIENT, DONE_13, reason="TLSV1_ALERT_OF_TOMORROW")
    assert found.alert is None
