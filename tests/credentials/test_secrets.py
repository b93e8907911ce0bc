"""No key and no password in an error, a ``repr``, a pickle, or a local of a frame of ours."""

from __future__ import annotations

import base64
import copy
import pickle
import traceback
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

import mtls
from mtls._credentials.keystore import Keystore
from mtls._credentials.secret import Passphrase, Secret
from mtls._credentials.truststore import Truststore
from mtls.errors import MTLSError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.credentials.conftest import Pki

OURS = str(Path(mtls.__file__).parent)
PASSWORD = "canary-Passwörd-7f3a91"


class Canary:
    """A key and a password, and every trace by which they would be recognised."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        numbers = key.private_numbers()
        if isinstance(numbers, rsa.RSAPrivateNumbers):
            secrets = [numbers.d, numbers.p, numbers.q, numbers.dmp1]
        else:
            secrets = [numbers.private_value]
        raw = [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in secrets]
        text = base64.b64encode(der).decode()
        start = der.index(raw[0])
        line = base64.b64encode(der[start - start % 3 :])[4:28].decode()
        assert line in text
        self.traces = [PASSWORD, "canary-Passw", "7f3a91", line, *map(str, secrets)]
        self.traces += [trace for value in raw for trace in (value.hex(), repr(value[1:9])[2:-1])]

    def is_in(self, text: str) -> bool:
        return any(trace in text for trace in self.traces)


def errors_of(exc: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    waiting: list[BaseException | None] = [exc]
    while waiting:
        one = waiting.pop()
        if one is not None and one not in seen:
            seen.append(one)
            waiting += [one.__cause__, one.__context__]
            yield one


def shown_by(exc: BaseException) -> Iterator[str]:
    """Everything that a log or an error tracker could show of ``exc``, frames of the test itself left out."""
    for one in errors_of(exc):
        yield from (str(one), repr(one), repr(one.args), repr(vars(one)))
        for frame, _ in traceback.walk_tb(one.__traceback__):
            if frame.f_code.co_filename.startswith(OURS):
                yield from (f"{frame.f_code.co_name}: {name} = {value!r}" for name, value in frame.f_locals.items())
        rendered = traceback.TracebackException(type(one), one, one.__traceback__, capture_locals=True)
        for summary in rendered.stack:
            if summary.filename.startswith(OURS):
                yield from (summary.locals or {}).values()


def outcome(call: Callable[[], object]) -> list[str]:
    """What shows of the object that ``call`` makes, or of the error of ours that it raises."""
    try:
        made = call()
    except MTLSError as exc:
        return ["an error", *shown_by(exc), repr(pickle.dumps(exc))]
    return [repr(made), str(made)]


def cases(pki: Pki, key: Any, folder: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    leaf = pki.certificate("canary", key)
    certificate, plain = pki.pem(leaf), pki.pem(key)
    locked, both = pki.encrypted(key, PASSWORD), pki.pem(leaf, key)
    traditional = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    archive = serialize_key_and_certificates(None, key, leaf, None, NoEncryption())
    path = folder / "key.pem"
    path.write_bytes(plain)
    sources: dict[str, Any] = {
        "key of another certificate": plain,
        "traditional": traditional,
        "der": der,
        "archive": archive,
        "text": plain.decode(),
        "base64": base64.b64encode(plain),
        "base64 text": base64.b64encode(plain).decode(),
        "base64 of der as text": base64.b64encode(der).decode(),
        "path": path,
        "two keys": plain + traditional,
        "no end": plain[:-20],
        "no end, then a certificate": plain[:-26] + certificate,
        "no begin": plain[30:],
        "wrong end": plain.replace(b"END PRIVATE", b"END PUBLIC"),
        "one line, dashes lost": plain.replace(b"\n", b"").replace(b"KEY-----", b"KEY--", 1),
        "bad base64": plain.replace(b"\n-----END", b"!\n-----END"),
        "backslashes": plain.replace(b"\n", b"\\n"),
        "cut": base64_cut(plain),
        "other label": plain.replace(b"PRIVATE", b"DSA PRIVATE"),
        "encrypted label": plain.replace(b"PRIVATE", b"ENCRYPTED PRIVATE"),
        "openssh label": plain.replace(b"PRIVATE", b"OPENSSH PRIVATE"),
        "certificate label": plain.replace(b"PRIVATE KEY", b"CERTIFICATE"),
        "crl label": plain.replace(b"PRIVATE KEY", b"X509 CRL"),
        "bogus encryption": traditional.replace(
            b"KEY-----\n", b"KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1
        ),
        "utf-16": b"\xff\xfe" + plain.decode().encode("utf-16-le") + b"\0",
        "bytearray": bytearray(plain),
        "list": [plain],
        "junk": b"\x30\x82\xff\xff" + der,
    }
    for name, source in sources.items():
        yield (
            f"key: {name}",
            partial(lambda source: Keystore.from_pem(pki.pem(pki.leaf), source, password=PASSWORD), source),
        )
        yield f"certificate: {name}", partial(Keystore.from_pem, source, password=PASSWORD)
        yield f"pkcs12: {name}", partial(lambda source: Keystore.from_pkcs12(source, password=PASSWORD + "x"), source)
        yield f"directory: {name}", partial(lambda source: Keystore.from_directory(source, password=PASSWORD), source)
        yield f"file name: {name}", partial(lambda source: Keystore.from_directory(folder, key=source), source)
        yield f"object: {name}", partial(lambda source: Keystore.from_objects(source, pki.leaf), source)
        yield f"chain: {name}", partial(lambda source: Keystore.from_objects(pki.leaf_key, pki.leaf, [source]), source)
        yield f"trust: {name}", partial(Truststore.from_pem, source)
        yield f"trust after another: {name}", partial(lambda source: Truststore.from_pem(certificate, source), source)
        yield f"crl: {name}", partial(lambda source: Truststore.from_pem(certificate, crls=[source]), source)
        yield f"crls: {name}", partial(lambda source: Truststore.from_pem(certificate, crls=source), source)
        yield f"trust pkcs12: {name}", partial(lambda source: Truststore.from_pkcs12(source, password=PASSWORD), source)
        yield f"trust directory: {name}", partial(Truststore.from_directory, source)
        yield f"trust objects: {name}", partial(lambda source: Truststore.from_certificates([source]), source)
    passwords: dict[str, Any] = {
        "wrong": PASSWORD + "x",
        "surrogate": PASSWORD + "\ud800",
        "list": [PASSWORD],
        "missing": None,
        "empty": "",
        "partial": partial(_fail, PASSWORD),
        "callable with a wrong result": lambda: [PASSWORD],
        "callable with a wrong password": lambda: PASSWORD + "x",
    }
    for name, password in passwords.items():
        yield f"password {name}", partial(Keystore.from_pem, certificate, locked, password=password)
        yield f"password {name}, one source", partial(Keystore.from_pem, certificate + locked, password=password)
    for none in ("certificate", "key of a directory", "chain", "object"):
        yield f"None: {none}", partial(_with_none, none, plain)
    yield "constructor", lambda: Keystore(plain, password=PASSWORD)
    keystore = Keystore.from_pem(both)
    yield "reload", keystore._reload
    yield "pickle", lambda: pickle.dumps(keystore)
    yield "pickle of the pem", lambda: pickle.dumps(keystore._pem())
    yield "copy of the pem", lambda: copy.copy(keystore._pem())
    yield "no certificate", lambda: Keystore.from_pem(plain, plain, password=PASSWORD)
    yield "objects", lambda: Keystore.from_objects(key, pki.leaf, [pki.root])


def base64_cut(pem: bytes) -> bytes:
    """A key whose base64 is fine and whose ASN.1 is cut."""
    lines = pem.split(b"\n")
    return b"\n".join([lines[0], *lines[2:]])


def _fail(password: str) -> str:
    raise LookupError


def _with_none(what: str, key: bytes) -> object:
    if what == "certificate":
        return Keystore.from_pem(None, key, password=PASSWORD)  # type: ignore[arg-type]
    if what == "key of a directory":
        return Keystore.from_directory("/", key=None, password=PASSWORD)  # type: ignore[arg-type]
    if what == "chain":
        return Keystore.from_objects(key, None, None)  # type: ignore[arg-type]
    return Keystore.from_objects(None, key)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["ec", "rsa"])
def key(request: pytest.FixtureRequest, pki: Pki) -> Any:
    return pki.rsa_key if request.param == "rsa" else pki.new_key()


def test_no_error_shows_a_key_or_a_password(pki: Pki, key: Any, tmp_path: Path) -> None:
    canary = Canary(key)
    raised = 0
    for name, call in cases(pki, key, tmp_path):
        for text in outcome(call):
            assert not canary.is_in(text), (name, text)
            raised += text == "an error"
    assert raised > 350


def test_the_check_itself_finds_what_it_looks_for(pki: Pki) -> None:
    canary = Canary(pki.rsa_key)
    plain = pki.pem(pki.rsa_key)
    assert canary.is_in(plain.decode())
    assert canary.is_in(repr({"password": PASSWORD}))
    assert canary.is_in(repr(pki.rsa_key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())))
    assert canary.is_in(str(pki.rsa_key.private_numbers().d))


def test_a_secret_shows_nothing_and_leaves_only_by_reveal() -> None:
    secret = Secret(PASSWORD.encode())
    for text in (repr(secret), str(secret), f"{secret:>20}", f"{secret!r}", f"{secret}", repr([secret])):
        assert "<secret>" in text
        assert "canary" not in text
    assert secret.reveal() == PASSWORD.encode()
    assert secret
    assert len(secret) == len(PASSWORD.encode())
    assert not hasattr(secret, "__dict__")
    for leave in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(UsageError, match="neither pickled nor copied"):
            leave(secret)
    assert repr(Passphrase(PASSWORD)) == "<password>"
