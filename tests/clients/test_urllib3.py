"""urllib3: SPIFFE without its own comparison of names, retries of a refusal, proxies. ``tests/seal``: what it sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import urllib3

import mtls
from mtls import TLSVersion

if TYPE_CHECKING:
    from mtls.authority import CertificateAuthority
    from tests.clients.conftest import ContextOf, Placed, Proxy, Refused, Serve, Server

_ID, _ANOTHER_ID = "spiffe://prod.example/api", "spiffe://prod.example/other"


def _get(url: str, context: mtls.TLSContext, **options: Any) -> bytes:
    options.setdefault("retries", False)
    with urllib3.PoolManager(ssl_context=context, **options) as pool:
        return pool.request("GET", url).data


class TestSpiffe:
    """A context that compares no host name has a policy in its place, and then urllib3 wants to compare by itself."""

    @pytest.fixture
    def api(self, serve: Serve, authority: CertificateAuthority) -> Server:
        return serve(mtls.TLSProfile.server(keystore=authority.server(_ID), truststore=authority.truststore))

    def _context(self, authority: CertificateAuthority, context_of: ContextOf, identity: str) -> mtls.TLSContext:
        return context_of(
            mtls.TLSProfile.client(
                truststore=authority.truststore,
                keystore=authority.client("billing-prod"),
                server_identity=mtls.PeerPolicy.spiffe_id(identity),
            )
        )

    def test_the_right_id_is_refused_by_urllib3_unless_it_is_told_to_compare_no_name(
        self, api: Server, authority: CertificateAuthority, context_of: ContextOf, placed: Placed
    ) -> None:
        context = self._context(authority, context_of, _ID)
        with pytest.raises(urllib3.exceptions.SSLError, match="subjectAltName") as caught:
            _get(api.url, context)
        assert placed(caught.value) is None
        assert _get(api.url, context, assert_hostname=False) == b"hello"
        assert api.seen().client == "billing-prod"

    def test_another_id_is_refused_whether_urllib3_compares_or_not(
        self, api: Server, authority: CertificateAuthority, context_of: ContextOf, placed: Placed
    ) -> None:
        for options in ({"assert_hostname": False}, {}):
            with pytest.raises(urllib3.exceptions.SSLError) as caught:
                _get(api.url, self._context(authority, context_of, _ANOTHER_ID), **options)
            assert placed(caught.value) == (4, "local", "not_authorized")
        assert api.heard_no_request()

    def test_a_name_that_is_not_compared_is_refused_to_a_profile_that_compares_names(
        self, server: Server, context: mtls.TLSContext
    ) -> None:
        with pytest.raises(urllib3.exceptions.SSLError) as caught:
            _get(server.url, context, assert_hostname=False)
        found = mtls.explain(caught.value)
        assert isinstance(found, mtls.SealedContextError)
        assert "check_hostname" in str(found)
        assert server.heard_no_request()


class TestRetries:
    """A refusal is no time-out, yet urllib3 asks again."""

    @pytest.mark.parametrize("version", TLSVersion, ids=lambda version: version.name)
    @pytest.mark.parametrize(
        ("retries", "asked"),
        [(None, 4), (urllib3.Retry(other=0), 1), (False, 1)],
        ids=["by default", "Retry(other=0)", "False"],
    )
    def test_a_refused_request_is_sent_four_times_unless_it_is_told_not_to(
        self,
        server: Server,
        refused: Refused,
        context_of: ContextOf,
        placed: Placed,
        version: TLSVersion,
        retries: Any,
        asked: int,
    ) -> None:
        context = context_of(refused.profile(version))
        with urllib3.PoolManager(ssl_context=context) as pool, pytest.raises(urllib3.exceptions.HTTPError) as caught:
            pool.request("POST", server.url, body=b"once", retries=retries)
        assert placed(caught.value) == refused.told
        for _ in range(asked):
            assert isinstance(server.outcome(), mtls.HandshakeError)
        assert server.heard_nothing_more()


class TestProxies:
    def test_the_server_behind_a_proxy_knows_the_client(
        self, server: Server, proxy: Proxy, context: mtls.TLSContext
    ) -> None:
        with urllib3.ProxyManager(proxy.url, ssl_context=context, retries=False) as pool:
            assert pool.request("GET", server.url).data == b"hello"
        assert proxy.tunnel() == (None, f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_a_tls_proxy_has_a_context_of_its_own(
        self,
        server: Server,
        tls_proxy: Proxy,
        context: mtls.TLSContext,
        context_of: ContextOf,
        authority: CertificateAuthority,
    ) -> None:
        egress = context_of(
            mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("egress"))
        )
        with urllib3.ProxyManager(tls_proxy.url, ssl_context=context, proxy_ssl_context=egress, retries=False) as pool:
            assert pool.request("GET", server.url).data == b"hello"
        assert tls_proxy.tunnel() == ("egress", f"localhost:{server.port}")
        assert server.seen().client == "billing-prod"

    def test_a_tls_proxy_that_is_given_no_context_is_met_with_the_public_cas(
        self, server: Server, tls_proxy: Proxy, context: mtls.TLSContext, placed: Placed
    ) -> None:
        pool = urllib3.ProxyManager(tls_proxy.url, ssl_context=context, retries=False)
        with pool, pytest.raises(urllib3.exceptions.HTTPError) as caught:
            pool.request("GET", server.url)
        assert placed(caught.value) == (None, "local", "unknown_ca")
        assert server.heard_no_request()
