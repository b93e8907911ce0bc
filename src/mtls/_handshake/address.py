"""Where the other end of a connection is, for errors and logs.

Rule: what is not known is ``None``. A memory object does not know what carries its bytes; who calls it does, and is
asked only when something has failed, or a rule of the profile is about to judge.
"""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import FrameType

_FRAMES = 8
"""How far up the stack a caller is looked for: asyncio's protocol is the fourth."""


def address_of(owner: object) -> str | None:
    """``host:port`` of the peer of a socket or an object of ours; ``None`` under uvloop, which is not seen."""
    if isinstance(owner, socket.socket):
        return peer_address(owner)
    frame: FrameType | None = sys._getframe(1)
    for _ in range(_FRAMES):
        frame = None if frame is None else frame.f_back
        if frame is None:
            return None
        if (way := _WAYS.get(frame.f_globals.get("__name__", ""))) is not None:
            with contextlib.suppress(Exception):  # another library's object may raise anything
                return _written(way(frame.f_locals["self"]))
    return None


def peer_address(sock: socket.socket) -> str | None:
    """``host:port`` of the other end, ``None`` where the system has forgotten it."""
    try:
        return _written(sock.getpeername())
    except Exception:  # noqa: BLE001 - of a family that nobody here knows; an address is no reason to fail
        return None


def _of_anyio(stream: Any) -> Any:
    from anyio.abc import SocketAttribute

    return stream.transport_stream.extra(SocketAttribute.remote_address)


_WAYS = {
    "asyncio.sslproto": lambda protocol: protocol._transport.get_extra_info("peername"),
    "trio._ssl": lambda stream: stream.transport_stream.socket.getpeername(),
    "anyio.streams.tls": _of_anyio,
}
"""The modules that call an ``SSLObject``, and how their object leads to the address."""


def _written(address: Any) -> str | None:
    if isinstance(address, tuple):
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return str(address or "") or None
