"""The test that a server context takes before a server listens with it.

Rule: it meets the very object that the server was given, through the same door (``wrap_bio``), in memory; what it lets
in must be what its profile says.
"""

from __future__ import annotations

import _ssl
import contextlib
import ssl
from typing import TYPE_CHECKING

from mtls._handshake import staging
from mtls._model import ClientAuth, FailureReason, Finding, HandshakeStep, Role, Severity
from mtls._report import Report
from mtls.authority import CertificateAuthority
from mtls.errors import ConfigurationError, HandshakeError

if TYPE_CHECKING:
    from mtls._credentials.keystore import Keystore
    from mtls._handshake.context import TLSContext

_ROUNDS = 6
_WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


def self_test(context: TLSContext) -> str:
    """Try a server context with clients that it must refuse, and say what was seen.

    With ``ClientAuth.REQUIRED`` a client without a certificate must fail at step 5. On every two-way context a client
    with a certificate of its own making must fail at step 6. Raises :class:`ConfigurationError` if one gets in, or is
    refused for another reason.
    """
    settings = context.profile._settings()
    if settings.truststore is None:
        return "one-way, nobody is asked for a certificate"
    seen = []
    if settings.client_auth is ClientAuth.REQUIRED:
        refusal = _meet(context, None)
        if refusal is None or refusal.failure is not FailureReason.CERTIFICATE_REQUIRED:
            _fail(HandshakeStep.CLIENT_CERTIFICATE, "a client without a certificate", refusal)
        seen.append("a client without a certificate is refused")
    stranger = CertificateAuthority("nobody trusts this CA").client("stranger.invalid")
    refusal = _meet(context, stranger)
    if refusal is None or refusal.step is not HandshakeStep.SERVER_VERIFIES_CLIENT:
        _fail(HandshakeStep.SERVER_VERIFIES_CLIENT, "a client of an unknown CA", refusal)
    seen.append("a client of an unknown CA is refused")
    return ", ".join(seen)


def _meet(context: TLSContext, keystore: Keystore | None) -> HandshakeError | None:
    """What the context says of a client, ``None`` if it lets it in."""
    client = _ssl._SSLContext(int(ssl.PROTOCOL_TLS_CLIENT))
    client.check_hostname = False
    client.verify_mode = int(ssl.CERT_NONE)  # it looks at nobody and sends nothing
    if keystore is not None:
        staging.load_identity(client, keystore)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client._wrap_bio(to_client, to_server, False)  # type: ignore[attr-defined] # noqa: FBT003 - the signature of _ssl, not in typeshed
    far = context.wrap_bio(to_server, to_client, server_side=True)
    far._mtls.logs = False  # these refusals are what is hoped for
    for round_ in range(_ROUNDS):
        with contextlib.suppress(ssl.SSLError):  # the verdict is the other side's
            near.do_handshake()
        if round_ == _ROUNDS - 1:
            to_server.write_eof()  # it leaves: in an event loop that is when the refusal is raised
        try:
            far.do_handshake()
        except _WAITING:
            continue
        except HandshakeError as refusal:
            return refusal
        break
    return None


def _fail(step: HandshakeStep, who: str, refusal: HandshakeError | None) -> None:
    became = "is let in" if refusal is None else f"is refused for another reason: {refusal}"
    finding = Finding(
        failure=FailureReason.CERTIFICATE_REQUIRED
        if step is HandshakeStep.CLIENT_CERTIFICATE
        else FailureReason.UNKNOWN_CA,
        severity=Severity.ERROR,
        step=step,
        message=f"the server failed its self-test, so it was not started: {who} {became}",
        remedy="build the context with TLSProfile.server(), and let nothing change it before it serves",
    )
    raise ConfigurationError(Report(Role.SERVER, two_way=True, findings=(finding,)))
