"""From ``"host:port"`` to a TCP connection before a deadline; all of it comes before step 1 of a handshake.

Rule: what the caller wrote wrong is a ``UsageError``; what the name service and the network say stays what it is.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from mtls._certificate import printable
from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

_HTTPS = 443
_LONGEST = 86_400.0
_HIGHEST = 0xFFFF
_NEVER_IN_A_HOST = re.compile(r"[\[\]/@\s]")
_FORM = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[^\[\]:/@\s]+))(?::(?P<port>[0-9]{1,5}))?")
_Found = tuple[int, int, int, str, Any]
"""One answer of ``socket.getaddrinfo``."""


class Address(NamedTuple):
    """A host name or IP address, without brackets, and a TCP port."""

    host: str
    port: int

    @property
    def name(self) -> str:
        """What the server is asked for: the host without the zone of a link-local address."""
        return self.host.partition("%")[0]


def address_of(value: object) -> Address:
    """The address in ``"host:port"``, ``"[2001:db8::1]:port"``, ``"host"`` (port 443) or a pair of host and port."""
    if isinstance(value, tuple) and len(value) == 2:  # noqa: PLR2004 - a pair
        host, port = value
    elif isinstance(value, str) and (found := _FORM.fullmatch(value)):
        host = found["v6"] or found["name"]
        port = _HTTPS if found["port"] is None else int(found["port"])
        if found["v6"] and not _is_ipv6(host):
            raise _not_an_address(value)
    else:
        raise _not_an_address(value)
    if not isinstance(host, str) or not host or _NEVER_IN_A_HOST.search(host):
        raise _not_an_address(value)
    if not isinstance(port, int) or isinstance(port, bool):
        raise _not_an_address(value)
    if not 0 < port <= _HIGHEST:
        text = f"{printable(repr(value))} has no TCP port: give one from 1 to {_HIGHEST}"
        raise UsageError(text)
    return Address(host, port)


def _not_an_address(value: object) -> UsageError:
    shown = printable(repr(value))
    remedy = "write 'api.partner.example:443', '[2001:db8::1]:443', or a tuple of host and port"
    if isinstance(value, str) and "://" in value:
        remedy = f"a URL is more than that; {remedy}"
    elif isinstance(value, str) and _is_ipv6(value):
        remedy = f"put an IPv6 address in brackets: '[{printable(value)}]:443'"
    return UsageError(f"{shown} is no address of a server: {remedy}")


def _is_ipv6(text: str) -> bool:
    with contextlib.suppress(ValueError):
        return bool(ipaddress.IPv6Address(text))
    return False


class Deadline:
    """The moment at which everything is over."""

    def __init__(self, timeout: float) -> None:
        if isinstance(timeout, bool) or not isinstance(timeout, (int, float)) or not 0 < timeout <= _LONGEST:
            text = f"timeout= takes seconds, above 0 and at most {_LONGEST:.0f} (a day), not {printable(repr(timeout))}"
            raise UsageError(text)
        self.timeout = timeout
        self._began = time.monotonic()

    def spent(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self._began

    def left(self) -> float:
        """Seconds that are left, above 0. Raises :class:`TimeoutError` where none are."""
        left = self.timeout - self.spent()
        if left <= 0:
            text = f"not done within {self.timeout:g} seconds"
            raise TimeoutError(text)
        return left


def dial(address: Address, deadline: Deadline) -> socket.socket:
    """A TCP connection to the first address of the host that takes one.

    Raises the :class:`OSError` of the name lookup or of the last attempt, :class:`TimeoutError` among them. Each
    address of the host gets an equal share of the time that is left.
    """
    found = _looked_up(address, deadline)
    for place, (family, kind, protocol, _, target) in enumerate(found):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(deadline.left() / (len(found) - place))
            sock.connect(target)
        except BaseException as fault:
            sock.close()
            if isinstance(fault, OSError) and place + 1 < len(found):
                continue
            raise
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock
    text = f"the name {printable(address.host)} has no address"
    raise OSError(text)


def _looked_up(address: Address, deadline: Deadline) -> Sequence[_Found]:
    """The addresses of a host. A lookup cannot be told to end, so a thread does it, and nobody waits for it longer."""
    with contextlib.suppress(ValueError):
        ipaddress.ip_address(address.name)
        return socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    answers: list[Sequence[_Found] | BaseException] = []

    def look_up() -> None:
        try:
            answers.append(socket.getaddrinfo(*address, type=socket.SOCK_STREAM))
        except BaseException as fault:  # noqa: BLE001 - raised in the thread that asked
            answers.append(fault)

    thread = threading.Thread(target=look_up, name="mtls-name-lookup", daemon=True)
    thread.start()
    thread.join(deadline.left())
    if not answers:
        text = f"the name {printable(address.host)} was not looked up within {deadline.timeout:g} seconds"
        raise TimeoutError(text)
    [answer] = answers
    if isinstance(answer, BaseException):
        raise answer
    return answer
