"""The reference pages hold every public name, once. That each of them exists is what `nox -s docs` proves."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import mtls

PAGES = Path(__file__).parents[2] / "docs" / "reference"
DIRECTIVE = re.compile(r"^\.\. auto\w+:: mtls\.(\w+)(?:\(.*\))?$", re.MULTILINE)


def _documented() -> Counter[str]:
    return Counter(name for page in PAGES.glob("*.md") for name in DIRECTIVE.findall(page.read_text("utf-8")))


def test_every_public_name_is_on_a_reference_page() -> None:
    public = {name for name in getattr(mtls, "__all__", ()) if not name.startswith("_")}
    assert sorted(public - set(_documented())) == []


def test_no_name_is_on_two_reference_pages() -> None:
    assert [name for name, count in _documented().items() if count > 1] == []
