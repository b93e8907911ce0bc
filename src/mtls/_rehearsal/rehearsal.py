"""A whole handshake between two profiles, in memory, with both verdicts and the picture.

Rule: the steps that are done are a set, read from the messages that went over the wire and from where each side
failed; they are never derived from a step's number (TLS 1.3 does the key exchange before the certificates).
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from mtls._handshake.connection import ATTACHED, attach
from mtls._handshake.loopback import Side, connected, join
from mtls._handshake.trace import Direction
from mtls._model import HandshakeStep, Phase, Verdict
from mtls._profile import ClientProfile, ServerProfile
from mtls._rehearsal.capture import recording
from mtls._rehearsal.observed import (
    CLIENT_CERTIFICATE_STEPS,
    findings_of,
    log_of,
    negotiated,
    peer_of,
    readable,
    verdict,
)
from mtls._rehearsal.result import Handshake, HandshakeSide
from mtls.errors import HandshakeError, UsageError

if TYPE_CHECKING:
    import os

    from mtls._handshake.connection import Connection
    from mtls._handshake.context import TLSContext

_S = HandshakeStep


def rehearse(
    client: ClientProfile,
    server: ServerProfile,
    *,
    hostname: str | None = "localhost",
    capture: str | os.PathLike[str] | None = None,
) -> Handshake:
    """Run a real handshake between two profiles in memory: no port, no file, a few milliseconds.

    Each side then sends a few bytes, so that a refusal that TLS 1.3 delivers late is heard. ``hostname`` is the name
    the client asks for. Both sides run with this interpreter's OpenSSL, so it shows what the two profiles do to each
    other, not what another TLS library would. ``capture`` is as for :func:`probe`; the addresses in it are made up.

    Raises :class:`ConfigurationError` if a profile has errors of its own, and :class:`UsageError` for a profile of the
    wrong role; a refused handshake is a result, not an exception.
    """
    _demand(client, server)
    with recording(capture) as recorder:
        contexts = _contexts(client, server, key_log=None if recorder is None else recorder.key_log)
        tap = None if recorder is None else recorder.tap
        near, far = join(*contexts, server_hostname=hostname, tap=tap)
        return observe(client, server, near, far, hostname)


def handshake_over_socket(client: ClientProfile, server: ServerProfile, *, hostname: str) -> Handshake:
    """The same over a real socket on the loopback interface; raises like :func:`rehearse`."""
    _demand(client, server)
    with connected(*_contexts(client, server), server_hostname=hostname) as (near, far):
        return observe(client, server, near, far, hostname)


def _demand(client: object, server: object) -> None:
    for profile, kind in ((client, ClientProfile), (server, ServerProfile)):
        if not isinstance(profile, kind):
            text = f"a rehearsal takes a ClientProfile and a ServerProfile, in this order; got {type(profile).__name__}"
            raise UsageError(text)


def _contexts(
    client: ClientProfile, server: ServerProfile, *, key_log: str | None = None
) -> tuple[TLSContext, TLSContext]:
    return client._observed_context(key_log=key_log), server._observed_context()


def observe(client: ClientProfile, server: ServerProfile, near: Side, far: Side, hostname: str | None) -> Handshake:
    """What became of two ends of ours, each with its own profile."""
    fields = negotiated(near.tls)
    if fields["tls_version"] is None:  # the client failed before it took what the server had chosen
        fields |= {name: value for name, value in negotiated(far.tls).items() if name in {"tls_version", "cipher"}}
    asked = fields["accepted_issuers"] is not None
    skipped = frozenset() if _client_certificate_matters(server, far, asked=asked) else CLIENT_CERTIFICATE_STEPS
    completed = frozenset(_completed(near, far)) - skipped
    near_side = side_of(near, accepted=_S.CLIENT_VERIFIES_SERVER in completed)
    far_side = side_of(far, accepted=far.finished)
    error = far_side.error if far_side.verdict is Verdict.REFUSED else near_side.error
    now = datetime.now(UTC)
    entries = log_of(near.tls)
    duration = time.monotonic() - entries[0][-1] if entries else None
    return Handshake(
        client=near_side,
        server=far_side,
        completed=completed,
        skipped=skipped,
        server_hostname=hostname,
        client_profile=client,
        server_profile=server,
        began=None if duration is None else now - timedelta(seconds=duration),
        duration=duration,
        _look=findings_of(near.tls, error, now),
        **fields,
    )


def _completed(near: Side, far: Side) -> set[HandshakeStep]:
    done = set()
    ours, theirs = log_of(near.tls), log_of(far.tls)
    server_chain, client_chain = bool(ours.peer_chain), bool(theirs.peer_chain)
    if theirs.saw("ClientHello", Direction.RECEIVED):
        done.add(_S.CLIENT_HELLO)
    if ours.saw("ServerHello", Direction.RECEIVED):
        done.add(_S.SERVER_HELLO)
    if server_chain:
        done.add(_S.SERVER_CERTIFICATE)
    if server_chain and (ours.saw("Finished", Direction.SENT) or ours.saw("ClientKeyExchange", Direction.SENT)):
        done.add(_S.CLIENT_VERIFIES_SERVER)
    if client_chain:
        done.add(_S.CLIENT_CERTIFICATE)
    if client_chain and far.finished:
        done.add(_S.SERVER_VERIFIES_CLIENT)
    if near.finished:
        done.add(_S.KEY_EXCHANGE)
    if near.heard and far.heard:
        done.add(_S.APPLICATION_DATA)
    failed = {side.error.step for side in (near, far) if isinstance(side.error, HandshakeError)}
    return done - failed


def _client_certificate_matters(server: ServerProfile, far: Side, *, asked: bool) -> bool:
    """Steps 5 and 6 are skipped where the server did not ask, or only offered and the client had nothing to show."""
    if server.truststore is None:
        return False
    required = server.client_auth is None or server.client_auth.value == "required"
    return required or bool(log_of(far.tls).peer_chain) or not asked


def side_of(side: Side, *, accepted: bool) -> HandshakeSide:
    """What one end saw; ``accepted`` says whether it accepted the other."""
    error = side.error
    attached = getattr(error, ATTACHED, None)
    if isinstance(error, OSError) and not isinstance(error, HandshakeError) and attached is None:
        connection: Connection = side.tls._mtls
        attach(error, connection.error(error, side.tls._sslobj, phase=Phase.FIRST_READ))
    log = log_of(side.tls)
    return HandshakeSide(
        error=error,
        peer=peer_of(side.tls) if side.finished and error is None else None,
        peer_chain=readable(log.peer_chain),
        trace=log.events,
        verdict=verdict(error, accepted=accepted),
    )
