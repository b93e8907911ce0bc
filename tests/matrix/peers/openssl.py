"""OpenSSL's own programs: ``s_server`` and ``s_client``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls import TLSVersion
from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_REQUEST = b"GET / HTTP/1.0\r\n\r\n"


class OpenSSL(base.CallingPeer):
    name, program = "OpenSSL", "openssl"
    cannot = {  # noqa: RUF012 - a constant
        base.PLAIN: "speaks TLS only",
        "not authorized": "s_server has no application behind it",
    }

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        ports = {site.name: base.free_port() for site in sites}
        processes = [self.run("openssl", *_server(site, ports[site.name])) for site in sites]
        for process, port in zip(processes, ports.values(), strict=True):
            process.wait_for(port)
        return ports

    def call(self, call: base.Call) -> str:
        command = ["openssl", "s_client", "-connect", f"127.0.0.1:{call.port}", "-CAfile", str(call.ca), "-no_ign_eof"]
        command += ["-verify_return_error", "-verify_hostname", call.host, "-servername", call.host, "-x509_strict"]
        command.append("-tls1_2" if call.version is TLSVersion.TLSv1_2 else "-tls1_3")
        if call.identity is not None:
            command += ["-cert", str(call.identity.certificate), "-key", str(call.identity.key)]
            command += ["-cert_chain", str(call.identity.certificate)]
        if call.crl is not None:
            command += ["-CRL", str(call.crl), "-crl_check"]
        command += _odd(call.odd)
        if call.lax:
            command += ["-cipher", base.LAX]
        return base.said(command, given=_REQUEST)


def _server(site: base.Site, port: int) -> list[str]:
    command = ["s_server", "-accept", f"127.0.0.1:{port}", "-www", "-quiet"]
    command += ["-cert", str(site.identity.certificate), "-key", str(site.identity.key)]
    if len(site.versions) == 1:
        command.append("-tls1_2" if site.lowest is TLSVersion.TLSv1_2 else "-tls1_3")
    if site.client_ca is not None:
        command += ["-Verify", "3", "-verify_return_error", "-CAfile", str(site.client_ca)]
    if site.crl is not None:
        command += ["-CRL", str(site.crl), "-crl_check"]
    command += _odd(site.odd)
    if site.lax:
        command += ["-cipher", base.LAX]
    if site.odd == base.ALPN:
        command += ["-alpn", base.USUAL_PROTOCOL]
    if site.odd == base.SNI:
        command += ["-servername", base.OTHER_HOST, "-servername_fatal"]
        command += ["-cert2", str(site.identity.certificate), "-key2", str(site.identity.key)]
    return command


def _odd(odd: str) -> list[str]:
    if odd == base.CIPHER:
        return ["-cipher", base.ODD_CIPHER, "-ciphersuites", base.ODD_SUITE]
    if odd == base.GROUP:
        return ["-groups", base.ODD_GROUP]
    return []
