"""Sphinx directives that write the diagnosis table into pages.

``failure-facts`` (of one failure), ``step-failures`` (of one step), ``diagnosis-rules`` (a part of the table) and
``diagnosis-picture``.

Rule: what is written comes from ``diagnosis_table``; a page that uses it is made anew at every build.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from diagnosis_picture import picture
from diagnosis_table import PARTS, facts, failures_at
from mtls._model import FailureReason, HandshakeStep

if TYPE_CHECKING:
    from sphinx.application import Sphinx


class _Drawn(SphinxDirective):
    """A directive that writes Markdown where it stands."""

    required_arguments: ClassVar[int] = 1

    def lines(self) -> list[str]:
        """What to write."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """The Markdown as nodes."""
        self.env.note_reread()
        return self.parse_text_to_nodes("\n".join(self.lines()), allow_section_headings=True)


class FailureFacts(_Drawn):
    """``failure-facts``: one failure."""

    def lines(self) -> list[str]:
        """Its facts."""
        return facts(FailureReason(self.arguments[0]))


class StepFailures(_Drawn):
    """``step-failures``: one step."""

    def lines(self) -> list[str]:
        """What fails there."""
        return failures_at(HandshakeStep(int(self.arguments[0])))


class DiagnosisRules(_Drawn):
    """``diagnosis-rules``: one part of the table."""

    def lines(self) -> list[str]:
        """The part."""
        return PARTS[self.arguments[0]]()


class DiagnosisPicture(SphinxDirective):
    """``diagnosis-picture``: the eight steps, drawn."""

    def run(self) -> list[nodes.Node]:
        """The picture, with links that fit the page it stands on."""
        self.env.note_reread()
        here = self.env.docname
        drawn = picture(lambda page: self.env.app.builder.get_relative_uri(here, page))
        return [nodes.raw("", drawn, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("failure-facts", FailureFacts)
    app.add_directive("step-failures", StepFailures)
    app.add_directive("diagnosis-rules", DiagnosisRules)
    app.add_directive("diagnosis-picture", DiagnosisPicture)
    return {"parallel_read_safe": True}
