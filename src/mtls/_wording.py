"""The sentences of a ``HandshakeError``: who refused what, why, and how that is known.

Rule: text is derived from fields, never the other way round, and only when somebody reads it. It claims no more than
the fields: what the peer says is told as its word. Names that come from a certificate are bounded and escaped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from mtls import _certificate
from mtls._model import Evidence, FailureReason, HandshakeStep, Phase, Role, Severity, Side
from mtls._remedy import hint

if TYPE_CHECKING:
    from mtls.errors import HandshakeError

_F = FailureReason
_VERIFYING = frozenset({HandshakeStep.CLIENT_VERIFIES_SERVER, HandshakeStep.SERVER_VERIFIES_CLIENT})
_SHOWN = 5
"""More names than this do not fit a line."""
_DIGITS = 16
"""Of a fingerprint: enough to tell one certificate from another by eye."""

_WHY = {
    _F.NOT_TLS: "it is no TLS",
    _F.PROTOCOL_VERSION: "there is no TLS version that both sides allow",
    _F.NO_SHARED_CIPHER: "there is no cipher suite that both sides allow",
    _F.NO_SHARED_GROUP: "there is no key exchange group that both sides allow",
    _F.NO_SHARED_SIGNATURE_ALGORITHM: "there is no signature algorithm that both sides allow",
    _F.ALPN: "there is no application protocol (ALPN) that both sides speak",
    _F.UNRECOGNIZED_NAME: "it does not know the server name (SNI) that was asked for",
    _F.MALFORMED: "a message does not have the form that TLS prescribes",
    _F.UNKNOWN_CA: "no trust anchor leads to it",
    _F.INCOMPLETE_CHAIN: "its chain is incomplete",
    _F.SELF_SIGNED: "it is self-signed and not in the truststore",
    _F.EXPIRED: "it has expired",
    _F.NOT_YET_VALID: "it is not valid yet",
    _F.HOSTNAME_MISMATCH: "it is not valid for the name asked for",
    _F.WRONG_EKU: "its extended key usage does not fit the role",
    _F.WRONG_KEY_USAGE: "its key usage does not allow what it is used for",
    _F.NOT_A_CA: "a certificate in its chain was issued by one that is no CA",
    _F.PATH_TOO_LONG: "its chain is longer than a CA in it allows",
    _F.NAME_CONSTRAINTS: "a CA in its chain may not issue for this name",
    _F.MISSING_EXTENSION: "an extension that strict rules demand is missing",
    _F.UNKNOWN_CRITICAL_EXTENSION: "it has a critical extension that nobody here understands",
    _F.BAD_SIGNATURE: "a signature does not verify",
    _F.WEAK_KEY: "a key in its chain is weaker than the policy allows",
    _F.WEAK_SIGNATURE: "a signature in its chain is weaker than the policy allows",
    _F.REVOKED: "it has been revoked",
    _F.CRL_MISSING: "no CRL covers it, and the profile demands one",
    _F.CRL_EXPIRED: "the CRL that covers it is out of date",
    _F.KEY_MISMATCH: "its key does not fit",
    _F.CERTIFICATE_REJECTED: "it was rejected for a reason that was not given",
    _F.NOT_AUTHORIZED: "it is not on the list of who may come in",
    _F.CERTIFICATE_REQUIRED: "it showed no certificate",
    _F.TAMPERED: "it does not decrypt, so it was changed on the way, or the keys differ",
}

_CLAIMED = {
    _F.TAMPERED: "says that what we sent does not decrypt",
    _F.BAD_SIGNATURE: "says that a signature does not verify",
    _F.MALFORMED: "says that a message of ours does not have the form that TLS prescribes",
    _F.PEER_ERROR: "ended the connection",
    _F.CLOSED: "gave up",
}
"""What a peer says by an alert that is not about our certificate."""
_OF_CERTIFICATES = frozenset(
    {_F.UNKNOWN_CA, _F.EXPIRED, _F.REVOKED, _F.CERTIFICATE_REJECTED, _F.CERTIFICATE_REQUIRED, _F.NOT_AUTHORIZED}
)


def sentence(error: HandshakeError) -> str:
    """The whole text: step, who refused what and why, how it was seen, and the remedy on a second line."""
    if error.step is not None:
        head = f"step {error.step.value} {error.step.name} failed"
    elif error.phase is Phase.HANDSHAKE:
        head = "the handshake failed, and nothing tells at which step"
    elif error.phase is Phase.RESPONSE:
        head = "the server refused in HTTP, and nothing tells at which step"
    else:
        head = "the connection failed after the handshake, and nothing tells at which step"
    alert = f" (alert {error.alert})" if error.alert else ""
    return f"{head}: {what_happened(error)}{alert}{_seen(error)}.\n  {hint(error)}"


def what_happened(error: HandshakeError) -> str:
    """Who did what to whom, without the step and the remedy."""
    if error.failure is _F.CERTIFICATE_REQUIRED and not (error.side is Side.PEER and error.role is Role.SERVER):
        return _nothing_shown(error)
    if error.side is Side.LOCAL:
        return _we_refused(error)
    if error.side is Side.PEER:
        return _peer_refused(error)
    return _transport(error)


def _nothing_shown(error: HandshakeError) -> str:
    if error.role is Role.SERVER or error.side is Side.LOCAL:
        return f"{_peer(error)} sent no certificate, and we require one"
    if error.phase is Phase.RESPONSE:
        reason = "says that it got none"
    elif error.local_certificate is not None:
        reason = "none of ours was sent"
    elif error.tls_version is None:  # of a bare exception, which does not know what we hold
        reason = "was shown none"
    else:
        reason = "we have none to send"
    return f"{_peer(error)} requires a client certificate, and {reason}"


def _we_refused(error: HandshakeError) -> str:
    if error.step in _VERIFYING or error.verify_code:
        return f"we refused the certificate of {_peer(error)}: {_why_refused(error)}"
    if error.failure is _F.WEAK_KEY:
        return f"we refused the key exchange of {_peer(error)}: its parameters are weaker than the policy allows"
    if error.failure is _F.MALFORMED and error.step is None and error.reason:
        return f"our OpenSSL ended the connection with {_peer(error)}: {_certificate.printable(error.reason)}"
    return f"we refused what {_peer(error)} sent: {_WHY.get(error.failure, error.failure.value)}"


def _why_refused(error: HandshakeError) -> str:
    certificate = error.certificate
    if error.detail:
        return error.detail
    found = next((each for each in error.findings if each.severity is Severity.ERROR), None)
    if found is not None and found.failure is error.failure:
        more = sum(each.severity is Severity.ERROR for each in error.findings) - 1
        rest = f" (and {more} more fault{'' if more == 1 else 's'}: see findings)" if more else ""
        return f"{found.message}{rest}"
    why = _WHY.get(error.failure, error.verify_message or error.failure.value)
    if error.failure is _F.MALFORMED:
        why = "it does not have the form that RFC 5280 prescribes"
    if certificate is None:
        return why
    name = _certificate.label(certificate)
    now = datetime.now(UTC)
    if error.failure is _F.EXPIRED:
        ended = certificate.not_valid_after_utc
        return f"{name} expired on {_certificate.when(ended)}, {_certificate.distance(now - ended)} ago"
    if error.failure is _F.NOT_YET_VALID:
        begins = certificate.not_valid_before_utc
        return f"{name} begins on {_certificate.when(begins)}, in {_certificate.distance(begins - now)}"
    if error.failure is _F.HOSTNAME_MISMATCH:
        asked = "the name asked for" if error.server_hostname is None else repr(error.server_hostname)
        return f"{name} is not valid for {asked}; {_names(certificate)}"
    if error.failure is _F.WRONG_EKU and error.role is not None:
        return f"{name} {_allowed(certificate)}, and a {error.role.other.value} needs {error.role.other.eku}"
    if error.failure is _F.UNKNOWN_CA:
        top = (error.peer_chain or (certificate,))[-1]
        sent = len(error.peer_chain)
        count = f"; it sent {sent} certificate{'' if sent == 1 else 's'}" if sent else ""
        return f"{name} leads to {_certificate.name(top.issuer)}, and the truststore holds no such CA{count}"
    return f"{name}: {why}"


def _peer_refused(error: HandshakeError) -> str:
    own = error.local_certificate
    if error.step in _VERIFYING:
        ours = "our certificate" if error.role is None else f"our {error.role.value} certificate"
        return f"{_peer(error)} refused {ours}{'' if own is None else ' ' + _with_end(own)}"
    if error.failure in _OF_CERTIFICATES:
        return f"{_peer(error)} ended the connection, and its alert speaks of a certificate"
    if error.step is HandshakeStep.SERVER_HELLO and error.failure is _F.PEER_ERROR:
        return f"{_peer(error)} refused our hello and gave no reason"
    if error.failure in _CLAIMED:
        return f"{_peer(error)} {_CLAIMED[error.failure]}"
    ended = "handshake" if error.phase is Phase.HANDSHAKE else "connection"
    return f"{_peer(error)} ended the {ended}: {_WHY.get(error.failure, error.failure.value)}"


def _transport(error: HandshakeError) -> str:
    moment = "during the handshake"
    if error.step is HandshakeStep.CLIENT_HELLO:
        moment = "before a ClientHello arrived"
    elif error.step is HandshakeStep.SERVER_HELLO:
        moment = "right after our ClientHello"
    if error.phase is not Phase.HANDSHAKE:
        moment = "after the handshake" if error.step is HandshakeStep.APPLICATION_DATA else "before any data arrived"
    did = {
        _F.CLOSED: "closed the connection",
        _F.RESET: "reset the connection",
        _F.TIMED_OUT: "did not answer in time",
        _F.PEER_ERROR: "ended the connection for a reason that has no name here,",
    }.get(error.failure, f"ended the connection ({error.failure.value})")
    return f"{_peer(error)} {did} {moment}"


def _seen(error: HandshakeError) -> str:
    notes = [error.tls_version] if error.tls_version else []
    if error.phase is not Phase.HANDSHAKE:
        notes.append(f"seen at the {error.phase.value.replace('_', ' ')}")
    if error.evidence is Evidence.INFERRED:
        because = error.because if error.step is not None or error.phase is Phase.RESPONSE else None
        notes.append(f"inferred: {because or 'no alert came'}")
    elif error.step is None and error.because:
        notes.append(error.because)
    if error.side is Side.LOCAL and error.step in _VERIFYING and (certificate := error.certificate) is not None:
        notes.append(f"certificate {_certificate.label(certificate)}, {_dates(certificate)}, {_digest(certificate)}")
    return f" [{', '.join(notes)}]" if notes else ""


def _peer(error: HandshakeError) -> str:
    if error.server_hostname:
        _, colon, port = (error.peer_address or "").rpartition(":")
        return _certificate.printable(error.server_hostname) + (f":{port}" if colon and port.isdigit() else "")
    noun = "the peer" if error.role is None else f"the {error.role.other.value}"
    return f"{noun} {error.peer_address}" if error.peer_address else noun


def _with_end(certificate: x509.Certificate) -> str:
    issuer = _certificate.name(certificate.issuer)
    facts = f"{_dates(certificate)}, {_digest(certificate)}, issued by {issuer}"
    return f"{_certificate.label(certificate)} ({facts})"


def _dates(certificate: x509.Certificate) -> str:
    now = datetime.now(UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > ends:
        return f"expired {ends:%Y-%m-%d}, {_certificate.distance(now - ends)} ago"
    if now < begins:
        return f"not valid before {begins:%Y-%m-%d}"
    return f"valid until {ends:%Y-%m-%d}"


def _digest(certificate: x509.Certificate) -> str:
    """The beginning of the fingerprint, as ``openssl x509 -fingerprint -sha256`` has it without colons."""
    return f"SHA-256 {_certificate.fingerprint(certificate)[:_DIGITS]}…"


def _allowed(certificate: x509.Certificate) -> str:
    usages = _certificate.extension(certificate, x509.ExtendedKeyUsage)
    if usages is None:
        return "has a key usage that does not fit"
    return f"allows {_certificate.eku_names(usages)} only"


def _names(certificate: x509.Certificate) -> str:
    names = [_certificate.printable(name) for name in _certificate.subject_alternative_names(certificate)]
    if not names:
        return "it has no subjectAltName, and a common name is never matched"
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"its names are {', '.join(names[:_SHOWN])}{more}"
