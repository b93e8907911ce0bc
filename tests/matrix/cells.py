"""The cells of the matrix: a peer, a fault, a version, a role and a way to use the connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mtls import Role, TLSVersion
from tests.matrix import alerts, faults, ours, transport
from tests.matrix.peers import base
from tests.matrix.peers.apache import Apache
from tests.matrix.peers.caddy import Caddy
from tests.matrix.peers.curl import Curl
from tests.matrix.peers.gnutls import GnuTLS
from tests.matrix.peers.go import Go
from tests.matrix.peers.haproxy import HAProxy
from tests.matrix.peers.java import Java
from tests.matrix.peers.nginx import Nginx
from tests.matrix.peers.node import Node
from tests.matrix.peers.openssl import OpenSSL
from tests.matrix.peers.stunnel import Stunnel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.matrix.cut import Cut
    from tests.matrix.faults import Fault

PEERS: tuple[type[base.Peer], ...] = (
    OpenSSL, Nginx, HAProxy, Apache, Stunnel, GnuTLS, Node, Java, Go, Caddy, Curl,
)  # fmt: skip
VERSIONS = tuple(TLSVersion)
_POINTLESS = {
    alerts.PAGE: (ours.READ,),  # whoever asks for nothing gets no page: both sides wait for ever (FACTS M20)
    alerts.ACCEPTS: (ours.READ, ours.WRITE_MUCH),  # nobody refuses anything
}
"""Ways to use a connection that tell nothing."""
_SILENT = ("OpenSSL", "GnuTLS", "Java", "Go")
"""One peer of each stack: a silence takes as long as the time-out, and whose silence it is makes no difference."""


class Cell(NamedTuple):
    """One thing to try. ``role`` is ours; the peer has the other one."""

    peer: str
    role: Role
    fault: Fault
    version: TLSVersion
    use: str
    cut: Cut | None = None
    """What the relay does, if that is the fault."""

    def __str__(self) -> str:
        return f"{self.peer}, we are the {self.role}, {self.version.label}: {self.fault.name}, {self.use}"


def cells() -> Iterator[Cell]:
    """All of them, except those a peer cannot have."""
    for kind in PEERS:
        for version in VERSIONS:
            if kind is not Curl:
                yield from _as_client(kind, version)
                yield from _broken(kind, Role.CLIENT, version)
            if issubclass(kind, base.CallingPeer):
                yield from _as_server(kind, version)
                yield from _broken(kind, Role.SERVER, version)


def _as_client(kind: type[base.Peer], version: TLSVersion) -> Iterator[Cell]:
    for fault in faults.CLIENT_FAULTS.values():
        for use in ours.USES:
            cell = Cell(kind.name, Role.CLIENT, fault, version, use)
            if _possible(fault, version, kind.cannot) and use not in _POINTLESS.get(alerts.said(cell), ()):
                yield cell
    for fault in (*faults.SERVER_FAULTS.values(), *faults.NEGOTIATION_FAULTS.values()):
        if _possible(fault, version, kind.cannot):
            yield Cell(kind.name, Role.CLIENT, fault, version, ours.WRITE)


def _as_server(kind: type[base.CallingPeer], version: TLSVersion) -> Iterator[Cell]:
    for fault in (*faults.CLIENT_FAULTS.values(), *faults.SERVER_FAULTS.values(), *faults.NEGOTIATION_FAULTS.values()):
        if fault.name in {base.ALPN, base.SNI} or (fault.name == base.PLAIN and kind is not Curl):
            continue  # ours goes on without a protocol, and refuses no name; TLS stacks cannot call in the clear
        if _possible(fault, version, kind.cannot_call):
            yield Cell(kind.name, Role.SERVER, fault, version, ours.READ)


def _possible(fault: Fault, version: TLSVersion, cannot: Mapping[str, str]) -> bool:
    return not {fault.key, f"{fault.key}/{version.label.partition(' ')[2]}"} & cannot.keys()


def _broken(kind: type[base.Peer], role: Role, version: TLSVersion) -> Iterator[Cell]:
    for cut in transport.cuts(kind.name, role, version, silence=kind.name in _SILENT):
        for use in cut.uses:
            yield Cell(kind.name, role, faults.transport(cut.name), version, use, cut)
