"""Where bytes come from: the only file that opens files.

Rule: a ``str`` or path object is a path and ``bytes`` are the content, never guessed; a read is bounded, never waits,
and what goes wrong is one :class:`~mtls.SourceFailure` that names the source.
"""

from __future__ import annotations

import os
import stat
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, cast

from mtls._certificate import printable
from mtls._credentials.der import from_base64
from mtls._credentials.secret import Secret
from mtls._model import SourceFailure
from mtls.errors import SourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Source = str | os.PathLike[str] | bytes
"""A path (``str`` or path object) or the content itself (``bytes``)."""

LIMIT = 16 * 1024 * 1024
"""The most bytes that a source may have."""

_T = TypeVar("_T")
_PATH_LENGTH, _PART_LENGTH = 1024, 255  # no file system takes a longer name
_NAME_LENGTH = 300


class Named:
    """A source as errors know it: its name, and the kind of error that is raised over it."""

    __slots__ = ("error", "name")

    def __init__(self, name: str, error: type[SourceError]) -> None:
        self.name = name
        self.error = error

    def refusal(self, failure: SourceFailure, problem: str, remedy: str) -> SourceError:
        """The error to raise."""
        return self.error(problem, source=self.name, failure=failure, remedy=remedy)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Document(Named):
    """The bytes of one source, with its name."""

    __slots__ = ("content",)

    def __init__(self, name: str, error: type[SourceError], content: Secret) -> None:
        super().__init__(name, error)
        self.content = content

    @property
    def file(self) -> str:
        """What to write for the file in a command line of a remedy."""
        return "FILE" if self.name.endswith("(bytes)") else self.name


class Origin(Named):
    """What the caller gave as a source, not read yet. Making one never raises; :meth:`read` does."""

    __slots__ = ("_content", "path", "written", "wrong")

    def __init__(self, given: object, parameter: str, error: type[SourceError]) -> None:
        self._content = Secret(given) if isinstance(given, bytes) else None
        self.written, self.wrong = (None, None) if self._content else _path(given, parameter)
        name = f"{parameter} (bytes)" if self.written is None else printable(self.written, _NAME_LENGTH)
        super().__init__(name, error)
        self.path = None if self.written is None else _absolute(self.written)

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


def directory_path(origin: Origin) -> str:
    """``origin`` as an absolute path of a directory. Raises :class:`UsageError` for something that is no path, and
    ``NOT_FOUND`` or ``NOT_READABLE`` where there is no directory.
    """
    if origin.path is None:
        raise UsageError(origin.wrong or "directory must be a path (str or path object), not bytes")
    if os.path.isdir(origin.path):  # noqa: PTH112 - strings throughout
        return origin.path
    if os.path.exists(origin.path):  # noqa: PTH110
        raise origin.refusal(SourceFailure.NOT_READABLE, "it is a file, not a directory", "use from_pem()")
    raise origin.refusal(SourceFailure.NOT_FOUND, *_missing(origin.path, origin.name))


def file_name(origin: Origin) -> str:
    """``origin`` as the name of a file in a directory; :class:`UsageError` for anything else."""
    if origin.written is None:
        raise UsageError(origin.wrong or "the name of a file in the directory must be a str, not bytes")
    return origin.written


def current_generation(directory: str) -> str:
    """The real directory behind the ``..data`` of a Kubernetes volume, or ``directory`` itself where there is none."""
    link = os.path.join(directory, "..data")  # noqa: PTH118 - strings throughout
    return os.path.realpath(link) if os.path.isdir(link) else directory  # noqa: PTH112


def in_generation(generation: str, directory: str, name: str, error: type[SourceError]) -> Origin:
    """The file ``name`` of that generation under its lasting name; the one beside ``..data`` where it has none."""
    lasting = os.path.join(directory, name)  # noqa: PTH118
    behind = os.path.join(generation, name)  # noqa: PTH118
    origin = Origin(behind if os.path.lexists(behind) else lasting, "directory", error)
    origin.name = printable(lasting, _NAME_LENGTH)
    return origin


def origins(given: object, parameter: str, error: type[SourceError]) -> list[Origin] | str:
    """The sources in a sequence, or what is wrong with it. Never raises, ``given`` may hold a key by mistake."""
    found = listed(given, parameter)
    return found if isinstance(found, str) else [Origin(one, parameter, error) for one in found]


def objects(given: object, kind: type[_T], parameter: str, limit: int | None = None) -> list[_T] | str:
    """The objects of one kind in an iterable (``limit`` of them), or what is wrong with it. Never raises."""
    found = listed(given, parameter, limit)
    if isinstance(found, str):
        return found
    for one in found:
        if not isinstance(one, kind):
            return f"{parameter} must hold objects of the type {kind.__name__}, not {type(one).__name__}"
    return cast("list[_T]", found)


def listed(given: object, parameter: str, limit: int | None = None) -> list[object] | str:
    """The members of an iterable (``limit`` of them), or what is wrong with it. Never raises."""
    if given is None:
        return f"{parameter} is None, which looks like an unset variable; leave it out instead"
    if isinstance(given, (str, bytes, bytearray, os.PathLike)):
        return f"{parameter} takes a sequence: {parameter}=[…], even for one source"
    if not hasattr(given, "__iter__"):
        return f"{parameter} takes a sequence, not {type(given).__name__}"
    try:
        return list(islice(cast("Iterable[object]", given), limit))
    except Exception as exc:  # noqa: BLE001 - the caller's own iterator
        return f"{parameter} raised {type(exc).__name__} when it was read"


def usable(found: list[_T] | str) -> list[_T]:
    """``found`` itself; :class:`UsageError` where it is a text that tells what is wrong."""
    if isinstance(found, str):
        raise UsageError(found)
    return found


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
    text = Secret.of(path)
    if path.startswith("LS0tLS1CRUdJTi") or (text is not None and from_base64(text) is not None):  # of PEM, of DER
        return True
    too_long = len(path) > _PATH_LENGTH or max(map(len, path.replace("\\", "/").split("/"))) > _PART_LENGTH
    return too_long or "-----BEGIN" in path or "\n" in path or "\0" in path


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
