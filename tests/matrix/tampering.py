"""One byte of one record is changed on the way: who finds it, and what that tells.

Rule: what our own OpenSSL finds is placed by the message that it was in; what the peer finds is placed by its alert, as
far as one alert leaves no other step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mtls import FailureReason as F
from mtls import Role, Side, TLSVersion
from tests.matrix import ours
from tests.matrix.cut import Cut, encrypted
from tests.matrix.expectation import QUIET, Expected
from tests.matrix.relay import Action

if TYPE_CHECKING:
    from collections.abc import Iterator

V12 = TLSVersion.TLSv1_2
_WRITES = (ours.WRITE,)
_JUDGES_LATE = {"Node"}
"""Clients that judge a chain after the handshake."""


def _change(
    name: str,
    units: frozenset[str],
    *,
    towards_us: bool,
    expected: Expected,
    one_way: bool = False,
    uses: tuple[str, ...] = (ours.READ,),
) -> Cut:
    return Cut(
        name=f"tampered: {name}",
        units=units,
        towards_us=towards_us,
        action=Action.TAMPER,
        expected=expected,
        uses=uses,
        one_way=one_way,
    )


def _found(step: int, failure: F, *more: F, open_too: bool = False) -> Expected:
    """Our own OpenSSL finds it."""
    return Expected(
        reason="our own verdict",
        steps=frozenset({step, None} if open_too else {step}),
        exact=frozenset({failure}),
        general=frozenset(more),
        sides=frozenset({Side.LOCAL}),
        carried=not open_too,
    )


def _heard(step: int, failure: F, *, reason: str, sure: frozenset[str] = frozenset(), quiet: bool = False) -> Expected:
    """The peer finds it, and says what it likes: ``sure`` are the alerts that leave no other step."""
    return Expected(
        reason=reason,
        steps=frozenset({None}),
        inferred=frozenset({step}),
        sure=dict.fromkeys(sure, step),
        exact=frozenset({failure, F.CLOSED, F.RESET}),
        general=frozenset(
            {F.PEER_ERROR, F.CERTIFICATE_REJECTED, F.UNKNOWN_CA, F.MALFORMED, F.TAMPERED, F.BAD_SIGNATURE}
        ),
        sides=frozenset({Side.PEER, None}),
        any_alert=True,
        without=QUIET if quiet else "",
    )


_MAC = frozenset({"bad_record_mac"})
_CERTIFICATE_ALERTS = frozenset(
    {"bad_certificate", "unknown_ca", "certificate_unknown", "access_denied", "unsupported_certificate"}
)
_UNTRUE = (F.UNKNOWN_CA, F.CERTIFICATE_REJECTED, F.MALFORMED)


def cuts(peer: str, role: Role, version: TLSVersion) -> Iterator[Cut]:
    """Every change that the relay makes to one record."""
    if role is Role.CLIENT:
        yield from _tampered_for_client(version)
    else:
        yield from _tampered_for_server(peer, version)


def _tampered_for_client(version: TLSVersion) -> Iterator[Cut]:
    judged = "the server judges our certificate and its signature, nothing else (decrypt_error: 6)"
    changed = "it is our Finished, or a record before it, that did not decrypt"
    if version is V12:
        unit = frozenset({"Certificate"})
        yield _change(
            "the server's Certificate",
            unit,
            towards_us=True,
            expected=_found(4, F.BAD_SIGNATURE, *_UNTRUE),
            one_way=True,
        )
        unit = frozenset({"ServerKeyExchange"})
        yield _change("the ServerKeyExchange", unit, towards_us=True, expected=_found(7, F.BAD_SIGNATURE))
        yield _change("the server's Finished", encrypted(1), towards_us=True, expected=_found(7, F.TAMPERED))
        yield _change("the first data", encrypted(2), towards_us=True, expected=_found(8, F.TAMPERED), uses=_WRITES)
        sure = _CERTIFICATE_ALERTS | {"decrypt_error"}
        for name in ("Certificate", "CertificateVerify"):
            expected = _heard(6, F.BAD_SIGNATURE, reason=judged, sure=sure)
            yield _change(f"our {name}", frozenset({name}), towards_us=False, expected=expected)
        expected = _heard(7, F.TAMPERED, reason=changed, sure=_MAC)
        yield _change("our Finished", encrypted(1), towards_us=False, expected=expected)
        expected = _heard(8, F.TAMPERED, reason="both have said Finished", sure=_MAC, quiet=True)
        yield _change("our first data", encrypted(2), towards_us=False, expected=expected, uses=_WRITES)
        return
    for number, name in ((1, "the EncryptedExtensions"), (3, "the server's Certificate"), (5, "the server's Finished")):
        yield _change(name, encrypted(number), towards_us=True, expected=_found(7, F.TAMPERED))
    yield _change("the ticket", encrypted(6), towards_us=True, expected=_found(8, F.TAMPERED, open_too=True))
    for number, name in ((1, "our Certificate"), (2, "our CertificateVerify"), (3, "our Finished")):
        expected = _heard(7, F.TAMPERED, reason=changed, sure=_MAC, quiet=True)
        yield _change(name, encrypted(number), towards_us=False, expected=expected)
        expected = _heard(7, F.TAMPERED, reason="it may as well be our data that did not decrypt", quiet=True)
        yield _change(name, encrypted(number), towards_us=False, expected=expected, uses=_WRITES)
    expected = _heard(8, F.TAMPERED, reason="it may as well be our Finished that did not decrypt", quiet=True)
    yield _change("our first data", encrypted(4), towards_us=False, expected=expected, uses=_WRITES)


def _tampered_for_server(peer: str, version: TLSVersion) -> Iterator[Cut]:
    both = "decrypt_error may mean the chain (4) or the ServerKeyExchange (7)"
    if version is V12:
        unit = frozenset({"Certificate"})
        yield _change("the client's Certificate", unit, towards_us=True, expected=_found(6, F.BAD_SIGNATURE, *_UNTRUE))
        unit = frozenset({"CertificateVerify"})
        yield _change("the CertificateVerify", unit, towards_us=True, expected=_found(6, F.BAD_SIGNATURE))
        yield _change("the client's Finished", encrypted(1), towards_us=True, expected=_found(7, F.TAMPERED))
        yield _change("the first data", encrypted(2), towards_us=True, expected=_found(8, F.TAMPERED))
        expected = _heard(4, F.BAD_SIGNATURE, reason=both, sure=_CERTIFICATE_ALERTS)
        if peer in _JUDGES_LATE:
            expected = _found(6, F.BAD_SIGNATURE)  # it goes on, and signs what it got
        yield _change("our Certificate", frozenset({"Certificate"}), towards_us=False, expected=expected)
        expected = _heard(7, F.BAD_SIGNATURE, reason=both)
        yield _change("our ServerKeyExchange", frozenset({"ServerKeyExchange"}), towards_us=False, expected=expected)
        return
    for number, name in ((1, "the client's Certificate"), (3, "the client's Finished")):
        yield _change(name, encrypted(number), towards_us=True, expected=_found(7, F.TAMPERED))
    yield _change("the first data", encrypted(4), towards_us=True, expected=_found(8, F.TAMPERED))
    expected = _heard(7, F.TAMPERED, reason="what did not decrypt is our part of the handshake", sure=_MAC)
    for number, name in ((1, "our EncryptedExtensions"), (3, "our Certificate"), (5, "our Finished")):
        yield _change(name, encrypted(number), towards_us=False, expected=expected)
