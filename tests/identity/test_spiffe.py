"""SPIFFE ids: what is one (SPIFFE-ID, X509-SVID), which certificate has one, and what it decides in a handshake."""

from __future__ import annotations

import re
import string
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

import mtls
from mtls import FailureReason, PeerPolicy, Role
from mtls._credentials.request import key_usage
from mtls._handshake import spiffe

if TYPE_CHECKING:
    from mtls.authority import CertificateAuthority
    from tests.identity.conftest import MakeLeaf, MakePeer

API = "spiffe://prod.example/api"
LONGEST_PATH = "spiffe://prod.example/" + "a" * (2048 - len("spiffe://prod.example/"))
LONGEST_DOMAIN = "spiffe://" + "a" * 255

IDS = [
    API,
    "spiffe://prod.example/ns/default/sa/api",
    "spiffe://prod.example/Api_1.v2-x",
    "spiffe://prod_1.ex-ample/a",
    "spiffe://10.0.0.1/a",
    "spiffe://prod.example/...",
    "spiffe://prod.example/.a/a.",
    LONGEST_PATH,
    LONGEST_DOMAIN + "/a",
]
NO_IDS = [
    "",
    "spiffe://",
    "spiffe:///api",
    "spiffe:/prod.example/api",
    "spiffe:prod.example/api",
    "//prod.example/api",
    "prod.example/api",
    "https://prod.example/api",
    "xspiffe://prod.example/api",
    "SPIFFE://prod.example/api",
    "Spiffe://prod.example/api",
    "spiffe://PROD.example/api",
    "spiffe://prod.example",
    "spiffe://prod.example/",
    "spiffe://prod.example/api/",
    "spiffe://prod.example//api",
    "spiffe://prod.example/a//b",
    "spiffe://prod.example/.",
    "spiffe://prod.example/..",
    "spiffe://prod.example/a/../api",
    "spiffe://prod.example/./api",
    "spiffe://prod.example/a/..",
    "spiffe://prod.example:443/api",
    "spiffe://user@prod.example/api",
    "spiffe://user:word@prod.example/api",
    "spiffe://prod.example/api?x=1",
    "spiffe://prod.example/api?",
    "spiffe://prod.example/api#x",
    "spiffe://prod.example/a%70i",
    "spiffe://prod%2eexample/api",
    "spiffe://prod.example/api%00",
    "spiffe://[::1]/api",
    "spiffe://prod.example/a;b",
    "spiffe://prod.example/a~b",
    "spiffe://prod.example/*",
    "spiffe://*.example/api",
    "spiffe://prod.example\\api",
    "spiffe://prod.example/api\0",
    "spiffe://prod.example/api\n",
    "spiffe://prod.example/api ",
    " spiffe://prod.example/api",
    "spiffe://prod.example/\u00e4",
    "spiffe://\u212a.example/api",
    LONGEST_PATH + "a",
    LONGEST_DOMAIN + "a/a",
]


def short(text: str) -> str:
    return ascii(text if len(text) < 60 else f"{text[:20]}… {len(text)}")


# --- what is an id ---


@pytest.mark.parametrize("uri", IDS, ids=short)
def test_an_id_is_read_from_the_only_uri(peer: MakePeer, uri: str) -> None:
    someone = peer(("dns", "a.example"), ("uri", uri), ("ip", b"\x7f\0\0\1"))
    assert someone.spiffe_id == uri
    assert PeerPolicy.spiffe_id(uri)(someone)
    domain = uri.split("/")[2]
    assert PeerPolicy.trust_domain(domain, "other.example")(someone)
    assert PeerPolicy.trust_domain(f"spiffe://{domain}")(someone)


@pytest.mark.parametrize("uri", NO_IDS, ids=short)
def test_what_the_standard_does_not_allow_is_no_id(peer: MakePeer, uri: str) -> None:
    someone = peer(("uri", uri))
    assert someone.spiffe_id is None
    assert not PeerPolicy.spiffe_id(API, LONGEST_PATH)(someone)
    assert not PeerPolicy.trust_domain("prod.example", "k.example", "example", "a" * 255)(someone)
    with pytest.raises(mtls.UsageError, match=r"no SPIFFE id of a workload.*spiffe://trust-domain/path.*lower case"):
        PeerPolicy.spiffe_id(uri)


def _reference(uri: str) -> bool:
    """The standard read aloud, without a regular expression."""
    scheme, _, rest = uri.partition("://")
    domain, *segments = rest.split("/")
    names = set(string.ascii_lowercase + string.digits + ".-_")
    return (
        scheme == "spiffe"
        and 0 < len(domain) <= 255
        and len(uri.encode()) <= 2048
        and set(domain) <= names
        and bool(segments)
        and all(segment not in {"", ".", ".."} and set(segment.lower()) <= names for segment in segments)
        and uri.isascii()
    )


@settings(deadline=None)
@given(
    uri=st.one_of(
        st.text(),
        st.text("spiffe:/.aA-_%?#@", max_size=20).map("spiffe://".__add__),
        st.lists(st.text("aB.-_", max_size=3), max_size=4).map(lambda parts: "spiffe://" + "/".join(parts)),
        st.from_regex(re.compile(r"spiffe://[a-z0-9._-]{1,5}(/[A-Za-z0-9._%-]{1,3}){1,3}/?"), fullmatch=True),
    )
)
def test_an_id_is_one_exactly_where_the_standard_says_so(uri: str) -> None:
    assert spiffe.is_workload(uri) is _reference(uri)
    names_a_domain = uri.count("/") == 2 and _reference(uri + "/a")
    assert (spiffe.trust_domain(uri) is not None) is (_reference(uri) or names_a_domain)


# --- which certificate has one ---


@pytest.mark.parametrize(
    "uris",
    [(API, "spiffe://prod.example/web"), (API, API), (API, "https://a.example/"), ("urn:a:b", API), (API, "")],
    ids=["two ids", "the same twice", "another behind", "another before", "an empty one"],
)
def test_a_certificate_with_several_uris_has_no_id(peer: MakePeer, uris: tuple[str, ...]) -> None:
    someone = peer(*(("uri", uri) for uri in uris))
    assert someone.uris == uris
    assert someone.spiffe_id is None
    assert not PeerPolicy.spiffe_id(API)(someone)
    assert not PeerPolicy.trust_domain("prod.example")(someone)
    assert PeerPolicy.uri(API)(someone)


@pytest.mark.parametrize(
    "fields",
    [
        {"basic_constraints": x509.BasicConstraints(ca=True, path_length=None)},
        {"key_usage": key_usage("digital_signature", "key_cert_sign")},
        {"key_usage": key_usage("digital_signature", "crl_sign")},
    ],
    ids=["CA:TRUE", "keyCertSign", "cRLSign"],
)
def test_a_certificate_that_may_sign_others_has_no_id(peer: MakePeer, fields: dict[str, Any]) -> None:
    someone = peer(("uri", API), **fields)
    assert someone.uris == (API,)
    assert someone.spiffe_id is None
    assert not PeerPolicy.spiffe_id(API)(someone)
    assert not PeerPolicy.trust_domain("prod.example")(someone)


@pytest.mark.parametrize("fields", [{"basic_constraints": None}, {"key_usage": None}], ids=str)
def test_a_leaf_that_says_less_has_an_id(peer: MakePeer, fields: dict[str, Any]) -> None:
    assert peer(("uri", API), **fields).spiffe_id == API


def test_a_certificate_without_a_uri_has_no_id(peer: MakePeer) -> None:
    assert peer(("dns", API)).spiffe_id is None
    assert peer().spiffe_id is None


# --- rules ---


@pytest.mark.parametrize(
    "presented",
    [
        "spiffe://prod.example/api2", "spiffe://prod.example/ap", "spiffe://prod.example/api/x", "spiffe://prod.example/API",
        "spiffe://prod.example.evil/api", "spiffe://xprod.example/api", "spiffe://example/api", "spiffe://prod/api",
    ],
)  # fmt: skip
def test_an_id_admits_itself_and_no_other(peer: MakePeer, presented: str) -> None:
    someone = peer(("uri", presented))
    assert someone.spiffe_id == presented
    assert not PeerPolicy.spiffe_id(API)(someone)
    assert PeerPolicy.trust_domain("prod.example")(someone) is presented.startswith("spiffe://prod.example/")


@pytest.mark.parametrize(
    "domain",
    [
        "", "/", "spiffe://", "spiffe:///", "prod.example/api", "spiffe://prod.example/api", "prod.example//",
        "https://prod.example", "*.example", "prod.example:443", "user@prod.example", "prod example", "prod.example\n",
        "pr\u00f6d.example", "\u212a.example", "prod%2eexample", "spiffe://spiffe://prod.example", "a" * 256,
    ],
    ids=short,
)  # fmt: skip
def test_what_is_no_trust_domain_is_refused_with_the_remedy(domain: str) -> None:
    with pytest.raises(mtls.UsageError, match=r"is no trust domain.*'prod\.example'.*use PeerPolicy\.spiffe_id"):
        PeerPolicy.trust_domain(domain)


@pytest.mark.parametrize("value", [None, b"spiffe://prod.example/api", ["spiffe://prod.example/api"]])
def test_a_rule_that_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(mtls.UsageError, match="is no SPIFFE id: give it as a str"):
        PeerPolicy.spiffe_id(value)
    with pytest.raises(mtls.UsageError, match="is no trust domain: give it as a str"):
        PeerPolicy.trust_domain(value)


# --- in a handshake ---


def test_a_server_is_known_by_its_id_in_place_of_its_host_name(
    authority: CertificateAuthority, leaf: MakeLeaf, policy: mtls.TLSPolicy
) -> None:
    server = mtls.TLSProfile.server(keystore=leaf(("uri", API), role=Role.SERVER), policy=policy)
    for rule, admitted in (
        (PeerPolicy.spiffe_id(API), True),
        (PeerPolicy.trust_domain("prod.example"), True),
        (PeerPolicy.spiffe_id("spiffe://prod.example/web"), False),
        (PeerPolicy.trust_domain("prod.example.evil"), False),
    ):
        client = mtls.TLSProfile.client(truststore=authority.truststore, policy=policy, server_identity=rule)
        result = mtls.rehearse(client, server, hostname="10.0.0.7")
        assert result.ok is admitted
        if not admitted:
            error = result.client.error
            assert isinstance(error, mtls.PeerVerificationError)
            assert (error.step, error.failure, error.role) == (
                mtls.HandshakeStep.CLIENT_VERIFIES_SERVER, FailureReason.NOT_AUTHORIZED, Role.CLIENT,
            )  # fmt: skip
            assert f"server_identity= does not admit <PeerIdentity {API}>, only {rule!r}" in str(error)
    by_name = mtls.TLSProfile.client(truststore=authority.truststore, policy=policy)
    refused = mtls.rehearse(by_name, server, hostname="10.0.0.7").error
    assert isinstance(refused, mtls.PeerVerificationError)
    assert refused.failure is FailureReason.HOSTNAME_MISMATCH


@pytest.mark.parametrize(
    ("names", "fields"),
    [
        ([("uri", API), ("uri", "spiffe://prod.example/web")], {}),
        ([("uri", API)], {"basic_constraints": x509.BasicConstraints(ca=True, path_length=None)}),
        ([("uri", "spiffe://prod.example/api/")], {}),
        ([("dns", API)], {}),
    ],
    ids=["two ids", "CA:TRUE", "slash at the end", "as a DNS name"],
)
def test_a_client_that_bends_its_id_does_not_come_in(
    authority: CertificateAuthority,
    leaf: MakeLeaf,
    policy: mtls.TLSPolicy,
    names: list[tuple[str, str]],
    fields: dict[str, Any],
) -> None:
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        policy=policy,
        authorize=PeerPolicy.spiffe_id(API),
    )
    straight = mtls.TLSProfile.client(truststore=authority.truststore, keystore=leaf(("uri", API)))
    bent = mtls.TLSProfile.client(truststore=authority.truststore, keystore=leaf(*names, **fields))
    assert mtls.rehearse(straight, server).ok
    result = mtls.rehearse(bent, server)
    assert result.failed_step is mtls.HandshakeStep.SERVER_VERIFIES_CLIENT
    assert isinstance(result.server.error, mtls.PeerVerificationError)
    assert result.server.error.failure is FailureReason.NOT_AUTHORIZED


def test_an_id_from_the_wrong_ca_is_stopped_before_any_rule_and_the_right_ca_can_be_asked_for(
    authority: CertificateAuthority, stranger: CertificateAuthority, policy: mtls.TLSPolicy
) -> None:
    def outcome(truststore: mtls.Truststore, rule: PeerPolicy) -> FailureReason | None:
        server = mtls.TLSProfile.server(
            keystore=authority.server("localhost"), truststore=truststore, policy=policy, authorize=rule
        )
        client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=stranger.client(API))
        error = mtls.rehearse(client, server).server.error
        return error.failure if isinstance(error, mtls.HandshakeError) else None

    domain = PeerPolicy.trust_domain("prod.example")
    both = authority.truststore | stranger.truststore
    assert outcome(authority.truststore, domain) is FailureReason.UNKNOWN_CA
    assert outcome(both, domain) is None
    ours = PeerPolicy.all_of(domain, PeerPolicy.issuer(authority.certificate))
    assert outcome(both, ours) is FailureReason.NOT_AUTHORIZED
