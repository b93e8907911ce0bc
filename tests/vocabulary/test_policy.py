"""The policies: presets that say what their source says, and what this Python cannot enforce is named."""

from __future__ import annotations

import _ssl
import ssl
from typing import Any

import pytest

import mtls
from mtls import BCP195, MOZILLA_INTERMEDIATE, MOZILLA_MODERN, NIST_800_52R2, TLSPolicy, TLSVersion, _policy

PRESETS = pytest.mark.parametrize(
    "policy", [MOZILLA_MODERN, MOZILLA_INTERMEDIATE, BCP195, NIST_800_52R2], ids=lambda policy: policy.name
)


@PRESETS
def test_a_preset_cites_its_source_and_is_named_like_its_constant(policy: TLSPolicy) -> None:
    assert getattr(mtls, policy.name) is policy
    assert any(word in policy.source for word in ("Mozilla", "RFC", "NIST"))


@PRESETS
def test_openssl_knows_a_suite_of_every_preset_and_they_are_forward_secret_aead(policy: TLSPolicy) -> None:
    context = _ssl._SSLContext(int(ssl.PROTOCOL_TLS_SERVER))
    context.set_ciphers(policy.cipher_string)
    suites = [each for each in context.get_ciphers() if each["protocol"] != "TLSv1.3"]
    assert suites
    assert all(each["aead"] and each["kea"] in {"kx-ecdhe", "kx-dhe"} for each in suites)
    named = {each["name"] for each in suites}
    assert not policy.ciphers or named == set(policy.ciphers)


def test_modern_is_tls_1_3_only_and_the_others_allow_1_2() -> None:
    versions = {
        policy.name: (policy.minimum_version, policy.maximum_version)
        for policy in (MOZILLA_MODERN, MOZILLA_INTERMEDIATE, BCP195, NIST_800_52R2)
    }
    both = (TLSVersion.TLSv1_2, TLSVersion.TLSv1_3)
    assert versions == {
        "MOZILLA_MODERN": (TLSVersion.TLSv1_3, TLSVersion.TLSv1_3),
        "MOZILLA_INTERMEDIATE": both,
        "BCP195": both,
        "NIST_800_52R2": both,
    }


def test_the_versions_are_those_of_ssl_by_number_and_have_a_label() -> None:
    assert [int(version) for version in TLSVersion] == [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
    assert [version.label for version in TLSVersion] == ["TLS 1.2", "TLS 1.3"]


def test_a_policy_shows_its_name_and_versions() -> None:
    assert repr(MOZILLA_INTERMEDIATE) == "<TLSPolicy MOZILLA_INTERMEDIATE: TLS 1.2 to TLS 1.3>"
    assert repr(TLSPolicy(name="ours", maximum_version=TLSVersion.TLSv1_2)) == "<TLSPolicy ours: TLS 1.2 to TLS 1.2>"


def test_a_version_of_ssl_is_taken_for_ours() -> None:
    policy = TLSPolicy(name="ours", minimum_version=ssl.TLSVersion.TLSv1_3)  # type: ignore[arg-type] # equal by number
    assert policy.minimum_version is TLSVersion.TLSv1_3
    assert policy == TLSPolicy(name="ours", minimum_version=TLSVersion.TLSv1_3)


@pytest.mark.parametrize("field", ["minimum_version", "maximum_version"])
@pytest.mark.parametrize("value", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.MINIMUM_SUPPORTED, "TLSv1.2", None])
def test_a_version_before_1_2_or_none_at_all_is_a_usage_error(field: str, value: Any) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        TLSPolicy(name="ours", **{field: value})
    assert str(caught.value) == (
        f"{field}= is TLSVersion.TLSv1_2 or TLSVersion.TLSv1_3 (RFC 8996 forbids older ones), not {value!r}"
    )


@pytest.mark.parametrize("field", ["ciphers", "tls13_ciphersuites", "groups"])
@pytest.mark.parametrize("value", ["ECDHE+AESGCM", None, [1], ("",)])
def test_one_text_where_names_belong_is_a_usage_error(field: str, value: Any) -> None:
    with pytest.raises(mtls.UsageError) as caught:
        TLSPolicy(name="ours", **{field: value})
    assert str(caught.value) == (
        f"{field}= takes a tuple of names, for instance ('ECDHE-RSA-AES256-GCM-SHA384',), not {value!r}"
    )


def test_a_list_of_names_becomes_a_tuple_so_that_the_policy_is_a_value() -> None:
    policy = TLSPolicy(name="ours", ciphers=["ECDHE+AESGCM"])  # type: ignore[arg-type] # what people write
    assert policy.ciphers == ("ECDHE+AESGCM",)
    assert hash(policy) == hash(TLSPolicy(name="ours", ciphers=("ECDHE+AESGCM",)))


def test_a_policy_is_frozen() -> None:
    with pytest.raises(AttributeError):
        BCP195.security_level = 0  # type: ignore[misc] # frozen on purpose


def test_the_cipher_string_ends_with_the_security_level_so_that_no_name_can_lower_it() -> None:
    policy = TLSPolicy(name="ours", ciphers=("ALL:@SECLEVEL=0",), security_level=3)
    assert policy.cipher_string == "ALL:@SECLEVEL=0:!aNULL:!eNULL:@SECLEVEL=3"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_ciphers(policy.cipher_string)
    assert context.security_level == 3


def test_a_policy_without_suites_gets_those_that_are_forward_secret_and_aead() -> None:
    assert TLSPolicy(name="ours").cipher_string == "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL:!eNULL:@SECLEVEL=2"


@pytest.mark.parametrize(("level", "bits"), [(0, 0), (1, 80), (2, 112), (3, 128), (4, 192), (5, 256), (6, 0), (-1, 0)])
def test_a_security_level_is_so_many_bits(level: int, bits: int) -> None:
    assert TLSPolicy(name="ours", security_level=level).minimum_security_bits == bits


def test_what_this_python_cannot_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_policy, "_CAN_SET_TLS13_SUITES_AND_GROUPS", False)
    policy = TLSPolicy(name="ours", tls13_ciphersuites=("TLS_AES_128_GCM_SHA256",), groups=("X25519", "prime256v1"))
    assert policy.unenforceable == (
        "TLS 1.3 cipher suites: Python cannot set them before 3.15, OpenSSL's own list is in force",
        "key exchange groups: Python cannot set them before 3.15, OpenSSL's own list is in force",
    )
    assert TLSPolicy(name="ours").unenforceable == ()
    only_12 = TLSPolicy(name="ours", tls13_ciphersuites=("TLS_AES_128_GCM_SHA256",), maximum_version=TLSVersion.TLSv1_2)
    assert only_12.unenforceable == ()


def test_a_python_that_can_set_everything_has_nothing_to_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_policy, "_CAN_SET_TLS13_SUITES_AND_GROUPS", True)
    assert MOZILLA_INTERMEDIATE.unenforceable == ()
