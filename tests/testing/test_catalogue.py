"""Every fault ends exactly as it says, on both versions and between every kind of good pair."""

from __future__ import annotations

import copy
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls.authority import CertificateAuthority
from mtls.testing import FAULTS, Demand, Fault, FaultGroup, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    Pair = tuple[mtls.ClientProfile, mtls.ServerProfile, CertificateAuthority]
    Pairs = Callable[[str, mtls.TLSVersion], Pair]

V12, V13 = mtls.TLSVersion.TLSv1_2, mtls.TLSVersion.TLSv1_3
KINDS = ("two-way", "one-way", "crl")
MORE_KINDS = ("intermediate", "rsa")
"""What differs there is the certificates, so one version tells."""
EVERY = [
    pytest.param(fault, version, kind, id=f"{fault.id}-{version.label}-{kind}")
    for fault in FAULTS
    for version in fault.versions
    for kind in (*KINDS, *(MORE_KINDS if version is fault.versions[-1] else ()))
]


def untyped(value: object) -> Any:
    """A value that the types forbid."""
    return value


def ends(handshake: mtls.Handshake) -> tuple[object, ...]:
    error = handshake.error
    assert isinstance(error, mtls.HandshakeError), repr(error)
    return handshake.failed_step, error.failure, error.side, error.role


@pytest.mark.parametrize(("fault", "version", "kind"), EVERY)
def test_a_fault_ends_with_its_step_its_failure_and_its_side(
    fault: Fault, version: mtls.TLSVersion, kind: str, pairs: Pairs
) -> None:
    client, server, authority = pairs(kind, version)
    if kind == "one-way" and fault.two_way_only:
        with pytest.raises(mtls.UsageError, match=f"the fault {fault.id!r} does not apply: it is one of two-way TLS"):
            fault.run(client, server, authority)
        return
    handshake = fault.run(client, server, authority)
    assert ends(handshake) == (fault.step, fault.failure, fault.side, fault.told_by), str(handshake)
    assert handshake.failed_step not in handshake.completed
    assert handshake.tls_version in {version.label, None}
    lines = str(handshake).splitlines()
    broken = [number for number, line in enumerate(lines[:9]) if f"{number} ✗" in line]
    assert broken == ([] if fault.step is None else [fault.step.value])
    assert f"(the {fault.told_by.value} says)" in "\n".join(lines[9:])


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_between_profiles_of_both_versions_ends_as_on_one(fault: Fault) -> None:
    authority = CertificateAuthority("Both CA")
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("billing.example"))
    server = mtls.TLSProfile.server(truststore=authority.truststore, keystore=authority.server("localhost"))
    before = repr(client), repr(server), hash(client), hash(server)
    handshake = fault.run(client, server, authority)
    assert ends(handshake) == (fault.step, fault.failure, fault.side, fault.told_by)
    assert (repr(client), repr(server), hash(client), hash(server)) == before
    assert mtls.rehearse(client, server).ok


def test_there_is_a_fault_of_every_kind() -> None:
    assert len(FAULTS) >= 40
    assert len(set(FAULTS.ids)) == len(FAULTS)
    groups = (FAULTS.client_certificate, FAULTS.server_certificate, FAULTS.negotiation, FAULTS.transport)
    assert [fault for group in groups for fault in group] == list(FAULTS)
    assert {fault.step for fault in FAULTS} == {*S, None}
    assert set(FAULTS.of("client")) | set(FAULTS.of("server")) == set(FAULTS)
    named = {fault.failure for fault in FAULTS}
    assert {F.CLOSED, F.RESET, F.TIMED_OUT, F.NOT_TLS, F.TAMPERED, F.ALPN, F.REVOKED, F.NOT_AUTHORIZED} <= named


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_a_fault_is_a_documented_value(fault: Fault) -> None:
    assert str(fault) == fault.id == fault.id.lower()
    assert fault.description
    assert FAULTS[fault.id] is fault
    assert pickle.loads(pickle.dumps(fault)) is copy.copy(fault) is copy.deepcopy(fault) is fault
    assert {fault: 1}[fault] == 1
    assert fault.two_way_only or fault.group is not FaultGroup.CLIENT_CERTIFICATE


def test_the_repr_of_a_fault_tells_how_it_ends() -> None:
    assert repr(FAULTS["client-expired"]) == "<Fault client-expired: step 6, expired, side local>"
    quiet = FAULTS["server-closes-after-certificate"]
    assert repr(quiet) == "<Fault server-closes-after-certificate: no known step, closed, side unknown>"


# --- the collection ---


def test_a_collection_is_a_sequence_of_its_faults() -> None:
    group = FAULTS.transport
    assert group[0] in group
    assert untyped(group[0].id) in group
    assert untyped("client-expired") not in group
    assert list(group[:2]) == [group[0], group[1]]
    assert isinstance(group[:2], Faults)
    assert group[:1] + group[1:2] == group[:2] != group
    assert hash(group[:2]) == hash(FAULTS.transport[:2])
    assert repr(group[:2]) == "<Faults: 2>"
    assert group != list(group)
    with pytest.raises(TypeError):
        _ = group + untyped(list(group))


def test_a_collection_is_narrowed_to_a_version() -> None:
    assert {fault for fault in FAULTS if V12 in fault.versions} == set(FAULTS.on(V12)) != set(FAULTS.on(V13))


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        (
            lambda: FAULTS["client-expierd"],
            "there is no fault 'client-expierd' among these .* did you mean 'client-expired'",
        ),
        (lambda: FAULTS["%"], "there is no fault '%' among these .*; FAULTS.ids lists them"),
        (lambda: FAULTS.of("peer"), "culprit= is Role.CLIENT or Role.SERVER, not 'peer'"),
        (lambda: FAULTS.on(untyped(mtls.Role.CLIENT)), "version= is TLSVersion.TLSv1_2 or TLSVersion.TLSv1_3, not"),
    ],
)
def test_a_wrong_question_is_answered_with_a_sentence(asked: Callable[[], object], text: str) -> None:
    with pytest.raises(mtls.UsageError, match=text):
        asked()


# --- bad use of run ---


def test_a_fault_of_one_version_does_not_apply_where_the_other_side_allows_another(pairs: Pairs) -> None:
    with pytest.raises(mtls.UsageError, match=r"'tampered-server-certificate' does not apply: it is one of TLS 1\.2"):
        FAULTS["tampered-server-certificate"].run(*pairs("two-way", V13))


def test_an_authority_that_the_other_side_does_not_trust_proves_nothing(pairs: Pairs) -> None:
    client, server, _ = pairs("two-way", V13)
    text = "the server does not trust CN=abroad, so it would refuse every certificate of it; give the authority that"
    with pytest.raises(mtls.UsageError, match=text):
        FAULTS["client-expired"].run(client, server, CertificateAuthority("abroad"))


def test_profiles_in_the_wrong_order_are_refused(pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V13)
    wrong: tuple[Any, Any] = (server, client)
    with pytest.raises(mtls.UsageError, match="a ClientProfile and a ServerProfile, in this order; got ServerProfile"):
        FAULTS["client-expired"].run(*wrong, authority)


def test_something_else_is_no_authority(pairs: Pairs) -> None:
    client, server, _ = pairs("two-way", V13)
    nobody: Any = "ca.crt"
    with pytest.raises(mtls.UsageError, match=r"authority= takes a CertificateAuthority or a trustme\.CA, not str"):
        FAULTS["client-expired"].run(client, server, nobody)


def test_a_message_that_never_comes_is_said_to_be_missing(pairs: Pairs) -> None:
    client, _, authority = pairs("two-way", V12)
    bare = mtls.TLSProfile.client(truststore=client.truststore or authority.truststore, policy=client.policy)
    optional = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        policy=client.policy,
        client_auth=mtls.ClientAuth.OPTIONAL,
    )
    with pytest.raises(mtls.UsageError, match="does not apply: the client sends no CertificateVerify here"):
        FAULTS["tampered-client-certificate-verify"].run(bare, optional, authority)


def test_a_policy_that_leaves_no_cipher_out_has_no_other_one(pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V12)
    everything = mtls.TLSPolicy(
        name="everything", ciphers=("ALL",), security_level=0, maximum_version=mtls.TLSVersion.TLSv1_2
    )
    with pytest.raises(mtls.UsageError, match="'client-other-ciphers' does not apply: the policy leaves no cipher out"):
        FAULTS["client-other-ciphers"].run(client, replace(server, policy=everything), authority)


def test_a_client_without_a_certificate_gets_a_faulty_one(pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V13)
    handshake = FAULTS["client-expired"].run(replace(client, keystore=None), server, authority)
    assert ends(handshake)[:2] == (S.SERVER_VERIFIES_CLIENT, F.EXPIRED)
    assert handshake.client_profile.keystore is not None
    assert handshake.client_profile.keystore.names == ("client.example",)


def test_a_side_with_errors_of_its_own_is_a_configuration_error(pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V13)
    broken = replace(server, truststore=mtls.Truststore.from_certificates([]))
    with pytest.raises(mtls.ConfigurationError):
        FAULTS["client-no-certificate"].run(client, broken, authority)


# --- what run adds, and what it leaves alone ---


def test_a_fault_that_is_not_refused_is_a_result(pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V13)
    lax = replace(server, client_auth=mtls.ClientAuth.OPTIONAL, chain_rules=mtls.ChainRules.LENIENT)
    assert FAULTS["client-no-certificate"].run(client, lax, authority).ok
    assert FAULTS["client-missing-extension"].run(client, lax, authority).ok


@pytest.mark.parametrize("fault", [each for each in FAULTS if each.demand is Demand.CRLS], ids=str)
def test_a_rule_that_is_missing_is_added_to_the_copy_that_plays(fault: Fault, pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V13)
    handshake = fault.run(client, server, authority)
    judge = handshake.server_profile if fault.culprit is mtls.Role.CLIENT else handshake.client_profile
    assert judge is not None
    assert judge.truststore is not None
    assert judge.truststore.crls
    assert server.truststore is not None
    assert not server.truststore.crls


def test_what_a_fault_revokes_is_revoked_by_a_copy(pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V13)
    FAULTS["client-revoked"].run(client, server, authority)
    assert list(authority.crl()) == []


def test_the_name_asked_for_is_one_of_the_server_or_the_one_given(pairs: Pairs) -> None:
    client, server, authority = pairs("intermediate", V13)
    assert FAULTS["client-no-certificate"].run(client, server, authority).server_hostname == "api.example"
    other = FAULTS["client-no-certificate"].run(client, server, authority, hostname="other.example")
    assert ends(other)[:2] == (S.CLIENT_VERIFIES_SERVER, F.HOSTNAME_MISMATCH)
