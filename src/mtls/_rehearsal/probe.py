"""``probe``: one real connection to a server, and what it says of us, the late word of TLS 1.3 and of HTTP included.

Rule: everything is over within the time that was given, and a server that we do not accept is asked nothing. What the
server decided is said only where it told or showed it.
"""

from __future__ import annotations

import contextlib
import ssl
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from mtls._handshake.account import of_our_chain
from mtls._handshake.connection import ATTACHED, names_the_cause
from mtls._handshake.hostnames import asked_name
from mtls._handshake.refusal_page import refusal_in_response
from mtls._handshake.trace import Direction
from mtls._model import Evidence, FailureReason, HandshakeStep, Phase, Side, Verdict
from mtls._profile import ClientProfile
from mtls._rehearsal import http
from mtls._rehearsal.capture import recording
from mtls._rehearsal.dialing import Deadline, address_of, dial
from mtls._rehearsal.observed import (
    CLIENT_CERTIFICATE_STEPS,
    findings_of,
    log_of,
    negotiated,
    peer_of,
    readable,
    verdict,
)
from mtls._rehearsal.result import Handshake, HandshakeSide
from mtls._rehearsal.wire import Wire
from mtls.errors import HandshakeError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable

    from mtls._handshake.connection import Connection
    from mtls._handshake.peer import PeerIdentity

_S = HandshakeStep
_CHUNK = 65_536
_WAITING = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


def probe(
    address: str | tuple[str, int],
    profile: ClientProfile,
    *,
    hostname: str | None = None,
    timeout: float = 10.0,
    capture: str | os.PathLike[str] | None = None,
) -> Handshake:
    """Make one real connection to a server, wait for its last word, and tell what both sides made of each other.

    ``address`` is ``"host:port"`` (port 443 if none is given; an IPv6 address in brackets), or a pair of host and port.
    ``hostname`` is the name that the server is asked for and must prove, the host of the address if left out.
    ``timeout`` is in seconds and holds for everything together, the name lookup included.

    A refused handshake is a result, not an exception: see :class:`Handshake`. A server that the profile does not accept
    fails at step 4, with the findings, and is sent nothing but an alert. To an accepted one it sends one ``GET /``, in
    HTTP/1.1 or, where ``alpn=`` of the profile led to it, HTTP/2, and reads the head of the answer: in TLS 1.3 a
    refusal comes after the handshake, and some servers (nginx, Apache) refuse a client certificate only in HTTP, with
    a status of 400 or 403 and the reason on the page. Such a refusal is step 5 or 6, ``inferred``. (It is no ``HEAD``,
    because its answer has no page, and the status alone does not tell.) Where another protocol was negotiated nothing
    is sent, and the wait ends with the first data, with the session ticket of a server that accepts, or by time-out.

    With ``capture``, a path, the whole connection is written there as pcapng, **with the secrets that decrypt it**: a
    new file (mode 0600) for Wireshark, also if the handshake fails. A warning is logged. Keys are not in it; whoever
    has the file can read the connection.

    Raises :class:`UsageError` for a wrong profile, address, name or time-out, a host that ``hosts=`` does not list, and
    a capture file that is there already; :class:`ConfigurationError` if the profile has errors of its own; and what
    fails before step 1 as it is: :class:`socket.gaierror`, :class:`ConnectionRefusedError`, :class:`TimeoutError`.
    """
    if not isinstance(profile, ClientProfile):
        text = f"probe() takes a ClientProfile, which TLSProfile.client() makes, not {type(profile).__name__}"
        raise UsageError(text)
    target, deadline = address_of(address), Deadline(timeout)
    asked_name(target.name, ())
    name = asked_name(target.name if hostname is None else hostname, profile.hosts)
    began = datetime.now(UTC)
    with recording(capture) as recorder:
        context = profile._observed_context(key_log=None if recorder is None else recorder.key_log)
        memory = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(*memory, server_hostname=name)
        with dial(target, deadline) as sock:
            visit = _Visit(tls, Wire(sock, *memory, deadline, recorder), http.Authority(name, target.port))
            visit.make()
    return visit.handshake(began, deadline)


class _Visit:
    """One connection: its handshake, the question after it, and what came of both."""

    def __init__(self, tls: Any, wire: Wire, authority: http.Authority) -> None:
        self._tls = tls
        self._wire = wire
        self._authority = authority
        self._error: OSError | None = None
        self._finished = False
        self._peer: PeerIdentity | None = None
        self._heard = False
        self._answer: http.Answer | None = None
        tls._mtls.address = wire.address

    def make(self) -> None:
        """Do all of it; what fails is kept."""
        self._finished = self._attempt(self._shake, Phase.HANDSHAKE)
        self._peer = peer_of(self._tls) if self._finished else None  # after an alert OpenSSL says nothing of the peer
        if self._finished and self._attempt(self._converse, Phase.FIRST_READ):
            with contextlib.suppress(OSError):
                self._tls.unwrap()
        self._wire.leave()
        if self._error is None and self._answer is not None:
            self._error = self._refused_in(self._answer)

    def _attempt(self, action: Callable[[], None], phase: Phase) -> bool:
        try:
            action()
        except HandshakeError as error:
            self._error = error
        except OSError as cause:
            self._error = self._explained(cause, phase)
        return self._error is None

    def _explained(self, cause: OSError, phase: Phase) -> OSError | None:
        """What the end of the connection means; nothing if the server had answered."""
        if self._heard and not names_the_cause(getattr(cause, ATTACHED, None)):
            return None
        error = getattr(cause, ATTACHED, None) or self._tls._explain(self._tls._sslobj, cause, phase)
        if not isinstance(error, HandshakeError):
            return cause
        error.__cause__ = cause
        return error

    def _shake(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except _WAITING:
                self._wire.send()
                self._wire.receive()
            else:
                return self._wire.send()

    def _converse(self) -> None:
        exchange = http.exchange(self._tls.selected_alpn_protocol(), self._authority)
        if exchange is not None:
            self._say(exchange.request)
        while not self._is_over(exchange):
            try:
                data = self._tls.read(_CHUNK)
            except _WAITING:
                self._wire.send()
                self._wire.receive()
                continue
            if not data:
                if self._heard:
                    return
                text = "the server closed the connection before it sent anything"
                raise ssl.SSLZeroReturnError(ssl.SSL_ERROR_ZERO_RETURN, text)
            self._heard = True
            if exchange is not None:
                self._say(exchange.feed(data))
                self._answer = exchange.answer

    def _say(self, data: bytes) -> None:
        if data:
            self._tls.write(data)
            self._wire.send()

    def _is_over(self, exchange: http.Exchange | None) -> bool:
        """Whether there is nothing left to wait for."""
        if exchange is not None:
            return exchange.done
        return self._heard or self._has_accepted()

    def _has_accepted(self) -> bool:
        """Whether the server has shown that its handshake ended well: in TLS 1.2 its Finished comes last."""
        session = self._tls._sslobj.session
        return self._tls.version() == "TLSv1.2" or (session is not None and bool(session.has_ticket))

    def _refused_in(self, answer: http.Answer) -> HandshakeError | None:
        """The refusal of our certificate by a page."""
        connection: Connection = self._tls._mtls
        settings, log = connection.settings, log_of(self._tls)
        if answer.status is None:
            return None
        showed = connection.showed_certificate(self._tls._sslobj)
        found = refusal_in_response(answer.status, answer.headers, answer.body, showed_certificate=showed)
        if found is None:
            return None
        now = datetime.now(UTC)
        ours = found.step is _S.SERVER_VERIFIES_CLIENT
        return HandshakeError(
            failure=found.failure,
            step=found.step,
            side=Side.PEER,
            evidence=Evidence.INFERRED,
            phase=Phase.RESPONSE,
            because=found.because,
            account=(lambda: of_our_chain(settings, log.authorities or (), found.failure, now)) if ours else None,
            **connection._facts(self._tls._sslobj),
        )

    # --- the result ---

    def handshake(self, began: datetime, deadline: Deadline) -> Handshake:
        """What is known of it."""
        tls, error = self._tls, self._error
        log, fields = log_of(tls), negotiated(tls)
        verdict_on_us = self._verdict_on_us()
        completed = self._completed(verdict_on_us)
        failed = error.step if isinstance(error, HandshakeError) else None
        nothing_shown = fields["accepted_issuers"] is None or (not log.own_chain and verdict_on_us is Verdict.ACCEPTED)
        one_way = self._finished and nothing_shown and failed not in CLIENT_CERTIFICATE_STEPS
        return Handshake(
            client=HandshakeSide(
                error=error,
                peer=self._peer,
                peer_chain=readable(log.peer_chain),
                trace=log.events,
                verdict=verdict(error, accepted=_S.CLIENT_VERIFIES_SERVER in completed),
            ),
            server=HandshakeSide(
                error=None, peer=None, peer_chain=readable(log.own_chain or ()), trace=(), verdict=verdict_on_us
            ),
            completed=completed - {failed},
            skipped=CLIENT_CERTIFICATE_STEPS if one_way else frozenset(),
            server_hostname=tls._mtls.server_hostname,
            client_profile=tls.context.profile,
            server_profile=None,
            address=self._wire.address,
            http_status=None if self._answer is None else self._answer.status,
            began=began,
            duration=deadline.spent(),
            _look=findings_of(tls, error, datetime.now(UTC)),
            **fields,
        )

    def _verdict_on_us(self) -> Verdict:
        error = self._error
        if error is None or self._heard:
            refused = isinstance(error, HandshakeError) and error.phase is Phase.RESPONSE
            return Verdict.REFUSED if refused else Verdict.ACCEPTED
        if not isinstance(error, HandshakeError) or error.side is Side.LOCAL:
            return Verdict.UNKNOWN
        if error.step is _S.APPLICATION_DATA:
            return Verdict.ACCEPTED
        if error.side is Side.PEER or error.step in CLIENT_CERTIFICATE_STEPS:
            return Verdict.REFUSED
        waits = self._finished and error.failure is FailureReason.TIMED_OUT and self._has_accepted()
        return Verdict.ACCEPTED if waits else Verdict.UNKNOWN

    def _completed(self, verdict_on_us: Verdict) -> frozenset[HandshakeStep]:
        log = log_of(self._tls)
        sent, shown = bool(log.peer_chain), bool(log.own_chain)
        answered = log.saw("Finished", Direction.SENT) or log.saw("ClientKeyExchange", Direction.SENT)
        done = {
            _S.CLIENT_HELLO: any(event.direction is Direction.RECEIVED for event in log.events),
            _S.SERVER_HELLO: log.saw("ServerHello", Direction.RECEIVED),
            _S.SERVER_CERTIFICATE: sent,
            _S.CLIENT_VERIFIES_SERVER: sent and answered,
            _S.CLIENT_CERTIFICATE: shown,
            _S.SERVER_VERIFIES_CLIENT: shown and verdict_on_us is Verdict.ACCEPTED,
            _S.KEY_EXCHANGE: self._finished,
            _S.APPLICATION_DATA: self._heard,
        }
        return frozenset(step for step, so in done.items() if so)
