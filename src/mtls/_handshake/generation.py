"""One generation of a context: key material and rules, frozen, as real OpenSSL contexts that nobody else can touch.

Theory of operation: a generation makes its OpenSSL contexts once and never changes them. Everything that must differ
between connections (the ALPN list of one consumer, a stricter setting) has a context of its own, built on demand from
the same material, so that nothing set for one connection can reach another. They are bare ``_ssl._SSLContext`` objects:
the setters of ``ssl.SSLContext`` recurse once another library has replaced that name.
"""

from __future__ import annotations

import _ssl
import os
import ssl
import threading
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from mtls._handshake import listening, staging
from mtls._handshake.verified_paths import VerifiedPaths
from mtls._model import ChainRules, ClientAuth, EKUPolicy, Revocation, Role, ServerIdentity

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls._credentials.keystore import Keystore
    from mtls._credentials.truststore import Truststore
    from mtls._handshake.peer import PeerIdentity
    from mtls._handshake.peer_policy import PeerPolicy
    from mtls._policy import TLSPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything a context is built from: the fields of a profile."""

    role: Role
    keystore: Keystore | None
    truststore: Truststore | None
    policy: TLSPolicy
    alpn: tuple[str, ...] = ()
    eku: EKUPolicy = EKUPolicy.IF_PRESENT
    chain_rules: ChainRules = ChainRules.STRICT
    revocation: Revocation = Revocation.OFF
    authorize: PeerPolicy | Callable[[PeerIdentity], bool] | None = None
    client_auth: ClientAuth = ClientAuth.REQUIRED
    hosts: tuple[str, ...] = ()
    server_identity: ServerIdentity | PeerPolicy = ServerIdentity.HOSTNAME

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """What OpenSSL does with the peer's certificate."""
        if self.role is Role.CLIENT:
            return ssl.CERT_REQUIRED  # whatever else is missing: a client that verifies nobody does not exist here
        if self.truststore is None:
            return ssl.CERT_NONE
        return ssl.CERT_OPTIONAL if self.client_auth is ClientAuth.OPTIONAL else ssl.CERT_REQUIRED

    @property
    def check_hostname(self) -> bool:
        """Whether OpenSSL compares the name; a client that does not has a policy in its place."""
        return self.role is Role.CLIENT and self.server_identity is ServerIdentity.HOSTNAME

    @property
    def has_rules(self) -> bool:
        """Whether the profile demands more of a peer than OpenSSL does."""
        named_server = self.role is Role.CLIENT and self.server_identity is not ServerIdentity.HOSTNAME
        return self.authorize is not None or named_server or self.eku is EKUPolicy.REQUIRED

    @property
    def verify_flags(self) -> int:
        """The ``X509_V_FLAG_*`` bits, the same on every Python."""
        flags = ssl.VERIFY_X509_TRUSTED_FIRST | ssl.VERIFY_X509_PARTIAL_CHAIN
        if self.chain_rules is ChainRules.STRICT:
            flags |= ssl.VERIFY_X509_STRICT
        if self.revocation is Revocation.CHAIN:
            flags |= ssl.VERIFY_CRL_CHECK_CHAIN
        elif self.revocation is Revocation.LEAF:
            flags |= ssl.VERIFY_CRL_CHECK_LEAF
        return int(flags)


Narrowing = tuple[tuple[str, int], ...]
"""Attributes of an ``_ssl._SSLContext`` that somebody made stricter after the build."""


class Serving:
    """One OpenSSL context that connections begin with. It listens to their handshakes; ``quiet`` is what they go on
    with, a context without a callback, keys and trust: after the handshake none of that is asked for.
    """

    __slots__ = ("_lock", "_quiet", "context", "listens")

    def __init__(self, context: _ssl._SSLContext, *, listens: bool) -> None:
        self.context = context
        self.listens = listens
        self._quiet: _ssl._SSLContext | None = None
        self._lock = threading.Lock()
        if listens:
            context._msg_callback = listening.callback  # type: ignore[attr-defined] # not in typeshed

    @property
    def quiet(self) -> _ssl._SSLContext:
        """The context of connections whose handshake has ended; sessions belong to it."""
        if self._quiet is None:
            with self._lock:  # of two, one would have the sessions that the other does not take
                if self._quiet is None:
                    quiet = _ssl._SSLContext(int(self.context.protocol))
                    quiet.check_hostname = False  # nothing is verified by it
                    quiet.verify_mode = self.context.verify_mode  # without it getpeercert() says nothing of the peer
                    self._quiet = quiet
        return self._quiet


class Generation:
    """The OpenSSL contexts of one set of settings.

    With ``key_log`` OpenSSL writes the secrets of its connections to that path: for one connection of ours whose
    capture was asked for, never for a context that is handed out.
    """

    def __init__(self, settings: Settings, *, key_log: str | None = None) -> None:
        self.settings = settings
        self._key_log = key_log
        self._begin()

    def _begin(self) -> None:
        self._made: dict[tuple[tuple[str, ...], Narrowing], Serving] = {}
        self._lock = threading.Lock()
        self._process = os.getpid()
        first = self.serving(self.settings.alpn)
        self.context = first.context
        """The context of a connection that asks for nothing special; also the one that readers describe."""
        self.paths = VerifiedPaths(lambda: first.context.get_ca_certs(True))

    @cached_property
    def leaf(self) -> bytes | None:
        """The certificate that we show (DER): every failure names it."""
        keystore = self.settings.keystore
        return None if keystore is None else staging.leaf_der(keystore)

    def serving(self, alpn: tuple[str, ...], narrowing: Narrowing = ()) -> Serving:
        """What serves connections with one ALPN list and one narrowing; built at first use."""
        if self._process != os.getpid():
            # A fork copies the keys of session tickets: one child would resume what another verified, and not know by
            # which path. So each process makes contexts of its own.
            self._begin()
        key = (alpn, narrowing)
        found = self._made.get(key)
        if found is None:
            with self._lock:
                found = self._made.get(key)
                if found is None:
                    context = build(self.settings, alpn)
                    for name, value in narrowing:
                        setattr(context, name, _stricter(name, value, int(getattr(context, name))))
                    if self._key_log is not None:
                        context.keylog_filename = self._key_log
                    found = Serving(context, listens=listening.available())
                    self._made[key] = found
        return found


def _stricter(name: str, asked: int, built: int) -> int:
    """What somebody asked for once and what this generation was built with, whichever is stricter."""
    if name in {"verify_flags", "options"}:
        return asked | built
    if name in {"maximum_version", "num_tickets"}:
        return min(asked, built)
    return max(asked, built)


def build(settings: Settings, alpn: tuple[str, ...]) -> _ssl._SSLContext:
    """A fresh OpenSSL context. Raises :class:`ssl.SSLError` for what this OpenSSL refuses."""
    protocol = ssl.PROTOCOL_TLS_CLIENT if settings.role is Role.CLIENT else ssl.PROTOCOL_TLS_SERVER
    context = _ssl._SSLContext(int(protocol))
    context.options |= int(ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE)
    context.minimum_version = int(settings.policy.minimum_version)
    context.maximum_version = int(settings.policy.maximum_version)
    context.set_ciphers(settings.policy.cipher_string)
    # the flag decides over name constraints on the common name as well, so it is set for both roles
    context._host_flags |= _ssl.HOSTFLAG_NEVER_CHECK_SUBJECT  # type: ignore[attr-defined] # not in typeshed
    context.check_hostname = settings.check_hostname
    context.verify_mode = int(settings.verify_mode)
    context.verify_flags = settings.verify_flags
    if settings.truststore is not None:
        if len(settings.truststore):
            context.load_verify_locations(None, None, settings.truststore._anchors_der())
        if settings.truststore.crls:
            staging.load_crls(context, settings.truststore)
    if settings.keystore is not None:
        staging.load_identity(context, settings.keystore)
    if alpn:
        context._set_alpn_protocols(encode_alpn(alpn))  # type: ignore[attr-defined] # not in typeshed
    return context


def encode_alpn(names: tuple[str, ...]) -> bytes:
    """The wire form of an ALPN list (RFC 7301, 3.1)."""
    return b"".join(bytes((len(name),)) + name.encode("ascii") for name in names)
