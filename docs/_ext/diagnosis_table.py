"""What the documentation says about failures and steps, drawn from the tables that the library diagnoses with.

Rule: no fact here is written by hand. ``places`` asks the rules in every situation that they tell apart, and what
other stacks say comes from the measured answers of the fault matrix, so a page cannot say what the table does not.
"""

from __future__ import annotations

import functools
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mtls._handshake.alerts import ALERT_NAMES, ALERTS, AlertKind
from mtls._handshake.diagnosis import Observation, diagnose
from mtls._handshake.reasons import REASONS, ReasonKind
from mtls._handshake.rules import RULES, Progress, Rule, Shown
from mtls._handshake.verify_codes import SAME_CODE, VERIFY_CODES, VERIFY_NAMES
from mtls._model import Evidence, FailureReason, HandshakeStep, Role, Side
from tests.matrix import alerts as measured
from tests.matrix import faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

_F, _S = FailureReason, HandshakeStep
_VERIFIED = {Role.CLIENT: _S.CLIENT_VERIFIES_SERVER, Role.SERVER: _S.SERVER_VERIFIES_CLIENT}
_RULES_OF_THE_PROFILE = (_F.NOT_AUTHORIZED, _F.WRONG_EKU, _F.EXPIRED, _F.CRL_EXPIRED)
"""What ``mtls._handshake.admission`` refuses after OpenSSL has accepted, in either role."""
_UNREGISTERED = 255
"""The number of an alert that the IANA registry does not have."""
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
        for number, name in ALERT_NAMES.items():
            heard = {"alert": number, "listened": True, "unnamed": True}
            found |= dict.fromkeys(_placed(role, ALERTS[name][0], f"alert `{name}`", **heard))
        heard = {"alert": _UNREGISTERED, "listened": True, "unnamed": True}
        found |= dict.fromkeys(_placed(role, AlertKind.NOTHING, "an alert that nobody registered", **heard))
        found |= dict.fromkeys(_placed(role, ReasonKind.UNNAMED, "an error without a name", unnamed=True))
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
    text = what.name if isinstance(what, FailureReason) else f"{what.value}\N{NO-BREAK SPACE}{what.name}"
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
    general = [
        f"{code} `{VERIFY_NAMES[code]}`" for code, of in VERIFY_CODES.items() if failure in SAME_CODE.get(of, ())
    ]
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
    return _table(("if", "step", "because"), ((_conditions(rule), _outcome(rule), rule.because) for rule in rules))


_ASKED = (
    ("tls13", "TLS 1.3", "TLS 1.2"),
    ("ticket", "a session ticket came", "no session ticket came"),
    ("wrote", "we had written data", "we had written nothing"),
)


def _conditions(rule: Rule) -> str:
    said = [] if rule.role is None else [f"we are the {rule.role.value}"]
    said += [f"the {name} is `{value}`" for name in ("alert", "reason") if (value := getattr(rule, name)) is not None]
    if rule.failures is not None:
        said.append("the code means " + " or ".join(sorted(failure.name for failure in rule.failures)))
    said += [yes if value else no for name, yes, no in _ASKED if (value := getattr(rule, name)) is not None]
    if rule.progress is not None:
        said.append(" *or* ".join(_come(progress) for progress in Progress if progress in rule.progress))
    if rule.shown is not None:
        said.append(" *or* ".join(shown.value for shown in Shown if shown in rule.shown))
    if rule.message is not None:
        said.append("the last message was " + " or ".join(sorted(rule.message)))
    return "; ".join(said) or "else"


def _come(progress: Progress) -> str:
    return "how far it had come is not known" if progress is Progress.UNKNOWN else progress.value


def _outcome(rule: Rule) -> str:
    step = "**not known**" if rule.step is None else linked(rule.step)
    called = "" if rule.failure is None else f", called {linked(rule.failure)}"
    return step + called + (" (inferred)" if rule.evidence is Evidence.INFERRED else "")


def _steps(said: Iterable[Place]) -> str:
    found = {place.step for place in said}
    known = [f"[{step.value}](/{page_of(step)}.md)" for step in sorted(step for step in found if step)]
    return ", ".join([*known, "\N{EN DASH}"] if None in found else known)


def alerts_table() -> list[str]:
    """Every alert of the registry."""
    return _table(
        ("number", "alert", "speaks of", "stands for", "step"),
        (
            (str(number), f"`{name}`", kind.value, linked(failure), _steps(_saying(f"alert `{name}`")))
            for number, name in ALERT_NAMES.items()
            for kind, failure in [ALERTS[name]]
        ),
    )


def alert_rules() -> list[str]:
    """The rules of each kind of alert."""
    return [
        line for kind in AlertKind for line in (f"### An alert about {kind.value}", "", *rules_as_text(RULES[kind]))
    ]


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


PARTS: dict[str, Callable[[], list[str]]] = {
    "alerts": alerts_table,
    "alert-rules": alert_rules,
    "reasons": reasons_table,
    "verify-codes": verify_codes_table,
    "silence": silence_table,
}
"""The parts of the page "The diagnosis table"."""
