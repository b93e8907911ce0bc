"""A profile is a frozen value: equal and hashed by content, shown honestly, and never pickled."""

from __future__ import annotations

import copy
import pickle
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import BCP195, EKUPolicy, PeerPolicy, Revocation, Role, TLSProfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls import Keystore, PeerIdentity
    from mtls.authority import CertificateAuthority

ROLES = pytest.mark.parametrize("role", list(Role))


@pytest.fixture(scope="module")
def keystores(authority: CertificateAuthority) -> dict[Role, Keystore]:
    end = datetime(2099, 1, 2, 3, 4, tzinfo=UTC)
    return {
        Role.CLIENT: authority.client("billing.example", not_after=end),
        Role.SERVER: authority.server("localhost", not_after=end),
    }


@pytest.fixture(scope="module")
def make(authority: CertificateAuthority, keystores: dict[Role, Keystore]) -> Callable[..., Any]:
    def build(role: Role, **options: Any) -> Any:
        kind = TLSProfile.client if role is Role.CLIENT else TLSProfile.server
        return kind(**({"truststore": authority.truststore, "keystore": keystores[role]} | options))

    return build


def _anybody(peer: PeerIdentity) -> bool:
    return peer is not None


def _nobody(peer: PeerIdentity) -> bool:
    return peer is None


CHANGES: dict[str, Any] = {
    "policy": BCP195,
    "alpn": ["h2"],
    "eku": EKUPolicy.REQUIRED,
    "chain_rules": mtls.ChainRules.LENIENT,
    "revocation": Revocation.OFF,
    "authorize": PeerPolicy.dns("billing.example"),
}
OWN_CHANGES: dict[Role, dict[str, Any]] = {
    Role.CLIENT: {"hosts": ["api.example"], "server_identity": PeerPolicy.dns("api.example")},
    Role.SERVER: {"client_auth": mtls.ClientAuth.OPTIONAL},
}


@ROLES
def test_two_profiles_of_the_same_content_are_equal(make: Callable[..., Any], role: Role) -> None:
    options = CHANGES | OWN_CHANGES[role]
    one, other = make(role, **options), make(role, **options)
    assert one is not other
    assert one == other
    assert hash(one) == hash(other)
    assert len({one, other}) == 1


@ROLES
def test_a_profile_that_has_been_used_still_equals_one_that_has_not(make: Callable[..., Any], role: Role) -> None:
    used = make(role)
    used.ssl_context()
    assert used == make(role)
    assert hash(used) == hash(make(role))


@pytest.mark.parametrize(
    ("role", "option"), [(role, option) for role in Role for option in (*CHANGES, *OWN_CHANGES[role])]
)
def test_every_option_is_part_of_the_value(make: Callable[..., Any], role: Role, option: str) -> None:
    assert make(role, **{option: (CHANGES | OWN_CHANGES[role])[option]}) != make(role)


@ROLES
def test_keystore_and_truststore_are_part_of_the_value(
    authority: CertificateAuthority, stranger: CertificateAuthority, make: Callable[..., Any], role: Role
) -> None:
    other = authority.client("other") if role is Role.CLIENT else authority.server("other")
    assert make(role, keystore=other) != make(role)
    assert make(role, truststore=stranger.truststore) != make(role)


def test_a_client_is_never_equal_to_a_server(make: Callable[..., Any]) -> None:
    assert make(Role.CLIENT) != make(Role.SERVER)
    assert make(Role.CLIENT) != "client"


@ROLES
def test_a_function_counts_by_identity_and_a_policy_by_content(make: Callable[..., Any], role: Role) -> None:
    assert make(role, authorize=_anybody) == make(role, authorize=_anybody)
    assert make(role, authorize=_anybody) != make(role, authorize=_nobody)
    rules = [PeerPolicy.dns("a.example", "b.example"), PeerPolicy.dns("b.example", "a.example")]
    assert rules[0] is not rules[1]
    assert make(role, authorize=rules[0]) == make(role, authorize=rules[1])
    assert make(role, authorize=rules[0]) != make(role, authorize=PeerPolicy.dns("a.example"))


@ROLES
@pytest.mark.parametrize("name", ["keystore", "truststore", "policy", "authorize", "eku", "new_name"])
def test_a_profile_cannot_be_changed(make: Callable[..., Any], role: Role, name: str) -> None:
    profile = make(role)
    with pytest.raises((AttributeError, TypeError)):
        setattr(profile, name, None)
    assert profile == make(role)


def test_the_repr_of_a_two_way_client_says_who_it_is_and_whom_it_trusts(make: Callable[..., Any]) -> None:
    assert repr(make(Role.CLIENT)) == (
        "<ClientProfile two-way as CN=billing.example, trusts <Truststore 1 anchor (1 root)>, MOZILLA_INTERMEDIATE>"
    )


def test_the_repr_of_one_way_profiles_leaves_out_what_they_do_not_have(
    authority: CertificateAuthority, keystores: dict[Role, Keystore]
) -> None:
    client = TLSProfile.client(truststore=authority.truststore, policy=BCP195)
    server = TLSProfile.server(keystore=keystores[Role.SERVER])
    assert repr(client) == "<ClientProfile one-way, trusts <Truststore 1 anchor (1 root)>, BCP195>"
    assert repr(server) == "<ServerProfile one-way as CN=localhost, MOZILLA_INTERMEDIATE>"


@ROLES
def test_no_text_of_a_profile_shows_key_material(
    make: Callable[..., Any], keystores: dict[Role, Keystore], role: Role
) -> None:
    profile = make(role)
    text = repr(profile) + str(profile) + repr(profile.ssl_context()) + str(profile.check())
    secret = keystores[role]._key_pem.reveal().decode()
    assert "PRIVATE" not in text
    assert all(line not in text for line in secret.splitlines())


@ROLES
def test_pickling_a_profile_is_refused_with_the_way_out(make: Callable[..., Any], role: Role) -> None:
    with pytest.raises(
        mtls.UsageError, match=r"^a Keystore is not pickled: make it anew from its sources in the other"
    ):
        pickle.dumps(make(role))


def test_pickling_a_one_way_client_is_refused_too(authority: CertificateAuthority) -> None:
    with pytest.raises(mtls.UsageError, match=r"^a Truststore is not pickled: "):
        pickle.dumps(TLSProfile.client(truststore=authority.truststore))


@ROLES
def test_a_copy_of_a_profile_is_equal(make: Callable[..., Any], role: Role) -> None:
    profile = make(role)
    assert copy.copy(profile) == profile
