"""What passes the seal takes effect: a stricter value holds from the next handshake on."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

import mtls
from mtls._handshake.loopback import join

if TYPE_CHECKING:
    from mtls.authority import CertificateAuthority


def _refusals(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[OSError | None, OSError | None]:
    near, far = join(client, server, server_hostname="localhost")
    return near.error, far.error


def _version(client: ssl.SSLContext, server: ssl.SSLContext) -> str | None:
    near, far = join(client, server, server_hostname="localhost")
    assert (near.error, far.error) == (None, None)
    version: str | None = near.tls.version()
    return version


_OLD = mtls.TLSPolicy(name="old", maximum_version=mtls.TLSVersion.TLSv1_2)


@pytest.fixture
def old_client(authority: CertificateAuthority) -> mtls.TLSContext:
    profile = mtls.TLSProfile.client(
        truststore=authority.truststore, keystore=authority.client("billing-prod"), policy=_OLD
    )
    return profile.ssl_context()


def test_a_server_with_a_higher_minimum_version_refuses_1_2(
    old_client: mtls.TLSContext, server_profile: mtls.ServerProfile
) -> None:
    server = server_profile.ssl_context()
    assert _version(old_client, server) == "TLSv1.2"
    server.minimum_version = ssl.TLSVersion.TLSv1_3
    assert server.minimum_version is ssl.TLSVersion.TLSv1_3
    told, refused = _refusals(old_client, server)
    assert isinstance(refused, mtls.HandshakeError)
    assert (refused.step, refused.side, refused.failure) == (2, "local", "protocol_version")
    assert isinstance(told, mtls.HandshakeError)
    assert (told.step, told.side, told.failure) == (2, "peer", "protocol_version")


def test_a_client_with_a_lower_maximum_version_speaks_1_2(
    context: mtls.TLSContext, server_profile: mtls.ServerProfile
) -> None:
    server = server_profile.ssl_context()
    assert _version(context, server) == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert _version(context, server) == "TLSv1.2"


@pytest.mark.filterwarnings("ignore:ssl.OP_NO_SSL.*:DeprecationWarning")  # it is what is tested
def test_an_option_that_switches_1_3_off_holds(context: mtls.TLSContext, server_profile: mtls.ServerProfile) -> None:
    context.options |= ssl.OP_NO_TLSv1_3
    assert ssl.OP_NO_TLSv1_3 in context.options
    assert _version(context, server_profile.ssl_context()) == "TLSv1.2"


def test_a_server_that_no_longer_leaves_it_open_demands_a_certificate(
    authority: CertificateAuthority, bare_client_profile: mtls.ClientProfile
) -> None:
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        client_auth=mtls.ClientAuth.OPTIONAL,
    ).ssl_context()
    bare = bare_client_profile.ssl_context()
    assert server.verify_mode is ssl.CERT_OPTIONAL
    assert _refusals(bare, server) == (None, None)
    server.verify_mode = ssl.CERT_REQUIRED
    assert server.verify_mode is ssl.CERT_REQUIRED
    told, refused = _refusals(bare, server)
    assert isinstance(refused, mtls.HandshakeError)
    assert (refused.step, refused.side, refused.failure) == (5, "local", "certificate_required")
    assert isinstance(told, mtls.HandshakeError)
    assert (told.step, told.side, told.failure) == (5, "peer", "certificate_required")
    with pytest.raises(mtls.SealedContextError):  # there is no way back
        server.verify_mode = ssl.CERT_OPTIONAL


def test_a_demand_for_crls_holds(context: mtls.TLSContext, server_profile: mtls.ServerProfile) -> None:
    server = server_profile.ssl_context()
    assert _refusals(context, server) == (None, None)
    context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
    refused, _ = _refusals(context, server)
    assert isinstance(refused, mtls.PeerVerificationError)
    assert (refused.step, refused.failure, refused.verify_code) == (4, "crl_missing", 3)


def test_a_server_without_tickets_gives_none(
    old_client: mtls.TLSContext, context: mtls.TLSContext, server_profile: mtls.ServerProfile
) -> None:
    server = server_profile.ssl_context()
    near, _ = join(context, server, server_hostname="localhost")
    assert near.tls.session.has_ticket
    server.num_tickets = 0
    near, _ = join(context, server, server_hostname="localhost")
    assert not near.tls.session.has_ticket


def test_several_stricter_values_hold_together(context: mtls.TLSContext, server_profile: mtls.ServerProfile) -> None:
    context.options |= ssl.OP_NO_TICKET
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert ssl.OP_NO_TICKET in context.options
    assert _version(context, server_profile.ssl_context()) == "TLSv1.3"


def test_what_one_context_was_narrowed_to_does_not_reach_another_of_the_same_profile(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    narrowed, other = client_profile.ssl_context(), client_profile.ssl_context()
    narrowed.maximum_version = ssl.TLSVersion.TLSv1_2
    assert _version(narrowed, server_profile.ssl_context()) == "TLSv1.2"
    assert _version(other, server_profile.ssl_context()) == "TLSv1.3"
