"""Who the peer is (``PeerIdentity``) and who may come in (``PeerPolicy``).

Rule: an identity comes from a verified certificate of this very connection or it is ``None``; names match exactly, or
by a wildcard that stands for one whole left-most label, never by substring.
"""

from __future__ import annotations

import _ssl
import hashlib
import ssl
from dataclasses import dataclass
from typing import Any

from cryptography import x509

from mtls import _certificate
from mtls._handshake.hostnames import dns_name_matches
from mtls._model import FailureReason, Finding, Role, Severity
from mtls.errors import ChainError, UsageError

_SPIFFE = "spiffe://"
_SPKI_SHA256_LENGTH = 64


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """The verified peer of one connection.

    ``certificate`` is its leaf, ``chain`` the path that was built, leaf first and anchor last (only the leaf on a
    resumed connection: OpenSSL keeps no more). ``subject`` is for display; it has no common-name accessor on purpose.
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    resumed: bool

    @property
    def dns_names(self) -> tuple[str, ...]:
        """The DNS names of the subjectAltName."""
        return self._names(x509.DNSName)

    @property
    def uris(self) -> tuple[str, ...]:
        """The URIs of the subjectAltName."""
        return self._names(x509.UniformResourceIdentifier)

    @property
    def ip_addresses(self) -> tuple[str, ...]:
        """The IP addresses of the subjectAltName, as text."""
        return self._names(x509.IPAddress)

    @property
    def emails(self) -> tuple[str, ...]:
        """The e-mail addresses of the subjectAltName."""
        return self._names(x509.RFC822Name)

    @property
    def spiffe_id(self) -> str | None:
        """The SPIFFE id: an X509-SVID has exactly one URI, and it starts with ``spiffe://``; else ``None``."""
        return self.uris[0] if len(self.uris) == 1 and self.uris[0].startswith(_SPIFFE) else None

    @property
    def subject(self) -> str:
        """The subject (RFC 4514), control characters escaped; for display, not for decisions."""
        return _certificate.printable(self.certificate.subject.rfc4514_string())

    @property
    def spki_sha256(self) -> str:
        """The SHA-256 digest of the SubjectPublicKeyInfo, lower-case hexadecimal."""
        return hashlib.sha256(_certificate.public_key_der(self.certificate)).hexdigest()

    def _names(self, kind: Any) -> tuple[str, ...]:
        san = _certificate.extension(self.certificate, x509.SubjectAlternativeName)
        return () if san is None else tuple(map(str, san.get_values_for_type(kind)))

    def __repr__(self) -> str:
        names = _certificate.subject_alternative_names(self.certificate)
        shown = ", ".join(_certificate.printable(name) for name in names[:3]) or _certificate.label(self.certificate)
        return f"<PeerIdentity {shown}{', resumed' if self.resumed else ''}>"

    def __reduce__(self) -> tuple[Any, ...]:
        chain = tuple(map(_certificate.der, self.chain))
        return _unpickle_identity, (_certificate.der(self.certificate), chain, self.resumed)


def _unpickle_identity(leaf: bytes, chain: tuple[bytes, ...], resumed: bool) -> PeerIdentity:
    load = x509.load_der_x509_certificate
    return PeerIdentity(load(leaf), tuple(map(load, chain)), resumed)


def identity_of(connection: Any) -> PeerIdentity | None:
    """The identity behind a C-level ``_ssl._SSLSocket`` whose context verifies, ``None`` without a certificate.

    Raises :class:`ChainError` for a certificate that OpenSSL has accepted and ``cryptography`` cannot read.
    """
    leaf = connection.getpeercert(True)
    if leaf is None:
        return None
    path = [entry.public_bytes(_ssl.ENCODING_DER) for entry in connection.get_verified_chain() or ()] or [leaf]
    readable = [_certificate.parse(encoded) for encoded in path]
    chain = tuple(certificate for certificate in readable if certificate is not None)
    if len(chain) != len(path):
        raise ChainError([_unreadable(connection, readable.index(None))])
    return PeerIdentity(chain[0], chain, bool(connection.session_reused))


def _unreadable(connection: Any, position: int) -> Finding:
    role = Role.CLIENT if connection.server_side else Role.SERVER
    return Finding(
        failure=FailureReason.MALFORMED,
        severity=Severity.ERROR,
        step=role.verified_at,
        message=f"OpenSSL accepts certificate {position} in the chain of the {role.value}, but it cannot be read here",
        remedy="have it issued anew by a CA that follows RFC 5280",
        position=position,
    )


def peer_identity(connection: ssl.SSLSocket | ssl.SSLObject | Any) -> PeerIdentity | None:
    """Who is at the other end of a TLS connection, or ``None`` where nobody was verified.

    ``connection`` is an ``SSLSocket``, an ``SSLObject``, or an asyncio transport or stream writer over TLS. ``None``
    stands for a plain connection, a peer without a certificate or one that was refused, a context that does not
    verify, and a handshake that has not ended. A resumed connection gives the identity of the first one. Raises
    :class:`UsageError` for anything that is no connection, and :class:`ChainError` for a certificate that OpenSSL has
    accepted and ``cryptography`` cannot read.
    """
    extra = getattr(connection, "get_extra_info", None)
    if extra is not None:
        connection = extra("ssl_object")
        if connection is None:
            return None
    if not isinstance(connection, (ssl.SSLSocket, ssl.SSLObject)):
        text = (
            f"peer_identity() takes a TLS socket, SSLObject, asyncio transport or stream writer, not "
            f"{type(connection).__name__}"
        )
        raise UsageError(text)
    inner = connection._sslobj  # type: ignore[union-attr]
    if inner is None or connection.context.verify_mode == ssl.CERT_NONE or connection.version() is None:
        return None
    if not getattr(inner, "admitted", True):
        return None
    return identity_of(inner)


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
        """A DNS name in the SAN, compared without case. ``*.example`` stands for one whole left-most label."""
        return cls._make("dns", tuple(_dns_name(name) for name in names))

    @classmethod
    def uri(cls, *uris: str) -> PeerPolicy:
        """A URI in the SAN, compared to the letter."""
        return cls._make("uri", uris)

    @classmethod
    def spiffe_id(cls, *ids: str) -> PeerPolicy:
        """The SPIFFE id of an X509-SVID, compared to the letter."""
        return cls._make("spiffe_id", tuple(_spiffe(identifier) for identifier in ids))

    @classmethod
    def trust_domain(cls, *domains: str) -> PeerPolicy:
        """Any SPIFFE id of a trust domain (``prod.example`` or ``spiffe://prod.example``)."""
        bare = tuple(domain.removeprefix(_SPIFFE).rstrip("/").lower() for domain in domains)
        if any("/" in domain for domain in bare):
            text = "a trust domain has no path; to name one workload use PeerPolicy.spiffe_id(...)"
            raise UsageError(text)
        return cls._make("trust_domain", bare)

    @classmethod
    def spki(cls, *digests: str) -> PeerPolicy:
        """The SHA-256 of the leaf's SubjectPublicKeyInfo, in hexadecimal. Chain, dates and name are still checked."""
        bare = tuple(digest.replace(":", "").lower() for digest in digests)
        for digest in bare:
            if len(digest) != _SPKI_SHA256_LENGTH or set(digest) - set("0123456789abcdef"):
                text = f"{digest!r} is no SHA-256 digest: give 64 hexadecimal digits, as in Keystore.spki_sha256"
                raise UsageError(text)
        return cls._make("spki", bare)

    @classmethod
    def issuer(cls, *authorities: x509.Certificate) -> PeerPolicy:
        """One of these CA certificates is in the verified path; on a resumed connection the path is not known."""
        for authority in authorities:
            if not isinstance(authority, x509.Certificate):
                text = f"PeerPolicy.issuer() takes x509.Certificate objects, not {type(authority).__name__}"
                raise UsageError(text)
        return cls._make("issuer", tuple(map(_certificate.fingerprint, authorities)))

    @classmethod
    def any_of(cls, *policies: PeerPolicy) -> PeerPolicy:
        """At least one of these policies admits the peer."""
        return cls._combine("any_of", policies)

    @classmethod
    def all_of(cls, *policies: PeerPolicy) -> PeerPolicy:
        """Every one of these policies admits the peer."""
        return cls._combine("all_of", policies)

    @classmethod
    def _combine(cls, kind: str, policies: tuple[PeerPolicy, ...]) -> PeerPolicy:
        if not policies or not all(isinstance(policy, PeerPolicy) for policy in policies):
            text = f"PeerPolicy.{kind}() takes one or more policies; without any it could match nothing or everything"
            raise UsageError(text)
        return cls._make(kind, (), policies)

    @classmethod
    def _make(cls, kind: str, values: tuple[str, ...], parts: tuple[PeerPolicy, ...] = ()) -> PeerPolicy:
        if not parts and not (values and all(isinstance(value, str) and value for value in values)):
            text = f"PeerPolicy.{kind}() needs at least one value, and none may be empty: it could match nobody"
            raise UsageError(text)
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
                return any(dns_name_matches(name, rule) for name in peer.dns_names for rule in self._values)
            case "uri":
                return any(uri in self._values for uri in peer.uris)
            case "spiffe_id":
                return peer.spiffe_id in self._values
            case "trust_domain":
                return peer.spiffe_id is not None and _trust_domain(peer.spiffe_id) in self._values
            case "spki":
                return peer.spki_sha256 in self._values
            case _:
                return any(_certificate.fingerprint(entry) in self._values for entry in peer.chain[1:])

    def __setattr__(self, name: str, value: object) -> None:
        text = "a PeerPolicy cannot be changed"
        raise AttributeError(text)

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


def _dns_name(rule: str) -> str:
    if isinstance(rule, str) and "*" in rule.removeprefix("*."):
        text = f"{rule!r}: a wildcard stands for the whole left-most label only, as in '*.partner.example'"
        raise UsageError(text)
    return rule


def _spiffe(identifier: str) -> str:
    if (
        not isinstance(identifier, str)
        or not identifier.startswith(_SPIFFE)
        or not identifier[len(_SPIFFE) :].strip("/")
    ):
        text = f"{identifier!r} is no SPIFFE id: it must look like spiffe://trust-domain/path"
        raise UsageError(text)
    return identifier


def _trust_domain(identifier: str) -> str:
    return identifier.removeprefix(_SPIFFE).partition("/")[0].lower()
