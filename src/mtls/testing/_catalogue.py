"""A fault as a value, and the collection that holds all of them.

Rule: a fault says beforehand with which step, failure and side a good pair ends once it is put into it, on which
versions; what puts it there is loaded when it runs.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, overload

from mtls._model import FailureReason, HandshakeStep, Role, Side, TLSVersion
from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mtls._profile import ClientProfile, ServerProfile
    from mtls._rehearsal.result import Handshake
    from mtls.testing._authorities import Authority
    from mtls.testing._scene import Scene

BOTH = (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)


class FaultGroup(enum.StrEnum):
    """What a fault is about."""

    CLIENT_CERTIFICATE = "client_certificate"
    """What the client shows, or does not; the server refuses it."""
    SERVER_CERTIFICATE = "server_certificate"
    """What the server shows; the client refuses it."""
    NEGOTIATION = "negotiation"
    """What the hellos offer and choose."""
    TRANSPORT = "transport"
    """What happens on the wire."""


class Demand(enum.StrEnum):
    """A rule without which a fault is none: whoever does not have it refuses nothing."""

    CRLS = "a CRL of the authority"
    AUTHORIZE = "authorize="
    EKU_REQUIRED = "eku=EKUPolicy.REQUIRED"
    STRICT = "chain_rules=ChainRules.STRICT"
    NARROW = "a policy that leaves something out"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Fault:
    """One thing that is wrong with one side of a connection, and how it ends.

    ``id``
        its name, for instance ``client-expired``.
    ``group``, ``description``
        what it is about.
    ``culprit``
        the role that has the fault; the other one has to refuse it, or to survive it.
    ``step``, ``failure``, ``side``
        what ``Handshake.failed_step`` and ``Handshake.error`` say: ``side`` is told from the side whose error that is,
        ``told_by``. ``"local"``: this side refused; ``"peer"``: it was told; ``None``: the transport ended without a
        word. ``step`` is ``None`` where nothing tells it.
    ``versions``
        the TLS versions on which it ends so; on the others there is no such message.
    ``two_way_only``
        whether it needs a server that demands a client certificate.
    ``demand``
        the rule that the other side needs to refuse it; :meth:`run` adds it to its copy where it is missing.

    Faults are equal by identity, hashed, and pickled by their ``id``.
    """

    id: str
    group: FaultGroup
    culprit: Role
    step: HandshakeStep | None
    failure: FailureReason
    side: Side | None
    description: str
    versions: tuple[TLSVersion, ...] = BOTH
    two_way_only: bool = False
    demand: Demand | None = None
    told_by: Role = field(kw_only=True)
    _stage: Callable[[Scene], None]

    def run(
        self,
        client_profile: ClientProfile,
        server_profile: ServerProfile,
        authority: Authority,
        *,
        hostname: str | None = None,
    ) -> Handshake:
        """A handshake in memory between this pair with this fault in it.

        The profiles are good ones, and stay as they are: the culprit's copy gets the fault, without the check of its
        own side that would stop it. ``authority`` (or a ``trustme.CA``) issues the faulty certificates, so the other
        side must trust it. ``hostname`` is what the client asks for, by default a name of the server's certificate.

        Where the other side has no rule that could refuse the fault (``demand``), its copy gets one; to know whether
        *your* profile has it use :func:`~mtls.testing.assert_refuses`. A fault that is not refused is a result, too.
        Raises :class:`~mtls.UsageError` where the fault does not apply to this pair, and
        :class:`~mtls.ConfigurationError` if the other side has errors of its own.
        """
        __tracebackhide__ = True
        from mtls.testing._scene import run

        return run(self, client_profile, server_profile, authority, hostname)

    def __str__(self) -> str:
        return self.id

    def __repr__(self) -> str:
        step = "no known step" if self.step is None else f"step {self.step.value}"
        return f"<Fault {self.id}: {step}, {self.failure.value}, side {self.side or 'unknown'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.id,)

    def __copy__(self) -> Fault:
        return self

    def __deepcopy__(self, _: object) -> Fault:
        return self


def _again(fault_id: str) -> Fault:
    from mtls.testing import FAULTS

    return FAULTS[fault_id]


class Faults(Sequence[Fault]):
    """Faults in order: iterate, parametrize, or look one up by its ``id``.

    ``FAULTS["client-expired"]`` is one of them, ``FAULTS.transport`` a group; a collection has :meth:`of` and
    :meth:`on` to narrow it, and ``+`` to join two. An unknown ``id`` is a :class:`~mtls.UsageError`.
    """

    __slots__ = ("_by_id",)

    def __init__(self, faults: Iterable[Fault]) -> None:
        self._by_id: dict[str, Fault] = {}
        for fault in faults:
            self._by_id.setdefault(fault.id, fault)

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids, in order."""
        return tuple(self._by_id)

    @property
    def client_certificate(self) -> Faults:
        """Those of what the client shows."""
        return self._group(FaultGroup.CLIENT_CERTIFICATE)

    @property
    def server_certificate(self) -> Faults:
        """Those of what the server shows."""
        return self._group(FaultGroup.SERVER_CERTIFICATE)

    @property
    def negotiation(self) -> Faults:
        """Those of the hellos."""
        return self._group(FaultGroup.NEGOTIATION)

    @property
    def transport(self) -> Faults:
        """Those of the wire."""
        return self._group(FaultGroup.TRANSPORT)

    def of(self, culprit: Role | str) -> Faults:
        """Those that this role has: a server is tested with the faults of clients. ``"client"`` or ``"server"``."""
        role = parsed_role(culprit, "culprit")
        return Faults(fault for fault in self if fault.culprit is role)

    def on(self, version: TLSVersion) -> Faults:
        """Those of this TLS version."""
        if version not in BOTH:
            text = f"version= is TLSVersion.TLSv1_2 or TLSVersion.TLSv1_3, not {version!r}"
            raise UsageError(text)
        return Faults(fault for fault in self if version in fault.versions)

    def _group(self, group: FaultGroup) -> Faults:
        return Faults(fault for fault in self if fault.group is group)

    @overload
    def __getitem__(self, key: str | int) -> Fault: ...
    @overload
    def __getitem__(self, key: slice) -> Faults: ...
    def __getitem__(self, key: str | int | slice) -> Fault | Faults:
        __tracebackhide__ = True
        if isinstance(key, str):
            return self._by_id[key] if key in self._by_id else self._unknown(key)
        found = list(self._by_id.values())[key]
        return found if isinstance(found, Fault) else Faults(found)

    def _unknown(self, key: str) -> Fault:
        __tracebackhide__ = True
        import difflib

        near = difflib.get_close_matches(key, self._by_id, n=3, cutoff=0.4)
        remedy = f"did you mean {' or '.join(map(repr, near))}?" if near else "FAULTS.ids lists them"
        text = f"there is no fault {key!r:.100} among these {len(self)}; {remedy}"
        raise UsageError(text)

    def __len__(self) -> int:
        return len(self._by_id)

    def __contains__(self, member: object) -> bool:
        return member in self._by_id if isinstance(member, str) else member in self._by_id.values()

    def __add__(self, other: object) -> Faults:
        return Faults((*self, *other)) if isinstance(other, Faults) else NotImplemented

    def __eq__(self, other: object) -> bool:
        return self.ids == other.ids if isinstance(other, Faults) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.ids)

    def __repr__(self) -> str:
        return f"<Faults: {len(self)}>"


def parsed_role(value: Role | str, option: str) -> Role:
    """The role, also by its value."""
    try:
        return Role(value)
    except ValueError:
        text = f"{option}= is Role.CLIENT or Role.SERVER, not {value!r:.100}"
        raise UsageError(text) from None


def the_fault(given: object) -> Fault:
    """The fault that somebody means: itself, or its id."""
    __tracebackhide__ = True
    from mtls.testing import FAULTS

    if isinstance(given, Fault):
        return given
    if isinstance(given, str):
        return FAULTS[given]
    text = f"a fault is one of mtls.testing.FAULTS or its id, not {type(given).__name__}"
    raise UsageError(text)
