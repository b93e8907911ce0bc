"""How a DNS name is compared with a rule that somebody wrote down (``hosts=``, ``PeerPolicy.dns``).

Rule: whole labels only, without case. OpenSSL compares the name in a certificate with the one asked for; this does not.
"""

from __future__ import annotations


def dns_name_matches(presented: str, rule: str) -> bool:
    """Whether a DNS name fits a rule: equal without case, or under a ``*.`` that stands for one whole label.

    Only the rule may hold a wildcard: a presented ``*.example`` fits nothing but the rule ``*.example``.
    """
    name, wanted = presented.rstrip(".").lower(), rule.rstrip(".").lower()
    if name == wanted:
        return True
    label, dot, rest = name.partition(".")
    return wanted.startswith("*.") and bool(label and dot) and "*" not in label and rest == wanted[2:]
