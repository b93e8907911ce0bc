"""Does a path end at a trust anchor, and if not, what is missing? OpenSSL and the alerts have one answer for all of it.

Rule: an unknown CA and a missing intermediate can look the same: a certificate whose issuer is not at hand. The finding
always says both; which of the two it is called rests on evidence that is named in ``_is_incomplete``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from mtls._certificate import comparable, extension, fingerprint, label, name, printable, serial_number
from mtls._checks.path import Issuers, looks_self_signed
from mtls._checks.strength import key_strength, public_key
from mtls._model import FailureReason, Finding, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mtls._checks.path import Path

_WORD = re.compile(r"[^\W_]+")
_SAYS_NOTHING = frozenset(
    {"ca", "root", "intermediate", "issuing", "issuer", "sub", "subca", "authority", "certificate"}
)
"""Words in the names of CAs that do not tell whose CA it is."""
_SAYS_INTERMEDIATE = frozenset({"intermediate", "issuing", "sub", "subca"})
_ADDRESS_LENGTH = 200
_DIGITS = 16


def check_anchoring(
    path: Path, sent: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], role: Role
) -> Iterator[Finding]:
    """UNKNOWN_CA, INCOMPLETE_CHAIN, SELF_SIGNED or PATH_TOO_LONG for a path without an anchor; ``role`` is that of its
    owner.
    """
    if path.anchor is not None:
        return
    top = path.top
    wanted = comparable(top.issuer)
    namesakes = [each for each in (*anchors, *sent) if each != top and comparable(each.subject) == wanted]
    trusted = [each for each in namesakes if each in anchors]
    issuers = Issuers(namesakes).of(top)
    if looks_self_signed(top):
        finding = _self_signed(path, trusted)
    elif any(each not in path.certificates for each in issuers):  # so there is one, and OpenSSL did not go on
        finding = _too_long(path)
    elif issuers:
        finding = _circle(top)
    elif trusted:
        finding = _namesake(top, trusted[0])
    elif namesakes:
        finding = _namesake(top, namesakes[0], sent=True)
    else:
        finding = _no_issuer(path, anchors)
    failure, message, remedy, presented = finding
    yield Finding(
        failure=failure,
        severity=Severity.ERROR,
        step=role.verified_at,
        message=message,
        remedy=remedy,
        certificate=top,
        position=len(path.certificates) - 1,
        required="a path to one of: " + _names(anchors),
        presented=presented,
    )


_Told = tuple[FailureReason, str, str, str]


def _self_signed(path: Path, trusted: Sequence[x509.Certificate]) -> _Told:
    top = path.top
    whose = f"SHA-256 {fingerprint(top)[:_DIGITS]}…"
    if trusted:
        message = (
            f"the chain ends at {label(top)} ({whose}); the truststore holds a CA of this name "
            f"(SHA-256 {fingerprint(trusted[0])[:_DIGITS]}…), but it is another certificate with "
            f"{_which_key(top, trusted[0])}"
        )
        remedy = (
            "find out which of the two is genuine; if the CA was made anew, put its new certificate into the truststore"
        )
        return FailureReason.UNKNOWN_CA, message, remedy, whose
    if len(path.certificates) == 1:
        message = f"{label(top)} ({whose}) is self-signed, and it is not in the truststore"
        remedy = (
            "have it issued by a trusted CA, or, if it is genuine, put exactly this certificate into the truststore"
        )
        return FailureReason.SELF_SIGNED, message, remedy, whose
    message = f"the chain ends at the root {label(top)} ({whose}), which is not in the truststore"
    remedy = f"if it is genuine (compare the fingerprint with its owner), put {label(top)} into the truststore"
    return FailureReason.UNKNOWN_CA, message, remedy, whose


def _which_key(one: x509.Certificate, other: x509.Certificate) -> str:
    return "the same key" if public_key(one) == public_key(other) else "another key"


def _too_long(path: Path) -> _Told:
    count = len(path.certificates)
    message = f"the chain is longer than OpenSSL follows: it gave up behind {count} certificates, at {label(path.top)}"
    remedy = "have the leaf issued by a CA that stands higher; a chain rarely needs more than two intermediates"
    return FailureReason.PATH_TOO_LONG, message, remedy, f"more than {count} certificates"


def _circle(top: x509.Certificate) -> _Told:
    message = (
        f"the chain goes round in a circle: {label(top)} was issued by {name(top.issuer)}, which is in the chain below "
        "it, and no CA of the truststore issued any of them"
    )
    remedy = "have one of these CAs certified by a CA that is trusted, or, if it is genuine, put it into the truststore"
    return FailureReason.UNKNOWN_CA, message, remedy, f"{label(top)}, issued by {name(top.issuer)}"


def _namesake(top: x509.Certificate, other: x509.Certificate, *, sent: bool = False) -> _Told:
    """A certificate has the name of the issuer, and OpenSSL does not take it for the issuer."""
    issuer, where = name(top.issuer), "was sent along" if sent else "is in the truststore"
    place = "behind the leaf" if sent else "into the truststore"
    anew = f"if the CA was given a new key, put its new certificate {place}; else somebody else uses its name"
    difference = _difference(top, other)
    if difference is None:
        message = (
            f"{label(top)} is not signed by a key of the kind that the {issuer} that {where} has "
            f"({key_strength(other)[1]}): the same name, another key"
        )
        return FailureReason.UNKNOWN_CA, message, anew, f"{label(top)}, issued by {issuer}"
    what, wanted, has = difference
    message = (
        f"{label(top)} was issued by {issuer} with the {what} {wanted}; the {issuer} that {where} has the {what} "
        f"{has}: the same name, another {what}"
    )
    exactly = (
        f"put the certificate of {issuer} with the {what} {wanted} {place}, or have {label(top)} issued anew with an "
        "authorityKeyIdentifier that names the key only"
    )
    return FailureReason.UNKNOWN_CA, message, anew if what == "key" else exactly, f"{what} {wanted}"


def _difference(top: x509.Certificate, other: x509.Certificate) -> tuple[str, str, str] | None:
    """What of the authorityKeyIdentifier does not fit ``other``, what it wants and what is there; ``None`` where all of
    it fits, and only the kind of key does not.
    """
    wanted = extension(top, x509.AuthorityKeyIdentifier)
    own = extension(other, x509.SubjectKeyIdentifier)
    if wanted is None:
        return None
    if own is not None and wanted.key_identifier not in {None, own.digest}:
        return "key", _wanted_key(top), _key_of(other)
    serial = wanted.authority_cert_serial_number
    if serial is not None and serial != serial_number(other):
        return "serial number", printable(f"{serial:x}"), printable(f"{serial_number(other) or 0:x}")
    issuers = [each.value for each in wanted.authority_cert_issuer or () if isinstance(each, x509.DirectoryName)]
    if issuers and comparable(other.issuer) not in map(comparable, issuers):
        return "issuer", name(issuers[0]), name(other.issuer)
    return None


def _no_issuer(path: Path, anchors: Sequence[x509.Certificate]) -> _Told:
    top = path.top
    issuer, key = name(top.issuer), _wanted_key(top)
    address = _issuer_address(top)
    found_at = f" (its certificate is said to be at {address}; nothing was fetched)" if address else ""
    fact = f"the issuer of {label(top)}, {issuer}, key {key}, was not sent and is not in the truststore{found_at}"
    presented = f"{label(top)}, issued by {issuer}"
    if _is_incomplete(path, anchors, address):
        message = f"the chain is incomplete: {fact}"
        remedy = (
            f"have the peer send the certificate of {issuer} behind its own; if {issuer} is a CA of its own that is to "
            "be trusted, put it into the truststore"
        )
        return FailureReason.INCOMPLETE_CHAIN, message, remedy, presented
    message = f"the chain ends at a CA that is not trusted: {fact}"
    remedy = (
        f"if {issuer} is genuine, put its certificate into the truststore; if it is an intermediate of a CA that is "
        "there, the peer must send it"
    )
    return FailureReason.UNKNOWN_CA, message, remedy, presented


def _is_incomplete(path: Path, anchors: Sequence[x509.Certificate], address: str | None) -> bool:
    """Whether an intermediate is more likely to be missing than a root to be unknown.

    No anchor may have intermediates: no. The names of the missing CA and of an anchor have a telling word in common:
    yes; they have telling words and none in common: no. Else: a name that says that it is no root, or a certificate
    that says where its issuer's is to be had (a root needs no such address).
    """
    if all(_allows_no_intermediate(anchor) for anchor in anchors):
        return False
    wanted = _telling_words(path.top.issuer)
    known = [_telling_words(anchor.subject) for anchor in anchors]
    if any(wanted & words for words in known):
        return True
    if wanted and all(known):
        return False
    return address is not None or bool(_words(path.top.issuer) & _SAYS_INTERMEDIATE)


def _allows_no_intermediate(anchor: x509.Certificate) -> bool:
    constraints = extension(anchor, x509.BasicConstraints)
    return constraints is not None and (not constraints.ca or constraints.path_length == 0)


def _telling_words(distinguished: x509.Name) -> frozenset[str]:
    words = _words(distinguished) - _SAYS_NOTHING
    return frozenset(word for word in words if not word.isdigit() and len(word) > 1)


def _words(distinguished: x509.Name) -> frozenset[str]:
    """In its common and organization names, in lower case."""
    values = [
        str(part.value).lower()
        for part in distinguished
        if part.oid in {x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME}
    ]
    return frozenset(word for value in values for word in _WORD.findall(value))


def _issuer_address(certificate: x509.Certificate) -> str | None:
    """Where the certificate says that its issuer's is to be had (RFC 5280, 4.2.2.1); never fetched."""
    access = extension(certificate, x509.AuthorityInformationAccess)
    for description in access or ():
        location = description.access_location
        wanted = description.access_method == AuthorityInformationAccessOID.CA_ISSUERS
        if wanted and isinstance(location, x509.UniformResourceIdentifier):
            return printable(location.value, _ADDRESS_LENGTH)
    return None


def _wanted_key(certificate: x509.Certificate) -> str:
    identifier = extension(certificate, x509.AuthorityKeyIdentifier)
    return _shown(None if identifier is None else identifier.key_identifier)


def _key_of(certificate: x509.Certificate) -> str:
    identifier = extension(certificate, x509.SubjectKeyIdentifier)
    return _shown(None if identifier is None else identifier.digest)


def _shown(identifier: bytes | None) -> str:
    if identifier is None:
        return "(no key identifier)"
    text = identifier.hex()
    return text if len(text) <= 2 * _DIGITS else f"{text[: 2 * _DIGITS]}…"


def _names(anchors: Sequence[x509.Certificate]) -> str:
    shown = ", ".join(label(anchor) for anchor in anchors[:3])
    return shown if len(anchors) <= 3 else f"{shown} and {len(anchors) - 3} more"  # noqa: PLR2004 - as many as are shown
