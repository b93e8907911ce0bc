"""A client of TLS 1.3 hears of its refusal late; through requests it is named all the same, every time.

The server is a stock ``ssl.SSLContext`` that closes at once after it refused.
"""

from __future__ import annotations

import contextlib
import queue
import socket
import socketserver
import ssl
import threading
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import pytest
import requests

import mtls
from mtls.integrations.requests import MTLSAdapter, session

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority

_DEADLINE = 20.0
_BIG = bytes(2 * 1024 * 1024)


class _Refusing(socketserver.TCPServer):
    """Refuses one connection after the other, and keeps what the standard library says of each."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._context = context
        self._said: queue.Queue[str] = queue.Queue()
        self.url = f"https://localhost:{self.server_address[1]}/"

    def said(self) -> str:
        return self._said.get(timeout=_DEADLINE)

    def finish_request(self, request: object, _: object) -> None:
        assert isinstance(request, socket.socket)
        request.settimeout(_DEADLINE)
        # what Nagle's algorithm holds back, a reset throws away before it was ever sent
        request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self._context.wrap_socket(request, server_side=True).close()
        except OSError as error:
            request.close()
            self._said.put(str(getattr(error, "reason", error)))
        else:
            self._said.put("let in")


@pytest.fixture
def refusing(authority: CertificateAuthority, tmp_path: Path) -> Iterator[_Refusing]:
    authority.save_keystore(authority.server("localhost"), tmp_path)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.crt"))
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    context.verify_mode = ssl.CERT_REQUIRED
    with contextlib.ExitStack() as running:
        server = running.enter_context(_Refusing(context))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        running.callback(thread.join, _DEADLINE)
        running.callback(server.shutdown)
        yield server


class _Case(NamedTuple):
    """Which client, and what it is to be told."""

    client: mtls.ClientProfile
    step: int
    alert: str
    server_says: str


@pytest.fixture(params=["no certificate", "stranger's CA"])
def case(
    request: pytest.FixtureRequest,
    authority: CertificateAuthority,
    stranger: CertificateAuthority,
    bare_client_profile: mtls.ClientProfile,
) -> _Case:
    if request.param == "no certificate":
        return _Case(bare_client_profile, 5, "certificate_required", "PEER_DID_NOT_RETURN_A_CERTIFICATE")
    strange = mtls.TLSProfile.client(truststore=authority.truststore, keystore=stranger.client("intruder"))
    return _Case(strange, 6, "unknown_ca", "CERTIFICATE_VERIFY_FAILED")


@pytest.mark.parametrize("body", [None, _BIG], ids=["GET", "POST of 2 MB"])
def test_a_hundred_of_a_hundred_refused_requests_hear_why(refusing: _Refusing, case: _Case, body: bytes | None) -> None:
    heard: Counter[tuple[object, ...]] = Counter()
    with session(case.client, "localhost") as asking:
        for _ in range(100):
            with pytest.raises(requests.exceptions.SSLError) as caught:
                asking.request("GET" if body is None else "POST", refusing.url, data=body, timeout=_DEADLINE)
            found = mtls.explain(caught.value)
            assert isinstance(found, mtls.HandshakeError), found
            heard[found.step, found.side, found.failure, found.alert, found.evidence, found.tls_version] += 1
            assert refusing.said() == case.server_says
    assert heard == {(case.step, "peer", case.alert, case.alert, "observed", "TLS 1.3"): 100}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_request_is_not_sent_again_however_many_retries_are_asked_for(
    refusing: _Refusing, bare_client_profile: mtls.ClientProfile, method: str
) -> None:
    """urllib3 counts a TLS failure as "other", which ignores the method."""
    with requests.Session() as client:
        client.mount("https://", MTLSAdapter(bare_client_profile, max_retries=3))
        with pytest.raises(requests.RequestException) as caught:
            client.request(method, refusing.url, data=b"once")
    told = mtls.explain(caught.value)
    assert isinstance(told, mtls.HandshakeError)
    assert told.step == 5
    assert refusing.said() == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
    with pytest.raises(queue.Empty):
        refusing._said.get_nowait()
