"""Every fault of one chain, the most telling first: what OpenSSL, which stops at the first, does not tell.

Rule: pure, and no verdict. It explains the path that OpenSSL took; one question a file, and they are asked here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtls._certificate import has_readable_extensions, label, printable
from mtls._checks.anchoring import check_anchoring
from mtls._checks.dates import check_dates
from mtls._checks.form import strict_faults, unknown_critical
from mtls._checks.host_name import check_host_name
from mtls._checks.name_constraints import check_name_constraints
from mtls._checks.order import check_order
from mtls._checks.path import Path, complete, owner_of
from mtls._checks.revocation import check_revocation
from mtls._checks.signatures import check_signatures
from mtls._checks.strength import check_strength
from mtls._checks.usage import check_usage
from mtls._model import ChainRules, FailureReason, Finding, Role, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cryptography import x509

    from mtls._model import EKUPolicy, Revocation
    from mtls._policy import TLSPolicy

_TEXT_LENGTH = 300
_MOST_UNREADABLE = 10
_F = FailureReason
_MOST_TELLING = (
    {_F.WRONG_ORDER},
    {_F.UNKNOWN_CA, _F.INCOMPLETE_CHAIN, _F.SELF_SIGNED},
    {_F.BAD_SIGNATURE},
    {_F.REVOKED},
    {_F.EXPIRED, _F.NOT_YET_VALID},
    {_F.NOT_A_CA, _F.PATH_TOO_LONG, _F.WRONG_KEY_USAGE, _F.WRONG_EKU},
    {_F.HOSTNAME_MISMATCH},
    {_F.NAME_CONSTRAINTS},
    {_F.UNKNOWN_CRITICAL_EXTENSION, _F.WEAK_KEY, _F.WEAK_SIGNATURE},
    {_F.CRL_EXPIRED},
    {_F.CRL_MISSING},
)
"""Which failure says most: who somebody is comes before what their certificate says. What is not named is last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedChain:
    """A chain as it was sent (``None``: ``cryptography`` cannot read it), the path that OpenSSL took, as far as it
    came, and by what it was judged. ``role`` is that of the chain's owner, ``now`` is aware.
    """

    sent: tuple[x509.Certificate | None, ...]
    begun: tuple[x509.Certificate, ...]
    anchors: tuple[x509.Certificate, ...]
    crls: tuple[x509.CertificateRevocationList, ...]
    role: Role
    now: datetime
    policy: TLSPolicy
    eku: EKUPolicy
    chain_rules: ChainRules
    revocation: Revocation
    hostname: str | None = None

    @property
    def has_readable_leaf(self) -> bool:
        """Whether there is a path to speak of: one begins with the leaf, never with the next that can be read."""
        return bool(self.begun) or self.sent[0] is not None

    @property
    def path(self) -> Path:
        """The path to its end, also where OpenSSL stopped early."""
        readable = [each for each in self.sent if each is not None]
        return complete(self.begun or tuple(readable[:1]), readable, self.anchors, self.now)


def explain_chain(chain: JudgedChain) -> list[Finding]:
    """Every finding about the chain: errors first, and of each kind the most telling first."""
    findings = [*_unreadable(chain)]
    if chain.has_readable_leaf:
        findings += _along(chain, chain.path)
    return sorted(findings, key=_rank)


def remarks_on(chain: JudgedChain) -> list[Finding]:
    """The warnings about a chain that OpenSSL accepts: only the checks that have any are made."""
    found = [*_unreadable(chain)]
    if not chain.has_readable_leaf:
        return found
    path = chain.path
    certificates, anchor = path.certificates, path.anchor
    found += check_order(chain.sent, certificates, chain.role)
    found += check_usage(certificates, chain.role, eku=chain.eku, chain_rules=chain.chain_rules, anchor=anchor)
    found += _dates(chain, path)
    return [finding for finding in found if finding.severity is Severity.WARNING]


def _along(chain: JudgedChain, path: Path) -> Iterator[Finding]:
    certificates, anchor, step = path.certificates, path.anchor, chain.role.verified_at
    readable = [each for each in chain.sent if each is not None]
    yield from check_order(chain.sent, certificates, chain.role)
    if chain.begun or len(readable) == len(chain.sent):  # else the issuer may be the one that cannot be read
        yield from check_anchoring(path, readable, chain.anchors, chain.role)
    yield from check_signatures(certificates, step=step)
    yield from check_usage(certificates, chain.role, eku=chain.eku, chain_rules=chain.chain_rules, anchor=anchor)
    yield from check_name_constraints(certificates, step=step)
    if chain.hostname is not None:
        yield from check_host_name(certificates[0], chain.hostname, step=step)
    anchored = anchor is not None
    yield from check_revocation(certificates, chain.crls, chain.revocation, step=step, now=chain.now, anchored=anchored)
    yield from _dates(chain, path)
    for position, certificate in enumerate(certificates):
        owner = owner_of(position, certificate, anchor)
        trusted = anchored and position == len(certificates) - 1
        yield from check_strength(certificate, chain.policy, step=step, owner=owner, position=position, anchor=trusted)
        yield from _form(chain, certificate, position, anchor)


def _dates(chain: JudgedChain, path: Path) -> Iterator[Finding]:
    for position, certificate in enumerate(path.certificates):
        owner = owner_of(position, certificate, path.anchor)
        yield from check_dates(certificate, chain.now, step=chain.role.verified_at, owner=owner, position=position)


def _form(
    chain: JudgedChain, certificate: x509.Certificate, position: int, anchor: x509.Certificate | None
) -> Iterator[Finding]:
    if not has_readable_extensions(certificate):
        return
    faults = [*unknown_critical(certificate)]
    if chain.chain_rules is ChainRules.STRICT:
        faults += strict_faults(certificate, issuer=position > 0, anchor=position > 0 and certificate is anchor)
    for fault in faults:
        yield Finding(
            failure=fault.failure,
            severity=Severity.ERROR,
            step=chain.role.verified_at,
            message=f"{owner_of(position, certificate, anchor)} {label(certificate)} "
            f"{printable(fault.text, _TEXT_LENGTH)}",
            remedy="have the CA issue it anew, as RFC 5280 asks",
            certificate=certificate,
            position=position,
            required=fault.required,
            presented=printable(fault.presented, _TEXT_LENGTH),
        )


def _unreadable(chain: JudgedChain) -> Iterator[Finding]:
    """OpenSSL may well read what ``cryptography`` cannot (a negative serial number): then it is only a warning."""
    places = [place for place, each in enumerate(chain.sent) if each is None or not has_readable_extensions(each)]
    for position in places[:_MOST_UNREADABLE]:
        certificate = chain.sent[position]
        if certificate is None:
            text = f"the certificate at place {position} of the chain is not well-formed"
        else:
            text = f"{label(certificate)} (place {position}) has extensions that are not well-formed"
        yield _not_read(chain, f"{text}, so what it says could not be looked at", position)
    if more := places[_MOST_UNREADABLE:]:
        text = f"{len(more)} more certificates of the chain (from place {more[0]} on) are not well-formed"
        yield _not_read(chain, f"{text}, so what they say could not be looked at", more[0])


def _not_read(chain: JudgedChain, text: str, position: int) -> Finding:
    return Finding(
        failure=FailureReason.MALFORMED,
        severity=Severity.WARNING,
        step=chain.role.certificate_step,
        message=text,
        remedy="have it issued anew by a CA that follows RFC 5280",
        certificate=chain.sent[position],
        position=position,
    )


def _rank(finding: Finding) -> tuple[bool, int]:
    places = [place for place, kinds in enumerate(_MOST_TELLING) if finding.failure in kinds]
    return finding.severity is not Severity.ERROR, places[0] if places else len(_MOST_TELLING)


def errors(findings: Iterable[Finding]) -> list[Finding]:
    """Those that a handshake fails on."""
    return [finding for finding in findings if finding.severity is Severity.ERROR]
