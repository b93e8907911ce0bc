"""Where bytes come from: the only file that opens files.

Rule: a ``str`` or path object is a path and ``bytes`` are the content, never guessed; a read is bounded, never waits,
and what goes wrong is one :class:`~mtls.SourceFailure` that names the source.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

from mtls._certificate import printable
from mtls._credentials.secret import Secret
from mtls._model import SourceFailure
from mtls.errors import KeystoreError, TruststoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Source = str | os.PathLike[str] | bytes
"""A path (``str`` or path object) or the content itself (``bytes``)."""

LIMIT = 16 * 1024 * 1024
"""The most bytes that a source may have."""

_PATH_LENGTH = 1024
_CONTENT_LENGTH = 200
_NAME_LENGTH = 300


class Named:
    """A source as errors know it: its name, and the kind of error that is raised over it."""

    __slots__ = ("error", "name")

    def __init__(self, name: str, error: type[KeystoreError | TruststoreError]) -> None:
        self.name = name
        self.error = error

    def refusal(self, failure: SourceFailure, problem: str, remedy: str) -> KeystoreError | TruststoreError:
        """The error to raise."""
        return self.error(problem, source=self.name, failure=failure, remedy=remedy)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Document(Named):
    """The bytes of one source, with its name."""

    __slots__ = ("content",)

    def __init__(self, name: str, error: type[KeystoreError | TruststoreError], content: Secret) -> None:
        super().__init__(name, error)
        self.content = content

    @property
    def file(self) -> str:
        """What to write for the file in a command line of a remedy."""
        return "FILE" if self.name.endswith("(bytes)") else self.name


class Origin(Named):
    """What the caller gave as a source, not read yet. Making one never raises; :meth:`read` does."""

    __slots__ = ("_content", "path", "wrong")

    def __init__(self, given: object, parameter: str, error: type[KeystoreError | TruststoreError]) -> None:
        self._content = Secret(given) if isinstance(given, bytes) else None
        path, self.wrong = (None, None) if self._content else _path(given, parameter)
        super().__init__(f"{parameter} (bytes)" if path is None else printable(path, _NAME_LENGTH), error)
        self.path = None if path is None else _absolute(path)

    def read(self) -> Document:
        """The content.

        Raises :class:`UsageError` for something that is no source, else the error of this origin: ``NOT_FOUND``,
        ``NOT_READABLE``, ``TOO_LARGE`` or ``EMPTY``.
        """
        if self.wrong is not None:
            raise UsageError(self.wrong)
        content = self._content if self.path is None else self._file(self.path)
        assert content is not None
        if len(content) > LIMIT:
            remedy = "give a file that holds the key or certificates only"
            raise self.refusal(SourceFailure.TOO_LARGE, f"it is larger than {LIMIT >> 20} MiB", remedy)
        if not content.reveal()[:4096].strip() and not content.reveal().strip():
            raise self.refusal(SourceFailure.EMPTY, "it is empty", "check what was meant to write it")
        return Document(self.name, self.error, content)

    def _file(self, path: str) -> Secret:
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOCTTY", 0)
        try:
            descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0))
            with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
                mode = os.fstat(descriptor).st_mode
                if stat.S_ISREG(mode):
                    return Secret(file.read(LIMIT + 1))
        except (FileNotFoundError, NotADirectoryError) as exc:
            raise self.refusal(SourceFailure.NOT_FOUND, *_missing(path, self.name)) from exc
        except IsADirectoryError as exc:
            raise self.refusal(SourceFailure.NOT_READABLE, *_irregular(stat.S_IFDIR)) from exc
        except (OSError, ValueError) as exc:
            problem = f"it cannot be read ({getattr(exc, 'strerror', None) or type(exc).__name__})"
            remedy = "check the permissions of the file and of the directories above it"
            raise self.refusal(SourceFailure.NOT_READABLE, problem, remedy) from exc
        raise self.refusal(SourceFailure.NOT_READABLE, *_irregular(mode))


def directory_path(given: object, error: type[KeystoreError | TruststoreError]) -> str:
    """``given`` as an absolute path of a directory. Raises :class:`UsageError` for something that is no path, and
    ``NOT_FOUND`` or ``NOT_READABLE`` where there is no directory.
    """
    origin = Origin(given, "directory", error)
    del given  # it may be a key by mistake
    if origin.path is None:
        raise UsageError(origin.wrong or "directory must be a path (str or path object), not bytes")
    if os.path.isdir(origin.path):  # noqa: PTH112 - strings throughout
        return origin.path
    if os.path.exists(origin.path):  # noqa: PTH110
        raise origin.refusal(SourceFailure.NOT_READABLE, "it is a file, not a directory", "use from_pem()")
    raise origin.refusal(SourceFailure.NOT_FOUND, *_missing(origin.path, origin.name))


def file_name(given: object, parameter: str) -> str:
    """``given`` as the name of a file in a directory; :class:`UsageError` for anything else."""
    origin = Origin(given, parameter, KeystoreError)
    name = os.fspath(given) if isinstance(given, (str, os.PathLike)) and origin.wrong is None else None
    del given  # it may be a key by mistake
    if not isinstance(name, str):
        raise UsageError(origin.wrong or f"{parameter} must be the name of a file in the directory")
    return name


def current_generation(directory: str) -> str:
    """The real directory behind the ``..data`` of a Kubernetes volume, or ``directory`` itself where there is none."""
    link = os.path.join(directory, "..data")  # noqa: PTH118 - strings throughout
    return os.path.realpath(link) if os.path.isdir(link) else directory  # noqa: PTH112


def in_generation(generation: str, directory: str, name: str, error: type[KeystoreError | TruststoreError]) -> Origin:
    """The file ``name`` of that generation under its lasting name; the one beside ``..data`` where it has none."""
    lasting = os.path.join(directory, name)  # noqa: PTH118
    behind = os.path.join(generation, name)  # noqa: PTH118
    origin = Origin(behind if os.path.lexists(behind) else lasting, "directory", error)
    origin.name = printable(lasting, _NAME_LENGTH)
    return origin


def not_a_sequence(given: object, parameter: str) -> str | None:
    """Why ``given`` is no sequence of sources, or ``None`` where it may be one. Never raises."""
    if given is None:
        return f"{parameter} is None, which looks like an unset variable; leave it out instead"
    if isinstance(given, (str, bytes, bytearray, os.PathLike)):
        return f"{parameter} takes a sequence: {parameter}=[…], even for one source"
    return None if hasattr(given, "__iter__") else f"{parameter} takes a sequence, not {type(given).__name__}"


def paths_of(origins: Sequence[Origin]) -> tuple[str, ...]:
    """The files among ``origins``, absolute, each once."""
    return tuple(dict.fromkeys(origin.path for origin in origins if origin.path is not None))


def _path(given: object, parameter: str) -> tuple[str | None, str | None]:
    """The path, or what is wrong with it; never both. Never raises, because ``given`` may hold a key by mistake."""
    if given is None:
        return None, f"{parameter} is None, which looks like an unset variable; a source is a path or bytes"
    try:
        path = os.fspath(given) if isinstance(given, (str, os.PathLike)) else None
        path = os.fsdecode(path) if isinstance(path, (str, bytes)) else None
    except Exception as exc:  # noqa: BLE001 - the caller's own __fspath__
        return None, f"{parameter}: its __fspath__ raised {type(exc).__name__}"
    if path is None:
        return None, f"{parameter} must be a path (str or path object) or the content (bytes), {_not(given)}"
    if not path:
        return None, f"{parameter} is an empty path, which looks like an unset variable"
    if _is_content(path):
        return None, f"{parameter} is a str, so it is taken for a path, but it holds content: give text.encode()"
    return path, None


def _not(given: object) -> str:
    remedy = "; use bytes(…)" if isinstance(given, (bytearray, memoryview)) else ""
    return f"not {type(given).__name__}{remedy}"


def _is_content(path: str) -> bool:
    encoded = path.startswith(("MII", "LS0t")) and len(path) > _CONTENT_LENGTH
    return encoded or "-----BEGIN" in path or "\n" in path or "\0" in path or len(path) > _PATH_LENGTH


def _absolute(path: str) -> str:
    try:
        return os.path.abspath(path)  # noqa: PTH100 - Path.absolute() leaves "..", which a reload would resolve anew
    except OSError:  # the working directory is gone
        return path


def _missing(path: str, name: str) -> tuple[str, str]:
    if name.startswith("~"):
        return "there is no such file", "a ~ is not expanded: use os.path.expanduser()"
    if os.path.islink(path):  # noqa: PTH114 - works on strings throughout
        return "it is a symbolic link to a file that does not exist", "check where the link points"
    return "there is no such file", f"check the path (it was looked for at {printable(path, _NAME_LENGTH)})"


def _irregular(mode: int) -> tuple[str, str]:
    if stat.S_ISDIR(mode):
        return "it is a directory, not a file", "name the file, or use from_directory()"
    return "it is a pipe or a device, not a file", "read it yourself and give its content as bytes"
