"""As much of HTTP/1.1 (RFC 9112) as a test server needs: a request in, an answer out.

Rule: it says who called, or gives the body back; what it does not understand it refuses with a status, and ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from mtls._handshake.peer import PeerIdentity

_METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")
_LONGEST_HEAD, _LONGEST_BODY = 65536, 16 * 1024 * 1024


def is_http(data: bytes) -> bool:
    """Whether this is how a request begins."""
    return data.split(b" ", 1)[0] in _METHODS


def answers(
    first: bytes, read: Callable[[], bytes], write: Callable[[bytes], object], peer: PeerIdentity | None
) -> None:
    """Answer requests until the client ends or wants no more. ``read`` gives ``b""`` at the end."""
    pending = first
    while pending or (pending := read()):
        while b"\r\n\r\n" not in pending:
            more = read()
            if not more or len(pending) > _LONGEST_HEAD:
                return
            pending += more
        head, _, pending = pending.partition(b"\r\n\r\n")
        request, *lines = head.split(b"\r\n")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
        length = fields.get(b"content-length", b"0")
        if b"transfer-encoding" in fields or not length.isdigit() or int(length) > _LONGEST_BODY:
            write(_answer(b"411 Length Required", b"", last=True))
            return
        if fields.get(b"expect", b"").lower() == b"100-continue":
            write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while len(pending) < int(length):
            more = read()
            if not more:
                return
            pending += more
        body, pending = pending[: int(length)], pending[int(length) :]
        method, _, rest = request.partition(b" ")
        last = fields.get(b"connection", b"").lower() == b"close" or rest.endswith(b"HTTP/1.0")
        write(_answer(b"200 OK", body or _greeting(peer), last=last, head=method == b"HEAD"))
        if last:
            return


def _greeting(peer: PeerIdentity | None) -> bytes:
    names = () if peer is None else (*peer.dns_names, *peer.uris)
    return f"hello {names[0] if names else 'anonymous' if peer is None else peer.subject}\n".encode()


def _answer(status: bytes, body: bytes, *, last: bool, head: bool = False) -> bytes:
    fields = b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n" % len(body)
    fields += b"Connection: close\r\n" if last else b""
    return b"HTTP/1.1 " + status + b"\r\n" + fields + b"\r\n" + (b"" if head else body)
