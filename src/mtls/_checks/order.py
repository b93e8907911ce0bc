"""Is the message in order? Leaf first, each certificate once, and nothing that the path has no use for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls._certificate import is_ca, label
from mtls._model import FailureReason, Finding, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509


def check_order(
    sent: Sequence[x509.Certificate | None], path: Sequence[x509.Certificate], role: Role
) -> Iterator[Finding]:
    """WRONG_ORDER and SUPERFLUOUS_CERTIFICATE (RFC 8446, 4.4.2), warnings: OpenSSL passes them over.

    A CA where the leaf belongs is an error: it is judged as the leaf. ``None`` in ``sent`` cannot be read.
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
    for position, certificate in enumerate(sent):
        if certificate is None or (certificate in path and sent.index(certificate) == position):
            continue
        again = certificate in sent[:position]
        why = "is in the chain twice" if again else "is in the chain, and the path does not need it"
        yield Finding(
            failure=FailureReason.SUPERFLUOUS_CERTIFICATE,
            severity=Severity.WARNING,
            step=role.certificate_step,
            message=f"{label(certificate)} (place {position}) {why}",
            remedy="leave it out",
            certificate=certificate,
            position=position,
        )


def _leaf_behind(sent: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The first certificate that is no CA, behind one that is in the place of the leaf."""
    if not sent or not is_ca(sent[0]):
        return None
    return next((each for each in sent[1:] if not is_ca(each)), None)
