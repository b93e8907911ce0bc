"""The hosts that an adapter may connect to, each with its port where only that one is meant.

Rule: an entry means what its library will make of it in a URL; what could mean anything else is refused.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from typing import NamedTuple

from mtls._handshake.hostnames import dns_name_matches
from mtls._options import host_names
from mtls.errors import UsageError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
_ENTRY = re.compile(r"(?P<name>[^\[\]:]+|\[[^\[\]]*:[^\[\]]*\])(?::(?P<port>[0-9]{1,5}))?")
"""``name``, ``name:port``, ``[IPv6]`` and ``[IPv6]:port``; an IPv6 address without brackets has no port."""
_LAST_PORT = 65535


class HostRule(NamedTuple):
    """An entry of ``hosts=``."""

    name: str
    port: int | None
    address: IPAddress | None

    def admits(self, host: str, port: int) -> bool:
        """Whether it stands for this destination."""
        if self.port not in {None, port}:
            return False
        if self.address is not None:
            return _address(host) == self.address
        return dns_name_matches(host, self.name) and (self.name[0] != "*" or _address(host) is None)

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


def host_rules(hosts: object) -> tuple[HostRule, ...]:
    """The entries as rules. Raises :class:`UsageError` for what is no host name, no address and no list of them."""
    if isinstance(hosts, (list, tuple)) and all(isinstance(entry, str) for entry in hosts):
        return _read(tuple(hosts))
    return _read(host_names(hosts, "hosts"))  # which says what is wrong with them


@functools.lru_cache(maxsize=64)  # who makes a session for each request gives the same names again
def _read(entries: tuple[str, ...]) -> tuple[HostRule, ...]:
    parts = [_split(entry) for entry in entries]
    names = host_names([name for name, _ in parts], "hosts")
    return tuple(HostRule(name, port, _address(name)) for name, (_, port) in zip(names, parts, strict=True))


def _split(entry: str) -> tuple[str, int | None]:
    """Name and port of an entry; what is neither is left for ``host_names`` to refuse."""
    found = _ENTRY.fullmatch(entry)
    if found is None:
        return entry, None
    port = None if found["port"] is None else int(found["port"])
    if port is not None and not 0 < port <= _LAST_PORT:
        text = f"hosts= takes ports from 1 to {_LAST_PORT}, not {entry!r}"
        raise UsageError(text)
    return _ascii(found["name"].strip("[]")), port


def _ascii(name: str) -> str:
    """A name as HTTP libraries write it into a URL (UTS 46). Python's codec is of IDNA 2003, where ``ß`` is ``ss``."""
    if name.isascii():
        return name
    import idna  # comes with every library that needs it

    bare = name.removeprefix("*.")
    try:
        return name[: len(name) - len(bare)] + idna.encode(bare, uts46=True).decode("ascii")
    except UnicodeError as fault:
        text = f"hosts= lists host names, and {name!r} is none: {fault}"
        raise UsageError(text) from fault


def _address(host: str) -> IPAddress | None:
    try:
        return ipaddress.ip_address(host.replace("%25", "%"))
    except ValueError:
        return None
