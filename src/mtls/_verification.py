"""``verify``: would a handshake accept this chain, and if not, why, down to the last fault.

Rule: OpenSSL decides, the checks explain. What the checks find is never a verdict, and what OpenSSL refuses is never
accepted because no check found a fault.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from mtls import _certificate
from mtls._checks.chain import JudgedChain, errors, explain_chain, remarks_on
from mtls._checks.coherence import check_policy
from mtls._checks.crl_form import is_delta
from mtls._checks.revocation import check_revocation
from mtls._checks.usage import unusable_in_tls12, unusable_key
from mtls._credentials.peer_chain import PeerChain, Sent, read_chain
from mtls._credentials.truststore import Truststore
from mtls._handshake import admission
from mtls._handshake.generation import Settings
from mtls._handshake.hostnames import asked_name
from mtls._handshake.peer import PeerIdentity, unreadable
from mtls._handshake.verdict import TOO_LONG, Judge, Verdict
from mtls._handshake.verdict_at import judge_at
from mtls._handshake.verified_paths import cut_at_anchor
from mtls._handshake.verify_codes import VERIFY_CODES, fits_code
from mtls._model import AnchorKind, ChainRules, EKUPolicy, FailureReason, Finding, Omitted, Revocation, Role, Severity
from mtls._options import given, member, moment, optional, typed
from mtls._policy import MOZILLA_INTERMEDIATE, TLSPolicy
from mtls._verified_chain import VerifiedChain, checked, not_checked
from mtls.errors import ChainError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography import x509


def verify(  # noqa: PLR0913 - the options of the contract, keyword-only
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
    """Whether a handshake of this interpreter would accept ``chain``, without one and without a private key.

    ``chain`` is a path, PEM or DER as ``bytes``, or certificates, in the order in which they are sent, leaf first.
    ``role`` is that of the chain's owner. ``hostname`` (servers only) is compared as a client would; left out, no name
    is compared, and ``not_checked`` says so. The options are those of :class:`~mtls.TLSProfile`.

    The verdict is OpenSSL's for the present time. For another time ``at`` (aware) it is composed: OpenSSL judges with
    dates set aside, and those of the path it took, and of the CRLs, are compared with ``at``.

    Not checked: that the peer has the private key, OCSP, certificate transparency.

    Raises :class:`ChainError` with every fault for a chain that would be refused, :class:`ChainSourceError` for one
    that cannot be read, :class:`UsageError` for an empty chain or truststore, a naive ``at`` or another wrong value,
    and :class:`VerdictUnavailableError` where this OpenSSL cannot be asked or no verdict for ``at`` can be composed.
    """
    trust = typed(Truststore)(truststore, "truststore")
    chosen = optional(member(Revocation))(given(revocation), "revocation")
    settings = Settings(
        role=member(Role)(role, "role").other,
        keystore=None,
        truststore=trust,
        policy=typed(TLSPolicy)(policy, "policy"),
        eku=member(EKUPolicy)(eku, "eku"),
        chain_rules=member(ChainRules)(chain_rules, "chain_rules"),
        revocation=chosen or (Revocation.CHAIN if trust.crls else Revocation.OFF),
    )
    return Verifier(settings).verify(chain, hostname, at)


class Verifier:
    """Verifies the chains of the peers of one set of settings; the OpenSSL context behind it is made once."""

    def __init__(self, settings: Settings) -> None:
        if settings.truststore is None:
            text = "this profile verifies no peer: it has no truststore="
            raise UsageError(text)
        if not len(settings.truststore):
            text = "the truststore holds no trust anchor, so no chain can be accepted: put the CA of the peers into it"
            raise UsageError(text)
        for problem in check_policy(settings.policy, settings.role, None):
            if problem.severity is Severity.ERROR:
                text = f"{problem.message}: {problem.remedy}"
                raise UsageError(text)
        self._settings = settings
        self._truststore = settings.truststore
        self._lock = threading.Lock()
        self._judge: Judge | None = None
        self._kinds: dict[x509.Certificate, AnchorKind] = {}
        self._anchors = {_certificate.der(anchor): anchor for anchor in self._truststore.anchors}

    def verify(self, chain: PeerChain, hostname: str | None, at: datetime | None) -> VerifiedChain:
        """As :func:`verify`."""
        now = moment(at)
        name = self._name(hostname)
        members = read_chain(chain)
        sent = tuple(member.encoded for member in members)
        verdict = self._now().judge(sent, name) if at is None else judge_at(self._settings, sent, name, now)
        parse = self._parser(members)
        judged = self._judged(tuple(map(parse, sent)), list(map(parse, verdict.path)), name, now)
        if not verdict.accepted:
            faults = self._all_faults(verdict, sent, explain_chain(judged), judged.role)
            raise ChainError(faults, verify_code=verdict.code)
        path = cut_at_anchor(verdict.path, self._anchors.keys())
        parsed = list(map(parse, path))
        refusals = [*self._unusable(parsed, judged.role), *self._rules(parsed, judged.role), *_partly_revoked(judged)]
        if refusals:
            raise ChainError(refusals)
        anchor = self._anchors[path[-1]]
        kind = self._kind_of(anchor)
        return VerifiedChain(
            path=() if None in parsed else tuple(each for each in parsed if each is not None),
            path_der=path,
            anchor=anchor,
            anchor_kind=kind,
            checked=tuple(checked(self._settings, len(path), anchor, kind, name, now)),
            not_checked=tuple(not_checked(self._settings, name)),
            findings=tuple(remarks_on(judged)),
        )

    def _now(self) -> Judge:
        with self._lock:
            if self._judge is None:
                self._judge = Judge(self._settings)
            return self._judge

    def _name(self, hostname: str | None) -> str | None:
        """The name as ``ssl`` encodes it, ``None`` where none is compared."""
        if hostname is None:
            return None
        if self._settings.role is Role.SERVER:
            text = (
                "hostname= is for the chain of a server; a client has no host name: say with authorize= who may come in"
            )
            raise UsageError(text)
        return asked_name(hostname, self._settings.hosts)

    def _parser(self, sent: tuple[Sent, ...]) -> Callable[[bytes], x509.Certificate | None]:
        """Gives the certificate in a DER encoding, each parsed once; anchors and objects are parsed already."""
        known = {each.encoded: self._anchors.get(each.encoded) or _parsed(each) for each in sent}
        return lambda encoded: known.get(encoded) or self._anchors.get(encoded) or _certificate.parse(encoded)

    def _judged(
        self,
        sent: tuple[x509.Certificate | None, ...],
        path: list[x509.Certificate | None],
        name: str | None,
        now: datetime,
    ) -> JudgedChain:
        settings = self._settings
        return JudgedChain(
            sent=sent,
            begun=tuple(each for each in path if each is not None) if None not in path else (),
            anchors=self._truststore.anchors,
            crls=self._truststore.crls,
            role=settings.role.other,
            now=now,
            policy=settings.policy,
            eku=settings.eku,
            chain_rules=settings.chain_rules,
            revocation=settings.revocation,
            hostname=name if settings.check_hostname else None,
        )

    def _all_faults(
        self, verdict: Verdict, sent: tuple[bytes, ...], findings: list[Finding], role: Role
    ) -> list[Finding]:
        """The findings, with OpenSSL's own word where none of them says the same."""
        if not verdict.judged:
            return [self._not_judged(verdict, sent, role), *findings]
        if any(fits_code(finding.failure, verdict.code) for finding in errors(findings)):
            return findings
        malformed = [finding for finding in findings if finding.failure is FailureReason.MALFORMED]
        findings = [each for each in findings if each not in malformed]
        own = Finding(
            failure=VERIFY_CODES.get(verdict.code, FailureReason.CERTIFICATE_REJECTED),
            severity=Severity.ERROR,
            step=role.verified_at,
            message=f"OpenSSL refuses the chain: {verdict.message} (verify code {verdict.code})",
            remedy="have the certificate that this speaks of issued anew by a CA that follows RFC 5280",
        )
        return [*(replace(each, severity=Severity.ERROR) for each in malformed), own, *findings]

    def _not_judged(self, verdict: Verdict, sent: tuple[bytes, ...], role: Role) -> Finding:
        alone = [verdict.message != TOO_LONG and not self._now().judge([entry]).judged for entry in sent]
        if any(alone):
            position: int | None = alone.index(True)
            text = f"OpenSSL cannot decode the certificate at place {position} of the chain"
            remedy = "get it again from where it came from, or have it issued anew"
        else:
            position, text = None, f"OpenSSL does not take the chain as a whole ({verdict.message})"
            remedy = "send the leaf and its intermediates only; OpenSSL takes 100 kB"
        return Finding(
            failure=FailureReason.MALFORMED,
            severity=Severity.ERROR,
            step=role.certificate_step,
            message=text,
            remedy=remedy,
            position=position,
        )

    def _unusable(self, path: list[x509.Certificate | None], role: Role) -> list[Finding]:
        """A key that no handshake can be signed with; OpenSSL judges the path without it."""
        leaf = path[0]
        if leaf is None:
            return []
        return [*unusable_key(leaf, role), *unusable_in_tls12(leaf, role, self._settings.policy)]

    def _rules(self, path: list[x509.Certificate | None], role: Role) -> list[Finding]:
        """What the profile demands beyond OpenSSL's verdict, as the hook of a handshake applies it."""
        leaf, readable = path[0], tuple(each for each in path if each is not None)
        if leaf is None or len(readable) != len(path):
            return [unreadable(role, path.index(None))] if self._settings.has_rules else []
        peer = PeerIdentity(leaf, readable, resumed=False)
        return [
            Finding(
                failure=failure,
                severity=Severity.ERROR,
                step=role.verified_at,
                message=f"{_certificate.label(leaf)} is refused by a rule of ours: {text}",
                remedy="get a certificate that fits the rule, or change the rule",
                certificate=leaf,
                position=0,
                required=role.eku if failure is FailureReason.WRONG_EKU else None,
            )
            for failure, text in admission.objections(self._settings, peer)
        ]

    def _kind_of(self, anchor: x509.Certificate) -> AnchorKind:
        if anchor not in self._kinds:
            self._kinds[anchor] = self._truststore.kind_of(anchor)  # it verifies a signature
        return self._kinds[anchor]


def _parsed(sent: Sent) -> x509.Certificate | None:
    return _certificate.parse(sent.encoded) if sent.certificate is None else _certificate.readable(sent.certificate)


def _partly_revoked(chain: JudgedChain) -> list[Finding]:
    """OpenSSL 3.0 takes a delta CRL for a complete one: whoever is on the other list only is accepted."""
    if chain.revocation is Revocation.OFF or not any(map(is_delta, chain.crls)):
        return []
    path = chain.path.certificates
    return list(check_revocation(path, chain.crls, chain.revocation, step=chain.role.verified_at, now=chain.now))
