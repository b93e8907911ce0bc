"""Cross-signed webs: one CA with certificates of two roots, and what is sent and trusted of it, in every order."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mtls import ChainRules, Role, Truststore, _issuing
from mtls._credentials.csr import EKU_OF
from tests.verdict.factory import _CA, _LEAF, DAY, HOST, NOW, Chain, Held, Setting, ca_name, common_name, key_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXPIRED: dict[str, Any] = {"not_before": NOW - 9 * DAY, "not_after": NOW - DAY}
_FAULTS: dict[str, dict[str, Any]] = {
    "both good": {},
    "one expired": _EXPIRED,
    "one of tomorrow": {"not_before": NOW + DAY},
    "one no CA": {"basic_constraints": x509.BasicConstraints(ca=False, path_length=None), "key_usage": None},
    "one without key identifiers": {"authority_key_identifier": None},
    "one with the AKI of nobody": {
        "authority_key_identifier": x509.AuthorityKeyIdentifier(b"nobody nobody", None, None)
    },
    "one for another domain": {
        "name_constraints": x509.NameConstraints(
            permitted_subtrees=[x509.DNSName("another.test")], excluded_subtrees=None
        )
    },
    "one younger": {"not_before": NOW - DAY / 48},
}


def _held(name: str, key: str, issuer: Held | None = None, **fields: Any) -> Held:
    own = key_for("ec-p256", key)
    wanted = _issuing.of_ca(name, fields)  # type: ignore[arg-type] # the fields of a table
    signing, above = (own, None) if issuer is None else (issuer.key, issuer.certificate)
    return Held(own, _issuing.build(own.public_key(), wanted, _CA, signing, above))


def chains() -> Iterator[Chain]:
    """A leaf below a CA that two roots have signed; one of the two certificates has a fault."""
    north, south = _held("crossing north root", "north"), _held("crossing south root", "south")
    turns = itertools.cycle(itertools.product(Role, ChainRules))
    for (fault, fields), bridge in itertools.product(_FAULTS.items(), (False, True)):
        good = _held(ca_name("crossed"), "crossed", north)
        bad = _held(ca_name("crossed"), "crossed", south, **fields)
        if bridge:  # the north root has a certificate by the south root as well
            bad = _held("crossing north root", "north", south, **fields)
        members = {"good": good, "bad": bad}
        trusts = {"north": [north], "south": [south], "both": [north, south], "both, turned": [south, north]}
        for sent, (trust, anchors) in itertools.product(_orders(members), trusts.items()):
            role, rules = next(turns)
            name = f"cross-signed{' root' if bridge else ''}, {fault}, sent {', '.join(sent)}, trusting {trust}"
            setting = Setting(role=role, rules=rules)
            leaf = _leaf(good, role)
            message = (leaf.certificate, *(members[member].certificate for member in sent))
            trusted = Truststore.from_certificates([anchor.certificate for anchor in anchors])
            yield Chain(f"{name} ({setting})", setting, (), message, leaf.key, trusted, ())


def _orders(members: dict[str, Held]) -> Iterator[tuple[str, ...]]:
    for size in (1, 2):
        yield from itertools.permutations(members, size)


def _leaf(issuer: Held, role: Role) -> Held:
    key = key_for("ec-p256", "leaf")
    wanted = _issuing.of_leaf({"subject": common_name(HOST), "names": [HOST], "eku": [EKU_OF[role]]})
    return Held(key, _issuing.build(key.public_key(), wanted, _LEAF, issuer.key, issuer.certificate))
