"""uvicorn: the right identity in every request, for each protocol, loop and worker, and nothing that loosens TLS."""

from __future__ import annotations

import asyncio
import random
import ssl
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
from websockets.asyncio.client import connect

import mtls
from mtls.integrations import uvicorn as integration
from mtls.integrations.requests import session

if TYPE_CHECKING:
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf, ServeASGI

_LOOPS = ["asyncio", "uvloop"]
_PROTOCOLS = ["H11Protocol", "HttpToolsProtocol"]


async def who(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the caller's name and the size of what it sent, or sends the name over a WebSocket."""
    peer = mtls.peer_identity(scope)
    name = "nobody" if peer is None else peer.dns_names[0]
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": name})
        await send({"type": "websocket.close"})
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    body = f"{name} {size}".encode()
    await send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-length", str(len(body)).encode())]}
    )
    await send({"type": "http.response.body", "body": body})


@pytest.mark.parametrize("loop", _LOOPS)
@pytest.mark.parametrize("http", _PROTOCOLS)
def test_360_interleaved_requests_of_12_users_each_get_their_own_name(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf, loop: str, http: str
) -> None:
    running = serve_asgi(who, server_profile, loop=loop, http=getattr(integration, http))
    names = [f"user-{number}.example" for number in range(12)]
    starting = threading.Barrier(len(names))

    def ask(name: str) -> Counter[bool]:
        shuffled = random.Random(name)
        outcomes: Counter[bool] = Counter()
        with httpx.Client(verify=client_of(name)) as kept_alive, httpx.Client(verify=client_of(name)) as second:
            starting.wait()
            for _ in range(30):
                body = bytes(shuffled.choice((0, 1, 1000, 70_000, 200_000)))
                answer = shuffled.choice((kept_alive, kept_alive, second)).post(running.url("/"), content=body)
                outcomes[answer.text == f"{name} {len(body)}"] += 1
        return outcomes

    with ThreadPoolExecutor(len(names)) as pool:
        outcomes = sum(pool.map(ask, names), Counter())
    assert outcomes == {True: 360}


@pytest.mark.filterwarnings("ignore:The `websockets` implementation is deprecated")
@pytest.mark.filterwarnings("ignore:websockets.legacy is deprecated:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:websockets.server.WebSocketServerProtocol:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:remove second argument of ws_handler:DeprecationWarning")
@pytest.mark.parametrize("http", _PROTOCOLS)
@pytest.mark.parametrize(
    "ws", ["WebSocketProtocol", "WebSocketsSansIOProtocol", "WSProtocol", "AutoWebSocketsProtocol"]
)
def test_a_websocket_knows_its_caller(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf, http: str, ws: str
) -> None:
    running = serve_asgi(who, server_profile, http=getattr(integration, http), ws=getattr(integration, ws))

    async def ask(name: str) -> str | bytes:
        async with connect(running.url("/", "wss"), ssl=client_of(name)) as connection:
            return await connection.recv()

    for name in ("a.example", "b.example"):
        assert asyncio.run(ask(name)) == name


@pytest.mark.parametrize("loop", _LOOPS)
@pytest.mark.parametrize("library", ["requests", "httpx", "httpx async"])
def test_300_of_300_refused_clients_are_told_the_step(
    server_profile: mtls.ServerProfile,
    serve_asgi: ServeASGI,
    client_of: ClientOf,
    stranger: CertificateAuthority,
    library: str,
    loop: str,
) -> None:
    running = serve_asgi(who, server_profile, loop=loop)
    bare, strange = client_of(None), client_of("intruder.example", issuer=stranger)

    async def post_async(context: mtls.TLSContext, body: bytes) -> None:
        async with httpx.AsyncClient(verify=context) as client:
            await client.post(running.url("/"), content=body)

    def post(context: mtls.TLSContext, body: bytes) -> None:
        if library == "httpx":
            with httpx.Client(verify=context) as client:
                client.post(running.url("/"), content=body)
        elif library == "httpx async":
            asyncio.run(post_async(context, body))
        else:
            with session(context) as client:
                client.post(running.url("/"), data=body)

    def refused(context: mtls.TLSContext, body: bytes) -> tuple[int | None, str, str | None, str | None]:
        with pytest.raises((httpx.TransportError, requests.RequestException, ssl.SSLError)) as caught:
            post(context, body)
        told = mtls.explain(caught.value)
        assert isinstance(told, mtls.HandshakeError), caught.value
        return told.step, told.failure, told.side, told.alert

    outcomes = Counter(
        refused(context, body)
        for context in (bare, strange)
        for body in (b"", b"small", bytes(2_000_000))
        for _ in range(50)
    )
    assert outcomes == {
        (5, "certificate_required", "peer", "certificate_required"): 150,
        (6, "unknown_ca", "peer", "unknown_ca"): 150,
    }


@pytest.mark.parametrize("loop", _LOOPS)
def test_a_client_that_authorize_refuses_gets_a_clean_end_and_never_reaches_the_application(
    server_profile: mtls.ServerProfile,
    serve_asgi: ServeASGI,
    client_of: ClientOf,
    caplog: pytest.LogCaptureFixture,
    authority: CertificateAuthority,
    loop: str,
) -> None:
    reached: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope)
        await who(scope, receive, send)

    assert server_profile.keystore is not None
    profile = mtls.TLSProfile.server(
        keystore=server_profile.keystore,
        truststore=authority.truststore,
        authorize=mtls.PeerPolicy.dns("billing.example"),
    )
    running = serve_asgi(app, profile, loop=loop)
    with httpx.Client(verify=client_of("reports.example")) as client, pytest.raises(httpx.TransportError) as caught:
        client.get(running.url("/"))
    told = mtls.explain(caught.value)
    assert told is None or "reports" not in str(told).replace("our client certificate CN=reports.example", "")
    assert reached == []
    [refusal] = [record for record in caplog.records if record.name == "mtls" and record.levelname == "WARNING"]
    assert "step 6" in refusal.getMessage()
    assert "authorize= does not admit <PeerIdentity reports.example>" in refusal.getMessage()
    with httpx.Client(verify=client_of("billing.example")) as client:
        assert client.get(running.url("/")).text == "billing.example 0"


def test_the_tls_extension_has_what_the_specification_asks_for(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, authority: CertificateAuthority
) -> None:
    seen: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append({name: dict(value) for name, value in scope["extensions"].items()})
        scope["extensions"]["mtls"]["peer"] = "somebody else"  # one request's mischief is not the next one's
        scope["extensions"]["tls"].clear()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    running = serve_asgi(app, server_profile)
    keystore = authority.intermediate().client("billing.example")
    context = mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore).ssl_context()
    with httpx.Client(verify=context) as client:
        for _ in range(2):
            assert client.get(running.url("/")).status_code == 204
    assert len(seen) == 2
    assert server_profile.keystore is not None
    for extensions in seen:
        tls, ours = extensions["tls"], extensions["mtls"]
        assert tls["server_cert"] == _pem(server_profile.keystore.certificate)
        assert tls["client_cert_chain"] == (_pem(keystore.certificate), _pem(keystore.chain[0]))
        assert (tls["client_cert_name"], tls["client_cert_error"]) == ("CN=billing.example", None)
        assert (tls["tls_version"], tls["cipher_suite"]) == (0x0304, 0x1302)
        assert ours["version"] == "1"
        assert ours["peer"].certificate == keystore.certificate


def _pem(certificate: Any) -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return str(certificate.public_bytes(Encoding.PEM), "ascii")


def test_nobody_is_known_on_a_plain_connection_or_without_a_certificate(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf, authority: CertificateAuthority
) -> None:
    assert server_profile.keystore is not None
    seen: list[set[str]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(set(scope["extensions"]))
        await who(scope, receive, send)

    optional = mtls.TLSProfile.server(
        keystore=server_profile.keystore,
        truststore=authority.truststore,
        client_auth=mtls.ClientAuth.OPTIONAL,
    )
    one_way = mtls.TLSProfile.server(keystore=server_profile.keystore)
    for profile in (None, optional, one_way):
        running = serve_asgi(app, profile)
        with httpx.Client(verify=client_of(None)) as client:
            answer = client.get(running.url("/", "http" if profile is None else "https"))
        assert answer.text == "nobody 0"
    assert seen == [{"mtls"}, {"mtls", "tls"}, {"mtls", "tls"}]


def test_under_a_server_that_does_not_know_the_caller_the_question_raises(
    server_profile: mtls.ServerProfile, serve_asgi: ServeASGI, client_of: ClientOf
) -> None:
    raised: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        with pytest.raises(mtls.UsageError) as caught:
            await who(scope, receive, send)
        raised.append(str(caught.value))
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    running = serve_asgi(app, server_profile, http="h11")
    with httpx.Client(verify=client_of("billing.example")) as client:
        client.get(running.url("/"), headers={"extensions": "mtls", "X-SSL-Client-Cert": "billing.example"})
    assert len(raised) == 1
    assert raised[0].startswith("this ASGI server does not say who called: run the application with mtls.integrations.")


@pytest.mark.parametrize("loop", _LOOPS)
def test_a_running_server_follows_its_files(
    tmp_path: Path,
    authority: CertificateAuthority,
    stranger: CertificateAuthority,
    serve_asgi: ServeASGI,
    client_of: ClientOf,
    loop: str,
) -> None:
    def rotate(serial: int, trusted: CertificateAuthority) -> None:
        keystore = authority.server("localhost", serial_number=serial)
        authority.save_keystore(keystore, tmp_path, existing=mtls.Existing.REPLACE)
        (tmp_path / "ca.crt").write_text(_pem(trusted.certificate))

    rotate(1, authority)
    profile = mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory(tmp_path), truststore=mtls.Truststore.from_directory(tmp_path)
    )
    running = serve_asgi(who, profile, reload=mtls.Reload(min_interval=0), loop=loop)
    with httpx.Client(verify=client_of("old.example")) as kept:
        assert kept.get(running.url("/")).text == "old.example 0"
        rotate(2, authority)
        with (
            httpx.Client(verify=client_of("new.example")) as client,
            client.stream("GET", running.url("/")) as answer,
        ):
            served = mtls.peer_identity(answer.extensions["network_stream"])
            assert answer.read() == b"new.example 0"
        assert served is not None
        assert served.certificate.serial_number == 2
        rotate(3, stranger)
        with httpx.Client(verify=client_of("old.example")) as client, pytest.raises(httpx.TransportError) as caught:
            client.get(running.url("/"))
        told = mtls.explain(caught.value)
        assert isinstance(told, mtls.HandshakeError)
        assert (told.step, told.failure) == (6, "unknown_ca")
        assert kept.get(running.url("/")).text == "old.example 0"  # a connection keeps what it was made with
