"""The few TLS 1.2 messages with which OpenSSL is asked about a chain (RFC 5246, 7.4); pure bytes, no key, no chance.

Rule: what is written here is as small as OpenSSL takes it, and carries nothing of the profile.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_RECORD = 16384
_HANDSHAKE = 22
_CLIENT_HELLO, _SERVER_HELLO, _CERTIFICATE = 1, 2, 11
_SUPPORTED_GROUPS, _POINT_FORMATS, _SIGNATURE_ALGORITHMS, _RENEGOTIATION_INFO = 10, 11, 13, 0xFF01
_TLS12 = b"\x03\x03"
_RANDOM = bytes(32)
_NO_SESSION = b"\x00"
_NO_COMPRESSION = b"\x00"
_GROUPS = b"\x00\x19\x00\x18\x00\x17"
"""P-521, P-384, P-256."""
_SIGNATURES = b"\x06\x03\x05\x03\x04\x03"
"""ECDSA with SHA-512, SHA-384, SHA-256."""

RSA, ECDSA = 0xC030, 0xC02C
"""ECDHE with AES256-GCM-SHA384, which every security level of OpenSSL allows; RSA or ECDSA is the leaf's key."""
CIPHERS = ("ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384")


@functools.cache
def client_hello() -> bytes:
    """A ClientHello that any server with an ECDSA key answers."""
    suites = ECDSA.to_bytes(2, "big")
    extensions = (
        _extension(_RENEGOTIATION_INFO, b"\x00")
        + _extension(_SUPPORTED_GROUPS, _vector(_GROUPS, 2))
        + _extension(_POINT_FORMATS, _vector(b"\x00", 1))
        + _extension(_SIGNATURE_ALGORITHMS, _vector(_SIGNATURES, 2))
    )
    body = _TLS12 + _RANDOM + _NO_SESSION + _vector(suites, 2) + _vector(_NO_COMPRESSION, 1) + _vector(extensions, 2)
    return _records(_message(_CLIENT_HELLO, body))


def certificate_of_server(chain: Sequence[bytes], suite: int) -> bytes:
    """A ServerHello that picks ``suite``, and the Certificate message of ``chain`` (DER, leaf first)."""
    extensions = _extension(_RENEGOTIATION_INFO, b"\x00")  # RFC 5746, which OpenSSL 3 insists on
    hello = _TLS12 + _RANDOM + _NO_SESSION + suite.to_bytes(2, "big") + _NO_COMPRESSION + _vector(extensions, 2)
    return _records(_message(_SERVER_HELLO, hello) + _certificates(chain))


def certificate_of_client(chain: Sequence[bytes]) -> bytes:
    """The Certificate message of ``chain`` (DER, leaf first)."""
    return _records(_certificates(chain))


def fits(chain: Sequence[bytes]) -> bool:
    """Whether the lengths of a Certificate message can say how long this chain is."""
    return sum(3 + len(entry) for entry in chain) < 1 << 24


def size_in_tls13(chain: Sequence[bytes]) -> int:
    """The length of the Certificate message of TLS 1.3, where each entry has extensions (RFC 8446, 4.4.2), in bytes."""
    return 1 + 3 + sum(3 + len(entry) + 2 for entry in chain)


def _certificates(chain: Sequence[bytes]) -> bytes:
    return _message(_CERTIFICATE, _vector(b"".join(_vector(entry, 3) for entry in chain), 3))


def _records(messages: bytes) -> bytes:
    parts = (messages[start : start + _RECORD] for start in range(0, len(messages), _RECORD))
    return b"".join(bytes([_HANDSHAKE]) + _TLS12 + _vector(part, 2) for part in parts)


def _message(kind: int, body: bytes) -> bytes:
    return bytes([kind]) + _vector(body, 3)


def _extension(number: int, content: bytes) -> bytes:
    return number.to_bytes(2, "big") + _vector(content, 2)


def _vector(content: bytes, size: int) -> bytes:
    return len(content).to_bytes(size, "big") + content
