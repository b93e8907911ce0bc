"""A refusal in HTTP, out of the response object of whatever library made the request.

Rule: nothing is read from the network and nothing is taken out of a stream: only what the library keeps of a body that
was read is looked at. No library is imported; what a response does not have is not known.
"""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mtls._handshake.address import peer_address
from mtls._handshake.connection import Connection
from mtls._handshake.context import TLSContext
from mtls._handshake.refusal_page import LOOKED_AT, refusal_in_response
from mtls._handshake.staging import leaf_der
from mtls._model import Evidence, HandshakeStep, Phase, Role, Side
from mtls.errors import HandshakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mtls._handshake.generation import Settings
    from mtls._handshake.refusal_page import Refusal
    from mtls.errors import Account

_STATUS = ("status_code", "status")
"""requests and httpx; http.client, urllib3, aiohttp and ``urllib.error.HTTPError``."""
_KEPT = ("_content", "_body", "body")
"""Where requests and httpx, urllib3 and aiohttp, and websockets keep a body that was read. Properties would read it."""
_CONNECTIONS: tuple[Callable[[Any], Any], ...] = (
    lambda response: response.extensions["network_stream"].get_extra_info("socket"),  # httpx, also when it is closed
    lambda response: response.extensions["network_stream"].get_extra_info("ssl_object"),  # httpx, async
    lambda response: response.connection.transport.get_extra_info("ssl_object"),  # aiohttp, until the body was read
    lambda response: response.connection.sock,  # urllib3, until then
    lambda response: response.raw.connection.sock,  # requests, until then
    lambda response: response.fp.raw._sock,  # http.client, until then
    lambda response: response.fp.fp.raw._sock,  # urllib.error.HTTPError
)
_CONTEXTS: tuple[Callable[[Any], Any], ...] = (
    lambda response: response._pool.conn_kw["ssl_context"],  # urllib3
    lambda response: response.raw._pool.conn_kw["ssl_context"],  # requests
)


def is_response(held: object) -> bool:
    """Whether it looks like the response of an HTTP client."""
    return _headers(held) is not None and _status(held) is not None


def refusal_in(response: object, body: bytes | None) -> HandshakeError | None:
    """What a response says of our certificate, ``None`` where it says nothing or did not come over TLS."""
    status, headers = _status(response), _headers(response)
    scheme, host = _asked(response)
    if status is None or headers is None or scheme not in {"https", "wss", ""}:
        return None
    tls = _first(_CONNECTIONS, response, lambda found: isinstance(getattr(found, "_mtls", None), Connection))
    known: Connection | None = None if tls is None else tls._mtls
    context = _first(_CONTEXTS, response, lambda found: type(found) is TLSContext)
    settings = known.settings if known is not None else context._generation.settings if context is not None else None
    page = _body(response) if body is None else body
    found = refusal_in_response(status, headers, page, showed_certificate=_showed(tls, settings))
    if found is None:
        return None
    keystore = None if settings is None else settings.keystore
    facts: dict[str, Any] = {}
    if known is not None:
        address = peer_address(tls) if isinstance(tls, socket.socket) else known.address
        facts = {"server_hostname": known.server_hostname, "peer_address": address, "tls_version": _version(tls)}
    return HandshakeError(
        failure=found.failure,
        step=found.step,
        side=Side.PEER,
        role=Role.CLIENT,
        evidence=Evidence.INFERRED,
        phase=Phase.RESPONSE,
        because=found.because,
        local_certificate=None if keystore is None else leaf_der(keystore),
        account=_account(found, known, settings),
        **{"server_hostname": host, **{name: value for name, value in facts.items() if value is not None}},
    )


def _account(found: Refusal, known: Connection | None, settings: Settings | None) -> Callable[[], Account] | None:
    """What the checks know of our own certificate, if that was refused."""
    if settings is None or settings.keystore is None or found.step is not HandshakeStep.SERVER_VERIFIES_CLIENT:
        return None
    authorities = () if known is None or known.log is None else known.log.authorities or ()
    now = datetime.now(UTC)

    def ours() -> Account:
        from mtls._handshake.account import of_our_chain

        return of_our_chain(settings, authorities, found.failure, now)

    return ours


def _showed(tls: Any, settings: Settings | None) -> bool | None:
    """Whether our certificate was sent, as far as the response leads to who knows."""
    if settings is not None and settings.keystore is None:
        return False
    if tls is None:
        return None
    known: Connection = tls._mtls
    if tls._sslobj is not None:
        return known.showed_certificate(tls._sslobj)
    if known.log is not None and known.log.own_chain:  # a closed socket no longer knows whether it resumed a session
        return True
    return None


def attribute(held: object, name: str) -> Any:
    """An attribute of a foreign object, ``None`` where it has none or raises whatever it likes."""
    try:
        return getattr(held, name, None)
    except Exception:  # noqa: BLE001 - it is not ours
        return None


def _version(tls: Any) -> str | None:
    version = tls.version() if isinstance(tls, (ssl.SSLSocket, ssl.SSLObject)) else None
    return None if version is None else version.replace("TLSv", "TLS ")


def _status(held: object) -> int | None:
    for name in _STATUS:
        status = attribute(held, name)
        if isinstance(status, int):
            return status
    return None


def _headers(held: object) -> Mapping[str, str] | None:
    headers = attribute(held, "headers")
    if not callable(getattr(headers, "items", None)):
        return None
    assert headers is not None
    try:
        return {str(name): str(value) for name, value in headers.items()}
    except Exception:  # noqa: BLE001 - a stand-in of a test, or whatever: no response that could be read
        return None


def _body(response: object) -> bytes:
    held = getattr(response, "__dict__", {})
    return next((bytes(held[name][:LOOKED_AT]) for name in _KEPT if isinstance(held.get(name), bytes | bytearray)), b"")


def _asked(response: object) -> tuple[str, str | None]:
    """Scheme and host of the URL, where the response knows it."""
    url = attribute(response, "url")
    if not url:
        return "", None
    try:
        parts = urlsplit(str(url))
        return parts.scheme.lower(), parts.hostname
    except ValueError:
        return "", None


def _first(ways: tuple[Callable[[Any], Any], ...], response: object, fits: Callable[[Any], bool]) -> Any:
    """What the first way leads to that fits; a way that is of another library leads nowhere."""
    for way in ways:
        try:
            found = way(response)
            if found is not None and not isinstance(found, ssl.SSLSocket | ssl.SSLObject) and not fits(found):
                found = getattr(found, "owner", None)  # httpcore gives what is inside of an SSLObject
            if found is not None and fits(found):
                return found
        except Exception:  # noqa: BLE001, S112 - a foreign object may raise anything; then it is not known
            continue
    return None
