"""The report on one profile: every finding, and what was not checked.

Rule: a report is never taken for a yes or no; ``bool()`` of it raises.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mtls._model import Finding, Role, Severity
from mtls.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator

_FAILURE_COLUMN = 16


@dataclass(frozen=True, slots=True, repr=False)
class Report:
    """What :meth:`TLSProfile.check` found, errors first. Iterating it yields the findings; ``print`` it to read it."""

    role: Role
    two_way: bool
    findings: tuple[Finding, ...]
    not_checked: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that stop a context from being built."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.ERROR)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings that no handshake fails on today."""
        return tuple(finding for finding in self.findings if finding.severity is Severity.WARNING)

    def raise_for_errors(self) -> None:
        """Raise :class:`ConfigurationError` with this report if it has errors."""
        if self.errors:
            raise ConfigurationError(self)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> NoReturn:
        text = "a Report is neither true nor false: look at .errors, or call .raise_for_errors()"
        raise TypeError(text)

    def __repr__(self) -> str:
        return f"<Report {self._heading()}>"

    def __str__(self) -> str:
        lines = [self._heading()]
        width = max([_FAILURE_COLUMN, *(len(finding.failure.name) for finding in self.findings)])
        for finding in self.findings:
            failure = finding.failure.name.ljust(width)
            head = f"  {finding.severity.value:<8} step {finding.step.value}  {failure}  "
            lines += [head + finding.message, " " * len(head) + f"→ {finding.remedy}"]
        lines += [f"  checked: {what}" for what in self.checked]
        lines += [f"  not checked: {rule}" for rule in self.not_checked]
        return "\n".join(lines)

    def _heading(self) -> str:
        ways = "two-way" if self.two_way else "one-way"
        counts = f"{_count(len(self.errors), 'error')}, {_count(len(self.warnings), 'warning')}"
        return f"{self.role.value} profile, {ways}: {counts}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
