"""The Sphinx directive ``fault-catalogue``: a group of the faults of ``mtls.testing`` as a table.

Rule: what is written comes from ``FAULTS``; a page that uses it is made anew at every build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from sphinx.util.docutils import SphinxDirective

from mtls.testing import FAULTS, FaultGroup

if TYPE_CHECKING:
    from collections.abc import Iterator

    from docutils import nodes
    from sphinx.application import Sphinx

    from mtls.testing import Fault


class FaultCatalogue(SphinxDirective):
    """``fault-catalogue``: one group, by its value."""

    required_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        """The table as nodes."""
        self.env.note_reread()
        group = FaultGroup(self.arguments[0])
        rows = table(fault for fault in FAULTS if fault.group is group)
        return self.parse_text_to_nodes("\n".join(rows))


def table(faults: Iterator[Fault]) -> Iterator[str]:
    """The rows in Markdown."""
    yield "| id | what is wrong | step | failure | told by | versions | needs |"
    yield "|---|---|---|---|---|---|---|"
    for fault in faults:
        step = "\N{EN DASH}" if fault.step is None else str(fault.step.value)
        side = {"local": "who refused", "peer": "who was told"}.get(str(fault.side), "whose connection ended")
        versions = ", ".join(version.label.removeprefix("TLS ") for version in fault.versions)
        needs = ", ".join(filter(None, ("two-way" if fault.two_way_only else "", fault.demand or "")))
        told = f"{fault.told_by.value}, {side}"
        cells = (f"`{fault.id}`", fault.description, step, f"`{fault.failure.value}`", told, versions, needs)
        yield f"| {' | '.join(cells)} |"


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("fault-catalogue", FaultCatalogue)
    return {"parallel_read_safe": True}
