"""PKCS#12 files (RFC 7292) of OpenSSL, Windows and Java.

Rule: ``cryptography`` decrypts; what it would pass over in silence (a second private key) is refused here.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from mtls._credentials.der import children, element
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.formats import identify, wrong_format
from mtls._credentials.secret import revealed
from mtls._model import SourceFailure

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization.pkcs12 import PKCS12KeyAndCertificates

    from mtls._credentials.secret import Passphrase, Secret
    from mtls._credentials.sources import Document

_KEY_BAGS = (bytes.fromhex("060b2a864886f70d010c0a0101"), bytes.fromhex("060b2a864886f70d010c0a0102"))
"""The encoded OIDs of keyBag and pkcs8ShroudedKeyBag (RFC 7292, 4.2)."""

_ENCRYPTED_DATA = bytes.fromhex("06092a864886f70d010706")
_WITH_MAC = 3


class Contents(NamedTuple):
    """What a PKCS#12 file holds: its private key, and its certificates, the one of the key first."""

    key: object | None
    certificates: tuple[x509.Certificate, ...]


def open_(document: Document, password: Passphrase) -> Contents:
    """The key and the certificates of ``document``.

    Raises the error of the source: ``WRONG_FORMAT``, ``DAMAGED``, ``PASSWORD_REQUIRED``, ``WRONG_PASSWORD`` or
    ``UNSUPPORTED_KEY``.
    """
    _check_format(document)
    opened = _opened(document.content, None)
    if isinstance(opened, Refused):
        secret = password.ask(document)
        if secret is None and not opened.unsupported and _is_protected(document.content):
            problem, remedy = "it is protected by a password and none was given", "give it as password="
            raise document.refusal(SourceFailure.PASSWORD_REQUIRED, problem, remedy) from opened.cause
        opened = opened if secret is None else _opened(document.content, secret)
    if isinstance(opened, Refused):
        raise document.refusal(*_failure(opened, document.content)) from opened.cause
    certificates = [opened.cert] if opened.cert else []
    certificates += opened.additional_certs
    return Contents(opened.key, tuple(certificate.certificate for certificate in certificates))


def private_keys(document: Document) -> int:
    """How many private keys the file names outside its encrypted parts, where every known tool puts them."""
    return sum(document.content.reveal().count(bag) for bag in _KEY_BAGS)


def _check_format(document: Document) -> None:
    refusal = wrong_format(document, "PKCS#12")
    if refusal is not None:
        raise refusal
    if identify(document.content) == "PKCS#12":
        return
    if document.content.reveal()[:1] == b"\x30" and element(document.content) is None:
        problem, remedy = "it ends before its contents do", "get the file again; it was cut off"
        raise document.refusal(SourceFailure.DAMAGED, problem, remedy)
    problem, remedy = "it is not PKCS#12", "name a .p12 or .pfx file, or use from_pem()"
    raise document.refusal(SourceFailure.WRONG_FORMAT, problem, remedy)


def _opened(content: Secret, password: Secret | None) -> PKCS12KeyAndCertificates | Refused:
    from cryptography.hazmat.primitives.serialization.pkcs12 import (
        load_pkcs12,
    )

    return attempt(lambda: load_pkcs12(content.reveal(), revealed(password)))


def _is_protected(content: Secret) -> bool:
    """Whether it has a MAC or an encrypted part, so that a password decides whether it opens."""
    parts = len(list(islice(children(content, element(content)), _WITH_MAC)))
    return parts == _WITH_MAC or any(oid in content.reveal() for oid in (_KEY_BAGS[1], _ENCRYPTED_DATA))


def _failure(refused: Refused, content: Secret) -> tuple[SourceFailure, str, str]:
    if refused.unsupported:
        remedy = "TLS needs an RSA, EC, Ed25519 or Ed448 key; make the file again with: openssl pkcs12 -export"
        return SourceFailure.UNSUPPORTED_KEY, "it holds a key, or is encrypted in a way, that cannot be read", remedy
    if not _is_protected(content):
        return SourceFailure.DAMAGED, "its contents are not well-formed", "get the file again from where it came from"
    remedy = "check the password (and a line break at its end); a damaged file looks the same"
    return SourceFailure.WRONG_PASSWORD, "it does not open with the password given", remedy
