"""What each peer says of each fault: data, measured (FACTS M19, M20, M22), and checked again in every run.

Rule: this is what goes over the wire, as ``wire`` sees it with a plain ``ssl`` context, not what the library makes of
it. A pair is TLS 1.2 and 1.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import mtls
from tests.matrix import faults
from tests.matrix.peers import base
from tests.matrix.peers.java import JAVA_IS_EXACT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.matrix.cells import Cell

CLOSES, ACCEPTS, ENDS = "closes", "accepts", "ends"
"""Closes without an alert, in the handshake or, in TLS 1.3, after our part of it; does not mind; and: finishes the
handshake and then closes, so that nothing is wrong with TLS."""
PAGE = "page"
"""Finishes the handshake and refuses in HTTP."""
NO_HELLO = "no hello"
"""Cannot make a ClientHello, and sends an alert in its place."""

Says = str | tuple[str, str]

_OPENSSL: Mapping[str, Says] = {
    faults.NONE: ("handshake_failure", "certificate_required"),
    "unknown CA": "unknown_ca",
    "self-signed": "unknown_ca",
    "expired": "certificate_expired",
    "not yet valid": "bad_certificate",
    "wrong EKU": "unsupported_certificate",
    "incomplete chain": "unknown_ca",
    "right name, wrong key": "unknown_ca",
    "revoked": "certificate_revoked",
    "weak key": "bad_certificate",
    faults.HOST_NAME: "bad_certificate",
    faults.VERSION: "protocol_version",
    base.CIPHER: "handshake_failure",
    base.GROUP: "handshake_failure",
    base.ALPN: "no_application_protocol",
    base.SNI: "unrecognized_name",
}
_OF_CERTIFICATES = (*faults.CLIENT_FAULTS, faults.HOST_NAME)


def _always(answer: str) -> dict[str, Says]:
    """One answer to every certificate."""
    return dict.fromkeys(_OF_CERTIFICATES, answer)


_GO: Mapping[str, Says] = {**_OPENSSL, **_always("bad_certificate"), "weak key": ACCEPTS, base.SNI: "internal_error"}

SERVERS: Mapping[str, Mapping[str, Says]] = {
    "OpenSSL": _OPENSSL,
    "nginx": {**_OPENSSL, **_always(PAGE)},
    "HAProxy": {**_OPENSSL, faults.NOT_AUTHORIZED: PAGE},
    "Apache": {**_OPENSSL, faults.NOT_AUTHORIZED: PAGE},
    "stunnel": _OPENSSL,
    "GnuTLS": {
        **_OPENSSL,
        **_always("access_denied"),
        faults.NONE: ("decode_error", "certificate_required"),
        "wrong EKU": ACCEPTS,
        "weak key": ACCEPTS,
        faults.VERSION: "handshake_failure",
    },
    "Node": {
        **_OPENSSL,
        **_always(CLOSES),
        faults.NONE: ("handshake_failure", "certificate_required"),
        "weak key": ACCEPTS,
        base.SNI: CLOSES,
    },
    "Java": {
        **_OPENSSL,
        **_always("certificate_unknown"),
        faults.NONE: ("handshake_failure", "certificate_required") if JAVA_IS_EXACT else "bad_certificate",
        "weak key": ACCEPTS,
    },
    "Go": _GO,
    "Caddy": _GO,
}
"""What each says as a server to our client."""

CLIENTS: Mapping[str, Mapping[str, Says]] = {
    "OpenSSL": {**_OPENSSL, base.GROUP: ("", NO_HELLO)},
    "curl": {**_OPENSSL, faults.HOST_NAME: ENDS, base.GROUP: ("", NO_HELLO)},
    "GnuTLS": {**_always("bad_certificate"), "weak key": ACCEPTS},
    "Node": {**_always(CLOSES), "weak key": ACCEPTS, base.GROUP: ("", NO_HELLO)},
    "Java": {
        **_always("certificate_unknown"),
        "expired": ("certificate_expired", "certificate_expired" if JAVA_IS_EXACT else "certificate_unknown"),
        "not yet valid": ("bad_certificate", "bad_certificate" if JAVA_IS_EXACT else "certificate_unknown"),
        "revoked": "certificate_revoked",
        "weak key": ACCEPTS,
    },
    "Go": {**_always("bad_certificate"), "weak key": ACCEPTS},
}
"""What each says as a client of our certificate."""


def said(cell: Cell) -> str:
    """What the peer of a cell says; empty where it is for us to refuse."""
    if not _peer_refuses(cell):
        return ""
    answer = (SERVERS if cell.role is mtls.Role.CLIENT else CLIENTS)[cell.peer].get(cell.fault.name, "")
    return answer if isinstance(answer, str) else answer[cell.version is mtls.TLSVersion.TLSv1_3]


def _peer_refuses(cell: Cell) -> bool:
    if cell.role is mtls.Role.CLIENT:
        return cell.fault.kind is not faults.Kind.SERVER and cell.fault.name != base.PLAIN
    return cell.fault.kind is faults.Kind.SERVER or cell.fault.name == base.GROUP
