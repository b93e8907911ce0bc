"""The handshake as a picture: the client on the left, the server on the right, one line for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls._certificate import is_self_issued, label, name, printable
from mtls._model import Evidence, HandshakeStep, Role, Side
from mtls._remedy import hint
from mtls._wording import what_happened
from mtls.errors import HandshakeError

if TYPE_CHECKING:
    from cryptography import x509

    from mtls._credentials.keystore import Keystore
    from mtls._rehearsal.result import Handshake

_S = HandshakeStep
_LEFT = 16
_ARROW = 21
_WIDTH = 100
_LINKS = 5
_SHOWN = 3
_ISSUER_LENGTH = 60
_NOT_REACHED = "\N{EN DASH}"
_TO_SERVER = "─" * _ARROW + "▶"
_TO_CLIENT = "◀" + "─" * _ARROW
_NO_ARROW = " " * (_ARROW + 1)


def draw(handshake: Handshake) -> str:
    """The eight steps, each marked done (✓), failed (✗) or not reached, and the failure in words."""
    client = handshake.client_profile.keystore
    who = "client" if client is None else label(client.certificate).removeprefix("CN=")
    shown = None if handshake.server_profile is None else handshake.server_profile.keystore
    server = handshake.server_hostname or ("server" if shown is None else label(shown.certificate))
    lines = [f"{printable(who, 40):<{_LEFT + _ARROW + 7}}{printable(server, 40)}"]
    lines += [_line(handshake, step) for step in HandshakeStep]
    error = handshake.error
    if error is not None:
        lines += _verdict(error)
    if handshake.server_profile is None:
        lines += _remarks(handshake)
    return "\n".join(lines)


def _line(handshake: Handshake, step: HandshakeStep) -> str:
    left, arrow, right = _contents(handshake, step)
    if step in handshake.skipped:
        return f"  {step.value} · {_why_skipped(handshake)}"
    if step in handshake.completed:
        mark = "✓"
    elif step is handshake.failed_step:
        mark = "✗"
        arrow, right = _failed_arrow(handshake, arrow), _failure_note(handshake)
    else:
        return f"  {step.value} {_NOT_REACHED}"
    text = f"  {step.value} {mark} {left:<{_LEFT}} {arrow}  {right}".rstrip()
    return text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"


def _contents(handshake: Handshake, step: HandshakeStep) -> tuple[str, str, str]:
    client = handshake.client_profile
    keystore = None if handshake.server_profile is None else handshake.server_profile.keystore
    early = "(TLS 1.3 does this before the certificates)" if handshake.tls_version == "TLS 1.3" else ""
    match step:
        case _S.CLIENT_HELLO:
            oldest, newest = client.policy.minimum_version.label, client.policy.maximum_version.label
            versions = newest if oldest == newest else f"{oldest} and {newest.removeprefix('TLS ')}"
            sni = "" if handshake.server_hostname is None else f" · SNI {handshake.server_hostname}"
            return "ClientHello", _TO_SERVER, versions + sni
        case _S.SERVER_HELLO:
            chosen = " · ".join(filter(None, (handshake.tls_version, handshake.cipher, handshake.alpn)))
            return "", _TO_CLIENT, f"ServerHello  {chosen}"
        case _S.SERVER_CERTIFICATE:
            return "", _TO_CLIENT, f"Certificate  {_chain(handshake.client.peer_chain, keystore)}"
        case _S.CLIENT_VERIFIES_SERVER:
            return "verifies server", _NO_ARROW, "chain, dates, EKU serverAuth and name are good"
        case _S.CLIENT_CERTIFICATE:
            return "Certificate", _TO_SERVER, _chain(handshake.server.peer_chain, client.keystore)
        case _S.SERVER_VERIFIES_CLIENT:
            seen = "chain, dates, EKU clientAuth good" if handshake.server_profile is not None else "it went on"
            return "", _NO_ARROW, f"verifies client: {seen}"
        case _S.KEY_EXCHANGE:
            return "key exchange", _NO_ARROW, early
        case _:
            status = "" if handshake.http_status is None else f"HTTP status {handshake.http_status}"
            return "data", "◀" + "─" * (_ARROW - 1) + "▶", status


def _failed_arrow(handshake: Handshake, arrow: str) -> str:
    """An alert goes from the side that refused to the other one."""
    error = handshake.error
    if _alert(handshake) is None or not isinstance(error, HandshakeError):
        return arrow
    refused_by_client = (error.role is Role.CLIENT) is (error.side is Side.LOCAL)
    word = f"{' alert ':─^{_ARROW}}"
    return f"{word}▶" if refused_by_client else f"◀{word}"


def _alert(handshake: Handshake) -> str | None:
    """The alert that either side was told."""
    errors = (handshake.client.error, handshake.server.error)
    return next((error.alert for error in errors if isinstance(error, HandshakeError) and error.alert), None)


def _failure_note(handshake: Handshake) -> str:
    error = handshake.error
    failure = error.failure.value if isinstance(error, HandshakeError) else ""
    alert = _alert(handshake)
    return failure if alert in {None, failure} else f"{failure} (alert {alert})"


def _verdict(error: OSError) -> list[str]:
    if not isinstance(error, HandshakeError):
        return [f"Failed, and nothing tells at which step: {error}"]
    where = "Failed at an unknown step" if error.step is None else f"Step {error.step.value} failed"
    seen_by = "" if error.role is None else f" (the {error.role.value} says)"
    return [f"{where}{seen_by}: {what_happened(error)}.", f"  {hint(error)}"]


def _remarks(handshake: Handshake) -> list[str]:
    """What else a probe found out: the server's verdict, the CAs that it asks for, and what the checks say."""
    error = handshake.error
    known = ""
    if isinstance(error, HandshakeError) and error.evidence is Evidence.INFERRED and error.because:
        known = f" (inferred: {error.because})"
    lines = [f"The server's verdict on us: {handshake.server.verdict.value}{known}."]
    issuers = handshake.accepted_issuers
    if issuers:
        fit = {True: "ours is one of them", False: "ours is none of them", None: ""}[handshake.issuer_fits]
        names = ", ".join(printable(issuer, _ISSUER_LENGTH) for issuer in issuers[:_SHOWN])
        more = f" and {len(issuers) - _SHOWN} more" if len(issuers) > _SHOWN else ""
        lines.append(f"It asks for certificates from {names}{more}{fit and '; '}{fit}.")
    told = error.findings if isinstance(error, HandshakeError) else ()
    others = [finding for finding in handshake.findings if finding not in told]
    return lines + [f"{each.severity.value}: {each.message}; {each.remedy}." for each in others[:_SHOWN]]


def _chain(arrived: tuple[x509.Certificate, ...], keystore: Keystore | None) -> str:
    """What arrived and who issued the last of it; what would have been sent where nothing was seen to arrive."""
    sent = arrived or (() if keystore is None else (keystore.certificate, *keystore.chain))
    if not sent:
        return "(none)"
    links = [label(certificate) for certificate in sent[:_LINKS]]
    if len(sent) > _LINKS:
        links.append(f"{len(sent) - _LINKS} more")
    elif not is_self_issued(sent[-1]):
        links.append(name(sent[-1].issuer))
    return " ← ".join(link.removeprefix("CN=") if place else link for place, link in enumerate(links))


def _why_skipped(handshake: Handshake) -> str:
    server = handshake.server_profile
    one_way = handshake.accepted_issuers is None if server is None else server.truststore is None
    return "not part of one-way TLS" if one_way else "the client showed none"
