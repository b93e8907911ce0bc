"""The paths that full handshakes verified, for the connections that resume their sessions.

Rule: OpenSSL keeps the leaf of a session and forgets the rest, and a session never leaves the generation that it began
in, so each generation remembers for itself. What was forgotten is unknown, never guessed.
"""

from __future__ import annotations

import _ssl
import threading
from collections import OrderedDict
from typing import Any

_MOST = 1024
"""Paths of about 2 kB each; who was forgotten is known by the leaf alone until the next full handshake."""


class VerifiedPaths:
    """The most recent verified paths of one generation, by leaf (all DER)."""

    def __init__(self) -> None:
        self._paths: OrderedDict[bytes, tuple[bytes, ...]] = OrderedDict()
        self._lock = threading.Lock()

    def remember(self, path: tuple[bytes, ...]) -> None:
        """Keep a path, leaf first; the one that was not seen for longest goes when there are too many."""
        with self._lock:
            self._paths[path[0]] = path
            self._paths.move_to_end(path[0])
            if len(self._paths) > _MOST:
                self._paths.popitem(last=False)

    def of(self, leaf: bytes) -> tuple[bytes, ...] | None:
        """The path of this leaf, ``None`` where it is not known."""
        return self._paths.get(leaf)


def verified_path(connection: Any) -> tuple[bytes, ...]:
    """The path that OpenSSL verified on a C-level connection (DER, leaf first); empty on a resumed one."""
    return tuple(entry.public_bytes(_ssl.ENCODING_DER) for entry in connection.get_verified_chain() or ())
