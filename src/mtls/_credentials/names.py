"""Names of certificates: from the text people write to a GeneralName, and back (RFC 5280, 4.2.1.6).

Rule: the form of the text decides what kind of name it is; a text that is none is refused, with the form to write.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import urlsplit

from cryptography import x509

from mtls import _certificate
from mtls.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

Name: TypeAlias = "str | x509.GeneralName"

_COMMON_NAME_LENGTH = 64  # RFC 5280, appendix A: ub-common-name
_DNS_LENGTH = 253  # RFC 1035, 2.3.4, without the root
_LABELS_UNDER_WILDCARD = 2
_DNS_LABEL = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_URI_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)  # RFC 3986, 3.1
_EMAIL_LOCAL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", re.ASCII)  # RFC 5321, 4.1.2 without quotes
_IDNA_DEVIATIONS = frozenset("ßς\u200c\u200d")  # UTS #46: IDNA 2003 and 2008 make different names of them


def general_names(names: Iterable[Name]) -> list[x509.GeneralName]:
    """The names, parsed, each once, in their order."""
    if isinstance(names, (str, bytes, x509.GeneralName)) or not isinstance(names, Iterable):
        text = f"names= takes a list of names, not {names!r}; put it into brackets"
        raise UsageError(text)
    return list(dict.fromkeys(name if isinstance(name, x509.GeneralName) else _general_name(name) for name in names))


def default_subject(names: Sequence[x509.GeneralName]) -> x509.Name:
    """``CN=`` the first name, or no name at all where that is too long for one."""
    first = name_text(names[0])
    fits = 0 < len(first) <= _COMMON_NAME_LENGTH
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, first)] if fits else [])


def name_text(name: x509.GeneralName) -> str:
    """The name as people write it."""
    if isinstance(name, x509.DirectoryName):
        return name.value.rfc4514_string()
    if isinstance(name, x509.RegisteredID):
        return name.value.dotted_string
    return name.type_id.dotted_string if isinstance(name, x509.OtherName) else str(name.value)


def comparable(name: x509.GeneralName) -> object:
    """What is equal for two names that mean the same: DNS knows no case."""
    return name.value.lower() if isinstance(name, x509.DNSName) else name


def _general_name(name: object) -> x509.GeneralName:
    if not isinstance(name, str):
        text = f"a name must be a str or an x509.GeneralName, not {type(name).__name__}"
        raise UsageError(text)
    if not name or not name.isprintable() or " " in name:
        raise _bad_name(name, "is empty or holds a space or a control character", "for a display name use subject=")
    if "://" in name:
        return _uri(name)
    if "@" in name:
        return _email(name)
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return x509.DNSName(_dns(name, name))
    if getattr(address, "scope_id", None):
        raise _bad_name(name, "has a zone, which no certificate can hold", "leave the % and what follows out")
    return x509.IPAddress(address)


def _uri(name: str) -> x509.GeneralName:
    try:
        host = urlsplit(name).hostname
    except ValueError:
        host = None
    if not host or not name.isascii() or not _URI_SCHEME.match(name):
        remedy = "write it as scheme://host/path, anything else percent-encoded (RFC 5280, 4.2.1.6)"
        raise _bad_name(name, "is no absolute URI with a host, in ASCII", remedy)
    return x509.UniformResourceIdentifier(name)


def _email(name: str) -> x509.GeneralName:
    local, _, domain = name.rpartition("@")
    if not _EMAIL_LOCAL.fullmatch(local) or "*" in domain:
        raise _bad_name(name, "is no e-mail address with an ASCII local part", "write it as name@example.com")
    return x509.RFC822Name(f"{local}@{_dns(domain, name)}")


def _dns(dns: str, name: str) -> str:
    """The DNS name in ASCII; ``name`` is what the caller wrote."""
    dns = dns if dns.isascii() else _idna(dns, name)
    labels = dns.split(".")
    if "*" in dns and (labels.pop(0) != "*" or "*" in "".join(labels) or len(labels) < _LABELS_UNDER_WILDCARD):
        remedy = "write *.example.com (RFC 9525, 6.3; OpenSSL matches nothing shorter)"
        raise _bad_name(name, "has a wildcard that is not the whole leftmost of three labels or more", remedy)
    if not all(map(_DNS_LABEL.fullmatch, labels)) or labels[-1].isdigit() or len(dns) > _DNS_LENGTH:
        remedy = "a DNS name has no port, path, brackets, trailing dot or label over 63 characters"
        raise _bad_name(name, "is neither a DNS name nor an IP address", remedy)
    return dns


def _idna(dns: str, name: str) -> str:
    if _IDNA_DEVIATIONS.isdisjoint(dns):
        with contextlib.suppress(UnicodeError):
            return dns.encode("idna").decode()
    problem = "has characters that IDNA cannot encode, or for which its editions of 2003 and 2008 differ"
    raise _bad_name(name, problem, "write its ASCII form (xn--…)")


def _bad_name(name: str, problem: str, remedy: str) -> UsageError:
    return UsageError(f"the name '{_certificate.printable(name)}' {problem}; {remedy}")
