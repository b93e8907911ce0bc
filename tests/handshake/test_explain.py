"""``explain`` finds the named step wherever it hides, and says no more of a bare exception than it tells."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
import urllib3

import mtls
from mtls._handshake.connection import attach


def ours() -> mtls.HandshakeError:
    return mtls.HandshakeError(
        1, "text", failure=mtls.FailureReason.UNKNOWN_CA, step=mtls.HandshakeStep.SERVER_VERIFIES_CLIENT
    )


def caused(by: BaseException) -> Exception:
    outer = RuntimeError()
    outer.__cause__ = by
    return outer


def during(other: BaseException) -> Exception:
    outer = RuntimeError()
    outer.__context__ = other
    return outer


class _WrapperError(Exception):
    def __init__(self, place: str, held: BaseException) -> None:
        super().__init__("wrapped")
        setattr(self, place, held)


WRAPPERS = {
    "itself": lambda error: error,
    "the cause": caused,
    "the context": during,
    "an argument": RuntimeError,
    "a group": lambda error: ExceptionGroup("group", [ValueError(), error]),
    "a group in a group": lambda error: ExceptionGroup("outer", [ExceptionGroup("inner", [error])]),
    "reason (urllib3)": lambda error: urllib3.exceptions.MaxRetryError(None, "/", error),  # type: ignore[arg-type] # no pool
    "os_error (aiohttp)": lambda error: _WrapperError("os_error", error),
    "four deep": lambda error: caused(during(caused(RuntimeError(error)))),
}


@pytest.mark.parametrize("wrap", WRAPPERS.values(), ids=WRAPPERS.keys())
def test_an_error_of_ours_is_found_in(wrap: Any) -> None:
    error = ours()
    assert mtls.explain(wrap(error)) is error


def test_a_circle_of_causes_ends() -> None:
    first, second = RuntimeError(), RuntimeError()
    first.__cause__, second.__cause__ = second, first
    first.__context__ = first
    assert mtls.explain(first) is None


def test_a_hundred_thousand_causes_are_not_all_followed() -> None:
    innermost = current = RuntimeError()
    for _ in range(100_000):
        outer = RuntimeError()
        outer.__cause__ = current
        current = outer
    assert mtls.explain(current) is None
    while current is not innermost:  # freed one by one: a recursive release would overflow the C stack
        current = current.__cause__  # type: ignore[assignment] # set above


def test_a_handshake_error_comes_before_other_errors_of_ours() -> None:
    error = ours()
    assert mtls.explain(ExceptionGroup("group", [mtls.UsageError("x"), error])) is error


def test_an_error_of_ours_that_is_no_handshake_is_found_too() -> None:
    sealed = mtls.SealedContextError("x")
    assert mtls.explain(RuntimeError(sealed)) is sealed


def test_what_was_attached_to_an_exception_is_found() -> None:
    reset, error = ConnectionResetError(), ours()
    attach(reset, error)
    assert mtls.explain(caused(reset)) is error


@pytest.mark.parametrize("exc", [ValueError("x"), ConnectionResetError(), TimeoutError(), KeyboardInterrupt()])
def test_what_is_not_about_tls_gives_none(exc: BaseException) -> None:
    assert mtls.explain(exc) is None


@pytest.mark.parametrize("kind", [ssl.SSLWantReadError, ssl.SSLWantWriteError, ssl.SSLZeroReturnError])
def test_signals_that_are_no_failure_give_none(kind: type[ssl.SSLError]) -> None:
    assert mtls.explain(kind()) is None


def bare(kind: type[ssl.SSLError], reason: str | None, *, verify_code: int = 0, number: int = 1) -> ssl.SSLError:
    error = kind(number, f"[SSL: {reason}] something (_ssl.c:1006)")
    error.reason, error.library = reason, "SSL"  # type: ignore[assignment] # None is what OpenSSL leaves there
    if isinstance(error, ssl.SSLCertVerificationError):
        error.verify_code, error.verify_message = verify_code, "message"
    return error


BARE = [
    (bare(ssl.SSLError, "TLSV13_ALERT_CERTIFICATE_REQUIRED"), 5, mtls.FailureReason.CERTIFICATE_REQUIRED, "peer"),
    (bare(ssl.SSLError, "PEER_DID_NOT_RETURN_A_CERTIFICATE"), 5, mtls.FailureReason.CERTIFICATE_REQUIRED, "local"),
    (bare(ssl.SSLError, "TLSV1_ALERT_UNKNOWN_CA"), None, mtls.FailureReason.UNKNOWN_CA, "peer"),
    (bare(ssl.SSLError, "TLSV1_ALERT_PROTOCOL_VERSION"), 2, mtls.FailureReason.PROTOCOL_VERSION, "peer"),
    (bare(ssl.SSLError, "WRONG_VERSION_NUMBER"), None, mtls.FailureReason.NOT_TLS, "local"),
    (bare(ssl.SSLError, "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"), None, mtls.FailureReason.TAMPERED, "local"),
    (
        bare(ssl.SSLCertVerificationError, "CERTIFICATE_VERIFY_FAILED", verify_code=62),
        4, mtls.FailureReason.HOSTNAME_MISMATCH, "local",
    ),
    (
        bare(ssl.SSLCertVerificationError, "CERTIFICATE_VERIFY_FAILED", verify_code=10),
        None, mtls.FailureReason.EXPIRED, "local",
    ),
    (bare(ssl.SSLEOFError, "UNEXPECTED_EOF_WHILE_READING", number=8), None, mtls.FailureReason.CLOSED, None),
]  # fmt: skip


@pytest.mark.parametrize(("exc", "step", "failure", "side"), BARE)
def test_a_bare_ssl_error_is_explained_as_far_as_it_tells(
    exc: ssl.SSLError, step: int | None, failure: mtls.FailureReason, side: str | None
) -> None:
    error = mtls.explain(caused(exc))
    assert isinstance(error, mtls.HandshakeError)
    assert (error.step, error.failure, error.side) == (step, failure, side)
    assert error.__cause__ is exc
    assert (error.reason, error.args) == (exc.reason, exc.args)
    assert isinstance(error, ssl.SSLCertVerificationError) is isinstance(exc, ssl.SSLCertVerificationError)
    assert str(error)
