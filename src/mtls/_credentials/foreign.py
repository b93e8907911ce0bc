"""Calls into ``cryptography`` on bytes that a stranger may have made.

Rule: whatever the parser raises comes back as a value, so only our own exceptions leave, and none of them is chained
to a frame that holds a key.
"""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")
_LOCK = threading.RLock()


class Refused:
    """The parser said no; ``cause`` is its exception, and ``unsupported`` is set where it knows what it will not do."""

    __slots__ = ("cause",)

    def __init__(self, cause: BaseException) -> None:
        self.cause = cause

    @property
    def unsupported(self) -> bool:
        """Whether the bytes are well-formed but of a kind that ``cryptography`` does not offer.

        It has an exception for unknown key types and curves, but for unknown ciphers of an encrypted key only a
        ValueError with a text.
        """
        return isinstance(self.cause, UnsupportedAlgorithm) or "unknown" in str(self.cause).lower()


def attempt(call: Callable[[], _T]) -> _T | Refused:
    """The result of ``call``, or :class:`Refused` with what it raised.

    The deprecation warnings of ``cryptography`` are silenced: they are about the bytes of others (one of certifi's
    roots has the serial number 0), and with ``-W error`` they would refuse what can be read. The filters belong to the
    whole process, hence the lock, and a filter so narrow that nothing is lost if other code changes them meanwhile.
    """
    try:
        with _LOCK, warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return call()
    except Exception as exc:  # noqa: BLE001 - any exception of a parser means that it could not read the bytes
        return Refused(exc)
    except BaseException as exc:
        if type(exc).__module__ != "pyo3_runtime":  # PanicException of Rust code derives from BaseException alone
            raise
        return Refused(exc)
