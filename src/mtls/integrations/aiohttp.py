"""aiohttp without lost refusals: a connector on our context, and on a socket that reads before it gives up.

Rule: trust and identity are the profile's; everything else of the connector is aiohttp's.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from mtls._handshake.connection import attach
from mtls.errors import MissingExtraError, UsageError
from mtls.integrations._client_context import client_context
from mtls.integrations._late_alert import LateAlertSocket, refusal_of

try:
    import aiohttp
    from aiohttp.client_proto import ResponseHandler
except ImportError as _missing:
    raise MissingExtraError("aiohttp", "aiohttp") from _missing
if not hasattr(aiohttp, "SocketFactoryType"):
    _too_old = ImportError(f"aiohttp {aiohttp.__version__} is installed; before 3.12 a connector takes no sockets")
    raise MissingExtraError("aiohttp>=3.12", "aiohttp") from _too_old

if TYPE_CHECKING:
    from mtls._handshake.context import TLSContext
    from mtls._profile import ClientProfile

__all__ = ["connector"]

_OURS = ("ssl", "ssl_context", "fingerprint", "verify_ssl", "socket_factory")


def connector(profile: ClientProfile | TLSContext, **options: Any) -> aiohttp.TCPConnector:
    """A ``TCPConnector`` whose connections are the profile's, and on which no late refusal loses its alert.

    Give it to a ``ClientSession``, inside of a running loop. ``options`` go to ``TCPConnector``. Raises
    :class:`~mtls.UsageError` for anything but a client's profile or context and for options that would replace its
    checks (``ssl=``, ``fingerprint=``, …) or the socket, and :class:`~mtls.ConfigurationError` for a profile that does
    not pass its check. A refusal is a ``ClientOSError`` or another ``ClientError``; :func:`mtls.explain` finds it.

    Not checked: ``ssl=`` of a single request beats that of its connector, so ``get(url, ssl=False)`` accepts every
    server. In uvloop the socket is written past, and a part of the late refusals is lost.
    """
    context = client_context(profile, "connector()")
    if refused := [name for name in _OURS if name in options]:
        text = f"{refused[0]}= would replace what the profile says: leave it out"
        raise UsageError(text)
    made = aiohttp.TCPConnector(ssl=context, socket_factory=_socket, **options)
    factory: Any = functools.partial(_Protocol, loop=made._loop)
    made._factory = factory  # aiohttp has no parameter for the protocol of its connections
    return made


class _Protocol(ResponseHandler):
    """aiohttp's protocol, which tells a request that it failed before it is told why the connection did."""

    def set_exception(self, exc: BaseException, *cause: Any) -> None:
        """As in ``ResponseHandler``, with the refusal that has just been heard attached."""
        tls = None if self.transport is None else self.transport.get_extra_info("ssl_object")
        attach(exc, refusal_of(tls))
        super().set_exception(exc, *cause)


def _socket(address: Any) -> LateAlertSocket:
    family, kind, proto, _, _ = address
    return LateAlertSocket(family, kind, proto)
