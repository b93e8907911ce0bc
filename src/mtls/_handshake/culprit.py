"""Which certificate of the peer's chain a refusal is about. OpenSSL's code says why, not which.

Rule: it only points; where nothing in the chain shows the fault, the leaf stands for the chain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mtls import _certificate
from mtls._model import FailureReason

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from mtls._model import Role

_SHOWN_BY_ONE = frozenset({FailureReason.EXPIRED, FailureReason.NOT_YET_VALID, FailureReason.WRONG_EKU})


def culprit(chain: Sequence[bytes], failure: FailureReason, role: Role, now: datetime) -> bytes | None:
    """The first certificate of ``chain`` (DER, leaf first) that shows ``failure``; ``None`` for an empty chain.

    ``role`` is that of the chain's owner, ``now`` is aware.
    """
    for encoded in chain if failure in _SHOWN_BY_ONE else ():
        certificate = _certificate.parse(encoded)
        if certificate is not None and _shows(certificate, failure, role, now):
            return encoded
    return chain[0] if chain else None


def _shows(certificate: x509.Certificate, failure: FailureReason, role: Role, now: datetime) -> bool:
    match failure:
        case FailureReason.EXPIRED:
            return now >= certificate.not_valid_after_utc
        case FailureReason.NOT_YET_VALID:
            return now < certificate.not_valid_before_utc
        case FailureReason.WRONG_EKU:
            present = _certificate.extension(certificate, x509.ExtendedKeyUsage)
            return present is not None and _certificate.EKU_OIDS[role] not in present
        case _:
            return False
