"""Every fault of the wire: an end without a word, what is no TLS, and a byte that was changed, at each point.

Rule: where nothing tells the step, the fault says ``None``; the points are those at which both versions, or the one
that is named, end alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mtls._model import FailureReason as F
from mtls._model import HandshakeStep as S
from mtls._model import Role, Side, TLSVersion
from mtls.testing._catalogue import BOTH, Fault, FaultGroup
from mtls.testing._cut import DATA, Action, Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.testing._scene import Scene

_V12, _V13 = (TLSVersion.TLSv1_2,), (TLSVersion.TLSv1_3,)
_CLIENT, _SERVER = Role.CLIENT, Role.SERVER
_ENDS = {Action.CLOSE: F.CLOSED, Action.RESET: F.RESET, Action.SILENCE: F.TIMED_OUT}
_ENDED, _ANY_END = (Action.CLOSE, Action.RESET), tuple(_ENDS)
_NONSENSE = (Action.GARBAGE, Action.PLAIN_HTTP)
_DOES = {
    Action.CLOSE: ("closes", "closes the connection"),
    Action.RESET: ("resets", "resets the connection"),
    Action.SILENCE: ("is-silent", "falls silent until the time is out"),
    Action.GARBAGE: ("sends-garbage", "sends bytes that are no TLS"),
    Action.PLAIN_HTTP: ("speaks-http", "speaks plain HTTP"),
}


class _Point(NamedTuple):
    """A moment of the handshake: what was due, and what each end of it comes to."""

    sender: Role
    id: str
    when: str
    messages: tuple[str, ...]
    step: S | None
    actions: tuple[Action, ...]
    versions: tuple[TLSVersion, ...] = BOTH
    two_way_only: bool = False


_POINTS = (
    _Point(
        _CLIENT,
        "before-hello",
        "in place of its ClientHello",
        ("ClientHello",),
        S.CLIENT_HELLO,
        (*_ANY_END, *_NONSENSE),
    ),
    _Point(
        _CLIENT,
        "after-server-certificate",
        "once it has the server's certificate",
        ("Certificate", "ClientKeyExchange", "Finished"),
        S.CLIENT_VERIFIES_SERVER,
        _ENDED,
    ),
    _Point(
        _CLIENT,
        "after-server-certificate",
        "once it has the server's certificate",
        ("Certificate", "ClientKeyExchange", "Finished"),
        None,
        (Action.SILENCE, Action.GARBAGE),
    ),
    _Point(
        _CLIENT,
        "after-certificate",
        "once it has sent its certificate",
        ("CertificateVerify",),
        None,
        (*_ANY_END, Action.GARBAGE),
        two_way_only=True,
    ),
    _Point(
        _SERVER,
        "before-hello",
        "in place of its ServerHello",
        ("ServerHello",),
        S.SERVER_HELLO,
        (*_ANY_END, *_NONSENSE),
    ),
    _Point(
        _SERVER, "before-certificate", "in place of its certificate", ("Certificate",), S.SERVER_CERTIFICATE, _ANY_END
    ),
    _Point(_SERVER, "before-certificate", "in place of its certificate", ("Certificate",), None, (Action.GARBAGE,)),
    _Point(
        _SERVER,
        "after-certificate",
        "once it has sent its certificate",
        ("ServerKeyExchange", "CertificateVerify"),
        None,
        (*_ANY_END, Action.GARBAGE),
    ),
    _Point(
        _SERVER,
        "after-client-certificate",
        "once it has the client's certificate, as servers do that refuse it without a word",
        ("NewSessionTicket", "Finished"),
        S.SERVER_VERIFIES_CLIENT,
        _ENDED,
        _V12,
        two_way_only=True,
    ),
)


class _Change(NamedTuple):
    """A byte that was changed on the way."""

    sender: Role
    id: str
    what: str
    message: str
    step: S
    failure: F = F.TAMPERED
    versions: tuple[TLSVersion, ...] = BOTH
    two_way_only: bool = False


_CHANGES = (
    _Change(
        _CLIENT,
        "certificate",
        "certificate",
        "Certificate",
        S.SERVER_VERIFIES_CLIENT,
        F.BAD_SIGNATURE,
        _V12,
        two_way_only=True,
    ),
    _Change(
        _CLIENT,
        "certificate-verify",
        "proof of its key (CertificateVerify)",
        "CertificateVerify",
        S.SERVER_VERIFIES_CLIENT,
        F.BAD_SIGNATURE,
        _V12,
        two_way_only=True,
    ),
    _Change(
        _CLIENT,
        "encrypted-certificate",
        "encrypted certificate",
        "Certificate",
        S.KEY_EXCHANGE,
        versions=_V13,
        two_way_only=True,
    ),
    _Change(
        _CLIENT,
        "encrypted-certificate-verify",
        "encrypted proof of its key",
        "CertificateVerify",
        S.KEY_EXCHANGE,
        versions=_V13,
        two_way_only=True,
    ),
    _Change(_CLIENT, "finished", "Finished", "Finished", S.KEY_EXCHANGE),
    _Change(_CLIENT, "data", "first application data", DATA, S.APPLICATION_DATA),
    _Change(_SERVER, "hello", "ServerHello (its key share)", "ServerHello", S.KEY_EXCHANGE, versions=_V13),
    _Change(_SERVER, "certificate", "certificate", "Certificate", S.CLIENT_VERIFIES_SERVER, F.BAD_SIGNATURE, _V12),
    _Change(_SERVER, "key-exchange", "signed key exchange", "ServerKeyExchange", S.KEY_EXCHANGE, F.BAD_SIGNATURE, _V12),
    _Change(
        _SERVER, "encrypted-extensions", "encrypted extensions", "EncryptedExtensions", S.KEY_EXCHANGE, versions=_V13
    ),
    _Change(_SERVER, "encrypted-certificate", "encrypted certificate", "Certificate", S.KEY_EXCHANGE, versions=_V13),
    _Change(
        _SERVER,
        "encrypted-certificate-verify",
        "encrypted proof of its key",
        "CertificateVerify",
        S.KEY_EXCHANGE,
        versions=_V13,
    ),
    _Change(_SERVER, "finished", "Finished", "Finished", S.KEY_EXCHANGE),
    _Change(_SERVER, "data", "first application data", DATA, S.APPLICATION_DATA),
)


def _of_points() -> Iterator[Fault]:
    for point in _POINTS:
        for action in point.actions:
            does, described = _DOES[action]
            first = point.id == "before-hello"
            yield Fault(
                id=f"{point.sender.value}-{does}-{point.id}",
                group=FaultGroup.TRANSPORT,
                culprit=point.sender,
                step=point.step,
                failure=_ENDS.get(action, F.NOT_TLS if first else F.MALFORMED),
                side=None if action in _ENDS else Side.LOCAL,
                told_by=point.sender.other,
                description=f"the {point.sender.value} {described} {point.when}",
                versions=point.versions,
                two_way_only=point.two_way_only,
                _stage=_cuts(Cut(sender=point.sender, messages=point.messages, action=action)),
            )


def _of_changes() -> Iterator[Fault]:
    for change in _CHANGES:
        yield Fault(
            id=f"tampered-{change.sender.value}-{change.id}",
            group=FaultGroup.TRANSPORT,
            culprit=change.sender,
            step=change.step,
            failure=change.failure,
            side=Side.LOCAL,
            told_by=change.sender.other,
            description=f"a byte of the {change.sender.value}'s {change.what} is changed on the way",
            versions=change.versions,
            two_way_only=change.two_way_only,
            _stage=_cuts(Cut(sender=change.sender, messages=(change.message,), action=Action.TAMPER)),
        )


def _cuts(cut: Cut) -> Callable[[Scene], None]:
    def stage(scene: Scene) -> None:
        scene.cut = cut

    return stage


FAULTS = (*_of_points(), *_of_changes())
