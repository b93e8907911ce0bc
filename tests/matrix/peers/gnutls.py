"""GnuTLS: ``gnutls-serv`` and ``gnutls-cli``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls import TLSVersion
from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSIONS = {TLSVersion.TLSv1_2: "+VERS-TLS1.2", TLSVersion.TLSv1_3: "+VERS-TLS1.3"}
_ODD = {
    base.CIPHER: ":-CIPHER-ALL:+AES-128-CCM",
    base.GROUP: ":-GROUP-ALL:+GROUP-SECP192R1",
}


class GnuTLS(base.CallingPeer):
    name, program = "GnuTLS", "gnutls-serv"
    cannot = {  # noqa: RUF012 - a constant
        base.PLAIN: "speaks TLS only",
        "not authorized": "gnutls-serv has no application behind it",
    }

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        ports = {site.name: base.free_port() for site in sites}
        processes = [self.run("gnutls-serv", *_server(site, ports[site.name])) for site in sites]
        for process, port in zip(processes, ports.values(), strict=True):
            process.wait_for(port)
        return ports

    def call(self, call: base.Call) -> str:
        command = ["gnutls-cli", "--port", str(call.port), "--x509cafile", str(call.ca), "--sni-hostname", call.host]
        command += ["--verify-hostname", call.host, "--priority", _priority((call.version,), call.odd)]
        if call.identity is not None:
            command += ["--x509certfile", str(call.identity.certificate), "--x509keyfile", str(call.identity.key)]
        if call.crl is not None:
            command += ["--x509crlfile", str(call.crl)]  # it takes one CRL
        return base.said([*command, "127.0.0.1"], given=b"GET / HTTP/1.0\r\n\r\n")


def _server(site: base.Site, port: int) -> list[str]:
    command = ["--port", str(port), "--http", "--priority", _priority(site.versions, site.odd)]
    command += ["--x509certfile", str(site.identity.certificate), "--x509keyfile", str(site.identity.key)]
    if site.client_ca is not None:
        command += ["--require-client-cert", "--verify-client-cert", "--x509cafile", str(site.client_ca)]
    if site.crl is not None:
        command += ["--x509crlfile", str(site.crl)]
    if site.odd == base.SNI:
        command += ["--sni-hostname", base.OTHER_HOST, "--sni-hostname-fatal"]
    if site.odd == base.ALPN:
        command += ["--alpn", base.USUAL_PROTOCOL, "--alpn-fatal"]
    return command


def _priority(versions: Sequence[TLSVersion], odd: str) -> str:
    allowed = ":".join(_VERSIONS[version] for version in versions)
    return f"NORMAL:-VERS-ALL:{allowed}{_ODD.get(odd, '')}"
