"""Which names does a certificate carry, and which does it constrain? Read from the DER, kind by kind, as bytes.

OpenSSL compares names as bytes. It takes some that ``cryptography`` refuses (a constraint with host bits in its
address, a name that is not ASCII), and ``cryptography`` leaves out a subtree's minimum and maximum.

Rule: nothing raises, whatever the bytes; what is not well-formed is left out, and OpenSSL refuses it before it compares
any name.
"""

from __future__ import annotations

import ipaddress
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple

from mtls._certificate import printable
from mtls._credentials.der import OID, SEQUENCE, Element, children
from mtls._credentials.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

_NAMES, _CONSTRAINTS = bytes.fromhex("551d11"), bytes.fromhex("551d1e")
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_PERMITTED, _EXCLUDED, _MAXIMUM = 0xA0, 0xA1, 0x81
_CLASS, _CONTEXT, _NUMBER = 0xC0, 0x80, 0x1F
_ISSUER, _SUBJECT = 2, 4
"""Where they stand in a TBSCertificate behind its version (RFC 5280, 4.1)."""
_COMMON_NAME = bytes.fromhex("550403")
_EMAIL_ADDRESS, _IA5_STRING = bytes.fromhex("2a864886f70d010901"), 22
_SHOWN_NAMES = 10
_TEXTS = {12: "utf-8", 19: "latin-1", 20: "latin-1", 22: "latin-1", 26: "latin-1", 28: "utf-32-be", 30: "utf-16-be"}
"""The string types that OpenSSL makes UTF-8 of before it compares names, by their tags: UTF8String, PrintableString,
T61String, IA5String, VisibleString, UniversalString, BMPString. Others are compared as they are.
"""
_ATTRIBUTES = {
    _COMMON_NAME: "CN",
    bytes.fromhex("550405"): "serialNumber",
    bytes.fromhex("550406"): "C",
    bytes.fromhex("550407"): "L",
    bytes.fromhex("550408"): "ST",
    bytes.fromhex("550409"): "STREET",
    bytes.fromhex("55040a"): "O",
    bytes.fromhex("55040b"): "OU",
    bytes.fromhex("0992268993f22c640101"): "UID",
    bytes.fromhex("0992268993f22c640119"): "DC",
    _EMAIL_ADDRESS: "emailAddress",
}
"""How RFC 4514 and OpenSSL call the usual attributes of a distinguished name, by the content of their OIDs."""

Part = tuple[int, bytes]
"""An element of DER: its tag and its content."""
RelativeName = tuple[tuple[bytes, int, bytes], ...]
"""The attributes of one RDN: the type, and the tag and the content of the value."""


class Kind(IntEnum):
    """The kinds of a GeneralName by the numbers of their tags (RFC 5280, 4.2.1.6)."""

    OTHER = 0
    EMAIL = 1
    DNS = 2
    X400 = 3
    DIRECTORY = 4
    EDI_PARTY = 5
    URI = 6
    ADDRESS = 7
    REGISTERED_ID = 8

    @property
    def rfc(self) -> str:
        """What RFC 5280 calls it: ``dNSName``."""
        return _KINDS[self]


_KINDS = {
    Kind.OTHER: "otherName",
    Kind.EMAIL: "rfc822Name",
    Kind.DNS: "dNSName",
    Kind.X400: "x400Address",
    Kind.DIRECTORY: "directoryName",
    Kind.EDI_PARTY: "ediPartyName",
    Kind.URI: "uniformResourceIdentifier",
    Kind.ADDRESS: "iPAddress",
    Kind.REGISTERED_ID: "registeredID",
}


class GeneralName(NamedTuple):
    """One name, or the base of one subtree."""

    kind: Kind
    value: bytes
    """What its tag holds; of a directoryName what its SEQUENCE holds."""
    relative: tuple[RelativeName, ...] = ()
    """Of a directoryName, its RDNs as OpenSSL compares them (RFC 5280, 7.1): neither the case of ASCII nor the type of
    string counts, nor white space at the ends or beyond the first within.
    """
    is_ascii_type: bool = True
    """False of an emailAddress in a subject that is no IA5String, which OpenSSL does not compare."""

    @property
    def text(self) -> str:
        """The value for a person: bounded, control characters escaped."""
        if self.kind in {Kind.EMAIL, Kind.DNS, Kind.URI}:
            return printable(self.value.decode("ascii", "backslashreplace")) or "(empty)"
        if self.kind is Kind.DIRECTORY:
            return printable(_rfc4514(self.value)) or "(empty name)"
        if self.kind is Kind.ADDRESS:
            return _address(self.value)
        if self.kind is Kind.OTHER:
            return printable(_other(self.value))
        return printable(f"({self.value.hex()})")


class Subtree(NamedTuple):
    """One permitted or excluded subtree; ``limited`` where it has a minimum but 0, or a maximum."""

    base: GeneralName
    limited: bool


class Names(NamedTuple):
    """All the names of one certificate, and what it says of those below it."""

    subject: GeneralName
    issuer: GeneralName
    alternative: tuple[GeneralName, ...]
    constrains: bool
    """Whether it has nameConstraints, of any kind."""
    permitted: tuple[Subtree, ...]
    excluded: tuple[Subtree, ...]

    @property
    def self_issued(self) -> bool:
        """Whether subject and issuer are one name as OpenSSL compares names."""
        return self.subject.relative == self.issuer.relative

    @property
    def common_names(self) -> tuple[str, ...]:
        """The common names of the subject, in the characters they have."""
        attributes = [attribute for relative in _attributes(self.subject.value) for attribute in relative]
        return tuple(_text(tag, value) for kind, tag, value in attributes if kind == _COMMON_NAME)

    @property
    def in_subject(self) -> Iterator[GeneralName]:
        """Each emailAddress of the subject, which counts as a mailbox (RFC 5280, 4.2.1.10)."""
        for relative in _attributes(self.subject.value):
            for kind, tag, value in relative:
                if kind == _EMAIL_ADDRESS:
                    yield GeneralName(Kind.EMAIL, value, is_ascii_type=tag == _IA5_STRING)


def names_of(certificate: x509.Certificate) -> Names:
    """The names of ``certificate``; those of an extension that is not there, or there twice, are none."""
    [(_, body)] = parts(certificate.tbs_certificate_bytes)
    fields = [part for part in parts(body) if part[0] != _VERSION]
    extensions = _inside([part for part in fields if part[0] == _EXTENSIONS])
    names, constraints = _extension(extensions, _NAMES), _extension(extensions, _CONSTRAINTS)
    return Names(
        _directory(fields[_SUBJECT][1]),
        _directory(fields[_ISSUER][1]),
        tuple(filter(None, map(_general_name, names or ()))),
        constraints is not None,
        _subtrees(constraints or [], _PERMITTED),
        _subtrees(constraints or [], _EXCLUDED),
    )


def parts(content: bytes) -> list[Part]:
    """The elements of ``content``, up to the first that is not well-formed."""
    whole = Element(0, 0, 0, len(content))
    return [(each.tag, content[each.value : each.end]) for each in children(Secret(content), whole)]


def listed(names: list[str]) -> str:
    """Some names in one line: the first ten, and how many more there are."""
    more = len(names) - _SHOWN_NAMES
    return ", ".join(names[:_SHOWN_NAMES]) + (f" and {more} more" if more > 0 else "")


def _inside(found: list[Part]) -> list[Part]:
    """The elements of the SEQUENCE that the first of ``found`` wraps."""
    return [part for _, wrapped in found[:1] for _, sequence in parts(wrapped)[:1] for part in parts(sequence)]


def _extension(extensions: list[Part], wanted: bytes) -> list[Part] | None:
    """What the SEQUENCE of that extension holds; ``None`` where it is not there exactly once."""
    values = [fields[-1][1] for fields in (parts(each) for _, each in extensions) if fields[:1] == [(OID, wanted)]]
    outer = parts(values[0]) if len(values) == 1 else []
    return parts(outer[0][1]) if outer and outer[0][0] == SEQUENCE else None


def _general_name(part: Part) -> GeneralName | None:
    tag, value = part
    number = tag & _NUMBER
    if tag & _CLASS != _CONTEXT or number > max(Kind):
        return None
    if number == Kind.DIRECTORY:  # the one kind with an explicit tag, since a Name is a CHOICE
        return _directory(next((inner for _, inner in parts(value)), b""))
    return GeneralName(Kind(number), value)


def _directory(name: bytes) -> GeneralName:
    relative = (tuple(sorted((kind, *_folded(tag, value)) for kind, tag, value in each)) for each in _attributes(name))
    return GeneralName(Kind.DIRECTORY, name, tuple(relative))


def _attributes(name: bytes) -> Iterator[RelativeName]:
    """The RDNs of a distinguished name as they are written."""
    for _, together in parts(name):
        pairs = [parts(pair) for _, pair in parts(together)]
        yield tuple((pair[0][1], *pair[1]) for pair in pairs if len(pair) > 1)


def _subtrees(constraints: list[Part], wanted: int) -> tuple[Subtree, ...]:
    found = []
    for _, subtree in [each for tag, listing in constraints if tag == wanted for each in parts(listing)]:
        base, *limits = parts(subtree) or [(0, b"")]
        general = _general_name(base)
        if general is not None:
            found.append(Subtree(general, any(tag == _MAXIMUM or any(value) for tag, value in limits)))
    return tuple(found)


def _folded(tag: int, value: bytes) -> tuple[int, bytes]:
    if tag not in _TEXTS:
        return tag, value
    return 0, b" ".join(_text(tag, value).encode().lower().split())


def _rfc4514(name: bytes) -> str:
    """The name with its last RDN first, in the characters it has: for people, not for parsers."""
    texts = (
        "+".join(f"{_ATTRIBUTES.get(kind, kind.hex())}={_text(tag, value)}"
                 for kind, tag, value in together)
        for together in _attributes(name)
    )  # fmt: skip
    return ",".join(reversed(list(texts)))


def _other(value: bytes) -> str:
    """The text in an otherName; one that holds none in hexadecimal."""
    [(tag, text)] = [inner for _, outer in parts(value)[1:] for inner in parts(outer)][:1] or [(0, b"")]
    return _text(tag, text) if tag in _TEXTS else f"({value.hex()})"


def _text(tag: int, value: bytes) -> str:
    return value.decode(_TEXTS.get(tag, "latin-1"), "replace")


def _address(value: bytes) -> str:
    """``10.0.0.1`` or, for a subtree, ``10.0.0.0/8``; a mask with holes in full, other lengths in hexadecimal."""
    if len(value) in {4, 16}:
        return str(ipaddress.ip_address(value))
    if len(value) not in {8, 32}:
        return printable(f"({value.hex()})")
    base, mask = value[: len(value) // 2], value[len(value) // 2 :]
    bits = int.from_bytes(mask, "big")
    ones = bits.bit_count()
    whole = bits >> (len(mask) * 8 - ones) == (1 << ones) - 1
    return f"{ipaddress.ip_address(base)}/{ones if whole else ipaddress.ip_address(mask)}"
