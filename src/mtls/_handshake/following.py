"""When a context looks at its files again, and what became of it.

Rule: it looks when a connection is made, at most once in ``min_interval``, by file status only (a ``stat`` for each);
no thread and no watcher. A reload that fails leaves what serves in service, and says so.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

_log = logging.getLogger("mtls")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """Asks a context to follow the files that its profile was read from.

    ``min_interval`` is the least time between two looks at the files, in seconds. Raises :class:`UsageError` if it is
    negative.
    """

    min_interval: float = 1.0

    def __post_init__(self) -> None:
        if not self.min_interval >= 0:
            text = f"min_interval is a number of seconds from 0 up, not {self.min_interval!r}"
            raise UsageError(text)


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextStatus:
    """Which generation a context serves, since when (UTC), how many reloads failed since, and the last failure."""

    generation: int
    since: datetime
    failed_reloads: int = 0
    last_failure: str | None = None

    @classmethod
    def first(cls) -> ContextStatus:
        """The status of a context just made."""
        return cls(generation=1, since=datetime.now(UTC))

    def succeeded(self) -> ContextStatus:
        """The status after a reload."""
        return ContextStatus(generation=self.generation + 1, since=datetime.now(UTC))

    def failed(self, fault: BaseException) -> ContextStatus:
        """The status after a reload that failed."""
        return replace(self, failed_reloads=self.failed_reloads + 1, last_failure=f"{type(fault).__name__}: {fault}")


class Follower:
    """Notices that files changed."""

    def __init__(self, paths: tuple[str, ...], reload: Reload) -> None:
        if not paths:
            text = "reload= follows files, and this profile was built from bytes or objects: read it from paths"
            raise UsageError(text)
        self._paths = paths
        self._interval = reload.min_interval
        self._looked = time.monotonic()
        self._seen = self._look()
        self._busy = threading.Lock()

    def changed(self) -> bool:
        """Whether a file is another one than at the last look. Between two looks: no."""
        now = time.monotonic()
        if now - self._looked < self._interval:
            return False
        self._looked = now
        return self._look() != self._seen

    def attempt(self, reload: Callable[[], object]) -> None:
        """Reload unless another thread is at it. What fails is logged, and tried again when a file changes again."""
        if not self._busy.acquire(blocking=False):
            return
        before = self._look()
        try:
            reload()
        except Exception as fault:  # noqa: BLE001 - whatever it is, the old generation serves
            _log.error("the changed TLS files cannot be used, the old ones stay in service: %s", fault)
        finally:
            self._seen = before
            self._busy.release()

    def _look(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(map(_state, self._paths))


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - looked at for every connection; pathlib takes twice as long
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
