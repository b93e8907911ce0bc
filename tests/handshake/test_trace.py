"""``ssl_context(trace=…)``: the messages and alerts of each handshake, to whoever asked, and to nobody else."""

from __future__ import annotations

import json
import logging
import ssl
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls._handshake.loopback import connected, join

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls.authority import CertificateAuthority

ONLY = {
    version.label: mtls.TLSPolicy(name=f"{version.label} only", minimum_version=version, maximum_version=version)
    for version in mtls.TLSVersion
}
BOTH = pytest.mark.parametrize("version", ONLY)
_SENT_BY_CLIENT = {
    "TLS 1.2": ["ClientHello", "Certificate", "ClientKeyExchange", "CertificateVerify", "Finished"],
    "TLS 1.3": ["ClientHello", "Certificate", "CertificateVerify", "Finished"],
}
_SENT_BY_SERVER = {
    "TLS 1.2": ["ServerHello", "Certificate", "ServerKeyExchange", "CertificateRequest", "ServerHelloDone"],
    "TLS 1.3": ["ServerHello", "EncryptedExtensions", "CertificateRequest", "Certificate", "CertificateVerify"],
}

Contexts = tuple[mtls.TLSContext, mtls.TLSContext, list[mtls.Trace], list[mtls.Trace]]


@pytest.fixture
def traced(authority: CertificateAuthority, stranger: CertificateAuthority) -> Callable[..., Contexts]:
    """Both contexts of a two-way connection, and the traces of either side."""

    def make(version: str, *, known: bool = True, shows: bool = True) -> Contexts:
        near: list[mtls.Trace] = []
        far: list[mtls.Trace] = []
        own = (authority if known else stranger).client("billing-prod")
        identity: dict[str, Any] = {"keystore": own} if shows else {}
        client = mtls.TLSProfile.client(truststore=authority.truststore, policy=ONLY[version], **identity)
        server = mtls.TLSProfile.server(
            keystore=authority.server("localhost"), truststore=authority.truststore, policy=ONLY[version]
        )
        return client.ssl_context(trace=near.append), server.ssl_context(trace=far.append), near, far

    return make


def _names(trace: mtls.Trace, direction: mtls.Direction) -> list[str]:
    return [event.name for event in trace.events if event.direction is direction]


@BOTH
def test_a_good_handshake_is_told_once_to_each_side_message_by_message(
    traced: Callable[..., Contexts], version: str
) -> None:
    client, server, near, far = traced(version)
    join(client, server, server_hostname="localhost")
    (ours,), (theirs,) = near, far
    assert (ours.role, theirs.role, ours.error, theirs.error) == (mtls.Role.CLIENT, mtls.Role.SERVER, None, None)
    assert ours.tls_version == theirs.tls_version == version
    assert (ours.server_hostname, theirs.server_hostname) == ("localhost", None)
    assert _names(ours, mtls.Direction.SENT)[: len(_SENT_BY_CLIENT[version])] == _SENT_BY_CLIENT[version]
    assert _names(theirs, mtls.Direction.RECEIVED) == _names(ours, mtls.Direction.SENT)
    assert _names(ours, mtls.Direction.RECEIVED)[:5] == _SENT_BY_SERVER[version]
    assert not any(event.is_alert for event in (*ours.events, *theirs.events))
    assert (ours.certificate_sent, theirs.certificate_sent) == (True, True)


@BOTH
def test_events_have_the_size_of_the_message_and_the_time_since_the_first(
    traced: Callable[..., Contexts], version: str
) -> None:
    client, server, near, far = traced(version)
    join(client, server, server_hostname="localhost")
    ours, theirs = near[0].events, far[0].events
    assert ours[0].at == theirs[0].at == 0.0
    assert [event.at for event in ours] == sorted(event.at for event in ours)
    leaf = server.profile.keystore.certificate
    (certificate,) = [e for e in ours if e.name == "Certificate" and e.direction is mtls.Direction.RECEIVED]
    assert certificate.size > len(leaf.tbs_certificate_bytes)
    sizes = {event.name: event.size for event in theirs if event.direction is mtls.Direction.SENT}
    assert sizes["Certificate"] == certificate.size
    with pytest.raises(FrozenInstanceError):
        certificate.size = 0  # type: ignore[misc] # that it cannot be set is the point


@BOTH
def test_a_refused_client_is_told_with_the_alert_and_the_chain_by_the_server(
    traced: Callable[..., Contexts], version: str
) -> None:
    client, server, _, far = traced(version, known=False)
    join(client, server, server_hostname="localhost")
    (trace,) = far
    assert isinstance(trace.error, mtls.PeerVerificationError)
    assert trace.error.step is mtls.HandshakeStep.SERVER_VERIFIES_CLIENT
    assert [e.name for e in trace.events if e.is_alert] == ["unknown_ca"]
    assert trace.peer_chain == (client.profile.keystore.certificate,)
    text = str(trace)
    assert any(line.endswith("alert unknown_ca  ✗") for line in text.splitlines())
    assert "step 6 SERVER_VERIFIES_CLIENT failed" in text


@BOTH
def test_whether_a_certificate_was_shown_is_known_of_both_sides(traced: Callable[..., Contexts], version: str) -> None:
    client, server, near, far = traced(version, shows=False)
    join(client, server, server_hostname="localhost")
    assert near[0].certificate_sent is False
    assert near[0].accepted_issuers == ()  # asked, and of any CA: a server on CPython names none
    assert far[0].peer_chain == ()


def test_a_server_that_asks_for_nothing_is_told_apart_from_one_that_takes_any_ca(
    authority: CertificateAuthority,
) -> None:
    traces: list[mtls.Trace] = []
    client = mtls.TLSProfile.client(truststore=authority.truststore).ssl_context(trace=traces.append)
    server = mtls.TLSProfile.server(keystore=authority.server("localhost")).ssl_context()
    join(client, server, server_hostname="localhost")
    assert traces[0].accepted_issuers is None


@BOTH
def test_over_a_socket_the_address_is_known_and_one_context_tells_of_each_connection(
    traced: Callable[..., Contexts], version: str
) -> None:
    client, server, near, far = traced(version)
    for _ in range(2):
        with connected(client, server, server_hostname="localhost"):
            pass
    assert len(near) == len(far) == 2
    assert far[0].peer_address is not None
    assert far[0].peer_address.startswith("127.0.0.1:")


@BOTH
def test_a_trace_prints_as_arrows_and_goes_into_json(traced: Callable[..., Contexts], version: str) -> None:
    client, server, near, _ = traced(version)
    join(client, server, server_hostname="localhost")
    (trace,) = near
    lines = str(trace).splitlines()
    assert lines[0].split() == ["client", "localhost"]
    assert len(lines) == 1 + len(trace.events)
    assert "ClientHello" in lines[1]
    assert "▶" in lines[1]
    assert "◀" in lines[2]
    assert lines[2].endswith("ServerHello")
    assert max(map(len, lines)) <= 100
    record = json.loads(json.dumps(trace.to_dict()))
    assert (record["version"], record["role"], record["tls_version"]) == (1, "client", version)
    assert [event["name"] for event in record["events"]] == [event.name for event in trace.events]
    assert record["peer_chain"][0]["subject"] == "CN=localhost"
    assert repr(trace) == f"<Trace of the client: {len(trace.events)} messages, ok>"


def test_two_connections_keep_their_messages_apart(traced: Callable[..., Contexts]) -> None:
    client, server, near, _ = traced("TLS 1.3")
    join(client, server, server_hostname="localhost")
    join(client, server, server_hostname="localhost")
    first, second = near
    assert len(first.events) == len(second.events)
    assert first.events is not second.events


def test_after_the_handshake_nothing_is_listened_to(traced: Callable[..., Contexts]) -> None:
    client, server, near, far = traced("TLS 1.3")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends: list[Any] = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for end in (*ends, *ends):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    heard = (len(near[0].events), len(far[0].events))
    for _ in range(50):
        ends[0].write(b"data")
        assert ends[1].read(4) == b"data"
    assert (len(near[0].events), len(far[0].events)) == heard


def test_a_trace_function_that_raises_changes_nothing_and_is_logged(
    authority: CertificateAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_: mtls.Trace) -> None:
        text = "no room for a trace"
        raise RuntimeError(text)

    client = mtls.TLSProfile.client(truststore=authority.truststore).ssl_context(trace=broken)
    server = mtls.TLSProfile.server(keystore=authority.server("localhost")).ssl_context()
    near, far = join(client, server, server_hostname="localhost")
    assert (near.heard, far.heard) == (True, True)
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert record.message == "trace= raised"
    assert record.exc_info is not None
    assert "no room for a trace" in str(record.exc_info[1])


@pytest.mark.parametrize("option", ["trace", "on_handshake_error"])
@pytest.mark.parametrize("wrong", ["print", 1, True, []], ids=repr)
def test_what_cannot_be_called_is_refused_before_anything_is_built(
    authority: CertificateAuthority, option: str, wrong: object
) -> None:
    profile = mtls.TLSProfile.client(truststore=authority.truststore)
    arguments: dict[str, Any] = {option: wrong}
    with pytest.raises(mtls.UsageError, match=option):
        profile.ssl_context(**arguments)


def test_a_trace_and_its_texts_hold_no_key(authority: CertificateAuthority) -> None:
    traces: list[mtls.Trace] = []
    keystore = authority.client("billing-prod")
    profile = mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore)
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"), truststore=authority.truststore)
    join(profile.ssl_context(trace=traces.append), server.ssl_context(), server_hostname="localhost")
    (trace,) = traces
    secret = keystore._private_key.private_numbers().private_value  # type: ignore[union-attr] # an EC key
    material = secret.to_bytes((secret.bit_length() + 7) // 8, "big")
    assert all(material not in entry[4] for entry in trace._log)
    assert f"{secret:x}" not in f"{trace}{trace!r}{json.dumps(trace.to_dict())}"


def test_of_two_contexts_of_one_profile_only_the_one_that_asked_is_told(authority: CertificateAuthority) -> None:
    traces: list[mtls.Trace] = []
    profile = mtls.TLSProfile.client(truststore=authority.truststore)
    plain, listening = profile.ssl_context(), profile.ssl_context(trace=traces.append)
    server = mtls.TLSProfile.server(keystore=authority.server("localhost")).ssl_context()
    join(plain, server, server_hostname="localhost")
    assert traces == []
    join(listening, server, server_hostname="localhost")
    assert len(traces) == 1
