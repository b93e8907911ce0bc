"""The sentences of a ``HandshakeError``: who refused what, why, and what to do.

Rule: text is derived from fields, never the other way round, and only when somebody reads it. Names that come from a
certificate are bounded and escaped.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography import x509

from mtls import _certificate
from mtls._model import Evidence, FailureReason, HandshakeStep, Phase, Role, Severity, Side

if TYPE_CHECKING:
    from mtls._model import Finding
    from mtls.errors import HandshakeError

_F = FailureReason
_SHOWN = 5
"""More names than this do not fit a line."""

_WHY = {
    _F.NOT_TLS: "what it sent is no TLS",
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
    _F.TAMPERED: "what arrived does not decrypt: it was changed on the way, or the keys differ",
    _F.PEER_ERROR: "the peer gave no reason",
}

_TO_US = {
    _F.UNKNOWN_CA: "Ask the other side to trust the issuer of our certificate, or get one from a CA that it trusts; if "
    "we send only the leaf, add the intermediates to the keystore.",
    _F.EXPIRED: "Renew our certificate.",
    _F.REVOKED: "Our certificate has been revoked: get a new one with a new key.",
    _F.CERTIFICATE_REJECTED: "Check our certificate with profile.check(), and ask the other side which CA, EKU and "
    "names it accepts; this alert does not tell.",
    _F.BAD_SIGNATURE: "Check that our key belongs to our certificate, and that the other side accepts its algorithm.",
    _F.NOT_AUTHORIZED: "Ask the other side to admit the names in our certificate.",
}

_TO_PEER = {
    _F.UNKNOWN_CA: "If the peer is genuine, add the CA that issued its certificate to the truststore; if that CA is "
    "there, the peer must send its intermediates.",
    _F.INCOMPLETE_CHAIN: "The peer must send its intermediates.",
    _F.SELF_SIGNED: "If the peer is genuine, add exactly this certificate to the truststore, better: have it get one "
    "from a CA.",
    _F.EXPIRED: "The peer must renew it; check the clock of this machine if that surprises.",
    _F.NOT_YET_VALID: "Check the clock of this machine, or wait until it begins.",
    _F.WRONG_EKU: "The peer needs a certificate for this role (serverAuth for a server, clientAuth for a client).",
    _F.HOSTNAME_MISMATCH: "Connect by one of its names, or have the server get a certificate with the name asked for.",
    _F.CRL_MISSING: "Give the CRL of every CA in the path with crls=, or ask for revocation=Revocation.OFF by name.",
    _F.CRL_EXPIRED: "Fetch the current CRL.",
    _F.REVOKED: "Do not talk to this peer with this certificate.",
    _F.WEAK_KEY: "The peer needs a certificate with a stronger key (RSA 2048 or EC P-256 and up).",
    _F.WEAK_SIGNATURE: "The peer needs a certificate signed with SHA-256 or better.",
    _F.MISSING_EXTENSION: "The peer's CA must issue it anew, or ask for chain_rules=ChainRules.LENIENT by name.",
    _F.NOT_AUTHORIZED: "If this peer is meant to be admitted, let the rule that refused it name it, too.",
}

_TO_BOTH = {
    _F.NOT_TLS: "Check host and port: one side speaks plain HTTP or something else, or a proxy in between does.",
    _F.PROTOCOL_VERSION: "Compare the versions of both policies; TLS 1.2 and 1.3 are the usual ones.",
    _F.NO_SHARED_CIPHER: "Compare the cipher lists of both policies, and the key types they need (RSA or ECDSA).",
    _F.NO_SHARED_GROUP: "Let both sides allow X25519 or P-256.",
    _F.NO_SHARED_SIGNATURE_ALGORITHM: "Use a key of a kind that the other side accepts: RSA 2048 or EC P-256.",
    _F.ALPN: "Let both sides name a common protocol, for instance http/1.1.",
    _F.UNRECOGNIZED_NAME: "Ask for a name that the server knows.",
    _F.TAMPERED: "Look at what lies between the two sides; a plain retry tells whether it happens again.",
    _F.CLOSED: "Look into the log of the other side; if it asks for client certificates, it may have refused ours.",
    _F.RESET: "Look into the log of the other side; if it asks for client certificates, it may have refused ours.",
    _F.TIMED_OUT: "Check that the other side speaks TLS on this port and is not overloaded; raise the time-out if so.",
    _F.PEER_ERROR: "Look into the log of the other side.",
    _F.MALFORMED: "Look at what lies between the two sides, and at the versions of both TLS libraries.",
}


def sentence(error: HandshakeError) -> str:
    """The whole text: step, who refused what and why, how it was seen, and the remedy on a second line."""
    if error.step is None:
        head = "the handshake failed at a step that nothing tells"
        if error.phase is not Phase.HANDSHAKE:
            head = "the connection failed after the handshake, and nothing tells at which step"
    else:
        head = f"step {error.step.value} {error.step.name} failed"
    alert = f" (alert {error.alert})" if error.alert else ""
    return f"{head}: {what_happened(error)}{alert}{_seen(error)}.\n  {hint(error)}"


def what_happened(error: HandshakeError) -> str:
    """Who did what to whom, without the step and the remedy."""
    if error.failure is _F.CERTIFICATE_REQUIRED:
        return _nothing_shown(error)
    if error.side is Side.LOCAL:
        return _we_refused(error)
    if error.side is Side.PEER:
        return _peer_refused(error)
    return _transport(error)


def hint(error: HandshakeError) -> str:
    """What to do next."""
    found = next((each for each in error.findings if each.severity is Severity.ERROR), None)
    if found is not None and error.failure is not _F.CERTIFICATE_REQUIRED:
        return f"{_told_of_ours(error, found)}{found.remedy[:1].upper()}{found.remedy[1:]}."
    if error.failure is _F.CERTIFICATE_REQUIRED:
        if error.role is Role.SERVER:
            return "Give the client a certificate from a CA in our truststore; it had none, or sent none that fits."
        if error.local_certificate is None:
            return "Give this client a certificate: keystore=Keystore.from_pem(...) in its profile."
        return "Our certificate was not sent: its key is of a kind that the server does not accept. Ask which it takes."
    if error.side is Side.PEER and error.failure in _TO_US and error.step not in {HandshakeStep.SERVER_HELLO, None}:
        return _TO_US[error.failure]
    if error.side is Side.LOCAL and error.failure in _TO_PEER:
        return _TO_PEER[error.failure]
    if (
        error.role is Role.SERVER
        and error.step is HandshakeStep.CLIENT_HELLO
        and error.failure in {_F.CLOSED, _F.RESET}
    ):
        return "Somebody connected and said nothing: a scanner, a health check, or a client that gave up."
    if error.failure in _TO_BOTH:
        return _TO_BOTH[error.failure]
    return _TO_US.get(error.failure) or "Have the certificate issued anew by a CA that follows RFC 5280."


def _told_of_ours(error: HandshakeError, found: Finding) -> str:
    """What our own checks say of the certificate that the peer refused; of the peer's it is in the sentence above."""
    return "" if error.side is Side.LOCAL else f"{found.message[:1].upper()}{found.message[1:]}. "


def _nothing_shown(error: HandshakeError) -> str:
    if error.role is Role.SERVER:
        return f"{_peer(error)} sent no certificate, and we require one"
    reason = "we have none to send" if error.local_certificate is None else "none of ours was sent"
    return f"{_peer(error)} requires a client certificate, and {reason}"


def _we_refused(error: HandshakeError) -> str:
    if error.step in {HandshakeStep.CLIENT_VERIFIES_SERVER, HandshakeStep.SERVER_VERIFIES_CLIENT}:
        return f"we refused the certificate of {_peer(error)}: {_why_refused(error)}"
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
    if certificate is None:
        return _WHY.get(error.failure, error.verify_message or error.failure.value)
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
    return f"{name}: {_WHY.get(error.failure, error.verify_message or error.failure.value)}"


def _peer_refused(error: HandshakeError) -> str:
    own = error.local_certificate
    if error.step in {HandshakeStep.CLIENT_VERIFIES_SERVER, HandshakeStep.SERVER_VERIFIES_CLIENT}:
        ours = f"our {error.role.value if error.role else ''} certificate".replace("  ", " ")
        return f"{_peer(error)} refused {ours}{'' if own is None else ' ' + _with_end(own)}"
    if error.step is HandshakeStep.SERVER_HELLO:
        if error.failure is _F.PEER_ERROR:
            return f"{_peer(error)} accepted none of the versions, ciphers, groups and names in the ClientHello"
        return f"{_peer(error)} ended the handshake: {_WHY.get(error.failure, error.failure.value)}"
    return f"{_peer(error)} ended the connection"


def _transport(error: HandshakeError) -> str:
    moment = "during the handshake"
    if error.step is HandshakeStep.CLIENT_HELLO:
        moment = "before a ClientHello arrived"
    elif error.step is HandshakeStep.SERVER_HELLO:
        moment = "right after our ClientHello"
    if error.phase is not Phase.HANDSHAKE:
        moment = "after data had arrived" if error.step is HandshakeStep.APPLICATION_DATA else "before any data arrived"
    did = {
        _F.CLOSED: "closed the connection",
        _F.RESET: "reset the connection",
        _F.TIMED_OUT: "did not answer in time",
    }.get(error.failure, f"ended the connection ({error.failure.value})")
    return f"{_peer(error)} {did} {moment}"


def _seen(error: HandshakeError) -> str:
    notes = [error.tls_version] if error.tls_version else []
    if error.phase is not Phase.HANDSHAKE:
        notes.append(f"seen at the {error.phase.value.replace('_', ' ')}")
    if error.evidence is Evidence.INFERRED:
        why = f": {error.because}" if error.because and error.step is not None else ": no alert came"
        notes.append(f"inferred{why}")
    return f" [{', '.join(notes)}]" if notes else ""


def _peer(error: HandshakeError) -> str:
    if error.server_hostname:
        _, colon, port = (error.peer_address or "").rpartition(":")
        return _certificate.printable(error.server_hostname) + (f":{port}" if colon and port.isdigit() else "")
    noun = "the peer" if error.role is None else f"the {error.role.other.value}"
    return f"{noun} {error.peer_address}" if error.peer_address else noun


def _with_end(certificate: x509.Certificate) -> str:
    end, now = certificate.not_valid_after_utc, datetime.now(UTC)
    if now > end:
        return f"{_certificate.label(certificate)} (expired {end:%Y-%m-%d}, {_certificate.distance(now - end)} ago)"
    issuer = _certificate.name(certificate.issuer)
    return f"{_certificate.label(certificate)} (valid until {end:%Y-%m-%d}, issued by {issuer})"


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
