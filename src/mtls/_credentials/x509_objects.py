"""Certificates and CRLs out of PEM blocks and DER.

Rule: what comes out can be read in full (names, dates, extensions), so nothing that looks at it later meets a foreign
exception; an extension whose content ``cryptography`` cannot decode passes, because OpenSSL may well take it.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from cryptography import x509

from mtls._credentials import pem
from mtls._credentials.der import element
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.formats import identify
from mtls._credentials.secret import Secret
from mtls._model import SourceFailure
from mtls.errors import MTLSError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mtls._credentials.sources import Document, Named

_AGAIN = "get the file again from where it came from"


def certificate(block: pem.Block) -> x509.Certificate:
    """The certificate of a block. The trust settings that follow it in a TRUSTED CERTIFICATE are not read."""
    encoded = block.der()
    if block.label == "TRUSTED CERTIFICATE":
        whole = element(encoded)
        encoded = Secret(encoded.reveal()[: whole.end if whole else None])
    return from_der(encoded, block.document, block.place)


def from_der(encoded: Secret, source: Named, place: str) -> x509.Certificate:
    """The certificate in ``encoded``; the error of ``source`` (``DAMAGED``) where it cannot be read."""
    loaded = attempt(lambda: _readable(x509.load_der_x509_certificate(encoded.reveal())))
    if isinstance(loaded, Refused):
        problem = f"{place} is not a well-formed certificate ({type(loaded.cause).__name__})"
        raise source.refusal(SourceFailure.DAMAGED, problem, _AGAIN) from loaded.cause
    return loaded


def readable_ones(document: Document) -> Iterator[x509.Certificate]:
    """The certificates of a list that is not the caller's own, without those that cannot be read."""
    for block in pem.blocks(document):
        if block.is_certificate:
            try:
                yield certificate(block)
            except MTLSError:
                continue


def readable(loaded: x509.Certificate, source: Named) -> x509.Certificate:
    """``loaded`` itself; the error of ``source`` (``DAMAGED``) where a part of it cannot be read."""
    read = attempt(lambda: _readable(loaded))
    if isinstance(read, Refused):
        problem = f"one of its certificates is not well-formed ({type(read.cause).__name__})"
        raise source.refusal(SourceFailure.DAMAGED, problem, _AGAIN) from read.cause
    return read


def crls(document: Document) -> list[x509.CertificateRevocationList]:
    """Every CRL of a document, which is PEM or one DER CRL (RFC 5280, 4.2.1.13: what CAs publish)."""
    if identify(document.content) == "CRL":
        return [_crl(document.content, document, "it")]
    found = [crl(block) for block in pem.blocks(document) if block.label == pem.CRL]
    if not found:
        problem = "it holds no CRL (a block of the label X509 CRL)"
        raise document.refusal(SourceFailure.WRONG_FORMAT, problem, "give the CRL that the CA publishes")
    return found


def crl(block: pem.Block) -> x509.CertificateRevocationList:
    """The CRL of a block."""
    return _crl(block.der(), block.document, block.place)


def _crl(encoded: Secret, source: Named, place: str) -> x509.CertificateRevocationList:
    loaded = attempt(lambda: _readable_crl(x509.load_der_x509_crl(encoded.reveal())))
    if isinstance(loaded, Refused):
        problem = f"{place} is not a well-formed CRL ({type(loaded.cause).__name__})"
        raise source.refusal(SourceFailure.DAMAGED, problem, _AGAIN) from loaded.cause
    return loaded


def _readable(loaded: x509.Certificate) -> x509.Certificate:
    """``loaded`` itself, once everything that ``cryptography`` decodes late has been decoded."""
    late = ("subject", "issuer", "not_valid_before_utc", "not_valid_after_utc")
    for name in late:
        getattr(loaded, name)
    with contextlib.suppress(ValueError, TypeError, x509.UnsupportedGeneralNameType):
        loaded.extensions  # noqa: B018 - decodes them
    return loaded


def _readable_crl(loaded: x509.CertificateRevocationList) -> x509.CertificateRevocationList:
    for name in ("issuer", "last_update_utc", "next_update_utc"):
        getattr(loaded, name)
    return loaded
