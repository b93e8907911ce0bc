"""curl: a client only, with OpenSSL beneath it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls import TLSVersion
from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSIONS = {TLSVersion.TLSv1_2: "1.2", TLSVersion.TLSv1_3: "1.3"}


class Curl(base.CallingPeer):
    name, program = "curl", "curl"
    cannot_call = {"weak key": "does not load a weak key of its own"}  # noqa: RUF012 - a constant

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        assert not sites, "curl serves nobody"
        return {}

    def call(self, call: base.Call) -> str:
        version = _VERSIONS[call.version]
        command = ["curl", "-sS", "--noproxy", "*", "--max-time", "15", "--cacert", str(call.ca)]
        command += [f"--tlsv{version}", "--tls-max", version, "--resolve", f"{call.host}:{call.port}:127.0.0.1"]
        if call.identity is not None:
            command += ["--cert", str(call.identity.certificate), "--key", str(call.identity.key)]
        if call.crl is not None:
            command += ["--crlfile", str(call.crl)]
        if call.odd == base.CIPHER:
            command += ["--ciphers", base.ODD_CIPHER, "--tls13-ciphers", base.ODD_SUITE]
        if call.odd == base.GROUP:
            command += ["--curves", base.ODD_GROUP]
        scheme = "http" if call.odd == base.PLAIN else "https"
        return base.said([*command, f"{scheme}://{call.host}:{call.port}/"])
