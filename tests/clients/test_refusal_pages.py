"""A refusal in HTTP is explained out of the response of every library, and nothing is read from its stream.

The server is nginx, which finishes every handshake and refuses a client certificate with a page.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import pickle
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import requests
import urllib3
import websockets.asyncio.client
import websockets.exceptions

import mtls
from mtls.integrations.requests import MTLSAdapter
from tests.matrix import faults
from tests.matrix.peers import base
from tests.matrix.peers.nginx import Nginx
from tests.matrix.pki import ADMITTED, Pki

if TYPE_CHECKING:
    from collections.abc import Iterator

TWO_WAY, ADMITS = "two-way", "admits one"


class Site:
    """nginx with two servers: one demands a certificate, the other also a name."""

    def __init__(self, pki: Pki, ports: dict[str, int]) -> None:
        self.pki = pki
        self._ports = ports

    def url(self, name: str = TWO_WAY) -> str:
        return f"https://localhost:{self._ports[name]}/"

    def profile(self, identity: str | None) -> mtls.ClientProfile:
        if identity is None:
            return mtls.TLSProfile.client(truststore=self.pki.truststore)
        return mtls.TLSProfile.client(truststore=self.pki.truststore, keystore=self.pki.clients[identity].keystore)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("pages")
    pki = Pki(folder)
    good = pki.servers["good"]
    peer = Nginx(folder)
    try:
        yield Site(
            pki,
            peer.start(
                [
                    base.Site(name=TWO_WAY, identity=good, client_ca=pki.ca),
                    base.Site(name=ADMITS, identity=good, client_ca=pki.ca, admitted=ADMITTED),
                ]
            ),
        )
    finally:
        peer.stop()


def with_requests(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", MTLSAdapter(profile))
        return mtls.explain(session.get(url, timeout=base.DEADLINE))


def with_httpx(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    with httpx.Client(verify=profile.ssl_context(), trust_env=False) as client:
        return mtls.explain(client.get(url))


def with_httpx_async(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    async def get() -> mtls.MTLSError | None:
        async with httpx.AsyncClient(verify=profile.ssl_context(), trust_env=False) as client:
            return mtls.explain(await client.get(url))

    return asyncio.run(get())


def with_aiohttp(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    async def get() -> mtls.MTLSError | None:
        connector = aiohttp.TCPConnector(ssl=profile.ssl_context())
        async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as response:
            await response.read()
            return mtls.explain(response)

    return asyncio.run(get())


def with_urllib3(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    with urllib3.PoolManager(ssl_context=profile.ssl_context()) as pool:
        return mtls.explain(pool.request("GET", url))


def with_http_client(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    host = url.removeprefix("https://").rstrip("/")
    connection = http.client.HTTPSConnection(host, context=profile.ssl_context(), timeout=base.DEADLINE)
    try:
        connection.request("GET", "/")
        response = connection.getresponse()
        assert mtls.explain(response) is None  # nothing was read so far, and nothing is
        return mtls.explain(response, body=response.read())
    finally:
        connection.close()


def with_urllib_request(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url, context=profile.ssl_context(), timeout=base.DEADLINE)
    with caught.value as response:
        return mtls.explain(response, body=response.read())


def with_websockets(profile: mtls.ClientProfile, url: str) -> mtls.MTLSError | None:
    async def get() -> None:
        async with websockets.asyncio.client.connect(url.replace("https", "wss"), ssl=profile.ssl_context()):
            pass

    with pytest.raises(websockets.exceptions.InvalidStatus) as caught:
        asyncio.run(get())
    return mtls.explain(caught.value)


LIBRARIES = {
    "requests": with_requests,
    "httpx": with_httpx,
    "httpx, async": with_httpx_async,
    "aiohttp": with_aiohttp,
    "urllib3": with_urllib3,
    "http.client": with_http_client,
    "urllib.request": with_urllib_request,
    "websockets": with_websockets,
}
KNOWS_THE_CONNECTION = {"httpx", "httpx, async"}
"""The others let go of it when the body has been read, and at best know the context."""
each_library = pytest.mark.parametrize("library", LIBRARIES)


def handshake_error(found: object) -> mtls.HandshakeError:
    assert isinstance(found, mtls.HandshakeError)
    return found


@each_library
def test_a_demand_for_a_certificate_in_http_is_step_5(nginx: Site, library: str) -> None:
    error = handshake_error(LIBRARIES[library](nginx.profile(None), nginx.url()))
    assert (error.step, error.side, error.failure) == (5, "peer", "certificate_required")
    assert (error.evidence, error.phase, error.role, error.alert) == ("inferred", "response", "client", None)
    assert error.server_hostname in {"localhost", None}
    text = str(error)
    assert "requires a client certificate, and says that it got none" in text
    assert "seen at the response, inferred: the response is the page 'No required SSL certificate was sent'" in text
    assert "keystore=Keystore.from_pem" in error.hint


@each_library
def test_a_refused_certificate_in_http_is_step_6(nginx: Site, library: str) -> None:
    error = handshake_error(LIBRARIES[library](nginx.profile("unknown CA"), nginx.url()))
    assert (error.step, error.side, error.failure) == (6, "peer", "certificate_rejected")
    assert (error.evidence, error.phase) == ("inferred", "response")
    assert "'The SSL certificate error' of nginx" in (error.because or "")
    assert "refused our client certificate" in str(error)


@pytest.mark.parametrize("library", ["httpx", "httpx, async", "requests", "urllib3"])  # the others have let go of it
def test_a_refused_certificate_in_http_is_told_with_what_we_showed(nginx: Site, library: str) -> None:
    profile = nginx.profile("unknown CA")
    error = handshake_error(LIBRARIES[library](profile, nginx.url()))
    assert error.local_certificate == nginx.pki.clients["unknown CA"].keystore.certificate
    if library in KNOWS_THE_CONNECTION:
        assert any("the server accepts certificates from" in finding.message for finding in error.findings)


@each_library
def test_a_403_of_the_server_s_own_says_nothing_of_certificates(nginx: Site, library: str) -> None:
    assert LIBRARIES[library](nginx.profile(faults.NOT_AUTHORIZED), nginx.url(ADMITS)) is None


def test_a_streamed_response_stays_as_it_was(nginx: Site) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", MTLSAdapter(nginx.profile(None)))
        with session.get(nginx.url(), stream=True, timeout=base.DEADLINE) as response:
            assert mtls.explain(response) is None
            assert b"No required SSL certificate" in response.raw.read()
    with (
        httpx.Client(verify=nginx.profile(None).ssl_context(), trust_env=False) as client,
        client.stream("GET", nginx.url()) as streamed,
    ):
        assert mtls.explain(streamed) is None
        assert not streamed.is_stream_consumed
        read = streamed.read()
        assert b"No required SSL certificate" in read
        assert handshake_error(mtls.explain(streamed)).step == 5
    with urllib3.PoolManager(ssl_context=nginx.profile(None).ssl_context()) as pool:
        unread = pool.request("GET", nginx.url(), preload_content=False)
        assert mtls.explain(unread) is None
        assert b"No required SSL certificate" in unread.read()
        unread.release_conn()


def test_an_unread_response_of_aiohttp_stays_unread(nginx: Site) -> None:
    async def get() -> tuple[Any, bytes, Any]:
        connector = aiohttp.TCPConnector(ssl=nginx.profile(None).ssl_context())
        async with aiohttp.ClientSession(connector=connector) as session, session.get(nginx.url()) as response:
            return mtls.explain(response), await response.read(), mtls.explain(response)

    before, body, after = asyncio.run(get())
    assert before is None
    assert b"No required SSL certificate" in body
    assert handshake_error(after).step == 5


def test_the_exception_of_raise_for_status_leads_to_its_response(nginx: Site) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", MTLSAdapter(nginx.profile(None)))
        with pytest.raises(requests.HTTPError) as caught:
            session.get(nginx.url(), timeout=base.DEADLINE).raise_for_status()
        error = handshake_error(mtls.explain(caught.value))
        assert (error.step, error.__cause__) == (5, caught.value)
    with (
        httpx.Client(verify=nginx.profile(None).ssl_context(), trust_env=False) as client,
        pytest.raises(httpx.HTTPStatusError) as raised,
    ):
        client.get(nginx.url()).raise_for_status()
    error = handshake_error(mtls.explain(raised.value))
    assert (error.step, error.__cause__) == (5, raised.value)


def test_the_exception_of_aiohttp_has_no_body_and_is_not_guessed_at(nginx: Site) -> None:
    async def get() -> None:
        connector = aiohttp.TCPConnector(ssl=nginx.profile(None).ssl_context())
        async with aiohttp.ClientSession(connector=connector, raise_for_status=True) as session:
            await session.get(nginx.url())

    with pytest.raises(aiohttp.ClientResponseError) as caught:
        asyncio.run(get())
    assert mtls.explain(caught.value) is None


def test_an_error_out_of_a_response_pickles_and_is_logged(nginx: Site) -> None:
    error = handshake_error(with_httpx(nginx.profile("unknown CA"), nginx.url()))
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.because, again.phase) == (str(error), error.because, error.phase)
    assert json.loads(json.dumps(error.to_dict()))["phase"] == "response"
    assert error.to_attributes()["tls.handshake.phase"] == "response"
    assert error.to_attributes()["tls.established"] is True
