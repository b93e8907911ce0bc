"""asyncio without lost refusals: streams and transports on a socket that reads before it gives up.

Rule: the connection is asyncio's own, and the context the profile's; only the socket below is another. uvloop writes
past it, in C, and mostly reads what waits by itself.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

from mtls.errors import UsageError
from mtls.integrations._client_context import client_context
from mtls.integrations._late_alert import LateAlertSocket

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mtls._handshake.context import TLSContext
    from mtls._profile import ClientProfile

__all__ = ["connect_socket", "create_connection", "open_connection"]

_LIMIT = 2**16
"""What asyncio buffers for a reader."""
_OF_TLS = ("server_hostname", "ssl_handshake_timeout", "ssl_shutdown_timeout")
Protocol = TypeVar("Protocol", bound=asyncio.BaseProtocol)


async def open_connection(
    host: str, port: int, *, ssl: ClientProfile | TLSContext, limit: int = _LIMIT, **options: Any
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """As :func:`asyncio.open_connection`, and a late refusal keeps its alert: ``read`` and ``drain`` raise it.

    ``ssl`` is a client's profile or its context; ``options`` are those of asyncio. Raises :class:`~mtls.UsageError` for
    another context and for ``sock=``, :class:`~mtls.ConfigurationError` for a profile that does not pass its check, and
    what asyncio raises; a failed handshake is a :class:`~mtls.HandshakeError`.
    """
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=limit, loop=loop)
    transport, protocol = await create_connection(
        lambda: asyncio.StreamReaderProtocol(reader, loop=loop), host, port, ssl=ssl, **options
    )
    return reader, _Writer(transport, protocol, reader, loop)


async def create_connection(
    protocol_factory: Callable[[], Protocol],
    host: str,
    port: int,
    *,
    ssl: ClientProfile | TLSContext,
    **options: Any,
) -> tuple[asyncio.Transport, Protocol]:
    """As :meth:`asyncio.loop.create_connection`, and a late refusal keeps its alert: it reaches ``connection_lost``.

    Takes and raises what :func:`open_connection` does.
    """
    context = client_context(ssl, "ssl=")
    of_tls = {name: options.pop(name) for name in _OF_TLS if name in options}
    sock = await connect_socket(host, port, **options)
    try:
        return await asyncio.get_running_loop().create_connection(
            protocol_factory, sock=sock, ssl=context, **{"server_hostname": host, **of_tls}
        )
    except BaseException:
        sock.close()
        raise


async def connect_socket(host: str, port: int, **options: Any) -> socket.socket:
    """A connected, non-blocking TCP socket on which no late refusal is lost, for what takes ``sock=``.

    Give it to one TLS connection of a client in asyncio. ``options`` are those by which
    :meth:`asyncio.loop.create_connection` makes a TCP connection (``family``, ``local_addr``, ``happy_eyeballs_delay``,
    …). Raises :class:`~mtls.UsageError` for ``sock=`` and ``ssl=``, and what asyncio raises where there is no
    connection.
    """
    if refused := [name for name in ("sock", "ssl") if name in options]:
        text = f"{refused[0]}= cannot be given to what makes the socket: leave it out"
        raise UsageError(text)
    transport, _ = await asyncio.get_running_loop().create_connection(_Deaf, host, port, **options)
    try:
        sock = LateAlertSocket(fileno=transport.get_extra_info("socket").dup().detach())
    finally:
        transport.abort()  # this closes one of two descriptors, not the connection
    sock.settimeout(0)
    return sock


class _Writer(asyncio.StreamWriter):
    """A writer whose ``drain`` says why the connection was lost, also where it was lost in the middle of it."""

    def __init__(
        self,
        transport: asyncio.Transport,
        protocol: asyncio.StreamReaderProtocol,
        reader: asyncio.StreamReader,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(transport, protocol, reader, loop)
        self._told = reader

    async def drain(self) -> None:
        """As :meth:`asyncio.StreamWriter.drain`."""
        try:
            await super().drain()
        except ConnectionResetError as lost:
            why = self._told.exception()
            if why is None or why is lost:
                raise
            raise why from why.__cause__


class _Deaf(asyncio.Protocol):
    """Reads nothing: what the peer sends is for whoever gets the socket."""

    def connection_made(self, transport: Any) -> None:
        transport.pause_reading()
