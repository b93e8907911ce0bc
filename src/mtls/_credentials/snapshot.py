"""What keystores and truststores have in common.

Rule: a snapshot is made by a named constructor only, never changes afterwards, is its own copy, and is not pickled.
"""

from __future__ import annotations

from typing import Any, ClassVar, NoReturn, Self, SupportsIndex

from mtls.errors import UsageError


class Snapshot:
    """An immutable value without a public constructor."""

    __slots__ = ()
    _constructors: ClassVar[str]

    def __new__(cls, *args: object, **kwargs: object) -> Self:
        del args, kwargs  # they may be a password, and a traceback can show locals
        text = f"{cls.__name__} is made by {cls._constructors}"
        raise UsageError(text)

    @classmethod
    def _made(cls, **fields: Any) -> Self:
        snapshot = object.__new__(cls)
        for name, value in fields.items():
            object.__setattr__(snapshot, name, value)
        return snapshot

    def __setattr__(self, name: str, value: object) -> NoReturn:
        del value
        text = f"{type(self).__name__} cannot be changed, so {name!r} cannot be set: make a new one"
        raise AttributeError(text)

    def __delattr__(self, name: str) -> NoReturn:
        text = f"{type(self).__name__} cannot be changed, so {name!r} cannot be deleted: make a new one"
        raise AttributeError(text)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, _memo: dict[int, object]) -> Self:
        return self

    def __reduce_ex__(self, _protocol: SupportsIndex) -> NoReturn:
        text = f"a {type(self).__name__} is not pickled: make it anew from its sources in the other process"
        raise UsageError(text)
