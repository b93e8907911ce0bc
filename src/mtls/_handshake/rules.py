"""The diagnosis table: which step a failure belongs to, by what happened and by how far the handshake had come.

Theory of operation: what happened (a kind of alert, a kind of our own OpenSSL's reasons, or an end of the transport)
has a list of rules. The first one whose conditions all hold gives the step; the last one of each list has no condition,
so the table is total. Where a rule says ``None`` the evidence does not tell, and ``because`` says what it leaves open.
The page "The diagnosis table" of the documentation is drawn from here.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtls._handshake.alerts import AlertKind as A
from mtls._handshake.reasons import ReasonKind as R
from mtls._model import Evidence, Role
from mtls._model import FailureReason as F
from mtls._model import HandshakeStep as S

if TYPE_CHECKING:
    from collections.abc import Iterable


class Progress(enum.StrEnum):
    """How far the handshake had come, as this side saw it."""

    UNKNOWN = "not known"
    NOTHING = "nothing of the peer has arrived"
    HELLO = "the peer's hello has arrived"
    CHAIN = "the peer's certificate has arrived"
    ANSWERED = "our own certificate flight is out"
    FINISHED = "our handshake has ended well"
    TALKED = "application data of the peer has arrived"


class Shown(enum.StrEnum):
    """What a client knows of its own certificate. (A server always shows one.)"""

    NONE = "we have none; whether the server asked is not known"
    PERHAPS = "we have one; whether it was sent is not known"
    NOT_ASKED = "the server did not ask for one"
    NOT_YET = "the server asked, and it was not our turn to answer"
    EMPTY = "the server asked, and none was sent"
    SENT = "the server asked, and ours was sent"


Trigger = A | R | F
"""What happened: an alert of this kind, an error of our own OpenSSL of this kind, or this end of the transport."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table. A condition that is ``None`` holds always."""

    triggers: tuple[Trigger, ...]
    step: S | None
    because: str
    role: Role | None = None
    progress: frozenset[Progress] | None = None
    shown: frozenset[Shown] | None = None
    tls13: bool | None = None
    ticket: bool | None = None
    """Whether the server had sent a session ticket, which it does when it has accepted the client (TLS 1.3)."""
    wrote: bool | None = None
    """Whether application data of ours may have gone out."""
    message: frozenset[str] | None = None
    """The handshake message of the peer that arrived last."""
    alert: str | None = None
    reason: str | None = None
    failures: frozenset[F] | None = None
    """What the code stands for."""
    failure: F | None = None
    """What it is called instead; ``None``: what the code stands for."""
    evidence: Evidence = Evidence.OBSERVED


_P, _C = Progress, Shown
_BEFORE_CERTIFICATES = frozenset({_P.NOTHING, _P.HELLO})
_BETWEEN = frozenset({_P.HELLO, _P.CHAIN, _P.ANSWERED})
_AFTER_CERTIFICATES = frozenset({_P.CHAIN, _P.ANSWERED, _P.FINISHED})
_UNFINISHED = frozenset({_P.NOTHING, _P.HELLO, _P.CHAIN, _P.ANSWERED})
_NOTHING, _HELLO, _CHAIN = frozenset({_P.NOTHING}), frozenset({_P.HELLO}), frozenset({_P.CHAIN})
_ANSWERED, _FINISHED, _TALKED = frozenset({_P.ANSWERED}), frozenset({_P.FINISHED}), frozenset({_P.TALKED})
_OURS_WENT_OUT = frozenset({_C.SENT, _C.PERHAPS})
_WE_SENT_NONE = frozenset({_C.NONE, _C.EMPTY})
_CLIENT, _SERVER = Role.CLIENT, Role.SERVER
_INFERRED = Evidence.INFERRED
_ALL_ALERTS = tuple(A)
_SILENT = (F.CLOSED, F.RESET, F.TIMED_OUT)
_ENDED = (F.CLOSED, F.RESET)

_OVER = "application data had arrived, so both sides had ended the handshake"
_NOT_AFTER_HELLOS = "it came before any certificate, in answer to the ClientHello"
_NO_EVIDENCE = "the alert says nothing about a step, and it came after the certificates"

ALERT_RULES: tuple[Rule, ...] = (
    Rule(triggers=_ALL_ALERTS, progress=_TALKED, step=S.APPLICATION_DATA, because=_OVER),
    Rule(
        triggers=(A.REQUIRED,),
        role=_SERVER,
        step=None,
        because="only a server sends this alert, so a client that does contradicts the protocol",
    ),
    Rule(
        triggers=(A.REQUIRED,),
        role=_CLIENT,
        progress=_BEFORE_CERTIFICATES,
        step=None,
        failure=F.PEER_ERROR,
        because="the server says that it got no certificate before it could have asked for one",
    ),
    Rule(
        triggers=(A.REQUIRED,),
        shown=frozenset({_C.NOT_ASKED, _C.NOT_YET}),
        step=None,
        failure=F.PEER_ERROR,
        because="the server says that it got no certificate, and ours was not due",
    ),
    Rule(
        triggers=(A.REQUIRED,),
        shown=frozenset({_C.SENT}),
        step=None,
        failure=F.CERTIFICATE_REJECTED,
        because="the server says that it got no certificate, and ours was sent",
    ),
    Rule(
        triggers=(A.REQUIRED,),
        step=S.CLIENT_CERTIFICATE,
        because="a server sends this alert when it demanded a certificate and got none (RFC 8446, 6.2)",
    ),
    Rule(
        triggers=(A.NEGOTIATION,),
        progress=_BEFORE_CERTIFICATES | {_P.UNKNOWN},
        step=S.SERVER_HELLO,
        because="it speaks of what was offered and chosen in the hellos",
    ),
    Rule(
        triggers=(A.NEGOTIATION,),
        step=None,
        because="it speaks of the hellos, and came when they were over",
    ),
    Rule(
        triggers=(A.CERTIFICATE,),
        role=_SERVER,
        progress=_BETWEEN,
        step=S.CLIENT_VERIFIES_SERVER,
        because="a client that has seen our certificate refuses it",
    ),
    Rule(
        triggers=(A.CERTIFICATE,),
        role=_CLIENT,
        progress=_FINISHED,
        shown=_WE_SENT_NONE,
        tls13=False,
        step=S.APPLICATION_DATA,
        because="in TLS 1.2 the server had accepted the handshake without a certificate before ours ended",
    ),
    Rule(
        triggers=(A.CERTIFICATE,),
        role=_CLIENT,
        progress=_AFTER_CERTIFICATES,
        shown=_WE_SENT_NONE,
        step=S.CLIENT_CERTIFICATE,
        failure=F.CERTIFICATE_REQUIRED,
        because="it refuses a certificate and we sent none: Java, Go, GnuTLS and Caddy say so what others call "
        "certificate_required",
    ),
    Rule(
        triggers=(A.CERTIFICATE,),
        role=_CLIENT,
        progress=_FINISHED,
        shown=frozenset({_C.NOT_ASKED}),
        step=S.APPLICATION_DATA,
        because="the server asked for no certificate, so the handshake was over when it refused",
    ),
    Rule(
        triggers=(A.CERTIFICATE,),
        role=_CLIENT,
        progress=_AFTER_CERTIFICATES,
        shown=_OURS_WENT_OUT,
        step=S.SERVER_VERIFIES_CLIENT,
        because="it speaks of a certificate, and ours is the one that the server looks at",
    ),
    Rule(
        triggers=(A.CERTIFICATE,),
        step=None,
        because="it speaks of a certificate when none of ours was out",
    ),
    Rule(
        triggers=(A.RECORD,),
        role=_CLIENT,
        progress=_BEFORE_CERTIFICATES,
        step=None,
        failure=F.PEER_ERROR,
        because="the server says that it could not decrypt what we sent, and nothing encrypted was out",
    ),
    Rule(
        triggers=(A.RECORD,),
        progress=_UNFINISHED,
        step=S.KEY_EXCHANGE,
        because="a record of the handshake did not decrypt: the two sides do not have the same keys, or it was changed",
    ),
    Rule(
        triggers=(A.RECORD,),
        role=_CLIENT,
        progress=_FINISHED,
        tls13=True,
        wrote=False,
        step=S.KEY_EXCHANGE,
        because="we had sent no data, so a record of our last flight did not decrypt",
    ),
    Rule(
        triggers=(A.RECORD,),
        role=_CLIENT,
        progress=_FINISHED,
        tls13=True,
        step=None,
        because="the record that did not decrypt may have been our Finished (7) or our first data (8); a session "
        "ticket does not tell them apart: Go sends it before it has read our Finished",
    ),
    Rule(
        triggers=(A.RECORD,),
        progress=_FINISHED,
        step=S.APPLICATION_DATA,
        because="both sides had ended the handshake",
    ),
    Rule(triggers=(A.RECORD,), step=None, because="nothing tells how far the handshake had come"),
    Rule(
        triggers=(A.SIGNATURE,),
        role=_CLIENT,
        progress=_AFTER_CERTIFICATES,
        shown=_OURS_WENT_OUT,
        step=S.SERVER_VERIFIES_CLIENT,
        because="the signature that the server checks is the one we made with the key of our certificate",
    ),
    Rule(
        triggers=(A.SIGNATURE,),
        role=_CLIENT,
        progress=frozenset({_P.CHAIN, _P.ANSWERED}),
        shown=frozenset({_C.NONE, _C.EMPTY, _C.NOT_ASKED}),
        step=S.KEY_EXCHANGE,
        failure=F.TAMPERED,
        because="we signed nothing, so it was our Finished that did not fit",
    ),
    Rule(
        triggers=(A.SIGNATURE,),
        role=_SERVER,
        progress=_UNFINISHED,
        tls13=False,
        step=S.KEY_EXCHANGE,
        failure=F.TAMPERED,
        because="in TLS 1.2 we sign the parameters of the key exchange",
    ),
    Rule(
        triggers=(A.HANDSHAKE_FAILURE, A.NOTHING, A.FORM, A.SIGNATURE),
        role=_CLIENT,
        progress=_BEFORE_CERTIFICATES,
        step=S.SERVER_HELLO,
        because=_NOT_AFTER_HELLOS,
    ),
    Rule(
        triggers=(A.HANDSHAKE_FAILURE,),
        role=_CLIENT,
        progress=_AFTER_CERTIFICATES,
        shown=frozenset({_C.EMPTY}),
        step=S.CLIENT_CERTIFICATE,
        failure=F.CERTIFICATE_REQUIRED,
        because="the server asked for a certificate, none was sent, and TLS 1.2 says this then (RFC 5246, 7.4.6)",
    ),
    Rule(
        triggers=(A.HANDSHAKE_FAILURE,),
        role=_CLIENT,
        progress=frozenset({_P.CHAIN, _P.ANSWERED}),
        shown=frozenset({_C.NONE}),
        step=S.CLIENT_CERTIFICATE,
        failure=F.CERTIFICATE_REQUIRED,
        because="the server had shown its certificate, we have none, and this is what TLS 1.2 says then (RFC 5246, "
        "7.4.6)",
    ),
    Rule(
        triggers=(A.HANDSHAKE_FAILURE,),
        role=_CLIENT,
        progress=_FINISHED,
        shown=frozenset({_C.NONE}),
        tls13=True,
        step=S.CLIENT_CERTIFICATE,
        failure=F.CERTIFICATE_REQUIRED,
        because="the server had shown its certificate, and we have none",
    ),
    Rule(
        triggers=(A.FORM,),
        role=_CLIENT,
        progress=_AFTER_CERTIFICATES,
        shown=frozenset({_C.EMPTY}),
        alert="decode_error",
        step=S.CLIENT_CERTIFICATE,
        failure=F.CERTIFICATE_REQUIRED,
        evidence=_INFERRED,
        because="the server asked for a certificate and none was sent, which GnuTLS calls a message it cannot decode",
    ),
    Rule(
        triggers=(A.SIGNATURE,),
        step=None,
        because="the signature over the certificate (4 or 6) and the Finished (7) have the same alert",
    ),
    Rule(triggers=(A.HANDSHAKE_FAILURE, A.NOTHING, A.FORM), step=None, because=_NO_EVIDENCE),
)

OWN_RULES: tuple[Rule, ...] = (
    Rule(
        triggers=(R.VERIFICATION,),
        failures=frozenset({F.HOSTNAME_MISMATCH}),
        step=S.CLIENT_VERIFIES_SERVER,
        because="only a client compares the name",
    ),
    Rule(
        triggers=(R.VERIFICATION,),
        role=_CLIENT,
        step=S.CLIENT_VERIFIES_SERVER,
        because="our OpenSSL refused the server's chain",
    ),
    Rule(
        triggers=(R.VERIFICATION,),
        role=_SERVER,
        step=S.SERVER_VERIFIES_CLIENT,
        because="our OpenSSL refused the client's chain",
    ),
    Rule(triggers=(R.VERIFICATION,), step=None, because="which of the two sides we are is not known"),
    Rule(
        triggers=(R.NO_CERTIFICATE,),
        step=S.CLIENT_CERTIFICATE,
        because="our OpenSSL waited for the client's certificate, and an empty list came",
    ),
    Rule(
        triggers=(R.RECORD,),
        progress=_UNFINISHED,
        step=S.KEY_EXCHANGE,
        because="a record of the handshake does not decrypt, or the Finished does not fit",
    ),
    Rule(
        triggers=(R.RECORD,),
        progress=_FINISHED | _TALKED,
        step=S.APPLICATION_DATA,
        because="our handshake had ended, so the record is under the keys of application data",
    ),
    Rule(triggers=(R.RECORD,), step=None, because="nothing tells how far the handshake had come"),
    Rule(
        triggers=(R.NOT_TLS, R.HELLO, R.FORM, R.ORDER, R.CERTIFICATE_FORM, R.KEY_EXCHANGE, R.NEGOTIATION, R.SIGNATURE),
        progress=_TALKED,
        step=S.APPLICATION_DATA,
        failure=F.MALFORMED,
        because=_OVER,
    ),
    Rule(
        triggers=(R.NOT_TLS, R.HELLO, R.FORM, R.ORDER, R.CERTIFICATE_FORM, R.KEY_EXCHANGE, R.NEGOTIATION, R.SIGNATURE),
        progress=_FINISHED,
        step=None,
        failure=F.MALFORMED,
        because="it came after our handshake, and before anything that shows that the peer had ended its own",
    ),
    Rule(
        triggers=(R.NOT_TLS, R.ORDER),
        role=_CLIENT,
        progress=_NOTHING,
        step=S.SERVER_HELLO,
        because="it came where a ServerHello was due",
    ),
    Rule(
        triggers=(R.NOT_TLS, R.ORDER, R.HELLO, R.FORM),
        role=_SERVER,
        progress=_NOTHING,
        step=S.CLIENT_HELLO,
        because="it came where a ClientHello was due",
    ),
    Rule(
        triggers=(R.ORDER,),
        role=_CLIENT,
        progress=_HELLO,
        reason="EXCESSIVE_MESSAGE_SIZE",
        tls13=True,
        message=frozenset({"ServerHello"}),
        step=S.SERVER_HELLO,
        because="the message that is too long came where the EncryptedExtensions were due",
    ),
    Rule(
        triggers=(R.ORDER,),
        role=_CLIENT,
        progress=_HELLO,
        reason="EXCESSIVE_MESSAGE_SIZE",
        message=frozenset({"ServerHello", "EncryptedExtensions", "CertificateRequest"}),
        step=S.SERVER_CERTIFICATE,
        because="the message that is too long came where the server's Certificate was due",
    ),
    Rule(
        triggers=(R.ORDER,),
        role=_SERVER,
        progress=_BETWEEN,
        reason="EXCESSIVE_MESSAGE_SIZE",
        message=frozenset({"ClientHello"}),
        step=S.CLIENT_CERTIFICATE,
        because="the message that is too long came where the client's Certificate was due",
    ),
    Rule(
        triggers=(R.NOT_TLS,),
        progress=_BETWEEN,
        step=None,
        failure=F.MALFORMED,
        because="the peer had spoken TLS, and then sent something else",
    ),
    Rule(
        triggers=(R.NEGOTIATION,),
        role=_CLIENT,
        reason="NO_SUITABLE_SIGNATURE_ALGORITHM",
        step=S.CLIENT_CERTIFICATE,
        because="none of the signatures that the server takes can be made with our key",
    ),
    Rule(triggers=(R.NEGOTIATION,), step=S.SERVER_HELLO, because="the hellos have nothing in common there"),
    Rule(
        triggers=(R.HELLO,),
        role=_CLIENT,
        progress=_BEFORE_CERTIFICATES,
        step=S.SERVER_HELLO,
        because="what is malformed is in the server's hello",
    ),
    Rule(
        triggers=(R.CERTIFICATE_FORM,),
        role=_CLIENT,
        step=S.SERVER_CERTIFICATE,
        because="the server's Certificate message is malformed",
    ),
    Rule(
        triggers=(R.CERTIFICATE_FORM,),
        role=_SERVER,
        step=S.CLIENT_CERTIFICATE,
        because="the client's Certificate message is malformed",
    ),
    Rule(
        triggers=(R.SIGNATURE,),
        role=_SERVER,
        step=S.SERVER_VERIFIES_CLIENT,
        because="the only signature that a server checks is the client's CertificateVerify",
    ),
    Rule(
        triggers=(R.SIGNATURE,),
        role=_CLIENT,
        tls13=True,
        step=S.CLIENT_VERIFIES_SERVER,
        because="in TLS 1.3 the server signs in its CertificateVerify",
    ),
    Rule(
        triggers=(R.SIGNATURE,),
        role=_CLIENT,
        tls13=False,
        step=S.KEY_EXCHANGE,
        because="in TLS 1.2 the server signs its ServerKeyExchange",
    ),
    Rule(
        triggers=(R.KEY_EXCHANGE,),
        tls13=True,
        progress=_UNFINISHED,
        step=S.SERVER_HELLO,
        because="in TLS 1.3 the key shares travel in the hellos",
    ),
    Rule(
        triggers=(R.KEY_EXCHANGE,),
        tls13=False,
        progress=_UNFINISHED,
        step=S.KEY_EXCHANGE,
        because="in TLS 1.2 the key exchange has messages of its own",
    ),
    *(
        Rule(
            triggers=(R.FORM, R.OWN, R.CALLER),
            role=role,
            progress=_UNFINISHED,
            message=frozenset(messages.split()),
            step=step,
            because=f"the message of the {role.other.value} that arrived last could not be used",
        )
        for role, messages, step in (
            (_CLIENT, "HelloRetryRequest ServerHello EncryptedExtensions", S.SERVER_HELLO),
            (_CLIENT, "Certificate", S.SERVER_CERTIFICATE),
            (_CLIENT, "CertificateVerify", S.CLIENT_VERIFIES_SERVER),
            (_CLIENT, "ServerKeyExchange Finished", S.KEY_EXCHANGE),
            (_SERVER, "ClientHello", S.CLIENT_HELLO),
            (_SERVER, "Certificate", S.CLIENT_CERTIFICATE),
            (_SERVER, "CertificateVerify", S.SERVER_VERIFIES_CLIENT),
            (_SERVER, "ClientKeyExchange Finished", S.KEY_EXCHANGE),
        )
    ),
    Rule(
        triggers=(R.FORM, R.CALLER),
        role=_CLIENT,
        progress=_NOTHING,
        step=S.SERVER_HELLO,
        because="nothing had arrived before, so it is the server's first message",
    ),
    Rule(
        triggers=(R.HELLO, R.CERTIFICATE_FORM, R.KEY_EXCHANGE, R.SIGNATURE, R.FORM, R.ORDER, R.NOT_TLS),
        step=None,
        because="which message was malformed or out of place is not known without a trace",
    ),
    Rule(triggers=(R.UNNAMED,), progress=_TALKED, step=S.APPLICATION_DATA, because=_OVER),
    Rule(
        triggers=(R.UNNAMED,),
        step=None,
        because="it is an alert that nobody registered, or an error that is newer than this Python",
    ),
    Rule(triggers=(R.OWN, R.CALLER), step=None, because="it speaks of our own settings or program, not of the peer"),
)

SILENCE_RULES: tuple[Rule, ...] = (
    Rule(triggers=_SILENT, progress=_TALKED, step=S.APPLICATION_DATA, because=_OVER),
    Rule(
        triggers=_SILENT,
        role=_CLIENT,
        progress=_NOTHING,
        step=S.SERVER_HELLO,
        because="no ServerHello came in answer to our ClientHello",
    ),
    Rule(
        triggers=_SILENT,
        role=_SERVER,
        progress=_NOTHING,
        step=S.CLIENT_HELLO,
        because="no ClientHello came",
    ),
    Rule(
        triggers=_SILENT,
        role=_CLIENT,
        progress=_HELLO,
        message=frozenset({"HelloRetryRequest"}),
        step=S.SERVER_HELLO,
        because="the server asked for another ClientHello, and nothing came in answer to it",
    ),
    Rule(
        triggers=_SILENT,
        role=_CLIENT,
        progress=_HELLO,
        message=frozenset({"ServerHello", "EncryptedExtensions", "CertificateRequest"}),
        step=S.SERVER_CERTIFICATE,
        because="the server's hello came, and its certificate was due next",
    ),
    Rule(
        triggers=_ENDED,
        role=_CLIENT,
        progress=_ANSWERED,
        shown=frozenset({_C.SENT}),
        step=S.SERVER_VERIFIES_CLIENT,
        because="it ended right after our certificate had gone out",
    ),
    Rule(
        triggers=_ENDED,
        role=_CLIENT,
        progress=_ANSWERED,
        shown=frozenset({_C.EMPTY}),
        step=S.CLIENT_CERTIFICATE,
        because="the server asked for a certificate, none was sent, and it ended right after",
    ),
    Rule(
        triggers=_SILENT,
        role=_CLIENT,
        progress=_ANSWERED,
        shown=frozenset({_C.NOT_ASKED}),
        step=S.KEY_EXCHANGE,
        because="only the server's Finished was due",
    ),
    Rule(
        triggers=_ENDED,
        role=_CLIENT,
        progress=_FINISHED,
        shown=frozenset({_C.SENT}),
        tls13=True,
        ticket=False,
        step=S.SERVER_VERIFIES_CLIENT,
        because="it ended after our certificate had gone out, and before the session ticket that most servers send to "
        "a client they accept",
    ),
    Rule(
        triggers=_ENDED,
        role=_CLIENT,
        progress=_FINISHED,
        shown=frozenset({_C.EMPTY}),
        tls13=True,
        ticket=False,
        step=S.CLIENT_CERTIFICATE,
        because="the server asked for a certificate, none was sent, and it ended before the session ticket that most "
        "servers send to a client they accept",
    ),
    Rule(
        triggers=_SILENT,
        role=_CLIENT,
        progress=_FINISHED,
        shown=frozenset({_C.NOT_ASKED}),
        ticket=True,
        step=S.APPLICATION_DATA,
        because="the server asked for no certificate, and its session ticket shows that the handshake was over",
    ),
    Rule(
        triggers=_SILENT,
        role=_CLIENT,
        progress=_FINISHED,
        shown=frozenset({_C.NOT_ASKED}),
        tls13=False,
        step=S.APPLICATION_DATA,
        because="the server asked for no certificate in the handshake, and in TLS 1.2 its Finished is the last message",
    ),
    Rule(
        triggers=_ENDED,
        role=_SERVER,
        progress=_ANSWERED,
        step=S.CLIENT_VERIFIES_SERVER,
        because="it ended right after our certificate had gone out, as clients do that refuse it without a word",
    ),
    Rule(
        triggers=_SILENT,
        step=None,
        because="it may have been a refusal, a restart or a fault of the network",
    ),
)


def by_trigger(rules: Iterable[Rule]) -> dict[Trigger, tuple[Rule, ...]]:
    """The rules of each trigger, in order."""
    found: dict[Trigger, tuple[Rule, ...]] = {}
    for rule in rules:
        for trigger in rule.triggers:
            found[trigger] = (*found.get(trigger, ()), rule)
    return found


RULES = by_trigger((*ALERT_RULES, *OWN_RULES, *SILENCE_RULES))
