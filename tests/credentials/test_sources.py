"""Sources that cannot be used: one failure, the source by name, and what to do."""

from __future__ import annotations

import base64
import os
import socket
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from mtls._credentials.keystore import Keystore
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.credentials.conftest import Pki


def refused(
    failure: str,
    text: str,
    certificate: str | os.PathLike[str] | bytes,
    key: str | os.PathLike[str] | bytes | None = None,
) -> KeystoreError:
    with pytest.raises(KeystoreError, match=text) as caught:
        Keystore.from_pem(certificate, key)
    assert caught.value.failure == failure
    assert caught.value.problem
    assert caught.value.remedy
    return caught.value


def test_a_missing_file_is_not_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    error = refused("not_found", "there is no such file; check the path", "none.pem")
    assert error.source == "none.pem"
    assert str(tmp_path) in error.remedy
    refused("not_found", "a ~ is not expanded", "~/none.pem")
    (tmp_path / "file").write_bytes(b"x")
    refused("not_found", "no such file", tmp_path / "file" / "below")
    refused("not_readable", r"it cannot be read \(UnicodeEncodeError\)", "\ud800.pem")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    refused("not_found", "a symbolic link to a file that does not exist", tmp_path / "dangling")


def test_what_is_no_regular_file_is_not_readable_and_does_not_hang(tmp_path: Path) -> None:
    refused("not_readable", "it is a directory, not a file", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    refused("not_readable", "it is a pipe or a device", tmp_path / "pipe")
    refused("not_readable", "it is a pipe or a device", "/dev/zero")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    refused("not_readable", "it cannot be read", tmp_path / "loop")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
        refused("not_readable", "it cannot be read", tmp_path / "socket")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_not_readable(tmp_path: Path) -> None:
    (tmp_path / "key.pem").touch(mode=0)
    refused("not_readable", "Permission denied.*check the permissions", tmp_path / "key.pem")


def test_a_refusal_of_the_operating_system_is_not_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    error = refused("not_readable", r"it cannot be read \(Permission denied\); check the permissions", tmp_path / "k")
    assert isinstance(error.__cause__, PermissionError)


def test_an_empty_source_is_empty(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_bytes(b"")
    assert refused("empty", "it is empty", tmp_path / "empty.pem").source == str(tmp_path / "empty.pem")
    refused("empty", "it is empty", b" \n" * 5000)
    assert refused("empty", "it is empty", b"").source == "certificate (bytes)"


def test_a_source_over_16_mib_is_too_large(tmp_path: Path) -> None:
    with (tmp_path / "big.pem").open("wb") as file:
        file.truncate(16 * 1024 * 1024 + 1)
    refused("too_large", "larger than 16 MiB", tmp_path / "big.pem")
    refused("too_large", "larger than 16 MiB", b"x" * (16 * 1024 * 1024 + 1))
    refused("no_pem_block", "no PEM block", b"x" * (16 * 1024 * 1024))


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "certificate is None, which looks like an unset variable"),
        ("", "an empty path, which looks like an unset variable"),
        (7, "must be a path .* not int"),
        (bytearray(b"x"), r"not bytearray; use bytes\(…\)"),
        ("-----BEGIN CERTIFICATE-----", r"it holds content: give text\.encode\(\)"),
        ("a\nb", "holds content"),
        ("a\0b", "holds content"),
        ("MAA=", "holds content"),
        ("LS0tLS1CRUdJTiBQ", "holds content"),
        ("a/" * 600, "holds content"),
        ("a" * 256, "holds content"),
    ],
    ids=lambda value: str(value)[:20].encode("unicode_escape").decode(),
)
def test_what_is_no_source_is_a_mistake_of_the_call(given: str, text: str, pki: Pki) -> None:
    for make in (Keystore.from_pem, Keystore.from_pkcs12):
        with pytest.raises(UsageError, match=text.replace("certificate", "(certificate|source)")):
            make(given)
    with pytest.raises(UsageError):
        Keystore.from_directory(given)
    if given is not None:
        with pytest.raises(UsageError, match=text):
            Keystore.from_pem(pki.pem(pki.leaf), given)


def test_a_path_object_may_be_of_any_kind_and_its_failure_is_ours(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "all.pem").write_bytes(pki.pem(pki.leaf, pki.leaf_key))

    class Bytes(os.PathLike[bytes]):
        def __fspath__(self) -> bytes:
            return os.fsencode(tmp_path / "all.pem")

    class Broken(os.PathLike[str]):
        def __fspath__(self) -> str:
            raise RuntimeError

    assert Keystore.from_pem(Bytes()).certificate == pki.leaf  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="its __fspath__ raised RuntimeError"):
        Keystore.from_pem(Broken())


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "crlf": lambda text: text.replace(b"\n", b"\r\n"),
    "lone cr": lambda text: text.replace(b"\n", b"\r"),
    "utf-8 mark": lambda text: b"\xef\xbb\xbf" + text,
    "mark before each block": lambda text: text.replace(b"-----BEGIN", b"\xef\xbb\xbf-----BEGIN"),
    "utf-16 little": lambda text: b"\xff\xfe" + text.decode().encode("utf-16-le"),
    "utf-16 big": lambda text: b"\xfe\xff" + text.decode().encode("utf-16-be"),
    "indented": lambda text: b"\n".join(b"  \t" + line for line in text.split(b"\n")),
    "trailing blanks": lambda text: text.replace(b"\n", b"  \n"),
    "glued": lambda text: text.replace(b"-----\n-----", b"----------"),
    "one line": lambda text: text.replace(b"\n", b""),
    "blanks for line breaks": lambda text: text.replace(b"\n", b" "),
    "text around": lambda text: b"before: x\n" + text.replace(b"-----BEGIN", "ä text\n-----BEGIN".encode()) + b"after",
    "blank lines": lambda text: text.replace(b"\n", b"\n\n"),
    "no line break at the end": lambda text: text.rstrip(),
    "x509 certificate": lambda text: text.replace(b" CERTIFICATE-", b" X509 CERTIFICATE-"),
    "commented block": lambda text: b"# -----BEGIN CERTIFICATE-----\n# MII\n# -----END CERTIFICATE-----\n" + text,
    "long lines": lambda text: b"-----BEGIN".join(
        part.replace(b"\n", b"").replace(b"-----END", b"\n-----END").replace(b"KEY-----", b"KEY-----\n", 1)
        for part in text.replace(b"CERTIFICATE-----\n", b"CERTIFICATE-----").split(b"-----BEGIN")
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_files_as_they_are_out_there_load(form: str, pki: Pki, tmp_path: Path) -> None:
    for order in ((pki.leaf_key, pki.leaf, pki.intermediate), (pki.leaf, pki.intermediate, pki.leaf_key)):
        text = FORMS[form](pki.pem(*order))
        assert text != pki.pem(*order)
        keystore = Keystore.from_pem(text)
        assert (keystore.certificate, keystore.chain) == (pki.leaf, (pki.intermediate,))
        (tmp_path / "all.pem").write_bytes(text)
        assert Keystore.from_pem(tmp_path / "all.pem") == keystore
        assert Keystore.from_pem(str(tmp_path / "all.pem"), text) == keystore


def test_a_damaged_block_is_named_with_its_line(pki: Pki) -> None:
    text, key = pki.pem(pki.leaf, pki.intermediate), pki.pem(pki.leaf_key)
    lines = text.split(b"\n")
    second = lines.index(b"-----BEGIN CERTIFICATE-----", 1) + 1
    last = len(lines) - 1
    cases = {
        f"the CERTIFICATE that begins on line {second} has no END": b"\n".join(lines[: last - 2]),
        "the CERTIFICATE that begins on line 1 has no END": text.replace(b"-----END CERTIFICATE-----\n", b"", 1),
        f"the END of line {last - 1} has no BEGIN": b"\n".join([*lines[: second - 1], *lines[second:]]),
        "the CERTIFICATE of line 1 is not valid base64": text.replace(b"MII", b"M!I", 1),
        "the CERTIFICATE of line 1 is not a well-formed certificate": text.replace(b"MII", b"NII", 1),
        "line 1 ends as X509 CRL": text.replace(b"END CERTIFICATE", b"END X509 CRL", 1),
        "line 1 ends as something else": text.replace(b"END CERTIFICATE", b"END cert\xff", 1),
        "the BEGIN of line 1 is not closed": text.replace(b"CERTIFICATE-----", b"CERTIFICATE--", 1),
    }
    for message, damaged in cases.items():
        refused("damaged", f"^certificate \\(bytes\\): .*{message}", damaged, key)
    refused("damaged", "the PRIVATE KEY of line 1 is not a well-formed private key", text, key.replace(b"MI", b"NI", 1))
    refused("damaged", "is no EncryptedPrivateKeyInfo", text, key.replace(b"PRIVATE", b"ENCRYPTED PRIVATE"))
    empty = b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n"
    refused("damaged", "not valid base64", empty, key)


def test_literal_backslashes_are_told(pki: Pki) -> None:
    text = pki.pem(pki.leaf, pki.leaf_key).replace(b"\n", b"\\n")
    refused("damaged", r"the two characters \\n in place of line breaks", text)
    refused("no_pem_block", r"the two characters \\n in place", b"x\\n" + text)


def test_without_a_pem_block_the_source_is_told_what_is_missing() -> None:
    refused("no_pem_block", "lines such as -----BEGIN CERTIFICATE-----", b"hello")
    refused("no_pem_block", "five plain hyphens", "—BEGIN CERTIFICATE—".encode())
    refused("no_pem_block", "not at the start of a line", b"cert: -----BEGIN CERTIFICATE-----")


def test_other_formats_are_named(pki: Pki) -> None:
    text = pki.pem(pki.leaf, pki.leaf_key)
    refused("wrong_format", "base64 text that was not decoded", base64.b64encode(text))
    refused("wrong_format", "base64 text", base64.b64encode(pki.leaf.public_bytes(Encoding.DER)))
    refused("wrong_format", "an OpenSSH public key", b"ssh-ed25519 AAAA me@host")
    refused("wrong_format", "a PuTTY key", b"PuTTY-User-Key-File-3: ssh-ed25519")
    refused("wrong_format", "an HTML page", b"<!DOCTYPE html><html></html>")
    refused("wrong_format", "a Java keystore .JKS.*-srckeystore FILE", b"\xfe\xed\xfe\xed\0\0\0\2")
    refused("wrong_format", r"JCEKS.*-srcstoretype jceks", b"\xce\xce\xce\xce\0\0\0\2")
    refused("wrong_format", "a CRL in DER", pki.crl(1).public_bytes(Encoding.DER))
    ssh = pki.leaf_key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    refused("wrong_format", "OpenSSH format.*ssh-keygen -p", text, ssh)
    with pytest.raises(KeystoreError, match="it is PEM, not PKCS#12; use from_pem") as caught:
        Keystore.from_pkcs12(text)
    assert caught.value.failure == "wrong_format"
    with pytest.raises(KeystoreError, match=r"it is not PKCS#12; name a \.p12") as caught:
        Keystore.from_pkcs12(b"hello")
    assert caught.value.failure == "wrong_format"


def test_keys_in_hardware_are_unsupported(pki: Pki) -> None:
    for label in ("PKCS#11 PROVIDER URI", "TSS2 PRIVATE KEY"):
        block = f"-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n".encode()
        refused("unsupported_key", f"{label} of line 1 .*cannot be read", pki.pem(pki.leaf), block)


def test_what_is_missing_is_named(pki: Pki) -> None:
    leaf, key = pki.pem(pki.leaf), pki.pem(pki.leaf_key)
    refused("no_key", r"no private key \(only: CERTIFICATE\); .* give its file as key=", leaf)
    refused("no_key", "no private key", leaf + key, leaf)
    refused("no_certificate", r"no certificate \(only: PRIVATE KEY\)", key)
    refused("no_certificate", "the other source holds the certificate; swap", key, leaf)
    refused("several_keys", "it holds 2 private keys", leaf + key + pki.pem(pki.root_key))


def test_a_key_beside_the_certificates_is_passed_over_where_a_key_is_given(pki: Pki) -> None:
    both = pki.pem(pki.leaf, pki.root_key)
    assert Keystore.from_pem(both, pki.pem(pki.leaf_key)).certificate == pki.leaf


def test_a_key_that_does_not_fit_the_leaf_is_named(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "tls.crt").write_bytes(pki.pem(pki.leaf))
    (tmp_path / "tls.key").write_bytes(pki.pem(pki.rsa_key))
    error = refused("key_mismatch", "CN=leaf", tmp_path / "tls.crt", tmp_path / "tls.key")
    assert error.source == str(tmp_path / "tls.key")
    assert error.problem == (
        f"the private key (RSA 2048) fits no certificate in {tmp_path / 'tls.crt'}: CN=leaf (ECDSA P-256)"
    )
    with pytest.raises(KeystoreError, match=r"^objects: the private key") as caught:
        Keystore.from_objects(pki.root_key, pki.leaf, [pki.root])
    assert caught.value.failure == "key_mismatch"


def test_an_rsa_key_with_a_damaged_private_half_is_damaged(pki: Pki) -> None:
    numbers = pki.rsa_key.private_numbers()
    fields = {name: getattr(numbers, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")}
    leaf = pki.certificate("rsa", pki.rsa_key)
    for name in ("d", "dmp1", "dmq1", "iqmp"):  # cryptography itself refuses p * q != n
        changed = rsa.RSAPrivateNumbers(**(fields | {name: fields[name] + 2}), public_numbers=numbers.public_numbers)
        key = changed.private_key(unsafe_skip_rsa_key_validation=True)
        with pytest.raises(KeystoreError, match="the RSA key is damaged") as caught:
            Keystore.from_objects(key, leaf)
        assert caught.value.failure == "damaged"
        refused("damaged", "damaged", pki.pem(leaf), pki.pem(key))
    assert Keystore.from_objects(pki.rsa_key, leaf).certificate == leaf


def test_an_ec_key_with_a_foreign_public_half_is_damaged(pki: Pki) -> None:
    encoded = pki.leaf_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    points = [
        key.public_key().public_numbers().x.to_bytes(32, "big")
        + key.public_key().public_numbers().y.to_bytes(32, "big")
        for key in (pki.leaf_key, pki.root_key)
    ]
    body = base64.b64encode(encoded.replace(points[0], points[1]))
    refused(
        "damaged",
        "not a well-formed private key",
        pki.pem(pki.root),
        b"-----BEGIN PRIVATE KEY-----\n%b\n-----END PRIVATE KEY-----" % body,
    )


def test_what_from_objects_is_given_must_be_objects(pki: Pki) -> None:
    pem = pki.pem(pki.leaf_key)
    arguments: Any
    for arguments, text in (
        ((pem, pki.leaf), "private_key must be a private key object of cryptography, not bytes"),
        ((None, pki.leaf), "not NoneType, which looks like an unset variable"),
        ((pki.leaf, pki.leaf_key), "private_key must be a private key object"),
        ((pki.leaf_key, pem), "certificate must be of the type cryptography.x509.Certificate, not bytes"),
        ((pki.leaf_key, pki.leaf, None), "chain is None, which looks like an unset variable"),
        ((pki.leaf_key, pki.leaf, pem), "chain takes a sequence"),
        ((pki.leaf_key, pki.leaf, pki.root), "chain takes a sequence, not Certificate"),
        ((pki.leaf_key, pki.leaf, [pem]), "chain must hold objects of the type Certificate, not bytes"),
        ((pki.leaf_key, pki.leaf, (1 / 0 for _ in "x")), "chain raised ZeroDivisionError"),
    ):
        with pytest.raises(UsageError, match=text):
            Keystore.from_objects(*arguments)
    with pytest.raises(KeystoreError, match="the private key is a Handle key; TLS needs") as caught:
        Keystore.from_objects(_Handle(pki), pki.leaf)  # type: ignore[arg-type]
    assert caught.value.failure == "unsupported_key"


class _Handle:
    """A key in hardware: it signs, and has no bytes."""

    def __init__(self, pki: Pki) -> None:
        self.public_key = pki.leaf_key.public_key
