"""Flask and WSGI on werkzeug's threaded server: who calls, out of the environ; and whom nobody can name.

The server is started as ``docs/how-to/other-servers.md`` says.
"""

from __future__ import annotations

import contextlib
import http.client
import logging
import logging.handlers
import queue
import socket
import ssl
import threading
import wsgiref.simple_server
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from flask import Flask, abort, request
from werkzeug.serving import WSGIRequestHandler, make_server

import mtls

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf

_DEADLINE = 20.0
_AUDITORS = mtls.PeerPolicy.dns("audit.example")
_FORGED = {
    "X-SSL-Client-Cert": "audit.example",
    "X-Forwarded-Client-Cert": 'URI=spiffe://prod.example/audit;Subject="CN=audit.example"',
    "Client-Cert": ":bm9ib2R5:",
    "SSL_CLIENT_CERT": "audit.example",
    "werkzeug.socket": "audit.example",
    "gunicorn.socket": "audit.example",
}
"""What proxies put a certificate into, and the keys under which servers hand over the connection."""

app = Flask(__name__)
calls: list[str] = []
"""The paths of the requests that reached the application."""


@app.before_request
def _note() -> None:
    calls.append(request.path)


@app.get("/")
def who() -> dict[str, Any]:
    peer = mtls.peer_identity(request)
    assert mtls.peer_identity(request.environ) == peer
    if peer is None:
        return {"name": None}
    chain = [entry.serial_number for entry in peer.chain]
    return {"name": peer.dns_names[0], "chain": chain, "resumed": peer.resumed}


@app.get("/audit")
def audit() -> str:
    peer = mtls.peer_identity(request)
    if peer is None or _AUDITORS(peer) is not True:
        abort(403)
    return "the books"


class Handler(WSGIRequestHandler):
    timeout = _DEADLINE

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002, ARG002 - the signature is werkzeug's
        logging.getLogger("test.werkzeug").info(message, *args)


@pytest.fixture
def refusals() -> Iterator[queue.Queue[logging.LogRecord]]:
    """What the logger ``mtls`` is told, as it comes."""
    told: queue.Queue[logging.LogRecord] = queue.Queue()
    handler, logger = logging.handlers.QueueHandler(told), logging.getLogger("mtls")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield told
    logger.setLevel(level)
    logger.removeHandler(handler)


class ServeWSGI(Protocol):
    """Runs an application under werkzeug in threads, and gives the port; ``None`` is a server without TLS."""

    def __call__(self, context: ssl.SSLContext | None, *, application: Any = app, late: bool = True) -> int: ...


@pytest.fixture
def serve_wsgi() -> Iterator[ServeWSGI]:
    calls.clear()
    with contextlib.ExitStack() as running:

        def serve(context: ssl.SSLContext | None, *, application: Any = app, late: bool = True) -> int:
            server = make_server(
                "127.0.0.1", 0, application, threaded=True, ssl_context=context, request_handler=Handler
            )
            if late and context is not None:
                listener: Any = server.socket  # typeshed does not know the attribute
                listener.do_handshake_on_connect = False
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            running.callback(thread.join, _DEADLINE)
            running.callback(server.shutdown)
            return server.port

        yield serve


def connection_to(port: int, context: ssl.SSLContext) -> http.client.HTTPSConnection:
    return http.client.HTTPSConnection("localhost", port, context=context, timeout=_DEADLINE)


def get(port: int, context: ssl.SSLContext, path: str = "/", headers: dict[str, str] | None = None) -> tuple[int, Any]:
    """Status and content of one answer, on a connection of its own."""
    with contextlib.closing(connection_to(port, context)) as connection:
        return _get(connection, path, headers)


def _get(
    connection: http.client.HTTPConnection, path: str = "/", headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    connection.request("GET", path, headers=headers or {})
    with connection.getresponse() as answer:
        content = answer.read()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, app.json.loads(content) if is_json else content


def refusal(port: int, context: ssl.SSLContext) -> mtls.HandshakeError:
    with pytest.raises(mtls.HandshakeError) as caught:
        get(port, context)
    return caught.value


# --- who calls ---


def test_60_interleaved_requests_of_6_users_each_get_their_own_name(
    server_profile: mtls.ServerProfile, serve_wsgi: ServeWSGI, client_of: ClientOf
) -> None:
    port = serve_wsgi(server_profile.ssl_context())
    names = [f"user-{number}.example" for number in range(6)]
    together = threading.Barrier(len(names), timeout=_DEADLINE)

    def ask(name: str) -> Counter[bool]:
        right: Counter[bool] = Counter()
        with contextlib.closing(connection_to(port, client_of(name))) as connection:
            for _ in range(10):  # werkzeug answers one request on a connection
                together.wait()
                right[_get(connection)[1]["name"] == name] += 1
        return right

    with ThreadPoolExecutor(len(names)) as pool:
        assert sum(pool.map(ask, names), Counter()) == {True: 60}


def test_a_context_of_the_standard_library_that_verifies_names_its_clients_too(
    authority: CertificateAuthority, serve_wsgi: ServeWSGI, client_of: ClientOf, tmp_path: Path
) -> None:
    authority.save_keystore(authority.server("localhost"), tmp_path)
    stock = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.crt"))
    stock.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
    stock.verify_mode = ssl.CERT_REQUIRED
    assert get(serve_wsgi(stock), client_of("billing.example"))[1]["name"] == "billing.example"


def test_a_resumed_connection_gives_the_same_identity(
    server_profile: mtls.ServerProfile, serve_wsgi: ServeWSGI, client_of: ClientOf
) -> None:
    seen: list[mtls.PeerIdentity | None] = []

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.append(mtls.peer_identity(environ))
        start_response("204 No Content", [("Connection", "close")])
        return []

    port, context = serve_wsgi(server_profile.ssl_context(), application=application), client_of("billing.example")
    session = None
    for _ in range(3):
        with (
            socket.create_connection(("127.0.0.1", port), _DEADLINE) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as tls,
        ):
            tls.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            while tls.recv(4096):
                pass
            session = tls.session
    first, *others = seen
    assert first is not None
    assert not first.resumed
    for other in others:
        assert other == first
        assert other.resumed
        assert other.chain == first.chain


def test_a_reloaded_context_serves_new_connections_and_leaves_the_others_alone(
    authority: CertificateAuthority, serve_wsgi: ServeWSGI, client_of: ClientOf, tmp_path: Path
) -> None:
    authority.save_keystore(authority.server("localhost", serial_number=1), tmp_path)
    profile = mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory(tmp_path), truststore=mtls.Truststore.from_directory(tmp_path)
    )
    port = serve_wsgi(profile.ssl_context(reload=mtls.Reload(min_interval=0)))

    def serial(connection: http.client.HTTPSConnection) -> int:
        connection.connect()
        peer = mtls.peer_identity(connection.sock)
        assert peer is not None
        return peer.certificate.serial_number

    with (
        contextlib.closing(connection_to(port, client_of("billing.example"))) as old,
        contextlib.closing(connection_to(port, client_of("billing.example"))) as new,
    ):
        assert serial(old) == 1
        renewed = authority.server("localhost", serial_number=2)
        authority.save_keystore(renewed, tmp_path, existing=mtls.Existing.REPLACE)
        assert serial(new) == 2
        assert [_get(connection)[1]["name"] for connection in (old, new)] == ["billing.example"] * 2


# --- who is refused ---


def test_a_client_without_a_certificate_is_told_step_5(
    server_profile: mtls.ServerProfile,
    serve_wsgi: ServeWSGI,
    client_of: ClientOf,
    refusals: queue.Queue[logging.LogRecord],
) -> None:
    error = refusal(serve_wsgi(server_profile.ssl_context()), client_of(None))
    assert (error.step, error.failure, error.side) == (5, "certificate_required", "peer")
    logged = refusals.get(timeout=_DEADLINE)
    assert logged.levelname == "INFO"
    assert logged.getMessage().startswith("step 5 CLIENT_CERTIFICATE failed: the client 127.0.0.1:")
    assert not calls


def test_a_client_of_another_ca_is_told_step_6(
    server_profile: mtls.ServerProfile, serve_wsgi: ServeWSGI, client_of: ClientOf, stranger: CertificateAuthority
) -> None:
    intruder = client_of("audit.example", issuer=stranger)
    error = refusal(serve_wsgi(server_profile.ssl_context()), intruder)
    assert (error.step, error.failure, error.side) == (6, "unknown_ca", "peer")
    assert not calls


def test_a_client_that_authorize_refuses_learns_nothing_and_never_reaches_the_application(
    authority: CertificateAuthority,
    serve_wsgi: ServeWSGI,
    client_of: ClientOf,
    refusals: queue.Queue[logging.LogRecord],
) -> None:
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=_AUDITORS
    )
    port = serve_wsgi(profile.ssl_context())
    with pytest.raises(http.client.RemoteDisconnected) as caught:
        get(port, client_of("billing.example"))
    assert mtls.explain(caught.value) is None
    assert get(port, client_of("audit.example"), "/audit") == (200, b"the books")
    assert calls == ["/audit"]
    logged = refusals.get(timeout=_DEADLINE)
    assert logged.levelname == "WARNING"
    assert logged.getMessage().startswith("step 6 SERVER_VERIFIES_CLIENT failed: ")
    assert "authorize= does not admit <PeerIdentity billing.example>" in logged.getMessage()


def test_a_route_takes_the_callers_of_its_policy_and_no_others(
    authority: CertificateAuthority, serve_wsgi: ServeWSGI, client_of: ClientOf
) -> None:
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, client_auth=mtls.ClientAuth.OPTIONAL
    )
    port = serve_wsgi(profile.ssl_context())
    statuses = [get(port, client_of(name), "/audit")[0] for name in ("audit.example", "billing.example", None)]
    assert statuses == [200, 403, 403]


# --- who is nobody ---


def _nobodies(authority: CertificateAuthority) -> dict[str, mtls.ServerProfile]:
    keystore, trust = authority.server("localhost"), authority.truststore
    optional = mtls.TLSProfile.server(keystore=keystore, truststore=trust, client_auth=mtls.ClientAuth.OPTIONAL)
    return {"optional": optional, "one-way": mtls.TLSProfile.server(keystore=keystore)}


@pytest.mark.parametrize(
    ("kind", "name"), [("optional", None), ("one-way", None), ("one-way", "audit.example")], ids=str
)
def test_over_tls_an_unverified_client_is_nobody_whatever_its_headers_say(
    authority: CertificateAuthority, serve_wsgi: ServeWSGI, client_of: ClientOf, kind: str, name: str | None
) -> None:
    port = serve_wsgi(_nobodies(authority)[kind].ssl_context())
    assert get(port, client_of(name), headers=_FORGED) == (200, {"name": None})
    assert get(port, client_of(name), "/audit", _FORGED)[0] == 403


def test_over_plain_http_a_client_is_nobody_whatever_its_headers_say(serve_wsgi: ServeWSGI) -> None:
    plain = http.client.HTTPConnection("127.0.0.1", serve_wsgi(None), timeout=_DEADLINE)
    with contextlib.closing(plain):
        assert _get(plain, headers=_FORGED) == (200, {"name": None})
        assert _get(plain, "/audit", _FORGED)[0] == 403


def test_the_headers_of_a_verified_client_do_not_make_it_somebody_else(
    server_profile: mtls.ServerProfile, serve_wsgi: ServeWSGI, client_of: ClientOf
) -> None:
    port = serve_wsgi(server_profile.ssl_context())
    assert get(port, client_of("billing.example"), headers=_FORGED)[1]["name"] == "billing.example"
    assert get(port, client_of("billing.example"), "/audit", _FORGED)[0] == 403


# --- whom nobody can name ---


class Connection:
    """Looks like ``OpenSSL.SSL.Connection``."""

    def get_peer_certificate(self) -> object:
        return object()

    def get_verified_chain(self) -> list[object]:
        return [object()]


@pytest.mark.parametrize(
    ("held", "remedy"),
    [
        (Connection(), "not Connection: give the connection itself, made by the ssl module"),
        ({"type": "http", "asgi": {"version": "3.0"}}, "run the application with mtls.integrations.uvicorn.run()"),
        ({"type": "http", "asgi": {"version": "3.0"}, "extensions": {"tls": {"client_cert_chain": ["…"]}}}, "uvicorn"),
        ({"REQUEST_METHOD": "GET", "SSL_CLIENT_CERT": "…", "SSL_CLIENT_VERIFY": "SUCCESS"}, "use gunicorn (sync or"),
        ({}, "use gunicorn (sync or gthread workers) or werkzeug"),
        (None, "not NoneType"),
        ("billing.example", "not str"),
    ],
    ids=["pyOpenSSL", "ASGI", "ASGI with its TLS extension", "CGI variables", "empty", "None", "a name"],
)
def test_what_holds_no_connection_of_ours_is_an_error_with_the_remedy(held: Any, remedy: str) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        mtls.peer_identity(held)
    assert remedy in str(caught.value)


def test_under_wsgiref_the_error_names_the_servers_that_can(
    server_profile: mtls.ServerProfile, client_of: ClientOf
) -> None:
    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *_: Any) -> None: ...

    def application(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        try:
            return [repr(mtls.peer_identity(environ)).encode()]
        except mtls.UsageError as error:
            return [str(error).encode()]

    with wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        server.socket = server_profile.ssl_context().wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        status, content = get(server.server_port, client_of("billing.example"))
        thread.join(_DEADLINE)
    assert status == 200
    assert b"this WSGI server does not hand its connection to the application" in content
    assert b"use gunicorn (sync or gthread workers) or werkzeug" in content


def test_the_test_client_of_flask_has_no_connection_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "testing", True)
    with pytest.raises(mtls.UsageError, match="does not hand its connection to the application"):
        app.test_client().get("/")


# --- the accept loop ---


def test_a_silent_client_holds_up_werkzeug_as_it_comes(
    server_profile: mtls.ServerProfile, serve_wsgi: ServeWSGI, client_of: ClientOf
) -> None:
    port = serve_wsgi(server_profile.ssl_context(), late=False)
    silent = socket.create_connection(("127.0.0.1", port), _DEADLINE)
    held_up = connection_to(port, client_of("billing.example"))
    with contextlib.closing(held_up), contextlib.closing(silent):
        held_up.timeout = 0.3
        with pytest.raises(mtls.HandshakeTimeoutError):
            held_up.connect()
    assert get(port, client_of("billing.example"))[1]["name"] == "billing.example"


def test_a_silent_client_holds_up_nobody_if_the_handshake_is_left_to_its_thread(
    server_profile: mtls.ServerProfile, serve_wsgi: ServeWSGI, client_of: ClientOf
) -> None:
    port = serve_wsgi(server_profile.ssl_context())
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), _DEADLINE)):
        assert get(port, client_of("billing.example"))[1]["name"] == "billing.example"


def test_a_silent_client_is_cut_off_by_the_time_out_of_the_handler(
    server_profile: mtls.ServerProfile, serve_wsgi: ServeWSGI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Handler, "timeout", 0.2)
    port = serve_wsgi(server_profile.ssl_context())
    with contextlib.closing(socket.create_connection(("127.0.0.1", port), _DEADLINE)) as silent:
        assert silent.recv(100) == b""
