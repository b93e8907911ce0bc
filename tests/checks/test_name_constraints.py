"""Names that a CA above may not issue for. OpenSSL is the judge: a finding where it refuses, and only there."""

from __future__ import annotations

import functools
import itertools
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from hypothesis import given, settings
from hypothesis import strategies as st

from mtls import MOZILLA_INTERMEDIATE, FailureReason, Finding, HandshakeStep, Role, Severity, Truststore
from mtls._certificate import der
from mtls._checks.name_constraints import check_name_constraints
from mtls._handshake.generation import Settings
from mtls._handshake.verdict import Judge

if TYPE_CHECKING:
    from collections.abc import Iterator

STEP = HandshakeStep.SERVER_VERIFIES_CLIENT
NOW, DAY = datetime.now(UTC), timedelta(days=1)
KEYS = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root", "upper", "lower", "leaf")}
PERMITTED, EXCLUDED = "permitted", "excluded"

INSIDE = 0
PERMITTED_VIOLATION, EXCLUDED_VIOLATION, LIMITED = 47, 48, 49
CONSTRAINT_TYPE, CONSTRAINT_SYNTAX, NAME_SYNTAX = 51, 52, 53
CODES = {PERMITTED_VIOLATION, EXCLUDED_VIOLATION, LIMITED, CONSTRAINT_TYPE, CONSTRAINT_SYNTAX, NAME_SYNTAX}
"""Every ``X509_V_ERR_*`` by which OpenSSL refuses a path for its name constraints."""


def tlv(tag: int, *contents: bytes) -> bytes:
    content = b"".join(contents)
    size = (len(content).bit_length() + 7) // 8
    head = bytes([tag, len(content)]) if len(content) < 128 else bytes([tag, 128 + size])
    return head + (len(content).to_bytes(size, "big") if len(content) >= 128 else b"") + content


def dns(host: str) -> bytes:
    return tlv(0x82, host.encode("latin-1"))


def email(mailbox: str) -> bytes:
    return tlv(0x81, mailbox.encode("latin-1"))


def uri(text: str) -> bytes:
    return tlv(0x86, text.encode("latin-1"))


def ip(*content: int) -> bytes:
    return tlv(0x87, bytes(content))


def directory(*attributes: x509.NameAttribute[str]) -> bytes:
    return tlv(0xA4, named(*attributes).public_bytes())


def other(type_id: str, value: bytes) -> bytes:
    return tlv(0xA0, bytes.fromhex(type_id), tlv(0xA0, value))


def smtp(mailbox: str, tag: int = 12) -> bytes:
    return other("06082b06010505070809", tlv(tag, mailbox.encode()))


def named(*attributes: x509.NameAttribute[str]) -> x509.Name:
    return x509.Name(list(attributes))


def attribute(kind: str, value: str, string: _ASN1Type | None = None) -> x509.NameAttribute[str]:
    oid = {"CN": x509.NameOID.COMMON_NAME, "O": x509.NameOID.ORGANIZATION_NAME, "C": x509.NameOID.COUNTRY_NAME}
    oid |= {"OU": x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "E": x509.NameOID.EMAIL_ADDRESS}
    return x509.NameAttribute(oid[kind], value, string)


class Subtrees(NamedTuple):
    """A nameConstraints extension: bases as DER."""

    permitted: tuple[bytes, ...] = ()
    excluded: tuple[bytes, ...] = ()
    limits: bytes = b""
    """The minimum and maximum of each."""

    def encoded(self) -> bytes:
        lists = (
            tlv(tag, *(tlv(0x30, base, self.limits) for base in bases))
            for tag, bases in ((0xA0, self.permitted), (0xA1, self.excluded))
            if bases
        )
        return tlv(0x30, *lists)


def one(how: str, *bases: bytes, limits: bytes = b"") -> Subtrees:
    return Subtrees(bases, (), limits) if how == PERMITTED else Subtrees((), bases, limits)


@functools.cache
def certificate(
    name: str, issuer: str, subject: x509.Name, issuer_name: x509.Name, names: tuple[bytes, ...] = (),
    constraints: Subtrees | None = None,
) -> x509.Certificate:  # fmt: skip
    """A certificate for the key called ``name``, signed by the key called ``issuer``."""
    ca = name != "leaf"
    above, own = KEYS[issuer].public_key(), KEYS[name].public_key()
    builder = x509.CertificateBuilder(issuer_name, subject, own, x509.random_serial_number(), NOW - DAY, NOW + DAY)
    usage = dict.fromkeys(
        ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement", "encipher_only",
         "decipher_only"), False,
    )  # fmt: skip
    extensions: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=ca, path_length=None), True),
        (x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage), True),
        (x509.SubjectKeyIdentifier.from_public_key(own), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(above), False),
    ]
    if names:
        alternative = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, tlv(0x30, *names))
        extensions.append((alternative, not list(subject)))
    if constraints is not None:
        extensions.append((x509.UnrecognizedExtension(x509.OID_NAME_CONSTRAINTS, constraints.encoded()), True))
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    return builder.sign(KEYS[issuer], hashes.SHA256())


LEAF, LOWER, ROOT = (named(attribute("O", "Example"), attribute("CN", name)) for name in ("leaf", "lower", "root"))


def path(
    *names: bytes,
    subject: x509.Name = LEAF,
    root: Subtrees | None = None,
    lower: Subtrees | None = None,
    lower_names: tuple[bytes, ...] = (),
    lower_subject: x509.Name = LOWER,
) -> list[x509.Certificate]:
    """A leaf with these names below an intermediate below a root; constraints where they are given."""
    return [
        certificate("leaf", "lower", subject, lower_subject, names),
        certificate("lower", "root", lower_subject, ROOT, lower_names, lower),
        certificate("root", "root", ROOT, ROOT, (), root),
    ]


@functools.cache
def judge(root: x509.Certificate) -> Judge:
    truststore = Truststore.from_certificates([root])
    return Judge(Settings(role=Role.SERVER, keystore=None, truststore=truststore, policy=MOZILLA_INTERMEDIATE))


def findings(chain: list[x509.Certificate]) -> list[Finding]:
    return list(check_name_constraints(chain, step=STEP))


def code(chain: list[x509.Certificate]) -> int:
    """OpenSSL's verdict; the path it took is the chain that was made."""
    verdict = judge(chain[-1]).judge([der(each) for each in chain[:-1]])
    assert verdict.judged, verdict
    assert verdict.path == tuple(map(der, chain)), verdict
    return verdict.code


EXAMPLE, OTHER = attribute("O", "Example"), attribute("O", "Other")
UNIT = attribute("OU", "Unit")
WIDE = attribute("O", "ex\u00c4mple  Firm")

GROUPS: dict[str, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {
    "dNSName": (
        tuple(map(dns, ("a.example", ".a.example", "A.EXAMPLE", "example", "", ".", "a.example.", "\xfc.example"))),
        tuple(
            map(
                dns,
                (
                    "a.example", "b.a.example", "c.b.A.example", "xa.example", "*.a.example", "*.example", "example",
                    "a.example.", ".a.example", "other.test", "", "\xfc.example", "a.example\0", "b.xa.example",
                ),
            )
        ),
    ),
    "iPAddress": (
        (
            ip(10, 0, 0, 0, 255, 0, 0, 0), ip(10, 1, 2, 3, 255, 0, 0, 0), ip(10, 0, 0, 1, 255, 0, 0, 255),
            ip(0, 0, 0, 0, 0, 0, 0, 0), ip(*[0] * 32), ip(0x20, 1, *[0] * 14, 255, 255, *[0] * 14), ip(10, 0, 0, 1),
            ip(), ip(*[10] * 16), ip(10, 0, 0, 1, 255, 255, 255, 255),
        ),
        (
            ip(10, 0, 0, 1), ip(10, 255, 255, 255), ip(11, 0, 0, 1), ip(10, 9, 9, 1), ip(0x20, 1, *[7] * 14),
            ip(*[0] * 15, 1), ip(*[0] * 10, 255, 255, 10, 0, 0, 1), ip(1, 2, 3), ip(),
        ),
    ),
    "rfc822Name": (
        tuple(map(email, ("a.example", ".a.example", "joe@a.example", "@a.example", "", "@", "A.Example"))),
        tuple(
            map(
                email,
                (
                    "joe@a.example", "Joe@a.example", "ann@A.EXAMPLE", "joe@b.a.example", "joe@xa.example", "a.example",
                    "joe@", "@a.example", "x@joe@a.example", "", "joe@.a.example", "j\0e@a.example",
                ),
            )
        ),
    ),
    "uniformResourceIdentifier": (
        tuple(map(uri, ("a.example", ".a.example", "A.Example", "", "."))),
        tuple(
            map(
                uri,
                (
                    "https://a.example", "spiffe://a.example/work", "https://a.example:443/x", "https://b.a.example/",
                    "https://A.EXAMPLE/", "https://xa.example", "https://joe@a.example/", "https://joe:x@a.example/",
                    "https://a.example/x:y", "https:///x", "https://", "urn:a.example", "a.example", "", "://a.example",
                    "https:/a.example", "https://a.example?x", "https://[::1]/", "https://.a.example",
                ),
            )
        ),
    ),
    "directoryName": (
        (
            directory(), directory(EXAMPLE), directory(attribute("O", " EXAMPLE ")), directory(OTHER),
            directory(EXAMPLE, UNIT), directory(UNIT), directory(WIDE), directory(attribute("O", "EX\u00c4MPLE firm")),
            directory(attribute("O", "Exampl")), directory(attribute("O", "Example", _ASN1Type.BMPString)),
            directory(attribute("O", "Example", _ASN1Type.PrintableString)),
            directory(attribute("O", "1", _ASN1Type.NumericString)),
        ),
        (
            directory(EXAMPLE), directory(EXAMPLE, UNIT), directory(EXAMPLE, UNIT, attribute("CN", "x")),
            directory(OTHER), directory(UNIT, EXAMPLE), directory(attribute("O", "ex\u00c4mple firm")), directory(),
            directory(attribute("O", "ex\u00e4mple firm")), directory(attribute("O", "1")),
            directory(attribute("O", "example\u2003", _ASN1Type.UTF8String)),
            directory(attribute("O", "1", _ASN1Type.NumericString)),
        ),
    ),
    "otherName": (
        (
            email("a.example"), email(".a.example"), email("xn--mnchen-3ya.example"), email(".xn--mnchen-3ya.example"),
            email("joe@a.example"), email("@a.example"), email("xn--MNCHEN-3YA.example"), email("\xfc.example"),
            other("06022a03", tlv(12, b"x")), smtp("joe@a.example"), email(""), email("."),
            email("XN--mnchen-3ya.example"),
        ),
        (
            smtp("joe@a.example"), smtp("joe@A.EXAMPLE"), smtp("joe@b.a.example"), smtp("joe@m\u00fcnchen.example"),
            smtp("joe@x.m\u00fcnchen.example"), smtp("joe@xn--mnchen-3ya.example"), smtp("no mailbox"),
            smtp("joe@a.example", tag=22), other("06022a03", tlv(12, b"x")), other("06022a04", tlv(12, b"x")),
            email("joe@a.example"),
        ),
    ),
    "kinds that OpenSSL does not compare": (
        (tlv(0xA3), tlv(0xA5, tlv(0xA1, tlv(12, b"x"))), tlv(0x88, b"\x2a\x03"), dns("a.example")),
        (tlv(0xA5, tlv(0xA1, tlv(12, b"x"))), tlv(0x88, b"\x2a\x03"), tlv(0x88, b"\x2a\x04"), dns("a.example")),
    ),
}  # fmt: skip
"""By kind: the bases of constraints, and the names that are held to each of them."""


def crossed(group: str) -> Iterator[tuple[str, bytes, bytes]]:
    """How a constraint is meant, its base, and a name below it."""
    bases, names = GROUPS[group]
    return itertools.product((PERMITTED, EXCLUDED), bases, names)


def reason(finding: Finding) -> int:
    """The code that goes with the words of a finding."""
    words = {
        " only (RFC": PERMITTED_VIOLATION,
        " excludes ": EXCLUDED_VIOLATION,
        "a minimum or a maximum": LIMITED,
        "they speak of ": CONSTRAINT_TYPE,
        "which OpenSSL cannot hold to": NAME_SYNTAX,
    }
    return next(said for text, said in words.items() if text in finding.message)


@pytest.mark.parametrize("group", list(GROUPS))
def test_a_name_is_found_fault_with_where_openssl_finds_fault_with_it_and_for_its_reason(group: str) -> None:
    heard = set()
    for how, base, name in crossed(group):
        above = one(how, base)
        for chain in (path(name, lower=above), path(name, root=above)):
            said, found = code(chain), findings(chain)
            case = how, base.hex(), name.hex(), said, [each.message for each in found]
            assert [reason(each) for each in found[:1]] == ([said] if said else []), case
            heard.add(said)
    assert {0, *CODES} >= heard > {0}


def test_the_crossing_is_large() -> None:
    assert sum(2 for group in GROUPS for _ in crossed(group)) > 2_500


PLAIN = one(PERMITTED, dns("a.example"))
GOOD, BAD = dns("x.a.example"), dns("other.test")
LIMITS = {"a minimum": tlv(0x80, b"\1"), "a maximum": tlv(0x81, b"\0"), "a minimum of 0": tlv(0x80, b"\0")}
DEEP = named(attribute("O", "Example"), attribute("CN", "ROOT "))
BOTH = Subtrees((dns("a.example"), dns("b.example")), (dns("x.b.example"),))
COMMON = named(attribute("CN", "other.test"))
MAILBOX = named(attribute("E", "joe@a.example"))
NO_IA5 = named(attribute("E", "ann@a.example", _ASN1Type.UTF8String))

PATHS: dict[str, tuple[list[x509.Certificate], int]] = {
    "no constraints at all": (path(BAD), 0),
    "names of kinds that are not constrained": (path(ip(10, 0, 0, 1), email("joe@other.test"), lower=PLAIN), 0),
    "a common name that looks like a host name": (path(GOOD, subject=COMMON, lower=PLAIN), 0),
    "no names": (path(lower=PLAIN), 0),
    "a constraint that permits and excludes nothing": (path(BAD, lower=Subtrees()), 0),
    "two permitted, one of them fits": (path(dns("b.example"), lower=BOTH), 0),
    "permitted, and excluded below": (path(dns("x.b.example"), lower=BOTH), 48),
    "one bad name among good ones": (path(GOOD, GOOD, BAD, GOOD, lower=PLAIN), 47),
    "the root permits more than the intermediate": (path(dns("b.example"), root=BOTH, lower=PLAIN), 47),
    "the intermediate permits more than the root": (path(dns("b.example"), root=PLAIN, lower=BOTH), 47),
    "a name of the intermediate": (path(GOOD, root=PLAIN, lower_names=(BAD,)), 47),
    "an intermediate's own constraints on its own name": (path(GOOD, lower=PLAIN, lower_names=(BAD,)), 0),
    "a self-issued intermediate": (path(GOOD, root=PLAIN, lower_names=(BAD,), lower_subject=ROOT), 0),
    "a self-issued intermediate in capitals": (path(GOOD, root=PLAIN, lower_names=(BAD,), lower_subject=DEEP), 0),
    "a self-issued leaf": (path(BAD, subject=LOWER, root=PLAIN), 47),
    "a subject outside": (path(lower=one(PERMITTED, directory(OTHER))), 47),
    "a subject inside": (path(lower=one(PERMITTED, directory(EXAMPLE))), 0),
    "an empty subject": (path(GOOD, subject=named(), lower=one(PERMITTED, directory(OTHER))), 0),
    "the subject of the intermediate": (path(root=one(EXCLUDED, directory(attribute("O", "example")))), 48),
    "a mailbox in the subject": (path(subject=MAILBOX, lower=one(EXCLUDED, email("a.example"))), 48),
    "a mailbox in the subject that fits": (path(subject=MAILBOX, lower=one(PERMITTED, email("a.example"))), 0),
    "a mailbox in the subject and another": (
        path(email("joe@b.example"), subject=MAILBOX, lower=one(EXCLUDED, email("a.example"))), 48,
    ),
    "a mailbox in UTF-8 in the subject": (path(subject=NO_IA5, lower=PLAIN), 53),
    "a mailbox in UTF-8 in the subject, nothing constrained": (path(subject=NO_IA5, lower=Subtrees()), 53),
    "a mailbox in UTF-8 in the subject, no constraints": (path(subject=NO_IA5), 0),
    "a malformed address after one that fits": (
        path(ip(10, 0, 0, 1), lower=one(PERMITTED, ip(*[0] * 8), ip(1))), 0,
    ),
    "a malformed address before one that fits": (
        path(ip(10, 0, 0, 1), lower=one(PERMITTED, ip(1), ip(*[0] * 8))), 53,
    ),
    "a maximum on another kind": (path(GOOD, lower=one(PERMITTED, email("a.example"), limits=LIMITS["a maximum"])), 0),
}  # fmt: skip


for limit, how in itertools.product(LIMITS, (PERMITTED, EXCLUDED)):
    base = dns("a.example" if how == PERMITTED else "b.example")
    limited = path(GOOD, lower=one(how, base, limits=LIMITS[limit]))
    PATHS[f"{limit}, {how}"] = (limited, 0 if limit == "a minimum of 0" else 49)


@pytest.mark.parametrize("case", list(PATHS))
def test_who_is_held_to_which_constraints_is_what_openssl_holds_to_them(case: str) -> None:
    chain, expected = PATHS[case]
    assert code(chain) == expected
    assert {reason(each) for each in findings(chain)} == ({expected} if expected else set())


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("xn--.test", 0),
        ("a" * 254, 0),
        ("xn--mnchen-3ya." + "b" * 240, 0),
        ("xn--x.test", 1),
        ("a" * 255, 1),
        ("xn--99999999.test", 1),
        ("a" * 1025, 1),
    ],
)
def test_a_constraint_for_which_openssl_has_no_u_labels_is_found_where_a_mailbox_needs_them(
    host: str, said: int
) -> None:
    chain = path(smtp("joe@a.test"), lower=one(EXCLUDED, email(host)))
    assert code(chain) == said  # 1 is UNSPECIFIED
    messages = [each.message for each in findings(chain)]
    assert [" is no host name (RFC" in message for message in messages] == ([True] if said else [])


def test_a_name_that_is_not_permitted_is_reported_with_the_ca_and_what_it_permits() -> None:
    chain = path(GOOD, BAD, lower=one(PERMITTED, dns("a.example"), dns(".b.example"), email("c.example")))
    assert findings(chain) == [
        Finding(
            failure=FailureReason.NAME_CONSTRAINTS,
            severity=Severity.ERROR,
            step=STEP,
            message="leaf CN=leaf has the dNSName other.test, but CN=lower permits a.example, .b.example only "
            "(RFC 5280, 4.2.1.10)",
            remedy="have the certificate issued with other names, or by a CA that may issue for these",
            certificate=chain[0],
            position=0,
            required="a name within a.example, .b.example",
            presented="dNSName other.test",
        )
    ]


def test_an_excluded_name_is_reported_with_the_subtree_that_excludes_it() -> None:
    chain = path(root=one(EXCLUDED, ip(10, 0, 0, 0, 255, 0, 0, 0)), lower_names=(ip(10, 1, 2, 3),))
    [found] = findings(chain)
    assert (found.certificate, found.position) == (chain[1], 1)
    assert found.message == (
        "intermediate CN=lower has the iPAddress 10.1.2.3, but CN=root excludes 10.0.0.0/8 (RFC 5280, 4.2.1.10)"
    )
    assert (found.required, found.presented) == ("no name within 10.0.0.0/8", "iPAddress 10.1.2.3")


NETWORK = ip(32, 1, *[0] * 14, 255, 255, *[0] * 14)
WORDS = {
    "has the subject CN=leaf,O=Example, but CN=lower permits OU=Unit,O=Other only": (
        path(lower=one(PERMITTED, directory(OTHER, UNIT)))
    ),
    "has the rfc822Name joe@a.example, but CN=lower excludes .example": (
        path(email("joe@a.example"), lower=one(EXCLUDED, email(".example")))
    ),
    "has the otherName joe@m\u00fcnchen.test, but CN=lower permits xn--bcher-kva.test only": (
        path(smtp("joe@m\u00fcnchen.test"), lower=one(PERMITTED, email("xn--bcher-kva.test")))
    ),
    "has the otherName (06022a03a0020500), which OpenSSL cannot hold to the constraints of CN=lower: "
    "they speak of a otherName": path(other("06022a03", tlv(5)), lower=one(EXCLUDED, other("06022a03", tlv(5)))),
    "has the dNSName x.a.example, which OpenSSL cannot hold to the constraints of CN=lower: "
    "the one on a.example has a minimum or a maximum": (
        path(GOOD, lower=one(PERMITTED, dns("a.example"), limits=LIMITS["a maximum"]))
    ),
    "has the uniformResourceIdentifier urn:x, which OpenSSL cannot hold to the constraints of CN=lower: "
    "it is no URI with a host": path(uri("urn:x"), lower=one(EXCLUDED, uri("a.example"))),
    "has the iPAddress (0102), which OpenSSL cannot hold to the constraints of CN=lower: it has 2 bytes": (
        path(ip(1, 2), lower=one(EXCLUDED, ip(*[0] * 8)))
    ),
    "has the iPAddress ::1, but CN=lower permits 10.0.0.0/255.0.0.255, 2001::/16 only": (
        path(ip(*[0] * 15, 1), lower=one(PERMITTED, ip(10, 0, 0, 0, 255, 0, 0, 255), NETWORK))
    ),
    "has the dNSName (empty), but CN=lower permits a.example only": path(dns(""), lower=PLAIN),
}  # fmt: skip


@pytest.mark.parametrize("words", list(WORDS))
def test_each_kind_of_name_is_written_as_people_write_it(words: str) -> None:
    [found] = findings(WORDS[words])
    assert found.message == f"leaf CN=leaf {words} (RFC 5280, 4.2.1.10)"


def test_every_bad_name_is_reported_once_and_the_certificate_nearest_to_the_root_first() -> None:
    chain = path(BAD, GOOD, BAD, dns("b.test"), lower_names=(dns("c.test"),), root=PLAIN, lower=PLAIN)
    assert [(each.position, each.presented) for each in findings(chain)] == [
        (1, "dNSName c.test"), (0, "dNSName other.test"), (0, "dNSName b.test"),
    ]  # fmt: skip


def test_a_path_of_one_certificate_is_held_to_nothing() -> None:
    assert findings(path(BAD, root=PLAIN)[-1:]) == []
    assert findings(path(BAD, root=PLAIN)[:1]) == []


def test_ten_names_of_a_certificate_are_reported_at_most() -> None:
    chain = path(*(dns(f"x{number}.test") for number in range(50)), lower=PLAIN)
    assert [each.presented for each in findings(chain)] == [f"dNSName x{number}.test" for number in range(10)]


def test_what_is_permitted_is_listed_up_to_ten_subtrees() -> None:
    [found] = findings(path(BAD, lower=one(PERMITTED, *(dns(f"x{number}.example") for number in range(12)))))
    assert found.required == f"a name within {', '.join(f'x{number}.example' for number in range(10))} and 2 more"


def test_names_are_escaped_and_cut_before_anybody_reads_them() -> None:
    [found] = findings(path(dns("\x1b[2J{0}" + "y" * 5000), lower=one(PERMITTED, dns("\r\n{x}" + "z" * 5000))))
    assert found.message.isprintable()
    assert "\\x1b[2J{0}yyy" in found.message
    assert len(found.message) < 500


def test_the_work_is_bounded_and_what_was_found_until_then_is_kept() -> None:
    many = one(EXCLUDED, *(dns(f"x{number}.test") for number in range(3_000)))
    some = path(BAD, *(dns(f"y{number}.example") for number in range(3_000)), root=many, lower=PLAIN)
    started = time.perf_counter()
    assert findings(some) == []
    assert time.perf_counter() - started < 1
    assert findings(path(BAD, root=one(EXCLUDED, BAD, *(dns(f"x{number}.test") for number in range(3_000))))) != []


@settings(max_examples=100)
@given(
    name=st.binary(max_size=60),
    base=st.binary(max_size=60),
    tag=st.sampled_from([0x80, *range(0xA0, 0xAA), *range(0x81, 0x8A)]),
)
def test_whatever_the_bytes_of_names_and_constraints_are_nothing_is_raised(name: bytes, base: bytes, tag: int) -> None:
    for names, bases in (
        ((name,), (base,)),
        ((tlv(tag, name),), (tlv(tag, base),)),
        ((smtp("a@b"), other("0600", name)), (email("x"),)),
    ):
        for how in (PERMITTED, EXCLUDED):
            for found in findings(path(*names, lower=one(how, *bases))):
                assert found.message.isprintable()
