"""Does the leaf bear the name that was asked for (RFC 9525)?

Rule: what OpenSSL 3.0 compares (``X509_check_host``, ``X509_check_ip``). Only the subjectAltName counts, never the
common name; an IP address only where it stands as iPAddress; names are ASCII, without case, and a star stands for one
whole leftmost label with two labels or more behind it.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mtls._certificate import extension, label, printable
from mtls._checks.general_names import Kind, listed, names_of
from mtls._model import FailureReason, Finding, HandshakeStep, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ASKED_FOR = re.compile(r"[a-z0-9-]+")
_BELOW_A_STAR = re.compile(r"(?:\.(?!-)[a-z0-9-]+(?<!-)){2,}")
_BLANK = r"[ \t\n\v\f\r]"
_NUMBER = rf"{_BLANK}*([+-]?[0-9]+)"
_IPV4 = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:{_BLANK}.*)?", re.DOTALL)
_LONGEST_IPV6_GROUP = 4
_LONGEST_NAME = 253


def check_host_name(leaf: x509.Certificate, hostname: str, *, step: HandshakeStep) -> Iterator[Finding]:
    """HOSTNAME_MISMATCH where the leaf does not bear ``hostname``, a DNS name or an IP address as ``ssl`` encodes it.

    ``presented`` lists ten of the names that are there, the most similar first.
    """
    address = _address(hostname)
    if address is None and any(certificate_covers(each, hostname) for each in _read(leaf)):
        return
    names = names_of(leaf)
    hosts = [each.value.decode("latin-1") for each in names.alternative if each.kind is Kind.DNS]
    if address is None:
        covered = any(certificate_covers(host, hostname) for host in hosts)
        kind, wanted = "name", Kind.DNS.rfc
    else:
        covered = any(each.value == address for each in names.alternative if each.kind is Kind.ADDRESS)
        kind, wanted = "IP address", Kind.ADDRESS.rfc
    if covered:
        return
    asked = printable(hostname)
    similar = sorted((each.text for each in names.alternative), key=lambda text: -_labels_shared(text, hostname))
    presented = listed(similar) or "none"
    near, name = _near_miss(hostname, hosts, names.common_names, is_address=address is not None)
    reason = near.text.format(name=printable(name)) if near else "no name fits" if similar else "it has none"
    issued = f"have a certificate issued with {asked} as {wanted} in its subjectAltName"
    if near is not None and near.of_common_name:
        issued += ", since the common name does not count"
    remedy = f"connect by one of its names, or {issued}" if similar else issued
    if near is not None and near.applies is _is_without_dot and asked.endswith("."):
        remedy = f"ask for {asked.removesuffix('.')}: names in certificates have no dot at the end"
    yield Finding(
        failure=FailureReason.HOSTNAME_MISMATCH,
        severity=Severity.ERROR,
        step=step,
        message=f"the subjectAltName of leaf {label(leaf)} does not hold the {kind} {asked}: {reason} (RFC 9525)"
        + (f"; it holds {presented}" if similar else ""),
        remedy=remedy,
        certificate=leaf,
        position=0,
        required=asked,
        presented=presented,
    )


def _read(leaf: x509.Certificate) -> list[str]:
    """The DNS names as ``cryptography`` reads them: soon told where nothing is wrong, and none where it cannot."""
    names = extension(leaf, x509.SubjectAlternativeName)
    return [] if names is None else names.get_values_for_type(x509.DNSName)


def certificate_covers(name: str, host: str) -> bool:
    """Whether OpenSSL would find ``host`` in this DNS name of a certificate (``X509_check_host``).

    Equal without case, trailing dots included, or under a ``*.`` with two labels or more after it.
    """
    if not (name.isascii() and host.isascii()):
        return False
    covered, wanted = name.lower(), host.lower()
    if covered == wanted:
        return True
    first, dot, rest = wanted.partition(".")
    names = _ASKED_FOR.fullmatch(first) and _BELOW_A_STAR.fullmatch(dot + rest)
    return names is not None and covered == f"*.{rest}"


def _address(hostname: str) -> bytes | None:
    """The bytes of an IP address as OpenSSL reads it (``a2i_IPADDRESS``), ``None`` for what it takes for a DNS name.

    It is laxer than ``ipaddress``: a number may begin with zeros, a sign or a blank, and after a blank all is ignored.
    """
    if ":" not in hostname:
        return _ipv4(hostname)
    front, _, last = hostname.rpartition(":")
    embedded = _ipv4(last) if len(last) > _LONGEST_IPV6_GROUP else None
    if embedded is not None:
        hostname = f"{front}:{embedded[:2].hex()}:{embedded[2:].hex()}"
    try:
        return ipaddress.IPv6Address(hostname).packed if "%" not in hostname else None
    except ValueError:
        return None


def _ipv4(text: str) -> bytes | None:
    found = _IPV4.fullmatch(text)
    try:
        return bytes(map(int, found.groups())) if found else None
    except ValueError:
        return None


def _labels_shared(name: str, hostname: str) -> int:
    """How many labels are the same, counted from the end."""
    labels = zip(reversed(name.lower().split(".")), reversed(hostname.lower().split(".")), strict=False)
    return next((count for count, (one, other) in enumerate(labels) if one != other), name.count(".") + 1)


def _near_miss(
    hostname: str, hosts: list[str], common_names: tuple[str, ...], *, is_address: bool
) -> tuple[_NearMiss | None, str]:
    """The first reason that applies why a name that looks right does not count, and that name."""
    asked = hostname.lower()
    for near in _NEAR_MISSES:
        for name in common_names if near.of_common_name else hosts:
            if near.of_address is is_address and near.applies(name.lower() if name.isascii() else name, asked):
                return near, name
    return None, ""


class _NearMiss(NamedTuple):
    """A name that is there, and why it does not count for the one that was asked for; both in lower case."""

    applies: Callable[[str, str], bool]
    text: str
    of_common_name: bool = False
    of_address: bool = False


def _is_equal(name: str, asked: str) -> bool:
    return name == asked


def _is_without_dot(name: str, asked: str) -> bool:
    return name.endswith(".") is not asked.endswith(".") and certificate_covers(name.rstrip("."), asked.rstrip("."))


def _is_parent(name: str, asked: str) -> bool:
    return name == f"*.{asked}"


def _is_too_short(name: str, asked: str) -> bool:
    return name == "*" or (name.startswith("*.") and name.count(".") == 1 and asked.endswith(name[1:]))


def _is_too_deep(name: str, asked: str) -> bool:
    return name.startswith("*.") and asked.removesuffix(name[1:]).count(".") > 0 and asked.endswith(name[1:])


def _is_other_label(name: str, asked: str) -> bool:
    return name.startswith("*.") and asked.endswith(name[1:])


def _is_partial_star(name: str, asked: str) -> bool:
    before, star, behind = name.partition("*")
    fits = len(asked) >= len(name) - 1 and asked.startswith(before) and asked.endswith(behind)
    return star == "*" and fits and not name.startswith("*.")


def _is_www(name: str, asked: str) -> bool:
    return name.removeprefix("www.") == asked.removeprefix("www.")


def _is_unicode(name: str, asked: str) -> bool:
    """A dNSName in UTF-8; ``name`` holds its bytes, one by one."""
    if name.isascii() or len(name) > _LONGEST_NAME:
        return False
    try:
        return name.encode("latin-1").decode().encode("idna").decode() == asked
    except UnicodeError:
        return False


_NEAR_MISSES = (
    _NearMiss(_is_equal, "there it is a dNSName, and only an iPAddress counts", of_address=True),
    _NearMiss(_is_equal, "only the common name does, which does not count", of_common_name=True, of_address=True),
    _NearMiss(certificate_covers, "only the common name does, which does not count", of_common_name=True),
    _NearMiss(_is_without_dot, "{name} is another name, since a dot at the end counts"),
    _NearMiss(_is_parent, "{name} stands for the names below it, not for itself"),
    _NearMiss(_is_too_short, "{name} does not count, since a star needs two labels or more behind it"),
    _NearMiss(_is_too_deep, "the star in {name} stands for one label only"),
    _NearMiss(_is_other_label, "the star in {name} stands for letters, digits and hyphens only"),
    _NearMiss(_is_partial_star, "{name} does not count, since a star has to be the whole leftmost label"),
    _NearMiss(_is_www, "{name} is another name, since www. counts"),
    _NearMiss(_is_unicode, "there it is in UTF-8, and has to be in its ASCII form (A-labels)"),
)
