"""The surface of ``ssl.SSLContext`` that could loosen a context, closed; and its readers, told the truth.

Rule: a setter passes the value that is already in force and a stricter one, and raises for anything else; it never
ignores silently. Readers answer for the OpenSSL context that really serves.
"""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any, NoReturn

from mtls._handshake.hooks import TLSObject, TLSSocket
from mtls.errors import SealedContextError

if TYPE_CHECKING:
    from mtls._handshake.generation import Narrowing

_OPTIONS_THAT_RESTRICT = int(
    ssl.OP_NO_SSLv2
    | ssl.OP_NO_SSLv3
    | ssl.OP_NO_TLSv1
    | ssl.OP_NO_TLSv1_1
    | ssl.OP_NO_TLSv1_2
    | ssl.OP_NO_TLSv1_3
    | ssl.OP_NO_COMPRESSION
    | ssl.OP_NO_TICKET
    | ssl.OP_NO_RENEGOTIATION
    | ssl.OP_CIPHER_SERVER_PREFERENCE
    | ssl.OP_SINGLE_DH_USE
    | ssl.OP_SINGLE_ECDH_USE
)
_FLAGS_THAT_RESTRICT = int(ssl.VERIFY_X509_STRICT | ssl.VERIFY_CRL_CHECK_LEAF | ssl.VERIFY_CRL_CHECK_CHAIN)
_PRIVATE = frozenset({"_host_flags", "_msg_callback", "__dict__"})


def refuse(name: str) -> NoReturn:
    """Raise the one answer to every attempt to loosen a context."""
    text = (
        f"{name} would change the private trust, the identity or the checks of a sealed context, so it was refused and "
        "nothing changed; build what you need with TLSProfile and take a context from that"
    )
    raise SealedContextError(text)


class Sealed:
    """Mixed in before ``ssl.SSLContext``; ``_serving`` and ``_narrow`` come from ``TLSContext``."""

    _narrowing: Narrowing
    _inside: frozenset[str]
    """The names of our own attributes; what a library leaves on a context beside them is its own business."""

    def _serving(self) -> Any:
        raise NotImplementedError

    # --- checks ---

    @property
    def verify_mode(self) -> ssl.VerifyMode:
        """As :attr:`ssl.SSLContext.verify_mode`."""
        return ssl.VerifyMode(self._serving().verify_mode)

    @verify_mode.setter
    def verify_mode(self, value: int) -> None:
        self._narrow("verify_mode", int(value), stricter=value > self.verify_mode)

    @property
    def check_hostname(self) -> bool:
        """As :attr:`ssl.SSLContext.check_hostname`."""
        return bool(self._serving().check_hostname)

    @check_hostname.setter
    def check_hostname(self, value: bool) -> None:
        self._narrow("check_hostname", int(bool(value)), stricter=bool(value))

    @property
    def verify_flags(self) -> ssl.VerifyFlags:
        """As :attr:`ssl.SSLContext.verify_flags`."""
        return ssl.VerifyFlags(self._serving().verify_flags)

    @verify_flags.setter
    def verify_flags(self, value: int) -> None:
        self._narrow("verify_flags", int(value), stricter=_adds(self.verify_flags, int(value), _FLAGS_THAT_RESTRICT))

    @property
    def hostname_checks_common_name(self) -> bool:
        """Always False: names come from the subjectAltName."""
        return False

    @hostname_checks_common_name.setter
    def hostname_checks_common_name(self, value: bool) -> None:
        if value:
            refuse("hostname_checks_common_name")

    # --- protocol ---

    @property
    def options(self) -> ssl.Options:
        """As :attr:`ssl.SSLContext.options`."""
        return ssl.Options(self._serving().options)

    @options.setter
    def options(self, value: int) -> None:
        self._narrow("options", int(value), stricter=_adds(self.options, int(value), _OPTIONS_THAT_RESTRICT))

    @property
    def minimum_version(self) -> ssl.TLSVersion:
        """As :attr:`ssl.SSLContext.minimum_version`."""
        return ssl.TLSVersion(self._serving().minimum_version)

    @minimum_version.setter
    def minimum_version(self, value: int) -> None:
        self._narrow("minimum_version", int(value), stricter=value > self.minimum_version)

    @property
    def maximum_version(self) -> ssl.TLSVersion:
        """As :attr:`ssl.SSLContext.maximum_version`."""
        return ssl.TLSVersion(self._serving().maximum_version)

    @maximum_version.setter
    def maximum_version(self, value: int) -> None:
        asked = ssl.TLSVersion.TLSv1_3 if value == ssl.TLSVersion.MAXIMUM_SUPPORTED else value
        self._narrow("maximum_version", int(asked), stricter=0 < asked < self.maximum_version)

    @property
    def num_tickets(self) -> int:
        """As :attr:`ssl.SSLContext.num_tickets`."""
        return int(self._serving().num_tickets)

    @num_tickets.setter
    def num_tickets(self, value: int) -> None:
        self._narrow("num_tickets", int(value), stricter=0 <= value < self.num_tickets)

    @property
    def post_handshake_auth(self) -> bool:
        """Always False: its failure would come at some later read, and asyncio does not know it."""
        return False

    @post_handshake_auth.setter
    def post_handshake_auth(self, value: bool) -> None:
        if value:
            refuse("post_handshake_auth")

    @property
    def keylog_filename(self) -> None:
        """Always None: a key log opens every connection to whoever reads the file."""
        return

    @keylog_filename.setter
    def keylog_filename(self, value: object) -> None:
        if value is not None:
            refuse("keylog_filename")

    @property
    def security_level(self) -> int:
        """As :attr:`ssl.SSLContext.security_level`."""
        return int(self._serving().security_level)

    def set_ciphers(self, cipherlist: str) -> None:
        """Refused, unless the string is the one in force."""
        if cipherlist != self._cipher_string():
            refuse("set_ciphers")

    def _cipher_string(self) -> str:
        raise NotImplementedError

    # --- trust and identity ---

    def load_verify_locations(self, *_: object, **__: object) -> NoReturn:
        """Refused: trust is what the profile's truststore holds. This stops requests from adding the public CAs."""
        refuse("load_verify_locations")

    def load_default_certs(self, *_: object, **__: object) -> NoReturn:
        """Refused: trust is what the profile's truststore holds."""
        refuse("load_default_certs")

    def set_default_verify_paths(self, *_: object, **__: object) -> NoReturn:
        """Refused: trust is what the profile's truststore holds."""
        refuse("set_default_verify_paths")

    def load_cert_chain(self, *_: object, **__: object) -> NoReturn:
        """Refused: the identity is the profile's keystore. On a live context a failed load would break the server."""
        refuse("load_cert_chain")

    def load_dh_params(self, *_: object, **__: object) -> NoReturn:
        """Refused: key exchange is the profile's policy."""
        refuse("load_dh_params")

    def set_ecdh_curve(self, *_: object, **__: object) -> NoReturn:
        """Refused: key exchange is the profile's policy."""
        refuse("set_ecdh_curve")

    def set_groups(self, *_: object, **__: object) -> NoReturn:
        """Refused: key exchange is the profile's policy (the method came with Python 3.15)."""
        refuse("set_groups")

    def set_ciphersuites(self, *_: object, **__: object) -> NoReturn:
        """Refused: ciphers are the profile's policy (the method came with Python 3.15)."""
        refuse("set_ciphersuites")

    def set_client_sigalgs(self, *_: object, **__: object) -> NoReturn:
        """Refused: signatures are the profile's policy (the method came with Python 3.15)."""
        refuse("set_client_sigalgs")

    def set_server_sigalgs(self, *_: object, **__: object) -> NoReturn:
        """Refused: signatures are the profile's policy (the method came with Python 3.15)."""
        refuse("set_server_sigalgs")

    def set_psk_client_callback(self, *_: object, **__: object) -> NoReturn:
        """Refused: a pre-shared key would replace the certificates."""
        refuse("set_psk_client_callback")

    def set_psk_server_callback(self, *_: object, **__: object) -> NoReturn:
        """Refused: a pre-shared key would replace the certificates."""
        refuse("set_psk_server_callback")

    @property
    def sni_callback(self) -> None:
        """Always None: swapping contexts by name keeps the first one's verification, and old sessions resume."""
        return

    @sni_callback.setter
    def sni_callback(self, value: object) -> None:
        if value is not None:
            refuse("sni_callback")

    def set_servername_callback(self, server_name_callback: object) -> None:
        """Refused, unless it is ``None``; see :attr:`sni_callback`."""
        self.sni_callback = server_name_callback

    # --- classes ---

    @property
    def sslsocket_class(self) -> type[TLSSocket]:
        """The class of the sockets that this context makes."""
        return TLSSocket

    @property
    def sslobject_class(self) -> type[TLSObject]:
        """The class of the objects that this context makes."""
        return TLSObject

    # --- readers ---

    def get_ca_certs(self, binary_form: bool = False) -> Any:
        """As :meth:`ssl.SSLContext.get_ca_certs`."""
        return self._serving().get_ca_certs(binary_form)

    def cert_store_stats(self) -> dict[str, int]:
        """As :meth:`ssl.SSLContext.cert_store_stats`."""
        return dict(self._serving().cert_store_stats())

    def get_ciphers(self) -> Any:
        """As :meth:`ssl.SSLContext.get_ciphers`."""
        return self._serving().get_ciphers()

    def session_stats(self) -> dict[str, int]:
        """As :meth:`ssl.SSLContext.session_stats`."""
        return dict(self._serving().session_stats())

    # --- the mechanism ---

    def _narrow(self, name: str, value: int, *, stricter: bool) -> None:
        if value == int(getattr(self._serving(), name)):
            return
        if not stricter:
            refuse(name)
        self._keep(name, value)

    def _keep(self, name: str, value: int) -> None:
        """Serve this narrowing from now on, once OpenSSL has taken it."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: Any) -> None:
        found = getattr(type(self), name, None)
        settable = found is None or (isinstance(found, property) and found.fset is not None)
        if not settable or name in _PRIVATE or name in self._inside:
            refuse(name)
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        if hasattr(type(self), name) or name in self._inside:
            refuse(name)
        super().__delattr__(name)


def _adds(current: int, value: int, restricting: int) -> bool:
    """Whether ``value`` keeps every bit that is set and adds only bits that restrict."""
    return value & current == current and not (value ^ current) & ~restricting
