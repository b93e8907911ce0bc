"""Was the library right about a cell? Its answer against the expectation."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

import mtls
from tests.matrix import expectation

if TYPE_CHECKING:
    from tests.matrix.expectation import Expected
    from tests.matrix.ours import Outcome

_REFUSALS = (b"HTTP/1.1 400", b"HTTP/1.1 403", b"HTTP/1.1 495", b"HTTP/1.1 496")


class Step(enum.StrEnum):
    """How good the step is."""

    NAMED = "named"
    INFERRED = "inferred"
    OPEN = "open"
    """Rightly ``None``."""
    NO_FAILURE = "no failure"
    MISSING = "missing"
    """``None`` though the evidence determines it."""
    WRONG = "wrong"


class Cause(enum.StrEnum):
    """How good the failure is."""

    EXACT = "exact"
    GENERAL = "general"
    NO_FAILURE = "no failure"
    WRONG = "wrong"


class Judgement(NamedTuple):
    """What was said, and how good it is."""

    step: Step
    cause: Cause
    problems: tuple[str, ...]
    answer: str
    named: int | None = None
    """The step that was named."""
    inferred: bool = False

    @property
    def good(self) -> bool:
        """Whether nothing is wrong with it."""
        return not self.problems


def judge(want: Expected, outcome: Outcome) -> Judgement:
    """Compare."""
    found = outcome.explained
    verdict = _verdict(want, outcome, found)
    if found is None:
        return verdict
    step = None if found.step is None else int(found.step)
    return verdict._replace(named=step, inferred=found.evidence == "inferred")


def _verdict(want: Expected, outcome: Outcome, found: mtls.HandshakeError | None) -> Judgement:
    answer = _answer(outcome)
    if want.without and not isinstance(outcome.error, mtls.HandshakeError):
        return _without(want, outcome, answer)
    if want.without in {expectation.PAGE, expectation.SERVED}:
        return Judgement(Step.WRONG, Cause.WRONG, ("a TLS failure where there is none",), answer)
    if found is None:
        return Judgement(Step.MISSING, Cause.WRONG, ("no error",), answer)
    step, cause = _step(want, found), _cause(want, found)
    problems = []
    if step is Step.MISSING:
        problems.append(f"the step is {want.sure.get(found.alert or '') or _steps(want)}")
    elif step is Step.WRONG:
        problems.append(f"the step is {want.sure.get(found.alert or '') or _steps(want)}, not {int(found.step or 0)}")
    if cause is Cause.WRONG:
        problems.append(f"the failure is {'/'.join(sorted(want.exact | want.general))}, not {found.failure}")
    if want.sides and found.side not in want.sides:
        problems.append(f"the side is {'/'.join(sorted(str(side) for side in want.sides))}, not {found.side}")
    if want.alert != found.alert and not want.any_alert:
        problems.append(f"the alert is {want.alert}, not {found.alert}")
    return Judgement(step, cause, tuple(problems), answer)


def _without(want: Expected, outcome: Outcome, answer: str) -> Judgement:
    """No TLS failure was raised, and none was to be raised."""
    problems = []
    if want.without == expectation.SERVED and not outcome.data.startswith((b"HTTP/1", b"GET ", b"<")):
        problems.append("nothing was served")
    if want.without == expectation.PAGE and outcome.error is None and not outcome.data.startswith(_REFUSALS):
        problems.append("no page that refuses")
    found = outcome.explained
    if found is None:
        return Judgement(Step.NO_FAILURE, Cause.NO_FAILURE, tuple(problems), answer)
    step = Step.OPEN
    if found.step is not None:
        step = Step.INFERRED if found.step in want.inferred and found.evidence == "inferred" else Step.WRONG
    if step is Step.WRONG:
        problems.append(f"the step is {_steps(want)}, not {int(found.step or 0)}")
    return Judgement(step, Cause.GENERAL, tuple(problems), answer)


def _step(want: Expected, found: mtls.HandshakeError) -> Step:
    step = None if found.step is None else int(found.step)
    certain = want.sure.get(found.alert or "")
    if certain is not None:
        return Step.NAMED if step == certain else Step.MISSING if step is None else Step.WRONG
    if step in want.steps:
        return Step.OPEN if step is None else Step.NAMED
    if step in want.inferred and found.evidence == "inferred":
        return Step.INFERRED
    return Step.MISSING if step is None else Step.WRONG


def _cause(want: Expected, found: mtls.HandshakeError) -> Cause:
    if found.failure in want.exact:
        return Cause.EXACT
    return Cause.GENERAL if found.failure in want.general else Cause.WRONG


def _steps(want: Expected) -> str:
    named = [str(step) for step in sorted(want.steps, key=str)]
    return " or ".join([*named, *(f"{step} inferred" for step in sorted(want.inferred))])


def _answer(outcome: Outcome) -> str:
    found = outcome.explained
    if found is None:
        page = outcome.data[:12].decode("latin-1")
        return f"{type(outcome.error).__name__}" if outcome.error else f"no error, {page or 'no data'}"
    raised = "" if found is outcome.error else f" on {type(outcome.error).__name__}"
    step = "None" if found.step is None else int(found.step)
    alert = f", alert {found.alert}" if found.alert else ""
    return f"{step} {found.side} {found.failure} ({found.evidence}, {found.phase}{alert}){raised}"
