"""Does our certificate allow what the role needs? EKU, key usage, CA flags and the kind of key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from mtls import EKUPolicy, FailureReason, Finding, HandshakeStep, Role, Severity, TLSProfile
from mtls._credentials.request import key_usage

if TYPE_CHECKING:
    from mtls import Keystore, Report
    from mtls.authority import CertificateAuthority, CertificateFields
    from tests.checks.conftest import Only

ERROR, WARNING = Severity.ERROR, Severity.WARNING
STEPS = {Role.CLIENT: HandshakeStep.SERVER_VERIFIES_CLIENT, Role.SERVER: HandshakeStep.CLIENT_VERIFIES_SERVER}
OWN_EKU = {Role.CLIENT: ExtendedKeyUsageOID.CLIENT_AUTH, Role.SERVER: ExtendedKeyUsageOID.SERVER_AUTH}
ROLES = pytest.mark.parametrize("role", list(Role))


def _keystore(authority: CertificateAuthority, role: Role, **fields: Any) -> Keystore:
    return authority.client("localhost", **fields) if role is Role.CLIENT else authority.server("localhost", **fields)


def _report(authority: CertificateAuthority, role: Role, keystore: Keystore, **options: Any) -> Report:
    """The report on a profile with this keystore; the authority's root is in the truststore, so the chain ends."""
    make = TLSProfile.client if role is Role.CLIENT else TLSProfile.server
    return make(keystore=keystore, truststore=authority.truststore, **options).check()


@ROLES
def test_the_right_eku_is_no_finding(authority: CertificateAuthority, role: Role) -> None:
    assert list(_report(authority, role, _keystore(authority, role))) == []


@ROLES
def test_the_role_among_other_usages_is_no_finding_even_when_it_is_required(
    authority: CertificateAuthority, role: Role
) -> None:
    keystore = _keystore(
        authority,
        role,
        eku=[ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE, OWN_EKU[role]],
    )
    assert list(_report(authority, role, keystore, eku=EKUPolicy.REQUIRED)) == []


def test_an_eku_for_the_other_role_is_an_error_with_the_way_out(authority: CertificateAuthority) -> None:
    keystore = _keystore(authority, Role.CLIENT, eku=[ExtendedKeyUsageOID.SERVER_AUTH])
    assert list(_report(authority, Role.CLIENT, keystore)) == [
        Finding(
            failure=FailureReason.WRONG_EKU,
            severity=ERROR,
            step=HandshakeStep.SERVER_VERIFIES_CLIENT,
            message="leaf CN=localhost allows serverAuth only; a client needs clientAuth (RFC 5280, 4.2.1.12)",
            remedy="ask the CA for a certificate with clientAuth; public CAs stopped issuing it in 2026, so it has to "
            "be a private CA",
            certificate=keystore.certificate,
            position=0,
            required="clientAuth",
            presented="serverAuth",
        )
    ]


@ROLES
@pytest.mark.parametrize("policy", list(EKUPolicy))
@pytest.mark.parametrize(
    ("usages", "presented"),
    [
        ([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE], "anyExtendedKeyUsage"),
        ([ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.EMAIL_PROTECTION], "codeSigning, emailProtection"),
        ([x509.ObjectIdentifier("1.3.6.1.4.1.311.20.2.2")], "1.3.6.1.4.1.311.20.2.2"),
    ],
)
def test_an_eku_without_the_role_is_an_error_under_every_policy(
    authority: CertificateAuthority,
    only: Only,
    role: Role,
    policy: EKUPolicy,
    usages: list[x509.ObjectIdentifier],
    presented: str,
) -> None:
    report = _report(authority, role, _keystore(authority, role, eku=usages), eku=policy)
    found = only(report, FailureReason.WRONG_EKU)
    assert (found.severity, found.step, found.position) == (ERROR, STEPS[role], 0)
    assert (found.required, found.presented) == (role.eku, presented)
    assert found.message.startswith(f"leaf CN=localhost allows {presented} only; a {role} needs {role.eku}")


@ROLES
@pytest.mark.parametrize(
    ("policy", "failure", "severity"),
    [
        (EKUPolicy.IF_PRESENT, FailureReason.EKU_ABSENT, WARNING),
        (EKUPolicy.REQUIRED, FailureReason.WRONG_EKU, ERROR),
    ],
)
def test_an_absent_eku_is_a_warning_and_an_error_where_it_is_required(
    authority: CertificateAuthority, role: Role, policy: EKUPolicy, failure: FailureReason, severity: Severity
) -> None:
    [found] = _report(authority, role, _keystore(authority, role, eku=()), eku=policy)
    assert (found.failure, found.severity, found.step, found.position) == (failure, severity, STEPS[role], 0)
    assert (found.required, found.presented) == (role.eku, "none")
    assert found.message == (
        f"leaf CN=localhost has no extended key usage; strict peers want {role.eku} (RFC 5280, 4.2.1.12)"
    )
    assert found.remedy == f"ask the CA for a certificate with {role.eku}"


@ROLES
@pytest.mark.parametrize("usage", [ExtendedKeyUsageOID.CODE_SIGNING, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
def test_an_intermediate_that_limits_the_usage_to_another_one_is_an_error(
    authority: CertificateAuthority, only: Only, role: Role, usage: x509.ObjectIdentifier
) -> None:
    keystore = _keystore(authority.intermediate("limited CA", eku=[usage]), role)
    found = only(_report(authority, role, keystore), FailureReason.WRONG_EKU)
    assert (found.severity, found.position, found.certificate) == (ERROR, 1, keystore.chain[0])
    assert found.message.startswith("intermediate CN=limited CA allows ")
    assert found.remedy == f"have the leaf issued by a CA whose own certificate allows {role.eku}, or has no EKU"


@ROLES
def test_an_intermediate_without_eku_is_no_finding_even_when_it_is_required(
    authority: CertificateAuthority, role: Role
) -> None:
    keystore = _keystore(authority.intermediate("plain CA"), role)
    assert list(_report(authority, role, keystore, eku=EKUPolicy.REQUIRED)) == []


@ROLES
@pytest.mark.parametrize(
    ("usages", "client", "server"),
    [
        (("digital_signature",), None, None),
        (("digital_signature", "key_encipherment"), None, None),
        (("key_agreement",), WARNING, WARNING),
        (("key_encipherment",), ERROR, WARNING),
        (("content_commitment",), ERROR, ERROR),
    ],
)
def test_a_key_usage_without_digital_signature_is_as_grave_as_openssl_takes_it(
    authority: CertificateAuthority,
    role: Role,
    usages: tuple[str, ...],
    client: Severity | None,
    server: Severity | None,
) -> None:
    keystore = _keystore(authority, role, key_usage=key_usage(*usages))
    expected = client if role is Role.CLIENT else server
    found = list(_report(authority, role, keystore))
    assert [finding.severity for finding in found] == ([] if expected is None else [expected])
    for finding in found:
        assert (finding.failure, finding.step, finding.position) == (
            FailureReason.WRONG_KEY_USAGE,
            STEPS[role],
            0,
        )
        assert (finding.required, finding.presented) == ("digitalSignature", "a keyUsage without it")
        assert finding.message == (
            "leaf CN=localhost has a keyUsage without digitalSignature, which TLS 1.3 and ECDHE sign with "
            "(RFC 8446, 4.4.2.2)"
        )
        assert finding.remedy == "ask the CA for a certificate with keyUsage digitalSignature"


@ROLES
def test_a_leaf_without_key_usage_may_do_everything(authority: CertificateAuthority, role: Role) -> None:
    assert list(_report(authority, role, _keystore(authority, role, key_usage=None))) == []


@ROLES
@pytest.mark.parametrize(
    ("fields", "failure", "text", "required"),
    [
        (
            {"basic_constraints": x509.BasicConstraints(ca=False, path_length=None), "key_usage": None},
            FailureReason.NOT_A_CA,
            "is no CA (basicConstraints)",
            "CA:TRUE",
        ),
        (
            {"basic_constraints": None, "key_usage": None},
            FailureReason.NOT_A_CA,
            "is no CA (basicConstraints)",
            "CA:TRUE",
        ),
        (
            {"key_usage": key_usage("digital_signature")},
            FailureReason.WRONG_KEY_USAGE,
            "may not sign certificates (keyUsage)",
            "keyCertSign",
        ),
    ],
)
def test_an_intermediate_that_may_not_issue_is_an_error(
    authority: CertificateAuthority,
    only: Only,
    role: Role,
    fields: CertificateFields,
    failure: FailureReason,
    text: str,
    required: str,
) -> None:
    keystore = _keystore(authority.intermediate("no CA", **fields), role)
    found = only(_report(authority, role, keystore), failure)
    assert (found.severity, found.step, found.position) == (ERROR, STEPS[role], 1)
    assert (found.certificate, found.required) == (keystore.chain[0], required)
    assert found.message == f"intermediate CN=no CA {text}, so no peer accepts what it issued"
    assert found.remedy == "have the leaf issued by a proper CA"


@ROLES
@pytest.mark.parametrize("curve", [ec.SECP224R1(), ec.SECP256K1(), ec.BrainpoolP256R1()], ids=lambda curve: curve.name)
def test_a_leaf_key_on_a_curve_that_tls_does_not_sign_with_is_an_error(
    authority: CertificateAuthority, only: Only, role: Role, curve: ec.EllipticCurve
) -> None:
    keystore = _keystore(authority, role, private_key=ec.generate_private_key(curve))
    found = only(_report(authority, role, keystore), FailureReason.NO_SHARED_SIGNATURE_ALGORITHM)
    assert (found.severity, found.step, found.position) == (ERROR, role.certificate_step, 0)
    assert (found.required, found.presented) == ("RSA, Ed25519, Ed448, or EC on P-256, P-384 or P-521", curve.name)
    assert found.certificate == keystore.certificate
    assert found.message.startswith(f"the key of leaf CN=localhost is on the curve {curve.name}, ")
    assert found.remedy == "get a certificate for a key on P-256, or an RSA key"


@ROLES
@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256", "ec-p384", "ec-p521", "ed25519", "ed448"])
def test_every_usual_kind_of_key_is_no_finding(authority: CertificateAuthority, role: Role, key_type: str) -> None:
    assert list(_report(authority, role, _keystore(authority, role, key_type=key_type))) == []


def test_an_intermediate_on_such_a_curve_is_no_finding_because_it_never_signs_a_handshake(
    authority: CertificateAuthority,
) -> None:
    lower = authority.intermediate("P-224 CA", private_key=ec.generate_private_key(ec.SECP224R1()))
    assert list(_report(authority, Role.SERVER, _keystore(lower, Role.SERVER))) == []
