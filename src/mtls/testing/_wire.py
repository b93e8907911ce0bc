"""What can happen to a connection on the wire, played between two TLS objects in memory, or by a server on its port.

Theory of operation: the one who sends has the fault: in place of one of its messages it closes, resets, falls silent or
sends something else, or the message is changed on the way. The bytes are taken apart into units: a handshake message in
the clear, or one record; which message an encrypted record holds is read from the sender's own log. After such an end
the sender is gone, so only the other side has an error, made by the same code as any other.
"""

from __future__ import annotations

import errno
import ssl
from typing import TYPE_CHECKING, Any, NamedTuple

from mtls._handshake.loopback import Side
from mtls._model import Role
from mtls.testing._cut import DATA, Action

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mtls._handshake.listening import HandshakeLog
    from mtls.testing._cut import Cut

_HEADER, _RECORD = 5, 16384
_LEAF = _HEADER + 4 + 3 + 3
"""Where the first certificate begins: after the record, the message, the length of the list and its own."""
_CHANGE_CIPHER_SPEC, _HANDSHAKE = 20, 22
_CERTIFICATE = "Certificate"
_SAYS = {Role.CLIENT: b"client", Role.SERVER: b"server"}


class _Unit(NamedTuple):
    name: str
    content: bytes

    @property
    def changed(self) -> bytes:
        at = len(self.content) - 1
        if self.name == _CERTIFICATE and self.content[0] == _HANDSHAKE:
            at = _LEAF + int.from_bytes(self.content[_LEAF - 3 : _LEAF], "big") - 1
        return self.content[:at] + bytes([self.content[at] ^ 1]) + self.content[at + 1 :]


class Tap:
    """Takes what the sender writes and gives what arrives. ``over`` is set once the sender is gone, ``reached`` once
    the message of the cut has come along.
    """

    def __init__(self, cut: Cut, log: HandshakeLog) -> None:
        self._cut = cut
        self._log = log
        self._messages = b""
        self._sent = 0
        """How many messages and alerts of the log have come along."""
        self._changed = False
        self.reached = self.over = False

    def pass_on(self, data: bytes) -> bytes:
        """What arrives of these bytes, which are whole records; a message that is not complete waits for its rest."""
        arriving = b""
        for unit in self._units(data):
            if self.reached or unit.name not in self._cut.messages:
                arriving += unit.content
                continue
            self.reached = True
            if self._cut.action is Action.TAMPER:
                arriving += unit.changed
                continue
            self.over = True
            return arriving + self._cut.ending
        return arriving

    def _units(self, data: bytes) -> Iterator[_Unit]:
        while data:
            size = _HEADER + int.from_bytes(data[3:_HEADER], "big")
            record, data = data[:size], data[size:]
            yield from self._of_record(record)

    def _of_record(self, record: bytes) -> Iterator[_Unit]:
        if record[0] == _CHANGE_CIPHER_SPEC:
            self._changed = True  # in TLS 1.3 it means nothing; what follows it is encrypted in both versions
            yield _Unit("ChangeCipherSpec", record)
        elif record[0] == _HANDSHAKE and not self._changed:
            self._messages += record[_HEADER:]
            while len(self._messages) >= (size := 4 + int.from_bytes(self._messages[1:4], "big")):
                message, self._messages = self._messages[:size], self._messages[size:]
                yield _Unit(self._next_name(), _framed(record, message))
        else:
            yield _Unit(self._next_name(), record)

    def _next_name(self) -> str:
        names = [event.name for event in self._log.events if event.direction == "sent"]
        self._sent += 1
        return names[self._sent - 1] if self._sent <= len(names) else DATA


def _framed(record: bytes, message: bytes) -> bytes:
    """A message in records of its own: TLS lets anybody frame the messages anew."""
    parts = (message[start : start + _RECORD] for start in range(0, len(message), _RECORD))
    return b"".join(record[:3] + len(part).to_bytes(2, "big") + part for part in parts)


def join_cut(
    client: ssl.SSLContext, server: ssl.SSLContext, cut: Cut, *, server_hostname: str
) -> tuple[Side, Side, Tap]:
    """As ``loopback.join``, with the one thing that happens."""
    wires = {role: (ssl.MemoryBIO(), ssl.MemoryBIO()) for role in Role}  # what arrives, what is written
    sides = {
        Role.CLIENT: Side(client.wrap_bio(*wires[Role.CLIENT], server_hostname=server_hostname)),
        Role.SERVER: Side(server.wrap_bio(*wires[Role.SERVER], server_side=True)),
    }
    tap = Tap(cut, sides[cut.sender].tls._mtls.log)
    ended: set[Role] = set()
    moved = True
    while moved:
        moved = False
        for role, side in sides.items():
            if tap.over and role is cut.sender:
                continue
            before = side.finished, side.over
            _run(side, _SAYS[role])
            written = wires[role][1].read()
            moved |= before != (side.finished, side.over) or bool(written)
            arriving, other = wires[role.other][0], sides[role.other]
            if role is cut.sender and not tap.reached:
                written = tap.pass_on(written)
            if role.other not in ended:
                arriving.write(written)
            if tap.over and role is cut.sender:
                _end(cut.action, other, arriving)
                ended.add(role.other)
            elif side.error is not None and role.other not in ended:
                arriving.write_eof()
                ended.add(role.other)
    return sides[Role.CLIENT], sides[Role.SERVER], tap


def _run(side: Side, says: bytes) -> None:
    if side.over:
        return
    if not side.finished:
        side.finished = side.attempt(side.tls.do_handshake)
        if side.finished:
            side.attempt(lambda: side.tls.write(says))
    if side.finished and side.error is None:
        side.heard = side.attempt(side.tls.read)


def _end(action: Action, side: Side, arriving: ssl.MemoryBIO) -> None:
    """The sender is gone: an end of the stream in memory, or what the operating system says of a socket then."""
    if action is Action.RESET:
        _interrupt(side, ConnectionResetError(errno.ECONNRESET, "Connection reset by peer"))
    elif action is Action.SILENCE:
        _interrupt(side, TimeoutError("timed out"))
    else:
        arriving.write_eof()


def _interrupt(side: Side, cause: OSError) -> None:
    """Let the C object fail as it does on a socket. No fault does it to a side whose handshake has ended: there such an
    end passes unchanged, and has no step.
    """
    standing = side.tls._sslobj
    standing._real = _Interrupted(standing._real, cause)


class _Interrupted:
    """The C object of a connection that the operating system ends once everything that had arrived is read."""

    def __init__(self, real: Any, cause: OSError) -> None:
        self._real = real
        self._cause = cause

    def do_handshake(self) -> None:
        try:
            self._real.do_handshake()
        except ssl.SSLWantReadError:
            raise self._cause from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)
