"""Key → CSR → certificate: what goes into the request, and what comes back in."""

from __future__ import annotations

import copy
import pickle
import stat
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mtls._credentials.key_types import KeyType, key_digest
from mtls._credentials.keystore import Keystore
from mtls._credentials.request import CertificateRequest
from mtls._credentials.saving import Existing
from mtls._model import FailureReason, HandshakeStep, Role, Severity, SourceFailure
from mtls.authority import CertificateAuthority
from mtls.errors import ChainError, KeystoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NAMES = ["billing.example", "10.0.0.1", "spiffe://example/billing", "ops@example.com"]


@pytest.fixture(scope="module")
def ca() -> CertificateAuthority:
    return CertificateAuthority().intermediate()


@pytest.fixture(scope="module")
def request_() -> CertificateRequest:
    return CertificateRequest.new(names=NAMES, role=Role.CLIENT)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def test_a_request_asks_for_names_eku_and_digital_signature(request_: CertificateRequest) -> None:
    csr = x509.load_pem_x509_csr(request_.pem)
    assert csr.is_signature_valid
    assert csr == request_.csr
    assert csr.subject.rfc4514_string() == "CN=billing.example"
    san = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    assert not san.critical
    assert [type(name).__name__ for name in san.value] == [
        "DNSName",
        "IPAddress",
        "UniformResourceIdentifier",
        "RFC822Name",
    ]
    assert list(csr.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [
        ExtendedKeyUsageOID.CLIENT_AUTH
    ]
    usage = csr.extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert not usage.value.key_cert_sign
    assert request_.names == tuple(NAMES)
    assert request_.role is Role.CLIENT


def test_a_first_name_over_64_characters_leaves_the_subject_empty_and_the_names_critical() -> None:
    fits, too_long = "a" * 60 + ".foo", "a" * 60 + ".fooo"
    assert CertificateRequest.new(names=[fits], role="server").csr.subject.rfc4514_string() == f"CN={fits}"
    csr = CertificateRequest.new(names=[too_long], role="server").csr
    assert not list(csr.subject)
    assert csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_a_subject_is_taken_as_it_is() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Partner")])
    assert CertificateRequest.new(names=["a.example"], role="client", subject=subject).csr.subject == subject
    empty = CertificateRequest.new(names=["a.example"], role="client", subject=x509.Name([])).csr
    assert empty.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


@pytest.mark.parametrize("key_type", list(KeyType))
def test_each_type_of_key_signs_its_request_and_completes(key_type: KeyType, ca: CertificateAuthority) -> None:
    request = CertificateRequest.new(names=["a.example"], role=Role.SERVER, key_type=key_type)
    public = request.csr.public_key()
    size = getattr(public, "key_size", None)
    assert type(public).__name__.removesuffix("PublicKey").lower().startswith(key_type.value.split("-")[0][:2])
    assert size is None or str(size) in key_type.value
    keystore = request.complete(list(ca.sign(request)))
    assert keystore.certificate.public_key() == public


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"names": []}, r"names= is empty; a certificate is known by its names, give at least one"),
        ({"names": "a.example"}, r"names= takes a list of names, not 'a\.example'; put it into brackets"),
        ({"names": None}, r"names= takes a list of names, not None"),
        ({"names": [None]}, r"a name must be a str or an x509\.GeneralName, not NoneType"),
        ({"role": "peer"}, r"role='peer' is unknown; use Role\.CLIENT or Role\.SERVER"),
        ({"key_type": "rsa-1024"}, r"key_type='rsa-1024' is unknown; use one of rsa-2048, .* ed448"),
        ({"subject": "CN=a"}, r"subject= takes an x509\.Name, not str"),
    ],
)
def test_a_wrong_argument_is_named_with_its_remedy(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        CertificateRequest.new(**{"names": ["a.example"], "role": "client", **fields})


# --- the reply -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["path", "pem", "list", "any order", "with the root"])
def test_a_reply_in_any_form_and_order_becomes_a_keystore(
    form: str, ca: CertificateAuthority, request_: CertificateRequest, tmp_path: Path
) -> None:
    chain = ca.sign(request_)
    (tmp_path / "reply.pem").write_bytes(pem(*chain))
    reply: Any = {
        "path": tmp_path / "reply.pem",
        "pem": b"Your certificate:\n" + pem(*chain),
        "list": list(chain),
        "any order": chain[::-1],
        "with the root": pem(ca.root, *chain),
    }[form]
    keystore = request_.complete(reply)
    assert isinstance(keystore, Keystore)
    assert (keystore.certificate, *keystore.chain) == chain
    assert keystore.root == (ca.root if form == "with the root" else None)


def test_of_several_certificates_that_fit_the_whole_one_that_lasts_longest_is_taken(
    ca: CertificateAuthority, request_: CertificateRequest
) -> None:
    lacking, *_ = ca.sign(request_, names=["other.example"])
    shorter, longest = (ca.sign(request_, serial_number=serial)[0] for serial in (1, 2))
    earlier = ca.sign(
        request_, not_after=shorter.not_valid_after_utc.replace(year=shorter.not_valid_after_utc.year - 1)
    )
    assert request_.complete([lacking, earlier[0], longest, *ca.chain]).certificate == longest


def test_a_reply_for_another_key_is_refused_with_both_fingerprints(
    ca: CertificateAuthority, request_: CertificateRequest
) -> None:
    other = CertificateRequest.new(names=NAMES, role=Role.CLIENT)
    with pytest.raises(KeystoreError) as caught:
        request_.complete(list(ca.sign(other)))
    assert caught.value.failure is SourceFailure.KEY_MISMATCH
    assert caught.value.source == "the reply"
    assert str(caught.value) == (
        f"the reply: no certificate in it fits the private key {key_digest(request_.csr)} (SHA-256 of the public key); "
        f"CN=billing.example is for the key {key_digest(other.csr)}; "
        "ask the CA for the answer to this CSR, or load the key that belongs to this certificate"
    )


def test_the_name_of_the_file_is_in_the_refusal(
    ca: CertificateAuthority, request_: CertificateRequest, tmp_path: Path
) -> None:
    (tmp_path / "wrong.pem").write_bytes(pem(*ca.chain))
    with pytest.raises(
        KeystoreError, match=r"wrong\.pem: no certificate in it fits .*development intermediate"
    ) as caught:
        request_.complete(tmp_path / "wrong.pem")
    assert caught.value.failure is SourceFailure.KEY_MISMATCH


def test_lost_names_and_a_wrong_eku_are_both_reported(ca: CertificateAuthority, request_: CertificateRequest) -> None:
    reply = ca.sign(request_, role="server", names=["BILLING.example", "*.example.com"])
    with pytest.raises(ChainError) as caught:
        request_.complete(list(reply))
    lost, eku = caught.value.findings
    assert caught.value.verify_code == 0
    assert lost.failure is FailureReason.HOSTNAME_MISMATCH
    assert lost.required == "10.0.0.1, spiffe://example/billing, ops@example.com"
    assert lost.presented == "BILLING.example, *.example.com"
    assert lost.message.endswith(f"lacks names that were requested: {lost.required}")
    assert eku.failure is FailureReason.WRONG_EKU
    assert (eku.required, eku.presented) == ("clientAuth", "serverAuth")
    assert "may not be used by a TLS client: its extended key usage lacks clientAuth" in eku.message
    assert eku.remedy == "ask the CA for a client certificate (clientAuth)"
    for finding in (lost, eku):
        assert (finding.severity, finding.position) == (Severity.ERROR, 0)
        assert finding.step is HandshakeStep.SERVER_VERIFIES_CLIENT
        assert finding.certificate == reply[0]


def test_a_server_certificate_breaks_the_step_in_which_the_client_verifies_it(ca: CertificateAuthority) -> None:
    request = CertificateRequest.new(names=["a.example"], role="server")
    leaf, *_ = ca.sign(request, eku=[ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, ExtendedKeyUsageOID.TIME_STAMPING])
    with pytest.raises(ChainError) as caught:
        request.complete([leaf])
    (finding,) = caught.value.findings
    assert finding.step is HandshakeStep.CLIENT_VERIFIES_SERVER
    assert finding.presented == "anyExtendedKeyUsage, 1.3.6.1.5.5.7.3.8"


def test_a_certificate_without_san_has_lost_every_name(ca: CertificateAuthority) -> None:
    request = CertificateRequest.new(names=["a.example"], role="server")
    with pytest.raises(ChainError) as caught:
        request.complete([ca.sign(request, names=[])[0]])
    assert caught.value.findings[0].presented == "no subjectAltName"


def test_a_certificate_without_eku_is_accepted_because_absent_means_any_use(ca: CertificateAuthority) -> None:
    request = CertificateRequest.new(names=["a.example"], role="server")
    assert request.complete([ca.sign(request, eku=())[0]]).chain == ()


@pytest.mark.parametrize(
    ("reply", "failure", "text"),
    [
        (b"not pem", SourceFailure.NO_PEM_BLOCK, "holds no PEM block"),
        (b" \n", SourceFailure.EMPTY, "it is empty"),
        ("missing.pem", SourceFailure.NOT_FOUND, "there is no such file"),
    ],
)
def test_a_reply_that_cannot_be_read_names_its_failure(
    reply: Any, failure: SourceFailure, text: str, request_: CertificateRequest
) -> None:
    with pytest.raises(KeystoreError, match=text) as caught:
        request_.complete(reply)
    assert caught.value.failure is failure


def test_the_request_sent_back_is_no_reply(request_: CertificateRequest) -> None:
    with pytest.raises(KeystoreError, match="it holds no certificate; give what the CA sent back") as caught:
        request_.complete(request_.pem)
    assert caught.value.failure is SourceFailure.NO_CERTIFICATE


@pytest.mark.parametrize("reply", [[], ["a"], (b"pem",)])
def test_a_list_of_anything_but_certificates_is_refused(reply: Any, request_: CertificateRequest) -> None:
    with pytest.raises(UsageError, match=r"a reply is a path, PEM as bytes, or a list of x509\.Certificate"):
        request_.complete(reply)


# --- saving and loading ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [None, "correct horse"])
def test_a_saved_request_is_completed_by_another_process_days_later(
    password: str | None, ca: CertificateAuthority, request_: CertificateRequest, tmp_path: Path
) -> None:
    request_.save_key(tmp_path / "a.key", password=password)
    request_.save(tmp_path / "a.csr")
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a.csr").stat().st_mode) == 0o644
    assert (tmp_path / "a.csr").read_bytes() == request_.pem
    loaded = CertificateRequest.load(key=tmp_path / "a.key", csr=tmp_path / "a.csr", password=password)
    assert (loaded.names, loaded.role, loaded.pem) == (request_.names, request_.role, request_.pem)
    assert loaded.complete(pem(*ca.sign(tmp_path / "a.csr"))).names == tuple(NAMES)


def test_an_existing_key_is_replaced_only_when_asked_by_name(request_: CertificateRequest, tmp_path: Path) -> None:
    (tmp_path / "a.key").write_bytes(b"precious")
    with pytest.raises(UsageError, match=r"already exists; .* existing=Existing\.REPLACE"):
        request_.save_key(tmp_path / "a.key")
    assert (tmp_path / "a.key").read_bytes() == b"precious"
    request_.save_key(tmp_path / "a.key", existing=Existing.REPLACE)
    assert (tmp_path / "a.key").read_bytes().startswith(b"-----BEGIN PRIVATE KEY-----")


def test_a_csr_for_another_key_is_refused_on_loading(request_: CertificateRequest, tmp_path: Path) -> None:
    request_.save_key(tmp_path / "a.key")
    other = CertificateRequest.new(names=["a.example"], role="client")
    with pytest.raises(KeystoreError) as caught:
        CertificateRequest.load(key=tmp_path / "a.key", csr=other.pem)
    assert caught.value.failure is SourceFailure.KEY_MISMATCH
    assert key_digest(other.csr) in caught.value.problem
    assert key_digest(request_.csr) in caught.value.problem


def test_a_csr_that_names_no_role_needs_one_from_the_caller() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
    sources: dict[str, Any] = {
        "key": key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        "csr": csr.public_bytes(serialization.Encoding.DER),
    }
    with pytest.raises(UsageError, match="does not ask for exactly one of serverAuth and clientAuth; say which one"):
        CertificateRequest.load(**sources)
    loaded = CertificateRequest.load(**sources, role="server")
    assert (loaded.role, loaded.names) == (Role.SERVER, ())
    assert repr(loaded).startswith("<CertificateRequest server without names, key ")


@pytest.mark.parametrize(
    ("which", "content", "failure"),
    [
        ("csr", b"nothing", SourceFailure.NO_PEM_BLOCK),
        ("csr", "key", SourceFailure.WRONG_FORMAT),
        ("csr", "tampered", SourceFailure.DAMAGED),
        (
            "csr",
            b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n",
            SourceFailure.DAMAGED,
        ),
        ("key", "csr", SourceFailure.NO_KEY),
        ("key", "key key", SourceFailure.SEVERAL_KEYS),
        ("key", "encrypted", SourceFailure.PASSWORD_REQUIRED),
    ],
)
def test_a_file_that_is_not_what_it_should_be_is_named(
    which: str, content: Any, failure: SourceFailure, request_: CertificateRequest, tmp_path: Path
) -> None:
    request_.save_key(tmp_path / "key")
    request_.save_key(tmp_path / "encrypted", password="x")
    contents = {name: (tmp_path / name).read_bytes() for name in ("key", "encrypted")} | {"csr": request_.pem}
    der = request_.csr.public_bytes(serialization.Encoding.DER)
    contents["tampered"] = der.replace(b"ops@", b"oops")
    contents["key key"] = contents["key"] * 2
    wrong = contents.get(content, content)
    with pytest.raises(KeystoreError) as caught:
        CertificateRequest.load(**{"key": contents["key"], "csr": contents["csr"], which: wrong})
    assert caught.value.failure is failure
    assert caught.value.source == f"{which} (bytes)"


# --- what never shows ------------------------------------------------------------------------------------------------


def test_a_request_is_neither_pickled_nor_changed_nor_copied(request_: CertificateRequest) -> None:
    actions: list[Callable[[object], object]] = [pickle.dumps, copy.deepcopy]
    for action in actions:
        with pytest.raises(UsageError, match="holds a private key and is not pickled"):
            action(request_)
    with pytest.raises(AttributeError):
        request_.role = Role.SERVER  # type: ignore[misc] # the mistake under test


def test_the_repr_shows_names_role_and_key_fingerprint_and_nothing_of_the_key(request_: CertificateRequest) -> None:
    shown = repr(request_)
    digest = key_digest(request_.csr)[:16]
    names = ", ".join(NAMES)
    assert shown == f"<CertificateRequest client {names}, key {digest}…>"


def test_neither_key_nor_password_is_in_a_traceback_with_local_variables(
    request_: CertificateRequest, tmp_path: Path
) -> None:
    password = "canary-password"
    request_.save_key(tmp_path / "a.key")
    key = (tmp_path / "a.key").read_bytes()
    attempts: list[Callable[[], object]] = [
        lambda: request_.save_key(tmp_path / "missing" / "a.key", password=password),
        lambda: request_.save_key("", password=password),
        lambda: request_.save_key(tmp_path / "a.key", password=password),
        lambda: request_.save_key(tmp_path / "b.key", password=bytearray(password.encode())),  # type: ignore[arg-type]
        lambda: CertificateRequest.load(key=key, csr=b"nothing", password=password),
        lambda: CertificateRequest.load(key=key, csr=key),
        lambda: CertificateRequest.load(key=key * 2, csr=request_.pem),
        lambda: request_.complete(key),
        lambda: CertificateAuthority().sign(key),
        lambda: CertificateAuthority().save(tmp_path / "no" / "such", password=password),
        lambda: CertificateAuthority().save_keystore(
            CertificateAuthority().client("a.example"), tmp_path / "no" / "such", password=password
        ),
        lambda: CertificateAuthority.load(tmp_path, password=password),
    ]
    for attempt in attempts:
        with pytest.raises((OSError, UsageError, KeystoreError)) as caught:
            attempt()
        shown = "".join(
            line
            for frame in traceback.TracebackException.from_exception(caught.value, capture_locals=True).stack
            if "/mtls/" in frame.filename
            for line in (frame.locals or {}).values()
        )
        text = repr(caught.value) + str(caught.value) + shown
        assert shown
        assert password not in text
        assert not any(line.decode()[:20] in text for line in key.splitlines()[1:-1])


def test_the_keys_of_the_library_are_those_it_says() -> None:
    key = CertificateRequest.new(names=["a.example"], role="client", key_type="rsa-3072")._private_key
    assert isinstance(key, rsa.RSAPrivateKey)
    assert key.key_size == 3072
