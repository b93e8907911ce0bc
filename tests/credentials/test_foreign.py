"""What ``cryptography`` raises, whatever it is, comes back as a value; what others raise does not."""

from __future__ import annotations

import threading
import warnings
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning

from mtls._credentials.der import element
from mtls._credentials.foreign import Refused, attempt
from mtls._credentials.keystore import Keystore
from mtls._credentials.secret import Secret
from mtls._credentials.truststore import Truststore
from mtls.errors import KeystoreError, TruststoreError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.credentials.conftest import Pki, Tool


def _raise(exc: BaseException) -> None:
    raise exc


def test_an_exception_and_a_panic_of_rust_code_are_refusals() -> None:
    panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})()
    for exc in (ValueError("x"), RecursionError(), MemoryError(), panic):
        refused = attempt(lambda exc=exc: _raise(exc))  # type: ignore[misc] # the default binds the loop variable
        assert isinstance(refused, Refused)
        assert refused.cause is exc
        assert not refused.unsupported


def test_an_interrupt_is_none() -> None:
    with pytest.raises(KeyboardInterrupt):
        attempt(lambda: _raise(KeyboardInterrupt()))


def test_warnings_about_the_bytes_of_others_are_silenced_and_the_filters_stay() -> None:
    before = list(warnings.filters)
    assert attempt(lambda: warnings.warn("x", CryptographyDeprecationWarning, stacklevel=1)) is None
    assert isinstance(attempt(lambda: warnings.warn("x", UserWarning, stacklevel=1)), Refused)
    assert list(warnings.filters) == before


def test_threads_that_load_at_the_same_time_leave_the_filters_as_they_were(pki: Pki) -> None:
    before = list(warnings.filters)
    content = pki.pem(pki.leaf, pki.intermediate, pki.leaf_key)
    threads = [threading.Thread(target=lambda: [Keystore.from_pem(content) for _ in range(20)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_a_certificate_with_an_extension_twice_is_damaged(pki: Pki) -> None:
    subject_key_id, authority_key_id = bytes.fromhex("0603551d0e"), bytes.fromhex("0603551d23")
    twice = pki.leaf.public_bytes(Encoding.DER).replace(subject_key_id, authority_key_id)
    certificate = x509.load_der_x509_certificate(twice)
    with pytest.raises(
        KeystoreError, match=r"^objects: one of its .* not well-formed \(DuplicateExtension\)"
    ) as caught:
        Keystore.from_objects(pki.leaf_key, certificate)
    assert caught.value.failure == "damaged"
    with pytest.raises(TruststoreError, match=r"CERTIFICATE of line 1 .* \(DuplicateExtension\)") as refused:
        Truststore.from_pem(pki.pem(certificate))
    assert refused.value.failure == "damaged"


def test_a_key_without_exportable_bytes_is_unsupported(pki: Pki) -> None:
    class Handle:
        """A key in hardware, registered as what it stands for."""

        def public_key(self) -> ec.EllipticCurvePublicKey:
            return pki.leaf_key.public_key()

    ec.EllipticCurvePrivateKey.register(Handle)
    with pytest.raises(
        KeystoreError, match="the private key cannot be exported; OpenSSL needs the key itself"
    ) as caught:
        Keystore.from_objects(Handle(), pki.leaf)  # type: ignore[arg-type]
    assert caught.value.failure == "unsupported_key"
    assert isinstance(caught.value.__cause__, AttributeError)


def test_a_damaged_pkcs12_that_no_password_protects_is_damaged(pki: Pki, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "all.pem").write_bytes(pki.pem(pki.leaf, pki.leaf_key))
    options = ["-nomac", "-keypbe", "NONE", "-certpbe", "NONE", "-passout", "pass:"]
    archive = tool("openssl", "pkcs12", "-export", *options, "-in", str(tmp_path / "all.pem"))
    certificate_bag = bytes.fromhex("060b2a864886f70d010c0a0103")
    for password in (None, "x"):
        with pytest.raises(KeystoreError, match="its contents are not well-formed") as caught:
            Keystore.from_pkcs12(archive.replace(certificate_bag, b"\xff" + certificate_bag[1:]), password=password)
        assert caught.value.failure == "damaged"
    with pytest.raises(KeystoreError, match="it ends before its contents do") as caught:
        Keystore.from_pkcs12(archive[:-9])
    assert caught.value.failure == "damaged"


def test_der_of_any_shape_is_measured_without_an_exception() -> None:
    for encoded, end in (
        (b"", None),
        (b"\x30", None),
        (b"\x30\x01", None),
        (b"\x30\x80\x00\x00", 4),
        (b"\x30\x85\x01\x01\x01\x01\x01", None),
        (b"\x30\x82\x01", None),
        (b"\x30\x81\x01\x00", 4),
    ):
        found = element(Secret(encoded))
        assert (found and found.end) == end
