"""Line 4: the context of the same profile again, and what two hundred contexts weigh."""

from __future__ import annotations

import gc
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from benchmarks.material import EC, Files, files, profile, stock
from benchmarks.rounds import CONTROL, compare, compare_figures, progress
from benchmarks.table import ratio
from mtls import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.rounds import Effort
    from benchmarks.table import Row

_LINE = 4
_NUMBER = 200
_STOCK_LIMIT, _HTTPX_LIMIT, _MEMORY_LIMIT = 0.02, 0.001, 2.0
_TURNS, _HTTPX_TURNS = 100, 2
_KINDS = {"measure": "stock", CONTROL: "stock", "ours": "ours"}


def rows(effort: Effort) -> Iterator[Row]:
    """Time against a stock rebuild and ``httpx.create_ssl_context()``; resident memory in processes of their own."""
    progress("4: the same profile again")
    given = files(Role.CLIENT, EC)
    again = profile(Role.CLIENT, given).ssl_context
    plain = partial(stock, Role.CLIENT, given)
    found = compare({"measure": plain, CONTROL: plain, "ours": again}, effort, turns=_TURNS)
    yield ratio(_LINE, "context again", "stock rebuild", found["ours"], control=found[CONTROL], limit=_STOCK_LIMIT)
    public = httpx.create_ssl_context
    found = compare({"measure": public, CONTROL: public, "ours": again}, effort, turns=_HTTPX_TURNS)
    name = "httpx's own context"
    yield ratio(_LINE, "context again", name, found["ours"], control=found[CONTROL], limit=_HTTPX_LIMIT)
    progress(f"4: memory of {_NUMBER}")
    found = compare_figures({name: partial(_weight, kind, given) for name, kind in _KINDS.items()}, effort)
    name = f"memory of {_NUMBER} profiles and contexts"
    yield ratio(_LINE, name, f"{_NUMBER} stock contexts", found["ours"], control=found[CONTROL], limit=_MEMORY_LIMIT)


def _weight(kind: str, given: Files) -> float:
    """How many pages a new process grows by."""
    command = [sys.executable, "-m", __name__, kind, *map(str, given)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def _grow(kind: str, given: Files) -> int:
    def make() -> object:
        if kind == "stock":
            return stock(Role.CLIENT, given)
        made = profile(Role.CLIENT, given)
        return made, made.ssl_context()

    kept = [make() for _ in range(5)]
    gc.collect()
    before = _resident()
    kept += [make() for _ in range(_NUMBER)]
    gc.collect()
    return _resident() - before


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])


if __name__ == "__main__":
    print(_grow(sys.argv[1], Files(*map(Path, sys.argv[2:]))))
