"""Line 2: from PEM files to a checked context, each time anew, against a stock context from the same files."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.material import EC, NAMES, RSA2048, RSA4096, files, profile, stock
from benchmarks.rounds import CONTROL, compare, progress
from benchmarks.table import ratio
from mtls import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.material import Files
    from benchmarks.rounds import Effort
    from benchmarks.table import Row

_LINE = 2
_LIMIT = 1.5
_TURNS = 30


def rows(effort: Effort) -> Iterator[Row]:
    """Reading, every check and the build, for each kind of key and both roles."""
    for kind in (EC, RSA2048, RSA4096):
        for role in Role:
            progress(f"2: build, {role.value}, {NAMES[kind]}")
            given = files(role, kind)
            plain = partial(stock, role, given)
            found = compare(
                {"measure": plain, CONTROL: plain, "ours": partial(_ours, role, given)}, effort, turns=_TURNS
            )
            name = f"checked build, {role.value}, {NAMES[kind]}"
            yield ratio(_LINE, name, "stock, same files", found["ours"], control=found[CONTROL], limit=_LIMIT)


def _ours(role: Role, given: Files) -> object:
    return profile(role, given).ssl_context()
