"""stunnel: OpenSSL's alerts in front of a plain server of ours."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
_SITE = """
[{port}]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{behind}
cert = {identity.certificate}
key = {identity.key}
sslVersionMin = {lowest}
sslVersionMax = {highest}
{more}
"""


class Stunnel(base.Peer):
    name, program = "stunnel", "stunnel4"
    cannot = {  # noqa: RUF012 - a constant
        base.PLAIN: "speaks TLS only",
        base.ALPN: "does not know ALPN",
        base.SNI: "serves its first service to a name it does not know",
        "not authorized": "has no rule of that kind that is not a rule about the chain",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._behind = socket.create_server(("127.0.0.1", 0), backlog=64)
        self._thread = threading.Thread(target=self._serve)
        self._stopping = False

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        ports = {site.name: base.free_port() for site in sites}
        self._thread.start()
        behind = self._behind.getsockname()[1]
        configuration = self.folder / "stunnel.conf"
        head = "foreground = yes\ndebug = err\npid =\nsyslog = no\n"
        configuration.write_text(head + "".join(_site(site, ports[site.name], behind) for site in sites))
        self.run("stunnel4", str(configuration), ports=ports.values())
        return ports

    def stop(self) -> None:
        super().stop()
        self._stopping = True
        with contextlib.suppress(OSError):
            socket.create_connection(self._behind.getsockname(), timeout=base.DEADLINE).close()
        self._thread.join(base.DEADLINE)
        self._behind.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._behind.accept()
            if self._stopping:
                connection.close()
                return
            threading.Thread(target=_answer, args=(connection,), daemon=True).start()


def _answer(connection: socket.socket) -> None:
    connection.settimeout(base.DEADLINE)
    with connection, contextlib.suppress(OSError):
        while part := connection.recv(65536):
            if b"\r\n\r\n" in part:
                connection.sendall(_ANSWER)


def _site(site: base.Site, port: int, behind: int) -> str:
    more = []
    if site.client_ca is not None:
        more += [f"CAfile = {site.client_ca}", "verifyChain = yes", "requireCert = yes"]
    if site.crl is not None:
        more.append(f"CRLfile = {site.crl}")
    if site.odd == base.CIPHER:
        more += [f"ciphers = {base.ODD_CIPHER}", f"ciphersuites = {base.ODD_SUITE}"]
    if site.lax:
        more += [f"ciphers = {base.LAX}", "securityLevel = 0"]
    if site.odd == base.GROUP:
        more.append(f"curves = {base.ODD_GROUP}")
    return _SITE.format(
        port=port,
        behind=behind,
        identity=site.identity,
        lowest=site.lowest.name.replace("_", "."),
        highest=site.highest.name.replace("_", "."),
        more="\n".join(more),
    )
