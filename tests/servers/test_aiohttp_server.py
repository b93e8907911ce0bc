"""aiohttp's server, in asyncio and uvloop: who calls, out of the request; and who is refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import pytest
import uvloop
from aiohttp import web

import mtls

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable, Coroutine
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf

_LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}
_FORGED = {"X-SSL-Client-Cert": "audit.example", "Client-Cert": ":bm9ib2R5:", "peercert": "audit.example"}
_AUDITORS = mtls.PeerPolicy.dns("audit.example")


class Service:
    """A server on a free port; ``calls`` has the path and caller of each request that reached a handler, and
    ``connections`` what they came on.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[str, str | None]] = []
        self.connections: set[Any] = set()
        self.url = ""

    @contextlib.asynccontextmanager
    async def running(self, context: ssl.SSLContext | None) -> AsyncIterator[Service]:
        app = web.Application()
        app.add_routes([web.get("/", self._who), web.get("/audit", self._audit), web.get("/feed", self._feed)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            self.url = f"{'http' if context is None else 'https'}://localhost:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    def session(self, context: ssl.SSLContext) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(ssl=context, limit=1, family=socket.AF_INET)
        return aiohttp.ClientSession(self.url, connector=connector)

    async def get(self, context: ssl.SSLContext, path: str = "/", **options: Any) -> tuple[int, str]:
        """Status and content of one answer, on a connection of its own."""
        async with self.session(context) as session, session.get(path, **options) as answer:
            return answer.status, await answer.text()

    def _note(self, request: web.Request) -> mtls.PeerIdentity | None:
        peer = mtls.peer_identity(request)
        assert mtls.peer_identity(request.transport) == peer
        self.calls.append((request.path, None if peer is None else peer.dns_names[0]))
        self.connections.add(request.protocol)
        return peer

    async def _who(self, request: web.Request) -> web.Response:
        peer = self._note(request)
        return web.Response(text="nobody" if peer is None else peer.dns_names[0])

    async def _audit(self, request: web.Request) -> web.Response:
        peer = self._note(request)
        if peer is None or _AUDITORS(peer) is not True:
            raise web.HTTPForbidden
        return web.Response(text="the books")

    async def _feed(self, request: web.Request) -> web.WebSocketResponse:
        feed = web.WebSocketResponse()
        await feed.prepare(request)
        async for message in feed:
            peer = self._note(request)
            assert peer is not None
            await feed.send_str(f"{message.data} {peer.dns_names[0]}")
        return feed


@pytest.fixture(params=_LOOPS)
def run(request: pytest.FixtureRequest) -> Callable[[Coroutine[Any, Any, None]], None]:
    def inside(test: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=_LOOPS[request.param]) as runner:
            runner.run(asyncio.wait_for(test, 30))

    return inside


def test_240_interleaved_requests_of_12_users_on_kept_connections_each_get_their_own_name(
    server_profile: mtls.ServerProfile, client_of: ClientOf, run: Any
) -> None:
    async def test() -> None:
        right: Counter[bool] = Counter()
        names = [f"user-{number}.example" for number in range(12)]
        together = asyncio.Barrier(len(names))

        async def ask(name: str) -> None:
            async with service.session(client_of(name)) as session:
                for _ in range(20):
                    await together.wait()
                    async with session.get("/") as answer:
                        right[await answer.text() == name] += 1

        async with Service().running(server_profile.ssl_context()) as service:
            await asyncio.gather(*map(ask, names))
        assert right == {True: 240}
        assert len(service.calls) == 240
        assert len(service.connections) == 12

    run(test())


def test_a_websocket_knows_its_caller_at_every_message(
    server_profile: mtls.ServerProfile, client_of: ClientOf, run: Any
) -> None:
    async def test() -> None:
        async def talk(name: str) -> None:
            async with service.session(client_of(name)) as session, session.ws_connect("/feed") as feed:
                for number in range(10):
                    await feed.send_str(str(number))
                    assert await feed.receive_str() == f"{number} {name}"

        async with Service().running(server_profile.ssl_context()) as service:
            await asyncio.gather(*(talk(f"user-{number}.example") for number in range(4)))
        assert len(service.calls) == 40

    run(test())


def test_100_of_100_refused_clients_are_told_the_step_and_reach_no_handler(
    server_profile: mtls.ServerProfile, client_of: ClientOf, stranger: CertificateAuthority, run: Any
) -> None:
    clients = [client_of(None), client_of("billing.example", issuer=stranger)]

    async def test() -> None:
        told: Counter[tuple[Any, ...]] = Counter()
        async with Service().running(server_profile.ssl_context()) as service:
            for data in (b"small", bytes(2_000_000)):
                for context in clients * 25:
                    with pytest.raises((httpx.TransportError, mtls.HandshakeError)) as caught:
                        async with httpx.AsyncClient(verify=context) as client:  # that of aiohttp loses some of 2 MB
                            await client.post(service.url, content=data)
                    error = mtls.explain(caught.value)
                    assert isinstance(error, mtls.HandshakeError), caught.value
                    told[error.step, error.failure, error.side] += 1
        assert told == {(5, "certificate_required", "peer"): 50, (6, "unknown_ca", "peer"): 50}
        assert service.calls == []

    run(test())


def test_a_client_that_authorize_refuses_learns_nothing_and_reaches_no_handler(
    authority: CertificateAuthority, client_of: ClientOf, caplog: pytest.LogCaptureFixture, run: Any
) -> None:
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=_AUDITORS
    )

    async def test() -> None:
        async with Service().running(profile.ssl_context()) as service:
            with pytest.raises(aiohttp.ServerDisconnectedError) as caught:
                await service.get(client_of("billing.example"))
            assert mtls.explain(caught.value) is None
            assert await service.get(client_of("audit.example")) == (200, "audit.example")
        assert service.calls == [("/", "audit.example")]

    run(test())
    levels = {record.levelname for record in caplog.records if record.name == "mtls"}
    assert levels == {"WARNING"}  # more than one record, because aiohttp asks a second time
    assert "authorize= does not admit <PeerIdentity billing.example>" in caplog.text


def test_a_route_takes_the_callers_of_its_policy_and_an_unverified_client_is_nobody_whatever_its_headers_say(
    authority: CertificateAuthority, client_of: ClientOf, run: Any
) -> None:
    optional = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, client_auth=mtls.ClientAuth.OPTIONAL
    )

    async def test() -> None:
        async with Service().running(optional.ssl_context()) as service:
            assert await service.get(client_of("audit.example"), "/audit") == (200, "the books")
            assert (await service.get(client_of("billing.example"), "/audit", headers=_FORGED))[0] == 403
            assert (await service.get(client_of(None), "/audit", headers=_FORGED))[0] == 403
            assert await service.get(client_of(None), headers=_FORGED) == (200, "nobody")
        async with Service().running(None) as plain:
            assert await plain.get(client_of("audit.example"), headers=_FORGED) == (200, "nobody")
            assert (await plain.get(client_of("audit.example"), "/audit", headers=_FORGED))[0] == 403

    run(test())


def test_a_running_server_follows_its_files(
    authority: CertificateAuthority, client_of: ClientOf, tmp_path: Path, run: Any
) -> None:
    authority.save_keystore(authority.server("localhost", serial_number=1), tmp_path)
    profile = mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory(tmp_path), truststore=mtls.Truststore.from_directory(tmp_path)
    )

    async def served(session: aiohttp.ClientSession) -> int:
        async with session.ws_connect("/feed") as feed:
            server = mtls.peer_identity(feed)
        assert server is not None
        return server.certificate.serial_number

    async def test() -> None:
        context = profile.ssl_context(reload=mtls.Reload(min_interval=0))
        async with Service().running(context) as service, service.session(client_of("old.example")) as kept:
            async with kept.get("/") as answer:
                assert await answer.text() == "old.example"
            renewed = authority.server("localhost", serial_number=2)
            authority.save_keystore(renewed, tmp_path, existing=mtls.Existing.REPLACE)
            async with service.session(client_of("new.example")) as new:
                assert await served(new) == 2
            async with kept.get("/") as answer:
                assert await answer.text() == "old.example"

    run(test())
