"""An audit finds out what a profile, any context, a running server and a client that is a function let pass."""

from __future__ import annotations

import asyncio
import http.server
import socket
import ssl
import threading
import warnings
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import urllib3

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls.authority import CertificateAuthority
from mtls.testing import FAULTS, AuditOutcome, AuditReport, LoopbackServer, assert_mutual, audit
from mtls.testing._audit import _A_RULE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HOME, ABROAD = CertificateAuthority("Home CA"), CertificateAuthority("Abroad CA")
CLIENT = mtls.TLSProfile.client(truststore=HOME.truststore, keystore=HOME.client("billing.example"))
SERVER = mtls.TLSProfile.server(truststore=HOME.truststore, keystore=HOME.server("localhost"))
ONE_WAY = mtls.TLSProfile.server(keystore=HOME.server("localhost"))
NEEDS_NO_AUTHORITY = {"client-no-certificate", "client-unknown-ca", "client-self-signed"}
CERTIFICATES = {fault.id for fault in FAULTS.client_certificate if fault.demand is None}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("server")
    HOME.save_keystore(HOME.server("localhost"), folder)
    return folder


@pytest.fixture
def plain(files: Path) -> ssl.SSLContext:
    """What people write for a server."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files / "ca.crt")
    context.load_cert_chain(files / "tls.crt", files / "tls.key")
    return context


def untyped(value: object) -> Any:
    """A value that the types forbid."""
    return value


def row(report: AuditReport, fault: str) -> tuple[AuditOutcome, S | None, F | None]:
    found = next(result for result in report if result.fault.id == fault)
    return found.outcome, found.step, found.failure


# --- what proves nothing ---


@pytest.fixture
def expired(tmp_path: Path) -> ssl.SSLContext:
    """A server that asks for no client certificate, and whose own has expired."""
    HOME.save_keystore(HOME.server("localhost", not_after=datetime.now(UTC) - timedelta(days=1)), tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    return context


def test_a_server_that_the_client_of_the_audit_refuses_has_refused_nobody(expired: ssl.SSLContext) -> None:
    report = audit(expired)
    assert not NEEDS_NO_AUTHORITY & set(report.refused_faults.ids)
    assert {row(report, fault)[0] for fault in NEEDS_NO_AUTHORITY} == {AuditOutcome.NOT_TRIED}
    assert "the client of the audit came no further: step 4" in str(report)


def test_nothing_is_mutual_where_nobody_could_be_tried(expired: ssl.SSLContext) -> None:
    with pytest.raises(mtls.UsageError, match="could not be tried, so nothing is proved"):
        assert_mutual(expired)


def test_a_server_that_says_401_to_everybody_is_not_mutual_by_that() -> None:
    class Denies(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(401)

        def log_message(self, *_: object) -> None:
            return

    with http.server.HTTPServer(("127.0.0.1", 0), Denies) as web:
        web.socket = ONE_WAY.ssl_context().wrap_socket(web.socket, server_side=True)
        thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with pytest.raises(mtls.UsageError, match="refuses in HTTP; whether it lets a good peer in"):
                assert_mutual(f"https://localhost:{web.server_port}/")
        finally:
            web.shutdown()
            thread.join()


# --- contexts ---


def test_a_plain_context_for_a_server_is_caught_admitting_everyone(plain: ssl.SSLContext) -> None:
    report = audit(plain)
    assert set(report.accepted_faults.ids) == NEEDS_NO_AUTHORITY
    assert report.role is mtls.Role.SERVER
    assert report.good_peer is None
    assert set(audit(plain, authority=HOME).accepted_faults.ids) >= CERTIFICATES
    with pytest.raises(AssertionError, match=r"client-no-certificate +ACCEPTED  the client shows no certificate"):
        report.raise_for_errors()
    with pytest.raises(AssertionError, match="this SSLContext, as a server: 3 accepted"):
        assert_mutual(plain)


def test_a_plain_context_that_demands_a_certificate_passes(plain: ssl.SSLContext) -> None:
    plain.verify_mode = ssl.CERT_REQUIRED
    report = audit(plain, authority=HOME)
    assert report.accepted_faults.ids == ()
    assert report.good_peer
    assert row(report, "client-no-certificate") == (AuditOutcome.REFUSED, S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED)
    assert row(report, "client-expired") == (AuditOutcome.REFUSED, S.SERVER_VERIFIES_CLIENT, F.EXPIRED)
    assert row(report, "client-old-version") == (AuditOutcome.REFUSED, S.SERVER_HELLO, F.PROTOCOL_VERSION)
    assert row(report, "client-revoked")[0] is AuditOutcome.NOT_TRIED
    assert row(report, "client-resets-before-hello")[0] is AuditOutcome.NOT_TRIED
    report.raise_for_errors()
    assert_mutual(plain, authority=HOME)


def test_a_context_that_is_strict_is_audited_for_it(plain: ssl.SSLContext) -> None:
    plain.verify_mode = ssl.CERT_REQUIRED
    plain.verify_flags &= ~ssl.VERIFY_X509_STRICT
    assert row(audit(plain, authority=HOME), "client-missing-extension")[0] is AuditOutcome.NOT_TRIED
    plain.verify_flags |= ssl.VERIFY_X509_STRICT
    assert row(audit(plain, authority=HOME), "client-missing-extension")[0] is AuditOutcome.REFUSED


def test_a_context_that_takes_old_versions_is_caught(plain: ssl.SSLContext) -> None:
    with pytest.warns(DeprecationWarning, match="TLSv1 is deprecated"):
        plain.minimum_version = ssl.TLSVersion.TLSv1
    plain.set_ciphers("ALL:@SECLEVEL=0")
    assert "client-old-version" in audit(plain).accepted_faults.ids


def test_a_client_context_that_verifies_nothing_is_caught() -> None:
    lax = ssl.create_default_context()
    lax.check_hostname = False
    lax.verify_mode = ssl.CERT_NONE
    report = audit(lax, authority=HOME)
    wanted = {fault.id for fault in FAULTS.server_certificate if fault.demand is None}
    assert set(report.accepted_faults.ids) >= wanted
    assert report.shows_certificate is False
    assert set(audit(lax).accepted_faults.ids) == {"server-unknown-ca", "server-self-signed"}


def test_a_client_context_is_caught_taking_a_common_name_for_a_host_name(files: Path) -> None:
    context = ssl.create_default_context(cafile=files / "ca.crt")
    assert audit(context, authority=HOME).accepted_faults.ids == ("server-common-name-only",)
    context.hostname_checks_common_name = False
    assert audit(context, authority=HOME).accepted_faults.ids == ()


def test_a_context_of_ours_is_a_context(plain: ssl.SSLContext) -> None:
    report = audit(SERVER.ssl_context(), authority=HOME)
    assert report.accepted_faults.ids == ()
    assert report.target == "this TLSContext"
    assert_mutual(SERVER.ssl_context())


def test_the_role_of_a_context_that_may_have_either_is_asked_for() -> None:
    with pytest.warns(DeprecationWarning, match="PROTOCOL_TLS is deprecated"):
        either = ssl.SSLContext(ssl.PROTOCOL_TLS)
    with pytest.raises(mtls.UsageError, match="this context may be of either role: say role="):
        audit(either)
    assert set(audit(either, role="client").accepted_faults.ids) == {"server-unknown-ca", "server-self-signed"}


def test_a_context_without_a_certificate_serves_nobody() -> None:
    with pytest.raises(mtls.UsageError, match="this SSLContext shows no certificate that can be read"):
        audit(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))


# --- profiles ---


@pytest.mark.parametrize("profile", [CLIENT, SERVER])
def test_a_good_profile_refuses_everything(profile: mtls.ClientProfile | mtls.ServerProfile) -> None:
    report = audit(profile)
    assert report.accepted_faults.ids == ()
    assert len(report.refused_faults) > 30
    for result in report:
        if result.outcome is AuditOutcome.REFUSED:
            assert (result.step, result.failure) == (result.fault.step, result.fault.failure)


def test_a_refusal_for_another_reason_is_told_as_one() -> None:
    report = audit(replace(SERVER, authorize=lambda _: False))
    other = [result.fault.id for result in report if result.note == "which is another reason than the fault"]
    assert other == ["tampered-client-data"]
    assert report.accepted_faults.ids == ()


def test_a_profile_with_rules_of_its_own_is_audited_for_them() -> None:
    listing = CertificateAuthority("Listing CA")
    listing.revoke(listing.client("left.example"))
    strict = mtls.TLSProfile.server(
        keystore=listing.server("localhost"),
        truststore=listing.truststore_with_crl(),
        authorize=mtls.PeerPolicy.dns("billing.example"),
        eku=mtls.EKUPolicy.REQUIRED,
    )
    peer = mtls.TLSProfile.client(truststore=listing.truststore, keystore=listing.client("billing.example"))
    report = audit(strict, authority=listing, peer=peer)
    assert {"client-revoked", "client-not-authorized", "client-eku-absent"} <= set(report.refused_faults.ids)
    assert report.accepted_faults.ids == ()


def test_a_one_way_server_is_caught() -> None:
    report = audit(ONE_WAY)
    assert set(report.accepted_faults.ids) >= NEEDS_NO_AUTHORITY
    assert "the server is one-way: it asks nobody for a certificate" in str(report)


def test_what_a_lenient_profile_allows_by_name_is_not_tried() -> None:
    report = audit(replace(SERVER, chain_rules=mtls.ChainRules.LENIENT))
    assert row(report, "client-missing-extension")[0] is AuditOutcome.NOT_TRIED
    assert "not tried: chain_rules=ChainRules.LENIENT allows it by name" in str(report)


def test_a_mutual_client_has_a_certificate_to_show(files: Path) -> None:
    assert_mutual(CLIENT)
    bare = mtls.TLSProfile.client(truststore=HOME.truststore)
    with pytest.raises(AssertionError, match="this client profile has no certificate to show, so it is not mutual"):
        assert_mutual(bare)
    context = ssl.create_default_context(cafile=files / "ca.crt")
    with pytest.raises(AssertionError, match="has no certificate to show"):
        assert_mutual(context, authority=HOME)
    context.load_cert_chain(files / "tls.crt", files / "tls.key")
    assert assert_mutual(context, authority=HOME).shows_certificate
    with pytest.raises(mtls.UsageError, match="whether it has a certificate to show is seen with authority= only"):
        assert_mutual(context)


# --- running servers ---


def test_a_running_server_is_audited_by_its_address() -> None:
    with LoopbackServer(SERVER) as server:
        for target in (server, server.address, f"{server.url}health?deep=1"):
            report = audit(target, authority=HOME)
            assert report.accepted_faults.ids == ()
            assert report.target == server.address
            assert set(report.refused_faults.ids) >= CERTIFICATES
            assert row(report, "client-expired")[1] is S.SERVER_VERIFIES_CLIENT
            assert row(report, "client-closes-before-hello")[0] is AuditOutcome.NOT_TRIED
        assert_mutual(server)
        assert_mutual(server.url, authority=HOME)


@pytest.mark.parametrize("policy", [mtls.MOZILLA_MODERN, mtls.MOZILLA_INTERMEDIATE], ids=lambda policy: policy.name)
def test_a_running_server_that_admits_everyone_is_caught(policy: mtls.TLSPolicy) -> None:
    with LoopbackServer(replace(ONE_WAY, policy=policy)) as server:
        for target in (server.address, server.url):
            report = audit(target, faults=["client-no-certificate", "client-old-version"])
            assert report.accepted_faults.ids == ("client-no-certificate",)
        with pytest.raises(AssertionError, match=r"localhost:\d+, as a server: 3 accepted, 0 refused, 0 not tried"):
            assert_mutual(server)


@contextmanager
def serving(context: ssl.SSLContext, status: int) -> Iterator[str]:
    """A server of the standard library, as an application has it."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            admitted = self.connection.getpeercert() if isinstance(self.connection, ssl.SSLSocket) else None
            self.send_response(200 if admitted else status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = False  # so that it waits for them

        def handle_error(self, *_: Any) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as web:
        web.socket = context.wrap_socket(web.socket, server_side=True, do_handshake_on_connect=False)
        thread = threading.Thread(target=web.serve_forever)
        thread.start()
        try:
            yield f"https://localhost:{web.server_port}/"
        finally:
            web.shutdown()
            thread.join()


def test_a_refusal_in_http_counts_and_another_status_does_not(plain: ssl.SSLContext) -> None:
    plain.verify_mode = ssl.CERT_OPTIONAL
    with serving(plain, 403) as url:
        report = audit(url, authority=HOME)
        assert report.accepted_faults.ids == ()
        assert "client-no-certificate" in report.refused_faults.ids
        assert "by HTTP 403" in str(report)
    with serving(plain, 404) as url:
        report = audit(url, authority=HOME)
        assert report.accepted_faults.ids == ("client-no-certificate",)
        assert "it answered HTTP 404" in str(report)


@pytest.mark.parametrize("form", ["127.0.0.1:{}", "https://127.0.0.1:{}/"])
def test_a_server_that_closes_after_the_handshake_has_refused(form: str) -> None:
    async def run() -> AuditReport:
        async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.close()

        async with await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=ONE_WAY.ssl_context()) as server:
            address = form.format(server.sockets[0].getsockname()[1])
            return await asyncio.to_thread(audit, address, faults="client-no-certificate", hostname="localhost")

    assert asyncio.run(run()).refused_faults.ids == ("client-no-certificate",)


def test_where_no_server_is_there_it_is_an_error_of_the_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(ConnectionRefusedError):
        audit(f"127.0.0.1:{port}")


def test_what_is_no_tls_server_shows_no_certificate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(mtls.UsageError, match=r"127.0.0.1:\d+ shows no certificate that can be read"):
            audit(f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_a_server_that_hangs_up_on_everybody_shows_no_certificate() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def hang_up() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(mtls.UsageError, match="shows no certificate that can be read"):
            audit(f"127.0.0.1:{listener.getsockname()[1]}")
        thread.join()


def test_a_server_without_session_tickets_is_given_the_whole_time(plain: ssl.SSLContext) -> None:
    plain.num_tickets = 0
    with serving(plain, 200) as url:
        address = url.removeprefix("https://").removesuffix("/")
        report = audit(address, faults=["client-no-certificate"], timeout=0.5)
    assert report.accepted_faults.ids == ("client-no-certificate",)


def test_a_server_whose_own_certificate_is_bad_is_not_said_to_refuse() -> None:
    with LoopbackServer(SERVER, fault="server-expired", authority=HOME) as server:
        report = audit(server, faults=["client-no-certificate"])
        assert report.untried_faults.ids == ("client-no-certificate",)
        assert "the client of the audit came no further: step 4 CLIENT_VERIFIES_SERVER" in str(report)


def test_a_good_client_that_is_refused_in_http_is_none(plain: ssl.SSLContext) -> None:
    plain.verify_mode = ssl.CERT_OPTIONAL
    bare = mtls.TLSProfile.client(truststore=HOME.truststore)
    with serving(plain, 403) as url, pytest.raises(mtls.UsageError, match="would prove anything: HTTP 403"):
        audit(url, authority=HOME, peer=bare)


# --- clients ---


def with_httpx(context: ssl.SSLContext | bool) -> Callable[[str], object]:
    def connect(address: str) -> None:
        with httpx.Client(verify=context, timeout=5.0) as http_client:
            http_client.get(f"https://{address}/").raise_for_status()

    return connect


def without_verification(address: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
        requests.get(f"https://{address}/", verify=False, timeout=5.0).raise_for_status()


def test_a_client_that_verifies_is_let_loose_on_every_wrong_server() -> None:
    report = audit(with_httpx(CLIENT.ssl_context()), authority=HOME)
    assert report.accepted_faults.ids == ()
    assert report.role is mtls.Role.CLIENT
    assert report.shows_certificate
    assert report.target.endswith("with_httpx.<locals>.connect")
    assert row(report, "server-expired") == (AuditOutcome.REFUSED, S.CLIENT_VERIFIES_SERVER, F.EXPIRED)
    assert row(report, "server-closes-before-hello") == (AuditOutcome.REFUSED, S.SERVER_HELLO, F.CLOSED)
    assert row(report, "server-is-silent-before-hello")[0] is AuditOutcome.NOT_TRIED


@pytest.mark.parametrize("connect", [with_httpx(False), without_verification])
def test_a_client_that_does_not_verify_is_caught(connect: Callable[[str], object]) -> None:
    assert set(audit(connect).accepted_faults.ids) == {"server-unknown-ca", "server-self-signed"}
    accepted = audit(connect, authority=HOME, faults=["server-expired", "server-wrong-host"]).accepted_faults.ids
    assert accepted == ("server-expired", "server-wrong-host")


def test_an_error_that_is_none_of_tls_is_not_taken_for_a_refusal() -> None:
    def connect(address: str) -> None:
        with_httpx(False)(address)
        raise LookupError("a bug of the test")

    with pytest.raises(LookupError, match="a bug of the test"):
        audit(connect)
    with pytest.raises(mtls.UsageError, match="refuses a good peer, so no refusal would prove anything: LookupError"):
        audit(connect, authority=HOME)


def test_a_client_that_fails_by_itself_when_it_is_asked_for_a_certificate_is_no_refusal() -> None:
    calls: list[str] = []

    def connect(address: str) -> None:
        calls.append(address)
        if len(calls) > 1:
            raise LookupError("a bug of the test")
        with_httpx(CLIENT.ssl_context())(address)

    with pytest.raises(LookupError, match="a bug of the test"):
        audit(connect, authority=HOME)


# --- bad use ---


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: audit(untyped(42)),
            "target= takes a profile, an ssl.SSLContext, a URL, a 'host:port' or a function, not int",
        ),
        (lambda: audit(SERVER, role="client"), "role='client' does not fit: this is a server"),
        (lambda: audit(SERVER, role="boss"), "role= is Role.CLIENT or Role.SERVER, not 'boss'"),
        (lambda: audit("localhost"), "a server is given as 'https://host:port/path' or 'host:port', not 'localhost'"),
        (lambda: audit("http://localhost:80/"), "not 'http://localhost:80/'"),
        (lambda: audit("localhost:http"), "not 'localhost:http'"),
        (lambda: audit(SERVER, faults=["server-expired"]), "a fault of a server; only a client can refuse it"),
        (lambda: audit(SERVER, faults=["client-lost"]), "there is no fault 'client-lost'"),
        (lambda: audit(SERVER, peer=SERVER), "peer= takes a client profile, for a server is audited"),
        (lambda: audit(SERVER, authority=untyped("ca")), "authority= takes a CertificateAuthority"),
        (lambda: audit(SERVER, authority=ABROAD), "refuses a good peer, so no refusal would prove anything"),
        (lambda: audit(SERVER.ssl_context(), authority=ABROAD), "give the authority= that it trusts, or a good peer="),
    ],
)
def test_an_audit_that_would_tell_nothing_is_refused_with_a_sentence(call: Callable[[], object], text: str) -> None:
    with pytest.raises(mtls.UsageError, match=text):
        call()


def test_a_server_that_refuses_the_good_client_proves_nothing() -> None:
    with LoopbackServer(SERVER) as server, pytest.raises(mtls.UsageError, match="refuses a good peer"):
        audit(server, authority=ABROAD)


# --- the report ---


def test_a_report_is_a_table_and_no_truth_value(plain: ssl.SSLContext) -> None:
    report = audit(
        plain, faults=["client-no-certificate", "client-old-version", "client-expired", "client-other-group"]
    )
    assert len(report) == len(list(report)) == 4
    assert str(report).splitlines() == [
        "this SSLContext, as a server: 1 accepted, 1 refused, 2 not tried",
        "  a good peer            not tried, for want of an authority that is trusted",
        "  client-no-certificate  ACCEPTED  the client shows no certificate",
        "  client-old-version     refused   step 2 SERVER_HELLO, protocol_version",
        "  not tried: it needs a certificate that the audited side trusts; give authority=",
        "    client-expired",
        f"  not tried: {_A_RULE}",
        "    client-other-group",
    ]
    assert repr(report) == "<AuditReport this SSLContext, as a server: 1 accepted, 1 refused, 2 not tried>"
    with pytest.raises(TypeError, match="an AuditReport is neither true nor false"):
        bool(report)


def test_a_context_is_left_as_it_was(plain: ssl.SSLContext) -> None:
    before = plain.verify_mode, plain.verify_flags, plain.options, plain.cert_store_stats(), plain.get_ciphers()
    audit(plain, authority=HOME)
    assert before == (
        plain.verify_mode,
        plain.verify_flags,
        plain.options,
        plain.cert_store_stats(),
        plain.get_ciphers(),
    )
