"""HTTP libraries set trust, checks and protocols on the context they are given. What would loosen ours is refused."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import urllib3
from requests.adapters import HTTPAdapter

import mtls

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.seal.conftest import Serve, Server

_DEADLINE = 20.0


def _sealed(exc: BaseException) -> mtls.SealedContextError:
    """The refusal inside of whatever a library made of it."""
    found = mtls.explain(exc)
    assert isinstance(found, mtls.SealedContextError), found
    return found


def _cas(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


class _NaiveAdapter(HTTPAdapter):
    """What the web tells people to write who have a context of their own."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)


def _answer_or_refusal(call: Callable[[], str]) -> str:
    try:
        return call()
    except requests.exceptions.SSLError as error:
        return str(_sealed(error))


class TestRequests:
    """It adds the public CAs, or whatever ``verify=`` says, to the context of a connection (117 with certifi)."""

    @pytest.fixture
    def session(self, context: mtls.TLSContext) -> Iterator[requests.Session]:
        with requests.Session() as session:
            session.trust_env = False
            session.mount("https://", _NaiveAdapter(context))
            yield session

    def test_adds_no_ca(self, session: requests.Session, context: mtls.TLSContext, server: Server) -> None:
        assert _cas(context) == 1
        """Most versions add them, which is refused; 2.32.3 and 2.32.4 do not, and get their answer."""
        for _ in range(3):
            answer = _answer_or_refusal(lambda: session.get(server.url, timeout=_DEADLINE).text)
            assert answer == "hello" or "load_verify_locations" in answer
            assert _cas(context) == 1
            assert len(context.get_ca_certs()) == 1

    def test_adds_no_ca_that_a_call_names(
        self,
        session: requests.Session,
        context: mtls.TLSContext,
        foreign_server: Server,
        foreign_folder: Path,
    ) -> None:
        with pytest.raises(requests.exceptions.SSLError) as caught:
            session.get(foreign_server.url, timeout=_DEADLINE, verify=str(foreign_folder / "ca.crt"))
        assert "load_verify_locations" in str(_sealed(caught.value))
        assert _cas(context) == 1

    def test_adds_no_ca_that_the_environment_names(
        self,
        session: requests.Session,
        context: mtls.TLSContext,
        foreign_server: Server,
        foreign_folder: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        session.trust_env = True
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(foreign_folder / "ca.crt"))
        monkeypatch.setenv("NO_PROXY", "*")
        with pytest.raises(requests.exceptions.SSLError) as caught:
            session.get(foreign_server.url, timeout=_DEADLINE)
        assert "load_verify_locations" in str(_sealed(caught.value))
        assert _cas(context) == 1

    def test_does_not_switch_verification_off(
        self, session: requests.Session, context: mtls.TLSContext, foreign_server: Server
    ) -> None:
        with pytest.raises(requests.exceptions.SSLError) as caught:
            session.get(foreign_server.url, timeout=_DEADLINE, verify=False)
        assert "verify_mode" in str(_sealed(caught.value))
        assert context.verify_mode.name == "CERT_REQUIRED"

    def test_does_not_swap_the_identity(
        self, session: requests.Session, context: mtls.TLSContext, server: Server, client_folder: Path
    ) -> None:
        own = (str(client_folder / "tls.crt"), str(client_folder / "tls.key"))
        with pytest.raises(requests.exceptions.SSLError) as caught:
            session.get(server.url, timeout=_DEADLINE, cert=own)
        _sealed(caught.value)
        assert _cas(context) == 1


class TestUrllib3:
    """It assigns ``verify_mode`` on every connection."""

    def _get(self, url: str, **options: Any) -> urllib3.BaseHTTPResponse:
        with urllib3.PoolManager(retries=False, timeout=_DEADLINE, **options) as manager:
            return manager.request("GET", url)

    def test_gets_its_answer(self, context: mtls.TLSContext, server: Server) -> None:
        for options in ({}, {"cert_reqs": "CERT_REQUIRED"}, {"cert_reqs": "REQUIRED"}):
            assert self._get(server.url, ssl_context=context, **options).data == b"hello"
            assert server.outcome() == ("/", None, True)
        assert _cas(context) == 1

    @pytest.mark.parametrize(
        ("option", "refused"),
        [
            ({"cert_reqs": "CERT_NONE"}, "verify_mode"),
            ({"cert_reqs": "CERT_OPTIONAL"}, "verify_mode"),
            ({"assert_hostname": False}, "check_hostname"),
            ({"assert_hostname": "other.example"}, "check_hostname"),
            ({"assert_fingerprint": "00" * 32}, "check_hostname"),
        ],
        ids=["CERT_NONE", "CERT_OPTIONAL", "no name", "another name", "a fingerprint"],
    )
    def test_is_refused_to_drop_a_check(
        self, context: mtls.TLSContext, server: Server, option: dict[str, Any], refused: str
    ) -> None:
        with pytest.raises(urllib3.exceptions.HTTPError) as caught:
            self._get(server.url, ssl_context=context, **option)
        assert refused in str(_sealed(caught.value))
        assert (context.verify_mode.name, context.check_hostname) == ("CERT_REQUIRED", True)

    def test_is_refused_to_add_a_ca_or_an_identity(
        self, context: mtls.TLSContext, foreign_server: Server, foreign_folder: Path
    ) -> None:
        for option in (
            {"ca_certs": str(foreign_folder / "ca.crt")},
            {"ca_cert_dir": str(foreign_folder)},
            {"ca_cert_data": (foreign_folder / "ca.crt").read_text()},
            {"cert_file": str(foreign_folder / "tls.crt"), "key_file": str(foreign_folder / "tls.key")},
        ):
            with pytest.raises(urllib3.exceptions.HTTPError) as caught:
                self._get(foreign_server.url, ssl_context=context, **option)
            _sealed(caught.value)
        assert _cas(context) == 1

    def test_refuses_a_foreign_server_at_step_4(self, context: mtls.TLSContext, foreign_server: Server) -> None:
        with pytest.raises(urllib3.exceptions.HTTPError) as caught:
            self._get(foreign_server.url, ssl_context=context)
        found = mtls.explain(caught.value)
        assert isinstance(found, mtls.PeerVerificationError)
        assert (found.step, found.side, found.failure) == (4, "local", "unknown_ca")


class TestHttpx:
    """httpcore sets ALPN on every connection."""

    def test_gets_its_answer_and_its_alpn(self, context: mtls.TLSContext, serve: Serve, alpn_context: Any) -> None:
        server = serve(alpn_context)
        with httpx.Client(verify=context, trust_env=False) as client:
            for _ in range(3):
                assert client.get(server.url).text == "hello"
                assert server.outcome() == ("/", "http/1.1", True)
        assert _cas(context) == 1

    def test_is_refused_to_swap_the_identity(self, context: mtls.TLSContext, client_folder: Path) -> None:
        own = (str(client_folder / "tls.crt"), str(client_folder / "tls.key"))
        with pytest.warns(DeprecationWarning, match="cert"), pytest.raises(mtls.SealedContextError):
            httpx.Client(verify=context, cert=own)

    def test_refuses_a_foreign_server_at_step_4(self, context: mtls.TLSContext, foreign_server: Server) -> None:
        with httpx.Client(verify=context, trust_env=False) as client, pytest.raises(httpx.ConnectError) as caught:
            client.get(foreign_server.url)
        found = mtls.explain(caught.value)
        assert isinstance(found, mtls.PeerVerificationError)
        assert (found.step, found.side, found.failure) == (4, "local", "unknown_ca")


@pytest.fixture
def alpn_context(authority: CertificateAuthority) -> mtls.TLSContext:
    """A server that prefers HTTP/2."""
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, alpn=["h2", "http/1.1"]
    )
    return profile.ssl_context()


class TestProtocolsOfSeveralConsumers:
    def test_never_mix_on_100_connections_of_two_threads(
        self, context: mtls.TLSContext, serve: Serve, alpn_context: mtls.TLSContext
    ) -> None:
        """One is httpx; the other does what httpcore does for HTTP/2, whose library is not needed for that."""
        server = serve(alpn_context)

        def with_httpx() -> None:
            with httpx.Client(verify=context, trust_env=False) as client:
                for _ in range(50):
                    assert client.get(f"{server.url}/http/1.1").text == "hello"

        def with_h2() -> None:
            for _ in range(50):
                context.set_alpn_protocols(["http/1.1", "h2"])
                assert _ask(context, server, "/h2") == "h2"

        _at_once(with_httpx, with_h2)
        outcomes = [server.outcome() for _ in range(100)]
        assert sorted(outcomes, key=str) == [("/h2", "h2", True)] * 50 + [("/http/1.1", "http/1.1", True)] * 50

    def test_one_that_asks_for_nothing_gets_the_profile_s(
        self, client_profile: mtls.ClientProfile, authority: CertificateAuthority, serve: Serve, alpn_context: Any
    ) -> None:
        assert client_profile.keystore is not None
        profile = mtls.TLSProfile.client(truststore=authority.truststore, keystore=client_profile.keystore, alpn=["h2"])
        context, server = profile.ssl_context(), serve(alpn_context)
        assert _ask(context, server, "/") == "h2"
        spoken: list[str | None] = []

        def another() -> None:
            context.set_alpn_protocols(["http/1.1"])
            spoken.append(_ask(context, server, "/"))

        _at_once(another)
        assert (spoken, _ask(context, server, "/")) == (["http/1.1"], "h2")

    @pytest.mark.parametrize("names", [["ü"], [""], ["x" * 256], [b"h2"]], ids=["ASCII", "empty", "long", "bytes"])
    def test_a_name_that_is_none_is_a_mistake_of_the_call(self, context: mtls.TLSContext, names: list[str]) -> None:
        with pytest.raises(mtls.UsageError, match="ALPN"):
            context.set_alpn_protocols(names)


def _ask(context: ssl.SSLContext, server: Server, path: str) -> str | None:
    """Send one request; the protocol that was chosen."""
    sock = _connect(server)
    with sock, context.wrap_socket(sock, server_hostname="localhost") as tls:
        tls.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        while tls.recv(4096):
            pass
        return tls.selected_alpn_protocol()


def _connect(server: Server) -> socket.socket:
    import socket

    return socket.create_connection(("127.0.0.1", server.port), timeout=_DEADLINE)


def _at_once(*actions: Callable[[], None]) -> None:
    """Run each in a thread of its own, all from the same moment on; the first error is raised."""
    errors: list[BaseException] = []
    together = threading.Barrier(len(actions))

    def run(action: Callable[[], None]) -> None:
        try:
            together.wait(_DEADLINE)
            action()
        except BaseException as error:  # noqa: BLE001 - raised again in the thread of the test
            errors.append(error)

    threads = [threading.Thread(target=run, args=(action,)) for action in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
