"""The client of aiohttp, whose connector takes our context by ``ssl=``: what a request can do past it, and refusals."""

from __future__ import annotations

import asyncio
import io
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import uvloop
from cryptography.hazmat.primitives.hashes import SHA256

import mtls
from mtls import TLSVersion

if TYPE_CHECKING:
    import ssl

    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import ContextOf, Placed, Proxy, Refused, Serve, Server

_BIG = bytes(2 * 1024 * 1024)
_LOOPS = pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])


def _ask(url: str, context: ssl.SSLContext, *, loop: Any = None, method: str = "GET", **options: Any) -> bytes:
    async def call() -> bytes:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), trust_env=True)
        async with session, session.request(method, url, **options) as answer:
            return await answer.read()

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(call())


class TestTheTrapOfARequest:
    """``ssl=`` of one request beats the connector's. No profile can protect a connection that does not use it."""

    @pytest.mark.parametrize("how", ["False", "a fingerprint"])
    def test_a_server_that_the_context_refuses_is_accepted(
        self, serve: Serve, stranger: CertificateAuthority, context: mtls.TLSContext, how: str
    ) -> None:
        keystore = stranger.server("other.example")
        server = serve(mtls.TLSProfile.server(keystore=keystore))
        pin = aiohttp.Fingerprint(keystore.certificate.fingerprint(SHA256()))
        assert _ask(server.url, context, ssl=False if how == "False" else pin) == b"hello"
        assert server.seen().client is None

    def test_no_certificate_is_shown_then(self, server: Server, context: mtls.TLSContext, placed: Placed) -> None:
        with pytest.raises(aiohttp.ClientError):
            _ask(server.url, context, ssl=False)
        outcome = server.outcome()
        assert isinstance(outcome, mtls.HandshakeError)
        assert placed(outcome) == (5, "local", "certificate_required")

    def test_true_is_the_connector_s_and_another_context_is_another(
        self, server: Server, context: mtls.TLSContext, context_of: ContextOf, authority: CertificateAuthority
    ) -> None:
        assert _ask(server.url, context, ssl=True) == b"hello"
        assert server.seen().client == "billing-prod"
        other = context_of(mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("other")))
        assert _ask(server.url, context, ssl=other) == b"hello"
        assert server.seen().client == "other"

    def test_a_connection_that_was_made_without_checks_is_not_used_for_a_request_with_them(
        self, strange_server: Server, context: mtls.TLSContext, placed: Placed
    ) -> None:
        async def ask() -> None:
            async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as session:
                async with session.get(strange_server.url, ssl=False) as answer:
                    await answer.read()
                await session.get(strange_server.url)

        with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
            asyncio.run(ask())
        assert placed(caught.value) == (4, "local", "unknown_ca")


class TestRefusals:
    @_LOOPS
    def test_a_server_that_is_refused_is_a_certificate_error(
        self, strange_server: Server, context: mtls.TLSContext, placed: Placed, loop: Any
    ) -> None:
        with pytest.raises(aiohttp.ClientConnectorCertificateError) as caught:
            _ask(strange_server.url, context, loop=loop)
        assert isinstance(caught.value.certificate_error, mtls.PeerVerificationError)
        assert placed(caught.value) == (4, "local", "unknown_ca")

    @_LOOPS
    def test_a_refusal_of_the_server_in_the_handshake_is_an_ssl_error(
        self, server: Server, refused: Refused, context_of: ContextOf, placed: Placed, loop: Any
    ) -> None:
        with pytest.raises(aiohttp.ClientConnectorSSLError) as caught:
            _ask(server.url, context_of(refused.profile(TLSVersion.TLSv1_2)), loop=loop)
        assert placed(caught.value) == refused.told

    @_LOOPS
    def test_of_late_refusals_of_2_mb_some_are_lost_and_none_is_told_wrongly(
        self, server: Server, refused: Refused, context_of: ContextOf, placed: Placed, loop: Any
    ) -> None:
        """The write fails in the transport, where nobody looks for the alert, or before the request has begun."""
        context = context_of(refused.profile(TLSVersion.TLSv1_3))
        for _ in range(10):
            with pytest.raises(aiohttp.ClientOSError) as caught:
                _ask(server.url, context, loop=loop, method="POST", data=io.BytesIO(_BIG))
            assert placed(caught.value) in {None, refused.told}


class TestProxies:
    """A proxy is met with the context of the request, so it sees the same certificate."""

    @pytest.mark.parametrize("how", ["proxy=", "HTTPS_PROXY"])
    def test_the_server_behind_a_proxy_knows_the_client(
        self, server: Server, proxy: Proxy, context: mtls.TLSContext, monkeypatch: pytest.MonkeyPatch, how: str
    ) -> None:
        options = {"proxy": proxy.url} if how == "proxy=" else {}
        if how != "proxy=":
            monkeypatch.setenv(how, proxy.url)
        assert _ask(server.url, context, **options) == b"hello"
        assert proxy.tunnel() == (None, f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_a_tls_proxy_sees_the_certificate_too(
        self, server: Server, tls_proxy: Proxy, context: mtls.TLSContext
    ) -> None:
        assert _ask(server.url, context, proxy=tls_proxy.url) == b"hello"
        assert tls_proxy.tunnel() == ("billing-prod", f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"


class TestTheServer:
    """Who answered: the transport is within reach for as long as the answer is on its way."""

    def test_is_known_before_the_answer_has_come_in_whole(self, server: Server, context: mtls.TLSContext) -> None:
        async def ask() -> tuple[mtls.PeerIdentity | None, bytes]:
            connector = aiohttp.TCPConnector(ssl=context)
            async with (
                aiohttp.ClientSession(connector=connector) as session,
                session.get(f"{server.url}half") as answer,
            ):
                assert answer.connection is not None
                identity = mtls.peer_identity(answer.connection.transport)
                server.rest.set()
                return identity, await answer.read()

        identity, content = asyncio.run(ask())
        assert identity is not None
        assert (identity.dns_names, content) == (("localhost",), b"hello")

    def test_is_out_of_reach_when_a_short_answer_came_at_once(self, server: Server, context: mtls.TLSContext) -> None:
        async def ask() -> object:
            connector = aiohttp.TCPConnector(ssl=context)
            async with aiohttp.ClientSession(connector=connector) as session, session.get(server.url) as answer:
                return answer.connection

        assert asyncio.run(ask()) is None
