"""Every fault of the hellos: what the two sides do not have in common, and what a server says no to.

Rule: Python's ``ssl`` has servers go on where no application protocol fits and take any server name, so those two
refusals are played: the alert is what servers of other kinds send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtls._model import FailureReason as F
from mtls._model import HandshakeStep, Role, Side, TLSVersion
from mtls.testing._catalogue import BOTH, Demand, Fault, FaultGroup
from mtls.testing._cut import Action, Cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.testing._scene import Scene

_CLIENT, _SERVER = Role.CLIENT, Role.SERVER
_V12, _V13 = (TLSVersion.TLSv1_2,), (TLSVersion.TLSv1_3,)
_TLS10, _TLS11 = 0x0301, 0x0302
_RARE = (
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "DHE-RSA-AES256-SHA256",
    "AES256-SHA256",
    "ECDHE-ECDSA-AES256-CCM8",
)
"""Suites of TLS 1.2 that a policy leaves out more often than not."""
_ALERTS = (
    ("alpn", 120, F.ALPN, "speaks no application protocol (ALPN) that was offered (alert no_application_protocol)"),
    (
        "name",
        112,
        F.UNRECOGNIZED_NAME,
        "does not know the server name (SNI) that was asked for (alert unrecognized_name)",
    ),
    ("version", 70, F.PROTOCOL_VERSION, "takes none of the versions that were offered (alert protocol_version)"),
    ("ciphers", 71, F.NO_SHARED_CIPHER, "finds the ciphers that were offered too weak (alert insufficient_security)"),
    ("hello", 40, F.PEER_ERROR, "refuses the ClientHello without a reason (alert handshake_failure)"),
    ("work", 80, F.PEER_ERROR, "has a fault of its own (alert internal_error)"),
)


def _fault(  # noqa: PLR0913 - the fields in which these differ
    fault_id: str,
    culprit: Role,
    failure: F,
    stage: Callable[[Scene], None],
    description: str,
    *,
    versions: tuple[TLSVersion, ...] = BOTH,
    demand: Demand | None = None,
) -> Fault:
    return Fault(
        id=fault_id,
        group=FaultGroup.NEGOTIATION,
        culprit=culprit,
        step=HandshakeStep.SERVER_HELLO,
        failure=failure,
        side=Side.LOCAL,
        told_by=_SERVER,  # it is the server that chooses, or cannot
        description=description,
        versions=versions,
        demand=demand,
        _stage=stage,
    )


def _old_version(scene: Scene) -> None:
    def tweak(context: Any) -> None:
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version, context.maximum_version = _TLS10, _TLS11

    scene.tweak(scene.fault.culprit, tweak)


def _another_version(scene: Scene) -> None:
    from dataclasses import replace

    wanted = scene.judge.policy
    oldest, newest = TLSVersion.TLSv1_2, TLSVersion.TLSv1_3
    if wanted.minimum_version != wanted.maximum_version:
        why, remedy = "the policy allows both versions", "test a profile of one version with it"
        scene.add(why, remedy, policy=replace(wanted, minimum_version=newest))
    other = oldest if scene.judge.policy.minimum_version == newest else newest
    scene.change(policy=replace(scene.culprit.policy, minimum_version=other, maximum_version=other))


def _another_cipher(scene: Scene) -> None:
    from dataclasses import replace

    taken = {cipher["name"] for cipher in scene.judge.ssl_context().get_ciphers()}
    rare = next((name for name in _RARE if name not in taken), None)
    if rare is None:
        scene.refuse("the policy leaves no cipher out", "test a narrower policy with it")
    scene.change(policy=replace(scene.culprit.policy, ciphers=(rare,)))


def _another_group(scene: Scene) -> None:
    scene.never_as_it_is("Python cannot set the groups of a profile before 3.15", "rehearse it in Fault.run()")
    scene.tweak(scene.fault.culprit, lambda context: context.set_ecdh_curve("secp521r1"))
    scene.tweak(scene.fault.culprit.other, lambda context: context.set_ecdh_curve("prime256v1"))


def _refusals() -> Iterator[Fault]:
    for name, number, failure, described in _ALERTS:
        cut = Cut(sender=_SERVER, messages=("ServerHello",), action=Action.ALERT, alert=number)
        yield Fault(
            id=f"server-refuses-{name}",
            group=FaultGroup.NEGOTIATION,
            culprit=_SERVER,
            step=HandshakeStep.SERVER_HELLO,
            failure=failure,
            side=Side.PEER,
            told_by=_CLIENT,
            description=f"the server {described}",
            _stage=_cuts(cut),
        )


def _cuts(cut: Cut) -> Callable[[Scene], None]:
    def stage(scene: Scene) -> None:
        scene.cut = cut

    return stage


FAULTS = (
    _fault("client-old-version", _CLIENT, F.PROTOCOL_VERSION, _old_version, "the client knows TLS 1.1 and older only"),
    _fault(
        "server-old-version",
        _SERVER,
        F.PROTOCOL_VERSION,
        _old_version,
        "the server knows TLS 1.1 and older only",
        versions=_V13,  # of a client that offers TLS 1.2 only such a server misses ciphers first
    ),
    _fault(
        "client-other-version",
        _CLIENT,
        F.PROTOCOL_VERSION,
        _another_version,
        "the client offers only the one of TLS 1.2 and 1.3 that the server does not allow",
        demand=Demand.NARROW,
    ),
    _fault(
        "client-other-ciphers",
        _CLIENT,
        F.NO_SHARED_CIPHER,
        _another_cipher,
        "the client offers only a cipher suite that the server does not allow",
        versions=_V12,
        demand=Demand.NARROW,
    ),
    _fault(
        "client-other-group",
        _CLIENT,
        F.NO_SHARED_GROUP,
        _another_group,
        "the client offers only a key exchange group that the server does not allow",
        versions=_V13,  # in TLS 1.2 it is the cipher suites that then do not fit
        demand=Demand.NARROW,
    ),
    *_refusals(),
)
