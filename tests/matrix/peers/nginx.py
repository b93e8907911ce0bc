"""nginx: never fails a handshake for a client certificate, but answers 400 in HTTP (FACTS M20)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr info;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 8m;
    {sites}
}}
"""
_SITE = """
    server {{
        listen 127.0.0.1:{port}{ssl};
        ssl_protocols {protocols};
        ssl_certificate {identity.certificate};
        ssl_certificate_key {identity.key};
        {more}
        location / {{ {admission} return 200 "hello"; }}
    }}
"""


class Nginx(base.Peer):
    name, program = "nginx", "nginx"

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        ports = {site.name: base.free_port() for site in sites}
        user = "user root;" if os.geteuid() == 0 else ""
        blocks = "".join(self._site(site, ports[site.name]) for site in sites)
        configuration = self.folder / "nginx.conf"
        configuration.write_text(_CONFIGURATION.format(user=user, folder=self.folder, sites=blocks))
        self.run("nginx", "-p", str(self.folder), "-c", str(configuration), "-e", "stderr", ports=ports.values())
        return ports

    def _site(self, site: base.Site, port: int) -> str:
        more = []
        if site.client_ca is not None:
            more += [f"ssl_client_certificate {site.client_ca};", "ssl_verify_client on;"]
        if site.crl is not None:
            more.append(f"ssl_crl {site.crl};")
        if site.odd == base.CIPHER:
            suites = base.ODD_SUITE
            more += [f"ssl_ciphers {base.ODD_CIPHER};", f"ssl_conf_command Ciphersuites {suites};"]
        if site.lax:
            more.append(f"ssl_ciphers {base.LAX};")
        if site.odd == base.GROUP:
            more.append(f"ssl_ecdh_curve {base.ODD_GROUP};")
        if site.odd == base.SNI:
            more.append("ssl_reject_handshake on;")
        admission = f'if ($ssl_client_s_dn != "CN={site.admitted}") {{ return 403; }}' if site.admitted else ""
        return _SITE.format(
            port=port,
            ssl="" if site.odd == base.PLAIN else " ssl",
            protocols=" ".join(version.name.replace("_", ".") for version in site.versions),
            identity=site.identity,
            more="\n        ".join(more),
            admission=admission,
        )
