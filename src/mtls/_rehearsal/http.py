"""One question in HTTP and the head of its answer, in HTTP/1.1 (RFC 9112) and HTTP/2 (RFC 9113): pure bytes.

Rule: no more is asked, read or kept than a refusal needs: the status, and the page of a status that may be one.
"""

from __future__ import annotations

import re
from typing import NamedTuple, Protocol

_AGENT = "mtls-probe"
_HTTPS = 443
_MOST = 64 * 1024
"""Bytes of an answer that are looked at."""
_MAY_REFUSE = frozenset({400, 403, 495, 496})
"""Only of these the page is read."""
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: |$)")
_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")
_SWITCHING = 101


class Answer(NamedTuple):
    """What came: the status (``None`` where what came is no HTTP), the headers, and the page where it was read."""

    status: int | None
    headers: dict[str, str]
    body: bytes


class Exchange(Protocol):
    """One request, and the answer as it arrives."""

    request: bytes
    answer: Answer | None
    """As far as it is known."""
    done: bool
    """Whether nothing more has to be read."""

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; returns what must be sent now."""
        ...


class Authority(NamedTuple):
    """The name that the server was asked for, and its port."""

    name: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.name}]" if ":" in self.name else self.name
        return host if self.port == _HTTPS else f"{host}:{self.port}"


def exchange(alpn: str | None, authority: Authority) -> Exchange | None:
    """The one that fits the protocol that was negotiated; ``None`` for a protocol that is no HTTP."""
    if alpn == "h2":
        return Http2(str(authority))
    return Http1(str(authority)) if alpn in {None, "http/1.1", "http/1.0"} else None


class Http1:
    """``GET /``, and the connection is over."""

    def __init__(self, authority: str) -> None:
        lines = ("GET / HTTP/1.1", f"Host: {authority}", f"User-Agent: {_AGENT}", "Accept: */*", "Connection: close")
        self.request = "".join(f"{line}\r\n" for line in (*lines, "")).encode("ascii")
        self.answer: Answer | None = None
        self.done = False
        self._received = b""

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; there is never anything to send."""
        self._received = (self._received + data)[:_MOST]
        while (end := _HEAD_ENDS.search(self._received)) is not None:
            head, rest = self._received[: end.start()], self._received[end.end() :]
            found = _STATUS_LINE.match(head)
            status = int(found[1]) if found else None
            if status is not None and status < 200 and status != _SWITCHING:  # noqa: PLR2004 - 1xx: another one follows
                self._received = rest
                continue
            self.answer = Answer(status, _headers(head), rest)
            self.done = status not in _MAY_REFUSE or _is_whole(self.answer)
            break
        self.done = self.done or len(self._received) == _MOST
        return b""


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(b":") for line in head.splitlines()[1:])
    return {name.decode("latin-1").strip().lower(): value.decode("latin-1").strip() for name, _, value in pairs}


def _is_whole(answer: Answer) -> bool:
    length = answer.headers.get("content-length", "")
    if length.isascii() and length.isdigit():
        return len(answer.body) >= int(length[:9])
    return "chunked" in answer.headers.get("transfer-encoding", "") and answer.body.endswith(b"0\r\n\r\n")


# --- HTTP/2 ---

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _GOAWAY = 0, 1, 3, 4, 7
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_FRAME_HEADER = 9
_STREAM = 1
_STATUSES = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}
"""Of the static table (RFC 7541, appendix A)."""
_METHOD_GET, _PATH_ROOT, _SCHEME_HTTPS, _AUTHORITY, _USER_AGENT = 0x82, 0x84, 0x87, 1, 58
_DIGITS = {f"{digit:05b}": str(digit) for digit in range(3)} | {
    f"{22 + digit:06b}": str(digit) for digit in range(3, 10)
}
"""The Huffman codes of the digits (RFC 7541, appendix B)."""
_CODE_LENGTHS = (5, 6)
_STATUS_LENGTH = 3
_MOST_IN_5_BITS = 0x1F


class Http2:
    """The same on stream 1. Its headers are not decoded, but for the status, which comes first (RFC 9113, 8.3.2)."""

    def __init__(self, authority: str) -> None:
        fields = bytes((_METHOD_GET, _SCHEME_HTTPS, _PATH_ROOT))
        fields += _literal(_AUTHORITY, authority) + _literal(_USER_AGENT, _AGENT)
        asked = _frame(_HEADERS, _END_STREAM | _END_HEADERS, fields, _STREAM)
        self.request = _PREFACE + _frame(_SETTINGS) + asked
        self.answer: Answer | None = None
        self.done = False
        self._received = b""
        self._total = 0

    def feed(self, data: bytes) -> bytes:
        """Take what arrived; what must be sent are acknowledgements of settings."""
        self._received += data
        self._total += len(data)
        reply = b""
        while len(self._received) >= _FRAME_HEADER and not self.done:
            length, kind, flags = int.from_bytes(self._received[:3], "big"), self._received[3], self._received[4]
            stream = int.from_bytes(self._received[5:9], "big") & 0x7FFFFFFF
            if len(self._received) < _FRAME_HEADER + length:
                break
            payload = self._received[_FRAME_HEADER : _FRAME_HEADER + length]
            self._received = self._received[_FRAME_HEADER + length :]
            if kind == _SETTINGS and not flags & _ACK:
                reply += _frame(_SETTINGS, _ACK)
            elif kind == _GOAWAY or (kind == _RST_STREAM and stream == _STREAM):
                self.done = True
            elif stream == _STREAM:
                self._take(kind, flags, payload)
        self.done = self.done or self._total >= _MOST
        return reply

    def _take(self, kind: int, flags: int, payload: bytes) -> None:
        if flags & _PADDED:
            payload = payload[1 : len(payload) - payload[0]] if payload else payload
        if kind == _HEADERS:
            status = _status(payload[5:] if flags & _PRIORITY else payload)
            if self.answer is None and (status is None or status >= 200):  # noqa: PLR2004 - 1xx: another one follows
                self.answer = Answer(status, {}, b"")
                self.done = status not in _MAY_REFUSE
        elif kind == _DATA and self.answer is not None:
            self.answer = self.answer._replace(body=self.answer.body + payload)
        self.done = self.done or (kind in {_HEADERS, _DATA} and bool(flags & _END_STREAM))


def _frame(kind: int, flags: int = 0, payload: bytes = b"", stream: int = 0) -> bytes:
    return len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big") + payload


def _literal(name: int, value: str) -> bytes:
    """A field that is not indexed, its name from the static table (RFC 7541, 6.2.2)."""
    encoded = value.encode("ascii")
    return _integer(name, 4) + _integer(len(encoded), 7) + encoded


def _integer(value: int, bits: int) -> bytes:
    most = (1 << bits) - 1
    if value < most:
        return bytes((value,))
    rest, found = value - most, [most]
    while rest >= 0x80:  # noqa: PLR2004 - seven bits a byte
        found.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes((*found, rest))


def _status(fields: bytes) -> int | None:
    """The status in a block of fields; ``None`` where it does not come first, or in a form that nobody sends."""
    while fields and fields[0] >> 5 == 1:  # a new size of the table (RFC 7541, 6.3)
        long = fields[0] & _MOST_IN_5_BITS == _MOST_IN_5_BITS
        fields = fields[1:]
        while long and fields:
            long, fields = bool(fields[0] & 0x80), fields[1:]
    if not fields:
        return None
    first = fields[0]
    if first & 0x80:
        return _STATUSES.get(first & 0x7F)
    name = first & (0x3F if first & 0x40 else 0x0F)
    if name not in _STATUSES or len(fields) < 2:  # noqa: PLR2004 - the first byte and a length
        return None
    value = fields[2 : 2 + (fields[1] & 0x7F)]
    digits = _digits(value) if fields[1] & 0x80 else value.decode("latin-1")
    return int(digits) if len(digits) == _STATUS_LENGTH and digits.isascii() and digits.isdigit() else None


def _digits(value: bytes) -> str:
    bits = "".join(f"{byte:08b}" for byte in value)
    found = ""
    while len(found) < _STATUS_LENGTH:
        length = next((length for length in _CODE_LENGTHS if bits[:length] in _DIGITS), None)
        if length is None:
            break
        found, bits = found + _DIGITS[bits[:length]], bits[length:]
    return found
