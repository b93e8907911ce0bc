"""A program of ours in a foreign language that serves many sites and makes many calls, told by lines on its stdin.

Rule: one line in, one line out, each with the number it answers to: fields are ``name=value`` between tabs. So a start
that takes a second (a Java VM) is paid once.
"""

from __future__ import annotations

import itertools
import queue
import threading
from abc import abstractmethod
from typing import TYPE_CHECKING, ClassVar

from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mtls import TLSVersion
    from tests.matrix.pki import Identity

PROGRAMS = "programs"


class DrivenPeer(base.CallingPeer):
    """A stack that has no program of its own to test with, but a library."""

    driver: ClassVar[str] = "driver"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._answers: dict[str, queue.Queue[str]] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._reader: threading.Thread | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """How to run the program; compiles it if need be."""

    def launch(self) -> None:
        """Start the program."""
        command = self.command()
        self._process = base.Process([base.installed(command[0]), *command[1:]], self.folder, interactive=True)
        self._running.append(self._process)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def start(self, sites: Sequence[base.Site]) -> dict[str, int]:
        if self._reader is None:
            self.launch()
        return {site.name: int(self._ask("serve", _of_site(site))) for site in sites}

    def call(self, call: base.Call) -> str:
        fields = {
            "port": str(call.port),
            "host": call.host,
            "ca": str(call.ca),
            "crl": str(call.crl or ""),
            "odd": call.odd,
            "lax": "lax" if call.lax else "",
            "min": _number(call.version),
            "max": _number(call.version),
        }
        return self._ask("call", fields | _of_identity(call.identity))

    def stop(self) -> None:
        super().stop()
        if self._reader is not None:
            self._reader.join(base.DEADLINE)

    def _ask(self, verb: str, fields: dict[str, str]) -> str:
        answer: queue.Queue[str] = queue.Queue()
        stdin = self._process.process.stdin
        assert stdin is not None
        with self._lock:
            number = str(next(self._numbers))
            self._answers[number] = answer
            line = "\t".join([f"verb={verb}", f"id={number}", *(f"{name}={value}" for name, value in fields.items())])
            stdin.write(line.encode() + b"\n")
            stdin.flush()
        try:
            return answer.get(timeout=base.DEADLINE)
        except queue.Empty:
            text = f"{self.name} does not answer {line!r}:\n{self._process.log.read_text(errors='replace')}"
            raise RuntimeError(text) from None

    def _read(self) -> None:
        assert self._process.process.stdout is not None
        for line in self._process.process.stdout:
            number, _, text = line.decode(errors="replace").rstrip("\n").partition("\t")
            if number in self._answers:
                self._answers.pop(number).put(text)


def _of_site(site: base.Site) -> dict[str, str]:
    return {
        "ca": str(site.client_ca or ""),
        "crl": str(site.crl or ""),
        "min": _number(site.lowest),
        "max": _number(site.highest),
        "odd": site.odd,
        "admitted": site.admitted,
        "lax": "lax" if site.lax else "",
    } | _of_identity(site.identity)


def _of_identity(identity: Identity | None) -> dict[str, str]:
    if identity is None:
        return {"cert": "", "key": ""}
    return {"cert": str(identity.certificate), "key": str(identity.key)}


def _number(version: TLSVersion) -> str:
    """``1.2`` or ``1.3``."""
    return version.label.partition(" ")[2]
