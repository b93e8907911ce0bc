"""Two TLS ends joined in memory or by a socket pair, driven by one thread.

Rule: nothing waits; each end goes on until it wants to read.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.material import HOST

if TYPE_CHECKING:
    from collections.abc import Callable

_WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)
_MOST = 8


class Contexts(NamedTuple):
    """The contexts of both ends."""

    client: ssl.SSLContext
    server: ssl.SSLContext


class Objects(NamedTuple):
    """Both ends in memory."""

    client: ssl.SSLObject
    server: ssl.SSLObject


class Sockets(NamedTuple):
    """Both ends of a socket pair."""

    client: ssl.SSLSocket
    server: ssl.SSLSocket


def in_memory(contexts: Contexts) -> Objects:
    """A whole handshake in memory, from nothing."""
    objects = _objects(contexts)
    _shake(objects)
    return objects


def over_a_socket_pair(contexts: Contexts) -> Sockets:
    """A whole handshake over a pair of local sockets, which block afterwards."""
    near, far = socket.socketpair()
    near.settimeout(0)
    far.settimeout(0)
    ends = Sockets(
        contexts.client.wrap_socket(near, server_hostname=HOST, do_handshake_on_connect=False),
        contexts.server.wrap_socket(far, server_side=True, do_handshake_on_connect=False),
    )
    _shake(ends)
    for end in ends:
        end.settimeout(None)
    return ends


def refuse(contexts: Contexts) -> None:
    """A handshake in memory that both ends see fail; a client of TLS 1.3 hears of it only at its first read."""
    ends = _objects(contexts)
    actions: list[Callable[[], object]] = [end.do_handshake for end in ends]
    failed: set[int] = set()
    for _ in range(_MOST):
        for number, end in enumerate(ends):
            if number in failed:
                continue
            try:
                actions[number]()
            except _WAITING:
                continue
            except OSError:
                failed.add(number)
            else:
                actions[number] = end.read
        if len(failed) == len(ends):
            return
    text = "this handshake was to fail on both ends"
    raise AssertionError(text)


def _objects(contexts: Contexts) -> Objects:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    return Objects(
        contexts.client.wrap_bio(to_client, to_server, server_hostname=HOST),
        contexts.server.wrap_bio(to_server, to_client, server_side=True),
    )


def _shake(ends: Objects | Sockets) -> None:
    waiting: list[ssl.SSLObject | ssl.SSLSocket] = [*ends]
    for _ in range(_MOST):
        for end in list(waiting):
            with contextlib.suppress(*_WAITING):
                end.do_handshake()
                waiting.remove(end)
        if not waiting:
            return
    text = "this handshake does not end"
    raise AssertionError(text)
