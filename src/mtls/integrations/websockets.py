"""websockets without lost refusals: a connection that keeps the reason for which it was lost.

Rule: the connection is the library's own. It drops the reason where the opening handshake was not answered; here it is
attached to the exception, for ``mtls.explain``.
"""

from __future__ import annotations

from mtls._handshake.connection import ATTACHED, attach
from mtls.errors import HandshakeError, MissingExtraError

try:
    from websockets.asyncio import client
except ImportError as _missing:
    raise MissingExtraError("websockets>=14", "websockets") from _missing

__all__ = ["ClientConnection"]


class ClientConnection(client.ClientConnection):
    """For ``connect(url, ssl=context, create_connection=ClientConnection)`` of the asyncio client: where the server
    refused our certificate, :func:`mtls.explain` finds it in the ``InvalidMessage`` that is raised.

    Together with ``sock=`` of :func:`mtls.integrations.asyncio.connect_socket` no late refusal is lost.
    """

    def connection_lost(self, exc: Exception | None) -> None:
        """As the library's; called by asyncio."""
        super().connection_lost(exc)
        unanswered = self.protocol.handshake_exc
        why = exc if isinstance(exc, HandshakeError) else getattr(exc, ATTACHED, None)
        if unanswered is not None:
            attach(unanswered, why)
