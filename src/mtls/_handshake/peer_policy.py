"""``PeerPolicy``: who may come in.

Rule: exact. Names match as a whole, or by a wildcard that stands for one whole left-most label, never by substring; a
policy that could match nobody is refused when it is written, not found out in production.
"""

from __future__ import annotations

import re
from itertools import chain, product
from math import prod
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mtls import _certificate
from mtls._handshake import spiffe
from mtls._handshake.hostnames import LABEL, dns_name_matches
from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mtls._handshake.peer import PeerIdentity

_SPIFFE = "spiffe://"
_SPKI_SHA256 = re.compile(r"[0-9a-f]{64}")
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+")
"""A scheme and printable ASCII: all that a URI in a subjectAltName can hold (RFC 5280, 4.2.1.6)."""
_LONGEST_NAME = 253
_MOST_CASES = 1000


class PeerPolicy:
    """Who may come in: an exact rule over a verified :class:`PeerIdentity`, built by one of the named constructors.

    Policies are frozen, equal by content and callable; :meth:`any_of` and :meth:`all_of` combine them. A policy narrows
    who the truststore lets in, it never widens it.
    """

    __slots__ = ("_kind", "_parts", "_values")
    _kind: str
    _values: tuple[str, ...]
    _parts: tuple[PeerPolicy, ...]

    def __init__(self) -> None:
        text = "use PeerPolicy.dns(...), .uri(...), .spiffe_id(...), .trust_domain(...), .spki(...) or .issuer(...)"
        raise UsageError(text)

    @classmethod
    def dns(cls, *names: str) -> PeerPolicy:
        """A DNS name in the SAN, compared without case. ``*.example`` stands for one whole left-most label.

        A wildcard that the peer presents stands for nothing: only the same rule admits it. An internationalized name is
        given as certificates hold it, as an A-label (``xn--bcher-kva.example``).
        """
        return cls._of("dns", names, _dns_rule)

    @classmethod
    def uri(cls, *uris: str) -> PeerPolicy:
        """A URI in the SAN, compared to the letter."""
        return cls._of("uri", uris, _uri_rule)

    @classmethod
    def spiffe_id(cls, *ids: str) -> PeerPolicy:
        """The SPIFFE id of an X509-SVID (:attr:`PeerIdentity.spiffe_id`), compared to the letter."""
        return cls._of("spiffe_id", ids, _spiffe_rule)

    @classmethod
    def trust_domain(cls, *domains: str) -> PeerPolicy:
        """Any SPIFFE id of a trust domain (``prod.example`` or ``spiffe://prod.example``).

        Every CA of the truststore may write every id: where it holds those of several domains, add :meth:`issuer`.
        """
        return cls._of("trust_domain", domains, _domain_rule)

    @classmethod
    def spki(cls, *digests: str) -> PeerPolicy:
        """The SHA-256 of the leaf's SubjectPublicKeyInfo, in hexadecimal. Chain, dates and name are still checked."""
        return cls._of("spki", digests, _digest_rule)

    @classmethod
    def issuer(cls, *authorities: x509.Certificate) -> PeerPolicy:
        """One of these CA certificates is in the verified path, above the leaf.

        Compared as a whole, not by name or key: a CA that was issued anew or cross-signed is another certificate. A
        leaf that the truststore pins has nobody above it.
        """
        return cls._of("issuer", authorities, _issuer_rule)

    @classmethod
    def any_of(cls, *policies: PeerPolicy) -> PeerPolicy:
        """At least one of these policies admits the peer."""
        return cls._combine("any_of", policies)

    @classmethod
    def all_of(cls, *policies: PeerPolicy) -> PeerPolicy:
        """Every one of these policies admits the peer."""
        combined = cls._combine("all_of", policies)
        if not _possible(combined):
            text = f"{combined!r} could match nobody: no peer is all of this; any_of() admits who is one of them"
            raise UsageError(text)
        return combined

    @classmethod
    def _of(cls, kind: str, values: tuple[Any, ...], rule: Callable[[Any], str]) -> PeerPolicy:
        if not values:
            text = f"PeerPolicy.{kind}() needs at least one value: without any it could match nobody"
            raise UsageError(text)
        return cls._make(kind, tuple(map(rule, values)))

    @classmethod
    def _combine(cls, kind: str, policies: tuple[PeerPolicy, ...]) -> PeerPolicy:
        if not policies:
            whom = "nobody" if kind == "any_of" else "everybody"
            text = f"PeerPolicy.{kind}() needs at least one policy: without any it would admit {whom}"
            raise UsageError(text)
        for policy in policies:
            if not isinstance(policy, PeerPolicy):
                text = (
                    f"PeerPolicy.{kind}() takes policies, one by one, and not {type(policy).__name__}: write *policies "
                    "for a list of them; for a function of your own, write one that calls the policies, too"
                )
                raise UsageError(text)
        return cls._make(kind, (), policies)

    @classmethod
    def _make(cls, kind: str, values: tuple[str, ...], parts: tuple[PeerPolicy, ...] = ()) -> PeerPolicy:
        self = object.__new__(cls)
        for slot, value in (("_kind", kind), ("_values", values), ("_parts", parts)):
            object.__setattr__(self, slot, value)
        return self

    def __call__(self, peer: PeerIdentity) -> bool:
        """Whether this policy admits the peer."""
        match self._kind:
            case "any_of":
                return any(part(peer) for part in self._parts)
            case "all_of":
                return all(part(peer) for part in self._parts)
            case "dns":
                names = [name for name in peer.dns_names if not name.endswith(".")]  # no certificate may hold that form
                return any(dns_name_matches(name, rule) for name in names for rule in self._values)
            case "uri":
                return any(uri in self._values for uri in peer.uris)
            case "spiffe_id":
                return peer.spiffe_id in self._values
            case "trust_domain":
                return peer.spiffe_id is not None and spiffe.trust_domain(peer.spiffe_id) in self._values
            case "spki":
                return peer.spki_sha256 in self._values
            case _:
                return any(_certificate.fingerprint(entry) in self._values for entry in peer.chain[1:])

    def __setattr__(self, name: str, value: object) -> None:
        text = "a PeerPolicy cannot be changed"
        raise AttributeError(text)

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)

    def _key(self) -> tuple[object, ...]:
        return self._kind, frozenset(self._values), frozenset(self._parts)

    def __eq__(self, other: object) -> bool:
        return self._key() == other._key() if isinstance(other, PeerPolicy) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        inside = ", ".join([*map(repr, self._values), *map(repr, self._parts)])
        return f"PeerPolicy.{self._kind}({inside})"

    def __reduce__(self) -> tuple[Any, ...]:
        return PeerPolicy._make, (self._kind, self._values, self._parts)


def _possible(policy: PeerPolicy) -> bool:
    """Whether any peer could be admitted; where there are too many cases to look at, yes."""
    return _count(policy) > _MOST_CASES or any(map(_consistent, _cases(policy)))


def _cases(policy: PeerPolicy) -> Iterable[tuple[PeerPolicy, ...]]:
    """The rules that have to hold together, for each way to be admitted."""
    if policy._kind == "any_of":
        return chain.from_iterable(map(_cases, policy._parts))
    if policy._kind == "all_of":
        return (tuple(chain(*case)) for case in product(*map(_cases, policy._parts)))
    return [(policy,)]


def _count(policy: PeerPolicy) -> int:
    counts = [_count(part) for part in policy._parts] or [1]
    return prod(counts) if policy._kind == "all_of" else sum(counts)


def _consistent(rules: tuple[PeerPolicy, ...]) -> bool:
    """Whether one peer can be all of this: it has one key and at most one SPIFFE id, which is then its only URI."""

    def common(kind: str) -> set[str] | None:
        found = [set(rule._values) for rule in rules if rule._kind == kind]
        return set.intersection(*found) if found else None

    keys, ids, domains, uris = map(common, ("spki", "spiffe_id", "trust_domain", "uri"))
    if keys == set() or domains == set():
        return False
    if ids is None and (domains is None or uris is None):
        return True
    named = (uris or set()) if ids is None else ids
    return any(
        spiffe.is_workload(one)
        and (uris is None or one in uris)
        and (domains is None or spiffe.trust_domain(one) in domains)
        for one in named
    )


def _text(value: object, what: str) -> str:
    if isinstance(value, str):
        return value
    text = f"{value!r} is no {what}: give it as a str"
    raise UsageError(text)


def _dns_rule(value: object) -> str:
    name = _text(value, "DNS name").removesuffix(".")
    if not name.isascii():
        text = f"{value!r}: certificates hold internationalized names as A-labels, so give it in the form 'xn--…'"
        raise UsageError(text)
    name = name.lower()
    labels = name.removeprefix("*.").split(".")
    if "*" in name.removeprefix("*."):
        text = f"{value!r}: a wildcard stands for the whole left-most label only, as in '*.partner.example'"
    elif not all(map(LABEL.fullmatch, labels)) or len(name) > _LONGEST_NAME:
        text = f"{value!r} is no DNS name, so it could match nobody: give a host such as 'billing.example'"
    elif labels[-1].isdecimal():
        text = f"{value!r} looks like an IP address, which is no DNS name: test peer.ip_addresses in a function"
    else:
        return name
    raise UsageError(text)


def _uri_rule(value: object) -> str:
    if _URI.fullmatch(_text(value, "URI")):
        return str(value)
    text = (
        f"{value!r} is no URI, so it could match nobody: give it with its scheme, in ASCII, as the certificate has it"
    )
    raise UsageError(text)


def _spiffe_rule(value: object) -> str:
    if spiffe.is_workload(_text(value, "SPIFFE id")):
        return str(value)
    text = (
        f"{value!r} is no SPIFFE id of a workload, so it could match nobody: it must look like "
        "spiffe://trust-domain/path, the domain in lower case"
    )
    raise UsageError(text)


def _domain_rule(value: object) -> str:
    bare = _text(value, "trust domain").removeprefix(_SPIFFE).removesuffix("/")
    if bare.isascii() and spiffe.trust_domain(_SPIFFE + bare.lower()) == bare.lower():
        return bare.lower()
    text = (
        f"{value!r} is no trust domain, so it could match nobody: it must look like 'prod.example'; "
        "to name one workload use PeerPolicy.spiffe_id(...)"
    )
    raise UsageError(text)


def _digest_rule(value: object) -> str:
    bare = _text(value, "SHA-256 digest").replace(":", "").lower()
    if _SPKI_SHA256.fullmatch(bare):
        return bare
    text = f"{value!r} is no SHA-256 digest: give 64 hexadecimal digits, as in Keystore.spki_sha256"
    raise UsageError(text)


def _issuer_rule(value: object) -> str:
    if not isinstance(value, x509.Certificate):
        text = f"PeerPolicy.issuer() takes x509.Certificate objects, not {type(value).__name__}"
        raise UsageError(text)
    constraints = _certificate.extension(value, x509.BasicConstraints)
    if constraints is not None and not constraints.ca:
        text = (
            f"{_certificate.label(value)} is no CA certificate, so it is the issuer of nobody: give the certificate of "
            "the CA, or pin the leaf's key with PeerPolicy.spki(...)"
        )
        raise UsageError(text)
    return _certificate.fingerprint(value)
