"""The service over a real port, with both clients: what each caller is told, and that trust stays as it was.

Rule: a refusal is asserted by the step and the reason that the client's own error names.
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
from service import demo, development, server, tls

Talk = Callable[[mtls.TLSContext, str], Iterator[requests.Response | httpx.Response]]
REFUSED = (requests.RequestException, httpx.HTTPError)


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def ca(secrets: Path) -> CertificateAuthority:
    return development.make_certificates(secrets)


@pytest.fixture(scope="module")
def url(secrets: Path, ca: CertificateAuthority) -> Iterator[str]:
    with server.serving(tls.profile(secrets / "server"), reload=mtls.Reload(min_interval=0)) as serving:
        yield serving


@pytest.fixture(params=[with_requests.talk, with_httpx.talk], ids=["requests", "httpx"])
def talk(request: pytest.FixtureRequest) -> Talk:
    chosen: Talk = request.param
    return chosen


def context(ca: CertificateAuthority, keystore: mtls.Keystore) -> mtls.TLSContext:
    return mtls.TLSProfile.client(keystore=keystore, truststore=ca.truststore).ssl_context()


def refusal(talk: Talk, shown: mtls.TLSContext, url: str) -> mtls.MTLSError | None:
    with pytest.raises(REFUSED) as caught:
        list(talk(shown, url))
    return mtls.explain(caught.value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("billing.example", [200, 200, 201]), ("reports.example", [200, 200, 403]), ("auditor.example", [200, 403, 403])],
)
def test_each_caller_may_do_what_the_routes_say(
    talk: Talk, url: str, ca: CertificateAuthority, name: str, expected: list[int]
) -> None:
    answers = [(answer.status_code, answer.json()) for answer in talk(context(ca, ca.client(name)), url)]
    assert [status for status, _ in answers] == expected
    assert answers[0][1]["names"] == [name]


def test_a_client_without_a_certificate_is_told_step_5(talk: Talk, url: str, ca: CertificateAuthority) -> None:
    error = refusal(talk, mtls.TLSProfile.client(truststore=ca.truststore).ssl_context(), url)
    assert isinstance(error, mtls.HandshakeError)
    assert (error.step, error.failure, error.side) == (5, "certificate_required", "peer")


def test_a_client_of_another_ca_is_told_step_6(talk: Talk, url: str, ca: CertificateAuthority) -> None:
    another = CertificateAuthority("Another CA").client("billing.example")
    error = refusal(talk, context(ca, another), url)
    assert isinstance(error, mtls.HandshakeError)
    assert (error.step, error.failure, error.side) == (6, "unknown_ca", "peer")


def test_a_client_that_trusts_another_ca_refuses_the_service_at_step_4(talk: Talk, url: str) -> None:
    another = CertificateAuthority("Another CA")
    error = refusal(talk, context(another, another.client("billing.example")), url)
    assert isinstance(error, mtls.PeerVerificationError)
    assert (error.step, error.failure, error.side) == (4, "unknown_ca", "local")


def test_an_expired_certificate_is_refused_also_from_a_client_that_does_not_look(
    url: str, ca: CertificateAuthority, tmp_path: Path
) -> None:
    ca.save_keystore(ca.client("billing.example", not_after=datetime.now(UTC) - timedelta(days=1)), tmp_path)
    plain = ssl.create_default_context(cafile=tmp_path / "ca.crt")
    plain.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    with pytest.raises(httpx.HTTPError) as caught:
        httpx.get(url, verify=plain, trust_env=False)
    error = mtls.explain(caught.value)
    assert isinstance(error, mtls.HandshakeError)
    assert (error.failure, error.side) == ("expired", "peer")


def test_no_client_library_adds_a_ca(talk: Talk, url: str, ca: CertificateAuthority) -> None:
    shown = context(ca, ca.client("billing.example"))
    before = shown.get_ca_certs(binary_form=True)
    list(talk(shown, url))
    assert shown.get_ca_certs(binary_form=True) == before
    assert len(before) == 1


def test_renewed_certificates_are_served_without_a_restart(talk: Talk, url: str, secrets: Path) -> None:
    old = certificate_of(url)
    development.make_certificates(secrets)
    assert certificate_of(url) != old
    renewed = clients.tls.profile(secrets / "billing").ssl_context()
    assert [answer.status_code for answer in talk(renewed, url)] == [200, 200, 201]


def test_the_demonstration_comes_out_as_it_must(capsys: pytest.CaptureFixture[str]) -> None:
    assert demo.demo() == 0
    assert "10 of 10" in capsys.readouterr().out


def certificate_of(url: str) -> str:
    return ssl.get_server_certificate(("localhost", int(url.rpartition(":")[2])))
