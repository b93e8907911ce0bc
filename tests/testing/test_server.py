"""Servers on the loopback interface: a good one answers, a faulty one has its fault, none leaves anything behind."""

from __future__ import annotations

import http.client
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import mtls
from mtls import HandshakeStep as S
from mtls.authority import CertificateAuthority
from mtls.testing import FAULTS, Fault, LoopbackServer, raises

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

HOME = CertificateAuthority("Home CA")
CLIENT = mtls.TLSProfile.client(truststore=HOME.truststore, keystore=HOME.client("billing.example"))
BARE = mtls.TLSProfile.client(truststore=HOME.truststore)
SERVER = mtls.TLSProfile.server(truststore=HOME.truststore, keystore=HOME.server("localhost"))
PLAYABLE = [fault for fault in FAULTS.of("server") if fault.demand in {None, "chain_rules=ChainRules.STRICT"}]


@pytest.fixture
def server() -> Iterator[LoopbackServer]:
    with LoopbackServer(SERVER) as running:
        yield running


def connect(server: LoopbackServer, profile: mtls.ClientProfile = CLIENT, timeout: float = 5.0) -> ssl.SSLSocket:
    raw = socket.create_connection(("127.0.0.1", server.port), timeout)
    try:
        tls: ssl.SSLSocket = profile.ssl_context().wrap_socket(raw, server_hostname="localhost")
    except BaseException:
        raw.close()
        raise
    return tls


def untyped(value: object) -> Any:
    """A value that the types forbid."""
    return value


# --- a good one ---


def test_it_says_who_called(server: LoopbackServer) -> None:
    with httpx.Client(verify=CLIENT.ssl_context()) as http_client:
        answer = http_client.get(server.url)
    assert (answer.status_code, answer.text) == (200, "hello billing.example\n")
    side = server.wait_for_handshake()
    assert side.error is None
    assert side.peer is not None
    assert side.peer.dns_names == ("billing.example",)
    assert side.trace[0].name == "ClientHello"


def test_a_client_of_a_one_way_server_is_anonymous() -> None:
    with LoopbackServer(mtls.TLSProfile.server(keystore=HOME.server("localhost"))) as server:
        with httpx.Client(verify=BARE.ssl_context()) as http_client:
            assert http_client.get(server.url).text == "hello anonymous\n"
        assert server.wait_for_handshake().peer is None


def test_a_connection_answers_many_requests(server: LoopbackServer) -> None:
    with httpx.Client(verify=CLIENT.ssl_context()) as http_client:
        assert http_client.head(server.url).content == b""
        assert http_client.post(server.url, content=b"x" * 300_000).content == b"x" * 300_000
        assert http_client.delete(server.url).status_code == 200
        assert http_client.get(server.url, headers={"Connection": "close"}).headers["Connection"] == "close"
        assert http_client.get(server.url).status_code == 200
    assert server.wait_for_handshake().error is None
    assert server.wait_for_handshake().error is None
    with pytest.raises(AssertionError, match=r"no further handshake with localhost:\d+ has ended within 0\.01 seconds"):
        server.wait_for_handshake(timeout=0.01)


def test_a_body_that_it_does_not_understand_is_refused_with_a_status(server: LoopbackServer) -> None:
    with httpx.Client(verify=CLIENT.ssl_context()) as http_client:
        assert http_client.post(server.url, content=iter([b"one", b"two"])).status_code == 411


def test_a_request_may_come_in_pieces(server: LoopbackServer) -> None:
    with connect(server) as tls:
        for piece in (b"GET / HT", b"TP/1.0\r\n", b"\r\n"):
            tls.sendall(piece)
        assert tls.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_a_client_that_waits_for_leave_to_send_gets_it(server: LoopbackServer) -> None:
    with connect(server) as tls:
        tls.sendall(b"POST / HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n")
        assert tls.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        tls.sendall(b"ok")
        answer = http.client.HTTPResponse(tls)
        answer.begin()
        assert answer.read() == b"ok"


@pytest.mark.parametrize("sent", [b"GET / HT", b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nabc"])
def test_a_request_that_breaks_off_ends_the_connection_in_an_orderly_way(sent: bytes, server: LoopbackServer) -> None:
    with connect(server) as tls:
        tls.sendall(sent)
        tls.unwrap().close()  # returns once the server has said close_notify, too


def test_anything_but_http_comes_back(server: LoopbackServer) -> None:
    with connect(server) as tls:
        for sent in (b"\x00\x01", b"hello", b"x" * 20_000):
            tls.sendall(sent)
            received = b""
            while len(received) < len(sent):
                received += tls.recv(65536)
            assert received == sent


def test_a_refused_client_hears_why_and_the_server_knows_it(server: LoopbackServer) -> None:
    with (
        raises(step=5, failure="certificate_required", side="peer"),
        httpx.Client(verify=BARE.ssl_context()) as http_client,
    ):
        http_client.get(server.url)
    side = server.wait_for_handshake()
    assert isinstance(side.error, mtls.HandshakeError)
    assert (side.error.step, side.error.side, side.peer) == (S.CLIENT_CERTIFICATE, mtls.Side.LOCAL, None)


def test_connections_do_not_wait_for_each_other(server: LoopbackServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)), connect(server) as silent, connect(server) as talking:
        talking.sendall(b"first")
        assert talking.recv(10) == b"first"
        silent.sendall(b"second")
        assert silent.recv(10) == b"second"


def test_a_name_that_is_not_localhost_is_served_there_too() -> None:
    profile = mtls.TLSProfile.server(keystore=HOME.server("*.wild.example", "api.example"), truststore=HOME.truststore)
    with LoopbackServer(profile) as server:
        assert server.host == "api.example"
        raw = socket.create_connection(("127.0.0.1", server.port), 5.0)
        with CLIENT.ssl_context().wrap_socket(raw, server_hostname=server.host) as tls:
            assert tls.version() == "TLSv1.3"


# --- its end ---


def test_it_ends_with_connections_open_and_leaves_no_thread() -> None:
    before = set(threading.enumerate())
    with LoopbackServer(SERVER) as server:
        open_ones = [connect(server), socket.create_connection(("127.0.0.1", server.port))]
        for _ in open_ones[:1]:
            server.wait_for_handshake()
    assert set(threading.enumerate()) == before
    for each in open_ones:
        each.close()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))


def test_closing_it_twice_is_closing_it_once() -> None:
    server = LoopbackServer(SERVER)
    assert repr(server) == f"<LoopbackServer localhost:{server.port}>"
    server.close()
    server.close()
    assert repr(server) == "<LoopbackServer closed>"


# --- a faulty one ---


@pytest.mark.parametrize("fault", PLAYABLE, ids=str)
def test_a_client_tells_the_fault_of_a_server_over_a_socket_as_in_memory(fault: Fault) -> None:
    version = fault.versions[-1]
    policy = replace(mtls.MOZILLA_INTERMEDIATE, minimum_version=version, maximum_version=version)
    expected: dict[str, Any] = {"step": fault.step, "failure": fault.failure, "side": fault.side}
    if fault.told_by is mtls.Role.SERVER:
        expected["side"] = "peer"
    client = replace(CLIENT, policy=policy)
    timeout = 0.3 if fault.failure is mtls.FailureReason.TIMED_OUT else 5.0
    with LoopbackServer(SERVER, fault=fault, authority=HOME) as server:
        with raises(**expected), connect(server, client, timeout) as tls:
            tls.sendall(b"hello")
            tls.recv(100)
        assert repr(server) == f"<LoopbackServer localhost:{server.port}, {fault.id}>"
        assert server.fault is fault
        assert server.wait_for_handshake() is not None


def test_a_server_with_a_fault_has_it_on_each_connection() -> None:
    with LoopbackServer(SERVER, fault="server-closes-before-hello") as server:
        for _ in range(2):
            with raises(step=2, failure="closed"):
                connect(server)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: LoopbackServer(untyped(CLIENT)), "a LoopbackServer takes a ServerProfile, not ClientProfile"),
        (lambda: LoopbackServer(SERVER, fault="client-expired"), "is a fault of a client, and a server cannot have it"),
        (
            lambda: LoopbackServer(SERVER, fault="server-revoked"),
            r"needs a rule of the client \(a CRL of the authority\)",
        ),
        (lambda: LoopbackServer(SERVER, fault="server-lost"), "there is no fault 'server-lost'"),
        (
            lambda: LoopbackServer(SERVER, fault="server-expired", authority=untyped(5)),
            "authority= takes a CertificateAuthority",
        ),
    ],
)
def test_what_a_server_cannot_be_is_answered_with_a_sentence(make: Callable[[], object], text: str) -> None:
    with pytest.raises(mtls.UsageError, match=text):
        make()


def test_a_profile_with_errors_is_not_served() -> None:
    with pytest.raises(mtls.ConfigurationError):
        LoopbackServer(replace(SERVER, truststore=mtls.Truststore.from_certificates([])))
