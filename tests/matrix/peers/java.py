"""Java (JSSE): says ``certificate_unknown`` for nearly everything (FACTS M19)."""

from __future__ import annotations

from pathlib import Path

from tests.matrix.peers import base, driven

_PROGRAM = Path(__file__).parents[1] / driven.PROGRAMS / "Peer.java"


class Java(driven.DrivenPeer):
    name, program = "Java", "java"
    cannot = {  # noqa: RUF012 - a constant
        base.PLAIN: "is a TLS stack here, no web server",
        base.GROUP: "its groups are set for the whole process",
        f"{base.CIPHER}/1.3": "knows the three suites that everybody offers",
    }
    cannot_call = cannot

    def command(self) -> list[str]:
        compiled = self.folder / "classes"
        said = base.said(["javac", "-d", str(compiled), str(_PROGRAM)])
        assert (compiled / "Peer.class").exists(), said
        return ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", str(compiled), "Peer"]
