"""What a content is when it is not what was asked for, and how to turn it into that.

Rule: every answer names the format and the command or call that helps; the content itself is never quoted.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from mtls._credentials.der import (
    BIT_STRING,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    Element,
    children,
    element,
    from_base64,
)
from mtls._model import SourceFailure

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls._credentials.secret import Secret
    from mtls._credentials.sources import Document
    from mtls.errors import SourceError

_PKCS7 = bytes.fromhex("2a864886f70d0107")
_KEYTOOL = "convert it: keytool -importkeystore -srckeystore {file} -destkeystore out.p12 -deststoretype pkcs12"
_PKEY = "convert it: openssl pkey -inform der -in {file} -out key.pem"
_REQUEST = "a request is what a CA signs: give the certificate that the CA sent back"
_BASE64 = "decode it first: base64 -d {file} (bytes: base64.b64decode)"

_FORMATS: dict[str, tuple[str, str]] = {
    "PEM": ("PEM", "use from_pem()"),
    "PKCS#12": ("PKCS#12", "use from_pkcs12()"),
    "JKS": ("a Java keystore (JKS)", _KEYTOOL),
    "JCEKS": ("a Java keystore (JCEKS)", _KEYTOOL + " -srcstoretype jceks"),
    "certificate": ("a DER certificate", "convert it: openssl x509 -inform der -in {file} -out certificate.pem"),
    "key": ("a DER private key", _PKEY),
    "encrypted key": ("an encrypted DER private key", _PKEY),
    "PKCS#7": ("PKCS#7", "convert it: openssl pkcs7 -inform der -print_certs -in {file} -out chain.pem"),
    "request": ("a certificate request (CSR) in DER", _REQUEST),
    "CRL": ("a CRL in DER", "a CRL goes into Truststore(…, crls=[…])"),
    "public key": ("a public key in DER, without the private one", "give the private key"),
    "SSH public key": ("an OpenSSH public key", "TLS needs a certificate and a private key in PEM"),
    "PuTTY": ("a PuTTY key", "convert it: puttygen {file} -O private-openssh, then ssh-keygen -p -m PEM -f KEY"),
    "base64": ("base64 text that was not decoded", _BASE64),
    "HTML": ("an HTML page", "the download went wrong: look at the page in a browser"),
}

_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"\xfe\xed\xfe\xed", "JKS"),
    (b"\xce\xce\xce\xce", "JCEKS"),
    (b"PuTTY-User-Key-File", "PuTTY"),
    (b"ssh-", "SSH public key"),
    (b"ecdsa-sha2-", "SSH public key"),
    (b"LS0tLS1CRUdJTi", "base64"),
    (b"<!", "HTML"),
    (b"<html", "HTML"),
)


def wrong_format(document: Document, wanted: str) -> SourceError | None:
    """The error for a content of another known format than ``wanted``, or ``None`` where the format is not known."""
    found = identify(document.content)
    if found is None or found == wanted:
        return None
    what, remedy = _FORMATS[found]
    problem = f"it is {what}, not {wanted}"
    return document.refusal(SourceFailure.WRONG_FORMAT, problem, remedy.format(file=document.file))


def identify(content: Secret) -> str | None:
    """The format of ``content`` by its first bytes and its outer structure, or ``None``."""
    for beginning, name in _BEGINNINGS:
        if content.reveal()[:64].lstrip().startswith(beginning):
            return name
    if content.reveal()[:1] == b"\x30":
        return _identify_der(content)
    if from_base64(content) is not None:
        return "base64"
    return "PEM" if b"-----BEGIN " in content.reveal() else None


def _identify_der(content: Secret) -> str | None:
    outer = list(islice(children(content, element(content)), _MANY))
    tags = [child.tag for child in outer[:3]]
    for shape, name in _SHAPES:
        if shape(content, outer, tags):
            return name
    return None


def _is_pkcs12(content: Secret, outer: list[Element], tags: list[int]) -> bool:
    return tags[:2] == [INTEGER, SEQUENCE] and _first_oid(content, outer[1]).startswith(_PKCS7)


def _is_certificate(content: Secret, outer: list[Element], tags: list[int]) -> bool:
    """A signed thing whose body has, after its serial number, algorithm, issuer, validity and subject, a key."""
    return tags == _SIGNED and _tags(content, outer[0]).count(SEQUENCE) >= 5  # noqa: PLR2004 - RFC 5280, 4.1.2


def _is_request(content: Secret, outer: list[Element], tags: list[int]) -> bool:
    """RFC 2986, 4.1: version, subject, key and attributes. A CRL and a version 1 certificate begin alike."""
    return tags == _SIGNED and _tags(content, outer[0]) == [INTEGER, SEQUENCE, SEQUENCE, _CONTEXT]


_MANY = 9
_CONTEXT = 0xA0
_SIGNED = [SEQUENCE, SEQUENCE, BIT_STRING]
_SHAPES: tuple[tuple[Callable[[Secret, list[Element], list[int]], bool], str], ...] = (
    (_is_pkcs12, "PKCS#12"),
    (lambda content, outer, tags: tags[:1] == [OID] and _value(content, outer[0]).startswith(_PKCS7), "PKCS#7"),
    (_is_request, "request"),
    (_is_certificate, "certificate"),
    (lambda _content, _outer, tags: tags == _SIGNED, "CRL"),
    (lambda _content, _outer, tags: tags[:2] == [SEQUENCE, BIT_STRING], "public key"),
    (lambda _content, _outer, tags: tags == [SEQUENCE, OCTET_STRING], "encrypted key"),
    (lambda _content, _outer, tags: tags[:2] == [INTEGER, SEQUENCE], "key"),
    (lambda _content, _outer, tags: tags[:2] == [INTEGER, OCTET_STRING], "key"),
    (lambda _content, outer, tags: tags == [INTEGER] * 3 and len(outer) > len(tags), "key"),
)


def _tags(content: Secret, parent: Element) -> list[int]:
    return [child.tag for child in islice(children(content, parent), _MANY)]


def _first_oid(content: Secret, parent: Element) -> bytes:
    first = next(children(content, parent), None)
    return _value(content, first) if first and first.tag == OID else b""


def _value(content: Secret, part: Element) -> bytes:
    return content.reveal()[part.value : min(part.end, part.value + 32)]
