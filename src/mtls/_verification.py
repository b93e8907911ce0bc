"""``verify``: would a handshake accept this chain, and if not, why, down to the last fault.

Rule: OpenSSL decides, the checks explain. What the checks find is never a verdict, and what OpenSSL refuses is never
accepted because no check found a fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from mtls import _certificate
from mtls._credentials.peer_chain import PeerChain, read_chain
from mtls._credentials.truststore import Truststore
from mtls._handshake.generation import Settings
from mtls._handshake.tables import VERIFY_CODES
from mtls._handshake.verdict import Judge
from mtls._model import ChainRules, EKUPolicy, FailureReason, Finding, Omitted, Revocation, Role, Severity
from mtls._options import given, member, moment, typed
from mtls._policy import MOZILLA_INTERMEDIATE, TLSPolicy
from mtls.errors import ChainError

if TYPE_CHECKING:
    from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedChain:
    """A chain that a handshake accepts, with the evidence."""

    path: tuple[x509.Certificate, ...]
    anchor: x509.Certificate
    checked: tuple[str, ...]
    not_checked: tuple[str, ...]
    findings: tuple[Finding, ...] = ()


def verify(
    chain: PeerChain,
    truststore: Truststore,
    *,
    role: Role,
    hostname: str | None = None,
    at: datetime | None = None,
    policy: TLSPolicy = MOZILLA_INTERMEDIATE,
    eku: EKUPolicy = EKUPolicy.IF_PRESENT,
    chain_rules: ChainRules = ChainRules.STRICT,
    revocation: Revocation | Omitted = Omitted.OMITTED,
) -> VerifiedChain:
    owner = member(Role)(role, "role")
    chosen = given(revocation)
    if chosen is None:
        chosen = Revocation.CHAIN if truststore.crls else Revocation.OFF
    settings = Settings(
        role=owner.other, keystore=None, truststore=typed(Truststore)(truststore, "truststore"), policy=policy, eku=eku,
        chain_rules=chain_rules, revocation=chosen,
    )  # fmt: skip
    moment(at)
    sent = read_chain(chain)
    verdict = Judge(settings).judge(sent, hostname)
    if not verdict.accepted:
        failure = VERIFY_CODES.get(verdict.code, FailureReason.CERTIFICATE_REJECTED) if verdict.judged else FailureReason.MALFORMED
        finding = Finding(failure=failure, severity=Severity.ERROR, step=owner.verified_at, message=verdict.message, remedy="x", position=0)
        raise ChainError([finding], verify_code=verdict.code)
    path = tuple(filter(None, map(_certificate.parse, verdict.path)))
    return VerifiedChain(path=path, anchor=path[-1], checked=(), not_checked=())
