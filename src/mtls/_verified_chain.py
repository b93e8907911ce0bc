"""``VerifiedChain``: the evidence that a chain was accepted, and in sentences what was looked at and what was not.

Rule: a check that was not made is named, so that nobody takes it for one that passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mtls._certificate import label, when
from mtls._checks.crls import freshness
from mtls._model import AnchorKind, ChainRules, EKUPolicy, Finding, Revocation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from cryptography import x509

    from mtls._handshake.generation import Settings

_TRUSTED_AS = {
    AnchorKind.ROOT: "a root",
    AnchorKind.INTERMEDIATE: "an intermediate that is trusted as it is",
    AnchorKind.LEAF: "a certificate that is trusted as it is",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChain:
    """A chain that a handshake accepts, with the evidence.

    ``path`` is what OpenSSL built, leaf first, and ends at ``anchor``, the certificate of the truststore that vouches
    for it: a root, or an intermediate or a leaf that is trusted as it is (``anchor_kind``). It is empty, never
    incomplete, where OpenSSL accepts a certificate that ``cryptography`` cannot read; ``findings`` name it then, and
    ``path_der`` has them all. ``checked`` and ``not_checked`` say in sentences what was
    looked at and what was not; ``findings`` are warnings, which no handshake fails on: what expires soon, what was
    sent in vain. ``print`` it to read it.
    """

    path: tuple[x509.Certificate, ...]
    path_der: tuple[bytes, ...]
    anchor: x509.Certificate
    anchor_kind: AnchorKind
    checked: tuple[str, ...]
    not_checked: tuple[str, ...]
    findings: tuple[Finding, ...] = ()

    def __str__(self) -> str:
        names = list(map(label, self.path)) or ["(not all of it can be read)", label(self.anchor)]
        lines = [f"accepted: {' → '.join(names)}"]
        for finding in self.findings:
            lines.append(f"  {finding.severity.value} {finding.failure.name}: {finding.message}")
            lines.append(f"    → {finding.remedy}")
        lines += [f"  checked: {what}" for what in self.checked]
        lines += [f"  not checked: {what}" for what in self.not_checked]
        return "\n".join(lines)


def checked(
    settings: Settings, length: int, anchor: x509.Certificate, kind: AnchorKind, hostname: str | None, now: datetime
) -> Iterator[str]:
    """What was looked at, one sentence each."""
    strict = ", as RFC 5280 asks (strict)" if settings.chain_rules is ChainRules.STRICT else ""
    what = f"names, signatures, CA flags, name constraints{strict}"
    yield f"the path to {label(anchor)}, {_TRUSTED_AS[kind]}: {what}"
    yield f"the dates of the path ({length}) at {when(now)}"
    yield f"keys and signatures of {settings.policy.minimum_security_bits} bits or more ({settings.policy.name})"
    required = "required" if settings.eku is EKUPolicy.REQUIRED else "if there is one"
    yield f"extended key usage {settings.role.other.eku}, {required}"
    if hostname is not None and settings.check_hostname:
        yield f"the name {hostname}"
    if settings.has_rules:
        yield "the rules of the profile"
    if settings.truststore is not None and settings.revocation is not Revocation.OFF:
        which = "every certificate of the path" if settings.revocation is Revocation.CHAIN else "the leaf only"
        yield f"revocation of {which} by CRL"
        yield from freshness(settings.truststore.crls, now)


def not_checked(settings: Settings, hostname: str | None) -> Iterator[str]:
    """What was not looked at, one sentence each."""
    yield "that the peer has the private key: only a handshake can tell"
    yield "OCSP and certificate transparency"
    if settings.check_hostname and hostname is None:
        yield "the host name: none was given"
    if settings.revocation is Revocation.OFF:
        yield "revocation: the truststore holds no CRLs, or revocation is OFF"
    elif settings.revocation is Revocation.LEAF:
        yield "revocation of the CAs in the path"
