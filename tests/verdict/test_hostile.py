"""Whatever a peer sends: a verdict or an error of ours, in bounded time, in words that are safe to print.

Rule: certificates are written byte by byte and signed with real keys, so that OpenSSL comes as far with them as it can.
What OpenSSL refuses is never accepted, whatever the change.
"""

from __future__ import annotations

import itertools
import time
import warnings
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

import mtls
from mtls import ChainRules, EKUPolicy, FailureReason, Revocation, Role
from mtls._handshake.generation import Settings
from mtls._handshake.verdict import Judge
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HOST = "service.example"
LATER = datetime(2030, 1, 1, tzinfo=UTC)
SECONDS = 3.0
"""Of the processor, for one chain, where coverage is measured on a busy machine; alone it takes a tenth of a second."""
LONGEST = 20_000
bounded = settings(max_examples=60, deadline=None, derandomize=True, database=None)


# --- certificates, byte by byte ---


def tlv(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    size = (length.bit_length() + 7) // 8
    return bytes([tag, 0x80 | size]) + length.to_bytes(size, "big") + content


def seq(*parts: bytes) -> bytes:
    return tlv(0x30, *parts)


def integer(number: int) -> bytes:
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def oid(dotted: str) -> bytes:
    first, second, *rest = map(int, dotted.split("."))
    content = b""
    for arc in (40 * first + second, *rest):
        septets = [arc & 0x7F]
        while arc := arc >> 7:
            septets.append(arc & 0x7F | 0x80)
        content += bytes(reversed(septets))
    return tlv(6, content)


def name(*values: str | bytes, tag: int = 12, kind: str = "2.5.4.3") -> bytes:
    contents = [value.encode() if isinstance(value, str) else value for value in values]
    return seq(*(tlv(0x31, seq(oid(kind), tlv(tag, content))) for content in contents))


def ext(number: str, content: bytes, *, critical: bool = False) -> bytes:
    return seq(oid(number), b"\1\1\xff" if critical else b"", tlv(4, content))


@cache
def key(owner: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def spki(owner: str) -> bytes:
    return key(owner).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


@cache
def key_id(owner: str) -> bytes:
    return x509.SubjectKeyIdentifier.from_public_key(key(owner).public_key()).digest


SAN, EKU, KU, BC, NC = "2.5.29.17", "2.5.29.37", "2.5.29.15", "2.5.29.19", "2.5.29.30"
AKI, SKI, AIA, CRLDP, POLICIES = "2.5.29.35", "2.5.29.14", "1.3.6.1.5.5.7.1.1", "2.5.29.31", "2.5.29.32"
ECDSA = seq(oid("1.2.840.10045.4.3.2"))
DATES = seq(tlv(23, b"250101000000Z"), tlv(23, b"350101000000Z"))
VERSION_3 = b"\xa0\3\2\1\2"
ROOT_NAME, LEAF_NAME = name("hostile root"), name("hostile leaf")
AUTHORITY = (ext(BC, seq(b"\1\1\xff"), critical=True), ext(KU, b"\3\2\1\6", critical=True))
BOTH_USES = seq(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2"))


def identified(owner: str, issuer: str) -> tuple[bytes, ...]:
    return ext(SKI, tlv(4, key_id(owner))), ext(AKI, seq(tlv(0x80, key_id(issuer))))


def certificate(
    subject: bytes, issuer: bytes, owner: str, signer: str, exts: Sequence[bytes], **fields: bytes
) -> bytes:
    extensions = tlv(0xA3, seq(*exts)) if exts else b""
    algorithm = fields.get("algorithm", ECDSA)
    body = seq(
        fields.get("version", VERSION_3), fields.get("serial", b"\2\1\5"), algorithm, issuer,
        fields.get("dates", DATES), subject, fields.get("public_key", spki(owner)), extensions, fields.get("more", b""),
    )  # fmt: skip
    signature = key(signer).sign(body, ec.ECDSA(hashes.SHA256()))
    return seq(body, fields.get("outer", algorithm), tlv(3, b"\0", signature))


USUAL = {
    BC: ext(BC, seq(), critical=True),
    KU: ext(KU, b"\3\2\7\x80", critical=True),
    EKU: ext(EKU, BOTH_USES),
    SAN: ext(SAN, seq(tlv(0x82, HOST.encode()))),
    SKI: ext(SKI, tlv(4, key_id("leaf"))),
    AKI: ext(AKI, seq(tlv(0x80, key_id("root")))),
}


def leaf(
    *more: bytes, without: str = "", subject: bytes = LEAF_NAME, issuer: bytes = ROOT_NAME, **fields: bytes
) -> bytes:
    exts = [value for number, value in USUAL.items() if number != without]
    return certificate(subject, issuer, "leaf", "root", [*exts, *more], **fields)


def authority(subject: bytes, issuer: bytes, owner: str, signer: str, *more: bytes, serial: int = 7) -> bytes:
    exts = [*AUTHORITY, *identified(owner, signer), *more]
    return certificate(subject, issuer, owner, signer, exts, serial=integer(serial))


def anonymous(subject: bytes, issuer: bytes, owner: str, signer: str, serial: int = 7) -> bytes:
    """A CA without key identifiers."""
    return certificate(subject, issuer, owner, signer, AUTHORITY, serial=integer(serial))


ROOT = x509.load_der_x509_certificate(authority(ROOT_NAME, ROOT_NAME, "root", "root"))
TRUST = mtls.Truststore.from_certificates([ROOT])
INNER_NAME = name("hostile inner")
INNER = authority(INNER_NAME, ROOT_NAME, "inner", "root")
BELOW = certificate(
    LEAF_NAME, INNER_NAME, "leaf", "inner", [USUAL[BC], USUAL[KU], USUAL[EKU], USUAL[SAN], *identified("leaf", "inner")]
)


# --- what must hold for each of them ---


@cache
def judge(role: Role, rules: ChainRules) -> Judge:
    return Judge(
        Settings(role=role.other, keystore=None, truststore=TRUST, policy=mtls.MOZILLA_INTERMEDIATE, chain_rules=rules)
    )


def said(
    chain: Any,
    role: Role = Role.SERVER,
    trust: mtls.Truststore = TRUST,
    *,
    seconds: float = SECONDS,
    **options: Any,
) -> mtls.MTLSError | None:
    """What ``verify`` raises, ``None`` where it accepts; its texts, its time and its kind are looked at."""
    started = time.process_time()
    error: mtls.MTLSError | None = None
    findings: tuple[mtls.Finding, ...] = ()
    try:
        verified = mtls.verify(chain, trust, role=role, **options)
        text, findings = str(verified), verified.findings
    except mtls.MTLSError as refusal:
        error, text = refusal, str(refusal)
        findings = refusal.findings if isinstance(refusal, mtls.ChainError) else ()
    spent = time.process_time() - started
    assert spent < seconds, f"{spent:.2f} s"
    assert all(line.isprintable() for line in text.split("\n")), text
    assert len(text) < LONGEST, len(text)
    for finding in findings:
        for part in (finding.message, finding.remedy, finding.required or "-", finding.presented or "-"):
            assert part.isprintable(), part
            assert len(part) < LONGEST // 4, len(part)
    return error


WAYS = [(role, rules) for role in Role for rules in ChainRules]


def try_all(chain: list[bytes]) -> list[bool]:
    """Whether it is accepted, in both roles, strict and lenient; and never where OpenSSL does not."""
    accepted = []
    for role, rules in WAYS:
        hostname = HOST if role is Role.SERVER else None
        refusal = said(chain, role, chain_rules=rules, hostname=hostname)
        verdict = judge(role, rules).judge(chain, hostname)
        assert refusal is not None or verdict.accepted
        said(chain, role, chain_rules=rules, hostname=hostname, at=LATER)
        accepted.append(refusal is None)
    return accepted


def failures(error: mtls.MTLSError | None) -> list[FailureReason]:
    return [finding.failure for finding in error.findings] if isinstance(error, mtls.ChainError) else []


def test_the_chains_are_good_before_they_are_changed() -> None:
    assert all(try_all([leaf()]))
    assert all(try_all([BELOW, INNER]))


# --- one field that is not as it should be ---

LONG = b"\1" * 60_000
FIELDS: dict[str, dict[str, bytes]] = {
    "serial negative": {"serial": b"\2\1\x85"},
    "serial zero": {"serial": b"\2\1\0"},
    "serial of 60 kB": {"serial": tlv(2, LONG)},
    "serial of 60 kB, no subject": {"serial": tlv(2, LONG), "subject": seq(), "without": SAN.encode()},
    "serial empty": {"serial": b"\2\0"},
    "serial padded": {"serial": b"\2\2\0\5"},
    "version 1": {"version": b""},
    "version 2": {"version": b"\xa0\3\2\1\1"},
    "version 4": {"version": b"\xa0\3\2\1\3"},
    "version negative": {"version": b"\xa0\3\2\1\x80"},
    "GeneralizedTime before 2050": {"dates": seq(tlv(24, b"20250101000000Z"), tlv(24, b"20350101000000Z"))},
    "year 0": {"dates": seq(tlv(24, b"00000101000000Z"), tlv(23, b"350101000000Z"))},
    "year 1": {"dates": seq(tlv(24, b"00010101000000Z"), tlv(24, b"00010102000000Z"))},
    "year 9999": {"dates": seq(tlv(23, b"250101000000Z"), tlv(24, b"99991231235959Z"))},
    "month 13": {"dates": seq(tlv(23, b"251301000000Z"), tlv(23, b"350101000000Z"))},
    "dates with an offset": {"dates": seq(tlv(23, b"250101000000+0100"), tlv(23, b"350101000000Z"))},
    "dates turned": {"dates": seq(tlv(23, b"350101000000Z"), tlv(23, b"250101000000Z"))},
    "dates of garbage": {"dates": seq(tlv(23, b"\x1b[31m"), tlv(23, b"350101000000Z"))},
    "no dates": {"dates": seq()},
    "something more": {"more": b"\5\0"},
    "inner algorithm unknown": {"algorithm": seq(oid("1.2.3.4"))},
    "algorithm MD5": {"algorithm": seq(oid("1.2.840.113549.1.1.4"), b"\5\0")},
    "algorithm with NULL": {"algorithm": seq(oid("1.2.840.10045.4.3.2"), b"\5\0")},
    "algorithm PSS of nothing": {"algorithm": seq(oid("1.2.840.113549.1.1.10"), seq())},
    "algorithm PSS of no hash": {"algorithm": seq(oid("1.2.840.113549.1.1.10"), seq(tlv(0xA0, seq(oid("1.2.3")))))},
    "algorithms that differ": {"outer": seq(oid("1.2.840.10045.4.3.3"))},
    "outer algorithm unknown": {"outer": seq(oid("1.2.3.4"))},
}
NAMES: dict[str, bytes] = {
    "control characters": name("\x1b[31mred\r\n\0\x07"),
    "bidirectional": name("\u202eevil\u2066"),
    "64 kB": name("a" * 64_000),
    "5,000 names": name(*["x"] * 5_000),
    "invalid UTF-8": name(b"\xff\xfe\x80"),
    "BMPString": name("ab".encode("utf-16-be"), tag=30),
    "BMPString of odd length": name(b"abc", tag=30),
    "BMPString with a surrogate": name(b"\xd8\0", tag=30),
    "UniversalString beyond Unicode": name(b"\xff" * 8, tag=28),
    "T61String": name(b"\xe9\x1b", tag=20),
    "BIT STRING": name(b"\0\5", tag=3),
    "INTEGER": name(b"\5", tag=2),
    "country that is none": name("Nowhere\x07", tag=19, kind="2.5.4.6"),
    "unknown attribute": name(b"\x1b[1m", kind="1.2.3.4.5"),
    "empty value": name(""),
    "empty RDN": seq(tlv(0x31)),
    "empty": seq(),
    "no name": tlv(4, b"x"),
}


def of(point: bytes, *parameters: bytes) -> bytes:
    return seq(seq(oid("1.2.840.10045.2.1"), *parameters), tlv(3, b"\0", point))


def rsa(modulus: int, exponent: int) -> bytes:
    return seq(seq(oid("1.2.840.113549.1.1.1"), b"\5\0"), tlv(3, b"\0", seq(integer(modulus), integer(exponent))))


P256, POINT, N = oid("1.2.840.10045.3.1.7"), spki("leaf")[-65:], (1 << 2047) | 1
KEYS: dict[str, bytes] = {
    "RSA of 16,384 bits": rsa((1 << 16383) | 1, 65537),
    "RSA of 20,000 bits": rsa((1 << 19999) | 1, 65537),
    "RSA of 512 bits": rsa((1 << 511) | 1, 65537),
    "RSA of 1 bit": rsa(1, 3),
    "exponent 1": rsa(N, 1),
    "exponent 3": rsa(N, 3),
    "exponent even": rsa(N, 2),
    "exponent 0": rsa(N, 0),
    "exponent as long as the modulus": rsa((1 << 3071) | 1, (1 << 3070) | 1),
    "even modulus": rsa(N + 1, 65537),
    "RSA of nothing": seq(seq(oid("1.2.840.113549.1.1.1"), b"\5\0"), tlv(3, b"\0")),
    "point at infinity": of(b"\0", P256),
    "point off the curve": of(b"\4" + b"\1" * 64, P256),
    "compressed point": of(bytes([2 + POINT[-1] % 2]) + POINT[1:33], P256),
    "explicit parameters": of(POINT, seq(integer(1), seq(oid("1.2.840.10045.1.1"), integer(23)), seq(), b"\4\0")),
    "unknown curve": of(POINT, oid("1.2.3.4")),
    "implicit curve": of(POINT, b"\5\0"),
    "no curve": of(POINT),
    "curve over a binary field": of(b"\4" + b"\1" * 72, oid("1.3.132.0.16")),
    "unknown algorithm": seq(seq(oid("1.2.3.4.5")), tlv(3, b"\0abc")),
    "DSA of nothing": seq(seq(oid("1.2.840.10040.4.1")), tlv(3, b"\0\2\1\5")),
    "X25519": seq(seq(oid("1.3.101.110")), tlv(3, b"\0" + b"\1" * 32)),
    "Ed25519, short": seq(seq(oid("1.3.101.112")), tlv(3, b"\0\1")),
    "empty": seq(),
}


@pytest.mark.parametrize("what", FIELDS)
def test_a_field_that_is_not_as_it_should_be(what: str) -> None:
    fields = {**FIELDS[what]}
    without = fields.pop("without", b"").decode()
    try_all([leaf(without=without, **fields)])


def test_an_algorithm_without_the_parameters_that_it_needs() -> None:
    try_all([leaf(algorithm=seq(oid("1.2.840.113549.1.1.10")))])


@pytest.mark.parametrize("what", NAMES)
def test_a_name_that_is_not_as_it_should_be(what: str) -> None:
    try_all([leaf(subject=NAMES[what])])
    try_all([leaf(issuer=NAMES[what])])


@pytest.mark.parametrize("what", KEYS)
def test_a_key_that_is_not_as_it_should_be(what: str) -> None:
    try_all([leaf(public_key=KEYS[what])])
    odd = certificate(
        INNER_NAME, ROOT_NAME, "inner", "root", [*AUTHORITY, *identified("inner", "root")], public_key=KEYS[what]
    )
    try_all([BELOW, odd])


CONTENTS: dict[str, bytes] = {
    "nothing": b"",
    "garbage": b"\xff\xff\xff",
    "an empty SEQUENCE": seq(),
    "NULL": b"\5\0",
    "something behind": seq() + b"x",
    "a huge INTEGER": tlv(2, b"\x7f" + b"\xff" * 20),
    "a negative INTEGER": seq(b"\2\1\x80"),
    "bits": b"\3\1\0",
    "bits that are not there": b"\3\2\x09\xff",
    "an empty choice": seq(tlv(0xA0, seq())),
    "a key identifier of control characters": seq(tlv(0x80, b"\x1b[1m")),
    "a serial number of nothing": seq(tlv(0x82)),
    "a name beyond ASCII": seq(tlv(0x82, b"\xff\x1b[1m\0")),
    "a URI of control characters": seq(tlv(0x86, b"\x1b\xff")),
    "an address of three bytes": seq(tlv(0x87, b"123")),
    "an odd directory name": seq(tlv(0xA4, b"xx")),
    "an address with escapes": seq(seq(oid("1.3.6.1.5.5.7.48.2"), tlv(0x86, b"http://x/\x1b[2J"))),
    "a constraint beyond ASCII": seq(tlv(0xA0, seq(tlv(0x82, b"\xff\x1b")))),
    "a constraint with host bits": seq(tlv(0xA1, seq(tlv(0x87, b"\1\2\3\4\xff\0\0\0")))),
    "a point of control characters": seq(seq(tlv(0xA0, tlv(0xA0, tlv(0x86, b"\x1b\xff"))))),
    "a policy with escapes": seq(seq(oid("2.5.29.32.0"), seq(seq(oid("1.3.6.1.5.5.7.2.1"), tlv(22, b"\xff\x1b"))))),
    "an odd OID": seq(tlv(6, b"\x80\x80")),
    "a huge OID": seq(tlv(6, b"\x2a" + b"\xff" * 200 + b"\1")),
    "an indefinite length": b"\x30\x80\0\0",
    "a deep nesting": b"\x30\x80" * 3000,
    "60 kB": tlv(4, LONG),
}
NUMBERS = (
    SAN,
    EKU,
    KU,
    BC,
    NC,
    AKI,
    SKI,
    AIA,
    CRLDP,
    POLICIES,
    "1.3.6.1.5.5.7.1.24",
    "2.16.840.1.113730.1.1",
    "1.2.3.4",
)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_extension_of_garbage(number: str) -> None:
    ways = itertools.cycle(WAYS)
    for content, critical in itertools.product(CONTENTS.values(), (False, True)):
        role, rules = next(ways)
        chain = [leaf(ext(number, content, critical=critical), without=number)]
        if said(chain, role, chain_rules=rules) is None:
            assert judge(role, rules).judge(chain).accepted
        said([BELOW, authority(INNER_NAME, ROOT_NAME, "inner", "root", ext(number, content))], role, chain_rules=rules)


@pytest.mark.parametrize("number", NUMBERS)
def test_an_extension_twice(number: str) -> None:
    for critical in (False, True):
        again = ext(number, seq(), critical=critical)
        try_all([leaf(again, again)])


def test_extensions_that_cannot_be_read_are_not_taken_for_absent() -> None:
    twice = leaf(ext("1.2.3.4", b""), ext("1.2.3.4", b""))
    verified = mtls.verify([twice], TRUST, role=Role.SERVER)
    assert [finding.failure for finding in verified.findings] == [FailureReason.MALFORMED]
    assert "extensions that are not well-formed" in verified.findings[0].message


def test_lists_of_thousands_are_cut() -> None:
    usages = seq(*(oid(f"1.2.{number}") for number in range(9_000)))
    assert failures(said([leaf(ext(EKU, usages), without=EKU)]))[0] is FailureReason.WRONG_EKU
    strange = [ext(f"1.2.3.{number}", b"", critical=True) for number in range(4_000)]
    assert FailureReason.UNKNOWN_CRITICAL_EXTENSION in failures(said([leaf(*strange)]))
    many = ext(SAN, seq(*(tlv(0x82, b"*.h%d.example" % number) for number in range(5_000))))
    assert failures(said([leaf(many, without=SAN)], hostname="x.h5000.example"))[0] is FailureReason.HOSTNAME_MISMATCH
    places = [seq(oid("1.3.6.1.5.5.7.48.2"), tlv(0x86, b"http://x/" + b"\x1b" * 40_000))]
    assert failures(said([leaf(ext(AIA, seq(*places)), issuer=name("somebody else"))]))


# --- what OpenSSL reads and the library does not ---


@pytest.mark.parametrize("serial", [b"\2\1\x85", b"\2\1\0"], ids=["negative", "zero"])
def test_a_certificate_that_only_openssl_reads_is_accepted_with_a_warning(serial: bytes) -> None:
    chain = [leaf(serial=serial)]
    verified = mtls.verify(chain, TRUST, role=Role.SERVER, hostname=HOST)
    assert [finding.failure for finding in verified.findings] == [FailureReason.MALFORMED]
    assert verified.findings[0].position == 0
    assert verified.anchor == ROOT


@pytest.mark.parametrize("serial", [b"\2\1\x85", b"\2\1\0"], ids=["negative", "zero"])
def test_rules_are_never_applied_to_a_certificate_that_cannot_be_read(serial: bytes) -> None:
    asked: list[object] = []

    def admit(peer: mtls.PeerIdentity) -> bool:
        asked.append(peer)
        return True

    keystore = CertificateAuthority().server(HOST)
    profile = mtls.TLSProfile.server(keystore=keystore, truststore=TRUST, authorize=admit)
    with pytest.raises(mtls.ChainError) as caught:
        profile.verify_peer([leaf(serial=serial)])
    assert caught.value.failure is FailureReason.MALFORMED
    assert not asked
    assert failures(said([leaf(serial=serial)], eku=EKUPolicy.REQUIRED)) == [FailureReason.MALFORMED]


def test_an_intermediate_that_only_openssl_reads_is_not_said_to_be_missing() -> None:
    odd = certificate(
        INNER_NAME, ROOT_NAME, "inner", "root", [*AUTHORITY, *identified("inner", "root")], serial=b"\2\1\x85"
    )
    assert said([BELOW, odd]) is None
    told = failures(said([BELOW, odd], hostname="another.test"))
    assert told[0] is FailureReason.HOSTNAME_MISMATCH
    assert FailureReason.INCOMPLETE_CHAIN not in told


# --- any change whatever ---


@bounded
@given(content=st.binary(max_size=400), role=st.sampled_from(Role))
def test_arbitrary_bytes(content: bytes, role: Role) -> None:
    assert said(content, role) is not None
    assert said([leaf(), content], role) is not None or content.startswith(b"0")
    assert said([content, ROOT], role) is not None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for crls in ([content],):
            try:
                trust = mtls.Truststore.from_pem(ROOT.public_bytes(Encoding.PEM), crls=crls)
            except mtls.TruststoreError:
                continue
            said([leaf()], role, trust)


Edits = list[tuple[float, int, bytes]]
EDITS: st.SearchStrategy[Edits] = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 4), st.binary(max_size=4)), min_size=1, max_size=3
)


def changed(content: bytes, edits: Edits) -> bytes:
    for place, removed, added in edits:
        position = int(place * len(content))
        content = content[:position] + added + content[position + removed :]
    return content


def signed_part(encoded: bytes) -> bytes:
    """What stands before the algorithm and the signature."""
    return encoded[: len(encoded) - 75]


@bounded
@given(edits=EDITS, which=st.sampled_from([0, 1]), way=st.sampled_from(WAYS))
def test_a_changed_certificate_is_accepted_only_where_openssl_accepts_it(
    edits: Edits, which: int, way: tuple[Role, ChainRules]
) -> None:
    chain = [BELOW, INNER]
    chain[which] = changed(chain[which], edits)
    role, rules = way
    if said(chain, role, chain_rules=rules) is None:
        assert judge(role, rules).judge(chain).accepted
    said(chain, role, chain_rules=rules, at=LATER)


@bounded
@given(
    place=st.floats(0, 1, exclude_max=True),
    bit=st.integers(0, 7),
    which=st.sampled_from([0, 1]),
    role=st.sampled_from(Role),
)
def test_a_bit_that_flips_in_the_signed_part_is_always_refused(place: float, bit: int, which: int, role: Role) -> None:
    chain = [BELOW, INNER]
    start, end = 4, len(signed_part(chain[which])) - 20
    position = start + int(place * (end - start))
    flipped = bytearray(chain[which])
    flipped[position] ^= 1 << bit
    chain[which] = bytes(flipped)
    assert said(chain, role, chain_rules=ChainRules.LENIENT) is not None


@bounded
@given(edits=EDITS, role=st.sampled_from(Role), way=st.sampled_from(ChainRules))
def test_a_change_that_the_ca_has_signed(edits: Edits, role: Role, way: ChainRules) -> None:
    """OpenSSL comes further with it: what is changed lies inside of a good signature."""
    exts = changed(b"".join([*USUAL.values()]), edits)
    chain = [certificate(LEAF_NAME, ROOT_NAME, "leaf", "root", [exts])]
    if said(chain, role, chain_rules=way) is None:
        assert judge(role, way).judge(chain).accepted


@bounded
@given(edits=EDITS)
def test_a_changed_crl(edits: Edits) -> None:
    for crl in (changed(CRL, edits), resigned_crl(changed(CRL_BODY, edits))):
        try:
            trust = mtls.Truststore.from_pem(ROOT.public_bytes(Encoding.PEM), crls=[crl])
        except mtls.TruststoreError:
            continue
        for revocation in Revocation:
            said([leaf()], trust=trust, revocation=revocation)
        said([leaf()], trust=trust, at=LATER)


def resigned_crl(body: bytes) -> bytes:
    whole = seq(body)
    return seq(whole, ECDSA, tlv(3, b"\0", key("root").sign(whole, ec.ECDSA(hashes.SHA256()))))


CRL_BODY = (
    integer(1)
    + ECDSA
    + ROOT_NAME
    + tlv(23, b"250101000000Z")
    + tlv(23, b"350101000000Z")
    + seq(seq(integer(99), tlv(23, b"250101000000Z")))
    + tlv(0xA0, seq(ext(AKI, seq(tlv(0x80, key_id("root")))), ext("2.5.29.20", integer(1))))
)
CRL = resigned_crl(CRL_BODY)


def test_the_crl_is_good_before_it_is_changed() -> None:
    trust = mtls.Truststore.from_pem(ROOT.public_bytes(Encoding.PEM), crls=[CRL])
    assert said([leaf()], trust=trust) is None


# --- chains that are built to explode ---


def line(count: int, width: int = 1) -> list[bytes]:
    """Each issued by the next, no end; each name of ``width`` parts."""
    names = [name(*(f"x{part}" for part in range(width)), f"{number}") for number in range(count + 1)]
    first = certificate(LEAF_NAME, names[0], "leaf", "any", [USUAL[BC]])
    return [first, *(anonymous(names[at], names[at + 1], "any", "any", at + 1) for at in range(count))]


def loop(count: int) -> list[bytes]:
    pair = [name("A"), name("B")]
    first = certificate(LEAF_NAME, pair[0], "leaf", "any", [USUAL[BC]])
    return [first, *(anonymous(pair[at % 2], pair[1 - at % 2], "any", "any", at + 1) for at in range(count))]


def web(size: int, *, one_key: bool) -> list[bytes]:
    """Each of the CAs signed by each other one."""
    names = [name(f"web {number}") for number in range(size)]
    owners = ["any" if one_key else f"web {number}" for number in range(size)]
    first = certificate(LEAF_NAME, names[0], "leaf", owners[0], [USUAL[BC]])
    make = anonymous if one_key else authority
    pairs = itertools.permutations(range(size), 2)
    return [
        first,
        *(make(names[one], names[by], owners[one], owners[by], serial=9 + size * one + by) for one, by in pairs),
    ]


def namesakes(count: int, width: int = 1) -> list[bytes]:
    who = name(*(f"x{part}" for part in range(width)))
    first = certificate(LEAF_NAME, who, "leaf", "root", [USUAL[BC]])
    return [first, *(anonymous(who, name("up"), "any", "any", at + 1) for at in range(count))]


def constraints(kind: int, held: bytes, names: int, limits: int) -> list[bytes]:
    """As many names as constraints, which have to be compared with each other."""
    subtrees = seq(tlv(0xA1, *(seq(tlv(kind, held % number)) for number in range(limits))))
    ca = authority(INNER_NAME, ROOT_NAME, "inner", "root", ext(NC, subtrees, critical=True))
    some = ext(SAN, seq(*(tlv(kind, b"n" + held % number) for number in range(names))))
    exts = [USUAL[BC], USUAL[KU], USUAL[EKU], some, *identified("leaf", "inner")]
    return [certificate(LEAF_NAME, INNER_NAME, "leaf", "inner", exts), ca]


def slow_keys() -> list[bytes]:
    """Signatures that take long to verify: the public exponent is as long as the key."""
    slow = rsa((1 << 3071) | 12345, (1 << 3070) | 1)
    sha = seq(oid("1.2.840.113549.1.1.11"), b"\5\0")
    chain = [certificate(LEAF_NAME, name("s0"), "leaf", "any", [USUAL[BC]])]
    for at in range(60):
        body = seq(
            VERSION_3, integer(at + 1), sha, name(f"s{at + 1}"), DATES, name(f"s{at}"), slow, tlv(0xA3, seq(*AUTHORITY))
        )
        chain.append(seq(body, sha, tlv(3, b"\0", b"\1" * 384)))
    return chain


UNREADABLE = certificate(LEAF_NAME, ROOT_NAME, "any", "any", [], serial=b"\2\1\x85")
COMPARED = {"DNS": (0x82, b"n%d.example"), "e-mail": (0x81, b"n%d@e.example"), "URI": (0x86, b"h://n%d.e")}
BOMBS: dict[str, Callable[[], list[bytes]]] = {
    "100 in a line": lambda: line(100),
    "250 in a line": lambda: line(250),
    "75 in a line, with long names": lambda: line(75, 20),
    "100 in a loop": lambda: loop(100),
    "250 in a loop": lambda: loop(250),
    "ten cross-signed": lambda: web(10, one_key=False),
    "ten cross-signed with one key": lambda: web(10, one_key=True),
    "15 cross-signed with one key": lambda: web(15, one_key=True),
    "200 namesakes": lambda: namesakes(200),
    "namesakes with a name of 20 kB": lambda: namesakes(3, 1_500),
    "one leaf 200 times": lambda: [leaf()] * 200,
    "200 that are not needed": lambda: [leaf(), *line(200)[1:]],
    "200 that cannot be read": lambda: [leaf(), *[UNREADABLE] * 200],
    "200 of nothing": lambda: [leaf(), *[b"0\0"] * 200],
    "60 slow keys": slow_keys,
} | {
    f"{names} names, {limits} constraints, {what}": partial(constraints, *COMPARED[what], names, limits)
    for (names, limits), what in itertools.product([(1_000, 1_000), (2_000, 2_000), (4_000, 200)], COMPARED)
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_chain_that_is_built_to_explode_ends_soon(bomb: str) -> None:
    chain = BOMBS[bomb]()
    for role, hostname in ((Role.SERVER, HOST), (Role.CLIENT, None)):
        error = said(chain, role, hostname=hostname)
        assert (error is None) <= judge(role, ChainRules.STRICT).judge(chain, hostname).accepted
    said(chain, at=LATER)


@pytest.mark.parametrize("make", [line, loop, namesakes], ids=["line", "loop", "namesakes"])
def test_a_thousand_certificates_are_more_than_openssl_takes(make: Callable[[int], list[bytes]]) -> None:
    error = said(make(999), seconds=2 * SECONDS)  # OpenSSL is asked about each of them alone
    assert failures(error)[0] is FailureReason.MALFORMED
    assert "100 kB" in str(error)
    with pytest.raises(mtls.ChainSourceError, match="more than 1000 certificates"):
        mtls.verify(make(1000), TRUST, role=Role.SERVER)


def test_many_twins_that_are_out_of_date_end_soon_for_another_time_too() -> None:
    who, sent = name("twins"), []
    for number in range(120):
        dates = seq(tlv(23, b"250101000000Z"), tlv(23, b"280101%02d%02d00Z" % divmod(number, 60)))
        exts = [*AUTHORITY, *identified("any", "root")]
        sent.append(certificate(who, ROOT_NAME, "any", "root", exts, serial=integer(number + 1), dates=dates))
    below = certificate(LEAF_NAME, who, "leaf", "any", [USUAL[BC], USUAL[KU], *identified("leaf", "any")])
    assert said([below, *sent]) is None
    assert failures(said([below, *sent], at=LATER))[0] is FailureReason.EXPIRED


def test_an_authority_that_signs_itself_by_another_is_no_anchor() -> None:
    one, other = name("A"), name("B")
    chain = [
        certificate(LEAF_NAME, one, "leaf", "one", [USUAL[BC], USUAL[AKI]]),
        authority(one, other, "one", "other"),
        authority(other, one, "other", "one"),
    ]
    assert not any(try_all(chain))


def test_a_crl_may_name_its_issuer_by_a_serial_number_of_zero() -> None:
    """``cryptography`` warns whenever such a number is read, and a warning is an error here."""
    with warnings.catch_warnings(action="ignore"):
        root = x509.load_der_x509_certificate(authority(ROOT_NAME, ROOT_NAME, "root", "root", serial=0))
    begins = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateRevocationListBuilder().issuer_name(root.subject).last_update(begins)
    builder = builder.next_update(begins + timedelta(days=9))
    named = x509.AuthorityKeyIdentifier(key_id("root"), [x509.DirectoryName(root.issuer)], 5)
    crl = builder.add_extension(named, critical=False).sign(key("root"), hashes.SHA256())
    trust = mtls.Truststore.from_certificates([root], crls=[crl])
    refusal = said([leaf()], Role.SERVER, trust, revocation=Revocation.CHAIN, chain_rules=ChainRules.LENIENT)
    assert isinstance(refusal, mtls.ChainError)
    assert FailureReason.CRL_MISSING in {found.failure for found in refusal.findings}
