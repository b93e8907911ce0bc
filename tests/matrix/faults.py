"""Every fault of the matrix: where it belongs, and what it is.

Rule: this is the table "Which step a failure belongs to", said of what *is* wrong; what the evidence tells of it is in
``expectation``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtls import FailureReason as F
from tests.matrix.peers import base

if TYPE_CHECKING:
    from collections.abc import Iterable


class Kind(enum.StrEnum):
    """Whose fault it is."""

    CLIENT = "the client's certificate"
    SERVER = "the server's certificate"
    NEGOTIATION = "negotiation"
    TRANSPORT = "transport"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, and the step that it belongs to."""

    name: str
    kind: Kind
    step: int
    """As a client of ours sees it; 0 where the point in time decides."""
    exact: frozenset[F]
    """What it may be called; the first thing that is true of it is enough."""

    @property
    def key(self) -> str:
        """Its name, also where a certificate of either side may have it."""
        return f"server: {self.name}" if self.kind is Kind.SERVER else self.name


def _faults(kind: Kind, step: int, *rows: tuple[str, F] | tuple[str, F, F]) -> dict[str, Fault]:
    return {name: Fault(name, kind, step, frozenset(failures)) for name, *failures in rows}


_CHAIN = (
    ("unknown CA", F.UNKNOWN_CA),
    ("self-signed", F.SELF_SIGNED),
    ("expired", F.EXPIRED),
    ("not yet valid", F.NOT_YET_VALID),
    ("wrong EKU", F.WRONG_EKU),
    ("incomplete chain", F.INCOMPLETE_CHAIN),
    ("right name, wrong key", F.UNKNOWN_CA, F.BAD_SIGNATURE),  # no CA with that key is known
    ("revoked", F.REVOKED),
    ("weak key", F.WEAK_KEY),
)
NONE, NOT_AUTHORIZED, HOST_NAME, VERSION = "none", "not authorized", "host name", "no common version"

CLIENT_FAULTS = _faults(Kind.CLIENT, 5, (NONE, F.CERTIFICATE_REQUIRED)) | _faults(
    Kind.CLIENT, 6, *_CHAIN, (NOT_AUTHORIZED, F.NOT_AUTHORIZED)
)
SERVER_FAULTS = _faults(Kind.SERVER, 4, *_CHAIN, (HOST_NAME, F.HOSTNAME_MISMATCH))
NEGOTIATION_FAULTS = _faults(
    Kind.NEGOTIATION,
    2,
    (VERSION, F.PROTOCOL_VERSION),
    (base.CIPHER, F.NO_SHARED_CIPHER),
    (base.GROUP, F.NO_SHARED_GROUP, F.NO_SHARED_CIPHER),  # in TLS 1.2 no suite is left without a group
    (base.ALPN, F.ALPN),
    (base.SNI, F.UNRECOGNIZED_NAME),
    (base.PLAIN, F.NOT_TLS),
)


def transport(name: str) -> Fault:
    """Something that the relay does; what may be said of it comes with it."""
    return Fault(name, Kind.TRANSPORT, 0, frozenset())


def names(faults: Iterable[Fault]) -> list[str]:
    """Their names, in order."""
    return [fault.name for fault in faults]
