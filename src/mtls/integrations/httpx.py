"""httpx without lost refusals in an async client, on asyncio and on trio.

Rule: it is httpx's own transport on our context, with a network backend that lets the TLS object hear what a peer had
sent before a write failed. In a sync client a context is enough.
"""

from __future__ import annotations

import contextlib
import selectors
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from mtls._handshake.connection import ATTACHED, attach
from mtls.errors import HandshakeError, MissingExtraError, UsageError
from mtls.integrations._client_context import client_context

try:
    import httpcore
    import httpx
except ImportError as _missing:
    raise MissingExtraError("httpx", "httpx") from _missing

import anyio
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.tls import TLSAttribute

from mtls.integrations.anyio import late_alert_stream, secure

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable, Iterator

    from mtls._handshake.context import TLSContext
    from mtls._profile import ClientProfile

__all__ = ["AsyncTransport"]

_OURS = ("verify", "cert", "trust_env")
_END: ContextVar[HandshakeError | None] = ContextVar("mtls_httpx_end", default=None)
"""What is known of the end of the connection that the request of this task was on: httpcore only sees that it ended."""


class AsyncTransport(httpx.AsyncHTTPTransport):
    """A transport for ``httpx.AsyncClient`` on which no late refusal loses its alert: an ``httpx.ReadError`` in which
    :func:`mtls.explain` finds it.

    ``profile`` is a client's profile or its context. ``options`` go to ``httpx.AsyncHTTPTransport``: ``http2``,
    ``proxy``, ``limits``, ``retries``, … Raises :class:`~mtls.UsageError` for anything but a client's profile or
    context and for ``verify=``, ``cert=`` and ``trust_env=``, which would replace what the profile says, and
    :class:`~mtls.ConfigurationError` for a profile that does not pass its check.

    As with every transport that is given to a client, the client's own ``verify=``, ``http2=``, ``proxy=`` and the
    variables ``HTTPS_PROXY`` and ``ALL_PROXY`` do not reach it. Behind an ``https://`` proxy a refusal by the server
    itself may still be lost.
    """

    def __init__(self, profile: ClientProfile | TLSContext, **options: Any) -> None:
        context = client_context(profile, "AsyncTransport()")
        if refused := [name for name in _OURS if name in options]:
            text = f"{refused[0]}= would replace what the profile says: leave it out"
            raise UsageError(text)
        super().__init__(verify=context, trust_env=False, **options)
        # httpx has no parameter for what httpcore.AsyncConnectionPool takes as network_backend=
        self._pool._network_backend = _Backend()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """As httpx; where the server ended the connection without a word, what the connection knows goes along."""
        _END.set(None)
        try:
            return await super().handle_async_request(request)
        except httpx.RemoteProtocolError as error:
            attach(error, _END.get())
            raise


class _Backend(httpcore.AsyncNetworkBackend):
    """Makes TCP connections as httpcore does with anyio."""

    def __init__(self) -> None:
        self._usual = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """As httpcore, on a stream that hears late refusals."""
        with _as(httpcore.ConnectTimeout, httpcore.ConnectError), anyio.fail_after(timeout):
            stream = await late_alert_stream(host, port, local_host=local_address)
            for option in socket_options or ():
                stream.extra(SocketAttribute.raw_socket).setsockopt(*option)
        return _Stream(stream)

    async def connect_unix_socket(self, *arguments: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """As httpcore."""
        return await self._usual.connect_unix_socket(*arguments, **options)

    async def sleep(self, seconds: float) -> None:
        """As httpcore."""
        await anyio.sleep(seconds)


class _Stream(httpcore.AsyncNetworkStream):
    """A stream of anyio as httpcore sees it."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._refusal: HandshakeError | None = None
        """What a write has heard: httpcore passes over a failed write, and reads."""

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
    ) -> bytes:
        """What arrives, empty at the end."""
        if self._refusal is not None:
            raise httpcore.ReadError(self._refusal) from self._refusal
        with _as(httpcore.ReadTimeout, httpcore.ReadError), anyio.fail_after(timeout):
            try:
                return await self._stream.receive(max_bytes)
            except anyio.EndOfStream as end:
                _END.set(getattr(end.__context__, ATTACHED, None))
                return b""

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
    ) -> None:
        """Send all of it."""
        if not buffer:
            return
        with _as(httpcore.WriteTimeout, httpcore.WriteError), anyio.fail_after(timeout):
            try:
                await self._stream.send(buffer)
            except HandshakeError as refusal:
                self._refusal = refusal
                raise

    async def aclose(self) -> None:
        """Close it."""
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature of httpcore
    ) -> httpcore.AsyncNetworkStream:
        """TLS over it."""
        with _as(httpcore.ConnectTimeout, httpcore.ConnectError):
            try:
                with anyio.fail_after(timeout):
                    tls = await secure(self._stream, ssl_context, server_hostname, standard_compatible=False)
            except Exception:
                await self.aclose()
                raise
        return _Stream(tls)

    def get_extra_info(self, info: str) -> Any:
        """What httpcore asks for."""
        if info == "ssl_object":
            return self._stream.extra(TLSAttribute.ssl_object, None)
        if info == "client_addr":
            return self._stream.extra(SocketAttribute.local_address, None)
        if info == "server_addr":
            return self._stream.extra(SocketAttribute.remote_address, None)
        sock = self._stream.extra(SocketAttribute.raw_socket, None)
        if info == "is_readable":
            return sock is None or _is_readable(sock.fileno())
        return sock if info == "socket" else None


@contextlib.contextmanager
def _as(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    """Raise what httpcore calls it. What is a mistake of the caller stays what it is."""
    try:
        yield
    except TimeoutError as error:
        raise late(error) from error
    except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream) as error:
        raise failed(error) from error


def _is_readable(descriptor: int) -> bool:
    """Whether an idle connection has something to say, which is its end as a rule."""
    if descriptor < 0:
        return True
    with selectors.DefaultSelector() as selector:
        selector.register(descriptor, selectors.EVENT_READ)
        return bool(selector.select(0))
