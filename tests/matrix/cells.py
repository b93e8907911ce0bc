"""The cells of the matrix: a peer, a fault, a version, a role and a way to use the connection, and how each is run."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import mtls
from mtls import TLSProfile, TLSVersion
from tests.matrix import alerts, faults, ours
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
from tests.matrix.pki import ADMITTED

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.matrix.faults import Fault
    from tests.matrix.pki import Identity, Pki

PEERS: tuple[type[base.Peer], ...] = (
    OpenSSL, Nginx, HAProxy, Apache, Stunnel, GnuTLS, Node, Java, Go, Caddy, Curl,
)  # fmt: skip
VERSIONS = tuple(TLSVersion)
_POINTLESS = {
    alerts.PAGE: (ours.READ,),  # whoever asks for nothing gets no page: both sides wait for ever (FACTS M20)
    alerts.ACCEPTS: (ours.READ, ours.WRITE_MUCH),  # nobody refuses anything
}
"""Ways to use a connection that tell nothing."""
TWO_WAY, ADMITS = "two-way", "admits one"


class Cell(NamedTuple):
    """One thing to try. ``role`` is ours; the peer has the other one."""

    peer: str
    role: mtls.Role
    fault: Fault
    version: TLSVersion
    use: str

    def __str__(self) -> str:
        return f"{self.peer}, we are the {self.role}, {self.version.label}: {self.fault.name}, {self.use}"


def cells() -> Iterator[Cell]:
    """All of them, except those a peer cannot have."""
    for kind in PEERS:
        for version in VERSIONS:
            if kind is not Curl:
                yield from _as_client(kind, version)
            if issubclass(kind, base.CallingPeer):
                yield from _as_server(kind, version)


def _as_client(kind: type[base.Peer], version: TLSVersion) -> Iterator[Cell]:
    for fault in faults.CLIENT_FAULTS.values():
        for use in ours.USES:
            cell = Cell(kind.name, mtls.Role.CLIENT, fault, version, use)
            if _possible(fault, version, kind.cannot) and use not in _POINTLESS.get(alerts.said(cell), ()):
                yield cell
    for fault in (*faults.SERVER_FAULTS.values(), *faults.NEGOTIATION_FAULTS.values()):
        if _possible(fault, version, kind.cannot):
            yield Cell(kind.name, mtls.Role.CLIENT, fault, version, ours.WRITE)


def _as_server(kind: type[base.CallingPeer], version: TLSVersion) -> Iterator[Cell]:
    for fault in (*faults.CLIENT_FAULTS.values(), *faults.SERVER_FAULTS.values(), *faults.NEGOTIATION_FAULTS.values()):
        if fault.name in {base.ALPN, base.SNI}:
            continue  # our server goes on without a protocol, and refuses no name
        if _possible(fault, version, kind.cannot_call):
            yield Cell(kind.name, mtls.Role.SERVER, fault, version, ours.READ)


def _possible(fault: Fault, version: TLSVersion, cannot: Mapping[str, str]) -> bool:
    return not {fault.key, f"{fault.key}/{version.label.partition(' ')[2]}"} & cannot.keys()


def sites(kind: type[base.Peer], pki: Pki) -> list[base.Site]:
    """Every server that the cells of a peer need."""
    good = pki.servers["good"]
    crl = None if "revoked" in kind.cannot else pki.crls
    found = [base.Site(name=TWO_WAY, identity=good, client_ca=pki.ca, crl=crl)]
    if faults.NOT_AUTHORIZED not in kind.cannot:
        found.append(base.Site(name=ADMITS, identity=good, client_ca=pki.ca, admitted=ADMITTED))
    shown = [fault for fault in faults.SERVER_FAULTS.values() if fault.key not in kind.cannot]
    found += [base.Site(name=fault.name, identity=pki.servers[fault.name]) for fault in shown]
    found += [base.Site(name=version.label, identity=good, versions=(version,)) for version in VERSIONS]
    odd = (base.CIPHER, base.GROUP, base.ALPN, base.SNI)
    other = {base.SNI: pki.servers[faults.HOST_NAME]}
    found += [base.Site(name=name, identity=other.get(name, good), odd=name) for name in odd if name not in kind.cannot]
    return found


class Lab:
    """The certificates, and every peer with all of its servers."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.pki = pki
        self._folder = folder
        self._peers: dict[str, base.Peer] = {}
        self._ports: dict[str, dict[str, int]] = {}

    def start(self, kind: type[base.Peer]) -> None:
        """Start a peer with the servers of all of its cells."""
        folder = self._folder / kind.name
        folder.mkdir()
        peer = self._peers[kind.name] = kind(folder)
        self._ports[kind.name] = peer.start([] if kind is Curl else sites(kind, self.pki))

    def stop(self) -> None:
        for peer in self._peers.values():
            peer.stop()

    def run(self, cell: Cell) -> ours.Outcome:
        """Try it."""
        if cell.role is mtls.Role.CLIENT:
            return ours.visit(self._client(cell), self._port(cell), cell.use)
        peer = self._peers[cell.peer]
        assert isinstance(peer, base.CallingPeer)
        return ours.Reception(self._server(cell)).receive(lambda port: peer.call(self._call(cell, port)))

    def _port(self, cell: Cell) -> int:
        ports = self._ports[cell.peer]
        if cell.fault.kind is faults.Kind.CLIENT:
            return ports[ADMITS if cell.fault.name == faults.NOT_AUTHORIZED else TWO_WAY]
        if cell.fault.name == faults.VERSION:
            return ports[_other(cell.version).label]
        return ports[cell.fault.name]

    def _client(self, cell: Cell) -> ssl.SSLContext:
        revoked = cell.fault == faults.SERVER_FAULTS["revoked"]
        options: dict[str, object] = {
            "truststore": self.pki.with_crls if revoked else self.pki.truststore,
            "policy": ours.policy(cell.version, weak=cell.fault == faults.CLIENT_FAULTS["weak key"]),
        }
        if cell.fault.kind is faults.Kind.CLIENT:
            if cell.fault.name != faults.NONE:
                options["keystore"] = self.pki.clients[cell.fault.name].keystore
        elif cell.fault.name == base.ALPN:
            options["alpn"] = (base.ODD_PROTOCOL,)
        return ours.context_of(TLSProfile.client(**options))  # type: ignore[arg-type] # built one by one above

    def _server(self, cell: Cell) -> ssl.SSLContext:
        bad = self.pki.servers.get(cell.fault.name) if cell.fault.kind is faults.Kind.SERVER else None
        options: dict[str, object] = {
            "keystore": (bad or self.pki.servers["good"]).keystore,
            "truststore": self.pki.truststore,
            "policy": ours.policy(cell.version, weak=bad is not None and bad.name == "weak key"),
        }
        if cell.fault == faults.CLIENT_FAULTS["revoked"]:
            options["truststore"] = self.pki.with_crls
        if cell.fault.name == faults.NOT_AUTHORIZED:
            options["authorize"] = mtls.PeerPolicy.dns(ADMITTED)
        return ours.context_of(TLSProfile.server(**options))  # type: ignore[arg-type] # built one by one above

    def _call(self, cell: Cell, port: int) -> base.Call:
        identity: Identity | None = self.pki.clients["good"]
        version = cell.version
        if cell.fault.kind is faults.Kind.CLIENT:
            identity = self.pki.clients.get(cell.fault.name)
        if cell.fault.name == faults.VERSION:
            version = _other(version)
        odd = cell.fault.name if cell.fault.kind is faults.Kind.NEGOTIATION else ""
        crl = self.pki.root_crl if cell.fault == faults.SERVER_FAULTS["revoked"] else None
        return base.Call(port=port, ca=self.pki.ca, identity=identity, crl=crl, version=version, odd=odd)


def _other(version: TLSVersion) -> TLSVersion:
    return TLSVersion.TLSv1_3 if version is TLSVersion.TLSv1_2 else TLSVersion.TLSv1_2
