"""Line 10: requests and httpx on our context, with the connection kept and with a new one for each request.

Rule: the measure is the best that can be written by hand on a stock context, one for all connections; beside it stands
what people write. The server is a stock one in a process of its own, so all the CPU that is counted is the client's.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import ssl
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx
import requests
from requests.adapters import HTTPAdapter

from benchmarks.material import EC, HOST, files, profile, stock
from benchmarks.rounds import CONTROL, compare, progress
from benchmarks.table import count, ratio
from mtls import ClientProfile, Role
from mtls.integrations.requests import session

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from multiprocessing.connection import Connection

    from benchmarks.material import Files
    from benchmarks.rounds import Effort
    from benchmarks.table import Row
    from mtls import TLSContext

_LINE = 10
_LIMIT, _LIMIT_AS_WRITTEN = 1.05, 0.2
_TURNS, _TURNS_ANEW, _TURNS_AS_WRITTEN = 100, 20, 4
_TIMEOUT = 10.0
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 200

Client = requests.Session | httpx.Client


def rows(effort: Effort) -> Iterator[Row]:
    """CPU of the client for a GET of 200 bytes; how many CAs its context trusts afterwards."""
    given = files(Role.CLIENT, EC)
    ours, plain = _our_profile(given), stock(Role.CLIENT, given)
    with _stock_server(files(Role.SERVER, EC)) as port:
        url = f"https://{HOST}:{port}/"
        of_requests: dict[str, Callable[[], Client]] = {
            "measure": partial(_by_hand, plain),
            "ours": partial(_ours, ours.ssl_context()),
        }
        of_httpx: dict[str, Callable[[], Client]] = {
            "measure": partial(_httpx, plain),
            "ours": partial(_httpx, ours.ssl_context()),
        }
        yield from _against("requests", "adapter by hand", of_requests, url, effort)
        as_written = of_requests | {"measure": partial(_as_written, given)}
        yield from _anew("requests", "adapter as written", as_written, url, effort)
        yield from _against("httpx", "stock context", of_httpx, url, effort)
        as_written = of_httpx | {"measure": partial(_httpx_as_written, given)}
        yield from _anew("httpx", "a context each", as_written, url, effort)
        yield _trust(ours.ssl_context(), given, url)


def _against(
    library: str, measure: str, makes: Mapping[str, Callable[[], Client]], url: str, effort: Effort
) -> Iterator[Row]:
    progress(f"10: {library}, kept alive")
    with contextlib.ExitStack() as kept:
        variants: dict[str, Callable[[], object]] = {}
        for name, make in _with_control(makes).items():
            client = make()
            kept.callback(client.close)
            variants[name] = partial(_get, client, url)
        found = compare(variants, effort, turns=_TURNS)
    yield ratio(_LINE, f"{library}, kept alive", measure, found["ours"], control=found[CONTROL], limit=_LIMIT)
    progress(f"10: {library}, a new connection each")
    found = compare(_each_anew(makes, url), effort, turns=_TURNS_ANEW)
    yield ratio(_LINE, f"{library}, a new connection", measure, found["ours"], control=found[CONTROL], limit=_LIMIT)


def _anew(
    library: str, measure: str, makes: Mapping[str, Callable[[], Client]], url: str, effort: Effort
) -> Iterator[Row]:
    progress(f"10: {library}, a new connection each, {measure}")
    found = compare(_each_anew(makes, url), effort, turns=_TURNS_AS_WRITTEN)
    name = f"{library}, a new connection"
    yield ratio(_LINE, name, measure, found["ours"], control=found[CONTROL], limit=_LIMIT_AS_WRITTEN)


def _with_control(makes: Mapping[str, Callable[[], Client]]) -> dict[str, Callable[[], Client]]:
    return {"measure": makes["measure"], CONTROL: makes["measure"], "ours": makes["ours"]}


def _each_anew(makes: Mapping[str, Callable[[], Client]], url: str) -> dict[str, Callable[[], object]]:
    def ask(make: Callable[[], Client]) -> None:
        with make() as client:
            _get(client, url)

    return {name: partial(ask, make) for name, make in _with_control(makes).items()}


def _get(client: Client, url: str) -> None:
    answer = client.get(url, timeout=_TIMEOUT)
    if len(answer.content) != 200:  # noqa: PLR2004 - what the server sends
        text = f"the server of this benchmark answers {answer.status_code}"
        raise AssertionError(text)


def _trust(context: TLSContext, given: Files, url: str) -> Row:
    """The CAs of our context after a GET, beside those of a stock one under the usual adapter."""
    plain = stock(Role.CLIENT, given)
    for client in (_ours(context), _mounted(_AsWritten(plain))):
        with client:
            _get(client, url)
    against = f"adapter as written: {_cas(plain)}"
    return count(_LINE, "requests: trusted CAs after a GET, of 1", against, _cas(context), must=1)


def _cas(context: ssl.SSLContext) -> int:
    return context.cert_store_stats()["x509_ca"]


# --- clients ---


def _our_profile(given: Files) -> ClientProfile:
    made = profile(Role.CLIENT, given)
    assert isinstance(made, ClientProfile)
    return made


def _ours(context: TLSContext) -> requests.Session:
    made = session(context, HOST)
    made.trust_env = False
    return made


def _by_hand(context: ssl.SSLContext) -> requests.Session:
    return _mounted(_ByHand(context))


def _as_written(given: Files) -> requests.Session:
    context = ssl.create_default_context(cafile=str(given.root))
    context.load_cert_chain(given.certificate, given.key)
    return _mounted(_AsWritten(context))


def _httpx(context: ssl.SSLContext) -> httpx.Client:
    return httpx.Client(verify=context, trust_env=False)


def _httpx_as_written(given: Files) -> httpx.Client:
    context = httpx.create_ssl_context(trust_env=False)
    context.load_verify_locations(given.root)
    context.load_cert_chain(given.certificate, given.key)
    return httpx.Client(verify=context, trust_env=False)


def _mounted(adapter: HTTPAdapter) -> requests.Session:
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", adapter)
    return made


class _AsWritten(HTTPAdapter):
    """What the web tells people to write who have a context."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(*arguments, **options, ssl_context=self._context)


class _ByHand(_AsWritten):
    """The same without its trap: nothing is added to the context."""

    def build_connection_pool_key_attributes(self, request: Any, *_: Any, **__: Any) -> Any:
        destination, _unused = super().build_connection_pool_key_attributes(request, verify=True)
        return destination, {"ssl_context": self._context, "cert_reqs": "CERT_REQUIRED"}

    def cert_verify(self, conn: Any, *_: Any) -> None:
        conn.cert_reqs = "CERT_REQUIRED"
        conn.ca_certs = conn.ca_cert_dir = conn.cert_file = conn.key_file = None


# --- the server ---


@contextlib.contextmanager
def _stock_server(given: Files) -> Iterator[int]:
    """The port of a stock server that asks every client for a certificate."""
    spawned = multiprocessing.get_context("spawn")
    here, there = spawned.Pipe()
    process = spawned.Process(target=_serve, args=(there, given), daemon=True)
    process.start()
    try:
        if not here.poll(_TIMEOUT * 3):
            text = "the server of this benchmark does not start"
            raise AssertionError(text)
        yield here.recv()
    finally:
        process.kill()
        process.join()


def _serve(port: Connection, given: Files) -> None:
    async def run() -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Answer, "127.0.0.1", 0, ssl=stock(Role.SERVER, given))
        port.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(run())


class _Answer(asyncio.Protocol):
    """One answer for each request; a request comes in one piece."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, _: bytes) -> None:
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(_ANSWER)
