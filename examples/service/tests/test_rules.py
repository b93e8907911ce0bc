"""Who gets in, and who may do what: without a port, in milliseconds.

Rule: it is the service's own profile and application that are tested; the certificates are made for each run.
"""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

import mtls
from mtls.authority import CertificateAuthority
from mtls.testing import Fault, assert_accepts, assert_refuses, assert_valid_for
from service import tls
from service.app import app

# --- the handshake: who gets a connection ---


@pytest.mark.usefixtures("mtls_authority")
def test_the_service_is_who_the_environment_says(secrets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_SECRETS", str(secrets / "server"))
    assert tls.profile() == tls.profile(secrets / "server")


def test_service_and_client_will_still_work_in_30_days(
    mtls_server_profile: mtls.ServerProfile, mtls_client_profile: mtls.ClientProfile
) -> None:
    assert_valid_for(mtls_server_profile, days=30)
    assert_valid_for(mtls_client_profile, days=30)


def test_a_client_of_our_ca_gets_a_connection(
    mtls_server_profile: mtls.ServerProfile, mtls_client_profile: mtls.ClientProfile
) -> None:
    assert_accepts(mtls_server_profile, mtls_client_profile)


@pytest.mark.mtls_faults("client-no-certificate", "client-unknown-ca", "client-expired", "client-wrong-eku")
def test_a_client_with_this_fault_gets_none(
    mtls_fault: Fault, mtls_server_profile: mtls.ServerProfile, mtls_authority: CertificateAuthority
) -> None:
    assert_refuses(mtls_server_profile, mtls_fault, authority=mtls_authority)


def test_an_expired_certificate_does_not_leave_the_client(mtls_authority: CertificateAuthority) -> None:
    expired = mtls_authority.client("billing.example", not_after=datetime.now(UTC) - timedelta(days=1))
    with pytest.raises(mtls.ConfigurationError) as caught:
        mtls.TLSProfile.client(keystore=expired, truststore=mtls_authority.truststore).ssl_context()
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
    mtls_server_profile: mtls.ServerProfile, mtls_authority: CertificateAuthority, name: str, expected: dict[str, int]
) -> None:
    caller = mtls.TLSProfile.client(keystore=mtls_authority.client(name), truststore=mtls_authority.truststore)
    peer = assert_accepts(mtls_server_profile, caller).server.peer
    assert peer is not None
    assert peer.dns_names == (name,)
    answers = {route: status(peer, *(route.split() if " " in route else ("GET", route))) for route in expected}
    assert answers == expected


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_invoices_are_closed_to_whom_nobody_verified(method: str) -> None:
    assert status(None, method, "/invoices") == 403
