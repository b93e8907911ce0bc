"""Files are written whole or not at all, and a key is never readable by others."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mtls._credentials import saving
from mtls._credentials.key_types import generate_key
from mtls._credentials.saving import Existing
from mtls._credentials.secret import Passphrase, Secret
from mtls._model import SourceFailure
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.skipif(os.name != "posix", reason="file modes are those of POSIX")


@pytest.fixture(params=[0o000, 0o022, 0o777], ids="umask {0:03o}".format)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def secret_file(path: Path, content: bytes = b"new") -> saving.File:
    return saving.File(path, Secret(content), 0o600)


def test_modes_are_exact_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    key = saving.key_file(tmp_path / "a.key", generate_key("ec-p256"), Passphrase(None))
    saving.write(key, saving.certificate_file(tmp_path / "a.crt", b"public"))
    assert mode(tmp_path / "a.key") == 0o600
    assert mode(tmp_path / "a.crt") == 0o644


def test_a_file_is_created_private_and_exclusively_and_widened_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[tuple[Any, ...]] = []
    real_open, real_chmod, real_link = os.open, os.fchmod, Path.hardlink_to

    def watched_open(path: Any, flags: int, mode: int = 0o777) -> int:
        events.append(("open", bool(flags & os.O_EXCL), bool(flags & os.O_CREAT), mode))
        return real_open(path, flags, mode)

    def watched_chmod(descriptor: int, mode: int) -> None:
        events.append(("mode", mode))
        real_chmod(descriptor, mode)

    def watched_link(target: Path, temporary: Path) -> None:
        events.append(("name", target.name, temporary.parent == target.parent))
        real_link(target, temporary)

    monkeypatch.setattr(os, "open", watched_open)
    monkeypatch.setattr(os, "fchmod", watched_chmod)
    monkeypatch.setattr(Path, "hardlink_to", watched_link)
    saving.write(saving.certificate_file(tmp_path / "a.crt", b"public"))
    assert events == [("open", True, True, 0o600), ("mode", 0o644), ("name", "a.crt", True)]


@pytest.mark.parametrize("obstacle", ["file", "dangling link"])
def test_what_is_there_stays_and_nothing_else_is_written(tmp_path: Path, obstacle: str) -> None:
    target = tmp_path / "b.key"
    if obstacle == "file":
        target.write_bytes(b"old")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"b\.key already exists; choose another path, or replace it") as caught:
        saving.write(secret_file(tmp_path / "a.key"), secret_file(target))
    assert str(target) in str(caught.value)
    assert os.listdir(tmp_path) == ["b.key"]  # noqa: PTH208 - names are enough
    assert obstacle == "dangling link" or target.read_bytes() == b"old"


def test_a_file_that_appears_at_the_last_moment_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_fsync = os.fsync

    def rival(descriptor: int) -> None:
        (tmp_path / "b.key").write_bytes(b"rival")
        real_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", rival)
    with pytest.raises(UsageError, match="already exists"):
        saving.write(secret_file(tmp_path / "a.key"), secret_file(tmp_path / "b.key"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.key"]
    assert (tmp_path / "b.key").read_bytes() == b"rival"


def test_replacing_narrows_a_wide_mode_and_leaves_no_temporary_file(tmp_path: Path) -> None:
    target = tmp_path / "a.key"
    target.write_bytes(b"old")
    target.chmod(0o666)
    saving.write(secret_file(target), existing="replace")
    assert (target.read_bytes(), mode(target)) == (b"new", 0o600)
    assert list(tmp_path.iterdir()) == [target]


def test_replacing_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "precious").write_bytes(b"precious")
    (tmp_path / "a.key").symlink_to("precious")
    saving.write(secret_file(tmp_path / "a.key"), existing=Existing.REPLACE)
    assert not (tmp_path / "a.key").is_symlink()
    assert (tmp_path / "precious").read_bytes() == b"precious"


@pytest.mark.parametrize("call", ["fsync", "fchmod", "link", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_whatever_interrupts_it_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(os, call, fail)
    existing = Existing.REPLACE if call == "replace" else Existing.REFUSE
    with pytest.raises(type(error)) as caught:
        saving.write(secret_file(tmp_path / "a.key"), secret_file(tmp_path / "b.key"), existing=existing)
    assert caught.value is error
    assert list(tmp_path.iterdir()) == []


def test_what_was_named_already_is_removed_again_if_a_later_file_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_link = os.link
    done: list[bool] = []

    def second_fails(*args: Any, **kwargs: Any) -> None:
        if done:
            raise OSError(errno.EIO, "Input/output error")
        done.append(True)
        real_link(*args, **kwargs)

    monkeypatch.setattr(os, "link", second_fails)
    with pytest.raises(OSError, match="Input/output"):
        saving.write(secret_file(tmp_path / "a.key"), secret_file(tmp_path / "b.key"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_file_system_without_hard_links_will_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(code, "no links here")

    monkeypatch.setattr(os, "link", refuse)
    saving.write(secret_file(tmp_path / "a.key"))
    assert ((tmp_path / "a.key").read_bytes(), mode(tmp_path / "a.key")) == (b"new", 0o600)
    monkeypatch.setattr(saving, "_refuse_obstacle", lambda *_: None)
    with pytest.raises(UsageError, match="already exists"):
        saving.write(secret_file(tmp_path / "a.key", b"newer"))
    assert (tmp_path / "a.key").read_bytes() == b"new"
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="no links here"):
        saving.write(secret_file(tmp_path / "b.key"))
    assert [path.name for path in tmp_path.iterdir()] == ["a.key"]


@pytest.mark.parametrize("path", ["", "a\0b", 7, b"a.key", None])
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(UsageError, match="a path to write to must be a str or path object that names a file"):
        saving.certificate_file(path, b"")


def test_a_directory_in_the_place_of_the_file_is_refused_even_to_replace(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a directory; name a file"):
        saving.write(secret_file(tmp_path), existing=Existing.REPLACE)


def test_an_unknown_answer_to_existing_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"existing=True is unknown; use Existing\.REFUSE or Existing\.REPLACE"):
        saving.write(secret_file(tmp_path / "a.key"), existing=True)  # type: ignore[arg-type] # the mistake under test
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory_stays_the_error_of_the_file_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        saving.write(secret_file(tmp_path / "missing" / "a.key"))


def test_a_directory_is_made_that_only_its_owner_writes_and_removed_if_the_body_fails(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with saving.directory(tmp_path / "new") as folder:
            assert mode(folder) == 0o755
    finally:
        os.umask(before)
    with saving.directory(tmp_path / "new"):
        pass
    with pytest.raises(KeyboardInterrupt), saving.directory(tmp_path / "other"):
        raise KeyboardInterrupt
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_nothing_that_was_written_shows_in_a_repr(tmp_path: Path) -> None:
    assert "new" not in repr(secret_file(tmp_path / "a.key"))


@pytest.mark.parametrize("password", ["pässword", b"password", lambda: "asked"], ids=["str", "bytes", "callable"])
def test_a_password_encrypts_the_key(tmp_path: Path, password: Any) -> None:
    key = generate_key("ed25519")
    saving.write(saving.key_file(tmp_path / "a.key", key, Passphrase(password)))
    content = (tmp_path / "a.key").read_bytes()
    plain = password() if callable(password) else password
    assert content.startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    again = load_pem_private_key(content, plain.encode() if isinstance(plain, str) else plain)
    assert again.public_key() == key.public_key()


@pytest.mark.parametrize("password", [7, bytearray(b"x")])
def test_a_password_of_another_type_is_refused(tmp_path: Path, password: Any) -> None:
    with pytest.raises(UsageError, match="password must be str"):
        saving.key_file(tmp_path / "a.key", generate_key("ed25519"), Passphrase(password))


def test_an_empty_password_is_refused_rather_than_saving_a_key_in_the_clear(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the password is empty; leave password= out"):
        saving.key_file(tmp_path / "a.key", generate_key("ed25519"), Passphrase(""))


def test_a_password_callable_that_raises_is_named_with_the_file(tmp_path: Path) -> None:
    def broken() -> str:
        raise LookupError

    with pytest.raises(KeystoreError, match="the password callable raised LookupError") as caught:
        saving.key_file(tmp_path / "a.key", generate_key("ed25519"), Passphrase(broken))
    assert caught.value.failure is SourceFailure.PASSWORD_REQUIRED
    assert caught.value.source.endswith("a.key")
