"""Serve an ASGI application with two-way TLS under uvicorn, and tell it who calls.

Rule: the profile alone decides about TLS. What uvicorn could be told beside it (``ssl_*``) is refused, and no server
starts that would let in a client without a certificate.

uvicorn takes the context from ``ssl_context_factory`` and makes a protocol object for each connection; the classes here
are uvicorn's own, and put the identity of the connection into the scopes of its requests. It does not travel in a
context variable, which names the wrong person under uvloop.
"""

from __future__ import annotations

import logging
import os
import pickle
import sys
from importlib import import_module
from inspect import signature
from typing import TYPE_CHECKING, Any, NoReturn

from mtls._profile import ServerProfile
from mtls.errors import MissingExtraError, UsageError
from mtls.integrations.asgi import with_identity
from mtls.integrations.self_test import self_test

try:
    import uvicorn
    from uvicorn.importer import ImportFromStringError, import_from_string
except ImportError as _missing:
    raise MissingExtraError("uvicorn", "uvicorn") from _missing
if "ssl_context_factory" not in signature(uvicorn.Config).parameters:
    raise MissingExtraError("uvicorn>=0.47", "uvicorn")

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from mtls._handshake.following import Reload

_log = logging.getLogger("mtls")

_BASES = {
    "AutoHTTPProtocol": "uvicorn.protocols.http.auto",
    "H11Protocol": "uvicorn.protocols.http.h11_impl",
    "HttpToolsProtocol": "uvicorn.protocols.http.httptools_impl",
    "AutoWebSocketsProtocol": "uvicorn.protocols.websockets.auto",
    "WebSocketProtocol": "uvicorn.protocols.websockets.websockets_impl",
    "WebSocketsSansIOProtocol": "uvicorn.protocols.websockets.websockets_sansio_impl",
    "WSProtocol": "uvicorn.protocols.websockets.wsproto_impl",
}
"""Our class has the name of the one that it is made from. They are made when asked for: each needs a package."""
_HTTP = {"auto": "AutoHTTPProtocol", "h11": "H11Protocol", "httptools": "HttpToolsProtocol"}
_WS = {
    "auto": "AutoWebSocketsProtocol",
    "websockets": "WebSocketProtocol",
    "websockets-sansio": "WebSocketsSansIOProtocol",
    "wsproto": "WSProtocol",
}


def run(
    app: Any,
    profile: ServerProfile | str | Callable[[], ServerProfile],
    *,
    context_reload: Reload | None = None,
    **options: Any,
) -> None:
    """Run ``app`` as ``uvicorn.run`` does, over the TLS of ``profile``, until it is stopped.

    ``profile`` is a server profile. With ``workers`` or uvicorn's own ``reload`` (of the code) each process makes its
    own, because a key is never sent to another process: give an import string (``"service.tls:profile"``) or a function
    of a module. ``context_reload`` makes the context follow its files. All other ``options`` are uvicorn's; ``http`` is
    ``"auto"``, ``"h11"`` or ``"httptools"``, ``ws`` is ``"auto"``, ``"websockets"``, ``"websockets-sansio"``,
    ``"wsproto"`` or ``"none"``, or a class of this module.

    Before anything listens the profile is checked and the context is tried with a client that shows no certificate, in
    every process. Raises :class:`UsageError` for options that uvicorn would set TLS by (``ssl_cert_reqs`` and its
    like), for a protocol that does not know the identity and for a profile that is none, and
    :class:`ConfigurationError` for one that cannot work or lets in whom it must refuse.
    """
    _refuse_tls(options)
    factory = ssl_context_factory(profile, reload=context_reload)
    if "app_dir" in options and options["app_dir"] is not None:
        sys.path.insert(0, os.fspath(options["app_dir"]))
    if _several_processes(options):
        factory.must_travel()
    factory.context()  # in this process first: a worker that fails is started again, for ever
    uvicorn.run(
        app,
        http=_protocol("http", options.pop("http", "auto"), _HTTP),
        ws=_protocol("ws", options.pop("ws", "auto"), _WS),
        ssl_context_factory=factory,
        **options,
    )


def ssl_context_factory(
    profile: ServerProfile | str | Callable[[], ServerProfile], *, reload: Reload | None = None
) -> ContextFactory:
    """What ``uvicorn.Config(ssl_context_factory=…)`` takes, for those who configure uvicorn themselves.

    Give the protocol classes of this module as ``http=`` and ``ws=``, too, or the application does not learn who calls.
    ``profile`` and the errors are those of :func:`run`, ``reload`` is its ``context_reload``.
    """
    return ContextFactory(profile, reload)


class ContextFactory:
    """Makes the context that uvicorn serves; see :func:`ssl_context_factory`."""

    def __init__(self, profile: ServerProfile | str | Callable[[], ServerProfile], reload: Reload | None) -> None:
        if not isinstance(profile, (ServerProfile, str)) and not callable(profile):
            _no_profile(profile)
        self._profile = profile
        self._reload = reload

    def __call__(self, config: Any, default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:  # noqa: ARG002 - uvicorn's signature
        """A context of its own for each server, tried before it serves."""
        return self.context()

    def context(self) -> ssl.SSLContext:
        """A context that was seen to refuse whom its profile refuses."""
        profile = self._profile
        if isinstance(profile, str):
            profile = _imported(profile)
        made = profile if isinstance(profile, ServerProfile) or not callable(profile) else profile()
        if not isinstance(made, ServerProfile):
            _no_profile(made)
        context = made.ssl_context(reload=self._reload)
        _log.info("TLS self-test passed: %s", self_test(context))
        return context

    def must_travel(self) -> None:
        """Raise :class:`UsageError` if this factory cannot be sent to another process."""
        if isinstance(self._profile, ServerProfile):
            text = (
                "a profile holds a private key and is not sent to other processes: with workers= or reload= give an "
                'import string ("service.tls:profile") or a function of a module that makes the profile'
            )
            raise UsageError(text)
        try:
            pickle.dumps(self._profile)
        except (pickle.PicklingError, AttributeError, TypeError) as fault:
            text = (
                f"with workers= or reload= each process finds {self._profile!r} again by its name, and it cannot: give "
                'an import string ("service.tls:profile") or a function of a module that makes the profile'
            )
            raise UsageError(text) from fault

    def __reduce__(self) -> tuple[Any, ...]:
        self.must_travel()
        return ContextFactory, (self._profile, self._reload)


class IdentityProtocol:
    """Mixed in before a protocol class of uvicorn, tells the application who calls.

    The classes of this module are made with it; do the same with one of your own.
    """

    app: Any

    def connection_made(self, transport: Any) -> None:
        """Put the identity of the connection into the scopes of its requests."""
        self.app = with_identity(self.app, transport)
        super().connection_made(transport)  # type: ignore[misc] # the protocol class comes next in the MRO


def __getattr__(name: str) -> Any:
    if name not in _BASES:
        text = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(text)
    base = getattr(import_module(_BASES[name]), name)
    if base is None:  # uvicorn finds no package for WebSockets
        return None
    made = type(name, (IdentityProtocol, base), {"__module__": __name__, "__doc__": f"uvicorn's, with {__name__}."})
    globals()[name] = made
    return made


def _refuse_tls(options: dict[str, Any]) -> None:
    given = sorted(name for name in options if name.startswith("ssl_"))
    if given:
        text = (
            f"{', '.join(given)} cannot be given beside a profile, which says all of this itself: leave it out, and "
            "build the profile that you need"
        )
        raise UsageError(text)
    if options.get("http2"):
        text = "http2= needs a protocol that does not tell the application who calls: leave it out"
        raise UsageError(text)


def _several_processes(options: dict[str, Any]) -> bool:
    workers = options.get("workers")
    if workers is None:
        workers = os.environ.get("WEB_CONCURRENCY", "1")  # uvicorn reads it, too
    return bool(options.get("reload")) or int(workers) > 1


def _protocol(option: str, wanted: Any, known: dict[str, str]) -> Any:
    if isinstance(wanted, str):
        if option == "ws" and wanted == "none":
            return wanted
        if wanted in known:
            return f"{__name__}:{known[wanted]}"  # by name, so that it can be sent to a worker
        if ":" in wanted:
            wanted = _imported(wanted)
    if isinstance(wanted, type) and issubclass(wanted, IdentityProtocol):
        return wanted
    choices = ", ".join(map(repr, [*known, "none"] if option == "ws" else known))
    text = (
        f"{option}={wanted!r} would not tell the application who calls: choose one of {choices}, or derive your class "
        "from mtls.integrations.uvicorn.IdentityProtocol and the class of uvicorn"
    )
    raise UsageError(text)


def _imported(text: str) -> Any:
    try:
        return import_from_string(text)
    except ImportFromStringError as fault:
        raise UsageError(str(fault)) from fault
    except ModuleNotFoundError as fault:
        if fault.name is None or not text.startswith(fault.name):  # what the module itself needs
            raise
        message = f'Could not import "{text}": there is no module {fault.name!r}.'
        raise UsageError(message) from fault


def _no_profile(given: object) -> NoReturn:
    text = (
        f"uvicorn serves a server profile, made by TLSProfile.server(), not {type(given).__name__}; an import string "
        "or a function must give one"
    )
    raise UsageError(text)
