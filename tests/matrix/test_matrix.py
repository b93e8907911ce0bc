"""The diagnosis is right on every peer: no wrong claim, every step that the evidence determines, a true failure.

Rule: the newest Python tries every cell, the others a part in which each peer has each role and version and each fault
is there (``nox -s matrix`` is the whole, with the page of the documentation).
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.matrix import cells, late, runner
from tests.matrix.judgement import Cause
from tests.matrix.late_clients import CLIENTS
from tests.matrix.relay import Action

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mtls import Role, TLSVersion
    from tests.matrix.cells import Cell
    from tests.matrix.lab import Lab
    from tests.matrix.runner import Result

pytestmark = [  # httpx in trio forgets the body of a request that failed
    pytest.mark.filterwarnings("ignore:Async generator 'httpx:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:.*async_generator object:pytest.PytestUnraisableExceptionWarning"),
]
EXACT_ENOUGH = 0.95
_EVERYTHING = sys.version_info >= (3, 13)
_STEP = 1 if _EVERYTHING else 5
"""Every fifth cell is another fault on the next peer: the number of cells of a peer is no multiple of it."""


def _chosen() -> Iterator[Cell]:
    for number, cell in enumerate(cells.cells()):
        silent = cell.cut is not None and cell.cut.action is Action.SILENCE
        if number % _STEP == 0 and (_EVERYTHING or not silent):
            yield cell


CHOSEN = tuple(_chosen())
KEEP_ALL = [client for client in CLIENTS if client.keeps]
GROUPS = tuple(dict.fromkeys((cell.peer, cell.role, cell.version) for cell in CHOSEN))


@pytest.fixture(scope="module")
def results(lab: Lab) -> list[Result]:
    """All cells at once: most of each is waiting for the other side."""
    return runner.run(lab, CHOSEN)


def _said(results: Iterable[Result]) -> str:
    return "\n".join(str(result) for result in results if not result.judgement.good)


@pytest.mark.parametrize(("peer", "role", "version"), GROUPS, ids=lambda one: getattr(one, "label", one))
def test_every_failure_on_a_peer_is_placed_and_named(
    results: list[Result], peer: str, role: Role, version: TLSVersion
) -> None:
    wrong = _said(r for r in results if (r.cell.peer, r.cell.role, r.cell.version) == (peer, role, version))
    assert not wrong, wrong


def test_every_peer_is_tried_in_each_role_and_version_that_it_has() -> None:
    assert set(GROUPS) == {(cell.peer, cell.role, cell.version) for cell in cells.cells()}


def test_the_failure_is_exact_where_the_evidence_names_the_cause(results: list[Result]) -> None:
    carried = [result.judgement.cause for result in results if result.expected.carried]
    assert carried.count(Cause.EXACT) >= EXACT_ENOUGH * len(carried)


def test_every_peer_says_over_the_wire_what_the_table_has_of_it(lab: Lab) -> None:
    assert not runner.untrue(lab, cells.cells())


def test_no_late_refusal_loses_its_alert(lab: Lab) -> None:
    assert [count for count in late.measure(lab, times=5, clients=KEEP_ALL) if count.others] == []


def test_what_may_lose_an_alert_names_no_other_and_lets_nobody_in(lab: Lab) -> None:
    others = [client for client in CLIENTS if not client.keeps]
    assert [count for count in late.measure(lab, times=2, clients=others) if not count.good] == []
