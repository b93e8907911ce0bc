"""``mtls demo``: the main job on this machine, over a real socket, and every common way to break it.

Rule: each broken set-up says beforehand how it must fail, and the exit code is 1 if one fails in another way.
"""

from __future__ import annotations

import os
import ssl
import sys
import textwrap
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import mtls
from mtls._certificate import label, name, when
from mtls._handshake.loopback import connected
from mtls._handshake.staging import load_identity
from mtls._rehearsal.rehearsal import handshake_over_socket
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from mtls import ClientProfile, Keystore, ServerProfile

_NAME = "localhost"
_WIDTH = 100


def demo() -> int:
    """Print the demonstration; 0 if everything came out as it must, 1 if not."""
    started = time.monotonic()
    world = _make_world()
    print(f"\n3. A two-way handshake over a socket on 127.0.0.1, for the name {_NAME}\n")
    good = handshake_over_socket(world.client, world.server, hostname=_NAME)
    print(textwrap.indent(str(good), "  "))
    wrong = 0 if good.ok else 1
    print("\n4. Broken in every common way: which step, who refused, why, and what to do")
    scenarios = _scenarios(world)
    for scenario in scenarios:
        wrong += _play(scenario)
    total = len(scenarios) + 1
    print(f"\n{total - wrong} of {total} came out as they must, in {time.monotonic() - started:.1f} s.")
    return 1 if wrong else 0


@dataclass(frozen=True, slots=True)
class _World:
    authority: CertificateAuthority
    stranger: CertificateAuthority
    server: ServerProfile
    client: ClientProfile


@dataclass(frozen=True, slots=True)
class _Scenario:
    title: str
    client: ClientProfile
    server: ServerProfile | Keystore
    """Ours, or the keystore of a server that was set up without this library."""
    step: mtls.HandshakeStep
    side: mtls.Side
    failure: mtls.FailureReason
    hostname: str = _NAME


def _make_world() -> _World:
    print("1. A development CA\n")
    authority = CertificateAuthority("Demo Root")
    issuing = authority.intermediate("Demo Issuing CA")
    for kind, certificate in (("root", authority.certificate), ("intermediate", issuing.certificate)):
        print(f"   {kind:<13} {label(certificate)}, until {when(certificate.not_valid_after_utc)}")
    print("\n2. Key → certificate request (CSR) → certificate, for both sides\n")
    keystores = {}
    for role, names in ((mtls.Role.SERVER, [_NAME]), (mtls.Role.CLIENT, ["billing-client"])):
        request = mtls.CertificateRequest.new(names=names, role=role)
        keystore = keystores[role] = request.complete(issuing.sign(request))
        leaf = keystore.certificate
        print(f"   {role.value}  a new key → a CSR for {', '.join(names)} ({role.eku}) → {label(leaf)}")
        print(f"           signed by {name(leaf.issuer)}, until {when(leaf.not_valid_after_utc)}")
    return _World(
        authority=authority,
        stranger=CertificateAuthority("Stranger Root"),
        server=mtls.TLSProfile.server(keystore=keystores[mtls.Role.SERVER], truststore=authority.truststore),
        client=mtls.TLSProfile.client(truststore=authority.truststore, keystore=keystores[mtls.Role.CLIENT]),
    )


def _scenarios(world: _World) -> list[_Scenario]:
    trusted, step, failure = world.authority.truststore, mtls.HandshakeStep, mtls.FailureReason
    outsider = mtls.TLSProfile.client(truststore=trusted, keystore=world.stranger.client("outsider"))
    trusts_other = mtls.TLSProfile.client(
        truststore=world.stranger.truststore, keystore=world.stranger.client("billing-client")
    )
    now = datetime.now(UTC)
    expired = world.authority.server(_NAME, not_before=now - timedelta(days=90), not_after=now - timedelta(days=3))
    for_clients = world.authority.client(_NAME)
    verifies, local, peer = step.CLIENT_VERIFIES_SERVER, mtls.Side.LOCAL, mtls.Side.PEER
    no_certificate = mtls.TLSProfile.client(truststore=trusted)
    return [
        _Scenario("unknown CA", trusts_other, world.server, verifies, local, failure.UNKNOWN_CA),
        _Scenario("expired server certificate", world.client, expired, verifies, local, failure.EXPIRED),
        _Scenario("wrong EKU", world.client, for_clients, verifies, local, failure.WRONG_EKU),
        _Scenario(
            "wrong host name", world.client, world.server, verifies, local, failure.HOSTNAME_MISMATCH, "api.example"
        ),
        _Scenario(
            "no client certificate", no_certificate, world.server, step.CLIENT_CERTIFICATE, peer,
            failure.CERTIFICATE_REQUIRED,
        ),
        _Scenario(
            "client from another CA", outsider, world.server, step.SERVER_VERIFIES_CLIENT, peer, failure.UNKNOWN_CA
        ),
    ]  # fmt: skip


def _play(scenario: _Scenario) -> int:
    """Run one broken set-up, print what the client is told; 0 if it is what it must be."""
    server = scenario.server
    context = server.ssl_context() if isinstance(server, mtls.ServerProfile) else _stock_server(server)
    with connected(scenario.client.ssl_context(), context, server_hostname=scenario.hostname) as (client, _):
        error = mtls.explain(client.error) if client.error is not None else None
    said, right = f"nothing was said about the handshake: {client.error!r}", False
    if isinstance(error, mtls.HandshakeError):
        said = f"{type(error).__name__}: {error}"
        right = (error.step, error.side, error.failure) == (scenario.step, scenario.side, scenario.failure)
    print(f"\n   {_mark(right=right)} {scenario.title}\n{_folded(said)}")
    if not right:
        print(_folded(f"it must be step {scenario.step.value}, side {scenario.side}, failure {scenario.failure}"))
    return 0 if right else 1


def _stock_server(keystore: Keystore) -> ssl.SSLContext:
    """A server as people write it with ``ssl`` alone, which looks at nothing beforehand."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load_identity(context, keystore)
    return context


def _folded(text: str) -> str:
    """The lines of ``text``, indented and folded to the width of the page."""
    lines = [
        textwrap.fill(line.strip(), _WIDTH, initial_indent=" " * 5, subsequent_indent=" " * 7)
        for line in text.splitlines()
    ]
    return "\n".join(lines)


def _mark(*, right: bool) -> str:
    sign, colour = ("✓", 32) if right else ("✗", 31)
    colourful = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{colour}m{sign}\x1b[0m" if colourful else sign
