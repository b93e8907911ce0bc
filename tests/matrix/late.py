"""How many refusals of TLS 1.3 keep their alert, though the client writes before it reads (FACTS M5, M21, M25).

Rule: the server is foreign and closes at once; a refusal counts if ``mtls.explain`` finds the alert in whatever the
library raises, without a trace. What has a door of ours or needs none loses nothing; the others are measured beside it,
for the page.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import mtls
from mtls import TLSProfile, TLSVersion
from tests.matrix import ours
from tests.matrix.lab import TWO_WAY
from tests.matrix.late_clients import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.matrix.lab import Lab
    from tests.matrix.late_clients import Client

SERVERS = ("OpenSSL", "HAProxy")
_SIDE_BY_SIDE = 4
_ALERT = "unknown_ca"
_LOST, _NOT_REFUSED = "without an alert", "not refused"


class Count(NamedTuple):
    """How many of one kind kept their alert."""

    server: str
    client: Client
    way: str
    kept: int
    of: int
    others: tuple[str, ...]
    """What became of the rest."""

    @property
    def good(self) -> bool:
        """Whether nothing was lost that is not to be lost, nothing else was claimed, and nobody got in."""
        return all(other.endswith(_LOST) for other in self.others) and not (self.client.keeps and self.others)


def measure(lab: Lab, times: int, clients: Iterable[Client] = CLIENTS) -> list[Count]:
    """Have each kind of client refused that many times."""
    profile = TLSProfile.client(
        truststore=lab.pki.truststore,
        keystore=lab.pki.clients["unknown CA"].keystore,
        policy=ours.policy(TLSVersion.TLSv1_3),
    )
    counts = []
    with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
        for server in SERVERS:
            port = lab.port(server, TWO_WAY)
            for client in clients:
                for way in client.ways:
                    answers = list(pool.map(lambda _: _outcome(client, profile, port, way), range(times)))  # noqa: B023
                    others = tuple(answer for answer in answers if answer != _ALERT)
                    counts.append(Count(server, client, way, times - len(others), times, others))
    return counts


def _outcome(client: Client, profile: mtls.ClientProfile, port: int, way: str) -> str:
    """The alert, or what came in its place."""
    try:
        client.attempt(profile, port, way)
    except Exception as error:  # noqa: BLE001 - every library has its own
        found = mtls.explain(error)
        if isinstance(found, mtls.HandshakeError) and found.alert:
            return found.alert
        return f"{type(error).__name__} {_LOST}"
    return _NOT_REFUSED
