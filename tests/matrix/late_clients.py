"""Clients of every library, which connect, write and then read: through a door of ours, and on the context alone.

Rule: each does what its documentation shows, and raises whatever its library raises.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import io
import socket
import threading
from typing import TYPE_CHECKING, NamedTuple

import aiohttp
import anyio
import anyio.streams.tls
import httpx
import requests
import trio
import urllib3
import uvloop
import websockets.asyncio.client

import mtls
import mtls.integrations.aiohttp
import mtls.integrations.anyio
import mtls.integrations.asyncio
import mtls.integrations.httpx
import mtls.integrations.trio
import mtls.integrations.websockets
from mtls.integrations.requests import MTLSAdapter
from tests.matrix import ours
from tests.matrix.peers.base import DEADLINE
from tests.matrix.pki import HOST

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from typing import Any

AT_ONCE, A_LITTLE_LATER, MUCH = "at once", "after 5 ms", "2 MB"
WAYS = (AT_ONCE, A_LITTLE_LATER, MUCH)
_LITTLE = 0.005
_BODY = bytes(2 * 1024 * 1024)
_never = threading.Event()


class Client(NamedTuple):
    """One way to be a client."""

    library: str
    handed: str
    """What the library is given."""
    attempt: Callable[[mtls.ClientProfile, int, str], None]
    keeps: bool
    """Whether it is to keep every alert."""
    ways: tuple[str, ...] = WAYS


# --- blocking ---


def _raw(profile: mtls.ClientProfile, port: int, way: str) -> None:
    context = profile.ssl_context()
    with (
        socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as sock,
        context.wrap_socket(sock, server_hostname=HOST) as tls,
    ):
        if way == A_LITTLE_LATER:
            _never.wait(_LITTLE)
        tls.sendall(_request(way))
        tls.recv(1)


def _http_client(profile: mtls.ClientProfile, port: int, way: str) -> None:
    connection = http.client.HTTPSConnection(HOST, port, context=profile.ssl_context(), timeout=DEADLINE)
    with contextlib.closing(connection):
        connection.connect()
        if way == A_LITTLE_LATER:
            _never.wait(_LITTLE)
        connection.request("POST", "/", body=_BODY if way == MUCH else b"x")
        connection.getresponse()


def _urllib3(profile: mtls.ClientProfile, port: int, way: str) -> None:
    with urllib3.PoolManager(ssl_context=profile.ssl_context(), timeout=DEADLINE) as pool:
        pool.request("POST", _url(port), body=_body(way), retries=False)


def _requests(profile: mtls.ClientProfile, port: int, way: str) -> None:
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", MTLSAdapter(profile))
        session.post(_url(port), data=_body(way), timeout=DEADLINE)


def _httpx(profile: mtls.ClientProfile, port: int, way: str) -> None:
    with httpx.Client(verify=profile.ssl_context(), trust_env=False, timeout=DEADLINE) as client:
        client.post(_url(port), content=_body(way))


# --- asyncio ---


async def _streams(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _stream(await asyncio.open_connection(HOST, port, ssl=profile.ssl_context()), way)


async def _our_streams(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _stream(await mtls.integrations.asyncio.open_connection(HOST, port, ssl=profile), way)


async def _stream(pair: tuple[asyncio.StreamReader, asyncio.StreamWriter], way: str) -> None:
    reader, writer = pair
    try:
        if way == A_LITTLE_LATER:
            await asyncio.sleep(_LITTLE)
        writer.write(_request(way))
        await writer.drain()
        if not await reader.read(1):
            raise EOFError
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _aiohttp(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _post(aiohttp.TCPConnector(ssl=profile.ssl_context()), port, way)


async def _our_aiohttp(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _post(mtls.integrations.aiohttp.connector(profile), port, way)


async def _post(connector: aiohttp.TCPConnector, port: int, way: str) -> None:
    async with aiohttp.ClientSession(connector=connector) as session:
        await session.post(_url(port), data=io.BytesIO(_BODY) if way == MUCH else _body_async(way))


async def _httpx_async(profile: mtls.ClientProfile, port: int, way: str) -> None:
    async with httpx.AsyncClient(verify=profile.ssl_context(), trust_env=False, timeout=DEADLINE) as client:
        await client.post(_url(port), content=_body_async(way))


async def _our_httpx_async(profile: mtls.ClientProfile, port: int, way: str) -> None:
    transport = mtls.integrations.httpx.AsyncTransport(profile)
    async with httpx.AsyncClient(transport=transport, timeout=DEADLINE) as client:
        await client.post(_url(port), content=_body_async(way))


async def _anyio(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _anyio_stream(await anyio.connect_tcp(HOST, port, ssl_context=profile.ssl_context()), way)


async def _our_anyio(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _anyio_stream(await mtls.integrations.anyio.connect_tcp(HOST, port, ssl_context=profile), way)


async def _anyio_stream(stream: anyio.streams.tls.TLSStream, way: str) -> None:
    try:
        if way == A_LITTLE_LATER:
            await anyio.sleep(_LITTLE)
        await stream.send(_request(way))
        await stream.receive()
    finally:
        await anyio.aclose_forcefully(stream)


async def _websockets(profile: mtls.ClientProfile, port: int, _: str) -> None:
    async with websockets.asyncio.client.connect(f"wss://{HOST}:{port}/", ssl=profile.ssl_context(), proxy=None):
        pass


async def _our_websockets(profile: mtls.ClientProfile, port: int, _: str) -> None:
    async with websockets.asyncio.client.connect(
        f"wss://{HOST}:{port}/",
        ssl=profile.ssl_context(),
        sock=await mtls.integrations.asyncio.connect_socket(HOST, port),
        create_connection=mtls.integrations.websockets.ClientConnection,
    ):
        pass


# --- trio ---


async def _trio(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _trio_stream(await trio.open_ssl_over_tcp_stream(HOST, port, ssl_context=profile.ssl_context()), way)


async def _our_trio(profile: mtls.ClientProfile, port: int, way: str) -> None:
    await _trio_stream(await mtls.integrations.trio.open_ssl_over_tcp_stream(HOST, port, ssl_context=profile), way)


async def _trio_stream(stream: trio.SSLStream[Any], way: str) -> None:
    try:
        await stream.do_handshake()
        if way == A_LITTLE_LATER:
            await trio.sleep(_LITTLE)
        await stream.send_all(_request(way))
        await stream.receive_some()
    finally:
        await trio.aclose_forcefully(stream)


# --- all of them ---


def _url(port: int) -> str:
    return f"https://{HOST}:{port}/"


def _request(way: str) -> bytes:
    return ours.request(ours.WRITE_MUCH if way == MUCH else ours.WRITE)


def _body(way: str) -> bytes | Iterator[bytes]:
    if way == A_LITTLE_LATER:
        return _slowly()
    return _BODY if way == MUCH else b"x"


def _slowly() -> Iterator[bytes]:
    _never.wait(_LITTLE)
    yield b"x"


def _body_async(way: str) -> bytes | AsyncIterator[bytes]:
    if way == A_LITTLE_LATER:
        return _slowly_async()
    return _BODY if way == MUCH else b"x"


async def _slowly_async() -> AsyncIterator[bytes]:
    await anyio.sleep(_LITTLE)
    yield b"x"


def _in_asyncio(attempt: Any) -> Callable[[mtls.ClientProfile, int, str], None]:
    return lambda *arguments: asyncio.run(asyncio.wait_for(attempt(*arguments), DEADLINE))


def _in_uvloop(attempt: Any) -> Callable[[mtls.ClientProfile, int, str], None]:
    def run(*arguments: Any) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(asyncio.wait_for(attempt(*arguments), DEADLINE))

    return run


def _in_trio(attempt: Any) -> Callable[[mtls.ClientProfile, int, str], None]:
    return lambda *arguments: trio.run(attempt, *arguments)


_CONTEXT = "its context"
CLIENTS: tuple[Client, ...] = (
    Client("a plain socket", _CONTEXT, _raw, keeps=True),
    Client("http.client", _CONTEXT, _http_client, keeps=True),
    Client("urllib3", _CONTEXT, _urllib3, keeps=True),
    Client("requests", "`MTLSAdapter`", _requests, keeps=True),
    Client("httpx", _CONTEXT, _httpx, keeps=True),
    Client("asyncio streams", "`open_connection`", _in_asyncio(_our_streams), keeps=True),
    Client("aiohttp", "`connector`", _in_asyncio(_our_aiohttp), keeps=True),
    Client("httpx, async", "`AsyncTransport`", _in_asyncio(_our_httpx_async), keeps=True),
    Client("httpx, async, in trio", "`AsyncTransport`", _in_trio(_our_httpx_async), keeps=True),
    Client("anyio", "`connect_tcp`", _in_asyncio(_our_anyio), keeps=True),
    Client("anyio, in trio", "`connect_tcp`", _in_trio(_our_anyio), keeps=True),
    Client("trio", "`open_ssl_over_tcp_stream`", _in_trio(_our_trio), keeps=True),
    Client(
        "websockets", "`connect_socket`, `ClientConnection`", _in_asyncio(_our_websockets), keeps=True, ways=(AT_ONCE,)
    ),
    Client("asyncio streams", _CONTEXT, _in_asyncio(_streams), keeps=False),
    Client("asyncio streams, uvloop", _CONTEXT, _in_uvloop(_streams), keeps=False),
    Client("asyncio streams, uvloop", "`open_connection`", _in_uvloop(_our_streams), keeps=False),
    Client("aiohttp", _CONTEXT, _in_asyncio(_aiohttp), keeps=False),
    Client("aiohttp, uvloop", "`connector`", _in_uvloop(_our_aiohttp), keeps=False),
    Client("httpx, async", _CONTEXT, _in_asyncio(_httpx_async), keeps=False),
    Client("httpx, async, in trio", _CONTEXT, _in_trio(_httpx_async), keeps=False),
    Client("httpx, async, uvloop", "`AsyncTransport`", _in_uvloop(_our_httpx_async), keeps=False),
    Client("anyio", _CONTEXT, _in_asyncio(_anyio), keeps=False),
    Client("trio", _CONTEXT, _in_trio(_trio), keeps=False),
    Client("websockets", _CONTEXT, _in_asyncio(_websockets), keeps=False, ways=(AT_ONCE,)),
)
