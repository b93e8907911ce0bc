"""Is our chain complete, tidy and named? What is certain is an error, what peers may know themselves a warning."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from mtls import FailureReason, HandshakeStep, Keystore, Role, Severity, TLSProfile, Truststore, rehearse
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from mtls import Report
    from tests.checks.conftest import Only

DAY = timedelta(days=1)
ERROR, WARNING = Severity.ERROR, Severity.WARNING
INCOMPLETE = FailureReason.INCOMPLETE_CHAIN


@pytest.fixture(scope="module")
def lower(authority: CertificateAuthority) -> CertificateAuthority:
    return authority.intermediate("lower CA")


@pytest.fixture(scope="module")
def whole(lower: CertificateAuthority) -> Keystore:
    return lower.client("billing.example")


def _with_chain(keystore: Keystore, *chain: x509.Certificate) -> Keystore:
    return Keystore.from_objects(keystore._private_key, keystore.certificate, chain)


def _client(keystore: Keystore, *anchors: x509.Certificate) -> Report:
    return TLSProfile.client(keystore=keystore, truststore=Truststore.from_certificates(anchors)).check()


def test_a_chain_whose_top_was_issued_by_a_root_of_the_truststore_is_complete(
    authority: CertificateAuthority, whole: Keystore
) -> None:
    assert list(_client(whole, authority.certificate)) == []


def test_a_chain_with_its_root_is_complete_whatever_the_truststore_holds(
    authority: CertificateAuthority, lower: CertificateAuthority, stranger: CertificateAuthority, whole: Keystore
) -> None:
    keystore = _with_chain(whole, lower.certificate, authority.certificate)
    assert keystore.root == authority.certificate
    assert list(_client(keystore, stranger.certificate)) == []


def test_a_chain_whose_issuer_nobody_knows_may_be_incomplete(
    lower: CertificateAuthority, stranger: CertificateAuthority, whole: Keystore
) -> None:
    [found] = _client(whole, stranger.certificate)
    assert (found.failure, found.severity) == (INCOMPLETE, WARNING)
    assert (found.step, found.position) == (HandshakeStep.SERVER_VERIFIES_CLIENT, 1)
    assert (found.certificate, found.required) == (lower.certificate, "CN=test CA")
    assert found.message == (
        "the chain of CN=billing.example may be incomplete: the issuer CN=test CA of CN=lower CA is not at hand; "
        "peers must know it themselves"
    )
    assert found.remedy == (
        "put the certificate of CN=test CA and what lies between it and the root behind the leaf; with the root in the "
        "file, too, it is known to be complete"
    )


def test_a_one_way_server_without_root_may_be_incomplete(authority: CertificateAuthority, only: Only) -> None:
    report = TLSProfile.server(keystore=authority.server("localhost")).check()
    found = only(report, INCOMPLETE)
    assert (found.severity, found.step, found.position) == (WARNING, HandshakeStep.CLIENT_VERIFIES_SERVER, 0)


def test_an_issuer_that_is_in_the_truststore_only_is_a_warning_because_openssl_sends_it_along(
    authority: CertificateAuthority, lower: CertificateAuthority, whole: Keystore
) -> None:
    [found] = _client(_with_chain(whole), lower.certificate, authority.certificate)
    assert (found.failure, found.severity, found.position) == (INCOMPLETE, WARNING, 0)
    assert found.message == (
        "the chain of CN=billing.example may be incomplete: its issuer CN=lower CA is an intermediate that is in the "
        "truststore but not in the keystore"
    )


def test_other_cas_in_the_file_without_the_issuer_are_a_certain_gap(
    authority: CertificateAuthority, only: Only, whole: Keystore
) -> None:
    other = authority.intermediate("other CA")
    report = _client(_with_chain(whole, other.certificate), authority.certificate)
    found = only(report, INCOMPLETE)
    assert (found.severity, found.position, found.required) == (ERROR, 0, "CN=lower CA")
    assert found.message == (
        "the chain of CN=billing.example is incomplete: the keystore holds CA certificates, but not the issuer "
        "CN=lower CA of CN=billing.example"
    )
    assert only(report, FailureReason.SUPERFLUOUS_CERTIFICATE).certificate == other.certificate


def test_a_root_of_the_same_name_with_another_key_does_not_complete_a_chain(only: Only, whole: Keystore) -> None:
    namesake = CertificateAuthority("test CA")
    assert only(_client(whole, namesake.certificate), INCOMPLETE).severity is WARNING


@pytest.mark.parametrize(
    "without", [{"subject_key_identifier": None}, {"authority_key_identifier": None}], ids=["root", "leaf"]
)
def test_a_root_is_known_by_its_name_where_there_is_no_key_identifier(without: Any) -> None:
    root = CertificateAuthority("plain CA", **(without if "subject_key_identifier" in without else {}))
    keystore = root.client("billing.example", **(without if "authority_key_identifier" in without else {}))
    assert INCOMPLETE not in {finding.failure for finding in _client(keystore, root.certificate)}


def test_a_self_signed_certificate_is_complete(authority: CertificateAuthority, only: Only) -> None:
    alone = CertificateAuthority("alone", basic_constraints=x509.BasicConstraints(ca=False, path_length=None))
    report = _client(Keystore.from_objects(alone._key, alone.certificate), authority.certificate)
    assert INCOMPLETE not in {finding.failure for finding in report}


@pytest.mark.parametrize("role", list(Role))
def test_an_unrelated_certificate_is_a_warning_where_the_chain_is_sent(
    authority: CertificateAuthority, stranger: CertificateAuthority, role: Role
) -> None:
    good = authority.client("x.example") if role is Role.CLIENT else authority.server("x.example")
    other = stranger.client("somebody.example").certificate
    keystore = _with_chain(good, other)
    make = TLSProfile.client if role is Role.CLIENT else TLSProfile.server
    [found] = make(keystore=keystore, truststore=authority.truststore).check()
    assert (found.failure, found.severity) == (FailureReason.SUPERFLUOUS_CERTIFICATE, WARNING)
    assert (found.step, found.certificate, found.position) == (role.certificate_step, other, None)
    assert found.message == "CN=somebody.example lies in the keystore but does not belong to the chain; it is not sent"
    assert found.remedy == "take it out of the file"


def test_a_chain_in_another_order_is_a_warning_because_other_programs_read_the_file_too(
    authority: CertificateAuthority, lower: CertificateAuthority
) -> None:
    lowest = lower.intermediate("lowest CA")
    good = lowest.client("billing.example")
    keystore = _with_chain(good, lower.certificate, lowest.certificate)
    assert keystore.chain == good.chain
    [found] = _client(keystore, authority.certificate)
    assert (found.failure, found.severity) == (FailureReason.WRONG_ORDER, WARNING)
    assert (found.step, found.certificate) == (HandshakeStep.CLIENT_CERTIFICATE, keystore.certificate)
    assert "it is sent in the right one, leaf first (RFC 8446, 4.4.2)" in found.message
    assert found.remedy == "write the leaf first, then each issuer after what it issued"


def test_a_server_without_names_is_a_warning_because_no_client_looks_at_the_common_name(
    authority: CertificateAuthority,
) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    keystore = authority.server(subject=subject)
    [found] = TLSProfile.server(keystore=keystore, truststore=authority.truststore).check()
    assert (found.failure, found.severity) == (FailureReason.HOSTNAME_MISMATCH, WARNING)
    assert (found.step, found.position) == (HandshakeStep.CLIENT_VERIFIES_SERVER, 0)
    assert (found.required, found.presented) == ("a subjectAltName", "none")
    assert found.message == (
        "leaf CN=localhost has no subjectAltName, so no client finds the name it asked for (RFC 9525)"
    )


def test_a_client_without_names_is_no_finding(authority: CertificateAuthority) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "billing")])
    assert list(_client(authority.client(subject=subject), authority.certificate)) == []


def test_a_cross_signed_ca_that_ended_is_a_warning_where_its_root_is_there(
    authority: CertificateAuthority, stranger: CertificateAuthority
) -> None:
    """A peer that trusts the root does not look at it; the handshake shows it."""
    now, own = datetime.now(UTC), authority.certificate
    key_id = stranger.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    builder = x509.CertificateBuilder().subject_name(own.subject).issuer_name(stranger.certificate.subject)
    builder = builder.public_key(own.public_key()).serial_number(1)
    builder = builder.not_valid_before(now - 30 * DAY).not_valid_after(now - DAY)
    for extension in own.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    issuer = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)
    crossed = builder.add_extension(issuer, critical=False).sign(stranger._key, hashes.SHA256())
    leaf = authority.client("billing.example")
    [alone] = [found for found in _client(_with_chain(leaf, crossed), own) if found.failure is FailureReason.EXPIRED]
    keystore = _with_chain(leaf, crossed, own)
    [found] = _client(keystore, own)
    assert (alone.severity, found.failure, found.severity) == (ERROR, FailureReason.EXPIRED, WARNING)
    client = TLSProfile.client(keystore=keystore, truststore=authority.truststore)
    server = TLSProfile.server(keystore=authority.server("localhost"), truststore=authority.truststore)
    assert rehearse(client, server).ok


def test_every_fault_of_a_chain_is_reported_and_errors_come_first(authority: CertificateAuthority) -> None:
    from datetime import UTC, datetime, timedelta

    past = datetime.now(UTC) - timedelta(days=3)
    lower = authority.intermediate("late CA", not_after=past, key_usage=None)
    keystore = lower.client("billing.example", not_after=past, eku=[])
    failures = [(finding.severity, finding.failure, finding.position) for finding in _client(keystore, authority.root)]
    assert failures == [
        (ERROR, FailureReason.EXPIRED, 0),
        (ERROR, FailureReason.EXPIRED, 1),
        (WARNING, FailureReason.EKU_ABSENT, 0),
        (WARNING, FailureReason.MISSING_EXTENSION, 1),
    ]
