"""requests on our adapter: trust and identity stay as they were built, and what would change them is refused unsent."""

from __future__ import annotations

import contextlib
import copy
import pickle
import ssl
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any, Protocol

import pytest
import requests

import mtls
from mtls.integrations.requests import MTLSAdapter, session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import Placed, Recorder, Serve, Server

_DEADLINE = 20.0


class Open(Protocol):
    """Makes a session that is closed at the end of the test."""

    def __call__(self, profile: mtls.ClientProfile | mtls.TLSContext, *hosts: str) -> requests.Session: ...


@pytest.fixture
def open_session() -> Iterator[Open]:
    with contextlib.ExitStack() as opened:
        yield lambda profile, *hosts: opened.enter_context(session(profile, *hosts))


@pytest.fixture
def strange_ca(tmp_path: Path, stranger: CertificateAuthority) -> str:
    """The path of a CA that the profile does not trust."""
    stranger.save_keystore(stranger.client("intruder"), tmp_path)
    return str(tmp_path / "ca.crt")


class TestTrust:
    """The context trusts one CA before and after, whatever requests is told."""

    @pytest.fixture(params=["True", "a path", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    def verify(self, request: pytest.FixtureRequest, strange_ca: str, monkeypatch: pytest.MonkeyPatch) -> bool | str:
        if request.param.endswith("BUNDLE"):
            monkeypatch.setenv(request.param, strange_ca)
        return strange_ca if request.param == "a path" else True

    def test_no_ca_is_added(
        self, open_session: Open, context: mtls.TLSContext, server: Server, strange_server: Server, verify: bool | str
    ) -> None:
        with_context = open_session(context)
        before = (context.cert_store_stats(), context.get_ca_certs(binary_form=True))
        assert before[0]["x509_ca"] == 1
        for _ in range(2):
            assert with_context.get(server.url, verify=verify, timeout=_DEADLINE).text == "hello"
            with_context.close()  # the next one connects anew
        with pytest.raises(requests.exceptions.SSLError) as caught:
            with_context.get(strange_server.url, verify=verify, timeout=_DEADLINE)
        found = mtls.explain(caught.value)
        assert isinstance(found, mtls.PeerVerificationError)
        assert (found.step, found.side, found.failure) == (4, "local", "unknown_ca")
        assert (context.cert_store_stats(), context.get_ca_certs(binary_form=True)) == before

    @pytest.mark.parametrize("verify", [False, None, "", 0], ids=repr)
    @pytest.mark.parametrize("where", ["call", "session"])
    def test_verification_is_not_switched_off(
        self, open_session: Open, client_profile: mtls.ClientProfile, recorder: Recorder, verify: Any, where: str
    ) -> None:
        refused = open_session(client_profile)
        options = {}
        if where == "session" or verify is None:  # None on a call is what the session says
            refused.verify = verify
        else:
            options["verify"] = verify
        with pytest.raises(mtls.SealedContextError, match=r"truststore of the profile") as caught:
            refused.get(recorder.url, timeout=_DEADLINE, **options)
        assert f"verify={verify!r}" in str(caught.value)
        assert recorder.received() == []

    def test_another_context_is_not_taken_by_verify(
        self, open_session: Open, client_profile: mtls.ClientProfile, recorder: Recorder
    ) -> None:
        other: Any = ssl.create_default_context()
        with pytest.raises(mtls.SealedContextError, match="verify=<SSLContext>"):
            open_session(client_profile).get(recorder.url, verify=other, timeout=_DEADLINE)
        assert recorder.received() == []

    @pytest.mark.parametrize("cert", ["own.pem", ("own.crt", "own.key")], ids=["one file", "two files"])
    @pytest.mark.parametrize("where", ["call", "session"])
    def test_the_identity_is_not_swapped(
        self, open_session: Open, client_profile: mtls.ClientProfile, recorder: Recorder, cert: Any, where: str
    ) -> None:
        refused = open_session(client_profile)
        if where == "session":
            refused.cert = cert
        with pytest.raises(mtls.SealedContextError, match="cert= would swap the identity"):
            refused.get(recorder.url, timeout=_DEADLINE, cert=cert if where == "call" else None)
        assert recorder.received() == []

    def test_two_sessions_show_their_own_certificates(
        self, open_session: Open, authority: CertificateAuthority, server: Server
    ) -> None:
        names = ["billing", "shipping"]
        opened = {
            name: open_session(mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client(name)))
            for name in names
        }
        for name in names * 3:
            assert opened[name].get(server.url, timeout=_DEADLINE).text == "hello"
            assert server.seen().client == name

    def test_a_reload_reaches_new_connections_and_close_ends_the_old_ones(
        self, open_session: Open, authority: CertificateAuthority, server: Server, tmp_path: Path
    ) -> None:
        authority.save_keystore(authority.client("before"), tmp_path)
        source = mtls.Keystore.from_directory(tmp_path)
        profile = mtls.TLSProfile.client(truststore=authority.truststore, keystore=source)
        kept = open_session(profile)
        adapter = kept.get_adapter(server.url)
        assert isinstance(adapter, MTLSAdapter)

        def shown() -> str | None:
            kept.get(server.url, timeout=_DEADLINE)
            return server.seen().client

        assert shown() == "before"
        authority.save_keystore(authority.client("after"), tmp_path, existing=mtls.Existing.REPLACE)
        assert adapter.context.reload().generation == 2
        assert shown() == "before"
        kept.close()
        assert shown() == "after"

    def test_threads_share_a_session(
        self, open_session: Open, client_profile: mtls.ClientProfile, server: Server
    ) -> None:
        shared, errors = open_session(client_profile), []
        together = threading.Barrier(8)

        def ask() -> None:
            try:
                together.wait(_DEADLINE)
                for number in range(25):
                    url = f"{server.url}{threading.get_ident()}/{number}"
                    assert shared.get(url, timeout=_DEADLINE).text == "hello"
            except BaseException as error:  # noqa: BLE001 - raised again in the thread of the test
                errors.append(error)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert errors == []
        seen = [server.seen() for _ in range(200)]
        assert len({request.path for request in seen}) == 200
        assert {request.client for request in seen} == {"billing-prod"}


class TestServerWithoutHostName:
    """A SPIFFE ID in place of the name: urllib3 would compare the name itself."""

    @pytest.fixture
    def ask(self, authority: CertificateAuthority, open_session: Open) -> Callable[[Server, str], str]:
        def get(server: Server, identity: str) -> str:
            profile = mtls.TLSProfile.client(
                truststore=authority.truststore,
                keystore=authority.client("billing-prod"),
                server_identity=mtls.PeerPolicy.spiffe_id(identity),
            )
            return open_session(profile).get(server.url, timeout=_DEADLINE).text

        return get

    @pytest.fixture(params=[(), ("elsewhere.example",), ("localhost",)], ids=["no name", "another name", "its name"])
    def api(self, request: pytest.FixtureRequest, serve: Serve, authority: CertificateAuthority) -> Server:
        keystore = authority.server("spiffe://prod.example/api", *request.param)
        return serve(mtls.TLSProfile.server(keystore=keystore, truststore=authority.truststore))

    def test_the_right_id_is_let_in_whatever_its_names(self, ask: Callable[[Server, str], str], api: Server) -> None:
        assert ask(api, "spiffe://prod.example/api") == "hello"
        assert api.seen().client == "billing-prod"

    def test_the_wrong_id_is_refused_at_step_4_whatever_its_names(
        self, ask: Callable[[Server, str], str], api: Server, placed: Placed
    ) -> None:
        with pytest.raises(requests.exceptions.SSLError) as caught:
            ask(api, "spiffe://prod.example/other")
        assert placed(caught.value) == (4, "local", "not_authorized")

    def test_a_profile_that_asks_for_a_name_still_compares_it(
        self,
        open_session: Open,
        client_profile: mtls.ClientProfile,
        serve: Serve,
        authority: CertificateAuthority,
        placed: Placed,
    ) -> None:
        server = serve(mtls.TLSProfile.server(keystore=authority.server("elsewhere.example")))
        with pytest.raises(requests.exceptions.SSLError) as caught:
            open_session(client_profile).get(server.url, timeout=_DEADLINE)
        assert placed(caught.value) == (4, "local", "hostname_mismatch")


class TestMistakes:
    def test_only_the_client_side_is_taken(
        self, client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
    ) -> None:
        wanted = r"takes a ClientProfile, made by TLSProfile.client\(\), or its ssl_context\(\), not "
        with pytest.raises(mtls.UsageError, match=wanted + "ServerProfile"):
            MTLSAdapter(server_profile)  # type: ignore[arg-type] # the ignore proves that mypy refuses it
        with pytest.raises(mtls.UsageError, match=wanted + "ServerProfile"):
            session(server_profile)  # type: ignore[arg-type] # the same
        with pytest.raises(mtls.UsageError, match=wanted + "a TLSContext of the server side"):
            MTLSAdapter(server_profile.ssl_context())
        with pytest.raises(mtls.UsageError, match=wanted + "SSLContext"):
            MTLSAdapter(ssl.create_default_context())  # type: ignore[arg-type] # the same
        with pytest.raises(mtls.UsageError, match=wanted + "NoneType"):
            MTLSAdapter(None)  # type: ignore[arg-type] # the same
        with pytest.raises(mtls.UsageError, match="proxy= " + wanted + "ServerProfile"):
            MTLSAdapter(client_profile, proxy=server_profile)  # type: ignore[arg-type] # the same

    def test_a_profile_that_fails_its_check_is_refused(
        self, authority: CertificateAuthority, server_profile: mtls.ServerProfile
    ) -> None:
        assert server_profile.keystore is not None
        profile = mtls.TLSProfile.client(truststore=authority.truststore, keystore=server_profile.keystore)
        with pytest.raises(mtls.ConfigurationError, match="clientAuth"):
            session(profile)

    @pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps], ids=["copy", "deepcopy", "pickle"])
    def test_an_adapter_is_neither_pickled_nor_copied(
        self, open_session: Open, client_profile: mtls.ClientProfile, duplicate: Callable[[object], object]
    ) -> None:
        opened = open_session(client_profile)
        with pytest.raises(mtls.UsageError, match="cannot be pickled or copied: make one in each process"):
            duplicate(opened.get_adapter("https://localhost/"))
        if duplicate is not copy.copy:  # a shallow copy of a session shares its adapters
            with pytest.raises(mtls.UsageError, match="cannot be pickled or copied"):
                duplicate(opened)

    def test_its_pool_manager_has_the_context_too(self, client_profile: mtls.ClientProfile, server: Server) -> None:
        """For whoever asks it without the adapter."""
        with contextlib.closing(MTLSAdapter(client_profile)) as adapter:
            assert adapter.poolmanager.request("GET", server.url, timeout=_DEADLINE).data == b"hello"

    def test_its_arguments_go_to_requests(self, client_profile: mtls.ClientProfile) -> None:
        adapter = MTLSAdapter(client_profile, pool_maxsize=3, max_retries=2)
        assert (adapter.poolmanager.connection_pool_kw["maxsize"], adapter.max_retries.total) == (3, 2)

    def test_it_shows_what_it_is(self, client_profile: mtls.ClientProfile) -> None:
        adapter = MTLSAdapter(client_profile, hosts=["*.example:8443", "::1"])
        assert repr(adapter) == f"<MTLSAdapter for *.example:8443, [::1] only, {adapter.context!r}>"
        assert repr(MTLSAdapter(adapter.context)) == f"<MTLSAdapter, {adapter.context!r}>"


class TestVersions:
    """What is installed is looked at once, when the module is imported."""

    @pytest.mark.parametrize(
        ("stand_in", "told"),
        [
            ("sys.modules['requests'] = None", "this needs the package 'requests': pip install 'mtls-kit[requests]'"),
            (
                "import requests; requests.__version__, requests.__build__ = '2.32.2', 0x023202",
                "this needs the package 'requests>=2.32.3': pip install 'mtls-kit[requests]'",
            ),
        ],
        ids=["none", "2.32.2"],
    )
    def test_a_requests_that_cannot_be_used_is_named_with_its_extra(self, stand_in: str, told: str) -> None:
        source = (
            f"import sys; {stand_in}\nimport mtls\ntry:\n    import mtls.integrations.requests\n"
            "except mtls.MissingExtraError as error:\n    print(error, error.__cause__, sep='\\n')"
        )
        run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        first, cause = run.stdout.splitlines()
        assert first == told
        assert ("2.32.2 is installed" in cause) is (">=" in told)
