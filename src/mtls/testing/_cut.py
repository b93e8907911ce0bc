"""What can happen in place of a message, as a value.

Rule: no ``ssl`` here: the catalogue is read when tests are collected.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from mtls._model import Role

DATA = "application data"
_GARBAGE = bytes(range(200, 250)) * 2
_HTTP = {
    Role.CLIENT: b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    Role.SERVER: b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
}
_ALERT, _FATAL = 21, 2


class Action(enum.StrEnum):
    """What happens in place of a message."""

    CLOSE = "close"
    RESET = "reset"
    SILENCE = "silence"
    GARBAGE = "garbage"
    PLAIN_HTTP = "plain HTTP"
    ALERT = "alert"
    TAMPER = "tamper"
    """The message is passed on with its last byte changed; of a Certificate in the clear, the last one of the leaf."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One thing that happens to the first of these messages of one side. ``alert`` is the number of the alert."""

    sender: Role
    messages: tuple[str, ...]
    action: Action
    alert: int = 0

    @property
    def ending(self) -> bytes:
        """What the sender says in place of the message, before it is gone."""
        match self.action:
            case Action.GARBAGE:
                return _GARBAGE
            case Action.PLAIN_HTTP:
                return _HTTP[self.sender]
            case Action.ALERT:
                return bytes((_ALERT, 3, 3, 0, 2, _FATAL, self.alert))
            case _:
                return b""
