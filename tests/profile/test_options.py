"""The options of a profile: left out is one thing, ``None`` another, and a wrong value says what it should be."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import (
    BCP195,
    MOZILLA_INTERMEDIATE,
    ChainRules,
    ClientAuth,
    ClientProfile,
    EKUPolicy,
    FailureReason,
    Finding,
    HandshakeStep,
    PeerPolicy,
    Revocation,
    Role,
    ServerIdentity,
    ServerProfile,
    Severity,
    TLSProfile,
    Truststore,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mtls.authority import CertificateAuthority

F, S = FailureReason, HandshakeStep


@pytest.fixture(scope="module")
def make(authority: CertificateAuthority) -> Callable[..., Any]:
    """A two-way profile of that role with these options instead of the usual ones."""
    material = {
        Role.CLIENT: {"truststore": authority.truststore, "keystore": authority.client("billing.example")},
        Role.SERVER: {"truststore": authority.truststore, "keystore": authority.server("localhost")},
    }

    def build(role: Role, **options: Any) -> Any:
        kind = TLSProfile.client if role is Role.CLIENT else TLSProfile.server
        return kind(**(material[role] | options))

    return build


# --- left out ---


def test_a_client_with_everything_left_out_is_one_way_and_strict(authority: CertificateAuthority) -> None:
    profile = TLSProfile.client(truststore=authority.truststore)
    assert isinstance(profile, ClientProfile)
    assert (profile.role, profile.two_way, profile.keystore) == (Role.CLIENT, False, None)
    assert (profile.policy, profile.alpn, profile.hosts) == (MOZILLA_INTERMEDIATE, (), ())
    assert (profile.eku, profile.chain_rules) == (EKUPolicy.IF_PRESENT, ChainRules.STRICT)
    assert (profile.server_identity, profile.authorize) == (ServerIdentity.HOSTNAME, None)
    context = profile.ssl_context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
    assert context.verify_flags & ssl.VERIFY_X509_STRICT


def test_a_server_with_everything_left_out_is_one_way(authority: CertificateAuthority) -> None:
    profile = TLSProfile.server(keystore=authority.server("localhost"))
    assert isinstance(profile, ServerProfile)
    assert (profile.role, profile.two_way, profile.truststore) == (Role.SERVER, False, None)
    assert profile.ssl_context().verify_mode == ssl.CERT_NONE


@pytest.mark.parametrize(
    ("given", "mode"),
    [
        ({}, ssl.CERT_REQUIRED),
        ({"client_auth": ClientAuth.REQUIRED}, ssl.CERT_REQUIRED),
        ({"client_auth": ClientAuth.OPTIONAL}, ssl.CERT_OPTIONAL),
    ],
)
def test_a_server_with_a_truststore_demands_a_certificate_unless_told_otherwise(
    make: Callable[..., Any], given: dict[str, Any], mode: ssl.VerifyMode
) -> None:
    profile = make(Role.SERVER, **given)
    assert profile.two_way
    assert profile.ssl_context().verify_mode == mode


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize(
    ("with_crls", "given", "flag"),
    [
        (False, {}, 0),
        (True, {}, ssl.VERIFY_CRL_CHECK_CHAIN),
        (True, {"revocation": Revocation.LEAF}, ssl.VERIFY_CRL_CHECK_LEAF),
        (True, {"revocation": Revocation.OFF}, 0),
    ],
)
def test_revocation_that_is_left_out_follows_the_crls(
    authority: CertificateAuthority,
    make: Callable[..., Any],
    role: Role,
    with_crls: bool,
    given: dict[str, Any],
    flag: int,
) -> None:
    truststore = authority.truststore_with_crl() if with_crls else authority.truststore
    profile = make(role, truststore=truststore, **given)
    asked = ssl.VERIFY_CRL_CHECK_CHAIN | ssl.VERIFY_CRL_CHECK_LEAF
    assert profile.ssl_context().verify_flags & asked == flag
    told = "revocation of peers: the truststore holds no CRLs, or revocation is OFF" in profile.check().not_checked
    assert told is (flag == 0)


@pytest.mark.parametrize("role", list(Role))
def test_rules_that_this_python_cannot_enforce_are_listed_as_not_checked(make: Callable[..., Any], role: Role) -> None:
    for policy in (MOZILLA_INTERMEDIATE, BCP195):
        not_checked = make(role, policy=policy).check().not_checked
        assert set(policy.unenforceable) <= set(not_checked)
        assert len(not_checked) == len(policy.unenforceable) + 1


def test_a_one_way_server_has_no_peers_whose_revocation_could_be_checked(authority: CertificateAuthority) -> None:
    profile = TLSProfile.server(keystore=authority.server("localhost"))
    assert profile.check().not_checked == MOZILLA_INTERMEDIATE.unenforceable


# --- None: a variable that was never set ---


UNSET = [
    (Role.CLIENT, "truststore", F.UNKNOWN_CA, S.CLIENT_VERIFIES_SERVER),
    (Role.CLIENT, "keystore", F.CERTIFICATE_REQUIRED, S.CLIENT_CERTIFICATE),
    (Role.CLIENT, "authorize", F.CERTIFICATE_REQUIRED, S.CLIENT_VERIFIES_SERVER),
    (Role.SERVER, "keystore", F.CERTIFICATE_REQUIRED, S.SERVER_CERTIFICATE),
    (Role.SERVER, "truststore", F.UNKNOWN_CA, S.SERVER_VERIFIES_CLIENT),
    (Role.SERVER, "authorize", F.CERTIFICATE_REQUIRED, S.SERVER_VERIFIES_CLIENT),
    (Role.SERVER, "client_auth", F.CERTIFICATE_REQUIRED, S.CLIENT_CERTIFICATE),
]


@pytest.mark.parametrize(("role", "option", "failure", "step"), UNSET)
def test_none_for_what_decides_who_is_verified_is_a_configuration_error(
    make: Callable[..., Any], role: Role, option: str, failure: FailureReason, step: HandshakeStep
) -> None:
    with pytest.raises(mtls.ConfigurationError) as caught:
        make(role, **{option: None})
    assert list(caught.value.report) == [
        Finding(
            failure=failure,
            severity=Severity.ERROR,
            step=step,
            message=f"{option}=None was given, which looks like a variable that was never set",
            remedy=f"give a value, or leave {option}= out if that is what is meant",
            presented="None",
        )
    ]
    assert caught.value.report.role is role


def test_several_options_of_none_are_reported_at_once(make: Callable[..., Any]) -> None:
    with pytest.raises(mtls.ConfigurationError) as caught:
        make(Role.SERVER, keystore=None, truststore=None, client_auth=None)
    assert [found.message.partition("=")[0] for found in caught.value.report] == [
        "keystore",
        "truststore",
        "client_auth",
    ]


WRONG: list[tuple[str, Any, Iterable[Role], str]] = [
    # option, value, roles, text
    ("policy", None, Role, "policy= takes a TLSPolicy, not NoneType"),
    ("policy", "MOZILLA_MODERN", Role, "policy= takes a TLSPolicy, not str"),
    ("keystore", "client.pem", Role, "keystore= takes a Keystore, not str"),
    ("truststore", "ca.pem", Role, "truststore= takes a Truststore, not str"),
    ("alpn", None, Role, "alpn= takes a list of names, for instance ['h2'], not None"),
    ("alpn", "h2", Role, "alpn= takes a list of names, for instance ['h2'], not 'h2'"),
    ("alpn", ["h2", 1], Role, "alpn= takes a list of names, for instance ['h2'], not ['h2', 1]"),
    ("alpn", [""], Role, "alpn= takes a list of names, for instance ['h2'], not ['']"),
    ("alpn", ["ü"], Role, "alpn= names are ASCII and at most 255 bytes long, not 'ü'"),
    ("alpn", ["x" * 256], Role, f"alpn= names are ASCII and at most 255 bytes long, not '{'x' * 256}'"),
    ("eku", None, Role, "eku= is one of EKUPolicy.IF_PRESENT, EKUPolicy.REQUIRED, not None"),
    ("eku", True, Role, "eku= is one of EKUPolicy.IF_PRESENT, EKUPolicy.REQUIRED, not True"),
    ("eku", [], Role, "eku= is one of EKUPolicy.IF_PRESENT, EKUPolicy.REQUIRED, not []"),
    ("chain_rules", None, Role, "chain_rules= is one of ChainRules.STRICT, ChainRules.LENIENT, not None"),
    ("authorize", "billing", Role, "authorize= takes a PeerPolicy or a function of a PeerIdentity, not str"),
    ("revocation", None, Role, "revocation= is one of Revocation.CHAIN, Revocation.LEAF, Revocation.OFF, not None"),
    (
        "client_auth",
        "maybe",
        [Role.SERVER],
        "client_auth= is one of ClientAuth.REQUIRED, ClientAuth.OPTIONAL, not 'maybe'",
    ),
    (
        "revocation",
        "maybe",
        Role,
        "revocation= is one of Revocation.CHAIN, Revocation.LEAF, Revocation.OFF, not 'maybe'",
    ),
    ("hosts", None, [Role.CLIENT], "hosts= takes a list of names, for instance ['api.example'], not None"),
    (
        "hosts",
        "api.example",
        [Role.CLIENT],
        "hosts= takes a list of names, for instance ['api.example'], not 'api.example'",
    ),
    ("server_identity", None, [Role.CLIENT], "server_identity= is one of ServerIdentity.HOSTNAME, not None"),
    ("server_identity", False, [Role.CLIENT], "server_identity= is one of ServerIdentity.HOSTNAME, not False"),
]


@pytest.mark.parametrize(
    ("role", "option", "value", "text"),
    [(role, option, value, text) for option, value, roles, text in WRONG for role in roles],
)
def test_a_value_of_the_wrong_kind_is_a_usage_error_that_says_what_it_should_be(
    make: Callable[..., Any], role: Role, option: str, value: Any, text: str
) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        make(role, **{option: value})
    assert str(caught.value) == text


@pytest.mark.parametrize("role", list(Role))
def test_a_keystore_and_a_truststore_that_are_mixed_up_are_a_usage_error(
    authority: CertificateAuthority, make: Callable[..., Any], role: Role
) -> None:
    with pytest.raises(mtls.UsageError, match=r"^keystore= takes a Keystore, not Truststore$"):
        make(role, keystore=authority.truststore)
    with pytest.raises(mtls.UsageError, match=r"^truststore= takes a Truststore, not Keystore$"):
        make(role, truststore=authority.client("c"))


@pytest.mark.parametrize(
    ("role", "option"), [(Role.CLIENT, "client_auth"), (Role.SERVER, "hosts"), (Role.SERVER, "server_identity")]
)
def test_an_option_of_the_other_role_is_no_option(make: Callable[..., Any], role: Role, option: str) -> None:
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{option}'"):
        make(role, **{option: ()})


def test_what_must_be_given_is_asked_for_by_python_itself() -> None:
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'truststore'"):
        TLSProfile.client()  # type: ignore[call-arg] # wrong on purpose
    with pytest.raises(TypeError, match="missing 1 required keyword-only argument: 'keystore'"):
        TLSProfile.server()  # type: ignore[call-arg] # wrong on purpose


@pytest.mark.parametrize("role", list(Role))
def test_an_option_may_be_given_by_its_word(make: Callable[..., Any], role: Role) -> None:
    profile = make(role, eku="required", chain_rules="lenient", revocation="off")
    assert (profile.eku, profile.chain_rules, profile.revocation) == (
        EKUPolicy.REQUIRED,
        ChainRules.LENIENT,
        Revocation.OFF,
    )


# --- names ---


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("api.example", "api.example"),
        ("API.Example.", "api.example"),
        ("*.partner.example", "*.partner.example"),
        ("münchen.example", "xn--mnchen-3ya.example"),
        ("localhost", "localhost"),
        ("127.0.0.1", "127.0.0.1"),
        ("2001:db8::1", "2001:db8::1"),
        ("_dns.example", "_dns.example"),
    ],
)
def test_a_host_is_kept_in_the_form_in_which_it_is_asked_for(make: Callable[..., Any], given: str, kept: str) -> None:
    assert make(Role.CLIENT, hosts=[given]).hosts == (kept,)


@pytest.mark.parametrize(
    "name",
    [
        "*",
        "*.",
        ".",
        "a.*.example",
        "*.*.example",
        "*example",
        "https://api.example",
        "api.example/x",
        "api.example:443",
        "[2001:db8::1]",
        "user@api.example",
        "a b",
        "a.example\n",
        "*.2001:db8::1",
    ],
)
def test_a_host_that_could_never_match_is_a_usage_error(make: Callable[..., Any], name: str) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        make(Role.CLIENT, hosts=["good.example", name])
    assert str(caught.value) == f"hosts= lists host names such as 'api.example' or '*.example', not {name!r}"


@pytest.mark.parametrize("name", ["a..example", "x" * 64 + ".example"])
def test_a_host_that_is_no_name_is_a_usage_error_with_the_reason(make: Callable[..., Any], name: str) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        make(Role.CLIENT, hosts=[name])
    assert str(caught.value).startswith(f"hosts= lists host names, and {name!r} is none: ")
    assert isinstance(caught.value.__cause__, UnicodeError)


def test_alpn_names_keep_their_order(make: Callable[..., Any]) -> None:
    assert make(Role.CLIENT, alpn=["h2", "http/1.1"]).alpn == ("h2", "http/1.1")
    assert make(Role.SERVER, alpn=("http/1.1",)).alpn == ("http/1.1",)


def test_a_policy_in_the_place_of_the_host_name_check_replaces_it(make: Callable[..., Any]) -> None:
    rule = PeerPolicy.spiffe_id("spiffe://prod.example/api")
    profile = make(Role.CLIENT, server_identity=rule)
    assert profile.server_identity == rule
    assert profile.ssl_context().check_hostname is False


def test_an_empty_truststore_is_accepted_as_a_value_and_refused_as_a_configuration(
    make: Callable[..., Any],
) -> None:
    for role in Role:
        profile = make(role, truststore=Truststore.from_certificates([]))
        with pytest.raises(mtls.ConfigurationError) as caught:
            profile.ssl_context()
        assert (F.UNKNOWN_CA, role.other.verified_at) in {
            (found.failure, found.step) for found in caught.value.report.errors
        }
