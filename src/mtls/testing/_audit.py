"""``audit``: everything that must be refused is tried on whatever speaks TLS, and a table tells what was not.

Rule: a refusal proves something only if a good peer gets in, so that is tried first wherever there is an authority that
the audited side trusts. What is audited is never changed.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, Protocol

from mtls._model import Role
from mtls._profile import TLSProfile
from mtls.errors import UsageError
from mtls.testing._audit_report import AuditOutcome, AuditReport, AuditResult
from mtls.testing._authorities import the_authority
from mtls.testing._catalogue import Demand, FaultGroup, Faults, parsed_role, the_fault
from mtls.testing._faults import FAULTS
from mtls.testing._scene import NotApplicableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from mtls._profile import ClientProfile, ServerProfile
    from mtls.authority import CertificateAuthority
    from mtls.testing._authorities import Authority
    from mtls.testing._catalogue import Fault
    from mtls.testing._server import LoopbackServer

_NO_AUTHORITY = "it needs a certificate that the audited side trusts; give authority="
_A_RULE = (
    "it takes a rule to refuse it (a CRL, authorize=, eku=, a narrower policy), and only a profile tells its rules"
)


class Driver(Protocol):
    """How one kind of target is tried."""

    role: Role
    name: str
    shows_certificate: bool | None
    tells_rules: bool

    def good(self) -> str | None:
        """Try a good peer: ``None`` if it got in, else what it was told."""

    def attempt(self, fault: Fault) -> AuditResult:
        """Try a fault. Raises :class:`NotApplicableError` where it says nothing about the target."""


def audit(  # noqa: PLR0913 - the options of the contract, keyword-only
    target: ClientProfile | ServerProfile | ssl.SSLContext | LoopbackServer | str | Callable[[str], object],
    *,
    role: Role | str | None = None,
    authority: Authority | None = None,
    peer: ClientProfile | ServerProfile | None = None,
    hostname: str | None = None,
    faults: Iterable[Fault | str] | None = None,
    timeout: float = 5.0,
) -> AuditReport:
    """Try every fault of the other role on this, and tell what was refused, where, and what was accepted.

    ``target`` is a profile; any :class:`ssl.SSLContext`, also a plain one; the ``https`` URL or ``"host:port"`` of a
    running server; or, for a client, a function that takes ``"localhost:port"``, connects there by TLS, sends something
    and returns, or raises. ``role`` is its role, needed only for a context of ``PROTOCOL_TLS``. ``authority`` is a CA
    that it trusts; without one only those faults are tried that need none (no certificate, an unknown CA, an old
    version…). ``peer`` is a good profile of the other role (made if left out), ``hostname`` the name in the handshake,
    ``faults`` the choice to try (all), ``timeout`` the seconds for each network call.

    An answer of HTTP 400, 401, 403, 495 or 496 to ``https`` counts as refused: servers say so that ask for a
    certificate and let the application decide. The wire is tried on profiles, contexts and clients, not on servers at
    an address. Raises :class:`~mtls.UsageError` if a good peer is refused, because no refusal would prove anything
    then, or for a target or fault that does not fit; an :class:`OSError` if no server is there.
    """
    __tracebackhide__ = True
    wanted = role_of(target, role)
    issuer = None if authority is None else the_authority(authority)
    chosen = _chosen(faults, wanted)
    if peer is not None and (not isinstance(peer, TLSProfile) or peer.role is wanted):
        text = f"peer= takes a {wanted.other.value} profile, for a {wanted.value} is audited"
        raise UsageError(text)
    driver = _driver(target, wanted, issuer, peer, hostname, timeout)
    good_peer = None
    if issuer is not None or isinstance(target, TLSProfile):
        told = driver.good()
        if told is not None:
            remedy = "give the authority= that it trusts, or a good peer="
            text = f"{driver.name} refuses a good peer, so no refusal would prove anything: {told}\n  {remedy}"
            raise UsageError(text)
        good_peer = True
    results = tuple(_tried(driver, fault, trusted=good_peer is not None) for fault in chosen)
    return AuditReport(
        target=driver.name,
        role=wanted,
        results=results,
        good_peer=good_peer,
        shows_certificate=driver.shows_certificate,
    )


def role_of(target: Any, role: Role | str | None) -> Role:
    """The role of what is audited. Raises :class:`~mtls.UsageError` where it is not known, or another one was given."""
    from mtls.testing._server import LoopbackServer

    known: Role | None = None
    if isinstance(target, TLSProfile):
        known = target.role
    elif isinstance(target, ssl.SSLContext):
        known = {ssl.PROTOCOL_TLS_CLIENT: Role.CLIENT, ssl.PROTOCOL_TLS_SERVER: Role.SERVER}.get(target.protocol)
    elif isinstance(target, (str, LoopbackServer)):
        known = Role.SERVER
    elif callable(target):
        known = Role.CLIENT
    else:
        text = "target= takes a profile, an ssl.SSLContext, a URL, a 'host:port' or a function, not "
        raise UsageError(text + type(target).__name__)
    given = known if role is None else parsed_role(role, "role")
    if given is None:
        text = "this context may be of either role: say role=Role.CLIENT or role=Role.SERVER"
        raise UsageError(text)
    if known not in {None, given}:
        text = f"role={given.value!r} does not fit: this is a {known}" if known else "role="
        raise UsageError(text)
    return given


def _chosen(faults: Iterable[Fault | str] | None, role: Role) -> Faults:
    if faults is None:
        return FAULTS.of(role.other)
    chosen = Faults(map(the_fault, [faults] if isinstance(faults, str) else faults))
    wrong = next((fault for fault in chosen if fault.culprit is role), None)
    if wrong is not None:
        text = f"{wrong.id!r} is a fault of a {role.value}; only a {role.other.value} can refuse it"
        raise UsageError(text)
    return chosen


def _driver(
    target: Any,
    role: Role,
    authority: CertificateAuthority | None,
    peer: Any,
    hostname: str | None,
    timeout: float,
) -> Driver:
    from mtls.testing import _audit_client, _audit_context, _audit_server
    from mtls.testing._server import LoopbackServer

    if isinstance(target, TLSProfile):
        return _audit_context.ProfileDriver(target, authority, peer, hostname)
    if isinstance(target, ssl.SSLContext):
        return _audit_context.ContextDriver(target, role, authority, peer, hostname)
    if isinstance(target, LoopbackServer):
        target = target.address
    if isinstance(target, str):
        return _audit_server.ServerDriver(target, authority, peer, hostname, timeout)
    return _audit_client.ClientDriver(target, authority, peer, hostname, timeout)


def _tried(driver: Driver, fault: Fault, *, trusted: bool) -> AuditResult:
    if fault.demand not in {None, Demand.STRICT} and not driver.tells_rules:
        return AuditResult(fault=fault, outcome=AuditOutcome.NOT_TRIED, note=_A_RULE)
    try:
        return driver.attempt(fault)
    except NotApplicableError as reason:
        untrusted = not trusted and fault.group in {FaultGroup.CLIENT_CERTIFICATE, FaultGroup.SERVER_CERTIFICATE}
        note = _NO_AUTHORITY if untrusted else reason.why
        return AuditResult(fault=fault, outcome=AuditOutcome.NOT_TRIED, note=note)
