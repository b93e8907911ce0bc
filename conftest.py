"""The examples of README and docs are tests: Python blocks run, doctests are compared, shell blocks must succeed.

Rule: what cannot run is skipped by name, never silently: ``<!-- skip: next "reason" -->`` before the block.

- ```` ```python ````, in any page: runs; a block that starts with ``>>>`` is a doctest. ```` ```pycon ```` is one, too.
- ```` ```shell ````, in ``docs/explanation`` only: runs in ``bash``, all blocks of a page in one temporary folder;
  every command must succeed, one behind ``!`` must fail.
  Pages in ``docs/failures`` begin with two CAs, a client, a server and bad peers.
- In ``docs/tutorial-testing.md`` ```` ```python ```` is a file, named in its first line (``# test_it.py``, or to add to
  it ``# test_it.py, continued``); each line behind ``$`` in ```` ```console ```` runs beside them, its output compared.
- ```` ```console ```` and ```` ```text ```` elsewhere are for the reader.
"""

from __future__ import annotations

import doctest
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING
from unittest import SkipTest

from sybil import Sybil
from sybil.evaluators.doctest import DocTestEvaluator
from sybil.parsers.abstract import DocTestStringParser
from sybil.parsers.myst import CodeBlockParser, PythonCodeBlockParser, SkipParser
from sybil.sybil import SybilCollection

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from sybil import Document, Example, Region
    from sybil.typing import Parser

_PLUGIN = "mtls.testing.pytest_plugin"
_INSTALLED = any(entry.value == _PLUGIN for entry in entry_points(group="pytest11"))
pytest_plugins = ["pytester", *([] if _INSTALLED else [_PLUGIN])]  # beside its source folder it is named by hand

_OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
_FOLDER = "_shell_folder"


class _PyconParser:
    """Doctests in ```` ```pycon ```` blocks."""

    def __init__(self) -> None:
        self._blocks = CodeBlockParser("pycon", DocTestEvaluator(_OPTIONS))
        self._examples = DocTestStringParser(DocTestEvaluator(_OPTIONS))

    def __call__(self, document: Document) -> Iterable[Region]:
        for block in self._blocks(document):
            for region in self._examples(block.parsed, document.path):
                region.adjust(block, block.parsed)
                yield region


def _run_in_shell(example: Example) -> None:
    if missing := [program for program in ("bash", "openssl") if shutil.which(program) is None]:
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI"):
            raise AssertionError(reason)
        raise SkipTest(reason)
    must_fail = r"if \1; then echo 'succeeds, and must not: '\1 >&2; exit 1; fi"  # bash's own `!` does not end a script
    source = re.sub(r"(?m)^! (.+)$", must_fail, str(example.parsed))
    command = ["bash", "-euo", "pipefail", "-c", source]
    run = subprocess.run(  # noqa: S603 - the command is a block of our own documentation
        command, cwd=example.namespace[_FOLDER], capture_output=True, text=True, check=False, timeout=60
    )
    if run.returncode != 0:
        text = f"the shell block ends with {run.returncode}\n{run.stdout}{run.stderr}"
        raise AssertionError(text)


def _write_file(example: Example) -> None:
    source = str(example.parsed)
    named = re.match(r"# (\w+\.py)(, continued)?\n", source)
    assert named, f"the first line of a block of this page is the name of its file, not {source[:40]!r}"
    with Path(example.namespace[_FOLDER], named[1]).open("a" if named[2] else "w", encoding="utf-8") as file:
        file.write(source)


def _run_and_compare(example: Example) -> str | None:
    """Each command of the block; what is wrong with the output of the first that prints something else, or ``None``."""
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTEST_ADDOPTS": "-W error -p no:cacheprovider",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # the plugins of others take longer to load than these tests to run
        "PYTEST_PLUGINS": _PLUGIN,
    }
    for command, wanted in re.findall(r"(?m)^\$ (.*)\n((?:(?!\$ ).*\n)*)", str(example.parsed)):
        run = subprocess.run(  # noqa: S602 - the command is one of our own documentation
            command,
            shell=True,
            cwd=example.namespace[_FOLDER],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        if not doctest.OutputChecker().check_output(wanted, run.stdout, _OPTIONS):
            return f"$ {command}\nprinted\n{run.stdout}\nand not\n{wanted}"
    return None


def _make_folder(namespace: dict[str, Any]) -> None:
    namespace[_FOLDER] = tempfile.mkdtemp(prefix="mtls-docs-")


def _remove_folder(namespace: dict[str, Any]) -> None:
    shutil.rmtree(namespace[_FOLDER], ignore_errors=True)


def _prepare_peers(namespace: dict[str, Any]) -> None:
    """What every page about a failure begins with, see ``docs/_ext/example_peers.py``."""
    from example_peers import prepare  # noqa: PLC0415 - loads the library, which other runs may not want to

    prepare(namespace)


def _parsers() -> list[Parser]:
    return [PythonCodeBlockParser(doctest_optionflags=_OPTIONS), _PyconParser(), SkipParser()]


_pages = Sybil(
    parsers=_parsers(),
    patterns=["README.md", "docs/*.md", "docs/how-to/*.md", "docs/reference/*.md"],
    excludes=["docs/_build/*", "docs/explanation/*", "docs/tutorial-testing.md"],
)
_project = Sybil(
    parsers=[CodeBlockParser("python", _write_file), CodeBlockParser("console", _run_and_compare)],
    patterns=["docs/tutorial-testing.md"],
    setup=_make_folder,
    teardown=_remove_folder,
)
_explanation = Sybil(
    parsers=[*_parsers(), CodeBlockParser("shell", _run_in_shell)],
    patterns=["docs/explanation/*.md"],
    setup=_make_folder,
    teardown=_remove_folder,
)
_failures = Sybil(parsers=_parsers(), patterns=["docs/failures/*.md", "docs/steps/*.md"], setup=_prepare_peers)
pytest_collect_file = SybilCollection((_pages, _project, _explanation, _failures)).pytest()
