"""Where the transport breaks, and what of it the evidence tells: the points of a handshake, as data.

Rule: after an end without a word nobody knows who was to blame: ``None`` is right, and so is, as ``inferred``, a step
that was in progress. Only before the first answer is there no other step than that one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mtls import FailureReason as F
from mtls import Role, Side, TLSVersion
from tests.matrix import ours, tampering
from tests.matrix.cut import Cut, encrypted
from tests.matrix.expectation import QUIET, Expected
from tests.matrix.relay import CHANGE, Action

if TYPE_CHECKING:
    from collections.abc import Iterator

V12, V13 = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
_ONE_TICKET = {"Java", "Go", "Caddy"}
"""Servers that send one session ticket in TLS 1.3 where the others send two."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A moment of the handshake: before one of these units is passed on."""

    name: str
    units: frozenset[str]
    certain: int | None = None
    """The only step that there was so far."""
    open: frozenset[int] = frozenset()
    """The steps in progress, or that the peer may have ended it for."""
    shaken: bool = False
    """Our own handshake is over: no error need be raised."""
    uses: tuple[str, ...] = (ours.READ,)


def _before(unit: str, *steps: int, certain: int | None = None) -> Point:
    return Point(name=f"before the {unit}", units=frozenset({unit}), open=frozenset(steps), certain=certain)


def _at(name: str, units: frozenset[str], *steps: int) -> Point:
    return Point(name=name, units=units, open=frozenset(steps))


def _after(name: str, units: frozenset[str], *steps: int, uses: tuple[str, ...] = (ours.WRITE,)) -> Point:
    return Point(name=name, units=units, open=frozenset(steps), shaken=True, uses=uses)


_OURS_GONE = "after our certificate"
_NO_DATA = "before any data"

_CLIENT: dict[TLSVersion, tuple[Point, ...]] = {
    V12: (
        _before("ServerHello", certain=2),
        _before("Certificate", 3),
        _before("ServerKeyExchange", 7),  # our OpenSSL judges the certificate as soon as it is there
        _before("CertificateRequest", 7),
        _before("ServerHelloDone", 7),
        _at(_OURS_GONE, frozenset({"NewSessionTicket", CHANGE}), 6),
        _at("before the server's Finished", encrypted(1), 6, 7),
        _after(_NO_DATA, encrypted(2), 6, 8),
    ),
    V13: (
        _before("ServerHello", certain=2),
        _at("before the EncryptedExtensions", encrypted(1), 2, 3),
        _at("before the CertificateRequest", encrypted(2), 3),
        _at("before the Certificate", encrypted(3), 3),
        _at("before the CertificateVerify", encrypted(4), 4),
        _at("before the server's Finished", encrypted(5), 7),
        _after(_OURS_GONE, encrypted(6), 6, uses=ours.USES),
        _after(_NO_DATA, encrypted(8), 6, 8),
    ),
}
"""What a client of ours waits for, of a two-way server."""

_SERVER: dict[TLSVersion, tuple[Point, ...]] = {
    V12: (
        _before("ClientHello", certain=1),
        _at("before the client's Certificate", frozenset({"Certificate"}), 4),
        _before("ClientKeyExchange", 7),
        _before("CertificateVerify", 6, 7),
        _at("before the client's Finished", encrypted(1), 7),
        _after(_NO_DATA, encrypted(2), 8),
    ),
    V13: (
        _before("ClientHello", certain=1),
        _at("before the client's Certificate", encrypted(1), 4),
        _at("before the CertificateVerify", encrypted(2), 6),
        _at("before the client's Finished", encrypted(3), 7),
        _after(_NO_DATA, encrypted(4), 8),
    ),
}
"""What a server of ours waits for."""

_ENDS = {
    Action.CLOSE: (frozenset({F.CLOSED}), frozenset({F.RESET})),
    Action.RESET: (frozenset({F.RESET}), frozenset({F.CLOSED})),  # 3.11 says EOF where 3.13 says EPIPE (M21)
    Action.SILENCE: (frozenset({F.TIMED_OUT}), frozenset[F]()),
}
_NO_SENSE = frozenset({F.MALFORMED, F.NOT_TLS, F.TAMPERED})


def cuts(peer: str, role: Role, version: TLSVersion, *, silence: bool) -> Iterator[Cut]:
    """Every break of one peer; those by silence take the time of a time-out."""
    for point in _points(peer, role, version):
        for action in (Action.CLOSE, Action.RESET, Action.GARBAGE, *([Action.SILENCE] if silence else [])):
            if (action, point.certain) != (Action.RESET, 1):  # that meets wrap_socket before TLS: no handshake failure
                yield _cut(point, action)
        if point.certain == 2:
            yield _cut(point, Action.HTTP)
    yield from tampering.cuts(peer, role, version)
    if role is Role.CLIENT:
        yield from _one_way(version)


def _points(peer: str, role: Role, version: TLSVersion) -> tuple[Point, ...]:
    points = (_CLIENT if role is Role.CLIENT else _SERVER)[version]
    if role is Role.CLIENT and version is V13 and peer in _ONE_TICKET:
        return (*points[:-1], replace(points[-1], units=encrypted(7)))
    return points


def _cut(point: Point, action: Action) -> Cut:
    return Cut(
        name=f"{action} {point.name}",
        units=point.units,
        towards_us=True,
        action=action,
        uses=point.uses,
        expected=_senseless(point) if action in {Action.GARBAGE, Action.HTTP} else _ended(point, action),
    )


def _ended(point: Point, action: Action) -> Expected:
    exact, general = _ENDS[action]
    return Expected(
        reason="nothing else has happened yet" if point.certain else "nobody says why it ended",
        steps=frozenset({point.certain}),
        inferred=point.open,
        exact=exact,
        general=general,
        sides=frozenset({None}),
        without=QUIET if point.shaken else "",
    )


def _senseless(point: Point) -> Expected:
    first = point.certain is not None
    return Expected(
        reason="what arrives first is no TLS"
        if first
        else "bytes without sense: who sent them, and why, they do not say",
        steps=frozenset({point.certain}) if first else frozenset({None, 8} if point.shaken else {None, *point.open}),
        exact=frozenset({F.NOT_TLS}) if first else _NO_SENSE,
        sides=frozenset({Side.LOCAL}),
        carried=first,
    )


def _one_way(version: TLSVersion) -> Iterator[Cut]:
    """A server that asked for nothing closes: that is no refusal of a certificate."""
    for bare, whose in ((False, "a keystore that nobody asked for"), (True, "no keystore")):
        certain = 8 if bare and version is V12 else None
        yield Cut(
            name=f"close before any data, {whose}",
            units=encrypted(2 if version is V12 else 5),
            towards_us=True,
            action=Action.CLOSE,
            expected=Expected(
                reason="the server asked for no certificate, so it refused none",
                steps=frozenset({certain, None}),
                inferred=frozenset({8}),
                exact=frozenset({F.CLOSED}),
                general=frozenset({F.RESET}),
                sides=frozenset({None}),
                without=QUIET,
            ),
            uses=(ours.WRITE,) if version is V12 else (ours.READ, ours.WRITE),
            one_way=True,
            bare=bare,
        )
