"""What one TLS connection knows about itself, and the error it makes of a failure.

Rule: nothing here does I/O or changes what is checked, and no fault in here hides the original exception.
"""

from __future__ import annotations

import _ssl
import errno
import logging
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from mtls._handshake.diagnosis import Diagnosis, Observation, diagnose
from mtls._handshake.listening import HandshakeLog
from mtls._handshake.reasons import REASONS, ReasonKind
from mtls._handshake.rules import Progress, Shown
from mtls._handshake.trace import Direction
from mtls._handshake.verified_paths import verified_path
from mtls._model import Evidence, FailureReason, Phase, Role, Side
from mtls.errors import HandshakeError, HandshakeTimeoutError, PeerVerificationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls._handshake.generation import Generation, Serving
    from mtls.errors import Account

_log = logging.getLogger("mtls")

_LOCAL_MISTAKES = frozenset({errno.EBADF, errno.ENOTCONN, errno.ENOTSOCK, errno.EINVAL})
"""Operating system errors that no peer can cause: the caller closed the socket, or never connected it."""

ATTACHED = "_mtls_explanation"
"""The attribute under which what we know is attached to an exception that passes unchanged."""
_MOST_AUTHORITIES = 200
"""Names of CAs that are kept of a request; a server of a public service names about 150."""


_SHOWED = {Shown.SENT: True, Shown.EMPTY: False, Shown.NOT_ASKED: False, Shown.NONE: False}


class Traffic(NamedTuple):
    """What has gone over a connection since its handshake, when it fails."""

    heard: bool = False
    """Whether application data has arrived."""
    wrote: bool = False
    """Whether application data may have gone out."""
    drained: bool = False
    """Whether everything that the peer had sent was read."""


NO_TRAFFIC = Traffic()


class Connection:
    """The settings under which one connection runs, what was seen of its handshake, and what to call its ends.

    ``real`` below is always the C-level ``_ssl._SSLSocket``, which still answers after a failure.
    """

    __slots__ = (
        "address",
        "context",
        "generation",
        "keeps_log",
        "log",
        "logs",
        "memory",
        "paths",
        "reported",
        "server_hostname",
        "serving",
        "settings",
    )

    def __init__(
        self, context: Any, generation: Generation, serving: Serving, server_hostname: str | None, *, keeps_log: bool
    ) -> None:
        self.context = context
        self.generation = generation
        self.settings = generation.settings
        self.paths = generation.paths
        self.serving = serving
        self.server_hostname = server_hostname
        self.address: str | None = None
        self.log: HandshakeLog | None = HandshakeLog() if serving.listens else None
        self.keeps_log = keeps_log
        """Whether somebody wants to see what comes after the handshake, too; then nothing is made quiet."""
        self.logs = True
        self.reported = False
        self.memory: tuple[ssl.MemoryBIO, ssl.MemoryBIO] | None = None
        """What an object reads from and writes to; a socket has none."""

    # --- sessions ---

    def resume(self, real: Any, session: Any) -> None:
        """Offer a session of an earlier connection of the same serving context. Raises ``ValueError`` for another."""
        if not self.serving.listens:
            real.session = session
            return
        begun = real.context
        real.context = self.serving.quiet  # which the earlier connection had when its session was taken
        try:
            real.session = session
        finally:
            real.context = begun

    def remember(self, real: Any) -> None:
        """Keep the verified path for the connections that resume this one's session."""
        if self.settings.truststore is not None and not real.session_reused and (path := verified_path(real)):
            self.paths.remember(path)

    # --- after a handshake that OpenSSL calls good ---

    def established(self, real: Any) -> None:
        """Apply what only the profile knows. Raises :class:`PeerVerificationError` to refuse the peer."""
        settings = self.settings
        if settings.role is Role.SERVER:  # a client remembers when its session is taken
            self.remember(real)
        anonymous = settings.verify_mode is ssl.CERT_REQUIRED and real.getpeercert(True) is None
        if not (settings.has_rules or anonymous or real.session_reused):
            return
        from mtls._handshake import admission

        refusal = admission.refusal(self, real, datetime.now(UTC))
        if refusal is not None:
            denied = self._denied(real, *refusal)
            self.report(denied, logging.WARNING)
            try:
                raise denied
            finally:
                del denied  # the traceback holds this frame, and would keep the connection alive

    def settle(self, real: Any) -> None:
        """The handshake has ended well: stop listening, and keep of what was heard what a late refusal needs."""
        if self.log is None or self.keeps_log:
            return
        real.context = self.serving.quiet
        if self.settings.role is Role.SERVER:  # a client may still be refused: what was asked and sent tells why
            self.log = None

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

    def error(self, cause: OSError, real: Any, *, phase: Phase, traffic: Traffic = NO_TRAFFIC) -> HandshakeError | None:
        """What ``cause`` means on this connection; ``None`` for a mistake of the caller that no peer had a part in."""
        if isinstance(cause, ssl.SSLError):
            reason: Any = getattr(cause, "reason", None)  # one that no OpenSSL made has none
            mistaken = REASONS.get(reason, _UNKNOWN)[0] is ReasonKind.CALLER
            if mistaken and phase is not Phase.HANDSHAKE:
                return None
        elif cause.errno in _LOCAL_MISTAKES:
            return None
        try:
            return self._explained(cause, real, phase, traffic)
        except Exception:  # noqa: BLE001 - a fault in the explanation must not hide what happened
            _log.exception("the failure of a connection could not be explained")
            return HandshakeError(
                *cause.args, failure=FailureReason.PEER_ERROR, phase=phase, evidence=Evidence.INFERRED
            )

    def report(self, error: HandshakeError, level: int = logging.INFO) -> None:
        """Tell those who watch of a failure, once: the log (of servers, and of refusals of ours) and the callback."""
        if self.reported or not self.logs:
            return
        self.reported = True
        watch = self.context._watch
        if (self.settings.role is Role.SERVER or level > logging.INFO) and _log.isEnabledFor(level):
            # asyncio and most servers say nothing of a client that did not get in
            _guarded("the failure could not be logged", lambda: _log.log(level, "%s", error, extra=_extra(error)))
        if watch.on_handshake_error is not None:
            _guarded("on_handshake_error raised", lambda: watch.on_handshake_error(error))

    def show_trace(self, real: Any, error: OSError | None) -> None:
        """Hand the messages of the handshake to whoever asked for them."""
        if self.context._watch.trace is None or self.log is None or not self.logs:
            return
        from mtls._handshake.tracing import trace_of

        _guarded("trace= raised", lambda: self.context._watch.trace(trace_of(self, real, error)))

    def _explained(self, cause: OSError, real: Any, phase: Phase, traffic: Traffic) -> HandshakeError:
        chain = self._peer_chain(real)
        seen = self._observe(cause, real, phase, traffic, chain_seen=bool(chain))
        found = diagnose(seen)
        kind: type[HandshakeError] = HandshakeError
        if isinstance(cause, TimeoutError):
            kind = HandshakeTimeoutError
        elif isinstance(cause, ssl.SSLCertVerificationError):
            kind = PeerVerificationError
        certificate, account = self._account(found, real, chain, getattr(cause, "verify_code", 0))
        return kind(
            *cause.args,
            failure=found.failure,
            step=found.step,
            side=found.side,
            alert=found.alert,
            evidence=found.evidence,
            because=found.because if found.evidence is Evidence.INFERRED or found.step is None else None,
            phase=phase,
            certificate=certificate,
            reason=getattr(cause, "reason", None),
            library=getattr(cause, "library", None),
            verify_code=getattr(cause, "verify_code", 0),
            verify_message=getattr(cause, "verify_message", ""),
            account=account,
            **self._facts(real),
        )

    def _observe(self, cause: OSError, real: Any, phase: Phase, traffic: Traffic, *, chain_seen: bool) -> Observation:
        settings, log = self.settings, self.log
        version = self.version(real)
        tls13 = None if version is None else version == "TLS 1.3"
        if traffic.heard:
            progress = Progress.TALKED
        elif phase is not Phase.HANDSHAKE:
            progress = Progress.FINISHED
        elif log is not None and self._has_answered(log):
            progress = Progress.ANSWERED
        elif chain_seen:
            progress = Progress.CHAIN
        elif self._has_said_hello(real):
            progress = Progress.HELLO
        else:
            progress = Progress.NOTHING
        late = progress is Progress.FINISHED and settings.role is Role.CLIENT and bool(tls13)
        reading = reading_of(cause)
        return Observation(
            role=settings.role,
            progress=progress,
            shown=self._shown(real),
            tls13=tls13,
            ticket=_ticket(real, drained=traffic.drained) if late and "transport" in reading else None,
            wrote=traffic.wrote,
            message=None if log is None else log.last_received,
            listened=log is not None and phase is Phase.HANDSHAKE,
            alert=None if log is None or phase is not Phase.HANDSHAKE else log.alert_received,
            **reading,
        )

    def _has_said_hello(self, real: Any) -> bool:
        """Whether the peer's hello has come, and was taken."""
        if self.settings.role is Role.SERVER:
            return real.cipher() is not None or real.shared_ciphers() is not None
        if self.log is None:
            return real.cipher() is not None
        # a session that is offered has a cipher of its own, before anything was said
        return self.log.saw("ServerHello", Direction.RECEIVED) or self.log.saw("HelloRetryRequest", Direction.RECEIVED)

    def version(self, real: Any) -> str | None:
        """The version that was negotiated, ``None`` before it is; TLS 1.2 has no cipher to show in mid-handshake."""
        heard = self.log
        if heard is not None and self.settings.role is Role.CLIENT and not heard.saw("ServerHello", Direction.RECEIVED):
            return None
        cipher = real.cipher()
        if cipher is not None:
            return str(cipher[1]).replace("TLSv", "TLS ")
        tls13 = None if heard is None else heard.tls13
        return None if tls13 is None else "TLS 1.3" if tls13 else "TLS 1.2"

    def _has_answered(self, log: HandshakeLog) -> bool:
        """Whether our certificate flight is out, and (of a server) nothing came back."""
        if self.settings.role is Role.SERVER:
            return log.own_chain is not None and not log.saw("Certificate", Direction.RECEIVED)
        return log.saw("Finished", Direction.SENT) or log.saw("ClientKeyExchange", Direction.SENT)

    def _shown(self, real: Any) -> Shown:
        """What is known of our own certificate; of a server's it is never asked.

        A server that resumes a session knows the client from it, and asks for nothing.
        """
        log, keystore = self.log, self.settings.keystore
        if log is None or log.is_full:
            return Shown.NONE if keystore is None else Shown.PERHAPS
        if real.session_reused:
            return Shown.NOT_ASKED if keystore is None else Shown.PERHAPS
        if log.own_chain:
            return Shown.SENT
        if log.authorities is None:
            return Shown.NOT_ASKED
        return Shown.NOT_YET if log.own_chain is None else Shown.EMPTY

    def showed_certificate(self, real: Any) -> bool | None:
        """Whether a client showed one; ``None`` where that is not known."""
        return _SHOWED.get(self._shown(real))

    def _facts(self, real: Any) -> dict[str, Any]:
        """The fields of an error that do not depend on what went wrong."""
        chain = self._peer_chain(real)
        return {
            "role": self.settings.role,
            "local_certificate": self.generation.leaf,
            "peer_chain": lambda: tuple(map(_der, chain)),
            "tls_version": self.version(real),
            "server_hostname": self.server_hostname,
            "peer_address": self.address,
        }

    def _peer_chain(self, real: Any) -> tuple[Any, ...]:
        """What the peer sent (DER, or OpenSSL's objects, which cost nothing).

        On a server OpenSSL forgets the chain that it refused.
        """
        received = real.get_unverified_chain()
        if not received and self.log is not None:
            return self.log.peer_chain
        return tuple(received or ())

    def _account(
        self, found: Diagnosis, real: Any, chain: tuple[Any, ...], code: int
    ) -> tuple[bytes | None, Callable[[], Account] | None]:
        """The certificate that the failure is about, one of the peer's if we refused it, ours if the peer did; and
        what gives all that is wrong with its chain, if somebody asks.
        """
        settings, now = self.settings, datetime.now(UTC)
        if found.side is Side.LOCAL and found.step is settings.role.other.verified_at and chain and code:
            begun = tuple(real.get_verified_chain() or ())
            hostname = self.server_hostname

            def theirs() -> Account:
                from mtls._handshake.account import of_refused_chain

                sent = tuple(map(_der, chain))
                return of_refused_chain(settings, sent, tuple(map(_der, begun)), code, hostname, now)

            return _der(chain[0]), theirs
        refused = found.step is settings.role.verified_at and found.side is not Side.LOCAL
        if settings.keystore is None or not refused:
            return None, None
        authorities = (() if self.log is None else self.log.authorities or ())[:_MOST_AUTHORITIES]

        def ours() -> Account:
            from mtls._handshake.account import of_our_chain

            return of_our_chain(settings, authorities, found.failure, now)

        return self.generation.leaf, ours


def _ticket(real: Any, *, drained: bool) -> bool | None:
    """Whether a session ticket came, ``None`` where one may wait unread. It is asked only if the answer counts: OpenSSL
    copies the session for it, at the cost of a third of a handshake.
    """
    session = real.session
    if session is not None and session.has_ticket:
        return True
    return False if drained else None


_UNKNOWN = (None, None)


def _der(certificate: Any) -> bytes:
    return certificate if isinstance(certificate, bytes) else certificate.public_bytes(_ssl.ENCODING_DER)


def _extra(error: HandshakeError) -> dict[str, Any]:
    return {"tls": error.to_attributes()}


def _guarded(text: str, action: Callable[[], object]) -> None:
    """Do something for somebody who watches; what goes wrong there is logged and changes nothing."""
    try:
        action()
    except Exception:  # noqa: BLE001 - a fault of an observer must not change what is observed
        _log.exception(text)


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
    if reason is None and isinstance(cause, ssl.SSLCertVerificationError):
        reason = "CERTIFICATE_VERIFY_FAILED"  # made by hand, as older libraries do for a host name
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
    return error is not None and error.side is not None
