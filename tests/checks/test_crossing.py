"""Does OpenSSL agree with us? Each fault that a check names, run through a real handshake with unchecked contexts.

What the check calls an error must fail, and a clean report must succeed. Where the two differ, the case stands in a
table of its own with the reason.
"""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

import mtls
from mtls import (
    MOZILLA_INTERMEDIATE,
    ChainRules,
    FailureReason,
    HandshakeStep,
    Keystore,
    Revocation,
    Role,
    TLSPolicy,
    TLSProfile,
    TLSVersion,
    Truststore,
)
from mtls._credentials.request import key_usage
from mtls._handshake.context import TLSContext
from mtls._handshake.generation import Generation
from mtls._handshake.loopback import join
from mtls._rehearsal.rehearsal import observe
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mtls import ClientProfile, Handshake, ServerProfile

F = FailureReason
NOW, DAY = datetime.now(UTC), timedelta(days=1)
VERSIONS = pytest.mark.parametrize("version", list(TLSVersion), ids=lambda version: version.label)
ROLES = pytest.mark.parametrize("role", list(Role))
ROOT = CertificateAuthority("crossing root")
WEAK_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)
STRANGE = x509.ObjectIdentifier("1.2.3.4")


def _unchecked(profile: Any, version: TLSVersion) -> TLSContext:
    """The context that the profile would become if nobody checked it; OpenSSL may refuse to build it."""
    policy = replace(profile.policy, minimum_version=version, maximum_version=version)
    bare = replace(profile, policy=policy)
    return TLSContext._make(bare, Generation(bare._settings()), bare._read_again, keeps_log=True)


def _handshake(client: ClientProfile, server: ServerProfile, version: TLSVersion) -> Handshake | ssl.SSLError:
    try:
        contexts = _unchecked(client, version), _unchecked(server, version)
    except ssl.SSLError as refusal:
        return refusal
    near, far = join(*contexts, server_hostname="localhost")
    return observe(client, server, near, far, "localhost")


def _extension(value: x509.ExtensionType, *, critical: bool) -> dict[str, Any]:
    return {"extensions": [x509.Extension(value.oid, critical, value)]}


@dataclass(frozen=True)
class Case:
    """Fields of the leaf, or of an intermediate above it; what the check says, and where OpenSSL says otherwise."""

    name: str
    leaf: dict[str, Any] = field(default_factory=dict)
    lower: dict[str, Any] | None = None
    failure: FailureReason | None = None
    """What the handshake calls it, where one code of OpenSSL stands for several causes (26: EKU or key usage)."""
    reason: str = ""

    def keystore(self, role: Role) -> Keystore:
        issuer = ROOT if self.lower is None else ROOT.intermediate("lower CA", **self.lower)
        return (issuer.client if role is Role.CLIENT else issuer.server)("localhost", **self.leaf)

    def profiles(self, role: Role) -> tuple[Any, ClientProfile, ServerProfile]:
        """Ours first, then both."""
        own = self.keystore(role)
        trust = ROOT.truststore
        if role is Role.CLIENT:
            client = TLSProfile.client(keystore=own, truststore=trust)
            return client, client, TLSProfile.server(keystore=ROOT.server("localhost"), truststore=trust)
        server = TLSProfile.server(keystore=own, truststore=trust)
        return server, TLSProfile.client(truststore=trust, keystore=ROOT.client("c")), server


def _ids(case: Any) -> str:
    return str(getattr(case, "name", case))


UNKNOWN_CRITICAL = _extension(x509.UnrecognizedExtension(STRANGE, b"\x05\x00"), critical=True)
SIGNS_NOTHING: dict[str, Any] = {"key_usage": key_usage("content_commitment")}

BOTH_REFUSE = [
    Case("an expired leaf", {"not_after": NOW - DAY}, failure=F.EXPIRED),
    Case("a leaf of tomorrow", {"not_before": NOW + DAY}, failure=F.NOT_YET_VALID),
    Case("a leaf with another EKU", {"eku": [ExtendedKeyUsageOID.CODE_SIGNING]}, failure=F.WRONG_EKU),
    Case("a leaf with anyEKU only", {"eku": [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]}, failure=F.WRONG_EKU),
    Case("a leaf that may not sign", SIGNS_NOTHING, failure=F.WRONG_KEY_USAGE),
    Case("a leaf key of RSA 1024", {"private_key": WEAK_RSA}, failure=F.WEAK_KEY),
    Case("an unknown critical extension", UNKNOWN_CRITICAL, failure=F.UNKNOWN_CRITICAL_EXTENSION),
    Case("an expired intermediate", lower={"not_after": NOW - DAY}, failure=F.EXPIRED),
    Case(
        "an intermediate of tomorrow",
        lower={"not_before": NOW + DAY, "not_after": NOW + 9 * DAY},
        failure=F.NOT_YET_VALID,
    ),
    Case("an intermediate with another EKU", lower={"eku": [ExtendedKeyUsageOID.CODE_SIGNING]}, failure=F.WRONG_EKU),
    Case(
        "an intermediate that is no CA",
        lower={"basic_constraints": x509.BasicConstraints(ca=False, path_length=None), "key_usage": None},
        failure=F.NOT_A_CA,
    ),
    Case("an intermediate without basicConstraints", lower={"basic_constraints": None}, failure=F.NOT_A_CA),
    Case(
        "an intermediate without keyCertSign",
        lower={"key_usage": key_usage("digital_signature")},
        failure=F.WRONG_KEY_USAGE,
    ),
    Case("an intermediate key of RSA 1024", lower={"private_key": WEAK_RSA}, failure=F.WEAK_KEY),
    Case("a critical extension above", lower=UNKNOWN_CRITICAL, failure=F.UNKNOWN_CRITICAL_EXTENSION),
]

BOTH_ACCEPT = [
    Case("the usual"),
    Case("RSA", {"key_type": "rsa-2048"}),
    Case("P-384", {"key_type": "ec-p384"}),
    Case("P-521", {"key_type": "ec-p521"}),
    Case("Ed25519", {"key_type": "ed25519"}),
    Case("Ed448", {"key_type": "ed448"}),
    Case("a SHA-224 signature", {"signature_hash": hashes.SHA224()}),
    Case("a leaf without EKU", {"eku": ()}, failure=F.EKU_ABSENT),
    Case("a leaf without keyUsage", {"key_usage": None}),
    Case("a leaf without subjectKeyIdentifier", {"subject_key_identifier": None}),
    Case("a leaf without basicConstraints", {"basic_constraints": None}),
    Case("a leaf that ends soon", {"not_before": NOW - 80 * DAY, "not_after": NOW + DAY}, failure=F.EXPIRES_SOON),
    Case("an intermediate", lower={}),
    Case("an intermediate on P-224", lower={"private_key": ec.generate_private_key(ec.SECP224R1())}),
    Case("an intermediate with path length 0", lower={"path_length": 0}),
    Case(
        "a critical extension of RFC 5280",
        lower=_extension(x509.InhibitAnyPolicy(1), critical=True),
    ),
]

A_LENIENT_PEER_ACCEPTS = "strict form is the peer's choice: a warning, because a peer that is lenient takes it"
STRICTER = [
    Case("a leaf without AKI", {"authority_key_identifier": None}, failure=F.MISSING_EXTENSION),
    Case(
        "a leaf with keyCertSign",
        {"key_usage": key_usage("digital_signature", "key_cert_sign")},
        failure=F.WRONG_KEY_USAGE,
    ),
    Case("an intermediate without keyUsage", lower={"key_usage": None}, failure=F.MISSING_EXTENSION),
    Case("an intermediate without SKI", lower={"subject_key_identifier": None}, failure=F.MISSING_EXTENSION),
    Case("an intermediate without AKI", lower={"authority_key_identifier": None}, failure=F.MISSING_EXTENSION),
    Case(
        "basicConstraints not critical",
        lower=_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False),
        failure=F.MALFORMED,
    ),
    Case("an empty subject above", lower={"subject": x509.Name([])}, failure=F.MALFORMED),
]


@VERSIONS
@ROLES
@pytest.mark.parametrize("case", BOTH_REFUSE, ids=_ids)
def test_what_the_check_calls_an_error_openssl_refuses(case: Case, role: Role, version: TLSVersion) -> None:
    own, client, server = case.profiles(role)
    [found] = own.check().errors
    assert (found.failure, found.step) == (case.failure, role.verified_at)
    result = _handshake(client, server, version)
    if isinstance(result, ssl.SSLError):  # OpenSSL does not even take our own weak key
        assert result.reason in {"EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL"}
        assert found.failure is F.WEAK_KEY
        return
    assert isinstance(result.error, mtls.HandshakeError)
    never_sent = case.failure is F.WRONG_KEY_USAGE and not case.lower
    if (role, version) == (Role.SERVER, TLSVersion.TLSv1_2) and never_sent:
        # an ECDSA certificate that may not sign fits no suite of TLS 1.2, so it is never sent
        assert (result.error.step, result.error.failure) == (HandshakeStep.SERVER_HELLO, F.NO_SHARED_CIPHER)
        return
    assert (result.failed_step, result.error.failure) == (found.step, case.failure)


@VERSIONS
@ROLES
@pytest.mark.parametrize("case", BOTH_ACCEPT, ids=_ids)
def test_what_the_check_finds_no_error_in_openssl_accepts(case: Case, role: Role, version: TLSVersion) -> None:
    own, client, server = case.profiles(role)
    report = own.check()
    assert report.errors == ()
    assert [found.failure for found in report] == ([] if case.failure is None else [case.failure])
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert result.ok, str(result)


@VERSIONS
@ROLES
@pytest.mark.parametrize("case", STRICTER, ids=_ids)
def test_what_is_a_warning_of_form_strict_openssl_refuses_and_lenient_openssl_accepts(
    case: Case, role: Role, version: TLSVersion
) -> None:
    own, client, server = case.profiles(role)
    assert own.check().errors == ()
    assert case.failure in {found.failure for found in own.check().warnings}
    strict = _handshake(client, server, version)
    assert not isinstance(strict, ssl.SSLError)
    assert strict.failed_step is role.verified_at
    assert isinstance(strict.error, mtls.HandshakeError)
    assert strict.error.failure is case.failure
    client = replace(client, chain_rules=ChainRules.LENIENT)
    server = replace(server, chain_rules=ChainRules.LENIENT)
    lenient = _handshake(client, server, version)
    assert not isinstance(lenient, ssl.SSLError)
    assert lenient.ok, A_LENIENT_PEER_ACCEPTS


@VERSIONS
@ROLES
def test_a_curve_that_tls_does_not_sign_with_ends_every_handshake(role: Role, version: TLSVersion) -> None:
    case = Case("P-224", {"private_key": ec.generate_private_key(ec.SECP224R1())})
    own, client, server = case.profiles(role)
    [found] = own.check().errors
    assert (found.failure, found.step) == (F.NO_SHARED_SIGNATURE_ALGORITHM, role.certificate_step)
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert not result.ok
    assert role.verified_at not in result.completed


@VERSIONS
def test_a_chain_too_long_for_a_ca_in_it_is_refused(version: TLSVersion) -> None:
    lowest = ROOT.intermediate("upper", path_length=0).intermediate("lowest")
    client = TLSProfile.client(keystore=lowest.client("c"), truststore=ROOT.truststore)
    server = TLSProfile.server(keystore=ROOT.server("localhost"), truststore=ROOT.truststore)
    [found] = client.check().errors
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert isinstance(result.error, mtls.HandshakeError)
    assert (
        (result.failed_step, result.error.failure)
        == (found.step, found.failure)
        == (
            HandshakeStep.SERVER_VERIFIES_CLIENT,
            F.PATH_TOO_LONG,
        )
    )


# --- where the two differ, each with its reason ---

KEY_USAGE = [
    # usages, role, version -> does OpenSSL accept it, and why the check says what it says
    ("key_encipherment", Role.SERVER, TLSVersion.TLSv1_3, True, "lax: RSA key transport would need no more"),
    ("key_encipherment", Role.SERVER, TLSVersion.TLSv1_2, False, "an ECDSA suite wants digitalSignature"),
    ("key_encipherment", Role.CLIENT, TLSVersion.TLSv1_3, False, "a client always signs, the check says error"),
    ("key_agreement", Role.SERVER, TLSVersion.TLSv1_3, True, "lax: static ECDH would need no more"),
    ("key_agreement", Role.SERVER, TLSVersion.TLSv1_2, False, "an ECDSA suite wants digitalSignature"),
    ("key_agreement", Role.CLIENT, TLSVersion.TLSv1_3, True, "lax: static ECDH would need no more"),
    ("key_agreement", Role.CLIENT, TLSVersion.TLSv1_2, True, "lax: static ECDH would need no more"),
]


@pytest.mark.parametrize(("usage", "role", "version", "accepted", "reason"), KEY_USAGE)
def test_openssl_is_laxer_about_key_usage_than_rfc_8446_so_the_check_warns(
    usage: str, role: Role, version: TLSVersion, accepted: bool, reason: str
) -> None:
    own, client, server = Case(usage, {"key_usage": key_usage(usage)}).profiles(role)
    [found] = own.check()
    assert found.failure is F.WRONG_KEY_USAGE
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert result.ok is accepted, reason
    if accepted:
        assert found.severity is mtls.Severity.WARNING


@VERSIONS
@ROLES
def test_openssl_is_asked_about_a_sha3_signature_because_it_depends_on_the_openssl(
    role: Role, version: TLSVersion
) -> None:
    own, client, server = Case("SHA-3", {"signature_hash": hashes.SHA3_256()}).profiles(role)
    result = _handshake(client, server, version)
    assert [found.failure for found in own.check().errors] == [F.BAD_SIGNATURE] * isinstance(result, ssl.SSLError)
    if isinstance(result, ssl.SSLError):
        assert result.reason == "CA_MD_TOO_WEAK"
        with pytest.raises(mtls.ConfigurationError) as caught:
            own.ssl_context()
        [found] = caught.value.report.errors
        assert (found.failure, found.step) == (F.WEAK_SIGNATURE, role.certificate_step)
    else:  # an OpenSSL that knows SHA-3 signatures
        assert result.ok


@VERSIONS
def test_a_lone_leaf_whose_issuer_is_in_the_truststore_is_completed_by_openssl(version: TLSVersion) -> None:
    lower = ROOT.intermediate("lower CA")
    whole = lower.client("c")
    lone = Keystore.from_objects(whole._private_key, whole.certificate)
    server = TLSProfile.server(keystore=ROOT.server("localhost"), truststore=ROOT.truststore)
    both = Truststore.from_certificates([lower.certificate, ROOT.certificate])
    for truststore, accepted in ((both, True), (ROOT.truststore, False)):
        client = TLSProfile.client(keystore=lone, truststore=truststore)
        [found] = client.check()
        assert (found.failure, found.severity) == (F.INCOMPLETE_CHAIN, mtls.Severity.WARNING)
        result = _handshake(client, server, version)
        assert not isinstance(result, ssl.SSLError)
        assert result.ok is accepted


# --- our truststore, run against a peer from each anchor ---


@dataclass(frozen=True)
class Trust:
    """A truststore, the server that it is to judge, and what the check calls the fault."""

    name: str
    make: Callable[[], tuple[Truststore, Keystore]]
    failure: FailureReason | None = None
    heard: FailureReason | None = None
    options: dict[str, Any] = field(default_factory=dict)
    reason: str = ""

    def profiles(self) -> tuple[ClientProfile, ServerProfile]:
        truststore, keystore = self.make()
        return TLSProfile.client(truststore=truststore, **self.options), TLSProfile.server(keystore=keystore)


def _root(**fields: Any) -> Callable[[], tuple[Truststore, Keystore]]:
    def make() -> tuple[Truststore, Keystore]:
        authority = CertificateAuthority("anchor", **fields)
        return authority.truststore, authority.server("localhost")

    return make


def _lists(
    anchors: Callable[[CertificateAuthority, CertificateAuthority], list[x509.Certificate]],
    crls: Callable[[CertificateAuthority, CertificateAuthority], list[x509.CertificateRevocationList]],
    *,
    below: bool = False,
) -> Callable[[], tuple[Truststore, Keystore]]:
    """Anchors and CRLs of a root and its intermediate; the server's certificate is from the root, or from below."""

    def make() -> tuple[Truststore, Keystore]:
        root = CertificateAuthority("crl root")
        lower = root.intermediate("crl lower")
        keystore = (lower if below else root).server("localhost")
        return Truststore.from_certificates(anchors(root, lower), crls=crls(root, lower)), keystore

    return make


def _pinned(*, own_issuer: bool) -> Callable[[], tuple[Truststore, Keystore]]:
    def make() -> tuple[Truststore, Keystore]:
        root = CertificateAuthority("pin root")
        keystore = root.server("localhost")
        anchors = [keystore.certificate, *([root.certificate] if own_issuer else [])]
        return Truststore.from_certificates(anchors, crls=[root.crl()]), keystore

    return make


LEAF = {"revocation": Revocation.LEAF}
CHAIN = {"revocation": Revocation.CHAIN}
_ENDED = {"this_update": NOW - 9 * DAY, "next_update": NOW - DAY}
_TO_COME = {"this_update": NOW + DAY, "next_update": NOW + 9 * DAY}

TRUST_REFUSED = [
    Trust("a self-signed CA without basicConstraints", _root(basic_constraints=None), F.NOT_A_CA),
    Trust(
        "a self-signed CA without basicConstraints, with names",
        _root(basic_constraints=None, names=["localhost"]),
        F.NOT_A_CA,
    ),
    Trust("an expired root", _root(not_after=NOW - DAY), F.EXPIRED),
    Trust("a root of tomorrow", _root(not_before=NOW + DAY), F.NOT_YET_VALID),
    Trust("a root with another EKU", _root(eku=[ExtendedKeyUsageOID.CODE_SIGNING]), F.WRONG_EKU),
    Trust("a root without keyUsage", _root(key_usage=None), F.MISSING_EXTENSION),
    Trust("a root without SKI", _root(subject_key_identifier=None), F.MISSING_EXTENSION),
    Trust("a root without keyCertSign", _root(key_usage=key_usage("crl_sign")), F.WRONG_KEY_USAGE, F.NOT_A_CA),
    Trust(
        "basicConstraints not critical",
        _root(**_extension(x509.BasicConstraints(ca=True, path_length=None), critical=False)),
        F.MALFORMED,
    ),
    Trust("a root without a name", _root(subject=x509.Name([])), F.MALFORMED),
    Trust("a root with a critical extension", _root(**UNKNOWN_CRITICAL), F.UNKNOWN_CRITICAL_EXTENSION),
    Trust("no CRL, chain", _lists(lambda r, _: [r.certificate], lambda *_: []), F.CRL_MISSING, options=CHAIN),
    Trust("no CRL, leaf", _lists(lambda r, _: [r.certificate], lambda *_: []), F.CRL_MISSING, options=LEAF),
    Trust(
        "an expired CRL",
        _lists(lambda r, _: [r.certificate], lambda r, _: [r.crl(**_ENDED)]),
        F.CRL_EXPIRED,
    ),
    Trust(
        "a CRL of tomorrow",
        _lists(lambda r, _: [r.certificate], lambda r, _: [r.crl(**_TO_COME)]),
        F.CRL_EXPIRED,
    ),
    Trust(
        "a CRL of a namesake",
        _lists(lambda r, _: [r.certificate], lambda *_: [CertificateAuthority("crl root").crl()]),
        F.CRL_MISSING,
    ),
    Trust(
        "the CRL of the intermediate only, chain",
        _lists(lambda r, _: [r.certificate], lambda _, low: [low.crl()], below=True),
        F.CRL_MISSING,
        options=CHAIN,
    ),
    Trust(
        "an intermediate as anchor, chain",
        _lists(lambda _, low: [low.certificate], lambda r, low: [r.crl(), low.crl()], below=True),
        F.CRL_MISSING,
        options=CHAIN,
    ),
    Trust("a pinned leaf with the CRL of its CA", _pinned(own_issuer=False), F.CRL_MISSING, options=LEAF),
    Trust("a pinned leaf, chain", _pinned(own_issuer=False), F.CRL_MISSING, options=CHAIN),
]

TRUST_ACCEPTED = [
    Trust("a root", _root()),
    Trust("a root with path length 0", _root(path_length=0)),
    Trust("a root on P-224", _root(private_key=ec.generate_private_key(ec.SECP224R1()))),
    Trust("a fresh CRL", _lists(lambda r, _: [r.certificate], lambda r, _: [r.crl()])),
    Trust(
        "an expired CRL beside a fresh one",
        _lists(lambda r, _: [r.certificate], lambda r, _: [r.crl(**_ENDED), r.crl()]),
    ),
    Trust("both CRLs", _lists(lambda r, _: [r.certificate], lambda r, low: [r.crl(), low.crl()], below=True)),
    Trust(
        "the CRL of the intermediate only, leaf",
        _lists(lambda r, _: [r.certificate], lambda _, low: [low.crl()], below=True),
        options=LEAF,
    ),
    Trust(
        "an intermediate as anchor, leaf",
        _lists(lambda _, low: [low.certificate], lambda _, low: [low.crl()], below=True),
        options=LEAF,
    ),
    Trust("a pinned leaf beside its CA with the CRL", _pinned(own_issuer=True), options=CHAIN),
]

TRUST_DIFFERS = [
    Trust(
        "the root's CRL, a peer from below",
        _lists(lambda r, _: [r.certificate], lambda r, _: [r.crl()], below=True),
        heard=F.CRL_MISSING,
        reason="which intermediates the peers will send is not known beforehand",
    ),
    Trust(
        "an intermediate and its root as anchors",
        _lists(lambda r, low: [r.certificate, low.certificate], lambda r, low: [r.crl(), low.crl()], below=True),
        heard=F.CRL_MISSING,
        reason="a warning: peers of the root itself come in, those of the intermediate do not",
    ),
]


@VERSIONS
@pytest.mark.parametrize("case", TRUST_REFUSED, ids=_ids)
def test_a_truststore_that_the_check_refuses_lets_nobody_in(case: Trust, version: TLSVersion) -> None:
    client, server = case.profiles()
    errors = client.check().errors
    assert case.failure in {found.failure for found in errors}
    assert {found.step for found in errors} == {HandshakeStep.CLIENT_VERIFIES_SERVER}
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert isinstance(result.error, mtls.HandshakeError)
    assert (result.failed_step, result.error.failure) == (
        HandshakeStep.CLIENT_VERIFIES_SERVER,
        case.failure,
    )


@VERSIONS
@pytest.mark.parametrize("case", TRUST_ACCEPTED, ids=_ids)
def test_a_truststore_that_the_check_accepts_lets_its_peers_in(case: Trust, version: TLSVersion) -> None:
    client, server = case.profiles()
    assert client.check().errors == ()
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert result.ok, str(result)


@VERSIONS
@pytest.mark.parametrize("case", TRUST_DIFFERS, ids=_ids)
def test_a_truststore_may_refuse_a_peer_that_cannot_be_foreseen(case: Trust, version: TLSVersion) -> None:
    client, server = case.profiles()
    assert client.check().errors == (), case.reason
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert isinstance(result.error, mtls.HandshakeError)
    assert (result.failed_step, result.error.failure) == (HandshakeStep.CLIENT_VERIFIES_SERVER, case.heard)


# --- suites against the kind of key ---


@pytest.mark.parametrize("key_type", ["rsa-2048", "ec-p256", "ed25519"])
@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
        "AES128-GCM-SHA256",
    ],
)
def test_a_suite_of_tls_1_2_works_with_a_key_exactly_where_the_check_says_so(suite: str, key_type: str) -> None:
    keystore = ROOT.server("localhost", key_type=key_type, key_usage=key_usage("digital_signature", "key_encipherment"))
    policy = TLSPolicy(name="ours", ciphers=(suite,), maximum_version=TLSVersion.TLSv1_2)
    server = TLSProfile.server(keystore=keystore, truststore=ROOT.truststore, policy=policy)
    client = TLSProfile.client(keystore=ROOT.client("c"), truststore=ROOT.truststore, policy=policy)
    result = _handshake(client, server, TLSVersion.TLSv1_2)
    assert not isinstance(result, ssl.SSLError)
    assert result.ok is (server.check().errors == ())
    if not result.ok:
        assert result.failed_step is HandshakeStep.SERVER_HELLO


def test_the_unchecked_contexts_of_this_file_are_those_of_the_profile() -> None:
    profile = TLSProfile.client(truststore=ROOT.truststore)
    ours, real = _unchecked(profile, TLSVersion.TLSv1_3), profile.ssl_context()
    assert profile.policy is MOZILLA_INTERMEDIATE
    assert (ours.verify_mode, ours.verify_flags) == (real.verify_mode, real.verify_flags)
    assert ours.get_ca_certs(binary_form=True) == real.get_ca_certs(binary_form=True)


@VERSIONS
def test_a_self_signed_certificate_as_openssl_makes_it_works_as_a_pin_on_both_sides(
    version: TLSVersion, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have the openssl program", pytrace=False)
        pytest.skip("the openssl program, which makes the certificates, is not installed")
    pairs = []
    for who in ("server", "client"):
        key, certificate = tmp_path / f"{who}.key", tmp_path / f"{who}.pem"
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days"]
        command += ["30", "-subj", f"/CN={who}", "-addext", "subjectAltName=DNS:localhost"]
        subprocess.run([*command, "-keyout", key, "-out", certificate], check=True, capture_output=True)
        pairs.append((mtls.Keystore.from_pem(certificate, key), Truststore.from_pem(certificate)))
    (server_key, server_pin), (client_key, client_pin) = pairs
    client = TLSProfile.client(keystore=client_key, truststore=server_pin)
    server = TLSProfile.server(keystore=server_key, truststore=client_pin)
    for profile in (client, server):
        report = profile.check()
        assert report.errors == ()
        assert F.MISSING_EXTENSION in {finding.failure for finding in report.warnings}
    result = _handshake(client, server, version)
    assert not isinstance(result, ssl.SSLError)
    assert result.ok
