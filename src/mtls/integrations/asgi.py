"""What an ASGI application is told of the TLS connection that a request came over.

Rule: it is read from this very connection, once, when it is made; an application sees a verified certificate or none.
"""

from __future__ import annotations

import _ssl
import functools
import logging
import ssl
from typing import TYPE_CHECKING, Any, TypedDict

from mtls._handshake.peer_identity import EXTENSION, peer_identity
from mtls.errors import ChainError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from cryptography import x509

    from mtls._handshake.peer import PeerIdentity


_log = logging.getLogger("mtls")

_VERSIONS = {"TLSv1.2": 0x0303, "TLSv1.3": 0x0304}
_SUITE = 0xFFFF
"""OpenSSL's number of a cipher suite has the two bytes of the protocol at its end."""


class TLSExtension(TypedDict):
    """``scope["extensions"]["tls"]``, by the ASGI TLS extension 0.2; on a plain connection it is not there."""

    server_cert: str | None
    """Our own certificate (PEM)."""
    client_cert_chain: tuple[str, ...]
    """The verified certificates of the client (PEM), leaf first, without a self-signed root; empty without a client
    certificate.
    """
    client_cert_name: str | None
    """The subject of the client (RFC 4514): for display, decide by the subjectAltName."""
    client_cert_error: None
    """Always ``None``: whoever shows a bad certificate does not get in."""
    tls_version: int | None
    """The number of the protocol version, 0x0304 for TLS 1.3."""
    cipher_suite: int | None
    """The number of the cipher suite in the IANA registry."""


class PeerExtension(TypedDict):
    """``scope["extensions"]["mtls"]``: who called. On a plain connection ``peer`` is ``None``."""

    version: str
    """``"1"``."""
    peer: PeerIdentity | None
    """The verified client, ``None`` where nobody was verified."""


def with_identity(
    app: Callable[[Any, Any, Any], Awaitable[None]], transport: Any
) -> Callable[[Any, Any, Any], Awaitable[None]]:
    """``app`` for the requests of one connection: their scopes get :func:`extensions`.

    ``transport`` is the asyncio transport of the connection, after its handshake.
    """
    known = extensions(transport)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        # copies, so that what one request changes is gone with it
        scope["extensions"] = {**(scope.get("extensions") or {}), **{name: {**known[name]} for name in known}}
        await app(scope, receive, send)

    return application


def extensions(transport: Any) -> dict[str, dict[str, Any]]:
    """The :class:`PeerExtension` as ``"mtls"`` and, on a TLS connection, the :class:`TLSExtension` as ``"tls"``."""
    tls = transport.get_extra_info("ssl_object")
    try:
        peer = peer_identity(transport)
    except ChainError as fault:
        _log.warning("a client is treated as nobody: %s", fault)
        peer = None
    known: dict[str, dict[str, Any]] = {EXTENSION: {**PeerExtension(version="1", peer=peer)}}
    if tls is not None:
        known["tls"] = {**_tls(tls, peer)}
    return known


def _tls(tls: ssl.SSLObject, peer: PeerIdentity | None) -> TLSExtension:
    ours = getattr(tls, "_mtls", None)
    keystore = None if ours is None else ours.settings.keystore
    suite, version, _ = tls.cipher() or (None, None, None)
    return TLSExtension(
        server_cert=None if keystore is None else _pem(keystore.certificate),
        client_cert_chain=() if peer is None else _sent(peer),
        client_cert_name=None if peer is None else peer.certificate.subject.rfc4514_string(),
        client_cert_error=None,
        tls_version=_VERSIONS.get(version or ""),
        cipher_suite=_suites().get(suite or ""),
    )


def _sent(peer: PeerIdentity) -> tuple[str, ...]:
    """The verified path as a client sends it: a root is not sent."""
    above = [one for one in peer.chain[1:] if one.issuer != one.subject]
    return tuple(map(_pem, (peer.certificate, *above)))


def _pem(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM).decode("ascii")


@functools.cache
def _suites() -> dict[str, int]:
    """The numbers of all cipher suites that this OpenSSL knows, by its name for them."""
    everything = _ssl._SSLContext(int(ssl.PROTOCOL_TLS_SERVER))
    everything.set_ciphers("ALL:@SECLEVEL=0")
    return {cipher["name"]: cipher["id"] & _SUITE for cipher in everything.get_ciphers()}
