"""The name that was asked for, against the names of the leaf. OpenSSL is the judge: a finding where it finds none."""

from __future__ import annotations

import functools
import itertools
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mtls import MOZILLA_INTERMEDIATE, FailureReason, Finding, HandshakeStep, Role, Severity, Truststore
from mtls._certificate import der
from mtls._checks.host_name import check_host_name
from mtls._handshake.generation import Settings
from mtls._handshake.verdict import Judge

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = HandshakeStep.CLIENT_VERIFIES_SERVER
NOW, DAY = datetime.now(UTC), timedelta(days=1)
ROOT_KEY, LEAF_KEY = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
OTHER_NAME, EMAIL, DNS, URI, ADDRESS = 0xA0, 0x81, 0x82, 0x86, 0x87
MISMATCHES = {62, 64}
"""HOSTNAME_MISMATCH and IP_ADDRESS_MISMATCH."""


def _tlv(tag: int, value: bytes | str) -> bytes:
    content = value.encode("latin-1") if isinstance(value, str) else value
    size = bytes([len(content)]) if len(content) < 128 else b"\x83" + len(content).to_bytes(3, "big")
    return bytes([tag]) + size + content


def _certificate(ca: bool, common_name: str, names: bytes = b"") -> x509.Certificate:
    """The root, or a leaf below it with these names as they are: ``cryptography`` would not write some of them."""
    root, subject = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]) for name in ("root", common_name))
    key, above = (ROOT_KEY if ca else LEAF_KEY).public_key(), ROOT_KEY.public_key()
    builder = x509.CertificateBuilder(root, subject, key, 7, NOW - DAY, NOW + DAY)
    builder = builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    builder = builder.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(above), critical=False)
    if ca:
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        builder = builder.add_extension(usage, critical=True)
    if names:
        value = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, _tlv(0x30, names))
        builder = builder.add_extension(value, critical=False)
    return builder.sign(ROOT_KEY, hashes.SHA256())


@functools.cache
def _leaf(*names: bytes, common_name: str = "leaf") -> x509.Certificate:
    return _certificate(False, common_name, b"".join(names))


TRUST = Truststore.from_certificates([_certificate(True, "root")])
JUDGE = Judge(Settings(role=Role.CLIENT, keystore=None, truststore=TRUST, policy=MOZILLA_INTERMEDIATE))


def _code(leaf: x509.Certificate, hostname: str) -> int:
    verdict = JUDGE.judge([der(leaf)], hostname)
    assert verdict.judged, verdict
    assert verdict.code in {0, *MISMATCHES}, verdict
    return verdict.code


def _findings(leaf: x509.Certificate, hostname: str) -> list[Finding]:
    return list(check_host_name(leaf, hostname, step=STEP))


def _found(*names: bytes, hostname: str, common_name: str = "leaf") -> Finding:
    leaf = _leaf(*names, common_name=common_name)
    assert _code(leaf, hostname) in MISMATCHES
    [finding] = _findings(leaf, hostname)
    assert (finding.failure, finding.severity, finding.step) == (FailureReason.HOSTNAME_MISMATCH, Severity.ERROR, STEP)
    assert (finding.certificate, finding.position, finding.required) == (leaf, 0, hostname)
    return finding


HOSTS = (
    "a.example", "A.Example", "a.example.", "b.a.example", "c.b.a.example", "example", "www.a.example", "xa.example",
    "*.a.example", "b_c.a.example", "xn--b.a.example", "b.xn--a.example", "-b.a.example", "b.a.example.",
    "b.a_c.example", "a.exampl", "b.-a.example", "b.a..example", "xn--mnchen-3ya.example", "leaf",
)  # fmt: skip
DNS_NAMES = (
    "a.example", "A.EXAMPLE", "a.example.", ".a.example", "b.a.example", "*.a.example", "*.A.example", "*.example", "*",
    "*.a.example.", "*.*.example", "b.*.example", "b*.a.example", "*b.a.example", "xn--*.a.example", "*.xn--a.example",
    "*.a_c.example", "*.-a.example", "*.a-.example", "*.a..example", "", "a.example\0", "a.example\0.evil.test",
    "m\u00fcnchen.example", "xn--mnchen-3ya.example", "*.a.example.evil.test", " a.example", "example",
)  # fmt: skip
ADDRESSES = (
    "10.0.0.1", "010.0.0.1", " 10.0.0.1", "10.0.+0.1", "10.0.0.1 x", "10.0.0.1x", "10.0.0", "10.0.0.1.", "10.0.0.256",
    "10.0.0.2", "167772161", "0x0a.0.0.1", "10.0.0 .1", "10.0.-1.1", "10.0.-0.1", "::ffff:10.0.0.1",
    "::ffff:10.0.0.1 x", "::ffff:10.0.0.256", "::1", "0:0:0:0:0:0:0:1", "0::0:1", "::0.0.0.1", ":::1", "::1::", "[::1]",
    "::1%lo", "::00001", "::", "0:0:0:0:0:0:1::", "1:2:3:4:5:6:7:8:9", "::2", "::g",
)  # fmt: skip
ADDRESS_NAMES = (
    _tlv(ADDRESS, bytes([10, 0, 0, 1])), _tlv(ADDRESS, bytes(15) + b"\1"),
    _tlv(ADDRESS, bytes(10) + bytes([255, 255, 10, 0, 0, 1])), _tlv(ADDRESS, b""), _tlv(ADDRESS, bytes([10, 0, 0])),
    _tlv(ADDRESS, bytes([10, 0, 0, 0, 255, 0, 0, 0])), _tlv(ADDRESS, bytes(16)), _tlv(ADDRESS, bytes(13) + b"\1\0\0"),
    _tlv(DNS, "10.0.0.1"), _tlv(DNS, "::1"), _tlv(DNS, "10.0.0"), _tlv(DNS, "*.0.0.1"), _tlv(URI, "https://10.0.0.1"),
)  # fmt: skip


def _pairs() -> Iterator[tuple[tuple[bytes, ...], str]]:
    yield from itertools.product([(_tlv(DNS, name),) for name in DNS_NAMES], HOSTS)
    yield from itertools.product([(name,) for name in ADDRESS_NAMES], ADDRESSES)
    several = (
        (), (_tlv(DNS, "other.test"), _tlv(DNS, "*.a.example")), (_tlv(URI, "https://a.example"),),
        (_tlv(EMAIL, "a.example"), _tlv(ADDRESS, bytes([10, 0, 0, 1]))),
        (_tlv(OTHER_NAME, _tlv(6, b"\x2a\x03") + _tlv(0xA0, _tlv(22, "a.example"))),),
    )  # fmt: skip
    yield from itertools.product(several, (*HOSTS, *ADDRESSES))


def test_a_leaf_is_found_fault_with_exactly_where_openssl_does_not_find_the_name() -> None:
    pairs, verdicts = 0, {0: 0, 62: 0, 64: 0}
    for names, hostname in _pairs():
        leaf = _leaf(*names)
        code = _code(leaf, hostname)
        assert bool(_findings(leaf, hostname)) is (code in MISMATCHES), (names, hostname, code)
        pairs, verdicts[code] = pairs + 1, verdicts[code] + 1
    assert pairs > 1_200
    assert min(verdicts.values()) > 40


LABELS = st.text("aX-_*", min_size=1, max_size=3) | st.sampled_from(["", "example", "xn--a", "\u212a"])
HOST_LABELS = st.text("aX-_", min_size=1, max_size=3) | st.sampled_from(["example", "xn--a", "10"])


@settings(deadline=None, max_examples=150)
@given(
    presented=st.lists(LABELS, min_size=1, max_size=4).map(".".join),
    host=st.lists(HOST_LABELS, min_size=1, max_size=4).map(".".join),
    how=st.sampled_from(["as it is", "the same", "a star"]),
)
@example(presented="a", host="10.10.10.10", how="the same")
def test_any_name_is_compared_as_openssl_compares_it(presented: str, host: str, how: str) -> None:
    if how != "as it is":  # names that are about to match, which chance would seldom find
        presented = host if how == "the same" else ".".join(["*", *host.split(".")[1:]])
    leaf = _leaf(_tlv(DNS, presented.encode()))
    try:
        code = _code(leaf, host)
    except ValueError:
        return  # no host name for ``ssl``
    assert bool(_findings(leaf, host)) is (code in MISMATCHES)


def test_the_finding_says_which_names_there_are_and_what_to_do() -> None:
    finding = _found(_tlv(DNS, "a.example"), _tlv(ADDRESS, bytes([10, 0, 0, 1])), hostname="b.test")
    assert finding.message == (
        "the subjectAltName of leaf CN=leaf does not hold the name b.test: no name fits (RFC 9525); "
        "it holds a.example, 10.0.0.1"
    )
    assert finding.remedy == (
        "connect by one of its names, or have a certificate issued with b.test as dNSName in its subjectAltName"
    )
    assert finding.presented == "a.example, 10.0.0.1"


def test_a_leaf_without_names_is_said_to_have_none() -> None:
    finding = _found(hostname="b.test")
    assert finding.message == (
        "the subjectAltName of leaf CN=leaf does not hold the name b.test: it has none (RFC 9525)"
    )
    assert finding.remedy == "have a certificate issued with b.test as dNSName in its subjectAltName"
    assert finding.presented == "none"


@pytest.mark.parametrize(
    ("common_name", "hostname", "kind", "wanted"),
    [
        ("b.test", "B.test", "name", "dNSName"),
        ("*.b.test", "a.b.test", "name", "dNSName"),
        ("10.0.0.1", "10.0.0.1", "IP address", "iPAddress"),
    ],
)
def test_a_name_that_stands_in_the_common_name_only_is_said_to_stand_there(
    common_name: str, hostname: str, kind: str, wanted: str
) -> None:
    finding = _found(hostname=hostname, common_name=common_name)
    assert finding.message == (
        f"the subjectAltName of leaf CN={common_name} does not hold the {kind} {hostname}: "
        "only the common name does, which does not count (RFC 9525)"
    )
    assert finding.remedy == (
        f"have a certificate issued with {hostname} as {wanted} in its subjectAltName, "
        "since the common name does not count"
    )


NEAR_MISSES = [
    ("10.0.0.1", "10.0.0.1", "there it is a dNSName, and only an iPAddress counts"),
    ("a.example", "a.example.", "a.example is another name, since a dot at the end counts"),
    ("a.example.", "A.example", "a.example. is another name, since a dot at the end counts"),
    ("*.a.example", "b.a.example.", "*.a.example is another name, since a dot at the end counts"),
    ("*.a.example", "a.example", "*.a.example stands for the names below it, not for itself"),
    ("*.example", "a.example", "*.example does not count, since a star needs two labels or more behind it"),
    ("*.a.example", "c.b.a.example", "the star in *.a.example stands for one label only"),
    ("*.a.example", "b_c.a.example", "the star in *.a.example stands for letters, digits and hyphens only"),
    ("b*.a.example", "bc.a.example", "b*.a.example does not count, since a star has to be the whole leftmost label"),
    ("a.*.example", "a.b.example", "a.*.example does not count, since a star has to be the whole leftmost label"),
    ("a.example", "www.a.example", "a.example is another name, since www. counts"),
    ("www.a.example", "a.example", "www.a.example is another name, since www. counts"),
    ("m\xc3\xbcnchen.test", "xn--mnchen-3ya.test", "there it is in UTF-8, and has to be in its ASCII form (A-labels)"),
    ("xn--mnchen-3ya.test", "mnchen-3ya.test", "no name fits"),
    ("m\xfcnchen.test", "xn--mnchen-3ya.test", "no name fits"),
    ("\xc3\xbc" * 200, "xn--mnchen-3ya.test", "no name fits"),
    ("ab*ba.example", "aba.example", "no name fits"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "hostname", "reason"), NEAR_MISSES)
def test_a_name_that_looks_right_is_said_not_to_count_and_why(name: str, hostname: str, reason: str) -> None:
    finding = _found(_tlv(DNS, "other.test"), _tlv(DNS, name), hostname=hostname)
    assert f" {hostname}: {reason} (RFC 9525); it holds " in finding.message


def test_ten_names_are_listed_and_the_most_similar_come_first() -> None:
    names = [_tlv(DNS, f"x{number}.test") for number in range(500)]
    finding = _found(*names, _tlv(DNS, "b.a.example"), _tlv(DNS, "example"), hostname="a.example")
    assert finding.presented == (
        "b.a.example, example, x0.test, x1.test, x2.test, x3.test, x4.test, x5.test, x6.test, x7.test and 492 more"
    )


def test_names_are_escaped_and_cut_before_anybody_reads_them() -> None:
    finding = _found(
        _tlv(DNS, "\x1b[2J{0}{name}"), _tlv(DNS, "*." + "y" * 5000), _tlv(URI, "x:\n"), _tlv(EMAIL, "\r@b.test"),
        hostname="z.test",
    )  # fmt: skip
    assert finding.message.isprintable()
    assert "\\x1b[2J{0}{name}" in str(finding.presented)
    assert len(finding.message) < 500
    [finding] = _findings(_leaf(), "z\n." + "y" * 5000)
    assert finding.required is not None
    assert finding.required.startswith("z\\n.yyy")
    assert len(finding.message) < 500


@settings(max_examples=100)
@given(names=st.binary(max_size=100), hostname=st.text(max_size=20))
def test_whatever_the_bytes_of_the_names_are_nothing_is_raised(names: bytes, hostname: str) -> None:
    for leaf in (_certificate(False, "leaf", names), _leaf(_tlv(DNS, names), _tlv(ADDRESS, names), _tlv(0xA4, names))):
        for finding in _findings(leaf, hostname):
            assert finding.message.isprintable()
