"""``openssl s_client`` and ``curl`` as foreign clients of a server on our context."""

from __future__ import annotations

import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Protocol

import pytest

import mtls

if TYPE_CHECKING:
    from tests.peers.conftest import Files, Placed, Run, Serve, Server

_OPTIONS = {
    ("openssl", mtls.TLSVersion.TLSv1_2): ["-tls1_2"],
    ("openssl", mtls.TLSVersion.TLSv1_3): ["-tls1_3"],
    ("curl", mtls.TLSVersion.TLSv1_2): ["--tls-max", "1.2"],
    ("curl", mtls.TLSVersion.TLSv1_3): ["--tlsv1.3"],
}


class Visit(Protocol):
    """Sends a foreign client to a port, with or without a certificate; returns its output."""

    def __call__(self, port: int, *, trusting: Files, showing: Files | None = None) -> bytes: ...


@pytest.fixture(params=["openssl", "curl"])
def program(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def visit(run: Run, program: str, policy: mtls.TLSPolicy) -> Visit:
    return _visitor(run, program, _OPTIONS[program, policy.minimum_version])


@pytest.fixture
def visit_with_the_other_version(run: Run, program: str, policy: mtls.TLSPolicy) -> Visit:
    other = next(version for version in mtls.TLSVersion if version is not policy.minimum_version)
    return _visitor(run, program, _OPTIONS[program, other])


def _visitor(run: Run, program: str, options: list[str]) -> Visit:
    def with_openssl(port: int, *, trusting: Files, showing: Files | None = None) -> bytes:
        own = [] if showing is None else ["-cert", str(showing.certificate), "-key", str(showing.key)]
        trust = ["-CAfile", str(trusting.ca), "-verify_return_error", "-verify_hostname", "localhost"]
        command = ["s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-ign_eof"]
        return run("openssl", *command, *trust, *own, *options, given=b"GET / HTTP/1.0\r\n\r\n").stdout

    def with_curl(port: int, *, trusting: Files, showing: Files | None = None) -> bytes:
        own = [] if showing is None else ["--cert", str(showing.certificate), "--key", str(showing.key)]
        command = ["--disable", "--silent", "--include", "--noproxy", "*", "--cacert", str(trusting.ca)]
        return run("curl", *command, *own, *options, f"https://127.0.0.1:{port}/").stdout

    return with_curl if program == "curl" else with_openssl


class TestAForeignClient:
    def test_with_a_certificate_gets_its_answer_and_is_known_by_name(
        self, our_server: Server, visit: Visit, client_files: Files
    ) -> None:
        output = visit(our_server.port, trusting=client_files, showing=client_files)
        assert b"HTTP/1.1 200 OK\r\n" in output
        assert b"hello" in output
        identity = our_server.outcome()
        assert isinstance(identity, mtls.PeerIdentity)
        assert identity.dns_names == ("billing-prod",)

    def test_without_a_certificate_is_refused_at_step_5(
        self, our_server: Server, visit: Visit, client_files: Files, placed: Placed
    ) -> None:
        assert b"200 OK" not in visit(our_server.port, trusting=client_files)
        error = our_server.error()
        assert placed(error) == (5, "local", "certificate_required", None, "observed", "handshake")
        assert error.role is mtls.Role.SERVER
        assert error.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE"
        assert error.peer_address is not None
        assert error.peer_address.startswith("127.0.0.1:")

    def test_of_another_ca_is_refused_at_step_6(
        self, our_server: Server, visit: Visit, client_files: Files, stranger_files: Files, placed: Placed
    ) -> None:
        assert b"200 OK" not in visit(our_server.port, trusting=client_files, showing=stranger_files)
        error = our_server.error()
        assert placed(error) == (6, "local", "unknown_ca", None, "observed", "handshake")
        assert isinstance(error, mtls.PeerVerificationError)
        assert error.verify_code == 20

    def test_with_a_server_s_certificate_is_refused_at_step_6(
        self, our_server: Server, visit: Visit, client_files: Files, server_files: Files, placed: Placed
    ) -> None:
        assert b"200 OK" not in visit(our_server.port, trusting=client_files, showing=server_files)
        error = our_server.error()
        assert placed(error) == (6, "local", "wrong_eku", None, "observed", "handshake")
        assert isinstance(error, mtls.PeerVerificationError)
        assert error.verify_code == 26

    def test_that_does_not_trust_the_server_says_so_at_step_4(
        self, our_server: Server, visit: Visit, client_files: Files, stranger_files: Files, placed: Placed
    ) -> None:
        assert b"200 OK" not in visit(our_server.port, trusting=stranger_files, showing=client_files)
        error = our_server.error()
        assert placed(error) == (4, "peer", "unknown_ca", "unknown_ca", "observed", "handshake")
        assert error.certificate is not None
        assert error.certificate == error.local_certificate

    def test_of_another_version_is_refused_at_step_2(
        self, our_server: Server, visit_with_the_other_version: Visit, client_files: Files, placed: Placed
    ) -> None:
        output = visit_with_the_other_version(our_server.port, trusting=client_files, showing=client_files)
        assert b"200 OK" not in output
        assert placed(our_server.error()) == (2, "local", "protocol_version", None, "observed", "handshake")


def test_a_client_without_a_common_cipher_is_refused_at_step_2(
    our_server: Server, run: Run, policy: mtls.TLSPolicy, placed: Placed
) -> None:
    only = ["-cipher", "AES256-SHA", "-ciphersuites", "TLS_AES_128_CCM_SHA256"]
    options = _OPTIONS["openssl", policy.minimum_version]
    run("openssl", "s_client", "-connect", f"127.0.0.1:{our_server.port}", *only, *options)
    assert placed(our_server.error()) == (2, "local", "no_shared_cipher", None, "observed", "handshake")


class TestAClientThatSpeaksNoTLS:
    def test_curl_over_plain_http_is_named_at_step_1(self, our_server: Server, run: Run, placed: Placed) -> None:
        run("curl", "--disable", "--silent", "--noproxy", "*", f"http://127.0.0.1:{our_server.port}/")
        error = our_server.error()
        assert placed(error) == (1, "local", "not_tls", None, "observed", "handshake")
        assert error.reason == "HTTP_REQUEST"

    @pytest.mark.parametrize(
        ("say", "expected"),
        [
            pytest.param(b"GET / HTTP/1.0\r\n\r\n", (1, "local", "not_tls", None, "observed", "handshake"), id="HTTP"),
            pytest.param(b"SSH-2.0-OpenSSH_9.2\r\n", (1, "local", "not_tls", None, "observed", "handshake"), id="SSH"),
            pytest.param(b"\xff" * 64, (1, "local", "not_tls", None, "observed", "handshake"), id="noise"),
            pytest.param(b"", (1, None, "closed", None, "inferred", "handshake"), id="nothing"),
        ],
    )
    def test_is_named_at_step_1(
        self, our_server: Server, placed: Placed, say: bytes, expected: tuple[object, ...]
    ) -> None:
        with our_server.connect() as sock:
            sock.sendall(say)
            with contextlib.suppress(OSError):  # the server may have gone already
                sock.shutdown(socket.SHUT_WR)
            assert placed(our_server.error()) == expected


class TestAClientThatGivesUp:
    def test_after_our_certificate_is_inferred_to_have_refused_it(
        self, serve: Serve, server_context: mtls.TLSContext, placed: Placed
    ) -> None:
        """Clients that refuse a certificate without a word (asyncio's) end so; the error says what it is taken from."""
        server = serve(lambda connection: server_context.wrap_socket(connection, server_side=True).close())
        with server.connect() as sock:
            sock.sendall(_client_hello(server_context))
            assert sock.recv(1) == b"\x16"  # the server's answer has begun
            sock.shutdown(socket.SHUT_WR)
            error = server.error()
            assert placed(error) == (4, None, "closed", None, "inferred", "handshake")
            assert "right after our certificate" in str(error)


def _client_hello(server: mtls.TLSContext) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version, context.maximum_version = server.minimum_version, server.maximum_version
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()
