"""Good pairs of every kind, for the faults to be put into, and a watch that nothing is left behind."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import mtls
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Pair = tuple[mtls.ClientProfile, mtls.ServerProfile, CertificateAuthority]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert [thread for thread in threading.enumerate() if thread not in before] == []


def only(version: mtls.TLSVersion) -> mtls.TLSPolicy:
    """The default policy, for one version."""
    return replace(mtls.MOZILLA_INTERMEDIATE, name=version.label, minimum_version=version, maximum_version=version)


@pytest.fixture(scope="session")
def pairs() -> Callable[[str, mtls.TLSVersion], Pair]:
    """A good pair: two-way, one-way, two-way with CRLs, below an intermediate, or with RSA keys."""
    made: dict[tuple[str, mtls.TLSVersion], Pair] = {}
    with_lists = CertificateAuthority("Ledger Clients CA")
    with_lists.revoke(with_lists.client("left.example"))
    below = CertificateAuthority("Ledger Root").intermediate("Ledger Issuing CA")
    plain = CertificateAuthority("Ledger CA")
    issued = {
        "two-way": (plain, plain.client("billing.example"), plain.server("localhost"), plain.truststore),
        "crl": (
            with_lists,
            with_lists.client("billing.example"),
            with_lists.server("localhost", "127.0.0.1"),
            with_lists.truststore_with_crl(),
        ),
        "intermediate": (below, below.client("spiffe://ledger/billing"), below.server("api.example"), below.truststore),
        "rsa": (
            plain,
            plain.client("billing.example", key_type=mtls.KeyType.RSA_2048),
            plain.server("127.0.0.1", key_type=mtls.KeyType.RSA_2048),
            plain.truststore,
        ),
    }
    issued["one-way"] = issued["two-way"]

    def pair(kind: str, version: mtls.TLSVersion) -> Pair:
        if (kind, version) not in made:
            authority, client, server, truststore = issued[kind]
            policy = only(version)
            if kind == "one-way":
                near = mtls.TLSProfile.client(truststore=truststore, policy=policy)
                far = mtls.TLSProfile.server(keystore=server, policy=policy)
            else:
                near = mtls.TLSProfile.client(truststore=truststore, keystore=client, policy=policy)
                far = mtls.TLSProfile.server(keystore=server, truststore=truststore, policy=policy)
            made[kind, version] = near, far, authority
        return made[kind, version]

    return pair
