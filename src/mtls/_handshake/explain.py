"""``explain``: the named step, out of whatever a library wrapped the failure in, or out of a response that refuses.

Rule: it looks everywhere an exception can hide another, once, and never fails; where nothing is about TLS it says
``None``.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from mtls._handshake.connection import ATTACHED, reading_of
from mtls._handshake.diagnosis import Observation, diagnose
from mtls._handshake.response import attribute, is_response, refusal_in
from mtls._handshake.rules import Progress
from mtls._model import FailureReason, Phase, Role
from mtls.errors import HandshakeError, HandshakeTimeoutError, MTLSError, PeerVerificationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIDING_PLACES = ("reason", "os_error", "original_error", "error")
"""Attributes in which urllib, urllib3, aiohttp and others keep the exception they wrap."""
_MOST = 1000


def explain(failure: BaseException | object, *, body: bytes | None = None) -> MTLSError | None:
    """What ``failure`` was at TLS: an exception, or a response in which a server refused our certificate.

    **An exception**: the :class:`MTLSError` inside, or what can honestly be said of a bare :class:`ssl.SSLError` in it.
    Looks through ``__cause__``, ``__context__``, ``args``, exception groups and the attributes in which HTTP libraries
    keep what they wrap; cycles are safe. An error of ours comes first, then what was attached to an exception that had
    to pass unchanged, then a bare ``ssl.SSLError``: of that neither our role nor our certificate is known, so ``step``
    is often ``None``. Last comes the response that an exception carries, as ``raise_for_status()`` raises it.

    **A response** of requests, httpx, aiohttp, urllib3 or http.client: nginx and Apache finish the handshake and refuse
    a certificate in HTTP. Their pages (status 400 or 403) and the statuses 495 and 496 are step 5 or 6, always
    ``inferred``, in ``Phase.RESPONSE``; a page that contradicts what we sent has no step. Any other response says
    nothing of certificates. Nothing is read from the network, and a stream stays as it is: what counts is the body that
    was read (``await response.read()`` in aiohttp). http.client keeps none, so give it what you read as ``body``.

    Returns ``None`` where nothing is about TLS; raises :class:`UsageError` for what is neither.
    """
    if isinstance(failure, BaseException):
        return _in_exception(failure) or _in_response_of(failure, body)
    if is_response(failure):
        return refusal_in(failure, body)
    text = f"explain() takes an exception or the response of an HTTP client, not {type(failure).__name__}"
    raise UsageError(text)


def _in_exception(exc: BaseException) -> MTLSError | None:
    found = list(inside(exc))
    ours = [each for each in found if isinstance(each, MTLSError)]
    ours.sort(key=lambda error: not isinstance(error, HandshakeError))
    if ours:
        return ours[0]
    for each in found:
        attached = attribute(each, ATTACHED)
        if isinstance(attached, MTLSError):
            return attached
    bare = next((each for each in found if _is_tls_failure(each)), None)
    return None if bare is None else _read(bare)


def _in_response_of(exc: BaseException, body: bytes | None) -> HandshakeError | None:
    """Out of the response that an exception in ``exc`` carries, or is."""
    for each in inside(exc):
        for response in (attribute(each, "response"), each):
            error = refusal_in(response, body) if is_response(response) else None
            if error is not None:
                error.__cause__ = each
                return error
    return None


def _is_tls_failure(exc: BaseException) -> bool:
    passing = (ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLZeroReturnError)
    if isinstance(exc, passing) or not isinstance(exc, ssl.SSLError):
        return False
    # what a connection raises carries the number of an SSLErrorNumber; load_cert_chain and its like carry another
    return type(exc) is not ssl.SSLError or exc.errno == ssl.SSL_ERROR_SSL


def _read(bare: BaseException) -> HandshakeError:
    """What a bare exception of ``ssl`` tells by its codes alone."""
    seen = Observation(role=None, progress=Progress.UNKNOWN, **reading_of(bare))
    found = diagnose(seen)
    role = None
    if found.failure is FailureReason.HOSTNAME_MISMATCH or found.alert == "certificate_required":
        role = Role.CLIENT  # only a client compares names, and only a client is told that it must show a certificate
    elif seen.reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        role = Role.SERVER
    kind: type[HandshakeError] = HandshakeError
    if isinstance(bare, ssl.SSLCertVerificationError):
        kind = PeerVerificationError
    elif isinstance(bare, TimeoutError):
        kind = HandshakeTimeoutError
    error = kind(
        *bare.args,
        failure=found.failure,
        step=found.step,
        side=found.side,
        role=role,
        alert=found.alert,
        evidence=found.evidence,
        phase=Phase.FIRST_READ if found.alert == "certificate_required" else Phase.HANDSHAKE,
        reason=getattr(bare, "reason", None),
        library=getattr(bare, "library", None),
        verify_code=getattr(bare, "verify_code", 0),
        verify_message=getattr(bare, "verify_message", ""),
    )
    error.__cause__ = bare
    return error


def inside(exc: BaseException) -> Iterator[BaseException]:
    """``exc`` and every exception that it holds, the nearest first, each once."""
    queue: list[BaseException] = [exc]
    seen: set[int] = set()
    while queue and len(seen) < _MOST:
        current = queue.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        held: list[object] = [current.__cause__, current.__context__, *current.args]
        held += [vars(current).get(place) for place in _HIDING_PLACES] if hasattr(current, "__dict__") else []
        if isinstance(current, BaseExceptionGroup):
            held += current.exceptions
        queue += [each for each in held if isinstance(each, BaseException)]
