"""``PeerIdentity``: who the peer of one connection is.

Rule: an identity comes from a verified certificate of this very connection, or there is none.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography import x509

from mtls import _certificate
from mtls._handshake import spiffe
from mtls._handshake.verified_paths import up_to_anchor, verified_path
from mtls._model import FailureReason, Finding, Role, Severity
from mtls.errors import ChainError

if TYPE_CHECKING:
    from mtls._handshake.verified_paths import VerifiedPaths


@dataclass(frozen=True, slots=True)
class PeerIdentity:
    """The verified peer of one connection. Two are equal if their certificate is the same.

    ``certificate`` is its leaf, ``chain`` the path that was verified, leaf first and anchor last. On a ``resumed``
    connection it is the path of the full handshake, or only the leaf where that was forgotten: OpenSSL does not keep
    it, so each generation of a context remembers the 1,024 that were used last. A rule over ``chain`` asks for what
    must be in it, never for what must not. ``subject`` is for display; it has no common-name accessor on purpose.
    """

    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...] = field(compare=False)
    resumed: bool = field(compare=False)

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
        """The SPIFFE id of an X509-SVID: the only URI, ``spiffe://`` with a path, in a certificate that is no CA."""
        return spiffe.id_of(self.certificate, self.uris)

    @property
    def subject(self) -> str:
        """The subject (RFC 4514), cut at 100 characters, control characters escaped; for display, not for decisions."""
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


def identity_of(connection: Any, paths: VerifiedPaths | None = None) -> PeerIdentity | None:
    """The identity behind a C-level ``_ssl._SSLSocket`` whose context verifies, ``None`` without a certificate.

    ``paths`` are those that full handshakes of the same generation verified. Raises :class:`ChainError` for a
    certificate that OpenSSL has accepted and ``cryptography`` cannot read.
    """
    leaf = connection.getpeercert(True)
    if leaf is None:
        return None
    path = verified_path(connection) or (paths is not None and paths.of(leaf)) or (leaf,)
    path = up_to_anchor(connection, path, paths)
    readable = [_certificate.parse(encoded) for encoded in path]
    chain = tuple(certificate for certificate in readable if certificate is not None)
    if len(chain) != len(path):
        role = Role.CLIENT if connection.server_side else Role.SERVER
        raise ChainError([unreadable(role, readable.index(None))])
    return PeerIdentity(chain[0], chain, bool(connection.session_reused))


def unreadable(role: Role, position: int) -> Finding:
    """The finding for a certificate that OpenSSL has accepted and ``cryptography`` cannot read; ``role`` is its
    owner's.
    """
    return Finding(
        failure=FailureReason.MALFORMED,
        severity=Severity.ERROR,
        step=role.verified_at,
        message=f"OpenSSL accepts certificate {position} in the chain of the {role.value}, but it cannot be read here, "
        "so no rule can be applied to it",
        remedy="have it issued anew by a CA that follows RFC 5280",
        position=position,
    )
