"""Keys and passwords in memory.

Rule: the bytes are never bound to a name. They live in a :class:`Secret` and are revealed inside the expression that
needs them, so no ``repr``, message, pickle or traceback (not even one that captures locals) can show them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, SupportsIndex

from mtls._model import SourceFailure
from mtls.errors import UsageError

if TYPE_CHECKING:
    from mtls._credentials.sources import Named

Password = str | bytes | Callable[[], str | bytes]
"""What opens an encrypted key: text (encoded as UTF-8), bytes, or a callable that returns one of them when asked."""


class Secret:
    """Bytes that nothing shows: ``repr``, ``str`` and ``format`` say ``<secret>``; pickling and copying are refused."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes) -> None:
        self._value = value

    @classmethod
    def of(cls, value: object) -> Secret | None:
        """``value`` as a secret, or ``None`` where it is neither bytes nor text that UTF-8 can encode. Never raises."""
        if isinstance(value, bytes):
            return cls(value)
        try:
            return cls(value.encode("utf-8", "surrogateescape")) if isinstance(value, str) else None
        except UnicodeEncodeError:
            return None

    def reveal(self) -> bytes:
        """The bytes. Use them where they are revealed; do not give them a name."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "<secret>"

    def __format__(self, _spec: str) -> str:
        return "<secret>"

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        text = "a secret is neither pickled nor copied"
        raise UsageError(text)


def revealed(secret: Secret | None) -> bytes | None:
    """The bytes of an optional secret, for an argument that may be ``None``."""
    return None if secret is None else secret.reveal()


class Passphrase:
    """The password that the caller gave, or none. Its text is encoded as UTF-8; a callable is called only when a key
    needs it, and once per load.
    """

    __slots__ = ("_answer", "_call", "_wrong")

    def __init__(self, given: object) -> None:
        self._answer = Secret.of(given)
        self._call = given if callable(given) else None
        self._wrong = given is not None and self._answer is None and self._call is None

    def checked(self) -> Passphrase:
        """The password itself; :class:`UsageError` where the caller gave something that is no password."""
        if self._wrong:
            text = "password must be str (encodable as UTF-8), bytes, or a callable that returns one of them"
            raise UsageError(text)
        return self

    def for_one_load(self) -> Passphrase:
        """The same password, with a callable not called yet."""
        fresh = Passphrase(None)
        fresh._call = self._call
        fresh._answer = None if self._call else self._answer
        return fresh

    def ask(self, source: Named) -> Secret | None:
        """The password, ``None`` where none was given. The exception of a callable becomes the cause of ours."""
        if self._answer is None and self._call is not None:
            self._answer = self._asked(source)
        return self._answer

    def _asked(self, source: Named) -> Secret:
        try:
            answer = Secret.of(self._call() if self._call else None)  # not by name: a functools.partial shows arguments
        except Exception as exc:
            problem = f"the password callable raised {type(exc).__name__}"
            raise source.refusal(SourceFailure.PASSWORD_REQUIRED, problem, "see the cause of this error") from exc
        if answer is None:
            text = "the password callable must return str (encodable as UTF-8) or bytes"
            raise UsageError(text)
        return answer

    def __repr__(self) -> str:
        return "<password>"
