"""The lost alert: a refused TLS 1.3 client hears why, although its write fails before it reads anything.

The server is a stock ``ssl.SSLContext`` that closes at once after it refused.
"""

from __future__ import annotations

import contextlib
import select
import threading
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import httpx
import pytest
import urllib3

import mtls

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from tests.peers.conftest import Clients, Placed, Serve, Server

_BIG = bytes(2 * 1024 * 1024)
_SMALL = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_CLIENTS = 100

pytestmark = pytest.mark.parametrize("policy", [mtls.TLSVersion.TLSv1_3], ids=["TLSv1_3"], indirect=True)


class Refusing(NamedTuple):
    """A server that refuses; ``gone`` counts the connections that it has closed."""

    server: Server
    gone: threading.Semaphore


@pytest.fixture
def refusing(serve: Serve, stock_server_context: ssl.SSLContext) -> Refusing:
    gone = threading.Semaphore(0)

    def refuse(connection: socket.socket) -> str:
        try:
            stock_server_context.wrap_socket(connection, server_side=True).close()
        except OSError as error:
            connection.close()
            return str(getattr(error, "reason", error))
        finally:
            gone.release()
        return "let in"

    return Refusing(serve(refuse), gone)


class Case(NamedTuple):
    """Which client, and what it is to be told."""

    client: str
    step: int
    failure: str
    alert: str
    server_says: str


_CASES = [
    pytest.param(
        Case("bare", 5, "certificate_required", "certificate_required", "PEER_DID_NOT_RETURN_A_CERTIFICATE"),
        id="no certificate",
    ),
    pytest.param(Case("strange", 6, "unknown_ca", "unknown_ca", "CERTIFICATE_VERIFY_FAILED"), id="stranger's CA"),
]


def _context(clients: Clients, case: Case) -> mtls.TLSContext:
    context: mtls.TLSContext = getattr(clients, case.client)
    return context


@pytest.mark.parametrize("case", _CASES)
@pytest.mark.parametrize(
    ("data", "wait_for_the_close"),
    [
        pytest.param(_SMALL, False, id="writes at once"),
        pytest.param(_SMALL, True, id="writes after the server has closed"),
        pytest.param(_BIG, False, id="writes 2 MB"),
    ],
)
def test_a_hundred_of_a_hundred_refused_clients_hear_why(
    refusing: Refusing, clients: Clients, placed: Placed, case: Case, data: bytes, wait_for_the_close: bool
) -> None:
    heard: Counter[tuple[object, ...]] = Counter()
    phases: Counter[object] = Counter()
    for _ in range(_CLIENTS):
        with (
            refusing.server.connect() as sock,
            _context(clients, case).wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            if wait_for_the_close:
                assert refusing.gone.acquire(timeout=20)
            with pytest.raises(mtls.HandshakeError) as caught:
                _send_and_receive(tls, data)
            step, side, failure, alert, evidence, phase = placed(caught.value)
            phases[phase] += 1
            heard[step, side, failure, alert, evidence] += 1
            with pytest.raises(mtls.HandshakeError) as again:
                tls.recv(1)
            assert placed(again.value) == placed(caught.value)
        assert refusing.server.outcome() == case.server_says
    assert heard == {(case.step, "peer", case.failure, case.alert, "observed"): _CLIENTS}
    assert phases.keys() <= {"first_write", "first_read"}
    if wait_for_the_close or data is _BIG:  # a small write at once may come before the close
        assert phases["first_write"] > 0, "no write failed, so nothing was shown"


def _send_and_receive(tls: ssl.SSLSocket, data: bytes) -> bytes:
    tls.sendall(data)
    return tls.recv(1)


@pytest.mark.parametrize("case", _CASES)
def test_a_thread_that_reads_while_another_writes_hears_why(
    refusing: Refusing, clients: Clients, placed: Placed, case: Case
) -> None:
    """OpenSSL's read must not be entered twice: the read after a failed write gives way, or the reader waits for it."""
    heard: Counter[tuple[object, ...]] = Counter()

    def read(tls: ssl.SSLSocket) -> None:
        select.select([tls], [], [])  # wakes with the alert, when the write of the other thread fails, too
        try:
            tls.recv(1)
        except mtls.HandshakeError as error:
            heard[placed(error)[:5]] += 1

    for _ in range(5 * _CLIENTS):
        with (
            refusing.server.connect() as sock,
            _context(clients, case).wrap_socket(sock, server_hostname="localhost") as tls,
        ):
            reader = threading.Thread(target=read, args=[tls])
            reader.start()
            with contextlib.suppress(OSError):
                for _ in range(4):
                    tls.sendall(_BIG[:30_000])
            reader.join(20)
        assert refusing.server.outcome() == case.server_says
    assert heard == {(case.step, "peer", case.failure, case.alert, "observed"): 5 * _CLIENTS}


@pytest.mark.parametrize("case", _CASES)
class TestThroughALibrary:
    """``mtls.explain`` finds it in whatever was raised."""

    @pytest.fixture
    def heard(self, refusing: Refusing, placed: Placed) -> Callable[[Callable[[], object]], object]:
        def ask(post: Callable[[], object]) -> object:
            counted: Counter[tuple[object, ...]] = Counter()
            for _ in range(40):
                with pytest.raises((httpx.HTTPError, urllib3.exceptions.HTTPError)) as caught:
                    post()
                step, side, failure, alert, evidence, _ = placed(mtls.explain(caught.value))
                counted[step, side, failure, alert, evidence] += 1
                refusing.server.outcome()
            return counted

        return ask

    def test_httpx_tells_40_of_40_posts_of_2_mb(
        self, refusing: Refusing, clients: Clients, heard: Callable[[Callable[[], object]], object], case: Case
    ) -> None:
        with httpx.Client(verify=_context(clients, case), trust_env=False) as client:
            counted = heard(lambda: client.post(f"https://localhost:{refusing.server.port}/", content=_BIG))
        assert counted == {(case.step, "peer", case.failure, case.alert, "observed"): 40}

    def test_urllib3_tells_40_of_40_posts_of_2_mb(
        self, refusing: Refusing, clients: Clients, heard: Callable[[Callable[[], object]], object], case: Case
    ) -> None:
        with contextlib.closing(_Pool(_context(clients, case))) as pool:
            url = f"https://localhost:{refusing.server.port}/"
            counted = heard(lambda: pool.manager.request("POST", url, body=_BIG))
        assert counted == {(case.step, "peer", case.failure, case.alert, "observed"): 40}


class _Pool:
    """A PoolManager that is closed in the end."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self.manager = urllib3.PoolManager(ssl_context=context, retries=False)

    def close(self) -> None:
        self.manager.clear()
