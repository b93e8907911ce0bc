"""Caddy: Go's TLS in a web server."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mtls import TLSVersion
from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSIONS = {TLSVersion.TLSv1_2: "tls1.2", TLSVersion.TLSv1_3: "tls1.3"}


class Caddy(base.Peer):
    name, program = "Caddy", "caddy"
    cannot = {  # noqa: RUF012 - a constant
        base.GROUP: "has no group that OpenSSL does not offer",
        "no common cipher/1.3": "Go cannot set the cipher suites of TLS 1.3",
        "revoked": "has no CRLs",
        "not authorized": "has no rule of that kind",
    }

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        ports = {site.name: base.free_port() for site in sites}
        names = {site.name: f"site{port}" for site, port in zip(sites, ports.values(), strict=True)}
        servers = {names[site.name]: _server(site, ports[site.name], site.identity.name) for site in sites}
        identities = {site.identity.name: site.identity for site in sites}  # it loads a certificate once
        certificates = [
            {"certificate": str(identity.certificate), "key": str(identity.key), "tags": [name]}
            for name, identity in identities.items()
        ]
        configuration = {
            "admin": {"disabled": True, "config": {"persist": False}},
            "logging": {"logs": {"default": {"level": "ERROR"}}},
            "apps": {
                "http": {"servers": servers},
                "tls": {"certificates": {"load_files": certificates}, "automation": {"policies": []}},
            },
            "storage": {"module": "file_system", "root": str(self.folder / "storage")},
        }
        file = self.folder / "caddy.json"
        file.write_text(json.dumps(configuration, indent=1))
        self.run("caddy", "run", "--config", str(file), ports=ports.values())
        return ports


def _server(site: base.Site, port: int, tag: str) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "protocol_min": _VERSIONS[site.lowest],
        "protocol_max": _VERSIONS[site.highest],
        "certificate_selection": {"any_tag": [tag]},
    }
    if site.odd == base.SNI:
        policy["match"] = {"sni": [base.OTHER_HOST]}
    if site.odd == base.CIPHER:
        policy["cipher_suites"] = ["TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA"]
    policy["alpn"] = [base.USUAL_PROTOCOL]
    if site.client_ca is not None:
        policy["client_authentication"] = {
            "trusted_ca_certs_pem_files": [str(site.client_ca)],
            "mode": "require_and_verify",
        }
    return {
        "listen": [f"127.0.0.1:{port}"],
        "automatic_https": {"disable": True},
        "routes": [{"handle": [{"handler": "static_response", "body": "hello"}]}],
        "tls_connection_policies": [] if site.odd == base.PLAIN else [policy],
    }
