"""``TLSProfile``: what we hold, whom we trust and by which rules, for one role.

Rule: a profile is a frozen value. It is checked before it becomes a context, and an option that is ``None``
(an unset variable) is an error, never a default.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from mtls._certificate import label
from mtls._checks.coherence import check_unused
from mtls._checks.trust import lists_gone
from mtls._credentials.keystore import Keystore
from mtls._credentials.truststore import Truststore
from mtls._handshake.context import TLSContext, Watch
from mtls._handshake.generation import Generation, Settings
from mtls._inspection import report_on
from mtls._model import (
    ChainRules,
    ClientAuth,
    EKUPolicy,
    FailureReason,
    Finding,
    Omitted,
    Revocation,
    Role,
    ServerIdentity,
    Severity,
)
from mtls._options import (
    alpn_names,
    authorize_rule,
    given,
    host_names,
    member,
    moment,
    observer,
    optional,
    refuse_none,
    server_identity_rule,
    typed,
)
from mtls._policy import MOZILLA_INTERMEDIATE, TLSPolicy
from mtls._report import Report
from mtls._verification import Verifier
from mtls.errors import ConfigurationError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from mtls._credentials.peer_chain import PeerChain
    from mtls._handshake.following import Reload
    from mtls._handshake.peer import PeerIdentity
    from mtls._handshake.peer_policy import PeerPolicy
    from mtls._handshake.tracing import Trace
    from mtls._verified_chain import VerifiedChain
    from mtls.errors import HandshakeError

    Authorize = PeerPolicy | Callable[[PeerIdentity], bool]

_RECHECKED_AFTER = timedelta(hours=1)
_BUILD_FAILURES = {
    "EE_KEY_TOO_SMALL": FailureReason.WEAK_KEY,
    "CA_KEY_TOO_SMALL": FailureReason.WEAK_KEY,
    "CA_MD_TOO_WEAK": FailureReason.WEAK_SIGNATURE,
    "KEY_VALUES_MISMATCH": FailureReason.KEY_MISMATCH,
    "KEY_TYPE_MISMATCH": FailureReason.KEY_MISMATCH,
}
_COMMON_OPTIONS: Mapping[str, Callable[[Any, str], Any]] = {
    "policy": typed(TLSPolicy),
    "alpn": alpn_names,
    "eku": member(EKUPolicy),
    "chain_rules": member(ChainRules),
    "revocation": optional(member(Revocation)),
    "authorize": optional(authorize_rule),
}


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TLSProfile:
    """Keystore, truststore and rules for one role: :meth:`client` and :meth:`server` make the two kinds.

    Profiles are frozen, equal and hashed by content (an ``authorize`` function by identity), and safe to share between
    threads. ``dataclasses.replace`` makes a changed copy, which is validated like a new one.
    """

    role: ClassVar[Role]
    _own_options: ClassVar[Mapping[str, Callable[[Any, str], Any]]] = {}

    keystore: Keystore | None
    truststore: Truststore | None
    policy: TLSPolicy
    alpn: tuple[str, ...]
    eku: EKUPolicy
    chain_rules: ChainRules
    revocation: Revocation | None
    authorize: Authorize | None
    _built: _Built = field(default_factory=lambda: _Built(), init=False, compare=False, repr=False)  # noqa: PLW0108 - the class follows below

    def __post_init__(self) -> None:
        for option, rule in {**_COMMON_OPTIONS, **self._own_options}.items():
            object.__setattr__(self, option, rule(getattr(self, option), option))

    @staticmethod
    def client(  # noqa: PLR0913 - the options of the contract, keyword-only
        *,
        truststore: Truststore,
        keystore: Keystore | Omitted = Omitted.OMITTED,
        policy: TLSPolicy = MOZILLA_INTERMEDIATE,
        alpn: Sequence[str] = (),
        eku: EKUPolicy = EKUPolicy.IF_PRESENT,
        chain_rules: ChainRules = ChainRules.STRICT,
        revocation: Revocation | Omitted = Omitted.OMITTED,
        authorize: Authorize | Omitted = Omitted.OMITTED,
        hosts: Sequence[str] = (),
        server_identity: ServerIdentity | PeerPolicy = ServerIdentity.HOSTNAME,
    ) -> ClientProfile:
        """The client side. With ``keystore`` it can show a certificate (two-way), without it cannot (one-way).

        ``revocation`` left out means ``CHAIN`` if the truststore holds CRLs, else ``OFF``. ``hosts`` lists the only
        server names that may be connected to (``"*.partner.example"`` covers one label). ``server_identity`` may be a
        :class:`PeerPolicy` that replaces the host name check (SPIFFE). Raises :class:`ConfigurationError` for a
        ``truststore``, ``keystore`` or ``authorize`` of ``None``, and :class:`UsageError` for other wrong values.
        """
        refuse_none(Role.CLIENT, truststore=truststore, keystore=keystore, authorize=authorize)
        return ClientProfile(
            truststore=truststore,
            keystore=given(keystore),
            policy=policy,
            alpn=alpn,  # type: ignore[arg-type] # a list becomes a tuple when it is validated
            eku=eku,
            chain_rules=chain_rules,
            revocation=given(revocation),
            authorize=given(authorize),
            hosts=hosts,  # type: ignore[arg-type] # the same
            server_identity=server_identity,
        )

    @staticmethod
    def server(  # noqa: PLR0913 - the options of the contract, keyword-only
        *,
        keystore: Keystore,
        truststore: Truststore | Omitted = Omitted.OMITTED,
        policy: TLSPolicy = MOZILLA_INTERMEDIATE,
        alpn: Sequence[str] = (),
        eku: EKUPolicy = EKUPolicy.IF_PRESENT,
        chain_rules: ChainRules = ChainRules.STRICT,
        revocation: Revocation | Omitted = Omitted.OMITTED,
        authorize: Authorize | Omitted = Omitted.OMITTED,
        client_auth: ClientAuth | Omitted = Omitted.OMITTED,
    ) -> ServerProfile:
        """The server side. With ``truststore`` every client must show a certificate from it (two-way).

        ``client_auth`` left out means ``REQUIRED`` with a truststore; with ``OPTIONAL`` a client without a certificate
        comes in and its identity is ``None``. Raises like :meth:`client`.
        """
        refuse_none(Role.SERVER, keystore=keystore, truststore=truststore, authorize=authorize, client_auth=client_auth)
        return ServerProfile(
            keystore=keystore,
            truststore=given(truststore),
            policy=policy,
            alpn=alpn,  # type: ignore[arg-type] # a list becomes a tuple when it is validated
            eku=eku,
            chain_rules=chain_rules,
            revocation=given(revocation),
            authorize=given(authorize),
            client_auth=given(client_auth),
        )

    @property
    def two_way(self) -> bool:
        """Whether a client certificate is part of this profile."""
        return self.keystore is not None and self.truststore is not None

    def check(self, at: datetime | None = None) -> Report:
        """Every finding about our own side at the time ``at`` (aware; now if left out), without connecting anywhere.

        Covers our certificates (dates, EKU, key usage, strength, chain), the anchors and CRLs, and the options
        together. OpenSSL itself is asked about our chain, as a peer that trusts its top will see it, and about each
        anchor (up to twenty). What the peer trusts is not checked. Raises :class:`UsageError` for a naive datetime.
        """
        return report_on(self._settings(), self._unused(), moment(at), at=at)

    def verify_peer(self, chain: PeerChain, hostname: str | None = None, at: datetime | None = None) -> VerifiedChain:
        """Whether a context of this profile would accept a peer with this chain, by every rule of the profile.

        As :func:`mtls.verify`, with the truststore and the options of the profile, ``authorize=`` and
        ``server_identity=`` among them. Raises the same errors, and :class:`UsageError` for a profile that verifies
        nobody and for a ``hostname`` that ``hosts=`` does not list.
        """
        built = self._built
        with built.lock:
            if built.verifier is None:
                built.verifier = Verifier(self._settings())
        return built.verifier.verify(chain, hostname, at)

    def ssl_context(
        self,
        *,
        reload: Reload | None = None,
        trace: Callable[[Trace], object] | None = None,
        on_handshake_error: Callable[[HandshakeError], object] | None = None,
    ) -> TLSContext:
        """A checked and sealed :class:`ssl.SSLContext` for any library; a new one at each call, cheap after the first.

        The checks are those of :meth:`check`, without the questions to OpenSSL, which would double the cost.

        With ``reload`` it follows the files that the profile was read from. ``trace`` is called with the
        :class:`~mtls.Trace` of each connection when its handshake has ended, well or not (``trace=print`` shows the
        messages). ``on_handshake_error`` is called once for each connection that fails, with the
        :class:`HandshakeError`, also where a server or an event loop swallows the exception; for a client of TLS 1.3
        that may be at its first read. Both run where the connection does, so they must not block; what they raise is
        logged and changes nothing.

        Raises :class:`ConfigurationError` with the report if the check finds an error, and :class:`UsageError` if
        ``reload`` has no files to follow, or one of the two is no function.
        """
        watch = Watch(observer(trace, "trace"), observer(on_handshake_error, "on_handshake_error"))
        return TLSContext._make(
            self, self._generation(), self._read_again, reload=reload, paths=self._paths(), watch=watch
        )

    def _observed_context(self, *, key_log: str | None = None) -> TLSContext:
        """A context whose connections keep what they heard of their handshake, for a rehearsal or a probe.

        It is made once, for that costs a part of a handshake. With ``key_log``, a path, it is a new one with a
        generation of its own that writes the secrets of its connections there.
        """
        generation, built = self._generation(), self._built
        if key_log is not None:
            generation = Generation(self._settings(), key_log=key_log)
            return TLSContext._make(self, generation, self._read_again, keeps_log=True)
        with built.lock:
            if built.observed is None:
                built.observed = TLSContext._make(self, generation, self._read_again, keeps_log=True)
            return built.observed

    def _generation(self) -> Generation:
        """The OpenSSL contexts of this profile, built once; the dates are looked at again every time."""
        built = self._built
        with built.lock:
            now = datetime.now(UTC)
            if built.checked is None or not built.checked <= now < built.good_until:
                report_on(self._settings(), self._unused(), now, ask=False).raise_for_errors()
                built.checked, built.good_until = now, min([now + _RECHECKED_AFTER, *self._ends()])
            if built.generation is None:
                try:
                    built.generation = Generation(self._settings())
                except ssl.SSLError as refusal:
                    raise ConfigurationError(self._refused_by_openssl(refusal)) from refusal
            return built.generation

    def _ends(self) -> list[datetime]:
        """When our own certificates end."""
        own = () if self.keystore is None else (self.keystore.certificate, *self.keystore.chain)
        return [certificate.not_valid_after_utc for certificate in own]

    def _read_again(self) -> tuple[TLSProfile, Generation]:
        """The same profile from the files as they are now; raises what stands against using it."""
        if not self._paths():
            text = "nothing here was read from a file, so there is nothing to read again; build a new profile instead"
            raise UsageError(text)
        changed: dict[str, Any] = {}
        for name in ("keystore", "truststore"):
            source = getattr(self, name)
            if source is not None and source._paths:
                changed[name] = source._reload()
        again = replace(self, **changed)
        if again._settings().revocation is Revocation.OFF is not self._settings().revocation:
            raise ConfigurationError(Report(self.role, self.two_way, (lists_gone(self.role),)))
        return again, again._generation()

    def _paths(self) -> tuple[str, ...]:
        return tuple(
            path for source in (self.keystore, self.truststore) if source is not None for path in source._paths
        )

    def _settings(self) -> Settings:
        own = {name.name for name in fields(Settings)}
        values = {item.name: getattr(self, item.name) for item in fields(self) if item.name in own}
        if self.revocation is None:
            has_crls = self.truststore is not None and bool(self.truststore.crls)
            values["revocation"] = Revocation.CHAIN if has_crls else Revocation.OFF
        if values.get("client_auth", ...) is None:
            values["client_auth"] = ClientAuth.REQUIRED
        return Settings(role=self.role, **values)

    def _unused(self) -> list[Finding]:
        return []

    def _refused_by_openssl(self, refusal: ssl.SSLError) -> Report:
        reason = getattr(refusal, "reason", None) or "no reason given"
        finding = Finding(
            failure=_BUILD_FAILURES.get(reason, FailureReason.MALFORMED),
            severity=Severity.ERROR,
            step=self.role.certificate_step,
            message=f"OpenSSL does not take this material: {reason}",
            remedy="have the certificate or CRL that the reason speaks of issued anew",
            certificate=None if self.keystore is None else self.keystore.certificate,
        )
        return Report(self.role, self.two_way, (finding,))

    def __deepcopy__(self, _: object) -> Self:
        return self

    def __repr__(self) -> str:
        ways = "two-way" if self.two_way else "one-way"
        own = "" if self.keystore is None else f" as {label(self.keystore.certificate)}"
        trust = "" if self.truststore is None else f", trusts {self.truststore!r}"
        return f"<{type(self).__name__} {ways}{own}{trust}, {self.policy.name}>"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ClientProfile(TLSProfile):
    """A client's profile; made by :meth:`TLSProfile.client`."""

    role: ClassVar[Role] = Role.CLIENT
    _own_options: ClassVar[Mapping[str, Callable[[Any, str], Any]]] = {
        "truststore": typed(Truststore),
        "keystore": optional(typed(Keystore)),
        "hosts": host_names,
        "server_identity": server_identity_rule,
    }

    hosts: tuple[str, ...]
    server_identity: ServerIdentity | PeerPolicy


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ServerProfile(TLSProfile):
    """A server's profile; made by :meth:`TLSProfile.server`."""

    role: ClassVar[Role] = Role.SERVER
    _own_options: ClassVar[Mapping[str, Callable[[Any, str], Any]]] = {
        "keystore": typed(Keystore),
        "truststore": optional(typed(Truststore)),
        "client_auth": optional(member(ClientAuth)),
    }

    client_auth: ClientAuth | None

    def _unused(self) -> list[Finding]:
        given = [option for option in ("authorize", "client_auth", "revocation") if getattr(self, option) is not None]
        return check_unused(given, one_way=self.truststore is None)


class _Built:
    """What a profile has made of itself: not part of its value."""

    __slots__ = ("checked", "generation", "good_until", "lock", "observed", "verifier")

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.checked: datetime | None = None
        self.good_until = datetime.max.replace(tzinfo=UTC)
        self.generation: Generation | None = None
        self.observed: TLSContext | None = None
        self.verifier: Verifier | None = None
