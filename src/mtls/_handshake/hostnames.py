"""How a DNS name is compared with a rule that somebody wrote down (``hosts=``, ``PeerPolicy.dns``), and how OpenSSL
compares it with the one asked for.

Rule: whole labels only, in ASCII, without case. Nothing else is folded: the Kelvin sign is a ``k`` in lower case.
"""

from __future__ import annotations

import re

LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
"""One label of a DNS name in lower case, underscores included (RFC 1035, 2.3.1; RFC 2181, 11)."""
_ASKED_FOR = re.compile(r"[a-z0-9-]+")
_BELOW_A_STAR = re.compile(r"(?:\.(?!-)[a-z0-9-]+(?<!-)){2,}")


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


def certificate_covers(name: str, host: str) -> bool:
    """Whether OpenSSL would find ``host`` in this DNS name of a certificate (``X509_check_host``).

    Equal without case, trailing dots included, or under a ``*.`` with two labels or more after it.
    """
    if not (name.isascii() and host.isascii()):
        return False
    covered, wanted = name.lower(), host.lower()
    if covered == wanted:
        return True
    label, dot, rest = wanted.partition(".")
    names = _ASKED_FOR.fullmatch(label) and _BELOW_A_STAR.fullmatch(dot + rest)
    return names is not None and covered == f"*.{rest}"
