"""The service over a real port, with both clients: what each caller is told, and that trust stays as it was.

Rule: a refusal is asserted by its step, its reason and its side, whatever the HTTP library made of it.
"""

import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
import requests

import clients.tls
import mtls
from clients import with_httpx, with_requests
from mtls.authority import CertificateAuthority
from mtls.testing import LoopbackServer, audit, raises
from service import demo, development, server

Talk = Callable[[mtls.TLSContext, str], Iterator[requests.Response | httpx.Response]]


@pytest.fixture(scope="module")
def url(mtls_server_profile: mtls.ServerProfile) -> Iterator[str]:
    with server.serving(mtls_server_profile, reload=mtls.Reload(min_interval=0)) as serving:
        yield serving


@pytest.fixture(params=[with_requests.talk, with_httpx.talk], ids=["requests", "httpx"])
def talk(request: pytest.FixtureRequest) -> Talk:
    chosen: Talk = request.param
    return chosen


def context(keystore: mtls.Keystore, ca: CertificateAuthority) -> mtls.TLSContext:
    return mtls.TLSProfile.client(keystore=keystore, truststore=ca.truststore).ssl_context()


# --- the service: who is let in, and what the others are told ---


def test_nobody_with_a_fault_gets_past_the_running_service(url: str, mtls_authority: CertificateAuthority) -> None:
    report = audit(f"{url}/health", authority=mtls_authority)
    report.raise_for_errors()
    assert {"client-no-certificate", "client-unknown-ca", "client-expired"} <= set(report.refused_faults.ids)


def test_a_client_is_known_by_its_certificate(talk: Talk, url: str, mtls_client_profile: mtls.ClientProfile) -> None:
    answers = list(talk(mtls_client_profile.ssl_context(), url))
    assert [answer.status_code for answer in answers] == [200, 200, 201]
    assert answers[0].json()["names"] == ["billing.example"]


def test_a_client_that_is_not_authorized_is_answered_403(
    talk: Talk, url: str, mtls_authority: CertificateAuthority
) -> None:
    answers = talk(context(mtls_authority.client("auditor.example"), mtls_authority), url)
    assert [answer.status_code for answer in answers] == [200, 403, 403]


def test_a_client_without_a_certificate_is_told_so(talk: Talk, url: str, mtls_authority: CertificateAuthority) -> None:
    nobody = mtls.TLSProfile.client(truststore=mtls_authority.truststore)
    with raises(step=5, failure="certificate_required", side="peer"):
        list(talk(nobody.ssl_context(), url))


def test_a_client_of_the_wrong_ca_is_told_so(talk: Talk, url: str, mtls_authority: CertificateAuthority) -> None:
    stranger = CertificateAuthority("Somebody else's CA").client("billing.example")
    with raises(step=6, failure="unknown_ca", side="peer"):
        list(talk(context(stranger, mtls_authority), url))


def test_a_client_with_an_expired_certificate_is_told_so_also_if_it_does_not_look(
    url: str, mtls_authority: CertificateAuthority, tmp_path: Path
) -> None:
    expired = mtls_authority.client("billing.example", not_after=datetime.now(UTC) - timedelta(days=1))
    mtls_authority.save_keystore(expired, tmp_path)
    plain = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    plain.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with raises(failure="expired", side="peer"):  # a plain context cannot tell the step
        httpx.get(url, verify=plain, trust_env=False)


def test_renewed_certificates_are_served_without_a_restart(talk: Talk, url: str, secrets: Path) -> None:
    old = certificate_of(url)
    development.make_certificates(secrets)
    assert certificate_of(url) != old
    renewed = clients.tls.profile(secrets / "billing").ssl_context()
    assert [answer.status_code for answer in talk(renewed, url)] == [200, 200, 201]


def certificate_of(url: str) -> str:
    return ssl.get_server_certificate(("localhost", int(url.rpartition(":")[2])))


# --- the clients: whom they believe ---


def test_the_client_shows_its_certificate_to_a_server_that_asks(
    talk: Talk, mtls_server: LoopbackServer, mtls_client_profile: mtls.ClientProfile
) -> None:
    list(talk(mtls_client_profile.ssl_context(), f"https://{mtls_server.address}"))
    peer = mtls_server.wait_for_handshake().peer
    assert peer is not None
    assert peer.dns_names == ("billing.example",)


@pytest.mark.mtls_faults("server-unknown-ca", "server-expired", "server-wrong-host", "server-closes-before-certificate")
def test_the_client_refuses_the_wrong_server(
    talk: Talk, mtls_faulty_server: LoopbackServer, mtls_client_profile: mtls.ClientProfile
) -> None:
    fault = mtls_faulty_server.fault
    assert fault is not None
    with raises(step=fault.step, failure=fault.failure, side=fault.side):
        list(talk(mtls_client_profile.ssl_context(), f"https://{mtls_faulty_server.address}"))


def test_no_client_library_adds_a_ca(talk: Talk, url: str, mtls_client_profile: mtls.ClientProfile) -> None:
    shown = mtls_client_profile.ssl_context()
    before = shown.get_ca_certs(binary_form=True)
    list(talk(shown, url))
    assert shown.get_ca_certs(binary_form=True) == before
    assert len(before) == 1


# --- both ---


def test_the_demonstration_comes_out_as_it_must(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.demo() == 0
    assert "10 of 10" in capsys.readouterr().out
