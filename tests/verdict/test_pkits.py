"""NIST's path validation suite (PKITS): our verdict is OpenSSL's, and where OpenSSL and NIST differ is said why.

Rule: what we say is compared with OpenSSL twice. With a real handshake, in which a client shows the chain and proves
that it has the key (the suite brings the keys), and with the ``openssl`` program of the interpreter's own version: for
the leaves with a DSA key, which TLS does not take, and for what OpenSSL would say with options that ``ssl`` lacks.
"""

from __future__ import annotations

import base64
import contextlib
import functools
import os
import re
import shutil
import ssl
import subprocess
from collections import Counter
from datetime import UTC, datetime
from email import message_from_bytes
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cryptography_vectors
import pytest

import mtls
from mtls._handshake.loopback import join
from mtls._handshake.verify_codes import fits_code
from tests.verdict.pkits import ANCHOR, ANCHOR_CRL, CASES, SECTIONS, Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mtls.authority import CertificateAuthority

    Reference = Callable[..., "Judgement"]

SUITE = Path(cryptography_vectors.__file__).parent / "x509" / "PKITS_data"
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
"""When the suite is judged where the answer must not change with time: most of its certificates end in 2030."""
AT_THE_MOMENT = ("-attime", str(int(MOMENT.timestamp())))
STRICT = "-x509_strict"
RULES = {mtls.ChainRules.LENIENT: (), mtls.ChainRules.STRICT: (STRICT,)}


class Judgement(NamedTuple):
    """What somebody said of a chain."""

    accepted: bool
    code: int


class Difference(NamedTuple):
    """Cases that OpenSSL and NIST judge differently."""

    reason: str
    numbers: frozenset[str]
    agrees_with: tuple[str, ...] = ()
    """Options with which the program agrees with NIST in every one of these cases: the proof of the reason."""


def _difference(reason: str, numbers: str, *agrees_with: str) -> Difference:
    return Difference(reason, frozenset(numbers.split()), agrees_with)


DIFFERENCES = (
    _difference(
        "policies are only processed for a program that asks for it, and ssl cannot ask: what a CA requires is ignored",
        "4.8.4 4.8.5 4.8.7 4.8.8 4.8.9 4.8.12 4.9.3 4.9.5 4.9.7 4.9.8 4.10.2 4.10.4 4.10.7 4.10.8 4.10.10 4.11.1 4.11.3"
        " 4.11.5 4.11.6 4.11.8 4.11.9 4.11.10 4.11.11 4.12.1 4.12.4 4.12.5 4.12.6 4.12.8 4.12.10",
        *("-policy", "2.5.29.32.0"),  # anyPolicy
    ),
    _difference(
        "a CRL that is signed by another key than the certificate, is indirect or covers only some reasons needs"
        " extended CRL support, for which ssl has no flag: without it its certificates are refused",
        "4.4.19 4.5.4 4.5.6 4.14.18 4.14.19 4.14.22 4.14.24 4.14.25 4.14.28 4.14.29 4.14.33",
        "-extended_crl",
    ),
    _difference("no CRL but its own covers the issuer of the CRL, and OpenSSL does not follow that", "4.14.30"),
    _difference(
        "without extended CRL support a delta CRL is taken for a complete one, even in place of its own base",
        "4.15.1 4.15.3 4.15.10",
        *("-extended_crl", "-use_deltas"),
    ),
    _difference("a DSA key of 1024 bits is below the security level", "4.1.4", *("-auth_level", "0")),
    _difference("OpenSSL 3 does not take the parameters of a DSA key from the issuer's", "4.1.5"),
)
STRICTER = _difference("basicConstraints that are not critical (RFC 5280, 4.2.1.9) pass lenient rules only", "4.6.4")
DSA_LEAF = {"4.1.4", "4.1.5", "4.1.6"}
"""No handshake can be made with them: TLS 1.2 and 1.3 of OpenSSL 3 offer no DSA."""
MAY_BE_UNAVAILABLE = {"4.1.5", "4.4.15"}
"""``cryptography`` takes no DSA key without parameters, and warns of a negative serial, which is an error here: no
verdict for another time can be composed.
"""
DELTA_CRLS = {"deltaCRLCA1deltaCRL", "deltaCRLCA2deltaCRL", "deltaCRLCA3deltaCRL", "deltaCRLIndicatorNoBaseCACRL"}
SAME_AS_THE_ANCHORS = "WrongCRLCACRL"
"""The CRL of the trust anchor once more, under another name."""

WITH_DELTA = [case for case in CASES if DELTA_CRLS.intersection(case.crls)]
WITHOUT_DELTA = [case for case in CASES if case not in WITH_DELTA]
cases_without_delta = pytest.mark.parametrize("case", WITHOUT_DELTA, ids=lambda case: case.number)
all_cases = pytest.mark.parametrize("case", CASES, ids=lambda case: case.number)
both_rules = pytest.mark.parametrize("rules", RULES, ids=lambda rules: rules.value)


def _der(kind: str, name: str) -> bytes:
    return (SUITE / f"{kind}s" / f"{name}.{'crt' if kind == 'cert' else 'crl'}").read_bytes()


def _pem(label: str, der: bytes) -> bytes:
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label.encode(), base64.encodebytes(der), label.encode())


def _chain(case: Case) -> list[bytes]:
    return [_der("cert", name) for name in (*case.path, *case.extra)]


def _crls(case: Case) -> bytes:
    return b"".join(_pem("X509 CRL", _der("crl", name)) for name in (ANCHOR_CRL, *case.crls))


def _truststore(case: Case) -> mtls.Truststore:
    return mtls.Truststore.from_pem(_pem("CERTIFICATE", _der("cert", ANCHOR)), crls=[_crls(case)])


@functools.cache
def _verify(case: Case, rules: mtls.ChainRules, at: datetime | None) -> mtls.VerifiedChain | mtls.ChainError:
    whole, trust = mtls.Revocation.CHAIN, _truststore(case)
    try:
        return mtls.verify(_chain(case), trust, role=mtls.Role.CLIENT, at=at, chain_rules=rules, revocation=whole)
    except mtls.ChainError as refusal:
        return refusal


def _verdict(case: Case, rules: mtls.ChainRules, at: datetime | None = None) -> Judgement:
    answer = _verify(case, rules, at)
    code = answer.verify_code if isinstance(answer, mtls.ChainError) else 0
    return Judgement(isinstance(answer, mtls.VerifiedChain), code)


@pytest.fixture(scope="session")
def program() -> str:
    """The ``openssl`` program, if it is of the interpreter's version."""
    found = shutil.which("openssl")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have the openssl program", pytrace=False)
        pytest.skip("the openssl program, which is the reference, is not installed")
    version = subprocess.run([found, "version"], check=True, capture_output=True, text=True).stdout.split()[1]
    if version != ssl.OPENSSL_VERSION.split()[1]:
        pytest.skip(f"the openssl program is of OpenSSL {version}, and the interpreter has {ssl.OPENSSL_VERSION}")
    return found


@pytest.fixture(scope="session")
def reference(program: str, tmp_path_factory: pytest.TempPathFactory) -> Reference:
    """What ``openssl verify`` says of a case with the flags, the purpose and the security level of our contexts."""
    folder = tmp_path_factory.mktemp("verify")
    leaf, untrusted, anchor, crls = (folder / name for name in ("leaf", "untrusted", "anchor", "crls"))
    anchor.write_bytes(_pem("CERTIFICATE", _der("cert", ANCHOR)))
    flags = ("-purpose", "sslclient", "-auth_level", "2", "-crl_check_all", "-partial_chain", "-trusted_first")
    sources = ("-no-CApath", "-no-CAstore", "-CAfile", anchor, "-untrusted", untrusted, "-CRLfile", crls)

    @functools.cache
    def judge(case: Case, *options: str) -> Judgement:
        sent = [_pem("CERTIFICATE", der) for der in _chain(case)]
        leaf.write_bytes(sent[0])
        untrusted.write_bytes(b"".join(sent))
        crls.write_bytes(_crls(case))
        command = [program, "verify", *flags, *options, *map(str, sources), str(leaf)]
        run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
        # it goes on after some errors, where a handshake ends: the first one counts
        first = re.search(r"^error (\d+) at \d+ depth lookup", run.stderr, re.MULTILINE)
        assert (run.returncode == 0) is (first is None), run.stdout + run.stderr
        return Judgement(first is None, int(first[1]) if first else 0)

    return judge


@pytest.fixture(scope="session")
def presenting(program: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Case], ssl.SSLContext]:
    """A client that shows the chain of a case as it is, and has the key of the leaf."""
    folder = tmp_path_factory.mktemp("keys")
    chain, key = folder / "chain.pem", folder / "key.pem"

    @functools.cache
    def client(case: Case) -> ssl.SSLContext:
        store = SUITE / "pkcs12" / f"{case.path[0]}.p12"
        decrypt = (program, "pkcs12", "-passin", "pass:password", "-nodes", "-nocerts")
        subprocess.run([*decrypt, "-in", str(store), "-out", str(key)], check=True, capture_output=True, timeout=30)
        chain.write_bytes(b"".join(_pem("CERTIFICATE", der) for der in _chain(case)))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # it is not the server who is judged
        context.load_cert_chain(chain, key)
        return context

    return client


@pytest.fixture(scope="session")
def shown(authority: CertificateAuthority) -> mtls.Keystore:
    """What the judging server shows; nobody looks at it."""
    return authority.server("localhost")


@cases_without_delta
@both_rules
def test_verdict_and_code_are_those_of_the_openssl_program(
    case: Case, rules: mtls.ChainRules, reference: Reference
) -> None:
    assert _verdict(case, rules) == reference(case, *RULES[rules])


@cases_without_delta
@both_rules
def test_verdict_and_code_for_a_time_are_those_of_the_openssl_program(
    case: Case, rules: mtls.ChainRules, reference: Reference
) -> None:
    try:
        verdict = _verdict(case, rules, MOMENT)
    except mtls.VerdictUnavailableError:
        assert case.number in MAY_BE_UNAVAILABLE
    else:
        assert verdict == reference(case, *AT_THE_MOMENT, *RULES[rules])


@pytest.mark.parametrize(
    "case", [case for case in WITHOUT_DELTA if case.number not in DSA_LEAF], ids=lambda case: case.number
)
@both_rules
def test_verdict_and_code_are_those_of_a_handshake(
    case: Case,
    rules: mtls.ChainRules,
    presenting: Callable[[Case], ssl.SSLContext],
    shown: mtls.Keystore,
) -> None:
    whole = mtls.Revocation.CHAIN
    judge = mtls.TLSProfile.server(keystore=shown, truststore=_truststore(case), chain_rules=rules, revocation=whole)
    _, judging = join(presenting(case), judge.ssl_context(), server_hostname=None)
    if judging.error is None:
        assert _verdict(case, rules) == Judgement(accepted=True, code=0)
    else:
        assert isinstance(judging.error, mtls.PeerVerificationError)
        assert _verdict(case, rules) == Judgement(accepted=False, code=judging.error.verify_code)


@cases_without_delta
@both_rules
def test_the_failure_is_one_that_the_code_stands_for(case: Case, rules: mtls.ChainRules) -> None:
    answer = _verify(case, rules, None)
    if isinstance(answer, mtls.ChainError):
        assert answer.failure is answer.findings[0].failure
        assert any(fits_code(each.failure, answer.verify_code) for each in answer.findings), answer
    else:
        assert answer.anchor == answer.path[-1]
        assert not [finding for finding in answer.findings if finding.severity is mtls.Severity.ERROR]


@pytest.mark.parametrize("case", WITH_DELTA, ids=lambda case: case.number)
@both_rules
def test_nothing_is_accepted_with_a_delta_crl_which_openssl_takes_for_a_complete_one(
    case: Case, rules: mtls.ChainRules, reference: Reference, shown: mtls.Keystore
) -> None:
    refusal = _verify(case, rules, None)
    assert isinstance(refusal, mtls.ChainError)
    assert refusal.verify_code == reference(case, *RULES[rules]).code
    assert mtls.FailureReason.CRL_MISSING in {finding.failure for finding in refusal.findings}
    with contextlib.suppress(mtls.VerdictUnavailableError):
        assert isinstance(_verify(case, rules, MOMENT), mtls.ChainError)
    whole = mtls.Revocation.CHAIN
    judge = mtls.TLSProfile.server(keystore=shown, truststore=_truststore(case), chain_rules=rules, revocation=whole)
    with pytest.raises(mtls.ConfigurationError, match="is a delta CRL"):
        judge.ssl_context()


@all_cases
def test_openssl_agrees_with_nist_unless_a_reason_is_known(case: Case, reference: Reference) -> None:
    lenient, strict = reference(case, *AT_THE_MOMENT), reference(case, *AT_THE_MOMENT, STRICT)
    known = [difference for difference in DIFFERENCES if case.number in difference.numbers]
    assert len(known) == (lenient.accepted is not case.accepted), known
    assert strict.accepted is (lenient.accepted and case.number not in STRICTER.numbers)
    for difference in known:
        if difference.agrees_with:
            assert reference(case, *AT_THE_MOMENT, *difference.agrees_with).accepted is case.accepted


def test_the_counts_are_known() -> None:
    numbers = {case.number for case in CASES}
    differing = [number for difference in (*DIFFERENCES, STRICTER) for number in difference.numbers]
    assert numbers.issuperset(differing)
    assert (len(SECTIONS), len(numbers), sum(case.accepted for case in CASES)) == (16, 224, 103)
    assert len(WITH_DELTA) == 10
    assert [len(difference.numbers) for difference in DIFFERENCES] == [29, 11, 1, 3, 1, 1]


class TestTheCases:
    """The table says what the suite says."""

    def test_each_case_has_the_certificates_and_crls_that_nist_sends_for_it(self) -> None:
        """In S/MIME messages, of which one holds what belongs to another."""
        others_message, message_of = "4.14.18", "4.14.19"
        listed = {case.number: frozenset((*case.path, *case.extra, *case.crls, ANCHOR_CRL)) for case in CASES}
        sent, wanted = Counter(_sent()), Counter(listed.values())
        assert list((wanted - sent).elements()) == [listed[others_message]]
        assert list((sent - wanted).elements()) == [listed[message_of]]

    @all_cases
    def test_the_name_of_the_leaf_says_what_is_expected(self, case: Case) -> None:
        stated = re.match(r"Invalid|Valid", case.path[0])
        if stated:
            assert stated[0] == ("Valid" if case.accepted else "Invalid")
        else:
            assert case.number.startswith(("4.8.", "4.12."))  # policies, about which the names say nothing

    def test_every_certificate_and_crl_of_the_suite_is_in_a_case(self) -> None:
        listed = {name for case in CASES for name in (*case.path, *case.extra, *case.crls)}
        assert set(_files()) - listed == {ANCHOR, ANCHOR_CRL, SAME_AS_THE_ANCHORS}


def _files() -> dict[str, bytes]:
    """Every certificate and CRL by its name."""
    return {path.stem: path.read_bytes() for kind in ("certs", "crls") for path in (SUITE / kind).iterdir()}


def _sent() -> Iterator[frozenset[str]]:
    """The names of what each of NIST's messages holds."""
    files = _files()
    for path in (SUITE / "smime").iterdir():
        signature = list(message_from_bytes(path.read_bytes()).walk())[-1]
        content = signature.get_payload(decode=True)
        assert isinstance(content, bytes)
        yield frozenset(name for name, der in files.items() if der in content) - {SAME_AS_THE_ANCHORS}
