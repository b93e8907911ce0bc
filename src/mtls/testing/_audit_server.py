"""The audit of a running server, by its address.

Rule: a connection that stands is an acceptance only once the server has had the time to say no: in TLS 1.3 it says so
after the handshake, and an application says so in HTTP.
"""

from __future__ import annotations

import socket
import ssl
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mtls._handshake.explain import explain
from mtls._model import Role, Side
from mtls.errors import HandshakeError, UsageError
from mtls.testing._audit_context import StandIns, refused, shown_by
from mtls.testing._audit_report import AuditOutcome, AuditResult
from mtls.testing._catalogue import Demand
from mtls.testing._scene import NotApplicableError, unchecked

if TYPE_CHECKING:
    from mtls.authority import CertificateAuthority
    from mtls.testing._catalogue import Fault

_REFUSALS = frozenset({400, 401, 403, 495, 496})
"""HTTP status codes with which a server, or the application behind it, refuses a client (495 and 496 are nginx's)."""
_PATIENCE = 0.3
"""Seconds that a server which has accepted a client may take to close on it."""
_HTTPS = 443
_CHUNK = 65536


class _Verdict(NamedTuple):
    """What a server made of a client: an error, an HTTP status, or neither."""

    error: BaseException | None = None
    status: int | None = None

    @property
    def good(self) -> bool:
        return self.error is None and self.status not in _REFUSALS


class ServerDriver:
    """A server at an address."""

    role = Role.SERVER
    shows_certificate: bool | None = None
    tells_rules = False

    def __init__(
        self, target: str, authority: CertificateAuthority | None, peer: Any, hostname: str | None, timeout: float
    ) -> None:
        self._host, self._port, self._path = _parsed(target)
        self.name = f"{self._host}:{self._port}"
        self._timeout = timeout
        self._stage = StandIns(Role.SERVER, authority, peer, hostname, shown_by(self._bare_visit, self.name))
        self._hostname = hostname or self._host

    def good(self) -> str | None:
        verdict = self._visit(unchecked(self._stage.good_peer))
        if verdict.error is not None:
            return f"{explain(verdict.error) or verdict.error}"
        return None if verdict.good else f"HTTP {verdict.status}"

    def attempt(self, fault: Fault) -> AuditResult:
        if fault.demand is Demand.STRICT:
            raise NotApplicableError(fault, "how strictly it reads RFC 5280 is its own choice", "audit its context")
        scene = self._stage.scene(fault)
        if scene.cut is not None:
            raise NotApplicableError(fault, "the wire is not tried on a server at an address", "audit its context")
        verdict = self._visit(scene.context(Role.CLIENT))
        found = None if verdict.error is None else explain(verdict.error)
        if isinstance(found, HandshakeError) and found.side is Side.LOCAL:
            note = f"the client of the audit came no further: {found}"
            return AuditResult(fault=fault, outcome=AuditOutcome.NOT_TRIED, note=note)
        if verdict.good:
            note = "" if verdict.status is None else f"it answered HTTP {verdict.status}"
            return AuditResult(fault=fault, outcome=AuditOutcome.ACCEPTED, note=note)
        if verdict.error is None:
            note = f"by HTTP {verdict.status}"
            return AuditResult(fault=fault, outcome=AuditOutcome.REFUSED, note=note, http_status=verdict.status)
        return refused(fault, verdict.error)

    def _visit(self, context: ssl.SSLContext) -> _Verdict:
        with (
            socket.create_connection((self._host, self._port), self._timeout) as raw,
            context.wrap_socket(raw, server_hostname=self._hostname, do_handshake_on_connect=False) as tls,
        ):
            try:
                tls.do_handshake()
                return self._asked(tls) if self._path is not None else self._waited(tls)
            except OSError as error:
                return _Verdict(error)

    def _asked(self, tls: ssl.SSLSocket) -> _Verdict:
        host = f"[{self._host}]" if ":" in self._host else self._host
        tls.sendall(f"GET {self._path} HTTP/1.1\r\nHost: {host}:{self._port}\r\nConnection: close\r\n\r\n".encode())
        answer = b""
        while b"\r\n" not in answer and (more := tls.recv(4096)):
            answer += more
        words = answer.split(b" ", 2)
        if len(words) > 1 and words[0].startswith(b"HTTP/") and words[1][:3].isdigit():
            return _Verdict(status=int(words[1][:3]))
        return _Verdict() if answer else _Verdict(ConnectionResetError("the server closed without an answer"))

    def _waited(self, tls: ssl.SSLSocket) -> _Verdict:
        """Give it the time to say no; a session ticket, and the end of a handshake of TLS 1.2, say yes."""
        deadline = time.monotonic() + self._timeout
        tls.settimeout(_PATIENCE)
        while True:
            try:
                data = tls.recv(1)
            except TimeoutError:
                session = tls.session
                accepted = tls.version() != "TLSv1.3" or (session is not None and session.has_ticket)
                if accepted or time.monotonic() > deadline:
                    return _Verdict()
            else:
                return _Verdict() if data else _Verdict(ConnectionResetError("the server closed without a word"))

    def _bare_visit(self, bare: ssl.SSLContext) -> Any:
        with socket.create_connection((self._host, self._port), self._timeout) as raw:
            tls = bare.wrap_bio(incoming := ssl.MemoryBIO(), outgoing := ssl.MemoryBIO(), server_hostname=self._host)
            while True:
                try:
                    tls.do_handshake()
                except ssl.SSLWantReadError:
                    raw.sendall(outgoing.read())
                    data = raw.recv(_CHUNK)
                    if data:
                        incoming.write(data)
                    else:
                        incoming.write_eof()
                except ssl.SSLError:
                    return tls
                else:
                    return tls


def _parsed(target: str) -> tuple[str, int, str | None]:
    """Host, port and (of a URL) path."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(target if "://" in target else f"//{target}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    url = parts.scheme == "https"
    if not host or parts.scheme not in {"", "https"} or (port is None and not url):
        text = f"a server is given as 'https://host:port/path' or 'host:port', not {target!r:.100}"
        raise UsageError(text)
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    return host, port or _HTTPS, path if url else None
