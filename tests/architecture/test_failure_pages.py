"""The pages about failures and steps say what the table says, and lead where the errors point."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from diagnosis_picture import picture
from diagnosis_table import PARTS, facts, failures_at, in_handshakes, places, steps_of
from mtls import FailureReason, HandshakeError, HandshakeStep, Role
from mtls._handshake.alerts import ALERT_NAMES
from mtls._handshake.diagnosis import Observation, diagnose
from mtls._handshake.reasons import REASONS
from mtls._handshake.rules import RULES, Progress, Shown
from mtls._handshake.verify_codes import VERIFY_CODES, VERIFY_NAMES

DOCS = Path(__file__).parents[2] / "docs"
F, S = FailureReason, HandshakeStep
FOUND_BEFOREHAND = {
    F.KEY_MISMATCH,
    F.EXPIRES_SOON,
    F.WRONG_ORDER,
    F.SUPERFLUOUS_CERTIFICATE,
    F.LEAF_AS_ANCHOR,
    F.EKU_ABSENT,
}
SECTIONS = ["What you see", "See it happen", "What to do"]
STEP = re.compile(r"\b[Ss]tep (\d)\b|`([A-Z]+_[A-Z_]+)`")
NAMES = {step.name: step for step in S}


def _source(what: FailureReason | HandshakeStep) -> Path:
    return DOCS / what.docs_anchor.replace(".html", ".md")


def _pages(folder: str) -> set[Path]:
    return set((DOCS / folder).glob("*.md")) - {DOCS / folder / "index.md"}


# --- each has its page ---


def test_every_failure_has_its_page_and_every_page_its_failure() -> None:
    assert _pages("failures") == {_source(failure) for failure in F}


def test_every_step_has_its_page_and_every_page_its_step() -> None:
    assert _pages("steps") == {_source(step) for step in S}


@pytest.mark.parametrize("failure", list(F))
def test_an_error_leads_to_a_page_that_is_there(failure: FailureReason) -> None:
    anchor = HandshakeError(failure=failure).docs_anchor
    assert anchor.endswith(".html")
    assert (DOCS / anchor.replace(".html", ".md")).is_file()


@pytest.mark.parametrize(("folder", "words"), [("failures", list(F)), ("steps", list(S))])
def test_the_index_names_every_page(folder: str, words: list[Any]) -> None:
    text = (DOCS / folder / "index.md").read_text("utf-8")
    for word in words:
        assert f"| [`{word.name}`]({_source(word).name}) |" in text or f" [`{word.name}`]({_source(word).name})" in text
        assert f"{word.name} <{_source(word).stem}>" in text


# --- what a page says ---


@pytest.mark.parametrize("failure", list(F))
def test_a_page_has_the_facts_of_its_own_failure_and_the_same_sections_as_all(failure: FailureReason) -> None:
    text = _source(failure).read_text("utf-8")
    assert text.startswith(f"# {failure.name}: ")
    assert re.findall(r"^```\{failure-facts\} (\w+)$", text, re.MULTILINE) == [failure.value]
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert "```console\n$ " in text
    assert len(re.findall(r"^- \*\*.+?\*\*", text, re.MULTILINE)) == 2, "a remedy for either side"


@pytest.mark.parametrize("failure", sorted(set(F) - FOUND_BEFOREHAND))
def test_a_page_names_no_step_that_the_table_cannot_give(failure: FailureReason) -> None:
    text = _source(failure).read_text("utf-8")
    named = {S(int(number)) if number else NAMES.get(name) for number, name in STEP.findall(text)} - {None}
    assert named <= steps_of(failure)


@pytest.mark.parametrize("failure", list(F))
def test_the_facts_name_each_step_that_the_table_can_give(failure: FailureReason) -> None:
    text = "\n".join(facts(failure))
    named = {S(int(number)) for number in re.findall(r"\| \[(\d)\N{NO-BREAK SPACE}", text)}
    assert named == steps_of(failure)


@pytest.mark.parametrize("step", list(S))
def test_the_page_of_a_step_names_each_failure_that_can_be_there(step: HandshakeStep) -> None:
    assert f"```{{step-failures}} {step.value}\n" in _source(step).read_text("utf-8")
    named = set(re.findall(r"/failures/([a-z-]+)\.md", "\n".join(failures_at(step))))
    assert named == {_source(failure).stem for failure in F if step in steps_of(failure)}


def test_only_what_the_checks_find_beforehand_has_no_place_in_a_handshake() -> None:
    assert set(F) - in_handshakes() == FOUND_BEFOREHAND


# --- what the places are ---


@pytest.mark.parametrize("role", list(Role))
def test_the_places_are_all_that_the_rules_can_give_in_any_situation(role: Role) -> None:
    known = {(place.failure, place.step, place.side) for place in places() if place.role is role}
    messages = (None, *sorted({each for rules in RULES.values() for rule in rules for each in rule.message or ()}))
    seen: list[dict[str, Any]] = [{"alert": alert, "listened": True, "unnamed": True} for alert in (*ALERT_NAMES, 255)]
    seen += [{"unnamed": True}]
    seen += [{"reason": reason} for reason in {meaning: reason for reason, meaning in REASONS.items()}.values()]
    seen += [{"transport": end} for end in (F.CLOSED, F.RESET, F.TIMED_OUT)]
    situations = itertools.product(
        [each for each in Progress if each is not Progress.UNKNOWN],
        Shown if role is Role.CLIENT else (Shown.NONE,),
        (True, False),
        (True, False),
        (True, False),
        messages,
    )
    only_of_servers = {"PEER_DID_NOT_RETURN_A_CERTIFICATE"} if role is Role.CLIENT else set()
    for (progress, shown, tls13, ticket, wrote, message), what in itertools.product(situations, seen):
        if what.get("reason") in only_of_servers or (message and "alert" in what):
            continue
        found = diagnose(
            Observation(
                role=role,
                progress=progress,
                shown=shown,
                tls13=tls13,
                ticket=ticket,
                wrote=wrote,
                message=message,
                **what,
            )
        )
        assert (found.failure, found.step, found.side) in known, (what, progress, shown)


# --- the diagnosis table ---


def test_the_page_shows_every_part_of_the_table() -> None:
    text = (DOCS / "reference" / "diagnosis-table.md").read_text("utf-8")
    assert set(re.findall(r"\{diagnosis-rules\} ([a-z-]+)", text)) == set(PARTS)
    assert "{diagnosis-picture}" in text


def test_every_alert_is_placed_or_listed_as_one_that_says_nothing() -> None:
    rows = {row.split(" | ")[1]: row for row in PARTS["alerts"]() if row.startswith("| ")}
    for number, name in ALERT_NAMES.items():
        *_, step = rows[f"`{name}`"].rstrip(" |").split(" | ")
        assert rows[f"`{name}`"].startswith(f"| {number} | ")
        assert re.search(r"\[\d\]\(/steps/|\u2013", step), name


def test_every_reason_and_every_verify_code_is_on_the_page() -> None:
    reasons, codes = "\n".join(PARTS["reasons"]()), "\n".join(PARTS["verify-codes"]())
    assert [reason for reason in REASONS if f"`{reason}`" not in reasons] == []
    for code, failure in VERIFY_CODES.items():
        assert f"| {code} | `{VERIFY_NAMES[code]}` | [{failure.name}]" in codes


def test_every_rule_is_on_the_page_with_its_cause() -> None:
    text = "\n".join(line for part in PARTS.values() for line in part())
    for rules in RULES.values():
        for rule in rules:
            assert rule.because in text


def test_the_picture_shows_each_failure_at_each_of_its_steps() -> None:
    drawn = picture(lambda page: f"{page}.html")
    root = ET.fromstring(drawn)
    links = [link.get("href") for link in root.iter("a")]
    for failure in F:
        assert links.count(failure.docs_anchor) == len(steps_of(failure)), failure
    assert [link for link in links if link in {step.docs_anchor for step in S}] == [step.docs_anchor for step in S]
