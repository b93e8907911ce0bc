"""A ``trustme.CA`` and its ``LeafCert`` stand beside our own: as an authority, as a keystore, as a truststore."""

from __future__ import annotations

from typing import Any

import pytest
import trustme

import mtls
from mtls.testing import (
    FAULTS,
    Fault,
    LoopbackServer,
    assert_refuses,
    audit,
    authority_from_trustme,
    keystore_from_trustme,
)

CA = trustme.CA(organization_name="Ledger")
AUTHORITY = authority_from_trustme(CA)
SERVER = mtls.TLSProfile.server(
    keystore=keystore_from_trustme(CA.issue_cert("localhost", "127.0.0.1")), truststore=AUTHORITY.truststore
)
CLIENT = mtls.TLSProfile.client(
    keystore=keystore_from_trustme(CA.issue_cert("billing.example")),
    truststore=mtls.Truststore.from_pem(CA.cert_pem.bytes()),
)


def test_their_certificates_pass_strict_rules() -> None:
    assert list(CLIENT.check().errors) == list(SERVER.check().errors) == []
    handshake = mtls.rehearse(CLIENT, SERVER)
    assert handshake.ok, str(handshake)
    assert handshake.server.peer is not None
    assert handshake.server.peer.dns_names == ("billing.example",)


@pytest.mark.parametrize("fault", [*FAULTS.client_certificate, *FAULTS.server_certificate], ids=str)
def test_their_authority_issues_what_a_fault_needs(fault: Fault) -> None:
    handshake = fault.run(CLIENT, SERVER, CA)
    assert isinstance(handshake.error, mtls.HandshakeError)
    assert (handshake.failed_step, handshake.error.failure) == (fault.step, fault.failure), str(handshake)


def test_it_is_taken_wherever_an_authority_is() -> None:
    assert_refuses(SERVER, "client-expired", authority=CA)
    assert audit(SERVER, authority=CA, faults=["client-expired"]).accepted_faults.ids == ()
    with LoopbackServer(SERVER, fault="server-expired", authority=CA) as server:
        assert server.fault is FAULTS["server-expired"]


def test_a_chain_of_theirs_is_a_keystore_with_its_intermediate() -> None:
    below = CA.create_child_ca()
    keystore = keystore_from_trustme(below.issue_cert("localhost"))
    assert len(keystore.chain) == 1
    server = mtls.TLSProfile.server(keystore=keystore, truststore=AUTHORITY.truststore)
    assert mtls.rehearse(CLIENT, server).ok
    assert authority_from_trustme(below).truststore.anchors == (keystore.chain[0],)


def test_something_else_is_refused_by_its_type() -> None:
    other: Any = "ca.pem"
    with pytest.raises(mtls.UsageError, match=r"authority_from_trustme\(\) takes a trustme.CA, not str"):
        authority_from_trustme(other)
    with pytest.raises(mtls.UsageError, match=r"keystore_from_trustme\(\) takes a trustme.LeafCert, not str"):
        keystore_from_trustme(other)
