"""Line 1: what ``import mtls`` costs a new process, and what it must not bring along."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.rounds import CONTROL, compare_figures, progress
from benchmarks.table import count, ratio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.rounds import Effort
    from benchmarks.table import Row

_LINE = 1
_LIMIT = 1.35
_FORBIDDEN = ("asyncio", "certifi", "cryptography", "dataclasses", "inspect", "tempfile")
_STATEMENTS = {
    "measure": "import ssl",
    CONTROL: "import ssl",
    "facade": "import mtls",
    "used": "from mtls import Keystore, TLSProfile, Truststore",
}


def rows(effort: Effort) -> Iterator[Row]:
    """Wall time inside the new process, and the modules that it holds afterwards."""
    progress("1: import in new processes")
    for statement in _STATEMENTS.values():
        _seconds(statement)  # writes the bytecode
    found = compare_figures({name: partial(_seconds, it) for name, it in _STATEMENTS.items()}, effort)
    yield ratio(_LINE, "import mtls", "import ssl", found["facade"], control=found[CONTROL], limit=_LIMIT)
    brought = _modules("import mtls") - _modules("pass")
    heavy = sorted(name for name in brought if name.partition(".")[0] in _FORBIDDEN)
    yield count(_LINE, "forbidden modules after it: " + (", ".join(heavy) or "none"), "pass", len(heavy), must=0)
    yield ratio(_LINE, "its first use (profile and stores)", "import ssl", found["used"], control=found[CONTROL])


def _seconds(statement: str) -> float:
    return float(_printed(f"import time\nstart = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"))


def _modules(statement: str) -> set[str]:
    return set(_printed(f"{statement}\nimport sys\nprint(*sys.modules)").split())


def _printed(source: str) -> str:
    command = [sys.executable, "-P", "-c", source]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout
