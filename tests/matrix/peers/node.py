"""Node.js: closes without an alert, and judges a server only after the handshake (FACTS M19, M21)."""

from __future__ import annotations

from pathlib import Path

from tests.matrix.peers import driven

_PROGRAM = Path(__file__).parents[1] / driven.PROGRAMS / "peer.js"


class Node(driven.DrivenPeer):
    name, program = "Node", "node"

    def command(self) -> list[str]:
        return ["node", str(_PROGRAM)]
