"""Writes keys, certificates and requests to disk.

Rule: a file appears whole or not at all, and a private key is at no moment readable by anybody but its owner.
"""

from __future__ import annotations

import contextlib
import enum
import errno
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from mtls._certificate import printable
from mtls._credentials.secret import Passphrase, Secret
from mtls._credentials.sources import Named
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

_KEY_MODE = 0o600
_CERTIFICATE_MODE = 0o644
_DIRECTORY_MODE = 0o755
_NO_HARD_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Existing(enum.StrEnum):
    """What becomes of a file that is already there."""

    REFUSE = "refuse"
    """It stays as it is, and nothing is written (:class:`~mtls.UsageError`)."""
    REPLACE = "replace"
    """The new file takes its place in one step: a reader sees the old one or the new one, never a part."""


@dataclass(frozen=True, slots=True)
class File:
    """What is to be written where, with which mode; the content never shows in a ``repr``."""

    path: Path
    content: Secret
    mode: int


def key_file(path: str | os.PathLike[str], key: PrivateKeyTypes, passphrase: Passphrase) -> File:
    """The key as PKCS#8 in PEM, encrypted if there is a password, for its owner alone (mode 0600)."""
    target = _path(path)
    password = passphrase.checked().ask(Named(printable(str(target)), KeystoreError))
    if password is not None and not len(password):
        text = "the password is empty; leave password= out to save the key unencrypted"
        raise UsageError(text)
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password.reveal())
    return File(target, Secret(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)), _KEY_MODE)


def certificate_file(path: str | os.PathLike[str], content: bytes) -> File:
    """Something public, readable by everybody (mode 0644)."""
    return File(_path(path), Secret(content), _CERTIFICATE_MODE)


def write(*files: File, existing: Existing | str = Existing.REFUSE) -> None:
    """Write all the files, or none of them.

    Every file is completed under a temporary name in its own directory, created with ``O_EXCL`` and mode 0600, before
    the first one gets its real name. Raises :class:`~mtls.UsageError` if one is there and ``existing`` says to refuse;
    an :class:`OSError` of the file system (no such directory, no permission, disk full) passes unchanged. Whoever
    ends the process in between leaves at most a temporary file with mode 0600.
    """
    existing = _existing(existing)
    for file in files:
        _refuse_obstacle(file.path, existing)
    staged: list[tuple[Path, File]] = []
    published: list[Path] = []
    try:
        for file in files:
            temporary = file.path.with_name(f".{file.path.name[:100]}.{secrets.token_hex(8)}.tmp")
            staged.append((temporary, file))
            _fill(temporary, file)
        for temporary, file in staged:
            if existing is Existing.REPLACE:
                temporary.replace(file.path)
            else:
                _publish(temporary, file.path)
                published.append(file.path)
    except BaseException:
        for path in published:
            path.unlink(missing_ok=True)
        raise
    finally:
        for temporary, _ in staged:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def directory(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The directory, made if it is missing (only its last part, mode 0755), and removed again if the body fails."""
    folder = _path(path)
    try:
        folder.mkdir(mode=_DIRECTORY_MODE)
    except FileExistsError:
        yield folder
        return
    try:
        yield folder
    except BaseException:
        with contextlib.suppress(OSError):
            folder.rmdir()
        raise


def _fill(temporary: Path, file: File) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    with open(os.open(temporary, flags, _KEY_MODE), "wb") as stream:  # noqa: PTH123 - a path cannot set the mode
        stream.write(file.content.reveal())
        stream.flush()
        if hasattr(os, "fchmod"):
            os.fchmod(stream.fileno(), file.mode)
        os.fsync(stream.fileno())


def _publish(temporary: Path, target: Path) -> None:
    """Give the file its name only if the name is free, in one step: a hard link never replaces."""
    try:
        target.hardlink_to(temporary)
    except FileExistsError:
        raise _already_there(target) from None
    except OSError as exc:
        if exc.errno not in _NO_HARD_LINKS:
            raise
        _publish_without_links(temporary, target)


def _publish_without_links(temporary: Path, target: Path) -> None:
    """The same on a file system without hard links: an empty file takes the name first."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _KEY_MODE))
    except FileExistsError:
        raise _already_there(target) from None
    try:
        temporary.replace(target)
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _refuse_obstacle(path: Path, existing: Existing) -> None:
    if path.is_dir():
        text = f"{path} is a directory; name a file"
        raise UsageError(text)
    if existing is Existing.REFUSE and os.path.lexists(path):
        raise _already_there(path)


def _already_there(path: Path) -> UsageError:
    return UsageError(f"{path} already exists; choose another path, or replace it with existing=Existing.REPLACE")


def _existing(value: Existing | str) -> Existing:
    try:
        return Existing(value)
    except ValueError:
        text = f"existing={value!r} is unknown; use Existing.REFUSE or Existing.REPLACE"
        raise UsageError(text) from None


def _path(path: object) -> Path:
    named = os.fspath(path) if isinstance(path, (str, os.PathLike)) else None
    if isinstance(named, str) and named and "\0" not in named:
        return Path(named)
    text = f"a path to write to must be a str or path object that names a file, not {type(path).__name__}"
    raise UsageError(text)
