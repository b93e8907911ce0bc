"""The report: a page to read, never a yes or no."""

from __future__ import annotations

import copy
import pickle
from typing import TYPE_CHECKING

import pytest

from mtls import (
    ConfigurationError,
    FailureReason,
    Finding,
    HandshakeStep,
    Report,
    Role,
    Severity,
)

if TYPE_CHECKING:
    from mtls.authority import CertificateAuthority

WRONG_EKU = Finding(
    failure=FailureReason.WRONG_EKU,
    severity=Severity.ERROR,
    step=HandshakeStep.SERVER_VERIFIES_CLIENT,
    message="leaf CN=billing-prod allows serverAuth only; a client needs clientAuth (RFC 5280, 4.2.1.12)",
    remedy="ask the CA for a certificate with clientAuth",
)
SOON = Finding(
    failure=FailureReason.EXPIRES_SOON,
    severity=Severity.WARNING,
    step=HandshakeStep.SERVER_VERIFIES_CLIENT,
    message="leaf CN=billing-prod ends on 2026-12-01 08:00 UTC, in 8 days",
    remedy="renew it before then",
)
LONG = Finding(
    failure=FailureReason.UNKNOWN_CRITICAL_EXTENSION,
    severity=Severity.ERROR,
    step=HandshakeStep.SERVER_VERIFIES_CLIENT,
    message="CN=billing-prod has a critical extension",
    remedy="ask the CA",
)
REPORT = Report(Role.CLIENT, True, (WRONG_EKU, SOON), ("groups X25519",))


def test_a_report_is_printed_as_a_heading_and_a_table_with_the_remedy_below_each_finding() -> None:
    assert str(REPORT) == (
        "client profile, two-way: 1 error, 1 warning\n"
        "  error    step 6  WRONG_EKU         leaf CN=billing-prod allows serverAuth only; a client needs clientAuth "
        "(RFC 5280, 4.2.1.12)\n"
        "                                     → ask the CA for a certificate with clientAuth\n"
        "  warning  step 6  EXPIRES_SOON      leaf CN=billing-prod ends on 2026-12-01 08:00 UTC, in 8 days\n"
        "                                     → renew it before then\n"
        "  not checked: groups X25519"
    )


def test_a_long_name_of_a_failure_moves_the_column_of_all() -> None:
    lines = str(Report(Role.SERVER, False, (LONG, SOON))).splitlines()
    assert lines == [
        "server profile, one-way: 1 error, 1 warning",
        "  error    step 6  UNKNOWN_CRITICAL_EXTENSION  CN=billing-prod has a critical extension",
        "                                               → ask the CA",
        "  warning  step 6  EXPIRES_SOON                leaf CN=billing-prod ends on 2026-12-01 08:00 UTC, in 8 days",
        "                                               → renew it before then",
    ]


@pytest.mark.parametrize(
    ("findings", "counts"),
    [
        ((), "0 errors, 0 warnings"),
        ((WRONG_EKU,), "1 error, 0 warnings"),
        ((WRONG_EKU, LONG, SOON), "2 errors, 1 warning"),
    ],
)
@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("two_way", [True, False])
def test_the_repr_of_a_report_is_its_heading(
    role: Role, two_way: bool, findings: tuple[Finding, ...], counts: str
) -> None:
    ways = "two-way" if two_way else "one-way"
    assert repr(Report(role, two_way, findings)) == f"<Report {role} profile, {ways}: {counts}>"


def test_a_report_is_neither_true_nor_false() -> None:
    text = r"^a Report is neither true nor false: look at \.errors, or call \.raise_for_errors\(\)$"
    for report in (REPORT, Report(Role.CLIENT, False, ())):
        with pytest.raises(TypeError, match=text):
            bool(report)
        with pytest.raises(TypeError, match=text):
            assert not report


def test_a_report_is_iterated_over_its_findings() -> None:
    assert list(REPORT) == [WRONG_EKU, SOON]
    assert len(REPORT) == 2
    assert (REPORT.errors, REPORT.warnings) == ((WRONG_EKU,), (SOON,))


def test_a_report_with_errors_raises_with_itself() -> None:
    with pytest.raises(ConfigurationError) as caught:
        REPORT.raise_for_errors()
    assert caught.value.report is REPORT


@pytest.mark.parametrize("findings", [(), (SOON,)])
def test_a_report_without_errors_raises_nothing(findings: tuple[Finding, ...]) -> None:
    Report(Role.CLIENT, True, findings).raise_for_errors()


def test_a_report_is_a_frozen_value_that_survives_pickling(authority: CertificateAuthority) -> None:
    assert pickle.loads(pickle.dumps(REPORT)) == REPORT
    assert hash(copy.deepcopy(REPORT)) == hash(REPORT)
    with pytest.raises(AttributeError):
        REPORT.findings = ()  # type: ignore[misc] # frozen on purpose
