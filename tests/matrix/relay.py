"""A proxy between our side and a real peer that does one thing wrong, at one point of the handshake.

Rule: it knows nothing of what is encrypted. It passes units: a handshake message in the clear as a record of its own
(TLS lets anybody frame them anew), and every other record as it is, by its number.
"""

from __future__ import annotations

import contextlib
import enum
import select
import socket
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from tests.matrix.peers.base import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Iterator

_HEADER = 5
_RECORD = 16384
_LEAF = _HEADER + 4 + 3 + 3
"""Where the first certificate begins: after the record, the message, the length of the list and its own."""
_CHANGE_CIPHER_SPEC, _ALERT, _HANDSHAKE = 20, 21, 22
_MESSAGES = {
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    22: "CertificateStatus",
}
CHANGE, ENCRYPTED = "ChangeCipherSpec", "encrypted"
_GARBAGE = bytes(range(200, 250)) * 2
_HTTP = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Action(enum.StrEnum):
    """What the relay does in place of passing a unit on."""

    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"
    GARBAGE = "garbage"
    HTTP = "plain HTTP"
    TAMPER = "tampered"
    """Passes it on with its last byte changed."""


class Unit(NamedTuple):
    """What the relay passes on at once."""

    name: str
    content: bytes

    @property
    def tampered(self) -> bytes:
        """It with its last byte changed; of a Certificate message in the clear, the last one of the leaf."""
        at = len(self.content) - 1
        if self.name == "Certificate":
            at = _LEAF + int.from_bytes(self.content[_LEAF - 3 : _LEAF], "big") - 1
        return self.content[:at] + bytes([self.content[at] ^ 1]) + self.content[at + 1 :]


@dataclass
class Relay:
    """Passes one connection, until one of the units that are named comes along in the one direction.

    ``towards_us`` is the direction. It is one thread: a socket that another one waits for cannot be reset.
    """

    units: frozenset[str]
    towards_us: bool
    action: Action
    reached: threading.Event = field(default_factory=threading.Event)
    seen: list[str] = field(default_factory=list)
    """Every unit of that direction, up to the one."""

    def join(self, ours: socket.socket, theirs: socket.socket) -> None:
        """Pass on until both sides are done, or until it is time to act."""
        parsers, targets = {ours: _Parser(), theirs: _Parser()}, {ours: theirs, theirs: ours}
        reading = {ours, theirs}
        while reading:
            ready, _, _ = select.select(list(reading), [], [], DEADLINE)
            if not ready:
                return
            for source in ready:
                data = _received(source)
                watched = self.towards_us is (source is theirs)
                for unit in parsers[source].units(data):
                    if watched and self._is_time(unit):
                        self._act(ours, theirs)
                        return
                    with contextlib.suppress(OSError):
                        targets[source].sendall(self._passed(unit) if watched else unit.content)
                if not data:
                    reading.remove(source)
                    with contextlib.suppress(OSError):
                        targets[source].shutdown(socket.SHUT_WR)

    def _is_time(self, unit: Unit) -> bool:
        """Whether to act now. What is to be tampered with is passed on."""
        if self.reached.is_set():
            return False
        self.seen.append(unit.name)
        if unit.name not in self.units:
            return False
        self.reached.set()
        return self.action is not Action.TAMPER

    def _passed(self, unit: Unit) -> bytes:
        tampers = self.action is Action.TAMPER and self.seen[-1] == unit.name and unit.name in self.units
        if not tampers:
            return unit.content
        self.seen.append("tampered")
        return unit.tampered

    def _act(self, ours: socket.socket, theirs: socket.socket) -> None:
        """Nothing is passed on any more, in either direction; the peer need not wait for what we do."""
        theirs.close()
        if self.action is Action.RESET:
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            ours.close()
            return
        with contextlib.suppress(OSError):
            if self.action in {Action.GARBAGE, Action.HTTP}:
                ours.sendall(_GARBAGE if self.action is Action.GARBAGE else _HTTP)
            if self.action is not Action.SILENCE:
                ours.shutdown(socket.SHUT_WR)
        _drain(ours)


class _Parser:
    """Takes a stream of records apart. A partial handshake message waits for its rest."""

    def __init__(self) -> None:
        self._pending = self._messages = b""
        self._encrypted = 0
        self._changed = False

    def units(self, data: bytes) -> Iterator[Unit]:
        """What is complete with this."""
        self._pending += data
        while len(self._pending) >= _HEADER:
            size = _HEADER + int.from_bytes(self._pending[3:_HEADER], "big")
            if len(self._pending) < size:
                return
            record, self._pending = self._pending[:size], self._pending[size:]
            yield from self._of_record(record)

    def _of_record(self, record: bytes) -> Iterator[Unit]:
        kind = record[0]
        if kind == _CHANGE_CIPHER_SPEC:
            # in TLS 1.3 it means nothing; what follows it is encrypted in both versions
            self._changed = True
            yield Unit(CHANGE, record)
        elif kind == _HANDSHAKE and not self._changed:
            self._messages += record[_HEADER:]
            while len(self._messages) >= (size := 4 + int.from_bytes(self._messages[1:4], "big")):
                message, self._messages = self._messages[:size], self._messages[size:]
                yield Unit(_MESSAGES.get(message[0], str(message[0])), _framed(record, message))
        elif kind == _ALERT and len(record) == _HEADER + 2:
            yield Unit("alert", record)
        else:
            self._encrypted += 1
            yield Unit(f"{ENCRYPTED} {self._encrypted}", record)


def _framed(record: bytes, message: bytes) -> bytes:
    parts = (message[start : start + _RECORD] for start in range(0, len(message), _RECORD))
    return b"".join(record[:3] + len(part).to_bytes(2, "big") + part for part in parts)


def _received(source: socket.socket) -> bytes:
    """What is there; nothing at the end, however that came."""
    try:
        return source.recv(65536)
    except OSError:
        return b""


def _drain(source: socket.socket) -> None:
    """Take what still comes, so that an end of stream is not made a reset by it, until the other side is done."""
    while _received(source):
        pass
