"""The name that a client asks for, and how a DNS name is compared with a rule (``hosts=``, ``PeerPolicy.dns``).

Rule: whole labels only, in ASCII, without case. Nothing else is folded: the Kelvin sign is a ``k`` in lower case.
"""

from __future__ import annotations

import functools
import ipaddress
import re

from mtls._certificate import printable
from mtls.errors import UsageError

_LONGEST = 254
"""Of a name with the dot of the root behind it."""
_IS_A_NAME = re.compile(r"(?!\.)[!-~]+")
_NUMBERS = re.compile(r"[+-]?[0-9]+(?:\.[+-]?[0-9]+){3}")
"""What OpenSSL reads as an IPv4 address; resolvers read 010 as 8, and a number with a sign not at all."""
LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
"""One label of a DNS name in lower case, underscores included (RFC 1035, 2.3.1; RFC 2181, 11)."""


def asked_name(hostname: object, hosts: tuple[str, ...]) -> str:
    """The name that a client asks for, as ``ssl`` encodes it.

    Raises :class:`UsageError` for what is no host name, and for one that ``hosts`` (empty: any) does not list.
    """
    if not isinstance(hostname, (str, bytes)):
        text = f"a thing of type {type(hostname).__name__} is no host name: give a str"
        raise UsageError(text)
    return _asked_name(hostname, hosts)


@functools.lru_cache(maxsize=256)
def _asked_name(hostname: str | bytes, hosts: tuple[str, ...]) -> str:
    asked = printable(repr(hostname))
    try:
        name = hostname.encode("idna").decode("ascii") if isinstance(hostname, str) else hostname.decode("ascii")
    except UnicodeError as fault:
        text = f"{asked} is no host name: {printable(str(fault))}"
        raise UsageError(text) from fault
    if len(name) > _LONGEST:
        text = f"{asked} is no host name: it is longer than {_LONGEST} characters (RFC 1035, 2.3.4)"
        raise UsageError(text)
    if not _IS_A_NAME.fullmatch(name) or (_NUMBERS.fullmatch(name) and not _is_ipv4(name)):
        text = (
            f"{asked} is no host name: it is empty, begins with a dot, holds a blank or a control character, or "
            "is an IPv4 address in a form that programs read in different ways"
        )
        raise UsageError(text)
    if hosts and not any(dns_name_matches(name, rule) for rule in hosts):
        text = f"{name!r} is not listed in hosts={hosts!r}, so nothing was sent to it; list it if it is meant"
        raise UsageError(text)
    return name


def _is_ipv4(name: str) -> bool:
    try:
        ipaddress.IPv4Address(name)
    except ValueError:
        return False
    return True


def dns_name_matches(presented: str, rule: str) -> bool:
    """Whether a DNS name fits a rule: equal without case, or under a ``*.`` that stands for one whole label.

    Only the rule may hold a wildcard: a presented ``*.example`` fits nothing but the rule ``*.example``. A trailing dot
    (the root) means the same as none.
    """
    if not (presented.isascii() and rule.isascii()):
        return False
    name, wanted = presented.removesuffix(".").lower(), rule.removesuffix(".").lower()
    if name == wanted:
        return True
    label, _, rest = name.partition(".")
    return wanted.startswith("*.") and rest == wanted[2:] and LABEL.fullmatch(label) is not None
