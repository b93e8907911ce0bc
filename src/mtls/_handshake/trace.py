"""One message of a handshake, or one alert: what somebody reads of it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any


class Direction(enum.StrEnum):
    """Which way a message went, seen from this side."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One handshake message or alert: its direction, IANA name, size in bytes and time in seconds since the first.

    ``tls_version`` is the one in force when it went, ``None`` before it is chosen.
    """

    direction: Direction
    name: str
    is_alert: bool
    size: int
    at: float
    tls_version: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form."""
        return {
            "direction": self.direction.value,
            "name": self.name,
            "is_alert": self.is_alert,
            "size": self.size,
            "at": round(self.at, 6),
            "tls_version": self.tls_version,
        }
