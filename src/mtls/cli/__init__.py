"""The command line: ``mtls`` and ``python -m mtls``. Exit code 0: all as it must be; 1: a finding; 2: wrong usage."""

from __future__ import annotations

import argparse
import io
import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; ``arguments`` are those of the process if left out. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="mtls", description="Mutual TLS whose failures name the handshake step.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("demo", help="make a CA, connect over a real socket, break it in every way, show what is said")
    parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without arrows shows question marks, no traceback
    from mtls.cli.demo import demo

    try:
        code = demo()
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would complain at its end
        return 1
    return code
