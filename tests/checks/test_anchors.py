"""Can this truststore do its work? One bad anchor among good ones is a warning; when all are bad, each is an error."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

import mtls
from mtls import (
    BCP195,
    AnchorKind,
    ChainRules,
    FailureReason,
    Finding,
    HandshakeStep,
    PeerPolicy,
    Revocation,
    Role,
    Severity,
    TLSProfile,
    Truststore,
)
from mtls._checks.trust import check_truststore
from mtls._credentials.request import key_usage
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import rsa

    from tests.checks.conftest import Only

ERROR, WARNING = Severity.ERROR, Severity.WARNING
NOW = datetime.now(UTC)
DAY = timedelta(days=1)
ROLES = pytest.mark.parametrize("role", list(Role))
EMPTY = x509.Name([])


def _check(role: Role, *anchors: x509.Certificate, **options: Any) -> list[Finding]:
    given: dict[str, Any] = {
        "chain_rules": ChainRules.STRICT,
        "revocation": Revocation.OFF,
        "authorized": False,
        "now": datetime.now(UTC),
    }
    return check_truststore(Truststore.from_certificates(anchors), role, **(given | options))


@ROLES
def test_a_root_in_order_is_no_finding(authority: CertificateAuthority, role: Role) -> None:
    assert _check(role, authority.certificate) == []


@ROLES
def test_an_intermediate_as_anchor_is_no_finding(authority: CertificateAuthority, role: Role) -> None:
    lower = authority.intermediate("issuing CA").certificate
    assert Truststore.from_certificates([lower]).kind_of(lower) is AnchorKind.INTERMEDIATE
    assert _check(role, lower) == []


@ROLES
def test_a_leaf_as_anchor_is_a_warning_that_says_when_trust_ends(authority: CertificateAuthority, role: Role) -> None:
    end = datetime(2040, 5, 17, 8, 30, tzinfo=UTC)
    fields: Any = {"not_after": end}
    pinned = (authority.server if role is Role.CLIENT else authority.client)("pinned.example", **fields).certificate
    assert _check(role, pinned) == [
        Finding(
            failure=FailureReason.LEAF_AS_ANCHOR,
            severity=WARNING,
            step=role.other.verified_at,
            message="CN=pinned.example is trusted as a single certificate, no CA: trust ends with it on "
            "2040-05-17 08:30 UTC, or when the peer renews",
            remedy="trust the CA that issued it, and say with authorize= or the host name which peer is meant",
            certificate=pinned,
        )
    ]


@ROLES
def test_an_empty_truststore_is_an_error(role: Role) -> None:
    assert _check(role) == [
        Finding(
            failure=FailureReason.UNKNOWN_CA,
            severity=ERROR,
            step=role.other.verified_at,
            message="the truststore holds no trust anchor, so every peer would be refused",
            remedy="put the CA certificate of the peers into it",
            required="at least one trust anchor",
            presented="none",
        )
    ]


@ROLES
@pytest.mark.parametrize(
    ("fields", "failure"),
    [
        ({"not_after": NOW - DAY}, FailureReason.EXPIRED),
        ({"not_before": NOW + DAY}, FailureReason.NOT_YET_VALID),
    ],
)
def test_an_anchor_out_of_date_is_an_error_alone_and_a_warning_among_good_ones(
    authority: CertificateAuthority, role: Role, fields: Any, failure: FailureReason
) -> None:
    late = CertificateAuthority("late CA", **fields).certificate
    [alone] = _check(role, late)
    [among] = _check(role, authority.certificate, late)
    for found, severity in ((alone, ERROR), (among, WARNING)):
        assert (found.failure, found.severity, found.certificate) == (failure, severity, late)
        assert (found.step, found.position) == (role.other.verified_at, None)
        assert found.message.startswith("trust anchor CN=late CA ")


def test_every_anchor_is_an_error_where_none_is_usable(stranger: CertificateAuthority) -> None:
    late = CertificateAuthority("late CA", not_after=NOW - DAY).certificate
    early = CertificateAuthority("early CA", not_before=NOW + DAY).certificate
    found = _check(Role.CLIENT, late, early)
    assert [(each.failure, each.severity) for each in found] == [
        (FailureReason.EXPIRED, ERROR),
        (FailureReason.NOT_YET_VALID, ERROR),
    ]


def test_an_anchor_that_ends_soon_is_a_warning_and_still_usable() -> None:
    soon = CertificateAuthority("soon CA", not_after=NOW + 3 * DAY, not_before=NOW - 90 * DAY).certificate
    [found] = _check(Role.CLIENT, soon)
    assert (found.failure, found.severity) == (FailureReason.EXPIRES_SOON, WARNING)


FORM = [
    (
        {"basic_constraints": x509.BasicConstraints(ca=True, path_length=None), "key_usage": None},
        FailureReason.MISSING_EXTENSION,
        "has no keyUsage",
        ("keyUsage", "none"),
    ),
    (
        {"subject_key_identifier": None},
        FailureReason.MISSING_EXTENSION,
        "has no subjectKeyIdentifier",
        ("subjectKeyIdentifier", "none"),
    ),
    (
        {"key_usage": key_usage("crl_sign")},
        FailureReason.WRONG_KEY_USAGE,
        "has no keyCertSign in its keyUsage",
        ("keyCertSign", "none"),
    ),
    (
        {
            "extensions": [
                x509.Extension(x509.BasicConstraints.oid, False, x509.BasicConstraints(ca=True, path_length=None))
            ]
        },
        FailureReason.MALFORMED,
        "has a basicConstraints that is not critical (RFC 5280, 4.2.1.9)",
        ("critical basicConstraints", "not critical"),
    ),
    (
        {"subject": EMPTY},
        FailureReason.MALFORMED,
        "has an empty subject (RFC 5280, 4.1.2.6)",
        ("a subject", "an empty subject"),
    ),
]


@ROLES
@pytest.mark.parametrize(("fields", "failure", "text", "values"), FORM)
def test_an_anchor_that_strict_rules_refuse_is_an_error_under_strict_rules_only(
    authority: CertificateAuthority,
    role: Role,
    fields: Any,
    failure: FailureReason,
    text: str,
    values: tuple[str, str],
) -> None:
    odd = CertificateAuthority("odd CA", **fields).certificate
    [found] = _check(role, odd)
    assert (found.failure, found.severity, found.certificate) == (failure, ERROR, odd)
    assert (found.step, found.required, found.presented) == (role.other.verified_at, *values)
    assert found.message.endswith(f" {text}; under strict rules (RFC 5280) OpenSSL refuses it")
    assert found.remedy == ("have the CA certificate issued anew, or ask for chain_rules=ChainRules.LENIENT by name")
    assert [each.severity for each in _check(role, authority.certificate, odd)] == [WARNING]
    assert _check(role, odd, chain_rules=ChainRules.LENIENT) == []


def test_a_version_1_root_is_refused_under_strict_rules_only(openssl: Callable[..., Any]) -> None:
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "v1.key", "-out", "v1.csr", "-subj", "/CN=version 1")
    folder = openssl("x509", "-req", "-in", "v1.csr", "-signkey", "v1.key", "-days", "90", "-out", "v1.pem")
    [root] = Truststore.from_pem(folder / "v1.pem")
    assert root.version is x509.Version.v1
    assert Truststore.from_certificates([root]).kind_of(root) is AnchorKind.ROOT
    found = _check(Role.SERVER, root)
    assert [(each.failure, each.severity) for each in found] == [
        (FailureReason.NOT_A_CA, ERROR),
        (FailureReason.MISSING_EXTENSION, ERROR),
    ]
    assert found[0].message == (
        "trust anchor CN=version 1 has no basicConstraints; under strict rules (RFC 5280) OpenSSL refuses it"
    )
    assert (found[0].required, found[0].presented) == ("basicConstraints", "none")
    assert _check(Role.SERVER, root, chain_rules=ChainRules.LENIENT) == []


@ROLES
@pytest.mark.parametrize("rules", list(ChainRules))
@pytest.mark.parametrize("usage", [ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
def test_an_anchor_whose_eku_lacks_the_role_of_the_peers_is_an_error_under_every_rule(
    role: Role, rules: ChainRules, usage: x509.ObjectIdentifier
) -> None:
    limited = CertificateAuthority("limited CA", eku=[usage]).certificate
    [found] = _check(role, limited, chain_rules=rules)
    assert (found.failure, found.severity, found.required) == (FailureReason.WRONG_EKU, ERROR, role.other.eku)
    assert found.message.startswith("trust anchor CN=limited CA allows ")
    assert found.message.endswith(f" a {role.other} needs {role.other.eku} (RFC 5280, 4.2.1.12); OpenSSL refuses it")
    assert found.remedy == "have the CA certificate issued anew"


@ROLES
def test_a_pinned_leaf_for_the_wrong_role_is_an_error(authority: CertificateAuthority, only: Only, role: Role) -> None:
    wrong = (authority.client if role is Role.CLIENT else authority.server)("pinned.example").certificate
    assert only(_check(role, wrong), FailureReason.WRONG_EKU).severity is ERROR


def test_an_anchor_with_an_unknown_critical_extension_is_an_error() -> None:
    strange = x509.ObjectIdentifier("1.2.3.4")
    extension: Any = x509.Extension(strange, True, x509.UnrecognizedExtension(strange, b"\x05\x00"))
    [found] = _check(Role.CLIENT, CertificateAuthority("odd CA", extensions=[extension]).certificate)
    assert (found.failure, found.severity) == (FailureReason.UNKNOWN_CRITICAL_EXTENSION, ERROR)
    assert found.presented == "1.2.3.4"


def test_an_anchor_with_a_key_that_the_policy_refuses_is_an_error(
    rsa_key: Callable[[int], rsa.RSAPrivateKey],
) -> None:
    weak = CertificateAuthority("weak CA", private_key=rsa_key(1024)).certificate
    [found] = _check(Role.CLIENT, weak, policy=BCP195)
    assert (found.failure, found.severity, found.certificate) == (FailureReason.WEAK_KEY, ERROR, weak)
    assert (found.required, found.presented) == ("112 bits", "80 bits")
    assert found.message == (
        "trust anchor CN=weak CA has a key (RSA 1024) worth 80 bits, and BCP195 asks for 112; OpenSSL refuses it"
    )


# --- public CAs ---


@pytest.fixture(scope="module")
def public() -> x509.Certificate:
    return Truststore.certifi().anchors[0]


def test_a_server_that_trusts_public_cas_is_refused(
    authority: CertificateAuthority, only: Only, public: x509.Certificate
) -> None:
    profile = TLSProfile.server(
        keystore=authority.server("localhost"), truststore=Truststore.from_certificates([authority.root, public])
    )
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    found = only(caught.value.report.errors, FailureReason.NOT_AUTHORIZED)
    assert found.step is HandshakeStep.SERVER_VERIFIES_CLIENT
    assert (found.required, found.presented) == ("a private CA, or authorize=", "1 public CAs")
    assert found.message == ("1 of the anchors are public CAs: whoever owns any domain gets a certificate from them")
    assert found.remedy == "trust the private CA of your clients only, or say with authorize= who may come in"


def test_a_server_that_trusts_public_cas_and_says_who_may_come_in_is_accepted(
    authority: CertificateAuthority,
) -> None:
    profile = TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=Truststore.certifi() | authority.truststore,
        authorize=PeerPolicy.dns("billing.example"),
    )
    assert profile.check().errors == ()
    assert profile.ssl_context().profile is profile


def test_all_public_cas_are_counted_and_not_judged_one_by_one() -> None:
    found = check_truststore(
        Truststore.certifi(),
        Role.SERVER,
        chain_rules=ChainRules.STRICT,
        revocation=Revocation.OFF,
        authorized=False,
        now=NOW + 365 * 40 * DAY,
    )
    assert [each.failure for each in found] == [FailureReason.NOT_AUTHORIZED]
    assert found[0].presented == f"{len(Truststore.certifi())} public CAs"


def test_a_client_may_trust_public_cas(public: x509.Certificate) -> None:
    assert TLSProfile.client(truststore=Truststore.certifi()).check().errors == ()
    assert _check(Role.CLIENT, public) == []


def test_a_server_with_private_cas_only_has_nobody_else_to_admit(authority: CertificateAuthority) -> None:
    assert _check(Role.SERVER, authority.certificate) == []


def test_that_openssl_was_not_asked_about_each_of_many_anchors_is_told() -> None:
    key = CertificateAuthority("many")
    many = [CertificateAuthority(f"CA {number}", private_key=key._key).certificate for number in range(21)]
    for count, told in ((20, 0), (21, 1)):
        report = TLSProfile.client(truststore=Truststore.from_certificates(many[:count])).check()
        assert sum("there are 21, more than 20" in rule for rule in report.not_checked) == told
