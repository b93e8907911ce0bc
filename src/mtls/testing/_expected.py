"""What a test expects of a failure, and the words for a failure that is another one.

Rule: the eight steps are shown with the one that broke and the one that should have.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from mtls._model import FailureReason, HandshakeStep, Omitted, Side
from mtls.errors import HandshakeError, UsageError

if TYPE_CHECKING:
    from mtls._rehearsal.result import Handshake

_E = TypeVar("_E", bound=enum.Enum)
_ANY = Omitted.OMITTED
_BROKE, _SHOULD = "broke here", "should have broken here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """The fields that matter; one that was left out may have any value."""

    step: HandshakeStep | Omitted | None = _ANY
    failure: FailureReason | Omitted = _ANY
    side: Side | Omitted | None = _ANY

    def differences(self, error: HandshakeError) -> bool:
        """Whether the failure is another one."""
        fields = ("step", "failure", "side")
        return any(getattr(self, name) is not _ANY and getattr(self, name) != getattr(error, name) for name in fields)

    def __str__(self) -> str:
        known = (
            None if self.step is _ANY else _step(self.step),
            None if self.failure is _ANY else f"failure {self.failure.value}",
            None if self.side is _ANY else f"side {self.side}",
        )
        return ", ".join(filter(None, known)) or "a handshake failure"


def expected(step: Any, failure: Any, side: Any) -> Expected:
    """What is expected, from what a test writes. Raises :class:`~mtls.UsageError` for a value that there is not."""
    __tracebackhide__ = True
    if isinstance(step, str) and step in HandshakeStep.__members__:
        step = HandshakeStep[step]
    return Expected(
        step=step if step is None else _member(HandshakeStep, step, "step"),
        failure=_member(FailureReason, failure, "failure"),
        side=side if side is None else _member(Side, side, "side"),
    )


def _member(kind: type[_E], value: Any, option: str) -> Any:
    __tracebackhide__ = True
    if value is _ANY:
        return value
    try:
        return kind(value)
    except ValueError:
        known = ", ".join(repr(member.value) for member in kind)
        text = f"{option}={value!r:.100} is no {kind.__name__}; one of {known}"
        raise UsageError(text) from None


def unbroken(wanted: Expected) -> str:
    """What was expected where nothing was raised, and the eight steps."""
    steps = "\n".join(_line(step, broke=None, should=wanted.step) for step in HandshakeStep)
    return f"nothing was raised; expected: {wanted}\n\n{steps}"


def compared(wanted: Expected, error: HandshakeError) -> str:
    """Both, and the eight steps."""
    was = Expected(step=error.step, failure=error.failure, side=error.side)
    steps = "\n".join(_line(step, broke=error.step, should=wanted.step) for step in HandshakeStep)
    return f"expected: {wanted}\nbut was:  {was}\n\n{steps}\n\n{error}"


def marked(handshake: Handshake, should: HandshakeStep | None) -> str:
    """The picture of a handshake, with a mark at the step that should have broken."""
    lines = str(handshake).splitlines()
    if should is not None:
        line = lines[should.value].rstrip()
        lines[should.value] = f"▸{line[1:]}    ← {_SHOULD}"
    return "\n".join(lines)


def _line(step: HandshakeStep, *, broke: object, should: object) -> str:
    mark = "✗" if step is broke else "▸" if step is should else " "
    note = _BROKE if step is broke else _SHOULD if step is should else ""
    return f"  {mark} {step.value} {step.name:<24}{note}".rstrip()


def _step(step: Any) -> str:
    return "no known step" if step is None else f"step {step.value} {step.name}"
