"""A probe of a server of ours: what it says of both sides, in both versions, and what it refuses to be asked."""

from __future__ import annotations

import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls import Verdict
from mtls._rehearsal.dialing import Deadline
from mtls._rehearsal.wire import Wire
from tests.probe.conftest import DEADLINE, Answering

if TYPE_CHECKING:
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.probe.conftest import Serve

NOW, DAY = datetime.now(UTC), timedelta(days=1)
ENDS_SOON: dict[str, Any] = {"not_before": NOW - 90 * DAY, "not_after": NOW + 3 * DAY}
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def server(server_profile: mtls.ServerProfile) -> Answering:
    return Answering(server_profile.ssl_context(), OK)


def client(authority: CertificateAuthority, **options: Any) -> mtls.ClientProfile:
    return mtls.TLSProfile.client(**{"truststore": authority.truststore, **options})


class TestAServerThatAcceptsUs:
    @pytest.fixture
    def result(
        self, serve: Serve, server: Answering, authority: CertificateAuthority, policy: mtls.TLSPolicy
    ) -> mtls.Handshake:
        keystore = authority.client("billing-prod")
        return mtls.probe(f"localhost:{serve(server)}", client(authority, keystore=keystore, policy=policy))

    def test_has_done_all_eight_steps_and_both_verdicts_are_known(
        self, result: mtls.Handshake, policy: mtls.TLSPolicy
    ) -> None:
        assert result.ok
        assert result.completed == set(S)
        assert (result.client.verdict, result.server.verdict) == (Verdict.ACCEPTED, Verdict.ACCEPTED)
        assert (result.error, result.failed_step, result.skipped) == (None, None, frozenset())
        assert result.tls_version == policy.maximum_version.label
        assert result.cipher
        assert result.http_status == 200
        assert result.server_profile is None
        result.raise_for_failure()

    def test_is_known_by_its_verified_certificate_and_by_what_we_showed_it(self, result: mtls.Handshake) -> None:
        assert result.client.peer is not None
        assert result.client.peer.dns_names == ("localhost",)
        assert result.client.peer_chain[0] == result.client.peer.certificate
        assert result.client_profile.keystore is not None
        assert result.server.peer_chain[0] == result.client_profile.keystore.certificate
        assert (result.server.error, result.server.peer, result.server.trace) == (None, None, ())

    def test_has_an_address_a_time_and_every_message(self, result: mtls.Handshake) -> None:
        assert result.address is not None
        assert result.address.startswith("127.0.0.1:")
        assert result.began is not None
        assert timedelta() < datetime.now(UTC) - result.began < timedelta(minutes=1)
        assert result.duration is not None
        assert 0 < result.duration < 10
        names = [event.name for event in result.client.trace]
        assert names[:2] == ["ClientHello", "ServerHello"]
        assert {"Certificate", "CertificateVerify", "Finished"} <= set(names)

    def test_is_a_picture_and_a_record(self, result: mtls.Handshake) -> None:
        lines = str(result).splitlines()
        assert [line[:5] for line in lines[1:9]] == [f"  {step.value} ✓" for step in S]
        assert lines[8].endswith("HTTP status 200")
        assert lines[9] == "The server's verdict on us: accepted."
        record = json.loads(json.dumps(result.to_dict()))
        assert (record["version"], record["ok"], record["failed_step"]) == (1, True, None)
        assert record["completed"] == [1, 2, 3, 4, 5, 6, 7, 8]
        assert record["server"]["verdict"] == "accepted"
        assert record["client"]["peer"]["subject"] == "CN=localhost"
        assert record["certificate_asked"] is True


def test_the_request_is_one_get_with_the_name_that_was_asked_for_and_the_port(
    serve: Serve, server: Answering, client_profile: mtls.ClientProfile
) -> None:
    port = serve(server)
    mtls.probe(("127.0.0.1", port), client_profile, hostname="localhost")
    lines = (f"Host: localhost:{port}", "User-Agent: mtls-probe", "Accept: */*", "Connection: close")
    assert server.asked == ["\r\n".join(("GET / HTTP/1.1", *lines, "", "")).encode()]


class TestAServerThatRefusesUs:
    def test_for_an_unknown_ca_is_heard_at_step_6_though_tls_13_tells_it_late(
        self,
        serve: Serve,
        server: Answering,
        authority: CertificateAuthority,
        stranger: CertificateAuthority,
        policy: mtls.TLSPolicy,
    ) -> None:
        profile = client(authority, keystore=stranger.client("outsider"), policy=policy)
        result = mtls.probe(("localhost", serve(server)), profile)
        error = result.client.error
        assert isinstance(error, mtls.HandshakeError)
        assert (error.step, error.side, error.failure) == (S.SERVER_VERIFIES_CLIENT, "peer", F.UNKNOWN_CA)
        assert (error.alert, error.evidence) == ("unknown_ca", "observed")
        assert error.peer_address == result.address
        assert (result.client.verdict, result.server.verdict) == (Verdict.ACCEPTED, Verdict.REFUSED)
        assert S.SERVER_VERIFIES_CLIENT not in result.completed
        assert {S.CLIENT_VERIFIES_SERVER, S.CLIENT_CERTIFICATE} <= result.completed
        with pytest.raises(mtls.HandshakeError, match="step 6 SERVER_VERIFIES_CLIENT failed") as caught:
            result.raise_for_failure()
        assert caught.value.__notes__ == [str(result)]

    def test_for_want_of_a_certificate_is_heard_at_step_5(
        self, serve: Serve, server: Answering, authority: CertificateAuthority, policy: mtls.TLSPolicy
    ) -> None:
        result = mtls.probe(("localhost", serve(server)), client(authority, policy=policy))
        error = result.client.error
        assert isinstance(error, mtls.HandshakeError)
        assert (error.step, error.side, error.failure) == (S.CLIENT_CERTIFICATE, "peer", F.CERTIFICATE_REQUIRED)
        assert result.server.verdict is Verdict.REFUSED
        assert result.accepted_issuers == ()
        assert result.issuer_fits is None

    @pytest.mark.parametrize(("status", "step"), [(495, S.SERVER_VERIFIES_CLIENT), (496, None)])
    def test_in_http_is_inferred_from_the_status_and_has_no_step_if_that_contradicts_what_we_sent(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile, status: int, step: S
    ) -> None:
        page = f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode()
        result = mtls.probe(("localhost", serve(Answering(server_profile.ssl_context(), page))), client_profile)
        error = result.client.error
        assert isinstance(error, mtls.HandshakeError)
        assert (error.step, error.side, error.evidence) == (step, "peer", "inferred")
        assert error.phase is mtls.Phase.RESPONSE
        assert error.because
        assert str(status) in error.because
        assert (result.ok, result.server.verdict, result.http_status) == (False, Verdict.REFUSED, status)
        assert f"refused (inferred: {error.because})" in str(result)

    def test_by_a_rule_of_its_own_after_the_handshake_is_no_more_than_an_unexplained_end(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile
    ) -> None:
        assert server_profile.truststore is not None
        assert server_profile.keystore is not None
        picky = mtls.TLSProfile.server(
            keystore=server_profile.keystore, truststore=server_profile.truststore, authorize=lambda _: False
        )
        result = mtls.probe(("localhost", serve(Answering(picky.ssl_context()))), client_profile)
        assert not result.ok
        assert isinstance(result.error, mtls.HandshakeError)
        assert (result.failed_step, result.error.evidence) == (None, "inferred")
        assert result.server.verdict is Verdict.UNKNOWN

    def test_that_speaks_another_version_refuses_at_step_2(self, serve: Serve, authority: CertificateAuthority) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        profile = client(authority, policy=mtls.MOZILLA_MODERN)
        result = mtls.probe(("localhost", serve(Answering(context))), profile)
        assert isinstance(result.error, mtls.HandshakeError)
        assert (result.failed_step, result.error.failure) == (S.SERVER_HELLO, F.PROTOCOL_VERSION)
        assert (result.client.verdict, result.server.verdict) == (Verdict.UNKNOWN, Verdict.REFUSED)
        assert result.completed == {S.CLIENT_HELLO}


class TestAServerThatWeRefuse:
    @pytest.fixture
    def result(
        self,
        serve: Serve,
        server: Answering,
        authority: CertificateAuthority,
        stranger: CertificateAuthority,
        policy: mtls.TLSPolicy,
    ) -> mtls.Handshake:
        profile = client(stranger, keystore=authority.client("billing-prod"), policy=policy)
        self.server = server
        return mtls.probe(("localhost", serve(server)), profile)

    def test_fails_at_step_4_with_its_chain_and_the_findings(self, result: mtls.Handshake) -> None:
        assert isinstance(result.error, mtls.PeerVerificationError)
        assert (result.failed_step, result.error.failure) == (S.CLIENT_VERIFIES_SERVER, F.UNKNOWN_CA)
        assert (result.client.verdict, result.server.verdict) == (Verdict.REFUSED, Verdict.UNKNOWN)
        assert result.client.peer_chain[0].subject.rfc4514_string() == "CN=localhost"
        assert result.client.peer is None
        assert result.findings[0].failure is F.UNKNOWN_CA
        assert set(result.error.findings) <= set(result.findings)
        assert S.CLIENT_CERTIFICATE not in result.completed

    def test_is_sent_no_application_data_but_the_alert(self, result: mtls.Handshake) -> None:
        assert self.server.over.wait(DEADLINE)
        assert isinstance(self.server.outcome, mtls.HandshakeError)
        assert self.server.outcome.alert == "unknown_ca"
        assert self.server.asked == []
        assert result.http_status is None


class TestWarnings:
    def test_a_certificate_that_ends_soon_is_a_finding_of_a_good_handshake(
        self, serve: Serve, authority: CertificateAuthority, client_profile: mtls.ClientProfile
    ) -> None:
        soon = authority.server("localhost", **ENDS_SOON)
        server = mtls.TLSProfile.server(keystore=soon, truststore=authority.truststore)
        result = mtls.probe(("localhost", serve(Answering(server.ssl_context(), OK))), client_profile)
        assert result.ok
        [finding] = result.findings
        assert (finding.failure, finding.severity, finding.step) == (F.EXPIRES_SOON, "warning", 4)
        assert f"warning: {finding.message}; {finding.remedy}." in str(result)
        assert [each["failure"] for each in result.to_dict()["findings"]] == ["expires_soon"]

    def test_a_certificate_of_ours_that_ends_soon_is_one_if_the_server_asked_for_it(
        self, serve: Serve, server: Answering, authority: CertificateAuthority
    ) -> None:
        soon = authority.client("billing-prod", **ENDS_SOON)
        result = mtls.probe(("localhost", serve(server)), client(authority, keystore=soon))
        assert result.ok
        assert [(finding.failure, finding.step) for finding in result.findings] == [(F.EXPIRES_SOON, 6)]


def test_one_way_tls_skips_the_steps_of_the_client_certificate(
    serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile, policy: mtls.TLSPolicy
) -> None:
    assert server_profile.keystore is not None
    one_way = mtls.TLSProfile.server(keystore=server_profile.keystore, policy=policy)
    result = mtls.probe(("localhost", serve(Answering(one_way.ssl_context(), OK))), client_profile)
    assert result.ok
    assert result.skipped == {S.CLIENT_CERTIFICATE, S.SERVER_VERIFIES_CLIENT}
    assert result.completed == set(S) - result.skipped
    assert result.accepted_issuers is None
    assert "5 · not part of one-way TLS" in str(result)


def test_a_client_that_shows_nothing_where_a_certificate_is_optional_comes_in(
    serve: Serve, server_profile: mtls.ServerProfile, bare_client_profile: mtls.ClientProfile
) -> None:
    assert server_profile.keystore is not None
    assert server_profile.truststore is not None
    optional = mtls.TLSProfile.server(
        keystore=server_profile.keystore, truststore=server_profile.truststore, client_auth=mtls.ClientAuth.OPTIONAL
    )
    result = mtls.probe(("localhost", serve(Answering(optional.ssl_context(), OK))), bare_client_profile)
    assert result.ok
    assert "5 · the client showed none" in str(result)


class TestOtherProtocols:
    def test_a_server_of_another_protocol_is_sent_nothing_and_its_acceptance_is_enough(
        self, serve: Serve, authority: CertificateAuthority, policy: mtls.TLSPolicy
    ) -> None:
        server_profile = mtls.TLSProfile.server(
            keystore=authority.server("localhost"), truststore=authority.truststore, alpn=["postgresql"]
        )
        server = Answering(server_profile.ssl_context(), lambda _: None)
        profile = client(authority, keystore=authority.client("x"), alpn=["postgresql"], policy=policy)
        result = mtls.probe(("localhost", serve(server)), profile)
        assert (result.ok, result.alpn, result.server.verdict) == (True, "postgresql", Verdict.ACCEPTED)
        assert S.APPLICATION_DATA not in result.completed
        assert server.over.wait(DEADLINE)
        assert server.asked in ([], [b""])

    def test_what_a_server_says_that_is_no_http_shows_its_acceptance_as_well(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile
    ) -> None:
        server = Answering(server_profile.ssl_context(), b"220 mail.example ESMTP\r\n")
        result = mtls.probe(("localhost", serve(server)), client_profile)
        assert (result.ok, result.http_status, result.server.verdict) == (True, None, Verdict.ACCEPTED)


class TestNames:
    def test_the_host_of_the_address_is_asked_for_where_no_hostname_is_given(
        self, serve: Serve, server: Answering, client_profile: mtls.ClientProfile
    ) -> None:
        result = mtls.probe(("127.0.0.1", serve(server)), client_profile)
        assert (result.ok, result.server_hostname) == (True, "127.0.0.1")

    def test_an_ipv6_address_stands_in_brackets(
        self, serve: Serve, server: Answering, client_profile: mtls.ClientProfile
    ) -> None:
        result = mtls.probe(f"[::1]:{serve(server, '::1')}", client_profile, hostname="localhost")
        assert result.ok
        assert result.address is not None
        assert result.address.startswith("[::1]:")

    def test_a_policy_in_place_of_the_name_needs_no_hostname(
        self, serve: Serve, authority: CertificateAuthority
    ) -> None:
        spiffe = authority.server("spiffe://example.org/billing")
        server = mtls.TLSProfile.server(keystore=spiffe, truststore=authority.truststore)
        port = serve(Answering(server.ssl_context(), OK))
        keystore = authority.client("x")
        for policy, ok in (("spiffe://example.org/billing", True), ("spiffe://example.org/other", False)):
            wanted = mtls.PeerPolicy.spiffe_id(policy)
            result = mtls.probe(
                ("127.0.0.1", port), client(authority, keystore=keystore, server_identity=wanted), timeout=5
            )
            assert result.ok is ok
            assert result.failed_step is (None if ok else S.CLIENT_VERIFIES_SERVER)

    def test_a_host_that_is_not_listed_is_not_connected_to(self, serve: Serve, authority: CertificateAuthority) -> None:
        def fail(connection: socket.socket) -> None:
            connected.append(connection)

        connected: list[socket.socket] = []
        port = serve(fail)
        with pytest.raises(mtls.UsageError, match="'localhost' is not listed in hosts="):
            mtls.probe(("localhost", port), client(authority, hosts=["*.partner.example"]))
        assert connected == []


class TestWrongCalls:
    @pytest.mark.parametrize(
        ("address", "text"),
        [
            ("https://api.example/", "a URL is more than that"),
            ("::1", r"put an IPv6 address in brackets: '\[::1\]:443'"),
            ("[api.example]:443", "is no address of a server"),
            ("api.example:", "is no address of a server"),
            ("api.example:https", "is no address of a server"),
            ("api.example:0", "has no TCP port: give one from 1 to 65535"),
            ("api.example:65536", "has no TCP port"),
            ("api example:443", "is no address of a server"),
            ("\x1b[31mred", r"'\\x1b\[31mred' is no address"),
            ("", "is no address of a server"),
            (None, "None is no address of a server: write 'api.partner.example:443'"),
            (b"api.example:443", "is no address of a server"),
            (("api.example",), "is no address of a server"),
            (("api.example", "443"), "is no address of a server"),
            (("api.example", True), "is no address of a server"),
            (("[::1]", 443), "is no address of a server"),
            ((None, 443), "is no address of a server"),
            (("api..example", 443), "is no host name"),
            ((".example", 443), "is no host name"),
            (("010.0.0.1", 443), "is no host name"),
        ],
    )
    def test_an_address_that_is_none_is_named_with_the_remedy(
        self, client_profile: mtls.ClientProfile, address: Any, text: str
    ) -> None:
        with pytest.raises(mtls.UsageError, match=text):
            mtls.probe(address, client_profile)

    @pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), 86_401, None, True, "10"])
    def test_a_time_out_that_is_none_is_named(self, client_profile: mtls.ClientProfile, timeout: Any) -> None:
        with pytest.raises(mtls.UsageError, match="timeout= takes seconds, above 0 and at most 86400"):
            mtls.probe("localhost:1", client_profile, timeout=timeout)

    def test_a_server_profile_is_refused(self, server_profile: mtls.ServerProfile) -> None:
        profile: Any = server_profile
        with pytest.raises(mtls.UsageError, match=r"probe\(\) takes a ClientProfile.*, not ServerProfile"):
            mtls.probe("localhost:1", profile)

    def test_a_profile_with_errors_of_its_own_is_not_tried(self, authority: CertificateAuthority) -> None:
        ended = authority.client("x", not_after=datetime.now(UTC) - timedelta(days=1))
        with pytest.raises(mtls.ConfigurationError, match="leaf CN=x ended on"):
            mtls.probe("localhost:1", client(authority, keystore=ended))

    @pytest.mark.parametrize("hostname", ["", ".example", "a b", 5])
    def test_a_hostname_that_is_none_is_named(self, client_profile: mtls.ClientProfile, hostname: Any) -> None:
        with pytest.raises(mtls.UsageError, match="no host name"):
            mtls.probe("localhost:1", client_profile, hostname=hostname)


class TestBeforeStep1:
    def test_a_refused_tcp_connection_stays_what_it_is(
        self, client_profile: mtls.ClientProfile, tmp_path: Path
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            mtls.probe(("127.0.0.1", port), client_profile, capture=tmp_path / "x.pcapng")
        assert list(tmp_path.iterdir()) == []  # nothing was sent, so there is nothing to keep

    def test_an_unknown_name_stays_what_it_is(
        self, client_profile: mtls.ClientProfile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def look_up(*_: object, **__: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        with pytest.raises(socket.gaierror, match="Name or service not known"):
            mtls.probe("unknown.example:443", client_profile)

    def test_a_lookup_that_does_not_end_is_not_waited_for(
        self, client_profile: mtls.ClientProfile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import threading

        over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: over.wait(20))
        with pytest.raises(TimeoutError, match=r"slow\.example was not looked up within 0\.2 seconds"):
            mtls.probe("slow.example:443", client_profile, timeout=0.2)
        over.set()

    def test_the_next_address_of_a_name_is_tried(
        self, serve: Serve, server: Answering, client_profile: mtls.ClientProfile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        port = serve(server)
        with socket.create_server(("127.0.0.1", 0)) as free:
            closed = free.getsockname()[1]
        tcp = (socket.AF_INET, socket.SOCK_STREAM, 6, "")
        found = [(*tcp, ("127.0.0.1", closed)), (*tcp, ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        assert mtls.probe("localhost:443", client_profile).address == f"127.0.0.1:{port}"

    def test_a_name_without_an_address_is_named(
        self, client_profile: mtls.ClientProfile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [])
        with pytest.raises(OSError, match=r"the name nowhere\.example has no address"):
            mtls.probe("nowhere.example:443", client_profile)


def test_what_a_server_said_before_it_went_is_read_although_writing_to_it_fails() -> None:
    ours, theirs = socket.socketpair()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with ours, theirs:
        wire = Wire(ours, incoming, outgoing, Deadline(20), None)
        theirs.sendall(b"the reason")
        theirs.close()
        for _ in range(2):
            outgoing.write(b"hello")
            wire.send()
        wire.receive()
        assert incoming.read() == b"the reason"
        wire.receive()
        assert incoming.eof
