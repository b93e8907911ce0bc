"""The diagnosis is right on every peer: no wrong claim, every step that the evidence determines, a true failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.matrix import cells, runner
from tests.matrix.judgement import Cause

if TYPE_CHECKING:
    from mtls import Role, TLSVersion
    from tests.matrix.lab import Lab

EXACT_ENOUGH = 0.95


GROUPS = tuple(dict.fromkeys((cell.peer, cell.role, cell.version) for cell in cells.cells()))


@pytest.mark.parametrize(("peer", "role", "version"), GROUPS, ids=str)
def test_every_failure_on_a_peer_is_placed_and_named(lab: Lab, peer: str, role: Role, version: TLSVersion) -> None:
    chosen = [cell for cell in cells.cells() if (cell.peer, cell.role, cell.version) == (peer, role, version)]
    results = runner.run(lab, chosen)
    wrong = [str(result) for result in results if not result.judgement.good]
    assert not wrong, "\n".join(wrong)
    carried = [result.judgement.cause for result in results if result.expected.carried]
    assert carried.count(Cause.EXACT) >= EXACT_ENOUGH * len(carried)
