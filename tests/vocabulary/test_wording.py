"""The sentences of a HandshakeError: total over every failure, and word for word where somebody reads them at night."""

from __future__ import annotations

import itertools
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls import Evidence, FailureReason, HandshakeError, HandshakeStep, Phase, Role, Side
from mtls._remedy import hint
from mtls._wording import sentence, what_happened

if TYPE_CHECKING:
    from cryptography import x509

    from mtls.authority import CertificateAuthority
    from tests.vocabulary.conftest import Make

F, S = FailureReason, HandshakeStep
NOW = datetime.now(UTC)
DAY = timedelta(days=1)


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _digest(certificate: x509.Certificate) -> str:
    return f"SHA-256 {certificate.fingerprint(hashes.SHA256()).hex()[:16]}…"


def _error(failure: FailureReason, **given: Any) -> HandshakeError:
    return HandshakeError(1, "text", failure=failure, **given)


# --- total ---


@pytest.mark.parametrize("failure", list(FailureReason))
@pytest.mark.parametrize("side", [*Side, None])
@pytest.mark.parametrize("role", [*Role, None])
def test_every_failure_has_a_sentence_and_a_hint_on_every_side_in_every_role(
    authority: CertificateAuthority, failure: FailureReason, side: Side | None, role: Role | None
) -> None:
    leaf = _der(authority.client("billing.example").certificate)
    certificates: list[dict[str, Any]] = [
        {},
        {"certificate": leaf, "local_certificate": leaf, "peer_chain": [leaf, leaf]},
    ]
    for step, phase, evidence, known in itertools.product([None, *S], Phase, Evidence, certificates):
        error = _error(failure, side=side, role=role, step=step, phase=phase, evidence=evidence, **known)
        text = str(error)
        first, second = text.split("\n")
        assert first.startswith("step " if step else "the ")
        assert first.endswith(".")
        assert second == f"  {error.hint}"
        assert error.hint.endswith(".")
        assert not re.search(r"None|FailureReason|<|  |\.\.", first), text
        assert (step is None) is ("nothing tells" in first)
        assert (f"step {step.value} {step.name} failed: " if step else "the ") in first


@pytest.mark.parametrize("failure", list(FailureReason))
def test_the_hint_of_a_failure_is_a_sentence_that_says_what_to_do(failure: FailureReason) -> None:
    text = hint(_error(failure))
    assert text[0].isupper()
    assert len(text) > 10


# --- who did what ---


@pytest.fixture(scope="module")
def current(authority: CertificateAuthority) -> x509.Certificate:
    return authority.client("billing-prod", not_after=datetime(2099, 1, 2, tzinfo=UTC)).certificate


@pytest.fixture(scope="module")
def ended(authority: CertificateAuthority) -> x509.Certificate:
    return authority.client("billing-prod", not_after=NOW - 3 * DAY).certificate


def test_a_server_that_refuses_our_expired_certificate_is_told_as_in_a_log_at_night(ended: x509.Certificate) -> None:
    error = _error(
        F.EXPIRED,
        step=S.SERVER_VERIFIES_CLIENT,
        side=Side.PEER,
        role=Role.CLIENT,
        alert="certificate_expired",
        phase=Phase.FIRST_READ,
        tls_version="TLS 1.3",
        local_certificate=_der(ended),
        server_hostname="api.partner.example",
        peer_address="203.0.113.7:443",
    )
    assert sentence(error) == (
        "step 6 SERVER_VERIFIES_CLIENT failed: api.partner.example:443 refused our client certificate CN=billing-prod "
        f"(expired {NOW - 3 * DAY:%Y-%m-%d}, 3 days ago, {_digest(ended)}, issued by CN=test CA) "
        "(alert certificate_expired) [TLS 1.3, seen at the first read]."
        "\n  Renew our certificate."
    )


def test_a_current_certificate_of_ours_is_told_with_its_issuer(current: x509.Certificate) -> None:
    error = _error(
        F.UNKNOWN_CA,
        step=S.CLIENT_VERIFIES_SERVER,
        side=Side.PEER,
        role=Role.SERVER,
        local_certificate=_der(current),
        peer_address="10.0.0.1:50000",
    )
    assert what_happened(error) == (
        "the client 10.0.0.1:50000 refused our server certificate CN=billing-prod "
        f"(valid until 2099-01-02, {_digest(current)}, issued by CN=test CA)"
    )
    assert hint(error).startswith("Ask the other side to trust the issuer of our certificate")


def test_a_refusal_of_ours_without_role_and_certificate_is_still_a_sentence() -> None:
    error = _error(F.UNKNOWN_CA, step=S.SERVER_VERIFIES_CLIENT, side=Side.PEER)
    assert what_happened(error) == "the peer refused our certificate"


REFUSED = [
    # failure, fields of the certificate, more fields -> why
    (F.HOSTNAME_MISMATCH, {}, "CN=peer.example is not valid for 'localhost'; its names are peer.example"),
    (F.WRONG_EKU, {}, "CN=peer.example allows clientAuth only, and a server needs serverAuth"),
    (F.WRONG_EKU, {"eku": ()}, "CN=peer.example has a key usage that does not fit, and a server needs serverAuth"),
    (
        F.UNKNOWN_CA,
        {},
        "CN=peer.example leads to CN=test CA, and the truststore holds no such CA; it sent 1 certificate",
    ),
    (F.REVOKED, {}, "CN=peer.example: it has been revoked"),
    (F.BAD_SIGNATURE, {}, "CN=peer.example: a signature does not verify"),
]


@pytest.mark.parametrize(("failure", "fields", "why"), REFUSED)
def test_a_certificate_that_we_refuse_is_told_with_the_two_values_that_do_not_fit(
    authority: CertificateAuthority, failure: FailureReason, fields: Any, why: str
) -> None:
    leaf = _der(authority.client("peer.example", **fields).certificate)
    error = _error(
        failure,
        step=S.CLIENT_VERIFIES_SERVER,
        side=Side.LOCAL,
        role=Role.CLIENT,
        certificate=leaf,
        peer_chain=[leaf],
        server_hostname="localhost",
    )
    assert what_happened(error) == f"we refused the certificate of localhost: {why}"


def test_a_chain_of_two_is_counted_and_led_to_its_top(authority: CertificateAuthority) -> None:
    lower = authority.intermediate("lower CA")
    keystore = lower.client("peer.example")
    chain = [_der(each) for each in (keystore.certificate, *keystore.chain)]
    error = _error(
        F.UNKNOWN_CA,
        step=S.SERVER_VERIFIES_CLIENT,
        side=Side.LOCAL,
        role=Role.SERVER,
        certificate=chain[0],
        peer_chain=chain,
    )
    assert what_happened(error) == (
        "we refused the certificate of the client: CN=peer.example leads to CN=test CA, and the truststore holds no "
        "such CA; it sent 2 certificates"
    )


def test_dates_are_told_with_their_distance(authority: CertificateAuthority, ended: x509.Certificate) -> None:
    later = authority.client("late.example", not_before=datetime(2099, 1, 2, tzinfo=UTC)).certificate
    common: dict[str, Any] = {"step": S.CLIENT_VERIFIES_SERVER, "side": Side.LOCAL, "role": Role.CLIENT}
    expired = what_happened(_error(F.EXPIRED, certificate=_der(ended), **common))
    early = what_happened(_error(F.NOT_YET_VALID, certificate=_der(later), **common))
    assert re.fullmatch(
        r"we refused the certificate of the server: CN=billing-prod expired on \d{4}-\d\d-\d\d \d\d:\d\d UTC, "
        r"3 days ago",
        expired,
    )
    assert re.fullmatch(
        r"we refused the certificate of the server: CN=late\.example begins on 2099-01-02 00:00 UTC, in \d+ days",
        early,
    )


def test_what_a_rule_of_the_profile_said_is_told_as_it_is() -> None:
    error = _error(F.NOT_AUTHORIZED, step=S.SERVER_VERIFIES_CLIENT, side=Side.LOCAL, role=Role.SERVER, detail="no, you")
    assert what_happened(error) == "we refused the certificate of the client: no, you"
    assert hint(error) == "If this peer is meant to be admitted, let the rule that refused it name it, too."


def test_a_certificate_without_names_and_one_with_many_are_told_in_a_line(certificate_of: Make) -> None:
    common: dict[str, Any] = {
        "step": S.CLIENT_VERIFIES_SERVER,
        "side": Side.LOCAL,
        "role": Role.CLIENT,
        "server_hostname": "api.example",
    }
    bare = _error(F.HOSTNAME_MISMATCH, certificate=_der(certificate_of("bare")), **common)
    many = _error(
        F.HOSTNAME_MISMATCH,
        certificate=_der(certificate_of("many", *(f"{letter}.example" for letter in "abcdefg"))),
        **common,
    )
    assert what_happened(bare).endswith("; it has no subjectAltName, and a common name is never matched")
    assert what_happened(many).endswith(
        "; its names are a.example, b.example, c.example, d.example, e.example and 2 more"
    )


NOTHING_SHOWN = [
    (Role.SERVER, False, "the client sent no certificate, and we require one", "Give the client a certificate "),
    (Role.CLIENT, False, "the server requires a client certificate, and we have none to send", "Give this client "),
    (
        Role.CLIENT,
        True,
        "the server requires a client certificate, and none of ours was sent",
        "Our certificate was not sent: ",
    ),
]


@pytest.mark.parametrize(("role", "held", "text", "remedy"), NOTHING_SHOWN)
def test_a_missing_client_certificate_is_told_from_either_side(
    current: x509.Certificate, role: Role, held: bool, text: str, remedy: str
) -> None:
    own = _der(current) if held else None
    error = _error(
        F.CERTIFICATE_REQUIRED, step=S.CLIENT_CERTIFICATE, role=role, local_certificate=own, tls_version="TLS 1.3"
    )
    assert what_happened(error) == text
    assert hint(error).startswith(remedy)


TRANSPORT = [
    (F.CLOSED, S.CLIENT_HELLO, Phase.HANDSHAKE, "the peer closed the connection before a ClientHello arrived"),
    (F.RESET, S.SERVER_HELLO, Phase.HANDSHAKE, "the peer reset the connection right after our ClientHello"),
    (F.TIMED_OUT, None, Phase.HANDSHAKE, "the peer did not answer in time during the handshake"),
    (F.CLOSED, None, Phase.FIRST_READ, "the peer closed the connection before any data arrived"),
    (F.RESET, S.APPLICATION_DATA, Phase.WRITE, "the peer reset the connection after the handshake"),
    (F.TAMPERED, S.KEY_EXCHANGE, Phase.HANDSHAKE, "the peer ended the connection (tampered) during the handshake"),
]


@pytest.mark.parametrize(("failure", "step", "phase", "text"), TRANSPORT)
def test_an_end_of_the_transport_is_told_with_its_moment(
    failure: FailureReason, step: HandshakeStep | None, phase: Phase, text: str
) -> None:
    assert what_happened(_error(failure, step=step, phase=phase)) == text


ENDED = [
    (F.PROTOCOL_VERSION, "the server ended the handshake: there is no TLS version that both sides allow"),
    (F.PEER_ERROR, "the server refused our hello and gave no reason"),
    (F.MALFORMED, "the server says that a message of ours does not have the form that TLS prescribes"),
    (F.CLOSED, "the server gave up"),
    (F.EXPIRES_SOON, "the server ended the handshake: expires_soon"),
]


@pytest.mark.parametrize(("failure", "text"), ENDED)
def test_an_answer_to_our_client_hello_is_told_by_what_was_not_shared(failure: FailureReason, text: str) -> None:
    assert what_happened(_error(failure, step=S.SERVER_HELLO, side=Side.PEER, role=Role.CLIENT)) == text


def test_what_we_refuse_before_any_certificate_is_told_by_what_was_sent() -> None:
    error = _error(F.NOT_TLS, step=S.CLIENT_HELLO, side=Side.LOCAL, role=Role.SERVER, peer_address="10.0.0.1:5")
    assert what_happened(error) == "we refused what the client 10.0.0.1:5 sent: it is no TLS"


def test_an_alert_at_an_unknown_step_ends_the_connection() -> None:
    error = _error(F.PEER_ERROR, side=Side.PEER, alert="internal_error", phase=Phase.FIRST_WRITE)
    assert sentence(error) == (
        "the connection failed after the handshake, and nothing tells at which step: the peer ended the connection "
        "(alert internal_error) [seen at the first write].\n"
        "  Look into the log of the other side: it gave no reason on the wire."
    )


def test_thin_evidence_is_named() -> None:
    error = _error(F.CLOSED, step=S.SERVER_HELLO, evidence=Evidence.INFERRED)
    assert "[inferred: no alert came]" in sentence(error)


@pytest.mark.parametrize(
    ("address", "named"),
    [
        ("203.0.113.7:443", "api.example:443"),
        ("[2001:db8::1]:8443", "api.example:8443"),
        ("/run/tls.sock", "api.example"),
        (None, "api.example"),
    ],
)
def test_a_server_is_named_as_it_was_asked_for_with_its_port(address: str | None, named: str) -> None:
    error = _error(F.CLOSED, role=Role.CLIENT, server_hostname="api.example", peer_address=address)
    assert what_happened(error) == f"{named} closed the connection during the handshake"


def test_a_verify_message_of_openssl_is_the_last_resort() -> None:
    error = _error(
        F.EXPIRES_SOON, step=S.CLIENT_VERIFIES_SERVER, side=Side.LOCAL, role=Role.CLIENT, verify_message="odd thing"
    )
    assert what_happened(error) == "we refused the certificate of the server: odd thing"


def test_a_usage_that_is_wrong_is_told_by_name_even_where_the_role_is_not_known(
    authority: CertificateAuthority,
) -> None:
    leaf = authority.client("peer.example", eku=[ExtendedKeyUsageOID.CODE_SIGNING]).certificate
    error = _error(F.WRONG_EKU, step=S.CLIENT_VERIFIES_SERVER, side=Side.LOCAL, certificate=_der(leaf))
    assert what_happened(error) == (
        "we refused the certificate of the peer: CN=peer.example: its extended key usage does not fit the role"
    )


# --- no more than is known ---


def test_a_bare_exception_does_not_claim_to_know_what_we_hold() -> None:
    error = _error(F.CERTIFICATE_REQUIRED, step=S.CLIENT_CERTIFICATE, side=Side.PEER, role=Role.CLIENT)
    assert what_happened(error) == "the server requires a client certificate, and was shown none"


def test_a_client_that_says_what_only_a_server_may_say_is_not_taken_for_one_that_sent_no_certificate() -> None:
    error = _error(F.CERTIFICATE_REQUIRED, side=Side.PEER, role=Role.SERVER, alert="certificate_required")
    assert what_happened(error) == "the client ended the connection, and its alert speaks of a certificate"
    assert hint(error) == "Look into the log of the other side: only a server may send this alert."


CLAIMED = [
    (F.TAMPERED, S.KEY_EXCHANGE, "the client says that what we sent does not decrypt"),
    (F.BAD_SIGNATURE, None, "the client says that a signature does not verify"),
    (F.UNKNOWN_CA, None, "the client ended the connection, and its alert speaks of a certificate"),
    (F.PROTOCOL_VERSION, None, "the client ended the handshake: there is no TLS version that both sides allow"),
]


@pytest.mark.parametrize(("failure", "step", "text"), CLAIMED)
def test_what_a_peer_says_is_told_as_its_word(failure: FailureReason, step: HandshakeStep | None, text: str) -> None:
    assert what_happened(_error(failure, step=step, side=Side.PEER, role=Role.SERVER)) == text


def test_what_leaves_the_step_open_is_told() -> None:
    error = _error(F.PEER_ERROR, side=Side.PEER, alert="internal_error", because="it came late", tls_version="TLS 1.2")
    assert sentence(error).startswith(
        "the handshake failed, and nothing tells at which step: the peer ended the connection (alert internal_error) "
        "[TLS 1.2, it came late]."
    )


def test_an_error_of_openssl_that_may_be_about_us_is_not_laid_upon_the_peer() -> None:
    error = _error(F.MALFORMED, side=Side.LOCAL, role=Role.SERVER, reason="NO_CERTIFICATE_ASSIGNED")
    assert what_happened(error) == "our OpenSSL ended the connection with the client: NO_CERTIFICATE_ASSIGNED"
    assert hint(error).startswith("Check our own settings with profile.check(), ")


def test_weak_parameters_of_the_key_exchange_are_not_laid_upon_a_certificate() -> None:
    error = _error(F.WEAK_KEY, step=S.KEY_EXCHANGE, side=Side.LOCAL, role=Role.CLIENT)
    assert what_happened(error) == (
        "we refused the key exchange of the server: its parameters are weaker than the policy allows"
    )
    assert "Diffie-Hellman" in hint(error)


@pytest.mark.parametrize(
    ("failure", "why"),
    [
        (F.EXPIRED, "it has expired"),
        (F.HOSTNAME_MISMATCH, "it is not valid for the name asked for"),
        (F.MALFORMED, "it does not have the form that RFC 5280 prescribes"),
    ],
)
def test_a_refusal_without_role_and_certificate_is_told_as_one_of_a_certificate(
    failure: FailureReason, why: str
) -> None:
    error = _error(failure, side=Side.LOCAL, verify_code=1, verify_message="in other words")
    assert what_happened(error) == f"we refused the certificate of the peer: {why}"


# --- which certificate ---


def test_a_certificate_that_we_refuse_is_told_with_its_end_and_fingerprint(current: x509.Certificate) -> None:
    error = _error(
        F.REVOKED, step=S.SERVER_VERIFIES_CLIENT, side=Side.LOCAL, role=Role.SERVER, certificate=_der(current)
    )
    assert (
        sentence(error)
        .split("\n")[0]
        .endswith(f" [certificate CN=billing-prod, valid until 2099-01-02, {_digest(current)}].")
    )


def test_our_certificate_that_has_not_begun_is_told_with_its_beginning(authority: CertificateAuthority) -> None:
    later = authority.client("late.example", not_before=datetime(2099, 1, 2, tzinfo=UTC)).certificate
    error = _error(
        F.CERTIFICATE_REJECTED,
        step=S.SERVER_VERIFIES_CLIENT,
        side=Side.PEER,
        role=Role.CLIENT,
        local_certificate=_der(later),
    )
    assert "our client certificate CN=late.example (not valid before 2099-01-02, SHA-256 " in what_happened(error)


# --- the remedy ---


def test_our_certificate_that_is_in_date_is_not_to_be_renewed_because_a_peer_calls_it_expired(
    current: x509.Certificate,
) -> None:
    common: dict[str, Any] = {"step": S.SERVER_VERIFIES_CLIENT, "side": Side.PEER, "role": Role.CLIENT}
    assert hint(_error(F.EXPIRED, **common)) == "Renew our certificate."
    assert hint(_error(F.EXPIRED, local_certificate=_der(current), **common)).startswith("Our certificate is in date:")


def test_a_refusal_of_ours_never_asks_for_another_certificate_of_ours() -> None:
    for failure in F:
        for step in (S.CLIENT_VERIFIES_SERVER, S.SERVER_VERIFIES_CLIENT):
            text = hint(_error(failure, step=step, side=Side.LOCAL, verify_code=1))
            assert failure is F.CERTIFICATE_REQUIRED or "our certificate" not in text.lower(), text


ENDED_AT = [
    (S.CLIENT_HELLO, Role.SERVER, "Somebody connected and said nothing"),
    (S.SERVER_HELLO, Role.CLIENT, "Check host and port"),
    (S.SERVER_CERTIFICATE, Role.CLIENT, "Look into the log of the server"),
    (S.CLIENT_VERIFIES_SERVER, Role.SERVER, "The client has probably refused our certificate"),
    (S.CLIENT_CERTIFICATE, Role.CLIENT, "Give this client a certificate"),
    (S.SERVER_VERIFIES_CLIENT, Role.CLIENT, "The server has probably refused our certificate"),
    (S.KEY_EXCHANGE, Role.CLIENT, "Look into the log of the other side: it ended before"),
    (S.APPLICATION_DATA, Role.CLIENT, "Look into the log of the other side: the handshake was over"),
    (None, Role.CLIENT, "Look into the log of the other side; if it asks for client certificates"),
    (None, Role.SERVER, "Look into the log of the client"),
]


@pytest.mark.parametrize(("step", "role", "text"), ENDED_AT)
def test_the_remedy_of_an_end_without_a_word_depends_on_the_step(
    step: HandshakeStep | None, role: Role, text: str
) -> None:
    assert hint(_error(F.CLOSED, step=step, role=role, evidence=Evidence.INFERRED)).startswith(text)


def test_a_server_that_shared_nothing_and_did_not_say_what_is_compared_with_in_everything() -> None:
    error = _error(F.PEER_ERROR, step=S.SERVER_HELLO, side=Side.PEER, role=Role.CLIENT, alert="handshake_failure")
    assert hint(error).startswith("Compare the versions, cipher suites, groups and server names (SNI)")


def test_a_client_that_refuses_our_certificate_without_a_cause_may_mean_its_name() -> None:
    error = _error(F.CERTIFICATE_REJECTED, step=S.CLIENT_VERIFIES_SERVER, side=Side.PEER, role=Role.SERVER)
    assert hint(error).endswith("and some clients say it of a name that the certificate does not hold.")


def test_a_server_that_shows_no_certificate_is_not_taken_for_one_that_asks_for_ours() -> None:
    error = _error(F.CERTIFICATE_REQUIRED, step=S.CLIENT_VERIFIES_SERVER, side=Side.LOCAL, role=Role.CLIENT)
    assert what_happened(error) == "the server sent no certificate, and we require one"
    assert hint(error).startswith("Have the server get a certificate")


def test_an_error_that_nobody_has_a_name_for_is_told_as_such() -> None:
    error = _error(F.PEER_ERROR, role=Role.CLIENT, phase=Phase.FIRST_READ)
    assert what_happened(error) == (
        "the server ended the connection for a reason that has no name here, before any data arrived"
    )
