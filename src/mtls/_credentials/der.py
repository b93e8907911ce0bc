"""Just enough DER (X.690) to tell what a content is, without parsing it.

Rule: it works on secrets by offset, so no key bytes are ever bound; nothing raises, whatever the bytes.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, NamedTuple

from mtls._credentials.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator

SEQUENCE, INTEGER, BIT_STRING, OCTET_STRING, OID = 0x30, 0x02, 0x03, 0x04, 0x06
_LONG, _MOST_LENGTH_BYTES = 0x80, 4


class Element(NamedTuple):
    """One tag-length-value: its tag, and where it starts, its value starts, and it ends."""

    tag: int
    start: int
    value: int
    end: int


def element(content: Secret, start: int = 0, limit: int | None = None) -> Element | None:
    """The element at ``start``, or ``None`` where there is none that ends before ``limit``. BER's indefinite lengths
    end at the limit.
    """
    limit = len(content) if limit is None else limit
    if start + 2 > limit:
        return None
    tag, length, value = content.reveal()[start], content.reveal()[start + 1], start + 2
    if length == _LONG:
        return Element(tag, start, value, limit)
    if length > _LONG:
        count = length - _LONG
        if count > _MOST_LENGTH_BYTES or value + count > limit:
            return None
        length = int.from_bytes(content.reveal()[value : value + count], "big")
        value += count
    return Element(tag, start, value, value + length) if value + length <= limit else None


def children(content: Secret, parent: Element | None) -> Iterator[Element]:
    """The elements inside ``parent``, up to the first that is not well-formed."""
    position = parent.value if parent else 0
    while parent and position < parent.end:
        child = element(content, position, parent.end)
        if child is None:
            return
        yield child
        position = child.end


def from_base64(content: Secret) -> Secret | None:
    """The DER sequence that ``content`` is the base64 text of, or ``None``."""
    if content.reveal().lstrip()[:1] != b"M":  # the tag of a sequence, 0x30, always begins so
        return None
    try:
        decoded = Secret(binascii.a2b_base64(b"".join(content.reveal().split()), strict_mode=True))
    except binascii.Error:
        return None
    outer = element(decoded)
    return decoded if outer and outer.tag == SEQUENCE and outer.end == len(decoded) else None


def encoded(tag: int, *parts: Secret) -> Secret:
    """An element made of ``parts``."""
    length = sum(len(part) for part in parts)
    size = (length.bit_length() + 7) // 8
    head = bytes([tag, length]) if length < _LONG else bytes([tag, _LONG | size]) + length.to_bytes(size, "big")
    return Secret(head + b"".join(part.reveal() for part in parts))
