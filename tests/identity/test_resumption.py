"""Resumed sessions: the same identity, and every check that OpenSSL leaves out, made again."""

from __future__ import annotations

import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import mtls
from mtls import FailureReason, PeerPolicy, Revocation, Role
from mtls._checks.host_name import certificate_covers
from mtls._credentials.key_types import generate_key
from mtls._handshake import admission, verified_paths
from mtls._handshake.verified_paths import VerifiedPaths
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.identity.conftest import Connect, MakeLeaf

DAY = timedelta(days=1)
ROLES = pytest.mark.parametrize("role", list(Role))


def now() -> datetime:
    return datetime.now(UTC)


class Tiers(NamedTuple):
    """A root, a CA below it that ends in 30 days, and leaves of that CA that end in 60."""

    root: CertificateAuthority
    tier: CertificateAuthority
    client: mtls.Keystore
    server: mtls.Keystore


@pytest.fixture(scope="session")
def tiers() -> Tiers:
    root = CertificateAuthority("root", not_after=now() + 90 * DAY)
    tier = root.intermediate("tier", not_after=now() + 30 * DAY)
    end = now() + 60 * DAY
    return Tiers(root, tier, tier.client("c.example", not_after=end), tier.server("localhost", not_after=end))


class Contexts(NamedTuple):
    client: ssl.SSLContext
    server: ssl.SSLContext


def contexts(tiers: Tiers, policy: mtls.TLSPolicy, role: Role | None = None, **options: Any) -> Contexts:
    """Both sides; ``options`` are those of the side that has this role."""
    both: dict[str, Any] = {"truststore": tiers.root.truststore, "policy": policy}
    client = both | {"keystore": tiers.client} | (options if role is Role.CLIENT else {})
    server = both | {"keystore": tiers.server} | (options if role is Role.SERVER else {})
    return Contexts(mtls.TLSProfile.client(**client).ssl_context(), mtls.TLSProfile.server(**server).ssl_context())


class Both(NamedTuple):
    first: Any
    again: Any


@pytest.fixture(scope="session")
def twice(connect: Connect) -> Callable[..., Both]:
    """The end that has this role, of a full handshake and of one that resumes it."""

    def run(made: Contexts, role: Role) -> Both:
        first = connect(*made)
        again = connect(*made, session=first.near.session)
        ends = [pair.far if role is Role.SERVER else pair.near for pair in (first, again)]
        assert [end.session_reused for end in ends] == [False, True]
        return Both(*ends)

    return run


def known(end: Any) -> mtls.PeerIdentity:
    identity = mtls.peer_identity(end)
    assert identity is not None
    return identity


def verdict(end: Any, at: datetime) -> tuple[FailureReason, str] | None:
    """Whether the peer of this connection would be let in at that time."""
    found = admission.refusal(end._mtls, end._sslobj, at)
    return None if found is None else found[:2]


def reason(end: Any, at: datetime) -> FailureReason | None:
    found = verdict(end, at)
    return None if found is None else found[0]


# --- the same identity ---


@ROLES
def test_a_resumed_connection_gives_the_identity_of_the_first_with_its_whole_chain(
    tiers: Tiers, policy: mtls.TLSPolicy, twice: Callable[..., Both], role: Role
) -> None:
    first, again = map(known, twice(contexts(tiers, policy), role))
    assert (first.resumed, again.resumed) == (False, True)
    assert again == first
    assert again.chain == first.chain
    assert len(again.chain) == 3
    assert again.chain[-1] == tiers.root.certificate
    for name in ("certificate", "dns_names", "uris", "ip_addresses", "emails", "spiffe_id", "subject", "spki_sha256"):
        assert getattr(again, name) == getattr(first, name)


def test_a_session_that_is_resumed_again_and_again_stays_the_same_peer(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect
) -> None:
    made = contexts(tiers, policy)
    pair = connect(*made)
    first = known(pair.far)
    for _ in range(4):
        pair = connect(*made, session=pair.near.session)
        assert pair.far.session_reused
        assert (known(pair.far), known(pair.far).chain) == (first, first.chain)


@ROLES
def test_every_kind_of_policy_admits_whom_it_admitted_at_first(
    tiers: Tiers, policy: mtls.TLSPolicy, twice: Callable[..., Both], role: Role
) -> None:
    keystore = tiers.client if role is Role.SERVER else tiers.server
    rule = PeerPolicy.all_of(
        PeerPolicy.issuer(tiers.tier.certificate),
        PeerPolicy.issuer(tiers.root.certificate),
        PeerPolicy.dns(keystore.names[0]),
        PeerPolicy.spki(keystore.spki_sha256),
    )
    twice(contexts(tiers, policy, role, authorize=rule), role)
    if role is Role.CLIENT:
        twice(contexts(tiers, policy, role, server_identity=rule), role)


@ROLES
def test_authorization_is_asked_again_and_may_say_no(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect, role: Role
) -> None:
    admitted = [True]
    asked: list[mtls.PeerIdentity] = []

    def rule(peer: mtls.PeerIdentity) -> bool:
        asked.append(peer)
        return admitted[0]

    made = contexts(tiers, policy, role, authorize=rule)
    session = connect(*made).near.session
    connect(*made, session=session)
    admitted[0] = False
    with pytest.raises(mtls.PeerVerificationError) as caught:
        connect(*made, session=session)
    assert (caught.value.failure, caught.value.step) == (FailureReason.NOT_AUTHORIZED, role.other.verified_at)
    assert "resumed>" in str(caught.value)
    assert [peer.resumed for peer in asked] == [False, True, True]
    assert [peer.chain for peer in asked] == [asked[0].chain] * 3


def test_a_session_of_a_refused_client_opens_no_door_later(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect
) -> None:
    made = contexts(tiers, policy, Role.SERVER, authorize=PeerPolicy.dns("somebody.else"))
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = made.client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = made.server.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    with pytest.raises(mtls.PeerVerificationError):
        far.do_handshake()
    near.do_handshake()
    assert near.read() == b""
    with pytest.raises(mtls.PeerVerificationError) as caught:
        connect(*made, session=near.session)
    assert caught.value.failure is FailureReason.NOT_AUTHORIZED


def test_a_client_that_showed_no_certificate_is_nobody_again(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect
) -> None:
    server = mtls.TLSProfile.server(
        keystore=tiers.server,
        truststore=tiers.root.truststore,
        policy=policy,
        client_auth=mtls.ClientAuth.OPTIONAL,
        authorize=lambda _: False,
    ).ssl_context()
    client = mtls.TLSProfile.client(truststore=tiers.root.truststore, policy=policy).ssl_context()
    first = connect(client, server)
    again = connect(client, server, session=first.near.session)
    assert again.far.session_reused
    assert mtls.peer_identity(again.far) is None


def test_many_clients_at_once_each_get_their_own_path(tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect) -> None:
    beside = tiers.root.intermediate("beside")
    server = contexts(tiers, policy).server
    keystores = [(tiers.tier if place % 2 else beside).client(f"c{place}.example") for place in range(8)]

    def visit(keystore: mtls.Keystore) -> bool:
        client = mtls.TLSProfile.client(
            truststore=tiers.root.truststore, keystore=keystore, policy=policy
        ).ssl_context()
        expected = (keystore.certificate, *keystore.chain, tiers.root.certificate)
        pair = connect(client, server)
        for _ in range(5):
            pair = connect(client, server, session=pair.near.session)
            assert pair.far.session_reused
            assert known(pair.far).chain == expected
        return True

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(visit, keystores))


# --- what was forgotten ---


@ROLES
def test_a_forgotten_path_leaves_the_leaf_and_issuer_policies_refuse(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect, monkeypatch: pytest.MonkeyPatch, role: Role
) -> None:
    made = contexts(tiers, policy, role)
    asking = contexts(tiers, policy, role, authorize=PeerPolicy.issuer(tiers.root.certificate))
    sessions = [connect(*made).near.session, connect(*asking).near.session]
    monkeypatch.setattr(verified_paths, "_MOST", 0)
    for both in (made, asking):
        served = both.server if role is Role.SERVER else both.client
        served._generation.paths.remember((b"", b""))  # type: ignore[attr-defined] # a TLSContext
    pair = connect(*made, session=sessions[0])
    again = pair.far if role is Role.SERVER else pair.near
    assert again.session_reused
    assert known(again).chain == (known(again).certificate,)
    assert reason(again, now() + 61 * DAY) is FailureReason.EXPIRED
    assert reason(again, now() + 31 * DAY) is None  # who does not know the path does not know its dates
    with pytest.raises(mtls.PeerVerificationError) as caught:
        connect(*asking, session=sessions[1])
    assert caught.value.failure is FailureReason.NOT_AUTHORIZED
    monkeypatch.undo()
    renewed = connect(*asking)
    pair = connect(*asking, session=renewed.near.session)
    assert len(known(pair.far if role is Role.SERVER else pair.near).chain) == 3


def test_the_path_that_was_not_used_for_longest_is_forgotten_first(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verified_paths, "_MOST", 2)
    server = contexts(tiers, policy).server

    def client(name: str) -> ssl.SSLContext:
        keystore = tiers.tier.client(name)
        profile = mtls.TLSProfile.client(truststore=tiers.root.truststore, keystore=keystore, policy=policy)
        return profile.ssl_context()

    faithful, second, third = map(client, ("a.example", "b.example", "c.example"))
    kept = connect(faithful, server)
    session = connect(second, server).near.session
    kept = connect(faithful, server, session=kept.near.session)
    connect(third, server)
    assert len(known(connect(faithful, server, session=kept.near.session).far).chain) == 3
    assert len(known(connect(second, server, session=session).far).chain) == 1


def test_1024_paths_are_remembered_and_not_one_more() -> None:
    paths = VerifiedPaths(tuple)
    for number in range(1025):
        paths.remember((b"leaf %d" % number, b"root"))
    assert paths.of(b"leaf 0") is None
    assert paths.of(b"leaf 1") == (b"leaf 1", b"root")
    assert paths.of(b"leaf 1024") == (b"leaf 1024", b"root")
    assert paths.of(b"never seen") is None
    paths.remember((b"leaf 1", b"another root"))
    assert paths.of(b"leaf 1") == (b"leaf 1", b"another root")
    assert paths.of(b"leaf 2") is not None


def test_threads_that_remember_and_ask_get_the_right_path_or_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verified_paths, "_MOST", 20)
    paths = VerifiedPaths(tuple)

    def work(seed: int) -> int:
        wrong = 0
        for step in range(3000):
            leaf = b"%d" % ((step * 7 + seed * 13) % 60)
            if step % 3 == seed % 3:
                paths.remember((leaf, b"of " + leaf))
            wrong += paths.of(leaf) not in {None, (leaf, b"of " + leaf)}
        return wrong

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(work, range(8))) == 0
    assert sum(paths.of(b"%d" % number) is not None for number in range(60)) == 20


def test_a_signal_handler_that_connects_meanwhile_does_not_wait_for_ever() -> None:
    paths = VerifiedPaths(tuple)
    with paths._lock:
        paths.remember((b"leaf", b"root"))
        assert paths.of(b"leaf") == (b"leaf", b"root")


# --- what has ended since ---


@ROLES
def test_the_end_of_every_certificate_in_the_path_is_looked_at_again(
    tiers: Tiers, policy: mtls.TLSPolicy, twice: Callable[..., Both], role: Role
) -> None:
    first, again = twice(contexts(tiers, policy), role)
    assert verdict(again, now() + 29 * DAY) is None
    found = verdict(again, now() + 31 * DAY)
    assert found is not None
    assert found[0] is FailureReason.EXPIRED
    assert found[1].startswith("CN=tier in its chain ended on ")
    assert found[1].endswith("after the session that was resumed had begun")
    found = verdict(again, now() + 61 * DAY)
    assert found is not None
    assert found[1].startswith("it ended on ")
    assert verdict(first, now() + 61 * DAY) is None  # a full handshake is OpenSSL's to judge


def test_a_root_that_ended_ends_the_session_too(policy: mtls.TLSPolicy, twice: Callable[..., Both]) -> None:
    root = CertificateAuthority("short root", not_after=now() + 5 * DAY)
    tiers = Tiers(root, root, root.client("c.example"), root.server("localhost"))
    again = twice(contexts(tiers, policy), Role.SERVER).again
    assert verdict(again, now() + 4 * DAY) is None
    found = verdict(again, now() + 6 * DAY)
    assert found is not None
    assert found[1].startswith("CN=short root in its chain ended on ")


def test_a_session_outlives_no_certificate_in_a_real_handshake(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = contexts(tiers, policy)
    session = connect(*made).near.session
    real = admission.refusal
    monkeypatch.setattr(admission, "refusal", lambda known, c, at: real(known, c, at + 31 * DAY))
    with pytest.raises(mtls.PeerVerificationError) as caught:
        connect(*made, session=session)
    assert (caught.value.failure, caught.value.side) == (FailureReason.EXPIRED, mtls.Side.LOCAL)
    assert "in its chain ended on" in str(caught.value)


# --- CRLs ---


def with_lists(tiers: Tiers, *, tier_ends: int, root_ends: int) -> mtls.Truststore:
    """CRLs of both CAs that end in so many days."""
    lists = [
        tiers.tier.crl(next_update=now() + tier_ends * DAY),
        tiers.root.crl(next_update=now() + root_ends * DAY),
    ]
    return mtls.Truststore.from_certificates([tiers.root.certificate], crls=lists)


@ROLES
@pytest.mark.parametrize(
    ("tier_ends", "root_ends", "ended_for"),
    [
        (3, 9, {Revocation.CHAIN, Revocation.LEAF}),
        (9, 3, {Revocation.CHAIN}),
        (9, 9, set()),
    ],
    ids=["the leaf's list", "the intermediate's list", "none"],
)
def test_a_list_that_ended_ends_the_session_of_whom_it_covers(
    tiers: Tiers,
    policy: mtls.TLSPolicy,
    twice: Callable[..., Both],
    role: Role,
    tier_ends: int,
    root_ends: int,
    ended_for: set[Revocation],
) -> None:
    truststore = with_lists(tiers, tier_ends=tier_ends, root_ends=root_ends)
    for revocation in Revocation:
        made = contexts(tiers, policy, role, truststore=truststore, revocation=revocation)
        first, again = twice(made, role)
        assert reason(again, now() + 2 * DAY) is None
        expected = FailureReason.CRL_EXPIRED if revocation in ended_for else None
        assert reason(again, now() + 4 * DAY) is expected
        assert reason(first, now() + 4 * DAY) is None
        found = verdict(again, now() + 4 * DAY)
        if found is not None:
            name = "CN=tier" if tier_ends == 3 else "CN=root"
            assert found[1] == f"every CRL of {name} has ended since the session that was resumed had begun"


def test_a_newer_list_of_the_same_ca_keeps_the_session(
    tiers: Tiers, policy: mtls.TLSPolicy, twice: Callable[..., Both]
) -> None:
    lists = [with_lists(tiers, tier_ends=days, root_ends=30) for days in (3, 9)]
    again = twice(contexts(tiers, policy, Role.SERVER, truststore=lists[0] | lists[1]), Role.SERVER).again
    assert reason(again, now() + 4 * DAY) is None
    assert reason(again, now() + 10 * DAY) is FailureReason.CRL_EXPIRED


def test_a_list_of_a_ca_with_the_same_name_and_another_key_does_not_keep_the_session(
    policy: mtls.TLSPolicy, twice: Callable[..., Both]
) -> None:
    old, new = CertificateAuthority("partner"), CertificateAuthority("partner")
    lists = [old.crl(next_update=now() + 3 * DAY), new.crl(next_update=now() + 9 * DAY)]
    truststore = mtls.Truststore.from_certificates([old.certificate, new.certificate], crls=lists)
    tiers = Tiers(old, old, old.client("c.example"), old.server("localhost"))
    again = twice(contexts(tiers, policy, Role.SERVER, truststore=truststore), Role.SERVER).again
    assert reason(again, now() + 2 * DAY) is None
    assert reason(again, now() + 4 * DAY) is FailureReason.CRL_EXPIRED


def test_a_list_whose_issuer_is_written_otherwise_is_found_as_openssl_finds_it(
    policy: mtls.TLSPolicy, twice: Callable[..., Both]
) -> None:
    key = generate_key(mtls.KeyType.EC_P256)
    root = CertificateAuthority("root")
    ca = root.intermediate("Partner  CA", private_key=key)
    written = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, " partner ca")])
    crl = (
        x509.CertificateRevocationListBuilder(written)
        .last_update(now() - DAY)
        .next_update(now() + 3 * DAY)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .add_extension(x509.CRLNumber(1), critical=False)
        .sign(key, hashes.SHA256())
    )
    truststore = mtls.Truststore.from_certificates([root.certificate], crls=[root.crl(), crl])
    tiers = Tiers(root, ca, ca.client("c.example"), ca.server("localhost"))
    again = twice(contexts(tiers, policy, Role.SERVER, truststore=truststore), Role.SERVER).again
    assert reason(again, now() + 2 * DAY) is None
    assert reason(again, now() + 4 * DAY) is FailureReason.CRL_EXPIRED


def test_lists_that_a_library_switched_on_later_count_as_well(
    tiers: Tiers, policy: mtls.TLSPolicy, twice: Callable[..., Both]
) -> None:
    truststore = with_lists(tiers, tier_ends=9, root_ends=3)
    made = contexts(tiers, policy, Role.SERVER, truststore=truststore, revocation=Revocation.OFF)
    for flag, expected in (
        (ssl.VERIFY_CRL_CHECK_LEAF, None), (ssl.VERIFY_CRL_CHECK_CHAIN, FailureReason.CRL_EXPIRED),
    ):  # fmt: skip
        made.server.verify_flags |= flag
        assert reason(twice(made, Role.SERVER).again, now() + 4 * DAY) is expected


# --- host names ---


def test_the_session_of_one_host_does_not_stand_for_another(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect
) -> None:
    made = contexts(tiers._replace(server=tiers.tier.server("a.example", "10.0.0.1")), policy)
    session = connect(*made, hostname="a.example").near.session
    for host in ("a.example", "A.Example", "10.0.0.1"):
        assert connect(*made, session=session, hostname=host).near.session_reused
    for host in ("b.example", "a.example.evil.test", "xa.example", "10.0.0.2", "::1"):
        with pytest.raises(mtls.PeerVerificationError) as caught:
            connect(*made, session=session, hostname=host)
        assert caught.value.failure is FailureReason.HOSTNAME_MISMATCH
        assert f"the session was resumed with {host!r}, and belongs to <PeerIdentity a.example" in str(caught.value)


def test_a_name_check_that_was_switched_on_beside_a_policy_holds_on_resumed_sessions_too(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect
) -> None:
    made = contexts(
        tiers._replace(server=tiers.tier.server("a.example")),
        policy, Role.CLIENT, server_identity=PeerPolicy.issuer(tiers.root.certificate),
    )  # fmt: skip
    session = connect(*made, hostname="b.example").near.session
    assert connect(*made, session=session, hostname="b.example").near.session_reused
    made.client.check_hostname = True
    session = connect(*made, hostname="a.example").near.session
    assert connect(*made, session=session, hostname="a.example").near.session_reused
    for given_session in (None, session):
        with pytest.raises(mtls.PeerVerificationError) as caught:
            connect(*made, session=given_session, hostname="b.example")
        assert caught.value.failure is FailureReason.HOSTNAME_MISMATCH


LABELS = st.text("aX-_*", min_size=1, max_size=3) | st.sampled_from(["", "example", "xn--a", "\u212a"])
HOST_LABELS = st.text("aX-_", min_size=1, max_size=3) | st.sampled_from(["example", "xn--a"])


@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow])
@given(
    presented=st.lists(LABELS, min_size=1, max_size=4).map(".".join),
    host=st.lists(HOST_LABELS, min_size=1, max_size=4).map(".".join),
    star=st.booleans(),
)
@example(presented="*.example", host="a.example", star=False)
@example(presented="*.a.example", host="a_x.a.example", star=False)
@example(presented="*.a_x.example", host="a.a_x.example", star=False)
@example(presented="a.example.", host="a.example", star=False)
@example(presented="\u212a.example", host="k.example", star=False)
def test_a_name_is_compared_on_a_resumed_session_as_openssl_compares_it_on_the_first(
    leaf: MakeLeaf, authority: CertificateAuthority, presented: str, host: str, star: bool
) -> None:
    if star:  # a pattern that is about to match, which chance would seldom find
        presented = ".".join(["*", *host.split(".")[1:]])
    server = mtls.TLSProfile.server(keystore=leaf(("dns", presented), role=Role.SERVER))
    client = mtls.TLSProfile.client(truststore=authority.truststore)
    try:
        result = mtls.rehearse(client, server, hostname=host)
    except mtls.UsageError:
        return  # no host name
    assert certificate_covers(presented, host) is result.ok
    if not result.ok:
        assert isinstance(result.error, mtls.PeerVerificationError)
        assert result.error.failure is FailureReason.HOSTNAME_MISMATCH


# --- generations ---


def test_a_session_of_another_context_leads_to_a_full_handshake(
    tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect
) -> None:
    made, elsewhere = contexts(tiers, policy), contexts(tiers, policy)
    pair = connect(elsewhere.client, made.server, session=connect(*made).near.session)
    assert not pair.far.session_reused
    assert (known(pair.far).resumed, len(known(pair.far).chain)) == (False, 3)


def test_a_new_generation_resumes_no_session_and_knows_no_path_of_the_old_one(
    tiers: Tiers, connect: Connect, tmp_path: Path
) -> None:
    tiers.root.save_keystore(tiers.server, tmp_path)
    server = mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory(tmp_path), truststore=mtls.Truststore.from_directory(tmp_path)
    ).ssl_context()
    client = contexts(tiers, mtls.MOZILLA_INTERMEDIATE).client
    first = connect(client, server)
    leaf = first.far.getpeercert(True)
    old = server._generation.paths
    assert old.of(leaf) is not None
    server.reload()
    assert server._generation.paths.of(leaf) is None
    again = connect(client, server, session=first.near.session)
    assert not again.far.session_reused
    assert known(again.far).chain == known(first.far).chain
    assert server._generation.paths.of(leaf) == old.of(leaf)


def test_two_profiles_do_not_share_what_they_verified(tiers: Tiers, policy: mtls.TLSPolicy, connect: Connect) -> None:
    one, other = contexts(tiers, policy).server, contexts(tiers, policy).server
    far = connect(contexts(tiers, policy).client, one).far
    leaf = far.getpeercert(True)
    assert one._generation.paths.of(leaf) is not None  # type: ignore[attr-defined] # a TLSContext
    assert other._generation.paths.of(leaf) is None  # type: ignore[attr-defined] # a TLSContext


def test_an_extended_key_usage_that_is_required_is_asked_for_again(
    tiers: Tiers, policy: mtls.TLSPolicy, twice: Callable[..., Both]
) -> None:
    again = twice(contexts(tiers, policy), Role.SERVER).again
    again._mtls.settings = replace(again._mtls.settings, eku=mtls.EKUPolicy.REQUIRED)
    assert reason(again, now()) is None
    bare = tiers._replace(client=tiers.tier.client("c.example", eku=()))
    again = twice(contexts(bare, policy), Role.SERVER).again
    again._mtls.settings = replace(again._mtls.settings, eku=mtls.EKUPolicy.REQUIRED)
    assert reason(again, now()) is FailureReason.WRONG_EKU
