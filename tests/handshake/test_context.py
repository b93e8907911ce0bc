"""The sealed context: what it admits, whose ALPN it speaks, and how it follows its files."""

from __future__ import annotations

import copy
import os
import pickle
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls._handshake.loopback import join

if TYPE_CHECKING:
    from pathlib import Path

    from mtls.authority import CertificateAuthority


def run(client: ssl.SSLContext, server: ssl.SSLContext, hostname: str = "localhost") -> tuple[Any, Any]:
    return join(client, server, server_hostname=hostname)


# --- what it admits ---


def test_a_client_context_is_not_used_on_the_server_side(client_profile: mtls.ClientProfile) -> None:
    with pytest.raises(mtls.UsageError, match="made for the client side and is used on the server side"):
        client_profile.ssl_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)


def test_a_server_context_is_not_used_on_the_client_side(server_profile: mtls.ServerProfile) -> None:
    with pytest.raises(mtls.UsageError, match=r"use TLSProfile.client\(\)"):
        server_profile.ssl_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")


def test_a_client_that_names_no_server_is_told_to(client_profile: mtls.ClientProfile) -> None:
    with pytest.raises(mtls.UsageError, match="give server_hostname="):
        client_profile.ssl_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


@pytest.mark.parametrize("name", ["\udcff.example", "a" * 64 + ".example", ".example"])
def test_a_name_that_is_none_is_refused_before_anything_is_sent(client_profile: mtls.ClientProfile, name: str) -> None:
    outgoing = ssl.MemoryBIO()
    with pytest.raises(mtls.UsageError, match="is no host name"):
        client_profile.ssl_context().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    assert outgoing.pending == 0


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "api.partner.example", "localhost."])
def test_a_listed_host_is_connected_to(authority: CertificateAuthority, host: str) -> None:
    profile = mtls.TLSProfile.client(truststore=authority.truststore, hosts=["localhost", "*.partner.example"])
    profile.ssl_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=host)


@pytest.mark.parametrize(
    "host", ["partner.example", "a.b.partner.example", "localhost.evil.test", "evilpartner.example", "127.0.0.1"]
)
def test_a_host_that_is_not_listed_gets_nothing(authority: CertificateAuthority, host: str) -> None:
    profile = mtls.TLSProfile.client(truststore=authority.truststore, hosts=["localhost", "*.partner.example"])
    with pytest.raises(mtls.UsageError, match="is not listed in hosts="):
        profile.ssl_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname=host)


def test_a_context_comes_from_a_profile_only() -> None:
    with pytest.raises(mtls.UsageError, match=r"profile.ssl_context\(\)"):
        mtls.TLSContext(ssl.PROTOCOL_TLS_CLIENT)


@pytest.mark.parametrize("action", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_context_is_neither_pickled_nor_copied(client_profile: mtls.ClientProfile, action: Any) -> None:
    with pytest.raises(mtls.UsageError, match="holds a private key"):
        action(client_profile.ssl_context())


def test_the_repr_names_generation_and_profile(client_profile: mtls.ClientProfile) -> None:
    context = client_profile.ssl_context()
    assert repr(context) == f"<TLSContext generation 1 of {client_profile!r}>"
    assert context.profile is client_profile


# --- ALPN ---


def test_the_alpn_list_of_one_thread_never_reaches_the_connections_of_another(
    authority: CertificateAuthority, server_profile: mtls.ServerProfile
) -> None:
    context = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("c")).ssl_context()
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, alpn=["h2", "http/1.1"]
    ).ssl_context()
    gate = threading.Barrier(2)

    def speak(name: str) -> set[str | None]:
        chosen = set()
        for _ in range(60):
            context.set_alpn_protocols([name])
            gate.wait()
            near, _ = run(context, server)
            chosen.add(near.tls.selected_alpn_protocol())
        return chosen

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(speak, ["h2", "http/1.1"])) == [{"h2"}, {"http/1.1"}]


def test_a_thread_that_sets_no_alpn_list_keeps_the_one_of_the_profile(authority: CertificateAuthority) -> None:
    context = mtls.TLSProfile.client(truststore=authority.truststore, alpn=["h2"]).ssl_context()
    context.set_alpn_protocols(["http/1.1"])
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"), alpn=["h2", "http/1.1"]).ssl_context()
    with ThreadPoolExecutor(1) as pool:
        near, _ = pool.submit(run, context, server).result()
    assert near.tls.selected_alpn_protocol() == "h2"
    assert run(context, server)[0].tls.selected_alpn_protocol() == "http/1.1"


def test_two_contexts_of_one_profile_do_not_share_their_alpn(
    client_profile: mtls.ClientProfile, authority: CertificateAuthority
) -> None:
    one, other = client_profile.ssl_context(), client_profile.ssl_context()
    one.set_alpn_protocols(["h2"])
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"), alpn=["h2", "http/1.1"]).ssl_context()
    assert run(one, server)[0].tls.selected_alpn_protocol() == "h2"
    assert run(other, server)[0].tls.selected_alpn_protocol() is None


@pytest.mark.parametrize("names", [[""], ["x" * 256], ["hä"], [2]])
def test_an_alpn_list_that_is_none_is_refused(client_profile: mtls.ClientProfile, names: Any) -> None:
    with pytest.raises(mtls.UsageError, match="ALPN protocols must be ASCII names"):
        client_profile.ssl_context().set_alpn_protocols(names)


# --- reload ---


@pytest.fixture
def files(tmp_path: Path, authority: CertificateAuthority) -> Path:
    authority.save_keystore(authority.server("localhost", serial_number=1), tmp_path)
    return tmp_path


def served(context: ssl.SSLContext, client_profile: mtls.ClientProfile) -> int:
    near, _ = run(client_profile.ssl_context(), context)
    identity = mtls.peer_identity(near.tls)
    assert identity is not None
    return identity.certificate.serial_number


def profile_of(files: Path) -> mtls.ServerProfile:
    return mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory(files), truststore=mtls.Truststore.from_directory(files)
    )


def renew(files: Path, authority: CertificateAuthority, serial: int, **fields: Any) -> None:
    keystore = authority.server("localhost", serial_number=serial, **fields)
    authority.save_keystore(keystore, files, existing=mtls.Existing.REPLACE)


def test_reload_serves_the_new_files_to_new_connections(
    files: Path, authority: CertificateAuthority, client_profile: mtls.ClientProfile
) -> None:
    context = profile_of(files).ssl_context()
    assert served(context, client_profile) == 1
    renew(files, authority, 2)
    assert served(context, client_profile) == 1
    status = context.reload()
    assert served(context, client_profile) == 2
    assert (status.generation, status.failed_reloads, context.generation) == (2, 0, 2)
    assert context.profile.keystore.certificate.serial_number == 2


def test_a_context_that_follows_its_files_needs_no_call(
    files: Path, authority: CertificateAuthority, client_profile: mtls.ClientProfile
) -> None:
    context = profile_of(files).ssl_context(reload=mtls.Reload(min_interval=0))
    assert served(context, client_profile) == 1
    renew(files, authority, 2)
    assert served(context, client_profile) == 2


def test_a_context_does_not_look_at_its_files_more_often_than_asked(
    files: Path, authority: CertificateAuthority, client_profile: mtls.ClientProfile
) -> None:
    context = profile_of(files).ssl_context(reload=mtls.Reload(min_interval=3600))
    renew(files, authority, 2)
    assert served(context, client_profile) == 1


def _expired(files: Path, authority: CertificateAuthority) -> None:
    end = datetime.now(UTC) - timedelta(days=1)
    renew(files, authority, 2, not_before=end - timedelta(days=1), not_after=end)


def _mixed(files: Path, authority: CertificateAuthority) -> None:
    key = (files / "tls.key").read_bytes()
    renew(files, authority, 2)
    (files / "tls.key").write_bytes(key)


BREAKERS = {
    "half-written certificate": lambda files, _: (files / "tls.crt").write_bytes(b"-----BEGIN CERTIFICATE-----\nMII"),
    "missing key": lambda files, _: (files / "tls.key").unlink(),
    "empty trust": lambda files, _: (files / "ca.crt").write_bytes(b""),
    "expired certificate": _expired,
    "key of the old certificate": _mixed,
}


@pytest.mark.parametrize("breaker", BREAKERS.values(), ids=BREAKERS.keys())
def test_a_reload_that_fails_leaves_the_old_generation_in_service(
    files: Path,
    authority: CertificateAuthority,
    client_profile: mtls.ClientProfile,
    breaker: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    context = profile_of(files).ssl_context()
    following = profile_of(files).ssl_context(reload=mtls.Reload(min_interval=0))
    breaker(files, authority)
    with pytest.raises((mtls.KeystoreError, mtls.TruststoreError, mtls.ConfigurationError)):
        context.reload()
    assert served(context, client_profile) == 1
    assert served(following, client_profile) == 1
    assert "the old ones stay in service" in caplog.text
    for each in (context, following):
        status = each.status()
        assert (status.generation, status.failed_reloads) == (1, 1)
        assert status.last_failure is not None


def _resume(client: ssl.SSLContext, server: ssl.SSLContext, session: Any) -> tuple[Any, Any]:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost", session=session)
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return near, far


def test_trust_that_was_taken_away_is_gone_for_old_sessions_too(
    files: Path, authority: CertificateAuthority, client_profile: mtls.ClientProfile, stranger: CertificateAuthority
) -> None:
    context = profile_of(files).ssl_context()
    client = client_profile.ssl_context()
    near, _ = run(client, context)
    stranger.save(files / "other")
    (files / "ca.crt").write_bytes((files / "other" / "ca.crt").read_bytes())
    context.reload()
    with pytest.raises(mtls.PeerVerificationError) as caught:
        _resume(client, context, near.tls.session)
    assert caught.value.failure is mtls.FailureReason.UNKNOWN_CA


def test_a_kubernetes_volume_that_swaps_its_link_is_followed(
    tmp_path: Path, authority: CertificateAuthority, client_profile: mtls.ClientProfile
) -> None:
    for serial in (1, 2):
        authority.save_keystore(authority.server("localhost", serial_number=serial), tmp_path / f"..{serial}")
    volume = tmp_path
    (volume / "..data").symlink_to("..1")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (volume / name).symlink_to(f"..data/{name}")
    context = profile_of(volume).ssl_context(reload=mtls.Reload(min_interval=0))
    assert served(context, client_profile) == 1
    (volume / "..new").symlink_to("..2")
    os.replace(volume / "..new", volume / "..data")  # noqa: PTH105 - what the kubelet does
    assert served(context, client_profile) == 2


@pytest.mark.parametrize("version", list(mtls.TLSVersion), ids=lambda version: version.name)
@pytest.mark.parametrize("two_way", [True, False], ids=["two-way", "one-way"])
def test_a_server_of_one_version_reloads(
    files: Path,
    authority: CertificateAuthority,
    client_profile: mtls.ClientProfile,
    version: mtls.TLSVersion,
    two_way: bool,
) -> None:
    only = mtls.TLSPolicy(name="one version", minimum_version=version, maximum_version=version)
    profile = replace(profile_of(files), policy=only)
    if not two_way:
        profile = replace(profile, truststore=None)
    context = profile.ssl_context()
    renew(files, authority, 2)
    assert context.reload().generation == 2
    assert served(context, client_profile) == 2


def test_only_what_came_from_files_can_be_reloaded(server_profile: mtls.ServerProfile) -> None:
    with pytest.raises(mtls.UsageError, match="nothing here was read from a file"):
        server_profile.ssl_context().reload()
    with pytest.raises(mtls.UsageError, match="read it from paths"):
        server_profile.ssl_context(reload=mtls.Reload())


def test_a_negative_interval_is_refused() -> None:
    with pytest.raises(mtls.UsageError, match="a number of seconds from 0 up"):
        mtls.Reload(min_interval=-1)


def test_a_client_that_reloads_proves_its_key_too(
    tmp_path: Path, authority: CertificateAuthority, server_profile: mtls.ServerProfile
) -> None:
    authority.save_keystore(authority.client("c", serial_number=1), tmp_path)
    context = mtls.TLSProfile.client(
        truststore=authority.truststore, keystore=mtls.Keystore.from_directory(tmp_path)
    ).ssl_context()
    authority.save_keystore(authority.client("c", serial_number=2), tmp_path, existing=mtls.Existing.REPLACE)
    context.reload()
    _, far = run(context, server_profile.ssl_context())
    identity = mtls.peer_identity(far.tls)
    assert identity is not None
    assert identity.certificate.serial_number == 2
