"""The matrix as a page of the documentation, and as text for the terminal."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from mtls import Role
from tests.matrix import late
from tests.matrix.cells import PEERS, VERSIONS
from tests.matrix.faults import Kind
from tests.matrix.judgement import Cause, Step
from tests.matrix.late_clients import WAYS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tests.matrix.late import Count
    from tests.matrix.runner import Result

_HEAD = """# Fault matrix

Every fault below was caused on a real program of another origin, and what the library says of it was compared with what
the evidence tells. Made by `nox -s matrix`; do not edit.

A cell is the step that the error names, for TLS 1.2 / TLS 1.3 where they differ: `6` is named, `6~` is named as
*inferred*, `open` is rightly `None`: the evidence does not tell. `page` is a refusal in HTTP after a good handshake,
`ok` a peer that does not mind, `end` a connection that ends without a word, as it does without the library. An empty
cell is a fault that the peer cannot be configured for. **Bold** is wrong.
"""
_TITLES = {
    (Role.CLIENT, Kind.CLIENT): "Our client, refused by the server for its certificate",
    (Role.CLIENT, Kind.SERVER): "Our client, which refuses the server's certificate",
    (Role.CLIENT, Kind.NEGOTIATION): "Our client, and a server with nothing in common",
    (Role.SERVER, Kind.CLIENT): "Our server, which refuses the client's certificate",
    (Role.SERVER, Kind.SERVER): "Our server, refused by the client for its certificate",
    (Role.SERVER, Kind.NEGOTIATION): "Our server, and a client with nothing in common",
}
_BROKEN = {
    Role.CLIENT: "Our client, and a transport that breaks",
    Role.SERVER: "Our server, and a transport that breaks",
}
_ABOUT_LATE = """TLS 1.3 clients with a certificate of an unknown CA, which write before they read, against servers that
close at once: how many kept the alert, so that `mtls.explain` names step 6. Where it was lost, nothing else is claimed.
"""
_LATE = {
    True: "### Clients that lose no refusal",
    False: "### What the others keep, on the same context",
}
_OPEN = "open"
_LAST = ("ok", "page", "end", _OPEN)


def markdown(results: Sequence[Result], counts: Sequence[Count]) -> str:
    """The page."""
    parts = [_HEAD, "## In numbers\n", _numbers(results), *_tables(results), *_transport(results)]
    if counts:
        parts += ["## Refusals that come late\n", _late(counts)]
    return "\n".join(parts).rstrip() + "\n"


def text(results: Sequence[Result], counts: Sequence[Count]) -> str:
    """The same for a terminal: what is wrong last, where it is seen, each fault once for all of its peers."""
    wrong: dict[str, list[str]] = {}
    for result in results:
        if not result.judgement.good:
            wrong.setdefault(result.told, []).append(result.cell.peer)
    lost = [
        f"{count.server}, {count.client.library}, {count.way}: {Counter(count.others)}"
        for count in counts
        if not count.good
    ]
    lines = [f"{told} [{', '.join(dict.fromkeys(peers))}]" for told, peers in wrong.items()]
    return "\n".join([markdown(results, counts), *(lines + lost or ["Nothing is wrong."])])


def _numbers(results: Sequence[Result]) -> str:
    steps = Counter(result.judgement.step for result in results)
    causes = Counter(result.judgement.cause for result in results)
    carried = [result.judgement.cause for result in results if result.expected.carried]
    rows = [
        ("cells", len(results)),
        ("step named where the evidence determines it", steps[Step.NAMED]),
        ("step rightly left open", steps[Step.OPEN]),
        ("step inferred, and said so", steps[Step.INFERRED]),
        ("no TLS failure, and none claimed", steps[Step.NO_FAILURE]),
        ("step missing", steps[Step.MISSING]),
        ("wrong claims about the step", steps[Step.WRONG]),
        ("failure exact", causes[Cause.EXACT]),
        ("failure more general, and true", causes[Cause.GENERAL]),
        ("failure wrong", causes[Cause.WRONG]),
        ("failure exact where the evidence names the cause", f"{carried.count(Cause.EXACT)} of {len(carried)}"),
    ]
    return _table(("what", "count"), rows)


def _tables(results: Sequence[Result]) -> Iterable[str]:
    for (role, kind), title in _TITLES.items():
        chosen = [result for result in results if (result.cell.role, result.cell.fault.kind) == (role, kind)]
        peers = [peer.name for peer in PEERS if any(result.cell.peer == peer.name for result in chosen)]
        rows = [
            (
                fault,
                *(_entry([r for r in chosen if (r.cell.fault.name, r.cell.peer) == (fault, peer)]) for peer in peers),
            )
            for fault in dict.fromkeys(result.cell.fault.name for result in chosen)
        ]
        yield f"## {title}\n"
        yield _table(("fault", *peers), rows)


def _entry(results: Sequence[Result]) -> str:
    """Both versions, each with every way to use the connection."""
    if not results:
        return ""
    both = [_versionless([result for result in results if result.cell.version is version]) for version in VERSIONS]
    return both[0] if both[0] == both[1] else " / ".join(one or "-" for one in both)


def _versionless(results: Sequence[Result]) -> str:
    said = sorted({_said(result) for result in results}, key=lambda one: (one in _LAST, one))
    return ", ".join(said)


def _said(result: Result) -> str:
    judgement = result.judgement
    if judgement.step is Step.NO_FAILURE:
        said = {"page": "page", "served": "ok"}.get(result.expected.without, "end")
    else:
        said = _OPEN if judgement.named is None else f"{judgement.named}{'~' if judgement.inferred else ''}"
    return said if judgement.good else f"**{said}**"


def _transport(results: Sequence[Result]) -> Iterable[str]:
    for role, title in _BROKEN.items():
        chosen = [result for result in results if result.cell.role is role and result.cell.cut is not None]
        rows = [
            (f"{fault}", *(_spread(chosen, fault, label) for label in (version.label for version in VERSIONS)))
            for fault in dict.fromkeys(result.cell.fault.name for result in chosen)
        ]
        yield f"## {title}\n"
        yield "What was said, and on how many connections, to all peers together.\n"
        yield _table(("what the relay does", *(version.label for version in VERSIONS)), rows)


def _spread(results: Sequence[Result], fault: str, version: str) -> str:
    said = Counter(_said(r) for r in results if (r.cell.fault.name, r.cell.version.label) == (fault, version))
    return ", ".join(f"{one} ({count})" for one, count in sorted(said.items()))


def _late(counts: Sequence[Count]) -> str:
    """By server and client; first what is to keep every alert."""
    parts = [_ABOUT_LATE]
    for keeps, title in _LATE.items():
        chosen = [count for count in counts if count.client.keeps is keeps]
        cells = {(count.client, count.server, count.way): f"{count.kept} of {count.of}" for count in chosen}
        clients = dict.fromkeys(count.client for count in chosen)
        rows = [
            (client.library, client.handed, server, *(cells.get((client, server, way), "") for way in WAYS))
            for client in clients
            for server in late.SERVERS
        ]
        parts += [f"{title}\n", _table(("client", "handed", "server", *(f"write {way}" for way in WAYS)), rows)]
    return "\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(entry) for entry in line) + " |" for line in lines) + "\n"
