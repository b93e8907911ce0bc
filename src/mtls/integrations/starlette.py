"""Authorization by route, for Starlette and FastAPI.

Rule: a handler behind :func:`require_peer` runs for a verified peer whom the policy admits, and for nobody else.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable  # noqa: TC003 - FastAPI reads the annotations when it runs

from mtls._certificate import printable
from mtls._handshake.admission import objection_of
from mtls._handshake.peer import PeerIdentity  # noqa: TC001 - the same
from mtls._handshake.peer_identity import peer_identity
from mtls._handshake.peer_policy import PeerPolicy  # noqa: TC001 - the same: Depends(require_peer), uncalled, must fail
from mtls.errors import MissingExtraError, UsageError

try:
    from starlette.exceptions import HTTPException, WebSocketException
    from starlette.requests import HTTPConnection  # noqa: TC002 - the same
except ImportError as _missing:
    raise MissingExtraError("starlette", "starlette") from _missing

_log = logging.getLogger("mtls")

_FORBIDDEN = 403
_POLICY_VIOLATION = 1008


def require_peer(
    policy: PeerPolicy | Callable[[PeerIdentity], bool] | None = None,
) -> Callable[[HTTPConnection], Awaitable[PeerIdentity]]:
    """A dependency that gives the handler the verified :class:`~mtls.PeerIdentity` of its caller.

    In FastAPI ``Annotated[mtls.PeerIdentity, Depends(require_peer(policy))]``, in Starlette
    ``peer = await only_billing(request)`` with ``only_billing = require_peer(policy)`` (without ``await`` nothing is
    checked, and Python only warns). Whoever is not admitted gets
    403 and no reason (a WebSocket is closed with 1008, which is 403 before it was accepted); the reason is logged to
    ``mtls``. As with ``authorize=`` only ``True`` admits, an exception refuses, and the policy must not block. Left
    out, it admits every verified peer.

    Raises :class:`UsageError` for a policy that is none and, when a request comes, under a server that does not say who
    called. Who gets a connection at all is the profile's to say.
    """
    if policy is not None and not callable(policy):
        text = f"require_peer() takes a PeerPolicy or a function of a PeerIdentity, not {type(policy).__name__}"
        raise UsageError(text)

    async def verified_peer(connection: HTTPConnection) -> PeerIdentity:
        peer = peer_identity(connection)
        if peer is None:
            objection: str | None = "it showed no certificate"
        else:
            objection = None if policy is None else objection_of(policy, peer, "require_peer()")
        if peer is None or objection is not None:
            _log.warning("refused a client at %s: %s", printable(connection.scope["path"]), objection)
            if connection.scope["type"] == "websocket":
                raise WebSocketException(_POLICY_VIOLATION)
            raise HTTPException(_FORBIDDEN)
        return peer

    return verified_peer
