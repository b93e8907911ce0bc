"""From a profile to a context: checked first, built once, and looked at again when time has passed."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

import mtls
from mtls import FailureReason, HandshakeStep, Role, Severity, TLSProfile, _profile
from mtls.authority import CertificateAuthority, Existing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mtls import Keystore

DAY = timedelta(days=1)


def _at(monkeypatch: pytest.MonkeyPatch, moment: datetime) -> None:
    """Set the clock that a profile builds its contexts by."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return moment.astimezone(tz)

    monkeypatch.setattr(_profile, "datetime", Clock)


def _profile_of(authority: CertificateAuthority, **fields: Any) -> mtls.ClientProfile:
    keystore = authority.client("billing.example", **fields)
    return TLSProfile.client(truststore=authority.truststore, keystore=keystore)


def test_a_context_is_refused_with_the_report_of_the_check(authority: CertificateAuthority) -> None:
    profile = _profile_of(authority, eku=[ExtendedKeyUsageOID.CODE_SIGNING], not_after=datetime.now(UTC) - DAY)
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    found = [(each.failure, each.step, each.severity) for each in caught.value.report]
    assert found == [(each.failure, each.step, each.severity) for each in profile.check()]
    assert found == [
        (FailureReason.EXPIRED, HandshakeStep.SERVER_VERIFIES_CLIENT, Severity.ERROR),
        (FailureReason.WRONG_EKU, HandshakeStep.SERVER_VERIFIES_CLIENT, Severity.ERROR),
    ]
    assert isinstance(caught.value, ValueError)


def test_warnings_do_not_stop_a_context(authority: CertificateAuthority) -> None:
    profile = _profile_of(authority, eku=())
    assert [each.failure for each in profile.check()] == [FailureReason.EKU_ABSENT]
    assert isinstance(profile.ssl_context(), ssl.SSLContext)


def test_findings_are_in_the_order_of_gravity_and_then_of_steps(authority: CertificateAuthority) -> None:
    late = CertificateAuthority("late CA", not_after=datetime.now(UTC) - DAY)
    profile = TLSProfile.client(
        truststore=late.truststore,
        keystore=authority.client("c", eku=()),
        policy=mtls.TLSPolicy(
            name="none", minimum_version=mtls.TLSVersion.TLSv1_3, maximum_version=mtls.TLSVersion.TLSv1_2
        ),
    )
    assert [(each.severity, each.step.value) for each in profile.check()] == [
        (Severity.ERROR, 1),
        (Severity.ERROR, 4),
        (Severity.WARNING, 6),
        (Severity.WARNING, 6),
    ]


def test_every_context_of_a_profile_is_another_object_over_the_same_material(authority: CertificateAuthority) -> None:
    profile = _profile_of(authority)
    one, other = profile.ssl_context(), profile.ssl_context()
    assert one is not other
    assert one._generation is other._generation
    assert (one.profile, one.generation) == (profile, 1)


def test_a_context_is_good_today_and_its_end_is_found_by_a_check_of_that_day(authority: CertificateAuthority) -> None:
    profile = _profile_of(authority, not_after=datetime.now(UTC) + 30 * DAY)
    profile.ssl_context()
    profile.check(at=datetime.now(UTC) + 29 * DAY).raise_for_errors()
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.check(at=datetime.now(UTC) + 31 * DAY).raise_for_errors()
    [found] = caught.value.report.errors
    assert (found.failure, found.step) == (FailureReason.EXPIRED, HandshakeStep.SERVER_VERIFIES_CLIENT)


@pytest.mark.parametrize("link", ["leaf", "intermediate"])
def test_no_new_context_comes_from_a_profile_whose_certificate_has_ended_since(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, link: str
) -> None:
    end = datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=10)
    lower = authority.intermediate("lower CA", **_ending(end, wanted=link == "intermediate"))
    keystore = lower.client("billing.example", **_ending(end, wanted=link == "leaf"))
    profile = TLSProfile.client(truststore=authority.truststore, keystore=keystore)
    profile.ssl_context()
    _at(monkeypatch, end - timedelta(seconds=1))
    profile.ssl_context()
    _at(monkeypatch, end)
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    assert [each.failure for each in caught.value.report.errors] == [FailureReason.EXPIRED]


def _ending(end: datetime, *, wanted: bool) -> Any:
    return {"not_after": end} if wanted else {}


def test_no_new_context_comes_from_a_profile_whose_anchor_has_ended_an_hour_ago(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.now(UTC) + timedelta(minutes=10)
    profile = TLSProfile.client(truststore=CertificateAuthority("short CA", not_after=end).truststore)
    profile.ssl_context()
    _at(monkeypatch, end + timedelta(hours=1))
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    [found] = caught.value.report.errors
    assert (found.failure, found.step) == (FailureReason.EXPIRED, HandshakeStep.CLIENT_VERIFIES_SERVER)


def test_a_clock_that_was_set_back_is_noticed(authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch) -> None:
    profile = _profile_of(authority)
    profile.ssl_context()
    _at(monkeypatch, datetime.now(UTC) - 30 * DAY)
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    assert FailureReason.NOT_YET_VALID in {each.failure for each in caught.value.report.errors}


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("EE_KEY_TOO_SMALL", FailureReason.WEAK_KEY),
        ("CA_MD_TOO_WEAK", FailureReason.WEAK_SIGNATURE),
        ("KEY_VALUES_MISMATCH", FailureReason.KEY_MISMATCH),
        ("SOMETHING_NEW", FailureReason.MALFORMED),
        (None, FailureReason.MALFORMED),
    ],
)
@pytest.mark.parametrize("role", list(Role))
def test_what_openssl_alone_refuses_becomes_a_configuration_error_with_its_cause(
    authority: CertificateAuthority,
    monkeypatch: pytest.MonkeyPatch,
    role: Role,
    reason: str | None,
    failure: FailureReason,
) -> None:
    refusal = ssl.SSLError(1, "refused")
    refusal.reason = reason  # type: ignore[assignment] # OpenSSL leaves it None for some errors

    def build(_: object) -> None:
        raise refusal

    monkeypatch.setattr(_profile, "Generation", build)
    keystore: Keystore = authority.client("c") if role is Role.CLIENT else authority.server("localhost")
    make: Callable[..., Any] = TLSProfile.client if role is Role.CLIENT else TLSProfile.server
    profile = make(keystore=keystore, truststore=authority.truststore)
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    [found] = caught.value.report
    assert caught.value.__cause__ is refusal
    assert (found.failure, found.severity, found.step) == (failure, Severity.ERROR, role.certificate_step)
    assert found.message == f"OpenSSL does not take this material: {reason or 'no reason given'}"
    assert found.certificate == keystore.certificate


def test_a_client_without_keystore_that_openssl_refuses_has_no_certificate_to_blame(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = ssl.SSLError(1, "refused")
    refusal.reason = "CA_MD_TOO_WEAK"

    def build(_: object) -> None:
        raise refusal

    monkeypatch.setattr(_profile, "Generation", build)
    with pytest.raises(mtls.ConfigurationError) as caught:
        TLSProfile.client(truststore=authority.truststore).ssl_context()
    [found] = caught.value.report
    assert found.certificate is None


def test_a_rehearsal_checks_both_profiles_first(
    authority: CertificateAuthority, client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    late = _profile_of(authority, not_after=datetime.now(UTC) - DAY)
    with pytest.raises(mtls.ConfigurationError) as caught:
        mtls.rehearse(late, server_profile)
    assert caught.value.report.role is Role.CLIENT
    assert mtls.rehearse(client_profile, server_profile).ok


# --- read again ---


def test_a_profile_of_objects_has_nothing_to_read_again(client_profile: mtls.ClientProfile) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        client_profile.ssl_context().reload()
    assert str(caught.value) == (
        "nothing here was read from a file, so there is nothing to read again; build a new profile instead"
    )


def test_files_that_are_read_again_are_checked_again_before_they_serve(
    authority: CertificateAuthority, tmp_path: Path
) -> None:
    first, second = authority.client("first.example"), authority.client("second.example")
    late = authority.client("late.example", not_after=datetime.now(UTC) - DAY)
    authority.save_keystore(first, tmp_path)
    keystore = mtls.Keystore.from_directory(tmp_path)
    profile = TLSProfile.client(truststore=authority.truststore, keystore=keystore)
    context = profile.ssl_context()
    authority.save_keystore(late, tmp_path, existing=Existing.REPLACE)
    with pytest.raises(mtls.ConfigurationError) as caught:
        context.reload()
    assert [each.failure for each in caught.value.report.errors] == [FailureReason.EXPIRED]
    assert (context.generation, context.profile) == (1, profile)
    authority.save_keystore(second, tmp_path, existing=Existing.REPLACE)
    context.reload()
    assert context.generation == 2
    assert context.profile.keystore == second
    assert context.profile.truststore is profile.truststore
    assert profile.keystore == first
