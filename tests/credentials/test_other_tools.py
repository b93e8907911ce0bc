"""Keystores that OpenSSL and Java's keytool made: each one loads, and is the one that was put in."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from cryptography import x509

from mtls._credentials.keystore import Keystore
from mtls._credentials.truststore import Truststore
from mtls.errors import KeystoreError, TruststoreError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.credentials.conftest import Pki, Tool

KINDS = {
    "rsa": (["-newkey", "rsa:2048"], "RSA 2048"),
    "rsa-pss": (["-newkey", "rsa-pss", "-pkeyopt", "rsa_keygen_bits:2048"], "RSA 2048"),
    "p256": (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], "ECDSA P-256"),
    "p384": (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"], "ECDSA P-384"),
    "p521": (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-521"], "ECDSA P-521"),
    "secp256k1": (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:secp256k1"], "ECDSA secp256k1"),
    "brainpool": (["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:brainpoolP256r1"], "ECDSA brainpoolP256r1"),
    "ed25519": (["-newkey", "ed25519"], "Ed25519"),
    "ed448": (["-newkey", "ed448"], "Ed448"),
}
LEGACY = ["-provider", "legacy", "-provider", "default"]
PKCS8 = {
    "plain": ["-nocrypt"],
    "aes-256-cbc": ["-v2", "aes-256-cbc"],
    "aes-128-cbc-sha1": ["-v2", "aes-128-cbc", "-v2prf", "hmacWithSHA1"],
    "aes-256-cbc-sha512": ["-v2", "aes-256-cbc", "-v2prf", "hmacWithSHA512"],
    "des3": ["-v2", "des3"],
    "scrypt": ["-scrypt", "-scrypt_N", "1024"],
    "pbe-sha1-3des": ["-v1", "PBE-SHA1-3DES"],
    "pbe-md5-des": ["-v1", "PBE-MD5-DES", *LEGACY],
    "pbe-sha1-rc2-40": ["-v1", "PBE-SHA1-RC2-40", *LEGACY],
}
PKCS12 = {
    "openssl-3": [],
    "openssl-1": ["-legacy"],
    "3des": ["-keypbe", "PBE-SHA1-3DES", "-certpbe", "PBE-SHA1-3DES"],
    "aes-128": ["-keypbe", "aes-128-cbc", "-certpbe", "aes-128-cbc", "-macalg", "sha512"],
    "plain-certificates": ["-certpbe", "NONE"],
    "named": ["-name", "my key"],
    "no-mac": ["-nomac"],
    "no-mac-no-encryption": ["-nomac", "-keypbe", "NONE", "-certpbe", "NONE"],
    "rc4": ["-keypbe", "PBE-SHA1-RC4-128", "-certpbe", "PBE-SHA1-RC2-40", "-legacy"],
}
PASSWORD = "pass wörd ☃"


@dataclass(frozen=True)
class Made:
    """What ``openssl req`` made: a key in PKCS#8 and a self-signed certificate."""

    key: Path
    certificate: Path
    kind: str

    def is_held_by(self, keystore: Keystore, tmp_path: Path) -> bool:
        """Whether the keystore holds it, and OpenSSL takes it."""
        merged = tmp_path / "merged.pem"
        merged.write_bytes(keystore._pem().reveal())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(merged)
        return f"({self.kind})" in repr(keystore) and keystore.certificate == x509.load_pem_x509_certificate(
            self.certificate.read_bytes()
        )


@pytest.fixture(scope="session")
def made(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Made]:
    folder = tmp_path_factory.mktemp("made")

    def make(kind: str) -> Made:
        key, certificate = folder / f"{kind}.key", folder / f"{kind}.pem"
        options, described = KINDS[kind]
        if not certificate.exists():
            tool(
                "openssl", "req", "-x509", *options, "-nodes", "-keyout", str(key), "-out", str(certificate),
                "-subj", f"/CN={kind}", "-days", "30",
            )  # fmt: skip
        return Made(key, certificate, described)

    return make


@pytest.mark.parametrize("encoding", PKCS8)
@pytest.mark.parametrize("kind", KINDS)
def test_pkcs8_loads(kind: str, encoding: str, made: Callable[[str], Made], tool: Tool, tmp_path: Path) -> None:
    identity = made(kind)
    password = "pass:" + PASSWORD
    key = tool("openssl", "pkcs8", "-topk8", "-in", str(identity.key), *PKCS8[encoding], "-passout", password)
    keystore = Keystore.from_pem(identity.certificate, key, password=PASSWORD)
    assert identity.is_held_by(keystore, tmp_path)
    if encoding != "plain":
        for wrong, failure in ((None, "password_required"), ("wrong", "wrong_password")):
            with pytest.raises(KeystoreError, match=r"^key \(bytes\): the ENCRYPTED PRIVATE KEY of line 1 ") as caught:
                Keystore.from_pem(identity.certificate, key, password=wrong)
            assert caught.value.failure == failure


@pytest.mark.parametrize("cipher", ["plain", "aes128", "aes256", "des3"])
@pytest.mark.parametrize("kind", ["rsa", "p256", "p384", "p521", "secp256k1"])
def test_a_traditional_key_loads(
    kind: str, cipher: str, made: Callable[[str], Made], tool: Tool, tmp_path: Path
) -> None:
    identity = made(kind)
    command = ["rsa", "-traditional"] if kind == "rsa" else ["ec"]
    encryption = [] if cipher == "plain" else [f"-{cipher}", "-passout", "pass:" + PASSWORD]
    key = tool("openssl", *command, "-in", str(identity.key), *encryption)
    assert b"BEGIN RSA PRIVATE" in key or b"BEGIN EC PRIVATE" in key
    assert identity.is_held_by(Keystore.from_pem(identity.certificate, key, password=PASSWORD.encode()), tmp_path)
    if cipher != "plain":
        for wrong, failure in ((None, "password_required"), ("wrong", "wrong_password")):
            with pytest.raises(KeystoreError) as caught:
                Keystore.from_pem(identity.certificate, key, password=wrong)
            assert caught.value.failure == failure


@pytest.mark.parametrize("cipher", ["camellia256", "aria128", "aes192"])
def test_a_cipher_that_cannot_be_read_is_named(cipher: str, made: Callable[[str], Made], tool: Tool) -> None:
    identity = made("rsa")
    key = tool(
        "openssl", "rsa", "-traditional", "-in", str(identity.key), f"-{cipher}", "-passout", "pass:x"
    )  # fmt: skip
    with pytest.raises(KeystoreError, match=f"{cipher[:3].upper()}.*openssl pkcs8 -topk8") as caught:
        Keystore.from_pem(identity.certificate, key, password="x")
    assert caught.value.failure == "unsupported_key"


@pytest.mark.parametrize("encoding", PKCS12)
@pytest.mark.parametrize("kind", KINDS)
def test_pkcs12_loads(kind: str, encoding: str, made: Callable[[str], Made], tool: Tool, tmp_path: Path) -> None:
    identity = made(kind)
    source = tool(
        "openssl", "pkcs12", "-export", "-inkey", str(identity.key), "-in", str(identity.certificate),
        *PKCS12[encoding], "-passout", "pass:" + PASSWORD,
    )  # fmt: skip
    assert identity.is_held_by(Keystore.from_pkcs12(source, password=lambda: PASSWORD), tmp_path)
    if encoding != "no-mac-no-encryption":
        for wrong, failure in ((None, "password_required"), ("wrong", "wrong_password")):
            with pytest.raises(KeystoreError, match=r"^source \(bytes\): it ") as caught:
                Keystore.from_pkcs12(source, password=wrong)
            assert caught.value.failure == failure


@pytest.mark.parametrize("encoding", ["openssl-3", "openssl-1", "no-mac"])
@pytest.mark.parametrize("password", [None, "", b"", "given all the same"], ids=repr)
def test_pkcs12_with_an_empty_password_loads(
    encoding: str, password: str | None, made: Callable[[str], Made], tool: Tool, tmp_path: Path
) -> None:
    identity = made("p256")
    source = tool(
        "openssl", "pkcs12", "-export", "-inkey", str(identity.key), "-in", str(identity.certificate),
        *PKCS12[encoding], "-passout", "pass:",
    )  # fmt: skip
    assert identity.is_held_by(Keystore.from_pkcs12(source, password=password), tmp_path)


def test_the_text_of_openssl_around_the_blocks_means_nothing(
    made: Callable[[str], Made], tool: Tool, tmp_path: Path
) -> None:
    identity = made("p256")
    parameters = tool("openssl", "ecparam", "-name", "prime256v1")
    text = tool("openssl", "x509", "-in", str(identity.certificate), "-text")
    trusted = tool("openssl", "x509", "-in", str(identity.certificate), "-trustout", "-addtrust", "serverAuth")
    key = tool("openssl", "ec", "-in", str(identity.key))
    archive = tmp_path / "all.p12"
    tool(
        "openssl", "pkcs12", "-export", "-inkey", str(identity.key), "-in", str(identity.certificate), "-name", "n",
        "-passout", "pass:", "-out", str(archive),
    )  # fmt: skip
    bags = tool("openssl", "pkcs12", "-in", str(archive), "-nodes", "-passin", "pass:")
    assert b"Bag Attributes" in bags
    assert b"BEGIN TRUSTED CERTIFICATE" in trusted
    assert parameters.startswith(b"-----BEGIN EC PARAMETERS-----")
    for content in (text + key, bags, trusted + key, parameters + key + text, key + text):
        assert identity.is_held_by(Keystore.from_pem(content), tmp_path)


def test_what_openssl_makes_beside_keystores_is_named(made: Callable[[str], Made], tool: Tool, tmp_path: Path) -> None:
    identity = made("p256")
    key, certificate = str(identity.key), str(identity.certificate)
    expected = {
        "a DER certificate.*openssl x509 -inform der -in ": ["x509", "-in", certificate, "-outform", "der"],
        "a DER private key.*openssl pkey -inform der": ["pkey", "-in", key, "-outform", "der"],
        "an encrypted DER private key": [
            "pkcs8", "-topk8", "-in", key, "-passout", "pass:x", "-outform", "der",
        ],
        "a DER private key, not PEM": ["ec", "-in", key, "-outform", "der"],
        "PKCS#7.*openssl pkcs7 -inform der": ["crl2pkcs7", "-nocrl", "-certfile", certificate, "-outform", "der"],
        "a PKCS7 and no certificate.*openssl pkcs7 -print_certs": ["crl2pkcs7", "-nocrl", "-certfile", certificate],
        r"a certificate request \(CSR\) in DER": ["req", "-new", "-key", key, "-subj", "/CN=x", "-outform", "der"],
        "a CERTIFICATE REQUEST and no certificate": ["req", "-new", "-key", key, "-subj", "/CN=x"],
        "a public key in DER": ["pkey", "-in", key, "-pubout", "-outform", "der"],
        "a PUBLIC KEY and no certificate": ["pkey", "-in", key, "-pubout"],
        r"PKCS#12, not PEM; use from_pkcs12\(\)": [
            "pkcs12", "-export", "-inkey", key, "-in", certificate, "-passout", "pass:",
        ],
    }  # fmt: skip
    for text, command in expected.items():
        source = tmp_path / "source"
        source.write_bytes(tool("openssl", *command))
        with pytest.raises(KeystoreError, match=text) as caught:
            Keystore.from_pem(source)
        assert caught.value.failure == "wrong_format"
        assert caught.value.source == str(source)


@pytest.mark.parametrize(
    ("options", "kind"),
    [
        (["-algorithm", "x25519"], "X25519"),
        (["-algorithm", "DH", "-pkeyopt", "group:ffdhe2048"], "DH"),
        (["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:sect233k1"], "cannot be read"),
    ],
)
def test_a_key_that_tls_does_not_sign_with_is_named(options: list[str], kind: str, pki: Pki, tool: Tool) -> None:
    key = tool("openssl", "genpkey", *options)
    with pytest.raises(KeystoreError, match=f"{kind}.*TLS needs an RSA, EC") as caught:
        Keystore.from_pem(pki.pem(pki.leaf), key)
    assert caught.value.failure == "unsupported_key"


def test_a_pkcs12_with_a_key_on_a_curve_that_cannot_be_read_is_unsupported(tool: Tool, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:sect233k1", "-nodes", "-subj", "/CN=x"]
    tool("openssl", "req", "-x509", *curve, "-keyout", str(both), "-out", str(tmp_path / "certificate.pem"))
    both.write_bytes(both.read_bytes() + (tmp_path / "certificate.pem").read_bytes())
    archive = tool("openssl", "pkcs12", "-export", "-in", str(both), "-passout", "pass:x")
    with pytest.raises(KeystoreError, match="it holds a key, or is encrypted in a way, that cannot be read") as caught:
        Keystore.from_pkcs12(archive, password="x")
    assert caught.value.failure == "unsupported_key"


def test_a_dsa_key_is_unsupported(pki: Pki, tool: Tool) -> None:
    parameters = tool("openssl", "dsaparam", "1024")
    key = tool("openssl", "gendsa", "/dev/stdin", given=parameters)
    with pytest.raises(KeystoreError, match="is a DSA key") as caught:
        Keystore.from_pem(pki.pem(pki.leaf), key)
    assert caught.value.failure == "unsupported_key"


class Java:
    """Stores of keytool, each made once."""

    password = "changeit"

    def __init__(self, tool: Tool, folder: Path, certificate: Path) -> None:
        self._tool = tool
        self._folder = folder
        self._certificate = certificate

    def store(self, name: str, *entries: str, kind: str = "pkcs12", options: tuple[str, ...] = ()) -> Path:
        """A store with key entries of the algorithms named, and with the trusted certificate for ``trusted``."""
        path = self._folder / name
        common = ["-keystore", str(path), "-storetype", kind, "-storepass", self.password, *options]
        for number, entry in enumerate(entries):
            alias = ["-alias", f"entry{number}"]
            if entry == "trusted":
                self._tool("keytool", "-importcert", "-noprompt", *alias, "-file", str(self._certificate), *common)
            else:
                arguments = ["-genkeypair", *alias, "-keyalg", entry, "-dname", f"CN={entry}", "-validity", "30"]
                self._tool("keytool", *arguments, *common)
        return path


@pytest.fixture(scope="session")
def java(tool: Tool, tmp_path_factory: pytest.TempPathFactory, pki: Pki) -> Java:
    folder = tmp_path_factory.mktemp("java")
    (folder / "root.pem").write_bytes(pki.pem(pki.root))
    return Java(tool, folder, folder / "root.pem")


@pytest.mark.parametrize(
    ("algorithm", "options", "kind"),
    [
        ("RSA", (), "RSA 2048"),
        ("EC", (), "ECDSA P-256"),
        ("Ed25519", (), "Ed25519"),
        ("RSA", ("-J-Dkeystore.pkcs12.legacy",), "RSA 2048"),
    ],
)
def test_a_java_keystore_loads(algorithm: str, options: tuple[str, ...], kind: str, java: Java) -> None:
    store = java.store(f"{algorithm}{len(options)}.p12", algorithm, options=options)
    keystore = Keystore.from_pkcs12(store, password=java.password)
    assert f"<Keystore CN={algorithm} ({kind})" in repr(keystore)
    assert keystore._paths == (str(store),)
    with pytest.raises(TruststoreError, match="it holds no CA certificate") as caught:
        Truststore.from_pkcs12(store, password=java.password)
    assert caught.value.failure == "no_certificate"


def test_a_java_truststore_loads_and_has_no_key(java: Java, pki: Pki) -> None:
    store = java.store("trust.p12", "trusted")
    assert Truststore.from_pkcs12(store, password=java.password).anchors == (pki.root,)
    with pytest.raises(KeystoreError, match=r"no private key; a truststore is read by Truststore") as caught:
        Keystore.from_pkcs12(store, password=java.password)
    assert caught.value.failure == "no_key"


def test_of_a_java_keystore_with_a_trusted_entry_each_side_takes_its_own(java: Java, pki: Pki) -> None:
    store = java.store("both.p12", "EC", "trusted")
    assert Truststore.from_pkcs12(store, password=java.password).anchors == (pki.root,)
    keystore = Keystore.from_pkcs12(store, password=java.password)
    assert keystore.unrelated == (pki.root,)
    assert not keystore.reordered


def test_two_keys_in_a_java_keystore_are_not_guessed_between(java: Java) -> None:
    store = java.store("two.p12", "EC", "RSA")
    with pytest.raises(KeystoreError, match="it holds 2 private keys, and nothing tells which") as caught:
        Keystore.from_pkcs12(store, password=java.password)
    assert caught.value.failure == "several_keys"


@pytest.mark.parametrize("kind", ["jks", "jceks"])
def test_an_old_java_format_is_named_with_the_command_that_converts_it(kind: str, java: Java, tool: Tool) -> None:
    store = java.store(f"old.{kind}", "EC", kind=kind)
    text = rf"\({kind.upper()}\).*keytool -importkeystore"
    with pytest.raises(KeystoreError, match=text):
        Keystore.from_pem(store)
    with pytest.raises(KeystoreError, match=text) as caught:
        Keystore.from_pkcs12(store)
    assert caught.value.failure == "wrong_format"
    remedy = caught.value.remedy.removeprefix("convert it: ").replace("out.p12", f"{store}.p12").split()
    extra = ["-srcstorepass", java.password, "-deststorepass", java.password]
    tool(remedy[0], *remedy[1:], *extra)
    assert "CN=EC" in repr(Keystore.from_pkcs12(f"{store}.p12", password=java.password))
    with pytest.raises(TruststoreError, match=kind.upper()):
        Truststore.from_pkcs12(store)


def test_a_chain_in_pkcs12_is_put_in_order(pki: Pki, tool: Tool, tmp_path: Path) -> None:
    source = tmp_path / "chain.pem"
    source.write_bytes(pki.pem(pki.leaf_key, pki.root, pki.intermediate, pki.leaf))
    archive = tool("openssl", "pkcs12", "-export", "-in", str(source), "-passout", "pass:x")
    keystore = Keystore.from_pkcs12(archive, password="x")
    assert (keystore.certificate, keystore.chain, keystore.root) == (pki.leaf, (pki.intermediate,), pki.root)
    assert set(Truststore.from_pkcs12(archive, password="x")) == {pki.intermediate, pki.root}


def test_a_pkcs12_without_its_certificate_is_named(pki: Pki, tool: Tool) -> None:
    archive = tool("openssl", "pkcs12", "-export", "-nocerts", "-passout", "pass:", given=pki.pem(pki.leaf_key))
    with pytest.raises(KeystoreError, match="a private key but no certificate") as caught:
        Keystore.from_pkcs12(archive)
    assert caught.value.failure == "no_certificate"


def test_a_der_crl_of_openssl_is_taken(pki: Pki, tool: Tool) -> None:
    crl = pki.crl(7)
    encoded = tool("openssl", "crl", "-outform", "der", given=pki.pem(crl))
    assert Truststore.from_pem(pki.pem(pki.root), crls=[encoded]).crls == (crl,)
