"""The development CA: what it makes by default verifies strictly, and every field can be set."""

from __future__ import annotations

import copy
import ipaddress
import os
import pickle
import shutil
import ssl
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from mtls import _certificate, _issuing
from mtls._credentials import request as requests
from mtls._credentials.csr import EKU_OF
from mtls._credentials.key_types import KeyType, generate_key
from mtls._credentials.keystore import Keystore
from mtls._credentials.request import CertificateRequest
from mtls._model import Role, SourceFailure
from mtls.authority import CertificateAuthority, CertificateFields, Existing
from mtls.errors import KeystoreError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def root() -> CertificateAuthority:
    return CertificateAuthority("test root")


@pytest.fixture(scope="module")
def ca(root: CertificateAuthority) -> CertificateAuthority:
    return root.intermediate("test intermediate")


def common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def extension(certificate: x509.Certificate, kind: Any) -> Any:
    return _certificate.extension(certificate, kind)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


# --- a real handshake ------------------------------------------------------------------------------------------------


def context(
    role: Role, keystore: Keystore, root: x509.Certificate, folder: Path, crls: bytes = b"", *, version: ssl.TLSVersion
) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if role is Role.CLIENT else ssl.PROTOCOL_TLS_SERVER)
    made.verify_mode = ssl.CERT_REQUIRED
    made.hostname_checks_common_name = False
    made.verify_flags |= ssl.VERIFY_X509_STRICT
    made.verify_flags &= ~ssl.VERIFY_X509_PARTIAL_CHAIN
    if crls:
        made.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    made.minimum_version = made.maximum_version = version
    (folder / "anchors.pem").write_bytes(pem(root) + crls)
    made.load_verify_locations(folder / "anchors.pem")
    key = keystore._private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "identity.pem").write_bytes(pem(keystore.certificate, *keystore.chain) + key)
    made.load_cert_chain(folder / "identity.pem")
    return made


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, hostname: str) -> None:
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(down, up, server_hostname=hostname),
        server.wrap_bio(up, down, server_side=True),
    ]
    waiting = set(ends)
    for _ in range(10):
        for end in list(waiting):
            try:
                end.do_handshake()
                waiting.discard(end)
            except ssl.SSLWantReadError:
                pass
    assert not waiting
    with pytest.raises(ssl.SSLWantReadError):  # in TLS 1.3 a refusal of the client arrives here
        ends[0].read(1)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("hostname", ["localhost", "127.0.0.1"])
@pytest.mark.parametrize("crls", ["without CRLs", "with CRLs"])
def test_openssl_accepts_the_default_chain_strictly_in_both_directions(
    version: ssl.TLSVersion, depth: int, hostname: str, crls: str, tmp_path: Path
) -> None:
    authority = CertificateAuthority()
    for level in range(depth):
        authority = authority.intermediate(f"level {level}")
    lists = b""
    if crls == "with CRLs":
        for crl in authority.truststore_with_crl().crls:
            lists += crl.public_bytes(serialization.Encoding.PEM)
    made = {"version": version, "crls": lists, "root": authority.root, "folder": tmp_path}
    client = context(Role.CLIENT, authority.client("spiffe://example/a"), **made)  # type: ignore[arg-type] # as named
    server = context(Role.SERVER, authority.server("localhost", "127.0.0.1"), **made)  # type: ignore[arg-type] # as named
    shake_hands(client, server, hostname)


@pytest.mark.parametrize("key_type", [KeyType.RSA_2048, KeyType.EC_P384, KeyType.ED25519, KeyType.ED448])
def test_openssl_accepts_each_type_of_key(key_type: KeyType, tmp_path: Path) -> None:
    authority = CertificateAuthority(key_type=key_type).intermediate(key_type=key_type)
    made = {"version": ssl.TLSVersion.TLSv1_3, "root": authority.root, "folder": tmp_path}
    client = context(Role.CLIENT, authority.client("a", key_type=key_type), **made)  # type: ignore[arg-type] # as named
    server = context(Role.SERVER, authority.server("b", key_type=key_type), **made)  # type: ignore[arg-type] # as named
    shake_hands(client, server, "b")


def test_openssl_refuses_a_revoked_intermediate(tmp_path: Path) -> None:
    top = CertificateAuthority()
    below = top.intermediate()
    top.revoke(below)
    lists = b"".join(crl.public_bytes(serialization.Encoding.PEM) for crl in below.truststore_with_crl().crls)
    made = {"version": ssl.TLSVersion.TLSv1_3, "crls": lists, "root": top.root, "folder": tmp_path}
    client = context(Role.CLIENT, below.client("a"), **made)  # type: ignore[arg-type] # as named
    server = context(Role.SERVER, below.server("b"), **made)  # type: ignore[arg-type] # as named
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        shake_hands(client, server, "b")


# --- what it is by default -------------------------------------------------------------------------------------------


def test_a_default_set_makes_three_keys_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def counted(key_type: KeyType | str) -> Any:
        made.append(key_type)
        return generate_key(key_type)

    monkeypatch.setattr(_issuing, "generate_key", counted)
    monkeypatch.setattr(requests, "generate_key", counted)
    authority = CertificateAuthority()
    authority.server("localhost")
    authority.client("billing.example")
    assert made == [KeyType.EC_P256] * 3  # EC, because an RSA key takes 50 ms and more


def test_the_chain_goes_from_the_ca_up_without_the_root(root: CertificateAuthority, ca: CertificateAuthority) -> None:
    deepest = ca.intermediate("deepest")
    assert root.chain == ()
    assert root.root == root.certificate
    assert ca.chain == (ca.certificate,)
    assert deepest.chain == (deepest.certificate, ca.certificate)
    assert deepest.root == root.certificate
    assert list(deepest.truststore) == [root.certificate] or deepest.truststore.anchors
    keystore = deepest.server("localhost")
    assert keystore.chain == deepest.chain
    assert keystore.names == ("localhost",)


def test_default_lifetimes_are_ten_and_five_years_and_ninety_days_from_an_hour_ago(ca: CertificateAuthority) -> None:
    for certificate, days in (
        (CertificateAuthority().certificate, 3650),
        (CertificateAuthority().intermediate().certificate, 1825),
        (ca.client("a").certificate, 90),
    ):
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        assert abs(datetime.now(UTC) - timedelta(hours=1) - begins) < timedelta(minutes=1)
        assert ends - begins == timedelta(days=days, hours=1)


@pytest.mark.parametrize(("role", "oid"), EKU_OF.items())
def test_a_leaf_has_the_extensions_of_its_role(
    role: Role, oid: x509.ObjectIdentifier, ca: CertificateAuthority
) -> None:
    leaf = getattr(ca, role.value)("a.example").certificate
    assert {(type(one.value).__name__, one.critical) for one in leaf.extensions} == {
        ("BasicConstraints", True),
        ("KeyUsage", True),
        ("ExtendedKeyUsage", False),
        ("SubjectAlternativeName", False),
        ("SubjectKeyIdentifier", False),
        ("AuthorityKeyIdentifier", False),
    }
    assert list(extension(leaf, x509.ExtendedKeyUsage)) == [oid]
    assert not extension(leaf, x509.BasicConstraints).ca
    own = extension(ca.certificate, x509.SubjectKeyIdentifier)
    assert extension(leaf, x509.AuthorityKeyIdentifier).key_identifier == own.digest


# --- every field -----------------------------------------------------------------------------------------------------

KEY = ec.generate_private_key(ec.SECP384R1())
UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
USAGE = requests.key_usage("key_agreement")
URL = "http://ca.example/x"


def _access(certificate: x509.Certificate, method: x509.ObjectIdentifier) -> list[str]:
    described = extension(certificate, x509.AuthorityInformationAccess)
    return [one.access_location.value for one in described if one.access_method == method]


FIELDS: dict[str, tuple[Any, Any]] = {
    "subject": (common_name("else"), lambda c: c.subject == common_name("else")),
    "names": (["x.example", "::1"], lambda c: _certificate.subject_alternative_names(c) == ("x.example", "::1")),
    "not_before": (NOW - 9 * DAY, lambda c: c.not_valid_before_utc == NOW - 9 * DAY),
    "not_after": (NOW + 9 * DAY, lambda c: c.not_valid_after_utc == NOW + 9 * DAY),
    "eku": (
        [ExtendedKeyUsageOID.CODE_SIGNING],
        lambda c: list(extension(c, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.CODE_SIGNING],
    ),
    "key_usage": (USAGE, lambda c: extension(c, x509.KeyUsage) == USAGE),
    "basic_constraints": (
        x509.BasicConstraints(ca=True, path_length=7),
        lambda c: extension(c, x509.BasicConstraints).path_length == 7,
    ),
    "name_constraints": (
        x509.NameConstraints([x509.DNSName("example")], None),
        lambda c: c.extensions.get_extension_for_class(x509.NameConstraints).critical,
    ),
    "key_type": (KeyType.ED25519, lambda c: isinstance(c.public_key(), ed25519.Ed25519PublicKey)),
    "private_key": (KEY, lambda c: c.public_key() == KEY.public_key()),
    "serial_number": (42, lambda c: c.serial_number == 42),
    "signature_hash": (hashes.SHA512(), lambda c: c.signature_hash_algorithm.name == "sha512"),
    "subject_key_identifier": (
        x509.SubjectKeyIdentifier(b"own"),
        lambda c: extension(c, x509.SubjectKeyIdentifier).digest == b"own",
    ),
    "authority_key_identifier": (
        x509.AuthorityKeyIdentifier(b"its", None, None),
        lambda c: extension(c, x509.AuthorityKeyIdentifier).key_identifier == b"its",
    ),
    "crl_distribution_points": (
        [URL],
        lambda c: [point.full_name[0].value for point in extension(c, x509.CRLDistributionPoints)] == [URL],
    ),
    "ca_issuers": ([URL], lambda c: _access(c, AuthorityInformationAccessOID.CA_ISSUERS) == [URL]),
    "ocsp_responders": ([URL], lambda c: _access(c, AuthorityInformationAccessOID.OCSP) == [URL]),
    "extensions": (
        [x509.Extension(UNKNOWN.oid, True, UNKNOWN)],
        lambda c: c.extensions.get_extension_for_oid(UNKNOWN.oid).critical,
    ),
}
ONLY_CA = {"path_length": (3, lambda c: extension(c, x509.BasicConstraints).path_length == 3)}
CSR_BRINGS = ("key_type", "private_key")


def test_every_field_is_among_the_tests_below() -> None:
    assert {*FIELDS, *ONLY_CA} == set(CertificateFields.__annotations__)


@pytest.mark.parametrize("field", [*FIELDS, *ONLY_CA])
@pytest.mark.parametrize("kind", ["root", "intermediate", "server", "client", "sign"])
def test_every_field_lands_in_every_kind_of_certificate(field: str, kind: str, ca: CertificateAuthority) -> None:
    value, lands = (FIELDS | ONLY_CA)[field]
    if (field in ONLY_CA and kind not in {"root", "intermediate"}) or (field in CSR_BRINGS and kind == "sign"):
        with pytest.raises(UsageError, match=field):
            certificate_of(kind, ca, {field: value})
        return
    assert lands(certificate_of(kind, ca, {field: value}))


def certificate_of(kind: str, ca: CertificateAuthority, fields: dict[str, Any]) -> x509.Certificate:
    names = [] if "names" in fields else ["a.example"]
    if kind == "root":
        return CertificateAuthority(**fields).certificate
    if kind == "intermediate":
        return ca.intermediate(**fields).certificate
    if kind == "sign":
        return ca.sign(CertificateRequest.new(names=["a.example"], role="client"), **fields)[0]
    made: Keystore = getattr(ca, kind)(*names, **fields)
    return made.certificate


@pytest.mark.parametrize(
    ("field", "kind"),
    [
        ("key_usage", x509.KeyUsage),
        ("basic_constraints", x509.BasicConstraints),
        ("subject_key_identifier", x509.SubjectKeyIdentifier),
        ("authority_key_identifier", x509.AuthorityKeyIdentifier),
    ],
)
@pytest.mark.parametrize("maker", ["intermediate", "server", "sign"])
def test_none_leaves_an_extension_out(field: str, kind: Any, maker: str, ca: CertificateAuthority) -> None:
    assert extension(certificate_of(maker, ca, {}), kind) is not None
    assert extension(certificate_of(maker, ca, {field: None}), kind) is None


def test_no_eku_is_asked_for_by_an_empty_one_and_none_is_the_default(ca: CertificateAuthority) -> None:
    assert extension(ca.server("a", eku=()).certificate, x509.ExtendedKeyUsage) is None
    assert list(extension(ca.server("a", eku=None).certificate, x509.ExtendedKeyUsage)) == [
        ExtendedKeyUsageOID.SERVER_AUTH
    ]


def test_an_extra_extension_takes_the_place_of_the_usual_one(ca: CertificateAuthority) -> None:
    loose = x509.Extension(x509.BasicConstraints.oid, False, x509.BasicConstraints(ca=True, path_length=None))
    made = ca.intermediate(extensions=[loose]).certificate
    assert made.extensions.get_extension_for_class(x509.BasicConstraints) == loose


def test_the_names_are_critical_when_the_subject_is_empty(ca: CertificateAuthority) -> None:
    for keystore in (ca.client("a" * 60 + ".example"), ca.client("a.example", subject=x509.Name([]), eku=())):
        assert not list(keystore.certificate.subject)
        assert keystore.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).critical


def test_a_client_may_have_a_subject_and_no_names(ca: CertificateAuthority) -> None:
    made = ca.client(subject=common_name("only me")).certificate
    assert extension(made, x509.SubjectAlternativeName) is None


def test_a_period_that_is_past_or_to_come_needs_one_date_only(ca: CertificateAuthority) -> None:
    expired = ca.client("a", not_after=NOW - DAY).certificate
    assert (expired.not_valid_before_utc, expired.not_valid_after_utc) == (NOW - 91 * DAY, NOW - DAY)
    future = ca.client("a", not_before=NOW + DAY).certificate
    assert (future.not_valid_before_utc, future.not_valid_after_utc) == (NOW + DAY, NOW + 91 * DAY)


def test_a_date_of_another_zone_is_the_same_moment(ca: CertificateAuthority) -> None:
    moment = datetime(2030, 1, 1, tzinfo=timezone(timedelta(hours=5)))
    assert ca.client("a", not_after=moment).certificate.not_valid_after_utc == moment


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"not_after": datetime(2030, 1, 1)}, r"not_after= takes an aware datetime, not a naive datetime"),  # noqa: DTZ001 - the mistake under test
        ({"not_before": "2030"}, r"not_before= takes an aware datetime, not str"),
        ({"not_before": None}, r"not_before=None looks like an unset variable; leave it out"),
        ({"not_before": NOW, "not_after": NOW - DAY}, r"this certificate cannot be made: .*before"),
        ({"lifetime": DAY}, r"there is no field 'lifetime'; the fields are subject, names, not_before, .*extensions"),
        ({"signature_hash": hashes.MD5()}, r"this certificate cannot be made: .*md5"),
        ({"signature_hash": hashes.SHA256(), "private_key": "key"}, r"private_key= takes an RSA, EC, .* not str"),
        ({"private_key": dsa.generate_private_key(1024)}, r"private_key= takes an RSA, EC, Ed25519 or Ed448"),
        ({"private_key": KEY, "key_type": "rsa-2048"}, r"key_type= and private_key= are given"),
        ({"serial_number": -1}, r"this certificate cannot be made"),
        ({"extensions": ["x"]}, r"this certificate cannot be made"),
        ({"eku": ["serverAuth"]}, r"this certificate cannot be made"),
        ({"crl_distribution_points": ["http://ä"]}, r"this certificate cannot be made"),
        ({"names": ["b.example"]}, r"the names are given twice"),
        ({"path_length": 0}, r"path_length"),
        (
            {"path_length": 0, "basic_constraints": x509.BasicConstraints(ca=True, path_length=1)},
            r"basic_constraints= holds the path length already",
        ),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], text: str, ca: CertificateAuthority) -> None:
    with pytest.raises(UsageError, match=text):
        ca.server("a.example", **fields)


def test_a_name_too_long_for_a_ca_is_refused() -> None:
    with pytest.raises(UsageError, match=r"a CA with the name 'xxx.* cannot be made"):
        CertificateAuthority("x" * 65)


def test_a_leaf_without_names_and_subject_is_refused(ca: CertificateAuthority) -> None:
    with pytest.raises(UsageError, match="a server certificate needs at least one name, or a subject="):
        ca.server()


def test_sha1_is_signed_where_cryptography_still_does_and_refused_by_name_elsewhere(ca: CertificateAuthority) -> None:
    try:
        made = ca.server("a", signature_hash=hashes.SHA1())
    except UsageError as exc:
        assert "sha1" in str(exc).lower()  # noqa: PT017 - both outcomes are right
    else:
        assert isinstance(made.certificate.signature_hash_algorithm, hashes.SHA1)


# --- signing a CSR ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["request", "object", "pem", "der", "path"])
def test_a_csr_in_any_form_is_answered(form: str, ca: CertificateAuthority, tmp_path: Path) -> None:
    request = CertificateRequest.new(names=["a.example", "10.0.0.1"], role="client")
    request.save(tmp_path / "a.csr")
    forms: dict[str, Any] = {
        "request": request,
        "object": request.csr,
        "pem": request.pem,
        "der": request.csr.public_bytes(serialization.Encoding.DER),
        "path": tmp_path / "a.csr",
    }
    leaf, *above = ca.sign(forms[form])
    assert tuple(above) == ca.chain
    assert _certificate.subject_alternative_names(leaf) == ("a.example", "10.0.0.1")
    assert list(extension(leaf, x509.ExtendedKeyUsage)) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    assert leaf.subject == request.csr.subject


def test_a_csr_does_not_make_itself_a_ca(ca: CertificateAuthority) -> None:
    builder = x509.CertificateSigningRequestBuilder(common_name("greedy"))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(requests.key_usage("key_cert_sign"), critical=True)
    leaf, *_ = ca.sign(builder.sign(KEY, hashes.SHA256()), role="client", names=["a.example"])
    assert not extension(leaf, x509.BasicConstraints).ca
    assert not extension(leaf, x509.KeyUsage).key_cert_sign


def test_what_a_csr_does_not_ask_for_must_be_said(ca: CertificateAuthority) -> None:
    bare = x509.CertificateSigningRequestBuilder(common_name("bare")).sign(KEY, hashes.SHA256())
    with pytest.raises(UsageError, match=r"the CSR asks for no names \(subjectAltName\); say it with names="):
        ca.sign(bare, role="client")
    with pytest.raises(UsageError, match=r"the CSR asks for no extended key usage; say it with role="):
        ca.sign(bare, names=["a.example"])
    with pytest.raises(UsageError, match=r"role='both' is unknown"):
        ca.sign(bare, names=["a.example"], role="both")


def test_a_csr_whose_signature_is_not_by_its_key_is_refused(ca: CertificateAuthority) -> None:
    der = CertificateRequest.new(names=["a.example"], role="client").csr.public_bytes(serialization.Encoding.DER)
    tampered = der.replace(b"a.example", b"b.example")
    for csr in (tampered, x509.load_der_x509_csr(tampered)):
        with pytest.raises(KeystoreError, match="it is not signed by the key that it holds") as caught:
            ca.sign(csr)
        assert caught.value.failure is SourceFailure.DAMAGED


def test_what_is_no_csr_is_refused(ca: CertificateAuthority) -> None:
    with pytest.raises(KeystoreError, match="holds no certificate request") as caught:
        ca.sign(pem(ca.certificate))
    assert caught.value.failure is SourceFailure.WRONG_FORMAT
    with pytest.raises(UsageError, match="csr must be a path"):
        ca.sign(7)  # type: ignore[arg-type] # the mistake under test


# --- the openssl program as the CA -----------------------------------------------------------------------------------


def openssl(*arguments: str | os.PathLike[str]) -> str:
    program = shutil.which("openssl")
    if program is None:
        reason = "the openssl program is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    run = subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=30)
    assert run.returncode == 0, run.stderr
    return run.stdout


@pytest.mark.parametrize("key_type", ["ec-p256", "rsa-2048", "ed25519"])
def test_openssl_reads_a_request_and_its_answer_completes_it(key_type: str, tmp_path: Path) -> None:
    request = CertificateRequest.new(names=["a.example", "spiffe://x/y"], role="client", key_type=key_type)
    request.save(tmp_path / "a.csr")
    request.save_key(tmp_path / "a.key", password="secret")
    CertificateAuthority().save(tmp_path / "ca")
    text = openssl("req", "-in", tmp_path / "a.csr", "-noout", "-text", "-verify")
    assert "DNS:a.example, URI:spiffe://x/y" in text
    assert "TLS Web Client Authentication" in text
    openssl("pkey", "-in", tmp_path / "a.key", "-passin", "pass:secret", "-noout")
    issue = ["x509", "-req", "-in", "a.csr", "-CA", "ca/ca.crt", "-CAkey", "ca/ca.key", "-days", "9", "-out", "a.crt"]
    in_folder = [str(tmp_path / one) if (tmp_path / one).parent.exists() and "." in one else one for one in issue]
    openssl(*in_folder, "-copy_extensions", "copyall")
    keystore = request.complete(tmp_path / "a.crt")
    assert keystore.names == ("a.example", "spiffe://x/y")
    assert openssl("verify", "-x509_strict", "-CAfile", tmp_path / "ca" / "ca.crt", tmp_path / "a.crt").endswith("OK\n")


def test_openssl_reads_the_crl(tmp_path: Path) -> None:
    authority = CertificateAuthority()
    authority.revoke(authority.server("a"))
    (tmp_path / "a.crl").write_bytes(authority.crl().public_bytes(serialization.Encoding.PEM))
    authority.save(tmp_path / "ca")
    text = openssl("crl", "-in", tmp_path / "a.crl", "-noout", "-text", "-CAfile", tmp_path / "ca" / "ca.crt")
    assert "Revoked Certificates" in text


# --- revocation ------------------------------------------------------------------------------------------------------


def test_a_crl_lists_what_was_revoked_and_its_number_grows(root: CertificateAuthority) -> None:
    authority = root.intermediate()
    first, second = authority.client("a"), authority.client("b")
    empty = authority.crl()
    authority.revoke(first, reason=x509.ReasonFlags.key_compromise, at=NOW - DAY)
    authority.revoke(second.certificate)
    crl = authority.crl(this_update=NOW, next_update=NOW + DAY)
    assert list(empty) == []
    assert crl.is_signature_valid(authority.certificate.public_key())  # type: ignore[arg-type] # it signed
    assert crl.issuer == authority.certificate.subject
    assert (crl.last_update_utc, crl.next_update_utc) == (NOW, NOW + DAY)
    entry = crl.get_revoked_certificate_by_serial_number(first.certificate.serial_number)
    assert entry is not None
    assert entry.revocation_date_utc == NOW - DAY
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason is x509.ReasonFlags.key_compromise
    other = crl.get_revoked_certificate_by_serial_number(second.certificate.serial_number)
    assert other is not None
    assert list(other.extensions) == []
    numbers = [each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number for each in (empty, crl)]
    assert numbers[0] < numbers[1]
    identifier = extension(authority.certificate, x509.SubjectKeyIdentifier).digest
    assert crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == identifier


def test_an_expired_crl_needs_one_date_only(root: CertificateAuthority) -> None:
    crl = root.crl(next_update=NOW - DAY)
    assert (crl.last_update_utc, crl.next_update_utc) == (NOW - 8 * DAY, NOW - DAY)
    with pytest.raises(UsageError, match="next_update= takes an aware datetime"):
        root.crl(next_update=datetime(2030, 1, 1))  # noqa: DTZ001 - the mistake under test
    with pytest.raises(UsageError, match="this CRL cannot be made"):
        root.crl(this_update=NOW, next_update=NOW - DAY)


def test_only_the_issuer_revokes(root: CertificateAuthority, ca: CertificateAuthority) -> None:
    with pytest.raises(UsageError, match="CN=a was not issued by CN=test root; ask the CA that issued it"):
        root.revoke(ca.client("a"))


def test_the_truststore_holds_no_crl_and_the_other_one_those_of_the_whole_path(ca: CertificateAuthority) -> None:
    deepest = ca.intermediate("deepest")
    assert len(deepest.truststore.crls) == 0
    issuers = [crl.issuer.rfc4514_string() for crl in deepest.truststore_with_crl().crls]
    assert sorted(issuers) == ["CN=deepest", "CN=test intermediate", "CN=test root"]


def test_numbers_of_crls_differ_between_threads(root: CertificateAuthority) -> None:
    numbers: list[int] = []

    def make() -> None:
        for _ in range(5):
            crl = root.crl()
            numbers.append(crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(numbers)) == 20


# --- saving ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("password", [None, b"secret"])
@pytest.mark.parametrize("kind", ["root", "intermediate"])
def test_a_saved_ca_is_the_same_after_loading(kind: str, password: bytes | None, tmp_path: Path) -> None:
    top = CertificateAuthority("top")
    authority = top if kind == "root" else top.intermediate("mid").intermediate("low")
    before = os.umask(0)
    try:
        authority.save(tmp_path / "ca", password=password)
    finally:
        os.umask(before)
    stem = "ca" if kind == "root" else "intermediate"
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "ca").iterdir()}
    assert modes == {"ca.crt": 0o644, f"{stem}.crt": 0o644, f"{stem}.key": 0o600}
    assert (tmp_path / "ca" / "ca.crt").read_bytes() == pem(top.certificate)
    loaded = CertificateAuthority.load(tmp_path / "ca", password=password)
    assert (loaded.certificate, loaded.chain, loaded.root) == (authority.certificate, authority.chain, top.certificate)
    keystore = loaded.server("localhost")
    keystore.certificate.verify_directly_issued_by(authority.certificate)
    assert keystore.chain == authority.chain
    number = authority.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert loaded.crl().extensions.get_extension_for_class(x509.CRLNumber).value.crl_number > number


def test_a_loaded_intermediate_has_no_crl_of_the_ca_above(tmp_path: Path) -> None:
    CertificateAuthority("top").intermediate().save(tmp_path / "ca")
    with pytest.raises(UsageError, match="the key of CN=top is not loaded, so there is no CRL of it"):
        CertificateAuthority.load(tmp_path / "ca").truststore_with_crl()


def test_an_existing_ca_is_replaced_only_when_asked_by_name(tmp_path: Path) -> None:
    first, second = CertificateAuthority("first"), CertificateAuthority("second")
    first.save(tmp_path)
    with pytest.raises(UsageError, match="already exists"):
        second.save(tmp_path)
    assert CertificateAuthority.load(tmp_path).certificate == first.certificate
    second.save(tmp_path, existing=Existing.REPLACE)
    assert CertificateAuthority.load(tmp_path).certificate == second.certificate


def test_a_refused_save_leaves_no_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is unknown"):
        CertificateAuthority().save(tmp_path / "new", existing="overwrite")
    assert list(tmp_path.iterdir()) == []


def test_two_authorities_in_one_directory_are_not_guessed_between(tmp_path: Path) -> None:
    top = CertificateAuthority()
    top.save(tmp_path)
    top.intermediate().save(tmp_path, existing=Existing.REPLACE)
    with pytest.raises(KeystoreError, match=r"holds ca\.key and intermediate\.key") as caught:
        CertificateAuthority.load(tmp_path)
    assert caught.value.failure is SourceFailure.SEVERAL_KEYS


def test_a_directory_without_a_ca_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match=r"ca\.crt: there is no such file") as caught:
        CertificateAuthority.load(tmp_path)
    assert caught.value.failure is SourceFailure.NOT_FOUND
    authority = CertificateAuthority()
    authority.save_keystore(authority.client("a"), tmp_path)
    (tmp_path / "tls.crt").rename(tmp_path / "ca.crt")
    (tmp_path / "tls.key").rename(tmp_path / "ca.key")
    with pytest.raises(UsageError, match=r"ca\.crt is not the certificate of a CA"):
        CertificateAuthority.load(tmp_path)


@pytest.mark.parametrize("password", [None, "secret"])
def test_a_keystore_is_saved_in_the_layout_of_kubernetes(
    password: str | None, ca: CertificateAuthority, tmp_path: Path
) -> None:
    keystore = ca.server("localhost")
    ca.save_keystore(keystore, tmp_path / "tls", password=password)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tls").iterdir()}
    assert modes == {"tls.crt": 0o644, "tls.key": 0o600, "ca.crt": 0o644}
    again = Keystore.from_directory(tmp_path / "tls", password=password)
    assert (again.certificate, again.chain, again.root) == (keystore.certificate, keystore.chain, None)
    assert (tmp_path / "tls" / "ca.crt").read_bytes() == pem(ca.root)


# --- what never shows ------------------------------------------------------------------------------------------------


def test_a_ca_is_not_pickled_and_its_repr_is_honest() -> None:
    authority = CertificateAuthority("shown")
    authority.revoke(authority.client("a"))
    actions: list[Callable[[object], object]] = [pickle.dumps, copy.deepcopy]
    for action in actions:
        with pytest.raises(UsageError, match="holds a private key and is not pickled"):
            action(authority)
    end = authority.certificate.not_valid_after_utc.strftime("%Y-%m-%d %H:%M UTC")
    assert repr(authority) == f"<CertificateAuthority CN=shown, for development, until {end}, 1 revoked>"


def test_an_address_is_a_name_of_its_own_kind(ca: CertificateAuthority) -> None:
    san = extension(ca.server("127.0.0.1").certificate, x509.SubjectAlternativeName)
    assert list(san) == [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]


def test_a_ca_without_key_identifier_is_named_by_the_one_of_its_key(root: CertificateAuthority) -> None:
    authority = root.intermediate(subject_key_identifier=None)
    expected = x509.SubjectKeyIdentifier.from_public_key(authority.certificate.public_key())
    assert extension(authority.client("a").certificate, x509.AuthorityKeyIdentifier).key_identifier == expected.digest
