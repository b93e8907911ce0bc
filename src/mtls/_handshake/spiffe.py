"""SPIFFE ids (the SPIFFE-ID and X509-SVID standards): what is one, and which certificate carries one.

Rule: what the standard does not allow is no SPIFFE id, so it can match nothing.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509

from mtls import _certificate

if TYPE_CHECKING:
    from collections.abc import Sequence

_ID = re.compile(r"spiffe://([a-z0-9._-]+)((?:/[A-Za-z0-9._-]+)*)")
_LONGEST_ID = 2048
_LONGEST_DOMAIN = 255
_RELATIVE = {".", ".."}


def trust_domain(identifier: str) -> str | None:
    """The trust domain of a SPIFFE id (one without a path names the domain itself); ``None`` for anything else."""
    found = _ID.fullmatch(identifier)
    if found is None or len(identifier) > _LONGEST_ID or len(found[1]) > _LONGEST_DOMAIN:
        return None
    return None if _RELATIVE & set(found[2].split("/")) else found[1]


def is_workload(identifier: str) -> bool:
    """Whether it is the SPIFFE id of a workload: one with a path."""
    return trust_domain(identifier) is not None and identifier.count("/") > len("//")


def id_of(certificate: x509.Certificate, uris: Sequence[str]) -> str | None:
    """The SPIFFE id of an X509-SVID of a workload.

    It has exactly one URI in its subjectAltName, which is a SPIFFE id with a path, and it is no CA: neither by
    basicConstraints nor by a key usage that signs certificates or CRLs (X509-SVID, 2 and 4).
    """
    if len(uris) != 1 or not is_workload(uris[0]):
        return None
    constraints = _certificate.extension(certificate, x509.BasicConstraints)
    usage = _certificate.extension(certificate, x509.KeyUsage)
    signs = usage is not None and (usage.key_cert_sign or usage.crl_sign)
    return None if signs or (constraints is not None and constraints.ca) else uris[0]
