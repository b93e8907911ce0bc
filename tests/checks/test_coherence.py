"""Do the options make sense together? What a context would silently ignore, and what no handshake can satisfy."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls import (
    BCP195,
    MOZILLA_INTERMEDIATE,
    MOZILLA_MODERN,
    NIST_800_52R2,
    ClientAuth,
    FailureReason,
    Finding,
    HandshakeStep,
    PeerPolicy,
    Revocation,
    Role,
    Severity,
    TLSPolicy,
    TLSProfile,
    TLSVersion,
)
from mtls._checks.coherence import check_policy

if TYPE_CHECKING:
    from mtls.authority import CertificateAuthority
    from tests.checks.conftest import Only

ERROR, WARNING = Severity.ERROR, Severity.WARNING
NO_CIPHER = FailureReason.NO_SHARED_CIPHER


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("authorize", PeerPolicy.dns("billing.example")),
        ("client_auth", ClientAuth.REQUIRED),
        ("client_auth", ClientAuth.OPTIONAL),
        ("revocation", Revocation.CHAIN),
        ("revocation", Revocation.OFF),
    ],
)
def test_an_option_about_clients_on_a_server_without_truststore_is_an_error(
    authority: CertificateAuthority, option: str, value: Any
) -> None:
    profile = TLSProfile.server(keystore=authority.server("localhost"), **{option: value})
    with pytest.raises(mtls.ConfigurationError) as caught:
        profile.ssl_context()
    [found] = caught.value.report.errors
    assert found == Finding(
        failure=FailureReason.CERTIFICATE_REQUIRED,
        severity=ERROR,
        step=HandshakeStep.SERVER_VERIFIES_CLIENT,
        message=f"{option}= is given without truststore=: no client would be asked for a certificate, so it would "
        "never be applied",
        remedy=f"give truststore= with the CA of the clients, or leave {option}= out for one-way TLS",
        required="truststore=",
        presented="none",
    )


def test_several_such_options_are_each_an_error(authority: CertificateAuthority) -> None:
    profile = TLSProfile.server(
        keystore=authority.server("localhost"),
        authorize=PeerPolicy.dns("billing.example"),
        client_auth=ClientAuth.OPTIONAL,
        revocation=Revocation.LEAF,
    )
    messages = [finding.message.partition("=")[0] for finding in profile.check().errors]
    assert messages == ["authorize", "client_auth", "revocation"]


def test_the_same_options_with_a_truststore_are_no_finding(authority: CertificateAuthority) -> None:
    profile = TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore_with_crl(),
        authorize=PeerPolicy.dns("billing.example"),
        client_auth=ClientAuth.OPTIONAL,
        revocation=Revocation.LEAF,
    )
    assert list(profile.check()) == []


# --- policies ---


def test_a_minimum_above_the_maximum_is_an_error(authority: CertificateAuthority) -> None:
    policy = TLSPolicy(name="ours", minimum_version=TLSVersion.TLSv1_3, maximum_version=TLSVersion.TLSv1_2)
    [found] = TLSProfile.client(truststore=authority.truststore, policy=policy).check()
    assert found == Finding(
        failure=FailureReason.PROTOCOL_VERSION,
        severity=ERROR,
        step=HandshakeStep.CLIENT_HELLO,
        message="ours allows no version: its minimum TLS 1.3 is above its maximum TLS 1.2",
        remedy="raise maximum_version or lower minimum_version",
        required="TLS 1.3 or newer",
        presented="TLS 1.2 or older",
    )


@pytest.mark.parametrize("level", [-1, 6, 100])
@pytest.mark.parametrize("role", list(Role))
def test_a_security_level_that_there_is_not_is_an_error_and_no_exception(
    authority: CertificateAuthority, role: Role, level: int
) -> None:
    policy = TLSPolicy(name="ours", security_level=level)
    keystore = authority.client("c") if role is Role.CLIENT else authority.server("localhost")
    make = TLSProfile.client if role is Role.CLIENT else TLSProfile.server
    report = make(keystore=keystore, truststore=authority.truststore, policy=policy).check()
    assert (
        Finding(
            failure=NO_CIPHER,
            severity=ERROR,
            step=HandshakeStep.CLIENT_HELLO,
            message=f"security_level {level} of ours does not exist",
            remedy="OpenSSL's security levels are 0 to 5; 2 is the default",
            required="0 to 5",
            presented=str(level),
        )
        in report.errors
    )
    assert {finding.failure for finding in report} == {NO_CIPHER}


@pytest.mark.parametrize("level", range(6))
def test_every_security_level_of_openssl_is_known(level: int) -> None:
    policy = TLSPolicy(name="ours", security_level=level)
    assert check_policy(policy, Role.CLIENT, None) == []
    assert policy.cipher_string.endswith(f":@SECLEVEL={level}")


@pytest.mark.parametrize("ciphers", [("NO-SUCH-CIPHER",), ("TLS_AES_128_GCM_SHA256",), ("!ALL",)])
def test_ciphers_that_openssl_does_not_know_are_an_error(
    authority: CertificateAuthority, only: Only, ciphers: tuple[str, ...]
) -> None:
    policy = TLSPolicy(name="ours", ciphers=ciphers)
    report = TLSProfile.client(truststore=authority.truststore, policy=policy).check()
    found = only(report, NO_CIPHER)
    assert (found.severity, found.step) == (ERROR, HandshakeStep.CLIENT_HELLO)
    assert found.required == "a cipher that OpenSSL knows"
    assert found.presented == policy.cipher_string
    assert found.message == f"this OpenSSL knows none of the ciphers of ours: {policy.cipher_string}"
    assert "ECDHE-RSA-AES256-GCM-SHA384" in found.remedy


KEYS = {"RSA": "rsa-2048", "ECDSA": "ec-p256", "EdDSA": "ed25519"}


@pytest.mark.parametrize(
    ("kind", "ciphers"),
    [
        ("RSA", ("ECDHE-ECDSA-AES128-GCM-SHA256",)),
        ("RSA", ("DHE-RSA-AES128-GCM-SHA256",)),
        ("RSA", ("PSK-AES128-GCM-SHA256",)),
        ("ECDSA", ("ECDHE-RSA-AES128-GCM-SHA256", "AES128-GCM-SHA256")),
        ("EdDSA", ("ECDHE-RSA-AES128-GCM-SHA256",)),
    ],
)
@pytest.mark.parametrize(
    ("maximum", "severity", "more"),
    [(TLSVersion.TLSv1_2, ERROR, ""), (TLSVersion.TLSv1_3, WARNING, ", so only TLS 1.3 clients can connect")],
)
def test_a_server_key_that_no_cipher_fits_is_an_error_where_there_is_only_tls_1_2(
    authority: CertificateAuthority,
    only: Only,
    kind: str,
    ciphers: tuple[str, ...],
    maximum: TLSVersion,
    severity: Severity,
    more: str,
) -> None:
    keystore = authority.server("localhost", key_type=KEYS[kind])
    wanted = "RSA" if kind == "RSA" else "ECDSA"
    policy = TLSPolicy(name="ours", ciphers=ciphers, maximum_version=maximum)
    found = only(check_policy(policy, Role.SERVER, keystore), NO_CIPHER)
    assert (found.severity, found.step, found.certificate) == (
        severity,
        HandshakeStep.SERVER_HELLO,
        keystore.certificate,
    )
    assert (found.required, found.presented) == (f"a suite with {wanted}", ", ".join(ciphers))
    assert found.message == f"none of the TLS 1.2 ciphers of ours works with our {wanted} key{more}"
    assert found.remedy == f"add a suite with {wanted} in its name, or use a key of the other kind"


@pytest.mark.parametrize(
    ("kind", "ciphers"),
    [
        ("RSA", ("ECDHE-RSA-AES128-GCM-SHA256",)),
        ("RSA", ("AES128-GCM-SHA256",)),
        ("RSA", ("ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256")),
        ("ECDSA", ("ECDHE-ECDSA-AES128-GCM-SHA256",)),
        ("EdDSA", ("ECDHE-ECDSA-AES128-GCM-SHA256",)),
        ("ECDSA", ("HIGH",)),
        ("ECDSA", ("ECDHE+AESGCM",)),
        ("ECDSA", ("!aNULL", "ECDHE-RSA-AES128-GCM-SHA256")),
        ("ECDSA", ()),
    ],
)
def test_a_server_key_that_a_cipher_fits_or_may_fit_is_no_finding(
    authority: CertificateAuthority, kind: str, ciphers: tuple[str, ...]
) -> None:
    keystore = authority.server("localhost", key_type=KEYS[kind])
    policy = TLSPolicy(name="ours", ciphers=ciphers, maximum_version=TLSVersion.TLSv1_2)
    assert check_policy(policy, Role.SERVER, keystore) == []


def test_the_kind_of_a_clients_key_has_nothing_to_do_with_the_cipher(authority: CertificateAuthority) -> None:
    policy = TLSPolicy(name="ours", ciphers=("ECDHE-RSA-AES128-GCM-SHA256",), maximum_version=TLSVersion.TLSv1_2)
    assert check_policy(policy, Role.CLIENT, authority.client("c")) == []


def test_tls_1_3_takes_any_key_with_any_cipher(authority: CertificateAuthority) -> None:
    policy = TLSPolicy(name="ours", ciphers=("ECDHE-RSA-AES128-GCM-SHA256",), minimum_version=TLSVersion.TLSv1_3)
    assert check_policy(policy, Role.SERVER, authority.server("localhost")) == []


@pytest.mark.parametrize("policy", [MOZILLA_MODERN, MOZILLA_INTERMEDIATE, BCP195, NIST_800_52R2], ids=repr)
@pytest.mark.parametrize("kind", list(KEYS))
def test_every_preset_works_with_every_kind_of_key(
    authority: CertificateAuthority, policy: TLSPolicy, kind: str
) -> None:
    keystore = authority.server("localhost", key_type=KEYS[kind])
    profile = TLSProfile.server(keystore=keystore, truststore=authority.truststore, policy=policy)
    assert list(profile.check()) == []
    assert isinstance(profile.ssl_context(), ssl.SSLContext)
