"""The peers that the examples of the failure pages meet: in memory, or plain ``ssl`` that minds nothing.

Rule: a profile of the library refuses to show a certificate that cannot work, so whoever shows a bad one here is a
context of the standard library. Nothing sleeps, and nothing leaves the machine.
"""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import mtls
from mtls._handshake.loopback import join
from mtls._handshake.staging import _temporary_file
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable

HOST = "api.partner.example"
_ROUNDS = 8
"""More turns than any handshake takes."""


def prepare(namespace: dict[str, Any]) -> None:
    """Give a page what its examples begin with: a CA, a stranger's CA, a client, a server, and the verbs below."""
    partner, ours = CertificateAuthority("Partner CA"), CertificateAuthority("Our CA")
    client = mtls.TLSProfile.client(truststore=partner.truststore, keystore=partner.client("billing.example"))
    server = mtls.TLSProfile.server(truststore=partner.truststore, keystore=partner.server(HOST))
    now = datetime.now(UTC)
    namespace.update(mtls=mtls, partner=partner, ours=ours, client=client, server=server, now=now)
    namespace.update(day=timedelta(days=1), meet=meet, answer=answer, call=call, tamper=tamper, bare=bare, ssl=ssl)


def bare(keystore: mtls.Keystore | None, *, server: bool, options: Callable[[Any], object] | None = None) -> Any:
    """A context of plain ``ssl`` that shows a certificate, good or not, and verifies nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if server else ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    if keystore is not None:
        with _temporary_file(keystore._pem().reveal()) as path:  # noqa: SLF001 - there is no public way to the key
            context.load_cert_chain(path)
    if options is not None:
        options(context)
    return context


def meet(client: Any, server: Any, hostname: str = HOST) -> tuple[Any, Any]:
    """What a client and a server fail with when they meet; each a profile, a context, or a keystore to show."""
    near, far = join(_context(client, server=False), _context(server, server=True), server_hostname=hostname)
    return near.error, far.error


def _context(side: Any, *, server: bool) -> Any:
    if isinstance(side, mtls.Keystore):
        return bare(side, server=server)
    return side if isinstance(side, ssl.SSLContext) else side.ssl_context()


def answer(client: mtls.ClientProfile, content: bytes | None) -> Any:
    """What a client fails with whose ClientHello is answered with these bytes, or with the end (``None``)."""
    return _receive(client.ssl_context(), content, {"server_hostname": HOST})


def call(server: mtls.ServerProfile, content: bytes | None) -> Any:
    """What a server fails with that is called with these bytes, or with the end (``None``)."""
    return _receive(server.ssl_context(), content, {"server_side": True})


def _receive(context: ssl.SSLContext, content: bytes | None, how: dict[str, Any]) -> Any:
    arriving = ssl.MemoryBIO()
    if content is None:
        arriving.write_eof()
    else:
        arriving.write(content)
    try:
        context.wrap_bio(arriving, ssl.MemoryBIO(), **how).do_handshake()
    except OSError as error:
        return error
    raise AssertionError


def tamper(client: mtls.ClientProfile, server: mtls.ServerProfile, flight: int) -> tuple[Any, Any]:
    """What both fail with if the last byte of the client's flight of this number (from 1) is changed on the way."""
    to_client, to_server, on_the_way = ssl.MemoryBIO(), ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (
        client.ssl_context().wrap_bio(to_client, on_the_way, server_hostname=HOST),
        server.ssl_context().wrap_bio(to_server, to_client, server_side=True),
    )
    errors: list[Any] = [None, None]
    sent = 0
    for _ in range(_ROUNDS):
        for place, side in enumerate(sides):
            if errors[place] is None:
                try:
                    side.do_handshake()
                    side.read()
                except ssl.SSLWantReadError:
                    pass
                except OSError as error:
                    errors[place] = error
            if content := on_the_way.read():
                sent += 1
                to_server.write(content[:-1] + bytes([content[-1] ^ 1]) if sent == flight else content)
    return errors[0], errors[1]
