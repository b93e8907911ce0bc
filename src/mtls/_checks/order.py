"""Is the message in order? Leaf first, each certificate once, and nothing that the path has no use for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls._certificate import is_ca, label
from mtls._model import FailureReason, Finding, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

_MOST_FINDINGS = 10


def check_order(
    sent: Sequence[x509.Certificate | None], path: Sequence[x509.Certificate], role: Role
) -> Iterator[Finding]:
    """WRONG_ORDER and SUPERFLUOUS_CERTIFICATE (RFC 8446, 4.4.2), warnings: OpenSSL passes them over.

    A CA where the leaf belongs is an error: it is judged as the leaf. ``None`` in ``sent`` cannot be read. Behind ten
    superfluous certificates the others are told together.
    """
    readable = [each for each in sent if each is not None]
    leaf = _leaf_behind(readable)
    if leaf is not None:
        yield Finding(
            failure=FailureReason.WRONG_ORDER,
            severity=Severity.ERROR,
            step=role.certificate_step,
            message=f"the chain begins with the CA {label(readable[0])}, and its leaf {label(leaf)} comes later; the "
            "first certificate is judged as the peer's own (RFC 8446, 4.4.2)",
            remedy="send the leaf first, then each issuer after what it issued",
            certificate=readable[0],
            position=0,
            required=f"{label(leaf)} first",
            presented=f"{label(readable[0])} first",
        )
    if tuple(sent) == tuple(path[: len(sent)]):
        return
    places = [sent.index(each) for each in path if each in sent]
    if places != sorted(places):
        yield Finding(
            failure=FailureReason.WRONG_ORDER,
            severity=Severity.WARNING,
            step=role.certificate_step,
            message="the certificates are not in the order leaf, then each issuer after what it issued (RFC 5246, "
            "7.4.2), which some peers refuse",
            remedy="send them in that order",
            certificate=path[0] if path else None,
            position=0,
        )
    unneeded = list(_unneeded(sent, path))
    for position, certificate in unneeded[:_MOST_FINDINGS]:
        why = (
            "is in the chain twice"
            if certificate in sent[:position]
            else "is in the chain, and the path does not need it"
        )
        yield _superfluous(f"{label(certificate)} (place {position}) {why}", certificate, position, role)
    if more := unneeded[_MOST_FINDINGS:]:
        position, certificate = more[0]
        text = f"{len(more)} more certificates (from place {position} on) are not needed for the path"
        yield _superfluous(text, certificate, position, role)


def _unneeded(
    sent: Sequence[x509.Certificate | None], path: Sequence[x509.Certificate]
) -> Iterator[tuple[int, x509.Certificate]]:
    """Each certificate of the message that is not in the path or was there before, with its place."""
    needed = set(path)
    for position, certificate in enumerate(sent):
        if certificate in needed:
            needed.discard(certificate)
        elif certificate is not None:
            yield position, certificate


def _superfluous(text: str, certificate: x509.Certificate, position: int, role: Role) -> Finding:
    return Finding(
        failure=FailureReason.SUPERFLUOUS_CERTIFICATE,
        severity=Severity.WARNING,
        step=role.certificate_step,
        message=text,
        remedy="leave it out",
        certificate=certificate,
        position=position,
    )


def _leaf_behind(sent: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The first certificate that is no CA, behind one that is in the place of the leaf."""
    if not sent or not is_ca(sent[0]):
        return None
    return next((each for each in sent[1:] if not is_ca(each)), None)
