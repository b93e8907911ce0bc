"""The servers of websockets, in asyncio and uvloop (``connection.transport``) and in threads (``connection.socket``).

The client is the one in asyncio. The one in threads reads and writes one SSL object from two threads, and can wait for
ever over TLS 1.3 where only a session ticket came; with a context of the standard library, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve as serve_asyncio
from websockets.exceptions import WebSocketException
from websockets.sync.server import serve as serve_sync

import mtls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Coroutine, Iterator
    from pathlib import Path

    from websockets.asyncio.server import ServerConnection
    from websockets.sync.server import ServerConnection as SyncServerConnection

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf

_DEADLINE = 20.0
_FORGED = {"X-SSL-Client-Cert": "audit.example", "Client-Cert": ":bm9ib2R5:"}
_UPGRADE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}

calls: list[str] = []
"""The paths of the connections that reached the handler."""


def _name(peer: mtls.PeerIdentity | None) -> str:
    return "nobody" if peer is None else peer.dns_names[0]


async def _handle(connection: ServerConnection) -> None:
    assert connection.request is not None
    calls.append(connection.request.path)
    async for message in connection:
        await connection.send(f"{message!s} {_name(mtls.peer_identity(connection.transport))}")


def _handle_in_a_thread(connection: SyncServerConnection) -> None:
    assert connection.request is not None
    calls.append(connection.request.path)
    for message in connection:
        connection.send(f"{message!s} {_name(mtls.peer_identity(connection.socket))}")


class ServeWebSockets(Protocol):
    """Runs a server until the end of the test, and gives its port."""

    def __call__(self, context: ssl.SSLContext | None) -> int: ...


@pytest.fixture(params=["sync", *_LOOPS])
def serve(request: pytest.FixtureRequest) -> Iterator[ServeWebSockets]:
    calls.clear()
    with contextlib.ExitStack() as running:

        def in_threads(context: ssl.SSLContext | None) -> int:
            server = serve_sync(_handle_in_a_thread, "127.0.0.1", 0, ssl=context)
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            running.callback(thread.join, _DEADLINE)
            running.callback(server.shutdown)
            port: int = server.socket.getsockname()[1]
            return port

        def in_a_loop(context: ssl.SSLContext | None) -> int:
            runner = asyncio.Runner(loop_factory=_LOOPS[request.param])
            loop = runner.get_loop()

            async def start() -> Any:
                return await serve_asyncio(_handle, "127.0.0.1", 0, ssl=context)

            async def stop() -> None:
                server.close()
                await server.wait_closed()

            server = runner.run(start())
            thread = threading.Thread(target=loop.run_forever)
            thread.start()
            running.callback(runner.close)
            running.callback(thread.join, _DEADLINE)
            running.callback(loop.call_soon_threadsafe, loop.stop)
            running.callback(lambda: asyncio.run_coroutine_threadsafe(stop(), loop).result(_DEADLINE))
            port: int = next(iter(server.sockets)).getsockname()[1]
            return port

        yield in_threads if request.param == "sync" else in_a_loop


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 30))


def _connect(port: int, context: ssl.SSLContext | None, path: str = "/", **options: Any) -> connect:
    scheme = "ws" if context is None else "wss"
    return connect(f"{scheme}://localhost:{port}{path}", ssl=context, proxy=None, **options)


async def _answer(port: int, context: ssl.SSLContext | None, path: str = "/", **options: Any) -> str | bytes:
    async with _connect(port, context, path, **options) as connection:
        await connection.send("I am")
        return await connection.recv()


def test_240_interleaved_messages_of_12_users_each_get_their_own_name(
    server_profile: mtls.ServerProfile, serve: ServeWebSockets, client_of: ClientOf
) -> None:
    port = serve(server_profile.ssl_context())

    async def test() -> None:
        right: Counter[bool] = Counter()
        names = [f"user-{number}.example" for number in range(12)]
        together = asyncio.Barrier(len(names))

        async def talk(name: str) -> None:
            async with _connect(port, client_of(name)) as connection:
                for number in range(20):
                    await together.wait()
                    await connection.send(str(number))
                    right[await connection.recv() == f"{number} {name}"] += 1

        await asyncio.gather(*map(talk, names))
        assert right == {True: 240}

    run(test())


def test_80_of_80_refused_clients_are_told_the_step_and_reach_no_handler(
    server_profile: mtls.ServerProfile, serve: ServeWebSockets, client_of: ClientOf, stranger: CertificateAuthority
) -> None:
    """They write as early as they can; the client of websockets would keep the late ones of TLS 1.3 for itself."""
    port = serve(server_profile.ssl_context())
    told: Counter[tuple[Any, ...]] = Counter()

    def ask(context: mtls.TLSContext) -> None:
        with (
            socket.create_connection(("127.0.0.1", port), _DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
        ):
            tls.sendall(_UPGRADE)
            tls.recv(4096)

    for context in [client_of(None), client_of("billing.example", issuer=stranger)] * 40:
        with pytest.raises(mtls.HandshakeError) as caught:
            ask(context)
        told[caught.value.step, caught.value.failure, caught.value.side] += 1
    assert told == {(5, "certificate_required", "peer"): 40, (6, "unknown_ca", "peer"): 40}
    assert calls == []


def test_a_client_of_websockets_that_is_refused_in_the_handshake_raises_the_step_itself(
    authority: CertificateAuthority, server_profile: mtls.ServerProfile, serve: ServeWebSockets
) -> None:
    port = serve(server_profile.ssl_context())
    policy = mtls.TLSPolicy(name="TLS 1.2 only", maximum_version=mtls.TLSVersion.TLSv1_2)
    bare = mtls.TLSProfile.client(truststore=authority.truststore, policy=policy)

    async def test() -> None:
        with pytest.raises(mtls.HandshakeError) as caught:
            await _answer(port, bare.ssl_context())
        assert (caught.value.step, caught.value.side) == (5, "peer")

    run(test())
    assert calls == []


def test_a_client_that_authorize_refuses_learns_nothing_and_reaches_no_handler(
    authority: CertificateAuthority, serve: ServeWebSockets, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        authorize=mtls.PeerPolicy.dns("audit.example"),
    )
    port = serve(profile.ssl_context())

    async def test() -> None:
        with pytest.raises((OSError, EOFError, WebSocketException)) as caught:
            await _answer(port, client_of("billing.example"), "/not-authorized")
        assert mtls.explain(caught.value) is None
        assert await _answer(port, client_of("audit.example"), "/authorized") == "I am audit.example"

    run(test())
    assert calls == ["/authorized"]
    assert [record.levelname for record in caplog.records if record.name == "mtls"] == ["WARNING"]
    assert "authorize= does not admit <PeerIdentity billing.example>" in caplog.text


def test_an_unverified_client_is_nobody_whatever_its_headers_say(
    authority: CertificateAuthority, serve: ServeWebSockets, client_of: ClientOf
) -> None:
    optional = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, client_auth=mtls.ClientAuth.OPTIONAL
    )
    port, plain = serve(optional.ssl_context()), serve(None)

    async def test() -> None:
        assert await _answer(port, client_of("billing.example"), additional_headers=_FORGED) == "I am billing.example"
        assert await _answer(port, client_of(None), additional_headers=_FORGED) == "I am nobody"
        assert await _answer(plain, None, additional_headers=_FORGED) == "I am nobody"

    run(test())


def test_a_running_server_follows_its_files(
    authority: CertificateAuthority, serve: ServeWebSockets, client_of: ClientOf, tmp_path: Path
) -> None:
    authority.save_keystore(authority.server("localhost", serial_number=1), tmp_path)
    profile = mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory(tmp_path), truststore=mtls.Truststore.from_directory(tmp_path)
    )
    port = serve(profile.ssl_context(reload=mtls.Reload(min_interval=0)))

    async def say(connection: Any, serial: int) -> None:
        server = mtls.peer_identity(connection.transport)
        assert server is not None
        assert server.certificate.serial_number == serial
        await connection.send("I am")
        assert await connection.recv() == "I am billing.example"

    async def test() -> None:
        context = client_of("billing.example")
        async with _connect(port, context) as old:
            await say(old, 1)
            renewed = authority.server("localhost", serial_number=2)
            authority.save_keystore(renewed, tmp_path, existing=mtls.Existing.REPLACE)
            async with _connect(port, context) as new:
                await say(new, 2)
            await say(old, 1)

    run(test())
