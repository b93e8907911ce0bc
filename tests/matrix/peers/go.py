"""Go (crypto/tls): says ``bad_certificate`` for everything (FACTS M19)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.matrix.peers import base, driven

_PROGRAM = Path(__file__).parents[1] / driven.PROGRAMS / "peer.go"


class Go(driven.DrivenPeer):
    name, program = "Go", "go"
    cannot = {  # noqa: RUF012 - a constant
        base.PLAIN: "is a TLS stack here, no web server",
        base.GROUP: "has no group that OpenSSL does not offer",
        f"{base.CIPHER}/1.3": "cannot set the cipher suites of TLS 1.3",
        "revoked": "has no CRLs",
    }
    cannot_call = {  # noqa: RUF012 - a constant
        base.GROUP: "has no group that OpenSSL does not offer",
        f"{base.CIPHER}/1.3": "cannot set the cipher suites of TLS 1.3",
        "server: revoked": "has no CRLs",
    }

    def command(self) -> list[str]:
        compiled = self.folder / "peer"
        environment = os.environ | {
            "GOCACHE": str(self.folder / "cache"),
            "GOPATH": str(self.folder / "path"),
            "GOFLAGS": "-mod=mod",
            "GO111MODULE": "off",
            "CGO_ENABLED": "0",
        }
        command = [base.installed("go"), "build", "-o", str(compiled), str(_PROGRAM)]
        built = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        assert compiled.exists(), built.stderr
        return [str(compiled)]
