"""websockets, sync and in asyncio, whose ``connect`` takes our context by ``ssl=``: errors, reconnection, proxies."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
import uvloop
from websockets.asyncio.client import connect as connect_async
from websockets.client import process_exception
from websockets.exceptions import ConnectionClosedError, InvalidMessage
from websockets.sync.client import connect

import mtls
from mtls import TLSVersion

if TYPE_CHECKING:
    import ssl

    from tests.clients.conftest import ContextOf, Placed, Proxy, Refused, Serve, Server

_LOOPS = {"asyncio": None, "uvloop": uvloop.new_event_loop}


@pytest.fixture
def server(serve: Serve, server_profile: mtls.ServerProfile) -> Server:
    """The sync client reads in a thread of its own, see ``Serve``."""
    return serve(server_profile, tickets=False)


@pytest.fixture(params=["sync", "asyncio", "uvloop"])
def who_answers(request: pytest.FixtureRequest) -> Any:
    """Connects and reads the greeting; who the server is."""

    def ask(server: Server, context: ssl.SSLContext, **options: Any) -> mtls.PeerIdentity | None:
        with connect(f"{_url(server)}half", ssl=context, **options) as websocket:
            assert websocket.recv() == "hello"
            identity = mtls.peer_identity(websocket.socket)
            server.rest.set()
            return identity

    async def ask_async(server: Server, context: ssl.SSLContext, options: dict[str, Any]) -> mtls.PeerIdentity | None:
        async with connect_async(f"{_url(server)}half", ssl=context, **options) as websocket:
            assert await websocket.recv() == "hello"
            identity = mtls.peer_identity(websocket.transport)
            server.rest.set()
            return identity

    def run(server: Server, context: ssl.SSLContext, **options: Any) -> mtls.PeerIdentity | None:
        with asyncio.Runner(loop_factory=_LOOPS[request.param]) as runner:
            return runner.run(ask_async(server, context, options))

    return ask if request.param == "sync" else run


def _url(server: Server) -> str:
    return f"wss://localhost:{server.port}/"


class TestConnect:
    def test_tells_who_answered(self, who_answers: Any, server: Server, context: mtls.TLSContext) -> None:
        identity = who_answers(server, context)
        assert identity.dns_names == ("localhost",)
        assert server.seen().client == "billing-prod"

    @pytest.mark.parametrize("how", ["proxy=", "https_proxy"])
    def test_shows_its_certificate_through_a_proxy(
        self,
        who_answers: Any,
        server: Server,
        proxy: Proxy,
        context: mtls.TLSContext,
        monkeypatch: pytest.MonkeyPatch,
        how: str,
    ) -> None:
        options = {"proxy": proxy.url} if how == "proxy=" else {}
        if how != "proxy=":
            monkeypatch.setenv(how, proxy.url)
        who_answers(server, context, **options)
        assert proxy.tunnel() == (None, f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_raises_our_error_itself_when_it_refuses_the_server(
        self, who_answers: Any, strange_server: Server, context: mtls.TLSContext, placed: Placed
    ) -> None:
        with pytest.raises(mtls.PeerVerificationError) as caught:
            who_answers(strange_server, context)
        assert placed(caught.value) == (4, "local", "unknown_ca")

    def test_raises_our_error_itself_when_it_is_refused_in_the_handshake(
        self, who_answers: Any, server: Server, refused: Refused, context_of: ContextOf, placed: Placed
    ) -> None:
        with pytest.raises(mtls.HandshakeError) as caught:
            who_answers(server, context_of(refused.profile(TLSVersion.TLSv1_2)))
        assert placed(caught.value) == refused.told

    def test_hides_a_late_refusal_in_an_error_of_its_own(
        self, who_answers: Any, server: Server, refused: Refused, context_of: ContextOf, placed: Placed
    ) -> None:
        """It keeps the cause for itself, so that a refusal looks like a server that went away: no step is claimed."""
        with pytest.raises((InvalidMessage, ConnectionClosedError)) as caught:
            who_answers(server, context_of(refused.profile(TLSVersion.TLSv1_3)))
        found = placed(caught.value)
        assert found is None or found[0] is None or found == refused.told


class TestReconnection:
    """``async for`` connects anew for as long as an error looks as if it might pass, and an ``OSError`` does."""

    def test_is_tried_for_ever_when_tls_fails(self, strange_server: Server, context: mtls.TLSContext) -> None:
        with pytest.raises(mtls.PeerVerificationError) as caught, connect(_url(strange_server), ssl=context):
            pass
        assert process_exception(caught.value) is None  # which means: try again

    def test_ends_where_it_is_told_that_a_refusal_stays_one(
        self, strange_server: Server, context: mtls.TLSContext, placed: Placed
    ) -> None:
        def give_up(exc: Exception) -> Exception | None:
            return exc if mtls.explain(exc) else process_exception(exc)

        async def listen() -> None:
            async for websocket in connect_async(_url(strange_server), ssl=context, process_exception=give_up):
                await websocket.recv()

        with pytest.raises(mtls.PeerVerificationError) as caught:
            asyncio.run(listen())
        assert placed(caught.value) == (4, "local", "unknown_ca")
        assert isinstance(strange_server.outcome(), mtls.HandshakeError)
        assert strange_server.heard_nothing_more()
