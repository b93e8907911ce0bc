"""The names of the CAs that a server asks for (the ``certificate_authorities`` of a CertificateRequest).

Rule: they were chosen by the peer, so they are bounded and escaped before anybody reads them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509

from mtls import _certificate
from mtls._credentials import der
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterable

_VERSION = Secret(b"\x02\x01\x00")
_KEY = Secret(bytes.fromhex("302a300506032b6570032100") + bytes(32))
_NO_ATTRIBUTES = Secret(b"\xa0\x00")
_ALGORITHM = Secret(bytes.fromhex("300506032b6570"))
_SIGNATURE = Secret(bytes.fromhex("034100") + bytes(64))
_MOST_SHOWN = 50


def parsed_name(encoded: bytes) -> x509.Name | None:
    """The distinguished name in ``encoded`` (DER), ``None`` where ``cryptography`` cannot read it.

    It reads names only in something that is named, so one is made around it: a request that nobody signed.
    """
    body = der.encoded(der.SEQUENCE, _VERSION, Secret(encoded), _KEY, _NO_ATTRIBUTES)
    request = der.encoded(der.SEQUENCE, body, _ALGORITHM, _SIGNATURE)
    name = attempt(lambda: x509.load_der_x509_csr(request.reveal()).subject)
    return None if isinstance(name, Refused) else name


def shown_names(encoded: Iterable[bytes]) -> tuple[str, ...]:
    """The names as text, those that cannot be read left out."""
    names = [parsed_name(each) for each in list(encoded)[:_MOST_SHOWN]]
    return tuple(_certificate.name(each) for each in names if each is not None)
