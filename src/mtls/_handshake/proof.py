"""The proof of a new generation before it serves: a real handshake in memory.

Rule: a context that cannot show its own certificate, or a two-way server that lets a stranger in, never serves.
"""

from __future__ import annotations

import _ssl
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mtls._handshake.generation import Generation, Settings, build
from mtls._handshake.staging import leaf_der
from mtls._model import ClientAuth, FailureReason, Finding, HandshakeStep, Revocation, Role, Severity
from mtls._report import Report
from mtls.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 6


def prove(generation: Generation) -> None:
    """Raise :class:`ConfigurationError` unless ``generation`` does what its settings say."""
    settings = generation.settings
    if settings.keystore is None:
        return
    if settings.role is Role.SERVER:
        serving = generation.context
    else:  # a client proves that it can sign by playing the server to a peer that only looks
        alone = replace(settings, role=Role.SERVER, truststore=None, revocation=Revocation.OFF, alpn=())
        serving = build(alone, ())
    shown, let_in = _meet_stranger(serving)
    if shown != leaf_der(settings.keystore):
        _fail(settings, settings.role.certificate_step, FailureReason.KEY_MISMATCH, "it cannot show its certificate")
    demanding = settings.role is Role.SERVER and settings.truststore is not None
    if demanding and settings.client_auth is ClientAuth.REQUIRED and let_in:
        text = "it lets a client in that shows no certificate"
        _fail(settings, HandshakeStep.CLIENT_CERTIFICATE, FailureReason.CERTIFICATE_REQUIRED, text)


def _meet_stranger(serving: Any) -> tuple[bytes | None, bool]:
    """Connect a client without trust and without certificate: what it was shown, and whether it was let in."""
    stranger = _ssl._SSLContext(int(ssl.PROTOCOL_TLS_CLIENT))
    stranger.check_hostname = False
    stranger.verify_mode = int(ssl.CERT_NONE)  # it carries nothing and trusts nothing: it only looks
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = stranger._wrap_bio(to_client, to_server, False)  # type: ignore[attr-defined] # not in typeshed
    server = serving._wrap_bio(to_server, to_client, True)
    let_in = False
    for _ in range(_ROUNDS):
        _went_through(client.do_handshake)
        let_in = let_in or _went_through(server.do_handshake)
    shown = client.get_unverified_chain()  # there even where the handshake has not ended: a refusal in TLS 1.2
    return shown[0].public_bytes(_ssl.ENCODING_DER) if shown else None, let_in


def _went_through(action: Callable[[], object]) -> bool:
    try:
        action()
    except ssl.SSLError:
        return False
    return True


def _fail(settings: Settings, step: HandshakeStep, failure: FailureReason, text: str) -> None:
    finding = Finding(
        failure=failure,
        severity=Severity.ERROR,
        step=step,
        message=f"the context that was just built failed its proof: {text}",
        remedy="check that key, certificate and policy fit together; what served before stays in service",
    )
    raise ConfigurationError(Report(settings.role, settings.truststore is not None, (finding,)))
