"""A probe of four foreign servers: refusals in the handshake, late ones, and those that come in HTTP."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls import Verdict
from tests.matrix.lab import ADMITS, TWO_WAY

if TYPE_CHECKING:
    from tests.matrix.lab import Lab

SERVERS = ("OpenSSL", "nginx", "nginx-h2", "Apache", "HAProxy")
IN_HTTP = {"nginx", "nginx-h2"}


def probe(lab: Lab, peer: str, policy: mtls.TLSPolicy, *, site: str = TWO_WAY, shows: str | None) -> mtls.Handshake:
    options: dict[str, Any] = {"truststore": lab.pki.truststore, "policy": policy, "alpn": ["h2", "http/1.1"]}
    if shows is not None:
        options["keystore"] = lab.pki.clients[shows].keystore
    return mtls.probe(f"localhost:{lab.port(peer, site)}", mtls.TLSProfile.client(**options))


@pytest.mark.parametrize("peer", SERVERS)
class TestEachServer:
    def test_accepts_the_certificate_that_it_asks_for(self, lab: Lab, peer: str, policy: mtls.TLSPolicy) -> None:
        result = probe(lab, peer, policy, shows="good")
        assert (result.ok, result.server.verdict, result.http_status) == (True, Verdict.ACCEPTED, 200)
        assert result.completed == set(S)
        assert result.accepted_issuers == ("CN=matrix root",)
        assert result.issuer_fits is True
        assert "It asks for certificates from CN=matrix root; ours is one of them." in str(result)

    def test_refuses_a_client_without_one_at_step_5(self, lab: Lab, peer: str, policy: mtls.TLSPolicy) -> None:
        result = probe(lab, peer, policy, shows=None)
        assert isinstance(result.error, mtls.HandshakeError)
        assert (result.failed_step, result.error.failure) == (S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED)
        assert result.error.evidence == ("inferred" if peer in IN_HTTP else "observed")
        assert result.server.verdict is Verdict.REFUSED
        assert result.issuer_fits is None

    def test_refuses_one_of_another_ca_at_step_6_and_names_those_it_accepts(
        self, lab: Lab, peer: str, policy: mtls.TLSPolicy
    ) -> None:
        result = probe(lab, peer, policy, shows="unknown CA")
        error = result.error
        assert isinstance(error, mtls.HandshakeError)
        assert result.failed_step is S.SERVER_VERIFIES_CLIENT
        assert error.failure is (F.CERTIFICATE_REJECTED if peer in IN_HTTP else F.UNKNOWN_CA)
        assert error.evidence == ("inferred" if peer in IN_HTTP else "observed")
        assert error.phase is (mtls.Phase.RESPONSE if peer in IN_HTTP else error.phase)
        assert (result.server.verdict, result.issuer_fits) == (Verdict.REFUSED, False)
        wanted = "the server accepts certificates from CN=matrix root; ours is from CN=stranger root"
        assert wanted in [finding.message for finding in result.findings]

    @pytest.mark.parametrize(
        ("site", "failure"),
        [
            ("unknown CA", F.UNKNOWN_CA),
            ("expired", F.EXPIRED),
            ("host name", F.HOSTNAME_MISMATCH),
            ("incomplete chain", F.INCOMPLETE_CHAIN),
        ],
    )
    def test_is_refused_at_step_4_for_its_own_certificate(
        self, lab: Lab, peer: str, policy: mtls.TLSPolicy, site: str, failure: F
    ) -> None:
        result = probe(lab, peer, policy, site=site, shows="good")
        assert isinstance(result.error, mtls.PeerVerificationError)
        assert (result.failed_step, result.error.failure) == (S.CLIENT_VERIFIES_SERVER, failure)
        assert (result.client.verdict, result.http_status) == (Verdict.REFUSED, None)
        assert result.findings[0].failure is failure


@pytest.mark.parametrize("peer", ["nginx", "nginx-h2", "Apache", "HAProxy"])
def test_a_403_that_says_nothing_of_certificates_is_an_answer_and_no_refusal(
    lab: Lab, peer: str, policy: mtls.TLSPolicy
) -> None:
    result = probe(lab, peer, policy, site=ADMITS, shows="not authorized")
    assert (result.ok, result.server.verdict, result.http_status) == (True, Verdict.ACCEPTED, 403)


def test_nginx_with_http2_answers_in_http2(lab: Lab, policy: mtls.TLSPolicy) -> None:
    assert probe(lab, "nginx-h2", policy, shows="good").alpn == "h2"


@pytest.mark.parametrize(("method", "told"), [("HEAD", False), ("GET", True)])
def test_only_the_page_of_a_get_says_why_nginx_refuses(lab: Lab, method: str, told: bool) -> None:
    """The reason why a probe asks for the page."""
    context = mtls.TLSProfile.client(truststore=lab.pki.truststore).ssl_context()
    connection = http.client.HTTPSConnection("localhost", lab.port("nginx", TWO_WAY), context=context, timeout=20)
    try:
        connection.request(method, "/")
        answer = connection.getresponse()
        assert answer.status == 400
        assert (b"No required SSL certificate was sent" in answer.read()) is told
    finally:
        connection.close()
