"""Every attribute and method of ``ssl.SSLContext``, and what a sealed context does with it.

The table is total over ``dir(ssl.SSLContext)``: whatever a new Python adds fails the first test until somebody has
decided what it is.
"""

from __future__ import annotations

import contextlib
import ssl
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

import mtls

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

READERS = ("cert_store_stats", "get_ca_certs", "get_ciphers", "session_stats")
CONSTANTS = ("protocol", "security_level", "sslobject_class", "sslsocket_class")
OPEN = ("set_alpn_protocols", "wrap_bio", "wrap_socket")
SETTERS = (
    "check_hostname",
    "hostname_checks_common_name",
    "keylog_filename",
    "maximum_version",
    "minimum_version",
    "num_tickets",
    "options",
    "post_handshake_auth",
    "sni_callback",
    "verify_flags",
    "verify_mode",
)
SEALED: dict[str, tuple[Any, ...]] = {
    "load_cert_chain": ("own.pem",),
    "load_default_certs": (),
    "load_dh_params": ("dh.pem",),
    "load_verify_locations": ("more.pem",),
    "set_ciphers": ("ALL:@SECLEVEL=0",),
    "set_default_verify_paths": (),
    "set_ecdh_curve": ("prime256v1",),
    "set_servername_callback": (print,),
    "set_psk_client_callback": (print,),  # since 3.13
    "set_psk_server_callback": (print,),  # since 3.13
    "set_groups": ("X25519",),  # since 3.15, as the rest
    "set_ciphersuites": ("TLS_AES_128_GCM_SHA256",),
    "set_client_sigalgs": ("rsa_pkcs1_sha256",),
    "set_server_sigalgs": ("rsa_pkcs1_sha256",),
}
DEAD = ("set_npn_protocols",)
"""It warns that it is deprecated, and then does not find what it would call."""
PRIVATE = (
    "_encode_hostname",
    "_host_flags",
    "_load_windows_store_certs",  # it ends in load_verify_locations
    "_msg_callback",
    "_set_alpn_protocols",
    "_windows_cert_stores",
    "_wrap_bio",
    "_wrap_socket",
)


@pytest.fixture(params=["client", "server"])
def either(
    request: pytest.FixtureRequest, client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile
) -> mtls.TLSContext:
    """A context of either role."""
    return (client_profile if request.param == "client" else server_profile).ssl_context()


def _state(context: ssl.SSLContext) -> tuple[object, ...]:
    """Everything that can be read of a context."""
    names = [*SETTERS, "security_level"]
    values = [getattr(context, name) for name in names]
    return *values, context.cert_store_stats(), context.get_ca_certs(binary_form=True), context.get_ciphers()


class TestTheTable:
    def test_holds_every_name_that_this_python_knows(self) -> None:
        names = {name for name in dir(ssl.SSLContext) if name not in dir(object) and not name.startswith("__")}
        table = {*READERS, *CONSTANTS, *OPEN, *SETTERS, *SEALED, *DEAD, *PRIVATE}
        assert names - table == set()

    def test_names_nothing_twice(self) -> None:
        entries = [*READERS, *CONSTANTS, *OPEN, *SETTERS, *SEALED, *DEAD, *PRIVATE]
        assert len(entries) == len(set(entries))

    def test_leaves_no_setter_of_openssl_out(self) -> None:
        known = {*SETTERS, *CONSTANTS, "_host_flags", "_msg_callback"}
        raw = ssl.SSLContext.__mro__[1]
        descriptors = {name for name in dir(raw) if type(raw.__dict__.get(name)).__name__ == "getset_descriptor"}
        assert descriptors - known == set()


@pytest.mark.parametrize("name", READERS)
def test_a_reader_answers_for_what_serves(either: mtls.TLSContext, name: str) -> None:
    assert getattr(either, name)() == getattr(either._serving(), name)()


def test_the_readers_show_the_one_ca_and_the_policy_s_ciphers(either: mtls.TLSContext) -> None:
    assert either.cert_store_stats() == {"x509": 1, "crl": 0, "x509_ca": 1}
    assert [len(either.get_ca_certs()), len(either.get_ca_certs(binary_form=True))] == [1, 1]
    names = {cipher["name"] for cipher in either.get_ciphers()}
    assert names >= {"TLS_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"}
    assert "AES256-SHA" not in names


@pytest.mark.parametrize("name", CONSTANTS)
def test_a_constant_is_read_and_never_set(either: mtls.TLSContext, name: str) -> None:
    value = getattr(either, name)
    assert value
    with pytest.raises((mtls.SealedContextError, AttributeError)):
        setattr(either, name, value)
    assert getattr(either, name) == value


@pytest.mark.parametrize(("name", "arguments"), SEALED.items())
def test_a_sealed_method_is_refused_and_changes_nothing(
    either: mtls.TLSContext, name: str, arguments: tuple[Any, ...]
) -> None:
    before = _state(either)
    with pytest.raises(mtls.SealedContextError, match=name.removeprefix("set_servername_") + "|sni_callback") as caught:
        getattr(either, name)(*arguments)
    assert isinstance(caught.value, ssl.SSLError)
    assert "TLSProfile" in str(caught.value)
    assert _state(either) == before


def test_a_sealed_method_is_refused_with_keywords_too(either: mtls.TLSContext, foreign_folder: Path) -> None:
    ca = foreign_folder / "ca.crt"
    attempts: list[Callable[[], object]] = [
        lambda: either.load_verify_locations(cafile=str(ca)),
        lambda: either.load_verify_locations(cadata=ca.read_text()),
        lambda: either.load_verify_locations(capath=str(foreign_folder)),
        lambda: either.load_default_certs(ssl.Purpose.SERVER_AUTH),
        lambda: either.load_default_certs(purpose=ssl.Purpose.CLIENT_AUTH),
        lambda: either.load_cert_chain(foreign_folder / "tls.crt", keyfile=foreign_folder / "tls.key", password="x"),
    ]
    before = _state(either)
    for attempt in attempts:
        with pytest.raises(mtls.SealedContextError):
            attempt()
    assert _state(either) == before


def test_the_dead_method_stays_dead(either: mtls.TLSContext) -> None:
    with pytest.raises(DeprecationWarning, match="NPN"):
        either.set_npn_protocols(["h2"])


@pytest.mark.parametrize("name", SETTERS)
def test_a_setter_takes_the_value_that_is_already_there(either: mtls.TLSContext, name: str) -> None:
    before = _state(either)
    setattr(either, name, getattr(either, name))
    assert _state(either) == before


class Change(NamedTuple):
    """A setter, and a value that would loosen a context."""

    name: str
    value: Callable[[ssl.SSLContext], Any]


_LOOSER = [
    Change("verify_mode", lambda _: ssl.CERT_NONE),
    Change("verify_mode", lambda _: ssl.CERT_OPTIONAL),
    Change("verify_flags", lambda _: ssl.VERIFY_DEFAULT),
    Change("verify_flags", lambda context: context.verify_flags & ~ssl.VERIFY_X509_STRICT),
    Change("verify_flags", lambda context: context.verify_flags | ssl.VERIFY_ALLOW_PROXY_CERTS),
    Change("verify_flags", lambda context: context.verify_flags | 0x200000),  # X509_V_FLAG_NO_CHECK_TIME
    Change("options", lambda _: 0),
    Change("options", lambda context: context.options & ~ssl.OP_NO_COMPRESSION),
    Change("options", lambda context: context.options & ~ssl.OP_NO_RENEGOTIATION),
    Change("options", lambda context: context.options | 0x4),  # SSL_OP_LEGACY_SERVER_CONNECT
    Change("options", lambda context: context.options | 0x40000),  # SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION
    Change("minimum_version", lambda _: ssl.TLSVersion.MINIMUM_SUPPORTED),
    Change("minimum_version", lambda _: ssl.TLSVersion.TLSv1_1),
    Change("num_tickets", lambda _: 5),
    Change("hostname_checks_common_name", lambda _: True),
    Change("keylog_filename", lambda _: "keys.log"),
    Change("post_handshake_auth", lambda _: True),
    Change("sni_callback", lambda _: print),
    Change("_host_flags", lambda _: 0),
    Change("_msg_callback", lambda _: print),
    Change("sslsocket_class", lambda _: ssl.SSLSocket),
    Change("sslobject_class", lambda _: ssl.SSLObject),
]


@pytest.mark.parametrize("change", _LOOSER, ids=[f"{change.name}-{index}" for index, change in enumerate(_LOOSER)])
def test_a_looser_value_is_refused_and_changes_nothing(either: mtls.TLSContext, change: Change) -> None:
    before = _state(either)
    with pytest.raises(mtls.SealedContextError, match=change.name):
        setattr(either, change.name, change.value(either))
    assert _state(either) == before


def test_a_client_keeps_checking_the_host_name(context: mtls.TLSContext) -> None:
    with pytest.raises(mtls.SealedContextError, match="check_hostname"):
        context.check_hostname = False
    assert context.check_hostname


def test_a_context_of_1_2_does_not_go_up_to_1_3(client_profile: mtls.ClientProfile, authority: Any) -> None:
    old = mtls.TLSPolicy(name="old", maximum_version=mtls.TLSVersion.TLSv1_2)
    context = mtls.TLSProfile.client(truststore=authority.truststore, policy=old).ssl_context()
    for version in (ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.MAXIMUM_SUPPORTED):
        with pytest.raises(mtls.SealedContextError, match="maximum_version"):
            context.maximum_version = version
    assert context.maximum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("name", [*SETTERS, *READERS, *CONSTANTS, *OPEN, "_profile", "_generation"])
def test_nothing_is_deleted_or_covered(either: mtls.TLSContext, name: str) -> None:
    before = _state(either)
    with pytest.raises(mtls.SealedContextError):
        delattr(either, name)
    if name not in SETTERS:
        with pytest.raises(mtls.SealedContextError):
            setattr(either, name, lambda *_: None)
    assert _state(either) == before


def test_the_cipher_string_that_is_in_force_is_taken(either: mtls.TLSContext) -> None:
    before = _state(either)
    either.set_ciphers(mtls.MOZILLA_INTERMEDIATE.cipher_string)
    assert _state(either) == before


def test_the_host_name_is_encoded_as_ssl_does(context: mtls.TLSContext) -> None:
    assert context._encode_hostname("bücher.example") == "xn--bcher-kva.example"


@pytest.mark.skipif(sys.platform == "win32", reason="there the store exists")
def test_the_windows_store_leads_nowhere(either: mtls.TLSContext) -> None:
    before = _state(either)
    with contextlib.suppress(NameError):  # enum_certificates is not defined here
        either._load_windows_store_certs("ROOT", ssl.Purpose.SERVER_AUTH)
    assert _state(either) == before
