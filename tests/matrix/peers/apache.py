"""Apache: refuses a client certificate in the handshake, and what its own rules forbid with a page (403)."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from mtls import TLSVersion
from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES = "mpm_event authz_core dir reqtimeout socache_shmcb ssl"
_FOLDER = "/usr/lib/apache2/modules"
_CONFIGURATION = """
ServerName localhost
ServerRoot {folder}
DefaultRuntimeDir {folder}
PidFile {folder}/apache.pid
ErrorLog {folder}/apache.log
LogLevel warn
{user}
StartServers 1
ThreadsPerChild 32
DocumentRoot {folder}/www
Mutex file:{folder}
SSLSessionCache none
{sites}
"""
_SITE = """
Listen 127.0.0.1:{port}
<VirtualHost 127.0.0.1:{port}>
    ServerName {server}
    SSLEngine {engine}
    SSLProtocol -all {protocols}
    SSLCertificateFile {identity.certificate}
    SSLCertificateKeyFile {identity.key}
    {more}
    <Location />
        {admission}
    </Location>
</VirtualHost>
"""


class Apache(base.Peer):
    name, program = "Apache", "apache2"
    cannot = {  # noqa: RUF012 - a constant
        base.ALPN: "goes on without a protocol where none is common",
        base.SNI: "serves its first site to a name it does not know",
    }

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        ports = {site.name: base.free_port() for site in sites}
        www = self.folder / "www"
        www.mkdir()
        (www / "index.html").write_text("hello")
        user = "User root\nGroup root" if os.geteuid() == 0 else ""
        if user:
            user = "User www-data\nGroup www-data"
            for folder in (self.folder, www, *self.folder.parents):
                if folder.stat().st_uid == 0 and not folder.stat().st_mode & 0o001:
                    folder.chmod(0o755)
        modules = [*_MODULES.split()]
        loads = [
            f"LoadModule {name}_module {_FOLDER}/mod_{name}.so"
            for name in modules
            if os.path.exists(f"{_FOLDER}/mod_{name}.so")  # noqa: PTH110 - some are built in
        ]
        blocks = "".join(_site(site, ports[site.name]) for site in sites)
        configuration = self.folder / "apache.conf"
        configuration.write_text("\n".join(loads) + _CONFIGURATION.format(folder=self.folder, user=user, sites=blocks))
        self.run("apache2", "-X", "-f", str(configuration), ports=ports.values())
        return ports


def _site(site: base.Site, port: int) -> str:
    more = []
    if site.client_ca is not None:
        more += [f"SSLCACertificateFile {site.client_ca}", "SSLVerifyClient require", "SSLVerifyDepth 3"]
    if site.crl is not None:
        more += [f"SSLCARevocationFile {site.crl}", "SSLCARevocationCheck chain"]
    if site.odd == base.CIPHER:
        more += [f"SSLCipherSuite {base.ODD_CIPHER}", f"SSLCipherSuite TLSv1.3 {base.ODD_SUITE}"]
    if site.lax:
        more.append(f"SSLCipherSuite {base.LAX}")
    if site.odd == base.GROUP:
        more.append(f"SSLOpenSSLConfCmd Curves {base.ODD_GROUP}")
    admission = f"Require expr \"%{{SSL_CLIENT_S_DN_CN}} == '{site.admitted}'\"" if site.admitted else ""
    protocols = {TLSVersion.TLSv1_2: "+TLSv1.2", TLSVersion.TLSv1_3: "+TLSv1.3"}
    return _SITE.format(
        port=port,
        server="localhost",
        engine="off" if site.odd == base.PLAIN else "on",
        protocols=" ".join(protocols[version] for version in site.versions),
        identity=site.identity,
        more="\n    ".join(more),
        admission=admission,
    )
