"""``capture=``: the bytes of one connection and the secrets that decrypt them, kept in memory and written at its end.

Rule: only where somebody named a path, loudly, to a new file that nobody else may read; never by an environment
variable. No private key ever comes near it: OpenSSL's key log holds the secrets of one connection.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mtls._certificate import printable
from mtls._handshake.staging import memory_file
from mtls._model import Role
from mtls._rehearsal import pcapng
from mtls._rehearsal.pcapng import Endpoint, Event, Moment
from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_log = logging.getLogger("mtls")
_MOST = 16 * 1024 * 1024
"""Bytes that are kept of one connection; a hostile peer does not get to fill the memory."""
_PATH_LENGTH = 300
_IN_MEMORY = (Endpoint("127.0.0.1", 50_000), Endpoint("127.0.0.1", 443))
"""The ends of a connection that has none; 443 is where tools look for TLS."""


class Recorder:
    """What went over one connection, as it came."""

    def __init__(self, key_log: str) -> None:
        self.key_log = key_log
        """Where OpenSSL writes the secrets."""
        self.ends = _IN_MEMORY
        """The client's and the server's."""
        self.moments: list[Moment] = []
        self._left = _MOST

    def tap(self, role: Role, data: bytes) -> None:
        """Keep what this side sent; nothing (``b""``) is the end of what it sends."""
        if data:
            self._keep(role, Event.DATA, data)
        else:
            self._keep(role, Event.END)

    def reset(self, role: Role) -> None:
        """This side broke the connection off."""
        self._keep(role, Event.RESET)

    def _keep(self, role: Role, event: Event, data: bytes = b"") -> None:
        self._left -= len(data)
        if self._left >= 0:
            self.moments.append(Moment(time.time(), role is Role.CLIENT, event, data))


@contextlib.contextmanager
def recording(path: str | os.PathLike[str] | None) -> Iterator[Recorder | None]:
    """A recorder whose content is in ``path`` afterwards, whatever happened; ``None`` where no path is given.

    The file is made at once, with mode 0600, so that a path that cannot be written to is known before anything is sent.
    Where nothing went over the wire it is removed again. Raises :class:`UsageError` for a path that is taken.
    """
    if path is None:
        yield None
        return
    target = _path(path)
    with memory_file() as (key_log, secrets), _new_file(target) as stream:
        name = printable(str(target), _PATH_LENGTH)
        _log.warning("capture=%s: this file holds the session secrets; whoever has it can read the connection", name)
        recorder = Recorder(key_log)
        try:
            yield recorder
        finally:
            if recorder.moments:
                stream.write(pcapng.encoded(*recorder.ends, recorder.moments, secrets()))
            else:
                target.unlink()


def _new_file(target: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(target, flags, 0o600)
    except FileExistsError:
        name = printable(str(target), _PATH_LENGTH)
        text = f"capture={name} is there already, and nothing is overwritten: name a new file"
        raise UsageError(text) from None
    return os.fdopen(descriptor, "wb")


def _path(path: object) -> Path:
    named = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if isinstance(named, str) and named and "\0" not in named:
        return Path(named)
    text = f"capture= takes a path that names a new file, not {printable(repr(path))}"
    raise UsageError(text)
