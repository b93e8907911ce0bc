"""``explain`` finds the named step wherever it hides, and says no more of a bare exception than it tells."""

from __future__ import annotations

import ssl
import types
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import urllib3

import mtls
from mtls._handshake.connection import attach
from mtls.authority import CertificateAuthority


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


# --- responses ---


def response(**fields: Any) -> Any:
    return SimpleNamespace(**({"status": 496, "headers": {"Content-Type": "text/plain"}} | fields))


@pytest.mark.parametrize("url", ["https://api.example/x", "wss://api.example", "", None, "https://[not a url"])
def test_a_response_that_refuses_is_explained_wherever_it_may_have_come_over_tls(url: str | None) -> None:
    error = mtls.explain(response(url=url))
    assert isinstance(error, mtls.HandshakeError)
    assert (error.step, error.failure, error.phase) == (5, "certificate_required", "response")
    assert error.server_hostname == ("api.example" if url and "api" in url else None)


@pytest.mark.parametrize("url", ["http://api.example/", "ws://api.example/"])
def test_a_response_over_a_plain_connection_says_nothing_of_ours(url: str) -> None:
    assert mtls.explain(response(url=url)) is None


def test_a_response_that_raises_on_every_other_question_is_explained_all_the_same() -> None:
    class Odd:
        status = 496
        headers = types.MappingProxyType({"Server": "odd"})

        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    error = mtls.explain(Odd())
    assert isinstance(error, mtls.HandshakeError)
    assert error.step == 5


def test_a_page_that_contradicts_what_we_sent_has_no_step_and_says_so() -> None:
    error = mtls.explain(response(status=495, raw=SimpleNamespace(_pool=pool_of(one_way().ssl_context()))))
    assert isinstance(error, mtls.HandshakeError)
    assert (error.step, error.side, error.failure) == (None, "peer", "certificate_rejected")
    assert str(error).startswith("the server refused in HTTP, and nothing tells at which step: ")
    assert "but no certificate of ours was sent" in str(error)


def one_way() -> mtls.ClientProfile:
    return mtls.TLSProfile.client(truststore=CertificateAuthority().truststore)


def pool_of(context: mtls.TLSContext) -> Any:
    return SimpleNamespace(conn_kw={"ssl_context": context})


@pytest.mark.parametrize("held", [42, "HTTP/1.1 496", None, response(headers=None), response(status="496"), object()])
def test_what_is_neither_exception_nor_response_is_a_mistake_of_the_caller(held: object) -> None:
    with pytest.raises(mtls.UsageError, match=r"takes an exception or the response of an HTTP client, not "):
        mtls.explain(held)


def test_an_error_of_ours_comes_before_the_response_that_its_wrapper_carries() -> None:
    class WithResponseError(Exception):
        response = response()

    assert mtls.explain(WithResponseError(ours())).step == 6  # type: ignore[union-attr] # there is one
    assert mtls.explain(caused(WithResponseError())).step == 5  # type: ignore[union-attr] # the same


def test_an_exception_whose_attributes_raise_says_nothing() -> None:
    class OddError(Exception):
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError(name)

    assert mtls.explain(OddError()) is None


def test_an_error_of_another_part_of_our_own_openssl_is_no_alert_of_the_peer() -> None:
    bare = ssl.SSLError(ssl.SSL_ERROR_SSL, "[SSL] ASN1 lib")
    bare.library = "SSL"
    found = mtls.explain(bare)
    assert isinstance(found, mtls.HandshakeError)
    assert (found.step, found.side, found.alert) == (None, None, None)


def test_a_certificate_error_made_by_hand_is_a_refused_certificate() -> None:
    found = mtls.explain(ssl.CertificateError("hostname 'a' doesn't match 'b'"))
    assert isinstance(found, mtls.PeerVerificationError)
    assert (found.failure, found.side) == (mtls.FailureReason.CERTIFICATE_REJECTED, mtls.Side.LOCAL)


def test_a_stand_in_for_a_response_is_no_reason_to_fail() -> None:
    error = RuntimeError("403")
    error.response = mock.Mock(status_code=403)  # type: ignore[attr-defined] # as HTTP libraries keep theirs
    assert mtls.explain(error) is None
