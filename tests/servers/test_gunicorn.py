"""Flask under gunicorn, in two processes of ``sync`` and of ``gthread`` workers: who calls, and who is refused.

The configuration is that of ``docs/how-to/other-servers.md``, with a look at the files for every connection.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

import mtls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf

_DEADLINE = 20.0
_FORGED = {
    "gunicorn.socket": "audit.example",
    "werkzeug.socket": "audit.example",
    "SSL_CLIENT_CERT": "audit.example",
    "X-SSL-Client-Cert": "audit.example",
    "X-Forwarded-Client-Cert": 'URI=spiffe://prod.example/audit;Subject="CN=audit.example"',
    "Client-Cert": ":bm9ib2R5:",
}
"""What a caller may call its headers: the keys of the connection, and where proxies put a certificate."""

_CONFIGURATION = """
import functools, logging, os
import mtls

logging.basicConfig(level=logging.INFO)
bind, workers, threads = "127.0.0.1:0", 2, {threads}
accesslog, control_socket_disable = None, True
header_map = "dangerous"  # the worst case: no header is dropped for its name
certfile = "secrets/tls.crt"

@functools.cache
def context():
    logging.getLogger("test").info("a context for process %s", os.getpid())
    return mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory("secrets"),
        truststore=mtls.Truststore.from_directory("secrets"),
        {options}
    ).ssl_context(reload=mtls.Reload(min_interval=0))

def post_fork(server, worker):
    context()

def ssl_context(conf, default_ssl_context_factory):
    return context()

def post_worker_init(worker):
    logging.getLogger("test").info("ready")
"""
_APPLICATION = """
import logging, os
import flask, mtls

app = flask.Flask(__name__)

@app.get("/")
def who():
    logging.getLogger("test").info("called with %s", flask.request.query_string.decode())
    peer = mtls.peer_identity(flask.request)
    assert mtls.peer_identity(flask.request.environ) == peer
    name = None if peer is None else peer.dns_names[0]
    return {"name": name, "resumed": peer is not None and peer.resumed, "process": os.getpid()}
"""


class Gunicorn:
    """gunicorn with two workers in ``folder``, where its certificates are in ``secrets``."""

    def __init__(self, folder: Path, worker: str, options: str = "") -> None:
        self.folder = folder
        threads = 4 if worker == "gthread" else 1  # with more than one gunicorn makes gthread of sync
        configuration = _CONFIGURATION.replace("{options}", options).replace("{threads}", str(threads))
        (folder / "gunicorn.conf.py").write_text(configuration)
        (folder / "service.py").write_text(_APPLICATION)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--worker-class", worker, "service:app"],
            cwd=folder,
            env={**os.environ, "PYTHONWARNINGS": "error"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""
        self._ended = False
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        try:
            self.told("ready", times=2)
            self.told(f"Using worker: {worker}\n")
            self.port = int(self.told(r"Listening at: https://127\.0\.0\.1:(\d+)")[0])
        except AssertionError:
            self.stop()
            raise

    def told(self, pattern: str, times: int = 1) -> list[str]:
        """What matches in the output, when so much is there."""
        with self._more:
            self._more.wait_for(lambda: self._ended or len(re.findall(pattern, self.output)) >= times, _DEADLINE)
            found = re.findall(pattern, self.output)
            assert len(found) >= times, self.output
            return found

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(_DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(_DEADLINE)
        self._reader.join(_DEADLINE)
        assert not self._reader.is_alive()

    def connection(self, context: ssl.SSLContext) -> http.client.HTTPSConnection:
        return http.client.HTTPSConnection("localhost", self.port, context=context, timeout=_DEADLINE)

    def answer(self, context: ssl.SSLContext, query: str = "", headers: dict[str, str] | None = None) -> Any:
        """What the application answers, on a connection of its own."""
        with contextlib.closing(self.connection(context)) as connection:
            return _answer(connection, query, headers)

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                with self._more:
                    self.output += line
                    self._more.notify_all()
        with self._more:
            self._ended = True
            self._more.notify_all()


def _answer(connection: http.client.HTTPConnection, query: str = "", headers: dict[str, str] | None = None) -> Any:
    connection.request("GET", f"/?{query}", headers=headers or {})
    with connection.getresponse() as answer:
        content = answer.read()
    assert answer.status == 200, content
    return json.loads(content)


@pytest.fixture(scope="module", params=["sync", "gthread"])
def worker(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture(scope="module")
def gunicorn(
    worker: str, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    """A server that demands a certificate."""
    folder = tmp_path_factory.mktemp(worker)
    authority.save_keystore(authority.server("localhost"), folder / "secrets")
    running = Gunicorn(folder, worker)
    yield running
    running.stop()
    assert running.process.returncode == 0, running.output
    assert "Traceback" not in running.output
    listener = f"laddr=('127.0.0.1', {running.port})>"  # that one gunicorn leaves to the exit of the process
    assert [line for line in running.output.splitlines() if "Warning" in line and listener not in line] == []
    processes = re.findall(r"a context for process (\d+)", running.output)
    assert len(processes) == len(set(processes)) == 2
    assert str(running.process.pid) not in processes


@pytest.fixture(scope="module")
def choosy(
    worker: str, authority: CertificateAuthority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    """A server where a certificate may be left out, and that admits one of those who show one."""
    folder = tmp_path_factory.mktemp(worker)
    authority.save_keystore(authority.server("localhost"), folder / "secrets")
    options = 'client_auth=mtls.ClientAuth.OPTIONAL, authorize=mtls.PeerPolicy.dns("audit.example")'
    running = Gunicorn(folder, worker, options)
    yield running
    running.stop()
    assert running.process.returncode == 0, running.output


def test_120_interleaved_requests_of_6_users_each_get_their_own_name(gunicorn: Gunicorn, client_of: ClientOf) -> None:
    names = [f"user-{number}.example" for number in range(6)]
    together = threading.Barrier(len(names), timeout=_DEADLINE)

    def ask(name: str) -> Counter[bool]:
        right: Counter[bool] = Counter()
        with contextlib.closing(gunicorn.connection(client_of(name))) as connection:
            for _ in range(20):  # gthread answers them all on one connection, sync one on each
                together.wait()
                right[_answer(connection)["name"] == name] += 1
        return right

    with ThreadPoolExecutor(len(names)) as pool:
        assert sum(pool.map(ask, names), Counter()) == {True: 120}


def test_a_connection_that_is_kept_keeps_its_caller(gunicorn: Gunicorn, client_of: ClientOf, worker: str) -> None:
    with contextlib.closing(gunicorn.connection(client_of("billing.example"))) as kept:
        first = _answer(kept)
        assert (kept.sock is not None) is (worker == "gthread")
        assert gunicorn.answer(client_of("reports.example"))["name"] == "reports.example"
        assert _answer(kept)["name"] == first["name"] == "billing.example"


def test_a_client_without_a_certificate_is_told_step_5(gunicorn: Gunicorn, client_of: ClientOf) -> None:
    for _ in range(20):
        with pytest.raises(OSError, match=r"refused|required") as caught:
            gunicorn.answer(client_of(None), "without-certificate")
        told = mtls.explain(caught.value)
        assert isinstance(told, mtls.HandshakeError)
        assert (told.step, told.failure, told.side) == (5, "certificate_required", "peer")
    gunicorn.told(r"INFO:mtls:step 5 CLIENT_CERTIFICATE failed: the client 127\.0\.0\.1:", times=20)
    assert "without-certificate" not in gunicorn.output


def test_a_client_of_another_ca_is_told_step_6(
    gunicorn: Gunicorn, client_of: ClientOf, stranger: CertificateAuthority
) -> None:
    for _ in range(20):
        with pytest.raises(OSError, match="refused") as caught:
            gunicorn.answer(client_of("billing.example", issuer=stranger), "of-another-ca")
        told = mtls.explain(caught.value)
        assert isinstance(told, mtls.HandshakeError)
        assert (told.step, told.failure, told.side) == (6, "unknown_ca", "peer")
    assert "of-another-ca" not in gunicorn.output


def test_a_renewed_certificate_is_served_by_every_process_without_a_restart(
    gunicorn: Gunicorn, authority: CertificateAuthority, client_of: ClientOf
) -> None:
    def served() -> int:
        with contextlib.closing(gunicorn.connection(client_of("billing.example"))) as connection:
            connection.connect()
            server = mtls.peer_identity(connection.sock)
            assert _answer(connection)["name"] == "billing.example"
        assert server is not None
        return server.certificate.serial_number

    assert served() > 2
    for serial in (1, 2):
        renewed = authority.server("localhost", serial_number=serial)
        authority.save_keystore(renewed, gunicorn.folder / "secrets", existing=mtls.Existing.REPLACE)
        assert {served() for _ in range(20)} == {serial}


def test_a_session_is_resumed_in_the_process_that_it_began_in_and_in_no_other(
    gunicorn: Gunicorn, client_of: ClientOf
) -> None:
    context = client_of("billing.example")

    def ask(session: ssl.SSLSession | None) -> tuple[Any, ssl.SSLSession | None]:
        with contextlib.closing(gunicorn.connection(context)) as connection:
            plain = socket.create_connection(("127.0.0.1", gunicorn.port), _DEADLINE)
            tls = connection.sock = context.wrap_socket(plain, server_hostname="localhost", session=session)
            connection.request("GET", "/", headers={"Connection": "close"})
            with connection.getresponse() as answer:
                begun = tls.session  # it goes with the socket, when the answer is read
                return json.loads(answer.read()), begun

    first, session = ask(None)
    assert not first["resumed"]
    answers = [ask(session)[0] for _ in range(20)]
    assert {answer["name"] for answer in answers} == {"billing.example"}
    assert [answer["resumed"] for answer in answers] == [answer["process"] == first["process"] for answer in answers]
    assert any(answer["resumed"] for answer in answers)


def test_the_headers_of_a_verified_client_do_not_make_it_somebody_else(gunicorn: Gunicorn, client_of: ClientOf) -> None:
    assert gunicorn.answer(client_of("billing.example"), headers=_FORGED)["name"] == "billing.example"


def test_without_a_certificate_a_client_is_nobody_whatever_its_headers_say(
    choosy: Gunicorn, client_of: ClientOf
) -> None:
    assert choosy.answer(client_of(None), headers=_FORGED)["name"] is None


def test_a_client_that_authorize_refuses_learns_nothing_and_never_reaches_the_application(
    choosy: Gunicorn, client_of: ClientOf
) -> None:
    with pytest.raises(http.client.RemoteDisconnected) as caught:
        choosy.answer(client_of("billing.example"), "not-authorized")
    assert mtls.explain(caught.value) is None
    assert choosy.answer(client_of("audit.example"), "authorized")["name"] == "audit.example"
    choosy.told("called with authorized")
    [said] = choosy.told(r"WARNING:mtls:step 6 SERVER_VERIFIES_CLIENT failed: .*")
    assert "authorize= does not admit <PeerIdentity billing.example>" in said
    assert "not-authorized" not in choosy.output


def test_what_cannot_work_stops_the_start(worker: str, authority: CertificateAuthority, tmp_path: Path) -> None:
    authority.save_keystore(authority.client("billing.example"), tmp_path / "secrets")
    with pytest.raises(AssertionError) as caught:
        Gunicorn(tmp_path, worker)
    assert "mtls.errors.ConfigurationError: " in str(caught.value)
