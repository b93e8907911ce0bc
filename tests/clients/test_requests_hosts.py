"""requests connects to the hosts that are listed, by TLS, and to nothing else: another host is not even looked up."""

from __future__ import annotations

import contextlib
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

import pytest
import requests

import mtls
from mtls.integrations.requests import MTLSAdapter, session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import Recorder, Server

_DEADLINE = 20.0


class _Network:
    """What a thread asks of the network, told by audit events; a hook cannot be taken away, so there is one."""

    def __init__(self) -> None:
        self._thread: int | None = None
        self._events: list[str] = []
        sys.addaudithook(self._note)

    def _note(self, event: str, _: tuple[Any, ...]) -> None:
        if event in {"socket.getaddrinfo", "socket.connect"} and threading.get_ident() == self._thread:
            self._events.append(event)

    @contextlib.contextmanager
    def watched(self) -> Iterator[list[str]]:
        self._thread, self._events = threading.get_ident(), []
        try:
            yield self._events
        finally:
            self._thread = None


_network = _Network()


class Refused(Protocol):
    """Asks for a URL; the text of the refusal, before which nothing was looked up or connected to."""

    def __call__(self, asking: requests.Session, url: str) -> str: ...


@pytest.fixture
def refused() -> Refused:
    def get(asking: requests.Session, url: str) -> str:
        with asking, _network.watched() as events, pytest.raises(mtls.UsageError) as caught:
            asking.get(url, timeout=_DEADLINE)
        assert events == []
        assert "nothing was sent" in str(caught.value)
        return str(caught.value)

    return get


def _mounted(adapter: MTLSAdapter, *prefixes: str) -> requests.Session:
    made = requests.Session()
    for prefix in prefixes:
        made.mount(prefix, adapter)
    return made


class TestOneHost:
    def test_a_listed_host_is_reached(self, client_profile: mtls.ClientProfile, server: Server) -> None:
        for listed in ("localhost", "LOCALHOST.", f"localhost:{server.port}"):
            with session(client_profile, "other.example", listed) as asking, _network.watched() as events:
                assert asking.get(server.url, timeout=_DEADLINE).text == "hello"
            assert set(events) == {"socket.getaddrinfo", "socket.connect"}, "the watch sees nothing"

    def test_another_host_is_refused_before_it_is_looked_up(
        self, refused: Refused, client_profile: mtls.ClientProfile
    ) -> None:
        told = refused(session(client_profile, "api.example", "[::1]:8443"), "https://other.example/secret?token=1")
        assert told.startswith("'other.example', port 443, is not one of the hosts of this adapter (api.example, ")
        assert "[::1]:8443" in told
        assert "list it if it is meant" in told
        assert "token" not in told

    def test_another_port_is_refused_where_a_port_is_listed(
        self, refused: Refused, client_profile: mtls.ClientProfile
    ) -> None:
        told = refused(session(client_profile, "api.example:8443"), "https://api.example/")
        assert told.startswith("'api.example', port 443, is not one of the hosts")

    def test_what_the_profile_does_not_list_is_refused_before_it_is_looked_up(
        self, refused: Refused, authority: CertificateAuthority
    ) -> None:
        profile = mtls.TLSProfile.client(truststore=authority.truststore, hosts=["*.partner.example"])
        for asking in (session(profile), session(profile.ssl_context(), "other.example", "api.partner.example")):
            assert "is not listed in hosts=('*.partner.example',)" in refused(asking, "https://other.example/")

    def test_the_older_door_has_the_same_lock(self, client_profile: mtls.ClientProfile) -> None:
        adapter = MTLSAdapter(client_profile, hosts=["api.example"])
        with contextlib.closing(adapter):
            assert adapter.get_connection("https://api.example/").host == "api.example"
            with pytest.raises(mtls.UsageError, match=r"'other\.example'"):
                adapter.get_connection("https://other.example/")
            with pytest.raises(mtls.UsageError, match="use https://"):
                adapter.get_connection("http://api.example/")

    def test_a_url_that_is_none_is_the_error_of_requests(self, client_profile: mtls.ClientProfile) -> None:
        request = requests.Request("GET", "https://api.example/").prepare()
        request.url = "https://api.example:nonsense/"
        with session(client_profile) as asking, pytest.raises(requests.exceptions.InvalidURL):
            asking.send(request)


@pytest.mark.parametrize(
    ("listed", "reached", "not_reached"),
    [
        (["api.example"], ["api.example", "API.example.", "api.example:8443"], ["example", "api.example.evil.test"]),
        (
            ["api.example"],
            [],
            ["xapi.example", "api.example@evil.test", "evil.test#api.example", "evil.test\\api.example"],
        ),
        (["*.example"], ["api.example", "other.example:8443"], ["example", "a.b.example", ".example"]),
        (["*.example:8443"], ["api.example:8443"], ["api.example", "api.example:443"]),
        (["api.example:443"], ["api.example", "api.example:443"], ["api.example:8443"]),
        (["a.example:1", "a.example:2", "b.example"], ["a.example:2", "b.example:3"], ["a.example:3"]),
        (["bücher.example"], ["bücher.example", "xn--bcher-kva.example"], ["bucher.example"]),
        (["XN--BCHER-KVA.example"], ["bücher.example", "BÜCHER.example"], []),
        (["*.bücher.example"], ["api.bücher.example"], ["bücher.example"]),
        (["straße.example"], ["straße.example", "xn--strae-oqa.example"], ["strasse.example"]),
        (["127.0.0.1"], ["127.0.0.1", "127.0.0.1:8443"], ["127.0.0.2", "localhost", "127.1", "[::ffff:127.0.0.1]"]),
        (["*.0.0.1"], [], ["127.0.0.1"]),
        (["::1"], ["[::1]", "[::1]:8443", "[0:0:0:0:0:0:0:1]"], ["[::2]"]),
        (["[2001:DB8::1]"], ["[2001:db8::1]", "[2001:db8:0::1]:8443"], ["[2001:db8::2]"]),
        (["[::1]:8443"], ["[::1]:8443"], ["[::1]", "[::1]:443"]),
        (["fe80::1%eth0"], ["[fe80::1%25eth0]"], ["[fe80::1]", "[fe80::1%25eth1]"]),
    ],
    ids=lambda value: ",".join(value) or "-",
)
def test_an_entry_means_what_a_url_means(
    client_profile: mtls.ClientProfile, listed: Sequence[str], reached: Sequence[str], not_reached: Sequence[str]
) -> None:
    """No connection is made: this is how far ``send`` comes before one is."""
    adapter = MTLSAdapter(client_profile, hosts=listed)

    def admits(place: str) -> bool:
        try:
            adapter.get_connection_with_tls_context(requests.Request("GET", f"https://{place}/").prepare(), verify=True)
        except (mtls.UsageError, requests.exceptions.InvalidURL):
            return False
        return True

    with contextlib.closing(adapter):
        assert [place for place in reached if not admits(place)] == []
        assert [place for place in not_reached if admits(place)] == []


@pytest.mark.parametrize(
    "hosts",
    [
        "api.example",
        None,
        [None],
        [""],
        {"api.example"},
        ["https://api.example"],
        ["https://api.example/"],
        ["api.example/"],
        ["api.example:"],
        ["api.example:0"],
        ["api.example:65536"],
        ["api.example:https"],
        ["api.example:443:443"],
        ["[api.example]:443"],
        ["[::1"],
        ["user@api.example"],
        ["*"],
        ["a.*.example"],
        ["bü cher.example"],
        ["☃" * 64 + ".example"],
    ],
    ids=repr,
)
def test_what_is_no_list_of_hosts_is_refused(client_profile: mtls.ClientProfile, hosts: Any) -> None:
    with pytest.raises(mtls.UsageError, match="hosts="):
        MTLSAdapter(client_profile, hosts=hosts)


class TestRedirects:
    def test_to_a_listed_host_is_followed(self, client_profile: mtls.ClientProfile, server: Server) -> None:
        with session(client_profile, "localhost") as asking:
            answer = asking.get(f"{server.url}to/{quote(server.url, safe='')}", timeout=_DEADLINE)
        assert (answer.text, [step.status_code for step in answer.history]) == ("hello", [302])

    def test_to_another_host_is_refused(
        self, client_profile: mtls.ClientProfile, server: Server, recorder: Recorder
    ) -> None:
        with (
            session(client_profile, "localhost") as asking,
            pytest.raises(mtls.UsageError, match=r"'127\.0\.0\.1', port"),
        ):
            asking.get(f"{server.url}to/{quote(recorder.url, safe='')}", timeout=_DEADLINE)
        assert recorder.received() == []

    def test_to_plain_http_is_refused(
        self, client_profile: mtls.ClientProfile, server: Server, recorder: Recorder
    ) -> None:
        plain = recorder.url.replace("https://", "http://")
        with session(client_profile) as asking, pytest.raises(mtls.UsageError, match="http:// has no TLS"):
            asking.get(f"{server.url}to/{quote(plain, safe='')}", timeout=_DEADLINE)
        assert recorder.received() == []


class TestPlainHTTP:
    @pytest.mark.parametrize("url", ["http://localhost/", "HTTP://localhost:443/"])
    def test_is_refused_by_a_session(self, refused: Refused, client_profile: mtls.ClientProfile, url: str) -> None:
        told = refused(session(client_profile, "localhost"), url)
        assert told == "http:// has no TLS, so nothing was sent: use https://"

    def test_is_refused_by_an_adapter(self, refused: Refused, client_profile: mtls.ClientProfile) -> None:
        refused(_mounted(MTLSAdapter(client_profile), "http://localhost/"), "http://localhost/")


class TestMount:
    """``session.mount`` takes a prefix of text, and an adapter is not told which."""

    @pytest.mark.parametrize(
        ("prefix", "url"),
        [
            ("https://api.example", "https://api.example/"),
            ("https://api.example", "https://api.example.evil.test/"),
            ("https://api.example", "https://api.example@evil.test/"),
            ("https://api.example:8443", "https://api.example:8443/"),
        ],
    )
    def test_a_prefix_that_fits_other_hosts_is_refused(
        self, refused: Refused, client_profile: mtls.ClientProfile, prefix: str, url: str
    ) -> None:
        told = refused(_mounted(MTLSAdapter(client_profile), prefix), url)
        assert told.startswith(f"the prefix {prefix!r} also fits hosts that only begin with it")
        assert told.endswith(f"mount the adapter under {prefix + '/'!r}")

    def test_one_such_prefix_of_several_is_enough(self, refused: Refused, client_profile: mtls.ClientProfile) -> None:
        mounted = _mounted(MTLSAdapter(client_profile), "https://api.example/", "https://a.example")
        assert "'https://a.example'" in refused(mounted, "https://api.example/")

    def test_a_prefix_with_an_end_is_taken(self, client_profile: mtls.ClientProfile, server: Server) -> None:
        with _mounted(MTLSAdapter(client_profile), server.url) as asking:
            assert asking.get(server.url, timeout=_DEADLINE).text == "hello"

    def test_it_is_seen_through_subclasses(self, refused: Refused, client_profile: mtls.ClientProfile) -> None:
        class Counting(MTLSAdapter):
            def send(self, *arguments: Any, **options: Any) -> requests.Response:
                return super().send(*arguments, **options)

        class Own(requests.Session):
            def send(self, *arguments: Any, **options: Any) -> requests.Response:
                return super().send(*arguments, **options)

        own = Own()
        own.mount("https://api.example", Counting(client_profile))
        assert "also fits hosts" in refused(own, "https://api.example/")

    def test_a_session_that_holds_another_adapter_has_no_say(
        self, client_profile: mtls.ClientProfile, server: Server
    ) -> None:
        class Wrapper(requests.adapters.BaseAdapter):
            inner = MTLSAdapter(client_profile)

            def send(self, *arguments: Any, **options: Any) -> requests.Response:
                return self.inner.send(*arguments, **options)

            def close(self) -> None:
                self.inner.close()

        with requests.Session() as asking:
            asking.mount("https://localhost", Wrapper())
            assert asking.get(server.url, timeout=_DEADLINE).text == "hello"

    def test_without_a_session_there_is_no_prefix(self, client_profile: mtls.ClientProfile, server: Server) -> None:
        request = requests.Request("GET", server.url).prepare()
        answers: list[str] = []

        def send() -> None:
            with contextlib.closing(MTLSAdapter(client_profile)) as adapter:
                answers.append(adapter.send(request, timeout=_DEADLINE).text)

        send()
        thread = threading.Thread(target=send)  # whose stack ends before anybody has looked far
        thread.start()
        thread.join(_DEADLINE)
        assert answers == ["hello", "hello"]
