"""What one certificate says, in a line that is safe to print, whatever is in it."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_der_public_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mtls import _certificate
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from tests.vocabulary.conftest import Make


def _name(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        (_name((NameOID.COMMON_NAME, "billing")), "CN=billing"),
        (_name((NameOID.ORGANIZATION_NAME, "Corp"), (NameOID.COMMON_NAME, "billing")), "CN=billing"),
        (_name((NameOID.COMMON_NAME, "general"), (NameOID.COMMON_NAME, "special")), "CN=special"),
        (_name((NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "Corp")), "O=Corp,C=DE"),
        (_name(), "(empty name)"),
    ],
)
def test_a_name_is_its_common_name_or_else_all_of_it(subject: x509.Name, text: str) -> None:
    assert _certificate.name(subject) == text


def test_a_certificate_without_subject_is_labelled_by_its_first_name_or_else_its_serial_number(
    certificate_of: Make,
) -> None:
    assert _certificate.label(certificate_of("", "a.example", "b.example")) == "a.example"
    assert _certificate.label(certificate_of("")) == "serial face"


def test_a_label_has_no_control_character_and_an_end(escapes: str, certificate_of: Make) -> None:
    assert _certificate.label(certificate_of("", escapes)) == (
        "\\x1b[2J\\x1b]0;owned\\x07\\r\\n\\t\\u202e\\u2028\\x00\\x7f"
    )


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
        ("Zürich 東京", "Zürich 東京"),
        ("a\x1b[31mb", "a\\x1b[31mb"),
        ("\ud800", "\\ud800"),
        ("", ""),
    ],
)
def test_text_is_printed_without_control_characters_and_cut_at_100(text: str, printed: str) -> None:
    assert _certificate.printable(text) == printed


def test_usages_are_named_as_people_write_them_and_unknown_ones_by_number() -> None:
    usages = [
        ExtendedKeyUsageOID.CLIENT_AUTH,
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.OCSP_SIGNING,
        ExtendedKeyUsageOID.TIME_STAMPING,
        x509.ObjectIdentifier("1.2.3.4"),
    ]
    assert _certificate.eku_names(x509.ExtendedKeyUsage(usages)) == (
        "clientAuth, serverAuth, OCSPSigning, timeStamping, 1.2.3.4"
    )


def test_all_names_of_a_certificate_are_listed_by_kind(authority: CertificateAuthority) -> None:
    uri = x509.UniformResourceIdentifier("spiffe://prod.example/billing")
    email = x509.RFC822Name("ops@corp.example")
    certificate = authority.client(email, uri, "10.0.0.1", "billing.example").certificate
    assert _certificate.subject_alternative_names(certificate) == (
        "billing.example",
        "10.0.0.1",
        "spiffe://prod.example/billing",
        "ops@corp.example",
    )
    assert _certificate.subject_alternative_names(authority.certificate) == ()


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(seconds=59), "59 seconds"),
        (timedelta(minutes=1), "1 minute"),
        (timedelta(minutes=59), "59 minutes"),
        (timedelta(hours=1), "1 hour"),
        (timedelta(hours=23), "23 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(days=-400), "400 days"),
    ],
)
def test_a_distance_is_told_in_its_largest_unit(span: timedelta, text: str) -> None:
    assert _certificate.distance(span) == text


def test_a_moment_is_told_in_utc() -> None:
    moment = datetime(2030, 1, 1, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert _certificate.when(moment) == "2029-12-31 23:30 UTC"
    assert _certificate.when(datetime(2030, 1, 1, tzinfo=UTC)) == "2030-01-01 00:00 UTC"


@pytest.mark.parametrize(
    ("constraints", "is_ca"),
    [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.BasicConstraints(ca=False, path_length=None), False),
        (None, False),
    ],
)
def test_a_ca_is_what_its_basic_constraints_say(constraints: x509.BasicConstraints | None, is_ca: bool) -> None:
    assert _certificate.is_ca(CertificateAuthority(basic_constraints=constraints).certificate) is is_ca


def test_a_certificate_is_known_by_its_digest_and_its_key_by_the_der_of_it(authority: CertificateAuthority) -> None:
    certificate = authority.certificate
    encoded = _certificate.der(certificate)
    assert _certificate.fingerprint(certificate) == hashlib.sha256(encoded).hexdigest()
    key = load_der_public_key(_certificate.public_key_der(certificate))
    assert key == certificate.public_key()


# --- certificates that cryptography does not read ---


SERIAL, NEGATIVE, VERSION = bytes.fromhex("020300face"), bytes.fromhex("020380face"), bytes.fromhex("a003020102")


def test_what_is_no_certificate_is_none_and_no_exception() -> None:
    for encoded in (b"", b"\x30", b"no DER", b"\x30\x03\x02\x01\x01"):
        assert _certificate.parse(encoded) is None


def test_a_certificate_of_an_unknown_version_is_none_and_no_exception(certificate_of: Make) -> None:
    encoded = certificate_of("odd").public_bytes(Encoding.DER)
    assert encoded.count(VERSION) == 1
    assert _certificate.parse(encoded.replace(VERSION, VERSION[:-1] + b"\x07")) is None


def test_a_certificate_with_a_name_that_is_no_text_is_none_and_no_exception(certificate_of: Make) -> None:
    encoded = certificate_of("unreadable").public_bytes(Encoding.DER)
    assert _certificate.parse(encoded.replace(b"unreadable", b"\xff\xfe\xff\xfereadab")) is None


def test_an_extension_that_occurs_twice_is_as_good_as_absent(certificate_of: Make) -> None:
    """The peer's OpenSSL may have passed it; ours gave it to us, and it must not end in a foreign exception."""
    twice = (
        x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x30\x00"),
        x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.38"), b"\x30\x00"),
    )
    encoded = certificate_of("twice", extensions=twice).public_bytes(Encoding.DER)
    certificate = _certificate.parse(encoded.replace(bytes.fromhex("0603551d26"), bytes.fromhex("0603551d25")))
    assert certificate is not None
    with pytest.raises(x509.DuplicateExtension):
        certificate.extensions  # noqa: B018 - what cryptography does
    assert _certificate.extension(certificate, x509.ExtendedKeyUsage) is None
    assert _certificate.subject_alternative_names(certificate) == ()
    assert _certificate.label(certificate) == "CN=twice"


def test_an_alternative_name_of_a_strange_kind_is_as_good_as_absent(certificate_of: Make) -> None:
    strange = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, bytes.fromhex("3004a3023000"))  # x400Address
    certificate = _certificate.parse(certificate_of("odd", extensions=(strange,)).public_bytes(Encoding.DER))
    assert certificate is not None
    assert _certificate.subject_alternative_names(certificate) == ()


def test_what_cryptography_warns_of_is_none_only_where_warnings_are_errors(certificate_of: Make) -> None:
    encoded = certificate_of("negative").public_bytes(Encoding.DER)
    assert encoded.count(SERIAL) == 1
    negative = encoded.replace(SERIAL, NEGATIVE)
    assert _certificate.parse(negative) is None
    with pytest.warns(UserWarning, match="serial number"):
        certificate = _certificate.parse(negative)
    assert certificate is not None
    assert _certificate.label(certificate) == "CN=negative"


def test_a_name_that_cannot_be_written_out_is_called_unreadable() -> None:
    class Odd:
        def get_attributes_for_oid(self, oid: x509.ObjectIdentifier) -> list[object]:
            raise ValueError(oid.dotted_string)

    assert _certificate.name(Odd()) == "(unreadable name)"  # type: ignore[arg-type] # stands in for a name
