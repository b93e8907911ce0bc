"""Do the findings about CRLs say what OpenSSL says? The interpreter's own is asked about every situation here."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import given, settings
from hypothesis import strategies as st

from mtls import MOZILLA_INTERMEDIATE, FailureReason, Finding, Revocation, Role, Severity, Truststore, TruststoreError
from mtls import _certificate as facts
from mtls._checks import crl_form
from mtls._checks.crls import check_crls, freshness
from mtls._checks.revocation import check_revocation
from mtls._credentials.der import children, element, encoded
from mtls._credentials.request import key_usage
from mtls._credentials.secret import Secret
from mtls._handshake.generation import Settings
from mtls._handshake.verdict import Judge, Verdict
from mtls._handshake.verify_codes import VERIFY_CODES
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from mtls import Keystore

F, DP = FailureReason, x509.DistributionPoint
NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
ROLES = pytest.mark.parametrize("role", list(Role))
CHAIN, LEAF, OFF = Revocation.CHAIN, Revocation.LEAF, Revocation.OFF

ROOT = CertificateAuthority("root CA")
LOWER = ROOT.intermediate("lower CA")
NAMESAKE = CertificateAuthority("lower CA")
STRANGER = CertificateAuthority("stranger CA")
SILENT = ROOT.intermediate("silent CA", key_usage=key_usage("key_cert_sign"))
FUZZED = LOWER.server("localhost")
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _uri(text: str = "http://crl.example/1") -> list[x509.GeneralName]:
    return [x509.UniformResourceIdentifier(text)]


def _relative(text: str) -> x509.RelativeDistinguishedName:
    return x509.RelativeDistinguishedName([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _point(**given: Any) -> x509.DistributionPoint:
    fields: dict[str, Any] = {"full_name": None, "relative_name": None, "reasons": None, "crl_issuer": None}
    return DP(**fields | given)


def _part(**given: Any) -> x509.ExtensionType:
    kinds = ("user_certs", "ca_certs", "attribute_certs")
    fields: dict[str, Any] = {f"only_contains_{kind}": False for kind in kinds}
    fields |= {"full_name": None, "relative_name": None, "only_some_reasons": None, "indirect_crl": False}
    return x509.IssuingDistributionPoint(**fields | given)


USERS, CAS = _part(only_contains_user_certs=True), _part(only_contains_ca_certs=True)
ATTRIBUTES = _part(only_contains_attribute_certs=True)
INDIRECT = _part(indirect_crl=True)
COMPROMISED = frozenset([x509.ReasonFlags.key_compromise])
OTHERS = frozenset(x509.ReasonFlags) - COMPROMISED - {x509.ReasonFlags.unspecified, x509.ReasonFlags.remove_from_crl}
SOME_REASONS = _part(only_some_reasons=COMPROMISED)
DELTA = x509.DeltaCRLIndicator(1)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


@dataclass(frozen=True)
class List:
    """A CRL of ``issuer``, sound in all that is not said."""

    issuer: CertificateAuthority = LOWER
    begins: timedelta = -HOUR
    ends: timedelta | None = DAY
    name: str | None = None
    key: Any = None
    identifier: Any = "right"
    critical: tuple[x509.ExtensionType, ...] = ()
    extensions: tuple[x509.ExtensionType, ...] = ()
    revoked: tuple[Any, ...] = ()

    def build(self, leaf: x509.Certificate) -> x509.CertificateRevocationList:
        own = self.issuer.certificate
        builder = x509.CertificateRevocationListBuilder(own.subject if self.name is None else _common_name(self.name))
        builder = builder.last_update(NOW + self.begins).next_update(NOW + (DAY if self.ends is None else self.ends))
        if self.identifier == "right":
            key = x509.AuthorityKeyIdentifier.from_issuer_public_key(own.public_key())  # type: ignore[arg-type]
            builder = builder.add_extension(key, critical=False)
        elif self.identifier is not None:
            builder = builder.add_extension(self.identifier, critical=False)
        builder = builder.add_extension(x509.CRLNumber(1), critical=False)
        for extension in (*self.critical, *self.extensions):
            builder = builder.add_extension(extension, critical=extension in self.critical)
        for entry in self.revoked:
            builder = builder.add_revoked_certificate(_entry(entry, leaf))
        signing: Any = self.key or self.issuer._key
        crl = builder.sign(signing, hashes.SHA256())
        return _without_next_update(crl, signing) if self.ends is None else crl


def _entry(said: Any, leaf: x509.Certificate) -> x509.RevokedCertificate:
    """What is said of the leaf, or of the certificate given; a pair adds an extension, critical or not."""
    certificate, extension, critical = said if isinstance(said, tuple) else (said, None, False)
    number = leaf.serial_number if certificate == "leaf" else certificate.certificate.serial_number
    builder = x509.RevokedCertificateBuilder(number, NOW - 2 * HOUR)
    return (builder if extension is None else builder.add_extension(extension, critical)).build()


def _without_next_update(
    crl: x509.CertificateRevocationList, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateRevocationList:
    """The same CRL without nextUpdate, which RFC 5280 demands, and which OpenSSL can do without."""
    content = Secret(crl.tbs_certlist_bytes)
    parts = [Secret(content.reveal()[part.start : part.end]) for part in children(content, element(content))]
    content = encoded(0x30, *parts[:4], *parts[5:])
    algorithm = next(iter(parts[1:2]))
    signature = Secret(b"\x00" + key.sign(content.reveal(), ec.ECDSA(hashes.SHA256())))
    return x509.load_der_x509_crl(encoded(0x30, content, algorithm, encoded(0x03, signature)).reveal())


@dataclass(frozen=True)
class Case:
    """A leaf of ``issuer`` with ``points``, judged with these lists; what the findings say, the first one first."""

    name: str
    lists: tuple[List, ...]
    failures: tuple[FailureReason, ...] = ()
    issuer: CertificateAuthority = LOWER
    points: tuple[x509.DistributionPoint, ...] = ()
    anchors: tuple[CertificateAuthority, ...] = (ROOT,)
    revocation: Revocation = CHAIN
    pinned: bool = False
    note: str = field(default="", compare=False)

    def keystore(self, role: Role) -> Keystore:
        fields: dict[str, Any] = {}
        if self.points:
            points = x509.CRLDistributionPoints(self.points)
            fields["extensions"] = [x509.Extension(points.oid, critical=False, value=points)]
        return (self.issuer.client if role is Role.CLIENT else self.issuer.server)("localhost", **fields)

    def judged(self, role: Role) -> tuple[Verdict, list[Finding], Keystore]:
        own = self.keystore(role)
        anchors = [*(anchor.certificate for anchor in self.anchors), *([own.certificate] if self.pinned else [])]
        return *_judged(own, anchors, [each.build(own.certificate) for each in self.lists], self.revocation, role), own


def _judged(
    own: Keystore,
    anchors: Sequence[x509.Certificate],
    lists: Sequence[x509.CertificateRevocationList],
    revocation: Revocation,
    role: Role,
) -> tuple[Verdict, list[Finding]]:
    truststore = Truststore.from_certificates(anchors, crls=lists)
    judge = Judge(
        Settings(
            role=role.other,
            keystore=None,
            truststore=truststore,
            policy=MOZILLA_INTERMEDIATE,
            revocation=revocation,
        )
    )
    verdict = judge.judge(
        [facts.der(own.certificate), *map(facts.der, own.chain)], "localhost" if role is Role.SERVER else None
    )
    path = [x509.load_der_x509_certificate(each) for each in verdict.path]
    return verdict, list(check_revocation(path, lists, revocation, step=role.verified_at, now=datetime.now(UTC)))


def _agree(verdict: Verdict, findings: Sequence[Finding]) -> bool:
    if not findings:
        return verdict.accepted
    return not verdict.accepted and VERIFY_CODES[verdict.code] is findings[0].failure


ABOVE = List(ROOT)
ENDED: dict[str, Any] = {"begins": -2 * DAY, "ends": -HOUR}
TO_COME: dict[str, Any] = {"begins": HOUR, "ends": DAY}
OLDER: dict[str, Any] = {"begins": -2 * HOUR}
MINE = _point(full_name=_uri())
AT = _part(full_name=_uri())
ELSEWHERE = _part(full_name=_uri("http://crl.example/2"))


def _reason(reason: x509.ReasonFlags) -> tuple[str, x509.ExtensionType, bool]:
    return "leaf", x509.CRLReason(reason), False


def _key_of(certificate: x509.Certificate, serial: int) -> x509.AuthorityKeyIdentifier:
    return x509.AuthorityKeyIdentifier(None, [x509.DirectoryName(certificate.issuer)], serial)


LOWER_SERIAL = LOWER.certificate.serial_number

CASES = [
    # which certificate needs one
    Case("every list is there", (ABOVE, List())),
    Case("no list at all", (), (F.CRL_MISSING,) * 3),
    Case("no list at all, leaf only", (), (F.CRL_MISSING,), revocation=LEAF),
    Case("no list at all, and none wanted", (), revocation=OFF),
    Case("none of the issuing CA", (ABOVE,), (F.CRL_MISSING,)),
    Case("none of the root", (List(),), (F.CRL_MISSING,) * 2),
    Case("none of the root, leaf only", (List(),), revocation=LEAF),
    Case("a list of a stranger only", (List(STRANGER),), (F.CRL_MISSING,) * 3),
    Case("a leaf of the root itself", (ABOVE,), issuer=ROOT),
    Case("an intermediate as anchor", (ABOVE, List()), (F.CRL_MISSING,), anchors=(LOWER,)),
    Case("an intermediate as anchor, leaf only", (List(),), anchors=(LOWER,), revocation=LEAF),
    Case("both as anchors", (ABOVE, List()), (F.CRL_MISSING,), anchors=(LOWER, ROOT)),
    Case("a pinned leaf alone", (ABOVE, List()), (F.CRL_MISSING,), anchors=(), pinned=True),
    Case("a pinned leaf that sends its CA, leaf only", (List(),), anchors=(), pinned=True, revocation=LEAF),
    Case("a pinned leaf, leaf only", (ABOVE,), (F.CRL_MISSING,), ROOT, anchors=(), pinned=True, revocation=LEAF),
    Case("a pinned leaf beside its CA", (ABOVE,), issuer=ROOT, pinned=True),
    Case(
        "an intermediate as anchor, a list in the name of the root without a key",
        (List(ROOT, identifier=None), List()),
        (F.BAD_SIGNATURE,),
        anchors=(LOWER,),
    ),
    # what it says
    Case("the leaf is revoked", (ABOVE, List(revoked=("leaf",))), (F.REVOKED,)),
    Case("the leaf is revoked, leaf only", (List(revoked=("leaf",)),), (F.REVOKED,), revocation=LEAF),
    Case("the leaf is revoked, and nobody asks", (List(revoked=("leaf",)),), revocation=OFF),
    Case("the leaf is revoked by another CA", (List(ROOT, revoked=("leaf",)), List())),
    Case("with a reason", (ABOVE, List(revoked=(_reason(x509.ReasonFlags.key_compromise),))), (F.REVOKED,)),
    Case("on hold", (ABOVE, List(revoked=(_reason(x509.ReasonFlags.certificate_hold),))), (F.REVOKED,)),
    Case("removed from the list", (ABOVE, List(revoked=(_reason(x509.ReasonFlags.remove_from_crl),)))),
    Case("the intermediate is revoked", (List(ROOT, revoked=(LOWER,)), List()), (F.REVOKED,)),
    Case("the intermediate is revoked, leaf only", (List(ROOT, revoked=(LOWER,)), List()), revocation=LEAF),
    Case("the root is revoked", (List(ROOT, revoked=(ROOT,)), List()), (F.REVOKED,)),
    Case("leaf and intermediate", (List(ROOT, revoked=(LOWER,)), List(revoked=("leaf",))), (F.REVOKED,) * 2),
    Case("another certificate is revoked", (ABOVE, List(revoked=(ROOT,)))),
    Case(
        "an entry of another issuer",
        (ABOVE, List(revoked=(("leaf", x509.CertificateIssuer([x509.DirectoryName(ROOT.root.subject)]), True),))),
    ),
    Case(
        "an entry that names the issuer",
        (
            ABOVE,
            List(revoked=(("leaf", x509.CertificateIssuer([x509.DirectoryName(LOWER.certificate.subject)]), True),)),
        ),
        (F.REVOKED,),
    ),
    Case("a pinned leaf that was revoked", (List(ROOT, revoked=("leaf",)),), (F.REVOKED,), issuer=ROOT, pinned=True),
    # dates
    Case("ended", (ABOVE, List(**ENDED)), (F.CRL_EXPIRED,)),
    Case("that of the root ended", (List(ROOT, **ENDED), List()), (F.CRL_EXPIRED,) * 2),
    Case("ended, and it revokes", (ABOVE, List(**ENDED, revoked=("leaf",))), (F.CRL_EXPIRED, F.REVOKED)),
    Case("not begun", (ABOVE, List(**TO_COME)), (F.CRL_EXPIRED,)),
    Case("no next update", (ABOVE, List(ends=None))),
    Case("no next update, and it revokes", (ABOVE, List(ends=None, revoked=("leaf",))), (F.REVOKED,)),
    Case("ended beside a good one", (ABOVE, List(**ENDED), List())),
    Case("revoked on the ended one only", (ABOVE, List(**ENDED, revoked=("leaf",)), List())),
    Case("not begun beside a good one", (ABOVE, List(**TO_COME), List())),
    Case("ended and not begun: the newer one decides", (ABOVE, List(**ENDED), List(**TO_COME)), (F.CRL_EXPIRED,)),
    # several lists
    Case("the newer one revokes", (ABOVE, List(**OLDER), List(revoked=("leaf",))), (F.REVOKED,)),
    Case("the older one revokes", (ABOVE, List(**OLDER, revoked=("leaf",)), List())),
    Case("of equally new ones the first, which revokes", (ABOVE, List(revoked=("leaf",)), List()), (F.REVOKED,)),
    Case("of equally new ones the first, which does not", (ABOVE, List(), List(revoked=("leaf",)))),
    # names
    Case("other letters and blanks", (ABOVE, List(name=" LOWER   ca"))),
    Case("other letters and blanks, and it revokes", (ABOVE, List(name="Lower Ca", revoked=("leaf",))), (F.REVOKED,)),
    Case("another name, the right key", (ABOVE, List(name="lower CB")), (F.CRL_MISSING,)),
    # keys
    Case("a namesake", (ABOVE, List(NAMESAKE)), (F.CRL_MISSING,)),
    Case("a namesake beside the right one", (ABOVE, List(NAMESAKE, revoked=("leaf",)), List(**OLDER))),
    Case("a namesake that does not say its key", (ABOVE, List(NAMESAKE, identifier=None)), (F.BAD_SIGNATURE,)),
    Case("another key than it says", (ABOVE, List(key=OTHER_KEY)), (F.BAD_SIGNATURE,)),
    Case("another key, and it revokes", (ABOVE, List(key=OTHER_KEY, revoked=("leaf",))), (F.BAD_SIGNATURE,)),
    Case("another key, newer than a good one", (ABOVE, List(key=OTHER_KEY), List(**OLDER)), (F.BAD_SIGNATURE,)),
    Case("another key, older than a good one", (ABOVE, List(key=OTHER_KEY, **OLDER), List())),
    Case("another key, and ended", (ABOVE, List(key=OTHER_KEY, **ENDED)), (F.CRL_EXPIRED, F.BAD_SIGNATURE)),
    Case("no key identifier", (ABOVE, List(identifier=None))),
    Case("no key identifier, and it revokes", (ABOVE, List(identifier=None, revoked=("leaf",))), (F.REVOKED,)),
    Case("its key by serial number", (ABOVE, List(identifier=_key_of(LOWER.certificate, LOWER_SERIAL)))),
    Case("another serial number", (ABOVE, List(identifier=_key_of(LOWER.certificate, 4711))), (F.CRL_MISSING,)),
    Case("another issuer of its key", (ABOVE, List(identifier=_key_of(STRANGER.root, LOWER_SERIAL))), (F.CRL_MISSING,)),
    Case("a CA that may not sign lists", (ABOVE, List(SILENT)), (F.WRONG_KEY_USAGE,), issuer=SILENT),
    Case(
        "a CA that may not sign lists, and revokes",
        (ABOVE, List(SILENT, revoked=("leaf",))),
        (F.WRONG_KEY_USAGE, F.REVOKED),
        issuer=SILENT,
    ),
    # extensions
    Case("an unknown critical extension", (ABOVE, List(critical=(STRANGE,))), (F.UNKNOWN_CRITICAL_EXTENSION,)),
    Case(
        "an unknown critical extension, and it revokes",
        (ABOVE, List(critical=(STRANGE,), revoked=("leaf",))),
        (F.UNKNOWN_CRITICAL_EXTENSION,),
    ),
    Case("an unknown extension", (ABOVE, List(extensions=(STRANGE,)))),
    Case("an unknown critical extension beside a good one", (ABOVE, List(critical=(STRANGE,)), List(**OLDER))),
    Case(
        "an unknown critical extension beside one that ended",
        (ABOVE, List(critical=(STRANGE,)), List(**ENDED)),
        (F.CRL_EXPIRED,),
        note="being understood counts for more than being in date",
    ),
    Case(
        "a critical extension of an entry",
        (ABOVE, List(revoked=((ROOT, x509.CRLReason(x509.ReasonFlags.superseded), True),))),
        (F.UNKNOWN_CRITICAL_EXTENSION,),
    ),
    # parts
    Case("for end entities only", (ABOVE, List(critical=(USERS,)))),
    Case("for end entities only, and it revokes", (ABOVE, List(critical=(USERS,), revoked=("leaf",))), (F.REVOKED,)),
    Case("for CAs only", (ABOVE, List(critical=(CAS,))), (F.CRL_MISSING,)),
    Case("for CAs only, not critical", (ABOVE, List(extensions=(CAS,))), (F.CRL_MISSING,)),
    Case("the root's for CAs only", (List(ROOT, critical=(CAS,)), List())),
    Case("the root's for end entities only", (List(ROOT, critical=(USERS,)), List()), (F.CRL_MISSING,) * 2),
    Case("one for each", (ABOVE, List(critical=(USERS,)), List(critical=(CAS,)))),
    Case(
        "the one for CAs revokes the leaf",
        (ABOVE, List(critical=(USERS,)), List(critical=(CAS,), revoked=("leaf",))),
    ),
    Case("for attribute certificates", (ABOVE, List(critical=(ATTRIBUTES,))), (F.CRL_MISSING,)),
    Case("indirect", (ABOVE, List(critical=(INDIRECT,))), (F.CRL_MISSING,)),
    Case("indirect beside a good one", (ABOVE, List(critical=(INDIRECT,)), List())),
    Case("for some reasons", (ABOVE, List(critical=(SOME_REASONS,))), (F.CRL_MISSING,)),
    Case("for CAs only, and ended", (ABOVE, List(critical=(CAS,), **ENDED)), (F.CRL_MISSING, F.CRL_EXPIRED)),
    # distribution points
    Case("the leaf names a point, the list none", (ABOVE, List()), points=(MINE,)),
    Case("of a point, the leaf names none", (ABOVE, List(critical=(AT,))), (F.CRL_MISSING,)),
    Case("of the point that the leaf names", (ABOVE, List(critical=(AT,))), points=(MINE,)),
    Case("of it, and it revokes", (ABOVE, List(critical=(AT,), revoked=("leaf",))), (F.REVOKED,), points=(MINE,)),
    Case("of another point", (ABOVE, List(critical=(ELSEWHERE,))), (F.CRL_MISSING,), points=(MINE,)),
    Case(
        "of the other point, and of the right one",
        (ABOVE, List(critical=(ELSEWHERE,)), List(critical=(AT,))),
        points=(MINE,),
    ),
    Case(
        "a complete one beside that of another point, which is newer",
        (ABOVE, List(critical=(ELSEWHERE,)), List(**OLDER)),
        points=(MINE,),
    ),
    Case(
        "of the second point",
        (ABOVE, List(critical=(ELSEWHERE,))),
        points=(MINE, _point(full_name=_uri("http://crl.example/2"))),
    ),
    Case(
        "of a point with a name below the CA",
        (ABOVE, List(critical=(_part(relative_name=_relative("part 1")),))),
        points=(_point(relative_name=_relative("PART  1")),),
    ),
    Case(
        "of a point with another name below the CA",
        (ABOVE, List(critical=(_part(relative_name=_relative("part 1")),))),
        (F.CRL_MISSING,),
        points=(_point(relative_name=_relative("part 2")),),
    ),
    Case(
        "of a point by its whole name",
        (ABOVE, List(critical=(_part(relative_name=_relative("part 1")),))),
        points=(
            _point(
                full_name=[
                    x509.DirectoryName(x509.Name([*LOWER.certificate.subject.rdns, _relative("part 1")])),
                ],
            ),
        ),
    ),
    Case(
        "a point whose lists another CA issues",
        (ABOVE, List(critical=(AT,))),
        (F.CRL_MISSING,),
        points=(_point(full_name=_uri(), crl_issuer=[x509.DirectoryName(STRANGER.root.subject)]),),
    ),
    Case(
        "a point whose lists its own CA issues",
        (ABOVE, List(critical=(AT,))),
        points=(_point(full_name=_uri(), crl_issuer=[x509.DirectoryName(LOWER.certificate.subject)]),),
    ),
    Case(
        "a point without a name",
        (ABOVE, List(critical=(AT,))),
        points=(_point(crl_issuer=[x509.DirectoryName(LOWER.certificate.subject)]),),
    ),
    Case(
        "a point for some reasons",
        (ABOVE, List(critical=(AT,))),
        (F.CRL_MISSING,),
        points=(_point(full_name=_uri(), reasons=COMPROMISED),),
    ),
    Case(
        "a point for some reasons, and it revokes",
        (ABOVE, List(critical=(AT,), revoked=("leaf",))),
        (F.REVOKED,),
        points=(_point(full_name=_uri(), reasons=COMPROMISED),),
    ),
    Case(
        "two points that have every reason between them",
        (ABOVE, List(critical=(AT,)), List(critical=(ELSEWHERE,))),
        points=(
            _point(full_name=_uri(), reasons=COMPROMISED),
            _point(full_name=_uri("http://crl.example/2"), reasons=OTHERS),
        ),
    ),
    Case(
        "two points, and the second one revokes",
        (ABOVE, List(critical=(AT,)), List(critical=(ELSEWHERE,), revoked=("leaf",))),
        (F.REVOKED,),
        points=(
            _point(full_name=_uri(), reasons=COMPROMISED),
            _point(full_name=_uri("http://crl.example/2"), reasons=OTHERS),
        ),
    ),
]


def _ids(case: Any) -> str:
    return str(getattr(case, "name", case))


@ROLES
@pytest.mark.parametrize("case", CASES, ids=_ids)
def test_the_findings_say_what_openssl_says(case: Case, role: Role) -> None:
    verdict, findings, _ = case.judged(role)
    assert tuple(finding.failure for finding in findings) == case.failures
    assert _agree(verdict, findings), (verdict, findings)
    assert all(finding.step is role.verified_at for finding in findings)


# --- every property crossed with every other ---

DATES: tuple[dict[str, Any], ...] = ({}, ENDED, TO_COME, OLDER)
KEYS: tuple[dict[str, Any], ...] = (
    {},
    {"identifier": None},
    {"key": OTHER_KEY},
    {"key": OTHER_KEY, "identifier": None},
    {"issuer": NAMESAKE},
)
PARTS: tuple[tuple[x509.ExtensionType, ...], ...] = (
    (),
    (USERS,),
    (CAS,),
    (AT,),
    (ELSEWHERE,),
    (INDIRECT,),
    (SOME_REASONS,),
    (STRANGE,),
    (USERS, STRANGE),
)
ENTRIES: tuple[tuple[Any, ...], ...] = ((), ("leaf",), (LOWER,))
CROSSED = [
    List(**dates, **keys, critical=parts, revoked=entries)
    for dates, keys, parts, entries in itertools.product(DATES, KEYS, PARTS, ENTRIES)
]


@ROLES
def test_one_list_with_any_faults_is_explained_as_openssl_judges_it(role: Role) -> None:
    """Half of the combinations in each role."""
    for place, sought in enumerate(CROSSED):
        if place % 2 == (role is Role.CLIENT):
            case = Case("crossed", (ABOVE, sought), points=(MINE,) if place % 3 else ())
            verdict, findings, _ = case.judged(role)
            assert _agree(verdict, findings), (sought, verdict, findings)


@ROLES
def test_several_lists_with_any_faults_are_explained_as_openssl_judges_them(role: Role) -> None:
    chance = random.Random(f"lists {role}")
    above = [List(ROOT), List(ROOT, **ENDED), List(ROOT, revoked=(LOWER,)), List(ROOT, critical=(CAS,))]
    for _ in range(250):
        lists = [*chance.sample(CROSSED, chance.randint(1, 4)), *chance.choices(above, k=chance.randint(0, 2))]
        chance.shuffle(lists)
        case = Case(
            "several", tuple(lists), points=chance.choice(((), (MINE,))), revocation=chance.choice((CHAIN, LEAF))
        )
        verdict, findings, _ = case.judged(role)
        assert _agree(verdict, findings), (lists, case, verdict, findings)


# --- what the findings say ---


def _only(case: Case, role: Role = Role.SERVER) -> Finding:
    [found] = case.judged(role)[1]
    return found


def test_a_revoked_certificate_is_told_with_date_reason_and_serial_number() -> None:
    case = Case("revoked", (ABOVE, List(revoked=(_reason(x509.ReasonFlags.key_compromise),))))
    _, [found], own = case.judged(Role.CLIENT)
    at = facts.when(NOW - 2 * HOUR)
    assert found.message == (
        f"CN=localhost was revoked by CN=lower CA on {at}, 2 hours ago (keyCompromise), so CN=localhost is refused"
    )
    assert (found.certificate, found.position) == (own.certificate, 0)
    assert found.presented == f"serial number {own.certificate.serial_number:x}, revoked on {at}"
    assert found.required == "a certificate that the CRL of CN=lower CA does not list"
    assert found.remedy == "do not rely on it: its owner must get a new certificate with a new key"


def test_a_revoked_intermediate_is_told_with_its_place() -> None:
    found = _only(Case("revoked", (List(ROOT, revoked=(LOWER,)), List())))
    assert (found.certificate, found.position) == (LOWER.certificate, 1)
    assert "CN=lower CA was revoked by CN=root CA on " in found.message
    assert "(no reason given)" in found.message


def test_a_list_that_ended_is_told_with_both_dates_and_the_distance() -> None:
    found = _only(Case("ended", (ABOVE, List(**ENDED))))
    ends, begins = facts.when(NOW - HOUR), facts.when(NOW - 2 * DAY)
    assert found.message == f"the CRL of CN=lower CA ended on {ends}, 1 hour ago, so CN=localhost is refused"
    assert found.presented == f"{begins} to {ends}"
    assert str(found.required).startswith("valid at ")
    assert found.remedy == "fetch the current CRL of CN=lower CA"


def test_a_list_that_has_not_begun_is_told_with_both_dates_and_the_distance() -> None:
    found = _only(Case("not begun", (ABOVE, List(begins=2 * DAY + HOUR, ends=9 * DAY))))
    begins = facts.when(NOW + 2 * DAY + HOUR)
    assert found.message == f"the CRL of CN=lower CA begins on {begins}, in 2 days, so CN=localhost is refused"
    assert found.remedy == "set the clock of this machine right, or fetch the current CRL of CN=lower CA"


def _shown(text: str, remedy: str, *lists: List, **given: Any) -> tuple[Case, str, str]:
    return Case(text, lists, **given), text, remedy


COMPLETE = "ask the CA for its complete CRL, or ask for revocation=Revocation.OFF by name"
GIVE = "give its CRL with crls=, or ask for revocation=Revocation.OFF by name"
CAUSES = [
    _shown("there is no CRL of CN=lower CA", GIVE, ABOVE),
    _shown(
        "there is no CRL of CN=lower CA",
        "give its CRL with crls= (the certificate says that it is at http://crl.example/1), "
        "or ask for revocation=Revocation.OFF by name",
        ABOVE,
        points=(MINE,),
    ),
    _shown(
        "the CRL of CN=lower CA is signed by another key than that of CN=lower CA",
        "get the CRL that this CA signed with this key: one that changed its key publishes a list for each",
        ABOVE,
        List(NAMESAKE),
    ),
    _shown(
        "the CRL of CN=lower CA is an indirect CRL, which OpenSSL does not support here",
        COMPLETE,
        ABOVE,
        List(critical=(INDIRECT,)),
    ),
    _shown(
        "the CRL of CN=lower CA is for some reasons of revocation only, which OpenSSL does not support here",
        COMPLETE,
        ABOVE,
        List(critical=(SOME_REASONS,)),
    ),
    _shown("the CRL of CN=lower CA is for CAs only, and CN=localhost is none", COMPLETE, ABOVE, List(critical=(CAS,))),
    _shown(
        "the CRL of CN=lower CA is for its distribution point http://crl.example/2 only, "
        "which CN=localhost does not name",
        COMPLETE,
        ABOVE,
        List(critical=(ELSEWHERE,)),
    ),
    _shown("the CRL of CN=lower CA is for attribute certificates only", COMPLETE, ABOVE, List(critical=(ATTRIBUTES,))),
    _shown(
        "the path ends with CN=lower CA, so nothing in it can say whether that was revoked",
        "trust the root above it, with the CRLs of both, or ask for revocation=Revocation.LEAF by name",
        ABOVE,
        List(),
        anchors=(LOWER,),
    ),
    _shown(
        "the path ends with CN=localhost, so nothing in it can say whether that was revoked",
        "trust the CA that issued it, with its CRL, or ask for revocation=Revocation.OFF by name",
        ABOVE,
        issuer=ROOT,
        pinned=True,
        anchors=(),
    ),
    _shown(
        "the certificate names distribution points of CN=lower CA for some reasons of revocation only",
        "have it issued anew with a distribution point for every reason, or ask for revocation=Revocation.OFF by name",
        ABOVE,
        List(critical=(AT,)),
        points=(_point(full_name=_uri(), reasons=COMPROMISED),),
    ),
]


@ROLES
@pytest.mark.parametrize(("case", "text", "remedy"), CAUSES, ids=_ids)
def test_every_cause_of_a_missing_list_has_its_words_and_its_remedy(
    case: Case, text: str, remedy: str, role: Role
) -> None:
    found = _only(case, role)
    assert found.failure is F.CRL_MISSING
    assert found.message.startswith(f"{text}, so CN=")
    assert found.remedy == remedy


def test_a_list_that_nobody_asked_for_is_named_where_one_is_missing() -> None:
    many = [List(CertificateAuthority(f"CA {number}")) for number in range(4)]
    assert _only(Case("one", (List(STRANGER),), revocation=LEAF)).presented == "CRLs of CN=stranger CA"
    found = _only(Case("many", tuple(many), revocation=LEAF))
    assert found.presented == "CRLs of CN=CA 0, CN=CA 1, CN=CA 2 and 1 more"


def test_the_two_keys_are_told_where_another_one_signed() -> None:
    found = _only(Case("namesake", (ABOVE, List(NAMESAKE))))
    keys = [facts.extension(authority.certificate, x509.SubjectKeyIdentifier) for authority in (LOWER, NAMESAKE)]
    assert [found.required, found.presented] == [f"key {key.digest.hex(':')}" for key in keys if key is not None]


def test_the_ca_that_may_not_sign_lists_is_the_certificate_of_the_finding() -> None:
    found = _only(Case("silent", (ABOVE, List(SILENT)), issuer=SILENT))
    assert (found.certificate, found.position, found.required) == (SILENT.certificate, 1, "cRLSign")
    assert found.message == "CN=silent CA may not sign CRLs: its keyUsage has no cRLSign, so CN=localhost is refused"


def test_an_unknown_critical_extension_is_named() -> None:
    found = _only(Case("strange", (ABOVE, List(critical=(STRANGE,)))))
    assert found.message.startswith(
        "the CRL of CN=lower CA has a critical extension that OpenSSL does not know (1.2.3.4), so "
    )
    assert found.presented == "1.2.3.4"


def test_what_a_ca_chose_is_escaped_and_bounded() -> None:
    hostile = CertificateAuthority("line\nbreak\x1b[2J" + "x" * 50)
    for case in (
        Case("missing", (ABOVE,), issuer=hostile, anchors=(hostile,)),
        Case("ended", (List(hostile, **ENDED),), issuer=hostile, anchors=(hostile,)),
        Case("revoked", (List(hostile, revoked=("leaf",)),), issuer=hostile, anchors=(hostile,)),
        Case("point", (List(hostile, critical=(_part(full_name=_uri("http://a/" + "b" * 9999)),)),), issuer=hostile),
    ):
        _, findings, _ = case.judged(Role.SERVER)
        texts = [text for found in findings for text in (found.message, found.remedy, found.required, found.presented)]
        assert findings
        assert all(str(text).isprintable() and len(str(text)) < 600 for text in texts)


# --- delta CRLs ---


DELTAS = [
    Case("alone", (ABOVE, List(critical=(DELTA,))), (F.CRL_MISSING,)),
    Case("not critical", (ABOVE, List(extensions=(DELTA,))), (F.CRL_MISSING,)),
    Case("beside a complete one", (ABOVE, List(**OLDER), List(critical=(DELTA,))), (F.CRL_MISSING,)),
    Case(
        "beside a complete one that revokes",
        (ABOVE, List(**OLDER, revoked=("leaf",)), List(critical=(DELTA,))),
        (F.REVOKED, F.CRL_MISSING),
    ),
    Case("of the root", (ABOVE, List(ROOT, critical=(DELTA,)), List()), (F.CRL_MISSING,) * 2),
    Case("of somebody else", (ABOVE, List(), List(STRANGER, critical=(DELTA,)))),
]


@ROLES
@pytest.mark.parametrize("case", DELTAS, ids=_ids)
def test_a_delta_crl_never_counts_and_is_always_told(case: Case, role: Role) -> None:
    own = case.keystore(role)
    path = [own.certificate, LOWER.certificate, ROOT.root]
    lists = [each.build(own.certificate) for each in case.lists]
    found = list(check_revocation(path, lists, CHAIN, step=role.verified_at, now=NOW))
    assert tuple(finding.failure for finding in found) == case.failures
    told = [finding.message for finding in found if finding.failure is F.CRL_MISSING]
    assert all(" is a delta CRL, which says only what changed since another one, so " in text for text in told)


@ROLES
def test_a_newer_delta_crl_hides_from_openssl_what_the_complete_one_revoked(role: Role, tmp_path: Path) -> None:
    """The reason why it is an error beforehand: a context that held both would let the revoked peer in."""
    own = LOWER.client("localhost") if role is Role.CLIENT else LOWER.server("localhost")
    complete, delta = List(**OLDER, revoked=("leaf",)), List(critical=(DELTA,))
    truststore = Truststore.from_certificates(
        [ROOT.root], crls=[each.build(own.certificate) for each in (ABOVE, complete)]
    )
    judge = Judge(
        Settings(role=role.other, keystore=None, truststore=truststore, policy=MOZILLA_INTERMEDIATE, revocation=CHAIN)
    )
    chain, name = [facts.der(own.certificate), *map(facts.der, own.chain)], "localhost" if role is Role.SERVER else None
    assert VERIFY_CODES[judge.judge(chain, name).code] is F.REVOKED
    file = tmp_path / "delta.pem"
    file.write_bytes(delta.build(own.certificate).public_bytes(Encoding.PEM))
    judge._context.load_verify_locations(str(file), None, None)
    assert judge.judge(chain, name).accepted
    both = truststore | Truststore.from_certificates([], crls=[delta.build(own.certificate)])
    [found] = check_crls(both, CHAIN, step=role.verified_at, now=NOW)
    assert (found.failure, found.severity) == (F.CRL_MISSING, Severity.ERROR)


# --- what is odd ---


def test_a_list_without_next_update_never_ends_and_never_ends_soon() -> None:
    crl, soon = List(ROOT, ends=None).build(ROOT.root), List(ROOT, begins=-20 * HOUR, ends=HOUR).build(ROOT.root)
    begun = facts.when(NOW - HOUR)
    assert freshness([crl], NOW) == [f"CRL of CN=root CA: issued {begun}, no next update, 0 entries"]
    for lists, expected in (([soon], [F.EXPIRES_SOON]), ([crl], []), ([soon, crl], [])):
        truststore = Truststore.from_certificates([ROOT.root], crls=lists)
        found = check_crls(truststore, CHAIN, step=Role.CLIENT.verified_at, now=NOW + HOUR / 2)
        assert [finding.failure for finding in found] == expected


def test_a_list_without_a_readable_extension_is_left_to_openssl_unless_it_may_be_a_delta_crl() -> None:
    broken = x509.UnrecognizedExtension(x509.IssuingDistributionPoint.oid, b"\x04\x00")
    crl, delta = (List(extensions=(broken, *more)).build(ROOT.root) for more in ((), (DELTA,)))
    for each in (crl, delta):
        with pytest.raises(ValueError, match="error parsing asn1 value"):
            each.extensions  # noqa: B018 - decodes them
    assert crl_form.unsupported(crl) is None
    assert crl_form.unknown_critical(crl) == []
    assert crl_form.unsupported(delta) == crl_form.DELTA


def test_a_list_in_date_to_the_second_is_judged_as_openssl_judges_it() -> None:
    """X509_cmp_time calls equal times earlier: a list begins in its first second, and has ended in its last."""
    now = datetime.now(UTC)
    moment = now.replace(microsecond=0) - NOW
    for lists, expected in ((List(begins=moment), ()), (List(ends=moment), (F.CRL_EXPIRED,))):
        own = LOWER.server("localhost")
        path = [own.certificate, LOWER.certificate, ROOT.root]
        found = check_revocation(
            path, [lists.build(own.certificate)], LEAF, step=Role.SERVER.verified_at, now=NOW + moment
        )
        assert tuple(finding.failure for finding in found) == expected


def test_a_long_list_is_looked_up_without_walking_through_it() -> None:
    builder = x509.CertificateRevocationListBuilder(LOWER.certificate.subject).last_update(NOW).next_update(NOW + DAY)
    for number in range(1, 3001):
        entry = x509.RevokedCertificateBuilder(number + (1 << 80), NOW - HOUR)
        builder = builder.add_revoked_certificate(entry.build())
    signing: Any = LOWER._key
    crl = builder.sign(signing, hashes.SHA256())
    assert crl_form._TRUE not in crl.tbs_certlist_bytes
    own = LOWER.server("localhost")
    path = [own.certificate, LOWER.certificate, ROOT.root]
    assert list(check_revocation(path, [crl], LEAF, step=Role.SERVER.verified_at, now=NOW)) == []


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 255)), min_size=1, max_size=4),
    st.integers(0, len(CROSSED) - 1),
)
def test_a_damaged_list_ends_in_findings_and_never_in_a_foreign_exception(
    changes: list[tuple[int, int]], place: int
) -> None:
    path = [FUZZED.certificate, LOWER.certificate, ROOT.root]
    content = bytearray(facts.der(CROSSED[place].build(FUZZED.certificate)))
    for position, value in changes:
        content[position % len(content)] = value
    try:
        truststore = Truststore.from_pem(ROOT.root.public_bytes(Encoding.PEM), crls=[bytes(content)])
    except TruststoreError:
        return
    crls = truststore.crls
    for revocation in Revocation:
        list(check_revocation(path, crls, revocation, step=Role.SERVER.verified_at, now=NOW))
        list(check_crls(truststore, revocation, step=Role.SERVER.verified_at, now=NOW))
    assert all(text.isprintable() for text in freshness(crls, NOW))
