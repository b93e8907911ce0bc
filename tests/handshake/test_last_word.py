"""A server in an event loop says why it refused: the loop would drop the alert with the connection."""

from __future__ import annotations

import asyncio
import ssl
import time

import pytest

import mtls
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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


def test_a_refused_client_that_does_not_close_is_cut_off_by_the_handshake_timeout(
    server_profile: mtls.ServerProfile, bare_client_profile: mtls.ClientProfile
) -> None:
    async def visit() -> tuple[bytes, bytes, float]:
        server = await asyncio.start_server(
            lambda _, __: None, "127.0.0.1", 0, ssl=server_profile.ssl_context(), ssl_handshake_timeout=0.3
        )
        async with server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = bare_client_profile.ssl_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
            began = time.monotonic()
            received = []
            while True:
                try:
                    tls.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    writer.write(outgoing.read())
                    incoming.write(await reader.read(65536))
            writer.write(outgoing.read())
            while part := await reader.read(65536):
                received.append(part)
            writer.close()
            incoming.write(b"".join(received))
            with pytest.raises(mtls.HandshakeError) as caught:
                tls.read()
            assert caught.value.step == 5
            return received[0], b"".join(received[1:]), time.monotonic() - began

    alert, rest, took = asyncio.run(visit())
    assert alert
    assert not rest
    assert 0.25 < took < 10
