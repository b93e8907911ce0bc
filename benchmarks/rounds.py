"""Timing that stands a noisy machine: every variant in every round, and only ratios leave.

Rule: the first variant is the measure, the second one is the same thing made again (the control). A round gives each
variant the same number of turns, one after the other and each time another one first, so a drift of the machine hits
all alike; the figure is the median of the ratios of the rounds.
"""

from __future__ import annotations

import contextlib
import gc
import os
import statistics
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONTROL = "control"


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure. A quick run has fewer turns in a round, never fewer rounds than a median needs."""

    rounds: int
    share: float

    def turns(self, full: int) -> int:
        """How often a variant runs in a round, where a full run has ``full`` turns."""
        return max(1, round(full * self.share))


FULL = Effort(rounds=31, share=1.0)
QUICK = Effort(rounds=15, share=0.25)


def compare(variants: Mapping[str, Callable[[], object]], effort: Effort, *, turns: int) -> dict[str, float]:
    """The ratio of each variant but the first to the first one, by the CPU time of the whole process."""
    with _on_one_core():
        for action in variants.values():
            action()
        seen = [_round(variants, effort.turns(turns)) for _ in range(effort.rounds)]
    return _medians(seen, next(iter(variants)))


def compare_figures(variants: Mapping[str, Callable[[], float]], effort: Effort) -> dict[str, float]:
    """The same for variants that measure themselves, in a process of their own."""
    order, seen = list(variants.items()), []
    for _ in range(effort.rounds):
        order.append(order.pop(0))
        seen.append({name: figure() for name, figure in order})
    return _medians(seen, next(iter(variants)))


def left_to_the_collector(action: Callable[[], object], *, turns: int = 20) -> int:
    """How many objects of one turn are freed by the cyclic collector only; timing never sees what they cost."""
    action()
    with _without_collector():
        for _ in range(turns):
            action()
        return gc.collect() // turns


def progress(text: str) -> None:
    """Say what is being measured."""
    print(text, file=sys.stderr, flush=True)


def _round(variants: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    spent = dict.fromkeys(variants, 0.0)
    order = list(variants.items())
    with _without_collector():
        for _ in range(turns):
            order.append(order.pop(0))
            for name, action in order:
                start = time.process_time()
                action()
                spent[name] += time.process_time() - start
    return spent


@contextlib.contextmanager
def _without_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextlib.contextmanager
def _on_one_core() -> Iterator[None]:
    """Keep to one core meanwhile, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _medians(rounds: list[dict[str, float]], measure: str) -> dict[str, float]:
    """The median over the rounds of each figure's ratio to the measure of its round."""
    return {name: statistics.median(figures[name] / figures[measure] for figures in rounds) for name in rounds[0]}
