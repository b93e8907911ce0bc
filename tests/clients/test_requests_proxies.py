"""requests through a proxy on our adapter: the tunnel carries our TLS, and a TLS proxy is a host like any other."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import socketserver
import ssl
import threading
from typing import TYPE_CHECKING, NamedTuple, Protocol

import pytest
import requests

import mtls
from mtls.integrations.requests import MTLSAdapter, session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import Placed, Serve, Server

_DEADLINE = 20.0


class Tunnel(NamedTuple):
    """A tunnel as the proxy saw it: its target, and the first DNS name of the certificate that was shown."""

    target: str
    client: str | None


class Proxy(socketserver.ThreadingTCPServer):
    """A proxy that knows only CONNECT, in the clear or behind TLS; every tunnel ends on this machine."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self._context = context
        self._seen: queue.Queue[Tunnel | OSError] = queue.Queue()
        self.port: int = self.server_address[1]
        self.url = f"{'http' if context is None else 'https'}://localhost:{self.port}"

    def seen(self) -> Tunnel | OSError:
        """The next tunnel, or what the next connection failed with."""
        return self._seen.get(timeout=_DEADLINE)

    def saw_nothing(self) -> bool:
        """Whether every tunnel was asked for."""
        return self._seen.empty()

    def finish_request(self, request: object, _: object) -> None:
        assert isinstance(request, socket.socket)
        request.settimeout(_DEADLINE)
        try:
            near = request if self._context is None else self._context.wrap_socket(request, server_side=True)
        except OSError as error:
            self._seen.put(error)
            return
        with near, contextlib.suppress(OSError):
            head = near.recv(4096)  # a CONNECT comes in one piece
            if not head:
                return
            target = head.split(b" ")[1].decode()
            identity = mtls.peer_identity(near) if isinstance(near, ssl.SSLSocket) else None
            self._seen.put(Tunnel(target, identity.dns_names[0] if identity else None))
            with socket.create_connection(("127.0.0.1", int(target.rpartition(":")[2])), timeout=_DEADLINE) as far:
                near.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                _carry(near, far)


def _carry(near: socket.socket, far: socket.socket) -> None:
    """Carry bytes both ways until both ends are done; what the server said before it closed arrives."""
    others, reading = {near: far, far: near}, {near, far}
    while reading:
        for ready in select.select(list(reading), [], [], _DEADLINE)[0]:
            data = ready.recv(65536)
            while isinstance(ready, ssl.SSLSocket) and ready.pending():
                data += ready.recv(65536)
            with contextlib.suppress(OSError):  # it is closed already: it may still have something to say
                others[ready].sendall(data)
            if not data:
                reading.remove(ready)
                with contextlib.suppress(OSError):
                    others[ready].shutdown(socket.SHUT_WR)


class ServeProxy(Protocol):
    """Starts a proxy, in the clear without a profile; it is stopped at the end of the test."""

    def __call__(self, profile: mtls.ServerProfile | None = None) -> Proxy: ...


@pytest.fixture
def serve_proxy() -> Iterator[ServeProxy]:
    with contextlib.ExitStack() as running:

        def start(profile: mtls.ServerProfile | None = None) -> Proxy:
            proxy = running.enter_context(Proxy(None if profile is None else profile.ssl_context()))
            thread = threading.Thread(target=proxy.serve_forever, args=(0.01,))
            thread.start()
            running.callback(thread.join, _DEADLINE)
            running.callback(proxy.shutdown)
            return proxy

        yield start


@pytest.fixture
def tls_proxy(serve_proxy: ServeProxy, authority: CertificateAuthority) -> Proxy:
    """A proxy of the authority that asks for a certificate and needs none."""
    return serve_proxy(
        mtls.TLSProfile.server(
            keystore=authority.server("localhost"),
            truststore=authority.truststore,
            client_auth=mtls.ClientAuth.OPTIONAL,
        )
    )


def _through(adapter: MTLSAdapter, proxy: Proxy) -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", adapter)
    made.proxies = {"https": proxy.url}
    return made


class TestInTheClear:
    """``http://`` proxies see a CONNECT and then our TLS."""

    def test_the_server_sees_our_certificate(
        self, client_profile: mtls.ClientProfile, server: Server, serve_proxy: ServeProxy
    ) -> None:
        proxy, adapter = serve_proxy(), MTLSAdapter(client_profile, hosts=["localhost"])
        with _through(adapter, proxy) as asking:
            for verify in (True, "/a/path/that/changes/nothing"):
                assert asking.get(server.url, verify=verify, timeout=_DEADLINE).text == "hello"
                assert server.seen().client == "billing-prod"
        assert proxy.seen() == Tunnel(f"localhost:{server.port}", None)
        assert adapter.context.cert_store_stats()["x509_ca"] == 1

    def test_its_manager_has_the_context_too(
        self, client_profile: mtls.ClientProfile, server: Server, serve_proxy: ServeProxy
    ) -> None:
        """For whoever asks it without the adapter."""
        with contextlib.closing(MTLSAdapter(client_profile)) as adapter:
            manager = adapter.proxy_manager_for(serve_proxy().url)
            assert manager.request("GET", server.url, timeout=_DEADLINE).data == b"hello"

    @pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
    def test_the_environment_names_one(
        self,
        client_profile: mtls.ClientProfile,
        server: Server,
        serve_proxy: ServeProxy,
        monkeypatch: pytest.MonkeyPatch,
        variable: str,
    ) -> None:
        proxy = serve_proxy()
        monkeypatch.setenv(variable, proxy.url)
        with session(client_profile, "localhost") as asking:
            assert asking.get(server.url, timeout=_DEADLINE).text == "hello"
        assert proxy.seen() == Tunnel(f"localhost:{server.port}", None)
        with session(client_profile, "localhost") as asking:
            asking.trust_env = False
            assert asking.get(server.url, timeout=_DEADLINE).text == "hello"
        assert proxy.saw_nothing()

    @pytest.mark.parametrize("verify", [True, "/a/path/that/changes/nothing"], ids=["True", "a path"])
    def test_a_strange_server_is_refused_at_step_4(
        self,
        client_profile: mtls.ClientProfile,
        strange_server: Server,
        serve_proxy: ServeProxy,
        placed: Placed,
        verify: bool | str,
    ) -> None:
        with (
            _through(MTLSAdapter(client_profile), serve_proxy()) as asking,
            pytest.raises(requests.exceptions.SSLError) as caught,
        ):
            asking.get(strange_server.url, verify=verify, timeout=_DEADLINE)
        assert placed(caught.value) == (4, "local", "unknown_ca")

    def test_a_host_that_is_not_listed_is_not_told_to_the_proxy(
        self, client_profile: mtls.ClientProfile, serve_proxy: ServeProxy
    ) -> None:
        proxy = serve_proxy()
        with _through(MTLSAdapter(client_profile, hosts=["localhost"]), proxy) as asking:
            with pytest.raises(mtls.UsageError, match="'other', port 443, is not one of"):
                asking.get("https://other/", timeout=_DEADLINE)
            with pytest.raises(mtls.SealedContextError):
                asking.get("https://localhost/", verify=False, timeout=_DEADLINE)
        assert proxy.saw_nothing()


class TestBehindTLS:
    """``https://`` proxies are hosts that see a certificate: TLS in TLS."""

    def test_our_own_profile_serves_for_both(
        self, client_profile: mtls.ClientProfile, server: Server, tls_proxy: Proxy
    ) -> None:
        adapter = MTLSAdapter(client_profile)
        with _through(adapter, tls_proxy) as asking:
            assert asking.get(server.url, timeout=_DEADLINE).text == "hello"
        assert server.seen().client == "billing-prod"
        assert tls_proxy.seen() == Tunnel(f"localhost:{server.port}", "billing-prod")
        assert adapter.context.cert_store_stats()["x509_ca"] == 1

    def test_the_proxy_has_a_profile_of_its_own(
        self,
        client_profile: mtls.ClientProfile,
        stranger: CertificateAuthority,
        server: Server,
        serve_proxy: ServeProxy,
        placed: Placed,
    ) -> None:
        proxy = serve_proxy(mtls.TLSProfile.server(keystore=stranger.server("localhost")))
        to_proxy = mtls.TLSProfile.client(truststore=stranger.truststore, hosts=["localhost"]).ssl_context()
        adapter = MTLSAdapter(client_profile, hosts=[f"localhost:{server.port}"], proxy=to_proxy)
        with _through(adapter, proxy) as asking:
            assert asking.get(server.url, timeout=_DEADLINE).text == "hello"
        assert (server.seen().client, proxy.seen()) == ("billing-prod", Tunnel(f"localhost:{server.port}", None))
        assert adapter.context.cert_store_stats() == to_proxy.cert_store_stats() == {"x509": 1, "x509_ca": 1, "crl": 0}
        with (
            _through(MTLSAdapter(client_profile), proxy) as asking,
            pytest.raises((requests.exceptions.SSLError, requests.exceptions.ProxyError)) as caught,
        ):
            asking.get(server.url, timeout=_DEADLINE)
        assert placed(caught.value) == (4, "local", "unknown_ca")

    @pytest.mark.parametrize("listed", [["localhost:{server}"], ["localhost:{server}", "other.example:{proxy}"]])
    def test_a_proxy_that_is_not_listed_is_not_shown_our_certificate(
        self, client_profile: mtls.ClientProfile, server: Server, tls_proxy: Proxy, listed: Sequence[str]
    ) -> None:
        hosts = [entry.format(server=server.port, proxy=tls_proxy.port) for entry in listed]
        with (
            _through(MTLSAdapter(client_profile, hosts=hosts), tls_proxy) as asking,
            pytest.raises(mtls.UsageError, match=f"'localhost', port {tls_proxy.port}, is not one of the hosts"),
        ):
            asking.get(server.url, timeout=_DEADLINE)
        assert tls_proxy.saw_nothing()
        with _through(MTLSAdapter(client_profile, hosts=[*hosts, f"localhost:{tls_proxy.port}"]), tls_proxy) as asking:
            assert asking.get(server.url, timeout=_DEADLINE).text == "hello"

    def test_a_proxy_that_its_profile_does_not_list_is_refused_before_it_is_looked_up(
        self, client_profile: mtls.ClientProfile, authority: CertificateAuthority
    ) -> None:
        to_proxy = mtls.TLSProfile.client(truststore=authority.truststore, hosts=["proxy.example"])
        with requests.Session() as asking:
            asking.mount("https://", MTLSAdapter(client_profile, proxy=to_proxy))
            asking.proxies = {"https": "https://nowhere.invalid:8443"}
            with pytest.raises(
                mtls.UsageError, match=r"'nowhere\.invalid' is not listed in hosts=\('proxy\.example',\)"
            ):
                asking.get("https://api.example/", timeout=_DEADLINE)

    @pytest.mark.parametrize(("wanted", "let_in"), [("proxy", True), ("other", False)], ids=["right ID", "wrong ID"])
    def test_a_spiffe_id_takes_the_place_of_its_name(
        self,
        client_profile: mtls.ClientProfile,
        authority: CertificateAuthority,
        server: Server,
        serve_proxy: ServeProxy,
        placed: Placed,
        wanted: str,
        let_in: bool,
    ) -> None:
        proxy = serve_proxy(mtls.TLSProfile.server(keystore=authority.server("spiffe://prod.example/proxy")))
        to_proxy = mtls.TLSProfile.client(
            truststore=authority.truststore,
            server_identity=mtls.PeerPolicy.spiffe_id(f"spiffe://prod.example/{wanted}"),
        )
        with _through(MTLSAdapter(client_profile, proxy=to_proxy), proxy) as asking:
            if let_in:
                assert asking.get(server.url, timeout=_DEADLINE).text == "hello"
                return
            with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ProxyError)) as caught:
                asking.get(server.url, timeout=_DEADLINE)
        assert placed(caught.value) == (4, "local", "not_authorized")


@pytest.mark.parametrize("behind_tls", [False, True], ids=["http proxy", "https proxy"])
@pytest.mark.parametrize("body", [b"", bytes(2 * 1024 * 1024)], ids=["GET", "POST of 2 MB"])
def test_a_late_refusal_comes_through_the_tunnel(
    bare_client_profile: mtls.ClientProfile,
    serve: Serve,
    server_profile: mtls.ServerProfile,
    serve_proxy: ServeProxy,
    tls_proxy: Proxy,
    placed: Placed,
    behind_tls: bool,
    body: bytes,
) -> None:
    server = serve(server_profile)
    for _ in range(10):
        with (
            _through(MTLSAdapter(bare_client_profile), tls_proxy if behind_tls else serve_proxy()) as asking,
            pytest.raises(requests.exceptions.RequestException) as caught,
        ):
            asking.request("POST" if body else "GET", server.url, data=body, timeout=_DEADLINE)
        assert placed(caught.value) == (5, "peer", "certificate_required")
