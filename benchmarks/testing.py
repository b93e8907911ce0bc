"""Line 12: what tests cost: a rehearsal, the certificates of a test run, and a plugin that nobody uses."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.material import EC, NAMES, VERSIONS, files, policy, profile
from benchmarks.rounds import CONTROL, compare, progress
from benchmarks.table import milliseconds, ratio
from benchmarks.wire import Contexts, in_memory
from mtls import ClientProfile, Role, ServerProfile, TLSProfile, rehearse
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.rounds import Effort
    from benchmarks.table import Row

_LINE = 12
_LIMIT, _SET_LIMIT, _COLLECT_LIMIT = 1.3, 10.0, 5.0
_TURNS = 20
_PLUGIN = "mtls.testing.pytest_plugin"


def rows(effort: Effort) -> Iterator[Row]:
    """CPU of a rehearsal against the bare handshake of the same contexts, and of the rest in milliseconds."""
    for version, name in VERSIONS.items():
        progress(f"12: rehearsal, {name}")
        rules = policy(version)
        near, far = (profile(role, files(role, EC), rules) for role in (Role.CLIENT, Role.SERVER))
        assert isinstance(near, ClientProfile)
        assert isinstance(far, ServerProfile)
        bare = partial(in_memory, Contexts(near.ssl_context(), far.ssl_context()))
        found = compare(
            {"measure": bare, CONTROL: bare, "rehearsal": partial(rehearse, near, far)}, effort, turns=_TURNS
        )
        what = f"rehearsal {name}, {NAMES[EC]}"
        yield ratio(_LINE, what, "bare handshake", found["rehearsal"], control=found[CONTROL], limit=_LIMIT)
    progress("12: certificates and profiles of a test run")
    yield milliseconds(_LINE, "CA and two profiles", "", _median(_whole_set, effort.rounds), limit=_SET_LIMIT)
    progress("12: pytest --collect-only with a plugin that nobody uses")
    plain, again, loaded = _collecting(effort.rounds)
    name = "unused plugin, pytest --collect-only"
    yield milliseconds(_LINE, name, "without it", loaded - plain, control=again - plain, limit=_COLLECT_LIMIT)


def _whole_set() -> None:
    authority = CertificateAuthority()
    trusted = authority.truststore
    TLSProfile.client(truststore=trusted, keystore=authority.client("client.example"))
    TLSProfile.server(truststore=trusted, keystore=authority.server("localhost"))


def _median(action: Callable[[], object], rounds: int) -> float:
    action()
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        action()
        spent.append((time.process_time() - start) * 1000)
    return statistics.median(spent)


def _collecting(rounds: int) -> tuple[float, float, float]:
    """The least in milliseconds, for whatever disturbs a process adds to it: without the plugin, again, and with it."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing(): pass\n", "utf-8")
        variants = [partial(_collect, folder, *options) for options in ((), (), ("-p", _PLUGIN))]
        seen: list[list[float]] = [[], [], []]
        for action in variants:
            action()  # writes the bytecode
        for turn in range(rounds):
            for place in range(len(variants)):
                number = (turn + place) % len(variants)
                start = _of_children()
                variants[number]()
                seen[number].append(_of_children() - start)
    plain, again, loaded = map(min, seen)
    return plain, again, loaded


def _of_children() -> float:
    """Milliseconds of CPU of the processes that have ended."""
    times = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (times.ru_utime + times.ru_stime) * 1000


def _collect(folder: str, *options: str) -> None:
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options, folder]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
