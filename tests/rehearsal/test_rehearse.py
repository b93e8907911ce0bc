"""Two profiles, one handshake in memory: the step, both sides and the picture, on TLS 1.2 and 1.3."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable

TLS12 = replace(mtls.MOZILLA_INTERMEDIATE, name="TLS12", maximum_version=mtls.TLSVersion.TLSv1_2)
TLS13 = replace(mtls.MOZILLA_INTERMEDIATE, name="TLS13", minimum_version=mtls.TLSVersion.TLSv1_3)
POLICIES = pytest.mark.parametrize("policy", [TLS12, TLS13], ids=lambda policy: policy.name)

HOME = CertificateAuthority("home CA")
ABROAD = CertificateAuthority("abroad CA")
SERVER = HOME.server("localhost")
CLIENT = HOME.client("billing-prod")


def client(policy: mtls.TLSPolicy, **options: Any) -> mtls.ClientProfile:
    return mtls.TLSProfile.client(**{"truststore": HOME.truststore, "keystore": CLIENT, "policy": policy, **options})


def server(policy: mtls.TLSPolicy, **options: Any) -> mtls.ServerProfile:
    return mtls.TLSProfile.server(**{"truststore": HOME.truststore, "keystore": SERVER, "policy": policy, **options})


@dataclass(frozen=True)
class Case:
    """A fault, and what each side must say of it: step, failure, side."""

    id: str
    run: Callable[[mtls.TLSPolicy], mtls.Handshake]
    step: S
    failure: F
    refused_by: mtls.Role
    told: F | None
    """What the other side hears; ``None`` where no alert can be sent."""


CASES = [
    Case(
        "server of an unknown CA",
        lambda policy: mtls.rehearse(client(policy, truststore=ABROAD.truststore), server(policy)),
        S.CLIENT_VERIFIES_SERVER, F.UNKNOWN_CA, mtls.Role.CLIENT, F.UNKNOWN_CA,
    ),
    Case(
        "wrong host name",
        lambda policy: mtls.rehearse(client(policy), server(policy), hostname="api.example"),
        S.CLIENT_VERIFIES_SERVER, F.HOSTNAME_MISMATCH, mtls.Role.CLIENT, F.CERTIFICATE_REJECTED,
    ),
    Case(
        "no client certificate",
        lambda policy: mtls.rehearse(
            mtls.TLSProfile.client(truststore=HOME.truststore, policy=policy), server(policy)
        ),
        S.CLIENT_CERTIFICATE, F.CERTIFICATE_REQUIRED, mtls.Role.SERVER, F.CERTIFICATE_REQUIRED,
    ),
    Case(
        "client of another CA",
        lambda policy: mtls.rehearse(client(policy, keystore=ABROAD.client("outsider")), server(policy)),
        S.SERVER_VERIFIES_CLIENT, F.UNKNOWN_CA, mtls.Role.SERVER, F.UNKNOWN_CA,
    ),
    Case(
        "client that is not authorized",
        lambda policy: mtls.rehearse(
            client(policy), server(policy, authorize=mtls.PeerPolicy.dns("somebody.else"))
        ),
        S.SERVER_VERIFIES_CLIENT, F.NOT_AUTHORIZED, mtls.Role.SERVER, None,
    ),
    Case(
        "client whose certificate names no use, where one is required",
        lambda policy: mtls.rehearse(
            client(policy, keystore=HOME.client("any", eku=())),
            server(policy, eku=mtls.EKUPolicy.REQUIRED),
        ),
        S.SERVER_VERIFIES_CLIENT, F.WRONG_EKU, mtls.Role.SERVER, None,
    ),
    Case(
        "server with another identity than the one pinned",
        lambda policy: mtls.rehearse(
            client(policy, server_identity=mtls.PeerPolicy.spki("0" * 64)), server(policy)
        ),
        S.CLIENT_VERIFIES_SERVER, F.NOT_AUTHORIZED, mtls.Role.CLIENT, None,
    ),
    Case(
        "revoked client",
        lambda policy: _with_crl(policy, revoked=True),
        S.SERVER_VERIFIES_CLIENT, F.REVOKED, mtls.Role.SERVER, F.REVOKED,
    ),
]  # fmt: skip


def _with_crl(policy: mtls.TLSPolicy, *, revoked: bool) -> mtls.Handshake:
    authority = CertificateAuthority("CA with a list")
    keystore = authority.client("billing-prod")
    if revoked:
        authority.revoke(keystore)
    return mtls.rehearse(
        mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystore, policy=policy),
        mtls.TLSProfile.server(
            keystore=authority.server("localhost"), truststore=authority.truststore_with_crl(), policy=policy
        ),
    )


@POLICIES
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_fault_is_named_with_its_step_by_the_side_that_refuses_and_by_the_one_that_is_told(
    case: Case, policy: mtls.TLSPolicy
) -> None:
    result = case.run(policy)
    assert not result.ok
    assert result.failed_step is case.step
    sides = {mtls.Role.CLIENT: result.client.error, mtls.Role.SERVER: result.server.error}
    refusing, told = sides[case.refused_by], sides[case.refused_by.other]
    assert isinstance(refusing, mtls.HandshakeError)
    assert (refusing.step, refusing.failure, refusing.side) == (case.step, case.failure, mtls.Side.LOCAL)
    assert refusing.role is case.refused_by
    if case.failure is not F.NOT_AUTHORIZED and case.failure is not F.WRONG_EKU:
        assert refusing.__cause__ is not None
    if case.told is None:
        assert told is None or mtls.explain(told) is not None
    else:
        assert isinstance(told, mtls.HandshakeError)
        assert (told.step, told.failure, told.side) == (case.step, case.told, mtls.Side.PEER)
        assert told.alert is not None
        assert told.evidence is mtls.Evidence.OBSERVED
    assert case.step not in result.completed


@POLICIES
def test_a_good_two_way_handshake_does_all_eight_steps(policy: mtls.TLSPolicy) -> None:
    result = mtls.rehearse(client(policy, alpn=["h2", "http/1.1"]), server(policy, alpn=["http/1.1"]))
    assert result.ok
    assert result.completed == set(S)
    assert result.skipped == frozenset()
    assert (result.failed_step, result.error) == (None, None)
    assert result.alpn == "http/1.1"
    assert result.tls_version == policy.maximum_version.label
    assert result.client.peer is not None
    assert result.server.peer is not None
    assert result.client.peer.certificate == SERVER.certificate
    assert result.server.peer.certificate == CLIENT.certificate
    assert result.server.peer.chain == (CLIENT.certificate, HOME.certificate)
    result.raise_for_failure()


@POLICIES
def test_one_way_tls_skips_the_steps_of_the_client_certificate(policy: mtls.TLSPolicy) -> None:
    one_way = mtls.TLSProfile.server(keystore=SERVER, policy=policy)
    result = mtls.rehearse(client(policy), one_way)
    assert result.ok
    assert result.skipped == {S.CLIENT_CERTIFICATE, S.SERVER_VERIFIES_CLIENT}
    assert result.completed == set(S) - result.skipped
    assert result.server.peer is None
    assert "5 · not part of one-way TLS" in str(result)


@POLICIES
def test_a_client_without_certificate_comes_in_where_it_is_optional_and_is_nobody(policy: mtls.TLSPolicy) -> None:
    bare = mtls.TLSProfile.client(truststore=HOME.truststore, policy=policy)
    result = mtls.rehearse(bare, server(policy, client_auth=mtls.ClientAuth.OPTIONAL))
    assert result.ok
    assert result.server.peer is None
    assert "the client showed none" in str(result)


@POLICIES
def test_a_client_of_another_ca_is_refused_even_where_a_certificate_is_optional(policy: mtls.TLSPolicy) -> None:
    result = mtls.rehearse(
        client(policy, keystore=ABROAD.client("outsider")), server(policy, client_auth=mtls.ClientAuth.OPTIONAL)
    )
    assert result.failed_step is S.SERVER_VERIFIES_CLIENT


@POLICIES
def test_a_client_that_the_crl_does_not_name_comes_in(policy: mtls.TLSPolicy) -> None:
    assert _with_crl(policy, revoked=False).ok


def test_versions_that_do_not_meet_fail_at_the_server_hello_on_both_sides() -> None:
    result = mtls.rehearse(client(TLS12), server(TLS13))
    assert isinstance(result.client.error, mtls.HandshakeError)
    assert isinstance(result.server.error, mtls.HandshakeError)
    assert (result.client.error.step, result.client.error.side) == (S.SERVER_HELLO, mtls.Side.PEER)
    assert (result.server.error.step, result.server.error.side) == (S.SERVER_HELLO, mtls.Side.LOCAL)
    assert result.client.error.failure is result.server.error.failure is F.PROTOCOL_VERSION
    assert result.completed == {S.CLIENT_HELLO}


def test_ciphers_that_do_not_meet_fail_at_the_server_hello() -> None:
    only_rsa = replace(TLS12, name="only RSA", ciphers=("ECDHE-RSA-AES256-GCM-SHA384",))
    result = mtls.rehearse(client(only_rsa), server(TLS12))
    assert isinstance(result.server.error, mtls.HandshakeError)
    assert (result.failed_step, result.server.error.failure) == (S.SERVER_HELLO, F.NO_SHARED_CIPHER)


@pytest.mark.parametrize(("policy", "phase"), [(TLS12, mtls.Phase.HANDSHAKE), (TLS13, mtls.Phase.FIRST_READ)])
def test_a_refused_client_hears_of_it_late_only_in_tls_13(policy: mtls.TLSPolicy, phase: mtls.Phase) -> None:
    error = CASES[2].run(policy).client.error
    assert isinstance(error, mtls.HandshakeError)
    assert error.phase is phase


def test_tls_13_has_done_the_key_exchange_when_the_client_certificate_is_refused() -> None:
    early = mtls.rehearse(client(TLS13, keystore=ABROAD.client("outsider")), server(TLS13))
    late = mtls.rehearse(client(TLS12, keystore=ABROAD.client("outsider")), server(TLS12))
    assert S.KEY_EXCHANGE in early.completed
    assert S.KEY_EXCHANGE not in late.completed


def test_the_server_knows_the_chain_that_it_refused() -> None:
    outsider = ABROAD.client("outsider")
    result = mtls.rehearse(client(TLS13, keystore=outsider), server(TLS13))
    assert isinstance(result.server.error, mtls.HandshakeError)
    assert result.server.error.peer_chain == (outsider.certificate,)
    assert result.server.error.certificate == outsider.certificate


def test_raise_for_failure_raises_the_error_of_the_side_that_refused_with_the_picture_as_a_note() -> None:
    result = mtls.rehearse(client(TLS13, keystore=ABROAD.client("outsider")), server(TLS13))
    with pytest.raises(mtls.PeerVerificationError, match="step 6 SERVER_VERIFIES_CLIENT failed") as caught:
        result.raise_for_failure()
    assert caught.value.__notes__ == [str(result)]


def test_the_picture_marks_each_step_and_says_what_to_do() -> None:
    lines = str(mtls.rehearse(client(TLS13, keystore=ABROAD.client("outsider")), server(TLS13))).splitlines()
    assert [line[:5] for line in lines[1:9]] == [
        "  1 ✓", "  2 ✓", "  3 ✓", "  4 ✓", "  5 ✓", "  6 ✗", "  7 ✓", f"  8 {chr(0x2013)}",
    ]  # fmt: skip
    assert "◀─────── alert ───────  unknown_ca" in lines[6]
    assert lines[9].startswith("Step 6 failed (the server says): we refused the certificate of the client: the chain")
    assert "the issuer of CN=outsider" in lines[9]
    assert max(map(len, lines[:9])) <= 100


def test_a_rehearsal_takes_a_client_and_a_server_in_this_order() -> None:
    both: tuple[Any, Any] = (server(TLS13), client(TLS13))
    with pytest.raises(mtls.UsageError, match="a ClientProfile and a ServerProfile, in this order; got ServerProfile"):
        mtls.rehearse(*both)


def test_the_repr_of_a_result_is_one_line() -> None:
    good = mtls.rehearse(client(TLS13), server(TLS13))
    bad = CASES[2].run(TLS13)
    assert repr(good) == "<Handshake ok: TLS 1.3, 8 steps>"
    assert repr(bad).startswith("<Handshake failed at step 5: <HandshakeError step 5 CLIENT_CERTIFICATE")


@POLICIES
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_each_side_has_its_verdict_on_the_other(case: Case, policy: mtls.TLSPolicy) -> None:
    result = case.run(policy)
    verdicts = {mtls.Role.CLIENT: result.client.verdict, mtls.Role.SERVER: result.server.verdict}
    assert verdicts[case.refused_by] is mtls.Verdict.REFUSED
    if case.refused_by is mtls.Role.SERVER:
        assert verdicts[mtls.Role.CLIENT] is mtls.Verdict.ACCEPTED
    else:  # in TLS 1.3 the server may never know, in TLS 1.2 a rule of the client may come after its handshake
        assert verdicts[mtls.Role.SERVER] is not mtls.Verdict.REFUSED


@POLICIES
def test_a_result_is_ready_for_json(policy: mtls.TLSPolicy) -> None:
    good = mtls.rehearse(client(policy), server(policy)).to_dict()
    bad = CASES[3].run(policy).to_dict()
    for record in (good, bad):
        assert json.loads(json.dumps(record)) == record
    assert (good["ok"], good["completed"], good["client"]["verdict"]) == (True, [1, 2, 3, 4, 5, 6, 7, 8], "accepted")
    assert good["server"]["peer"]["subject"] == "CN=billing-prod"
    assert (bad["ok"], bad["failed_step"], bad["server"]["verdict"]) == (False, 6, "refused")
    assert bad["server"]["error"]["failure"] == "unknown_ca"


def test_a_result_of_a_good_handshake_has_the_warnings_about_both_certificates() -> None:
    now = datetime.now(UTC)
    dates: dict[str, Any] = {"not_before": now - timedelta(days=90), "not_after": now + timedelta(days=3)}
    near = client(TLS13, keystore=HOME.client("billing-prod", **dates))
    far = server(TLS13, keystore=HOME.server("localhost", **dates))
    result = mtls.rehearse(near, far)
    assert result.ok
    assert {(finding.failure, finding.severity, finding.step) for finding in result.findings} == {
        (F.EXPIRES_SOON, mtls.Severity.WARNING, S.CLIENT_VERIFIES_SERVER),
        (F.EXPIRES_SOON, mtls.Severity.WARNING, S.SERVER_VERIFIES_CLIENT),
    }


def test_a_result_says_when_it_was_and_that_nobody_was_named_to_issue_the_certificate() -> None:
    result = mtls.rehearse(client(TLS13), server(TLS13))
    assert result.began is not None
    assert timedelta() <= datetime.now(UTC) - result.began < timedelta(minutes=1)
    assert result.duration is not None
    assert 0 < result.duration < 10
    assert (result.accepted_issuers, result.issuer_fits, result.address) == ((), None, None)
