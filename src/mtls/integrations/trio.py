"""trio without lost refusals.

Rule: the stream is trio's own. Below it is one that, when a write has failed, lets the TLS object hear what the peer
had sent before; trio would close with it unread.
"""

from __future__ import annotations

import contextlib
import socket
from typing import TYPE_CHECKING, Any

from mtls.errors import MissingExtraError
from mtls.integrations._client_context import client_context
from mtls.integrations._late_alert import hear, read_waiting

try:
    import trio
except ImportError as _missing:
    raise MissingExtraError("trio", "trio") from _missing

if TYPE_CHECKING:
    from mtls._handshake.context import TLSContext
    from mtls._profile import ClientProfile

__all__ = ["open_ssl_over_tcp_stream"]


async def open_ssl_over_tcp_stream(
    host: str,
    port: int,
    *,
    ssl_context: ClientProfile | TLSContext,
    https_compatible: bool = False,
    **options: Any,
) -> trio.SSLStream[Any]:
    """As :func:`trio.open_ssl_over_tcp_stream`, and a late refusal keeps its alert: it is the ``__cause__`` of the
    :class:`trio.BrokenResourceError` that ``send_all`` or ``receive_some`` raises.

    ``ssl_context`` is a client's profile or its context; ``options`` are those of :func:`trio.open_tcp_stream`. Raises
    :class:`~mtls.UsageError` for another context, :class:`~mtls.ConfigurationError` for a profile that does not pass
    its check, and what trio raises.
    """
    context = client_context(ssl_context, "ssl_context=")
    below = LateAlertStream(await trio.open_tcp_stream(host, port, **options))
    try:
        below.tls = trio.SSLStream(below, context, server_hostname=host, https_compatible=https_compatible)
    except BaseException:
        await trio.aclose_forcefully(below)
        raise
    return below.tls


class LateAlertStream(trio.abc.HalfCloseableStream):
    """A TCP stream whose last words are heard by the TLS object above it."""

    tls: trio.SSLStream[LateAlertStream]

    def __init__(self, inner: trio.SocketStream) -> None:
        self._inner = inner

    @property
    def socket(self) -> trio.socket.SocketType:
        """The socket of trio."""
        return self._inner.socket

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """As of any stream; the refusal that explains why it failed is the cause of the error."""
        try:
            await self._inner.send_all(data)
        except trio.BrokenResourceError as broken:
            try:
                hear(getattr(self.tls, "_ssl_object", None), self._last_words(), broken.__cause__)
            except OSError as told:
                raise trio.BrokenResourceError from told
            raise

    def _last_words(self) -> bytes:
        sock = self._inner.socket
        with contextlib.suppress(OSError), socket.fromfd(sock.fileno(), sock.family, sock.type) as same:
            same.settimeout(0)
            return read_waiting(same)
        return b""

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        """As of any stream."""
        return await self._inner.receive_some(max_bytes)

    async def wait_send_all_might_not_block(self) -> None:
        """As of any stream."""
        await self._inner.wait_send_all_might_not_block()

    async def send_eof(self) -> None:
        """As of any stream."""
        await self._inner.send_eof()

    async def aclose(self) -> None:
        """As of any stream."""
        await self._inner.aclose()
