"""``verify(at=...)`` says what a handshake at that time says: asked in a process whose clock stands at that time.

Rule: the reference is a handshake between two plain ``ssl.SSLContext`` under libfaketime, which sets the clock that
OpenSSL reads as well. One process answers for all, and sets its clock anew for each handshake. A verdict that cannot be
composed (:class:`~mtls.VerdictUnavailableError`) is counted; one that is another than the handshake's fails the test.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import shutil
import ssl
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import mtls
from mtls import ChainRules, Revocation, Role

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HOST = "service.example"
SECOND = timedelta(seconds=1)
CLOCK, STAYS = "FAKETIME", "%Y-%m-%d %H:%M:%S"
"""Where libfaketime looks for the time, and how it is told a time at which the clock stands still."""
FLAGS = {
    ChainRules.STRICT: int(ssl.VERIFY_X509_STRICT),
    ChainRules.LENIENT: 0,
    Revocation.CHAIN: int(ssl.VERIFY_CRL_CHECK_CHAIN),
    Revocation.LEAF: int(ssl.VERIFY_CRL_CHECK_LEAF),
    Revocation.OFF: 0,
}
ALWAYS = int(ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN)
NO_ANSWER = -1
"""In place of a verify code: the verdict cannot be composed."""


def year(number: int) -> datetime:
    return datetime(number, 1, 1, tzinfo=UTC)


class Span(NamedTuple):
    """From when until when, in years."""

    begins: int
    ends: int

    def edges(self) -> Iterator[datetime]:
        """The last second before and the first second of both ends."""
        for end in self:
            yield from (year(end) - SECOND, year(end))


LONG = Span(2001, 2049)
KEYS: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
    name: ec.generate_private_key(ec.SECP256R1()) for name in ("leaf", "ca", "ca2", "root", "root2", "other")
}
KEYS["rsa"] = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True, kw_only=True)
class Question:
    """A chain, who judges it how, and the moments that are asked about."""

    name: str
    chain: Sequence[x509.Certificate]
    anchors: Sequence[x509.Certificate]
    moments: Sequence[datetime]
    crls: Sequence[x509.CertificateRevocationList] = ()
    role: Role = Role.SERVER
    rules: ChainRules = ChainRules.STRICT
    revocation: Revocation = Revocation.OFF

    def for_the_process(self) -> dict[str, Any]:
        """As JSON can hold it."""
        key = KEYS["leaf"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        return {
            "shown": key + _pem(self.chain),
            "anchors": _pem(self.anchors),
            "crls": _pem(self.crls),
            "owner": self.role.value,
            "hostname": HOST if self.role is Role.SERVER else None,
            "flags": ALWAYS | FLAGS[self.rules] | FLAGS[self.revocation],
            "moments": [moment.strftime(STAYS) for moment in self.moments],
        }

    def verdicts(self) -> Iterator[int]:
        """The verify code at every moment, 0 where the chain is accepted, from a clock that stands nowhere special."""
        trust = mtls.Truststore.from_certificates(self.anchors, crls=self.crls)
        for moment in self.moments:
            try:
                mtls.verify(
                    list(self.chain),
                    trust,
                    role=self.role,
                    hostname=HOST if self.role is Role.SERVER else None,
                    at=moment,
                    chain_rules=self.rules,
                    revocation=self.revocation,
                )
            except mtls.ChainError as refusal:
                yield refusal.verify_code
            except mtls.VerdictUnavailableError:
                yield NO_ANSWER
            else:
                yield 0


def _pem(parts: Sequence[x509.Certificate] | Sequence[x509.CertificateRevocationList]) -> str:
    return "".join(part.public_bytes(Encoding.PEM).decode() for part in parts)


# --- what the chains are made of ---


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _key_id(key: str) -> x509.SubjectKeyIdentifier:
    return x509.SubjectKeyIdentifier.from_public_key(KEYS[key].public_key())


def _authority(key: str) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(_key_id(key))


def _usage(*, ca: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not ca, content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False,
    )  # fmt: skip


def made(
    subject: str,
    key: str,
    issuer: str,
    signer: str,
    span: Span,
    *more: x509.ExtensionType,
    identifiers: bool = True,
    signature_by: str | None = None,
) -> x509.Certificate:
    """A certificate of ``subject`` that ``issuer`` has signed with the key ``signer``."""
    extensions: dict[type[x509.ExtensionType], tuple[x509.ExtensionType, bool]] = {}
    if subject == "leaf":
        extensions[x509.SubjectAlternativeName] = x509.SubjectAlternativeName([x509.DNSName(HOST)]), False
        extensions[x509.KeyUsage] = _usage(ca=False), True
    else:
        extensions[x509.BasicConstraints] = x509.BasicConstraints(ca=True, path_length=None), True
        extensions[x509.KeyUsage] = _usage(ca=True), True
    if identifiers:
        extensions[x509.SubjectKeyIdentifier] = _key_id(key), False
        extensions[x509.AuthorityKeyIdentifier] = _authority(signer), False
    extensions |= {type(each): (each, not isinstance(each, x509.ExtendedKeyUsage)) for each in more}
    builder = x509.CertificateBuilder().subject_name(_name(subject)).issuer_name(_name(issuer))
    builder = builder.public_key(KEYS[key].public_key()).serial_number(next(_SERIALS))
    builder = builder.not_valid_before(year(span.begins)).not_valid_after(year(span.ends))
    for extension, critical in extensions.values():
        builder = builder.add_extension(extension, critical)
    return builder.sign(KEYS[signature_by or signer], hashes.SHA256())


_SERIALS = itertools.count(1000)


def listed(
    issuer: str, signer: str, span: Span, *revoked: x509.Certificate, identifiers: bool = True
) -> x509.CertificateRevocationList:
    """A CRL."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(_name(issuer))
    builder = builder.last_update(year(span.begins)).next_update(year(span.ends))
    builder = builder.add_extension(x509.CRLNumber(next(_SERIALS)), critical=False)
    if identifiers:
        builder = builder.add_extension(_authority(signer), critical=False)
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number)
        builder = builder.add_revoked_certificate(entry.revocation_date(year(span.begins)).build())
    return builder.sign(KEYS[signer], hashes.SHA256())


# --- chains of which each has one thing to tell ---


def ladders() -> Iterator[Question]:
    """Leaf, CA and root end one after the other, in every order, and the CA is an anchor, too."""
    spans = (Span(2012, 2030), Span(2014, 2028), Span(2016, 2034))
    for order in itertools.permutations(spans):
        root = made("root", "root", "root", "root", order[0])
        ca = made("ca", "ca", "root", "root", order[1])
        leaf = made("leaf", "leaf", "ca", "ca", order[2])
        moments = [edge + late for span in spans for edge in span.edges() for late in (0 * SECOND, SECOND)]
        for anchors, role in (([root], Role.SERVER), ([ca], Role.CLIENT), ([leaf], Role.SERVER)):
            yield Question(name=f"ladder {order}", chain=[leaf, ca], anchors=anchors, moments=moments, role=role)


def twins() -> Iterator[Question]:
    """Two certificates of one CA, of which one is good: which is taken depends on the time and on the order."""
    root, leaf = made("root", "root", "root", "root", LONG), made("leaf", "leaf", "ca", "ca", LONG)
    faults = (
        x509.NameConstraints([x509.DNSName("another.example")], None),
        _only(ExtendedKeyUsageOID.EMAIL_PROTECTION),
    )
    for spans, fault, turned in itertools.product(
        (
            (Span(2010, 2024), Span(2022, 2040)),
            (Span(2010, 2040), Span(2022, 2030)),
            (Span(2010, 2020), Span(2030, 2040)),
        ),
        faults,
        (False, True),
    ):
        good = made("ca", "ca", "root", "root", spans[turned])
        bad = made("ca", "ca", "root", "root", spans[not turned], fault)
        moments = [edge for span in spans for edge in span.edges()]
        for sent, anchors in (((good, bad), [root]), ((bad, good), [root]), ((), [good, bad]), ((good,), [bad, root])):
            yield Question(name=f"twins {spans} {turned}", chain=[leaf, *sent], anchors=anchors, moments=moments)


def crossings() -> Iterator[Question]:
    """A CA that two roots have signed, and a root that another has signed; the roots end one after the other."""
    leaf = made("leaf", "leaf", "ca", "ca", LONG)
    first, second = (
        made("root", "root", "root", "root", Span(2010, 2026)),
        made("other", "other", "other", "other", LONG),
    )
    renewed = made("root", "root", "root", "root", Span(2024, 2040))
    ca = made("ca", "ca", "root", "root", Span(2012, 2038))
    crossed = made("ca", "ca", "other", "other", Span(2020, 2032))
    bridge = made("root", "root", "other", "other", Span(2018, 2034))
    moments = [year(2015), year(2019), year(2021), year(2025), year(2027), year(2033), year(2036), year(2039)]
    for sent in (
        (ca, crossed),
        (crossed, ca),
        (ca, bridge),
        (bridge, ca),
        (crossed, bridge, ca),
        (ca, renewed, bridge),
    ):
        for anchors in (
            [first],
            [second],
            [first, second],
            [second, first],
            [first, renewed],
            [renewed, first, second],
        ):
            yield Question(name="crossing", chain=[leaf, *sent], anchors=anchors, moments=moments)


def lists() -> Iterator[Question]:
    """CRLs that begin and end at other times than the certificates, and of which a later one revokes."""
    root, ca = made("root", "root", "root", "root", LONG), made("ca", "ca", "root", "root", Span(2010, 2035))
    leaf = made("leaf", "leaf", "ca", "ca", Span(2012, 2033))
    of_root, long = listed("root", "root", Span(2014, 2036)), listed("ca", "ca", LONG)
    series = [
        listed("ca", "ca", Span(2011, 2020)),
        listed("ca", "ca", Span(2018, 2026)),
        listed("ca", "ca", Span(2025, 2030), leaf),
    ]
    moments = [
        moment for span in ((2011, 2014), (2018, 2020), (2025, 2026), (2030, 2036)) for moment in Span(*span).edges()
    ]
    bare = listed("ca", "ca", Span(2016, 2028), leaf, identifiers=False)
    held = {
        "a later one, and one without a key identifier": [of_root, bare, listed("ca", "ca", Span(2027, 2040))],
        "a series": [of_root, *series],
        "a series turned": [*reversed(series), of_root],
        "one that ends": [of_root, series[0]],
        "one that has not begun": [of_root, series[1]],
        "revoked CA": [listed("root", "root", Span(2016, 2028), ca), long],
        "revoked leaf": [of_root, listed("ca", "ca", Span(2016, 2028), leaf)],
        "none of the root": series,
        "none of the CA": [of_root],
    }
    for (name, crls), revocation in itertools.product(held.items(), (Revocation.CHAIN, Revocation.LEAF)):
        yield Question(name=name, chain=[leaf, ca], anchors=[root], moments=moments, crls=crls, revocation=revocation)


def faulty() -> Iterator[Question]:
    """Another fault beside the dates: which of the two OpenSSL names."""
    root = made("root", "root", "root", "root", Span(2010, 2032))
    ca, leaf = made("ca", "ca", "root", "root", Span(2014, 2030)), made("leaf", "leaf", "ca", "ca", Span(2016, 2028))
    stranger = made("other", "other", "other", "other", LONG)
    whole = {
        "name constraints": (
            leaf,
            made("ca", "ca", "root", "root", Span(2014, 2030), x509.NameConstraints(None, [x509.DNSName(HOST)])),
        ),
        "EKU of the leaf": (
            made("leaf", "leaf", "ca", "ca", Span(2016, 2028), _only(ExtendedKeyUsageOID.CODE_SIGNING)),
            ca,
        ),
        "EKU of the CA": (
            leaf,
            made("ca", "ca", "root", "root", Span(2014, 2030), _only(ExtendedKeyUsageOID.CODE_SIGNING)),
        ),
        "host name": (
            made(
                "leaf",
                "leaf",
                "ca",
                "ca",
                Span(2016, 2028),
                x509.SubjectAlternativeName([x509.DNSName("another.example")]),
            ),
            ca,
        ),
        "signature of the leaf": (made("leaf", "leaf", "ca", "ca", Span(2016, 2028), signature_by="other"), ca),
        "signature of the CA": (leaf, made("ca", "ca", "root", "root", Span(2014, 2030), signature_by="other")),
        "no CA": (
            leaf,
            made("ca", "ca", "root", "root", Span(2014, 2030), x509.BasicConstraints(ca=False, path_length=None)),
        ),
        "path length": (
            made("leaf", "leaf", "ca2", "ca2", Span(2016, 2028)),
            made("ca2", "ca2", "ca", "ca", LONG),
            made("ca", "ca", "root", "root", Span(2014, 2030), x509.BasicConstraints(ca=True, path_length=0)),
        ),
        "critical extension": (
            made(
                "leaf",
                "leaf",
                "ca",
                "ca",
                Span(2016, 2028),
                x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.55555.1"), b"\x05\x00"),
            ),
            ca,
        ),
        "missing intermediate": (leaf,),
        "no key identifiers": (made("leaf", "leaf", "ca", "ca", Span(2016, 2028), identifiers=False), ca),
        "self-signed": (made("leaf", "leaf", "leaf", "leaf", Span(2016, 2028)),),
    }
    moments = [year(2009), year(2015), year(2020), year(2029), year(2040)]
    for (name, chain), role, rules in itertools.product(whole.items(), (Role.SERVER, Role.CLIENT), ChainRules):
        for anchor in (root, stranger):
            yield Question(name=name, chain=chain, anchors=[anchor], moments=moments, role=role, rules=rules)


def _only(purpose: x509.ObjectIdentifier) -> x509.ExtendedKeyUsage:
    return x509.ExtendedKeyUsage([purpose])


# --- webs: several certificates and CRLs of one name, as the dice fall ---

YEARS = (2010, 2016, 2020, 2023, 2025, 2028, 2031, 2034, 2038)
"""When something begins or ends."""
ISSUING = {"ca": ("ca", "ca2"), "root": ("root", "root2", "rsa"), "other": ("other",)}
"""The names of CAs with the keys that each has."""


class Web:
    """A web, drawn from the dice."""

    def __init__(self, seed: str) -> None:
        self.dice = random.Random(seed)
        self.tidy = self.chance(0.5)
        """Whether everything has key identifiers, as strict rules demand."""
        self.roots = [self.root() for _ in range(self.dice.choice((1, 1, 2, 3)))]
        self.other = [self.made("other", "other", "other", "other") for _ in range(self.dice.choice((0, 1, 1)))]
        self.bridges = [self.bridge() for _ in range(self.dice.choice((0, 0, 1, 2)))]
        self.cas = [self.ca() for _ in range(self.dice.choice((1, 2, 2, 3)))]
        self.leaf = self.made("leaf", "leaf", "ca", self.dice.choice(("ca", "ca", "ca2")))

    def chance(self, probability: float) -> bool:
        return self.dice.random() < probability

    def some(self, certificates: Sequence[x509.Certificate], share: float) -> list[x509.Certificate]:
        return [each for each in certificates if self.chance(share)]

    def span(self) -> Span:
        return Span(*sorted(self.dice.sample(YEARS, 2))) if self.chance(0.8) else LONG

    def made(
        self, subject: str, key: str, issuer: str, signer: str, *more: x509.ExtensionType, by: str | None = None
    ) -> x509.Certificate:
        named = self.tidy or self.chance(0.6)
        return made(subject, key, issuer, signer, self.span(), *more, identifiers=named, signature_by=by)

    def root(self) -> x509.Certificate:
        key = self.dice.choice(("root", "root", "root2", "rsa"))
        return self.made("root", key, "root", key)

    def bridge(self) -> x509.Certificate:
        return self.made("root", self.dice.choice(("root", "root2")), "other", "other")

    def ca(self) -> x509.Certificate:
        faults = (
            (0.15, x509.NameConstraints([x509.DNSName("another.example")], None)),
            (0.1, _only(ExtendedKeyUsageOID.CLIENT_AUTH)),
            (0.1, x509.BasicConstraints(ca=False, path_length=None)),
        )
        more = [fault for share, fault in faults if self.chance(share)]
        key = self.dice.choice(("ca", "ca", "ca", "ca2"))
        signer = self.dice.choice(("root", "root", "root2", "rsa"))
        return self.made("ca", key, "root", signer, *more, by="other" if self.chance(0.08) else None)

    def crls(self) -> Iterator[x509.CertificateRevocationList]:
        """Of every key of every CA some, each with some of what there is to revoke."""
        for issuer, keys in ISSUING.items():
            for key in keys:
                for _ in range(self.dice.choice((0, 1, 1, 2, 3))):
                    revoked = self.some([self.leaf] if issuer == "ca" else self.cas, 0.15)
                    named = self.tidy or self.chance(0.6)
                    yield listed(issuer, key, self.span(), *revoked, identifiers=named)

    def question(self, name: str, revocation: Revocation, number: int = 4) -> Question:
        sent = self.some([*self.cas, *self.bridges, *(self.roots if self.chance(0.3) else ())], 0.85)
        anchors = self.some([*self.roots, *self.other], 0.7) + self.some([*self.cas, *self.bridges], 0.1)
        crls = [] if revocation is Revocation.OFF else list(self.crls())
        for order in (sent, anchors, crls):
            self.dice.shuffle(order)
        certificates = [self.leaf, *self.cas, *self.roots, *self.bridges, *self.other]
        edges = sorted(
            {edge for each in certificates for edge in (each.not_valid_before_utc, each.not_valid_after_utc)}
        )
        return Question(
            name=name,
            chain=[self.leaf, *sent],
            anchors=anchors or self.roots,
            moments=[self.moment(edges) for _ in range(number)],
            crls=crls,
            role=self.dice.choice((Role.CLIENT, Role.SERVER)),
            rules=ChainRules.STRICT if self.tidy and self.chance(0.6) else ChainRules.LENIENT,
            revocation=revocation,
        )

    def moment(self, edges: Sequence[datetime]) -> datetime:
        if self.chance(0.4):
            return self.dice.choice(edges) + self.dice.choice((-1, 0, 1)) * SECOND
        return datetime(self.dice.randrange(2012, 2038), 4, 11, tzinfo=UTC)


def webs(number: int = 60) -> Iterator[Question]:
    """Certificates alone."""
    for turn in range(number):
        yield Web(f"certificates {turn}").question(f"web {turn}", Revocation.OFF)


def webs_with_crls(number: int = 70) -> Iterator[Question]:
    """Certificates and CRLs."""
    for turn in range(number):
        yield Web(f"CRLs {turn}").question(f"web {turn}", (Revocation.CHAIN, Revocation.LEAF)[turn % 2])


# --- the handshakes ---


def handshakes(questions: Sequence[Question]) -> list[list[int]]:
    """The verify codes of real handshakes, for every question and every moment."""
    faketime = shutil.which("faketime")
    if faketime is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have faketime", pytrace=False)
        pytest.skip("faketime, which sets the clock of a process, is not installed")
    process = subprocess.run(
        [faketime, "-f", "2020-01-01 00:00:00", sys.executable, __file__],
        input=json.dumps([question.for_the_process() for question in questions]),
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env=os.environ | {"TZ": "UTC", "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"},
    )
    assert process.returncode == 0, process.stderr
    answers: list[list[int]] = json.loads(process.stdout)
    return answers


def _serve() -> None:
    with tempfile.TemporaryDirectory() as folder:
        json.dump([_codes(question, Path(folder)) for question in json.load(sys.stdin)], sys.stdout)


def _codes(question: dict[str, Any], folder: Path) -> list[int]:
    judge, peer = _contexts(question, folder)
    codes = []
    for moment in question["moments"]:
        os.environ[CLOCK] = moment
        codes.append(_handshake(judge, peer, question["hostname"]))
    return codes


def _contexts(question: dict[str, Any], folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    shown, lists = folder / "shown.pem", folder / "crls.pem"
    shown.write_text(question["shown"])
    lists.write_text(question["crls"])
    judge, peer = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if question["owner"] == "client":
        judge, peer = peer, judge
        judge.load_cert_chain(shown)
    judge.check_hostname = question["hostname"] is not None
    judge.hostname_checks_common_name = False
    judge.verify_mode = ssl.CERT_REQUIRED
    judge.verify_flags = ssl.VerifyFlags(question["flags"])
    judge.load_verify_locations(cadata=question["anchors"])
    if question["crls"]:
        judge.load_verify_locations(lists)
    peer.check_hostname = False
    peer.verify_mode = ssl.CERT_NONE
    peer.load_cert_chain(shown)
    return judge, peer


def _handshake(judge: ssl.SSLContext, peer: ssl.SSLContext, hostname: str | None) -> int:
    as_server = judge.protocol is ssl.PROTOCOL_TLS_SERVER
    to_judge, to_peer = ssl.MemoryBIO(), ssl.MemoryBIO()
    judging = judge.wrap_bio(to_judge, to_peer, server_side=as_server, server_hostname=hostname)
    shown = peer.wrap_bio(to_peer, to_judge, server_side=not as_server)
    for side in itertools.islice(itertools.cycle((shown, judging)), 16):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLCertVerificationError as refusal:
            return refusal.verify_code
        if side is judging:
            return 0
    text = "the handshake does not end"
    raise AssertionError(text)


# --- the tests ---


class Answer(NamedTuple):
    """What was said of a chain at a moment."""

    question: Question
    moment: datetime
    handshake: int
    ours: int

    def __str__(self) -> str:
        said = "no verdict" if self.ours == NO_ANSWER else self.ours
        return f"{self.question.name} at {self.moment:{STAYS}}: a handshake says {self.handshake}, we say {said}"


GROUPS = (ladders, twins, crossings, faulty, lists, webs, webs_with_crls)


@pytest.fixture(scope="session")
def answers() -> dict[str, list[Answer]]:
    """Everything that was asked, by group."""
    questions = {group.__name__: list(group()) for group in GROUPS}
    heard = iter(handshakes([question for group in questions.values() for question in group]))
    return {
        name: [
            Answer(question, *each)
            for question in group
            for each in zip(question.moments, next(heard), question.verdicts(), strict=True)
        ]
        for name, group in questions.items()
    }


def test_the_clock_that_openssl_reads_is_set() -> None:
    root = made("root", "root", "root", "root", LONG)
    leaf = made("leaf", "leaf", "root", "root", Span(2041, 2042))
    moments = [year(2026), *Span(2041, 2042).edges(), year(2045)]
    asked = Question(name="control", chain=[leaf], anchors=[root], moments=moments)
    assert handshakes([asked]) == [[9, 9, 0, 0, 10, 10]]


@pytest.mark.parametrize("group", [group.__name__ for group in GROUPS])
def test_the_verdict_for_a_time_is_that_of_a_handshake_at_that_time(
    group: str, answers: dict[str, list[Answer]]
) -> None:
    differing = [each for each in answers[group] if each.ours not in {each.handshake, NO_ANSWER}]
    assert not differing, "\n".join(map(str, differing[:20]))


def test_nothing_is_accepted_that_a_handshake_refuses(answers: dict[str, list[Answer]]) -> None:
    wrong = [each for group in answers.values() for each in group if each.ours == 0 != each.handshake]
    assert not wrong, "\n".join(map(str, wrong))


def test_almost_every_verdict_can_be_composed(answers: dict[str, list[Answer]]) -> None:
    composed = Counter(each.ours != NO_ANSWER for group in answers.values() for each in group)
    assert composed.total() > 1500
    assert composed[False] < 0.02 * composed.total()


def test_the_questions_are_of_every_kind(answers: dict[str, list[Answer]]) -> None:
    heard = {each.handshake for group in answers.values() for each in group}
    assert heard >= {0, 3, 7, 8, 9, 10, 11, 12, 18, 19, 20, 23, 25, 26, 34, 47, 48, 62, 79, 85}


if __name__ == "__main__":
    _serve()
