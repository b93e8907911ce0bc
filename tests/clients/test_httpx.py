"""httpx and httpx2, whose clients take our context by ``verify=``: refusals, HTTP/2, proxies, and the traps."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
import trio
import uvloop

import mtls
from mtls import TLSVersion

if TYPE_CHECKING:
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import ContextOf, Placed, Proxy, Refused, Serve, Server

_SMALL, _BIG = b"x" * 100, bytes(2 * 1024 * 1024)


@pytest.fixture(params=[httpx, httpx2], ids=lambda module: module.__name__)
def library(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture
def strange_folder(tmp_path: Path, stranger: CertificateAuthority) -> Path:
    """``ca.crt`` of the CA that nobody trusts, with the keystore of a client."""
    stranger.save_keystore(stranger.client("intruder"), tmp_path)
    return tmp_path


class TestLateRefusals:
    """TLS 1.3: the server refuses when the handshake of the client has ended, and closes at once."""

    @pytest.mark.parametrize("body", [None, _SMALL, _BIG], ids=["GET", "POST of 100 bytes", "POST of 2 MB"])
    def test_every_one_is_named(
        self, library: Any, server: Server, refused: Refused, context_of: ContextOf, placed: Placed, body: bytes | None
    ) -> None:
        times = 100 if library is httpx else 25
        context = context_of(refused.profile(TLSVersion.TLSv1_3))
        heard: Counter[object] = Counter()
        with library.Client(verify=context) as client:
            for _ in range(times):
                with pytest.raises(library.TransportError) as caught:
                    client.request("GET" if body is None else "POST", server.url, content=body)
                heard[placed(caught.value)] += 1
        assert heard == {refused.told: times}

    @pytest.mark.parametrize("loop", [None, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
    @pytest.mark.parametrize("body", [None, _BIG], ids=["GET", "POST of 2 MB"])
    def test_an_async_client_loses_some_and_tells_the_others_bare(
        self,
        library: Any,
        server: Server,
        refused: Refused,
        context_of: ContextOf,
        placed: Placed,
        body: bytes | None,
        loop: Any,
    ) -> None:
        """The write fails in the transport, where nobody looks for the alert; what is read is no error of httpx."""
        context = context_of(refused.profile(TLSVersion.TLSv1_3))

        async def ask() -> None:
            async with library.AsyncClient(verify=context) as client:
                await client.request("GET" if body is None else "POST", server.url, content=body)

        raised = (library.TransportError, mtls.HandshakeError)
        for _ in range(10):
            with asyncio.Runner(loop_factory=loop) as runner, pytest.raises(raised) as caught:
                runner.run(ask())
            named = isinstance(caught.value, mtls.HandshakeError)
            assert placed(caught.value) == (refused.told if named else None)


@dataclass(frozen=True)
class Get:
    """A request of a client that is made for it."""

    library: Any
    loop: str

    def __call__(self, url: str, **options: Any) -> Any:
        if self.loop == "trio":
            return trio.run(self._ask, url, options)
        if self.loop == "asyncio":
            return asyncio.run(self._ask(url, options))
        with self.library.Client(**options) as client:
            return client.get(url)

    async def _ask(self, url: str, options: dict[str, Any]) -> Any:
        async with self.library.AsyncClient(**options) as client:
            return await client.get(url)

    @property
    def transport(self) -> Any:
        """The class of the client's transports."""
        return self.library.AsyncHTTPTransport if self.loop else self.library.HTTPTransport


@pytest.fixture(params=["", "asyncio", "trio"], ids=["sync", "asyncio", "trio"])
def get(request: pytest.FixtureRequest, library: Any) -> Get:
    return Get(library, request.param)


class TestEveryClient:
    """Sync, async in asyncio, and async in trio where it is installed."""

    def test_gets_its_answer(self, get: Get, server: Server, context: mtls.TLSContext) -> None:
        assert get(server.url, verify=context).text == "hello"
        assert server.seen().client == "billing-prod"

    def test_names_the_step_at_which_it_refuses(
        self, get: Get, library: Any, strange_server: Server, context: mtls.TLSContext, placed: Placed
    ) -> None:
        with pytest.raises(library.ConnectError) as caught:
            get(strange_server.url, verify=context)
        assert placed(caught.value) == (4, "local", "unknown_ca")

    def test_does_not_trust_what_the_environment_names(
        self,
        get: Get,
        library: Any,
        strange_server: Server,
        context: mtls.TLSContext,
        strange_folder: Path,
        placed: Placed,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(strange_folder / "ca.crt"))
        monkeypatch.setenv("SSL_CERT_DIR", str(strange_folder))
        with pytest.raises(library.ConnectError) as caught:
            get(strange_server.url, verify=context, trust_env=True)
        assert placed(caught.value) == (4, "local", "unknown_ca")

    @pytest.mark.parametrize("how", ["proxy=", "mounts=", "HTTPS_PROXY"])
    def test_shows_its_certificate_through_a_proxy(
        self,
        get: Get,
        server: Server,
        proxy: Proxy,
        context: mtls.TLSContext,
        monkeypatch: pytest.MonkeyPatch,
        how: str,
    ) -> None:
        options: dict[str, Any] = {}
        if how == "proxy=":
            options["proxy"] = proxy.url
        elif how == "HTTPS_PROXY":
            monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        else:
            options["mounts"] = {"all://": get.transport(verify=context, proxy=proxy.url)}
        assert get(server.url, verify=context, **options).text == "hello"
        assert proxy.tunnel() == (None, f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_shows_one_certificate_to_the_proxy_and_another_to_the_server(
        self,
        get: Get,
        library: Any,
        server: Server,
        tls_proxy: Proxy,
        context: mtls.TLSContext,
        context_of: ContextOf,
        authority: CertificateAuthority,
    ) -> None:
        egress = context_of(
            mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("egress"))
        )
        through = library.Proxy(tls_proxy.url, ssl_context=egress)
        assert get(server.url, verify=context, proxy=through).text == "hello"
        assert tls_proxy.tunnel() == ("egress", f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_meets_a_proxy_that_is_given_no_context_with_the_public_cas(
        self,
        get: Get,
        library: Any,
        server: Server,
        tls_proxy: Proxy,
        context: mtls.TLSContext,
        placed: Placed,
    ) -> None:
        """A trap that fails closed: ``verify=`` is for the server, and never for the proxy."""
        with pytest.raises(library.ConnectError) as caught:
            get(server.url, verify=context, proxy=tls_proxy.url)
        assert placed(caught.value) == (None, "local", "unknown_ca")
        assert server.heard_no_request()


class TestTraps:
    """What looks as if it used our context, and does not."""

    @pytest.mark.filterwarnings("ignore:.*cert=:DeprecationWarning")  # it is about the option that the test is about
    @pytest.mark.parametrize("make", ["Client", "AsyncClient", "HTTPTransport", "AsyncHTTPTransport"])
    def test_cert_is_refused_and_the_identity_stays(
        self, library: Any, server: Server, context: mtls.TLSContext, strange_folder: Path, make: str
    ) -> None:
        for cert in ((str(strange_folder / "tls.crt"), str(strange_folder / "tls.key")), "both.pem"):
            with pytest.raises(mtls.SealedContextError, match="load_cert_chain"):
                getattr(library, make)(verify=context, cert=cert)
        with library.Client(verify=context) as client:
            client.get(server.url)
        assert server.seen().client == "billing-prod"

    def test_a_path_as_verify_makes_a_context_that_shows_no_certificate(
        self, library: Any, server: Server, authority: CertificateAuthority, tmp_path: Path, placed: Placed
    ) -> None:
        authority.save_keystore(authority.client("billing-prod"), tmp_path)
        with pytest.warns(DeprecationWarning, match="verify=<str>"):
            client = library.Client(verify=str(tmp_path / "ca.crt"))
        with client, pytest.raises(library.TransportError):
            client.get(server.url)
        outcome = server.outcome()
        assert isinstance(outcome, mtls.HandshakeError)
        assert placed(outcome) == (5, "local", "certificate_required")

    @pytest.mark.parametrize("option", ["transport", "mounts"])
    def test_a_transport_does_not_hear_of_the_verify_of_its_client(
        self, library: Any, server: Server, context: mtls.TLSContext, placed: Placed, option: str
    ) -> None:
        def client(**verify: Any) -> Any:
            transport = library.HTTPTransport(**verify)
            return library.Client(
                verify=context, **{option: {"all://": transport} if option == "mounts" else transport}
            )

        with client() as deaf, pytest.raises(library.ConnectError) as caught:
            deaf.get(server.url)
        assert placed(caught.value) == (None, "local", "unknown_ca")
        assert isinstance(server.outcome(), mtls.HandshakeError)
        with client(verify=context) as told:
            assert told.get(server.url).text == "hello"
        assert server.seen().client == "billing-prod"

    def test_a_redirect_to_plain_http_leaves_tls_and_hosts_behind(
        self, library: Any, server: Server, authority: CertificateAuthority, context_of: ContextOf
    ) -> None:
        """No certificate is shown there, but the request goes out: ``hosts=`` rules over TLS alone."""
        keystore = authority.client("billing-prod")
        profile = mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore, hosts=["localhost"])
        asked: list[str] = []

        def note(request: Any) -> None:
            asked.append(request.url.scheme)

        hooks = {"request": [note]}
        client = library.Client(verify=context_of(profile), follow_redirects=True, event_hooks=hooks)
        with client, pytest.raises(library.TransportError):
            client.get(f"{server.url}to/http%3A%2F%2F127.0.0.1%3A{server.port}%2F")
        assert asked == ["https", "http"]


class TestTheServer:
    """Who answered, while the connection lives."""

    def test_is_known_to_a_client(self, library: Any, server: Server, context: mtls.TLSContext) -> None:
        with library.Client(verify=context) as client:
            identity = mtls.peer_identity(client.get(server.url).extensions["network_stream"])
        assert identity is not None
        assert identity.dns_names == ("localhost",)

    def test_is_known_to_an_async_client(self, library: Any, server: Server, context: mtls.TLSContext) -> None:
        async def ask() -> mtls.PeerIdentity | None:
            async with library.AsyncClient(verify=context) as client:
                return mtls.peer_identity((await client.get(server.url)).extensions["network_stream"])

        identity = asyncio.run(ask())
        assert identity is not None
        assert identity.dns_names == ("localhost",)


class TestHTTP2:
    """ALPN is set on the context before every connection."""

    @pytest.fixture
    def both(self, serve: Serve, authority: CertificateAuthority) -> Server:
        """It prefers HTTP/2."""
        return serve(
            mtls.TLSProfile.server(
                keystore=authority.server("localhost"), truststore=authority.truststore, alpn=["h2", "http/1.1"]
            )
        )

    @pytest.mark.parametrize("shared", [False, True], ids=["a context each", "one context"])
    def test_two_clients_in_two_threads_get_the_protocol_that_each_asked_for(
        self,
        library: Any,
        both: Server,
        client_profile: mtls.ClientProfile,
        context_of: ContextOf,
        shared: bool,
    ) -> None:
        contexts = {http2: context_of(client_profile) for http2 in (False, True)}
        together, spoken = threading.Barrier(2), []

        def ask(http2: bool) -> None:
            together.wait(20)
            for _ in range(25):
                with library.Client(verify=contexts[shared or http2], http2=http2) as client:
                    spoken.append((http2, client.get(both.url).http_version))

        threads = [threading.Thread(target=ask, args=(http2,)) for http2 in contexts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert Counter(spoken) == {(False, "HTTP/1.1"): 25, (True, "HTTP/2"): 25}
        assert Counter(both.seen().alpn for _ in range(50)) == {"http/1.1": 25, "h2": 25}

    @pytest.mark.parametrize("shared", [False, True], ids=["a context each", "one context"])
    def test_two_async_clients_get_the_protocol_that_each_asked_for(
        self,
        library: Any,
        both: Server,
        client_profile: mtls.ClientProfile,
        context_of: ContextOf,
        shared: bool,
    ) -> None:
        contexts = {http2: context_of(client_profile) for http2 in (False, True)}

        async def ask(http2: bool) -> list[tuple[bool, str]]:
            spoken = []
            for _ in range(10):
                async with library.AsyncClient(verify=contexts[shared or http2], http2=http2) as client:
                    spoken.append((http2, (await client.get(both.url)).http_version))
            return spoken

        async def ask_both() -> list[tuple[bool, str]]:
            without, with_http2 = await asyncio.gather(ask(http2=False), ask(http2=True))
            return without + with_http2

        spoken = asyncio.run(ask_both())
        assert Counter(spoken) == {(False, "HTTP/1.1"): 10, (True, "HTTP/2"): 10}
        assert Counter(both.seen().alpn for _ in range(20)) == {"http/1.1": 10, "h2": 10}
