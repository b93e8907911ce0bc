"""PEM text (RFC 7468, read as laxly as the files that are out there) cut into blocks.

Rule: text outside blocks means nothing, a block that is begun must be whole, and the bytes stay secrets: a block is
not even decoded until somebody asks for it.
"""

from __future__ import annotations

import binascii
import re
from typing import TYPE_CHECKING

from mtls._credentials.formats import wrong_format
from mtls._credentials.secret import Secret
from mtls._model import SourceFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mtls._credentials.sources import Document
    from mtls.errors import SourceError

CERTIFICATES = frozenset({"CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"})
CRL = "X509 CRL"

_BEGIN, _END, _DASHES = b"-----BEGIN ", b"-----END ", b"-----"
_LABEL_LENGTH = 64
_LABEL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 #")
_SHOWN = 5
_INSTEAD = (
    ("CERTIFICATE REQUEST", "a request is what a CA signs: give the certificate that the CA sent back"),
    ("PKCS7", "convert it: openssl pkcs7 -print_certs -in {file} -out chain.pem"),
    ("PKCS #7 SIGNED DATA", "convert it: openssl pkcs7 -print_certs -in {file} -out chain.pem"),
    ("CMS", "convert it: openssl pkcs7 -print_certs -in {file} -out chain.pem"),
    ("PUBLIC KEY", "a public key is not enough: give the private key, and the certificate that was issued for it"),
)
_MARKERS = {
    marker: (re.compile(rb"[ \t\v\f]*" + marker), re.compile(rb"^[ \t\v\f]*" + marker, re.MULTILINE))
    for marker in (_BEGIN, _END)
}
"""How each is found right here, and at the start of a line: in one pass, however often it stands elsewhere."""
_BLANK = b" \t\n\v\f"


class Block:
    """One block: its label, the line on which it begins, and its text, which may be a key."""

    __slots__ = ("_text", "document", "label", "line")

    def __init__(self, document: Document, label: str, line: int, text: Secret) -> None:
        self.document = document
        self.label = label
        self.line = line
        self._text = text

    @property
    def is_certificate(self) -> bool:
        """Whether it holds a certificate."""
        return self.label in CERTIFICATES

    @property
    def is_private_key(self) -> bool:
        """Whether it holds a private key of any kind."""
        return self.label.endswith("PRIVATE KEY") or self.label == "PKCS#11 PROVIDER URI"

    @property
    def place(self) -> str:
        """The label and the line, for a message."""
        return f"the {self.label} of line {self.line}"

    @property
    def cipher(self) -> str | None:
        """The cipher of an encrypted traditional key (RFC 1421, DEK-Info), ``None`` where there is none."""
        for line in self._text.reveal()[:1024].split(b"\n"):
            if line.strip().startswith(b"DEK-Info:"):
                return line.partition(b":")[2].partition(b",")[0].strip().decode("ascii", "replace")
        return None

    def der(self) -> Secret:
        """The decoded bytes. Raises the error of the source (``DAMAGED``) where they are no base64."""
        decoded = _decoded(self._base64())
        if decoded is None:
            raise self.damaged("is not valid base64")
        return decoded

    def pem(self) -> Secret:
        """The block in the strict form that every parser takes, headers (encryption) included."""
        self.der()
        label = self.label.encode()
        head = b"".join(line.strip() + b"\n" for line in self._text.reveal().split(b"\n") if b":" in line)
        body = binascii.b2a_base64(self.der().reveal(), newline=True)
        return Secret(b"-----BEGIN %b-----\n%b\n%b-----END %b-----\n" % (label, head, body, label))

    def damaged(self, problem: str) -> SourceError:
        """The error for a block that cannot be used, with the hint at literal backslashes where it applies."""
        text = f"{self.place} {problem}"
        return self.document.refusal(SourceFailure.DAMAGED, text, _remedy(self.document.content))

    def _base64(self) -> Secret:
        lines = self._text.reveal().split(b"\n")
        return Secret(b"".join(line for line in lines if b":" not in line).translate(None, _BLANK))

    def __repr__(self) -> str:
        return f"<Block {self.place}>"


def blocks(document: Document) -> list[Block]:
    """Every block of ``document``, in its order.

    Line ends, indentation, byte order marks, text around the blocks and blocks glued together do not matter. Raises
    the error of the source: ``NO_PEM_BLOCK``, ``WRONG_FORMAT`` where the format is another one, ``DAMAGED`` for a
    block that is not whole.
    """
    text = _normal(document.content)
    found = []
    position = 0
    while (begin := _marker(text, _BEGIN, position)) >= 0:
        _no_stray_end(document, text, position, begin)
        block, position = _block(document, text, begin)
        found.append(block)
    _no_stray_end(document, text, position, len(text))
    if not found:
        raise wrong_format(document, "PEM") or _no_block(document)
    return found


def without(wanted: str, failure: SourceFailure, found: Sequence[Block], document: Document) -> SourceError:
    """The error for PEM without the thing ``wanted``: what it holds instead, and what to do about it."""
    for block in found:
        for label, remedy in _INSTEAD:
            if block.label.endswith(label):
                problem = f"it holds a {block.label} and no {wanted}"
                return document.refusal(SourceFailure.WRONG_FORMAT, problem, remedy.format(file=document.file))
    held = ", ".join(dict.fromkeys(block.label for block in found[:_SHOWN]))
    remedy = "add it to this file" if wanted == "certificate" else "add it to this file, or give its file as key="
    return document.refusal(failure, f"it holds no {wanted} (only: {held})", remedy)


def _normal(content: Secret) -> Secret:
    """The text with line feeds only and without byte order marks; UTF-16 is told by its mark."""
    if content.reveal()[:2] in (b"\xff\xfe", b"\xfe\xff"):
        content = Secret(content.reveal().decode("utf-16", "replace").encode("ascii", "replace"))
    lines = content.reveal().replace(b"\xef\xbb\xbf", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return Secret(lines)


def _marker(text: Secret, marker: bytes, position: int) -> int:
    """Where ``marker`` next stands at the start of a line or right at ``position`` (behind a block), or -1."""
    here, on_a_line = _MARKERS[marker]
    found = here.match(text.reveal(), position) or on_a_line.search(text.reveal(), position)
    return found.end() - len(marker) if found else -1


def _block(document: Document, text: Secret, begin: int) -> tuple[Block, int]:
    line = text.reveal().count(b"\n", 0, begin) + 1
    label, body = _label(text, begin + len(_BEGIN))
    if label is None:
        raise _damaged(document, f"the BEGIN of line {line} is not closed by five dashes")
    end = text.reveal().find(_END, body)
    following = text.reveal().find(_BEGIN, body)
    if end < 0 or 0 <= following < end:
        raise _damaged(document, f"the {label} that begins on line {line} has no END")
    closing, position = _label(text, end + len(_END))
    if closing != label:
        raise _damaged(document, f"the {label} that begins on line {line} ends as {closing or 'something else'}")
    return Block(document, label, line, Secret(text.reveal()[body:end])), position


def _label(text: Secret, start: int) -> tuple[str | None, int]:
    """The label up to the five dashes, and where they end. What is no label is not quoted: it may be key material."""
    end = text.reveal().find(_DASHES, start, start + _LABEL_LENGTH + len(_DASHES))
    if end < 0 or not _LABEL.issuperset(text.reveal()[start:end].decode("ascii", "replace")):
        return None, start
    return text.reveal()[start:end].decode(), end + len(_DASHES)


def _no_stray_end(document: Document, text: Secret, position: int, limit: int) -> None:
    stray = _marker(text, _END, position)
    if 0 <= stray < limit:
        line = text.reveal().count(b"\n", 0, stray) + 1
        raise _damaged(document, f"the END of line {line} has no BEGIN")


def _decoded(base64: Secret) -> Secret | None:
    try:
        return Secret(binascii.a2b_base64(base64.reveal(), strict_mode=True)) if len(base64) else None
    except binascii.Error:
        return None


def _damaged(document: Document, problem: str) -> SourceError:
    return document.refusal(SourceFailure.DAMAGED, problem, _remedy(document.content))


def _remedy(content: Secret) -> str:
    if b"\\n" in content.reveal():
        return r"it holds the two characters \n in place of line breaks: text.replace('\\n', '\n') mends it"
    return "get the file again from where it came from; part of it was lost or changed"


def _no_block(document: Document) -> SourceError:
    remedy = "a PEM file has lines such as -----BEGIN CERTIFICATE-----"
    if b"\\n" in document.content.reveal():
        remedy = _remedy(document.content)
    elif b"BEGIN " in document.content.reveal():
        remedy = "its BEGIN is not at the start of a line, or not between five plain hyphens on each side"
    return document.refusal(SourceFailure.NO_PEM_BLOCK, "it holds no PEM block", remedy)
