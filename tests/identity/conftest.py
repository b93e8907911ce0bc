"""Peers as values, and connections in memory that are resumed."""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import pytest
from cryptography import x509

import mtls
from mtls._credentials.key_types import generate_key

if TYPE_CHECKING:
    from mtls.authority import CertificateAuthority

TLS12 = replace(mtls.MOZILLA_INTERMEDIATE, name="TLS12", maximum_version=mtls.TLSVersion.TLSv1_2)
TLS13 = replace(mtls.MOZILLA_INTERMEDIATE, name="TLS13", minimum_version=mtls.TLSVersion.TLSv1_3)

_SUBJECT = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "somebody")])
_TAGS = {"dns": 0x82, "uri": 0x86, "ip": 0x87}


@pytest.fixture(params=[TLS12, TLS13], ids=lambda policy: policy.name)
def policy(request: pytest.FixtureRequest) -> mtls.TLSPolicy:
    """Each version once."""
    chosen: mtls.TLSPolicy = request.param
    return chosen


class MakeLeaf(Protocol):
    """A client or server keystore whose subjectAltName is written as it is given, faults and all."""

    def __call__(self, *names: tuple[str, str | bytes], **fields: Any) -> mtls.Keystore:
        """``names`` are pairs of ``dns``, ``uri`` or ``ip`` and the content."""


class MakePeer(Protocol):
    """A verified peer as a value, without a connection."""

    def __call__(self, *names: tuple[str, str | bytes], **fields: Any) -> mtls.PeerIdentity:
        """``names`` as for :class:`MakeLeaf`."""


@pytest.fixture(scope="session")
def leaf(authority: CertificateAuthority) -> MakeLeaf:
    keys = [generate_key(mtls.KeyType.EC_P256)]

    def make(*names: tuple[str, str | bytes], **fields: Any) -> mtls.Keystore:
        maker = authority.server if fields.pop("role", mtls.Role.CLIENT) is mtls.Role.SERVER else authority.client
        extensions = [*fields.pop("extensions", ()), *([_san(names)] if names else [])]
        return maker(**{"subject": _SUBJECT, "private_key": keys[0], "extensions": extensions, **fields})

    return make


@pytest.fixture(scope="session")
def peer(authority: CertificateAuthority, leaf: MakeLeaf) -> MakePeer:
    def make(*names: tuple[str, str | bytes], **fields: Any) -> mtls.PeerIdentity:
        certificate = leaf(*names, **fields).certificate
        return mtls.PeerIdentity(certificate, (certificate, authority.certificate), resumed=False)

    return make


def _san(names: tuple[tuple[str, str | bytes], ...]) -> x509.Extension[Any]:
    entries = b"".join(
        _der(_TAGS[kind], content.encode() if isinstance(content, str) else content) for kind, content in names
    )
    oid = x509.SubjectAlternativeName.oid
    return x509.Extension(oid, critical=False, value=x509.UnrecognizedExtension(oid, _der(0x30, entries)))


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + content


class Pair(NamedTuple):
    """The two ends of one connection in memory."""

    near: Any
    """The client's."""
    far: Any
    """The server's."""


class Connect(Protocol):
    """Joins two contexts in memory and lets a byte go each way; raises what either side raises first."""

    def __call__(
        self, client: ssl.SSLContext, server: ssl.SSLContext, *, session: Any = None, hostname: str = "localhost"
    ) -> Pair:
        """``session`` is the one to resume."""


@pytest.fixture(scope="session")
def connect() -> Connect:
    def run(
        client: ssl.SSLContext, server: ssl.SSLContext, *, session: Any = None, hostname: str = "localhost"
    ) -> Pair:
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        near = client.wrap_bio(to_client, to_server, server_hostname=hostname, session=session)
        far = server.wrap_bio(to_server, to_client, server_side=True)
        waiting = [near, far]
        while waiting:
            for side in tuple(waiting):
                try:
                    side.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                waiting.remove(side)
        far.write(b"s")
        assert near.read() == b"s"  # and with it the tickets of TLS 1.3
        near.write(b"c")
        assert far.read() == b"c"
        return Pair(near, far)

    return run
