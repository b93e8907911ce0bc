"""The messages and alerts of one handshake, as OpenSSL saw them, decrypted.

Theory of operation: OpenSSL calls ``callback`` for each message until the handshake has ended; then the connection is
moved to a context without one (``Serving.quiet``), because a lasting callback costs bulk data a tenth to a half of its
speed. The callback only keeps what it is given; who asks pays for the rest. It never raises, and the number of messages
is bounded, as OpenSSL bounds the size of each.
"""

from __future__ import annotations

from time import monotonic
from typing import Any

from mtls._handshake.alerts import ALERT_NAMES
from mtls._handshake.trace import Direction, TraceEvent

_ALERT, _HANDSHAKE = 21, 22
_FATAL = b"\x02"
_TLS13 = 0x0304
_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE, _CERTIFICATE_REQUEST = 1, 2, 11, 13
_HELLOS = frozenset({_CLIENT_HELLO, _SERVER_HELLO})
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
_HEADER = 4
"""Bytes of the type and length of a handshake message."""
_RETRY = bytes.fromhex("cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c")
"""The random of a ServerHello that is a HelloRetryRequest (RFC 8446, 4.1.3)."""
_RANDOM = 6
"""Where the random of a hello begins: after the header and the version."""
_CERTIFICATE_AUTHORITIES = 47
_VERSIONS = {0x0303: "TLS 1.2", 0x0304: "TLS 1.3"}


def available() -> bool:
    """Whether this interpreter can trace: the callback is private in CPython 3.8 and later."""
    import _ssl

    return hasattr(_ssl._SSLContext, "_msg_callback")


_Entry = tuple[str, int, int, int, bytes, float]
"""Direction, version, content type, message type, the message with its header, time."""


class HandshakeLog(list[_Entry]):
    """What OpenSSL told of one handshake, as it came."""

    __slots__ = ()

    @property
    def events(self) -> tuple[TraceEvent, ...]:
        """Every message and alert, in order."""
        start = self[0][-1] if self else 0.0
        return tuple(_event(entry, start) for entry in self)

    @property
    def is_full(self) -> bool:
        """Whether messages were left out, so that what is not here may have been said all the same."""
        return len(self) >= _MOST_EVENTS

    @property
    def peer_chain(self) -> tuple[bytes, ...]:
        """The certificates of the peer as they were sent (DER, leaf first); empty where none came."""
        found = self._body(_CERTIFICATE, "read")
        return () if found is None else certificates_in(found[1], tls13=found[0])

    @property
    def own_chain(self) -> tuple[bytes, ...] | None:
        """The certificates that this side sent, ``None`` where it sent no Certificate message."""
        found = self._body(_CERTIFICATE, "write")
        return None if found is None else certificates_in(found[1], tls13=found[0])

    @property
    def authorities(self) -> tuple[bytes, ...] | None:
        """The names of the CAs that the server asked for (DER); ``None`` where it did not ask, empty for any CA."""
        found = self._body(_CERTIFICATE_REQUEST, "read")
        return None if found is None else authorities_in(found[1], tls13=found[0])

    @property
    def last_received(self) -> str | None:
        """The handshake message of the peer that arrived last."""
        return next((_name(entry) for entry in reversed(self) if _is_message(entry, "read")), None)

    @property
    def tls13(self) -> bool | None:
        """Whether it is TLS 1.3; ``None`` before anything shows it: OpenSSL stamps the hellos with what it offers."""
        last = next((entry for entry in reversed(self) if _is_message(entry, "read")), None)
        return None if last is None or last[3] in _HELLOS else last[1] == _TLS13

    @property
    def alert_received(self) -> int | None:
        """The number of the fatal alert with which the peer ended the handshake."""
        last = next((entry for entry in reversed(self) if entry[0] == "read"), None)
        return None if last is None or last[2] != _ALERT or last[4][:1] != _FATAL else last[3]

    def saw(self, name: str, direction: Direction) -> bool:
        """Whether a message of this name went this way."""
        way = "write" if direction is Direction.SENT else "read"
        return any(_is_message(entry, way) and _name(entry) == name for entry in self)

    def _body(self, message: int, way: str) -> tuple[bool, bytes] | None:
        for entry_way, version, content, number, body, _ in self:
            if (entry_way, content, number) == (way, _HANDSHAKE, message):
                return version == _TLS13, body
        return None


def callback(connection: Any, direction: str, version: int, content: int, message: int, data: bytes) -> None:
    """The message callback of a listening context. Anything but handshake messages and alerts is passed over.

    It runs forty times in a handshake, with nothing of it in the cache of the processor: each line is felt.
    """
    if content in (_HANDSHAKE, _ALERT):
        try:
            log = connection._mtls.log
        except AttributeError:  # not a connection of ours
            return
        if len(log) < _MOST_EVENTS:
            log.append((direction, version, content, message, data, monotonic()))


def _is_message(entry: _Entry, way: str) -> bool:
    return entry[0] == way and entry[2] == _HANDSHAKE


def _name(entry: _Entry) -> str | None:
    """Of a handshake message."""
    _, _, _, message, data, _ = entry
    if message == _SERVER_HELLO and data[_RANDOM : _RANDOM + len(_RETRY)] == _RETRY:
        return "HelloRetryRequest"
    return _MESSAGES.get(message)


def _event(entry: _Entry, start: float) -> TraceEvent:
    way, version, content, number, data, at = entry
    return TraceEvent(
        direction=Direction.SENT if way == "write" else Direction.RECEIVED,
        name=(ALERT_NAMES.get(number) if content == _ALERT else _name(entry)) or f"unknown ({number})",
        is_alert=content == _ALERT,
        size=len(data),
        at=at - start,
        tls_version=_VERSIONS.get(version),
    )


def certificates_in(message: bytes, *, tls13: bool) -> tuple[bytes, ...]:
    """The DER certificates in a Certificate message (RFC 5246, 7.4.2; RFC 8446, 4.4.2), header included.

    A message that is cut short gives the certificates up to the cut.
    """
    position = _HEADER
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


def authorities_in(message: bytes, *, tls13: bool) -> tuple[bytes, ...]:
    """The DER names in a CertificateRequest (RFC 5246, 7.4.4; RFC 8446, 4.2.4), header included, up to a cut."""
    rest = message[_HEADER:]
    if not tls13:
        _, rest = _vector(rest, 1)  # certificate types
        _, rest = _vector(rest, 2)  # signature algorithms
        return _names(_vector(rest, 2)[0])
    _, rest = _vector(rest, 1)  # certificate_request_context
    extensions, _ = _vector(rest, 2)
    while len(extensions) >= _HEADER:
        number = int.from_bytes(extensions[:2], "big")
        body, extensions = _vector(extensions[2:], 2)
        if number == _CERTIFICATE_AUTHORITIES:
            return _names(_vector(body, 2)[0])
    return ()


def _names(listed: bytes) -> tuple[bytes, ...]:
    found = []
    while len(listed) > 2:  # noqa: PLR2004 - the bytes of a length
        entry, listed = _vector(listed, 2)
        found.append(entry)
    return tuple(found)


def _vector(content: bytes, size: int) -> tuple[bytes, bytes]:
    """A vector whose length has ``size`` bytes, and what follows it."""
    length = int.from_bytes(content[:size], "big")
    return content[size : size + length], content[size + length :]
