"""Runs a cell: our side as the profile makes it, against a peer with the fault, or through a relay that has it."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

import mtls
from mtls import Role, TLSProfile, TLSVersion
from tests.matrix import faults, ours
from tests.matrix.cells import VERSIONS
from tests.matrix.peers import base
from tests.matrix.peers.curl import Curl
from tests.matrix.pki import ADMITTED
from tests.matrix.relay import Action, Relay

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from pathlib import Path

    from tests.matrix.cells import Cell
    from tests.matrix.cut import Cut
    from tests.matrix.pki import Identity, Pki

TWO_WAY, ADMITS = "two-way", "admits one"
_PATIENCE = 2.0
"""Seconds until we give up on a peer that is silent. Where that was not enough to get to the silence, it takes more."""


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
    odd = [fault.name for fault in faults.NEGOTIATION_FAULTS.values() if fault.name != faults.VERSION]
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
        """Stop them all."""
        for peer in self._peers.values():
            peer.stop()

    def port(self, peer: str, site: str) -> int:
        """Where a peer serves a site."""
        return self._ports[peer][site]

    def context(self, profile: TLSProfile) -> ssl.SSLContext:
        """The context of a profile of ours."""
        return ours.context_of(profile)

    def run(self, cell: Cell) -> ours.Outcome:
        """Try it."""
        if cell.cut is None:
            return self._run(cell, base.DEADLINE)
        patience = _PATIENCE if cell.cut.action is Action.SILENCE else base.DEADLINE
        outcome, relay = self._run_broken(cell, cell.cut, patience)
        if not relay.reached.is_set():
            outcome, relay = self._run_broken(cell, cell.cut, base.DEADLINE)
        assert relay.reached.is_set(), f"{cell}: {sorted(cell.cut.units)} did not come, but {relay.seen}, {outcome}"
        return outcome

    def _run(self, cell: Cell, timeout: float) -> ours.Outcome:
        if cell.role is Role.CLIENT:
            return ours.visit(self._client(cell), self._port(cell), cell.use, timeout=timeout)
        return ours.Reception(self._server(cell), timeout).receive(self._caller(cell))

    def _run_broken(self, cell: Cell, cut: Cut, timeout: float) -> tuple[ours.Outcome, Relay]:
        relay = Relay(cut.units, cut.towards_us, cut.action)
        with socket.create_server(("127.0.0.1", 0)) as listener:
            listener.settimeout(base.DEADLINE)
            port: int = listener.getsockname()[1]
            if cell.role is Role.CLIENT:
                between = threading.Thread(target=_between, args=(relay, listener, self._port(cell), cell.role))
                between.start()
                outcome = ours.visit(self._client(cell), port, cell.use, timeout=timeout)
            else:
                between = threading.Thread(target=lambda: None)
                call = self._caller(cell)

                def through(ours_port: int) -> str:
                    nonlocal between
                    between = threading.Thread(target=_between, args=(relay, listener, ours_port, cell.role))
                    between.start()
                    return call(port)

                outcome = ours.Reception(self._server(cell), timeout).receive(through)
            between.join(base.DEADLINE)
            assert not between.is_alive()
        return outcome, relay

    def _caller(self, cell: Cell) -> Callable[[int], str]:
        peer = self._peers[cell.peer]
        assert isinstance(peer, base.CallingPeer)
        return lambda port: peer.call(self._call(cell, port))

    def _port(self, cell: Cell) -> int:
        if cell.cut is not None:
            return self.port(cell.peer, cell.version.label if cell.cut.one_way else TWO_WAY)
        if cell.fault.kind is faults.Kind.CLIENT:
            return self.port(cell.peer, ADMITS if cell.fault.name == faults.NOT_AUTHORIZED else TWO_WAY)
        if cell.fault.name == faults.VERSION:
            return self.port(cell.peer, _other(cell.version).label)
        return self.port(cell.peer, cell.fault.name)

    def _client(self, cell: Cell) -> ssl.SSLContext:
        revoked = cell.fault == faults.SERVER_FAULTS["revoked"]
        options: dict[str, object] = {
            "truststore": self.pki.with_crls if revoked else self.pki.truststore,
            "policy": ours.policy(cell.version, weak=cell.fault == faults.CLIENT_FAULTS["weak key"]),
        }
        if cell.fault.kind is faults.Kind.CLIENT and cell.fault.name != faults.NONE:
            options["keystore"] = self.pki.clients[cell.fault.name].keystore
        elif cell.cut is not None and not cell.cut.bare:
            options["keystore"] = self.pki.clients["good"].keystore
        elif cell.fault.name == base.ALPN:
            options["alpn"] = (base.ODD_PROTOCOL,)
        return self.context(TLSProfile.client(**options))  # type: ignore[arg-type] # built one by one above

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
        return self.context(TLSProfile.server(**options))  # type: ignore[arg-type] # built one by one above

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


def _between(relay: Relay, listener: socket.socket, target: int, role: Role) -> None:
    """Take one connection and pass it on to the port of the server."""
    client, _ = listener.accept()
    server = socket.create_connection(("127.0.0.1", target), timeout=base.DEADLINE)
    client.settimeout(base.DEADLINE)
    with client, server:
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if role is Role.CLIENT:
            relay.join(client, server)
        else:
            relay.join(server, client)


def _other(version: TLSVersion) -> TLSVersion:
    return TLSVersion.TLSv1_3 if version is TLSVersion.TLSv1_2 else TLSVersion.TLSv1_2
