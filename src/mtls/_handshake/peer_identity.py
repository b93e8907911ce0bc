"""``peer_identity()``: the verified peer, out of whatever the application holds of its connection.

Rule: it reads what belongs to this very connection, never a header, never a context variable (under uvloop that names
the wrong person). What it does not know raises; ``None`` means that nobody was verified.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any

from mtls._handshake.peer import PeerIdentity, identity_of
from mtls.errors import UsageError

EXTENSION = "mtls"
"""The key in the ``extensions`` of an ASGI scope."""
_SOCKETS = ("gunicorn.socket", "werkzeug.socket")
"""Where WSGI servers put the connection; a client cannot, its headers are all called ``HTTP_…``."""


def peer_identity(connection: ssl.SSLSocket | ssl.SSLObject | Mapping[str, Any] | Any) -> PeerIdentity | None:
    """Who is at the other end of a TLS connection, or ``None`` where nobody was verified.

    ``connection`` is one of:

    * an ``SSLSocket`` or ``SSLObject``, or an asyncio transport or stream writer over TLS;
    * the ``network_stream`` in the extensions of a response of httpx, while it is open;
    * a request of aiohttp, of Starlette and FastAPI (a ``WebSocket`` too), or of Flask and werkzeug;
    * an ASGI scope, from a server that runs the protocols of :mod:`mtls.integrations.uvicorn`;
    * a WSGI environ of gunicorn (``sync``, ``gthread``) or werkzeug.

    ``None`` stands for a plain connection, a closed socket, a peer without a certificate or one that was refused, a
    context that does not verify, and a handshake that has not ended. A resumed connection gives the identity of the
    first one. Raises :class:`UsageError` for what is none of these, a scope or environ without its connection included,
    and :class:`ChainError` for a certificate that OpenSSL has accepted and ``cryptography`` cannot read.

    The context may be one of ``ssl`` itself. Whether it verifies is read when you ask: if its ``verify_mode`` was
    changed after the handshake, nobody can tell.
    """
    extra = getattr(connection, "get_extra_info", None)
    if extra is not None:
        try:
            connection = extra("ssl_object")
        except AttributeError:  # a transport of asyncio that was closed twice
            return None
        if connection is None:
            return None
        if not isinstance(connection, (ssl.SSLSocket, ssl.SSLObject)):  # httpcore gives what is inside of it
            connection = getattr(connection, "owner", connection)
    for name in ("scope", "environ"):  # the requests of web frameworks
        held = getattr(connection, name, None)
        if isinstance(held, Mapping):
            connection = held
    if isinstance(connection, Mapping):
        return _of_mapping(connection)
    if isinstance(connection, (ssl.SSLSocket, ssl.SSLObject)):
        return _of_tls(connection)
    if isinstance(connection, socket.socket):
        return None
    text = (
        f"peer_identity() takes a TLS socket, SSLObject, asyncio transport or writer, a request, an ASGI scope or a "
        f"WSGI environ, not {type(connection).__name__}: give the connection itself, made by the ssl module"
    )
    raise UsageError(text)


def _of_tls(tls: ssl.SSLSocket | ssl.SSLObject) -> PeerIdentity | None:
    inner = tls._sslobj  # type: ignore[union-attr]
    if inner is None or tls.context.verify_mode == ssl.CERT_NONE or tls.version() is None:
        return None
    if not getattr(inner, "admitted", True):
        return None
    known = getattr(tls, "_mtls", None)
    return identity_of(inner, None if known is None else known.paths)


def _of_mapping(held: Mapping[str, Any]) -> PeerIdentity | None:
    if "asgi" in held or "extensions" in held:
        told = (held.get("extensions") or {}).get(EXTENSION)
        peer = told.get("peer", told) if isinstance(told, Mapping) else ...
        if peer is None or isinstance(peer, PeerIdentity):
            return peer
        text = (
            "this ASGI server does not say who called: run the application with mtls.integrations.uvicorn.run(), or "
            "give uvicorn one of the protocol classes in that module"
        )
        raise UsageError(text)
    connection = next((held[key] for key in _SOCKETS if key in held), None)
    if connection is None:
        text = (
            "this WSGI server does not hand its connection to the application, so nobody can say who called: use "
            "gunicorn (sync or gthread workers) or werkzeug"
        )
        raise UsageError(text)
    return peer_identity(connection)
