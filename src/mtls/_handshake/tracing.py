"""From what OpenSSL told of a handshake to the :class:`~mtls.Trace` that somebody reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtls import _certificate
from mtls._handshake.authority_names import shown_names
from mtls._handshake.listening import HandshakeLog
from mtls._handshake.trace import Trace
from mtls._model import Role

if TYPE_CHECKING:
    from mtls._handshake.connection import Connection


def trace_of(connection: Connection, real: Any, error: OSError | None) -> Trace:
    """The trace of one connection; empty where this Python cannot listen."""
    log = connection.log or HandshakeLog()
    cipher = real.cipher()
    authorities = log.authorities
    return Trace(
        role=connection.settings.role,
        events=log.events,
        error=error,
        tls_version=None if cipher is None else cipher[1].replace("TLSv", "TLS "),
        server_hostname=connection.server_hostname,
        peer_address=connection.address,
        peer_chain=tuple(filter(None, map(_certificate.parse, log.peer_chain))),
        accepted_issuers=None if authorities is None else shown_names(authorities),
        certificate_sent=connection.settings.role is Role.SERVER or bool(log.own_chain),
    )
