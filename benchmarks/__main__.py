"""What the library costs beside plain ``ssl``: ``python -m benchmarks [--quick] [--line N]``.

Rule: every figure is a ratio taken in one run, with its control beside it, or an exact count; the few times that are
promised in milliseconds are told as such. A figure that is over its
limit does not fail the run; a line that could not be measured does.
"""

from __future__ import annotations

import argparse
import platform
import ssl
import sys
import traceback

from benchmarks import again, building, bulk, clients, handshakes, importing, refusals, testing, verifying
from benchmarks.rounds import FULL, QUICK
from benchmarks.table import failed, lines

_LINES = {
    1: importing,
    2: building,
    4: again,
    5: handshakes,
    6: bulk,
    7: refusals,
    8: verifying,
    10: clients,
    12: testing,
}


def main() -> int:
    """Measure, print the table, and say whether everything could be measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="What the library costs beside plain ssl."
    )
    parser.add_argument("--quick", action="store_true", help="shorter rounds: a first look")
    parser.add_argument("--line", type=int, choices=_LINES, action="append", help="only this line; may be repeated")
    chosen = parser.parse_args()
    effort = QUICK if chosen.quick else FULL
    rows, complete = [], True
    for number in chosen.line or _LINES:
        try:
            rows.extend(_LINES[number].rows(effort))
        except Exception as fault:  # noqa: BLE001 - one line that cannot be measured does not end the run
            traceback.print_exc(file=sys.stderr)
            rows.append(failed(number, fault))
            complete = False
    print(f"Python {platform.python_version()}, {ssl.OPENSSL_VERSION}, {effort.rounds} rounds")
    print()
    print(*lines(rows), sep="\n")
    return 0 if complete else 1


if __name__ == "__main__":
    sys.exit(main())
