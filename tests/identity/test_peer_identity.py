"""``peer_identity()``: the verified peer of this very connection, or nobody; and what an identity says."""

from __future__ import annotations

import asyncio
import copy
import pickle
import socket
import ssl
from dataclasses import FrozenInstanceError
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from cryptography import x509

import mtls
from mtls import _certificate
from mtls._credentials.key_types import generate_key
from mtls._handshake.loopback import connected
from mtls._handshake.peer_identity import EXTENSION
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.identity.conftest import Connect, MakeLeaf, MakePeer, Pair


@pytest.fixture
def pair(client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile, connect: Connect) -> Pair:
    return connect(client_profile.ssl_context(), server_profile.ssl_context())


def known(connection: object) -> mtls.PeerIdentity:
    identity = mtls.peer_identity(connection)
    assert identity is not None
    return identity


# --- a connection of ours ---


def test_each_side_knows_the_other(
    pair: Pair,
    client_profile: mtls.ClientProfile,
    server_profile: mtls.ServerProfile,
    authority: CertificateAuthority,
) -> None:
    assert client_profile.keystore is not None
    client, server = known(pair.far), known(pair.near)
    assert (client.certificate, server.certificate) == (
        client_profile.keystore.certificate, server_profile.keystore.certificate,  # type: ignore[union-attr] # it has one
    )  # fmt: skip
    assert client.chain == (client.certificate, authority.certificate)
    assert (client.resumed, server.resumed) == (False, False)


def test_over_a_socket_it_is_the_same_until_the_socket_is_closed(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    contexts = client_profile.ssl_context(), server_profile.ssl_context()
    with connected(*contexts, server_hostname="localhost") as (near, far):
        assert known(far.tls).dns_names == ("billing-prod",)
        assert known(near.tls).dns_names == ("localhost",)
        assert known(near.tls).ip_addresses == ("127.0.0.1",)
        near.tls.close()
        assert mtls.peer_identity(near.tls) is None


@pytest.mark.parametrize("optional", [True, False])
def test_a_client_without_a_certificate_is_nobody(
    authority: CertificateAuthority, bare_client_profile: mtls.ClientProfile, connect: Connect, optional: bool
) -> None:
    two_way: dict[str, Any] = {"truststore": authority.truststore, "client_auth": mtls.ClientAuth.OPTIONAL}
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"), **(two_way if optional else {}))
    assert mtls.peer_identity(connect(bare_client_profile.ssl_context(), server.ssl_context()).far) is None


def test_a_client_whose_certificate_a_one_way_server_does_not_ask_for_is_nobody(
    authority: CertificateAuthority, client_profile: mtls.ClientProfile, connect: Connect
) -> None:
    server = mtls.TLSProfile.server(keystore=authority.server("localhost"))
    assert mtls.peer_identity(connect(client_profile.ssl_context(), server.ssl_context()).far) is None


def test_an_optional_certificate_that_is_shown_is_somebody(
    authority: CertificateAuthority, client_profile: mtls.ClientProfile, connect: Connect
) -> None:
    server = mtls.TLSProfile.server(
        keystore=authority.server("localhost"),
        truststore=authority.truststore,
        client_auth=mtls.ClientAuth.OPTIONAL,
    )
    assert known(connect(client_profile.ssl_context(), server.ssl_context()).far).dns_names == ("billing-prod",)


def test_nobody_is_known_before_the_handshake_has_ended(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client_profile.ssl_context().wrap_bio(to_client, to_server, server_hostname="localhost")
    far = server_profile.ssl_context().wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far, near, far):
        assert mtls.peer_identity(side) is None
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            assert mtls.peer_identity(side) is None
    assert known(far) == known(far)


def test_a_listening_and_an_unconnected_socket_have_no_peer(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:
        assert mtls.peer_identity(plain) is None
        with server_profile.ssl_context().wrap_socket(plain, server_side=True) as listener:
            assert mtls.peer_identity(listener) is None
    with socket.socket() as raw, client_profile.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls:
        assert mtls.peer_identity(tls) is None


def test_a_stranger_that_was_refused_is_nobody(
    authority: CertificateAuthority, stranger: CertificateAuthority, server_profile: mtls.ServerProfile
) -> None:
    client = mtls.TLSProfile.client(truststore=authority.truststore, keystore=stranger.client("billing-prod"))
    with connected(client.ssl_context(), server_profile.ssl_context(), server_hostname="localhost") as (_, far):
        assert isinstance(far.error, mtls.PeerVerificationError)
        assert mtls.peer_identity(far.tls) is None


def test_a_certificate_that_only_openssl_can_read_is_an_error_and_not_nobody(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_certificate, "parse", lambda _: None)
    for side, role, step in ((pair.far, "client", 6), (pair.near, "server", 4)):
        with pytest.raises(mtls.ChainError, match=f"certificate 0 in the chain of the {role}") as caught:
            mtls.peer_identity(side)
        finding = caught.value.findings[0]
        assert (finding.failure, finding.step, finding.position) == (mtls.FailureReason.MALFORMED, step, 0)


# --- a context of ssl itself ---


@pytest.fixture
def files(tmp_path: Path, authority: CertificateAuthority, stranger: CertificateAuthority) -> Path:
    for who, issuer in (("ours", authority), ("strange", stranger)):
        issuer.save_keystore(issuer.client("billing-prod"), tmp_path / f"{who}-client")
        issuer.save_keystore(issuer.server("localhost"), tmp_path / f"{who}-server")
    return tmp_path


def stock(files: Path, role: mtls.Role, mode: ssl.VerifyMode, who: str = "ours") -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if role is mtls.Role.CLIENT else ssl.PROTOCOL_TLS_SERVER)
    context.check_hostname = False
    context.verify_mode = mode
    folder = files / f"{who}-{role}"
    context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
    if mode is not ssl.CERT_NONE:
        context.load_verify_locations(folder / "ca.crt")
    return context


@pytest.mark.parametrize("mode", [ssl.CERT_REQUIRED, ssl.CERT_OPTIONAL], ids=lambda mode: mode.name)
def test_a_stock_context_that_verifies_gives_the_identity(
    files: Path, connect: Connect, authority: CertificateAuthority, mode: ssl.VerifyMode
) -> None:
    near, far = connect(stock(files, mtls.Role.CLIENT, mode), stock(files, mtls.Role.SERVER, mode))
    assert type(far) is ssl.SSLObject
    assert known(far).dns_names == ("billing-prod",)
    assert known(far).chain == (known(far).certificate, authority.certificate)
    assert known(near).dns_names == ("localhost",)


def test_a_stock_context_that_does_not_verify_gives_nobody(files: Path, connect: Connect) -> None:
    client = stock(files, mtls.Role.CLIENT, ssl.CERT_NONE)
    near, far = connect(client, stock(files, mtls.Role.SERVER, ssl.CERT_NONE, "strange"))
    assert near.getpeercert(True)
    assert mtls.peer_identity(near) is None
    assert mtls.peer_identity(far) is None


def test_a_stock_handshake_that_failed_gives_nobody(files: Path) -> None:
    client = stock(files, mtls.Role.CLIENT, ssl.CERT_REQUIRED)
    server = stock(files, mtls.Role.SERVER, ssl.CERT_REQUIRED, "strange")
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    near = client.wrap_bio(to_client, to_server, server_hostname="localhost")
    far = server.wrap_bio(to_server, to_client, server_side=True)
    for side in (near, far):
        assert mtls.peer_identity(side) is None
        with pytest.raises(ssl.SSLWantReadError):
            side.do_handshake()
    with pytest.raises(ssl.SSLCertVerificationError):
        near.do_handshake()
    with pytest.raises(ssl.SSLError):
        far.do_handshake()
    assert mtls.peer_identity(near) is None
    assert mtls.peer_identity(far) is None


def test_a_stock_connection_that_was_resumed_knows_the_leaf_and_that_it_was_resumed(
    files: Path, connect: Connect
) -> None:
    client = stock(files, mtls.Role.CLIENT, ssl.CERT_REQUIRED)
    server = stock(files, mtls.Role.SERVER, ssl.CERT_REQUIRED)
    first = connect(client, server)
    again = connect(client, server, session=first.near.session)
    assert again.far.session_reused
    assert known(again.far) == known(first.far)
    assert (known(again.far).resumed, known(again.far).chain) == (True, (known(first.far).certificate,))


# --- an event loop ---


def test_a_transport_and_a_writer_of_asyncio_have_a_peer_over_tls_and_none_without(
    client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> None:
    async def visit(server_tls: ssl.SSLContext | None, client_tls: ssl.SSLContext | None) -> list[object]:
        seen: asyncio.Queue[object] = asyncio.Queue()

        async def handle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await seen.put(mtls.peer_identity(writer))
            await seen.put(mtls.peer_identity(writer.transport))
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=server_tls)
        async with server:
            name = None if client_tls is None else "localhost"
            _, writer = await asyncio.open_connection(
                *server.sockets[0].getsockname(), ssl=client_tls, server_hostname=name
            )
            found = [await seen.get(), await seen.get(), mtls.peer_identity(writer)]
            writer.close()
            return found

    over_tls = asyncio.run(visit(server_profile.ssl_context(), client_profile.ssl_context()))
    names = [one.dns_names for one in over_tls if isinstance(one, mtls.PeerIdentity)]
    assert names == [("billing-prod",), ("billing-prod",), ("localhost",)]
    assert asyncio.run(visit(None, None)) == [None, None, None]


# --- what a server hands to the application ---


def test_an_asgi_scope_says_who_called_and_a_request_that_holds_it_too(peer: MakePeer) -> None:
    someone = peer(("dns", "a.example"))
    for caller in (someone, None):
        scope = {"type": "http", "asgi": {}, "extensions": {EXTENSION: {"version": "1", "peer": caller}}}
        assert mtls.peer_identity(scope) is caller
        assert mtls.peer_identity(mock.Mock(spec=["scope"], scope=scope)) is caller


@pytest.mark.parametrize(
    "scope",
    [
        {"type": "http", "asgi": {"version": "3.0"}},
        {"type": "http", "asgi": {}, "extensions": None},
        {"type": "http", "asgi": {}, "extensions": {"tls": {"client_cert_chain": ["-----BEGIN"]}}},
        {"type": "http", "asgi": {}, "extensions": {EXTENSION: None}},
        {"type": "http", "asgi": {}, "extensions": {EXTENSION: {}}},
        {"type": "http", "asgi": {}, "extensions": {EXTENSION: {"peer": "CN=admin"}}},
        {"type": "http", "asgi": {}, "extensions": {EXTENSION: {"peer": {"dns_names": ["admin"]}}}},
        {"type": "http", "asgi": {}, "headers": [(b"x-client-cert", b"CN=admin"), (b"mtls", b"CN=admin")]},
    ],
    ids=["no extensions", "none", "another's", "null", "empty", "a text", "a mapping", "a header"],
)
def test_a_scope_that_does_not_say_who_called_is_an_error_with_the_remedy(scope: dict[str, Any]) -> None:
    with pytest.raises(
        mtls.UsageError, match=r"this ASGI server does not say who called: .*mtls\.integrations\.uvicorn"
    ):
        mtls.peer_identity(scope)


@pytest.mark.parametrize("key", ["gunicorn.socket", "werkzeug.socket"])
def test_a_wsgi_environ_holds_the_connection(pair: Pair, key: str) -> None:
    environ = {"REQUEST_METHOD": "GET", key: pair.far}
    assert known(environ) == known(pair.far)
    assert known(mock.Mock(spec=["environ"], environ=environ)) == known(pair.far)
    with socket.socket() as plain:
        assert mtls.peer_identity({key: plain}) is None


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"REQUEST_METHOD": "GET", "wsgi.url_scheme": "https"},
        {"HTTP_GUNICORN_SOCKET": "x", "HTTP_X_SSL_CLIENT_S_DN": "CN=admin", "SSL_CLIENT_S_DN": "CN=admin"},
        {"SSL_CLIENT_CERT": "-----BEGIN CERTIFICATE-----"},
    ],
)
def test_an_environ_without_its_connection_is_an_error_with_the_remedy(environ: dict[str, str]) -> None:
    with pytest.raises(mtls.UsageError, match=r"does not hand its connection to the application.*use gunicorn"):
        mtls.peer_identity(environ)


# --- connections of other libraries ---


class OfAnotherLibrary:
    """As pyOpenSSL's: the same methods, and another class."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def get_peer_certificate(self) -> object:
        return object()


FOREIGN: list[Callable[[Any], Any]] = [
    OfAnotherLibrary,
    lambda _: None,
    lambda _: "localhost:443",
    lambda tls: tls.getpeercert(True),
    lambda tls: tls.getpeercert(),
    lambda tls: x509.load_der_x509_certificate(tls.getpeercert(True)),
    lambda _: ssl.SSLSocket,
    lambda tls: tls.context,
    lambda tls: tls._sslobj,
    lambda _: 7,
    lambda _: mock.MagicMock(),
    lambda _: mock.Mock(get_extra_info=lambda _: "CN=admin"),
    lambda tls: mock.Mock(get_extra_info=lambda _: OfAnotherLibrary(tls)),
]
NAMES = [
    "a look-alike", "None", "text", "a certificate", "a dict", "an x509 object", "a class", "a context", "a C object",
    "a number", "a mock", "a transport with text", "a transport of another library",
]  # fmt: skip


@pytest.mark.parametrize("make", FOREIGN, ids=NAMES)
def test_what_is_no_connection_of_ssl_is_an_error_with_the_remedy(pair: Pair, make: Callable[[Any], Any]) -> None:
    foreign = make(pair.far)
    with pytest.raises(mtls.UsageError) as caught:
        mtls.peer_identity(foreign)
    text = str(caught.value)
    assert "give the connection itself, made by the ssl module" in text or "use gunicorn" in text
    assert "admin" not in text


# --- what an identity says ---


@pytest.fixture(scope="session")
def everything(authority: CertificateAuthority) -> mtls.PeerIdentity:
    names = ["a.example", "b.example", "10.0.0.1", "::1", "spiffe://prod.example/api", "ops@a.example"]
    certificate = authority.client(*names).certificate
    return mtls.PeerIdentity(certificate, (certificate, authority.certificate), resumed=False)


def test_the_names_are_told_apart_by_kind(everything: mtls.PeerIdentity) -> None:
    assert everything.dns_names == ("a.example", "b.example")
    assert everything.ip_addresses == ("10.0.0.1", "::1")
    assert everything.uris == ("spiffe://prod.example/api",)
    assert everything.emails == ("ops@a.example",)
    assert everything.spiffe_id == "spiffe://prod.example/api"
    assert everything.subject == "CN=a.example"
    assert not hasattr(everything, "common_name")


def test_a_certificate_without_names_has_none(peer: MakePeer) -> None:
    someone = peer()
    assert (someone.dns_names, someone.uris, someone.ip_addresses, someone.emails) == ((), (), (), ())
    assert (someone.spiffe_id, someone.subject, repr(someone)) == (None, "CN=somebody", "<PeerIdentity CN=somebody>")


def test_the_digest_of_the_key_is_that_of_the_keystore(leaf: MakeLeaf) -> None:
    keystore = leaf(("dns", "a.example"))
    identity = mtls.PeerIdentity(keystore.certificate, (keystore.certificate,), resumed=False)
    assert identity.spki_sha256 == keystore.spki_sha256


def test_names_and_subject_are_safe_to_print(authority: CertificateAuthority, peer: MakePeer) -> None:
    someone = peer(("dns", "a\n\x1b[31m\0"), ("dns", "b" * 200), ("uri", "c\u202ed"), ("dns", "d"))
    assert repr(someone).isprintable()
    assert repr(someone).startswith(r"<PeerIdentity a\n\x1b[31m\x00, bbb")
    assert len(repr(someone)) < 400
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a\nb"),
                         x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "c" * 64),
                         x509.NameAttribute(x509.NameOID.ORGANIZATIONAL_UNIT_NAME, "d" * 64)])  # fmt: skip
    long = peer(("dns", "a"), subject=subject)
    assert long.subject.isprintable()
    assert len(long.subject) <= 120


def test_two_identities_are_equal_by_their_certificate(everything: mtls.PeerIdentity, peer: MakePeer) -> None:
    leaf = everything.certificate
    resumed = mtls.PeerIdentity(leaf, (leaf,), resumed=True)
    assert resumed == everything
    assert hash(resumed) == hash(everything)
    assert {everything: "session"}[resumed] == "session"
    renewed = peer(("dns", "a.example")), peer(("dns", "a.example"))
    assert renewed[0] != renewed[1]
    assert everything != leaf
    assert repr(resumed).endswith(", resumed>")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))])
def test_a_copy_is_the_same_identity(everything: mtls.PeerIdentity, copied: Any) -> None:
    again = copied(everything)
    assert (again, again.chain, again.resumed) == (everything, everything.chain, False)


def test_an_identity_cannot_be_changed(everything: mtls.PeerIdentity) -> None:
    for name in ("certificate", "chain", "resumed"):
        with pytest.raises(FrozenInstanceError):
            setattr(everything, name, None)
        with pytest.raises(FrozenInstanceError):
            delattr(everything, name)
    assert not hasattr(everything, "__dict__")


# --- the path ---


def test_the_chain_is_the_path_up_to_the_anchor_and_not_what_was_sent(
    stranger: CertificateAuthority, connect: Connect
) -> None:
    root = CertificateAuthority("root")
    tier = root.intermediate("tier")
    keystore = tier.client("c")
    server = root.server("localhost")

    def path(trusted: x509.Certificate) -> tuple[x509.Certificate, ...]:
        truststore = mtls.Truststore.from_certificates([trusted, stranger.certificate])
        client = mtls.TLSProfile.client(truststore=root.truststore, keystore=keystore)
        far = connect(
            client.ssl_context(), mtls.TLSProfile.server(keystore=server, truststore=truststore).ssl_context()
        ).far
        return known(far).chain

    leaf = keystore.certificate
    assert len(keystore.chain) == 1
    assert path(root.certificate) == (leaf, tier.certificate, root.certificate)
    assert path(tier.certificate) == (leaf, tier.certificate)
    assert path(leaf) == (leaf,)


def test_the_peer_does_not_write_the_rest_of_the_path_behind_a_pinned_leaf(
    connect: Connect, policy: mtls.TLSPolicy
) -> None:
    key = generate_key(mtls.KeyType.EC_P256)
    root = CertificateAuthority("root")
    tier = root.intermediate("tier", private_key=key)
    keystore = tier.client("c")
    evil = CertificateAuthority("evil")
    forged = evil.intermediate("tier", private_key=key)  # name and public key are no secret: the key is not used here
    shown = mtls.Keystore.from_objects(keystore._private_key, keystore.certificate, [forged.certificate])
    server = mtls.TLSProfile.server(
        keystore=root.server("localhost"),
        truststore=mtls.Truststore.from_certificates([keystore.certificate]),
        policy=policy,
    ).ssl_context()
    client = mtls.TLSProfile.client(truststore=root.truststore, keystore=shown, policy=policy).ssl_context()
    first = connect(client, server)
    again = connect(client, server, session=first.near.session)
    assert again.far.session_reused
    assert len(first.far._sslobj.get_verified_chain()) == 2
    for far in (first.far, again.far):
        assert known(far).chain == (keystore.certificate,)
        for ca in (forged, evil, tier, root):
            assert not mtls.PeerPolicy.issuer(ca.certificate)(known(far))
