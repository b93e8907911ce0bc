"""What an integration takes from its caller: a client's profile, or the context that it made."""

from __future__ import annotations

from mtls._handshake.context import TLSContext
from mtls._model import Role
from mtls._profile import ClientProfile
from mtls.errors import UsageError


def client_context(given: object, place: str) -> TLSContext:
    """The context of a client's profile. Raises :class:`UsageError` for anything else."""
    if isinstance(given, ClientProfile):
        return given.ssl_context()
    kind = type(given).__name__
    if isinstance(given, TLSContext):
        if given.profile.role is Role.CLIENT:
            return given
        kind = "a TLSContext of the server side"
    text = f"{place} takes a ClientProfile, made by TLSProfile.client(), or its ssl_context(), not {kind}"
    raise UsageError(text)
