"""The tables are total: no code that OpenSSL or the IANA registry knows is without a meaning."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from mtls._handshake import tables
from mtls._handshake.diagnosis import Observation, diagnose
from mtls._model import FailureReason, Role

ALL_MEANINGS = tables.CERTIFICATE_ALERTS | tables.NEGOTIATION_ALERTS | tables.OTHER_ALERTS


def _reasons_of_openssl() -> list[str]:
    """Every reason of the SSL library by the name that ``exc.reason`` has, as the openssl program spells them."""
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have the openssl program", pytrace=False)
        return []
    codes = [f"{20 << 23 | number:x}" for number in range(1, 1300)]  # 20: ERR_LIB_SSL
    listing = subprocess.run(["openssl", "errstr", *codes], check=True, capture_output=True, text=True).stdout
    texts = [line.rsplit(":", 1)[1].strip() for line in listing.splitlines()]
    return sorted({text.replace(" ", "_").upper() for text in texts if not text.startswith(("reason(", "error:"))})


REASONS = _reasons_of_openssl()
ALERT_REASONS = [reason for reason in REASONS if "_ALERT_" in reason and reason.startswith(("SSLV3", "TLSV1"))]


def test_every_alert_of_the_registry_has_a_meaning() -> None:
    assert set(ALL_MEANINGS) == set(tables.ALERT_NAMES.values())


def test_no_alert_has_two_meanings() -> None:
    count = len(tables.CERTIFICATE_ALERTS) + len(tables.NEGOTIATION_ALERTS) + len(tables.OTHER_ALERTS)
    assert count == len(ALL_MEANINGS)


@pytest.mark.parametrize("code", range(1, 96))
def test_every_verify_code_of_openssl_3_has_a_failure(code: int) -> None:
    assert isinstance(tables.VERIFY_CODES[code], FailureReason)


@pytest.mark.skipif(not REASONS, reason="the openssl program, which lists the reasons, is not installed")
def test_the_openssl_program_lists_its_reasons() -> None:
    assert len(ALERT_REASONS) >= 25
    assert len(REASONS) >= 300


@pytest.mark.parametrize("reason", ALERT_REASONS)
def test_every_reason_that_speaks_of_a_received_alert_gives_its_registered_name(reason: str) -> None:
    assert tables.alert_of_reason(reason) in tables.ALERT_NAMES.values()


@pytest.mark.parametrize(
    ("reason", "alert"),
    [
        ("TLSV1_UNRECOGNIZED_NAME", "unrecognized_name"),
        ("TLSV1_UNSUPPORTED_EXTENSION", "unsupported_extension"),
        ("TLSV1_ALERT_USER_CANCELLED", "user_canceled"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate_required"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "bad_certificate"),
    ],
)
def test_spellings_of_openssl_that_differ_from_the_registry_are_known(reason: str, alert: str) -> None:
    assert tables.alert_of_reason(reason) == alert


@pytest.mark.parametrize("reason", [None, "CERTIFICATE_VERIFY_FAILED", "TLSV1_ALERT_SOMETHING_NEW", "NO_SHARED_CIPHER"])
def test_a_reason_that_is_no_received_alert_gives_none(reason: str | None) -> None:
    assert tables.alert_of_reason(reason) is None


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("chain_seen", [False, True])
@pytest.mark.parametrize("has_certificate", [False, True])
def test_every_reason_in_every_situation_is_placed_or_left_open_without_a_fault(
    *, role: Role | None, finished: bool, chain_seen: bool, has_certificate: bool
) -> None:
    for reason in [*REASONS, None]:
        for verify_code in (0, 20):
            found = diagnose(
                Observation(
                    role=role,
                    finished=finished,
                    chain_seen=chain_seen,
                    hello_seen=chain_seen,
                    has_certificate=has_certificate,
                    reason=reason,
                    verify_code=verify_code,
                )
            )
            assert isinstance(found.failure, FailureReason)
            assert found.step is None or 1 <= found.step <= 8
