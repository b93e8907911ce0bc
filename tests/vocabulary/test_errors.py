"""The exceptions: what each one is, what it carries, and that it survives pickling and copying."""

from __future__ import annotations

import copy
import pickle
import ssl
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

import mtls
from mtls import (
    ChainError,
    ChainSourceError,
    ConfigurationError,
    Evidence,
    FailureReason,
    Finding,
    HandshakeError,
    HandshakeStep,
    HandshakeTimeoutError,
    KeystoreError,
    MissingExtraError,
    MTLSError,
    PeerVerificationError,
    Phase,
    Report,
    Role,
    SealedContextError,
    Severity,
    Side,
    SourceError,
    SourceFailure,
    TruststoreError,
    UsageError,
    VerdictUnavailableError,
    errors,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography import x509

    from mtls.authority import CertificateAuthority

RELATIONS = [
    (UsageError, (MTLSError, ValueError)),
    (MissingExtraError, (MTLSError, ImportError)),
    (ConfigurationError, (MTLSError, ValueError)),
    (SourceError, (MTLSError,)),
    (KeystoreError, (SourceError,)),
    (TruststoreError, (SourceError,)),
    (ChainSourceError, (SourceError,)),
    (ChainError, (MTLSError,)),
    (VerdictUnavailableError, (MTLSError,)),
    (SealedContextError, (MTLSError, ssl.SSLError)),
    (HandshakeError, (MTLSError, ssl.SSLError, OSError)),
    (PeerVerificationError, (HandshakeError, ssl.SSLCertVerificationError, ValueError)),
    (HandshakeTimeoutError, (HandshakeError, TimeoutError)),
]


@pytest.mark.parametrize(("kind", "bases"), RELATIONS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_error_is_caught_as_what_it_is(kind: type[MTLSError], bases: tuple[type[Exception], ...]) -> None:
    assert all(issubclass(kind, base) for base in bases)


def test_no_error_of_the_wrong_kind_is_caught() -> None:
    assert not issubclass(KeystoreError, (ValueError, OSError))
    assert not issubclass(TruststoreError, KeystoreError)
    assert not issubclass(SealedContextError, HandshakeError)
    assert not issubclass(HandshakeTimeoutError, ssl.SSLCertVerificationError)


def test_every_error_is_listed_and_reached_through_the_facade() -> None:
    assert {kind.__name__ for kind, _ in RELATIONS} | {"MTLSError"} == set(errors.__all__)
    assert all(getattr(mtls, name) is getattr(errors, name) for name in errors.__all__)


# --- examples with every field ---


def _finding(certificate: x509.Certificate | None = None) -> Finding:
    return Finding(
        failure=FailureReason.WRONG_EKU,
        severity=Severity.ERROR,
        step=HandshakeStep.SERVER_VERIFIES_CLIENT,
        message="it allows serverAuth only",
        remedy="ask the CA",
        certificate=certificate,
        position=2,
        required="clientAuth",
        presented="serverAuth",
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _handshake_error(kind: type[HandshakeError], authority: CertificateAuthority, **changed: Any) -> HandshakeError:
    chain = [authority.client("peer.example").certificate, authority.certificate]
    given: dict[str, Any] = {
        "failure": FailureReason.WRONG_EKU,
        "step": HandshakeStep.SERVER_VERIFIES_CLIENT,
        "side": Side.LOCAL,
        "role": Role.SERVER,
        "alert": "unsupported_certificate",
        "evidence": Evidence.INFERRED,
        "phase": Phase.FIRST_READ,
        "certificate": _der(chain[0]),
        "local_certificate": _der(authority.server("localhost").certificate),
        "peer_chain": [_der(each) for each in chain],
        "tls_version": "TLS 1.3",
        "server_hostname": "localhost",
        "peer_address": "127.0.0.1:443",
        "detail": "it says so",
        "findings": [_finding(chain[0])],
        "reason": "CERTIFICATE_VERIFY_FAILED",
        "library": "SSL",
        "verify_code": 26,
        "verify_message": "unsuitable certificate purpose",
    }
    return kind(1, "[SSL: CERTIFICATE_VERIFY_FAILED]", **(given | changed))


FIELDS = """
    args errno strerror failure step side role alert evidence phase certificate local_certificate peer_chain
    tls_version server_hostname peer_address detail findings hint reason library verify_code verify_message
""".split()  # noqa: SIM905 - a list of this length is easier to read so

EXAMPLES: dict[str, tuple[Callable[[CertificateAuthority], MTLSError], list[str]]] = {
    "UsageError": (lambda _: UsageError("wrong"), ["args"]),
    "MissingExtraError": (
        lambda _: MissingExtraError("requests", "requests"),
        ["args", "package", "extra", "name", "msg"],
    ),
    "ConfigurationError": (
        lambda ca: ConfigurationError(Report(Role.CLIENT, True, (_finding(ca.certificate),), ("groups",))),
        ["args", "report"],
    ),
    "KeystoreError": (
        lambda _: KeystoreError("it is empty", source="a.pem", failure=SourceFailure.EMPTY, remedy="fill it"),
        ["args", "problem", "source", "failure", "remedy"],
    ),
    "TruststoreError": (
        lambda _: TruststoreError("it is empty", source="a.pem", failure=SourceFailure.EMPTY, remedy="fill it"),
        ["args", "problem", "source", "failure", "remedy"],
    ),
    "SourceError": (
        lambda _: SourceError("it is empty", source="a.pem", failure=SourceFailure.EMPTY, remedy="fill it"),
        ["args", "problem", "source", "failure", "remedy"],
    ),
    "ChainSourceError": (
        lambda _: ChainSourceError("it is empty", source="a.pem", failure=SourceFailure.EMPTY, remedy="fill it"),
        ["args", "problem", "source", "failure", "remedy"],
    ),
    "ChainError": (
        lambda ca: ChainError([_finding(ca.certificate), _finding()], verify_code=26),
        ["args", "findings", "failure", "certificate", "position", "verify_code"],
    ),
    "VerdictUnavailableError": (lambda _: VerdictUnavailableError("no TLS 1.2 here"), ["args"]),
    "SealedContextError": (lambda _: SealedContextError("verify_mode is sealed"), ["args"]),
    "HandshakeError": (lambda ca: _handshake_error(HandshakeError, ca), FIELDS),
    "PeerVerificationError": (lambda ca: _handshake_error(PeerVerificationError, ca), FIELDS),
    "HandshakeTimeoutError": (lambda ca: _handshake_error(HandshakeTimeoutError, ca), FIELDS),
}


def test_there_is_an_example_of_every_error() -> None:
    assert set(EXAMPLES) | {"MTLSError"} == set(errors.__all__)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_error_survives_pickling_with_every_field(authority: CertificateAuthority, name: str, protocol: int) -> None:
    make, fields = EXAMPLES[name]
    original = make(authority)
    again = pickle.loads(pickle.dumps(original, protocol))
    assert type(again) is type(original)
    assert {field: getattr(again, field) for field in fields} == {field: getattr(original, field) for field in fields}
    assert (str(again), repr(again)) == (str(original), repr(original))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("name", list(EXAMPLES))
def test_an_error_survives_copying_with_every_field(
    authority: CertificateAuthority, name: str, duplicate: Callable[[Any], Any]
) -> None:
    make, fields = EXAMPLES[name]
    original = make(authority)
    again = duplicate(original)
    assert type(again) is type(original)
    assert {field: getattr(again, field) for field in fields} == {field: getattr(original, field) for field in fields}


@pytest.mark.parametrize("kind", [HandshakeError, PeerVerificationError, HandshakeTimeoutError])
def test_a_handshake_error_holds_what_it_was_given(authority: CertificateAuthority, kind: type[HandshakeError]) -> None:
    error = _handshake_error(kind, authority)
    assert (error.errno, error.strerror) == (1, "[SSL: CERTIFICATE_VERIFY_FAILED]")
    assert (error.reason, error.library) == ("CERTIFICATE_VERIFY_FAILED", "SSL")
    assert (error.verify_code, error.verify_message) == (26, "unsuitable certificate purpose")
    assert (error.failure, error.step, error.side, error.role) == (
        FailureReason.WRONG_EKU,
        HandshakeStep.SERVER_VERIFIES_CLIENT,
        "local",
        "server",
    )
    assert (error.alert, error.evidence, error.phase) == ("unsupported_certificate", "inferred", "first_read")
    assert error.certificate == error.peer_chain[0]
    assert error.peer_chain[1] == authority.certificate
    assert error.local_certificate is not None
    assert len(error.findings) == 1


def test_a_handshake_error_that_knows_only_its_failure_says_so() -> None:
    error = HandshakeError(failure=FailureReason.CLOSED)
    assert (error.step, error.side, error.role, error.alert) == (None, None, None, None)
    assert (error.certificate, error.local_certificate, error.peer_chain, error.findings) == (None, None, (), ())
    assert (error.evidence, error.phase) == (Evidence.OBSERVED, Phase.HANDSHAKE)
    assert repr(error) == "<HandshakeError unknown step: closed, side unknown, observed>"
    assert pickle.loads(pickle.dumps(error)).failure is FailureReason.CLOSED


def test_the_repr_of_a_handshake_error_is_one_line_with_step_failure_side_and_evidence(
    authority: CertificateAuthority,
) -> None:
    error = _handshake_error(PeerVerificationError, authority)
    assert repr(error) == "<PeerVerificationError step 6 SERVER_VERIFIES_CLIENT: wrong_eku, side local, inferred>"


def test_certificates_that_cannot_be_read_are_left_out_and_do_not_hide_the_error() -> None:
    error = HandshakeError(
        failure=FailureReason.MALFORMED,
        certificate=b"no DER",
        local_certificate=b"",
        peer_chain=[b"no DER", b"\x30\x00"],
    )
    assert (error.certificate, error.local_certificate, error.peer_chain) == (None, None, ())
    assert str(error)
    again = pickle.loads(pickle.dumps(error))
    assert again._peer_chain == (b"no DER", b"\x30\x00")


def test_a_missing_extra_is_named_with_the_command_that_brings_it() -> None:
    error = MissingExtraError("httpx", "httpx")
    assert str(error) == "this needs the package 'httpx': pip install 'mtls-kit[httpx]'"
    assert (error.name, error.package, error.extra) == ("httpx", "httpx", "httpx")


@pytest.mark.parametrize("kind", [KeystoreError, TruststoreError])
def test_a_source_error_names_source_problem_and_remedy(kind: type[KeystoreError | TruststoreError]) -> None:
    error = kind("it is empty", source="a.pem", failure=SourceFailure.EMPTY, remedy="fill it")
    assert str(error) == "a.pem: it is empty; fill it"
    assert repr(error) == f"{kind.__name__}(empty, 'a.pem')"
    assert (error.source, error.failure, error.problem, error.remedy) == (
        "a.pem",
        SourceFailure.EMPTY,
        "it is empty",
        "fill it",
    )


def test_a_chain_error_is_about_its_first_finding_and_tells_all(authority: CertificateAuthority) -> None:
    error = ChainError([_finding(authority.certificate), _finding()], verify_code=26)
    assert (error.failure, error.certificate, error.position, error.verify_code) == (
        FailureReason.WRONG_EKU,
        authority.certificate,
        2,
        26,
    )
    assert str(error) == "it allows serverAuth only; ask the CA\n  it allows serverAuth only; ask the CA"


def test_a_chain_error_without_a_finding_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^a ChainError needs at least one finding$"):
        ChainError([])


def test_a_sealed_context_error_says_one_sentence_and_may_say_nothing() -> None:
    assert str(SealedContextError("verify_mode is sealed")) == "verify_mode is sealed"
    assert str(SealedContextError()) == ""


def test_a_configuration_error_says_the_first_fault_in_its_first_line_and_then_the_whole_report() -> None:
    report = Report(Role.SERVER, False, (_finding(),))
    error = ConfigurationError(report)
    assert error.report is report
    assert str(error) == f"it allows serverAuth only; ask the CA\n{report}"


def test_a_configuration_error_of_a_report_without_errors_is_that_report() -> None:
    report = Report(Role.SERVER, False, ())
    assert str(ConfigurationError(report)) == "server profile, one-way: 0 errors, 0 warnings"


# --- findings ---


@pytest.mark.parametrize("empty", ["message", "remedy"])
def test_a_finding_without_message_or_remedy_is_refused(empty: str) -> None:
    given: dict[str, Any] = {"message": "m", "remedy": "r", empty: ""}
    with pytest.raises(ValueError, match=r"^a finding needs a message and a remedy$"):
        Finding(
            failure=FailureReason.EXPIRED, severity=Severity.ERROR, step=HandshakeStep.SERVER_VERIFIES_CLIENT, **given
        )


def test_a_finding_is_frozen_hashable_and_survives_pickling(authority: CertificateAuthority) -> None:
    for finding in (_finding(), _finding(authority.certificate)):
        assert pickle.loads(pickle.dumps(finding)) == finding
        assert hash(copy.deepcopy(finding)) == hash(finding)
        with pytest.raises(AttributeError):
            finding.message = "other"  # type: ignore[misc] # frozen on purpose


def test_a_finding_as_a_record_holds_everything_but_the_certificate(authority: CertificateAuthority) -> None:
    assert _finding(authority.certificate).to_dict() == {
        "failure": "wrong_eku",
        "severity": "error",
        "step": 6,
        "message": "it allows serverAuth only",
        "remedy": "ask the CA",
        "position": 2,
        "required": "clientAuth",
        "presented": "serverAuth",
    }


# --- the vocabulary itself ---


def test_the_steps_of_the_roles_are_mirror_images() -> None:
    assert [role.other for role in Role] == [Role.SERVER, Role.CLIENT]
    assert [role.eku for role in Role] == ["clientAuth", "serverAuth"]
    assert [role.certificate_step for role in Role] == [5, 3]
    assert [role.verified_at for role in Role] == [6, 4]
    assert [step.value for step in HandshakeStep] == list(range(1, 9))


def test_enumerations_equal_their_words_so_that_a_log_can_be_compared() -> None:
    assert (Side.LOCAL, Evidence.OBSERVED, Phase.FIRST_READ) == ("local", "observed", "first_read")
    assert all(reason == reason.name.lower() for reason in FailureReason)
    assert all(failure == failure.name.lower() for failure in SourceFailure)


def test_an_option_that_was_left_out_shows_as_such() -> None:
    from mtls._model import Omitted

    assert repr(Omitted.OMITTED) == "<left out>"
