"""What happens on the wire: each side tells what it saw of it, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import mtls
from mtls import FailureReason as F
from mtls import HandshakeStep as S
from mtls.testing import FAULTS, Fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls.authority import CertificateAuthority

    Pairs = Callable[[str, mtls.TLSVersion], tuple[mtls.ClientProfile, mtls.ServerProfile, CertificateAuthority]]

V12, V13 = mtls.TLSVersion.TLSv1_2, mtls.TLSVersion.TLSv1_3
ENDS = [fault for fault in FAULTS.transport if not fault.id.startswith("tampered")]
CHANGES = [fault for fault in FAULTS.transport if fault.id.startswith("tampered")]


def sides(handshake: mtls.Handshake, culprit: mtls.Role) -> tuple[mtls.HandshakeSide, mtls.HandshakeSide]:
    """The culprit's side and the other one."""
    both = handshake.client, handshake.server
    return both if culprit is mtls.Role.CLIENT else both[::-1]


@pytest.mark.parametrize("fault", ENDS, ids=str)
def test_whoever_ends_a_connection_has_no_error_and_the_other_side_has_the_one_that_is_told(
    fault: Fault, pairs: Pairs
) -> None:
    handshake = fault.run(*pairs("two-way", fault.versions[-1]))
    culprit, victim = sides(handshake, fault.culprit)
    assert culprit.error is None
    assert victim.error is handshake.error
    assert not handshake.ok


@pytest.mark.parametrize(
    ("failure", "cause"),
    [(F.RESET, ConnectionResetError), (F.TIMED_OUT, TimeoutError), (F.CLOSED, mtls.HandshakeError)],
)
def test_an_end_is_the_error_that_a_socket_makes_of_it(failure: F, cause: type[OSError], pairs: Pairs) -> None:
    fault = next(each for each in ENDS if each.failure is failure)
    error = fault.run(*pairs("two-way", V13)).error
    assert isinstance(error, mtls.HandshakeError)
    assert isinstance(error, mtls.HandshakeTimeoutError) is (failure is F.TIMED_OUT)
    assert isinstance(error, cause) or isinstance(error.__cause__, cause)
    assert error.evidence is mtls.Evidence.INFERRED


@pytest.mark.parametrize("fault", CHANGES, ids=str)
def test_whoever_finds_a_change_says_so_and_the_other_side_is_told(fault: Fault, pairs: Pairs) -> None:
    handshake = fault.run(*pairs("two-way", fault.versions[-1]))
    culprit, victim = sides(handshake, fault.culprit)
    assert isinstance(victim.error, mtls.HandshakeError)
    assert victim.error.side is mtls.Side.LOCAL
    if fault.step is not S.APPLICATION_DATA:
        assert isinstance(culprit.error, mtls.HandshakeError)
        assert culprit.error.side is mtls.Side.PEER
        assert culprit.error.alert is not None


@pytest.mark.parametrize("version", [V12, V13], ids=lambda version: version.label)
def test_only_what_had_arrived_counts_as_done(version: mtls.TLSVersion, pairs: Pairs) -> None:
    def done(fault_id: str) -> frozenset[S]:
        return FAULTS[fault_id].run(*pairs("two-way", version)).completed

    assert done("client-closes-before-hello") == frozenset()
    assert done("server-closes-before-hello") == {S.CLIENT_HELLO}
    assert done("server-closes-before-certificate") == {S.CLIENT_HELLO, S.SERVER_HELLO}
    assert done("client-closes-after-server-certificate") >= {S.CLIENT_HELLO, S.SERVER_HELLO, S.SERVER_CERTIFICATE}
    assert done("tampered-server-data") == set(S) - {S.APPLICATION_DATA}


def test_a_change_is_one_bit(pairs: Pairs) -> None:
    good = mtls.rehearse(*pairs("two-way", V12)[:2])
    changed = FAULTS["tampered-server-certificate"].run(*pairs("two-way", V12))
    sent, arrived = (each.client.peer_chain[0] for each in (good, changed))
    assert sent.tbs_certificate_bytes == arrived.tbs_certificate_bytes
    different = [(old, new) for old, new in zip(sent.signature, arrived.signature, strict=True) if old != new]
    assert [old ^ new for old, new in different] == [1]


@pytest.mark.parametrize("fault", ["tampered-server-finished", "tampered-server-certificate"])
def test_a_message_longer_than_a_record_is_passed_on(fault: str, pairs: Pairs) -> None:
    client, server, authority = pairs("two-way", V12)
    names = [f"host-{number}.ledger.example" for number in range(1000)]
    long = replace(server, keystore=authority.server("localhost", *names))
    handshake = FAULTS[fault].run(client, long, authority)
    assert handshake.failed_step is FAULTS[fault].step
    sent = next(event for event in handshake.client.trace if event.name == "Certificate")
    assert sent.size > 16384


def test_what_a_server_refuses_by_an_alert_the_client_is_told(pairs: Pairs) -> None:
    error = FAULTS["server-refuses-alpn"].run(*pairs("two-way", V13)).error
    assert isinstance(error, mtls.HandshakeError)
    assert (error.alert, error.role, error.evidence) == (
        "no_application_protocol",
        mtls.Role.CLIENT,
        mtls.Evidence.OBSERVED,
    )
