"""The page "Test TLS settings" is a test file, and the reference holds every public name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import mtls.testing

if TYPE_CHECKING:
    import pytest

DOCS = Path(__file__).parents[2] / "docs"
PLUGIN = "mtls.testing.pytest_plugin"


def test_the_examples_of_the_page_pass_as_one_test_file(pytester: pytest.Pytester) -> None:
    page = (DOCS / "how-to" / "test-tls-settings.md").read_text("utf-8")
    source = "\n".join(re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL))
    pytester._monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(source)
    result = pytester.runpytest_subprocess("-W", "error", "-p", "no:cacheprovider", "-p", PLUGIN)
    outcomes = result.parseoutcomes()
    assert outcomes.keys() == {"passed"}
    wanted = source.count("def test_") - 2 + len(mtls.testing.FAULTS.client_certificate) + 7
    assert outcomes["passed"] == wanted


def test_every_public_name_is_in_the_reference() -> None:
    page = (DOCS / "reference" / "testing.md").read_text("utf-8")
    named = set(re.findall(r"^\.\. (?:auto\w+|py:data):: mtls\.testing\.(\w+)", page, re.MULTILINE))
    assert named == set(mtls.testing.__all__)


def test_a_name_that_there_is_not_is_an_attribute_error() -> None:
    assert set(mtls.testing.__all__) <= set(dir(mtls.testing))
    assert not hasattr(mtls.testing, "assert_everything")
