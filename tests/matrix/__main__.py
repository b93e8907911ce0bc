"""The whole matrix: ``python -m tests.matrix [PAGE]`` runs every cell, prints the tables and writes them to a page.

Rule: it fails if one claim is wrong, one step that the evidence determines is missing, one alert was lost, or a
peer says what ``alerts`` does not have of it.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.matrix import cells, late, page, runner
from tests.matrix.lab import Lab
from tests.matrix.late_clients import CLIENTS
from tests.matrix.pki import Pki

_REFUSALS = 300
_OTHERS = 60
"""Refusals of a client that may lose some: enough to see which."""
_KEEP_ALL = [client for client in CLIENTS if client.keeps]
_LOSE_SOME = [client for client in CLIENTS if not client.keeps]


def main(arguments: list[str]) -> int:
    """0 if everything is right, else 1."""
    logging.getLogger("mtls").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory(prefix="matrix") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Apache reads as another user
        lab = Lab(folder, Pki(folder))
        try:
            with ThreadPoolExecutor(len(cells.PEERS)) as pool:
                list(pool.map(lab.start, cells.PEERS))
            results = runner.run(lab, cells.cells())
            untrue = runner.untrue(lab, cells.cells())
            counts = [*late.measure(lab, _REFUSALS, _KEEP_ALL), *late.measure(lab, _OTHERS, _LOSE_SOME)]
        finally:
            lab.stop()
    print(page.text(results, counts), *untrue, sep="\n")  # noqa: T201 - it is a program
    for path in arguments:
        Path(path).write_text(page.markdown(results, counts), encoding="utf-8")
    good = not untrue and all(result.judgement.good for result in results) and all(count.good for count in counts)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
