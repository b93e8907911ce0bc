"""Java (JSSE): says ``certificate_unknown`` for nearly everything (FACTS M19), later updates of Java 17 for less."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from tests.matrix.peers import base, driven

_PROGRAM = Path(__file__).parents[1] / driven.PROGRAMS / "Peer.java"
_EXACT_SINCE = (17, 0, 21)
"""The oldest update that was seen to name the cause; 17.0.15 does not, and those between were not at hand."""


def _version() -> tuple[int, ...]:
    """The version of the Java that is on the path; empty where there is none."""
    program = shutil.which("java")
    if program is None:
        return ()
    said = subprocess.run([program, "-version"], check=True, capture_output=True, text=True).stderr
    found = re.search(r'version "([0-9.]+)', said)
    return tuple(map(int, found[1].split("."))) if found else ()


JAVA_IS_EXACT = _version() >= _EXACT_SINCE
"""Whether this Java says that no certificate was sent, and that one is out of date."""


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
