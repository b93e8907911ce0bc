"""A server in an event loop says why it refused: the loop would drop the alert with the connection."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from typing import TYPE_CHECKING

import pytest

import mtls

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
