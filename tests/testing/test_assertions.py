"""What a test says of a profile: an assertion gives its evidence, and one that fails shows the steps."""

from __future__ import annotations

import pickle
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls.authority import CertificateAuthority
from mtls.testing import (
    FAULTS,
    Fault,
    NotApplicableError,
    assert_accepts,
    assert_refuses,
    assert_valid_for,
    raises,
)

if TYPE_CHECKING:
    from collections.abc import Callable

HOME, ABROAD = CertificateAuthority("Home CA"), CertificateAuthority("Abroad CA")
CLIENT = mtls.TLSProfile.client(truststore=HOME.truststore, keystore=HOME.client("billing.example"))
SERVER = mtls.TLSProfile.server(truststore=HOME.truststore, keystore=HOME.server("localhost"))
OUTSIDER = mtls.TLSProfile.client(truststore=HOME.truststore, keystore=ABROAD.client("outsider.example"))
ALL = [fault for fault in FAULTS if fault.demand is None or fault.demand == "chain_rules=ChainRules.STRICT"]


def untyped(value: object) -> Any:
    """A value that the types forbid."""
    return value


# --- raises ---


@pytest.mark.parametrize(
    "wanted",
    [
        {"step": S.SERVER_VERIFIES_CLIENT, "failure": F.UNKNOWN_CA, "side": mtls.Side.LOCAL},
        {"step": 6, "failure": "unknown_ca", "side": "local"},
        {"step": "SERVER_VERIFIES_CLIENT"},
        {"failure": "unknown_ca"},
        {},
    ],
)
def test_raises_takes_the_failure_that_is_expected(wanted: dict[str, Any]) -> None:
    with raises(**wanted) as caught:
        mtls.rehearse(OUTSIDER, SERVER).raise_for_failure()
    assert caught.error is caught.exception
    assert caught.error.failure is F.UNKNOWN_CA
    assert repr(caught).startswith("<Raised: <PeerVerificationError step 6")


def test_raises_looks_through_what_a_library_wraps() -> None:
    with raises(step=6, side="local") as caught:
        try:
            mtls.rehearse(OUTSIDER, SERVER).raise_for_failure()
        except mtls.HandshakeError as error:
            raise RuntimeError("could not connect") from error
    assert type(caught.exception) is RuntimeError
    assert caught.error is caught.exception.__cause__


def test_raises_shows_the_step_that_broke_and_the_one_that_should_have() -> None:
    with (
        pytest.raises(AssertionError) as failed,
        raises(step=4, failure="expired", side="peer"),
    ):
        mtls.rehearse(OUTSIDER, SERVER).raise_for_failure()
    assert str(failed.value).startswith(
        "expected: step 4 CLIENT_VERIFIES_SERVER, failure expired, side peer\n"
        "but was:  step 6 SERVER_VERIFIES_CLIENT, failure unknown_ca, side local\n\n"
        "    1 CLIENT_HELLO\n"
        "    2 SERVER_HELLO\n"
        "    3 SERVER_CERTIFICATE\n"
        "  ▸ 4 CLIENT_VERIFIES_SERVER  should have broken here\n"
        "    5 CLIENT_CERTIFICATE\n"
        "  ✗ 6 SERVER_VERIFIES_CLIENT  broke here\n"
        "    7 KEY_EXCHANGE\n"
        "    8 APPLICATION_DATA\n\n"
        "step 6 SERVER_VERIFIES_CLIENT failed: "
    )
    assert isinstance(failed.value.__cause__, mtls.HandshakeError)


@pytest.mark.parametrize("wanted", [{"side": "peer"}, {"side": None}, {"step": None}, {"failure": "expired"}])
def test_raises_compares_each_field_that_is_given(wanted: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="but was:  step 6"), raises(**wanted):
        mtls.rehearse(OUTSIDER, SERVER).raise_for_failure()


def test_raises_knows_a_failure_that_nothing_places() -> None:
    fault = FAULTS["server-is-silent-after-certificate"]
    with raises(step=None, failure="timed_out", side=None):
        fault.run(CLIENT, SERVER, HOME).raise_for_failure()


def test_what_was_to_be_raised_and_was_not_shows_the_steps_with_the_one_that_should_have_broken() -> None:
    with pytest.raises(AssertionError) as caught, raises(step=5):
        pass
    lines = str(caught.value).splitlines()
    assert len(lines) == 2 + 8
    assert [line.split()[:2] for line in lines if line.endswith("should have broken here")] == [["▸", "5"]]


def test_a_client_of_any_other_ca_is_of_an_unknown_ca(
    mtls_authority: CertificateAuthority, mtls_server_profile: mtls.ServerProfile
) -> None:
    """The names decide between an unknown CA and a missing intermediate where nothing else does."""
    for other in (CertificateAuthority(), CertificateAuthority("Other CA"), CertificateAuthority("A CA")):
        stranger = mtls.TLSProfile.client(truststore=mtls_authority.truststore, keystore=other.client("stranger"))
        with raises(step=6, failure="unknown_ca", side="local"):
            mtls.rehearse(stranger, mtls_server_profile).raise_for_failure()


def test_a_context_is_no_profile_and_the_text_says_what_takes_one() -> None:
    context: Any = ssl.create_default_context()
    with pytest.raises(mtls.UsageError, match=r"not SSLContext; audit\(\) and assert_mutual\(\) take a context"):
        assert_refuses(context, "client-expired")


def test_a_fault_that_does_not_apply_is_an_error_of_a_public_name() -> None:
    with pytest.raises(NotApplicableError) as caught:
        assert_refuses(SERVER, "client-revoked")
    assert (type(caught.value).__module__, isinstance(caught.value, mtls.UsageError)) == ("mtls.testing", True)
    assert pickle.loads(pickle.dumps(NotApplicableError)) is NotApplicableError


def test_what_a_test_asserts_in_the_block_is_no_handshake_failure() -> None:
    failed = AssertionError("the test's own")
    failed.__context__ = ssl.SSLError(ssl.SSL_ERROR_SSL, "anything")
    with pytest.raises(AssertionError, match="the test's own"), raises():
        raise failed


def test_raises_fails_where_nothing_was_raised() -> None:
    with (
        pytest.raises(AssertionError, match="nothing was raised; expected: step 6 SERVER_VERIFIES_CLIENT"),
        raises(step=6),
    ):
        mtls.rehearse(CLIENT, SERVER).raise_for_failure()


def test_an_exception_that_is_no_handshake_failure_passes() -> None:
    with pytest.raises(ZeroDivisionError) as passed, raises(step=6):
        _ = 1 / 0
    assert passed.value.__notes__ == ["This is no handshake failure; expected: step 6 SERVER_VERIFIES_CLIENT"]
    with pytest.raises(KeyboardInterrupt), raises(step=6):
        raise KeyboardInterrupt


def test_a_refusal_by_the_check_of_our_own_side_is_no_refusal_by_the_peer() -> None:
    expired = HOME.client("billing.example", not_after=datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(mtls.ConfigurationError), raises(step=6, failure="expired"):
        mtls.rehearse(replace(CLIENT, keystore=expired), SERVER)


def test_what_was_caught_is_known_after_the_block_only() -> None:
    with raises(step=6) as caught:
        with pytest.raises(AssertionError, match="nothing was raised yet"):
            _ = caught.error
        with pytest.raises(AssertionError, match="nothing was raised yet"):
            _ = caught.exception
        assert repr(caught) == "<Raised: nothing yet, expected step 6 SERVER_VERIFIES_CLIENT>"
        mtls.rehearse(OUTSIDER, SERVER).raise_for_failure()


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"step": 9}, "step=9 is no HandshakeStep; one of 1, 2, 3"),
        ({"step": "SIX"}, "step='SIX' is no HandshakeStep"),
        ({"failure": "unknown"}, "failure='unknown' is no FailureReason; one of 'not_tls'"),
        ({"failure": None}, "failure=None is no FailureReason"),
        ({"side": "server"}, "side='server' is no Side; one of 'local', 'peer'"),
    ],
)
def test_a_value_that_there_is_not_is_refused_before_the_block(wrong: dict[str, Any], text: str) -> None:
    with pytest.raises(mtls.UsageError, match=text):
        raises(**wrong)


# --- assert_refuses ---


@pytest.mark.parametrize("fault", ALL, ids=str)
@pytest.mark.parametrize("authority", [None, HOME], ids=["its own CA", "one beside it"])
def test_a_good_profile_refuses_each_fault_of_the_other_role(
    fault: Fault, authority: CertificateAuthority | None
) -> None:
    profile = SERVER if fault.culprit is mtls.Role.CLIENT else CLIENT
    handshake = assert_refuses(profile, fault, authority=authority)
    assert handshake.failed_step is fault.step


def test_a_fault_may_be_named_by_its_id() -> None:
    assert assert_refuses(SERVER, "client-expired").failed_step is S.SERVER_VERIFIES_CLIENT


def test_a_profile_with_its_own_rules_is_asked_for_them() -> None:
    revoking = CertificateAuthority("Revoking CA")
    keystore = revoking.server("localhost")
    revoking.revoke(revoking.client("left.example"))
    listed = mtls.TLSProfile.server(keystore=keystore, truststore=revoking.truststore_with_crl())
    for fault in ("client-revoked", "client-revoked-intermediate", "client-crl-missing", "client-expired-intermediate"):
        assert_refuses(listed, fault, authority=revoking)
    for fault in ("client-unknown-ca", "client-expired", "client-incomplete-chain", "client-crl-missing"):
        assert_refuses(listed, fault)
    narrow = replace(SERVER, authorize=mtls.PeerPolicy.dns("billing.example"), eku=mtls.EKUPolicy.REQUIRED)
    for fault in ("client-not-authorized", "client-eku-absent", "client-expired"):
        assert_refuses(narrow, fault, peer=CLIENT, authority=HOME)
    modern = replace(SERVER, policy=mtls.MOZILLA_MODERN)
    assert_refuses(modern, "client-other-version")


@pytest.mark.parametrize(
    ("lax", "fault"),
    [
        (replace(SERVER, client_auth=mtls.ClientAuth.OPTIONAL), "client-no-certificate"),
        (replace(SERVER, chain_rules=mtls.ChainRules.LENIENT), "client-missing-extension"),
        (mtls.TLSProfile.server(keystore=HOME.server("localhost")), "client-unknown-ca"),
        (mtls.TLSProfile.server(keystore=HOME.server("localhost")), "client-expired"),
    ],
)
def test_a_fault_that_is_accepted_fails_the_test_with_the_picture(lax: mtls.ServerProfile, fault: str) -> None:
    with pytest.raises(AssertionError) as failed:
        assert_refuses(lax, fault)
    text = str(failed.value)
    assert text.startswith(f"the server accepted {fault!r}: {FAULTS[fault].description}\n")
    marked = next(line for line in text.splitlines() if "should have broken here" in line)
    step = FAULTS[fault].step
    assert step is not None
    assert marked.startswith(f"▸ {step.value} ")
    assert "8 ✓ data" in text


def test_a_refusal_for_another_reason_fails_the_test() -> None:
    modern = replace(SERVER, policy=mtls.MOZILLA_MODERN)
    old = replace(CLIENT, policy=replace(mtls.MOZILLA_INTERMEDIATE, maximum_version=mtls.TLSVersion.TLSv1_2))
    with pytest.raises(AssertionError) as failed:
        assert_refuses(modern, "client-expired", peer=old, authority=HOME)
    text = str(failed.value)
    assert text.startswith(
        "'client-expired' was refused, but not for what it is: expected <Fault client-expired: step 6"
    )
    assert "2 ✗" in text
    assert "▸ 6 " in text


def test_a_refusal_where_nothing_tells_the_step_is_shown_without_a_mark() -> None:
    modern = replace(SERVER, policy=mtls.MOZILLA_MODERN)
    old = replace(CLIENT, policy=replace(mtls.MOZILLA_INTERMEDIATE, maximum_version=mtls.TLSVersion.TLSv1_2))
    with pytest.raises(AssertionError, match="was refused, but not for what it is") as failed:
        assert_refuses(modern, "client-is-silent-after-server-certificate", peer=old, authority=HOME)
    assert "▸" not in str(failed.value)[1:].replace("──▶", "")


def test_a_rule_of_the_application_does_not_hide_an_earlier_reason() -> None:
    everybody_out = replace(SERVER, authorize=lambda _: False)
    assert_refuses(everybody_out, "client-expired")
    assert_refuses(everybody_out, "client-not-authorized")


def test_a_client_is_tested_with_a_name_that_it_may_ask_for() -> None:
    for hosts, asked in ((("other.example",), "other.example"), (("*.other.example",), "any.other.example")):
        assert assert_refuses(replace(CLIENT, hosts=hosts), "server-expired").server_hostname == asked


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: assert_refuses(SERVER, "server-expired"), "a fault of a server; only a client profile can refuse it"),
        (lambda: assert_refuses(SERVER, "client-lost"), "there is no fault 'client-lost'"),
        (lambda: assert_refuses(SERVER, untyped(6)), "a fault is one of mtls.testing.FAULTS or its id, not int"),
        (
            lambda: assert_refuses(untyped("server"), "client-expired"),
            "profile= takes a ClientProfile or a ServerProfile, not str",
        ),
        (
            lambda: assert_refuses(SERVER, "client-expired", peer=SERVER),
            "peer= takes a client profile, for this is a server",
        ),
        (lambda: assert_refuses(SERVER, "client-expired", authority=ABROAD), "the server does not trust CN=Abroad CA"),
        (
            lambda: assert_refuses(SERVER, "client-revoked"),
            "does not apply: no CRL of the authority .* authority.revoke",
        ),
        (
            lambda: assert_refuses(SERVER, "client-crl-missing"),
            "does not apply: the truststore holds no CRL; give it one",
        ),
        (lambda: assert_refuses(SERVER, "client-crl-expired"), "an outdated CRL is one of the other side"),
        (lambda: assert_refuses(SERVER, "client-not-authorized"), "no authorize= says who may come in; give one"),
        (lambda: assert_refuses(CLIENT, "server-not-authorized"), "does not apply"),
        (lambda: assert_refuses(SERVER, "client-eku-absent"), "ask for EKUPolicy.REQUIRED"),
        (lambda: assert_refuses(SERVER, "client-other-version"), "the policy allows both versions"),
        (lambda: assert_refuses(SERVER, "client-other-group"), "Python cannot set the groups"),
    ],
)
def test_what_says_nothing_about_the_profile_is_answered_with_a_sentence(call: Callable[[], object], text: str) -> None:
    with pytest.raises(mtls.UsageError, match=text):
        call()


def test_which_servers_a_client_admits_is_not_guessed() -> None:
    choosy = replace(CLIENT, authorize=mtls.PeerPolicy.dns("localhost"))
    with pytest.raises(mtls.UsageError, match="which servers it would refuse is not known"):
        assert_refuses(choosy, "server-not-authorized")


# --- assert_accepts ---


def test_a_good_profile_accepts_a_good_peer_made_for_it() -> None:
    for profile in (SERVER, CLIENT, replace(CLIENT, hosts=("*.partner.example",))):
        assert assert_accepts(profile).ok
        assert assert_accepts(profile, authority=HOME).ok
    assert assert_accepts(mtls.TLSProfile.client(truststore=HOME.truststore)).ok
    assert assert_accepts(mtls.TLSProfile.server(keystore=HOME.server("api.example"))).server_hostname == "api.example"


def test_a_profile_accepts_the_peer_that_is_given() -> None:
    assert assert_accepts(SERVER, CLIENT).ok
    assert assert_accepts(CLIENT, SERVER).ok


def test_a_pair_that_does_not_come_to_a_connection_fails_the_test_with_the_picture() -> None:
    with pytest.raises(AssertionError, match="the server and its peer do not come to a connection") as failed:
        assert_accepts(SERVER, OUTSIDER)
    assert "6 ✗" in str(failed.value)


# --- assert_valid_for ---


def test_a_profile_that_is_good_for_longer_is_valid() -> None:
    report = assert_valid_for(SERVER, days=30)
    assert report.errors == ()


def test_a_certificate_that_ends_before_fails_the_test_with_the_report() -> None:
    soon = HOME.client("billing.example", not_after=datetime.now(UTC) + timedelta(days=20))
    profile = replace(CLIENT, keystore=soon)
    assert_valid_for(profile, days=19)
    with pytest.raises(AssertionError, match=r"this profile has errors in 30 days \(.* UTC\)\n(.|\n)*EXPIRED"):
        assert_valid_for(profile, days=30)


def test_a_profile_with_errors_today_fails_the_test() -> None:
    later = HOME.client("billing.example", not_before=datetime.now(UTC) + timedelta(days=2))
    with pytest.raises(AssertionError, match="this profile has errors now"):
        assert_valid_for(replace(CLIENT, keystore=later), days=30)


@pytest.mark.parametrize("days", [-1, True, "30", float("nan"), float("inf")])
def test_a_number_of_days_that_is_none_is_refused(days: Any) -> None:
    with pytest.raises(mtls.UsageError, match="days= takes a number of days from 0 to 36500, not"):
        assert_valid_for(CLIENT, days=days)


def test_something_else_is_not_valid_for_anything() -> None:
    nothing: Any = None
    with pytest.raises(
        mtls.UsageError, match="assert_valid_for\\(\\) takes a ClientProfile or a ServerProfile, not NoneType"
    ):
        assert_valid_for(nothing, days=30)
