"""An error as a record for a log: JSON-ready, versioned, bounded and escaped, whatever a peer sent."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mtls import (
    Evidence,
    FailureReason,
    Finding,
    HandshakeError,
    HandshakeStep,
    PeerVerificationError,
    Phase,
    Role,
    Severity,
    Side,
)

if TYPE_CHECKING:
    from cryptography import x509

    from mtls.authority import CertificateAuthority
    from tests.vocabulary.conftest import Make

BOUND = 32 * 1024
ONLY_WARNED = pytest.mark.filterwarnings("ignore:Attribute's length:UserWarning")
"""By ``cryptography``, of a name longer than RFC 5280 allows."""


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _error(certificate: x509.Certificate, count: int = 1, **changed: Any) -> HandshakeError:
    encoded = _der(certificate)
    finding = Finding(
        failure=FailureReason.EXPIRED,
        severity=Severity.ERROR,
        step=HandshakeStep.CLIENT_VERIFIES_SERVER,
        message="m",
        remedy="r",
        certificate=certificate,
    )
    given: dict[str, Any] = {
        "failure": FailureReason.EXPIRED,
        "step": HandshakeStep.CLIENT_VERIFIES_SERVER,
        "side": Side.LOCAL,
        "role": Role.CLIENT,
        "certificate": encoded,
        "local_certificate": encoded,
        "peer_chain": [encoded] * count,
        "findings": [finding] * count,
        "server_hostname": "localhost",
    }
    return PeerVerificationError(1, "text", **(given | changed))


def test_a_record_holds_every_field_as_plain_json(certificate_of: Make) -> None:
    certificate = certificate_of("billing-prod", "billing.example")
    error = _error(
        certificate,
        alert="certificate_expired",
        evidence=Evidence.INFERRED,
        phase=Phase.FIRST_READ,
        tls_version="TLS 1.3",
        peer_address="10.0.0.1:443",
        reason="CERTIFICATE_VERIFY_FAILED",
        library="SSL",
        verify_code=10,
        verify_message="certificate has expired",
    )
    facts = {
        "subject": "CN=billing-prod",
        "issuer": "CN=billing-prod",
        "serial_number": "face",
        "not_before": "2025-01-01T00:00:00+00:00",
        "not_after": "2026-01-01T00:00:00+00:00",
        "sha256": certificate.fingerprint(_sha256()).hex(),
    }
    record = json.loads(json.dumps(error.to_dict()))
    assert record == {
        "version": 1,
        "error": "PeerVerificationError",
        "message": str(error),
        "step": 4,
        "step_name": "CLIENT_VERIFIES_SERVER",
        "side": "local",
        "role": "client",
        "failure": "expired",
        "alert": "certificate_expired",
        "evidence": "inferred",
        "phase": "first_read",
        "tls_version": "TLS 1.3",
        "server_hostname": "localhost",
        "peer_address": "10.0.0.1:443",
        "because": None,
        "docs_anchor": "failures/expired.html",
        "certificate": facts,
        "local_certificate": facts,
        "peer_chain": [facts],
        "hint": error.hint,
        "findings": [error.findings[0].to_dict()],
        "openssl": {
            "reason": "CERTIFICATE_VERIFY_FAILED",
            "library": "SSL",
            "verify_code": 10,
            "verify_message": "certificate has expired",
        },
    }


def _sha256() -> Any:
    from cryptography.hazmat.primitives import hashes

    return hashes.SHA256()


def test_a_record_of_an_error_that_knows_nothing_is_full_of_nulls() -> None:
    record = json.loads(json.dumps(HandshakeError(failure=FailureReason.CLOSED).to_dict()))
    for name in ("step", "step_name", "side", "role", "alert", "certificate", "local_certificate", "tls_version"):
        assert record[name] is None
    assert (record["peer_chain"], record["findings"]) == ([], [])
    assert record["openssl"] == {"reason": None, "library": None, "verify_code": 0, "verify_message": ""}


def test_a_certificate_that_cannot_be_read_is_recorded_by_its_size() -> None:
    error = HandshakeError(failure=FailureReason.MALFORMED, certificate=b"no DER")
    assert error.to_dict()["certificate"] == {"subject": None, "size": 6}


@ONLY_WARNED
def test_a_common_name_of_64_kb_is_cut_and_its_terminal_escapes_are_escaped(hostile: x509.Certificate) -> None:
    error = _error(hostile)
    record = error.to_dict()
    text = json.dumps(record, ensure_ascii=False)
    assert len(text) < BOUND
    assert _printable(text)
    subject = record["certificate"]["subject"]
    assert subject.startswith("CN=\\x1b[2J\\x1b]0;owned\\x07\\r\\n\\t\\u202e\\u2028\\x00\\x7f")
    assert subject.endswith("…")


@ONLY_WARNED
def test_a_chain_of_100_certificates_is_cut_to_10(hostile: x509.Certificate) -> None:
    record = _error(hostile, count=100).to_dict()
    assert (len(record["peer_chain"]), len(record["findings"])) == (10, 10)
    assert len(json.dumps(record)) < BOUND


@ONLY_WARNED
@pytest.mark.parametrize("failure", list(FailureReason))
@pytest.mark.parametrize("side", [*Side, None])
def test_no_text_of_any_failure_lets_a_hostile_certificate_through(
    hostile: x509.Certificate, failure: FailureReason, side: Side | None
) -> None:
    for role in Role:
        for step in (None, *HandshakeStep):
            error = _error(hostile, failure=failure, side=side, role=role, step=step)
            text = str(error)
            assert len(text) < 4096
            assert all(_printable(line) for line in text.split("\n"))
            assert text.count("\n") == 1


def test_a_record_holds_no_key(authority: CertificateAuthority) -> None:
    keystore = authority.client("billing.example")
    error = _error(keystore.certificate)
    text = json.dumps(error.to_dict()) + str(error) + repr(error)
    assert "PRIVATE" not in text
    assert keystore._key_pem.reveal().decode().splitlines()[1] not in text


def _printable(text: str) -> bool:
    return all(char.isprintable() for char in text)


@pytest.mark.filterwarnings("error")
def test_where_warnings_are_errors_such_a_certificate_is_recorded_by_its_size(hostile: x509.Certificate) -> None:
    error = _error(hostile)
    assert (error.certificate, error.peer_chain) == (None, ())
    assert error.to_dict()["certificate"] == {"subject": None, "size": len(_der(hostile))}
