"""One TCP connection as a pcapng file, with the secrets that decrypt it (draft-ietf-opsawg-pcapng; RFC 9293; RFC 791).

Rule: pure bytes. The data and the times of each segment are real; what lies below them (IP and TCP headers, the opening
and the end of the connection) is made here, because a program sees a stream and no packets.
"""

from __future__ import annotations

import enum
import ipaddress
import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_SECTION, _INTERFACE, _PACKET, _SECRETS = 0x0A0D0D0A, 1, 6, 10
_BYTE_ORDER = 0x1A2B3C4D
_VERSION = (1, 0)
_UNKNOWN_LENGTH = -1
_TLS_KEY_LOG = 0x544C534B
"""The secrets are lines of the NSS key log format."""
_RAW_IP = 101
"""The link type of packets that begin with an IPv4 or IPv6 header."""
_APPLICATION = 4
"""The option of the section header that names the program."""
_MICROSECONDS = 1_000_000
_SEGMENT = 1400
_WINDOW = 0xFFFF
_TCP, _TTL = 6, 64
_FIN, _SYN, _RST, _PSH, _ACK = 1, 2, 4, 8, 16
_HEADER_WORDS = 5
_SEQUENCE = 1 << 32
_FIRST = {True: 1_000, False: 5_000}
"""The initial sequence numbers of the client and the server."""


class Endpoint(NamedTuple):
    """An IP address (IPv4 or IPv6, as text) and a TCP port."""

    address: str
    port: int


class Event(enum.Enum):
    """What one side did to its half of the stream."""

    DATA = "data"
    END = "end"
    RESET = "reset"


class Moment(NamedTuple):
    """One thing that happened, at a time in seconds since 1970."""

    at: float
    from_client: bool
    event: Event
    data: bytes = b""


def encoded(client: Endpoint, server: Endpoint, moments: Iterable[Moment], key_log: bytes) -> bytes:
    """The file: a section, the secrets, one interface, and the packets of one connection in order of time.

    ``key_log`` is in the NSS format (``CLIENT_RANDOM …``). Data that was sent after the end of its side is left out.
    """
    conversation = _Conversation(client, server)
    packets = (_packet(at, content) for at, content in conversation.packets(moments))
    return b"".join((_section(), _secrets(key_log), _interface(), *packets))


def _section() -> bytes:
    body = struct.pack("<IHHq", _BYTE_ORDER, *_VERSION, _UNKNOWN_LENGTH)
    return _block(_SECTION, body + _option(_APPLICATION, b"mtls") + _option(0, b""))


def _interface() -> bytes:
    return _block(_INTERFACE, struct.pack("<HHI", _RAW_IP, 0, 0))


def _secrets(key_log: bytes) -> bytes:
    return _block(_SECRETS, struct.pack("<II", _TLS_KEY_LOG, len(key_log)) + _padded(key_log))


def _packet(at: float, content: bytes) -> bytes:
    high, low = divmod(int(at * _MICROSECONDS), 1 << 32)
    return _block(_PACKET, struct.pack("<IIIII", 0, high, low, len(content), len(content)) + _padded(content))


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + _padded(value)


def _padded(content: bytes) -> bytes:
    return content + bytes(-len(content) % 4)


class _Conversation:
    """The packets of one connection, with the sequence numbers that belong to them."""

    def __init__(self, client: Endpoint, server: Endpoint) -> None:
        self._ends = {True: client, False: server}
        self._next = dict(_FIRST)
        self._open = {True: True, False: True}

    def packets(self, moments: Iterable[Moment]) -> Iterator[tuple[float, bytes]]:
        last = None
        for at, from_client, event, data in moments:
            if last is None:
                yield from ((at, packet) for packet in self._opening())
            last = at
            if not self._open[from_client]:
                continue
            if event is Event.DATA:
                yield from ((at, packet) for packet in self._data(data, from_client=from_client))
            else:
                yield at, self._end(event, from_client=from_client)

    def _opening(self) -> Iterator[bytes]:
        yield self._segment(_SYN, from_client=True, acknowledges=False)
        self._next[True] += 1
        yield self._segment(_SYN | _ACK, from_client=False)
        self._next[False] += 1
        yield self._segment(_ACK, from_client=True)

    def _data(self, data: bytes, *, from_client: bool) -> Iterator[bytes]:
        for start in range(0, len(data), _SEGMENT):
            part = data[start : start + _SEGMENT]
            yield self._segment(_PSH | _ACK, part, from_client=from_client)
            self._next[from_client] = (self._next[from_client] + len(part)) % _SEQUENCE
        yield self._segment(_ACK, from_client=not from_client)

    def _end(self, event: Event, *, from_client: bool) -> bytes:
        self._open[from_client] = False
        if event is Event.RESET:
            self._open[not from_client] = False
            return self._segment(_RST | _ACK, from_client=from_client)
        packet = self._segment(_FIN | _ACK, from_client=from_client)
        self._next[from_client] += 1
        return packet

    def _segment(self, flags: int, data: bytes = b"", *, from_client: bool, acknowledges: bool = True) -> bytes:
        source, target = self._ends[from_client], self._ends[not from_client]
        acknowledged = self._next[not from_client] if acknowledges else 0
        fields = (source.port, target.port, self._next[from_client], acknowledged, _HEADER_WORDS << 12 | flags, _WINDOW)
        return _in_ip(source.address, target.address, struct.pack("!HHIIHHHH", *fields, 0, 0) + data)


def _in_ip(source: str, target: str, segment: bytes) -> bytes:
    """An IP packet around a TCP segment, both checksums put in (RFC 791; RFC 8200, 8.1; RFC 9293, 3.1)."""
    one, other = _packed(source), _packed(target)
    if len(one) == len(other) == 4:  # noqa: PLR2004 - bytes of an IPv4 address
        pseudo = one + other + struct.pack("!HH", _TCP, len(segment))
        plain = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, _TTL, _TCP, 0) + one + other
        header = plain[:10] + _checksum(plain) + plain[12:]
    else:
        pseudo = one + other + struct.pack("!II", len(segment), _TCP)
        header = struct.pack("!IHBB", 6 << 28, len(segment), _TCP, _TTL) + one + other
    return header + segment[:16] + _checksum(pseudo + segment) + segment[18:]


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address.partition("%")[0]).packed


def _checksum(content: bytes) -> bytes:
    """The Internet checksum (RFC 1071)."""
    even = content + bytes(len(content) % 2)
    total = sum(struct.unpack(f"!{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~total & 0xFFFF)
