"""A key or a password reaches no text, log, pickle, traceback or file on its way from a source to a connection."""

from __future__ import annotations

import base64
import gc
import logging
import os
import pickle
import ssl
import tempfile
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

import mtls
from mtls._handshake import staging
from mtls._handshake.generation import build
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PASSWORD = "canary-password-7f3a"


class World:
    """One keystore from an encrypted file, and every way in which its key could be written down."""

    def __init__(self, folder: Path) -> None:
        self.authority = CertificateAuthority("secret CA")
        made = self.authority.client("billing-prod")
        key = made._private_key
        encrypted = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(PASSWORD.encode()))
        (folder / "client.pem").write_bytes(made.certificate.public_bytes(Encoding.PEM) + encrypted)
        self.keystore = mtls.Keystore.from_pem(folder / "client.pem", password=PASSWORD)
        number: int = key.private_numbers().private_value  # type: ignore[union-attr] # an EC key
        plain = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        text = base64.b64encode(plain).decode()
        self.signs = [PASSWORD, str(number), f"{number:x}", text[40:80], repr(plain)[60:100]]

    def found_in(self, text: str) -> list[str]:
        return [sign for sign in self.signs if sign in text.replace("\\n", "").replace("\n", "")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_the_signs_would_be_found_if_they_were_there(world: World) -> None:
    assert world.found_in(repr(world.keystore._pem().reveal()))
    assert world.found_in(f"password={PASSWORD}")


def everything(world: World) -> Iterator[object]:
    client = mtls.TLSProfile.client(truststore=world.authority.truststore, keystore=world.keystore)
    server = mtls.TLSProfile.server(
        keystore=world.authority.server("localhost"), truststore=CertificateAuthority("other").truststore
    )
    context = client.ssl_context()
    result = mtls.rehearse(client, server)
    yield from (world.keystore, client, client.check(), context, context.status(), result, result.error)
    yield from (context._generation, context._generation.settings, result.client, result.server)


def test_no_repr_str_or_format_shows_the_key_or_the_password(world: World) -> None:
    for thing in everything(world):
        for text in (repr(thing), str(thing), f"{thing}", repr(getattr(thing, "__dict__", ""))):
            assert world.found_in(text) == []


def test_no_object_that_refers_to_the_keystore_shows_them(world: World) -> None:
    kept = list(everything(world))
    gc.collect()
    for referrer in gc.get_referrers(*kept):
        if referrer is not world.__dict__ and not isinstance(referrer, (list, tuple)):
            assert world.found_in(repr(referrer)[:100_000]) == []


@pytest.mark.parametrize("place", ["keystore", "profile", "context"])
def test_pickling_what_holds_a_key_is_refused(world: World, place: str) -> None:
    profile = mtls.TLSProfile.client(truststore=world.authority.truststore, keystore=world.keystore)
    holder: Any = {"keystore": world.keystore, "profile": profile, "context": profile.ssl_context()}[place]
    with pytest.raises(mtls.UsageError, match=r"key|pickle"):
        pickle.dumps(holder)


def test_a_pickled_error_holds_neither(world: World) -> None:
    *_, error = [thing for thing in everything(world) if isinstance(thing, mtls.HandshakeError)]
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert world.found_in(repr(pickle.dumps(error))) == []


def test_logging_at_the_lowest_level_shows_neither(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    list(everything(world))
    assert world.found_in(caplog.text) == []


def _refusing(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenSSL takes nothing: the certificate is fine, and then the load fails."""

    class Refusing:
        options = 0
        minimum_version = maximum_version = verify_mode = verify_flags = check_hostname = _host_flags = 0

        def __init__(self, _: int) -> None:
            pass

        def set_ciphers(self, _: str) -> None:
            pass

        def load_verify_locations(self, *_: object) -> None:
            pass

        def load_cert_chain(self, *_: object) -> None:
            raise ssl.SSLError(1, "injected")

    monkeypatch.setattr("_ssl._SSLContext", Refusing)


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_traceback_with_local_variables_shows_neither(
    world: World, monkeypatch: pytest.MonkeyPatch, *, in_memory: bool
) -> None:
    if not in_memory:
        monkeypatch.delattr(os, "memfd_create")
    profile = mtls.TLSProfile.client(truststore=world.authority.truststore, keystore=world.keystore)
    settings = profile._settings()
    _refusing(monkeypatch)
    with pytest.raises(ssl.SSLError) as caught:
        build(settings, ())
    text = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    assert "load_identity" in text
    assert world.found_in(text) == []


def test_without_anonymous_memory_the_key_lies_on_disk_encrypted_and_is_removed(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "staged"))
    (tmp_path / "staged").mkdir()
    seen: list[tuple[str, int]] = []

    class Looking(ssl.SSLContext):
        def load_cert_chain(self, certfile: Any, keyfile: Any = None, password: Any = None) -> None:
            with open(certfile) as file:  # noqa: PTH123 - a path as OpenSSL gets it
                seen.append((file.read(), os.stat(certfile).st_mode & 0o777))  # noqa: PTH116 - the same
            super().load_cert_chain(certfile, keyfile, password)

    staging.load_identity(Looking(ssl.PROTOCOL_TLS_CLIENT), world.keystore)
    (text, mode) = seen[0]
    assert mode == 0o600
    assert "BEGIN ENCRYPTED PRIVATE KEY" in text
    assert world.found_in(text) == []
    assert list((tmp_path / "staged").iterdir()) == []


def test_a_load_that_fails_leaves_no_file(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delattr(os, "memfd_create")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "staged"))
    (tmp_path / "staged").mkdir()

    class Failing(ssl.SSLContext):
        def load_cert_chain(self, *_: Any, **__: Any) -> None:
            raise ssl.SSLError(1, "injected")

    with pytest.raises(ssl.SSLError, match="injected"):
        staging.load_identity(Failing(ssl.PROTOCOL_TLS_CLIENT), world.keystore)
    assert list((tmp_path / "staged").iterdir()) == []


def test_staging_in_memory_leaves_no_open_descriptor(world: World) -> None:
    if not os.path.isdir("/proc/self/fd"):  # noqa: PTH112 - a fact of the system
        pytest.skip("only Linux lists its descriptors in /proc")
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - the same
    for _ in range(20):
        staging.load_identity(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), world.keystore)
    assert len(os.listdir("/proc/self/fd")) == before  # noqa: PTH208 - the same
