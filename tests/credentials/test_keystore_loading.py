"""Directories, passwords and reading again."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from mtls._credentials.keystore import Keystore
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from tests.credentials.conftest import Pki


class Secret:
    """A mounted Secret as kubelet writes it: generations behind the symbolic link ``..data``."""

    def __init__(self, folder: Path, pki: Pki) -> None:
        self.folder = folder
        self._pki = pki
        self._number = 0

    def write(self, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        """Write a new generation and swap the link."""
        self._number += 1
        generation = self.folder / f"..2026_{self._number}"
        generation.mkdir()
        (generation / "tls.key").write_bytes(self._pki.pem(key))
        (generation / "tls.crt").write_bytes(self._pki.pem(certificate, self._pki.intermediate))
        (self.folder / "..tmp").symlink_to(generation.name)
        (self.folder / "..tmp").rename(self.folder / "..data")
        for name in ("tls.key", "tls.crt"):
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"..data/{name}")
        old = self.folder / f"..2026_{self._number - 1}"
        if old.exists():
            for file in old.iterdir():
                file.unlink()
            old.rmdir()


def test_a_mounted_secret_loads_and_is_watched_by_its_lasting_names(pki: Pki, tmp_path: Path) -> None:
    secret = Secret(tmp_path, pki)
    secret.write(pki.leaf_key, pki.leaf)
    keystore = Keystore.from_directory(tmp_path)
    assert keystore.certificate == pki.leaf
    assert keystore.chain == (pki.intermediate,)
    assert keystore._paths == (str(tmp_path / "tls.crt"), str(tmp_path / "tls.key"))
    key = pki.new_key()
    renewed = pki.certificate("leaf", key, issuer=(pki.intermediate, pki.intermediate_key))
    secret.write(key, renewed)
    assert keystore._reload().certificate == renewed
    assert keystore.certificate == pki.leaf


def test_a_rotation_between_the_two_files_is_never_seen(pki: Pki, tmp_path: Path) -> None:
    secret = Secret(tmp_path, pki)
    keys = [pki.leaf_key, pki.new_key()]
    issuer = pki.intermediate, pki.intermediate_key
    leaves = [pki.certificate("leaf", key, issuer=issuer) for key in keys]
    secret.write(keys[0], leaves[0])
    done = threading.Event()

    def rotate() -> None:
        for turn in range(100):
            secret.write(keys[turn % 2], leaves[turn % 2])
        done.set()

    thread = threading.Thread(target=rotate)
    thread.start()
    count = 0
    while not done.is_set() or not count:
        assert Keystore.from_directory(tmp_path).certificate in leaves
        count += 1
    thread.join()


def test_a_plain_directory_in_the_middle_of_a_rotation_is_read_again(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tls.crt").write_bytes(pki.pem(pki.leaf))
    (tmp_path / "tls.key").write_bytes(pki.pem(pki.root_key))
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            (tmp_path / "tls.key").write_bytes(pki.pem(pki.leaf_key))

    monkeypatch.setattr(time, "sleep", pause)
    assert Keystore.from_directory(tmp_path).certificate == pki.leaf
    assert len(pauses) == 2
    assert sum(pauses) < 0.2


def test_a_directory_whose_files_never_fit_is_refused_after_a_few_tries(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_bytes(pki.pem(pki.leaf))
    (tmp_path / "key.pem").write_bytes(pki.pem(pki.root_key))
    with pytest.raises(KeystoreError, match="CN=leaf") as caught:
        Keystore.from_directory(str(tmp_path), certificate="cert.pem", key="key.pem")
    assert caught.value.failure == "key_mismatch"
    assert caught.value.source == str(tmp_path / "key.pem")


def test_what_is_no_directory_is_named(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    for path, failure, text in (
        (tmp_path / "none", "not_found", "there is no such"),
        (tmp_path / "file", "not_readable", r"it is a file, not a directory; use from_pem\(\)"),
        (tmp_path, "not_found", "tls.crt: there is no such file"),
    ):
        with pytest.raises(KeystoreError, match=text) as caught:
            Keystore.from_directory(path)
        assert caught.value.failure == failure
    with pytest.raises(UsageError, match="directory must be a path"):
        Keystore.from_directory(b"/etc")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the name of a file in the directory must be a str"):
        Keystore.from_directory(tmp_path, key=pki.pem(pki.leaf_key))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="certificate is None"):
        Keystore.from_directory(tmp_path, certificate=None)  # type: ignore[arg-type]


def test_one_file_of_a_directory_may_hold_both(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "bundle.pem").write_bytes(pki.pem(pki.leaf_key, pki.leaf))
    keystore = Keystore.from_directory(tmp_path, certificate="bundle.pem", key="bundle.pem")
    assert keystore._paths == (str(tmp_path / "bundle.pem"),)


def test_a_password_callable_is_called_once_and_only_if_needed(pki: Pki, tmp_path: Path) -> None:
    calls = []

    def password() -> str:
        calls.append(1)
        return "x"

    (tmp_path / "plain.pem").write_bytes(pki.pem(pki.leaf, pki.leaf_key))
    (tmp_path / "locked.pem").write_bytes(pki.pem(pki.leaf) + pki.encrypted(pki.leaf_key, "x"))
    assert Keystore.from_pem(tmp_path / "plain.pem", password=password).certificate == pki.leaf
    assert not calls
    keystore = Keystore.from_pem(tmp_path / "locked.pem", password=password)
    assert len(calls) == 1
    assert keystore._reload() == keystore
    assert len(calls) == 2
    (tmp_path / "tls.crt").write_bytes(pki.pem(pki.root))
    (tmp_path / "tls.key").write_bytes(pki.encrypted(pki.leaf_key, "x"))
    with pytest.raises(KeystoreError, match="CN=Root"):
        Keystore.from_directory(tmp_path, password=password)
    assert len(calls) == 3


def test_a_password_callable_that_fails_is_the_cause(pki: Pki) -> None:
    locked = pki.pem(pki.leaf) + pki.encrypted(pki.leaf_key, "x")
    with pytest.raises(KeystoreError, match="the password callable raised ZeroDivisionError") as caught:
        Keystore.from_pem(locked, password=lambda: str(1 / 0))
    assert caught.value.failure == "password_required"
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(UsageError, match="the password callable must return str"):
        Keystore.from_pem(locked, password=lambda: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize("password", [7, ["x"], bytearray(b"x"), "\ud800"], ids=repr)
def test_what_is_no_password_is_a_mistake_of_the_call(password: str, pki: Pki) -> None:
    for make in (Keystore.from_pem, Keystore.from_pkcs12):
        with pytest.raises(UsageError, match="password must be str"):
            make(pki.pem(pki.leaf, pki.leaf_key), password=password)


def test_a_password_for_a_key_that_needs_none_does_not_matter(pki: Pki) -> None:
    assert Keystore.from_pem(pki.pem(pki.leaf, pki.leaf_key), password="x").certificate == pki.leaf


def test_a_keystore_of_paths_is_read_again_after_a_change_of_directory(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cert.pem").write_bytes(pki.pem(pki.leaf))
    (tmp_path / "key.pem").write_bytes(pki.encrypted(pki.leaf_key, "x"))
    monkeypatch.chdir(tmp_path)
    keystore = Keystore.from_pem("cert.pem", "key.pem", password="x")
    assert keystore._paths == (str(tmp_path / "cert.pem"), str(tmp_path / "key.pem"))
    monkeypatch.chdir("/")
    assert keystore._reload() == keystore
    (tmp_path / "cert.pem").write_bytes(b"half written")
    with pytest.raises(KeystoreError, match=r"^cert\.pem: it holds no PEM block"):
        keystore._reload()


def test_a_keystore_of_bytes_or_objects_cannot_be_read_again(pki: Pki) -> None:
    for keystore in (
        Keystore.from_pem(pki.pem(pki.leaf, pki.leaf_key)),
        Keystore.from_objects(pki.leaf_key, pki.leaf),
    ):
        assert keystore._paths == ()
        with pytest.raises(UsageError, match=r"was not read from files, .* make it from paths"):
            keystore._reload()


def test_a_working_directory_that_is_gone_does_not_matter_to_an_absolute_path(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "all.pem").write_bytes(pki.pem(pki.leaf, pki.leaf_key))
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert Keystore.from_pem(tmp_path / "all.pem").certificate == pki.leaf
    with pytest.raises(KeystoreError, match="there is no such file") as caught:
        Keystore.from_pem("all.pem")
    assert caught.value.failure == "not_found"


def test_a_directory_with_a_wrong_password_is_not_read_again(
    pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tls.crt").write_bytes(pki.pem(pki.leaf))
    (tmp_path / "tls.key").write_bytes(pki.encrypted(pki.leaf_key, "x"))
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waits"))
    with pytest.raises(KeystoreError, match="does not open with the password given") as caught:
        Keystore.from_directory(tmp_path, password="y")
    assert caught.value.failure == "wrong_password"
