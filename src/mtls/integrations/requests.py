"""requests on a sealed context: an adapter, and a session that makes no other connections.

Rule: trust, identity, the checks of the server and the hosts are the profile's and the adapter's. What a session, a
call, a variable, a redirect or a mount says otherwise raises before anything is sent or looked up.
"""

from __future__ import annotations

import inspect
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn, TypedDict
from weakref import WeakSet

from mtls.errors import MissingExtraError, SealedContextError, UsageError
from mtls.integrations._client_context import client_context
from mtls.integrations._hosts import host_rules

try:
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3 import ProxyManager
    from urllib3.util import parse_url
except ImportError as _missing:
    raise MissingExtraError("requests", "requests") from _missing
_FIRST = 0x023203
if getattr(requests, "__build__", 0) < _FIRST:
    _too_old = ImportError(
        f"requests {requests.__version__} is installed; before 2.32.3 it ignores an adapter's context"
    )
    raise MissingExtraError("requests>=2.32.3", "requests") from _too_old

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType
    from typing import Unpack

    from urllib3.connectionpool import ConnectionPool
    from urllib3.util.retry import Retry

    from mtls._handshake.context import TLSContext
    from mtls._profile import ClientProfile

__all__ = ["AdapterArguments", "MTLSAdapter", "session"]

_HTTPS = 443
_COMPARES_NAME_OF_PROXY = "proxy_assert_hostname" in inspect.signature(ProxyManager).parameters
"""Whether urllib3 compares the name of a proxy where the context does not: since 2.0."""
_FRAMES = 12
"""How far up the stack a session is looked for: ``Session.send`` is next, but for a few wrappers between."""


def session(profile: ClientProfile | TLSContext, *hosts: str) -> requests.Session:
    """A ``requests.Session`` that makes TLS connections on this profile, and no other connections.

    ``hosts`` are the only hosts it connects to, written as for :class:`MTLSAdapter`; none given: those of the profile's
    ``hosts=``, or every host that the truststore vouches for. Another host and any ``http://`` URL, typed or redirected
    to, raise :class:`~mtls.UsageError` before anything is sent. What :class:`MTLSAdapter` says of ``verify``, ``cert``,
    proxies, reloads and threads holds here, and it raises the same. Proxies and ``.netrc`` are looked up as in every
    session: set ``trust_env = False`` if the environment is not to have a say.
    """
    adapter, made = MTLSAdapter(profile, hosts=hosts), requests.Session()
    for prefix in ("https://", "http://"):  # the adapter itself refuses plain HTTP, and says so
        made.mount(prefix, adapter)
    return made


class AdapterArguments(TypedDict, total=False):
    """What :class:`MTLSAdapter` passes on to :class:`requests.adapters.HTTPAdapter`, unchanged."""

    pool_connections: int
    pool_maxsize: int
    max_retries: Retry | int
    pool_block: bool


class MTLSAdapter(HTTPAdapter):
    """A transport adapter for ``https://`` whose trust and identity stay as they were built.

    ``hosts`` are the only hosts it connects to: names (``"api.example"``, ``"*.example"``) and addresses, each with a
    port (``"api.example:8443"``, ``"[::1]:8443"``) if only that one is meant; left out: any. The profile's own
    ``hosts=`` hold as well. ``proxy`` is the profile for an ``https://`` proxy; left out, the proxy is a host like any
    other: it is shown our certificate, so it must be one of ``hosts``. The other arguments go to ``HTTPAdapter``.

    Mount it under a prefix that ends in ``"/"``: ``session.mount("https://api.example/", MTLSAdapter(profile))``. What
    does not begin with that prefix, a redirect elsewhere for instance, is the session's business and goes by its other
    adapters, without our certificate and with the public CAs.

    Raises :class:`~mtls.UsageError` for anything but a client's profile or context, for a host that is not listed, for
    ``http://``, and for a prefix without the ``"/"``; :class:`~mtls.SealedContextError` for ``verify=False`` and
    ``cert=``, of a call or of its session; :class:`~mtls.ConfigurationError` for a profile that does not pass its
    check; all of them before anything is sent or looked up. ``verify=True`` and a path change nothing: a path that was
    meant cannot be told from one in ``REQUESTS_CA_BUNDLE``. A refusal during a connection is wrapped by requests as
    usual; :func:`mtls.explain` finds it.

    Not checked: what is sent. Cookies, ``.netrc`` and ``Authorization`` are as in every session. Connections that are
    kept alive keep the identity and the trust they were made with when the context is reloaded; ``close()`` of the
    session or the adapter ends them, and both can be used on. It may be shared by threads as far as its session may;
    it cannot be pickled or copied.
    """

    max_retries: Retry

    def __init__(
        self,
        profile_or_context: ClientProfile | TLSContext,
        *,
        hosts: Sequence[str] = (),
        proxy: ClientProfile | TLSContext | None = None,
        **adapter_arguments: Unpack[AdapterArguments],
    ) -> None:
        self._context = client_context(profile_or_context, "an MTLSAdapter")
        self._proxy_context = None if proxy is None else client_context(proxy, "proxy=")
        self._hosts = host_rules(hosts)
        self._admitted: WeakSet[ConnectionPool] = WeakSet()
        """Connections to hosts that have passed: looking again costs 4 % of a request."""
        super().__init__(**adapter_arguments)
        if self.max_retries.other is None:  # urllib3 counts a TLS failure as "other", and would send even a POST again
            self.max_retries = self.max_retries.new(other=0)

    @property
    def context(self) -> TLSContext:
        """The context that it connects with; read its ``status()``, or ``reload()`` it."""
        return self._context

    def __repr__(self) -> str:
        only = f" for {self._listed()} only" if self._hosts else ""
        return f"<MTLSAdapter{only}, {self._context!r}>"

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        text = "an MTLSAdapter holds a private key and cannot be pickled or copied: make one in each process"
        raise UsageError(text)

    # --- the checks before anything is sent ---

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,  # noqa: FBT001 - the signature of requests
        proxies: Mapping[str, str] | None = None,
        cert: tuple[str, str] | str | None = None,
    ) -> ConnectionPool:
        """As in ``HTTPAdapter``, after every check: each request comes by here, and nothing is connected to yet."""
        _refuse_changes(verify, cert)
        scheme = (request.url or "").partition(":")[0].lower()
        if scheme != "https":
            text = f"{scheme}:// has no TLS, so nothing was sent: use https://"
            raise UsageError(text)
        pool = super().get_connection_with_tls_context(request, verify, proxies=proxies, cert=cert)
        if pool not in self._admitted:
            _refuse_open_prefix(self)
            self._admit(pool.host, pool.port or _HTTPS)  # what it will connect to, so no URL can be read in two ways
            self._admitted.add(pool)
        return pool

    def get_connection(self, url: str | bytes, proxies: Mapping[str, str] | None = None) -> ConnectionPool:
        """The door that requests no longer uses, with the same checks."""
        request = requests.Request("GET", url).prepare()
        return self.get_connection_with_tls_context(request, verify=True, proxies=proxies)

    def _admit(self, host: str, port: int) -> None:
        if self._hosts and not any(rule.admits(host, port) for rule in self._hosts):
            text = (
                f"{host!r}, port {port}, is not one of the hosts of this adapter ({self._listed()}), so nothing was "
                "sent to it; list it if it is meant, or use another session for it"
            )
            raise UsageError(text)
        self._context._admit_host(host)

    def _listed(self) -> str:
        return ", ".join(map(str, self._hosts))

    # --- our context, and nothing beside it ---

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        """As in ``HTTPAdapter``, on our context."""
        options["ssl_context"] = self._context
        super().init_poolmanager(*arguments, **options)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """As in ``HTTPAdapter``, on our context, and for an ``https://`` proxy on that of ``proxy=``."""
        options["ssl_context"] = self._context
        if proxy.lower().startswith("https:"):
            options["proxy_ssl_context"] = to_proxy = self._proxy_context or self._context
            if _COMPARES_NAME_OF_PROXY and not to_proxy.check_hostname:
                options["proxy_assert_hostname"] = False
            address = parse_url(proxy)
            if self._proxy_context is None:
                self._admit(address.host or "", address.port or _HTTPS)
            else:
                self._proxy_context._admit_host(address.host or "")
        return super().proxy_manager_for(proxy, **options)

    def build_connection_pool_key_attributes(
        self,
        request: requests.PreparedRequest,
        verify: bool | str | None,  # noqa: ARG002, FBT001 - the signature of requests
        cert: tuple[str, str] | str | None = None,  # noqa: ARG002 - the same
    ) -> Any:
        """Our context, in place of what ``verify`` and ``cert`` would make of it: see :meth:`cert_verify`."""
        destination, _ = super().build_connection_pool_key_attributes(request, True, None)  # noqa: FBT003 - the same
        settings: dict[str, object] = {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}
        if not self._context.check_hostname:
            # A PeerPolicy takes the place of the name, and our handshake has judged the peer by it. urllib3 compares
            # the name itself where the context does not, and would refuse every server that has none.
            settings["assert_hostname"] = False
        return destination, settings

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:  # noqa: ARG002 - the signature of requests
        """Leave trust and identity to the context. ``HTTPAdapter`` names its CA bundle here, which urllib3 then loads
        into whatever context it has at every new connection: 117 public CAs beside the one private (psf/requests#6730).
        """
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = conn.ca_cert_dir = conn.cert_file = conn.key_file = None


# --- what may be given ---


def _refuse_changes(verify: object, cert: object) -> None:
    if not verify or not (verify is True or isinstance(verify, (str, bytes, os.PathLike))):
        what = repr(verify) if not verify else f"<{type(verify).__name__}>"
        text = (
            f"verify={what} would replace the checks of the profile, so it was refused and nothing was sent; leave it "
            "out: the truststore of the profile says who is trusted"
        )
        raise SealedContextError(text)
    if cert:
        text = (
            "cert= would swap the identity of the profile, so it was refused and nothing was sent; leave it out: the "
            "keystore of the profile is shown, and another identity is another profile with a session of its own"
        )
        raise SealedContextError(text)


# --- the mount ---


def _refuse_open_prefix(adapter: MTLSAdapter) -> None:
    """Raise for a mount as ``"https://api.example"``: it is a prefix of text, so ``https://api.example.evil.test/`` and
    ``https://api.example@evil.test/`` would be its as well.

    requests tells an adapter nothing of its prefix; the session that is calling knows, and it is up the stack.
    """
    frame: FrameType | None = sys._getframe(2)
    for _ in range(_FRAMES):
        if frame is None:
            return
        caller: Any = frame.f_locals.get("self")
        if issubclass(type(caller), requests.Session):  # isinstance() would ask objects that are none of our business
            prefixes = [prefix for prefix, mounted in caller.adapters.items() if mounted is adapter]
            for prefix in prefixes:
                if not prefix.endswith("/"):
                    text = (
                        f"the prefix {prefix!r} also fits hosts that only begin with it, so nothing was sent: mount "
                        f"the adapter under {prefix + '/'!r}"
                    )
                    raise UsageError(text)
            if prefixes:
                return
        frame = frame.f_back
