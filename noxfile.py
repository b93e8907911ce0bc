"""Every check has its door here: ``nox -s tests``, ``lint``, ``types``, ``docs``, ``bench``.

Rule: a session uses the Python that nox itself runs on, so the same command tests every version (``--python 3.12`` or
``--force-python 3.12`` asks for another one); the tests run against the built wheel, never against the source folder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Sequence

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.error_on_external_run = True

_PROJECT = nox.project.load_toml("pyproject.toml")


def _group(name: str) -> Sequence[str]:
    return nox.project.dependency_groups(_PROJECT, name)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite, README and docs examples included, with branch coverage; arguments go on to pytest."""
    session.install(".", *_group("tests"))
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", "-n", "2", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and the layers of the imports."""
    session.install(*_group("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", env={"PYTHONPATH": "src"})


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of source and tests, and that the published API is typed in full."""
    session.install(".", *_group("types"))
    session.run("mypy")
    session.run("pyright", "--verifytypes", "mtls", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning or a reference that leads nowhere fails it."""
    session.install(".", *_group("docs"))
    session.run("sphinx-build", "-n", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what the library costs against plain ``ssl``: ratios, each taken in one run."""
    session.install(".", *_group("bench"))
    session.run("python", "-m", "benchmarks", *session.posargs)
