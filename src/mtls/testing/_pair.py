"""A profile under test and a good peer for it.

Rule: the profile's own rules are what is tested. Its copy trusts one CA more, where no authority was given that it
trusts already; nothing else of it is changed.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mtls._credentials.truststore import Truststore
from mtls._profile import ClientProfile, ServerProfile, TLSProfile
from mtls.authority import CertificateAuthority
from mtls.errors import UsageError
from mtls.testing._authorities import the_authority
from mtls.testing._scene import Scene, served_name

if TYPE_CHECKING:
    from mtls.testing._authorities import Authority
    from mtls.testing._catalogue import Fault

_CLIENT_NAME = "client.example"


class Pair(NamedTuple):
    """A good pair, one side of which is under test."""

    client: ClientProfile
    server: ServerProfile
    authority: CertificateAuthority
    hostname: str

    def scene(self, fault: Fault) -> Scene:
        """The stage of a fault, on which the side under test stays as it is."""
        return Scene(fault, self.client, self.server, self.authority, self.hostname, adds=False)


def pair(
    profile: ClientProfile | ServerProfile,
    *,
    authority: Authority | None = None,
    peer: ClientProfile | ServerProfile | None = None,
    hostname: str | None = None,
) -> Pair:
    """The profile with a peer that suits it: the one that is given, or one made for it."""
    __tracebackhide__ = True
    if not isinstance(profile, TLSProfile):
        text = f"profile= takes a ClientProfile or a ServerProfile, not {type(profile).__name__}"
        if isinstance(profile, ssl.SSLContext):
            text += "; audit() and assert_mutual() take a context"
        raise UsageError(text)
    if peer is not None and (not isinstance(peer, TLSProfile) or peer.role is profile.role):
        text = f"peer= takes a {profile.role.other.value} profile, for this is a {profile.role.value} profile"
        raise UsageError(text)
    issuer = CertificateAuthority("rehearsal CA") if authority is None else the_authority(authority)
    if authority is None:
        profile = _trusting(profile, issuer)
    if isinstance(profile, ServerProfile):
        assert peer is None or isinstance(peer, ClientProfile)
        return Pair(peer or client_for(profile, issuer), profile, issuer, hostname or served_name(profile))
    assert peer is None or isinstance(peer, ServerProfile)
    wanted = hostname or asked_name(profile)
    return Pair(profile, peer or server_for(profile, issuer, wanted), issuer, wanted)


def _trusting(profile: ClientProfile | ServerProfile, issuer: CertificateAuthority) -> ClientProfile | ServerProfile:
    trusted = profile.truststore
    if trusted is None:
        return profile
    own = issuer.truststore_with_crl() if trusted.crls else issuer.truststore
    return replace(profile, truststore=trusted | own)


def client_for(server: ServerProfile, issuer: CertificateAuthority) -> ClientProfile:
    """A client that trusts exactly this server, with a certificate of this issuer."""
    assert server.keystore is not None
    return TLSProfile.client(
        truststore=Truststore.from_certificates([server.keystore.certificate]),
        keystore=issuer.client(_CLIENT_NAME),
        policy=server.policy,
        alpn=server.alpn,
    )


def server_for(client: ClientProfile, issuer: CertificateAuthority, hostname: str) -> ServerProfile:
    """A server of this name that trusts exactly this client, or asks a client that has no certificate for none."""
    keystore = issuer.server(hostname)
    if client.keystore is None:
        return TLSProfile.server(keystore=keystore, policy=client.policy, alpn=client.alpn)
    trusted = Truststore.from_certificates([client.keystore.certificate])
    return TLSProfile.server(keystore=keystore, truststore=trusted, policy=client.policy, alpn=client.alpn)


def asked_name(client: ClientProfile) -> str:
    """A name that this client may ask for."""
    return client.hosts[0].replace("*.", "any.") if client.hosts else "localhost"
