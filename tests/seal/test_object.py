"""The context as an object: not copied, not made by hand, not exchanged on a connection; and its shell is empty."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import mtls
from mtls._handshake.loopback import join

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.seal.conftest import Server

_DEADLINE = 20.0


@pytest.fixture
def foreign(stranger: CertificateAuthority) -> mtls.TLSContext:
    """A server that our clients must refuse."""
    return mtls.TLSProfile.server(keystore=stranger.server("localhost")).ssl_context()


def _refusal(client: ssl.SSLContext, server: ssl.SSLContext) -> tuple[object, ...]:
    near, _ = join(client, server, server_hostname="localhost")
    assert isinstance(near.error, mtls.PeerVerificationError)
    return near.error.step, near.error.side, near.error.failure


class TestAContext:
    def test_is_an_ssl_context(self, context: mtls.TLSContext) -> None:
        assert isinstance(context, ssl.SSLContext)
        assert isinstance(context, mtls.TLSContext)

    @pytest.mark.parametrize(
        "duplicate",
        [
            copy.copy,
            copy.deepcopy,
            *(lambda each, n=n: pickle.dumps(each, n) for n in range(pickle.HIGHEST_PROTOCOL + 1)),
        ],
        ids=["copy", "deepcopy", *(f"pickle {n}" for n in range(pickle.HIGHEST_PROTOCOL + 1))],
    )
    def test_is_not_duplicated(self, context: mtls.TLSContext, duplicate: Callable[[object], object]) -> None:
        with pytest.raises(mtls.UsageError, match="private key"):
            duplicate(context)

    def test_is_made_by_a_profile_only(self) -> None:
        for arguments in ((), (ssl.PROTOCOL_TLS_CLIENT,)):
            with pytest.raises(mtls.UsageError, match="ssl_context"):
                mtls.TLSContext(*arguments)

    def test_keeps_its_class(self, context: mtls.TLSContext) -> None:
        with pytest.raises(mtls.SealedContextError):
            context.__class__ = ssl.SSLContext  # type: ignore[misc] # what the type checker knows already
        with pytest.raises(mtls.SealedContextError):
            context.__dict__ = {}
        assert type(context) is mtls.TLSContext

    def test_tells_no_secret(self, context: mtls.TLSContext) -> None:
        assert repr(context).startswith("<TLSContext generation 1 of <ClientProfile two-way as CN=billing-prod")
        assert "PRIVATE" not in repr(context)


class TestAConnection:
    def test_keeps_its_context(
        self, context: mtls.TLSContext, server: Server, client_profile: mtls.ClientProfile
    ) -> None:
        sock = socket.create_connection(("127.0.0.1", server.port), timeout=_DEADLINE)
        with sock, context.wrap_socket(sock, server_hostname="localhost") as tls:
            assert tls.context is context
            tls.context = context
            for other in (ssl.create_default_context(), client_profile.ssl_context(), context._serving()):
                with pytest.raises(mtls.SealedContextError, match="context of a connection"):
                    tls.context = other
            assert tls.context is context

    def test_in_memory_keeps_its_context(self, context: mtls.TLSContext) -> None:
        tls = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="localhost")
        assert tls.context is context
        with pytest.raises(mtls.SealedContextError, match="context of a connection"):
            tls.context = ssl.create_default_context()
        assert tls.context is context

    def test_of_a_listener_keeps_its_context(self, server_profile: mtls.ServerProfile) -> None:
        context = server_profile.ssl_context()
        with context.wrap_socket(socket.create_server(("127.0.0.1", 0)), server_side=True) as listener:
            assert listener.context is context
            with pytest.raises(mtls.SealedContextError, match="context of a connection"):
                listener.context = ssl.create_default_context()

    def test_of_asyncio_keeps_its_context(self, context: mtls.TLSContext, server: Server) -> None:
        async def visit() -> tuple[Any, Any]:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", server.port, ssl=context, server_hostname="localhost"
            )
            try:
                writer.write(b"GET / HTTP/1.1\r\n\r\n")
                assert (await reader.read()).endswith(b"hello")
                return writer.get_extra_info("sslcontext"), writer.get_extra_info("ssl_object").context
            finally:
                writer.close()
                await writer.wait_closed()

        assert asyncio.run(visit()) == (context, context)

    def test_of_the_wrong_role_is_a_mistake_of_the_call(
        self, context: mtls.TLSContext, server_profile: mtls.ServerProfile
    ) -> None:
        server = server_profile.ssl_context()
        with socket.socket() as sock:
            with pytest.raises(mtls.UsageError, match="client side"):
                context.wrap_socket(sock, server_side=True)
            with pytest.raises(mtls.UsageError, match="server side"):
                server.wrap_socket(sock, server_hostname="localhost")
            assert sock.fileno() != -1  # it is still the caller's
        with pytest.raises(mtls.UsageError, match="client side"):
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)

    def test_to_nobody_in_particular_is_a_mistake_of_the_call(self, context: mtls.TLSContext) -> None:
        with socket.socket() as sock, pytest.raises(mtls.UsageError, match="server_hostname"):
            context.wrap_socket(sock)
        with pytest.raises(mtls.UsageError, match="server_hostname"):
            context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())

    @pytest.mark.parametrize("late", [False, True], ids=["connected", "connects late"])
    def test_to_a_host_that_is_not_listed_sends_nothing(self, client_profile: mtls.ClientProfile, late: bool) -> None:
        context = replace(client_profile, hosts=("*.partner.example",)).ssl_context()
        ours, theirs = socket.socketpair()
        with ours, theirs:
            with pytest.raises(mtls.UsageError, match="not listed"):
                context.wrap_socket(ours, server_hostname="evil.example", do_handshake_on_connect=not late)
            ours.close()
            assert theirs.recv(1) == b""


class TestTheShell:
    """A guard, not a wall: what reaches it unbound reaches nothing that serves."""

    def test_takes_cas_and_serves_none(
        self,
        context: mtls.TLSContext,
        foreign: mtls.TLSContext,
        foreign_folder: Path,
        server_profile: mtls.ServerProfile,
    ) -> None:
        ssl.SSLContext.load_verify_locations(context, cafile=str(foreign_folder / "ca.crt"))
        with pytest.raises(mtls.SealedContextError):  # it calls a method of ours
            ssl.SSLContext.load_default_certs(context)
        assert context.cert_store_stats()["x509_ca"] == 1
        assert _refusal(context, foreign) == (4, "local", "unknown_ca")
        near, far = join(context, server_profile.ssl_context(), server_hostname="localhost")
        assert (near.error, far.error) == (None, None)

    def test_takes_a_looser_check_and_serves_the_strict_one(
        self, context: mtls.TLSContext, foreign: mtls.TLSContext
    ) -> None:
        raw: Any = ssl.SSLContext.__mro__[1]
        raw.check_hostname.__set__(context, False)
        raw.verify_mode.__set__(context, ssl.CERT_NONE)
        assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
        assert _refusal(context, foreign) == (4, "local", "unknown_ca")

    def test_takes_an_identity_and_shows_ours(
        self, context: mtls.TLSContext, foreign_folder: Path, server_profile: mtls.ServerProfile
    ) -> None:
        ssl.SSLContext.load_cert_chain(context, foreign_folder / "tls.crt", foreign_folder / "tls.key")
        near, far = join(context, server_profile.ssl_context(), server_hostname="localhost")
        assert (near.error, far.error) == (None, None)
        identity = mtls.peer_identity(far.tls)
        assert identity is not None
        assert identity.dns_names == ("billing-prod",)

    def test_makes_no_connection_past_the_hooks(self, context: mtls.TLSContext, foreign: mtls.TLSContext) -> None:
        """The pair beneath ``wrap_socket`` and ``wrap_bio`` is the only way in, and it is ours."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        with pytest.raises(mtls.UsageError, match="wrap_socket"):
            context._wrap_bio(incoming, outgoing, server_side=False, server_hostname="localhost")
        unbound = ssl.SSLContext.wrap_bio(context, incoming, outgoing, server_hostname="localhost")
        assert type(unbound).__module__.startswith("mtls.")
        near, _ = join(context, foreign, server_hostname="localhost")
        assert isinstance(near.error, mtls.PeerVerificationError)
