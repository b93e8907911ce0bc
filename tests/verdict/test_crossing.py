"""``mtls.verify`` says what a handshake says, and why: thousands of chains, each with both.

Rule: every chain goes through a real handshake of this interpreter's OpenSSL, whose judging side is built as the
library builds its contexts; the verdict and its code must be equal for all of them. What is said of the cause is
measured against how the chain was made.
"""

from __future__ import annotations

import functools
import itertools
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import mtls
from mtls import ChainRules, FailureReason, Role, TLSProfile, TLSVersion
from tests.verdict import faults, webs
from tests.verdict.factory import KEY_BITS, Chain, Setting, make
from tests.verdict.handshake import Heard, hear, settings_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

F = FailureReason
ROLES, RULES = tuple(Role), tuple(ChainRules)
KEYS = tuple(KEY_BITS)
UNTRUSTED = {F.UNKNOWN_CA, F.INCOMPLETE_CHAIN, F.SELF_SIGNED}
DATES = {F.EXPIRED, F.NOT_YET_VALID}
WANTED_CHAINS, WANTED_CODES = 3000, 25
SAMPLE_OF_TIMES, SAMPLE_OF_VERSIONS, SAMPLE_OF_PROFILES = 4, 8, 16
MISJUDGED = 0.01
EE_KEY_TOO_SMALL = 66
NEVER_SENT = {"PEER_DID_NOT_RETURN_A_CERTIFICATE", "SSLV3_ALERT_HANDSHAKE_FAILURE"}
"""What the judging side says where the peer has no signature to offer, and so does not show its chain."""
UNFIT_FOR_TLS_1_2 = {"BAD_ECC_CERT"}
"""What a client says in TLS 1.2, once it has accepted the chain, of an EC key that may not sign: 1.3 does not mind."""


class Judged(NamedTuple):
    """A chain with the verdict of a handshake and that of the library."""

    chain: Chain
    heard: Heard
    verified: mtls.VerifiedChain | None
    error: mtls.ChainError | None

    @property
    def said(self) -> tuple[bool, int]:
        """What the library said, as the handshake puts it."""
        return self.error is None, _code(self.error)


# --- which chains ---

_ALONE = [
    *faults.DATES, *faults.EKU, *faults.KEY_USAGE, *faults.AUTHORITY, *faults.FORM, *faults.STRENGTH,
    *faults.NAME_CONSTRAINTS, *faults.MISMATCHES, *faults.UNTRUSTED, *faults.TRUSTED, *faults.ORDER,
    *faults.REVOCATION,
]  # fmt: skip
_IN_PAIRS = [
    fault
    for fault in _ALONE
    if fault.failures and fault.sure and not (fault in faults.NAME_CONSTRAINTS and "forbids all" not in fault.name)
]


def _alone(role: Role, rules: ChainRules) -> Iterator[Chain]:
    """Each fault for itself, with keys of every kind in turn, with more intermediates than it takes, without a name."""
    kinds = itertools.cycle(KEYS)
    for fault in _ALONE:
        deepest = fault.depth if "depth" in fault.setting else 2
        for depth in range(fault.depth, deepest + 1):
            setting = Setting(role=role, rules=rules, depth=depth, leaf_key=next(kinds), ca_key=next(kinds))
            if depth == 2 and fault not in faults.MISMATCHES:
                setting = replace(setting, hostname=None)
            yield make(setting, fault)


def _pairs(part: int, parts: int) -> Iterator[Chain]:
    """Every third of the pairs of faults that one chain can have; roles and rules in turn."""
    turns = itertools.cycle(itertools.product(RULES, ROLES))
    together = [pair for pair in itertools.combinations(_IN_PAIRS, 2) if pair[0].goes_with(pair[1])]
    for number, (one, other) in enumerate(together[::3]):
        rules, role = next(turns)
        if number % parts == part:
            yield make(Setting(role=role, rules=rules, leaf_key=KEYS[2 + number % 2]), one, other)


def _untrusted_and_expired() -> Iterator[Chain]:
    for role, untrusted, dates in itertools.product(ROLES, faults.UNTRUSTED, faults.DATES):
        if untrusted.goes_with(dates):
            yield make(Setting(role=role), untrusted, dates)


def _keys(level: int) -> Iterator[Chain]:
    """Leaf and CA of every kind of key, with none, one or two intermediates."""
    for number, (leaf_key, ca_key) in enumerate(itertools.product(KEYS, KEYS)):
        for role in ROLES:
            setting = Setting(role=role, depth=number % 3, leaf_key=leaf_key, ca_key=ca_key, level=level)
            yield make(setting)


def _anchors() -> Iterator[Chain]:
    """Other anchors than the root, with a fault somewhere."""
    some = [*faults.DATES, *faults.EKU[:6], *faults.AUTHORITY, *faults.FORM[:8], *faults.STRENGTH[:3]]
    some += [*faults.NAME_CONSTRAINTS[:5], *faults.REVOCATION]
    turns = itertools.cycle(itertools.product(RULES, ROLES))
    for trusted, fault in itertools.product(faults.TRUSTED, some):
        if trusted.goes_with(fault):
            rules, role = next(turns)
            yield make(Setting(role=role, rules=rules), trusted, fault)


def _hosts() -> Iterator[Chain]:
    for number, fault in enumerate(faults.HOSTS):
        yield make(Setting(rules=RULES[number % 2], leaf_key=KEYS[number % len(KEYS)]), fault)


GROUPS: dict[str, Callable[[], Iterable[Chain]]] = {
    **{f"alone, {role}, {rules}": functools.partial(_alone, role, rules) for role in ROLES for rules in RULES},
    **{f"pairs, part {part + 1} of 6": functools.partial(_pairs, part, 6) for part in range(6)},
    **{f"keys, level {level}": functools.partial(_keys, level) for level in range(6)},
    "untrusted and expired": _untrusted_and_expired,
    "anchors": _anchors,
    "hosts": _hosts,
    "cross-signed": webs.chains,
}


@functools.cache
def _judged(group: str) -> tuple[Judged, ...]:
    return tuple(_judge(chain) for chain in GROUPS[group]())


def _judge(chain: Chain) -> Judged:
    heard = hear(chain)
    try:
        verified, error = _verify(chain), None
    except mtls.ChainError as refusal:
        verified, error = None, refusal
    return Judged(chain, heard, verified, error)


def _verify(chain: Chain, at: datetime | None = None) -> mtls.VerifiedChain:
    setting = chain.setting
    return mtls.verify(
        chain.sent, chain.truststore, role=setting.role, hostname=setting.compared, at=at, policy=setting.policy,
        chain_rules=setting.rules, revocation=setting.revocation,
    )  # fmt: skip


def _said(verify: Callable[[], object]) -> tuple[bool, int]:
    try:
        verify()
    except mtls.ChainError as error:
        return False, _code(error)
    return True, 0


def _code(error: mtls.ChainError | None) -> int:
    return 0 if error is None or error.verify_code is None else error.verify_code


def _all() -> Iterator[Judged]:
    return itertools.chain.from_iterable(map(_judged, GROUPS))


# --- the verdict ---

BY_GROUP = pytest.mark.parametrize("group", GROUPS)


@BY_GROUP
def test_the_verdict_and_its_code_are_those_of_a_handshake(group: str) -> None:
    differing = [
        f"{one.chain.name}: heard {one.heard.accepted}, {one.heard.code} ({one.heard.reason}); said {one.said}"
        for one in _judged(group)
        if one.heard.judged and one.said != (one.heard.accepted, one.heard.code)
    ]
    assert differing == []


@BY_GROUP
def test_the_path_is_the_one_that_the_handshake_took_up_to_its_anchor(group: str) -> None:
    for one in _judged(group):
        if one.verified is not None:
            path = tuple(certificate.public_bytes(Encoding.DER) for certificate in one.verified.path)
            assert path == one.heard.path[: len(path)], one.chain.name
            assert one.verified.path[-1] == one.verified.anchor
            assert one.verified.anchor in one.chain.truststore.anchors, one.chain.name


@BY_GROUP
def test_tls_1_2_says_the_same_as_tls_1_3(group: str) -> None:
    for one in _judged(group)[::SAMPLE_OF_VERSIONS]:
        heard = hear(one.chain, replace(one.chain.setting, version=TLSVersion.TLSv1_2))
        if heard.judged:
            assert (heard.accepted, heard.code) == one.said, one.chain.name
        else:
            assert heard.reason in {*NEVER_SENT, *UNFIT_FOR_TLS_1_2}, one.chain.name


@BY_GROUP
def test_the_verdict_for_a_time_a_few_seconds_ahead_is_the_same(group: str) -> None:
    for one in _judged(group)[::SAMPLE_OF_TIMES]:
        at = datetime.now(UTC) + timedelta(seconds=5)
        assert _said(functools.partial(_verify, one.chain, at)) == one.said, one.chain.name


@BY_GROUP
def test_a_profile_says_the_same_of_its_peers(group: str) -> None:
    for one in _judged(group)[::SAMPLE_OF_PROFILES]:
        settings = settings_of(one.chain, one.chain.setting)
        rules: dict[str, Any] = {
            name: getattr(settings, name) for name in ("truststore", "policy", "chain_rules", "revocation")
        }
        profile = TLSProfile.server if settings.keystore else TLSProfile.client
        if settings.keystore is not None:
            rules["keystore"] = settings.keystore
        verify = functools.partial(profile(**rules).verify_peer, one.chain.sent, one.chain.setting.compared)
        assert _said(verify) == one.said, one.chain.name


def test_a_chain_that_is_never_sent_because_its_key_is_too_weak_is_refused() -> None:
    never = [one for one in _all() if not one.heard.judged]
    assert {one.heard.reason for one in never} <= NEVER_SENT
    for one in never:
        assert one.chain.setting.level > 3, one.chain.name
        assert one.said == (False, EE_KEY_TOO_SMALL), one.chain.name


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("role", ROLES)
def test_a_delta_crl_which_openssl_takes_for_a_complete_one_lets_nobody_in(role: Role, rules: ChainRules) -> None:
    chain = make(Setting(role=role, rules=rules), faults.DELTA)
    assert hear(chain).accepted
    for at in (None, datetime.now(UTC) + timedelta(seconds=5)):
        with pytest.raises(mtls.ChainError) as caught:
            _verify(chain, at)
        assert (caught.value.failure, caught.value.verify_code) == (F.CRL_MISSING, 0)
        assert "is a delta CRL" in str(caught.value)


@pytest.mark.parametrize("kind", ["ec-p224", "secp256k1", "brainpool"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("version", TLSVersion, ids=lambda version: version.label)
def test_a_chain_whose_key_no_handshake_can_use_is_refused(version: TLSVersion, role: Role, kind: str) -> None:
    chain = make(Setting(role=role, leaf_key=kind, version=version))
    assert not hear(chain).accepted
    with pytest.raises(mtls.ChainError) as caught:
        _verify(chain)
    assert caught.value.failure is F.NO_SHARED_SIGNATURE_ALGORITHM


def test_so_many_chains_were_compared(record_property: Callable[[str, object], None]) -> None:
    judged = [one for one in _all() if one.heard.judged]
    codes = Counter(one.heard.code for one in judged)
    _publish(record_property, "chains", len(judged))
    _publish(record_property, "chains by verify code", dict(sorted(codes.items())))
    assert len(judged) >= WANTED_CHAINS
    assert len(codes) >= WANTED_CODES
    assert len({one.chain.sent for one in judged}) > len(judged) / 2


# --- the explanation ---


def test_every_built_in_fault_is_one() -> None:
    """The factory against OpenSSL: what it calls a fault is refused, and what it does not is accepted."""
    for group in GROUPS:
        if group.startswith(("alone", "pairs", "keys")):
            for one in _judged(group):
                assert one.heard.accepted == (not one.chain.sure), one.chain.name


def test_of_a_single_fault_the_first_finding_is_right(record_property: Callable[[str, object], None]) -> None:
    refused = [(one, one.error) for one in _all() if one.error is not None and len(one.chain.truth) == 1]
    wrong = [
        f"{error.failure}, not {one.chain.truth[0][0]}: {one.chain.name}"
        for one, error in refused
        if error.failure not in one.chain.truth[0]
    ]
    _publish(record_property, "single faults", f"{len(refused) - len(wrong)} of {len(refused)} named right", *wrong)
    assert len(refused) > 1000
    assert len(wrong) <= len(refused) * MISJUDGED


def test_of_two_faults_both_are_found(record_property: Callable[[str, object], None]) -> None:
    refused = [(one, one.error) for one in _all() if one.error is not None and len(one.chain.truth) == 2]
    wrong = []
    for one, error in refused:
        found = {finding.failure for finding in error.findings}
        missed = [reasons[0].name for reasons in one.chain.truth if not found & set(reasons)]
        if missed:
            wrong.append(f"{', '.join(missed)} not among {sorted(found)}: {one.chain.name}")
    _publish(record_property, "two faults", f"{len(refused) - len(wrong)} of {len(refused)} found", *wrong)
    assert len(refused) > 1000
    assert len(wrong) <= len(refused) * MISJUDGED


def test_expired_and_untrusted_says_untrusted_first() -> None:
    seen = 0
    for one in _all():
        untrusted = {reason for reasons in one.chain.truth if UNTRUSTED & set(reasons) for reason in reasons}
        if one.error is not None and untrusted and any(DATES & set(reasons) for reasons in one.chain.truth):
            seen += 1
            assert one.error.failure in untrusted, one.chain.name
            assert DATES & {finding.failure for finding in one.error.findings}, one.chain.name
    assert seen > 80


def _publish(record_property: Callable[[str, object], None], name: str, value: object, *lines: str) -> None:
    record_property(name, value)
    print(f"{name}: {value}", *lines, sep="\n  ")  # noqa: T201 - the figures of this file, shown by pytest -s
