"""Which step a failure belongs to, who refused and why: the rules that read the evidence.

Theory of operation: every rule is a pure function of an :class:`Observation`, what the connection still knows after it
failed. An alert or an error of our own OpenSSL is *observed*; a close, a reset or a silence is at best *inferred*.
Where the evidence does not tell the step it stays ``None``: never a guess.
"""

from __future__ import annotations

from dataclasses import dataclass

from mtls._handshake import tables
from mtls._model import Evidence, FailureReason, HandshakeStep, Role, Side


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is known about a connection at the moment it failed.

    ``reason`` and ``verify_code`` are OpenSSL's; ``transport`` is set instead where no TLS error came: ``CLOSED``,
    ``RESET`` or ``TIMED_OUT``. ``unnamed`` marks an SSL error that Python has no reason name for.
    """

    role: Role | None
    has_certificate: bool = False
    """We have a certificate of our own that we could send."""
    hello_seen: bool = False
    """The peer's hello has arrived: versions and cipher are chosen."""
    chain_seen: bool = False
    """The peer's certificates have arrived."""
    finished: bool = False
    """Our own ``do_handshake`` had ended well."""
    data_received: bool = False
    """Application data of the peer has arrived."""
    tls13: bool | None = None
    reason: str | None = None
    verify_code: int = 0
    transport: FailureReason | None = None
    unnamed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """Where a failure belongs."""

    failure: FailureReason
    step: HandshakeStep | None
    side: Side | None
    evidence: Evidence = Evidence.OBSERVED
    alert: str | None = None


def diagnose(seen: Observation) -> Diagnosis:
    """Place a failure."""
    if seen.transport is not None:
        return _silent(seen, seen.transport)
    alert = tables.alert_of_reason(seen.reason)
    if alert is None and seen.unnamed and not seen.finished:
        alert = "no_application_protocol"  # the one alert before Finished that Python 3.11 to 3.13 has no name for
    if alert is not None:
        failure, step = _alert(seen, alert)
        return Diagnosis(failure=failure, step=step, side=Side.PEER, alert=alert)
    failure, step = _own_error(seen)
    return Diagnosis(failure=failure, step=step, side=Side.LOCAL)


def _alert(seen: Observation, alert: str) -> tuple[FailureReason, HandshakeStep | None]:
    """An alert of the peer. What it claims is the failure; how far the handshake had come is the step."""
    if seen.data_received:
        return _meaning(alert), HandshakeStep.APPLICATION_DATA
    if alert == "certificate_required":
        return FailureReason.CERTIFICATE_REQUIRED, HandshakeStep.CLIENT_CERTIFICATE
    if alert in tables.NEGOTIATION_ALERTS:
        return tables.NEGOTIATION_ALERTS[alert], None if seen.finished else HandshakeStep.SERVER_HELLO
    if alert in tables.CERTIFICATE_ALERTS:
        return _certificate_alert(seen, alert)
    if alert in {"bad_record_mac", "decryption_failed"}:
        return FailureReason.TAMPERED, _record_step(seen)
    if alert == "decrypt_error":
        return _decrypt_error(seen)
    if alert == "handshake_failure" and _nothing_to_send(seen):
        return FailureReason.CERTIFICATE_REQUIRED, HandshakeStep.CLIENT_CERTIFICATE
    failure = _meaning(alert)
    before_the_certificates = seen.role is Role.CLIENT and not seen.chain_seen and not seen.finished
    return failure, HandshakeStep.SERVER_HELLO if before_the_certificates else None


def _certificate_alert(seen: Observation, alert: str) -> tuple[FailureReason, HandshakeStep | None]:
    failure = tables.CERTIFICATE_ALERTS[alert]
    if seen.role is Role.SERVER:
        return failure, None if seen.finished else HandshakeStep.CLIENT_VERIFIES_SERVER
    if seen.role is None or not (seen.chain_seen or seen.finished):
        return failure, None
    if seen.has_certificate:
        return failure, HandshakeStep.SERVER_VERIFIES_CLIENT
    if seen.finished and not seen.tls13:
        return failure, HandshakeStep.APPLICATION_DATA
    # Java and Go say bad_certificate to a client that sent none
    return FailureReason.CERTIFICATE_REQUIRED, HandshakeStep.CLIENT_CERTIFICATE


def _nothing_to_send(seen: Observation) -> bool:
    """We are a client without a certificate, the server has shown its own and may still be asking for ours."""
    still_asking = not seen.finished or bool(seen.tls13)
    return seen.role is Role.CLIENT and not seen.has_certificate and seen.chain_seen and still_asking


def _decrypt_error(seen: Observation) -> tuple[FailureReason, HandshakeStep | None]:
    """RFC 8446, 6.2: a signature or a Finished that could not be verified."""
    if seen.role is Role.CLIENT and seen.has_certificate and (seen.chain_seen or seen.finished):
        return FailureReason.BAD_SIGNATURE, HandshakeStep.SERVER_VERIFIES_CLIENT
    if seen.finished or seen.role is None:
        return FailureReason.BAD_SIGNATURE, None
    if seen.role is Role.SERVER and seen.tls13:
        return FailureReason.BAD_SIGNATURE, None  # our CertificateVerify (4) or our Finished (7): the alert is the same
    return FailureReason.TAMPERED, HandshakeStep.KEY_EXCHANGE


def _own_error(seen: Observation) -> tuple[FailureReason, HandshakeStep | None]:
    """An error of our own OpenSSL: we refused."""
    reason = seen.reason or ""
    if seen.verify_code or reason == "CERTIFICATE_VERIFY_FAILED":
        failure = tables.VERIFY_CODES.get(seen.verify_code, FailureReason.CERTIFICATE_REJECTED)
        role = Role.CLIENT if failure is FailureReason.HOSTNAME_MISMATCH else seen.role
        return failure, None if role is None else role.other.verified_at
    if reason == "PEER_DID_NOT_RETURN_A_CERTIFICATE":
        return FailureReason.CERTIFICATE_REQUIRED, HandshakeStep.CLIENT_CERTIFICATE
    if reason in tables.TAMPERED_REASONS:
        return FailureReason.TAMPERED, _record_step(seen)
    if seen.finished:
        return FailureReason.MALFORMED, HandshakeStep.APPLICATION_DATA if seen.data_received else None
    if reason in tables.NOT_TLS_REASONS and not seen.hello_seen:
        return FailureReason.NOT_TLS, _hello_step(seen)
    if reason == "NO_SUITABLE_SIGNATURE_ALGORITHM" and seen.role is Role.CLIENT:
        return FailureReason.NO_SHARED_SIGNATURE_ALGORITHM, HandshakeStep.CLIENT_CERTIFICATE
    if reason in tables.NEGOTIATION_REASONS:
        return tables.NEGOTIATION_REASONS[reason], HandshakeStep.SERVER_HELLO
    if reason == "BAD_SIGNATURE":
        return _bad_signature(seen)
    return FailureReason.MALFORMED, None if seen.hello_seen else _hello_step(seen)


def _bad_signature(seen: Observation) -> tuple[FailureReason, HandshakeStep | None]:
    if seen.role is Role.SERVER:
        return FailureReason.BAD_SIGNATURE, HandshakeStep.SERVER_VERIFIES_CLIENT
    if seen.role is None or seen.tls13 is None:
        return FailureReason.BAD_SIGNATURE, None
    step = HandshakeStep.CLIENT_VERIFIES_SERVER if seen.tls13 else HandshakeStep.KEY_EXCHANGE
    return FailureReason.BAD_SIGNATURE, step


def _silent(seen: Observation, failure: FailureReason) -> Diagnosis:
    """The transport ended or stalled and nobody said why."""
    step = None
    if seen.data_received:
        step = HandshakeStep.APPLICATION_DATA
    elif not seen.finished and not seen.hello_seen and not seen.chain_seen:
        step = _hello_step(seen)
    elif seen.finished and seen.role is Role.CLIENT and not seen.tls13 and not seen.has_certificate:
        step = HandshakeStep.APPLICATION_DATA
    return Diagnosis(failure=failure, step=step, side=None, evidence=Evidence.INFERRED)


def _hello_step(seen: Observation) -> HandshakeStep | None:
    """What comes first from the peer: a ServerHello to a client, a ClientHello to a server."""
    if seen.role is None:
        return None
    return HandshakeStep.SERVER_HELLO if seen.role is Role.CLIENT else HandshakeStep.CLIENT_HELLO


def _record_step(seen: Observation) -> HandshakeStep:
    return HandshakeStep.APPLICATION_DATA if seen.finished else HandshakeStep.KEY_EXCHANGE


def _meaning(alert: str) -> FailureReason:
    for table in (tables.CERTIFICATE_ALERTS, tables.NEGOTIATION_ALERTS, tables.OTHER_ALERTS):
        if alert in table:
            return table[alert]
    return FailureReason.PEER_ERROR
