"""Hostile certificates: what a peer may put into one to flood or garble a log."""

from __future__ import annotations

import warnings
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

if TYPE_CHECKING:
    from collections.abc import Callable

    Make = Callable[..., x509.Certificate]

ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\n\t\u202e\u2028\x00\x7f"


@pytest.fixture(scope="session")
def escapes() -> str:
    """Terminal escapes, line breaks, a change of the writing direction, and NUL."""
    return ESCAPES


@pytest.fixture(scope="session")
def certificate_of() -> Make:
    """A certificate with any common name and any DNS names, valid from 2025 until 2026, valid in form or not."""
    key = ec.generate_private_key(ec.SECP256R1())

    def make(common_name: str, *dns_names: str, extensions: tuple[x509.ExtensionType, ...] = ()) -> x509.Certificate:
        name = x509.Name([_attribute(common_name)] if common_name else [])
        builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        builder = builder.serial_number(0xFACE).not_valid_before(datetime(2025, 1, 1, tzinfo=UTC))
        builder = builder.not_valid_after(datetime(2026, 1, 1, tzinfo=UTC))
        if dns_names:
            general = [x509.DNSName._init_without_validation(dns_name) for dns_name in dns_names]
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=not common_name)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        return builder.sign(key, hashes.SHA256())

    return make


def _attribute(common_name: str) -> x509.NameAttribute[str]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Attribute's length", UserWarning)
        return x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name, _validate=False)


@pytest.fixture(scope="session")
def hostile(certificate_of: Make) -> x509.Certificate:
    """A common name of 64 kB full of terminal escapes, and 200 such DNS names."""
    flood = ESCAPES * (65536 // len(ESCAPES))
    return certificate_of(flood, *(["*." + "\x1b[31m" * 40] * 200))
