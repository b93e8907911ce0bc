"""A server in an event loop says why it refused: the loop would drop the alert with the connection."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio

import mtls
from mtls._handshake import standins

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from mtls.authority import CertificateAuthority


@pytest.mark.parametrize("authorize", [{}, {"authorize": mtls.PeerPolicy.dns("somebody.else")}], ids=["ca", "policy"])
def test_a_rehearsal_in_an_event_loop_ends_as_it_does_outside(
    authority: CertificateAuthority, stranger: CertificateAuthority, authorize: dict[str, mtls.PeerPolicy]
) -> None:
    issuer = authority if authorize else stranger
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=issuer.client("c"))
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        **authorize,  # type: ignore[arg-type] # as named
    )

    async def inside() -> mtls.Handshake:
        return mtls.rehearse(client, server)

    results = mtls.rehearse(client, server), asyncio.run(inside())
    errors = [(result.server.error, result.client.error) for result in results]
    assert str(errors[0]) == str(errors[1])
    assert results[1].failed_step == 6
    assert isinstance(errors[1][0], mtls.PeerVerificationError)


async def _refused(
    server_profile: mtls.ServerProfile,
    client_profile: mtls.ClientProfile,
    then: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
    ssl_handshake_timeout: float = 20.0,
    close: bool = True,
) -> None:
    """Shake hands with an asyncio server, hear the refusal, and do something else than close."""
    accepting = asyncio.start_server(
        lambda _, __: None,
        "127.0.0.1",
        0,
        ssl=server_profile.ssl_context(),
        ssl_handshake_timeout=ssl_handshake_timeout,
    )
    async with await accepting as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = client_profile.ssl_context().wrap_bio(incoming, outgoing, server_hostname="localhost")

        async def wait_for(action: Callable[[], object]) -> None:
            while True:
                try:
                    action()
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
                else:
                    return

        await wait_for(tls.do_handshake)
        with pytest.raises(mtls.HandshakeError) as caught:
            await wait_for(tls.read)
        assert caught.value.alert == "certificate_required"
        await then(reader, writer)
        if close:
            writer.close()
    writer.close()


def test_a_refused_client_that_does_not_close_is_cut_off_by_the_handshake_timeout(
    server_profile: mtls.ServerProfile, bare_client_profile: mtls.ClientProfile
) -> None:
    waited: list[float] = []

    async def wait(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        assert await reader.read() == b""
        waited.append(time.monotonic() - began)

    asyncio.run(_refused(server_profile, bare_client_profile, wait, ssl_handshake_timeout=0.3))
    assert 0.2 < waited[0] < 10


@pytest.mark.parametrize("closing", [False, True], ids=["serving", "closing"])
def test_a_refused_client_that_stays_is_cut_off_in_seconds_and_holds_up_no_shutdown(
    server_profile: mtls.ServerProfile,
    bare_client_profile: mtls.ClientProfile,
    monkeypatch: pytest.MonkeyPatch,
    closing: bool,
) -> None:
    monkeypatch.setattr(standins, "_LINGERS", 0.3)
    waited: list[float] = []

    async def stay(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        began = time.monotonic()
        if not closing:
            assert await reader.read() == b""
            waited.append(time.monotonic() - began)

    async def visit() -> None:
        began = time.monotonic()
        await _refused(server_profile, bare_client_profile, stay, close=not closing)
        waited.append(time.monotonic() - began)

    asyncio.run(visit())
    assert max(waited) < 10


def test_a_refused_client_of_a_trio_server_hears_why(
    server_profile: mtls.ServerProfile, bare_client_profile: mtls.ClientProfile
) -> None:
    ended: list[BaseException] = []
    over: trio.Event

    async def never(stream: trio.SSLStream[trio.SocketStream]) -> None:
        try:
            await stream.do_handshake()
        except trio.BrokenResourceError as broken:
            ended.append(broken)
            over.set()

    def knock(port: int) -> mtls.HandshakeError:
        context = bare_client_profile.ssl_context()
        with (
            socket.create_connection(("127.0.0.1", port), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as tls,
            pytest.raises(mtls.HandshakeError) as caught,
        ):
            tls.recv(1)
        return caught.value

    async def visit() -> mtls.HandshakeError:
        nonlocal over
        over = trio.Event()
        async with trio.open_nursery() as nursery:
            context = server_profile.ssl_context()
            listeners = await trio.open_ssl_over_tcp_listeners(0, context, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, never, listeners)
            plain_listener: Any = listeners[0].transport_listener
            port = plain_listener.socket.getsockname()[1]
            told: mtls.HandshakeError = await trio.to_thread.run_sync(knock, port)
            await over.wait()
            nursery.cancel_scope.cancel()
        return told

    told = trio.run(visit)
    assert (told.step, told.alert) == (5, "certificate_required")
    here = mtls.explain(ended[0])
    assert isinstance(here, mtls.HandshakeError)
    assert (here.step, here.side) == (5, "local")


def test_a_refused_client_that_keeps_sending_is_cut_off_after_16_mib_and_logged_once(
    server_profile: mtls.ServerProfile, bare_client_profile: mtls.ClientProfile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mtls")
    sent: list[int] = []

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while len(sent) < 500:
                writer.write(bytes(1024 * 1024))
                await writer.drain()
                sent.append(1)

    asyncio.run(_refused(server_profile, bare_client_profile, flood))
    assert 16 <= len(sent) < 500
    assert [record.levelname for record in caplog.records if record.name == "mtls"] == ["INFO"]
