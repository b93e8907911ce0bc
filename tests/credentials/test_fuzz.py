"""Whatever the bytes are: a keystore, a truststore, or an error of ours."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mtls._credentials.keystore import Keystore
from mtls._credentials.truststore import Truststore
from mtls.errors import MTLSError

if TYPE_CHECKING:
    from tests.credentials.conftest import Pki

bounded = settings(
    max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)
SEEDS = ("pem", "locked", "traditional", "pkcs12", "locked pkcs12", "der", "crl")
Edits = list[tuple[float, int, bytes]]
edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 40), st.binary(max_size=12)), min_size=1, max_size=4)
words = st.lists(
    st.sampled_from(
        [
            b"-----BEGIN ",
            b"-----END ",
            b"-----",
            b"CERTIFICATE",
            b"PRIVATE KEY",
            b"RSA PRIVATE KEY",
            b"X509 CRL",
            b"TRUSTED CERTIFICATE",
            b"\n",
            b"\r",
            b" ",
            b"MAA=",
            b"MIIB",
            b"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n",
            b"\xef\xbb\xbf",
            b"\xff\xfe",
        ]
    ),
    max_size=30,
).map(b"".join)


def take(content: bytes) -> None:
    """Give it to everything that takes bytes, and look at what comes out."""
    for make in (
        lambda: Keystore.from_pem(content),
        lambda: Keystore.from_pem(content, content, password="x"),
        lambda: Keystore.from_pkcs12(content, password="x"),
        lambda: Truststore.from_pem(content, crls=[content]),
        lambda: Truststore.from_pem(content),
        lambda: Truststore.from_pkcs12(content),
    ):
        with contextlib.suppress(MTLSError):
            made = make()
            assert repr(made)
            assert str(made)
            assert hash(made) == hash(made)
            if isinstance(made, Keystore):
                assert made.names is not None
                assert made.spki_sha256
                assert made._pem()


@pytest.fixture(scope="module")
def seeds(pki: Pki) -> dict[str, bytes]:
    leaf, key = pki.leaf, pki.leaf_key
    encryption = BestAvailableEncryption(b"x")
    return {
        "pem": pki.pem(leaf, pki.intermediate, key),
        "locked": pki.pem(leaf) + pki.encrypted(key, "x"),
        "traditional": pki.pem(leaf)
        + key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, BestAvailableEncryption(b"x")),
        "pkcs12": serialize_key_and_certificates(b"n", key, leaf, [pki.intermediate], NoEncryption()),
        "locked pkcs12": serialize_key_and_certificates(b"n", key, leaf, [pki.intermediate], encryption),
        "der": leaf.public_bytes(Encoding.DER),
        "crl": pki.pem(pki.root, pki.crl(1, 2, 3)),
    }


@bounded
@given(content=st.one_of(st.binary(max_size=300), words))
def test_arbitrary_bytes(content: bytes) -> None:
    take(content)


@settings(bounded, max_examples=150)
@given(changes=edits)
@pytest.mark.parametrize("seed", SEEDS)
def test_changed_bytes(seed: str, changes: Edits, seeds: dict[str, bytes]) -> None:
    take(changed(seeds[seed], changes))


@settings(bounded, max_examples=200)
@given(changes=edits, which=st.sampled_from(["leaf", "key", "crl"]))
def test_changed_asn1_in_sound_base64(changes: Edits, which: str, pki: Pki) -> None:
    import base64

    key = pki.leaf_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    parts = {
        "leaf": ("CERTIFICATE", pki.leaf.public_bytes(Encoding.DER)),
        "key": ("PRIVATE KEY", key),
        "crl": ("X509 CRL", pki.crl(1).public_bytes(Encoding.DER)),
    }
    take(
        b"".join(
            b"-----BEGIN %b-----\n%b-----END %b-----\n"
            % (
                label.encode(),
                base64.encodebytes(changed(der, changes) if name == which else der),
                label.encode(),
            )
            for name, (label, der) in parts.items()
        )
    )


def changed(content: bytes, changes: Edits) -> bytes:
    for place, removed, added in changes:
        position = int(place * len(content))
        content = content[:position] + added + content[position + removed :]
    return content
