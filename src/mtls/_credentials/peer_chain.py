"""The chain of a peer as a caller gives it: a file, PEM, DER or objects, to its certificates in their order.

Rule: nothing is sorted, dropped or parsed. The order of the message decides OpenSSL's verdict, and OpenSSL may read
what ``cryptography`` cannot.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from cryptography import x509

from mtls._certificate import der
from mtls._credentials import pem
from mtls._credentials.der import SEQUENCE, element
from mtls._credentials.secret import Secret
from mtls._credentials.sources import Named, Origin, Source, listed, usable
from mtls._model import SourceFailure
from mtls.errors import ChainSourceError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mtls._credentials.sources import Document
    from mtls.errors import SourceError

PeerChain = Source | Iterable["x509.Certificate | bytes"]
"""A path; PEM or DER as ``bytes``; or certificates, each an object, or PEM or DER as ``bytes``. Leaf first."""

MOST = 1000
"""The most certificates, or blocks of PEM, in a chain: more do not fit into the 100 kB that OpenSSL takes."""

_LIMIT = 1024 * 1024
_PARAMETER = "chain"


class Sent(NamedTuple):
    """One certificate of the chain: its DER, and the object where the caller has parsed it already."""

    encoded: bytes
    certificate: x509.Certificate | None = None


def read_chain(chain: PeerChain) -> tuple[Sent, ...]:
    """The certificates in their order.

    Raises :class:`ChainSourceError` for a source that cannot be read, holds no certificate or too many, and
    :class:`UsageError` for an empty chain and for what is no certificate at all, with its place.
    """
    origin = Origin(chain, _PARAMETER, ChainSourceError) if isinstance(chain, (str, bytes, os.PathLike)) else None
    each = (
        _each(usable(listed(chain, _PARAMETER, MOST + 1))) if origin is None else map(Sent, _in_document(origin.read()))
    )
    found = tuple(islice(each, MOST + 1))
    if len(found) > MOST:
        raise _too_large(origin or Named(_PARAMETER, ChainSourceError), f"{MOST} certificates")
    if not found:
        text = "chain is empty: give at least the leaf, for instance [certificate, *intermediates]"
        raise UsageError(text)
    return found


def _each(members: list[object]) -> Iterator[Sent]:
    for position, member in enumerate(members):
        if isinstance(member, x509.Certificate):
            yield Sent(der(member), member)
        elif isinstance(member, bytes) and member:
            yield from map(Sent, _in_document(Origin(member, f"chain[{position}]", ChainSourceError).read()))
        else:
            kind = "an empty bytes" if member == b"" else type(member).__name__
            text = f"chain[{position}] must be a cryptography.x509.Certificate, or PEM or DER as bytes, not {kind}"
            raise UsageError(text)


def _too_large(source: Named, limit: str) -> SourceError:
    remedy = "give the leaf and its intermediates only; OpenSSL takes 100 kB"
    return source.refusal(SourceFailure.TOO_LARGE, f"it holds more than {limit}", remedy)


def _in_document(document: Document) -> Iterator[bytes]:
    """Each certificate when it is asked for; what is too large for any chain is not even cut into blocks."""
    if len(document.content) > _LIMIT:
        raise _too_large(document, f"{_LIMIT >> 20} MiB")
    begins, ends = (document.content.reveal().count(marker) for marker in (b"-----BEGIN ", b"-----END "))
    if begins == 0:
        yield from _in_der(document)
        return
    if max(begins, ends) > MOST:
        raise _too_large(document, f"{MOST} blocks")
    blocks = pem.blocks(document)
    found = [block for block in blocks if block.is_certificate]
    if not found:
        raise pem.without("certificate", SourceFailure.NO_CERTIFICATE, blocks, document)
    for block in found:
        encoded = block.der()
        if block.label == "TRUSTED CERTIFICATE":  # trust settings follow the certificate
            whole = element(encoded)
            encoded = Secret(encoded.reveal()[: whole.end if whole else None])
        yield encoded.reveal()


def _in_der(document: Document) -> Iterator[bytes]:
    """One certificate after the other, as some programs write them."""
    position, content = 0, document.content
    while position < len(content):
        part = element(content, position)
        if part is None or part.tag != SEQUENCE:
            where = f"at byte {position} it" if position else "it"
            remedy = "give a certificate in PEM or DER; get it again from where it came from"
            raise document.refusal(SourceFailure.WRONG_FORMAT, f"{where} is neither PEM nor DER", remedy)
        yield content.reveal()[part.start : part.end]
        position = part.end
