"""The repository speaks of the library alone: no path of one machine, no host of a package registry.

Rule: the forbidden words are put together here, so that this file does not hold them itself.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDERS = (".ci", "benchmarks", "docs", "examples", "src", "tests")
BUILT = {"_build", "__pycache__", ".venv", ".pytest_cache"}

HOME_OF_SOMEBODY = re.compile(r"(?<![\w.$}~-])/(?:home|opt|root|work|Users)/[\w.]")
REGISTRY = re.compile(
    "|".join(
        host.replace(" ", r"\.")
        for host in (
            "pypi org",
            "pythonhosted org",
            "npmjs (?:org|com)",
            "debian (?:org|net)",
            "crates io",
            "anaconda org",
        )
    )
)


def _texts() -> Iterator[Path]:
    yield from (path for path in ROOT.iterdir() if path.suffix in {".md", ".toml", ".py", ".cfg"})
    yield from (path for path in (ROOT / ".importlinter", ROOT / ".gitignore") if path.is_file())
    for folder in FOLDERS:
        yield from (path for path in (ROOT / folder).rglob("*") if path.is_file() and not BUILT & set(path.parts))


def _hits(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()}"
        for path in _texts()
        for number, line in enumerate(path.read_text("utf-8", errors="replace").splitlines(), start=1)
        if pattern.search(line)
    ]


def test_no_file_names_a_path_of_one_machine() -> None:
    assert _hits(HOME_OF_SOMEBODY) == []


def test_no_file_names_the_host_of_a_package_registry() -> None:
    assert _hits(REGISTRY) == []


@pytest.mark.parametrize("path", ["/" + "home/ada/key.pem", "see /" + "work/main", "'/" + "root/.config'"])
def test_a_path_of_one_machine_is_recognised(path: str) -> None:
    assert HOME_OF_SOMEBODY.search(path)


@pytest.mark.parametrize("path", ["ca/root/key.pem", "$HOME/work/x", "https://api.example/home/page", "~/.pyenv"])
def test_a_path_that_belongs_to_nobody_passes(path: str) -> None:
    assert not HOME_OF_SOMEBODY.search(path)


@pytest.mark.parametrize("host", ["https://" + "pypi." + "org/simple", "registry." + "npmjs." + "org"])
def test_the_host_of_a_registry_is_recognised(host: str) -> None:
    assert REGISTRY.search(host)
