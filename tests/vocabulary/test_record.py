"""An error as a record for a log: JSON-ready, versioned, bounded and escaped, whatever a peer sent."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
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
    TLSProfile,
)
from mtls._handshake.loopback import join
from mtls._handshake.staging import _temporary_file
from mtls._record import certificate_facts
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from mtls import ClientProfile, Keystore, ServerProfile
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


# --- attributes for logs and spans ---


def test_the_attributes_have_the_names_of_opentelemetry_and_leave_out_what_is_not_known(certificate_of: Make) -> None:
    certificate = certificate_of("billing-prod", "billing.example")
    error = _error(
        certificate,
        step=HandshakeStep.SERVER_VERIFIES_CLIENT,
        side=Side.PEER,
        alert="certificate_expired",
        phase=Phase.FIRST_READ,
        tls_version="TLS 1.3",
        server_hostname="api.partner.example",
        peer_address="203.0.113.7:443",
    )
    leaf = {
        "subject": "CN=billing-prod",
        "issuer": "CN=billing-prod",
        "not_before": "2025-01-01T00:00:00+00:00",
        "not_after": "2026-01-01T00:00:00+00:00",
        "hash.sha256": certificate.fingerprint(_sha256()).hex().upper(),
    }
    assert error.to_attributes() == {
        "error.type": "expired",
        "exception.type": "mtls.errors.PeerVerificationError",
        "exception.message": str(error),
        "tls.established": True,
        "tls.protocol.name": "tls",
        "tls.protocol.version": "1.3",
        "tls.handshake.step": 6,
        "tls.handshake.step_name": "server_verifies_client",
        "tls.handshake.side": "peer",
        "tls.handshake.role": "client",
        "tls.handshake.alert": "certificate_expired",
        "tls.handshake.evidence": "observed",
        "tls.handshake.phase": "first_read",
        "network.peer.address": "203.0.113.7",
        "network.peer.port": 443,
        "server.address": "api.partner.example",
        "server.port": 443,
        **{f"tls.client.{name}": value for name, value in leaf.items()},
        **{f"tls.server.{name}": value for name, value in leaf.items()},
    }


def test_the_attributes_of_an_error_that_knows_nothing_are_few() -> None:
    error = HandshakeError(failure=FailureReason.CLOSED)
    assert error.to_attributes() == {
        "error.type": "closed",
        "exception.type": "mtls.errors.HandshakeError",
        "exception.message": str(error),
        "tls.established": False,
        "tls.protocol.name": "tls",
        "tls.handshake.evidence": "observed",
        "tls.handshake.phase": "handshake",
    }


@pytest.mark.parametrize(
    ("role", "peer", "attributes"),
    [
        (Role.SERVER, "[2001:db8::1]:50000", {"client.address": "2001:db8::1", "client.port": 50000}),
        (Role.SERVER, "10.0.0.1:50000", {"client.address": "10.0.0.1", "client.port": 50000}),
        (Role.CLIENT, "10.0.0.1:443", {"server.address": "10.0.0.1", "server.port": 443}),
        (Role.CLIENT, "/run/tls.sock", {"server.address": "/run/tls.sock"}),
        (Role.CLIENT, "\x1b[2J/run:x", {"server.address": "\\x1b[2J/run:x"}),
    ],
)
def test_the_other_end_is_told_as_address_and_port(role: Role, peer: str, attributes: dict[str, object]) -> None:
    found = HandshakeError(failure=FailureReason.RESET, role=role, peer_address=peer).to_attributes()
    network = {name.replace(role.other.value, "network.peer", 1): value for name, value in attributes.items()}
    ends = {name: value for name, value in found.items() if name.split(".")[0] in {"server", "client", "network"}}
    assert ends == attributes | network


@ONLY_WARNED
def test_attributes_are_plain_bounded_and_escaped_whatever_a_certificate_holds(hostile: x509.Certificate) -> None:
    error = _error(hostile, count=100, server_hostname="h" * 70_000 + "\u202e", peer_address="x" * 70_000)
    found = error.to_attributes()
    assert all(type(value) in {str, int, bool} for value in found.values())
    assert all(_printable(line) for value in found.values() for line in str(value).split("\n"))
    assert len(json.dumps(found)) < 2 * 4096
    assert _printable(json.dumps(error.to_dict(), ensure_ascii=False))
    assert len(json.dumps(error.to_dict())) < 2 * BOUND


@ONLY_WARNED
def test_a_whole_refusal_of_a_hostile_chain_is_bounded_and_escaped(escapes: str) -> None:
    evil = x509.Name([_common_name(escapes * 1000)])
    stranger = CertificateAuthority("evil", subject=evil)
    shown = stranger.server(*(f"{number}.{'a' * 60}.example" for number in range(200)), subject=evil)
    client = TLSProfile.client(truststore=CertificateAuthority("good").truststore)
    error = _refusal(client, shown)
    assert isinstance(error, PeerVerificationError)
    assert error.findings
    for text in (
        json.dumps(error.to_dict(), ensure_ascii=False),
        json.dumps(error.to_attributes(), ensure_ascii=False),
    ):
        assert len(text) < BOUND
        assert _printable(text)


def _common_name(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(x509.NameOID.COMMON_NAME, text, _validate=False)


def _refusal(client: ClientProfile, shown: Keystore) -> OSError | None:
    """What a client says of a server of plain ``ssl`` that shows this."""
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with _temporary_file(shown._pem().reveal()) as path:
        serving.load_cert_chain(path)
    near, _ = join(client.ssl_context(), serving, server_hostname="api.example")
    return near.error


@pytest.mark.parametrize(("number", "told"), [(0xFACE, "face"), (1 << 158, f"4{'0' * 39}")])
def test_a_serial_number_is_told_in_hexadecimal(number: int, told: str) -> None:
    certificate = CertificateAuthority("CA").client("billing.example", serial_number=number).certificate
    facts = certificate_facts(_der(certificate))
    assert facts is not None
    assert facts["serial_number"] == told


def test_attributes_hold_no_key(authority: CertificateAuthority) -> None:
    keystore = authority.client("billing.example")
    text = json.dumps(_error(keystore.certificate).to_attributes())
    assert "PRIVATE" not in text
    assert keystore._key_pem.reveal().decode().splitlines()[1] not in text


def test_a_refusal_is_logged_with_its_attributes(
    authority: CertificateAuthority, server_profile: ServerProfile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="mtls")
    near, far = join(
        TLSProfile.client(truststore=authority.truststore).ssl_context(),
        server_profile.ssl_context(),
        server_hostname="localhost",
    )
    assert near.error is not None
    assert isinstance(far.error, HandshakeError)
    [record] = [record for record in caplog.records if record.name == "mtls"]
    assert record.__dict__["tls"] == far.error.to_attributes()
    assert record.__dict__["tls"]["error.type"] == "certificate_required"
    assert record.getMessage() == str(far.error)
