"""What an audit found: a row for each fault, and the table.

Rule: what was not tried is in the table, with the reason; it never counts as refused.
"""

from __future__ import annotations

import enum
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mtls.testing._catalogue import Faults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mtls._model import FailureReason, HandshakeStep, Role
    from mtls.testing._catalogue import Fault


class AuditOutcome(enum.StrEnum):
    """What became of a fault."""

    REFUSED = "refused"
    ACCEPTED = "ACCEPTED"
    """A connection came about, and data went over it: it must not."""
    NOT_TRIED = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """One row: the fault, what became of it, and where it was refused, as far as either side said so.

    ``step`` and ``failure`` are ``None`` where nothing was refused, or nothing tells. ``note`` says why it was not
    tried, or what else there is to say.
    """

    fault: Fault
    outcome: AuditOutcome
    step: HandshakeStep | None = None
    failure: FailureReason | None = None
    note: str = ""
    http_status: int | None = None
    """The status by which a server refused that had finished the handshake."""

    @property
    def where(self) -> str:
        """Step and failure in words."""
        step = "" if self.step is None else f"step {self.step.value} {self.step.name}"
        return ", ".join(filter(None, (step, "" if self.failure is None else self.failure.value)))


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuditReport:
    """What :func:`audit` found. Iterating it yields the results; ``print`` it to see the table.

    ``target`` is what was audited and ``role`` its role. ``good_peer`` says what became of a good peer: ``True`` (it
    got in) or ``None`` (not tried, for want of an authority). ``shows_certificate`` is whether a client has a
    certificate to show, ``None`` where that was not seen.
    """

    target: str
    role: Role
    results: tuple[AuditResult, ...]
    good_peer: bool | None
    shows_certificate: bool | None = None

    @property
    def accepted_faults(self) -> Faults:
        """The faults that were accepted and must not be."""
        return self._that(AuditOutcome.ACCEPTED)

    @property
    def refused_faults(self) -> Faults:
        """The faults that were refused."""
        return self._that(AuditOutcome.REFUSED)

    @property
    def untried_faults(self) -> Faults:
        """The faults that were not tried."""
        return self._that(AuditOutcome.NOT_TRIED)

    def raise_for_errors(self) -> None:
        """Raise :class:`AssertionError` with the table if a fault was accepted."""
        __tracebackhide__ = True
        if self.accepted_faults:
            raise AssertionError(str(self))

    def _that(self, outcome: AuditOutcome) -> Faults:
        return Faults(result.fault for result in self.results if result.outcome is outcome)

    def __iter__(self) -> Iterator[AuditResult]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)

    def __bool__(self) -> NoReturn:
        __tracebackhide__ = True
        text = "an AuditReport is neither true nor false: look at .accepted_faults, or call .raise_for_errors()"
        raise TypeError(text)

    def __repr__(self) -> str:
        return f"<AuditReport {self._heading()}>"

    def __str__(self) -> str:
        width = max([len(result.fault.id) for result in self.results], default=0)
        good = "got in" if self.good_peer else "not tried, for want of an authority that is trusted"
        lines = [self._heading(), f"  {'a good peer':<{width}}  {good}"]
        for outcome in (AuditOutcome.ACCEPTED, AuditOutcome.REFUSED):
            for result in self.results:
                if result.outcome is outcome:
                    told = result.where if outcome is AuditOutcome.REFUSED else result.fault.description
                    told = "; ".join(filter(None, (told, result.note)))
                    lines.append(f"  {result.fault.id:<{width}}  {outcome.value:<8}  {told}".rstrip())
        return "\n".join([*lines, *self._untried()])

    def _untried(self) -> Iterator[str]:
        """What was not tried, a paragraph for each reason."""
        reasons: dict[str, list[str]] = {}
        for result in self.results:
            if result.outcome is AuditOutcome.NOT_TRIED:
                reasons.setdefault(result.note, []).append(result.fault.id)
        for reason, ids in reasons.items():
            yield f"  not tried: {reason}"
            yield textwrap.fill(
                ", ".join(ids), 100, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
            )

    def _heading(self) -> str:
        counts = f"{len(self.accepted_faults)} accepted, {len(self.refused_faults)} refused"
        return f"{self.target}, as a {self.role.value}: {counts}, {len(self.untried_faults)} not tried"
