"""Who a policy admits, and nobody else; and the policies that could admit nobody, refused when they are written."""

from __future__ import annotations

import copy
import hashlib
import pickle
import string
from functools import cache
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

import mtls
from mtls import PeerPolicy
from mtls._credentials.key_types import generate_key
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.identity.conftest import MakePeer

HASH = "0f" * 32
OTHER = "a0" * 32
A = CertificateAuthority("a")


def raw(name: str) -> tuple[str, str]:
    return "dns", name


# --- DNS names ---

DNS = [
    # the rule, what the peer presents, whether it comes in
    ("billing.example", ["billing.example"], True),
    ("billing.example", ["BILLING.Example"], True),
    ("Billing.EXAMPLE", ["billing.example"], True),
    ("billing.example.", ["billing.example"], True),
    ("billing.example", ["other.example", "billing.example"], True),
    ("*.example", ["billing.example"], True),
    ("*.example", ["*.example"], True),
    ("*.batch.example", ["a_b.batch.example"], True),
    ("xn--bcher-kva.example", ["XN--BCHER-KVA.example"], True),
    ("localhost", ["localhost"], True),
    # the name in the middle of another
    ("billing.example", ["billing.example.evil.test"], False),
    ("billing.example", ["xbilling.example"], False),
    ("billing.example", ["x.billing.example"], False),
    ("billing.example", ["billing.examplex"], False),
    ("billing.example", ["billing"], False),
    ("billing.example", ["billing-example"], False),
    ("billing.example", ["billingxexample"], False),
    ("a.b.example", ["a.example", "b.example"], False),
    # wildcards: only the rule has them, and only for one whole label
    ("billing.example", ["*.example"], False),
    ("billing.example", ["*"], False),
    ("billing.example", ["*.*"], False),
    ("billing.example", ["b*.example"], False),
    ("*.example", ["example"], False),
    ("*.example", [".example"], False),
    ("*.example", ["a.b.example"], False),
    ("*.example", ["*.b.example"], False),
    ("*.example", ["b*.example"], False),
    ("*.example", ["*b.example"], False),
    ("*.example", ["**.example"], False),
    ("*.example", ["xexample"], False),
    ("*.example", ["a.example.evil.test"], False),
    ("*.batch.example", ["*.example"], False),
    ("*.batch.example", ["batch.example"], False),
    # dots
    ("billing.example", ["billing.example."], False),
    ("billing.example", ["billing.example.."], False),
    ("billing.example", [".billing.example"], False),
    ("billing.example", ["billing..example"], False),
    ("*.example", ["..example"], False),
    ("*.example", ["a.example."], False),
    ("billing.example", [""], False),
    ("billing.example", ["."], False),
    # characters that a C string, a log or a shell would end at
    ("billing.example", ["billing.example\0.evil.test"], False),
    ("billing.example", ["billing.example\0"], False),
    ("billing.example", ["\0billing.example"], False),
    ("billing.example", ["billing.example\n"], False),
    ("billing.example", ["evil.test\nbilling.example"], False),
    ("billing.example", [" billing.example"], False),
    ("billing.example", ["billing.example "], False),
    ("billing.example", ["billing.example,other.example"], False),
    ("*.example", ["evil.test\0.example"], False),
    ("*.example", ["evil\n.example"], False),
    ("*.example", ["evil/x.example"], False),
    ("*.example", ["evil@x.example"], False),
    ("*.example", [" .example"], False),
    ("*.example", ["-.example"], False),
    ("*.example", ["a" * 64 + ".example"], False),
    # letters that only look or fold alike: the Kelvin sign is k in lower case, a long s is S in upper case
    ("killing.example", ["\u212ailling.example"], False),
    ("*.k.example", ["a.\u212a.example"], False),
    ("*.example", ["\u212a.example"], False),
    ("billing.example", ["bi\u0131ling.example", "b\u0456lling.example"], False),
    ("passes.example", ["pa\u017fses.example"], False),
    ("billing.example", ["billing\uff0eexample", "billing\u3002example"], False),
    ("xn--bcher-kva.example", ["b\u00fccher.example"], False),
    # not the kind of name that was asked for
    ("billing.example", [], False),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "presented", "admitted"), DNS)
def test_a_dns_name_admits_itself_and_nobody_else(
    peer: MakePeer, rule: str, presented: list[str], admitted: bool
) -> None:
    assert PeerPolicy.dns(rule)(peer(*map(raw, presented))) is admitted


def test_the_common_name_an_address_a_uri_and_a_mail_address_are_no_dns_names(authority: CertificateAuthority) -> None:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "billing.example")])
    names = ["10.0.0.1", "https://billing.example/", "billing.example@evil.test", "root@billing.example"]
    certificate = authority.client(*names, subject=subject).certificate
    assert not PeerPolicy.dns("billing.example", "*.example")(mtls.PeerIdentity(certificate, (certificate,), False))


def test_a_name_that_cannot_be_read_is_no_name_and_takes_its_neighbours_with_it(peer: MakePeer) -> None:
    for broken in ((("dns", b"\xff"),), (("ip", b"\x7f\0"),), (("uri", b"\xc3\x28"),)):
        identity = peer(("dns", "billing.example"), *broken)
        assert identity.dns_names == ()
        assert not PeerPolicy.dns("billing.example")(identity)


LABELS = st.text("aB-_*k.", max_size=4)


@settings(deadline=None)
@given(
    rule=st.lists(st.text("abk-_", min_size=1, max_size=3), min_size=1, max_size=3),
    presented=st.lists(LABELS, min_size=1, max_size=4),
    wildcard=st.booleans(),
)
def test_a_dns_rule_compares_label_by_label(
    peer: MakePeer, rule: list[str], presented: list[str], wildcard: bool
) -> None:
    try:
        policy = PeerPolicy.dns(".".join(["*", *rule] if wildcard else rule))
    except mtls.UsageError:
        assert any(label[0] == "-" or label[-1] == "-" for label in rule)
        return
    name = ".".join(presented)
    labels = name.lower().split(".")
    expected = labels == (["*", *rule] if wildcard else rule)
    if wildcard and len(labels) == len(rule) + 1 and labels[1:] == rule:
        first = labels[0]
        expected = first == "*" or bool(first and "*" not in first and first[0] != "-" and first[-1] != "-")
    assert policy(peer(raw(name))) is expected


@settings(deadline=None)
@given(name=st.text(string.printable, max_size=20))
def test_whatever_surrounds_a_name_makes_it_another(peer: MakePeer, name: str) -> None:
    policy = PeerPolicy.dns("billing.example")
    for presented in (name, name + "billing.example", "billing.example" + name):
        assert policy(peer(raw(presented))) is (presented.lower() == "billing.example")


# --- URIs ---

URI = "https://billing.example/a"


@pytest.mark.parametrize(
    "presented",
    [
        "https://billing.example/a/b", "https://billing.example/", "https://billing.example/a/", "xhttps://billing.example/a",
        "https://billing.example/A", "HTTPS://billing.example/a", "https://BILLING.example/a", "http://billing.example/a",
        "https://billing.example:443/a", "https://billing.example/%61", "https://billing.example/a?", "https://billing.example/a#",
        "https://user@billing.example/a", "https://billing.example/./a", "https://billing.example/b/../a",
        "https://billing.example/a\0", "https://billing.example/a\n", " https://billing.example/a", "",
        "https://billing.example.evil.test/a", "https://evil.test/?https://billing.example/a",
    ],
)  # fmt: skip
def test_a_uri_is_compared_to_the_letter(peer: MakePeer, presented: str) -> None:
    policy = PeerPolicy.uri(URI)
    assert policy(peer(("uri", URI)))
    assert policy(peer(("uri", presented), ("uri", URI)))
    assert not policy(peer(("uri", presented)))
    assert not policy(peer(("dns", URI)))


# --- keys ---


def digest_of(certificate: x509.Certificate) -> str:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()


def test_a_pinned_key_admits_whatever_certificate_carries_it(peer: MakePeer) -> None:
    identity = peer(("dns", "a.example"))
    digest = digest_of(identity.certificate)
    assert identity.spki_sha256 == digest
    colons = ":".join(digest[place : place + 2] for place in range(0, 64, 2)).upper()
    for form in (digest, digest.upper(), colons):
        assert PeerPolicy.spki(form)(identity)
        assert PeerPolicy.spki(form)(peer(("dns", "renewed.example")))
    stranger = generate_key(mtls.KeyType.EC_P256)
    assert not PeerPolicy.spki(digest)(peer(("dns", "a.example"), private_key=stranger))


def test_the_digest_of_the_certificate_is_not_that_of_its_key(peer: MakePeer) -> None:
    identity = peer(("dns", "a.example"))
    certificate = hashlib.sha256(identity.certificate.public_bytes(Encoding.DER)).hexdigest()
    assert not PeerPolicy.spki(certificate)(identity)


# --- issuers ---


def identity_of(keystore: mtls.Keystore, *above: x509.Certificate) -> mtls.PeerIdentity:
    return mtls.PeerIdentity(keystore.certificate, (keystore.certificate, *above), resumed=False)


def test_an_issuer_is_any_ca_of_the_verified_path_and_no_other() -> None:
    root = CertificateAuthority("root")
    below = root.intermediate("below")
    beside = root.intermediate("beside")
    through = identity_of(below.client("c"), below.certificate, root.certificate)
    straight = identity_of(root.client("c"), root.certificate)
    assert [PeerPolicy.issuer(ca.certificate)(through) for ca in (root, below, beside)] == [True, True, False]
    assert [PeerPolicy.issuer(ca.certificate)(straight) for ca in (root, below, beside)] == [True, False, False]
    assert PeerPolicy.issuer(beside.certificate, below.certificate)(through)


def test_an_issuer_with_the_same_name_and_another_key_is_somebody_else() -> None:
    one, other = CertificateAuthority("root"), CertificateAuthority("root")
    assert one.certificate.subject == other.certificate.subject
    assert not PeerPolicy.issuer(other.certificate)(identity_of(one.client("c"), one.certificate))


def test_an_issuer_that_was_cross_signed_or_renewed_is_another_certificate() -> None:
    key = generate_key(mtls.KeyType.EC_P256)
    old, above = CertificateAuthority("root", private_key=key), CertificateAuthority("above")
    renewed, crossed = CertificateAuthority("root", private_key=key), above.intermediate("root", private_key=key)
    through = identity_of(crossed.client("c"), crossed.certificate, above.certificate)
    assert PeerPolicy.issuer(crossed.certificate)(through)
    assert PeerPolicy.issuer(above.certificate)(through)
    assert not PeerPolicy.issuer(old.certificate)(through)
    assert not PeerPolicy.issuer(renewed.certificate)(identity_of(old.client("c"), old.certificate))


def test_a_leaf_is_not_its_own_issuer_even_where_it_calls_itself_a_ca() -> None:
    alone = CertificateAuthority("alone")
    pinned = mtls.PeerIdentity(alone.certificate, (alone.certificate,), resumed=False)
    assert not PeerPolicy.issuer(alone.certificate)(pinned)


def test_a_path_that_was_forgotten_has_no_issuer(authority: CertificateAuthority) -> None:
    certificate = authority.client("c").certificate
    assert not PeerPolicy.issuer(authority.certificate)(mtls.PeerIdentity(certificate, (certificate,), resumed=True))


def test_a_ca_of_version_1_can_be_an_issuer(authority: CertificateAuthority) -> None:
    old = CertificateAuthority("old", basic_constraints=None)
    assert PeerPolicy.issuer(old.certificate)(identity_of(old.client("c"), old.certificate))


# --- combinations ---


def test_any_of_asks_for_one_and_all_of_for_every_one(peer: MakePeer) -> None:
    a, b, c = (PeerPolicy.dns(f"{letter}.example") for letter in "abc")
    both, one, none = peer(raw("a.example"), raw("b.example")), peer(raw("b.example")), peer(raw("x.example"))
    assert [PeerPolicy.any_of(a, b)(who) for who in (both, one, none)] == [True, True, False]
    assert [PeerPolicy.all_of(a, b)(who) for who in (both, one, none)] == [True, False, False]
    nested = PeerPolicy.any_of(PeerPolicy.all_of(a, b), PeerPolicy.all_of(c, PeerPolicy.any_of(a, b)))
    assert [nested(who) for who in (both, one, none)] == [True, False, False]


def test_a_policy_answers_with_a_bool_and_nothing_else(peer: MakePeer, authority: CertificateAuthority) -> None:
    someone = peer(("uri", "spiffe://prod.example/api"))
    rules = [
        PeerPolicy.dns("a.example"), PeerPolicy.uri("spiffe://prod.example/api"), PeerPolicy.spki(HASH),
        PeerPolicy.spiffe_id("spiffe://prod.example/api"), PeerPolicy.trust_domain("prod.example"),
        PeerPolicy.issuer(authority.certificate),
    ]  # fmt: skip
    rules += [PeerPolicy.any_of(*rules), PeerPolicy.all_of(*rules[3:])]
    assert [type(rule(someone)) for rule in rules] == [bool] * len(rules)


API, WEB = "spiffe://prod.example/api", "spiffe://prod.example/web"
IMPOSSIBLE: dict[str, Callable[[], list[PeerPolicy]]] = {
    "two keys": lambda: [PeerPolicy.spki(HASH), PeerPolicy.spki(OTHER)],
    "two keys, one of them with a choice": lambda: [
        PeerPolicy.any_of(PeerPolicy.spki(HASH), PeerPolicy.spki("11" * 32)), PeerPolicy.spki(OTHER),
    ],
    "two SPIFFE ids": lambda: [PeerPolicy.spiffe_id(API), PeerPolicy.spiffe_id(WEB)],
    "two trust domains": lambda: [PeerPolicy.trust_domain("a.example"), PeerPolicy.trust_domain("b.example")],
    "an id of another domain": lambda: [PeerPolicy.spiffe_id(API), PeerPolicy.trust_domain("test.example")],
    "an id and a URI beside it": lambda: [PeerPolicy.spiffe_id(API), PeerPolicy.uri("https://a.example/")],
    "a domain and a URI that is no id": lambda: [PeerPolicy.trust_domain("prod.example"), PeerPolicy.uri(URI)],
    "a domain and a URI without a path": lambda: [
        PeerPolicy.trust_domain("prod.example"), PeerPolicy.uri("spiffe://prod.example"),
    ],
    "a domain and an id of another, as a URI": lambda: [
        PeerPolicy.trust_domain("test.example"), PeerPolicy.uri(API),
    ],
    "a domain and two URIs": lambda: [
        PeerPolicy.trust_domain("prod.example"), PeerPolicy.uri(API), PeerPolicy.uri(WEB),
    ],
    "nested": lambda: [
        PeerPolicy.all_of(PeerPolicy.dns("a.example"), PeerPolicy.spki(HASH)),
        PeerPolicy.any_of(PeerPolicy.all_of(PeerPolicy.spki(OTHER), PeerPolicy.dns("b.example")),
                          PeerPolicy.spki("11" * 32)),
    ],
}  # fmt: skip
POSSIBLE: dict[str, Callable[[], list[PeerPolicy]]] = {
    "two names": lambda: [PeerPolicy.dns("a.example"), PeerPolicy.dns("b.example")],
    "two URIs": lambda: [PeerPolicy.uri(API), PeerPolicy.uri(WEB)],
    "two issuers": lambda: [
        PeerPolicy.issuer(A.certificate), PeerPolicy.issuer(CertificateAuthority("b").certificate),
    ],
    "keys with one in common": lambda: [PeerPolicy.spki(HASH, OTHER), PeerPolicy.spki("11" * 32, OTHER)],
    "an id and its domain": lambda: [PeerPolicy.spiffe_id(API), PeerPolicy.trust_domain("prod.example", "b.example")],
    "an id and the same as a URI": lambda: [PeerPolicy.spiffe_id(API), PeerPolicy.uri(API)],
    "a domain and an id of it as a URI": lambda: [PeerPolicy.trust_domain("prod.example"), PeerPolicy.uri(API, URI)],
    "a choice with one way through": lambda: [
        PeerPolicy.any_of(PeerPolicy.spki(HASH), PeerPolicy.dns("a.example")), PeerPolicy.spki(OTHER),
    ],
    "the same twice": lambda: [PeerPolicy.spki(HASH), PeerPolicy.spki(HASH)],
}  # fmt: skip


@pytest.mark.parametrize("parts", IMPOSSIBLE.values(), ids=IMPOSSIBLE.keys())
def test_rules_that_nobody_can_meet_together_are_refused_with_the_remedy(
    parts: Callable[[], list[PeerPolicy]],
) -> None:
    with pytest.raises(mtls.UsageError, match=r"could match nobody: no peer is all of this; any_of\(\) admits"):
        PeerPolicy.all_of(*parts())
    PeerPolicy.any_of(*parts())


@pytest.mark.parametrize("parts", POSSIBLE.values(), ids=POSSIBLE.keys())
def test_rules_that_somebody_can_meet_together_are_taken(parts: Callable[[], list[PeerPolicy]]) -> None:
    assert isinstance(PeerPolicy.all_of(*parts()), PeerPolicy)


def test_a_policy_with_more_ways_in_than_can_be_looked_at_is_taken_at_once() -> None:
    choice = PeerPolicy.any_of(PeerPolicy.spki(HASH), PeerPolicy.spki(OTHER))
    deep = PeerPolicy.all_of(*[choice] * 200)
    for _ in range(200):
        deep = PeerPolicy.all_of(PeerPolicy.any_of(deep, choice), choice)
    assert isinstance(deep, PeerPolicy)


URIS = [(), (API,), (WEB,), ("spiffe://test.example/api",), (URI,), (API, URI), ("spiffe://prod.example",)]


@cache
def _everybody() -> list[mtls.PeerIdentity]:
    keys = [generate_key(mtls.KeyType.EC_P256) for _ in range(2)]
    names = [uris + dns for uris, dns in product(URIS, [("a.example",), ("b.example",), ("a.example", "b.example")])]
    keystores = [A.client(*san, private_key=key) for san, key in product(names, keys)]
    return [identity_of(keystore, A.certificate) for keystore in keystores]


@cache
def _single_rules() -> list[PeerPolicy]:
    keys = sorted({someone.spki_sha256 for someone in _everybody()})
    uris = [uri for san in URIS for uri in san]
    return [
        *map(PeerPolicy.spki, keys), PeerPolicy.spki(*keys), *map(PeerPolicy.uri, uris),
        PeerPolicy.spiffe_id(API), PeerPolicy.spiffe_id(WEB), PeerPolicy.spiffe_id(API, WEB),
        PeerPolicy.trust_domain("prod.example"), PeerPolicy.trust_domain("test.example"),
        PeerPolicy.dns("a.example"), PeerPolicy.dns("b.example"), PeerPolicy.dns("*.example"),
        PeerPolicy.issuer(A.certificate),
    ]  # fmt: skip


def _trees() -> st.SearchStrategy[Any]:
    single = st.deferred(lambda: st.sampled_from(_single_rules()))
    return st.recursive(single, lambda inner: st.tuples(st.booleans(), st.lists(inner, min_size=1, max_size=3)))


def _meaning(tree: Any, who: mtls.PeerIdentity) -> bool:
    if isinstance(tree, PeerPolicy):
        return tree(who)
    every, parts = tree
    return (all if every else any)(_meaning(part, who) for part in parts)


def _built(tree: Any) -> PeerPolicy:
    if isinstance(tree, PeerPolicy):
        return tree
    every, parts = tree
    return (PeerPolicy.all_of if every else PeerPolicy.any_of)(*map(_built, parts))


@settings(deadline=None)
@given(tree=_trees())
def test_a_combination_means_what_its_parts_mean_and_is_refused_only_where_it_admits_nobody(tree: Any) -> None:
    try:
        policy = _built(tree)
    except mtls.UsageError:
        # an impossible part stops the whole, so it is that part which must admit nobody
        assert not any(_meaning(_first_refused(tree), who) for who in _everybody())
        return
    assert [policy(who) for who in _everybody()] == [_meaning(tree, who) for who in _everybody()]
    assert pickle.loads(pickle.dumps(policy)) == policy


def _first_refused(tree: Any) -> Any:
    for part in tree[1]:
        try:
            _built(part)
        except mtls.UsageError:
            return _first_refused(part)
    return tree


# --- rules that could match nobody ---

REFUSED: list[tuple[str, tuple[object, ...], str]] = [
    ("any_of", (), r"any_of\(\) needs at least one policy: without any it would admit nobody"),
    ("all_of", (), r"all_of\(\) needs at least one policy: without any it would admit everybody"),
    ("any_of", ([PeerPolicy.dns("a.example")],), r"one by one, and not list: write \*policies"),
    ("all_of", (lambda _: True,), "takes policies, one by one, and not function: .* a function of your own"),
    ("all_of", (PeerPolicy.dns("a.example"), None), "not NoneType"),
    # DNS names
    ("dns", ("",), "'' is no DNS name, so it could match nobody: give a host such as"),
    ("dns", ("a.example", ""), "is no DNS name"),
    ("dns", (".",), "is no DNS name"),
    ("dns", ("a..example",), "is no DNS name"),
    ("dns", ("a.example..",), "is no DNS name"),
    ("dns", (".a.example",), "is no DNS name"),
    ("dns", (" a.example",), "is no DNS name"),
    ("dns", ("a.example\n",), "is no DNS name"),
    ("dns", ("a.example:443",), "is no DNS name"),
    ("dns", ("https://a.example",), "is no DNS name"),
    ("dns", ("a.example/x",), "is no DNS name"),
    ("dns", ("me@a.example",), "is no DNS name"),
    ("dns", ("-a.example",), "is no DNS name"),
    ("dns", ("a-.example",), "is no DNS name"),
    ("dns", ("a" * 64 + ".example",), "is no DNS name"),
    ("dns", (".".join(["a" * 60] * 5),), "is no DNS name"),
    ("dns", (r".*\.example",), "a wildcard stands for the whole left-most label only"),
    ("dns", ("*",), "a wildcard stands for the whole left-most label only"),
    ("dns", ("*.",), "a wildcard stands for the whole left-most label only"),
    ("dns", ("*.*.example",), "a wildcard stands for the whole left-most label only"),
    ("dns", ("b*.example",), "a wildcard stands for the whole left-most label only"),
    ("dns", ("a.*.example",), r"as in '\*\.partner\.example'"),
    ("dns", ("b\u00fccher.example",), "as A-labels, so give it in the form 'xn--"),
    ("dns", ("\u212a.example",), "as A-labels"),
    ("dns", ("10.0.0.1",), "looks like an IP address.*test peer.ip_addresses in a function"),
    ("dns", ("::1",), "is no DNS name"),
    ("dns", (b"a.example",), "is no DNS name: give it as a str"),
    ("dns", (["a.example"],), "is no DNS name: give it as a str"),
    ("dns", (None,), "None is no DNS name: give it as a str"),
    # URIs
    ("uri", ("",), "'' is no URI, so it could match nobody: give it with its scheme, in ASCII"),
    ("uri", ("billing.example/a",), "is no URI"),
    ("uri", ("https:",), "is no URI"),
    ("uri", ("https://a.example/ b",), "is no URI"),
    ("uri", ("https://a.example/\n",), "is no URI"),
    ("uri", ("https://\u00e4.example/",), "is no URI"),
    ("uri", (None,), "None is no URI: give it as a str"),
    # keys
    ("spki", ("",), "'' is no SHA-256 digest: give 64 hexadecimal digits, as in Keystore.spki_sha256"),
    ("spki", (HASH[:-1],), "is no SHA-256 digest"),
    ("spki", (HASH + "0",), "is no SHA-256 digest"),
    ("spki", (HASH + "\n",), "is no SHA-256 digest"),
    ("spki", ("0x" + HASH[2:],), "is no SHA-256 digest"),
    ("spki", ("g" * 64,), "is no SHA-256 digest"),
    ("spki", ("\uff10" * 64,), "is no SHA-256 digest"),
    ("spki", ("sha256/RKlNL2ACzpnSjU2jCWAAGwPrbGnxlSOkhOcv5SxRiLM=",), "is no SHA-256 digest"),
    ("spki", (bytes.fromhex(HASH),), "is no SHA-256 digest: give it as a str"),
    # issuers
    ("issuer", (A.client("c").certificate,), r"CN=c is no CA certificate.*or pin the leaf's key with .*spki"),
    ("issuer", ("CN=a",), "takes x509.Certificate objects, not str"),
    ("issuer", (A,), "takes x509.Certificate objects, not CertificateAuthority"),
    ("issuer", (None,), "takes x509.Certificate objects, not NoneType"),
]  # fmt: skip

RULES = ("dns", "uri", "spiffe_id", "trust_domain", "spki", "issuer")


@pytest.mark.parametrize(
    ("kind", "values", "text"), REFUSED, ids=[f"{place} {kind}" for place, (kind, _, _) in enumerate(REFUSED)]
)
def test_a_rule_that_could_match_nobody_is_refused_with_the_remedy(
    kind: str, values: tuple[object, ...], text: str
) -> None:
    with pytest.raises(mtls.UsageError, match=text):
        getattr(PeerPolicy, kind)(*values)


@pytest.mark.parametrize("kind", RULES)
def test_a_rule_without_values_is_refused(kind: str) -> None:
    with pytest.raises(mtls.UsageError, match=rf"PeerPolicy\.{kind}\(\) needs at least one value: without any it"):
        getattr(PeerPolicy, kind)()


def test_a_policy_is_made_by_a_named_constructor() -> None:
    with pytest.raises(mtls.UsageError, match=r"use PeerPolicy\.dns\(\.\.\.\), \.uri\(\.\.\.\)"):
        PeerPolicy()


# --- policies as values ---


def some_policies() -> dict[str, PeerPolicy]:
    return {
        "PeerPolicy.dns('*.example', 'a.example')": PeerPolicy.dns("*.EXAMPLE.", "a.example"),
        "PeerPolicy.uri('https://billing.example/a')": PeerPolicy.uri(URI),
        "PeerPolicy.spiffe_id('spiffe://prod.example/api')": PeerPolicy.spiffe_id(API),
        "PeerPolicy.trust_domain('prod.example')": PeerPolicy.trust_domain("spiffe://PROD.example/"),
        f"PeerPolicy.spki('{HASH}')": PeerPolicy.spki(HASH.upper()),
        "PeerPolicy.any_of(PeerPolicy.dns('a.example'), PeerPolicy.all_of(PeerPolicy.dns('b.example')))": (
            PeerPolicy.any_of(PeerPolicy.dns("a.example"), PeerPolicy.all_of(PeerPolicy.dns("b.example")))
        ),
    }


def test_the_repr_is_the_call_that_makes_the_policy() -> None:
    for text, policy in some_policies().items():
        assert repr(policy) == text
        assert eval(text, {"PeerPolicy": PeerPolicy}) == policy


def test_policies_are_equal_by_content_and_kinds_are_told_apart() -> None:
    one, other = some_policies(), some_policies()
    assert list(one.values()) == list(other.values())
    assert len({*one.values(), *other.values()}) == len(one)
    assert PeerPolicy.dns("a.example", "b.example") == PeerPolicy.dns("b.example", "A.example", "b.example")
    same = PeerPolicy.any_of(PeerPolicy.dns("a.example"), PeerPolicy.spki(HASH))
    assert same == PeerPolicy.any_of(PeerPolicy.spki(HASH), PeerPolicy.dns("a.example"))
    assert PeerPolicy.uri(API) != PeerPolicy.spiffe_id(API)
    assert PeerPolicy.any_of(same) != PeerPolicy.all_of(same)
    assert PeerPolicy.any_of(same) != same
    assert PeerPolicy.dns("a.example") != "PeerPolicy.dns('a.example')"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda policy: pickle.loads(pickle.dumps(policy))])
def test_a_copy_is_the_same_policy(copied: Callable[[PeerPolicy], PeerPolicy], peer: MakePeer) -> None:
    who = peer(raw("a.example"))
    for policy in [*some_policies().values(), PeerPolicy.issuer(A.certificate)]:
        again = copied(policy)
        assert (again, hash(again), repr(again)) == (policy, hash(policy), repr(policy))
        assert again(who) is policy(who)


def test_a_policy_cannot_be_changed() -> None:
    policy = PeerPolicy.dns("a.example")
    for name in ("_kind", "_values", "_parts", "name", "__class__"):
        with pytest.raises(AttributeError, match="a PeerPolicy cannot be changed"):
            setattr(policy, name, ())
    for name in ("_kind", "_values", "_parts"):
        with pytest.raises(AttributeError, match="a PeerPolicy cannot be changed"):
            delattr(policy, name)
    assert not hasattr(policy, "__dict__")
    assert policy == PeerPolicy.dns("a.example")
