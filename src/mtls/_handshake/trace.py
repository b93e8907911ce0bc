"""The messages and alerts of one handshake, as OpenSSL saw them, decrypted.

Rule: a trace is kept only where somebody asked for it, and only until the handshake has ended: a lasting message
callback would cost bulk data a tenth to a half of its speed. The callback never raises.
"""

from __future__ import annotations

import enum
import time
from dataclasses import dataclass
from typing import Any

from mtls._handshake.tables import ALERT_NAMES

_HANDSHAKE_CONTENT = 22
_ALERT_CONTENT = 21
_TLS13 = 0x0304
_CERTIFICATE = 11
_MESSAGES = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    5: "EndOfEarlyData",
    8: "EncryptedExtensions",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    20: "Finished",
    22: "CertificateStatus",
    24: "KeyUpdate",
}
_MOST_EVENTS = 200
"""A handshake has about ten messages; a hostile peer does not get to fill the memory."""


def available() -> bool:
    """Whether this interpreter can trace: the callback is private in CPython 3.8 and later."""
    import _ssl

    return hasattr(_ssl._SSLContext, "_msg_callback")


class Direction(enum.StrEnum):
    """Which way a message went, seen from this side."""

    SENT = "sent"
    RECEIVED = "received"


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceEvent:
    """One handshake message or alert: its direction, IANA name, size in bytes and time in seconds since the first."""

    direction: Direction
    name: str
    is_alert: bool
    size: int
    at: float


class Trace:
    """What one side of a handshake sent and received, in order, and the certificates that the peer sent."""

    __slots__ = ("_start", "events", "peer_chain")

    def __init__(self) -> None:
        self.events: list[TraceEvent] = []
        self.peer_chain: tuple[bytes, ...] = ()
        self._start: float | None = None

    def saw(self, name: str, direction: Direction) -> bool:
        """Whether a message of this name went this way."""
        return any(event.name == name and event.direction is direction for event in self.events)

    def record(self, direction: str, version: int, content_type: int, message_type: int, data: bytes) -> None:
        """Take one call of the message callback; anything but handshake messages and alerts is passed over."""
        if content_type not in {_HANDSHAKE_CONTENT, _ALERT_CONTENT} or len(self.events) >= _MOST_EVENTS:
            return
        is_alert = content_type == _ALERT_CONTENT
        way = Direction.SENT if direction == "write" else Direction.RECEIVED
        now = time.monotonic()
        if self._start is None:
            self._start = now
        names = ALERT_NAMES if is_alert else _MESSAGES
        name = names.get(message_type, f"unknown ({message_type})")
        self.events.append(
            TraceEvent(direction=way, name=name, is_alert=is_alert, size=len(data), at=now - self._start)
        )
        if not is_alert and message_type == _CERTIFICATE and way is Direction.RECEIVED:
            self.peer_chain = certificates_in(data, tls13=version == _TLS13)


def callback(connection: Any, direction: str, version: int, content_type: int, message_type: int, data: bytes) -> None:
    """The message callback of a traced context: hands the message to the trace of the connection."""
    trace = getattr(getattr(connection, "_mtls", None), "trace", None)
    if trace is not None:
        trace.record(direction, version, content_type, message_type, data)


def certificates_in(message: bytes, *, tls13: bool) -> tuple[bytes, ...]:
    """The DER certificates in a Certificate message (RFC 5246, 7.4.2; RFC 8446, 4.4.2), header included.

    A message that is cut short gives the certificates up to the cut.
    """
    position = 4  # message type and length
    if tls13:
        position += 1 + (message[position] if len(message) > position else 0)  # certificate_request_context
    position += 3  # length of the list
    found = []
    while position + 3 <= len(message):
        length = int.from_bytes(message[position : position + 3], "big")
        position += 3
        entry = message[position : position + length]
        if len(entry) != length or not length:
            break
        found.append(entry)
        position += length
        if tls13:
            position += 2 + int.from_bytes(message[position : position + 2], "big")  # extensions of the entry
    return tuple(found)
