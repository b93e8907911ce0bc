"""What the documentation says about failures and steps, drawn from the tables that the library diagnoses with.

Rule: no fact here is written by hand. ``places`` asks the rules in every situation that they tell apart, and what
other stacks say comes from the measured answers of the fault matrix, so a page cannot say what the table does not.

Directives: ``failure-facts`` (one failure), ``step-failures`` (one step), ``diagnosis-picture`` and
``diagnosis-rules`` (alerts, reasons, verify-codes, silence).
"""

from __future__ import annotations

import functools
import html
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from mtls._handshake.alerts import ALERT_NAMES, ALERTS, AlertKind
from mtls._handshake.diagnosis import Observation, diagnose
from mtls._handshake.reasons import REASONS, ReasonKind
from mtls._handshake.rules import RULES, Progress, Rule, Shown
from mtls._handshake.verify_codes import SAME_CODE, VERIFY_CODES, VERIFY_NAMES
from mtls._model import Evidence, FailureReason, HandshakeStep, Role, Side
from tests.matrix import alerts as measured
from tests.matrix import faults

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sphinx.application import Sphinx

_F, _S = FailureReason, HandshakeStep
_VERIFIED = {Role.CLIENT: _S.CLIENT_VERIFIES_SERVER, Role.SERVER: _S.SERVER_VERIFIES_CLIENT}
_RULES_OF_THE_PROFILE = (_F.NOT_AUTHORIZED, _F.WRONG_EKU, _F.EXPIRED, _F.CRL_EXPIRED)
"""What ``mtls._handshake.admission`` refuses after OpenSSL has accepted, in either role."""
_TRANSPORT = (_F.CLOSED, _F.RESET, _F.TIMED_OUT)

_SITUATIONS: dict[str, tuple[Any, ...]] = {
    "progress": tuple(each for each in Progress if each is not Progress.UNKNOWN),
    "shown": tuple(Shown),
    "tls13": (True, False),
    "ticket": (None, True, False),
    "wrote": (True, False),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where one side of a connection may meet a failure."""

    failure: FailureReason
    step: HandshakeStep | None
    side: Side | None
    role: Role
    evidence: Evidence
    said: str
    """The alert, the kind of our own OpenSSL's error, or how the transport ended."""


@functools.cache
def places() -> tuple[Place, ...]:
    """Every failure, step and side that the table can give to a client or a server."""
    found: dict[Place, None] = {}
    for role in Role:
        for name in ALERTS:
            found |= dict.fromkeys(_placed(role, ALERTS[name][0], f"alert `{name}`", alert=name, unnamed=True))
        for reason in _representatives():
            kind, _ = REASONS[reason]
            if kind is ReasonKind.NO_CERTIFICATE and role is Role.CLIENT:
                continue  # only a server waits for a client's certificate
            found |= dict.fromkeys(_placed(role, kind, "our OpenSSL", reason=reason))
        for code in dict(zip(VERIFY_CODES.values(), VERIFY_CODES, strict=True)).values():
            if VERIFY_CODES[code] is _F.HOSTNAME_MISMATCH and role is Role.SERVER:
                continue  # a server compares no name
            found |= dict.fromkeys(_placed(role, ReasonKind.VERIFICATION, "our OpenSSL", verify_code=code))
        for end in _TRANSPORT:
            found |= dict.fromkeys(_placed(role, end, "the transport", transport=end))
        for failure in _RULES_OF_THE_PROFILE:
            found[_refused(role, failure, "a rule of the profile")] = None
        found[_refused(role, _F.CERTIFICATE_REQUIRED, "a rule of the profile")] = None
    found[_refused(Role.CLIENT, _F.HOSTNAME_MISMATCH, "a rule of the profile")] = None
    return tuple(found)


def _refused(role: Role, failure: FailureReason, said: str) -> Place:
    return Place(
        failure=failure,
        step=_VERIFIED[role],
        side=Side.LOCAL,
        role=role,
        evidence=Evidence.OBSERVED,
        said=said,
    )


def _representatives() -> list[str]:
    """One reason for each thing that the table tells apart."""
    named = {rule.reason for rules in RULES.values() for rule in rules if rule.reason}
    return [*{meaning: reason for reason, meaning in REASONS.items() if reason not in named}.values(), *named]


def _placed(role: Role, trigger: Any, said: str, **seen: Any) -> Iterator[Place]:
    rules = RULES[trigger]
    asked = [name for name in _SITUATIONS if any(getattr(rule, name) is not None for rule in rules)]
    messages = sorted({message for rule in rules for message in rule.message or ()})
    situations: dict[str, tuple[Any, ...]] = {name: _SITUATIONS[name] for name in asked}
    if messages:
        situations["message"] = (None, *messages)
    if role is Role.SERVER and "shown" in situations:
        situations["shown"] = (Shown.NONE,)
    if role is Role.SERVER and trigger in (AlertKind.NEGOTIATION,):
        situations["progress"] = tuple(each for each in situations["progress"] if each is not Progress.NOTHING)
    for values in itertools.product(*situations.values()):
        found = diagnose(Observation(role=role, **dict(zip(situations, values, strict=True)), **seen))
        for failure in (found.failure, *(SAME_CODE.get(found.failure, ()) if seen.get("verify_code") else ())):
            yield Place(
                failure=failure, step=found.step, side=found.side, role=role, evidence=found.evidence, said=said
            )


def steps_of(failure: FailureReason) -> set[HandshakeStep]:
    """The steps at which the table can place a failure."""
    return {place.step for place in places() if place.failure is failure and place.step is not None}


def in_handshakes() -> set[FailureReason]:
    """The failures that a handshake can have."""
    return {place.failure for place in places()}


# --- as Markdown ---


def page_of(what: FailureReason | HandshakeStep) -> str:
    """The page of a failure or step, from the root, without its suffix."""
    return what.docs_anchor.removesuffix(".html")


def linked(what: FailureReason | HandshakeStep | None) -> str:
    """A link to the page of a failure or step."""
    if what is None:
        return "not known"
    text = what.name if isinstance(what, FailureReason) else f"{what.value} {what.name}"
    return f"[{text}](/{page_of(what)}.md)"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return ["", *("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines), ""]


def _joined(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))


_WHO = {
    (Role.CLIENT, Side.LOCAL): "our client refuses the server",
    (Role.SERVER, Side.LOCAL): "our server refuses the client",
    (Role.CLIENT, Side.PEER): "our client is told by the server",
    (Role.SERVER, Side.PEER): "our server is told by the client",
    (Role.CLIENT, None): "our client sees the connection end",
    (Role.SERVER, None): "our server sees the connection end",
}
_EITHER = {
    Side.LOCAL: "either side refuses the other",
    Side.PEER: "either side is told by the other",
    None: "either side sees the connection end",
}
_FEW = 12
"""Reasons that a page lists; where there are more the table has them."""


def facts(failure: FailureReason) -> list[str]:
    """Where a failure occurs, by which codes it is known, and what other stacks say of it."""
    mine = [place for place in places() if place.failure is failure]
    if not mine:
        return ["No handshake fails with it: `profile.check()` finds it, and says which step it would break.", ""]
    known: dict[tuple[Any, ...], list[str]] = {}
    for place in sorted(mine, key=lambda place: (place.step or 9, place.role, str(place.side))):
        known.setdefault((place.step, place.side, place.evidence, place.role), []).append(place.said)
    rows: dict[tuple[Any, ...], list[Role]] = {}
    for (step, side, evidence, role), said in known.items():
        rows.setdefault((step, side, evidence, tuple(dict.fromkeys(said))), []).append(role)
    lines = _table(
        ("step", "what happens", "known by"),
        (
            (
                linked(step),
                _EITHER[side] if len(roles) > 1 else _WHO[roles[0], side],
                ", ".join(said) + (" (inferred)" if evidence is Evidence.INFERRED else ""),
            )
            for (step, side, evidence, said), roles in rows.items()
        ),
    )
    return [*lines, *_codes(failure), *_said_by_others(failure)]


def _codes(failure: FailureReason) -> list[str]:
    codes = [f"{code} `{VERIFY_NAMES[code]}`" for code, of in VERIFY_CODES.items() if failure is of]
    general = [f"{code} `{VERIFY_NAMES[code]}`" for code, of in VERIFY_CODES.items() if failure in SAME_CODE.get(of, ())]
    reasons = sorted(
        f"`{reason}`"
        for reason, (kind, of) in REASONS.items()
        if of is failure and kind not in {ReasonKind.OWN, ReasonKind.CALLER, ReasonKind.VERIFICATION}
    )
    lines = []
    if codes:
        lines += [f"Verify codes of OpenSSL: {', '.join(codes)}.", ""]
    elif general:
        lines += [f"OpenSSL has no code of its own for it; the checks tell it apart from {', '.join(general)}.", ""]
    if len(reasons) > _FEW:
        lines += [f"{len(reasons)} reasons of OpenSSL stand for it: [the table](/reference/diagnosis-table.md).", ""]
    elif reasons:
        lines += [f"Reasons of OpenSSL: {', '.join(reasons)}.", ""]
    return lines


def _said_by_others(failure: FailureReason) -> list[str]:
    """What the stacks of the fault matrix say, as measured."""
    known = faults.CLIENT_FAULTS | faults.NEGOTIATION_FAULTS
    client = [fault.name for fault in known.values() if failure in fault.exact]
    server = [fault.name for fault in faults.SERVER_FAULTS.values() if failure in fault.exact]
    rows = [
        ("as a server", _answers(measured.SERVERS, client)),
        ("as a client", _answers(measured.CLIENTS, [*server, *client])),
    ]
    if not any(text for _, text in rows):
        return []
    return ["What other stacks say when it is they who refuse (measured):", *_table(
        ("", "on the wire"), ((f"**{who}**", text) for who, text in rows if text)
    )]  # fmt: skip


def _answers(peers: Mapping[str, Mapping[str, Any]], names: Iterable[str]) -> str:
    told: dict[str, list[str]] = {}
    for name in names:
        for peer, answers in peers.items():
            if name in answers:
                told.setdefault(_answer(answers[name]), []).append(peer)
    return "; ".join(f"{answer}: {_joined(sorted(who))}" for answer, who in told.items() if answer)


_WORDS = {
    measured.CLOSES: "closes without an alert",
    measured.ACCEPTS: "accepts it",
    measured.ENDS: "ends the handshake well, then closes",
    measured.PAGE: "refuses in HTTP, after a good handshake",
    measured.NO_HELLO: "an alert in place of a ClientHello",
}


def _answer(says: Any) -> str:
    if isinstance(says, str):
        return _WORDS.get(says, f"`{says}`" if says else "")
    parts = [f"{_answer(each)} in TLS 1.{number}" for number, each in zip((2, 3), says, strict=True) if each]
    return " and ".join(parts)


def failures_at(step: HandshakeStep) -> list[str]:
    """What can fail at a step, by who refuses."""
    lines: list[str] = []
    for role in Role:
        for side in (Side.LOCAL, Side.PEER, None):
            here = [each for each in places() if (each.step, each.role, each.side) == (step, role, side)]
            if here:
                order = [failure for failure in FailureReason if any(place.failure is failure for place in here)]
                lines.append(f"- **{_WHO[role, side]}**: {', '.join(linked(failure) for failure in order)}")
    return [*lines, ""]


def rules_as_text(rules: Iterable[Rule]) -> list[str]:
    """The rules of one trigger, in their order."""
    return _table(
        ("if", "step", "because"), ((_conditions(rule), _outcome(rule), rule.because) for rule in rules)
    )


def _conditions(rule: Rule) -> str:
    said = []
    if rule.role is not None:
        said.append(f"we are the {rule.role.value}")
    if rule.alert is not None:
        said.append(f"the alert is `{rule.alert}`")
    if rule.reason is not None:
        said.append(f"the reason is `{rule.reason}`")
    if rule.failures is not None:
        said.append("the code means " + " or ".join(sorted(failure.name for failure in rule.failures)))
    if rule.tls13 is not None:
        said.append("TLS 1.3" if rule.tls13 else "TLS 1.2")
    for values in (rule.progress, rule.shown):
        if values is not None:
            said.append(" *or* ".join(value.value for value in type(next(iter(values))) if value in values))
    if rule.message is not None:
        said.append("the last message was " + " or ".join(sorted(rule.message)))
    if rule.ticket is not None:
        said.append("a session ticket came" if rule.ticket else "no session ticket came")
    if rule.wrote is not None:
        said.append("we had written data" if rule.wrote else "we had written nothing")
    return "; ".join(said) or "else"


def _outcome(rule: Rule) -> str:
    step = "**not known**" if rule.step is None else linked(rule.step)
    called = "" if rule.failure is None else f", called {linked(rule.failure)}"
    return step + called + (" (inferred)" if rule.evidence is Evidence.INFERRED else "")


def _steps(said: Iterable[Place]) -> str:
    found = {place.step for place in said}
    known = ", ".join(f"[{step.value}](/{page_of(step)}.md)" for step in sorted(step for step in found if step))
    return known + (" or not known" if None in found and known else "not known" if None in found else "")


def alerts_table() -> list[str]:
    """Every alert of the registry, and the rules of its kind."""
    lines = _table(
        ("number", "alert", "speaks of", "stands for", "step"),
        (
            (str(number), f"`{name}`", kind.value, linked(failure), _steps(_saying(f"alert `{name}`")))
            for number, name in ALERT_NAMES.items()
            for kind, failure in [ALERTS[name]]
        ),
    )
    for kind in AlertKind:
        lines += [f"### An alert about {kind.value}", "", *rules_as_text(RULES[kind])]
    return lines


def _saying(said: str) -> list[Place]:
    return [place for place in places() if place.said == said]


def reasons_table() -> list[str]:
    """Every reason of OpenSSL's TLS library that is no received alert, by what it speaks of, with the rules."""
    lines: list[str] = []
    for kind in ReasonKind:
        lines += [f"### {kind.value[0].upper()}{kind.value[1:]}", ""]
        named: dict[FailureReason, list[str]] = {}
        for reason, (of, failure) in REASONS.items():
            if of is kind:
                named.setdefault(failure, []).append(f"`{reason}`")
        lines += rules_as_text(RULES[kind])
        lines += [f"{linked(failure)}: {', '.join(sorted(words))}\n" for failure, words in named.items()]
    return lines


def verify_codes_table() -> list[str]:
    """Every verify code."""
    return _table(
        ("code", "`X509_V_ERR_…`", "stands for", "which the checks tell apart from"),
        (
            (
                str(code),
                f"`{VERIFY_NAMES[code]}`",
                linked(failure),
                ", ".join(linked(each) for each in sorted(SAME_CODE.get(failure, ()))),
            )
            for code, failure in VERIFY_CODES.items()
        ),
    )


def silence_table() -> list[str]:
    """The ends without a word."""
    lines: list[str] = []
    for end in _TRANSPORT:
        lines += [f"### {end.name}", "", *rules_as_text(RULES[end])]
    return lines


_KINDS = {
    "alerts": alerts_table,
    "reasons": reasons_table,
    "verify-codes": verify_codes_table,
    "silence": silence_table,
}

# --- as a picture ---

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
_LEFT, _RIGHT, _WIDE, _LINE = 30, 270, 900, 16
_PER_LINE = 72


def picture() -> str:
    """The eight steps as a sequence, with the failures that each side can meet there, as SVG."""
    parts: list[str] = []
    y = 46
    for step in HandshakeStep:
        wrapped = _wrapped(sorted({place.failure for place in places() if place.step is step}, key=list(_F).index))
        height = max(2, len(wrapped)) * _LINE + 14
        parts += [*_row(step, y), *_names(wrapped, y)]
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


def _row(step: HandshakeStep, y: int) -> list[str]:
    text, way = _ARROWS[step]
    middle = (_LEFT + _RIGHT) // 2
    parts = [f'<text class="n" x="-10" y="{y + 4}">{step.value}</text>']
    at = {0: middle, 1: middle, -1: middle, 2: middle}[way]
    if way:
        start = ' marker-start="url(#head)"' if way != 1 else ""
        end = ' marker-end="url(#head)"' if way != -1 else ""
        parts.append(f'<line x1="{_LEFT + 4}" y1="{y + 8}" x2="{_RIGHT - 4}" y2="{y + 8}"{start}{end}/>')
    elif step is _S.CLIENT_VERIFIES_SERVER:
        parts.append(f'<circle cx="{_LEFT}" cy="{y}" r="5"/>')
    else:
        parts.append(f'<circle cx="{_RIGHT}" cy="{y}" r="5"/>')
    parts.append(f'<text x="{at}" y="{y + 2}" text-anchor="middle">{html.escape(text)}</text>')
    return parts


def _names(wrapped: list[list[FailureReason]], y: int) -> list[str]:
    lines = []
    for number, line in enumerate(wrapped):
        links = ", ".join(f'<a href="@{page_of(failure)}">{failure.value}</a>' for failure in line)
        lines.append(f'<text x="{_RIGHT + 40}" y="{y + 2 + number * _LINE}">{links}</text>')
    return lines


def _wrapped(failures: Iterable[FailureReason]) -> list[list[FailureReason]]:
    lines: list[list[FailureReason]] = [[]]
    for failure in failures:
        if sum(len(each.value) + 2 for each in lines[-1]) + len(failure.value) > _PER_LINE:
            lines.append([])
        lines[-1].append(failure)
    return lines


# --- directives ---


class _Drawn(SphinxDirective):
    """A directive that writes Markdown where it stands."""

    required_arguments: ClassVar[int] = 1

    def lines(self) -> list[str]:
        """What to write."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """The Markdown as nodes; the page is made anew whenever the tables have changed."""
        for module in (__file__, *_SOURCES):
            self.env.note_dependency(module)
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
        return _KINDS[self.arguments[0]]()


class DiagnosisPicture(SphinxDirective):
    """``diagnosis-picture``: the eight steps, drawn."""

    def run(self) -> list[nodes.Node]:
        """The picture, with links that fit the page it stands on."""
        drawn = picture()
        for what in (*FailureReason, *HandshakeStep):
            page = page_of(what)
            link = self.env.app.builder.get_relative_uri(self.env.docname, page)
            drawn = drawn.replace(f'"@{page}"', f'"{link}"')
        return [nodes.raw("", drawn, format="html")]


_SOURCES: tuple[str, ...] = tuple(
    str(module)
    for module in (measured.__file__, faults.__file__)
    if module
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directives."""
    app.add_directive("failure-facts", FailureFacts)
    app.add_directive("step-failures", StepFailures)
    app.add_directive("diagnosis-rules", DiagnosisRules)
    app.add_directive("diagnosis-picture", DiagnosisPicture)
    return {"parallel_read_safe": True}
