"""How key material reaches OpenSSL, which takes keys and CRLs from files only, and how a key log comes back.

Rule: no key lies on a disk in the clear. On Linux the file is anonymous memory (``memfd_create``, mode 0600), read
through ``/proc/self/fd``; elsewhere, or where that is forbidden, the key is encrypted under a one-time password in a
private temporary file that is removed in ``finally``. No key or password is ever the value of a local variable.
"""

from __future__ import annotations

import os
import secrets
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from mtls._credentials.secret import Secret

if TYPE_CHECKING:
    import _ssl
    from collections.abc import Callable, Iterator

    from mtls._credentials.keystore import Keystore
    from mtls._credentials.truststore import Truststore


def load_identity(context: _ssl._SSLContext, keystore: Keystore) -> None:
    """Give the key, the leaf and the intermediates of ``keystore`` to an OpenSSL context."""
    with _anonymous_file(keystore._pem()) as path:
        if path is not None:
            context.load_cert_chain(path, None, _never_prompt)
            return
    password = Secret(secrets.token_hex(32).encode())
    with _temporary_file(_encrypted(keystore, password)) as path:
        context.load_cert_chain(path, None, password.reveal)


def leaf_der(keystore: Keystore) -> bytes:
    """The certificate that ``keystore`` shows, in DER."""
    return keystore.certificate.public_bytes(Encoding.DER)


def load_crls(context: _ssl._SSLContext, truststore: Truststore) -> None:
    """Give the CRLs of ``truststore`` to an OpenSSL context."""
    content = Secret(truststore._crls_pem())
    with _anonymous_file(content) as path:
        if path is not None:
            context.load_verify_locations(path, None, None)
            return
    with _temporary_file(content.reveal()) as path:
        context.load_verify_locations(path, None, None)


@contextmanager
def memory_file() -> Iterator[tuple[str, Callable[[], bytes]]]:
    """A path that OpenSSL can write to, and what reads it: memory where the system has it, else a private file
    (mode 0600) that is removed.
    """
    with _anonymous_file(Secret(b"")) as path:
        if path is not None:
            yield path, Path(path).read_bytes
            return
    with _temporary_file(b"") as path:
        yield path, Path(path).read_bytes


def _encrypted(keystore: Keystore, password: Secret) -> bytes:
    """Key, leaf and intermediates in PEM, the key under ``password`` (PKCS#8, PBES2)."""
    certificates = (keystore.certificate, *keystore.chain)
    return keystore._private_key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password.reveal())
    ) + b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def _never_prompt() -> bytes:
    """Without a callback OpenSSL would ask on the terminal. What is staged in memory needs no password."""
    return b""


@contextmanager
def _anonymous_file(content: Secret) -> Iterator[str | None]:
    """A path to memory that holds ``content``, or ``None`` where the system has no such thing or forbids it."""
    try:
        descriptor = os.memfd_create("mtls", os.MFD_CLOEXEC)
    except (AttributeError, OSError):
        yield None
        return
    try:
        os.fchmod(descriptor, 0o600)
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content.reveal())
        path = f"/proc/self/fd/{descriptor}"
        yield path if Path(path).exists() else None
    finally:
        os.close(descriptor)


@contextmanager
def _temporary_file(content: bytes) -> Iterator[str]:
    """A path to a private file on disk; what goes in here is public or encrypted, or a key log that was asked for."""
    import tempfile

    descriptor, path = tempfile.mkstemp(prefix="mtls-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        yield path
    finally:
        Path(path).unlink()
