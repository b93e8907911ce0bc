"""Line 6: application data after the handshake, one record written and read at a time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.handshakes import pairs
from benchmarks.material import EC, VERSIONS
from benchmarks.rounds import CONTROL, compare, progress
from benchmarks.table import ratio
from benchmarks.wire import in_memory, over_a_socket_pair

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.rounds import Effort
    from benchmarks.table import Row
    from benchmarks.wire import Contexts, Objects, Sockets

_LINE = 6
_LIMITS = {16384: 1.03, 1024: 1.10}
_RECORDS = 50
_TURNS = 40


def rows(effort: Effort) -> Iterator[Row]:
    """CPU of both ends for a write and its read, in memory and over a socket pair, also after a traced handshake."""
    ways: dict[str, Callable[[Contexts, int], Callable[[], object]]] = {"memory": _in_memory, "sockets": _by_sockets}
    for version, version_name in VERSIONS.items():
        contexts = pairs(version, EC)
        for way, prepare in ways.items():
            for size, limit in _LIMITS.items():
                what = f"{size // 1024} KiB, {way}, {version_name}"
                progress(f"6: {what}")
                variants = {name: prepare(both, size) for name, both in contexts.items()}
                found = compare(variants, effort, turns=_TURNS)
                control = found[CONTROL]
                yield ratio(_LINE, what, "stock contexts", found["ours"], control=control, limit=limit)
                name = f"{what}, traced before"
                yield ratio(_LINE, name, "stock contexts", found["traced"], control=control, limit=limit)


def _in_memory(contexts: Contexts, size: int) -> Callable[[], object]:
    ends = in_memory(contexts)
    return partial(_carry_in_memory, ends, bytes(size))


def _carry_in_memory(ends: Objects, data: bytes) -> None:
    write, read, size = ends.client.write, ends.server.read, len(data)
    for _ in range(_RECORDS):
        write(data)
        read(size)


def _by_sockets(contexts: Contexts, size: int) -> Callable[[], object]:
    ends = over_a_socket_pair(contexts)
    return partial(_carry_by_sockets, ends, bytes(size))


def _carry_by_sockets(ends: Sockets, data: bytes) -> None:
    send, receive, size = ends.client.send, ends.server.recv, len(data)
    for _ in range(_RECORDS):
        send(data)
        receive(size)
