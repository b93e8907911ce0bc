"""What may be given for an option of a profile, and the error for what may not.

Rule: an option of ``None`` looks like a variable that was never set, and must not turn two-way TLS into one-way.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar, cast

from mtls._certificate import printable
from mtls._handshake.peer_policy import PeerPolicy
from mtls._model import FailureReason, Finding, HandshakeStep, Omitted, Role, ServerIdentity, Severity
from mtls._report import Report
from mtls.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    import enum

_NEVER_IN_A_HOST = re.compile(r"[*/@\[\]\s]")
"""What a URL, an address with a port or a careless list has and no host name: the entry would match nothing."""
_ALPN_LENGTH = 255
"""A name has a one-byte length (RFC 7301, 3.1)."""
_T = TypeVar("_T")
Rule = Callable[[Any, str], Any]
"""Takes the value and the name of an option; gives the value to keep, or raises."""


def refuse_none(role: Role, **options: object) -> None:
    """An option of ``None`` is an unset variable, and must not turn two-way TLS into one-way."""
    missing = [name for name, value in options.items() if value is None]
    if not missing:
        return
    steps = {
        "truststore": role.other.verified_at,
        "keystore": role.certificate_step,
        "authorize": role.other.verified_at,
        "client_auth": HandshakeStep.CLIENT_CERTIFICATE,
    }
    findings = tuple(
        Finding(
            failure=FailureReason.UNKNOWN_CA if name == "truststore" else FailureReason.CERTIFICATE_REQUIRED,
            severity=Severity.ERROR,
            step=steps[name],
            message=f"{name}=None was given, which looks like a variable that was never set",
            remedy=f"give a value, or leave {name}= out if that is what is meant",
            presented="None",
        )
        for name in missing
    )
    raise ConfigurationError(Report(role, two_way=True, findings=findings))


def observer(value: _T, option: str) -> _T:
    """A function that is told something, or ``None``. Raises :class:`UsageError` for what cannot be called."""
    if value is not None and not callable(value):
        text = f"{option}= takes a function, not {type(value).__name__}"
        raise UsageError(text)
    return value


class _Unset:
    """A ``None`` that was given: no rule takes it for an option that was left out."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "None"


def given(option: _T | Omitted) -> _T | None:
    """``None`` for an option that was left out; a ``None`` that was given stays something else, and is refused."""
    if isinstance(option, Omitted):
        return None
    return cast("_T", _Unset()) if option is None else option


def optional(rule: Rule) -> Rule:
    """The same rule, for an option that may be left out."""
    return lambda value, option: None if value is None else rule(value, option)


def typed(kind: type) -> Rule:
    """An object of this class, as it is."""

    def check(value: object, option: str) -> object:
        if isinstance(value, kind):
            return value
        text = f"{option}= takes a {kind.__name__}, not {type(value).__name__}"
        raise UsageError(text)

    return check


def member(kind: type[enum.Enum]) -> Rule:
    """A member of the enum, or its value."""

    def check(value: object, option: str) -> object:
        try:
            return kind(value)
        except ValueError:
            choices = ", ".join(f"{kind.__name__}.{one.name}" for one in kind)
            text = f"{option}= is one of {choices}, not {value!r}"
            raise UsageError(text) from None

    return check


def authorize_rule(value: object, option: str) -> object:
    """A ``PeerPolicy`` or another callable."""
    if callable(value):
        return value
    text = f"{option}= takes a PeerPolicy or a function of a PeerIdentity, not {type(value).__name__}"
    raise UsageError(text)


def server_identity_rule(value: object, option: str) -> object:
    """``ServerIdentity.HOSTNAME``, or a ``PeerPolicy`` in its place."""
    return value if isinstance(value, PeerPolicy) else member(ServerIdentity)(value, option)


def _names(value: object, option: str) -> tuple[str, ...]:
    if isinstance(value, (list, tuple)) and all(isinstance(name, str) and name for name in value):
        return tuple(value)
    example = "h2" if option == "alpn" else "api.example"
    text = f"{option}= takes a list of names, for instance [{example!r}], not {value!r}"
    raise UsageError(text)


def alpn_names(value: object, option: str) -> tuple[str, ...]:
    """ALPN names as a tuple."""
    names = _names(value, option)
    for name in names:
        if not name.isascii() or len(name) > _ALPN_LENGTH:
            text = f"alpn= names are ASCII and at most 255 bytes long, not {name!r}"
            raise UsageError(text)
    return names


def host_names(value: object, option: str) -> tuple[str, ...]:
    """Host names as a tuple, lower case, in their ASCII form."""
    names = []
    for name in _names(value, option):
        bare = name.removeprefix("*.").rstrip(".")
        if not bare or _NEVER_IN_A_HOST.search(bare) or (":" in bare and not _is_ipv6(name)):
            text = f"hosts= lists host names such as 'api.example' or '*.example', not {name!r}"
            raise UsageError(text)
        try:
            encoded = bare.encode("idna").decode("ascii").lower()
        except UnicodeError as fault:
            text = f"hosts= lists host names, and {name!r} is none: {fault}"
            raise UsageError(text) from fault
        names.append(("*." if name.startswith("*.") else "") + encoded)
    return tuple(names)


def _is_ipv6(name: str) -> bool:
    try:
        ipaddress.IPv6Address(name)
    except ValueError:
        return False
    return True


def moment(at: object) -> datetime:
    if at is None:
        return datetime.now(UTC)
    try:
        if isinstance(at, datetime) and at.utcoffset() is not None:
            return at.astimezone(UTC)
        problem = printable(repr(at))
    except Exception as fault:  # noqa: BLE001 - the caller's own tzinfo, and years that UTC does not have
        problem = f"one whose UTC is not to be had ({type(fault).__name__})"
    text = f"at= takes an aware datetime, for instance datetime.now(UTC) + timedelta(days=30), not {problem}"
    raise UsageError(text)
