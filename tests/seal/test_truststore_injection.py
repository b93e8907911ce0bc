"""``truststore.inject_into_ssl()`` swaps ``ssl.SSLContext`` for one that trusts the operating system's store.

Each case runs in a process of its own: the swap is for the whole process. ``SSL_CERT_FILE`` makes the stranger's CA the
operating system's.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.seal.conftest import Server

_SCRIPT = """
import json, socket, ssl, sys

when, ours, theirs, good_port, foreign_port = sys.argv[1:]

def inject():
    import truststore
    truststore.inject_into_ssl()

if when == "before the import":
    inject()
import mtls
if when == "after the import":
    inject()
profile = mtls.TLSProfile.client(
    truststore=mtls.Truststore.from_pem(ours + "/ca.crt"), keystore=mtls.Keystore.from_directory(ours)
)
context = profile.ssl_context()
if when == "after the build":
    inject()

def visit(context, port):
    with (
        socket.create_connection(("127.0.0.1", int(port)), timeout=20) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        tls.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")
        answer = b""
        while part := tls.recv(4096):
            answer += part
        return answer.decode()

def refused(call):
    try:
        return call()
    except mtls.HandshakeError as error:
        return [error.step, error.side, error.failure]
    except mtls.SealedContextError:
        return "sealed"

context.verify_mode = context.verify_mode
context.minimum_version = ssl.TLSVersion.TLSv1_2
context.options |= ssl.OP_NO_TICKET
context.set_alpn_protocols(["http/1.1"])
real = next(kind for kind in ssl.SSLContext.__mro__ if kind.__module__ == "ssl")
by_default = ssl.create_default_context()
print(json.dumps({
    "swapped": ssl.SSLContext.__module__,
    "is a context": isinstance(context, ssl.SSLContext),
    "is ours": isinstance(context, mtls.TLSContext),
    "CAs": context.cert_store_stats()["x509_ca"],
    "listed": len(context.get_ca_certs()),
    "good": visit(context, good_port),
    "foreign": refused(lambda: visit(context, foreign_port)),
    "foreign by default": refused(lambda: visit(by_default, foreign_port)),
    "weaker": refused(lambda: setattr(context, "verify_mode", ssl.CERT_NONE)),
    "wider": refused(lambda: context.load_verify_locations(theirs + "/ca.crt")),
    "unbound": refused(lambda: real.load_verify_locations(context, theirs + "/ca.crt")),
    "foreign in the end": refused(lambda: visit(context, foreign_port)),
    "CAs in the end": context.cert_store_stats()["x509_ca"],
}))
"""


@pytest.fixture(params=["before the import", "after the import", "after the build"])
def seen(
    request: pytest.FixtureRequest,
    client_folder: Path,
    foreign_folder: Path,
    server: Server,
    foreign_server: Server,
) -> dict[str, Any]:
    """What a process sees in which truststore took over at one of three moments."""
    arguments = (request.param, client_folder, foreign_folder, server.port, foreign_server.port)
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SCRIPT, *map(str, arguments)],
        env=os.environ | {"SSL_CERT_FILE": str(foreign_folder / "ca.crt")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    found: dict[str, Any] = json.loads(ran.stdout)
    return found


def test_a_context_works_and_trusts_only_its_own_ca(seen: dict[str, Any]) -> None:
    assert seen["swapped"].startswith("truststore")
    assert seen["foreign by default"].startswith("HTTP/1.1 200 OK"), "the operating system trusts the stranger"
    assert (seen["is a context"], seen["is ours"]) == (True, True)
    assert (seen["CAs"], seen["listed"], seen["CAs in the end"]) == (1, 1, 1)
    assert seen["good"].startswith("HTTP/1.1 200 OK")
    assert seen["foreign"] == [4, "local", "unknown_ca"]
    assert (seen["weaker"], seen["wider"]) == ("sealed", "sealed")
    assert seen["foreign in the end"] == [4, "local", "unknown_ca"]
