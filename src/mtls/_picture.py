"""The handshake as a picture: the client on the left, the server on the right, one line for each step."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls._certificate import is_self_issued, label, name, printable
from mtls._model import HandshakeStep, Role, Side
from mtls._remedy import hint
from mtls._wording import what_happened
from mtls.errors import HandshakeError

if TYPE_CHECKING:
    from cryptography import x509

    from mtls._credentials.keystore import Keystore
    from mtls._rehearsal import Handshake

_S = HandshakeStep
_LEFT = 16
_ARROW = 21
_WIDTH = 100
_NOT_REACHED = "\N{EN DASH}"
_TO_SERVER = "─" * _ARROW + "▶"
_TO_CLIENT = "◀" + "─" * _ARROW
_NO_ARROW = " " * (_ARROW + 1)


def draw(handshake: Handshake) -> str:
    """The eight steps, each marked done (✓), failed (✗) or not reached, and the failure in words."""
    client = handshake.client_profile.keystore
    who = "client" if client is None else label(client.certificate).removeprefix("CN=")
    shown = handshake.server_profile.keystore
    server = handshake.server_hostname or ("server" if shown is None else label(shown.certificate))
    lines = [f"{printable(who, 40):<{_LEFT + _ARROW + 7}}{printable(server, 40)}"]
    lines += [_line(handshake, step) for step in HandshakeStep]
    error = handshake.error
    if error is not None:
        lines += _verdict(error)
    return "\n".join(lines)


def _line(handshake: Handshake, step: HandshakeStep) -> str:
    left, arrow, right = _contents(handshake, step)
    if step in handshake.skipped:
        return f"  {step.value} · {'not part of one-way TLS' if _one_way(handshake) else 'the client showed none'}"
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
    client, server = handshake.client_profile, handshake.server_profile
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
            return "", _TO_CLIENT, f"Certificate  {_chain(handshake.client.peer_chain, server.keystore)}"
        case _S.CLIENT_VERIFIES_SERVER:
            return "verifies server", _NO_ARROW, "chain, dates, EKU serverAuth and name are good"
        case _S.CLIENT_CERTIFICATE:
            return "Certificate", _TO_SERVER, _chain(handshake.server.peer_chain, client.keystore)
        case _S.SERVER_VERIFIES_CLIENT:
            return "", _NO_ARROW, "verifies client: chain, dates, EKU clientAuth good"
        case _S.KEY_EXCHANGE:
            return "key exchange", _NO_ARROW, early
        case _:
            return "data", "◀" + "─" * (_ARROW - 1) + "▶", ""


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


def _chain(arrived: tuple[x509.Certificate, ...], keystore: Keystore | None) -> str:
    """What arrived and who issued the last of it; what would have been sent where nothing was seen to arrive."""
    if keystore is None:
        return "(none)"
    sent = arrived or (keystore.certificate, *keystore.chain)
    links = [label(certificate) for certificate in sent]
    if not is_self_issued(sent[-1]):
        links.append(name(sent[-1].issuer))
    return " ← ".join(link.removeprefix("CN=") if place else link for place, link in enumerate(links))


def _one_way(handshake: Handshake) -> bool:
    return handshake.server_profile.truststore is None
