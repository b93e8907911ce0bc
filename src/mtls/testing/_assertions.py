"""What a test says of a profile: it refuses this, it accepts that, it is mutual, it is still good in 30 days.

Rule: an assertion returns its evidence, and a failed one shows the handshake.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from mtls._model import Role
from mtls._profile import ClientProfile, TLSProfile
from mtls.errors import HandshakeError, UsageError
from mtls.testing._catalogue import the_fault
from mtls.testing._expected import marked
from mtls.testing._pair import pair
from mtls.testing._scene import served_name

if TYPE_CHECKING:
    from mtls._profile import ServerProfile
    from mtls._rehearsal.result import Handshake
    from mtls._report import Report
    from mtls.testing._audit_report import AuditReport
    from mtls.testing._authorities import Authority
    from mtls.testing._catalogue import Fault

_BARE = {
    Role.SERVER: ("client-no-certificate", "client-unknown-ca", "client-self-signed"),
    Role.CLIENT: ("server-unknown-ca", "server-self-signed"),
}
"""What a side that verifies its peer refuses, whoever it trusts."""


def assert_refuses(
    profile: ClientProfile | ServerProfile,
    fault: Fault | str,
    *,
    authority: Authority | None = None,
    peer: ClientProfile | ServerProfile | None = None,
    hostname: str | None = None,
) -> Handshake:
    """That this profile refuses a peer with this fault (one of ``FAULTS``, or its id), at its step and for its reason.

    The profile's own rules are put to the test. ``authority`` is the CA that the faulty certificates come from; without
    one, a CA made for the moment is used, which the copy under test trusts beside its own anchors. ``peer`` is a good
    profile of the other role, whose names and key the faulty one has (made if left out), ``hostname`` what the client
    asks for.

    Raises :class:`AssertionError` with the picture if the fault is accepted, or refused elsewhere or for another
    reason; :class:`~mtls.UsageError` if it is none for this profile: a fault of its own role, one whose ``demand`` the
    profile does not make, an ``authority`` that it does not trust.
    """
    __tracebackhide__ = True
    wanted = the_fault(fault)
    role = profile.role if isinstance(profile, TLSProfile) else None
    if role is wanted.culprit:
        text = f"{wanted.id!r} is a fault of a {role.value}; only a {role.other.value} profile can refuse it"
        raise UsageError(text)
    handshake = pair(profile, authority=authority, peer=peer, hostname=hostname).scene(wanted).play()
    error = handshake.error
    if error is None:
        text = f"the {wanted.culprit.other.value} accepted {wanted.id!r}: {wanted.description}"
        raise AssertionError(f"{text}\n{marked(handshake, wanted.step)}")
    known = isinstance(error, HandshakeError)
    found = (error.step, error.failure, error.side, error.role) if known else None  # type: ignore[attr-defined] # it is one
    if found != (wanted.step, wanted.failure, wanted.side, wanted.told_by):
        text = f"{wanted.id!r} was refused, but not for what it is: expected {wanted!r}"
        raise AssertionError(f"{text}\n{marked(handshake, wanted.step)}")
    return handshake


def assert_accepts(
    profile: ClientProfile | ServerProfile,
    peer: ClientProfile | ServerProfile | None = None,
    *,
    authority: Authority | None = None,
    hostname: str | None = None,
) -> Handshake:
    """That this profile and this peer, of the other role, come to a connection and exchange data.

    Without ``peer``, with a good one made for it, whose certificate comes from ``authority`` (see
    :func:`assert_refuses`). Raises :class:`AssertionError` with the picture, and :class:`~mtls.UsageError`.
    """
    __tracebackhide__ = True
    from mtls._rehearsal.rehearsal import rehearse

    if peer is None:
        made = pair(profile, authority=authority, hostname=hostname)
        handshake = rehearse(made.client, made.server, hostname=made.hostname)
    else:
        client, server = (profile, peer) if isinstance(profile, ClientProfile) else (peer, profile)
        handshake = rehearse(client, server, hostname=hostname or served_name(server))  # type: ignore[arg-type] # it says which is wrong
    if not handshake.ok:
        raise AssertionError(f"the {profile.role.value} and its peer do not come to a connection\n{handshake}")
    return handshake


def assert_mutual(target: Any, *, authority: Authority | None = None, timeout: float = 5.0) -> AuditReport:
    """That nobody gets in without a good certificate: of a server, that it refuses clients without one, with one of an
    unknown CA and with a self-signed one; of a client, that it refuses such servers and has a certificate to show.

    ``target`` is a profile, any :class:`ssl.SSLContext`, a :class:`LoopbackServer`, an ``https`` URL or a
    ``"host:port"``. With an ``authority`` that it trusts, a good client must get in, too. Raises
    :class:`AssertionError` with the table, and what :func:`audit` raises.
    """
    __tracebackhide__ = True
    from mtls.testing._audit import audit, role_of

    role = role_of(target, None)
    report = audit(target, role=role, authority=authority, timeout=timeout, faults=_BARE[role])
    report.raise_for_errors()
    if report.untried_faults:
        text = f"{report.target}: who shows no good certificate could not be tried, so nothing is proved\n{report}"
        raise UsageError(text)
    if report.good_peer is None and any(result.http_status is not None for result in report):
        text = (
            f"{report.target} finishes the handshake with everybody and refuses in HTTP; whether it lets a good peer "
            "in is seen with authority= only; give it"
        )
        raise UsageError(text)
    if role is Role.CLIENT and report.shows_certificate is None:
        text = f"{report.target}: whether it has a certificate to show is seen with authority= only; give it"
        raise UsageError(text)
    if role is Role.CLIENT and not report.shows_certificate:
        text = f"{report.target} has no certificate to show, so it is not mutual\n{report}"
        raise AssertionError(text)
    return report


def assert_valid_for(profile: ClientProfile | ServerProfile, *, days: float) -> Report:
    """That the profile's own check finds no error now, nor ``days`` from now: certificates, anchors and CRLs.

    No clock is changed: ``profile.check(at=…)`` judges for another time. (The clock of a handshake cannot be set; to
    see one fail, take a certificate of other dates.) Raises :class:`AssertionError` with the report, and
    :class:`~mtls.UsageError` for a number of days that is negative.
    """
    __tracebackhide__ = True
    if not isinstance(profile, TLSProfile):
        text = f"assert_valid_for() takes a ClientProfile or a ServerProfile, not {type(profile).__name__}"
        raise UsageError(text)
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 <= days <= _MOST_DAYS:
        text = f"days= takes a number of days from 0 to {_MOST_DAYS}, not {days!r:.100}"
        raise UsageError(text)
    now = datetime.now(UTC)
    later = now + timedelta(days=days)
    today, then = profile.check(at=now), profile.check(at=later)
    for report, at, when in ((today, now, "now"), (then, later, f"in {days:g} days")):
        if report.errors:
            text = f"this profile has errors {when} ({at:%Y-%m-%d %H:%M} UTC)\n{report}"
            raise AssertionError(text)
    return then


_MOST_DAYS = 36_500
