"""The audit of a client that is a function: it is let loose on faulty servers.

Rule: what counts is whether its data reached the wrong server, or it returned as if nothing were wrong; an exception
that has nothing to do with TLS is raised, not taken for a refusal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mtls._handshake.explain import explain
from mtls._model import FailureReason, Role
from mtls._profile import TLSProfile
from mtls.errors import HandshakeError
from mtls.testing._audit_context import StandIns, refused
from mtls.testing._audit_report import AuditOutcome, AuditResult
from mtls.testing._catalogue import Demand
from mtls.testing._scene import NotApplicableError
from mtls.testing._server import LoopbackServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls.authority import CertificateAuthority
    from mtls.testing._catalogue import Fault


class ClientDriver:
    """A function that connects to an address."""

    role = Role.CLIENT
    shows_certificate: bool | None = None
    tells_rules = False

    def __init__(
        self,
        connect: Callable[[str], object],
        authority: CertificateAuthority | None,
        peer: Any,
        hostname: str | None,
        timeout: float,
    ) -> None:
        self.name = getattr(connect, "__qualname__", type(connect).__name__)
        self._connect = connect
        self._authority = authority
        self._timeout = timeout
        self._stage = StandIns(Role.CLIENT, authority, peer, hostname, None)

    def good(self) -> str | None:
        with LoopbackServer(self._stage.good_peer, timeout=self._timeout) as server:
            try:
                self._connect(server.address)
            except Exception as error:  # noqa: BLE001 - whatever the client raises, it does not get on with a good server
                return f"{type(error).__name__}: {explain(error) or error}"
        self._look_for_a_certificate()
        return None

    def attempt(self, fault: Fault) -> AuditResult:
        if fault.demand is Demand.STRICT:
            raise NotApplicableError(fault, "how strictly it reads RFC 5280 is its own choice", "audit its context")
        if fault.failure is FailureReason.TIMED_OUT:
            raise NotApplicableError(fault, "it takes the whole time-out of the client", "leave it out")
        scene = self._stage.scene(fault)
        with LoopbackServer._of(scene, timeout=self._timeout) as server:
            try:
                self._connect(server.address)
            except Exception as error:
                side = server.wait_for_handshake(self._timeout)
                found = explain(error)
                if found is None and side.error is None and scene.cut is None:
                    raise
                return refused(fault, side.error, error)
        return AuditResult(fault=fault, outcome=AuditOutcome.ACCEPTED)

    def _look_for_a_certificate(self) -> None:
        """Whether the client shows one to a server that asks."""
        assert self._authority is not None
        asking = TLSProfile.server(keystore=self._stage.good_peer.keystore, truststore=self._authority.truststore)
        with LoopbackServer(asking, timeout=self._timeout) as server:
            try:
                self._connect(server.address)
            except Exception as error:
                if not isinstance(explain(error), HandshakeError):
                    raise
            self.shows_certificate = bool(server.wait_for_handshake(self._timeout).peer_chain)
