"""The doors for event loops: a connection as on the plain context, and a refusal that is never lost."""

from __future__ import annotations

import asyncio
import contextlib
import io
import socket
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import anyio
import httpx
import pytest
import trio
import uvloop
import websockets.asyncio.client

import mtls
import mtls.integrations.aiohttp
import mtls.integrations.anyio
import mtls.integrations.asyncio
import mtls.integrations.httpx
import mtls.integrations.trio
import mtls.integrations.websockets
from mtls import TLSVersion
from tests.clients.conftest import forgotten_sockets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import Placed, Proxy, Recorder, Refused, Serve, Server

DEADLINE = 20.0
_HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n"
LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}


async def by_streams(profile: Any, port: int, body: bytes, host: str = "localhost") -> bytes:
    reader, writer = await mtls.integrations.asyncio.open_connection(host, port, ssl=profile)
    try:
        writer.write(_HEAD % len(body) + body)
        await writer.drain()
        return (await reader.readuntil(b"hello"))[-5:]
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def by_aiohttp(profile: Any, port: int, body: bytes, host: str = "localhost") -> bytes:
    async with (
        aiohttp.ClientSession(connector=mtls.integrations.aiohttp.connector(profile)) as session,
        session.post(f"https://{host}:{port}/", data=io.BytesIO(body)) as response,
    ):
        return await response.read()


async def by_httpx(profile: Any, port: int, body: bytes, host: str = "localhost") -> bytes:
    transport = mtls.integrations.httpx.AsyncTransport(profile)
    async with httpx.AsyncClient(transport=transport, timeout=DEADLINE) as client:
        return (await client.post(f"https://{host}:{port}/", content=body)).content


async def by_anyio(profile: Any, port: int, body: bytes, host: str = "localhost") -> bytes:
    stream = await mtls.integrations.anyio.connect_tcp(host, port, ssl_context=profile)
    try:
        await stream.send(_HEAD % len(body) + body)
        answer = b""
        while not answer.endswith(b"hello"):
            answer += await stream.receive()
        return answer[-5:]
    finally:
        await anyio.aclose_forcefully(stream)


async def by_trio(profile: Any, port: int, body: bytes, host: str = "localhost") -> bytes:
    stream = await mtls.integrations.trio.open_ssl_over_tcp_stream(host, port, ssl_context=profile)
    try:
        await stream.send_all(_HEAD % len(body) + body)
        answer = b""
        while not answer.endswith(b"hello"):
            answer += await stream.receive_some()
        return answer[-5:]
    finally:
        await trio.aclose_forcefully(stream)


async def by_websockets(profile: Any, port: int, _: bytes, host: str = "localhost") -> bytes:
    context = profile if isinstance(profile, ssl.SSLContext) else profile.ssl_context()
    async with websockets.asyncio.client.connect(
        f"wss://{host}:{port}/",
        ssl=context,
        sock=await mtls.integrations.asyncio.connect_socket(host, port),
        create_connection=mtls.integrations.websockets.ClientConnection,
    ) as websocket:
        return str(await websocket.recv()).encode()


IN_ASYNCIO = {
    "asyncio streams": by_streams,
    "aiohttp": by_aiohttp,
    "httpx": by_httpx,
    "anyio": by_anyio,
    "websockets": by_websockets,
}
IN_TRIO = {"httpx in trio": by_httpx, "anyio in trio": by_anyio, "trio": by_trio}
each_door = pytest.mark.parametrize("door", [*IN_ASYNCIO, *IN_TRIO])


def go(door: str, profile: Any, port: int, body: bytes = b"x", host: str = "localhost") -> bytes:
    """Connect, send, and read the greeting."""
    if door in IN_TRIO:
        return trio.run(IN_TRIO[door], profile, port, body, host)
    return asyncio.run(asyncio.wait_for(IN_ASYNCIO[door](profile, port, body, host), DEADLINE))


# --- as on the plain context ---


@each_door
@pytest.mark.parametrize("body", [b"x", bytes(2_000_000)], ids=["little", "2 MB"])
def test_a_door_connects_with_the_identity_of_its_profile(
    server: Server, client_profile: mtls.ClientProfile, door: str, body: bytes
) -> None:
    assert go(door, client_profile, server.port, body) == b"hello"
    assert server.seen().client == "billing-prod"


@each_door
def test_a_door_takes_the_context_too_and_leaves_it_as_it_was(
    server: Server, context: mtls.TLSContext, door: str
) -> None:
    assert go(door, context, server.port) == b"hello"
    assert server.seen().client == "billing-prod"


@each_door
def test_a_server_that_we_refuse_fails_at_step_4(
    strange_server: Server, client_profile: mtls.ClientProfile, placed: Placed, door: str
) -> None:
    with pytest.raises(Exception) as caught:  # noqa: PT011 - every library has its own; the claim is checked
        go(door, client_profile, strange_server.port)
    assert placed(caught.value) == (4, "local", "unknown_ca")
    assert isinstance(strange_server.outcome(), OSError)


@each_door
def test_a_host_that_is_not_listed_is_sent_nothing(
    recorder: Recorder, authority: CertificateAuthority, door: str
) -> None:
    profile = mtls.TLSProfile.client(
        truststore=authority.truststore, keystore=authority.client("c"), hosts=["*.partner.example"]
    )
    with (
        forgotten_sockets(),
        pytest.raises(mtls.UsageError, match=r"'localhost' is not listed in hosts="),
    ):
        go(door, profile, recorder.port)
    assert recorder.received() in ([], [b""])


@pytest.mark.filterwarnings("ignore:.*async_generator object:pytest.PytestUnraisableExceptionWarning")  # httpx in trio
@pytest.mark.parametrize("version", TLSVersion, ids=lambda version: version.label)
@each_door
def test_a_refused_client_is_told_its_step(
    serve: Serve,
    server_profile: mtls.ServerProfile,
    refused: Refused,
    placed: Placed,
    door: str,
    version: mtls.TLSVersion,
) -> None:
    server = serve(server_profile)
    with pytest.raises(Exception) as caught:  # noqa: PT011 - every library has its own; the claim is checked
        go(door, refused.profile(version), server.port, bytes(2_000_000))
    assert placed(caught.value) == refused.told


@each_door
def test_nobody_who_listens_is_the_usual_error(client_profile: mtls.ClientProfile, door: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises((OSError, httpx.ConnectError)) as caught:
        go(door, client_profile, port)
    assert mtls.explain(caught.value) is None


def test_http_2_is_negotiated_where_httpx_asks_for_it(
    serve: Serve, authority: CertificateAuthority, client_profile: mtls.ClientProfile
) -> None:
    keystore = authority.server("localhost")
    server = serve(mtls.TLSProfile.server(keystore=keystore, truststore=authority.truststore, alpn=["h2", "http/1.1"]))

    async def get() -> httpx.Response:
        transport = mtls.integrations.httpx.AsyncTransport(client_profile, http2=True)
        async with httpx.AsyncClient(transport=transport, timeout=DEADLINE) as client:
            first = await client.get(f"{server.url}first")
            assert first.http_version == "HTTP/2"
            assert mtls.peer_identity(first.extensions["network_stream"]) is not None
            return await client.get(f"{server.url}second")

    assert asyncio.run(get()).content == b"hello"
    assert [server.seen().path, server.seen().path] == ["/first", "/second"]


def test_httpx_keeps_a_connection_and_makes_another_when_it_has_ended(
    server: Server, client_profile: mtls.ClientProfile
) -> None:
    async def get() -> None:
        transport = mtls.integrations.httpx.AsyncTransport(client_profile)
        async with httpx.AsyncClient(transport=transport, timeout=DEADLINE) as client:
            first, second = [await client.get(server.url) for _ in range(2)]
            streams = [response.extensions["network_stream"] for response in (first, second)]
            assert len({stream.get_extra_info("client_addr") for stream in streams}) == 1
            assert streams[0].get_extra_info("server_addr") == ("127.0.0.1", server.port)
            assert streams[0].get_extra_info("nothing") is None
            server.close()
            with pytest.raises(httpx.ConnectError):
                await client.get(server.url)

    asyncio.run(get())


@pytest.mark.filterwarnings("ignore:.*async_generator object:pytest.PytestUnraisableExceptionWarning")  # httpx in trio
@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_httpx_goes_through_a_proxy_and_names_the_refusal_behind_it(
    proxy: Proxy, server: Server, refused: Refused, placed: Placed, loop: str
) -> None:
    async def post() -> None:
        transport = mtls.integrations.httpx.AsyncTransport(refused.profile(TLSVersion.TLSv1_2), proxy=proxy.url)
        async with httpx.AsyncClient(transport=transport, timeout=DEADLINE) as client:
            await client.post(server.url, content=b"x")

    with pytest.raises(httpx.TransportError) as caught:
        asyncio.run(post()) if loop == "asyncio" else trio.run(post)
    assert placed(caught.value) == refused.told
    assert proxy.tunnel() == (None, f"localhost:{server.port}")


@contextlib.contextmanager
def silent_server(profile: mtls.ServerProfile) -> Iterator[int]:
    """Shakes hands, sends no session ticket, and closes without a word, as Node does with a client that it refuses."""
    context = profile.ssl_context()
    context.num_tickets = 0

    def accept() -> None:
        plain, _ = listener.accept()
        plain.settimeout(DEADLINE)
        with context.wrap_socket(plain, server_side=True) as tls:
            tls.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(DEADLINE)
        assert not thread.is_alive()


@pytest.mark.parametrize("run", [asyncio.run, trio.run], ids=["asyncio", "trio"])
def test_a_server_that_ends_the_connection_without_a_word_may_have_refused_us(
    server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile, run: Any
) -> None:
    async def get(port: int) -> None:
        transport = mtls.integrations.httpx.AsyncTransport(client_profile)
        async with httpx.AsyncClient(transport=transport, timeout=DEADLINE) as client:
            await client.get(f"https://localhost:{port}/")

    with silent_server(server_profile) as port, pytest.raises(httpx.RemoteProtocolError) as caught:
        trio.run(get, port) if run is trio.run else asyncio.run(get(port))
    error = mtls.explain(caught.value)
    assert isinstance(error, mtls.HandshakeError)
    assert (error.step, error.side, error.failure, error.evidence) == (6, None, "closed", "inferred")


def test_httpx_in_time_says_that_it_took_too_long(recorder: Recorder, client_profile: mtls.ClientProfile) -> None:
    async def get() -> None:
        transport = mtls.integrations.httpx.AsyncTransport(client_profile)
        async with httpx.AsyncClient(transport=transport, timeout=0.05) as client:
            await client.get(f"https://localhost:{recorder.port}/")

    with pytest.raises(httpx.ConnectTimeout):
        asyncio.run(get())


@pytest.mark.parametrize("loop", LOOPS)
def test_an_early_answer_and_the_options_of_asyncio_pass_through(
    server: Server, client_profile: mtls.ClientProfile, loop: str
) -> None:
    async def get() -> tuple[bytes, Any]:
        reader, writer = await mtls.integrations.asyncio.open_connection(
            "127.0.0.1",
            server.port,
            ssl=client_profile,
            server_hostname="localhost",
            ssl_handshake_timeout=DEADLINE,
            family=socket.AF_INET,
            local_addr=("127.0.0.1", 0),
        )
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        answer = await reader.readuntil(b"hello")
        peer = mtls.peer_identity(writer)
        writer.close()
        await writer.wait_closed()
        return answer, peer

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        answer, peer = runner.run(get())
    assert answer.endswith(b"hello")
    assert peer.dns_names == ("localhost",)


# --- mistakes ---


async def _streams(given: Any, **options: Any) -> Any:
    return await mtls.integrations.asyncio.open_connection("localhost", 1, ssl=given, **options)


async def _transport(given: Any, **options: Any) -> Any:
    return mtls.integrations.httpx.AsyncTransport(given, **options)


async def _connector(given: Any, **options: Any) -> Any:
    return mtls.integrations.aiohttp.connector(given, **options)


async def _anyio(given: Any, **options: Any) -> Any:
    return await mtls.integrations.anyio.connect_tcp("localhost", 1, ssl_context=given, **options)


async def _trio(given: Any, **options: Any) -> Any:
    return await mtls.integrations.trio.open_ssl_over_tcp_stream("localhost", 1, ssl_context=given, **options)


OPENERS = {"asyncio": _streams, "httpx": _transport, "aiohttp": _connector, "anyio": _anyio, "trio": _trio}


@pytest.mark.parametrize("opener", OPENERS.values(), ids=OPENERS)
def test_anything_but_a_client_s_profile_or_context_is_refused(
    server_profile: mtls.ServerProfile, opener: Callable[..., Any]
) -> None:
    plain = ssl.create_default_context()
    for given in (server_profile, server_profile.ssl_context(), plain, None, True, "ca.pem"):
        with pytest.raises(mtls.UsageError, match=r"takes a ClientProfile, made by TLSProfile\.client\(\), or its"):
            asyncio.run(opener(given))


@pytest.mark.parametrize(
    ("opener", "option"),
    [
        (_streams, "sock"),
        (_transport, "verify"),
        (_transport, "cert"),
        (_transport, "trust_env"),
        (_connector, "ssl"),
        (_connector, "fingerprint"),
        (_connector, "verify_ssl"),
        (_connector, "socket_factory"),
    ],
)
def test_an_option_that_would_replace_the_profile_is_refused(
    client_profile: mtls.ClientProfile, opener: Callable[..., Any], option: str
) -> None:
    with pytest.raises(mtls.UsageError, match=f"^{option}= .*leave it out$"):
        asyncio.run(opener(client_profile, **{option: None}))


def test_the_socket_is_made_without_tls() -> None:
    with pytest.raises(mtls.UsageError, match=r"^ssl= cannot be given to what makes the socket"):
        asyncio.run(mtls.integrations.asyncio.connect_socket("localhost", 1, ssl=True))


@pytest.mark.parametrize(
    ("door", "package", "extra"),
    [
        ("aiohttp", "aiohttp", "aiohttp"),
        ("anyio", "anyio", "anyio"),
        ("httpx", "httpx", "httpx"),
        ("trio", "trio", "trio"),
        ("websockets", "websockets", "websockets"),
    ],
)
def test_a_missing_library_is_named_with_its_extra(door: str, package: str, extra: str) -> None:
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        f"try:\n    import mtls.integrations.{door}\n"
        "except ImportError as error:\n    print(type(error).__name__, error)\n"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert said.stdout.startswith("MissingExtraError this needs the package ")
    assert f"pip install 'mtls-kit[{extra}]'" in said.stdout
