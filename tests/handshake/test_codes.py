"""The tables are total: no code that OpenSSL or the IANA registry knows is without a meaning."""

from __future__ import annotations

import _ssl
import ctypes
import os
import shutil
import subprocess

import pytest

from mtls._handshake.alerts import ALERT_NAMES, ALERTS, alert_of_reason
from mtls._handshake.diagnosis import Observation, diagnose
from mtls._handshake.reasons import REASONS as PLACED
from mtls._handshake.rules import RULES, Progress, Rule, Shown
from mtls._handshake.verify_codes import VERIFY_CODES, VERIFY_NAMES
from mtls._model import FailureReason, Role

_NO_CODE = 999
UNCONDITIONAL = {"role", "progress", "shown", "tls13", "ticket", "message", "alert", "reason", "failures"}


REGISTERED = (0, 10, *range(20, 23), 30, *range(40, 53), 60, 70, 71, 80, 86, 90, 100, *range(109, 118), 120, 121)
"""The numbers in the IANA registry "TLS Alerts" that are not unassigned; 117 since RFC 9846, 41 and others reserved."""


def _verify_codes_of_openssl() -> list[int]:
    """Every code that the OpenSSL of this interpreter has a text for."""
    text = ctypes.CDLL(_ssl.__file__).X509_verify_cert_error_string
    text.restype, text.argtypes = ctypes.c_char_p, [ctypes.c_long]
    unknown = text(_NO_CODE)
    return [code for code in range(1, _NO_CODE) if text(code) != unknown]


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


def test_every_alert_of_the_registry_has_a_name_and_a_meaning() -> None:
    assert sorted(ALERT_NAMES) == sorted(REGISTERED)
    assert set(ALERTS) == set(ALERT_NAMES.values())


def test_what_happened_always_has_a_rule_without_conditions_at_the_end_of_its_list() -> None:
    for trigger, rules in RULES.items():
        assert all(getattr(rules[-1], name) is None for name in UNCONDITIONAL), trigger


def test_only_the_last_rule_of_a_list_has_no_conditions() -> None:
    def has_conditions(rule: Rule) -> bool:
        return any(getattr(rule, name) is not None for name in UNCONDITIONAL)

    for trigger, rules in RULES.items():
        early = [rule for rule in rules[:-1] if not has_conditions(rule)]
        assert not early, trigger


@pytest.mark.skipif(not REASONS, reason="the openssl program, which lists the reasons, is not installed")
def test_every_reason_of_openssl_is_placed_or_is_an_alert() -> None:
    missing = [reason for reason in REASONS if reason not in PLACED and alert_of_reason(reason) is None]
    assert not missing


@pytest.mark.skipif(not REASONS, reason="the openssl program, which lists the reasons, is not installed")
def test_no_reason_is_placed_that_openssl_does_not_have_or_had() -> None:
    spelled = [reason for reason in PLACED if reason not in REASONS]
    assert len(spelled) < len(PLACED) / 20, spelled


@pytest.mark.parametrize("code", range(1, 96))
def test_every_verify_code_of_openssl_3_has_a_failure(code: int) -> None:
    assert isinstance(VERIFY_CODES[code], FailureReason)


@pytest.mark.skipif(not hasattr(_ssl, "__file__"), reason="OpenSSL is linked into this interpreter, out of reach")
def test_every_verify_code_of_this_openssl_has_a_failure_and_a_name() -> None:
    codes = _verify_codes_of_openssl()
    assert len(codes) >= 94
    assert [code for code in codes if code not in VERIFY_CODES or code not in VERIFY_NAMES] == []


@pytest.mark.skipif(not REASONS, reason="the openssl program, which lists the reasons, is not installed")
def test_the_openssl_program_lists_its_reasons() -> None:
    assert len(ALERT_REASONS) >= 25
    assert len(REASONS) >= 300


@pytest.mark.parametrize("reason", ALERT_REASONS)
def test_every_reason_that_speaks_of_a_received_alert_gives_its_registered_name(reason: str) -> None:
    assert alert_of_reason(reason) in ALERT_NAMES.values()


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
    assert alert_of_reason(reason) == alert


@pytest.mark.parametrize("reason", [None, "CERTIFICATE_VERIFY_FAILED", "TLSV1_ALERT_SOMETHING_NEW", "NO_SHARED_CIPHER"])
def test_a_reason_that_is_no_received_alert_gives_none(reason: str | None) -> None:
    assert alert_of_reason(reason) is None


@pytest.mark.parametrize("role", [*Role, None])
@pytest.mark.parametrize("progress", Progress)
@pytest.mark.parametrize("shown", Shown)
def test_every_reason_in_every_situation_is_placed_or_left_open_without_a_fault(
    role: Role | None, progress: Progress, shown: Shown
) -> None:
    for reason in [*REASONS, None]:
        for verify_code in (0, 20):
            found = diagnose(
                Observation(role=role, progress=progress, shown=shown, reason=reason, verify_code=verify_code)
            )
            assert isinstance(found.failure, FailureReason)
            assert found.step is None or 1 <= found.step <= 8
            assert found.because
