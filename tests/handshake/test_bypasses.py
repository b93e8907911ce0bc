"""Ways around the checks that were found and closed; each was accepted once."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import mtls
from mtls._handshake.loopback import join
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from pathlib import Path


def _anonymous_server() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers("aNULL:@SECLEVEL=0")
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


@pytest.mark.parametrize("ciphers", [("ALL",), ("ECDHE-RSA-AES128-GCM-SHA256", "AECDH-AES256-SHA"), ("eNULL", "ALL")])
def test_a_server_without_a_certificate_is_refused_whatever_the_policy_says(
    authority: CertificateAuthority, ciphers: tuple[str, ...]
) -> None:
    policy = mtls.TLSPolicy(name="open", ciphers=ciphers, security_level=0)
    client = mtls.TLSProfile.client(truststore=authority.truststore, policy=policy)
    near, far = join(client.ssl_context(), _anonymous_server(), server_hostname="localhost")
    assert not near.finished
    assert near.error is not None
    assert far.error is not None


def test_the_session_of_one_server_does_not_open_the_door_of_another(authority: CertificateAuthority) -> None:
    server = mtls.TLSProfile.server(keystore=authority.server("a.example")).ssl_context()
    client = mtls.TLSProfile.client(truststore=authority.truststore).ssl_context()
    near, _ = join(client, server, server_hostname="a.example")
    for name, passes in (("a.example", True), ("b.example", False), ("127.0.0.1", False)):
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        again = client.wrap_bio(to_client, to_server, server_hostname=name, session=near.tls.session)
        other = server.wrap_bio(to_server, to_client, server_side=True)
        with pytest.raises(ssl.SSLWantReadError):
            again.do_handshake()
        with pytest.raises(ssl.SSLWantReadError):
            other.do_handshake()
        if passes:
            again.do_handshake()
            assert again.session_reused
        else:
            with pytest.raises(mtls.PeerVerificationError) as caught:
                again.do_handshake()
            assert caught.value.failure is mtls.FailureReason.HOSTNAME_MISMATCH


def test_two_threads_that_tighten_one_context_both_succeed(client_profile: mtls.ClientProfile) -> None:
    for _ in range(40):
        context = client_profile.ssl_context()
        actions = [("minimum_version", ssl.TLSVersion.TLSv1_3), ("options", context.options | ssl.OP_NO_TICKET)]
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda action, context=context: setattr(context, *action), actions))
        assert context.minimum_version is ssl.TLSVersion.TLSv1_3
        assert context.options & ssl.OP_NO_TICKET


def _bundle(authority: CertificateAuthority, *, crl: bool) -> bytes:
    text = authority.certificate.public_bytes(Encoding.PEM)
    return text + authority.crl().public_bytes(Encoding.PEM) if crl else text


def _revoking(tmp_path: Path, *, crl: bool) -> tuple[CertificateAuthority, mtls.ClientProfile, Any]:
    authority = CertificateAuthority("revoking CA")
    keystore = authority.client("billing-prod")
    authority.revoke(keystore)
    (tmp_path / "ca.pem").write_bytes(_bundle(authority, crl=crl))
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=mtls.Truststore.from_pem(tmp_path / "ca.pem")
    )
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore)
    return authority, client, server.ssl_context()


def _outcome(client: mtls.ClientProfile, context: ssl.SSLContext) -> object:
    _, far = join(client.ssl_context(), context, server_hostname="localhost")
    return far.error.failure if isinstance(far.error, mtls.HandshakeError) else far.error


def test_a_crl_that_comes_with_a_reload_counts_on_a_context_that_was_tightened_before(tmp_path: Path) -> None:
    authority, client, context = _revoking(tmp_path, crl=False)
    context.options |= ssl.OP_NO_TICKET
    context.num_tickets = 0
    assert _outcome(client, context) is None
    (tmp_path / "ca.pem").write_bytes(_bundle(authority, crl=True))
    context.reload()
    assert _outcome(client, context) is mtls.FailureReason.REVOKED
    assert context.num_tickets == 0


def test_a_crl_that_vanishes_from_the_files_does_not_end_revocation(tmp_path: Path) -> None:
    authority, client, context = _revoking(tmp_path, crl=True)
    assert _outcome(client, context) is mtls.FailureReason.REVOKED
    (tmp_path / "ca.pem").write_bytes(_bundle(authority, crl=False))
    with pytest.raises(mtls.ConfigurationError, match="the CRLs that the truststore held are gone"):
        context.reload()
    assert _outcome(client, context) is mtls.FailureReason.REVOKED


def test_a_reload_inside_a_reload_neither_hangs_nor_starts_again(tmp_path: Path) -> None:
    authority = CertificateAuthority("vault CA")
    authority.save_keystore(authority.server("localhost"), tmp_path, password="word")
    inside: list[object] = []

    def password() -> str:
        if inside:
            inside.append(context.reload().generation)
        return "word"

    context = mtls.TLSProfile.server(keystore=mtls.Keystore.from_directory(tmp_path, password=password)).ssl_context()
    inside.append("asked")
    assert context.reload().generation == 2
    assert inside == ["asked", 1]


def test_an_interrupted_authorization_is_not_asked_again(authority: CertificateAuthority) -> None:
    asked: list[mtls.PeerIdentity] = []

    def interrupted(peer: mtls.PeerIdentity) -> bool:
        asked.append(peer)
        if len(asked) == 1:
            raise KeyboardInterrupt
        return True

    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=interrupted
    )
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("me")).ssl_context()
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = profile.ssl_context().wrap_bio(to_server, to_client, server_side=True)
    with pytest.raises(ssl.SSLWantReadError):
        near.do_handshake()
    with pytest.raises(ssl.SSLWantReadError):
        far.do_handshake()
    near.do_handshake()
    with pytest.raises(KeyboardInterrupt):
        far.do_handshake()
    with pytest.raises(mtls.HandshakeError) as caught:
        far.read()
    assert caught.value.failure is mtls.FailureReason.NOT_AUTHORIZED
    assert len(asked) == 1


@pytest.mark.parametrize("bare", [ssl.SSLError("No cipher can be selected."), ssl.SSLError(136, "[SSL] PEM lib")])
def test_an_error_of_loading_is_no_failure_of_a_peer(bare: ssl.SSLError) -> None:
    assert mtls.explain(bare) is None


def test_a_write_that_times_out_can_be_tried_again(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    near, far = socket.socketpair()
    drain = threading.Event()
    received: list[int] = []

    def serve() -> None:
        with server_profile.ssl_context().wrap_socket(far, server_side=True) as tls:
            tls.sendall(b"hello")
            drain.wait(10)
            while part := tls.recv(1 << 20):
                received.append(len(part))

    thread = threading.Thread(target=serve)
    thread.start()
    block = bytes(16384)
    sent = 0
    with client_profile.ssl_context().wrap_socket(near, server_hostname="localhost") as tls:
        tls.settimeout(0.2)
        with contextlib.suppress(TimeoutError):
            while sent < 1 << 30:
                sent += tls.send(block)
        assert sent < 1 << 30
        drain.set()
        tls.settimeout(10)
        sent += tls.send(block)
        sent += tls.send(block)
        assert tls.recv(5) == b"hello"
        tls.shutdown(socket.SHUT_WR)
    thread.join()
    assert sum(received) == sent
