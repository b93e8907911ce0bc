"""Is our chain written as RFC 5280 asks? What OpenSSL always refuses is an error, what strict peers do is a warning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from mtls import ChainRules, FailureReason, HandshakeStep, Keystore, Severity, TLSProfile
from mtls._checks.form import strict_faults, unknown_critical
from mtls._credentials.request import key_usage
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from mtls import Report
    from tests.checks.conftest import Only

STRANGE = x509.ObjectIdentifier("1.2.3.4")
EMPTY = x509.Name([])
NAMED = x509.SubjectAlternativeName([x509.DNSName("localhost")])


def _extension(value: x509.ExtensionType, *, critical: bool) -> x509.Extension[Any]:
    return x509.Extension(value.oid, critical, value)


def _strange(*, critical: bool) -> x509.Extension[Any]:
    return _extension(x509.UnrecognizedExtension(STRANGE, b"\x05\x00"), critical=critical)


def _check(authority: CertificateAuthority, keystore: Keystore, **options: Any) -> Report:
    return TLSProfile.server(keystore=keystore, truststore=authority.truststore, **options).check()


LEAF_FAULTS = [
    (
        {"authority_key_identifier": None},
        FailureReason.MISSING_EXTENSION,
        "has no authorityKeyIdentifier",
        ("authorityKeyIdentifier", "none"),
    ),
    (
        {"key_usage": key_usage("digital_signature", "key_cert_sign")},
        FailureReason.WRONG_KEY_USAGE,
        "has keyCertSign in its keyUsage, but is no CA (RFC 5280, 4.2.1.3)",
        ("a keyUsage without keyCertSign", "keyCertSign"),
    ),
    (
        {"subject": EMPTY, "extensions": [_extension(NAMED, critical=False)]},
        FailureReason.MALFORMED,
        "has an empty subject (RFC 5280, 4.1.2.6)",
        ("a subject, or a critical subjectAltName", "an empty subject"),
    ),
]
CA_FAULTS = [
    (
        {"authority_key_identifier": None},
        FailureReason.MISSING_EXTENSION,
        "has no authorityKeyIdentifier",
        ("authorityKeyIdentifier", "none"),
    ),
    (
        {"subject_key_identifier": None, "key_usage": None},
        FailureReason.MISSING_EXTENSION,
        "has no subjectKeyIdentifier and no keyUsage",
        ("subjectKeyIdentifier, keyUsage", "none"),
    ),
    (
        {"extensions": [_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)]},
        FailureReason.MALFORMED,
        "has a basicConstraints that is not critical (RFC 5280, 4.2.1.9)",
        ("critical basicConstraints", "not critical"),
    ),
    (
        {"subject": EMPTY},
        FailureReason.MALFORMED,
        "has an empty subject (RFC 5280, 4.1.2.6)",
        ("a subject", "an empty subject"),
    ),
]


def _faulty(authority: CertificateAuthority, position: int, fields: Any) -> Keystore:
    if position == 0:
        return authority.server("localhost", **fields)
    return authority.intermediate("lower CA", **fields).server("localhost")


@pytest.mark.parametrize(
    ("position", "fields", "failure", "text", "values"),
    [(0, *fault) for fault in LEAF_FAULTS] + [(1, *fault) for fault in CA_FAULTS],
)
def test_what_strict_peers_refuse_is_a_warning_at_its_place(
    authority: CertificateAuthority,
    only: Only,
    position: int,
    fields: Any,
    failure: FailureReason,
    text: str,
    values: tuple[str, str],
) -> None:
    keystore = _faulty(authority, position, fields)
    found = only(_check(authority, keystore), failure)
    assert (found.severity, found.step) == (Severity.WARNING, HandshakeStep.CLIENT_VERIFIES_SERVER)
    assert (found.position, found.certificate) == (position, (keystore.certificate, *keystore.chain)[position])
    assert (found.required, found.presented) == values
    assert found.message.endswith(f" {text}; peers that read RFC 5280 strictly (Python 3.13) refuse it")
    assert found.remedy == "ask the CA for a certificate in proper form"
    assert list(_check(authority, keystore, chain_rules=ChainRules.LENIENT)) == []


def test_an_empty_subject_with_a_critical_name_is_in_form(authority: CertificateAuthority) -> None:
    assert list(_check(authority, authority.server("localhost", subject=EMPTY))) == []


def test_an_empty_subject_without_any_name_is_a_fault() -> None:
    certificate = CertificateAuthority(subject=EMPTY).certificate
    assert [fault.failure for fault in strict_faults(certificate, issuer=False)] == [FailureReason.MALFORMED]


def test_a_self_signed_leaf_needs_no_authority_key_identifier(authority: CertificateAuthority) -> None:
    assert list(strict_faults(authority.certificate, issuer=False)) == []


@pytest.mark.parametrize("rules", list(ChainRules))
@pytest.mark.parametrize("position", [0, 1])
def test_an_unknown_critical_extension_is_an_error_under_every_rule(
    authority: CertificateAuthority, only: Only, position: int, rules: ChainRules
) -> None:
    keystore = _faulty(authority, position, {"extensions": [_strange(critical=True)]})
    found = only(_check(authority, keystore, chain_rules=rules), FailureReason.UNKNOWN_CRITICAL_EXTENSION)
    assert (found.severity, found.position, found.presented) == (Severity.ERROR, position, "1.2.3.4")
    assert found.step is HandshakeStep.CLIENT_VERIFIES_SERVER
    assert " has a critical extension that OpenSSL does not know: 1.2.3.4; OpenSSL refuses it" in found.message


def test_an_unknown_extension_that_is_not_critical_is_no_finding(authority: CertificateAuthority) -> None:
    assert list(_check(authority, _faulty(authority, 0, {"extensions": [_strange(critical=False)]}))) == []


@pytest.mark.parametrize(
    "value",
    [
        x509.PolicyConstraints(require_explicit_policy=3, inhibit_policy_mapping=None),
        x509.InhibitAnyPolicy(1),
        x509.CertificatePolicies([x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)]),
    ],
    ids=lambda value: value.oid._name,
)
def test_a_critical_extension_of_rfc_5280_is_no_finding(
    authority: CertificateAuthority, value: x509.ExtensionType
) -> None:
    assert list(_check(authority, _faulty(authority, 1, {"extensions": [_extension(value, critical=True)]}))) == []


def test_extensions_that_cannot_be_decoded_are_left_to_openssl(authority: CertificateAuthority) -> None:
    broken = x509.UnrecognizedExtension(x509.KeyUsage.oid, b"\xff")
    certificate = authority.server("localhost", extensions=[_extension(broken, critical=True)]).certificate
    assert list(unknown_critical(certificate)) == []


@pytest.mark.parametrize(("limit", "count"), [(0, 1), (0, 2), (1, 2)])
def test_a_chain_longer_than_a_ca_in_it_allows_is_an_error(
    authority: CertificateAuthority, only: Only, limit: int, count: int
) -> None:
    upper = authority.intermediate("upper CA", path_length=limit)
    lower = upper
    for number in range(count):
        lower = lower.intermediate(f"lower CA {number}")
    keystore = lower.server("localhost")
    found = only(_check(authority, keystore), FailureReason.PATH_TOO_LONG)
    assert (found.severity, found.step) == (Severity.ERROR, HandshakeStep.CLIENT_VERIFIES_SERVER)
    assert (found.position, found.certificate) == (count + 1, upper.certificate)
    assert (found.required, found.presented) == (f"at most {limit}", str(count))
    assert found.message == (
        f"intermediate CN=upper CA allows {limit} CAs below itself (pathLenConstraint), and the chain has {count}"
    )


@pytest.mark.parametrize(("limit", "count"), [(0, 0), (1, 1), (2, 1)])
def test_a_chain_as_long_as_its_cas_allow_is_no_finding(
    authority: CertificateAuthority, limit: int, count: int
) -> None:
    lower = authority.intermediate("upper CA", path_length=limit)
    for number in range(count):
        lower = lower.intermediate(f"lower CA {number}")
    assert list(_check(authority, lower.server("localhost"))) == []


def test_a_self_issued_certificate_does_not_count_against_the_path_length(authority: CertificateAuthority) -> None:
    old = authority.intermediate("one CA", path_length=0)
    new = old.intermediate("one CA")  # the same name with a new key
    assert list(_check(authority, new.server("localhost"))) == []
