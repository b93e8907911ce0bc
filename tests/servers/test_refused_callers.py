"""Whoever is refused is reported exactly once, with the step and the address, under every server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import socket
import threading
from typing import TYPE_CHECKING, Any

import anyio
import anyio.streams.tls
import pytest
import trio
import uvloop
from aiohttp import web

import mtls

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf, ServeASGI

DEADLINE = 20.0
TLS12 = mtls.TLSPolicy(name="1.2", maximum_version=mtls.TLSVersion.TLSv1_2)

# --- servers ---


@contextlib.contextmanager
def in_threads(context: mtls.TLSContext, _: Any) -> Iterator[int]:
    def answer(plain: socket.socket) -> None:
        with contextlib.suppress(OSError), plain, context.wrap_socket(plain, server_side=True) as tls:
            tls.recv(1000)
            tls.sendall(b"hello")

    def accept() -> None:
        while True:
            plain, _ = listener.accept()
            if over.is_set():
                plain.close()
                return
            plain.settimeout(DEADLINE)
            threads.append(threading.Thread(target=answer, args=(plain,)))
            threads[-1].start()

    threads: list[threading.Thread] = []
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield listener.getsockname()[1]
        finally:
            over.set()
            socket.create_connection(listener.getsockname()).close()
            accepting.join(DEADLINE)
            for thread in threads:
                thread.join(DEADLINE)


def in_loop(serve: Callable[[mtls.TLSContext], Any], factory: Any = None) -> Any:
    """A server of asyncio in a thread."""

    @contextlib.contextmanager
    def running(context: mtls.TLSContext, _: Any) -> Iterator[int]:
        ports: queue.Queue[int] = queue.Queue()
        over = threading.Event()

        async def run() -> None:
            async with serve(context) as port:
                ports.put(port)
                await asyncio.to_thread(over.wait, DEADLINE)

        def main() -> None:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(run())

        thread = threading.Thread(target=main)
        thread.start()
        try:
            yield ports.get(timeout=DEADLINE)
        finally:
            over.set()
            thread.join(DEADLINE)
            assert not thread.is_alive()

    return running


@contextlib.asynccontextmanager
async def streams(context: mtls.TLSContext) -> AsyncIterator[int]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            await reader.read(1000)
            writer.write(b"hello")
            await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context) as server:
        yield server.sockets[0].getsockname()[1]


@contextlib.asynccontextmanager
async def aiohttp_server(context: mtls.TLSContext) -> AsyncIterator[int]:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="hello")

    app = web.Application()
    app.add_routes([web.get("/", answer)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def anyio_server(context: mtls.TLSContext) -> AsyncIterator[int]:
    async def answer(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(b"hello")

    plain = await anyio.create_tcp_listener(local_host="127.0.0.1")
    listener = anyio.streams.tls.TLSListener(plain, context, standard_compatible=False)
    async with plain, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        yield plain.extra(anyio.abc.SocketAttribute.local_port)
        group.cancel_scope.cancel()


@contextlib.contextmanager
def uvicorn_server(context: mtls.TLSContext, serve_asgi: ServeASGI) -> Iterator[int]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": b"hello"})

    yield serve_asgi(app, None, ssl_context_factory=lambda *_: context).port


SERVERS: dict[str, tuple[Any, bool]] = {
    "threads": (in_threads, True),
    "asyncio": (in_loop(streams), True),
    "uvloop": (in_loop(streams, uvloop.new_event_loop), False),
    "aiohttp": (in_loop(aiohttp_server), True),
    "anyio": (in_loop(anyio_server), True),
    "uvicorn": (uvicorn_server, False),  # it runs in uvloop where that is installed
}
"""Each server, and whether the address of a caller can be known under it."""


def call(context: mtls.TLSContext, port: int) -> tuple[str, bytes | OSError]:
    """Our address, and the answer or the refusal."""
    with socket.create_connection(("127.0.0.1", port), timeout=DEADLINE) as plain:
        host, own_port = plain.getsockname()[:2]
        address = f"{host}:{own_port}"
        try:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = b""
                while part := tls.recv(1000):
                    answer += part
                return address, answer
        except OSError as error:
            return address, error


def assert_served(outcome: object) -> None:
    assert isinstance(outcome, bytes)
    assert b"hello" in outcome


@pytest.mark.parametrize("server", SERVERS)
@pytest.mark.parametrize("policy", [mtls.MOZILLA_INTERMEDIATE, TLS12], ids=["TLS 1.3", "TLS 1.2"])
def test_each_refused_client_is_reported_once_with_its_step_and_address(
    authority: CertificateAuthority,
    stranger: CertificateAuthority,
    client_of: ClientOf,
    serve_asgi: ServeASGI,
    caplog: pytest.LogCaptureFixture,
    server: str,
    policy: mtls.TLSPolicy,
) -> None:
    errors: queue.Queue[mtls.HandshakeError] = queue.Queue()
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        authorize=mtls.PeerPolicy.dns("billing.example"),
        policy=policy,
    )
    callers = [
        (client_of(None), 5),
        (client_of("billing.example", issuer=stranger), 6),
        (client_of("other.example"), 6),
    ]
    running, knows_address = SERVERS[server]
    with caplog.at_level(logging.INFO, "mtls"):
        with running(profile.ssl_context(on_handshake_error=errors.put), serve_asgi) as port:
            for context, step in callers:
                address, outcome = call(context, port)
                assert outcome == b"" or isinstance(outcome, OSError)
                error = errors.get(timeout=DEADLINE)
                assert (error.step, error.side, error.role) == (step, "local", "server")
                assert error.peer_address == (address if knows_address else None)
            assert_served(call(client_of("billing.example"), port)[1])
        assert errors.empty()
    told = [record.getMessage() for record in caplog.records if record.name == "mtls"]
    assert [line.partition(" failed")[0] for line in told] == [
        "step 5 CLIENT_CERTIFICATE",
        "step 6 SERVER_VERIFIES_CLIENT",
        "step 6 SERVER_VERIFIES_CLIENT",
    ]


@pytest.mark.parametrize("server", ["threads", "asyncio", "uvicorn"])
def test_a_callback_that_raises_changes_nothing_but_the_log(
    authority: CertificateAuthority,
    client_of: ClientOf,
    serve_asgi: ServeASGI,
    caplog: pytest.LogCaptureFixture,
    server: str,
) -> None:
    def fail(_: mtls.HandshakeError) -> None:
        raise RuntimeError("the callback is broken")

    profile = mtls.TLSProfile.server(keystore=authority.server("localhost"), truststore=authority.truststore)
    running, _ = SERVERS[server]
    with (
        caplog.at_level(logging.INFO, "mtls"),
        running(profile.ssl_context(on_handshake_error=fail), serve_asgi) as port,
    ):
        refusal = call(client_of(None), port)[1]
        assert isinstance(refusal, mtls.HandshakeError)
        assert (refusal.step, refusal.alert) == (5, "certificate_required")
        assert_served(call(client_of("billing.example"), port)[1])
    assert [record.levelname for record in caplog.records if record.name == "mtls"] == ["INFO", "ERROR"]


def test_the_address_of_a_caller_is_known_under_trio(authority: CertificateAuthority, client_of: ClientOf) -> None:
    errors: list[mtls.HandshakeError] = []
    profile = mtls.TLSProfile.server(keystore=authority.server("localhost"), truststore=authority.truststore)
    context = profile.ssl_context(on_handshake_error=errors.append)

    async def refuse(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.do_handshake()

    async def visit() -> str:
        async with trio.open_nursery() as nursery:
            listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, refuse, listeners)
            below: Any = listeners[0].transport_listener
            address, _ = await trio.to_thread.run_sync(call, client_of(None), below.socket.getsockname()[1])
            nursery.cancel_scope.cancel()
        return address

    address = trio.run(visit)
    assert [error.peer_address for error in errors] == [address]
