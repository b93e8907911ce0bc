"""`import mtls` costs little more than `import ssl`: what is heavy is imported where it is used.

Rule: the claim is about what the import *adds*; a `.pth` file may have loaded some of it before.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HEAVY = ("asyncio", "certifi", "cryptography", "dataclasses", "inspect", "tempfile", "typing_extensions")


def _loaded_by(statement: str) -> set[str]:
    """The modules that a new interpreter holds after the statement; coverage stays out of it, it loads half of them."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    source = f"{statement}\nimport sys\nprint(*sys.modules)"
    command = [sys.executable, "-W", "error", "-c", source]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return set(output.split())


@pytest.fixture(scope="module")
def added() -> set[str]:
    return _loaded_by("import mtls") - _loaded_by("pass")


def test_importing_the_facade_adds_the_facade(added: set[str]) -> None:
    assert "mtls" in added


@pytest.mark.parametrize("heavy", HEAVY)
def test_importing_the_facade_loads_nothing_heavy(added: set[str], heavy: str) -> None:
    assert sorted(name for name in added if name.split(".")[0] == heavy) == []


@pytest.mark.parametrize("heavy", HEAVY)
def test_the_probe_sees_what_is_loaded(heavy: str) -> None:
    assert heavy in _loaded_by(f"import {heavy}")
