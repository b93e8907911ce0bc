"""How the chains of the crossing are made: a hierarchy as a well-behaved CA makes it, with faults built in.

Rule: every chain knows how it was made, so what is said of it can be compared with the truth.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtensionOID

from mtls import ChainRules, FailureReason, Revocation, Role, TLSPolicy, TLSVersion, Truststore, _issuing
from mtls._credentials.csr import EKU_OF
from mtls._credentials.key_types import generate_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mtls._credentials.keys import PrivateKey

HOST = "service.example"
NOW, DAY = datetime.now(UTC), timedelta(days=1)
CRL_LIFETIME = (NOW - DAY, NOW + 7 * DAY)
LAYERS = ("root", "upper", "lower", "leaf")
_DEPTH = {"root": 0, "upper": 2, "lower": 1, "leaf": 0}
_LEAF, _CA = timedelta(days=90), timedelta(days=5 * 365)

KEY_BITS = {"rsa-2048": 112, "rsa-3072": 128, "ec-p256": 128, "ec-p384": 192, "ec-p521": 256, "ed25519": 128} | {
    "ed448": 224
}
"""What a key is worth (NIST SP 800-57 part 1, table 2)."""
SIGNATURE_BITS = KEY_BITS | {"rsa-2048": 128, "rsa-3072": 128}
"""What a signature by such a key is worth, with the digest that goes with it."""
_ODD_CURVES: dict[str, ec.EllipticCurve] = {"ec-p224": ec.SECP224R1(), "secp256k1": ec.SECP256K1()}
_ODD_CURVES["brainpool"] = ec.BrainpoolP256R1()

_EXTENSION_OF: dict[str, Any] = {
    "basic_constraints": ExtensionOID.BASIC_CONSTRAINTS,
    "path_length": ExtensionOID.BASIC_CONSTRAINTS,
    "subject_key_identifier": ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    "authority_key_identifier": ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
    "names": ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
}
"""The fields of which a bare extension takes the place."""

Reasons = tuple[FailureReason, ...]


class Held(NamedTuple):
    """A certificate with its key."""

    key: PrivateKey
    certificate: x509.Certificate


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What a chain is made of, and who judges it."""

    role: Role = Role.SERVER
    depth: int = 1
    leaf_key: str = "ec-p256"
    ca_key: str = "ec-p256"
    rules: ChainRules = ChainRules.STRICT
    level: int = 2
    hostname: str | None = HOST
    revocation: Revocation = Revocation.OFF
    version: TLSVersion = TLSVersion.TLSv1_3
    self_signed: bool = False
    """Whether the leaf has signed itself, and is all that is sent."""

    @property
    def compared(self) -> str | None:
        """The name that the judging side compares: a server compares none."""
        return self.hostname if self.role is Role.SERVER else None

    @property
    def policy(self) -> TLSPolicy:
        """The policy of the judging side, for one version of TLS."""
        only = self.version
        return TLSPolicy(name="crossing", minimum_version=only, maximum_version=only, security_level=self.level)

    def __str__(self) -> str:
        kind = f"{self.role} of {self.leaf_key} below {self.ca_key}, depth {self.depth}"
        asked = f"{self.rules}, level {self.level}, name {self.compared!a}, revocation {self.revocation}"
        return f"{kind}, {asked}, {self.version.label}"


@dataclass
class Family:
    """A hierarchy while it is arranged: what was made, what is sent, and what the judging side holds."""

    setting: Setting
    held: Mapping[str, Held]
    sent: list[x509.Certificate]
    anchors: list[x509.Certificate]
    crls: list[x509.CertificateRevocationList]

    def certificate(self, layer: str) -> x509.Certificate:
        """The certificate of that layer."""
        return self.held[layer].certificate


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that is not as usual, and what may rightly be said of it."""

    name: str
    failures: Reasons = ()
    """What it may be called, the best name first; none: no reason to refuse."""
    layer: str = "leaf"
    """Whose fault it is: a layer, or ``crl``."""
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The fields that are given, by layer."""
    rewrite: Callable[[x509.Certificate, PrivateKey], x509.Certificate] | None = None
    """What is done to the certificate of ``layer`` afterwards; the key is its issuer's."""
    arrange: Callable[[Family], None] | None = None
    arranges: frozenset[str] = frozenset()
    """What ``arrange`` changes."""
    setting: Mapping[str, Any] = field(default_factory=dict)
    """The setting that it needs."""
    counts: Callable[[Setting], bool] = lambda _: True
    """Whether it is a fault in that setting."""
    least: int = 0
    """How many intermediates it takes."""
    hides: frozenset[str] = frozenset()
    """The layers of which nothing can be known any more."""
    by_issuer: bool = False
    """Whether it takes the issuer's certificate to see it."""
    sure: bool = True
    """Whether it is known beforehand that OpenSSL refuses it."""

    @property
    def depth(self) -> int:
        """How many intermediates it takes, those included that are at fault."""
        return max((self.least, *(_DEPTH.get(layer, 0) for layer in (*self.fields, self.layer))))

    @property
    def touches(self) -> frozenset[str]:
        """What no other fault can change at the same time."""
        changed = {
            f"{layer}.{part}"
            for layer, fields in self.fields.items()
            for name, value in fields.items()
            for part in ([entry.oid for entry in value] if name == "extensions" else [_EXTENSION_OF.get(name, name)])
        }
        if self.rewrite is not None:
            changed.add(f"{self.layer} itself")
        return frozenset(changed) | self.arranges

    def goes_with(self, other: Fault) -> bool:
        """Whether one chain can have both."""
        agreed = all(other.setting.get(name, value) == value for name, value in self.setting.items())
        one_hides_the_other = self.layer == other.layer == "trust"
        return agreed and not one_hides_the_other and not self.touches & other.touches


@dataclass(frozen=True, eq=False)
class Chain:
    """A chain as it is sent, with all that a verdict on it takes."""

    name: str
    setting: Setting
    faults: tuple[Fault, ...]
    sent: tuple[x509.Certificate, ...]
    key: PrivateKey
    truststore: Truststore
    truth: tuple[Reasons, ...]
    """For each built-in fault that can be seen, what it may be called."""

    @property
    def sure(self) -> bool:
        """Whether it is known beforehand that OpenSSL refuses it."""
        return bool(self.truth) and all(fault.sure for fault in self.faults)


def make(setting: Setting, *faults: Fault) -> Chain:
    """The chain with these faults, in this setting and in what the faults need."""
    needed = {name: value for fault in faults for name, value in fault.setting.items()}
    needed["depth"] = max((needed.get("depth", setting.depth), *(fault.depth for fault in faults)))
    setting = replace(setting, **needed)
    held = _hierarchy(setting, faults)
    leaf = held["leaf"]
    above = [held[layer] for layer in ("lower", "upper") if layer in held and not setting.self_signed]
    lists = []
    if setting.revocation is not Revocation.OFF:
        lists = [crl(held[layer]) for layer in ("root", "upper", "lower") if layer in held]
    sent = [leaf.certificate, *(ca.certificate for ca in above)]
    family = Family(setting, held, sent, [held["root"].certificate], lists)
    for fault in faults:
        if fault.arrange is not None:
            fault.arrange(family)
    title = " + ".join(fault.name for fault in faults) or "the usual"
    return Chain(
        f"{title} ({setting})", setting, faults, tuple(family.sent), leaf.key,
        Truststore.from_certificates(family.anchors, crls=family.crls), tuple(_truth(setting, faults)),
    )  # fmt: skip


def crl(
    issuer: Held,
    *revoked: x509.Certificate,
    lifetime: tuple[datetime, datetime] = CRL_LIFETIME,
    signed_by: Held | None = None,
) -> x509.CertificateRevocationList:
    """The CRL of ``issuer`` that revokes these."""
    entries = [(certificate.serial_number, (NOW, x509.ReasonFlags.unspecified)) for certificate in revoked]
    return _issuing.revocation_list(issuer.certificate, (signed_by or issuer).key, lifetime, 1, entries)


@functools.cache
def key_for(kind: str, owner: str) -> PrivateKey:
    """The key of that kind that ``owner`` has, made once."""
    if kind in _ODD_CURVES:
        return ec.generate_private_key(_ODD_CURVES[kind])
    if kind == "rsa-1024":
        return rsa.generate_private_key(public_exponent=65537, key_size=1024)
    return generate_key(kind)


@functools.cache
def another_root(name: str, owner: str = "stranger", *, identified: bool = True) -> Held:
    """A root that has nothing to do with the others, by whatever name."""
    key = key_for("ec-p256", owner)
    fields = _issuing.of_ca(name, {} if identified else {"subject_key_identifier": None})
    return Held(key, _issuing.build(key.public_key(), fields, _CA, key, None))


def common_name(name: str) -> x509.Name:
    """A name with nothing but a common name."""
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])


def ca_name(layer: str) -> str:
    """What the CA of that layer is called."""
    return f"crossing {layer} CA"


_made: dict[tuple[Any, ...], Held] = {}


def _hierarchy(setting: Setting, faults: tuple[Fault, ...]) -> dict[str, Held]:
    """The certificates by layer. A CA in which nothing differs is made once."""
    held: dict[str, Held] = {}
    issuer: Held | None = None
    token: tuple[Any, ...] = (setting.ca_key,)
    for layer in (layer for layer in LAYERS if _DEPTH[layer] <= setting.depth):
        own = [fault for fault in faults if layer in fault.fields or (fault.rewrite and fault.layer == layer)]
        token += (layer, *(fault.name for fault in own))
        if layer == "leaf":
            token += (setting.leaf_key, setting.role, setting.self_signed)
            issuer = None if setting.self_signed else issuer
        if token not in _made:
            _made[token] = _issue(layer, setting, own, issuer)
        issuer = held[layer] = _made[token]
    return held


def _issue(layer: str, setting: Setting, faults: Iterable[Fault], issuer: Held | None) -> Held:
    fields: Any = {}
    for fault in faults:
        own = fault.fields.get(layer, {})
        both = [*fields.get("extensions", ()), *own.get("extensions", ())]
        fields.update(own)
        if both:
            fields["extensions"] = both
    if layer == "leaf":
        usual: Any = {"subject": common_name(HOST), "names": [HOST], "eku": [EKU_OF[setting.role]]}
        wanted, lifetime = _issuing.of_leaf(usual | fields), _LEAF
    else:
        wanted, lifetime = _issuing.of_ca(ca_name(layer), fields), _CA
    key = wanted.get("private_key") or key_for(setting.leaf_key if layer == "leaf" else setting.ca_key, layer)
    signing_key = issuer.key if issuer else key
    certificate = _issuing.build(
        key.public_key(), wanted, lifetime, signing_key, issuer.certificate if issuer else None
    )
    for fault in faults:
        if fault.rewrite is not None and fault.layer == layer:
            certificate = fault.rewrite(certificate, signing_key)
    return Held(key, certificate)


def _truth(setting: Setting, faults: tuple[Fault, ...]) -> Iterable[Reasons]:
    hidden = frozenset().union(*(fault.hides for fault in faults))
    for fault in faults:
        needed = {fault.layer, _issuer_of(fault.layer, setting)} if fault.by_issuer else {fault.layer}
        if fault.failures and fault.counts(setting) and not needed & hidden:
            yield fault.failures
    required = (0, 80, 112, 128, 192, 256)[setting.level]
    if min(KEY_BITS.get(setting.leaf_key, required), KEY_BITS[setting.ca_key]) < required:
        yield (FailureReason.WEAK_KEY,)
    if SIGNATURE_BITS[setting.ca_key] < required:
        yield (FailureReason.WEAK_SIGNATURE,)


def _issuer_of(layer: str, setting: Setting) -> str:
    return [above for above in LAYERS[: LAYERS.index(layer)] if _DEPTH[above] <= setting.depth][-1]
