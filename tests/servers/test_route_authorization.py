"""``require_peer``: a route's handler runs for a peer whom its policy admits, and for nobody else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, WebSocket
from fastapi.exceptions import FastAPIError
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

import mtls
from mtls.integrations.starlette import require_peer

if TYPE_CHECKING:
    from starlette.requests import Request

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf, ServeASGI

billing = require_peer(mtls.PeerPolicy.dns("billing.example"))
Billing = Annotated[mtls.PeerIdentity, Depends(billing)]
Anybody = Annotated[mtls.PeerIdentity, Depends(require_peer())]


def _service() -> tuple[FastAPI, list[str]]:
    app, ran = FastAPI(), []

    @app.get("/anybody")
    def anybody(peer: Anybody) -> str:
        return peer.dns_names[0]

    @app.get("/billing")
    async def only_billing(peer: Billing) -> str:
        ran.append(peer.dns_names[0])
        return "welcome"

    @app.websocket("/feed")
    async def feed(connection: WebSocket, peer: Billing) -> None:
        ran.append(peer.dns_names[0])
        await connection.accept()
        await connection.send_text(peer.dns_names[0])
        await connection.close()

    return app, ran


def test_a_route_admits_by_its_own_policy_and_the_handler_gets_the_identity(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    app, ran = _service()
    running = serve_asgi(app, server_profile)
    with httpx.Client(verify=client_of("billing.example")) as client:
        assert client.get(running.url("/anybody")).json() == "billing.example"
        assert client.get(running.url("/billing")).json() == "welcome"
    with httpx.Client(verify=client_of("reports.example")) as client:
        assert client.get(running.url("/anybody")).json() == "reports.example"
        refused = client.get(running.url("/billing"))
    assert (refused.status_code, refused.json()) == (403, {"detail": "Forbidden"})
    assert ran == ["billing.example"]
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == ["refused a client at /billing: require_peer() does not admit <PeerIdentity reports.example>"]


def test_a_websocket_is_refused_before_it_is_accepted(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf
) -> None:
    app, ran = _service()
    running = serve_asgi(app, server_profile)

    async def listen(name: str) -> str | bytes:
        async with connect(running.url("/feed", "wss"), ssl=client_of(name)) as feed:
            return await feed.recv()

    assert asyncio.run(listen("billing.example")) == "billing.example"
    with pytest.raises(InvalidStatus) as caught:
        asyncio.run(listen("reports.example"))
    assert caught.value.response.status_code == 403
    assert ran == ["billing.example"]


def test_whoever_shows_no_certificate_is_refused_at_every_such_route(
    authority: CertificateAuthority,
    server_profile: mtls.ServerProfile,
    serve_asgi: ServeASGI,
    client_of: ClientOf,
) -> None:
    app, ran = _service()
    assert server_profile.keystore is not None
    optional = mtls.TLSProfile.server(
        keystore=server_profile.keystore, truststore=authority.truststore, client_auth=mtls.ClientAuth.OPTIONAL
    )
    for profile, scheme in ((optional, "https"), (None, "http")):
        running = serve_asgi(app, profile)
        with httpx.Client(verify=client_of(None)) as client:
            for path in ("/anybody", "/billing"):
                assert client.get(running.url(path, scheme)).status_code == 403
    assert ran == []


def test_a_starlette_endpoint_asks_with_its_request(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf
) -> None:
    async def endpoint(request: Request) -> PlainTextResponse:
        return PlainTextResponse((await billing(request)).dns_names[0])

    running = serve_asgi(Starlette(routes=[Route("/", endpoint)]), server_profile)
    for name, status in (("billing.example", 200), ("reports.example", 403)):
        with httpx.Client(verify=client_of(name)) as client:
            assert client.get(running.url("/")).status_code == status


@pytest.mark.parametrize("answer", [1, "yes", None, ZeroDivisionError])
def test_only_true_admits_and_an_exception_refuses(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf, answer: Any
) -> None:
    def rule(_: mtls.PeerIdentity) -> Any:
        if answer is ZeroDivisionError:
            raise ZeroDivisionError
        return answer

    app = FastAPI(dependencies=[Depends(require_peer(rule))])

    @app.get("/")
    def never() -> str:
        return "reached"

    running = serve_asgi(app, server_profile)
    with httpx.Client(verify=client_of("billing.example")) as client:
        assert client.get(running.url("/")).status_code == 403


def test_a_policy_that_is_none_is_refused_when_the_route_is_written() -> None:
    with pytest.raises(mtls.UsageError, match=r"require_peer\(\) takes a PeerPolicy or a function .*, not str"):
        require_peer("billing.example")  # type: ignore[arg-type] # that is the point


def test_the_dependency_that_was_not_called_is_refused_when_the_route_is_written() -> None:
    """FastAPI would call it by itself, and hand the handler a function in place of a peer."""
    app = FastAPI()
    with pytest.raises(FastAPIError):

        @app.get("/")
        def annotated(peer: Annotated[mtls.PeerIdentity, Depends(require_peer)]) -> str:
            return str(peer)

    with pytest.raises(FastAPIError):

        @app.get("/", dependencies=[Depends(require_peer)])
        def listed() -> str:
            return "reached"


def test_what_a_client_writes_into_its_path_does_not_reach_the_terminal(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf, caplog: pytest.LogCaptureFixture
) -> None:
    app = FastAPI(dependencies=[Depends(billing)])

    @app.get("/{path:path}")
    def anything(path: str) -> str:
        return path

    running = serve_asgi(app, server_profile)
    with httpx.Client(verify=client_of("reports.example")) as client:
        assert client.get(running.url("/%1b[31mred%e2%80%a8" + "x" * 5000)).status_code == 403
    [message] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert message.isprintable()
    assert len(message) < 300
    assert r"\x1b[31mred\u2028xxx" in message


def test_under_another_server_a_request_fails_instead_of_passing(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf
) -> None:
    app, ran = _service()
    running = serve_asgi(app, server_profile, http="h11")
    with httpx.Client(verify=client_of("billing.example")) as client:
        assert client.get(running.url("/billing")).status_code == 500
    assert ran == []


def test_an_application_is_tested_without_a_port_by_overriding_the_dependency(authority: CertificateAuthority) -> None:
    app, ran = _service()
    certificate = authority.client("billing.example").certificate
    app.dependency_overrides[billing] = lambda: mtls.PeerIdentity(certificate, (certificate,), resumed=False)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://localhost") as client:
            return await client.get("/billing")

    assert asyncio.run(ask()).status_code == 200
    assert ran == ["billing.example"]
