"""``mtls demo`` does what the README promises, and its exit code means something."""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import mtls
from mtls.cli import demo, main

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_ends_well_in_a_process_of_its_own_within_five_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    ran = subprocess.run(
        [sys.executable, "-m", "mtls", "demo"], check=False, capture_output=True, text=True, cwd=tmp_path
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert time.monotonic() - started < 5
    assert list(tmp_path.iterdir()) == []
    assert "7 of 7 came out as they must" in ran.stdout
    assert max(map(len, ran.stdout.splitlines())) <= 102
    for step in range(1, 9):
        assert f"\n    {step} ✓ " in ran.stdout
    for title in (
        "unknown CA",
        "expired server certificate",
        "wrong EKU",
        "wrong host name",
        "no client certificate",
        "client from another CA",
    ):
        assert f"\n   ✓ {title}\n     " in ran.stdout


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_the_demo_prints_on_a_terminal_that_knows_no_arrows(encoding: str, tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "mtls", "demo"],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env={"PYTHONIOENCODING": encoding},
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


def test_a_set_up_that_fails_in_another_way_than_it_must_is_shown_and_ends_with_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = demo._scenarios

    def one_wrong(world: demo._World) -> list[demo._Scenario]:
        first, *others = right(world)
        return [replace(first, failure=mtls.FailureReason.EXPIRED), *others]

    monkeypatch.setattr(demo, "_scenarios", one_wrong)
    assert demo.demo() == 1
    printed = capsys.readouterr().out
    assert "\n   ✗ unknown CA\n" in printed
    assert "it must be step 4, side local, failure expired" in printed
    assert "6 of 7 came out as they must" in printed


def test_a_set_up_that_does_not_fail_at_all_is_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = demo._scenarios

    def one_good(world: demo._World) -> list[demo._Scenario]:
        first, *_ = right(world)
        return [replace(first, client=world.client)]

    monkeypatch.setattr(demo, "_scenarios", one_good)
    assert demo.demo() == 1
    assert "nothing was said about the handshake" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    script = f"{shlex.quote(sys.executable)} -u -m mtls demo | head -n 1"
    ran = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True, cwd=tmp_path)
    assert (ran.stdout, ran.stderr) == ("1. A development CA\n", "")


@pytest.mark.parametrize("arguments", [[], ["sing"], ["demo", "--loud"]])
def test_wrong_usage_ends_with_two(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: mtls" in capsys.readouterr().err


def test_colour_is_for_terminals_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    assert demo._mark(right=True) == "\x1b[32m✓\x1b[0m"
    assert demo._mark(right=False) == "\x1b[31m✗\x1b[0m"
    monkeypatch.setenv("NO_COLOR", "1")
    assert demo._mark(right=True) == "✓"
