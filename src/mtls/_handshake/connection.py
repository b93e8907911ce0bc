"""What one TLS connection knows about itself, and the error it makes of a failure.

Rule: nothing here does I/O or changes the connection, and no fault in here hides the original exception.
"""

from __future__ import annotations

import _ssl
import errno
import logging
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mtls._handshake import tables
from mtls._handshake.diagnosis import Diagnosis, Observation, diagnose
from mtls._handshake.staging import leaf_der
from mtls._handshake.verified_paths import verified_path
from mtls._model import Evidence, FailureReason, Phase, Role, Side
from mtls.errors import HandshakeError, HandshakeTimeoutError, PeerVerificationError

if TYPE_CHECKING:
    from mtls._handshake.generation import Settings
    from mtls._handshake.trace import Trace
    from mtls._handshake.verified_paths import VerifiedPaths

_log = logging.getLogger("mtls")

_LOCAL_MISTAKES = frozenset({errno.EBADF, errno.ENOTCONN, errno.ENOTSOCK, errno.EINVAL})
"""Operating system errors that no peer can cause: the caller closed the socket, or never connected it."""

ATTACHED = "_mtls_explanation"
"""The attribute under which what we know is attached to an exception that passes unchanged."""


class Connection:
    """The settings under which one connection runs, and what to call its ends.

    ``real`` below is always the C-level ``_ssl._SSLSocket``, which still answers after a failure.
    """

    __slots__ = ("address", "context", "logs", "memory", "paths", "server_hostname", "settings", "trace")

    def __init__(self, context: Any, settings: Settings, paths: VerifiedPaths, server_hostname: str | None) -> None:
        self.context = context
        self.settings = settings
        self.paths = paths
        self.server_hostname = server_hostname
        self.address: str | None = None
        self.trace: Trace | None = None
        self.logs = True
        self.memory: tuple[ssl.MemoryBIO, ssl.MemoryBIO] | None = None
        """What an object reads from and writes to; a socket has none."""

    # --- after a handshake that OpenSSL calls good ---

    def established(self, real: Any) -> None:
        """Apply what only the profile knows. Raises :class:`PeerVerificationError` to refuse the peer."""
        settings = self.settings
        if settings.truststore is not None and not real.session_reused and (path := verified_path(real)):
            self.paths.remember(path)
        anonymous = settings.verify_mode is ssl.CERT_REQUIRED and real.getpeercert(True) is None
        if not (settings.has_rules or anonymous or real.session_reused):
            return
        from mtls._handshake import admission

        refusal = admission.refusal(self, real, datetime.now(UTC))
        if refusal is not None:
            denied = self._denied(real, *refusal)
            _log.warning("%s", denied)
            try:
                raise denied
            finally:
                del denied  # the traceback holds this frame, and would keep the connection alive

    def _denied(self, real: Any, failure: FailureReason, detail: str, leaf: bytes | None) -> PeerVerificationError:
        return PeerVerificationError(
            ssl.SSLErrorNumber.SSL_ERROR_SSL,
            f"certificate verify failed: {detail}",
            failure=failure,
            step=self.settings.role.other.verified_at,
            side=Side.LOCAL,
            detail=detail,
            certificate=leaf,
            reason="CERTIFICATE_VERIFY_FAILED",
            library="SSL",
            **self._facts(real),
        )

    # --- after a failure ---

    def error(self, cause: OSError, real: Any, *, phase: Phase, data_received: bool = False) -> HandshakeError | None:
        """What ``cause`` means on this connection; ``None`` for a mistake of the caller that no peer had a part in."""
        if isinstance(cause, ssl.SSLError):
            if cause.reason in tables.CALLER_REASONS:
                return None
        elif cause.errno in _LOCAL_MISTAKES:
            return None
        try:
            return self._explained(cause, real, phase, data_received=data_received)
        except Exception:  # noqa: BLE001 - a fault in the explanation must not hide what happened
            _log.exception("the failure of a connection could not be explained")
            return HandshakeError(
                *cause.args, failure=FailureReason.PEER_ERROR, phase=phase, evidence=Evidence.INFERRED
            )

    def _explained(self, cause: OSError, real: Any, phase: Phase, *, data_received: bool) -> HandshakeError:
        facts = self._facts(real)
        seen = self._observe(cause, real, phase, data_received=data_received, chain=bool(facts["peer_chain"]))
        found = diagnose(seen)
        kind: type[HandshakeError] = HandshakeError
        if isinstance(cause, TimeoutError):
            kind = HandshakeTimeoutError
        elif isinstance(cause, ssl.SSLCertVerificationError):
            kind = PeerVerificationError
        return kind(
            *cause.args,
            failure=found.failure,
            step=found.step,
            side=found.side,
            alert=found.alert,
            evidence=found.evidence,
            phase=phase,
            certificate=self._culprit(found, facts["peer_chain"]),
            reason=getattr(cause, "reason", None),
            library=getattr(cause, "library", None),
            verify_code=getattr(cause, "verify_code", 0),
            verify_message=getattr(cause, "verify_message", ""),
            **facts,
        )

    def _observe(self, cause: OSError, real: Any, phase: Phase, *, data_received: bool, chain: bool) -> Observation:
        settings = self.settings
        cipher = real.cipher()
        server = settings.role is Role.SERVER
        return Observation(
            role=settings.role,
            has_certificate=settings.keystore is not None,
            hello_seen=cipher is not None or chain or (server and real.shared_ciphers() is not None),
            chain_seen=chain,
            finished=phase is not Phase.HANDSHAKE,
            data_received=data_received,
            tls13=None if cipher is None else cipher[1] == "TLSv1.3",
            **reading_of(cause),
        )

    def _facts(self, real: Any) -> dict[str, Any]:
        """The fields of an error that do not depend on what went wrong."""
        keystore = self.settings.keystore
        cipher = real.cipher()
        received = real.get_unverified_chain() or ()
        chain = tuple(entry.public_bytes(_ssl.ENCODING_DER) for entry in received)
        if not chain and self.trace is not None:
            chain = self.trace.peer_chain
        return {
            "role": self.settings.role,
            "local_certificate": None if keystore is None else leaf_der(keystore),
            "peer_chain": chain,
            "tls_version": None if cipher is None else cipher[1].replace("TLSv", "TLS "),
            "server_hostname": self.server_hostname,
            "peer_address": self.address,
        }

    def _culprit(self, found: Diagnosis, chain: tuple[bytes, ...]) -> bytes | None:
        """The certificate that the failure is about: one of the peer's if we refused it, ours if the peer did."""
        if found.side is Side.LOCAL and found.step is self.settings.role.other.verified_at:
            from mtls._handshake.culprit import culprit

            return culprit(chain, found.failure, self.settings.role.other, datetime.now(UTC))
        if found.side is Side.PEER and found.step is self.settings.role.verified_at and self.settings.keystore:
            return leaf_der(self.settings.keystore)
        return None


def reading_of(cause: BaseException) -> dict[str, Any]:
    """The part of an observation that the exception itself carries: OpenSSL's codes, or how the transport ended."""
    if isinstance(cause, TimeoutError):
        return {"transport": FailureReason.TIMED_OUT}
    if isinstance(cause, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return {"transport": FailureReason.CLOSED}
    if not isinstance(cause, ssl.SSLError) or isinstance(cause, ssl.SSLSyscallError):
        return {"transport": FailureReason.RESET}
    if getattr(cause, "reason", None) == "UNEXPECTED_EOF_WHILE_READING":
        return {"transport": FailureReason.CLOSED}
    reason = getattr(cause, "reason", None)
    return {
        "reason": reason,
        "verify_code": getattr(cause, "verify_code", 0),
        "unnamed": reason is None and getattr(cause, "library", None) == "SSL" and cause.errno == ssl.SSL_ERROR_SSL,
    }


def attach(cause: BaseException, explanation: HandshakeError | None) -> None:
    """Leave what we know on an exception that passes unchanged, for ``mtls.explain``."""
    if explanation is not None:
        setattr(cause, ATTACHED, explanation)


def names_the_cause(error: HandshakeError | None) -> bool:
    """Whether the peer or our own OpenSSL said what was wrong, rather than the transport just ending."""
    return error is not None and error.evidence is Evidence.OBSERVED
