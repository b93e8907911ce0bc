"""Foreign programs as peers, servers of our own in a thread, and the certificates on disk that they read."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import re
import shutil
import socket
import ssl
import subprocess
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest

import mtls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority

DEADLINE = 20.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"


# --- certificates ---


class Files(NamedTuple):
    """A keystore on disk, with the root that it comes from."""

    certificate: Path
    key: Path
    ca: Path


class Save(Protocol):
    """Writes a keystore of an authority to disk."""

    def __call__(self, authority: CertificateAuthority, keystore: mtls.Keystore) -> Files: ...


@pytest.fixture(scope="session")
def save(tmp_path_factory: pytest.TempPathFactory) -> Save:
    def write(authority: CertificateAuthority, keystore: mtls.Keystore) -> Files:
        folder = tmp_path_factory.mktemp("keystore")
        authority.save_keystore(keystore, folder)
        return Files(folder / "tls.crt", folder / "tls.key", folder / "ca.crt")

    return write


@pytest.fixture(scope="session")
def server_files(save: Save, authority: CertificateAuthority) -> Files:
    return save(authority, authority.server("localhost", "127.0.0.1"))


@pytest.fixture(scope="session")
def client_files(save: Save, authority: CertificateAuthority) -> Files:
    return save(authority, authority.client("billing-prod"))


@pytest.fixture(scope="session")
def stranger_files(save: Save, stranger: CertificateAuthority) -> Files:
    """A client of the CA that nobody trusts."""
    return save(stranger, stranger.client("intruder"))


# --- our side ---


@pytest.fixture(params=list(mtls.TLSVersion), ids=lambda version: version.name)
def policy(request: pytest.FixtureRequest) -> mtls.TLSPolicy:
    """One version and no other, so that the peer has no choice."""
    version: mtls.TLSVersion = request.param
    return mtls.TLSPolicy(name=f"{version.label} only", minimum_version=version, maximum_version=version)


@dataclass(frozen=True)
class Clients:
    """Three clients that trust the authority: with its certificate, without one, with a stranger's."""

    good: mtls.TLSContext
    bare: mtls.TLSContext
    strange: mtls.TLSContext


@pytest.fixture
def clients(authority: CertificateAuthority, stranger: CertificateAuthority, policy: mtls.TLSPolicy) -> Clients:
    trust, make = authority.truststore, mtls.TLSProfile.client
    return Clients(
        good=make(truststore=trust, keystore=authority.client("billing-prod"), policy=policy).ssl_context(),
        bare=make(truststore=trust, policy=policy).ssl_context(),
        strange=make(truststore=trust, keystore=stranger.client("intruder"), policy=policy).ssl_context(),
    )


@pytest.fixture
def server_context(server_profile: mtls.ServerProfile, policy: mtls.TLSPolicy) -> mtls.TLSContext:
    """A server of ours that demands a certificate, on one version."""
    assert server_profile.keystore is not None
    assert server_profile.truststore is not None
    profile = mtls.TLSProfile.server(
        keystore=server_profile.keystore, truststore=server_profile.truststore, policy=policy
    )
    return profile.ssl_context()


@pytest.fixture(scope="session")
def stock_server_context(server_files: Files) -> ssl.SSLContext:
    """A two-way server as the standard library makes it: not one line of ours."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(server_files.certificate, server_files.key)
    context.load_verify_locations(server_files.ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# --- servers in a thread ---


class Server:
    """Serves one connection after the other in a thread, and keeps what became of each.

    What ``serve`` returns is the outcome, or the :class:`OSError` that it raised; it is there once the connection is
    closed.
    """

    def __init__(self, serve: Callable[[socket.socket], object]) -> None:
        self._serve = serve
        self._outcomes: queue.Queue[object] = queue.Queue()
        self._stopping = False
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.connections = 0
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=DEADLINE)

    def outcome(self) -> object:
        """What became of the next connection."""
        return self._outcomes.get(timeout=DEADLINE)

    def error(self) -> mtls.HandshakeError:
        """The error by which the next connection ended."""
        outcome = self.outcome()
        assert isinstance(outcome, mtls.HandshakeError), outcome
        return outcome

    def close(self) -> None:
        self._stopping = True
        with contextlib.suppress(OSError):
            self.connect().close()  # accept() wakes up
        self._thread.join(DEADLINE)
        self._listener.close()
        assert not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self._stopping:
                    return
                self.connections += 1
                connection.settimeout(DEADLINE)
                # what Nagle's algorithm holds back, a reset throws away before it was ever sent
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                try:
                    outcome = self._serve(connection)
                except OSError as error:
                    outcome = error
            self._outcomes.put(outcome)


class Serve(Protocol):
    """Starts a server, which is stopped at the end of the test."""

    def __call__(self, how: Callable[[socket.socket], object]) -> Server: ...


@pytest.fixture
def serve() -> Iterator[Serve]:
    started: list[Server] = []

    def start(how: Callable[[socket.socket], object]) -> Server:
        started.append(Server(how))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture
def our_server(serve: Serve, server_context: mtls.TLSContext) -> Server:
    """An HTTP server on our context; the outcome of a good connection is the client's identity."""

    def answer(connection: socket.socket) -> object:
        with server_context.wrap_socket(connection, server_side=True) as tls:
            request = b""
            while b"\r\n\r\n" not in request and (part := tls.recv(4096)):
                request += part
            identity = mtls.peer_identity(tls)
            tls.sendall(_ANSWER)
            with contextlib.suppress(OSError):
                tls.unwrap()
            return identity

    return serve(answer)


# --- foreign programs ---


def _installed(program: str) -> str:
    path = shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin")))
    if path is None:
        reason = f"{program} is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return path


class Program:
    """A foreign program that runs until it is stopped; its output is read by a thread, so that it never blocks."""

    def __init__(self, command: list[str], *, ready: str) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.output: list[str] = []
        self._found: queue.Queue[re.Match[str] | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(re.compile(ready),))
        self._reader.start()
        try:
            self.ready = self._found.get(timeout=DEADLINE)
        except queue.Empty:
            self.ready = None

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(DEADLINE)
        self._reader.join(DEADLINE)
        assert not self._reader.is_alive()

    def _read(self, ready: re.Pattern[str]) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                self.output.append(line)
                if match := ready.search(line):
                    self._found.put(match)
        self._found.put(None)  # it ended


class Start(Protocol):
    """Starts a program and waits until a line of its output matches ``ready``; ``None`` if it ended before."""

    def __call__(self, program: str, *arguments: str, ready: str) -> Program | None: ...


@pytest.fixture(scope="module")
def start() -> Iterator[Start]:
    running: list[Program] = []

    def run(program: str, *arguments: str, ready: str) -> Program | None:
        started = Program([_installed(program), *arguments], ready=ready)
        if started.ready is None:
            started.stop()
            return None
        running.append(started)
        return started

    yield run
    for program in running:
        program.stop()


class Run(Protocol):
    """Runs a program to its end."""

    def __call__(self, program: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]: ...


@pytest.fixture(scope="session")
def run() -> Run:
    def call(program: str, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [_installed(program), *arguments]
        return subprocess.run(command, input=given, capture_output=True, check=False, timeout=DEADLINE)

    return call


# --- what is expected of an error ---


class Placed(Protocol):
    """Step, side, failure, alert, evidence and phase of an error, after what holds for every error was checked."""

    def __call__(self, error: BaseException | None) -> tuple[object, ...]: ...


@pytest.fixture(scope="session")
def placed() -> Placed:
    def fields(error: BaseException | None) -> tuple[object, ...]:
        assert isinstance(error, mtls.HandshakeError), error
        assert isinstance(error, ssl.SSLError)
        cause = error.__cause__
        if error.failure is not mtls.FailureReason.NOT_AUTHORIZED:
            assert isinstance(cause, OSError)
            assert not isinstance(cause, mtls.MTLSError)
            assert error.args == cause.args
            assert error.reason == getattr(cause, "reason", None)
        assert isinstance(error, TimeoutError) is isinstance(cause, TimeoutError)
        assert mtls.explain(error) is error
        assert error.to_dict()["failure"] == error.failure
        assert error.hint
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), str(again)) == (type(error), str(error))
        return error.step, error.side, error.failure, error.alert, error.evidence, error.phase

    return fields


class RefusalOf(Protocol):
    """The error that a call fails with."""

    def __call__(self, call: Callable[[], object]) -> mtls.HandshakeError: ...


@pytest.fixture(scope="session")
def refusal_of() -> RefusalOf:
    def failing(call: Callable[[], object]) -> mtls.HandshakeError:
        with pytest.raises(mtls.HandshakeError) as caught:
            call()
        return caught.value

    return failing
