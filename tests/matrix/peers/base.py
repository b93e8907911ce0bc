"""What every foreign peer is asked for, in its own words: to serve some sites, and, if it can, to call.

Rule: a peer is a real program. It is awaited by connecting to it, never by waiting a while; what it cannot be
configured for it says in ``cannot``, with the reason. A program that is missing is a failure, not a skip.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import socket
import subprocess
import threading
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from mtls import TLSVersion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from tests.matrix.pki import Identity

DEADLINE = 20.0
_POLL = 0.02
_PORTS = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections, so that none of those can take a port that was just found free."""
BOTH = (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)

CIPHER, GROUP, ALPN, SNI = "no common cipher", "no common group", "no common ALPN", "SNI refused"
PLAIN = "plain HTTP"
ODD_CIPHER, ODD_SUITE = "ECDHE-ECDSA-AES128-SHA256", "TLS_AES_128_CCM_SHA256"
"""What no policy of ours offers: a CBC suite of TLS 1.2, and the CCM suite, which OpenSSL leaves out by default."""
ODD_GROUP = "brainpoolP256r1"
ODD_PROTOCOL, USUAL_PROTOCOL = "matrix", "http/1.1"
OTHER_HOST = "other.example"
LAX = "DEFAULT@SECLEVEL=0"
"""The cipher string under which OpenSSL shows a weak key of its own."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a server is to be like. Two-way if it has a ``client_ca``."""

    name: str
    identity: Identity
    client_ca: Path | None = None
    crl: Path | None = None
    versions: tuple[TLSVersion, ...] = BOTH
    odd: str = ""
    """``CIPHER``, ``GROUP``: it takes only what nobody offers. ``ALPN``: it speaks the usual protocol, and the client
    offers an odd one. ``SNI``: it serves ``OTHER_HOST`` only. ``PLAIN``: it speaks no TLS.
    """
    admitted: str = ""
    """The application lets in this client alone."""

    @property
    def lax(self) -> bool:
        """Whether its own key is weak, so that its stack must be told to show it."""
        return self.identity.name == "weak key"

    @property
    def lowest(self) -> TLSVersion:
        return min(self.versions)

    @property
    def highest(self) -> TLSVersion:
        return max(self.versions)


@dataclass(frozen=True, kw_only=True)
class Call:
    """What a client is to do: connect, ask for a page, and say what came of it."""

    port: int
    ca: Path
    identity: Identity | None = None
    crl: Path | None = None
    version: TLSVersion
    odd: str = ""
    host: str = "localhost"

    @property
    def lax(self) -> bool:
        """Whether its own key is weak, so that its stack must be told to show it."""
        return self.identity is not None and self.identity.name == "weak key"


class Peer(ABC):
    """A foreign TLS stack as a server. ``start`` is called once, for all sites; ``stop`` once, at the end."""

    name: ClassVar[str]
    program: ClassVar[str]
    cannot: ClassVar[Mapping[str, str]] = {}
    """The faults it cannot be configured for as a server, and why."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._running: list[Process] = []

    @abstractmethod
    def start(self, sites: Sequence[Site]) -> dict[str, int]:
        """Serve them all; the port of each by its name."""

    def stop(self) -> None:
        for process in self._running:
            process.stop()

    def run(self, *command: str, ports: Iterable[int] = (), cwd: Path | None = None) -> Process:
        """Start a program that lasts, and wait until it listens on the ports."""
        process = Process([installed(command[0]), *command[1:]], self.folder, cwd=cwd)
        self._running.append(process)
        for port in ports:
            process.wait_for(port)
        return process


class CallingPeer(Peer):
    """A stack that is a client, too."""

    cannot_call: ClassVar[Mapping[str, str]] = {}
    """The faults it cannot have, or cannot notice, as a client, and why."""

    @abstractmethod
    def call(self, call: Call) -> str:
        """Make one connection to the port, and return what the program says about it."""


def installed(program: str) -> str:
    """The path of a program. Raises :class:`FileNotFoundError` if it is missing: ``.ci/run`` names its package."""
    places = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"))
    path = shutil.which(program, path=places)
    if path is None:
        text = f"{program} is not installed; .ci/run names the packages of all peers"
        raise FileNotFoundError(text)
    return path


def said(command: Sequence[str], *, given: bytes = b"") -> str:
    """What a program says that ends by itself."""
    path = installed(command[0])
    ended = subprocess.run(
        [path, *command[1:]],
        input=given,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
        timeout=DEADLINE,
    )
    return ended.stdout.decode(errors="replace")


_taken: set[int] = set()
_taking = threading.Lock()


def free_port() -> int:
    """A port that nobody listens on and that nobody else here was given."""
    with _taking:
        while True:
            port = random.choice(_PORTS)  # two workers must not look in the same order
            if port not in _taken and _is_free(port):
                _taken.add(port)
                return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@dataclass
class Process:
    """A program that runs until it is stopped; what it prints goes to a file."""

    command: list[str]
    folder: Path
    cwd: Path | None = None
    interactive: bool = False
    process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / f"{os.path.basename(self.command[0])}-{free_name()}.log"  # noqa: PTH119 - a command
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE if self.interactive else subprocess.DEVNULL,
                stdout=subprocess.PIPE if self.interactive else log,
                stderr=log,
                cwd=self.cwd,
            )

    def wait_for(self, port: int) -> None:
        """Wait until it accepts connections."""
        for _ in range(int(DEADLINE / _POLL)):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), DEADLINE):
                return
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(_POLL)
                break  # it ended
        text = f"{' '.join(self.command)} does not listen on {port}:\n{self.log.read_text(errors='replace')}"
        raise RuntimeError(text)

    def stop(self) -> None:
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process.terminate()
        try:
            self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(DEADLINE)
        if self.process.stdout is not None:
            self.process.stdout.close()


_names = iter(range(1_000_000))


def free_name() -> int:
    """A number that was not used before."""
    return next(_names)
