"""The graph of imports keeps the contracts of `.importlinter`, which `nox -s lint` checks as well."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
ABOVE_THE_FACADE = ("mtls.__main__", "mtls.cli", "mtls.integrations", "mtls.testing")


def test_every_contract_of_the_import_linter_is_kept() -> None:
    lint = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    command = [sys.executable, "-c", lint, "--no-cache", "--config", str(ROOT / ".importlinter")]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_nothing_below_the_outermost_layers_imports_the_facade() -> None:
    graph = grimp.build_graph("mtls", exclude_type_checking_imports=True, cache_dir=None)
    importers = graph.find_modules_that_directly_import("mtls")
    assert sorted(name for name in importers if not name.startswith(ABOVE_THE_FACADE)) == []
