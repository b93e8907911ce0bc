"""Did the key of the next certificate sign this one? Along a path, from the leaf to the anchor."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from mtls._certificate import label
from mtls._model import FailureReason, Finding, HandshakeStep, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

_MOST_SIGNATURES = 16


def check_signatures(path: Sequence[x509.Certificate], *, step: HandshakeStep) -> Iterator[Finding]:
    """BAD_SIGNATURE for each certificate whose signature does not verify. The last one's own is not looked at.

    An algorithm that ``cryptography`` does not offer is passed over, and so is what comes behind the first sixteen: a
    peer may choose keys with which each takes many milliseconds.
    """
    for position, (certificate, issuer) in enumerate(pairwise(path[: _MOST_SIGNATURES + 1])):
        if signed_by(certificate, issuer) is False:
            yield Finding(
                failure=FailureReason.BAD_SIGNATURE,
                severity=Severity.ERROR,
                step=step,
                message=f"the signature on {label(certificate)} was not made by the key of {label(issuer)}: the "
                "certificate was changed after it was signed, or another CA of this name signed it",
                remedy="get the certificate again from its CA, and compare the fingerprint of the CA certificate with "
                "the one that the CA publishes",
                certificate=certificate,
                position=position,
                required=f"a signature by the key of {label(issuer)}",
                presented="one that does not verify",
            )


def signed_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool | None:
    """Whether the key of ``issuer`` made the signature; ``None`` where ``cryptography`` cannot tell."""
    try:
        key: Any = issuer.public_key()
        signature, body = certificate.signature, certificate.tbs_certificate_bytes
        parameters = certificate.signature_algorithm_parameters
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, body, parameters, certificate.signature_hash_algorithm)  # type: ignore[arg-type] # another kind is a TypeError
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(signature, body, parameters)  # type: ignore[arg-type] # the same
        elif isinstance(key, (ed25519.Ed25519PublicKey, ed448.Ed448PublicKey)):
            key.verify(signature, body)
        else:
            return None
    except InvalidSignature:
        return False
    except (TypeError, ValueError, AttributeError, UnsupportedAlgorithm):
        return None
    return True
