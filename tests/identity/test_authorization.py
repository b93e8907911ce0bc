"""Whom ``authorize=`` and ``server_identity=`` refuse: at which step, before which byte, and who is told what."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from cryptography.exceptions import UnsupportedAlgorithm

import mtls
from mtls import FailureReason, HandshakeStep, PeerPolicy, Role, Side, _certificate

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls.authority import CertificateAuthority
    from tests.identity.conftest import Connect, MakeLeaf

ME = PeerPolicy.dns("me.example")
NOBODY = PeerPolicy.dns("nobody.example")


@pytest.fixture
def client(authority: CertificateAuthority, policy: mtls.TLSPolicy) -> mtls.ClientProfile:
    return mtls.TLSProfile.client(
        truststore=authority.truststore,
        keystore=authority.client("me.example", "spiffe://prod.example/me"),
        policy=policy,
    )


@pytest.fixture
def serve(authority: CertificateAuthority, policy: mtls.TLSPolicy) -> Callable[..., mtls.ServerProfile]:
    def make(**options: Any) -> mtls.ServerProfile:
        return mtls.TLSProfile.server(
            keystore=authority.server("localhost"), truststore=authority.truststore, policy=policy, **options
        )

    return make


def refused(error: object) -> mtls.PeerVerificationError:
    assert isinstance(error, mtls.PeerVerificationError)
    assert (error.failure, error.side) == (FailureReason.NOT_AUTHORIZED, Side.LOCAL)
    return error


# --- every kind of policy, both ways ---


@pytest.fixture(scope="session")
def kinds(authority: CertificateAuthority, stranger: CertificateAuthority) -> Callable[[mtls.Keystore], Any]:
    def of(keystore: mtls.Keystore) -> dict[str, tuple[PeerPolicy, PeerPolicy]]:
        """For each kind a policy that admits the holder of this keystore, and one that does not."""
        dns, uri = keystore.names[0], keystore.names[1]
        return {
            "dns": (PeerPolicy.dns(dns), PeerPolicy.dns(f"x{dns}")),
            "uri": (PeerPolicy.uri(uri), PeerPolicy.uri(uri + "/")),
            "spiffe_id": (PeerPolicy.spiffe_id(uri), PeerPolicy.spiffe_id(uri + "x")),
            "trust_domain": (PeerPolicy.trust_domain("prod.example"), PeerPolicy.trust_domain("prod.example.evil")),
            "spki": (PeerPolicy.spki(keystore.spki_sha256), PeerPolicy.spki("0" * 64)),
            "issuer": (PeerPolicy.issuer(authority.certificate), PeerPolicy.issuer(stranger.certificate)),
            "any_of": (
                PeerPolicy.any_of(NOBODY, PeerPolicy.dns(dns)), PeerPolicy.any_of(NOBODY, PeerPolicy.spki("0" * 64)),
            ),
            "all_of": (
                PeerPolicy.all_of(PeerPolicy.uri(uri), PeerPolicy.dns(dns)),
                PeerPolicy.all_of(PeerPolicy.dns(dns), NOBODY),
            ),
        }  # fmt: skip

    return of


KINDS = ("dns", "uri", "spiffe_id", "trust_domain", "spki", "issuer", "any_of", "all_of")


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_admits_whom_its_policy_names_and_refuses_the_rest_at_step_6(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], kinds: Callable[..., Any], kind: str
) -> None:
    good, bad = kinds(client.keystore)[kind]
    assert mtls.rehearse(client, serve(authorize=good)).ok
    result = mtls.rehearse(client, serve(authorize=bad))
    error = refused(result.server.error)
    assert (result.failed_step, error.step, error.role) == (*[HandshakeStep.SERVER_VERIFIES_CLIENT] * 2, Role.SERVER)
    assert error.certificate == client.keystore.certificate  # type: ignore[union-attr] # it has one
    assert HandshakeStep.APPLICATION_DATA not in result.completed
    assert (result.server.peer, result.client.error is None) == (None, False)


@pytest.mark.parametrize("option", ["authorize", "server_identity"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_client_admits_whom_its_policy_names_and_refuses_the_rest_at_step_4(
    authority: CertificateAuthority, policy: mtls.TLSPolicy, kinds: Callable[..., Any], kind: str, option: str
) -> None:
    keystore = authority.server("localhost", "spiffe://prod.example/api")
    server = mtls.TLSProfile.server(keystore=keystore, policy=policy)
    results = [
        mtls.rehearse(
            mtls.TLSProfile.client(truststore=authority.truststore, policy=policy, **{option: rule}),
            server,
        )
        for rule in kinds(keystore)[kind]
    ]
    assert results[0].ok
    error = refused(results[1].client.error)
    assert (results[1].failed_step, error.step) == (*[HandshakeStep.CLIENT_VERIFIES_SERVER] * 2,)
    assert f"{option}= does not admit <PeerIdentity localhost, spiffe://prod.example/api>, only PeerPolicy." in str(
        error
    )
    assert HandshakeStep.APPLICATION_DATA not in results[1].completed


def test_a_client_with_both_rules_needs_a_server_that_fits_both(
    authority: CertificateAuthority, policy: mtls.TLSPolicy
) -> None:
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"), policy=policy)

    def outcome(identity: PeerPolicy, authorize: PeerPolicy) -> bool:
        client = mtls.TLSProfile.client(
            truststore=authority.truststore, policy=policy, server_identity=identity, authorize=authorize
        )
        return mtls.rehearse(client, server).ok

    right = PeerPolicy.dns("localhost")
    assert [outcome(right, right), outcome(right, NOBODY), outcome(NOBODY, right)] == [True, False, False]


def test_a_wildcard_certificate_covers_a_host_name_and_is_no_name_for_a_policy(
    authority: CertificateAuthority, leaf: MakeLeaf, policy: mtls.TLSPolicy
) -> None:
    server = mtls.TLSProfile.server(keystore=leaf(("dns", "*.prod.example"), role=Role.SERVER), policy=policy)
    by_name = mtls.TLSProfile.client(truststore=authority.truststore, policy=policy)
    assert mtls.rehearse(by_name, server, hostname="api.prod.example").ok
    by_rule = mtls.TLSProfile.client(
        truststore=authority.truststore, policy=policy, server_identity=PeerPolicy.dns("api.prod.example")
    )
    refused(mtls.rehearse(by_rule, server, hostname="api.prod.example").client.error)


# --- before the first byte of the application ---


def test_what_a_refused_client_sends_with_its_handshake_never_reaches_the_application(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile]
) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.ssl_context().wrap_bio(to_client, to_server, server_hostname="localhost")
    far = serve(authorize=NOBODY).ssl_context().wrap_bio(to_server, to_client, server_side=True)
    failures = []
    for _ in range(4):
        try:
            near.do_handshake()
            near.write(b"secret")
        except ssl.SSLWantReadError:
            pass
        try:
            far.do_handshake()
        except ssl.SSLWantReadError:
            pass
        except mtls.PeerVerificationError as error:
            failures.append(error.failure)
    assert to_server.pending
    assert set(failures) == {FailureReason.NOT_AUTHORIZED}
    before = to_client.pending
    for use in (far.read, far.do_handshake, far.unwrap, lambda: far.write(b"answer")):
        with pytest.raises(mtls.PeerVerificationError) as caught:
            use()
        assert caught.value.failure is FailureReason.NOT_AUTHORIZED
    assert (far.pending(), to_client.pending) == (0, before)
    assert mtls.peer_identity(far) is None


@pytest.mark.parametrize("verdict", [False, "raise"], ids=["refuses", "raises"])
def test_a_connection_knows_no_peer_while_its_rule_is_asked_nor_after_it_refused(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], verdict: object
) -> None:
    seen: list[object] = []

    def rule(peer: mtls.PeerIdentity) -> bool:
        seen.extend((peer.dns_names, mtls.peer_identity(far)))
        if verdict == "raise":
            raise LookupError
        return bool(verdict)

    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.ssl_context().wrap_bio(to_client, to_server, server_hostname="localhost")
    far = serve(authorize=rule).ssl_context().wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    with pytest.raises(mtls.PeerVerificationError):
        far.do_handshake()
    assert seen == [("me.example",), None]
    assert mtls.peer_identity(far) is None


# --- what the peer learns ---


def test_a_refused_client_cannot_tell_which_rule_refused_it(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile]
) -> None:
    def heard(**options: Any) -> object:
        result = mtls.rehearse(client, serve(**options))
        refused(result.server.error)
        assert isinstance(result.client.error, OSError)
        told = mtls.explain(result.client.error)
        assert isinstance(told, mtls.HandshakeError)
        assert told.alert is None
        events = [(event.direction, event.name) for event in result.client.trace]
        assert {event.name for event in result.client.trace if event.is_alert} == {"close_notify"}
        return events, str(told)

    def broken(_: mtls.PeerIdentity) -> NoReturn:
        text = "the database of partners is away"
        raise LookupError(text)

    first = heard(authorize=NOBODY)
    assert (
        first
        == heard(authorize=broken)
        == heard(authorize=lambda _: False)
        == heard(authorize=PeerPolicy.spki("0" * 64))
    )
    assert "nobody.example" not in str(first)


def test_a_refused_client_reads_an_orderly_end_over_a_socket(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile]
) -> None:
    near, far = socket.socketpair()
    context = serve(authorize=NOBODY).ssl_context()
    caught: list[BaseException] = []

    def run() -> None:
        with far:
            try:
                context.wrap_socket(far, server_side=True)
            except mtls.PeerVerificationError as error:
                caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    with client.ssl_context().wrap_socket(near, server_hostname="localhost") as tls:
        tls.settimeout(10)
        assert tls.recv(100) == b""
    thread.join()
    refused(caught[0])


# --- what our side is told ---


def test_the_log_says_who_was_refused_and_by_which_rule(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], caplog: pytest.LogCaptureFixture
) -> None:
    mtls.rehearse(client, serve(authorize=NOBODY))
    record = next(record for record in caplog.records if record.levelno >= logging.WARNING)
    assert (record.name, record.levelname) == ("mtls", "WARNING")
    told = record.getMessage()
    assert "step 6 SERVER_VERIFIES_CLIENT failed" in told
    assert (
        "authorize= does not admit <PeerIdentity me.example, spiffe://prod.example/me>, "
        "only PeerPolicy.dns('nobody.example')"
    ) in told


def test_a_long_policy_is_cut_and_a_crafted_name_stays_on_its_line(
    authority: CertificateAuthority, leaf: MakeLeaf, policy: mtls.TLSPolicy, caplog: pytest.LogCaptureFixture
) -> None:
    crafted = leaf(("dns", "a\nWARNING mtls: admitted\x1b[2J\0"), ("dns", "b" * 5000))
    rule = PeerPolicy.any_of(*(PeerPolicy.dns(f"{number}.example") for number in range(1000)))
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"), truststore=authority.truststore, authorize=rule, policy=policy
    )
    result = mtls.rehearse(mtls.TLSProfile.client(truststore=authority.truststore, keystore=crafted), server)
    detail = refused(result.server.error).detail
    assert detail is not None
    assert detail.isprintable()
    assert detail.startswith(r"authorize= does not admit <PeerIdentity a\nWARNING mtls: admitted\x1b[2J\x00, bbb")
    assert len(detail) < 700
    assert "\x1b" not in caplog.text


def test_an_admitted_peer_is_not_logged(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert mtls.rehearse(client, serve(authorize=ME)).ok
    assert caplog.records == []


# --- functions ---


class Yes:
    """Equal to everything, true, and not True."""

    def __eq__(self, _: object) -> bool:
        return True

    def __hash__(self) -> int:
        return hash(True)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return "Yes()"


@pytest.mark.parametrize("answer", [1, 1.0, "yes", [True], Yes(), None, 0, "", NotImplemented, len], ids=ascii)
def test_an_answer_that_is_not_true_itself_refuses(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], answer: Any
) -> None:
    error = refused(mtls.rehearse(client, serve(authorize=lambda _: answer)).server.error)
    assert error.detail == "authorize= does not admit <PeerIdentity me.example, spiffe://prod.example/me>"


async def too_late(_: mtls.PeerIdentity) -> bool:
    return True


class TooLate:
    async def __call__(self, _: mtls.PeerIdentity) -> bool:
        return True


@pytest.mark.parametrize("rule", [too_late, TooLate()], ids=["function", "object"])
def test_an_async_function_refuses_and_is_named_as_the_reason(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], rule: Any
) -> None:
    error = refused(mtls.rehearse(client, serve(authorize=rule)).server.error)
    assert error.detail is not None
    assert error.detail.startswith("authorize= is an async function, which nothing can wait for here")


@pytest.mark.parametrize(
    "fault",
    [RuntimeError("away"), mtls.UsageError("no"), ssl.SSLWantReadError(), ssl.SSLError(1, "x"), StopIteration(),
     RecursionError(), MemoryError(), TimeoutError(), AssertionError(), ExceptionGroup("two", [ValueError()])],
    ids=lambda fault: type(fault).__name__,
)  # fmt: skip
def test_a_rule_that_raises_refuses_whatever_it_raises(
    client: mtls.ClientProfile,
    serve: Callable[..., mtls.ServerProfile],
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
) -> None:
    def rule(_: mtls.PeerIdentity) -> NoReturn:
        raise fault

    error = refused(mtls.rehearse(client, serve(authorize=rule)).server.error)
    assert f"authorize= raised {type(fault).__name__} for <PeerIdentity me.example" in str(error)
    assert any(record.exc_info and record.exc_info[1] is fault for record in caplog.records)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
def test_an_interruption_passes_and_the_connection_stays_refused(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], connect: Connect, stop: type[BaseException]
) -> None:
    asked: list[object] = []
    sides: list[Any] = []

    def rule(peer: mtls.PeerIdentity) -> bool:
        asked.append(peer)
        if len(asked) == 1:
            raise stop
        return True

    context = serve(authorize=rule).ssl_context()

    class Watched:
        def wrap_bio(self, *arguments: Any, **options: Any) -> Any:
            sides.append(context.wrap_bio(*arguments, **options))
            return sides[0]

    with pytest.raises(stop):
        connect(client.ssl_context(), Watched())  # type: ignore[arg-type] # all that is needed
    for use in (sides[0].do_handshake, sides[0].read, lambda: sides[0].write(b"x")):
        with pytest.raises(mtls.HandshakeError) as caught:
            use()
        assert caught.value.failure is FailureReason.NOT_AUTHORIZED
    assert len(asked) == 1
    assert mtls.peer_identity(sides[0]) is None


def test_a_rule_is_asked_once_for_a_connection_and_about_its_peer(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], connect: Connect
) -> None:
    asked: list[mtls.PeerIdentity] = []

    def rule(peer: mtls.PeerIdentity) -> bool:
        asked.append(peer)
        return True

    _, far = connect(client.ssl_context(), serve(authorize=rule).ssl_context())
    assert asked == [mtls.peer_identity(far)]
    assert (asked[0].resumed, len(asked[0].chain)) == (False, 2)


def test_a_rule_is_not_asked_about_somebody_who_showed_nothing_or_did_not_verify(
    authority: CertificateAuthority, stranger: CertificateAuthority, serve: Callable[..., mtls.ServerProfile]
) -> None:
    asked: list[mtls.PeerIdentity] = []

    def rule(peer: mtls.PeerIdentity) -> bool:
        asked.append(peer)
        return True

    server = serve(authorize=rule, client_auth=mtls.ClientAuth.OPTIONAL)
    bare = mtls.TLSProfile.client(truststore=authority.truststore)
    foreign = mtls.TLSProfile.client(truststore=authority.truststore, keystore=stranger.client("me.example"))
    for profile, step in ((bare, None), (foreign, HandshakeStep.SERVER_VERIFIES_CLIENT)):
        result = mtls.rehearse(profile, server)
        assert result.failed_step is step
        assert result.server.peer is None
    assert asked == []


# --- a policy that cannot read what it needs ---


@pytest.mark.parametrize("option", ["authorize", "server_identity"])
def test_a_key_that_cannot_be_read_refuses_in_place_of_an_error_of_another_library(
    authority: CertificateAuthority, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    client = mtls.TLSProfile.client(
        truststore=authority.truststore,
        **{option: PeerPolicy.spki("0" * 64)},  # type: ignore[arg-type] # as named
    )
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"))
    contexts = client.ssl_context(), server.ssl_context()

    def unsupported(_: object) -> NoReturn:
        raise UnsupportedAlgorithm("a curve of tomorrow")

    monkeypatch.setattr(_certificate, "public_key_der", unsupported)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = contexts[0].wrap_bio(to_client, to_server, server_hostname="localhost")
    far = contexts[1].wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far):
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    with pytest.raises(mtls.PeerVerificationError) as caught:
        near.do_handshake()
    assert f"{option}= raised UnsupportedAlgorithm" in str(refused(caught.value))


# --- an event loop ---


def test_a_server_in_an_event_loop_refuses_at_the_same_step_and_calls_no_handler(
    client: mtls.ClientProfile, serve: Callable[..., mtls.ServerProfile], caplog: pytest.LogCaptureFixture
) -> None:
    called: list[object] = []

    async def visit() -> bytes:
        server = await asyncio.start_server(
            lambda _, writer: called.append(writer), "127.0.0.1", 0, ssl=serve(authorize=NOBODY).ssl_context()
        )
        async with server:
            reader, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=client.ssl_context(), server_hostname="localhost"
            )
            try:
                writer.write(b"secret")
                return await reader.read()
            except OSError:
                return b""
            finally:
                writer.close()

    assert asyncio.run(visit()) == b""
    assert called == []
    assert "does not admit <PeerIdentity me.example" in caplog.text
