"""``openssl s_server -Verify`` as a foreign server: it refuses client certificates in the handshake, by alert."""

from __future__ import annotations

import contextlib
import re
import socket
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

import mtls

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from mtls.authority import CertificateAuthority
    from tests.peers.conftest import Clients, Files, Placed, RefusalOf, Save, Serve, Start

_DEADLINE = 20.0
_VERSIONS = {mtls.TLSVersion.TLSv1_2: "-tls1_2", mtls.TLSVersion.TLSv1_3: "-tls1_3"}


class OpenSSLServer(Protocol):
    """Starts ``openssl s_server`` and returns its port."""

    def __call__(self, *options: str, files: Files | None = None) -> int: ...


@pytest.fixture(scope="module")
def s_server(start: Start, server_files: Files) -> OpenSSLServer:
    running: dict[tuple[object, ...], int] = {}

    def run(*options: str, files: Files | None = None) -> int:
        own = files or server_files
        if (own, *options) not in running:
            identity = ("-cert", str(own.certificate), "-key", str(own.key))
            demands = ("-Verify", "1", "-verify_return_error", "-CAfile", str(server_files.ca))
            address = ("-accept", "127.0.0.1:0", "-www")
            program = start("openssl", "s_server", *address, *identity, *demands, *options, ready=r"^ACCEPT .*:(\d+)")
            assert program is not None
            assert program.ready is not None
            running[own, *options] = int(program.ready[1])
        return running[own, *options]

    return run


def _get(context: ssl.SSLContext, port: int) -> bytes:
    """What an HTTP request is answered with."""
    with (
        socket.create_connection(("localhost", port), timeout=_DEADLINE) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET / HTTP/1.0\r\n\r\n")
        answer = b""
        while part := tls.recv(65536):
            answer += part
        return answer


@pytest.fixture
def refused(refusal_of: RefusalOf) -> Callable[..., mtls.HandshakeError]:
    """The error of a client that asks for a page and does not get it."""
    return lambda context, port: refusal_of(lambda: _get(context, port))


@pytest.fixture
def read_first(
    refusal_of: RefusalOf,
) -> Callable[[ssl.SSLContext, int], mtls.HandshakeError]:
    """The error of a client that reads before it writes anything."""

    def attempt(context: ssl.SSLContext, port: int) -> mtls.HandshakeError:
        def read() -> None:
            with (
                socket.create_connection(("localhost", port), timeout=_DEADLINE) as sock,
                context.wrap_socket(sock, server_hostname="localhost") as tls,
            ):
                tls.recv(1)

        return refusal_of(read)

    return attempt


class TestAClientWithACertificate:
    def test_gets_in_and_reads_the_status_page(self, s_server: OpenSSLServer, clients: Clients) -> None:
        answer = _get(clients.good, s_server())
        assert answer.startswith(b"HTTP/1.0 200 ok")
        assert re.search(rb"Subject: CN *= *billing-prod", answer)

    def test_gets_in_through_its_intermediate(
        self, s_server: OpenSSLServer, authority: CertificateAuthority, policy: mtls.TLSPolicy
    ) -> None:
        below = authority.intermediate("below")
        keystore = below.client("branch")
        profile = mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore, policy=policy)
        assert _get(profile.ssl_context(), s_server()).startswith(b"HTTP/1.0 200 ok")


class TestARefusedClient:
    """In TLS 1.2 the handshake fails; in 1.3 the refusal comes at the first read, or where a write fails."""

    @pytest.fixture
    def phase(self, policy: mtls.TLSPolicy) -> str:
        return "first_read" if policy.minimum_version is mtls.TLSVersion.TLSv1_3 else "handshake"

    def test_without_a_certificate_is_told_at_step_5(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        policy: mtls.TLSPolicy,
        phase: str,
        placed: Placed,
        read_first: Callable[..., mtls.HandshakeError],
    ) -> None:
        error = read_first(clients.bare, s_server())
        new = policy.minimum_version is mtls.TLSVersion.TLSv1_3
        alert = "certificate_required" if new else "handshake_failure"
        assert placed(error) == (5, "peer", "certificate_required", alert, "observed", phase)
        assert error.local_certificate is None
        assert error.tls_version == policy.minimum_version.label

    def test_of_another_ca_is_told_at_step_6(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        phase: str,
        placed: Placed,
        read_first: Callable[..., mtls.HandshakeError],
    ) -> None:
        error = read_first(clients.strange, s_server())
        assert placed(error) == (6, "peer", "unknown_ca", "unknown_ca", "observed", phase)
        assert error.certificate is not None
        assert error.certificate == error.local_certificate

    def test_whose_certificate_has_ended_by_the_server_s_clock_is_told_at_step_6(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        phase: str,
        placed: Placed,
        read_first: Callable[..., mtls.HandshakeError],
    ) -> None:
        """Our profile refuses to use an expired certificate, so the server looks at it in a year."""
        later = int((datetime.now(UTC) + timedelta(days=365)).timestamp())
        error = read_first(clients.good, s_server("-attime", str(later)))
        assert placed(error) == (6, "peer", "expired", "certificate_expired", "observed", phase)

    def test_whose_certificate_has_the_wrong_use_for_the_server_is_told_at_step_6(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        phase: str,
        placed: Placed,
        read_first: Callable[..., mtls.HandshakeError],
    ) -> None:
        """Our profile refuses to use one with the wrong EKU, so the server asks for a server's."""
        error = read_first(clients.good, s_server("-purpose", "sslserver"))
        assert placed(error) == (6, "peer", "certificate_rejected", "unsupported_certificate", "observed", phase)

    def test_that_writes_first_is_told_the_same(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
    ) -> None:
        bare, strange = refused(clients.bare, s_server()), refused(clients.strange, s_server())
        assert placed(bare)[:3] == (5, "peer", "certificate_required")
        assert placed(strange)[:3] == (6, "peer", "unknown_ca")
        assert {bare.phase, strange.phase} <= {"handshake", "first_read", "first_write"}


class TestAServerThatTheClientRefuses:
    def test_is_refused_at_step_4_for_an_unknown_ca(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        save: Save,
        stranger: CertificateAuthority,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
    ) -> None:
        error = refused(clients.good, s_server(files=save(stranger, stranger.server("localhost"))))
        assert placed(error) == (4, "local", "unknown_ca", None, "observed", "handshake")
        assert isinstance(error, mtls.PeerVerificationError)

    def test_is_refused_at_step_4_for_a_client_s_certificate(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        client_files: Files,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
    ) -> None:
        error = refused(clients.good, s_server(files=client_files))
        assert placed(error) == (4, "local", "wrong_eku", None, "observed", "handshake")
        assert error.verify_code == 26


class TestNoCommonLanguage:
    def test_another_version_is_told_at_step_2(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        policy: mtls.TLSPolicy,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
    ) -> None:
        other = next(option for version, option in _VERSIONS.items() if version is not policy.minimum_version)
        error = refused(clients.good, s_server(other))
        assert placed(error) == (2, "peer", "protocol_version", "protocol_version", "observed", "handshake")

    def test_no_common_cipher_is_told_at_step_2(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
    ) -> None:
        """An alert that names no cause: what is observed is that the server found nothing to its liking."""
        only = ("-cipher", "AES256-SHA", "-ciphersuites", "TLS_AES_128_CCM_SHA256")
        error = refused(clients.good, s_server(*only))
        assert placed(error) == (2, "peer", "peer_error", "handshake_failure", "observed", "handshake")

    @pytest.mark.parametrize("policy", [mtls.TLSVersion.TLSv1_2], ids=["TLSv1_2"], indirect=True)
    def test_no_common_group_is_told_at_step_2(
        self,
        s_server: OpenSSLServer,
        clients: Clients,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
    ) -> None:
        """In 1.3 our OpenSSL offers every group that this one has, and Python cannot tell it otherwise before 3.15."""
        error = refused(clients.good, s_server("-groups", "ffdhe2048", "-cipher", "ECDHE+AESGCM"))
        assert placed(error) == (2, "peer", "peer_error", "handshake_failure", "observed", "handshake")

    def test_no_common_application_protocol_is_told_at_step_2(
        self,
        s_server: OpenSSLServer,
        authority: CertificateAuthority,
        client_profile: mtls.ClientProfile,
        policy: mtls.TLSPolicy,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
    ) -> None:
        """OpenSSL's alert has no name in Python; it is still known."""
        assert client_profile.keystore is not None
        profile = mtls.TLSProfile.client(
            truststore=authority.truststore, keystore=client_profile.keystore, policy=policy, alpn=["h2"]
        )
        error = refused(profile.ssl_context(), s_server("-alpn", "mqtt"))
        assert placed(error) == (2, "peer", "alpn", "no_application_protocol", "observed", "handshake")


# --- servers that are none ---

_OLD_HELLO = bytes.fromhex("160301002a020000260301") + bytes(range(32)) + bytes.fromhex("00c01300")
"""A ServerHello of TLS 1.0, whatever was asked for."""


def _after_hello(then: Callable[[socket.socket], object]) -> Callable[[socket.socket], object]:
    """A server that waits for the ClientHello, and then does something else than TLS."""

    def serve(connection: socket.socket) -> object:
        assert connection.recv(65536)[:1] == b"\x16"
        return then(connection)

    return serve


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


def _stay_silent(connection: socket.socket) -> None:
    with contextlib.suppress(ConnectionResetError):
        assert connection.recv(1) == b""  # until the client goes


class TestAServerThatSpeaksNoTLS:
    @pytest.mark.parametrize(
        ("then", "expected"),
        [
            pytest.param(
                lambda sock: sock.close(), (2, None, "closed", None, "inferred", "handshake"), id="closes at once"
            ),
            pytest.param(_reset, (2, None, "reset", None, "inferred", "handshake"), id="resets"),
            pytest.param(
                lambda sock: sock.sendall(b"SSH-2.0-OpenSSH_9.2\r\n"),
                (2, "local", "not_tls", None, "observed", "handshake"),
                id="talks SSH",
            ),
            pytest.param(
                lambda sock: sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n"),
                (2, "local", "not_tls", None, "observed", "handshake"),
                id="talks HTTP",
            ),
            pytest.param(
                lambda sock: sock.sendall(bytes(range(128, 256))),
                (2, "local", "not_tls", None, "observed", "handshake"),
                id="talks noise",
            ),
            pytest.param(
                lambda sock: sock.sendall(_OLD_HELLO),
                (2, "local", "protocol_version", None, "observed", "handshake"),
                id="talks TLS 1.0",
            ),
        ],
    )
    def test_is_named_at_step_2(
        self,
        serve: Serve,
        clients: Clients,
        placed: Placed,
        refused: Callable[..., mtls.HandshakeError],
        then: Callable[[socket.socket], object],
        expected: tuple[object, ...],
    ) -> None:
        server = serve(_after_hello(then))
        assert placed(refused(clients.good, server.port)) == expected

    def test_that_stays_silent_is_a_timeout_at_step_2(self, serve: Serve, clients: Clients, placed: Placed) -> None:
        server = serve(_after_hello(_stay_silent))
        with (
            socket.create_connection(("127.0.0.1", server.port), timeout=0.1) as sock,
            pytest.raises(mtls.HandshakeTimeoutError) as caught,
        ):
            clients.good.wrap_socket(sock, server_hostname="localhost")
        assert isinstance(caught.value, TimeoutError)
        assert type(caught.value.__cause__) is TimeoutError
        assert placed(caught.value) == (2, None, "timed_out", None, "inferred", "handshake")
        assert caught.value.peer_address == f"127.0.0.1:{server.port}"
