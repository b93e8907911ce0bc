"""Every fault that a chain of the crossing can have, and what is unusual without being one: a table.

Rule: a row says what is changed, and what the change may rightly be called; what can be called two things says so here.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from mtls import ChainRules, FailureReason, Revocation, Role
from mtls._credentials.key_types import default_hash
from mtls._credentials.request import key_usage
from tests.verdict.factory import (
    DAY,
    HOST,
    LAYERS,
    NOW,
    Family,
    Fault,
    Setting,
    another_root,
    ca_name,
    common_name,
    crl,
    key_for,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mtls._credentials.keys import PrivateKey

F = FailureReason
OTHER_HOST = "another.test"
CHAIN, LEAF = {"revocation": Revocation.CHAIN}, {"revocation": Revocation.LEAF}
_STRANGE = x509.ObjectIdentifier("1.2.3.4")
_ABOVE = frozenset({"lower", "upper", "root", "crl"})
_SIGNS_NOTHING = key_usage("content_commitment")


def _strict(setting: Setting) -> bool:
    return setting.rules is ChainRules.STRICT


def _named(setting: Setting) -> bool:
    return setting.compared is not None


def _fields(layer: str, **fields: Any) -> Mapping[str, Any]:
    return {"layer": layer, "fields": {layer: fields}}


def _extension(value: x509.ExtensionType, *, critical: bool) -> Sequence[x509.Extension[Any]]:
    return [x509.Extension(value.oid, critical, value)]


def _basic(*, ca: bool) -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=ca, path_length=None)


def _permitted(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=names, excluded_subtrees=None)


def _excluded(*names: x509.GeneralName) -> x509.NameConstraints:
    return x509.NameConstraints(permitted_subtrees=None, excluded_subtrees=names)


# --- the certificates themselves ---

_PERIODS = {
    "expired": ({"not_before": NOW - 100 * DAY, "not_after": NOW - DAY}, F.EXPIRED),
    "not yet valid": ({"not_before": NOW + DAY, "not_after": NOW + 100 * DAY}, F.NOT_YET_VALID),
}
DATES = [
    Fault(name=f"{layer} {name}", failures=(failure,), **_fields(layer, **period))
    for layer in ("leaf", "lower", "upper", "root")
    for name, (period, failure) in _PERIODS.items()
]

_WRONG_USES = {
    "another EKU": [ExtendedKeyUsageOID.CODE_SIGNING],
    "anyEKU only": [ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE],
}
EKU = [
    *(
        Fault(name=f"{layer} with {name}", failures=(F.WRONG_EKU,), **_fields(layer, eku=uses))
        for layer in ("leaf", "lower", "upper", "root")
        for name, uses in _WRONG_USES.items()
    ),
    Fault(name="leaf without EKU", **_fields("leaf", eku=())),
    Fault(
        name="leaf of a client",
        failures=(F.WRONG_EKU,),
        counts=lambda setting: setting.role is Role.SERVER,
        **_fields("leaf", eku=[ExtendedKeyUsageOID.CLIENT_AUTH]),
    ),
    Fault(
        name="lower with both EKUs",
        **_fields("lower", eku=[ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]),
    ),
]

KEY_USAGE = [
    Fault(
        name="leaf without digitalSignature",
        failures=(F.WRONG_KEY_USAGE,),
        **_fields("leaf", key_usage=_SIGNS_NOTHING),
    ),
    Fault(
        name="leaf with keyEncipherment only",
        failures=(F.WRONG_KEY_USAGE,),
        counts=lambda setting: setting.role is Role.CLIENT,
        **_fields("leaf", key_usage=key_usage("key_encipherment")),
    ),
    Fault(name="leaf without keyUsage", **_fields("leaf", key_usage=None)),
    Fault(
        name="leaf with keyCertSign",
        failures=(F.WRONG_KEY_USAGE,),
        counts=_strict,
        **_fields("leaf", key_usage=key_usage("digital_signature", "key_cert_sign")),
    ),
    *(
        Fault(
            name=f"{layer} without keyCertSign",
            failures=(F.WRONG_KEY_USAGE, F.NOT_A_CA),
            **_fields(layer, key_usage=key_usage("digital_signature", "crl_sign")),
        )
        for layer in ("lower", "upper", "root")
    ),
]

AUTHORITY = [
    *(
        Fault(
            name=f"{layer} no CA",
            failures=(F.NOT_A_CA,),
            **_fields(layer, basic_constraints=_basic(ca=False), key_usage=None),
        )
        for layer in ("lower", "upper", "root")
    ),
    Fault(
        name="lower without basicConstraints",
        failures=(F.NOT_A_CA, F.MISSING_EXTENSION, F.WRONG_KEY_USAGE),
        **_fields("lower", basic_constraints=None),
    ),
    Fault(
        name="lower without basicConstraints and keyUsage",
        failures=(F.NOT_A_CA, F.MISSING_EXTENSION),
        **_fields("lower", basic_constraints=None, key_usage=None),
    ),
    Fault(
        name="leaf a CA",
        **_fields("leaf", basic_constraints=_basic(ca=True), key_usage=key_usage("digital_signature", "key_cert_sign")),
    ),
    Fault(name="upper path length 0", failures=(F.PATH_TOO_LONG,), **_fields("upper", path_length=0)),
    Fault(
        name="root path length 0",
        failures=(F.PATH_TOO_LONG,),
        counts=lambda setting: setting.depth > 0,
        setting={},
        **_fields("root", path_length=0),
    ),
    Fault(name="lower path length 0", **_fields("lower", path_length=0)),
]

FORM = [
    Fault(
        name="leaf without AKI",
        failures=(F.MISSING_EXTENSION,),
        counts=lambda setting: _strict(setting) and not setting.self_signed,
        **_fields("leaf", authority_key_identifier=None),
    ),
    Fault(
        name="lower without AKI",
        failures=(F.MISSING_EXTENSION,),
        counts=_strict,
        **_fields("lower", authority_key_identifier=None),
    ),
    *(
        Fault(
            name=f"{layer} without SKI",
            failures=(F.MISSING_EXTENSION,),
            counts=_strict,
            **_fields(layer, subject_key_identifier=None),
        )
        for layer in ("lower", "root")
    ),
    Fault(name="leaf without SKI", **_fields("leaf", subject_key_identifier=None)),
    *(
        Fault(
            name=f"{layer} without keyUsage",
            failures=(F.MISSING_EXTENSION,),
            counts=_strict,
            **_fields(layer, key_usage=None),
        )
        for layer in ("lower", "root")
    ),
    *(
        Fault(
            name=f"{layer} basicConstraints not critical",
            failures=(F.MALFORMED,),
            counts=_strict,
            **_fields(layer, extensions=_extension(_basic(ca=True), critical=False)),
        )
        for layer in ("lower", "root")
    ),
    Fault(
        name="lower without a name",
        failures=(F.MALFORMED,),
        counts=_strict,
        **_fields("lower", subject=x509.Name([])),
    ),
    Fault(
        name="leaf without a name, SAN not critical",
        failures=(F.MALFORMED,),
        counts=_strict,
        **_fields(
            "leaf",
            subject=x509.Name([]),
            extensions=_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False),
        ),
    ),
    Fault(name="leaf without a name", **_fields("leaf", subject=x509.Name([]))),
    Fault(
        name="lower SKI critical",
        failures=(F.UNKNOWN_CRITICAL_EXTENSION,),
        **_fields("lower", extensions=_extension(x509.SubjectKeyIdentifier(b"lower lower lower"), critical=True)),
    ),
    Fault(
        name="leaf AKI critical",
        failures=(F.UNKNOWN_CRITICAL_EXTENSION,),
        layer="leaf",
        fields={
            "lower": {"subject_key_identifier": x509.SubjectKeyIdentifier(b"lower lower lower")},
            "leaf": {
                "extensions": _extension(x509.AuthorityKeyIdentifier(b"lower lower lower", None, None), critical=True)
            },
        },
    ),
    *(
        Fault(
            name=f"{layer} with an unknown critical extension",
            failures=(F.UNKNOWN_CRITICAL_EXTENSION,),
            **_fields(layer, extensions=_extension(x509.UnrecognizedExtension(_STRANGE, b"\x05\x00"), critical=True)),
        )
        for layer in ("leaf", "lower", "upper", "root")
    ),
    Fault(
        name="leaf with an unknown extension",
        **_fields("leaf", extensions=_extension(x509.UnrecognizedExtension(_STRANGE, b"\x05\x00"), critical=False)),
    ),
]


# --- signatures and strength ---


def _damaged(certificate: x509.Certificate, _: PrivateKey) -> x509.Certificate:
    encoded = certificate.public_bytes(Encoding.DER)
    return x509.load_der_x509_certificate(encoded[:-1] + bytes([encoded[-1] ^ 1]))


def _with_sha1(certificate: x509.Certificate, key: PrivateKey) -> x509.Certificate:
    """The same certificate signed again with SHA-1, which ``cryptography`` does for other data only."""
    body = certificate.tbs_certificate_bytes
    if isinstance(key, rsa.RSAPrivateKey):
        old, new = "300d06092a864886f70d01010b0500", "300d06092a864886f70d0101050500"
    elif isinstance(key, ec.EllipticCurvePrivateKey):
        digest = default_hash(key)
        assert digest is not None
        old = f"300a06082a8648ce3d04030{ {256: 2, 384: 3, 512: 4}[digest.digest_size * 8] }"
        new = "300906072a8648ce3d0401"
    else:  # Ed25519 and Ed448 have a digest of their own, which nobody chooses
        return certificate
    algorithm = bytes.fromhex(new)
    start = 4 if body[1] == 0x82 else 3
    body = _sequence(body[start:].replace(bytes.fromhex(old), algorithm, 1))
    if isinstance(key, rsa.RSAPrivateKey):
        signature = key.sign(body, padding.PKCS1v15(), hashes.SHA1())
    else:
        signature = key.sign(body, ec.ECDSA(hashes.SHA1()))
    bits = b"\x03" + _length(len(signature) + 1) + b"\x00" + signature
    return x509.load_der_x509_certificate(_sequence(body + algorithm + bits))


def _sequence(content: bytes) -> bytes:
    return b"\x30" + _length(len(content)) + content


def _length(size: int) -> bytes:
    if size < 0x80:
        return bytes([size])
    encoded = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(encoded)]) + encoded


def _has_a_digest(setting: Setting) -> bool:
    return setting.level > 0 and not setting.ca_key.startswith("ed")


STRENGTH = [
    *(
        Fault(name=f"{layer} badly signed", layer=layer, failures=(F.BAD_SIGNATURE,), rewrite=_damaged, by_issuer=True)
        for layer in ("leaf", "lower", "upper")
    ),
    *(
        Fault(
            name=f"{layer} signed with SHA-1",
            layer=layer,
            failures=(F.WEAK_SIGNATURE,),
            rewrite=_with_sha1,
            counts=_has_a_digest,
        )
        for layer in ("leaf", "lower", "upper")
    ),
    Fault(name="root signed with SHA-1", layer="root", rewrite=_with_sha1),
    *(
        Fault(
            name=f"{layer} with a key of RSA 1024",
            failures=(F.WEAK_KEY,),
            counts=lambda setting: setting.level >= 2,
            **_fields(layer, private_key=key_for("rsa-1024", layer)),
        )
        for layer in ("leaf", "lower", "root")
    ),
    Fault(
        name="leaf signed with SHA-224 at level 3",
        failures=(F.WEAK_SIGNATURE,),
        setting={"ca_key": "ec-p256", "level": 3},
        counts=lambda setting: not setting.self_signed,
        **_fields("leaf", signature_hash=hashes.SHA224()),
    ),
]


# --- names ---


def _forbidden(name: str, constraints: x509.NameConstraints, layer: str = "lower", **leaf: Any) -> Fault:
    changed = {layer: {"name_constraints": constraints}, "leaf": {"names": [HOST]} | leaf}
    return Fault(name=f"{layer} forbids {name}", failures=(F.NAME_CONSTRAINTS,), layer=layer, fields=changed)


def _allowed(name: str, constraints: x509.NameConstraints, **leaf: Any) -> Fault:
    changed = {"lower": {"name_constraints": constraints}} | ({"leaf": leaf} if leaf else {})
    return Fault(name=f"lower allows {name}", layer="lower", fields=changed)


def _network(text: str) -> x509.IPAddress:
    return x509.IPAddress(ipaddress.ip_network(text))


def _directory(*attributes: tuple[x509.ObjectIdentifier, str]) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value) for oid, value in attributes])


_DNS, _MAIL, _URI, _DN = x509.DNSName, x509.RFC822Name, x509.UniformResourceIdentifier, x509.DirectoryName
_ADDRESS, _ADDRESS_6 = [HOST, "192.0.2.7"], [HOST, "2001:db8::7"]
_MAILBOX, _PAGE = [HOST, "ops@service.example"], [HOST, "https://www.service.example/x"]
_OURS = _directory((NameOID.ORGANIZATION_NAME, "Ours"), (NameOID.COMMON_NAME, HOST))
_THEIRS = _directory((NameOID.ORGANIZATION_NAME, "Theirs"))
_OWN_ORGANIZATION = _directory((NameOID.ORGANIZATION_NAME, "Ours"))
_WITH_MAIL = _directory((NameOID.COMMON_NAME, HOST), (NameOID.EMAIL_ADDRESS, "ops@service.example"))

NAME_CONSTRAINTS = [
    _forbidden("all but another domain", _permitted(_DNS(OTHER_HOST))),
    _forbidden("this domain", _excluded(_DNS("example"))),
    _forbidden("all but another domain", _permitted(_DNS(OTHER_HOST)), layer="root"),
    _forbidden("this domain", _excluded(_DNS(HOST)), layer="root"),
    _forbidden("all but another domain", _permitted(_DNS(OTHER_HOST)), layer="upper"),
    _forbidden("all but another network", _permitted(_network("198.51.100.0/24")), names=_ADDRESS),
    _forbidden("this network", _excluded(_network("192.0.2.0/24")), names=_ADDRESS),
    _forbidden("this network of IPv6", _excluded(_network("2001:db8::/32")), names=_ADDRESS_6),
    _forbidden("all but another mail host", _permitted(_MAIL(OTHER_HOST)), names=_MAILBOX),
    _forbidden("this mail host", _excluded(_MAIL("service.example")), names=_MAILBOX),
    _forbidden("this mailbox", _excluded(_MAIL("ops@service.example")), names=_MAILBOX),
    _forbidden("the mailbox of the subject", _permitted(_MAIL(OTHER_HOST)), subject=_WITH_MAIL),
    _forbidden("all but another web host", _permitted(_URI(".another.test")), names=_PAGE),
    _forbidden("this web host", _excluded(_URI(".service.example")), names=_PAGE),
    _forbidden("all but another organization", _permitted(_DN(_THEIRS)), subject=_OURS),
    _forbidden("this organization", _excluded(_DN(_OWN_ORGANIZATION)), subject=_OURS),
    _forbidden("this directory name", _excluded(_DN(_OWN_ORGANIZATION)), names=[HOST, _DN(_OURS)]),
    _forbidden(
        "a kind of name that nobody can compare",
        _permitted(x509.RegisteredID(_STRANGE)),
        names=[HOST, x509.RegisteredID(x509.ObjectIdentifier("1.2.3.4.5"))],
    ),
    _allowed("this domain", _permitted(_DNS("example"))),
    _allowed("another mailbox only", _permitted(_MAIL(OTHER_HOST))),
    _allowed("this network", _permitted(_network("192.0.2.0/24")), names=_ADDRESS),
    _allowed("this organization", _permitted(_DN(_OWN_ORGANIZATION)), subject=_OURS),
    Fault(
        name="lower forbids what only the CN says",
        layer="lower",
        fields={"lower": {"name_constraints": _permitted(_DNS(OTHER_HOST))}, "leaf": {"names": []}},
        setting={"hostname": None},
    ),
]


def _asked(name: str, hostname: str, names: Sequence[Any], subject: x509.Name | None = None) -> Fault:
    leaf: dict[str, Any] = {"names": names} | ({} if subject is None else {"subject": subject})
    return Fault(
        name=f"{name}: {hostname!a}",
        failures=(F.HOSTNAME_MISMATCH,),
        setting={"hostname": hostname},
        counts=_named,
        fields={"leaf": leaf},
        sure=False,
    )


MISMATCHES = [
    Fault(
        name="another name",
        failures=(F.HOSTNAME_MISMATCH,),
        counts=_named,
        **_fields("leaf", names=[OTHER_HOST]),
    ),
    Fault(
        name="the CN only",
        failures=(F.HOSTNAME_MISMATCH,),
        counts=_named,
        **_fields("leaf", names=[]),
    ),
    Fault(
        name="an address that is not there",
        failures=(F.HOSTNAME_MISMATCH,),
        counts=_named,
        setting={"hostname": "192.0.2.9"},
    ),
]

_KINDS_OF_NAMES: dict[str, Sequence[Any]] = {
    "the name": [HOST],
    "the name in capitals": [_DNS("SERVICE.EXAMPLE")],
    "a wildcard": [_DNS("*.service.example")],
    "a wildcard for all": [_DNS("*.example"), _DNS("*")],
    "half a wildcard": [_DNS("ww*.service.example")],
    "a wildcard further right": [_DNS("www.*.example")],
    "a wildcard with IDNA": [_DNS("xn--*.service.example"), _DNS("*.xn--bcher-kva.example")],
    "an IDNA name": [_DNS("xn--bcher-kva.example")],
    "an address": ["192.0.2.7", "2001:db8::7"],
    "an address as a name": [_DNS("192.0.2.7")],
    "an address as a URI": [_URI("https://192.0.2.7/")],
    "a URI only": [_URI("https://service.example/")],
    "a mailbox only": [_MAIL("ops@service.example")],
    "many names": [*(f"host{number}.example" for number in range(50)), HOST],
    "none": [],
}
_HOSTS = (
    HOST, "SERVICE.EXAMPLE", "www.service.example", "a.www.service.example", "bücher.example", "a.bücher.example",
    "192.0.2.7", "2001:db8::7", "example", "service.example.",
)  # fmt: skip
HOSTS = [_asked(kind, host, names) for kind, names in _KINDS_OF_NAMES.items() for host in _HOSTS]
HOSTS += [_asked("a CN only", host, [], common_name(host.encode("idna").decode())) for host in _HOSTS]


# --- trust, and what is sent ---


def _anchored(*layers: str) -> Any:
    def arrange(family: Family) -> None:
        family.anchors = [family.certificate(layer) for layer in layers]

    return {"arrange": arrange, "arranges": frozenset({"anchors"})}


def _sends(*layers: str) -> Any:
    def arrange(family: Family) -> None:
        family.sent[:] = [
            another_root("crossing stranger").certificate if layer == "stranger" else family.certificate(layer)
            for layer in layers
        ]

    return {"arrange": arrange, "arranges": frozenset({"sent"})}


def _trusts_a_stranger(family: Family) -> None:
    family.anchors = [another_root("crossing stranger").certificate]


def _sends_its_root(family: Family) -> None:
    _trusts_a_stranger(family)
    family.sent.append(family.certificate("root"))


def _trusts_a_namesake(family: Family) -> None:
    family.anchors = [another_root(ca_name("root")).certificate]


def _trusts_an_unidentified_namesake(family: Family) -> None:
    family.anchors = [another_root(ca_name("root"), identified=False).certificate]


def _trusts_a_namesake_too(family: Family) -> None:
    family.anchors.insert(0, another_root(ca_name("root")).certificate)


def _trusts_what_is_missing(family: Family) -> None:
    family.anchors.append(family.certificate("lower"))
    family.sent.remove(family.certificate("lower"))


_ANCHORS = frozenset({"anchors"})
_BOTH = frozenset({"anchors", "sent"})
_NOWHERE = frozenset({"root", "crl"})
_PAST_THE_ANCHOR = frozenset({"upper", "root", "crl"})
_IDENTIFIERS = frozenset(
    f"{layer}.{extension}"
    for layer in LAYERS
    for extension in (ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.SUBJECT_KEY_IDENTIFIER)
)
"""What tells two keys of one name apart."""

UNTRUSTED = [
    Fault(
        name="another CA",
        layer="trust",
        failures=(F.UNKNOWN_CA, F.INCOMPLETE_CHAIN),
        arrange=_trusts_a_stranger,
        arranges=_ANCHORS,
        hides=_NOWHERE,
    ),
    Fault(
        name="another CA, its root sent along",
        layer="trust",
        failures=(F.UNKNOWN_CA,),
        arrange=_sends_its_root,
        arranges=_BOTH,
        hides=frozenset({"crl"}),
    ),
    Fault(
        name="a namesake with another key",
        layer="trust",
        failures=(F.UNKNOWN_CA,),
        arrange=_trusts_a_namesake,
        arranges=_ANCHORS | _IDENTIFIERS,
        hides=_NOWHERE,
    ),
    Fault(
        name="a namesake with another key, no key identifiers",
        layer="trust",
        failures=(F.UNKNOWN_CA, F.BAD_SIGNATURE),
        fields={layer: {"authority_key_identifier": None} for layer in ("leaf", "lower")},
        arrange=_trusts_an_unidentified_namesake,
        arranges=_ANCHORS,
        setting={"rules": ChainRules.LENIENT},
        hides=frozenset({"root"}),
    ),
    Fault(
        name="the intermediate is missing",
        layer="trust",
        failures=(F.INCOMPLETE_CHAIN, F.UNKNOWN_CA),
        least=1,
        hides=_ABOVE,
        **_sends("leaf"),
    ),
    Fault(
        name="the upper intermediate is missing",
        layer="trust",
        failures=(F.INCOMPLETE_CHAIN, F.UNKNOWN_CA),
        least=2,
        hides=frozenset({"upper", "root", "crl"}),
        **_sends("leaf", "lower"),
    ),
    Fault(
        name="the lower intermediate is missing",
        layer="trust",
        failures=(F.INCOMPLETE_CHAIN, F.UNKNOWN_CA),
        least=2,
        hides=_ABOVE,
        **_sends("leaf", "upper"),
    ),
    Fault(
        name="leaf signed by itself",
        layer="trust",
        failures=(F.SELF_SIGNED,),
        setting={"self_signed": True},
        arranges=frozenset({"sent", "lower itself", "leaf itself"}),
        hides=_ABOVE,
    ),
    Fault(
        name="leaf with the AKI of nobody",
        layer="trust",
        failures=(F.UNKNOWN_CA, F.INCOMPLETE_CHAIN),
        fields={"leaf": {"authority_key_identifier": x509.AuthorityKeyIdentifier(b"nobody nobody", None, None)}},
        arranges=_IDENTIFIERS,
        hides=_ABOVE,
    ),
]

TRUSTED = [
    Fault(
        name="the intermediate as anchor",
        least=1,
        hides=_PAST_THE_ANCHOR,
        **_anchored("lower"),
    ),
    Fault(name="both as anchors", least=1, hides=_PAST_THE_ANCHOR, **_anchored("root", "lower")),
    Fault(name="a pinned leaf", hides=_ABOVE, **_anchored("leaf")),
    Fault(name="a pinned leaf and its root", **_anchored("root", "leaf")),
    Fault(name="two anchors of one name", arrange=_trusts_a_namesake_too, arranges=_ANCHORS | _IDENTIFIERS),
    Fault(
        name="the missing intermediate among the anchors",
        least=1,
        hides=_PAST_THE_ANCHOR,
        arrange=_trusts_what_is_missing,
        arranges=_BOTH,
    ),
]

ORDER = [
    Fault(name="the root sent along", least=1, setting={"depth": 1}, **_sends("leaf", "lower", "root")),
    Fault(name="the root sent before", least=1, setting={"depth": 1}, **_sends("leaf", "root", "lower")),
    Fault(name="the wrong order", least=2, **_sends("leaf", "upper", "lower")),
    Fault(name="all in the wrong order", least=2, **_sends("leaf", "root", "upper", "lower")),
    Fault(name="the leaf twice", least=1, setting={"depth": 1}, **_sends("leaf", "leaf", "lower")),
    Fault(name="the leaf thrice", least=1, setting={"depth": 1}, **_sends("leaf", "lower", "leaf", "leaf")),
    Fault(name="lower twice", least=1, setting={"depth": 1}, **_sends("leaf", "lower", "lower")),
    Fault(name="a stranger between", least=1, setting={"depth": 1}, **_sends("leaf", "stranger", "lower")),
    Fault(name="a stranger at the end", least=2, **_sends("leaf", "lower", "upper", "stranger")),
]


# --- revocation ---


def _listed(*layers: str) -> Any:
    def arrange(family: Family) -> None:
        family.crls = [crl(family.held[layer]) for layer in layers if layer in family.held]

    return arrange


def _revoked(layer: str) -> Any:
    def arrange(family: Family) -> None:
        issuer = [name for name in LAYERS[: LAYERS.index(layer)] if name in family.held][-1]
        family.crls = [
            crl(held, *([family.certificate(layer)] if name == issuer else []))
            for name, held in family.held.items()
            if name != "leaf"
        ]

    return arrange


def _replaced(**how: Any) -> Any:
    """The CRL of the leaf's issuer made in another way; the others stay."""

    def arrange(family: Family) -> None:
        *above, last = (held for name, held in family.held.items() if name != "leaf")
        family.crls = [*map(crl, above), crl(last, **how)]

    return arrange


def _extended(value: x509.ExtensionType) -> Any:
    def arrange(family: Family) -> None:
        *above, last = (held for name, held in family.held.items() if name != "leaf")
        builder = x509.CertificateRevocationListBuilder(last.certificate.subject)
        builder = builder.last_update(NOW - DAY).next_update(NOW + DAY).add_extension(x509.CRLNumber(7), critical=False)
        hidden = builder.add_extension(value, critical=True).sign(last.key, default_hash(last.key))
        family.crls = [*map(crl, above), hidden]

    return arrange


def _crl(name: str, failures: tuple[F, ...], arrange: Any, **more: Any) -> Fault:
    given: dict[str, Any] = {"layer": "crl", "setting": CHAIN} | more
    return Fault(name=name, failures=failures, arrange=arrange, arranges=frozenset({"crls"}), **given)


_POINT = x509.IssuingDistributionPoint(
    full_name=[_URI("http://crl.example/part")],
    relative_name=None,
    only_contains_user_certs=False,
    only_contains_ca_certs=False,
    only_some_reasons=None,
    indirect_crl=False,
    only_contains_attribute_certs=False,
)
_ONLY_CAS = x509.IssuingDistributionPoint(
    full_name=None,
    relative_name=None,
    only_contains_user_certs=False,
    only_contains_ca_certs=True,
    only_some_reasons=None,
    indirect_crl=False,
    only_contains_attribute_certs=False,
)

DELTA = _crl("a delta CRL", (F.CRL_MISSING,), _extended(x509.DeltaCRLIndicator(3)))
"""OpenSSL takes it for a complete one, so it is the one fault for which the verdict is not the handshake's."""

REVOCATION = [
    Fault(name="all CRLs, chain", setting=CHAIN),
    Fault(name="all CRLs, leaf", setting=LEAF),
    _crl("leaf revoked", (F.REVOKED,), _revoked("leaf")),
    _crl("leaf revoked, leaf only", (F.REVOKED,), _revoked("leaf"), setting=LEAF),
    _crl("lower revoked", (F.REVOKED,), _revoked("lower"), least=1),
    _crl("lower revoked, leaf only", (), _revoked("lower"), least=1, setting=LEAF),
    _crl("no CRL", (F.CRL_MISSING,), _listed()),
    _crl("no CRL, leaf only", (F.CRL_MISSING,), _listed(), setting=LEAF),
    _crl("the CRL of lower missing", (F.CRL_MISSING,), _listed("root", "upper"), least=1),
    _crl("the CRL of root missing", (F.CRL_MISSING,), _listed("upper", "lower"), least=1),
    _crl("the CRL of root missing, leaf only", (), _listed("lower"), least=1, setting=LEAF),
    _crl("the CRL expired", (F.CRL_EXPIRED,), _replaced(lifetime=(NOW - 9 * DAY, NOW - DAY))),
    _crl("the CRL expired, leaf only", (F.CRL_EXPIRED,), _replaced(lifetime=(NOW - 9 * DAY, NOW - DAY)), setting=LEAF),
    _crl("the CRL of tomorrow", (F.CRL_EXPIRED,), _replaced(lifetime=(NOW + DAY, NOW + 9 * DAY))),
    _crl(
        "the CRL by another key",
        (F.CRL_MISSING, F.BAD_SIGNATURE),
        _replaced(signed_by=another_root("crossing forger", owner="forger")),
    ),
    _crl(
        "the CRL with a critical extension",
        (F.UNKNOWN_CRITICAL_EXTENSION, F.CRL_MISSING),
        _extended(x509.UnrecognizedExtension(_STRANGE, b"\x05\x00")),
    ),
    _crl("a part of a CRL", (F.CRL_MISSING,), _extended(_POINT)),
    _crl("a CRL of CAs only", (F.CRL_MISSING,), _extended(_ONLY_CAS)),
    Fault(
        name="lower may not sign CRLs",
        failures=(F.WRONG_KEY_USAGE,),
        arranges=frozenset({"crls"}),
        setting=CHAIN,
        **_fields("lower", key_usage=key_usage("key_cert_sign")),
    ),
]
