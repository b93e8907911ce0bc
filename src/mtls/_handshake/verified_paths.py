"""The paths that full handshakes verified, for the connections that resume their sessions.

Rule: OpenSSL keeps the leaf of a session and forgets the rest, and a session never leaves the generation that it began
in, so each generation remembers for itself. What was forgotten is unknown, never guessed.
"""

from __future__ import annotations

import _ssl
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

_MOST = 1024
"""Paths of about 2 kB each; who was forgotten is known by the leaf alone until the next full handshake."""


class VerifiedPaths:
    """The verified paths of one generation that were used last, by leaf, and its anchors (all DER).

    ``anchors`` gives those of the generation; it is asked once, when somebody wants to know who a peer is.
    """

    def __init__(self, anchors: Callable[[], Iterable[bytes]]) -> None:
        self._list_anchors = anchors
        self._anchors: frozenset[bytes] | None = None
        self._paths: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()
        self._lock = threading.RLock()  # a signal handler may make a connection while the lock is held

    def remember(self, path: tuple[bytes, ...]) -> None:
        """Keep a path, leaf first; the one that was not used for longest goes when there are too many."""
        with self._lock:
            self._paths.pop(path[0], None)
            self._paths[path[0]] = path
            while len(self._paths) > _MOST:
                self._paths.popitem(last=False)

    def of(self, leaf: bytes) -> tuple[bytes, ...] | None:
        """The path of this leaf, ``None`` where it is not known.

        To ask is to use it: in TLS 1.3 a session that is resumed begins anew, so a client may never come back for a
        full handshake.
        """
        with self._lock:
            path = self._paths.pop(leaf, None)
            if path is not None:
                self._paths[leaf] = path
            return path

    @property
    def anchors(self) -> frozenset[bytes]:
        """The anchors that OpenSSL lists: all but pinned leaves."""
        if self._anchors is None:
            self._anchors = frozenset(self._list_anchors())
        return self._anchors


def verified_path(connection: Any) -> tuple[bytes, ...]:
    """The path that OpenSSL verified on a C-level connection (DER, leaf first); empty on a resumed one."""
    return tuple(entry.public_bytes(_ssl.ENCODING_DER) for entry in connection.get_verified_chain() or ())


def up_to_anchor(connection: Any, path: tuple[bytes, ...], paths: VerifiedPaths | None) -> tuple[bytes, ...]:
    """The part of a verified path that the truststore vouches for.

    Behind a pinned leaf OpenSSL puts whatever CAs the peer sent; they may be of its own making, with the name and the
    key of the real ones. ``get_ca_certs`` lists all anchors but such leaves. ``paths`` are those of the connection's
    generation, ``None`` for a context of somebody else.
    """
    if len(path) == 1:
        return path
    return cut_at_anchor(path, frozenset(connection.context.get_ca_certs(True)) if paths is None else paths.anchors)


def cut_at_anchor(path: tuple[bytes, ...], anchors: AbstractSet[bytes]) -> tuple[bytes, ...]:
    """The part of a verified path up to the last of the anchors; the leaf alone where it is none of them."""
    return path[: 1 + max((place for place, entry in enumerate(path) if entry in anchors), default=0)]
