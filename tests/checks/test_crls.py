"""Do the CRLs cover what a profile will judge? Each rule is as OpenSSL was seen to behave, here, in test_crossing.py
and in test_revocation.py.
"""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519

from mtls import (
    MOZILLA_INTERMEDIATE,
    ConfigurationError,
    FailureReason,
    Finding,
    HandshakeStep,
    Revocation,
    Role,
    Severity,
    TLSProfile,
    Truststore,
)
from mtls import _certificate as facts
from mtls._checks import crl_form, crls
from mtls._credentials.request import key_usage
from mtls._handshake.generation import Settings
from mtls._handshake.verdict import Judge
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
            message=f"there is no CRL of CN=test CA: with revocation={revocation} what it issued is refused",
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


@BOTH
def test_an_expired_crl_is_an_error(authority: CertificateAuthority, revocation: Revocation) -> None:
    crl = authority.crl(this_update=datetime(2026, 1, 1, tzinfo=UTC), next_update=datetime(2026, 1, 8, tzinfo=UTC))
    truststore = Truststore.from_certificates([authority.root], crls=[crl])
    now = datetime(2026, 1, 11, tzinfo=UTC)
    assert list(crls.check_crls(truststore, revocation, step=STEP, now=now)) == [
        Finding(
            failure=EXPIRED,
            severity=ERROR,
            step=STEP,
            message="the CRL of CN=test CA ended on 2026-01-08 00:00 UTC, 3 days ago: "
            f"with revocation={revocation} what it issued is refused",
            remedy="fetch the current CRL of CN=test CA",
            certificate=authority.root,
            required="valid at 2026-01-11 00:00 UTC",
            presented="2026-01-01 00:00 UTC to 2026-01-08 00:00 UTC",
        )
    ]


@BOTH
def test_a_crl_of_the_future_is_an_error(authority: CertificateAuthority, revocation: Revocation) -> None:
    crl = authority.crl(this_update=datetime(2099, 1, 1, tzinfo=UTC), next_update=datetime(2099, 1, 8, tzinfo=UTC))
    [found] = _check([authority.root], [crl], revocation)
    assert (found.failure, found.severity, found.certificate) == (EXPIRED, ERROR, authority.root)
    assert found.message.startswith("the CRL of CN=test CA begins on 2099-01-01 00:00 UTC, in ")
    assert found.remedy == "set the clock of this machine right, or fetch the current CRL of CN=test CA"


def test_an_expired_crl_beside_a_fresh_one_is_a_warning(authority: CertificateAuthority) -> None:
    assert _failures(_check([authority.root], [_ended(authority), authority.crl()])) == [(EXPIRED, WARNING)]


def test_a_crl_has_ended_in_the_very_second_in_which_it_ends(authority: CertificateAuthority) -> None:
    """As OpenSSL 3.0 compares times."""
    truststore = Truststore.from_certificates(
        [authority.root], crls=[authority.crl(this_update=NOW - DAY, next_update=NOW)]
    )
    for now, found in ((NOW - timedelta(seconds=1), []), (NOW, [EXPIRED])):
        checked = crls.check_crls(truststore, Revocation.CHAIN, step=STEP, now=now)
        assert [each.failure for each in checked if each.severity is ERROR] == found


def test_a_crl_of_another_key_under_the_same_name_covers_nothing(authority: CertificateAuthority) -> None:
    namesake = CertificateAuthority("test CA")
    [found] = _check([authority.root], [namesake.crl()])
    assert (found.failure, found.severity, found.certificate) == (MISSING, ERROR, authority.root)
    assert found.message == (
        "the CRL of CN=test CA is signed by another key than that of CN=test CA: "
        "with revocation=chain what it issued is refused"
    )
    assert [str(key).startswith("key ") for key in (found.required, found.presented)] == [True, True]


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
    assert found.required == "CN=test CA as the anchor, with its CRL"
    assert found.message == (
        "the path ends with CN=issuing CA, so nothing in it can say whether that was revoked: "
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
    assert (found.certificate, found.required) == (pinned, "CN=test CA as the anchor, with its CRL")
    assert found.message == (
        "the path ends with CN=localhost, so nothing in it can say whether that was revoked: "
        f"with revocation={revocation} it is refused"
    )
    assert found.remedy.startswith("trust the CA that issued it, with its CRL, or ")
    assert _failures(_check([pinned, authority.root], [authority.crl()], revocation)) == []
    assert _failures(_check([pinned, authority.root], [], revocation)) == [(MISSING, ERROR)] * 2


@BOTH
def test_a_ca_that_may_not_sign_crls_is_an_error(revocation: Revocation) -> None:
    silent = CertificateAuthority("silent CA", key_usage=key_usage("key_cert_sign"))
    [found] = _check([silent.root], [silent.crl()], revocation)
    assert (found.failure, found.severity) == (FailureReason.WRONG_KEY_USAGE, ERROR)
    assert (found.certificate, found.required) == (silent.root, "cRLSign")
    assert found.message.startswith("CN=silent CA may not sign CRLs: its keyUsage has no cRLSign: with ")


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
    assert crl_form.is_signed_by(lists.sign(signer, hashes.SHA256()), anchor) is True


# --- lists of no use, or of little ---


def _made(
    authority: CertificateAuthority,
    *extensions: x509.ExtensionType,
    begins: datetime = NOW - DAY,
    ends: datetime = NOW + 9 * DAY,
    signer: Any = None,
    name: x509.Name | None = None,
) -> x509.CertificateRevocationList:
    """A CRL in the name of ``authority`` with critical extensions, by ``signer`` if not by its own key."""
    builder = x509.CertificateRevocationListBuilder(name or authority.certificate.subject)
    builder = builder.last_update(begins).next_update(ends)
    key: Any = authority.certificate.public_key()
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    builder = builder.add_extension(identifier, critical=False).add_extension(x509.CRLNumber(1), critical=False)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    signing: Any = signer or authority._key
    return builder.sign(signing, hashes.SHA256())


def _part(**given: Any) -> x509.ExtensionType:
    kinds = ("user_certs", "ca_certs", "attribute_certs")
    fields: dict[str, Any] = {f"only_contains_{kind}": False for kind in kinds}
    fields |= {"full_name": None, "relative_name": None, "only_some_reasons": None, "indirect_crl": False}
    return x509.IssuingDistributionPoint(**fields | given)


STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
USERS, CAS = _part(only_contains_user_certs=True), _part(only_contains_ca_certs=True)
ATTRIBUTES = _part(only_contains_attribute_certs=True)
POINT = _part(full_name=[x509.UniformResourceIdentifier("http://crl.example/1")])
INDIRECT = _part(indirect_crl=True)
SOME_REASONS = _part(only_some_reasons=frozenset([x509.ReasonFlags.key_compromise]))
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
UNKNOWN, FORGED = FailureReason.UNKNOWN_CRITICAL_EXTENSION, FailureReason.BAD_SIGNATURE

USELESS = pytest.mark.parametrize(
    ("extension", "failure", "text"),
    [
        (STRANGE, UNKNOWN, "has a critical extension that OpenSSL does not know (1.2.3.4)"),
        (INDIRECT, MISSING, "is an indirect CRL, which OpenSSL does not support here"),
        (SOME_REASONS, MISSING, "is for some reasons of revocation only, which OpenSSL does not support here"),
        (ATTRIBUTES, MISSING, "is for attribute certificates only"),
    ],
    ids=["unknown critical extension", "indirect", "some reasons", "attribute certificates"],
)


@BOTH
@USELESS
def test_a_list_of_no_use_is_an_error_where_it_is_the_only_one(
    authority: CertificateAuthority, extension: Any, failure: FailureReason, text: str, revocation: Revocation
) -> None:
    [found] = _check([authority.root], [_made(authority, extension)], revocation)
    assert (found.failure, found.severity, found.certificate) == (failure, ERROR, authority.root)
    assert found.message == (f"the CRL of CN=test CA {text}: with revocation={revocation} what it issued is refused")


@BOTH
@USELESS
def test_a_list_of_no_use_beside_a_good_one_is_a_warning(
    authority: CertificateAuthority, extension: Any, failure: FailureReason, text: str, revocation: Revocation
) -> None:
    [found] = _check([authority.root], [_made(authority, extension), authority.crl()], revocation)
    assert (found.failure, found.severity, found.certificate) == (failure, WARNING, None)
    assert found.message.startswith(f"the CRL of CN=test CA {text}: ")


@BOTH
def test_a_list_that_the_ca_did_not_sign_is_an_error_although_it_names_its_key(
    authority: CertificateAuthority, revocation: Revocation
) -> None:
    report = _check([authority.root], [_made(authority, signer=OTHER_KEY)], revocation)
    severity = ERROR if revocation is Revocation.CHAIN else WARNING
    assert _failures(report) == [(FORGED, severity)]
    assert report.findings[0].message.startswith("the signature on the CRL of CN=test CA does not verify with the key ")


def test_a_forged_list_that_is_newer_than_a_good_one_is_an_error_because_openssl_takes_it(
    authority: CertificateAuthority,
) -> None:
    forged = _made(authority, signer=OTHER_KEY, begins=NOW - DAY)
    older, newer = _made(authority, begins=NOW - 2 * DAY), _made(authority, begins=NOW - timedelta(hours=1))
    assert _failures(_check([authority.root], [forged, older])) == [(FORGED, ERROR)]
    assert _failures(_check([authority.root], [forged, newer])) == [(FORGED, WARNING)]


def test_a_list_of_a_namesake_beside_a_good_one_is_a_warning(authority: CertificateAuthority) -> None:
    report = _check([authority.root], [CertificateAuthority("test CA").crl(), authority.crl()])
    assert _failures(report) == [(MISSING, WARNING)]
    assert report.findings[0].message == (
        "the CRL of CN=test CA is signed by another key than that of CN=test CA: it does not count"
    )


def test_a_list_of_a_ca_that_is_no_anchor_is_no_finding_because_peers_may_send_that_ca(
    authority: CertificateAuthority, lower: CertificateAuthority, stranger: CertificateAuthority
) -> None:
    assert _failures(_check([authority.root], [authority.crl(), lower.crl(), stranger.crl()])) == []


def test_where_the_list_of_an_anchor_is_missing_the_lists_that_are_there_are_named(
    authority: CertificateAuthority, stranger: CertificateAuthority
) -> None:
    [found] = _check([authority.root], [stranger.crl()])
    assert (found.failure, found.severity, found.presented) == (MISSING, ERROR, "CRLs of CN=stranger CA")


@BOTH
def test_the_issuer_of_a_list_is_compared_without_case_and_repeated_blanks(
    authority: CertificateAuthority, revocation: Revocation
) -> None:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, " TEST  ca ")])
    assert _failures(_check([authority.root], [_made(authority, name=name)], revocation)) == []


def test_an_anchor_that_its_own_list_revokes_is_an_error() -> None:
    gone = CertificateAuthority("gone CA")
    gone.revoke(gone.root)
    [found] = _check([gone.root], [gone.crl()])
    assert (found.failure, found.severity, found.certificate) == (FailureReason.REVOKED, ERROR, gone.root)


def test_a_pinned_leaf_that_was_revoked_is_an_error() -> None:
    issuer = CertificateAuthority("issuing root")
    pinned = issuer.server("localhost")
    issuer.revoke(pinned)
    report = _check([pinned.certificate, issuer.root], [issuer.crl()])
    assert _failures(report) == [(FailureReason.REVOKED, WARNING)]
    assert "CN=localhost was revoked by CN=issuing root on " in next(
        found.message for found in report if found.failure is FailureReason.REVOKED
    )


# --- parts ---


@pytest.mark.parametrize(("extension", "text"), [(USERS, "end entities"), (POINT, "one distribution point")])
def test_a_partitioned_list_cannot_cover_the_root_itself(
    authority: CertificateAuthority, extension: Any, text: str
) -> None:
    [found] = _check([authority.root], [_made(authority, extension)])
    assert (found.failure, found.severity) == (MISSING, ERROR)
    assert "with revocation=chain what it issued is refused" in found.message
    [found] = _check([authority.root], [_made(authority, extension)], Revocation.LEAF)
    assert (found.failure, found.severity) == (MISSING, WARNING)
    assert found.message == (f"the CRL of CN=test CA is for {text} only: whatever else this CA issued is refused")


def test_a_list_for_cas_alone_is_a_warning_because_it_covers_intermediates(authority: CertificateAuthority) -> None:
    report = _check([authority.root], [_made(authority, CAS)])
    assert _failures(report) == [(MISSING, WARNING)]


@BOTH
def test_two_lists_that_have_everything_between_them_are_no_finding(
    authority: CertificateAuthority, revocation: Revocation
) -> None:
    assert _failures(_check([authority.root], [_made(authority, USERS), _made(authority, CAS)], revocation)) == []
    assert _failures(_check([authority.root], [_made(authority, POINT), authority.crl()], revocation)) == []


# --- delta CRLs ---


@BOTH
def test_a_delta_crl_is_an_error_even_beside_a_complete_one(
    authority: CertificateAuthority, lower: CertificateAuthority, revocation: Revocation
) -> None:
    for issuer in (authority, lower):
        delta = _made(issuer, x509.DeltaCRLIndicator(1))
        report = _check([authority.root], [authority.crl(), lower.crl(), delta], revocation)
        assert _failures(report) == [(MISSING, ERROR)]
        assert " is a delta CRL, which says only what changed since another one: " in report.errors[0].message
        assert report.errors[0].remedy.startswith("ask the CA for its complete CRL, or ")


def test_no_context_is_built_with_a_delta_crl(authority: CertificateAuthority) -> None:
    delta = _made(authority, x509.DeltaCRLIndicator(1))
    trust = Truststore.from_certificates([authority.root], crls=[authority.crl(), delta])
    with pytest.raises(ConfigurationError) as caught:
        TLSProfile.client(truststore=trust).ssl_context()
    assert [finding.failure for finding in caught.value.report.errors] == [MISSING]


def test_delta_crls_can_be_asked_for_alone(authority: CertificateAuthority) -> None:
    deltas = [_made(authority, x509.DeltaCRLIndicator(number)) for number in range(12)]
    found = list(crls.check_deltas([authority.crl(), *deltas], step=STEP))
    assert [(each.failure, each.severity, each.step) for each in found] == [(MISSING, ERROR, STEP)] * 10
    assert list(crls.check_deltas([authority.crl()], step=STEP)) == []


# --- freshness ---

WEEK = 7 * DAY


def _week(authority: CertificateAuthority, begun: timedelta) -> x509.CertificateRevocationList:
    return authority.crl(this_update=NOW - begun, next_update=NOW - begun + WEEK)


def test_a_list_in_the_last_tenth_of_its_life_is_a_warning(authority: CertificateAuthority) -> None:
    [found] = _check([authority.root], [_week(authority, WEEK * 0.95)])
    ends = found.presented.rpartition(" to ")[2] if found.presented else ""
    assert (found.failure, found.severity, found.step) == (FailureReason.EXPIRES_SOON, WARNING, STEP)
    assert found.message == f"the CRL of CN=test CA ends on {ends}, in 8 hours: then what that CA issued is refused"
    assert found.remedy == "fetch the next CRL of CN=test CA before then"
    assert _failures(_check([authority.root], [_week(authority, WEEK * 0.85)])) == []


def test_a_list_that_ends_soon_beside_the_next_one_is_no_finding(authority: CertificateAuthority) -> None:
    both = [_week(authority, WEEK * 0.95), _week(authority, DAY)]
    assert _failures(_check([authority.root], both)) == []
    assert _failures(_check([authority.root], both[::-1])) == []


def test_every_list_has_a_sentence_about_its_freshness(authority: CertificateAuthority) -> None:
    busy = CertificateAuthority("busy CA")
    busy.revoke(busy.client("one"))
    now = datetime(2026, 11, 24, tzinfo=UTC)
    lists = [
        authority.crl(this_update=now - DAY, next_update=now + 6 * DAY),
        busy.crl(this_update=now - 9 * DAY, next_update=now - 2 * DAY),
    ]
    assert crls.freshness(lists, now) == [
        "CRL of CN=test CA: issued 2026-11-23 00:00 UTC, next update 2026-11-30 00:00 UTC (in 6 days), 0 entries",
        "CRL of CN=busy CA: issued 2026-11-15 00:00 UTC, next update 2026-11-22 00:00 UTC (2 days ago), 1 entry",
    ]
    assert crls.freshness([], now) == []


def test_of_many_lists_ten_have_a_sentence(authority: CertificateAuthority) -> None:
    sentences = crls.freshness([authority.crl()] * 12, NOW)
    assert len(sentences) == 11
    assert sentences[-1] == "... and 2 more CRLs"


# --- against OpenSSL ---


@pytest.mark.parametrize("role", list(Role))
def test_whenever_a_peer_would_pass_there_is_no_error(role: Role) -> None:
    """Anchors, lists and peers at random; OpenSSL says who passes."""
    chance = random.Random(f"anchors {role}")
    root, other = CertificateAuthority("crossed root"), CertificateAuthority("other root")
    below = root.intermediate("crossed intermediate")
    namesake = CertificateAuthority("crossed root")
    parts: list[tuple[x509.ExtensionType, ...]] = [(), (), (STRANGE,), (USERS,), (CAS,), (POINT,), (INDIRECT,)]
    dates: list[dict[str, Any]] = [{}, {}, {"begins": NOW - 2 * DAY}, {"ends": NOW - timedelta(hours=1)}]
    pool = [
        _made(issuer, *part, **date, signer=signer)
        for issuer, part, date, signer in itertools.product(
            (root, other, below, namesake), parts, dates, (None, None, None, OTHER_KEY)
        )
    ]
    point = x509.DistributionPoint([x509.UniformResourceIdentifier("http://crl.example/1")], None, None, None)
    pointed = [x509.Extension(x509.CRLDistributionPoints.oid, False, x509.CRLDistributionPoints([point]))]
    peers = [
        (issuer.client if role is Role.CLIENT else issuer.server)("localhost", extensions=extensions)
        for issuer, extensions in itertools.product((root, other, below), ((), pointed))
    ]
    passed = 0
    for _ in range(300):
        anchors = chance.sample([root.certificate, other.certificate, below.certificate], chance.randint(1, 3))
        revocation = chance.choice((Revocation.CHAIN, Revocation.LEAF))
        truststore = Truststore.from_certificates(anchors, crls=chance.sample(pool, chance.randint(0, 4)))
        settings = Settings(
            role=role.other, keystore=None, truststore=truststore, policy=MOZILLA_INTERMEDIATE, revocation=revocation
        )
        judge, name = Judge(settings), "localhost" if role is Role.SERVER else None
        sent = [[facts.der(peer.certificate), *map(facts.der, peer.chain)] for peer in peers]
        if any(judge.judge(chain, name).accepted for chain in sent):
            passed += 1
            found = crls.check_crls(truststore, revocation, step=role.verified_at, now=datetime.now(UTC))
            assert [each.message for each in found if each.severity is ERROR] == []
    assert passed > 50
