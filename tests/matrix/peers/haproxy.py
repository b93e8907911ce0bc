"""HAProxy: refuses with the alerts of OpenSSL, and closes at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_HEAD = """
global
    maxconn 512
    tune.ssl.default-dh-param 2048
defaults
    mode http
    timeout client 20s
    timeout server 20s
    timeout connect 20s
"""
_SITE = """
frontend f{port}
    bind 127.0.0.1:{port} {tls}
    {admission}
    http-request return status 200 content-type text/plain string hello
"""


class HAProxy(base.Peer):
    name, program = "HAProxy", "haproxy"
    cannot = {  # noqa: RUF012 - a constant
        base.ALPN: "goes on without a protocol where none is common",
        "server: weak key": "does not load a weak key of its own",
    }

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        ports = {site.name: base.free_port() for site in sites}
        configuration = self.folder / "haproxy.cfg"
        configuration.write_text(_HEAD + "".join(_site(site, ports[site.name]) for site in sites))
        self.run("haproxy", "-db", "-f", str(configuration), ports=ports.values())
        return ports


def _site(site: base.Site, port: int) -> str:
    more = []
    if site.client_ca is not None:
        more.append(f"ca-file {site.client_ca} verify required")
    if site.crl is not None:
        more.append(f"crl-file {site.crl}")
    if site.odd == base.CIPHER:
        more.append(f"ciphers {base.ODD_CIPHER} ciphersuites {base.ODD_SUITE}")
    if site.odd == base.GROUP:
        more.append(f"curves {base.ODD_GROUP}")
    if site.odd == base.SNI:
        more.append("strict-sni")
    admission = f"http-request deny unless {{ ssl_c_s_dn(cn) -m str {site.admitted} }}" if site.admitted else ""
    lowest, highest = (version.name.replace("_", ".") for version in (site.lowest, site.highest))
    tls = f"ssl crt {site.identity.bundle} ssl-min-ver {lowest} ssl-max-ver {highest} {' '.join(more)}"
    return _SITE.format(port=port, tls="" if site.odd == base.PLAIN else tls, admission=admission)
