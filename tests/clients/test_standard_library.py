"""``http.client``, ``urllib.request`` and asyncio streams: which error comes out, who answered, proxies, upgrades."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import urllib.error
import urllib.request
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
import uvloop

import mtls
from mtls import TLSVersion

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tests.clients.conftest import ContextOf, Placed, Proxy, Refused, Server

_BIG = bytes(2 * 1024 * 1024)
_DEADLINE = 20.0


class TestHTTPClient:
    @contextlib.contextmanager
    def _connection(self, port: int, context: ssl.SSLContext) -> Iterator[http.client.HTTPSConnection]:
        made = http.client.HTTPSConnection("localhost", port, context=context, timeout=_DEADLINE)
        with contextlib.closing(made):
            yield made

    def test_tells_who_answered(self, server: Server, context: mtls.TLSContext) -> None:
        with self._connection(server.port, context) as connection:
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
            identity = mtls.peer_identity(connection.sock)
        assert identity is not None
        assert identity.dns_names == ("localhost",)

    def test_shows_its_certificate_through_a_proxy(
        self, server: Server, proxy: Proxy, context: mtls.TLSContext
    ) -> None:
        with self._connection(proxy.port, context) as connection:
            connection.set_tunnel("localhost", server.port)
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
        assert proxy.tunnel() == (None, f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_raises_our_error_itself_when_a_post_of_2_mb_is_refused(
        self, server: Server, refused: Refused, context_of: ContextOf, placed: Placed
    ) -> None:
        context, heard = context_of(refused.profile(TLSVersion.TLSv1_3)), Counter[object]()

        def post() -> None:
            with self._connection(server.port, context) as connection:
                connection.request("POST", "/", _BIG)
                connection.getresponse()

        for _ in range(25):
            with pytest.raises(mtls.HandshakeError) as caught:
                post()
            heard[placed(caught.value)] += 1
        assert heard == {refused.told: 25}


class TestURLLibRequest:
    def test_takes_the_context_in_an_opener(self, server: Server, context: mtls.TLSContext) -> None:
        opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
        with opener.open(server.url, timeout=_DEADLINE) as answer:
            assert answer.read() == b"hello"
        assert server.seen().client == "billing-prod"

    def test_shows_its_certificate_through_the_proxy_of_the_environment(
        self, server: Server, proxy: Proxy, context: mtls.TLSContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("https_proxy", proxy.url)
        with urllib.request.urlopen(server.url, context=context, timeout=_DEADLINE) as answer:
            assert answer.read() == b"hello"
        assert proxy.tunnel() == (None, f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_wraps_what_fails_until_the_request_is_written(
        self, strange_server: Server, context: mtls.TLSContext
    ) -> None:
        with pytest.raises(urllib.error.URLError) as caught:
            urllib.request.urlopen(strange_server.url, context=context, timeout=_DEADLINE)
        assert isinstance(caught.value.reason, mtls.PeerVerificationError)

    @pytest.mark.parametrize("body", [None, _BIG], ids=["GET", "POST of 2 MB"])
    def test_wraps_a_late_refusal_or_not(
        self, server: Server, refused: Refused, context_of: ContextOf, placed: Placed, body: bytes | None
    ) -> None:
        """It is wrapped if the write failed, and comes bare if the read did."""
        context, heard = context_of(refused.profile(TLSVersion.TLSv1_3)), Counter[object]()
        for _ in range(25):
            with pytest.raises((urllib.error.URLError, mtls.HandshakeError)) as caught:
                urllib.request.urlopen(server.url, data=body, context=context, timeout=_DEADLINE)
            heard[placed(caught.value)] += 1
        assert heard == {refused.told: 25}


@pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
class TestStreams:
    def test_tell_who_answered(self, server: Server, context: mtls.TLSContext, loop: Any) -> None:
        async def ask() -> mtls.PeerIdentity | None:
            async with _stream(server, ssl=context) as (_, writer):
                return mtls.peer_identity(writer)

        identity = _run(ask(), loop)
        assert identity is not None
        assert identity.dns_names == ("localhost",)

    def test_check_the_name_that_is_given_rather_than_the_address(
        self, server: Server, context: mtls.TLSContext, placed: Placed, loop: Any
    ) -> None:
        async def ask(name: str) -> bytes:
            async with _stream(server, ssl=context, server_hostname=name) as streams:
                return await _hello(*streams)

        assert _run(ask("localhost"), loop) == b"hello"
        with pytest.raises(mtls.PeerVerificationError) as caught:
            _run(ask("other.example"), loop)
        assert placed(caught.value) == (4, "local", "hostname_mismatch")

    def test_can_be_upgraded(self, server: Server, context: mtls.TLSContext, loop: Any) -> None:
        async def ask() -> bytes:
            async with _stream(server) as (reader, writer):
                await writer.start_tls(context, server_hostname="localhost")
                return await _hello(reader, writer)

        assert _run(ask(), loop) == b"hello"
        assert server.seen().client == "billing-prod"

    def test_that_write_at_once_lose_some_late_refusals_in_asyncio_and_none_in_uvloop(
        self, server: Server, refused: Refused, context_of: ContextOf, placed: Placed, loop: Any
    ) -> None:
        """The loss is the transport's: when a write fails it drops the connection, with what waits to be read."""
        context, heard = context_of(refused.profile(TLSVersion.TLSv1_3)), Counter[object]()

        async def ask() -> None:
            async with _stream(server, ssl=context) as (reader, writer):
                writer.write(_BIG)
                await writer.drain()
                await reader.readexactly(1)

        for _ in range(20):
            with pytest.raises((mtls.HandshakeError, ConnectionError)) as caught:
                _run(ask(), loop)
            heard[placed(caught.value)] += 1
        if loop is None:
            heard[refused.told] += heard.pop(None, 0)
        assert heard == {refused.told: 20}

    def test_that_read_first_lose_none(
        self, server: Server, refused: Refused, context_of: ContextOf, placed: Placed, loop: Any
    ) -> None:
        context = context_of(refused.profile(TLSVersion.TLSv1_3))

        async def ask() -> None:
            async with _stream(server, ssl=context) as (reader, _):
                await reader.readexactly(1)

        for _ in range(20):
            with pytest.raises(mtls.HandshakeError) as caught:
                _run(ask(), loop)
            assert placed(caught.value) == refused.told


def _run(call: Any, loop: Any) -> Any:
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(call)


@contextlib.asynccontextmanager
async def _stream(server: Server, **options: Any) -> Any:
    host = "127.0.0.1" if "server_hostname" in options else "localhost"
    reader, writer = await asyncio.open_connection(host, server.port, **options)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"\r\n\r\n")
    return await reader.readexactly(5)
