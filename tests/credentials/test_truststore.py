"""Truststores: what is an anchor, what kind it is, and what is never one."""

from __future__ import annotations

import copy
import pickle
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from mtls._credentials.truststore import Truststore
from mtls._model import AnchorKind
from mtls.errors import TruststoreError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.credentials.conftest import Pki


def test_every_certificate_and_crl_of_the_bundles_counts_and_keys_are_not_parsed(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(pki.pem(pki.root, pki.crl(1), pki.intermediate))
    broken_key = b"-----BEGIN PRIVATE KEY-----\n!!!\n-----END PRIVATE KEY-----\n"
    truststore = Truststore.from_pem(tmp_path / "ca.pem", broken_key + pki.pem(pki.leaf, pki.root))
    assert truststore.anchors == (pki.root, pki.intermediate, pki.leaf)
    assert list(truststore) == list(truststore.anchors)
    assert len(truststore) == 3
    assert len(truststore.crls) == 1
    assert pki.leaf in truststore
    assert "leaf" not in truststore
    assert truststore._paths == (str(tmp_path / "ca.pem"),)


def test_it_says_what_each_anchor_is(pki: Pki) -> None:
    truststore = Truststore.from_certificates([pki.root, pki.intermediate, pki.leaf], crls=[pki.crl(1)])
    assert [truststore.kind_of(anchor) for anchor in truststore] == list(AnchorKind)
    assert repr(truststore) == "<Truststore 3 anchors (1 root, 1 intermediate, 1 leaf), 1 CRL>"
    end = f"{pki.root.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    assert str(truststore) == (
        f"CN=Root (root), ends {end}\nCN=Intermediate (intermediate), ends {end}\nCN=leaf (leaf), ends {end}\n1 CRL"
    )
    rollover = pki.certificate("Root", pki.new_key(), issuer=(pki.root, pki.root_key), ca=True)
    assert truststore.kind_of(rollover) is AnchorKind.INTERMEDIATE
    with pytest.raises(UsageError, match=r"must be a cryptography\.x509\.Certificate, not str"):
        truststore.kind_of("root")  # type: ignore[arg-type]


def test_a_truststore_may_be_empty(pki: Pki) -> None:
    truststore = Truststore.from_certificates([])
    assert (len(truststore), str(truststore), repr(truststore)) == (0, "no anchors", "<Truststore 0 anchors>")
    assert (truststore | Truststore.from_certificates([pki.root])).anchors == (pki.root,)


def test_a_long_list_is_shown_in_part() -> None:
    lines = str(Truststore.certifi()).splitlines()
    assert len(lines) == 21
    assert lines[-1].startswith("… and ")


def test_the_fingerprint_covers_anchors_and_crls_and_no_order(pki: Pki) -> None:
    one = Truststore.from_certificates([pki.root, pki.leaf])
    other = Truststore.from_certificates([pki.leaf, pki.root, pki.leaf])
    listed = Truststore.from_certificates([pki.root, pki.leaf], crls=[pki.crl(1)])
    assert one.fingerprint == other.fingerprint
    assert one == other
    assert hash(one) == hash(other)
    assert one.fingerprint != listed.fingerprint
    assert one != listed
    assert one != "truststore"
    assert len(bytes.fromhex(one.fingerprint)) == 32


def test_a_union_keeps_the_anchors_and_crls_of_both_and_each_once(pki: Pki) -> None:
    first, second = pki.crl(1), pki.crl(2)
    one = Truststore.from_certificates([pki.root], crls=[first])
    other = Truststore.from_certificates([pki.leaf, pki.root], crls=[first, second])
    union = one | other
    assert union.anchors == (pki.root, pki.leaf)
    assert union.crls == (first, second)
    assert (union | union) == union
    with pytest.raises(TypeError, match="unsupported operand"):
        one | None  # type: ignore[operator]


def test_a_crl_source_may_be_pem_or_der_and_must_hold_a_crl(pki: Pki, tmp_path: Path) -> None:
    root = pki.pem(pki.root)
    encoded = pki.crl(1).public_bytes(Encoding.DER)
    (tmp_path / "one.crl").write_bytes(pki.pem(pki.crl(2)))
    truststore = Truststore.from_pem(root, crls=[encoded, tmp_path / "one.crl"])
    assert [next(iter(crl)).serial_number for crl in truststore.crls] == [1, 2]
    assert truststore._crls_pem().count(b"BEGIN X509 CRL") == 2
    for source, failure, text in (
        (root, "wrong_format", r"^crls \(bytes\): it holds no CRL"),
        (encoded[:-5], "no_pem_block", "no PEM block"),
        (b"hello", "no_pem_block", "no PEM block"),
        (pki.pem(pki.crl(2)).replace(b"MI", b"NI", 1), "damaged", "not a well-formed CRL"),
    ):
        with pytest.raises(TruststoreError, match=text) as caught:
            Truststore.from_pem(root, crls=[source])
        assert caught.value.failure == failure


def test_from_directory_reads_the_files_named_and_never_tls_crt(pki: Pki, tmp_path: Path) -> None:
    (tmp_path / "..1").mkdir()
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "..1" / "ca.crt").write_bytes(pki.pem(pki.root))
    (tmp_path / "..1" / "tls.crt").write_bytes(pki.pem(pki.leaf, pki.intermediate))
    (tmp_path / "..1" / "ca.crl").write_bytes(pki.pem(pki.crl(1)))
    truststore = Truststore.from_directory(tmp_path)
    assert truststore.anchors == (pki.root,)
    assert truststore._paths == (str(tmp_path / "ca.crt"),)
    more = Truststore.from_directory(str(tmp_path), files=["ca.crt", "tls.crt"], crls=["ca.crl"])
    assert len(more) == 3
    assert len(more.crls) == 1
    (tmp_path / "..1" / "ca.crt").write_bytes(pki.pem(pki.intermediate))
    assert truststore._reload().anchors == (pki.intermediate,)
    (tmp_path / "..1" / "ca.crt").write_bytes(b"")
    with pytest.raises(TruststoreError, match="it is empty") as caught:
        truststore._reload()
    assert caught.value.failure == "empty"
    assert caught.value.source == str(tmp_path / "ca.crt")


def test_a_source_without_a_certificate_is_refused(pki: Pki) -> None:
    for source, failure, text in (
        (pki.pem(pki.root_key), "no_certificate", r"no certificate \(only: PRIVATE KEY\)"),
        (pki.pem(pki.crl(1)), "no_certificate", r"only: X509 CRL"),
        (pki.root.public_bytes(Encoding.DER), "wrong_format", "a DER certificate"),
        (b"", "empty", "it is empty"),
    ):
        with pytest.raises(TruststoreError, match=text) as caught:
            Truststore.from_pem(pki.pem(pki.root), source)
        assert caught.value.failure == failure
        assert caught.value.source == "source (bytes)"


def test_mistakes_of_the_call_are_told(pki: Pki, tmp_path: Path) -> None:
    root = pki.pem(pki.root)
    make: Any = Truststore  # the calls are wrong on purpose
    call: Any
    for call, text in (
        (make.from_pem, "needs a source"),
        (lambda: make.from_pem(None), "source is None, which looks like an unset variable"),
        (lambda: make.from_pem(root, None), "source is None"),
        (lambda: make.from_pem([root]), "not list"),
        (lambda: make.from_pem(root, crls=None), "crls is None, which looks like an unset variable"),
        (lambda: make.from_pem(root, crls="a.crl"), r"crls takes a sequence: crls=\[…\]"),
        (lambda: make.from_pem(root, crls=[None]), "crls is None"),
        (lambda: make.from_pem(root, crls=7), "crls takes a sequence, not int"),
        (lambda: make.from_pkcs12(None), "source is None"),
        (lambda: make.from_pkcs12(root, password=7), "password must be str"),
        (lambda: make.from_directory(None), "directory is None"),
        (lambda: make.from_directory(tmp_path, files="ca.crt"), "files takes a sequence"),
        (lambda: make.from_directory(tmp_path, files=[]), "files is empty"),
        (lambda: make.from_directory(tmp_path, files=[None]), "files is None"),
        (lambda: make.from_certificates(None), "certificates is None"),
        (lambda: make.from_certificates(pki.root), "certificates takes a sequence, not Certificate"),
        (lambda: make.from_certificates([root]), "must hold objects of the type Certificate, not bytes"),
        (lambda: make.from_certificates([], crls=[pki.root]), "CertificateRevocationList, not Certificate"),
        (lambda: make.from_certificates(1 / 0 for _ in "x"), "certificates raised ZeroDivisionError"),
        (make, r"Truststore is made by Truststore\.from_pem"),
    ):
        with pytest.raises(UsageError, match=text):
            call()


def test_it_cannot_be_changed_copied_or_pickled(pki: Pki) -> None:
    truststore = Truststore.from_certificates([pki.root])
    with pytest.raises(AttributeError, match="cannot be changed"):
        truststore.anchors = ()
    with pytest.raises(AttributeError, match="cannot be changed"):
        del truststore.anchors
    assert copy.deepcopy(truststore) is truststore
    with pytest.raises(UsageError, match="not pickled"):
        pickle.dumps(truststore)


def test_a_union_reads_its_files_again_and_keeps_the_rest(pki: Pki, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(pki.pem(pki.root))
    union = Truststore.from_pem(path) | Truststore.from_certificates([pki.leaf]) | Truststore.from_pem(path)
    assert union._paths == (str(path),)
    path.write_bytes(pki.pem(pki.intermediate))
    again = union._reload()
    assert again.anchors == (pki.intermediate, pki.leaf)
    assert again._paths == union._paths
    with pytest.raises(UsageError, match=r"was not read from files, .* make it from paths"):
        Truststore.from_certificates([pki.leaf])._reload()


def test_public_anchors_are_those_of_the_lists_and_those_that_certifi_knows(pki: Pki) -> None:
    listed = Truststore.certifi()
    assert len(listed) == certifi.contents().count("BEGIN CERTIFICATE")
    assert listed._public_anchors() == listed.anchors
    known = listed.anchors[0]
    mixed = Truststore.from_certificates([pki.root, known])
    assert mixed._public_anchors() == (known,)
    assert (mixed | listed)._public_anchors() == listed.anchors
    assert Truststore.from_certificates([pki.root])._public_anchors() == ()
    assert mixed != Truststore.from_certificates([pki.root])
    with_ssl = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    with_ssl.load_verify_locations(cadata=listed._anchors_der())
    assert len(with_ssl.get_ca_certs()) == len(listed)


def test_the_system_store_is_where_openssl_looks(pki: Pki, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, folder = tmp_path / "bundle.pem", tmp_path / "certs"
    folder.mkdir()
    damaged = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    bundle.write_bytes(pki.pem(pki.root, pki.crl(1)) + damaged)
    (folder / "0a1b2c3d.0").write_bytes(pki.pem(pki.intermediate))
    (folder / "0a1b2c3d.1").write_bytes(b"damaged")
    (folder / "README.pem").write_bytes(pki.pem(pki.leaf))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    monkeypatch.setenv("SSL_CERT_DIR", str(folder))
    truststore = Truststore.system()
    assert truststore.anchors == (pki.root, pki.intermediate)
    assert truststore._public_anchors() == truststore.anchors
    assert truststore != Truststore.from_certificates(truststore)
    assert truststore._paths == (str(bundle),)
    bundle.write_bytes(pki.pem(pki.leaf))
    assert truststore._reload().anchors == (pki.leaf, pki.intermediate)


def test_a_machine_without_cas_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with pytest.raises(
        TruststoreError, match=r"no CA certificate where OpenSSL looks .*Truststore\.certifi\(\)"
    ) as caught:
        Truststore.system()
    assert caught.value.failure == "not_found"
    assert caught.value.source == "system"
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    with pytest.raises(TruststoreError, match="nowhere"):
        Truststore.system()


def test_certifi_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys\n"
        "from mtls._credentials.truststore import Truststore\n"
        "from mtls._credentials.keystore import Keystore\n"
        "assert 'certifi' not in sys.modules\n"
        "Truststore.certifi()\n"
        "assert 'certifi' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
