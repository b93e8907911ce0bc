"""The order of a chain.

Rule: who issued whom is told by name, key identifier and a real signature check, never by the place in the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from mtls._certificate import extension, same_name
from mtls._credentials.foreign import Refused, attempt

if TYPE_CHECKING:
    from collections.abc import Sequence


class Chain(NamedTuple):
    """``leaf`` with the intermediates above it in the order in which TLS sends them (RFC 5246, 7.4.2), the self-signed
    root where the source had it, what belongs to no one here, and whether the source had another order.
    """

    leaf: x509.Certificate
    intermediates: tuple[x509.Certificate, ...]
    root: x509.Certificate | None
    unrelated: tuple[x509.Certificate, ...]
    reordered: bool


def arrange(leaf: x509.Certificate, certificates: Sequence[x509.Certificate]) -> Chain:
    """``certificates`` (the leaf may be among them, duplicates do not count) as the chain of ``leaf``.

    Of several issuers the one that is not self-signed is taken, so of a cross-signed CA the longer path is sent, which
    older peers may need; then the one whose own issuer is here, then the one that ends last.
    """
    distinct = list(dict.fromkeys(certificates))
    others = [other for other in distinct if other != leaf]
    path, root = [leaf], None
    while not is_self_signed(path[-1]):
        issuer = _issuer(path[-1], others, path)
        if issuer is None:
            root = _twin(path[-1], others) if len(path) > 1 else None
            break
        path.append(issuer)
    else:
        root = path.pop() if len(path) > 1 else None
    used = [*path, root] if root is not None else path
    places = [distinct.index(member) for member in used if member in distinct]
    return Chain(
        leaf=leaf,
        intermediates=tuple(path[1:]),
        root=root,
        unrelated=tuple(other for other in others if other not in used),
        reordered=places != sorted(places),
    )


def is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether its own key signed it; a self-issued certificate of a key rollover is not."""
    return issued(certificate, certificate)


def issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Whether ``issuer`` issued ``certificate``: the names and the key identifiers fit, and the signature verifies.

    Where ``cryptography`` cannot check the signature (MD5, SHA-1 in some builds, an unknown algorithm), name and key
    identifier decide. Dates, basicConstraints and key usage are not looked at.
    """
    if not same_name(issuer.subject, certificate.issuer):
        return False
    wanted, has = _authority_key_id(certificate), _subject_key_id(issuer)
    if wanted is not None and has is not None and wanted != has:
        return False
    verified = attempt(lambda: certificate.verify_directly_issued_by(issuer))
    return not (isinstance(verified, Refused) and isinstance(verified.cause, InvalidSignature))


def _issuer(
    certificate: x509.Certificate, others: Sequence[x509.Certificate], path: Sequence[x509.Certificate]
) -> x509.Certificate | None:
    issuers = [other for other in others if other not in path and issued(other, certificate)]
    return max(
        issuers,
        key=lambda issuer: (
            not is_self_signed(issuer),
            any(same_name(other.subject, issuer.issuer) for other in others if other != issuer),
            issuer.not_valid_after_utc,
        ),
        default=None,
    )


def _twin(certificate: x509.Certificate, others: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The self-signed form of a cross-signed CA."""
    for other in others:
        if other != certificate and same_name(other.subject, certificate.subject) and is_self_signed(other):
            keys = attempt(lambda other=other: other.public_key() == certificate.public_key())  # type: ignore[misc] # the default binds the loop variable
            if keys is True:
                return other
    return None


def _authority_key_id(certificate: x509.Certificate) -> bytes | None:
    value = extension(certificate, x509.AuthorityKeyIdentifier)
    return value.key_identifier if value else None


def _subject_key_id(certificate: x509.Certificate) -> bytes | None:
    value = extension(certificate, x509.SubjectKeyIdentifier)
    return value.digest if value else None
