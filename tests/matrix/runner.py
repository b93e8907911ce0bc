"""Runs cells side by side and judges each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from tests.matrix import expectation, judgement
from tests.matrix.wire import Wire, visible

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.matrix.cells import Cell
    from tests.matrix.expectation import Expected
    from tests.matrix.judgement import Judgement
    from tests.matrix.lab import Lab

_AT_ONCE = 8
"""Most of a cell is waiting for the other side."""


class Result(NamedTuple):
    """A cell that was tried."""

    cell: Cell
    expected: Expected
    judgement: Judgement

    @property
    def told(self) -> str:
        """What was said and what is wrong with it, without the peer."""
        cell, problems = self.cell, "; ".join(self.judgement.problems)
        where = f"{cell.role}, {cell.version.label}: {cell.fault.name}, {cell.use}"
        return f"{where}: said {self.judgement.answer}; {problems} ({self.expected.reason})"

    def __str__(self) -> str:
        return f"{self.cell.peer}: {self.told}"


def untrue(lab: Lab, cells: Iterable[Cell]) -> list[str]:
    """What the table of alerts has of these cells, and the peers do not say."""
    wire = Wire(lab)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return [difference for difference in pool.map(wire.wrong, visible(cells)) if difference]


def run(lab: Lab, cells: Iterable[Cell]) -> list[Result]:
    """Try them all; the results in order. What a peer or the harness fails with is raised."""

    def attempt(cell: Cell) -> Result:
        want = expectation.expected(cell)
        return Result(cell, want, judgement.judge(want, lab.run(cell)))

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return list(pool.map(attempt, cells))
