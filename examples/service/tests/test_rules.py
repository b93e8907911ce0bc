"""Who gets in, and who may do what: without a port, in milliseconds.

Rule: it is the service's own profile and application that are tested; the certificates are made for each run.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import clients.tls
import mtls
from mtls.authority import CertificateAuthority
from service import development, tls
from service.app import app


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module", autouse=True)
def ca(secrets: Path) -> CertificateAuthority:
    return development.make_certificates(secrets)


@pytest.fixture
def service(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> mtls.ServerProfile:
    monkeypatch.setenv("SERVICE_SECRETS", str(secrets / "server"))
    return tls.profile()


def named(name: str, ca: CertificateAuthority) -> mtls.ClientProfile:
    return mtls.TLSProfile.client(keystore=ca.client(name), truststore=ca.truststore)


# --- the handshake: who gets a connection ---


def test_the_profile_is_two_way_and_has_no_finding(service: mtls.ServerProfile) -> None:
    assert service.two_way
    assert list(service.check()) == []


def test_a_client_of_our_ca_gets_a_connection(service: mtls.ServerProfile, secrets: Path) -> None:
    result = mtls.rehearse(clients.tls.profile(secrets / "billing"), service)
    assert result.ok, str(result)


def test_a_client_without_a_certificate_fails_at_step_5(service: mtls.ServerProfile, ca: CertificateAuthority) -> None:
    result = mtls.rehearse(mtls.TLSProfile.client(truststore=ca.truststore), service)
    assert result.failed_step is mtls.HandshakeStep.CLIENT_CERTIFICATE, str(result)


def test_a_client_of_another_ca_fails_at_step_6(service: mtls.ServerProfile, ca: CertificateAuthority) -> None:
    another = CertificateAuthority("Another CA").client("billing.example")
    result = mtls.rehearse(mtls.TLSProfile.client(keystore=another, truststore=ca.truststore), service)
    assert result.failed_step is mtls.HandshakeStep.SERVER_VERIFIES_CLIENT, str(result)
    assert isinstance(result.error, mtls.HandshakeError)
    assert result.error.failure is mtls.FailureReason.UNKNOWN_CA


def test_an_expired_certificate_does_not_leave_the_client(
    service: mtls.ServerProfile, ca: CertificateAuthority
) -> None:
    expired = ca.client("billing.example", not_after=datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(mtls.ConfigurationError) as caught:
        mtls.rehearse(mtls.TLSProfile.client(keystore=expired, truststore=ca.truststore), service)
    assert [finding.failure for finding in caught.value.report.errors] == [mtls.FailureReason.EXPIRED]


# --- the routes: who may do what ---


def status(peer: mtls.PeerIdentity | None, method: str, path: str) -> int:
    """What the application answers to this peer, which the server would have put into the scope."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "extensions": {"mtls": {"version": "1", "peer": peer}}}, receive, send)

    async def ask() -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(application), base_url="https://ledger") as http:
            order = {"customer": "Ada", "cents": 1} if method == "POST" else None
            return (await http.request(method, path, json=order)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("billing.example", {"/health": 200, "/whoami": 200, "/invoices": 200, "POST /invoices": 201}),
        ("reports.example", {"/health": 200, "/whoami": 200, "/invoices": 200, "POST /invoices": 403}),
        ("auditor.example", {"/health": 200, "/whoami": 200, "/invoices": 403, "POST /invoices": 403}),
        ("billing.example.evil.example", {"/health": 200, "/whoami": 200, "/invoices": 403, "POST /invoices": 403}),
    ],
)
def test_a_route_is_open_to_those_it_names(
    service: mtls.ServerProfile, ca: CertificateAuthority, name: str, expected: dict[str, int]
) -> None:
    peer = mtls.rehearse(named(name, ca), service).server.peer
    assert peer is not None
    assert peer.dns_names == (name,)
    answers = {route: status(peer, *(route.split() if " " in route else ("GET", route))) for route in expected}
    assert answers == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_invoices_are_closed_to_whom_nobody_verified(method: str) -> None:
    assert status(None, method, "/invoices") == 403
