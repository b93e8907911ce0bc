"""The audit of a profile and of any ``ssl.SSLContext``, in memory.

Rule: a context is taken as it is. What it would refuse by a rule that it does not have is not tried, and the reason is
told.
"""

from __future__ import annotations

import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from mtls._credentials.truststore import Truststore
from mtls._handshake.explain import explain, inside
from mtls._handshake.loopback import Side, join
from mtls._model import ChainRules, FailureReason, Role
from mtls._model import Side as OwnSide
from mtls._profile import ClientProfile, TLSProfile
from mtls.authority import CertificateAuthority
from mtls.errors import HandshakeError, UsageError
from mtls.testing._audit_report import AuditOutcome, AuditResult
from mtls.testing._catalogue import Demand
from mtls.testing._pair import pair
from mtls.testing._scene import NotApplicableError, Scene, served_name, unchecked
from mtls.testing._wire import join_cut

if TYPE_CHECKING:
    from mtls._handshake.context import TLSContext
    from mtls.testing._catalogue import Fault

_OF_THE_SYSTEM = frozenset({FailureReason.RESET, FailureReason.TIMED_OUT})


class ProfileDriver:
    """A profile, with its own rules."""

    tells_rules = True

    def __init__(self, profile: Any, authority: CertificateAuthority | None, peer: Any, hostname: str | None) -> None:
        self.role: Role = profile.role
        self.name = f"this {self.role.value} profile"
        self._pair = pair(profile, authority=authority, peer=peer, hostname=hostname)
        self._given = authority is not None or peer is not None
        self._one_way = self.role is Role.SERVER and profile.truststore is None
        self.shows_certificate = profile.keystore is not None if self.role is Role.CLIENT else None

    def good(self) -> str | None:
        from mtls._rehearsal.rehearsal import rehearse

        handshake = rehearse(self._pair.client, self._pair.server, hostname=self._pair.hostname)
        rule = isinstance(handshake.error, HandshakeError) and handshake.error.failure is FailureReason.NOT_AUTHORIZED
        if rule and not self._given:
            return None  # whom authorize= admits only its owner knows; each fault has to be refused for what it is
        return None if handshake.error is None else str(handshake.error)

    def attempt(self, fault: Fault) -> AuditResult:
        judge = self._pair.client if self.role is Role.CLIENT else self._pair.server
        if fault.demand is Demand.STRICT and judge.chain_rules is ChainRules.LENIENT:
            raise NotApplicableError(fault, "chain_rules=ChainRules.LENIENT allows it by name", "leave it out")
        handshake = self._pair.scene(fault).play()
        error = handshake.error
        if error is None:
            note = "the server is one-way: it asks nobody for a certificate" if self._one_way else ""
            return AuditResult(fault=fault, outcome=AuditOutcome.ACCEPTED, note=note)
        result = refused(fault, error)
        meant = (result.step, result.failure) == (fault.step, fault.failure)
        return result if meant else replace(result, note="which is another reason than the fault")


class ContextDriver:
    """Any context, joined in memory with a peer that has the fault."""

    shows_certificate: bool | None = None
    tells_rules = False

    def __init__(
        self,
        context: ssl.SSLContext,
        role: Role,
        authority: CertificateAuthority | None,
        peer: Any,
        hostname: str | None,
    ) -> None:
        self.role = role
        self.name = f"this {type(context).__name__}"
        self._context = context
        self._strict = bool(context.verify_flags & ssl.VERIFY_X509_STRICT)
        self._authority = authority
        leaf = None if role is Role.CLIENT else shown_by(lambda bare: _bare_join(bare, context), self.name)
        self._stage = StandIns(role, authority, peer, hostname, leaf)

    def good(self) -> str | None:
        near, far = self._join(unchecked(self._stage.good_peer), None)
        if self.role is Role.CLIENT and near.error is None:
            self._look_for_a_certificate()
        error = far.error or near.error
        return None if error is None else f"{explain(error) or error}"

    def attempt(self, fault: Fault) -> AuditResult:
        if fault.demand is Demand.STRICT and not self._strict:
            raise NotApplicableError(fault, "the context has no VERIFY_X509_STRICT", "set it")
        if fault.failure in _OF_THE_SYSTEM and fault.side is None:
            raise NotApplicableError(fault, "that is told by the operating system, not by a context", "leave it out")
        scene = self._stage.scene(fault)
        near, far = self._join(scene.context(fault.culprit), scene)
        judge, culprit = (near, far) if self.role is Role.CLIENT else (far, near)
        if judge.error is None and judge.heard:
            return AuditResult(fault=fault, outcome=AuditOutcome.ACCEPTED)
        found = None if culprit.error is None else explain(culprit.error)
        if isinstance(found, HandshakeError) and (found.side, found.step) == (OwnSide.LOCAL, self.role.verified_at):
            note = f"the {fault.culprit.value} of the audit came no further: {found}"
            return AuditResult(fault=fault, outcome=AuditOutcome.NOT_TRIED, note=note)
        if judge.error is None and culprit.error is None:
            note = "neither side failed, and no data arrived"
            return AuditResult(fault=fault, outcome=AuditOutcome.NOT_TRIED, note=note)
        return refused(fault, culprit.error, judge.error)

    def _join(self, other: TLSContext, scene: Scene | None) -> tuple[Side, Side]:
        contexts = (self._context, other) if self.role is Role.CLIENT else (other, self._context)
        if scene is None or scene.cut is None:
            return join(*contexts, server_hostname=self._stage.hostname)
        near, far, tap = join_cut(contexts[0], contexts[1], scene.cut, server_hostname=self._stage.hostname)
        if not tap.reached:
            scene.refuse(f"the {scene.fault.culprit.value} sends no {scene.cut.messages[0]} here", "leave it out")
        return near, far

    def _look_for_a_certificate(self) -> None:
        """Whether the client shows one to a server that asks."""
        assert self._authority is not None
        asking = TLSProfile.server(keystore=self._stage.good_peer.keystore, truststore=self._authority.truststore)
        _, far = join(self._context, asking._observed_context(), server_hostname=self._stage.hostname)
        self.shows_certificate = bool(far.tls._mtls.log.peer_chain)


class StandIns:
    """A good peer of something that is no profile, and the stage on which its fault is put into it.

    In place of the audited side stands a profile that trusts the authority and has no other rule, so a fault that needs
    one is none.
    """

    def __init__(
        self, role: Role, authority: CertificateAuthority | None, peer: Any, hostname: str | None, leaf: Any
    ) -> None:
        self.good_peer: Any
        self._issuer = authority or CertificateAuthority("visiting CA")
        trusted = self._issuer if authority is not None else CertificateAuthority("wayward CA")
        if role is Role.SERVER:
            self.hostname = hostname or served_name_of(leaf)
            self.good_peer = peer or _client_of(self._issuer, leaf)
            keystore = trusted.server(self.hostname)
            self._judge: Any = TLSProfile.server(keystore=keystore, truststore=trusted.truststore)
        else:
            self.hostname = hostname or (served_name(peer) if peer else "localhost")
            self.good_peer = peer or TLSProfile.server(keystore=self._issuer.server(self.hostname))
            self._judge = TLSProfile.client(truststore=trusted.truststore)
        self._role = role

    def scene(self, fault: Fault) -> Scene:
        """The stage; only the culprit's side of it plays."""
        client, server = (self._judge, self.good_peer) if self._role is Role.CLIENT else (self.good_peer, self._judge)
        return Scene(fault, client, server, self._issuer, self.hostname, adds=False)


def served_name_of(leaf: Any) -> str:
    """A name of a server's certificate."""
    from mtls._certificate import subject_alternative_names

    plain = [name for name in subject_alternative_names(leaf) if not any(mark in name for mark in "*/@")]
    return "localhost" if "localhost" in plain or not plain else plain[0]


def _client_of(issuer: CertificateAuthority, leaf: Any) -> ClientProfile:
    """A client that takes exactly this server, whatever its certificate is like."""
    from mtls._handshake.peer_policy import PeerPolicy
    from mtls._policy import TLSPolicy

    return TLSProfile.client(
        truststore=Truststore.from_certificates([leaf]),
        keystore=issuer.client("client.example"),
        chain_rules=ChainRules.LENIENT,
        policy=TLSPolicy(name="audit", ciphers=("ALL",), security_level=1),
        server_identity=PeerPolicy.spki(_spki(leaf)),
    )


def _spki(leaf: Any) -> str:
    import hashlib

    from mtls._certificate import public_key_der

    return hashlib.sha256(public_key_der(leaf)).hexdigest()


def shown_by(connect: Any, name: str) -> Any:
    """The certificate that a server shows to a client that verifies nothing and has none."""
    from mtls._certificate import parse

    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.verify_mode = ssl.CERT_NONE  # it looks at the certificate, and sends nothing
    bare.set_ciphers("ALL:@SECLEVEL=0")
    tls = connect(bare)
    sent = tls._sslobj.get_unverified_chain() or ()
    leaf = parse(sent[0] if isinstance(sent[0], bytes) else sent[0].public_bytes(2)) if sent else None
    if leaf is None:
        text = f"{name} shows no certificate that can be read, so it serves nobody; check it first"
        raise UsageError(text)
    return leaf


def _bare_join(bare: ssl.SSLContext, server: ssl.SSLContext) -> Any:
    near, _ = join(bare, server, server_hostname="localhost")
    return near.tls


def refused(fault: Fault, *errors: BaseException | None) -> AuditResult:
    """A fault that was refused: where, as far as one of these tells, and for what the first of them says."""
    told = [found for found in (None if error is None else explain(error) for error in errors) if found is not None]
    known = [found for found in told if isinstance(found, HandshakeError)]
    step = next((found.step for found in known if found.step is not None), None)
    failure = next((found.failure for found in reversed(known)), None) or _how_it_ended(errors[0])
    return AuditResult(fault=fault, outcome=AuditOutcome.REFUSED, step=step, failure=failure)


def _how_it_ended(error: BaseException | None) -> FailureReason | None:
    """Of an exception that says nothing of TLS: whether the connection was cut."""
    held = [] if error is None else list(inside(error))
    if any(isinstance(each, ConnectionResetError) for each in held):
        return FailureReason.RESET
    return FailureReason.CLOSED if any(isinstance(each, (ConnectionError, EOFError)) for each in held) else None
