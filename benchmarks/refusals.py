"""Line 7: what a failing handshake costs, and how many refused clients of TLS 1.3 learn why."""

from __future__ import annotations

import contextlib
import multiprocessing
import socket
import time
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.material import EC, HOST, VERSIONS, files, foreign_root, policy, profile, stock
from benchmarks.rounds import CONTROL, compare, left_to_the_collector, progress
from benchmarks.table import count, ratio
from benchmarks.wire import Contexts, refuse
from mtls import HandshakeError, Role, TLSVersion

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from multiprocessing.connection import Connection

    from benchmarks.material import Choice, Files
    from benchmarks.rounds import Effort
    from benchmarks.table import Row

_LINE = 7
_LIMIT = 1.15
_TURNS = 20
_CLIENTS = 300
_PAUSE = 0.005
_TIMEOUT = 10.0
_REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
_ALERT, _STOCK_REASON = "certificate_required", "TLSV13_ALERT_CERTIFICATE_REQUIRED"


def rows(effort: Effort) -> Iterator[Row]:
    """CPU of both ends in memory; then real sockets against a stock server in a process of its own."""
    given, server = files(Role.CLIENT, EC), files(Role.SERVER, EC)
    faults: dict[str, Choice] = {
        "unknown CA": {"root": foreign_root()},
        "no client certificate": {"identity": False},
    }
    for version, version_name in VERSIONS.items():
        rules = policy(version)
        for what, choice in faults.items():
            progress(f"7: failing handshake, {what}, {version_name}")
            client, serving = profile(Role.CLIENT, given, rules, **choice), profile(Role.SERVER, server, rules)
            ours = Contexts(client.ssl_context(), serving.ssl_context())
            plain = Contexts(stock(Role.CLIENT, given, rules, **choice), stock(Role.SERVER, server, rules))
            measure = partial(refuse, plain)
            found = compare({"measure": measure, CONTROL: measure, "ours": partial(refuse, ours)}, effort, turns=_TURNS)
            name = f"failing: {what}, {version_name}"
            yield ratio(_LINE, name, "stock contexts", found["ours"], control=found[CONTROL], limit=_LIMIT)
            left = left_to_the_collector(partial(refuse, ours))
            against = f"stock: {left_to_the_collector(measure)}"
            yield count(_LINE, "  objects it leaves to the collector", against, left, must=0)
    yield from _alerts(given, server)


def _alerts(given: Files, server: Files) -> Iterator[Row]:
    """Clients without a certificate, ours and stock in turn, against one stock server."""
    rules = policy(TLSVersion.TLSv1_3)
    ours = profile(Role.CLIENT, given, rules, identity=False).ssl_context()
    plain = stock(Role.CLIENT, given, rules, identity=False)
    with _stock_server(server) as port:
        for pause, when in ((0.0, "at once"), (_PAUSE, "after 5 ms")):
            progress(f"7: {_CLIENTS} refused clients that write {when}")
            told = [(_is_told(ours, port, pause), _is_told(plain, port, pause)) for _ in range(_CLIENTS)]
            here, there = (sum(column) for column in zip(*told, strict=True))
            against = f"{there} of stock clients"
            yield count(_LINE, f"{_CLIENTS} refused: named, writing {when}", against, here, must=_CLIENTS)


def _is_told(context: ssl.SSLContext, port: int, pause: float) -> bool:
    """Whether the first exception of a client that writes and reads names the alert."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=_TIMEOUT) as raw,
            context.wrap_socket(raw, server_hostname=HOST) as tls,
        ):
            if pause:
                time.sleep(pause)
            tls.sendall(_REQUEST)
            tls.recv(1024)
    except HandshakeError as fault:
        return fault.alert == _ALERT
    except OSError as fault:
        return getattr(fault, "reason", None) == _STOCK_REASON
    return False


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
    context = stock(Role.SERVER, given, policy(TLSVersion.TLSv1_3))
    with socket.create_server(("127.0.0.1", 0), backlog=16) as listener:
        port.send(listener.getsockname()[1])
        while True:
            raw, _ = listener.accept()
            with contextlib.suppress(OSError), raw:
                raw.settimeout(_TIMEOUT)
                context.wrap_socket(raw, server_side=True).close()
