"""How many refusals of TLS 1.3 keep their alert, though the client writes before it reads (FACTS M5, M21).

Rule: the server is foreign and closes at once; a refusal counts if ``mtls.explain`` finds the alert in whatever the
library raises, without a trace.
"""

from __future__ import annotations

import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import httpx
import requests

import mtls
from mtls import TLSProfile, TLSVersion
from mtls.integrations.requests import MTLSAdapter
from tests.matrix import ours
from tests.matrix.lab import TWO_WAY
from tests.matrix.peers.base import DEADLINE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from tests.matrix.lab import Lab

AT_ONCE, A_LITTLE_LATER, MUCH = "at once", "after 5 ms", "2 MB"
WAYS = (AT_ONCE, A_LITTLE_LATER, MUCH)
SERVERS = ("OpenSSL", "HAProxy")
_LITTLE = 0.005
_SIDE_BY_SIDE = 4
_BODY = bytes(2 * 1024 * 1024)
_never = threading.Event()


class Count(NamedTuple):
    """How many of one kind kept their alert."""

    server: str
    library: str
    way: str
    kept: int
    of: int
    others: tuple[str, ...]
    """What became of the rest."""


def measure(lab: Lab, times: int) -> list[Count]:
    """Have each kind of client refused that many times."""
    profile = TLSProfile.client(
        truststore=lab.pki.truststore,
        keystore=lab.pki.clients["unknown CA"].keystore,
        policy=ours.policy(TLSVersion.TLSv1_3),
    )
    counts = []
    for server in SERVERS:
        port = lab.port(server, TWO_WAY)
        for library, attempt in CLIENTS.items():
            for way in WAYS:
                with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
                    answers = list(pool.map(lambda _: attempt(profile, port, way), range(times)))  # noqa: B023
                others = tuple(answer for answer in answers if answer != "unknown_ca")
                counts.append(Count(server, library, way, times - len(others), times, others))
    return counts


def _raw(profile: mtls.ClientProfile, port: int, way: str) -> str:
    context: ssl.SSLContext = profile.ssl_context()
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock,
            context.wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            if way == A_LITTLE_LATER:
                _never.wait(_LITTLE)
            tls.sendall(ours.request(ours.WRITE_MUCH if way == MUCH else ours.WRITE))
            tls.recv(1)
    except OSError as error:
        return _alert_in(error)
    return "no error"


def _requests(profile: mtls.ClientProfile, port: int, way: str) -> str:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", MTLSAdapter(profile))
        try:
            session.post(f"https://localhost:{port}/", data=_body(way), timeout=DEADLINE)
        except requests.RequestException as error:
            return _alert_in(error)
    return "no error"


def _httpx(profile: mtls.ClientProfile, port: int, way: str) -> str:
    with httpx.Client(verify=profile.ssl_context(), trust_env=False, timeout=DEADLINE) as client:
        try:
            client.post(f"https://localhost:{port}/", content=_body(way))
        except httpx.HTTPError as error:
            return _alert_in(error)
    return "no error"


CLIENTS: dict[str, Callable[[mtls.ClientProfile, int, str], str]] = {
    "raw socket": _raw,
    "requests": _requests,
    "httpx": _httpx,
}


def _body(way: str) -> bytes | Iterator[bytes]:
    if way == A_LITTLE_LATER:
        return _slowly()
    return _BODY if way == MUCH else b"x"


def _slowly() -> Iterator[bytes]:
    _never.wait(_LITTLE)
    yield b"x"


def _alert_in(error: BaseException) -> str:
    found = mtls.explain(error)
    if isinstance(found, mtls.HandshakeError) and found.alert:
        return found.alert
    return f"{type(error).__name__} without an alert"
