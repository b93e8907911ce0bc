"""What to do about a ``HandshakeError``: one or two sentences to whoever can act.

Rule: what the checks found comes first, with its own remedy; else the failure, the side that refused and the step
decide. A refusal of ours never sends anybody to our own certificate, one of the peer's never to the peer's.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from mtls._model import FailureReason, HandshakeStep, Phase, Role, Severity, Side

if TYPE_CHECKING:
    from mtls._model import Finding
    from mtls.errors import HandshakeError

_F, _S = FailureReason, HandshakeStep

_OF_ANYBODY = (
    "Check our own settings with profile.check(), and look at what lies between the two sides and at the versions of "
    "both TLS libraries."
)
_GIVE_US_ONE = "Give this client a certificate: keystore=Keystore.from_pem(...) in its profile."
_GIVE_THEM_ONE = "Give the client a certificate from a CA in our truststore; it had none, or sent none that fits."
_NOT_SENT = "Our certificate was not sent: its key is of a kind that the server does not accept. Ask which it takes."
_NOT_DEMANDED = (
    "We have one: ask the other side to demand it in the handshake, of every request, which kinds of key it takes, and "
    "whether a proxy in between or a rule of its own says this."
)
_ANEW = "Have the certificate issued anew by a CA that follows RFC 5280."
_LOG = "Look into the log of the other side"
_NOTHING_SHARED = (
    "Compare the versions, cipher suites, groups and server names (SNI) that both sides allow; the log of the other "
    "side tells which of them it was."
)

_TO_US = {
    _F.UNKNOWN_CA: "Ask the other side to trust the issuer of our certificate, or get one from a CA that it trusts; if "
    "we send only the leaf, add the intermediates to the keystore.",
    _F.EXPIRED: "Renew our certificate.",
    _F.REVOKED: "Our certificate has been revoked: get a new one with a new key.",
    _F.CERTIFICATE_REJECTED: "Check our certificate with profile.check(), and ask the other side which CA, EKU and "
    "names it accepts; its refusal does not tell.",
    _F.BAD_SIGNATURE: "Check that our key belongs to our certificate, and that the other side accepts its algorithm.",
}
"""The peer refused our certificate."""

_IN_DATE = (
    "Our certificate is in date: look at the dates of its intermediates, and have the other side look at its clock "
    "and its CRLs."
)

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
    _F.BAD_SIGNATURE: "Have the peer check that its key belongs to its certificate; if it does, something changed the "
    "handshake on the way.",
    _F.CERTIFICATE_REJECTED: "Look at what it sent (error.peer_chain), and let mtls.verify() judge it by itself.",
    _F.KEY_MISMATCH: "Have the peer check that its key belongs to its certificate.",
    _F.MALFORMED: _ANEW,
}
"""We refused the peer's certificate."""

_TO_BOTH = {
    _F.NOT_TLS: "Check host and port: one side speaks plain HTTP or something else, or a proxy in between does.",
    _F.PROTOCOL_VERSION: "Compare the versions of both policies; TLS 1.2 and 1.3 are the usual ones.",
    _F.NO_SHARED_CIPHER: "Compare the cipher lists of both policies, and the key types they need (RSA or ECDSA).",
    _F.NO_SHARED_GROUP: "Let both sides allow X25519 or P-256.",
    _F.NO_SHARED_SIGNATURE_ALGORITHM: "Use a key of a kind that the other side accepts: RSA 2048 or EC P-256.",
    _F.ALPN: "Let both sides name a common protocol, for instance http/1.1.",
    _F.UNRECOGNIZED_NAME: "Connect by a name that the server serves, or have its owner add this one.",
    _F.TAMPERED: "Look at what lies between the two sides; a plain retry tells whether it happens again.",
    _F.CLOSED: f"{_LOG}; if it asks for client certificates, it may have refused ours.",
    _F.RESET: f"{_LOG}; if it asks for client certificates, it may have refused ours.",
    _F.TIMED_OUT: "Check that the other side speaks TLS on this port and is not overloaded; raise the time-out if so.",
    _F.PEER_ERROR: f"{_LOG}: it gave no reason on the wire.",
    _F.MALFORMED: "Look at what lies between the two sides, and at the versions of both TLS libraries.",
    _F.WEAK_KEY: "Let the server use the groups X25519 or P-256, or Diffie-Hellman parameters of 2048 bits and more.",
    _F.BAD_SIGNATURE: "Look at what lies between the two sides, and whether each key belongs to its certificate.",
}
"""Whoever refused, it was not about a certificate."""

_SILENCE = {
    _S.CLIENT_HELLO: "Somebody connected and said nothing: a scanner, a health check, or a client that gave up.",
    _S.SERVER_HELLO: "Check host and port, and the log of the other side: it may refuse the server name (SNI) or our "
    "versions, or speak no TLS here; a firewall ends connections like this, too.",
    _S.SERVER_CERTIFICATE: "Look into the log of the server: it may have no certificate that it can use.",
    _S.CLIENT_VERIFIES_SERVER: "The client has probably refused our certificate, and its log says why: it may not "
    "trust our CA, lack our intermediates, or connect to a name that our certificate does not hold.",
    _S.SERVER_VERIFIES_CLIENT: "The server has probably refused our certificate, and its log says why: check ours with "
    "profile.check(), and ask which CA, EKU and names it accepts.",
    _S.KEY_EXCHANGE: f"{_LOG}: it ended before it had sent its Finished.",
    _S.APPLICATION_DATA: f"{_LOG}: the handshake was over, so it was the application, or something in between.",
}
"""The transport ended, at a step that is known or inferred."""


def hint(error: HandshakeError) -> str:
    """What to do next."""
    found = next((each for each in error.findings if each.severity is Severity.ERROR), None)
    if error.failure is _F.CERTIFICATE_REQUIRED:
        return _nothing_shown(error)
    if found is not None:
        return f"{_told_of_ours(error, found)}{found.remedy[:1].upper()}{found.remedy[1:]}."
    if error.side is Side.LOCAL:
        return _of_ours(error)
    if error.side is Side.PEER and error.step is not _S.SERVER_HELLO and error.failure in _TO_US:
        return _of_peers(error)
    if error.failure in {_F.CLOSED, _F.RESET, _F.TIMED_OUT}:
        return _of_silence(error)
    if error.step is _S.SERVER_HELLO and error.failure is _F.PEER_ERROR:
        return _NOTHING_SHARED
    return _TO_BOTH.get(error.failure) or f"{_LOG}."


def _told_of_ours(error: HandshakeError, found: Finding) -> str:
    """What our own checks say of the certificate that the peer refused; of the peer's it is in the sentence above."""
    return "" if error.side is Side.LOCAL else f"{found.message[:1].upper()}{found.message[1:]}. "


def _nothing_shown(error: HandshakeError) -> str:
    if error.role is Role.SERVER:
        return f"{_LOG}: only a server may send this alert." if error.side is Side.PEER else _GIVE_THEM_ONE
    if error.side is Side.LOCAL:
        return "Have the server get a certificate; one that shows none proves nothing."
    if error.local_certificate is None:
        return _GIVE_US_ONE
    return _NOT_DEMANDED if error.phase is Phase.RESPONSE else _NOT_SENT


def _of_ours(error: HandshakeError) -> str:
    verifying = bool(error.verify_code) or error.step in {_S.CLIENT_VERIFIES_SERVER, _S.SERVER_VERIFIES_CLIENT}
    if error.failure is _F.MALFORMED and error.step is None and not verifying:
        return _OF_ANYBODY
    if verifying and error.failure is not _F.NO_SHARED_SIGNATURE_ALGORITHM:
        return _TO_PEER.get(error.failure, _ANEW)
    return _TO_BOTH.get(error.failure) or _TO_PEER.get(error.failure, _ANEW)


def _of_peers(error: HandshakeError) -> str:
    own = error.local_certificate
    if error.failure is _F.EXPIRED and own is not None and datetime.now(UTC) <= own.not_valid_after_utc:
        return _IN_DATE
    if error.failure is _F.CERTIFICATE_REJECTED and error.role is Role.SERVER:
        return f"{_TO_US[error.failure][:-1]}, and some clients say it of a name that the certificate does not hold."
    return _TO_US[error.failure]


def _of_silence(error: HandshakeError) -> str:
    if error.step is _S.CLIENT_CERTIFICATE:
        return _nothing_shown(error)
    if error.step is None and error.role is Role.SERVER and error.failure is not _F.TIMED_OUT:
        return "Look into the log of the client; it may have refused our certificate."
    if error.step is None or (error.step is _S.SERVER_HELLO and error.failure is _F.TIMED_OUT):
        return _TO_BOTH[error.failure]
    return _SILENCE[error.step]
