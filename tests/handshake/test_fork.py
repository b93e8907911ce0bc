"""A context that was made before a fork serves each child by itself: sessions and verified paths stay together."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import os, socket
import mtls
from mtls.authority import CertificateAuthority

issuing = CertificateAuthority().intermediate()
trust = mtls.Truststore.from_certificates([issuing.root])
server = mtls.TLSProfile.server(
    keystore=issuing.server("localhost"), truststore=trust, authorize=mtls.PeerPolicy.issuer(issuing.certificate)
).ssl_context()
client = mtls.TLSProfile.client(keystore=issuing.client("billing.example"), truststore=trust).ssl_context()
ports = []
for _ in range(2):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ports.append(listener.getsockname()[1])
        if os.fork() == 0:
            for _ in range(2):
                accepted, _ = listener.accept()
                with server.wrap_socket(accepted, server_side=True) as tls:
                    peer = mtls.peer_identity(tls)
                    tls.sendall(f"{peer.resumed} {len(peer.chain)}".encode())
            os._exit(0)
session = None
for port in ports:
    for _ in range(2):
        with client.wrap_socket(
            socket.create_connection(("127.0.0.1", port)), server_hostname="localhost", session=session
        ) as tls:
            print(tls.recv(100).decode())
            session = tls.session
"""


def test_a_session_is_resumed_in_the_child_that_it_began_in_and_in_no_other() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == ["False 3", "True 3", "False 3", "True 3"]
