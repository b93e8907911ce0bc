"""The CA certificates of the machine.

Rule: what OpenSSL (or Windows) would look up is what is read; one entry that cannot be read does not spoil the rest.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import sys
from typing import TYPE_CHECKING

from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls._credentials import x509_objects
from mtls._credentials.secret import Secret
from mtls._credentials.sources import Named, Origin
from mtls._model import SourceFailure
from mtls.errors import TruststoreError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

_HASH_LENGTH = 8
_PURPOSES = frozenset({ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string})


def anchors() -> tuple[x509.Certificate, ...]:
    """Every CA certificate of the machine, each once; ``NOT_FOUND`` where there is none."""
    found = dict.fromkeys(_windows() if sys.platform == "win32" else _openssl())
    if not found:
        places = ", ".join(filter(None, _places())) or "nowhere"
        problem = f"there is no CA certificate where OpenSSL looks for them ({places})"
        remedy = "install the CA certificates of the system, or use Truststore.certifi()"
        raise Named("system", TruststoreError).refusal(SourceFailure.NOT_FOUND, problem, remedy)
    return tuple(found)


def paths() -> tuple[str, ...]:
    """The bundle file, if there is one. A directory of single files is not followed."""
    file, _directory = _places()
    return (os.path.abspath(file),) if file else ()  # noqa: PTH100 - strings throughout


def _places() -> tuple[str | None, str | None]:
    defaults = ssl.get_default_verify_paths()
    return defaults.cafile, defaults.capath


def _openssl() -> Iterator[x509.Certificate]:
    file, directory = _places()
    names = [file] if file else []
    if directory is not None:
        with contextlib.suppress(OSError):
            names += [os.path.join(directory, name) for name in sorted(os.listdir(directory)) if _is_hashed(name)]  # noqa: PTH118, PTH208 - strings throughout
    for name in names:
        try:
            yield from x509_objects.readable_ones(Origin(name, "system", TruststoreError).read())
        except TruststoreError:
            continue


def _is_hashed(name: str) -> bool:
    """Whether OpenSSL would look a file of this name up: eight hexadecimal digits, a dot and a number."""
    digest, _, number = name.partition(".")
    return len(digest) == _HASH_LENGTH and not set(digest) - set("0123456789abcdef") and number.isdigit()


def _windows() -> Iterator[x509.Certificate]:  # pragma: no cover - there only
    source = Named("the Windows store ROOT", TruststoreError)
    for encoded, encoding, trust in getattr(ssl, "enum_certificates")("ROOT"):  # noqa: B009 - typeshed has it on Windows only
        if encoding == "x509_asn" and (trust is True or not _PURPOSES.isdisjoint(trust)):
            try:
                yield x509_objects.from_der(Secret(encoded), source, "a certificate")
            except TruststoreError:
                continue
