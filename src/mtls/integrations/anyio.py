"""anyio without lost refusals, on asyncio and on trio.

Rule: the streams are anyio's own. Below them is one that, when a write has failed, lets the TLS object hear what the
peer had sent before; anyio itself has stopped reading by then.
"""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Any

from mtls.errors import HandshakeError, MissingExtraError
from mtls.integrations._client_context import client_context
from mtls.integrations._late_alert import LateAlertSocket, hear, read_waiting

try:
    import anyio
    from anyio.abc import ByteStream, SocketAttribute, SocketStream
    from anyio.streams.tls import TLSAttribute, TLSStream
except ImportError as _missing:
    raise MissingExtraError("anyio", "anyio") from _missing
if not hasattr(SocketStream, "from_socket"):
    _too_old = ImportError("before anyio 4.10 a stream takes no socket")
    raise MissingExtraError("anyio>=4.10", "anyio") from _too_old

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    from mtls._handshake.context import TLSContext
    from mtls._profile import ClientProfile

__all__ = ["connect_tcp"]


async def connect_tcp(
    remote_host: str,
    remote_port: int,
    *,
    ssl_context: ClientProfile | TLSContext,
    tls_hostname: str | None = None,
    tls_standard_compatible: bool = True,
    **options: Any,
) -> TLSStream:
    """As :func:`anyio.connect_tcp` with TLS, and a late refusal keeps its alert: ``send`` or ``receive`` raises it.

    ``ssl_context`` is a client's profile or its context; ``options`` are those of anyio (``local_host``, …). Raises
    :class:`~mtls.UsageError` for another context, :class:`~mtls.ConfigurationError` for a profile that does not pass
    its check, and what anyio raises; a refusal is a :class:`~mtls.HandshakeError`.
    """
    context = client_context(ssl_context, "ssl_context=")
    stream = await late_alert_stream(remote_host, remote_port, **options)
    try:
        return await secure(stream, context, tls_hostname or remote_host, standard_compatible=tls_standard_compatible)
    except BaseException:
        await anyio.aclose_forcefully(stream)
        raise


async def late_alert_stream(host: str, port: int, **options: Any) -> LateAlertStream:
    """A TCP connection that has not begun with TLS."""
    stream = await anyio.connect_tcp(host, port, **options)
    if _in_trio():
        return LateAlertStream(stream, None)
    try:
        sock = LateAlertSocket(fileno=stream.extra(SocketAttribute.raw_socket).dup().detach())
    finally:
        await anyio.aclose_forcefully(stream)  # this closes one of two descriptors, not the connection
    sock.settimeout(0)
    try:
        return LateAlertStream(await SocketStream.from_socket(sock), sock)
    except BaseException:
        sock.close()
        raise


async def secure(
    stream: ByteStream, context: ssl.SSLContext, hostname: str | None, *, standard_compatible: bool
) -> TLSStream:
    """TLS over the stream, with its object made known to it."""
    tls = await TLSStream.wrap(
        stream,
        ssl_context=context,
        hostname=hostname,
        server_side=False,
        standard_compatible=standard_compatible,
    )
    if isinstance(stream, LateAlertStream):
        stream.tls = tls.extra(TLSAttribute.ssl_object)
    return tls


class LateAlertStream(ByteStream):
    """A TCP stream whose last words are heard by the TLS object above it."""

    def __init__(self, inner: SocketStream, sock: LateAlertSocket | None) -> None:
        self._inner = inner
        self._sock = sock
        """The socket below, where it keeps what was unread; in trio it is still open then."""
        self.tls: object = None

    async def receive(self, max_bytes: int = 65536) -> bytes:
        """As of any stream; what was unread when a write failed comes before the end."""
        try:
            return await self._inner.receive(max_bytes)
        except (anyio.BrokenResourceError, anyio.EndOfStream):
            if words := self._last_words():
                return words
            raise

    async def send(self, item: bytes) -> None:
        """As of any stream; raises the refusal that explains why it failed."""
        try:
            await self._inner.send(item)
        except anyio.BrokenResourceError as broken:
            try:
                hear(self.tls, self._last_words(), broken.__cause__)
            except HandshakeError:
                raise
            except OSError as told:
                raise anyio.BrokenResourceError from told
            raise

    def _last_words(self) -> bytes:
        if self._sock is not None:
            words, self._sock.last_words = self._sock.last_words, b""
            return words
        with contextlib.suppress(OSError):
            return read_waiting(self._inner.extra(SocketAttribute.raw_socket))
        return b""

    async def send_eof(self) -> None:
        """As of any stream."""
        await self._inner.send_eof()

    async def aclose(self) -> None:
        """As of any stream."""
        await self._inner.aclose()

    @property
    def extra_attributes(self) -> Mapping[Any, Callable[[], Any]]:
        """Those of the socket stream."""
        return self._inner.extra_attributes


def _in_trio() -> bool:
    trio = sys.modules.get("trio")
    return trio is not None and bool(trio.lowlevel.in_trio_run())
