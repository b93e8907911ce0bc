"""Do the CRLs cover what a profile will judge? Each rule is as OpenSSL was seen to behave (test_crossing.py)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from mtls import FailureReason, Finding, HandshakeStep, Revocation, Severity, TLSProfile, Truststore
from mtls._checks import crls
from mtls._credentials.request import key_usage
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mtls import Report

ERROR, WARNING = Severity.ERROR, Severity.WARNING
MISSING, EXPIRED = FailureReason.CRL_MISSING, FailureReason.CRL_EXPIRED
STEP = HandshakeStep.CLIENT_VERIFIES_SERVER
NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)
BOTH = pytest.mark.parametrize("revocation", [Revocation.CHAIN, Revocation.LEAF])


@pytest.fixture(scope="module")
def lower(authority: CertificateAuthority) -> CertificateAuthority:
    return authority.intermediate("issuing CA")


def _check(
    anchors: Sequence[x509.Certificate],
    lists: Sequence[x509.CertificateRevocationList] = (),
    revocation: Revocation = Revocation.CHAIN,
) -> Report:
    truststore = Truststore.from_certificates(anchors, crls=lists)
    return TLSProfile.client(truststore=truststore, revocation=revocation).check()


def _failures(report: Report) -> list[tuple[FailureReason, Severity]]:
    return [(found.failure, found.severity) for found in report if found.failure is not FailureReason.LEAF_AS_ANCHOR]


def _ended(authority: CertificateAuthority) -> x509.CertificateRevocationList:
    return authority.crl(this_update=NOW - 9 * DAY, next_update=NOW - DAY)


@BOTH
def test_a_root_with_a_fresh_crl_is_no_finding(authority: CertificateAuthority, revocation: Revocation) -> None:
    assert _failures(_check([authority.root], [authority.crl()], revocation)) == []


@BOTH
def test_revocation_without_any_crl_is_an_error(authority: CertificateAuthority, revocation: Revocation) -> None:
    assert list(_check([authority.root], [], revocation)) == [
        Finding(
            failure=MISSING,
            severity=ERROR,
            step=STEP,
            message=f"there is no fresh CRL of CN=test CA: with revocation={revocation} what it issued is refused",
            remedy="give its CRL with crls=, or ask for revocation=Revocation.OFF by name",
            certificate=authority.root,
            required="a fresh CRL of CN=test CA",
            presented="none",
        )
    ]


def test_no_crl_is_wanted_where_revocation_is_off(authority: CertificateAuthority) -> None:
    report = _check([authority.root], [_ended(authority)], Revocation.OFF)
    assert list(report) == []
    assert "revocation of peers: the truststore holds no CRLs, or revocation is OFF" in report.not_checked


def test_an_expired_crl_is_an_error_and_leaves_its_ca_without_one(authority: CertificateAuthority) -> None:
    crl = authority.crl(this_update=datetime(2026, 1, 1, tzinfo=UTC), next_update=datetime(2026, 1, 8, tzinfo=UTC))
    expired, missing = _check([authority.root], [crl])
    assert (missing.failure, missing.severity) == (MISSING, ERROR)
    assert (expired.failure, expired.severity, expired.step) == (EXPIRED, ERROR, STEP)
    assert expired.message == (
        "the CRL of CN=test CA was to be renewed by 2026-01-08 00:00 UTC: what that CA issued is refused"
    )
    assert expired.remedy == "fetch the current CRL"
    assert expired.presented == "2026-01-01 00:00 UTC to 2026-01-08 00:00 UTC"
    assert str(expired.required).startswith("valid at ")


def test_a_crl_of_the_future_is_as_good_as_none(authority: CertificateAuthority) -> None:
    crl = authority.crl(this_update=datetime(2099, 1, 1, tzinfo=UTC), next_update=datetime(2099, 1, 8, tzinfo=UTC))
    report = _check([authority.root], [crl])
    assert _failures(report) == [(EXPIRED, ERROR), (MISSING, ERROR)]
    assert report.findings[0].message == (
        "the CRL of CN=test CA begins on 2099-01-01 00:00 UTC only: what that CA issued is refused"
    )


def test_an_expired_crl_beside_a_fresh_one_is_a_warning(authority: CertificateAuthority) -> None:
    assert _failures(_check([authority.root], [_ended(authority), authority.crl()])) == [(EXPIRED, WARNING)]


def test_a_crl_is_fresh_in_the_very_second_in_which_it_ends(authority: CertificateAuthority) -> None:
    truststore = Truststore.from_certificates(
        [authority.root], crls=[authority.crl(this_update=NOW - DAY, next_update=NOW)]
    )
    for now, found in ((NOW, []), (NOW + timedelta(seconds=1), [EXPIRED, MISSING])):
        checked = crls.check_crls(truststore, Revocation.CHAIN, step=STEP, now=now)
        assert [each.failure for each in checked] == found


def test_a_crl_of_another_key_under_the_same_name_covers_nothing(authority: CertificateAuthority) -> None:
    namesake = CertificateAuthority("test CA")
    assert _failures(_check([authority.root], [namesake.crl()])) == [(MISSING, ERROR)]


@BOTH
def test_a_root_without_crl_beside_one_with_is_a_warning(
    authority: CertificateAuthority, stranger: CertificateAuthority, revocation: Revocation
) -> None:
    report = _check([authority.root, stranger.root], [authority.crl()], revocation)
    assert _failures(report) == [(MISSING, WARNING)]
    assert report.findings[0].certificate == stranger.root


@pytest.mark.parametrize(("revocation", "severity"), [(Revocation.CHAIN, ERROR), (Revocation.LEAF, WARNING)])
def test_the_crl_of_an_intermediate_alone_may_do_for_leaves_but_not_for_a_chain(
    authority: CertificateAuthority, lower: CertificateAuthority, revocation: Revocation, severity: Severity
) -> None:
    assert _failures(_check([authority.root], [lower.crl()], revocation)) == [(MISSING, severity)]


def test_an_intermediate_as_anchor_can_never_satisfy_revocation_of_the_chain(
    authority: CertificateAuthority, lower: CertificateAuthority
) -> None:
    [found] = _check([lower.certificate], [lower.crl(), authority.crl()])
    assert (found.failure, found.severity, found.certificate) == (MISSING, ERROR, lower.certificate)
    assert found.required == "the root as the anchor"
    assert found.message == (
        "CN=issuing CA is an intermediate, and nothing in a path that ends with it can say whether it was revoked: "
        "with revocation=chain what it issued is refused"
    )
    assert found.remedy == (
        "trust the root above it, with the CRLs of both, or ask for revocation=Revocation.LEAF by name"
    )


def test_an_intermediate_as_anchor_needs_its_own_crl_for_revocation_of_leaves(
    authority: CertificateAuthority, lower: CertificateAuthority
) -> None:
    assert _failures(_check([lower.certificate], [lower.crl()], Revocation.LEAF)) == []
    assert _failures(_check([lower.certificate], [authority.crl()], Revocation.LEAF)) == [(MISSING, WARNING)]
    assert _failures(_check([lower.certificate], [], Revocation.LEAF)) == [(MISSING, ERROR)]


@BOTH
def test_a_pinned_leaf_needs_its_issuer_as_an_anchor_with_a_crl(
    authority: CertificateAuthority, revocation: Revocation
) -> None:
    pinned = authority.server("localhost").certificate
    report = _check([pinned], [authority.crl()], revocation)
    assert _failures(report) == [(MISSING, ERROR)]
    found = report.errors[0]
    assert (found.certificate, found.required) == (pinned, "a CRL of its issuer")
    assert found.message == (
        "CN=localhost is trusted as a single certificate, and no anchor with a fresh CRL issued it: "
        f"with revocation={revocation} what it issued is refused"
    )
    assert _failures(_check([pinned, authority.root], [authority.crl()], revocation)) == []
    assert _failures(_check([pinned, authority.root], [], revocation)) == [(MISSING, ERROR)] * 2


@BOTH
def test_a_ca_that_may_not_sign_crls_is_an_error(revocation: Revocation) -> None:
    silent = CertificateAuthority("silent CA", key_usage=key_usage("key_cert_sign"))
    [found] = _check([silent.root], [silent.crl()], revocation)
    assert (found.failure, found.severity) == (FailureReason.WRONG_KEY_USAGE, ERROR)
    assert (found.certificate, found.required) == (silent.root, "cRLSign")
    assert found.message.startswith("CN=silent CA has a keyUsage without cRLSign, so its CRL does not count: ")


def test_a_ca_without_key_usage_may_sign_crls(authority: CertificateAuthority) -> None:
    plain = CertificateAuthority("plain CA", key_usage=None)
    truststore = Truststore.from_certificates([plain.root], crls=[plain.crl()])
    assert list(crls.check_crls(truststore, Revocation.CHAIN, step=STEP, now=NOW)) == []


def test_at_most_ten_anchors_without_crl_are_listed(authority: CertificateAuthority) -> None:
    many = [CertificateAuthority(f"CA {number}").root for number in range(12)]
    assert _failures(_check([authority.root, *many], [authority.crl()])) == [(MISSING, WARNING)] * 10


def test_a_crl_whose_signature_cryptography_cannot_check_is_left_to_openssl() -> None:
    """An anchor with a key that signs nothing, X25519, beside a CRL in its name."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "odd CA")])
    signer = ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
    builder = builder.public_key(x25519.X25519PrivateKey.generate().public_key())
    anchor = builder.not_valid_before(NOW - DAY).not_valid_after(NOW + DAY).sign(signer, hashes.SHA256())
    lists: Any = x509.CertificateRevocationListBuilder(name).last_update(NOW - DAY).next_update(NOW + DAY)
    assert crls._signed(lists.sign(signer, hashes.SHA256()), anchor) is True
