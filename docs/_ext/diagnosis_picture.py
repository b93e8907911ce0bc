"""The eight steps as a sequence, with the failures that each side can meet there, as SVG.

Rule: the failures come from the diagnosis table; only the arrows are drawn by hand.
"""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from diagnosis_table import page_of, places
from mtls._model import FailureReason, HandshakeStep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_S = HandshakeStep
_ARROWS = {
    _S.CLIENT_HELLO: ("ClientHello", 1),
    _S.SERVER_HELLO: ("ServerHello", -1),
    _S.SERVER_CERTIFICATE: ("Certificate", -1),
    _S.CLIENT_VERIFIES_SERVER: ("the client verifies it", 0),
    _S.CLIENT_CERTIFICATE: ("Certificate", 1),
    _S.SERVER_VERIFIES_CLIENT: ("the server verifies it", 0),
    _S.KEY_EXCHANGE: ("keys, Finished", 2),
    _S.APPLICATION_DATA: ("data", 2),
}
_LEFT, _RIGHT, _WIDE, _LINE = 30, 250, 830, 16
_PER_LINE = 76


def picture(link: Callable[[str], str]) -> str:
    """The picture; ``link`` makes a URL of the name of a page."""
    parts: list[str] = []
    y = 46
    for step in HandshakeStep:
        wrapped = _wrapped(
            sorted({place.failure for place in places() if place.step is step}, key=list(FailureReason).index)
        )
        height = max(2, len(wrapped)) * _LINE + 14
        parts += [*_row(step, y, link), *_names(wrapped, y, link)]
        y += height
    head = (
        f'<text x="{_LEFT}" y="16" text-anchor="middle">client</text>'
        f'<text x="{_RIGHT}" y="16" text-anchor="middle">server</text>'
        f'<text x="{_RIGHT + 40}" y="16">what fails there</text>'
        f'<line x1="{_LEFT}" y1="24" x2="{_LEFT}" y2="{y}"/><line x1="{_RIGHT}" y1="24" x2="{_RIGHT}" y2="{y}"/>'
    )
    return (
        f'<svg class="steps" viewBox="-14 0 {_WIDE} {y + 4}" role="img" '
        'aria-label="The eight steps, and the failures that belong to each">'
        "<style>.steps{font:13px sans-serif;fill:currentColor;width:100%}.steps line,.steps path{stroke:currentColor}"
        ".steps .n{font-weight:bold}.steps a{fill:var(--color-link,#06c)}</style>"
        '<defs><marker id="head" markerWidth="8" markerHeight="8" refX="7" refY="4" orient="auto-start-reverse">'
        f'<path d="M0 0 8 4 0 8z" stroke="none" fill="currentColor"/></marker></defs>{head}{"".join(parts)}</svg>'
    )


def _row(step: HandshakeStep, y: int, link: Callable[[str], str]) -> list[str]:
    text, way = _ARROWS[step]
    middle = (_LEFT + _RIGHT) // 2
    parts = [f'<text class="n" x="-10" y="{y + 4}"><a href="{link(page_of(step))}">{step.value}</a></text>']
    if way:
        start = ' marker-start="url(#head)"' if way != 1 else ""
        end = ' marker-end="url(#head)"' if way != -1 else ""
        parts.append(f'<line x1="{_LEFT + 4}" y1="{y + 8}" x2="{_RIGHT - 4}" y2="{y + 8}"{start}{end}/>')
    elif step is _S.CLIENT_VERIFIES_SERVER:
        parts.append(f'<circle cx="{_LEFT}" cy="{y}" r="5"/>')
    else:
        parts.append(f'<circle cx="{_RIGHT}" cy="{y}" r="5"/>')
    parts.append(f'<text x="{middle}" y="{y + 2}" text-anchor="middle">{html.escape(text)}</text>')
    return parts


def _names(wrapped: list[list[FailureReason]], y: int, link: Callable[[str], str]) -> list[str]:
    lines = []
    for number, line in enumerate(wrapped):
        links = ", ".join(f'<a href="{link(page_of(failure))}">{failure.value}</a>' for failure in line)
        lines.append(f'<text x="{_RIGHT + 40}" y="{y + 2 + number * _LINE}">{links}</text>')
    return lines


def _wrapped(failures: Iterable[FailureReason]) -> list[list[FailureReason]]:
    lines: list[list[FailureReason]] = [[]]
    for failure in failures:
        if sum(len(each.value) + 2 for each in lines[-1]) + len(failure.value) > _PER_LINE:
            lines.append([])
        lines[-1].append(failure)
    return lines
