"""The rows that a benchmark gives, and the table that shows them.

Rule: a row says what was measured against what, what must be reached and what was, so it can be read on its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_HEAD = ("#", "metric", "against", "must reach", "here", "control", "verdict")
_WIDTHS = (2, 40, 20, 10, 7, 7, 7)
_OK, _OVER, _INFORMATION = "ok", "over", "-"


class Row(NamedTuple):
    """One line of the table, as text."""

    line: int
    metric: str
    against: str
    must_reach: str
    here: str
    control: str
    verdict: str


def ratio(
    line: int, metric: str, against: str, here: float, *, control: float | None = None, limit: float | None = None
) -> Row:
    """A measured ratio; without a limit it is there for information."""
    verdict = _INFORMATION if limit is None else _OK if here <= limit else _OVER
    return Row(
        line,
        metric,
        against,
        "" if limit is None else f"<= {limit:g}x",
        _figure(here),
        "" if control is None else _figure(control),
        verdict,
    )


def count(line: int, metric: str, against: str, here: int, *, must: int) -> Row:
    """An exact count."""
    return Row(line, metric, against, str(must), str(here), "", _OK if here == must else _OVER)


def milliseconds(
    line: int, metric: str, against: str, here: float, *, control: float | None = None, limit: float
) -> Row:
    """A time that is promised as such; it depends on the machine."""
    verdict = _OK if here <= limit else _OVER
    spread = "" if control is None else f"{control:.1f} ms"
    return Row(line, metric, against, f"<= {limit:g} ms", f"{here:.1f} ms", spread, verdict)


def failed(line: int, fault: BaseException) -> Row:
    """The row of a line that could not be measured."""
    return Row(line, f"could not be measured: {type(fault).__name__}", "", "", "", "", "failed")


def lines(rows: Iterable[Row]) -> Iterator[str]:
    """The table in plain text; what is too long for its column goes on in the next line."""
    yield _line(_HEAD)
    yield " ".join("-" * width for width in _WIDTHS)
    for row in rows:
        cells: tuple[str, ...] = (str(row.line), *row[1:])
        while any(cells):
            cut = [_fit(cell, width) for cell, width in zip(cells, _WIDTHS, strict=True)]
            yield _line(tuple(first for first, _ in cut))
            cells = tuple(rest for _, rest in cut)


def _line(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, _WIDTHS, strict=True)).rstrip()


def _fit(cell: str, width: int) -> tuple[str, str]:
    if len(cell) <= width:
        return cell, ""
    blank = cell.rfind(" ", 1, width + 1)
    place = width if blank < 0 else blank
    return cell[:place], cell[place:].lstrip()


def _figure(value: float) -> str:
    return f"{value:.2g}x" if value < 0.01 else f"{value:.3f}x"  # noqa: PLR2004 - where three digits say nothing
