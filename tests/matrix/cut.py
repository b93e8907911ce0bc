"""One thing that the relay does to a connection, and what may be said of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.matrix import ours, relay

if TYPE_CHECKING:
    from tests.matrix.expectation import Expected
    from tests.matrix.relay import Action


@dataclass(frozen=True, kw_only=True)
class Cut:
    """What the relay does, and what may be said of it."""

    name: str
    units: frozenset[str]
    towards_us: bool
    action: Action
    expected: Expected
    uses: tuple[str, ...] = (ours.READ,)
    one_way: bool = False
    """The server asks for no certificate."""
    bare: bool = False
    """We have none."""


def encrypted(number: int) -> frozenset[str]:
    return frozenset({f"{relay.ENCRYPTED} {number}"})
