"""What holds in every library that takes an ``ssl.SSLContext``, each used as ``docs/how-to/connect.md`` says.

What is special about one library, its traps above all, has a file of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import urllib.error
import urllib.request
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import aiohttp
import httpx
import httpx2
import pytest
import urllib3
import uvloop
import websockets.asyncio.client
import websockets.exceptions
import websockets.sync.client

import mtls
from mtls import TLSVersion
from tests.clients.conftest import forgotten_sockets

if TYPE_CHECKING:
    import ssl
    from collections.abc import Awaitable, Callable

    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import ContextOf, Placed, Recorder, Refused, Serve, Server

_ID, _ANOTHER_ID = "spiffe://prod.example/api", "spiffe://prod.example/other"
_REFUSALS = 10


# --- the recipes ---


def _with_httpx(library: Any, context: ssl.SSLContext, url: str) -> bytes:
    with library.Client(verify=context, follow_redirects=True) as client:
        content: bytes = client.get(url).content
        return content


async def _with_async_httpx(library: Any, context: ssl.SSLContext, url: str) -> bytes:
    async with library.AsyncClient(verify=context, follow_redirects=True) as client:
        content: bytes = (await client.get(url)).content
        return content


def _with_urllib3(context: ssl.SSLContext, url: str) -> bytes:
    """Without ``assert_hostname=False`` it compares the host name by itself as soon as the context does not."""
    options: dict[str, Any] = {} if context.check_hostname else {"assert_hostname": False}
    with urllib3.PoolManager(ssl_context=context, retries=urllib3.Retry(1, other=0), **options) as pool:
        return pool.request("GET", url).data


async def _with_aiohttp(context: ssl.SSLContext, url: str) -> bytes:
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url) as answer:
        return await answer.read()


def _with_http_client(context: ssl.SSLContext, url: str) -> bytes:
    target = urlsplit(url)
    assert target.hostname is not None
    connection = http.client.HTTPSConnection(target.hostname, target.port, context=context)
    with contextlib.closing(connection):
        connection.request("GET", target.path)
        return connection.getresponse().read()


def _with_urllib_request(context: ssl.SSLContext, url: str) -> bytes:
    with urllib.request.urlopen(url, context=context) as answer:
        content: bytes = answer.read()
        return content


async def _with_streams(context: ssl.SSLContext, url: str) -> bytes:
    target = urlsplit(url)
    reader, writer = await asyncio.open_connection(target.hostname, target.port, ssl=context)
    try:
        writer.write(f"GET {target.path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        await reader.readuntil(b"\r\n\r\n")
        return await reader.readexactly(5)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _with_websockets(context: ssl.SSLContext, url: str) -> bytes:
    with websockets.sync.client.connect(_websocket(url), ssl=context) as websocket:
        return str(websocket.recv()).encode()


async def _with_async_websockets(context: ssl.SSLContext, url: str) -> bytes:
    async with websockets.asyncio.client.connect(_websocket(url), ssl=context) as websocket:
        return str(await websocket.recv()).encode()


def _websocket(url: str) -> str:
    return url.replace("https:", "wss:")


def _run(get: Callable[..., Awaitable[bytes]], loop: Any, context: ssl.SSLContext, url: str) -> bytes:
    async def call() -> bytes:
        return await get(context, url)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(call())


@dataclass(frozen=True)
class Library:
    """A way to make a request."""

    get: Callable[[ssl.SSLContext, str], bytes]
    raises: tuple[type[Exception], ...]
    tells_late_refusals: bool = False
    """Whether ``mtls.explain`` finds every refusal that comes after the handshake, or the library loses some."""
    follows_redirects: bool = True
    reads_in_a_thread: bool = False
    """Whether it reads in one thread and writes in another, see ``Serve``."""


_WEBSOCKET_ERRORS = (OSError, websockets.exceptions.WebSocketException)
_LIBRARIES = {
    "httpx": Library(partial(_with_httpx, httpx), (httpx.TransportError,), tells_late_refusals=True),
    "httpx2": Library(partial(_with_httpx, httpx2), (httpx2.TransportError,), tells_late_refusals=True),
    "urllib3": Library(_with_urllib3, (urllib3.exceptions.HTTPError,), tells_late_refusals=True),
    "http.client": Library(
        _with_http_client, (mtls.HandshakeError,), tells_late_refusals=True, follows_redirects=False
    ),
    "urllib.request": Library(
        _with_urllib_request, (mtls.HandshakeError, urllib.error.URLError), tells_late_refusals=True
    ),
    "websockets": Library(_with_websockets, _WEBSOCKET_ERRORS, follows_redirects=False, reads_in_a_thread=True),
}
for _name, _loop in (("asyncio", None), ("uvloop", uvloop.new_event_loop)):
    _LIBRARIES |= {
        f"httpx in {_name}": Library(
            partial(_run, partial(_with_async_httpx, httpx), _loop), (httpx.TransportError, mtls.HandshakeError)
        ),
        f"httpx2 in {_name}": Library(
            partial(_run, partial(_with_async_httpx, httpx2), _loop), (httpx2.TransportError, mtls.HandshakeError)
        ),
        f"aiohttp in {_name}": Library(partial(_run, _with_aiohttp, _loop), (aiohttp.ClientError,)),
        f"websockets in {_name}": Library(partial(_run, _with_async_websockets, _loop), _WEBSOCKET_ERRORS),
        f"streams of {_name}": Library(
            partial(_run, _with_streams, _loop),
            (mtls.HandshakeError, ConnectionError),
            tells_late_refusals=_name == "uvloop",
            follows_redirects=False,
        ),
    }


_REFUSING = [name for name in _LIBRARIES if name != "aiohttp in uvloop"]
"""Given a socket, as aiohttp gives it one, uvloop closes it twice if ``wrap_bio`` raises: by then it may be another's
(MagicStack/uvloop#738)."""
_FOLLOWING = [name for name in _REFUSING if _LIBRARIES[name].follows_redirects]


@pytest.fixture(params=list(_LIBRARIES))
def library(request: pytest.FixtureRequest) -> Library:
    return _LIBRARIES[request.param]


@pytest.fixture
def server(serve: Serve, server_profile: mtls.ServerProfile, library: Library) -> Server:
    return serve(server_profile, tickets=not library.reads_in_a_thread)


# --- what holds ---


@pytest.mark.parametrize("version", TLSVersion, ids=lambda version: version.name)
def test_the_server_knows_the_client(
    library: Library, server: Server, authority: CertificateAuthority, context_of: ContextOf, version: TLSVersion
) -> None:
    policy = mtls.TLSPolicy(name="one version", minimum_version=version, maximum_version=version)
    keystore = authority.client("billing-prod")
    context = context_of(mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore, policy=policy))
    assert library.get(context, server.url) == b"hello"
    assert server.seen().client == "billing-prod"
    assert context.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}


def test_a_server_of_an_unknown_ca_is_refused_at_step_4(
    library: Library, strange_server: Server, context: mtls.TLSContext, placed: Placed
) -> None:
    with pytest.raises(library.raises) as caught:
        library.get(context, strange_server.url)
    assert placed(caught.value) == (4, "local", "unknown_ca")
    assert isinstance(strange_server.outcome(), mtls.HandshakeError)


def test_a_server_of_another_name_is_refused_at_step_4(
    library: Library, serve: Serve, authority: CertificateAuthority, context: mtls.TLSContext, placed: Placed
) -> None:
    server = serve(mtls.TLSProfile.server(keystore=authority.server("other.example"), truststore=authority.truststore))
    with pytest.raises(library.raises) as caught:
        library.get(context, server.url)
    assert placed(caught.value) == (4, "local", "hostname_mismatch")
    assert isinstance(server.outcome(), mtls.HandshakeError)


def test_a_refusal_in_the_handshake_is_named(
    library: Library, server: Server, refused: Refused, context_of: ContextOf, placed: Placed
) -> None:
    """With TLS 1.2 the client hears of it before it may write."""
    with pytest.raises(library.raises) as caught:
        library.get(context_of(refused.profile(TLSVersion.TLSv1_2)), server.url)
    assert placed(caught.value) == refused.told
    outcome = server.outcome()
    assert isinstance(outcome, mtls.HandshakeError)
    assert placed(outcome) == refused.server_says


def test_a_refusal_after_the_handshake_is_named_or_nothing_is_claimed(
    library: Library, server: Server, refused: Refused, context_of: ContextOf, placed: Placed
) -> None:
    context = context_of(refused.profile(TLSVersion.TLSv1_3))
    heard: Counter[tuple[object, ...] | None] = Counter()
    for _ in range(_REFUSALS):
        with pytest.raises(library.raises) as caught:
            library.get(context, server.url)
        heard[placed(caught.value)] += 1
        outcome = server.outcome()
        assert isinstance(outcome, mtls.HandshakeError)
        assert placed(outcome) == refused.server_says
    named = heard.pop(refused.told, 0)
    assert all(found is None or found[0] is None for found in heard), heard  # no other step, ever
    if library.tells_late_refusals:
        assert named == _REFUSALS


class TestSpiffe:
    """``server_identity=`` takes the place of the host name check."""

    @pytest.fixture
    def api(self, serve: Serve, authority: CertificateAuthority, library: Library) -> Server:
        profile = mtls.TLSProfile.server(keystore=authority.server(_ID), truststore=authority.truststore)
        return serve(profile, tickets=not library.reads_in_a_thread)

    def _profile(self, authority: CertificateAuthority, identity: str) -> mtls.ClientProfile:
        return mtls.TLSProfile.client(
            truststore=authority.truststore,
            keystore=authority.client("billing-prod"),
            server_identity=mtls.PeerPolicy.spiffe_id(identity),
        )

    def test_the_right_id_is_accepted_whatever_the_host_is_called(
        self, library: Library, api: Server, authority: CertificateAuthority, context_of: ContextOf
    ) -> None:
        assert library.get(context_of(self._profile(authority, _ID)), api.url) == b"hello"
        assert api.seen().client == "billing-prod"

    def test_another_id_is_refused_at_step_4_before_a_request_is_sent(
        self, library: Library, api: Server, authority: CertificateAuthority, context_of: ContextOf, placed: Placed
    ) -> None:
        with pytest.raises(library.raises) as caught:
            library.get(context_of(self._profile(authority, _ANOTHER_ID)), api.url)
        assert placed(caught.value) == (4, "local", "not_authorized")
        assert api.heard_no_request()

    def test_a_host_name_does_not_stand_in_for_the_id(
        self, library: Library, server: Server, authority: CertificateAuthority, context_of: ContextOf, placed: Placed
    ) -> None:
        with pytest.raises(library.raises) as caught:
            library.get(context_of(self._profile(authority, _ID)), server.url)
        assert placed(caught.value) == (4, "local", "not_authorized")

    def test_the_right_id_of_an_unknown_ca_is_refused(
        self,
        library: Library,
        serve: Serve,
        authority: CertificateAuthority,
        stranger: CertificateAuthority,
        context_of: ContextOf,
        placed: Placed,
    ) -> None:
        impostor = serve(mtls.TLSProfile.server(keystore=stranger.server(_ID)))
        with pytest.raises(library.raises) as caught:
            library.get(context_of(self._profile(authority, _ID)), impostor.url)
        assert placed(caught.value) == (4, "local", "unknown_ca")


class TestHosts:
    """``hosts=`` names the servers that may be asked. Any other hears nothing, not even the name that is asked for."""

    @pytest.fixture
    def narrow(self, authority: CertificateAuthority, context_of: ContextOf) -> mtls.TLSContext:
        keystore = authority.client("billing-prod")
        return context_of(
            mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore, hosts=["localhost"])
        )

    @pytest.mark.parametrize("library", _REFUSING, indirect=True)
    def test_an_unlisted_host_is_refused_before_a_byte_is_sent(
        self, library: Library, narrow: mtls.TLSContext, recorder: Recorder
    ) -> None:
        with forgotten_sockets(), pytest.raises(mtls.UsageError, match=r"'127\.0\.0\.1' is not listed"):
            library.get(narrow, recorder.url)
        assert b"".join(recorder.received()) == b""

    def test_a_listed_host_is_asked(self, library: Library, narrow: mtls.TLSContext, server: Server) -> None:
        assert library.get(narrow, server.url) == b"hello"

    @pytest.mark.parametrize("library", _FOLLOWING, indirect=True)
    def test_a_redirect_to_an_unlisted_host_is_refused(
        self, library: Library, narrow: mtls.TLSContext, server: Server, recorder: Recorder
    ) -> None:
        with forgotten_sockets(), pytest.raises(mtls.UsageError, match=r"'127\.0\.0\.1' is not listed"):
            library.get(narrow, f"{server.url}to/{quote(recorder.url, safe='')}")
        assert server.seen().client == "billing-prod"
        assert b"".join(recorder.received()) == b""
