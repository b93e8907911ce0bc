"""nginx as a foreign server. It never refuses a client certificate in the handshake: it answers in HTTP (400)."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

import mtls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

    from mtls.authority import CertificateAuthority
    from tests.peers.conftest import Clients, Files, Placed, RefusalOf, Save, Start

_DEADLINE = 20.0
_BIG = bytes(2 * 1024 * 1024)
_SITES = ("two_way", "abrupt", "expired", "strange", "only_1_2", "only_1_3", "plain")
_NO_CERTIFICATE = b"No required SSL certificate was sent"
_BAD_CERTIFICATE = b"The SSL certificate error"

_CONFIGURATION = """
{user}
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
error_log {folder}/error.log info;
events {{ worker_connections 64; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 8m;
    ssl_client_certificate {ca};
    {sites}
}}
"""
_TLS_SITE = """
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_protocols {protocols};
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        ssl_verify_client on;
        lingering_close {lingering};
        location / {{ return 200 "hello $ssl_client_s_dn over $ssl_protocol\\n"; }}
    }}
"""
_PLAIN_SITE = """
    server {{ listen 127.0.0.1:{port}; location / {{ return 200 "no TLS here\\n"; }} }}
"""


@pytest.fixture(scope="module")
def nginx(
    tmp_path_factory: pytest.TempPathFactory,
    start: Start,
    save: Save,
    server_files: Files,
    authority: CertificateAuthority,
    stranger: CertificateAuthority,
) -> dict[str, int]:
    """A running nginx; the port of each site."""
    ended = datetime.now(UTC) - timedelta(days=1)
    keystores = dict.fromkeys(_SITES, server_files) | {
        "expired": save(authority, authority.server("localhost", not_after=ended)),
        "strange": save(stranger, stranger.server("localhost")),
    }
    protocols = dict.fromkeys(_SITES, "TLSv1.2 TLSv1.3") | {"only_1_2": "TLSv1.2", "only_1_3": "TLSv1.3"}
    for _ in range(5):  # another program may take a port between our look and nginx's
        folder = tmp_path_factory.mktemp("nginx")
        ports = dict(zip(_SITES, _free_ports(len(_SITES)), strict=True))
        sites = "".join(
            (_PLAIN_SITE if site == "plain" else _TLS_SITE).format(
                port=ports[site],
                protocols=protocols[site],
                certificate=keystores[site].certificate,
                key=keystores[site].key,
                lingering="off" if site == "abrupt" else "on",  # it closes on what it has not read, which resets
            )
            for site in _SITES
        )
        file = folder / "nginx.conf"
        user = "user root;" if os.getuid() == 0 else ""
        file.write_text(_CONFIGURATION.format(user=user, folder=folder, ca=server_files.ca, sites=sites))
        if start("nginx", "-p", str(folder), "-e", "stderr", "-c", str(file), ready=r"start worker process \d"):
            return ports
    pytest.fail("nginx does not start")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [sock.getsockname()[1] for sock in sockets]


@contextlib.contextmanager
def _connected(context: ssl.SSLContext, port: int, name: str = "localhost") -> Iterator[ssl.SSLSocket]:
    with (
        socket.create_connection(("127.0.0.1", port), timeout=_DEADLINE) as sock,
        context.wrap_socket(sock, server_hostname=name) as tls,
    ):
        yield tls


def _receive_all(tls: ssl.SSLSocket) -> bytes:
    received = b""
    while part := tls.recv(65536):
        received += part
    return received


@pytest.fixture
def refused(refusal_of: RefusalOf) -> Callable[..., mtls.HandshakeError]:
    """The error of a client that does not get as far as a connection."""

    def attempt(context: ssl.SSLContext, port: int, name: str = "localhost") -> mtls.HandshakeError:
        def connect() -> None:
            with _connected(context, port, name):
                pass

        return refusal_of(connect)

    return attempt


class TestAClientWithACertificate:
    def test_gets_in_and_reads_the_answer(self, nginx: dict[str, int], clients: Clients) -> None:
        with _connected(clients.good, nginx["two_way"]) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = _receive_all(tls)
            assert mtls.peer_identity(tls) is not None
            version = tls.version()
        assert answer.startswith(b"HTTP/1.1 200 OK")
        assert answer.endswith(f"hello CN=billing-prod over {version}\n".encode())

    def test_gets_its_answer_after_a_post_of_2_mb(self, nginx: dict[str, int], clients: Clients) -> None:
        connection = http.client.HTTPSConnection("localhost", nginx["two_way"], context=clients.good, timeout=_DEADLINE)
        with contextlib.closing(connection):
            connection.request("POST", "/", _BIG)
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.OK
            assert answer.read().startswith(b"hello CN=billing-prod")

    def test_of_another_ca_reads_the_400_that_nginx_says_it_with(self, nginx: dict[str, int], clients: Clients) -> None:
        with _connected(clients.strange, nginx["two_way"]) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = _receive_all(tls)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request")
        assert _BAD_CERTIFICATE in answer
        assert answer.rstrip().endswith(b"</html>")


class TestAClientWithoutACertificate:
    def test_connects_and_reads_the_400_whole(self, nginx: dict[str, int], clients: Clients) -> None:
        with _connected(clients.bare, nginx["two_way"]) as tls:
            tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = _receive_all(tls)
        assert answer.startswith(b"HTTP/1.1 400 Bad Request")
        assert _NO_CERTIFICATE in answer
        assert answer.rstrip().endswith(b"</html>")

    def test_that_writes_2_mb_before_it_reads_still_reads_the_400(
        self, nginx: dict[str, int], clients: Clients
    ) -> None:
        cut_short = 0
        for _ in range(20):
            with _connected(clients.bare, nginx["abrupt"]) as tls:
                tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                try:
                    tls.sendall(_BIG)
                except (BrokenPipeError, ConnectionResetError):
                    cut_short += 1
                answer = _receive_until_the_end(tls)
            assert answer.startswith(b"HTTP/1.1 400 Bad Request")
            assert _NO_CERTIFICATE in answer
            assert answer.rstrip().endswith(b"</html>")
        assert cut_short > 0, "nginx took everything, so nothing was shown"

    @pytest.mark.parametrize("site", ["two_way", "abrupt"])
    def test_reads_the_400_through_http_client_after_its_post(
        self, nginx: dict[str, int], clients: Clients, site: str
    ) -> None:
        connection = http.client.HTTPSConnection("localhost", nginx[site], context=clients.bare, timeout=_DEADLINE)
        with contextlib.closing(connection):
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request("POST", "/", _BIG)
            answer = connection.getresponse()
            assert answer.status == http.HTTPStatus.BAD_REQUEST
            assert _NO_CERTIFICATE in answer.read()


def _receive_until_the_end(tls: ssl.SSLSocket) -> bytes:
    """All data; after a write that failed the connection may end in a reset."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := tls.recv(65536):
            received += part
    return received


class TestAServerThatTheClientRefuses:
    def test_is_refused_at_step_4_for_an_unknown_ca(
        self, nginx: dict[str, int], clients: Clients, placed: Placed, refused: Callable[..., mtls.HandshakeError]
    ) -> None:
        error = refused(clients.good, nginx["strange"])
        assert placed(error) == (4, "local", "unknown_ca", None, "observed", "handshake")
        assert isinstance(error, mtls.PeerVerificationError)
        assert error.verify_code == 20
        assert error.certificate == error.peer_chain[0]

    def test_is_refused_at_step_4_for_another_host_name(
        self, nginx: dict[str, int], clients: Clients, placed: Placed, refused: Callable[..., mtls.HandshakeError]
    ) -> None:
        error = refused(clients.good, nginx["two_way"], "other.example")
        assert placed(error) == (4, "local", "hostname_mismatch", None, "observed", "handshake")
        assert isinstance(error, mtls.PeerVerificationError)
        assert error.verify_code == 62
        assert error.server_hostname == "other.example"

    def test_is_refused_at_step_4_for_an_expired_certificate(
        self, nginx: dict[str, int], clients: Clients, placed: Placed, refused: Callable[..., mtls.HandshakeError]
    ) -> None:
        error = refused(clients.good, nginx["expired"])
        assert placed(error) == (4, "local", "expired", None, "observed", "handshake")
        assert isinstance(error, mtls.PeerVerificationError)
        assert error.verify_code == 10
        assert error.certificate is not None
        assert error.certificate.not_valid_after_utc < datetime.now(UTC)
        assert error.peer_address == f"127.0.0.1:{nginx['expired']}"


class TestNoCommonLanguage:
    @pytest.mark.parametrize("policy", [mtls.TLSVersion.TLSv1_3], ids=["TLSv1_3"], indirect=True)
    def test_a_server_of_1_2_only_refuses_a_client_of_1_3_only_at_step_2(
        self, nginx: dict[str, int], clients: Clients, placed: Placed, refused: Callable[..., mtls.HandshakeError]
    ) -> None:
        error = refused(clients.good, nginx["only_1_2"])
        assert placed(error) == (2, "peer", "protocol_version", "protocol_version", "observed", "handshake")

    @pytest.mark.parametrize("policy", [mtls.TLSVersion.TLSv1_2], ids=["TLSv1_2"], indirect=True)
    def test_a_server_of_1_3_only_refuses_a_client_of_1_2_only_at_step_2(
        self, nginx: dict[str, int], clients: Clients, placed: Placed, refused: Callable[..., mtls.HandshakeError]
    ) -> None:
        error = refused(clients.good, nginx["only_1_3"])
        assert placed(error) == (2, "peer", "protocol_version", "protocol_version", "observed", "handshake")

    def test_a_plain_http_port_is_named_as_no_tls_at_step_2(
        self, nginx: dict[str, int], clients: Clients, placed: Placed, refused: Callable[..., mtls.HandshakeError]
    ) -> None:
        error = refused(clients.good, nginx["plain"])
        assert placed(error) == (2, "local", "not_tls", None, "observed", "handshake")
