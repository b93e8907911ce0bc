"""Every check has its door here: ``nox -s tests``, ``lint``, ``types``, ``docs``, ``bench``, ``example``,
``compat``, ``matrix``.

Rule: a session uses the Python that nox itself runs on, so the same command tests every version (``--python 3.12`` or
``--force-python 3.12`` asks for another one); the tests run against the built wheel, never against the source folder.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import nox

if TYPE_CHECKING:
    from collections.abc import Sequence

nox.needs_version = ">=2025.2.9"
nox.options.sessions = ["tests", "lint", "types", "docs"]
nox.options.error_on_external_run = True

_PROJECT = nox.project.load_toml("pyproject.toml")

_SETS = {
    "lowest": (
        "cryptography==45.0.0",
        "fastapi==0.115.0",
        "httpx==0.27.0",
        "requests==2.32.3",
        "starlette==0.37.2",  # the lowest that this fastapi takes
        "urllib3==1.26.20",
        "uvicorn==0.47.0",
        "websockets==16.1.1",  # the last with websockets.legacy, which this uvicorn imports
    ),
    "urllib3-2.0": ("fastapi==0.115.2", "requests==2.32.3", "starlette==0.40.0", "urllib3==2.0.7"),
    "newest": (),
}
"""What ``compat`` installs over the newest of everything."""

_CLIENTS = ("every_library", "httpx", "requests*", "urllib3")
"""The tests in ``tests/clients`` that ``compat`` runs; those of other libraries are for the newest of them."""

_BEYOND = {
    "lowest": (
        # urllib3 1.26 does not tell the context the IP address it connects to: that is refused too, in other words
        "test_every_library.py::TestHosts::test_an_unlisted_host_is_refused_before_a_byte_is_sent[urllib3]",
        "test_every_library.py::TestHosts::test_a_redirect_to_an_unlisted_host_is_refused[urllib3]",
        # urllib3 1.26 says it in other words, and leaves check_hostname as it is where 2 wants to switch it off
        "test_urllib3.py::TestSpiffe::test_the_right_id_is_refused_by_urllib3_unless_it_is_told_to_compare_no_name",
        "test_urllib3.py::TestSpiffe::test_a_name_that_is_not_compared_is_refused_to_a_profile_that_compares_names",
        # httpx before 0.28 forgets the context of Proxy() in its AsyncClient: the proxy is not trusted
        "test_httpx.py::TestEveryClient::test_shows_one_certificate_to_the_proxy_and_another_to_the_server[asyncio-httpx]",
        "test_httpx.py::TestEveryClient::test_shows_one_certificate_to_the_proxy_and_another_to_the_server[trio-httpx]",
        # httpx before 0.28 takes a path as verify= without a warning
        "test_httpx.py::TestTraps::test_a_path_as_verify_makes_a_context_that_shows_no_certificate[httpx]",
    ),
    "urllib3-2.0": (
        # urllib3 2.0 raises a reset at once, before it reads what the server had to say (1.26 and 2.8 read)
        "test_requests_proxies.py::test_a_late_refusal_comes_through_the_tunnel[POST of 2 MB-https proxy]",
    ),
    "newest": (),
}
"""The tests in ``tests/clients`` of what these versions cannot do, each seen to fail closed."""


def _group(name: str) -> Sequence[str]:
    return nox.project.dependency_groups(_PROJECT, name)


@nox.session
def tests(session: nox.Session) -> None:
    """Run the test suite, README and docs examples included; arguments go on to pytest.

    The pages of the documentation are run, and branch coverage is measured, on the newest Python: they say the same on
    each, and take a third of the time.
    """
    session.install(".", *_group("tests"))
    running = session.python or f"{sys.version_info.major}.{sys.version_info.minor}"
    if running != nox.project.python_versions(_PROJECT)[-1]:
        session.run("pytest", "-n", "2", *(session.posargs or ["tests", "README.md"]))
        return
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
    """Check the types of source, tests and examples, and that the published API is typed in full."""
    session.install(".", *_group("types"))
    session.run("mypy")
    session.run("mypy", "examples")
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


@nox.session
def example(session: nox.Session) -> None:
    """Run the demonstration of ``examples/service`` and its tests, as its README says, from the built wheel."""
    session.chdir("examples/service")
    session.install("-r", "requirements-tests.txt")
    session.run("python", "-m", "service.demo")
    session.run("python", "-m", "pytest", *session.posargs)


@nox.session
def matrix(session: nox.Session) -> None:
    """Try every fault on every foreign peer, print what is said of each, and write it to the documentation."""
    session.install(".", *_group("tests"))
    session.run("python", "-m", "tests.matrix", *(session.posargs or ["docs/reference/fault-matrix.md"]))


@nox.session
@nox.parametrize("versions", [nox.param(name, id=name) for name in _SETS])
def compat(session: nox.Session, versions: str) -> None:
    """Test clients, servers and the example with the lowest and the newest versions of the libraries they are for."""
    session.install(".", *_group("tests"))
    if _SETS[versions]:
        session.install(*_SETS[versions])
        session.run("python", "-m", "pip", "check")
    session.run("python", "-m", "pip", "list")
    clients = [str(path) for name in _CLIENTS for path in sorted(Path("tests/clients").glob(f"test_{name}.py"))]
    chosen = list(session.posargs) or [*clients, "tests/servers"]
    chosen += [f"--deselect=tests/clients/{test}" for test in _BEYOND[versions]]
    theirs = "-Wdefault::DeprecationWarning"  # old versions meet what is deprecated since
    session.run("pytest", "-n", "2", theirs, *chosen)
    session.chdir("examples/service")
    session.run("pytest", theirs)
