"""Every exception that a caller can catch.

Rule: who must act is in the type (the call, our configuration, our key material, a chain, the handshake); fields come
first and the text is derived from them. No field, text, ``repr`` or pickle ever holds a key or a password.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from mtls._model import Evidence, FailureReason, Finding, HandshakeStep, Phase, Role, Severity, Side, SourceFailure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography import x509

    from mtls._report import Report

_T = TypeVar("_T")

__all__ = [
    "ChainError",
    "ChainSourceError",
    "ConfigurationError",
    "HandshakeError",
    "HandshakeTimeoutError",
    "KeystoreError",
    "MTLSError",
    "MissingExtraError",
    "PeerVerificationError",
    "SealedContextError",
    "SourceError",
    "TruststoreError",
    "UsageError",
    "VerdictUnavailableError",
]


class MTLSError(Exception):
    """The base of everything this library raises; never raised itself."""


class UsageError(MTLSError, ValueError):
    """The call itself is wrong: a naive datetime, an explicit ``None``, a host that ``hosts=`` does not list."""


class MissingExtraError(MTLSError, ImportError):
    """A feature needs a package that is not installed; the text names the extra that brings it."""

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"this needs the package {package!r}: pip install 'mtls-kit[{extra}]'", name=package)
        self.package = package
        self.extra = extra

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.package, self.extra)


class ConfigurationError(MTLSError, ValueError):
    """A profile that cannot work. ``report`` holds every finding that stops it, each with the step it would break."""

    def __init__(self, report: Report) -> None:
        super().__init__(report)
        self.report = report

    def __str__(self) -> str:
        first = next(iter(self.report.errors), None)
        return str(self.report) if first is None else f"{first.message}; {first.remedy}\n{self.report}"


class SourceError(MTLSError):
    """A file or content that cannot be used: ``source`` (its path, or what it is), ``failure`` (a
    :class:`~mtls.SourceFailure`), ``problem`` and ``remedy``. Never raised itself.
    """

    def __init__(self, problem: str, *, source: str, failure: SourceFailure, remedy: str) -> None:
        super().__init__(f"{source}: {problem}; {remedy}")
        self.source = source
        self.failure = failure
        self.problem = problem
        self.remedy = remedy

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.failure.value}, {self.source!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_source_error, (type(self), self.problem, self.source, self.failure, self.remedy)


def _rebuild_source_error(
    kind: type[SourceError], problem: str, source: str, failure: SourceFailure, remedy: str
) -> SourceError:
    return kind(problem, source=source, failure=failure, remedy=remedy)


class KeystoreError(SourceError):
    """A source of a key and certificates that cannot be used."""


class TruststoreError(SourceError):
    """A source of trust anchors or CRLs that cannot be used."""


class ChainSourceError(SourceError):
    """A source of a peer's chain that cannot be used."""


_MOST_TOLD = 20
"""A text with more findings than this is read by nobody; ``findings`` has them all."""


class ChainError(MTLSError):
    """A chain that does not verify.

    ``findings`` holds every fault, the most telling first; ``failure``, ``certificate`` and ``position`` (0 is the
    leaf) are those of the first one; ``verify_code`` is OpenSSL's ``X509_V_ERR_*`` number, 0 where it had none.
    """

    def __init__(self, findings: Sequence[Finding], *, verify_code: int = 0) -> None:
        if not findings:
            text = "a ChainError needs at least one finding"
            raise ValueError(text)
        self.findings: tuple[Finding, ...] = tuple(findings)
        self.verify_code = verify_code
        super().__init__(self.findings)

    @property
    def failure(self) -> FailureReason:
        """Why the chain fails, most telling first."""
        return self.findings[0].failure

    @property
    def certificate(self) -> x509.Certificate | None:
        """The certificate that is at fault."""
        return self.findings[0].certificate

    @property
    def position(self) -> int | None:
        """Its place in the chain; 0 is the leaf."""
        return self.findings[0].position

    def __str__(self) -> str:
        told = [
            f"{'' if finding.severity is Severity.ERROR else 'warning: '}{finding.message}; {finding.remedy}"
            for finding in self.findings[:_MOST_TOLD]
        ]
        more = len(self.findings) - len(told)
        return "\n  ".join([*told, f"and {more} more findings"] if more else told)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_chain_error, (self.findings, self.verify_code)


def _rebuild_chain_error(findings: tuple[Finding, ...], verify_code: int) -> ChainError:
    return ChainError(findings, verify_code=verify_code)


class VerdictUnavailableError(MTLSError):
    """The interpreter's OpenSSL cannot be asked for its verdict on a chain."""


class SealedContextError(MTLSError, ssl.SSLError):
    """Something tried to weaken a sealed context: to widen its trust, drop a check or swap its identity."""

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""


class Account(NamedTuple):
    """What the checks make of the chain behind a failure: the failure by its most exact name, every finding, and the
    certificate at fault (DER).
    """

    failure: FailureReason
    findings: tuple[Finding, ...]
    certificate: bytes | None


class HandshakeError(MTLSError, ssl.SSLError):
    """A TLS connection that failed, with the step, the side and the reason.

    The attributes inherited from :class:`ssl.SSLError` (``errno``, ``args``, ``reason``, ``library``) keep the values
    of the original exception, which is the ``__cause__``. Ours are:

    ``step``
        the :class:`~mtls.HandshakeStep` that failed; ``None`` where nothing tells.
    ``side``
        ``"local"`` (we refused), ``"peer"`` (the peer told us) or ``None`` (the transport).
    ``role``
        our own role, ``None`` where it is not known.
    ``failure``
        the :class:`~mtls.FailureReason`.
    ``alert``
        the name of the TLS alert that was received (IANA registry), or ``None``.
    ``evidence``
        ``"observed"`` or ``"inferred"``. An alert is chosen by the peer and may lie; a close tells less still.
    ``phase``
        the :class:`~mtls.Phase` in which it came to light.
    ``certificate``, ``local_certificate``, ``peer_chain``
        the certificate at fault, our own leaf, and what the peer sent (leaf first), where known.
    ``tls_version``, ``server_hostname``, ``peer_address``
        as negotiated or asked for, ``None`` where not known.
    ``because``
        why the failure belongs to this step, where that was concluded, or what leaves it open; else ``None``.
    ``hint``
        what to do.
    ``findings``
        every fault of the peer's chain if we refused it, most telling first; if the peer refused ours, what the checks
        know of our own. They are looked for when somebody reads them, with the certificates and the time of then.
    """

    def __init__(  # noqa: PLR0913 - one keyword for each field of the contract
        self,
        *args: Any,
        failure: FailureReason,
        step: HandshakeStep | None = None,
        side: Side | None = None,
        role: Role | None = None,
        alert: str | None = None,
        evidence: Evidence = Evidence.OBSERVED,
        phase: Phase = Phase.HANDSHAKE,
        certificate: bytes | None = None,
        local_certificate: bytes | None = None,
        peer_chain: Sequence[bytes] | Callable[[], tuple[bytes, ...]] = (),
        tls_version: str | None = None,
        server_hostname: str | None = None,
        peer_address: str | None = None,
        detail: str | None = None,
        because: str | None = None,
        findings: Sequence[Finding] = (),
        account: Callable[[], Account] | None = None,
        reason: str | None = None,
        library: str | None = None,
        verify_code: int = 0,
        verify_message: str = "",
    ) -> None:
        super().__init__(*args)
        self.step = step
        self.side = side
        self.role = role
        self.alert = alert
        self.evidence = evidence
        self.phase = phase
        self.tls_version = tls_version
        self.server_hostname = server_hostname
        self.peer_address = peer_address
        self.detail = detail
        self.because = because
        self.reason = reason  # type: ignore[assignment] # typeshed has str; OpenSSL leaves it None for some errors
        self.library = library  # type: ignore[assignment] # the same
        self.verify_code = verify_code
        self.verify_message = verify_message
        self._local_certificate = local_certificate
        self._sent = peer_chain
        self._known = Account(failure, tuple(findings), certificate)
        self._account = account

    @property
    def failure(self) -> FailureReason:
        """Why it failed."""
        return self._told().failure

    @property
    def findings(self) -> tuple[Finding, ...]:
        """The faults of the chain in question."""
        return self._told().findings

    @property
    def certificate(self) -> x509.Certificate | None:
        """The certificate at fault, ``None`` where none is known or ``cryptography`` cannot read it."""
        return _parsed(self._certificate)

    @property
    def _certificate(self) -> bytes | None:
        return self._told().certificate

    @property
    def _peer_chain(self) -> tuple[bytes, ...]:
        if callable(self._sent):
            self._sent = self._sent()
        return tuple(self._sent)

    def _told(self) -> Account:
        """What the checks say, asked once; a fault of theirs must not hide what happened."""
        account, self._account = self._account, None
        if account is not None:
            self._known = _attempt(account, self._known)
        return self._known

    @property
    def local_certificate(self) -> x509.Certificate | None:
        """Our own leaf certificate, ``None`` without a keystore."""
        return _parsed(self._local_certificate)

    @property
    def peer_chain(self) -> tuple[x509.Certificate, ...]:
        """What the peer sent and ``cryptography`` can read, leaf first; not verified."""
        return tuple(filter(None, map(_parsed, self._peer_chain)))

    @property
    def docs_anchor(self) -> str:
        """The page of the documentation about this failure, relative to its root: ``failures/unknown-ca.html``."""
        return self.failure.docs_anchor

    @property
    def hint(self) -> str:
        """What to do next, in one or two sentences."""
        from mtls._remedy import hint

        return _attempt(lambda: hint(self), "Read the exception that this one was raised from.")

    def __str__(self) -> str:
        from mtls._wording import sentence

        return _attempt(lambda: sentence(self), f"{self._place()}: {self._known.failure.value}")

    def __repr__(self) -> str:
        side = self.side or "unknown"
        return f"<{type(self).__name__} {self._place()}: {self.failure.value}, side {side}, {self.evidence}>"

    def _place(self) -> str:
        return "unknown step" if self.step is None else f"step {self.step.value} {self.step.name}"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready form, version 1: no secrets, certificates by label, serial number, end date and fingerprint."""
        from mtls._record import record

        return _attempt(lambda: record(self), self._bare())

    def to_attributes(self) -> dict[str, str | int | bool]:
        """Flat attributes for logs and spans, named as OpenTelemetry does (``tls.*``, ``error.type``): bounded, without
        secrets, and without what is not known.
        """
        from mtls._record import attributes

        return _attempt(lambda: attributes(self), {"error.type": self._known.failure.value})

    def _bare(self) -> dict[str, Any]:
        """What can be told where nothing can be worded: our own words only."""
        return {
            "version": 1,
            "error": type(self).__name__,
            "message": str(self),
            "step": None if self.step is None else self.step.value,
            "side": self.side and self.side.value,
            "failure": self._known.failure.value,
        }

    def __copy__(self) -> HandshakeError:
        again = type(self).__new__(type(self))
        OSError.__init__(again, *self.args)  # ours asks for every field, and there is one copy for each call refused
        again.__dict__.update({name: value for name, value in self.__dict__.items() if name != "__notes__"})
        again.__cause__ = self.__cause__
        return again

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_handshake_error, (type(self), self.args, self._fields())

    def _plain(self) -> dict[str, Any]:
        names = (
            "step side role alert evidence phase tls_version server_hostname peer_address detail because "
            "reason library verify_code verify_message"
        )
        return {name: getattr(self, name) for name in names.split()} | {"local_certificate": self._local_certificate}

    def _lazy(self) -> dict[str, Any]:
        known = self._known
        return {
            "failure": known.failure,
            "findings": known.findings,
            "certificate": known.certificate,
            "peer_chain": self._sent,
        }

    def _fields(self) -> dict[str, Any]:
        self._told()
        return self._plain() | self._lazy() | {"peer_chain": self._peer_chain}


def _attempt(explain: Callable[[], _T], plain: _T) -> _T:
    """What our own explanation gives; a fault in it is logged, and the plain thing stands for it."""
    try:
        return explain()
    except Exception:  # whatever it is, it must not hide what happened
        import logging

        logging.getLogger("mtls").exception("a failure could not be explained")
        return plain


def _parsed(encoded: bytes | None) -> x509.Certificate | None:
    if encoded is None:
        return None
    from mtls._certificate import parse

    return parse(encoded)


def _rebuild_handshake_error(
    kind: type[HandshakeError], args: tuple[Any, ...], fields: dict[str, Any]
) -> HandshakeError:
    return kind(*args, **fields)


class PeerVerificationError(HandshakeError, ssl.SSLCertVerificationError):
    """We refused the peer's certificate (step 4 or 6); ``verify_code`` and ``verify_message`` are OpenSSL's, 0 and
    empty where a rule of the profile refused it.
    """


class HandshakeTimeoutError(HandshakeError, TimeoutError):
    """The peer did not answer during the handshake within the caller's time-out."""
