"""Is this certificate valid at that time, and for how much longer? Both end points count (RFC 5280, 4.1.2.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest

import mtls
from mtls import FailureReason, HandshakeStep, Severity
from mtls._checks.dates import check_dates

if TYPE_CHECKING:
    from cryptography import x509

    from mtls import Finding
    from mtls.authority import CertificateAuthority, CertificateFields

START = datetime(2030, 1, 1, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)
STEP = HandshakeStep.SERVER_VERIFIES_CLIENT


def _lasting(authority: CertificateAuthority, life: timedelta) -> x509.Certificate:
    return authority.client("late.example", not_before=START, not_after=START + life).certificate


@pytest.fixture(scope="module")
def certificate(authority: CertificateAuthority) -> x509.Certificate:
    return _lasting(authority, 90 * DAY)


def _check(certificate: x509.Certificate, now: datetime) -> list[Finding]:
    return check_dates(certificate, now, step=STEP, owner="leaf", position=0)


@pytest.mark.parametrize("now", [START, START + DAY, START + 76 * DAY])
def test_a_certificate_is_valid_from_its_first_second_and_not_ending_soon_until_its_last_14_days(
    certificate: x509.Certificate, now: datetime
) -> None:
    assert _check(certificate, now) == []


def test_a_certificate_is_not_yet_valid_one_second_before_it_begins(certificate: x509.Certificate) -> None:
    now = START - SECOND
    assert _check(certificate, now) == [
        mtls.Finding(
            failure=FailureReason.NOT_YET_VALID,
            severity=Severity.ERROR,
            step=STEP,
            message="leaf CN=late.example begins on 2030-01-01 00:00 UTC, in 1 second",
            remedy="wait until then, have it issued with an earlier date, or set the clock of this machine right",
            certificate=certificate,
            position=0,
            required="valid at 2029-12-31 23:59 UTC",
            presented="2030-01-01 00:00 UTC to 2030-04-01 00:00 UTC",
        )
    ]


def test_a_certificate_is_still_valid_one_second_before_it_ends(certificate: x509.Certificate) -> None:
    [found] = _check(certificate, START + 90 * DAY - SECOND)
    assert (found.failure, found.severity) == (FailureReason.EXPIRES_SOON, Severity.WARNING)
    assert found.message == "leaf CN=late.example ends on 2030-04-01 00:00 UTC, in 1 second"


def test_a_certificate_has_ended_in_its_last_second_as_for_openssl(certificate: x509.Certificate) -> None:
    [found] = _check(certificate, START + 90 * DAY)
    assert (found.failure, found.severity) == (FailureReason.EXPIRED, Severity.ERROR)


def test_a_certificate_has_ended_one_second_after_its_last_one(certificate: x509.Certificate) -> None:
    assert _check(certificate, START + 90 * DAY + SECOND) == [
        mtls.Finding(
            failure=FailureReason.EXPIRED,
            severity=Severity.ERROR,
            step=STEP,
            message="leaf CN=late.example ended on 2030-04-01 00:00 UTC, 1 second ago",
            remedy="renew it",
            certificate=certificate,
            position=0,
            required="valid at 2030-04-01 00:00 UTC",
            presented="2030-01-01 00:00 UTC to 2030-04-01 00:00 UTC",
        )
    ]


@pytest.mark.parametrize(
    ("life", "left", "soon"),
    [
        (90 * DAY, 14 * DAY, False),
        (90 * DAY, 14 * DAY - SECOND, True),
        (6 * DAY, 2 * DAY, False),
        (6 * DAY, 2 * DAY - SECOND, True),
        (timedelta(hours=1), timedelta(minutes=20), False),
        (timedelta(hours=1), timedelta(minutes=19), True),
    ],
)
def test_a_certificate_ends_soon_in_its_last_14_days_or_the_last_third_of_a_shorter_life(
    authority: CertificateAuthority, life: timedelta, left: timedelta, soon: bool
) -> None:
    found = _check(_lasting(authority, life), START + life - left)
    expected = [(FailureReason.EXPIRES_SOON, Severity.WARNING, "renew it before then")] if soon else []
    assert [(each.failure, each.severity, each.remedy) for each in found] == expected


def test_the_time_zone_of_now_does_not_matter(certificate: x509.Certificate) -> None:
    now = (START + 91 * DAY).astimezone(timezone(timedelta(hours=9)))
    [found] = _check(certificate, now)
    assert found.message == "leaf CN=late.example ended on 2030-04-01 00:00 UTC, 1 day ago"


def test_the_caller_says_how_grave_an_end_is_but_never_a_coming_one(certificate: x509.Certificate) -> None:
    ended = check_dates(certificate, START + 91 * DAY, step=STEP, owner="trust anchor", severity=Severity.WARNING)
    soon = check_dates(certificate, START + 89 * DAY, step=STEP, owner="trust anchor", severity=Severity.ERROR)
    assert [each.severity for each in (*ended, *soon)] == [Severity.WARNING, Severity.WARNING]
    assert [each.position for each in (*ended, *soon)] == [None, None]


def test_a_naive_now_is_a_usage_error_of_the_profile(client_profile: mtls.ClientProfile) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        client_profile.check(at=datetime(2030, 1, 1))  # noqa: DTZ001 - naive on purpose
    assert str(caught.value) == (
        "at= takes an aware datetime, for instance datetime.now(UTC) + timedelta(days=30), "
        "not datetime.datetime(2030, 1, 1, 0, 0)"
    )


@pytest.mark.parametrize("at", ["2030-01-01", 0, False])
def test_a_time_that_is_no_datetime_is_a_usage_error(client_profile: mtls.ClientProfile, at: object) -> None:
    with pytest.raises(mtls.UsageError, match=r"^at= takes an aware datetime, .* not "):
        client_profile.check(at=at)  # type: ignore[arg-type] # wrong on purpose


@pytest.mark.parametrize(
    ("at", "failure"),
    [
        (timedelta(days=100), FailureReason.EXPIRED),
        (timedelta(days=80), FailureReason.EXPIRES_SOON),
        (timedelta(days=-30), FailureReason.NOT_YET_VALID),
    ],
)
def test_a_check_at_another_time_finds_what_will_be_or_was_then(
    client_profile: mtls.ClientProfile, at: timedelta, failure: FailureReason
) -> None:
    report = client_profile.check(at=datetime.now(UTC) + at)
    assert failure in {finding.failure for finding in report}
    assert client_profile.check().findings == ()


@pytest.mark.parametrize(("position", "owner"), [(0, "leaf"), (1, "intermediate")])
def test_an_end_names_the_place_of_the_certificate_in_the_chain(
    authority: CertificateAuthority, position: int, owner: str
) -> None:
    past = datetime.now(UTC) - DAY
    ended: CertificateFields = {"not_after": past}
    current: CertificateFields = {}
    lower = authority.intermediate("lower", **(ended if position else current))
    keystore = lower.server("localhost", **(current if position else ended))
    [found] = mtls.TLSProfile.server(keystore=keystore).check().errors
    assert (found.failure, found.position, found.step) == (
        FailureReason.EXPIRED,
        position,
        HandshakeStep.CLIENT_VERIFIES_SERVER,
    )
    assert found.certificate == (keystore.certificate, *keystore.chain)[position]
    assert found.message.startswith(f"{owner} CN=")
    assert found.message.endswith(" 1 day ago")
