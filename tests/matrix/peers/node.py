"""Node.js: closes without an alert, and judges a server only after the handshake (FACTS M19, M21)."""

from __future__ import annotations

from pathlib import Path

from tests.matrix.peers import base, driven

_PROGRAM = Path(__file__).parents[1] / driven.PROGRAMS / "peer.js"


class Node(driven.DrivenPeer):
    name, program = "Node", "node"
    cannot = {base.PLAIN: "is a TLS stack here, no web server"}  # noqa: RUF012 - a constant

    def command(self) -> list[str]:
        return ["node", str(_PROGRAM)]
