"""What a connection that kept its log tells of its handshake: the parts of the ``Handshake`` that is made of it.

Rule: it reads, and asks nothing anew. ``tls`` is always a socket or object of ours whose context keeps the log.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtls._certificate import parse
from mtls._handshake.account import Chains, fits, of_both_chains
from mtls._handshake.authority_names import shown_names
from mtls._handshake.listening import HandshakeLog
from mtls._handshake.peer import PeerIdentity, identity_of
from mtls._handshake.verified_paths import verified_path
from mtls._model import HandshakeStep, Side, Verdict
from mtls.errors import ChainError, HandshakeError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from cryptography import x509

    from mtls._handshake.connection import Connection
    from mtls._model import Finding

CLIENT_CERTIFICATE_STEPS = frozenset({HandshakeStep.CLIENT_CERTIFICATE, HandshakeStep.SERVER_VERIFIES_CLIENT})
"""What one-way TLS does not have."""


def log_of(tls: Any) -> HandshakeLog:
    """What was heard; nothing where this Python cannot listen."""
    log: HandshakeLog = tls._mtls.log or HandshakeLog()
    return log


def readable(chain: Sequence[bytes]) -> tuple[x509.Certificate, ...]:
    """The certificates of a chain (DER), without those that ``cryptography`` cannot read."""
    return tuple(filter(None, map(parse, chain)))


def peer_of(tls: Any) -> PeerIdentity | None:
    """The peer that was verified; ``None`` where the profile verifies nobody, or the certificate cannot be read."""
    if tls.context.profile.truststore is None:
        return None
    try:
        return identity_of(tls._sslobj, tls._mtls.paths)
    except ChainError:
        return None


def negotiated(tls: Any) -> dict[str, Any]:
    """The fields that a client knows of what was chosen, and of what the server asked for."""
    real = tls._sslobj
    cipher = real.cipher()
    authorities, keystore = log_of(tls).authorities, tls.context.profile.keystore
    return {
        "tls_version": None if cipher is None else cipher[1].replace("TLSv", "TLS "),
        "cipher": None if cipher is None else cipher[0],
        "alpn": real.selected_alpn_protocol(),
        "accepted_issuers": None if authorities is None else shown_names(authorities),
        "issuer_fits": None if not authorities or keystore is None else fits(keystore, authorities),
    }


def verdict(error: OSError | None, *, accepted: bool) -> Verdict:
    """What a side decided that failed with ``error``, or went on."""
    if isinstance(error, HandshakeError) and error.side is Side.LOCAL:
        return Verdict.REFUSED
    return Verdict.ACCEPTED if accepted else Verdict.UNKNOWN


def findings_of(tls: Any, error: OSError | None, now: datetime) -> Callable[[], tuple[Finding, ...]]:
    """What gives the findings on both chains, as the client of a handshake knows them."""
    connection: Connection = tls._mtls
    log = log_of(tls)
    chains = Chains(log.peer_chain, verified_path(tls._sslobj), log.authorities)
    settings, hostname = connection.settings, connection.server_hostname
    told = error if isinstance(error, HandshakeError) else None
    return lambda: of_both_chains(settings, chains, told, hostname, now)
