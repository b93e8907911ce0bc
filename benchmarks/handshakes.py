"""Line 5: a full two-way handshake in memory, both ends ours against both ends stock."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from benchmarks.material import EC, NAMES, RSA2048, VERSIONS, files, policy, profile, stock
from benchmarks.rounds import CONTROL, compare, progress
from benchmarks.table import ratio
from benchmarks.wire import Contexts, in_memory
from mtls import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.rounds import Effort
    from benchmarks.table import Row
    from mtls import TLSVersion, Trace
    from mtls.authority import KeyType

_LINE = 5
_LIMIT, _TRACED_LIMIT = 1.02, 1.04
_TURNS = 20


def rows(effort: Effort) -> Iterator[Row]:
    """CPU of both ends, from making the objects to the end of the handshake, without and with a trace."""
    for version, version_name in VERSIONS.items():
        for kind in (EC, RSA2048):
            what = f"{version_name}, {NAMES[kind]}"
            progress(f"5: handshake, {what}")
            found = compare(
                {name: partial(in_memory, both) for name, both in pairs(version, kind).items()}, effort, turns=_TURNS
            )
            control = found[CONTROL]
            yield ratio(_LINE, f"handshake {what}", "stock contexts", found["ours"], control=control, limit=_LIMIT)
            name = f"handshake {what}, traced"
            yield ratio(_LINE, name, "stock contexts", found["traced"], control=control, limit=_TRACED_LIMIT)


def pairs(version: TLSVersion, kind: KeyType) -> dict[str, Contexts]:
    """The contexts of both ends: stock, stock again, ours, and ours with a trace."""
    client, server = files(Role.CLIENT, kind), files(Role.SERVER, kind)
    rules = policy(version)
    near, far = profile(Role.CLIENT, client, rules), profile(Role.SERVER, server, rules)
    return {
        "measure": Contexts(stock(Role.CLIENT, client, rules), stock(Role.SERVER, server, rules)),
        CONTROL: Contexts(stock(Role.CLIENT, client, rules), stock(Role.SERVER, server, rules)),
        "ours": Contexts(near.ssl_context(), far.ssl_context()),
        "traced": Contexts(near.ssl_context(trace=_look), far.ssl_context(trace=_look)),
    }


def _look(trace: Trace) -> None:
    """What somebody does with a trace who wants to know how it ended."""
    assert trace.error is None
