"""``mtls.verify`` and ``verify_peer`` as a caller sees them: what may be given, what comes back, what is raised.

Rule: nothing here looks inside; whether the verdict is right is the crossing's question.
"""

from __future__ import annotations

import base64
import functools
import pickle
import threading
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import mtls
from mtls import AnchorKind, ChainRules, EKUPolicy, FailureReason, HandshakeStep, KeyType, Revocation, Role, Severity
from mtls._credentials.key_types import generate_key
from mtls._credentials.peer_chain import MOST
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

F = FailureReason
HOST = "service.example"
NOW, DAY = datetime.now(UTC), timedelta(days=1)

root = CertificateAuthority("verify root CA")
lower = root.intermediate("verify lower CA")
held = lower.server(HOST)
SENT = [held.certificate, *held.chain]
LEAF, LOWER = SENT
TRUST = root.truststore


def der(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.DER) for certificate in certificates)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)


def block(label: str, content: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(content), label.encode())


def refused(chain: Any = SENT, trust: mtls.Truststore = TRUST, **options: Any) -> mtls.ChainError:
    with pytest.raises(mtls.ChainError) as caught:
        mtls.verify(chain, trust, **{"role": Role.SERVER} | options)
    return caught.value


# --- the forms of a chain ---

TRUST_SETTINGS = bytes.fromhex("300c300a06082b06010505070301")
FORMS: dict[str, Any] = {
    "PEM": pem(*SENT),
    "PEM with Windows line ends": pem(*SENT).replace(b"\n", b"\r\n"),
    "PEM with text around": b"subject: CN=x\n" + pem(LEAF) + b"issuer: who\n" + pem(LOWER) + b"the end",
    "PEM labelled X509 CERTIFICATE": pem(*SENT).replace(b" CERTIFICATE-", b" X509 CERTIFICATE-"),
    "PEM with trust settings": block("TRUSTED CERTIFICATE", der(LEAF) + TRUST_SETTINGS) + pem(LOWER),
    "DER, one after the other": der(*SENT),
    "objects": SENT,
    "a tuple": tuple(SENT),
    "an iterator": (certificate for certificate in SENT),
    "DER in a list": [der(LEAF), der(LOWER)],
    "PEM in a list": [pem(LEAF), pem(LOWER)],
    "mixed": [LEAF, pem(LOWER)],
    "both in one PEM in a list": [pem(*SENT)],
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_chain_means_the_same(form: str) -> None:
    verified = mtls.verify(FORMS[form], TRUST, role=Role.SERVER, hostname=HOST)
    assert verified.path == (*SENT, root.certificate)


@pytest.mark.parametrize("content", [pem(*SENT), der(*SENT)], ids=["PEM", "DER"])
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["str", "Path"])
def test_a_path_is_read(content: bytes, kind: Callable[[Path], Any], tmp_path: Path) -> None:
    path = tmp_path / "chain"
    path.write_bytes(content)
    assert mtls.verify(kind(path), TRUST, role=Role.SERVER).path == (*SENT, root.certificate)


def test_a_single_certificate_needs_no_list_as_bytes() -> None:
    leaf = root.server(HOST).certificate
    assert mtls.verify(der(leaf), TRUST, role=Role.SERVER).path == (leaf, root.certificate)


# --- what is no chain ---

KEY = generate_key("ec-p256").private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
CSR = mtls.CertificateRequest.new(names=[HOST], role=Role.SERVER).csr.public_bytes(Encoding.PEM)
S = mtls.SourceFailure
NO_CHAINS: dict[str, tuple[Any, mtls.SourceFailure, str]] = {
    "empty": (b"", S.EMPTY, "chain (bytes): it is empty"),
    "blank": (b" \n", S.EMPTY, "chain (bytes): it is empty"),
    "neither": (b"hello", S.WRONG_FORMAT, "neither PEM nor DER"),
    "cut off": (der(LEAF)[:-1], S.WRONG_FORMAT, "neither PEM nor DER"),
    "followed by something": (der(LEAF) + b"\0", S.WRONG_FORMAT, f"at byte {len(der(LEAF))} it is neither PEM nor DER"),
    "damaged": (pem(LEAF).replace(b"MII", b"M!I"), S.DAMAGED, "CERTIFICATE of line 1 is not valid base64"),
    "without an end": (pem(LEAF)[:-20], S.DAMAGED, "no END"),
    "a request": (CSR, S.WRONG_FORMAT, "a request is what a CA signs"),
    "a key": (KEY, S.NO_CERTIFICATE, "PRIVATE KEY"),
    "in a list": ([LEAF, b"hello"], S.WRONG_FORMAT, "chain[1] (bytes): it is neither PEM nor DER"),
    "a request in a list": ([LEAF, CSR], S.WRONG_FORMAT, "chain[1] (bytes)"),
    "not there": ("not-there.pem", S.NOT_FOUND, "not-there.pem: there is no such file"),
    "a directory": ("/", S.NOT_READABLE, "/: it is a directory"),
    "too many": (der(LEAF) * (MOST + 1), S.TOO_LARGE, "more than 1000 certificates"),
    "too many of PEM": (block("CERTIFICATE", b"0\0") * (MOST + 1), S.TOO_LARGE, "more than 1000 blocks"),
    "too many in a list": (iter([LEAF] * (MOST + 1)), S.TOO_LARGE, "chain: it holds more than 1000 certificates"),
    "too large": (b"-----BEGIN " + b"\n" * (1 << 20), S.TOO_LARGE, "more than 1 MiB"),
}


@pytest.mark.parametrize("what", NO_CHAINS)
def test_what_is_no_chain_says_which_element_and_why(what: str) -> None:
    given, failure, text = NO_CHAINS[what]
    with pytest.raises(mtls.ChainSourceError) as caught:
        mtls.verify(given, TRUST, role=Role.SERVER)
    assert caught.value.failure is failure
    assert text in str(caught.value)
    assert caught.value.remedy
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


WRONG_CALLS: dict[str, tuple[Any, str]] = {
    "None": (None, "chain is None"),
    "an empty list": ([], "chain is empty: give at least the leaf"),
    "an empty path": ("", "chain is an empty path"),
    "PEM as a str": (pem(LEAF).decode(), "give text.encode()"),
    "a number": (5, "chain takes a sequence, not int"),
    "one certificate": (LEAF, "chain takes a sequence, not Certificate"),
    "a bytearray": (bytearray(der(LEAF)), "chain takes a sequence"),
    "None in a list": ([LEAF, None], "chain[1] must be a cryptography.x509.Certificate"),
    "a path in a list": ([LEAF, "chain.pem"], "chain[1] must be a cryptography.x509.Certificate"),
    "empty bytes in a list": ([b""], "chain[0] must be a cryptography.x509.Certificate, or PEM or DER as bytes"),
    "a list in a list": ([[LEAF]], "chain[0] must be"),
}


@pytest.mark.parametrize("what", WRONG_CALLS)
def test_a_wrong_type_of_chain_is_a_mistake_of_the_caller(what: str) -> None:
    given, text = WRONG_CALLS[what]
    with pytest.raises(mtls.UsageError) as caught:
        mtls.verify(given, TRUST, role=Role.SERVER)
    assert text in str(caught.value)


def test_an_iterator_that_raises_is_named_and_one_without_end_ends() -> None:
    def broken() -> Any:
        yield LEAF
        raise OSError

    def endless() -> Any:
        while True:
            yield LEAF

    with pytest.raises(mtls.UsageError, match="chain raised OSError"):
        mtls.verify(broken(), TRUST, role=Role.SERVER)
    with pytest.raises(mtls.ChainSourceError, match="more than 1000"):
        mtls.verify(endless(), TRUST, role=Role.SERVER)


def test_a_private_key_beside_the_chain_is_passed_over_and_never_shown() -> None:
    assert mtls.verify(KEY + pem(*SENT), TRUST, role=Role.SERVER).path[0] == LEAF
    secret = KEY.splitlines()[1].decode()
    faults: list[Any] = [KEY, [KEY], KEY + pem(LEAF)[:-30], KEY[:-20] + pem(LEAF), KEY.decode(), [KEY.decode()]]
    for given in faults:
        with pytest.raises(mtls.MTLSError) as caught:
            mtls.verify(given, TRUST, role=Role.SERVER)
        assert secret[:20] not in f"{caught.value} {caught.value!r} {vars(caught.value)}"
    error = refused(KEY + pem(LEAF))
    assert secret[:20] not in f"{error} {error!r} {error.findings}"


# --- the other arguments ---

STRANGER = CertificateAuthority("stranger CA")
NONSENSE: tuple[Any, ...] = (None, 5, "nonsense", [], b"")
WRONG_OPTIONS: dict[str, tuple[dict[str, Any], str]] = {
    **{
        f"{option}={value!r}"[:40]: ({option: value}, f"{option}=")
        for option in ("truststore", "role", "policy", "eku", "chain_rules", "revocation")
        for value in NONSENSE
    },
    "a role in capitals": ({"role": "SERVER"}, "role= is one of Role.CLIENT, Role.SERVER, not 'SERVER'"),
    "a naive time": ({"at": datetime(2030, 1, 1)}, "at= takes an aware datetime"),  # noqa: DTZ001 - the mistake meant
    "a date": ({"at": date(2030, 1, 1)}, "at= takes an aware datetime"),
    "a text as time": ({"at": "2030-01-01"}, "at= takes an aware datetime"),
    "a client with a name": ({"role": Role.CLIENT, "hostname": HOST}, "a client has no host name"),
    "no name": ({"hostname": ""}, "is no host name"),
    "a leading dot": ({"hostname": ".example"}, "is no host name"),
    "a null byte": ({"hostname": "a\0b"}, "is no host name"),
    "a long label": ({"hostname": "a" * 300}, "is no host name"),
    "a lone surrogate": ({"hostname": "\ud800"}, "is no host name"),
    "bytes beyond ASCII": ({"hostname": b"\xff"}, "is no host name"),
    "a name of another type": ({"hostname": object()}, "is no host name"),
    "an empty truststore": ({"truststore": mtls.Truststore.from_certificates([])}, "holds no trust anchor"),
}


@pytest.mark.parametrize("what", WRONG_OPTIONS)
def test_a_wrong_argument_is_refused_by_name(what: str) -> None:
    options, text = WRONG_OPTIONS[what]
    with pytest.raises(mtls.UsageError) as caught:
        mtls.verify(SENT, **{"truststore": TRUST, "role": Role.SERVER} | options)  # type: ignore[arg-type] # the mistake
    assert text in str(caught.value)


class _NoOffset(tzinfo):
    """A zone that does not say what it is: with it a datetime is naive all the same."""

    def utcoffset(self, _: datetime | None) -> None:
        return None

    dst = tzname = utcoffset


WEST = timezone(-5 * timedelta(hours=1))
ODD_OPTIONS: dict[str, dict[str, Any]] = {
    "a zone without an offset": {"at": datetime(2030, 1, 1, tzinfo=_NoOffset())},
    "a time that is none in UTC": {"at": datetime.max.replace(tzinfo=WEST)},
    "a name that is longer than any": {"hostname": ".".join(["abcdefghi"] * 30)},
    "a number as a name": {"hostname": 10**15},
}


@pytest.mark.parametrize("what", ODD_OPTIONS)
def test_an_odd_argument_is_refused_by_name(what: str) -> None:
    with pytest.raises(mtls.UsageError):
        mtls.verify(SENT, TRUST, role=Role.SERVER, **ODD_OPTIONS[what])


def test_roles_and_rules_may_be_given_by_their_values() -> None:
    options: Any = {"role": "server", "eku": "required", "chain_rules": "lenient", "revocation": "off"}
    assert mtls.verify(SENT, TRUST, **options).path[0] == LEAF
    assert refused(role="client").failure is F.WRONG_EKU


@pytest.mark.parametrize(
    "name", ["bücher.example", "BÜCHER.example", "xn--bcher-kva.example", b"xn--BCHER-kva.example"]
)
def test_a_name_is_compared_in_its_ascii_form(name: Any) -> None:
    verified = mtls.verify([root.server("bücher.example").certificate], TRUST, role=Role.SERVER, hostname=name)
    assert any("xn--bcher-kva.example" in what.lower() for what in verified.checked)


def test_a_time_in_any_zone_is_that_time() -> None:
    at = (NOW + 30 * DAY).astimezone(timezone(timedelta(hours=-5)))
    assert mtls.verify(SENT, TRUST, role=Role.SERVER, at=at).path[0] == LEAF
    error = refused(at=at + 365 * DAY)
    assert (error.failure, error.position) == (F.EXPIRED, 0)


def test_anchors_that_no_chain_can_end_at_refuse_it_and_say_what_is_missing() -> None:
    expired = CertificateAuthority("verify root CA", not_after=NOW - DAY)
    for trust in (STRANGER.truststore, expired.truststore, mtls.Truststore.from_certificates([held.certificate])):
        if held.certificate in trust:
            assert mtls.verify(SENT, trust, role=Role.SERVER).anchor_kind is AnchorKind.LEAF
            continue
        error = refused(trust=trust)
        assert error.failure in {F.UNKNOWN_CA, F.INCOMPLETE_CHAIN}
        assert "verify" in str(error)


# --- what comes back ---


def test_what_was_verified_is_told() -> None:
    verified = mtls.verify(SENT, TRUST, role=Role.SERVER, hostname=HOST)
    assert verified.path == (LEAF, LOWER, root.certificate)
    assert (verified.anchor, verified.anchor_kind, verified.findings) == (root.certificate, AnchorKind.ROOT, ())
    assert any(HOST in what for what in verified.checked)
    assert any("private key" in what for what in verified.not_checked)
    assert any("revocation" in what for what in verified.not_checked)
    text = str(verified)
    assert text.startswith(f"accepted: CN={HOST} → CN=verify lower CA → CN=verify root CA")
    assert all(what in text for what in (*verified.checked, *verified.not_checked))


def test_a_name_that_was_not_given_is_named_as_not_checked() -> None:
    assert any("host name" in what for what in mtls.verify(SENT, TRUST, role=Role.SERVER).not_checked)
    client = root.client("billing.example").certificate
    assert not any("host name" in what for what in mtls.verify([client], TRUST, role=Role.CLIENT).not_checked)


def test_revocation_is_checked_where_the_truststore_has_lists() -> None:
    trust = lower.truststore_with_crl()
    verified = mtls.verify(SENT, trust, role=Role.SERVER)
    assert any("revocation of every certificate" in what for what in verified.checked)
    leaf_only = mtls.verify(SENT, trust, role=Role.SERVER, revocation=Revocation.LEAF)
    assert any("CAs" in what for what in leaf_only.not_checked)
    assert refused(revocation=Revocation.CHAIN).failure is F.CRL_MISSING


def test_an_intermediate_as_anchor_ends_the_path_and_is_told() -> None:
    verified = mtls.verify(SENT, mtls.Truststore.from_certificates([LOWER]), role=Role.SERVER)
    assert verified.path == (LEAF, LOWER)
    assert (verified.anchor, verified.anchor_kind) == (LOWER, AnchorKind.INTERMEDIATE)
    assert any("an intermediate" in what for what in verified.checked)


def test_a_pinned_leaf_is_the_whole_path_and_is_told() -> None:
    verified = mtls.verify(SENT, mtls.Truststore.from_certificates([LEAF]), role=Role.SERVER)
    assert verified.path == (LEAF,)
    assert (verified.anchor, verified.anchor_kind) == (LEAF, AnchorKind.LEAF)


def _ends_soon() -> list[x509.Certificate]:
    return [root.server(HOST, not_before=NOW - 80 * DAY, not_after=NOW + DAY).certificate]


def _two_levels_turned() -> list[x509.Certificate]:
    below = lower.intermediate("verify lowest CA")
    return [below.server(HOST).certificate, LOWER, below.certificate]


WARNINGS: dict[str, tuple[Callable[[], list[x509.Certificate]], FailureReason, HandshakeStep, int]] = {
    "ends soon": (_ends_soon, F.EXPIRES_SOON, HandshakeStep.CLIENT_VERIFIES_SERVER, 0),
    "the root sent along": (
        lambda: [*SENT, STRANGER.certificate],
        F.SUPERFLUOUS_CERTIFICATE,
        HandshakeStep.SERVER_CERTIFICATE,
        2,
    ),
    "one twice": (lambda: [*SENT, LOWER], F.SUPERFLUOUS_CERTIFICATE, HandshakeStep.SERVER_CERTIFICATE, 2),
    "turned": (_two_levels_turned, F.WRONG_ORDER, HandshakeStep.SERVER_CERTIFICATE, 0),
    "without EKU": (
        lambda: [root.server(HOST, eku=()).certificate],
        F.EKU_ABSENT,
        HandshakeStep.CLIENT_VERIFIES_SERVER,
        0,
    ),
}


@pytest.mark.parametrize("what", WARNINGS)
def test_what_no_handshake_fails_on_is_a_warning(what: str) -> None:
    make, failure, step, position = WARNINGS[what]
    chain = make()
    verified = mtls.verify(chain, TRUST, role=Role.SERVER)
    [finding] = verified.findings
    assert (finding.failure, finding.severity, finding.step) == (failure, Severity.WARNING, step)
    assert (finding.position, finding.certificate) == (position, chain[position])
    assert finding.message in str(verified)
    assert finding.remedy in str(verified)


# --- what is raised for a chain that is refused ---


def _changed(certificate: x509.Certificate) -> bytes:
    encoded = der(certificate)
    return encoded[:-5] + bytes([encoded[-5] ^ 1]) + encoded[-4:]


def _issue(**fields: Any) -> list[x509.Certificate]:
    return [root.server(HOST, **fields).certificate]


_STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\5\0")
CRITICAL = [x509.Extension(_STRANGE.oid, critical=True, value=_STRANGE)]
REFUSALS: dict[str, tuple[Callable[[], Any], dict[str, Any], FailureReason, int | None]] = {
    "another CA": (lambda: [STRANGER.server(HOST).certificate], {}, F.UNKNOWN_CA, 0),
    "no intermediate": (lambda: [LEAF], {}, F.INCOMPLETE_CHAIN, 0),
    "expired": (lambda: _issue(not_after=NOW - DAY), {}, F.EXPIRED, 0),
    "of tomorrow": (lambda: _issue(not_before=NOW + DAY), {}, F.NOT_YET_VALID, 0),
    "of a client": (lambda: [root.client(HOST).certificate], {}, F.WRONG_EKU, 0),
    "no EKU where one is required": (lambda: _issue(eku=()), {"eku": EKUPolicy.REQUIRED}, F.WRONG_EKU, 0),
    "another name": (lambda: SENT, {"hostname": "another.test"}, F.HOSTNAME_MISMATCH, 0),
    "a changed signature": (lambda: [_changed(LEAF), LOWER], {}, F.BAD_SIGNATURE, 0),
    "an unknown critical extension": (lambda: _issue(extensions=CRITICAL), {}, F.UNKNOWN_CRITICAL_EXTENSION, 0),
    "no AKI": (lambda: _issue(authority_key_identifier=None), {}, F.MISSING_EXTENSION, 0),
    "no CRL": (lambda: SENT, {"revocation": Revocation.LEAF}, F.CRL_MISSING, 0),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_has_its_data(what: str) -> None:
    make, options, failure, position = REFUSALS[what]
    error = refused(make(), **options)
    first = error.findings[0]
    assert (error.failure, error.position) == (failure, position)
    assert (first.failure, first.position, first.severity) == (failure, position, Severity.ERROR)
    assert first.step is HandshakeStep.CLIENT_VERIFIES_SERVER
    assert error.certificate is first.certificate is not None
    assert first.message
    assert first.remedy
    assert first.required
    assert error.verify_code > 0 or failure is F.WRONG_EKU
    assert first.to_dict()["failure"] == failure.value
    assert f"{first.message}; {first.remedy}" in str(error)


@pytest.mark.parametrize("what", REFUSALS)
def test_a_refusal_survives_a_pickle(what: str) -> None:
    make, options, _, _ = REFUSALS[what]
    error = refused(make(), **options)
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, mtls.ChainError)
    assert (again.findings, again.verify_code, str(again)) == (error.findings, error.verify_code, str(error))


def test_what_an_attacker_wrote_is_escaped_and_bounded() -> None:
    evil = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "\x1b[31mred\r\n" + "x" * 40)])
    many = [f"{'y' * 50}-{number}.example" for number in range(1000)]
    chain = [STRANGER.server(*many, subject=evil).certificate, *SENT * 100]
    for hostname in (None, "another.test"):
        text = str(refused(chain, hostname=hostname))
        assert "\x1b" not in text
        assert "\r" not in text
        assert len(text) < 20_000


# --- the rules are the same on every Python ---


def test_strict_and_lenient_are_what_they_say_on_every_python() -> None:
    chain = _issue(authority_key_identifier=None)
    error = refused(chain, chain_rules=ChainRules.STRICT)
    assert (error.failure, error.verify_code) == (F.MISSING_EXTENSION, 85)
    assert mtls.verify(chain, TRUST, role=Role.SERVER, chain_rules=ChainRules.LENIENT).path[0] == chain[0]


def test_a_name_with_a_dot_at_the_end_is_to_be_asked_for_without_it() -> None:
    error = refused(_issue(not_after=NOW - DAY), hostname=f"{HOST}.")  # some OpenSSL accepts the dot alone
    remedies = [finding.remedy for finding in error.findings if finding.failure is F.HOSTNAME_MISMATCH]
    assert len(remedies) == 1
    assert remedies[0].startswith(f"ask for {HOST}: ")


# --- an issuer that has the name and is not taken ---


def test_a_root_that_was_issued_anew_with_its_key_is_not_said_to_have_another_key() -> None:
    own = root.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    named = x509.AuthorityKeyIdentifier(own, [x509.DirectoryName(root.certificate.subject)], 0xBEEF)
    error = refused([root.server(HOST, authority_key_identifier=named).certificate])
    assert (error.failure, error.verify_code, error.position) == (F.UNKNOWN_CA, 20, 0)
    assert "with the serial number beef; " in str(error)
    assert f"has the serial number {root.certificate.serial_number:x}" in str(error)
    assert "another key" not in str(error)


def test_cas_that_certify_each_other_are_a_circle() -> None:
    keys = generate_key(KeyType.EC_P256), generate_key(KeyType.EC_P256)
    names = "verify north CA", "verify south CA"
    own = [CertificateAuthority(name, private_key=key) for name, key in zip(names, keys, strict=True)]
    north, south = (
        own[1].intermediate(names[0], private_key=keys[0]),
        own[0].intermediate(names[1], private_key=keys[1]),
    )
    error = refused([north.server(HOST).certificate, north.certificate, south.certificate])
    assert (error.failure, error.verify_code, error.position) == (F.UNKNOWN_CA, 20, 2)
    assert "goes round in a circle" in str(error)
    assert "another key" not in str(error)


def test_a_chain_that_openssl_does_not_follow_to_its_end_is_too_long_and_not_untrusted() -> None:
    key = generate_key(KeyType.EC_P256)
    authority = CertificateAuthority("verify deep CA", private_key=key)
    for number in range(99):
        authority = authority.intermediate(f"verify CA {number}", private_key=key)
    deep = authority.server(HOST)
    crossed = lower.intermediate("verify deep CA", private_key=key).certificate
    error = refused([deep.certificate, *deep.chain, crossed, LOWER])
    assert (error.failure, error.verify_code) == (F.PATH_TOO_LONG, 22)
    assert [finding.failure for finding in error.findings] == [F.PATH_TOO_LONG]


# --- by a profile ---

CLIENT = mtls.TLSProfile.client(truststore=TRUST)
SERVER = mtls.TLSProfile.server(keystore=root.server(HOST), truststore=TRUST)
CALLER = root.client("billing.example", "spiffe://example.test/billing").certificate


def test_a_profile_verifies_its_peers_with_its_own_rules() -> None:
    assert CLIENT.verify_peer(SENT, HOST).path[0] == LEAF
    assert SERVER.verify_peer([CALLER]).path == (CALLER, root.certificate)
    with pytest.raises(mtls.ChainError) as caught:
        SERVER.verify_peer(SENT)
    assert caught.value.failure is F.WRONG_EKU
    assert caught.value.findings[0].step is HandshakeStep.SERVER_VERIFIES_CLIENT
    strict = mtls.TLSProfile.client(truststore=TRUST, eku=EKUPolicy.REQUIRED)
    with pytest.raises(mtls.ChainError) as caught:
        strict.verify_peer(_issue(eku=()), HOST)
    assert (caught.value.failure, caught.value.findings[0].required) == (F.WRONG_EKU, "serverAuth")


def test_a_profile_looks_at_the_time_that_it_is_given() -> None:
    assert CLIENT.verify_peer(SENT, HOST, NOW + 30 * DAY).path[0] == LEAF
    with pytest.raises(mtls.ChainError) as caught:
        CLIENT.verify_peer(SENT, HOST, at=NOW + 91 * DAY)
    assert caught.value.failure is F.EXPIRED


def test_a_profile_that_verifies_nobody_says_so() -> None:
    one_way = mtls.TLSProfile.server(keystore=root.server(HOST))
    with pytest.raises(mtls.UsageError, match="no truststore="):
        one_way.verify_peer([CALLER])
    with pytest.raises(mtls.UsageError, match="a client has no host name"):
        SERVER.verify_peer([CALLER], "billing.example")


def test_only_the_hosts_of_a_profile_may_be_asked_for() -> None:
    profile = mtls.TLSProfile.client(truststore=TRUST, hosts=["*.partner.example"])
    chain = [root.server("api.partner.example").certificate]
    assert profile.verify_peer(chain, "api.partner.example").path[0] == chain[0]
    with pytest.raises(mtls.UsageError, match="not listed in hosts="):
        profile.verify_peer(chain, HOST)


async def _admits_later(_: mtls.PeerIdentity) -> bool:
    return True


def _breaks(_: mtls.PeerIdentity) -> bool:
    text = "secret of the rule"
    raise RuntimeError(text)


RULES: dict[str, tuple[Any, bool, str]] = {
    "a policy that fits": (mtls.PeerPolicy.dns("billing.example"), True, ""),
    "a policy that does not": (mtls.PeerPolicy.dns("another.example"), False, "does not admit"),
    "an id that fits": (mtls.PeerPolicy.spiffe_id("spiffe://example.test/billing"), True, ""),
    "a function that says yes": (lambda peer: peer.dns_names == ("billing.example",), True, ""),
    "a function that says no": (lambda _: False, False, "does not admit"),
    "a function that says 1": (lambda _: 1, False, "does not admit"),
    "a function that sees the path": (lambda peer: peer.chain[-1] == root.certificate, True, ""),
    "a function that raises": (_breaks, False, "raised RuntimeError"),
    "a function that nobody waits for": (_admits_later, False, "async"),
}


@pytest.mark.parametrize("rule", RULES)
def test_authorize_decides_after_openssl(rule: str) -> None:
    authorize, admits, text = RULES[rule]
    profile = mtls.TLSProfile.server(keystore=root.server(HOST), truststore=TRUST, authorize=authorize)
    if admits:
        verified = profile.verify_peer([CALLER])
        assert verified.path[0] == CALLER
        assert any("rules of the profile" in what for what in verified.checked)
        return
    with pytest.raises(mtls.ChainError) as caught:
        profile.verify_peer([CALLER])
    assert (caught.value.failure, caught.value.position, caught.value.verify_code) == (F.NOT_AUTHORIZED, 0, 0)
    assert caught.value.certificate == CALLER
    assert text in str(caught.value)
    assert "secret of the rule" not in str(caught.value)


def test_nobody_is_asked_about_a_chain_that_openssl_refuses() -> None:
    asked: list[mtls.PeerIdentity] = []

    def note(peer: mtls.PeerIdentity) -> bool:
        asked.append(peer)
        return True

    profile = mtls.TLSProfile.server(keystore=root.server(HOST), truststore=TRUST, authorize=note)
    with pytest.raises(mtls.ChainError):
        profile.verify_peer([STRANGER.client("billing.example").certificate])
    assert not asked
    profile.verify_peer([CALLER])
    assert [peer.certificate for peer in asked] == [CALLER]


def test_a_server_identity_stands_in_for_the_host_name() -> None:
    workload = root.server("spiffe://example.test/api").certificate
    profile = mtls.TLSProfile.client(
        truststore=TRUST, server_identity=mtls.PeerPolicy.spiffe_id("spiffe://example.test/api")
    )
    assert profile.verify_peer([workload], "10.0.0.1").path[0] == workload
    with pytest.raises(mtls.ChainError) as caught:
        profile.verify_peer([root.server("spiffe://example.test/other").certificate], "10.0.0.1")
    assert caught.value.failure is F.NOT_AUTHORIZED


def test_threads_may_share_a_profile() -> None:
    profile = mtls.TLSProfile.client(truststore=TRUST)
    cases: list[tuple[Any, FailureReason | None]] = [
        (SENT, None),
        ([LEAF], F.INCOMPLETE_CHAIN),
        (_issue(not_after=NOW - DAY), F.EXPIRED),
        ([STRANGER.server(HOST).certificate], F.UNKNOWN_CA),
    ]
    wrong: list[object] = []

    def ask(start: int) -> None:
        for number in range(start, start + 24):
            chain, expected = cases[number % len(cases)]
            said: FailureReason | None = None
            try:
                profile.verify_peer(chain, HOST)
            except mtls.ChainError as refusal:
                said = refusal.failure
            if said is not expected:
                wrong.append((number, said, expected))

    threads = [threading.Thread(target=functools.partial(ask, number)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


# --- what only a whole handshake shows ---


@pytest.mark.parametrize("level", [-1, 6, 9])
def test_a_security_level_that_there_is_not_is_refused_by_name(level: int) -> None:
    policy = mtls.TLSPolicy(name="odd", security_level=level)
    for at in (None, datetime.now(UTC)):
        with pytest.raises(mtls.UsageError, match=f"security_level {level} of odd does not exist"):
            mtls.verify(SENT, TRUST, role=Role.SERVER, policy=policy, at=at)


def test_a_chain_that_only_the_message_of_tls_1_2_can_hold_is_refused_where_tls_1_3_is_spoken() -> None:
    """OpenSSL takes 102,400 bytes, and TLS 1.3 needs two more for each certificate."""
    whole = [certificate.public_bytes(Encoding.DER) for certificate in SENT]
    free = 102_400 - 3 - sum(3 + len(entry) for entry in whole)
    filler = CertificateAuthority("filler").certificate.public_bytes(Encoding.DER)
    count = free // (3 + len(filler)) - 1
    padded = [*whole, *[filler] * count]
    rest = free - count * (3 + len(filler)) - 3
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"")
    empty = CertificateAuthority("last", extensions=[x509.Extension(extension.oid, False, extension)])
    size = rest - len(empty.certificate.public_bytes(Encoding.DER)) - 20
    extension = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), bytes(max(size, 0)))
    last = CertificateAuthority("last", extensions=[x509.Extension(extension.oid, False, extension)])
    padded.append(last.certificate.public_bytes(Encoding.DER))
    assert sum(3 + len(entry) for entry in padded) + 3 <= 102_400 < sum(5 + len(entry) for entry in padded) + 4
    tls12 = mtls.TLSPolicy(name="old", maximum_version=mtls.TLSVersion.TLSv1_2)
    assert mtls.verify(padded, TRUST, role=Role.SERVER, policy=tls12).path
    with pytest.raises(mtls.ChainError, match="EXCESSIVE_MESSAGE_SIZE"):
        mtls.verify(padded, TRUST, role=Role.SERVER)
