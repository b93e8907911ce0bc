"""Every kind of caller knocks, with both clients, and is told what it may do: ``python -m service.demo``.

Rule: each caller says beforehand what must become of it, and the exit code is 1 if anything else does.
"""

import logging
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import requests

import clients.tls
import mtls
from clients import with_httpx, with_requests
from mtls.authority import CertificateAuthority
from service.development import make_certificates
from service.server import serving
from service.tls import profile

WIDTH = 110  # columns
LIBRARIES: dict[str, Callable[[mtls.TLSContext, str], Iterator[requests.Response | httpx.Response]]] = {
    "requests": with_requests.talk,
    "httpx": with_httpx.talk,
}


class Caller(NamedTuple):
    """Somebody who knocks, and what must become of it: a status for each request, or the step that must fail."""

    name: str
    profile: mtls.ClientProfile
    expected: list[int] | mtls.HandshakeStep


def demo() -> int:
    """Print what each caller is told, and what the service logs of it; 0 if all of it is as it must be."""
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="  log       %(message)s")
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        secrets = Path(folder)
        callers = everybody(secrets, make_certificates(secrets))
        with serving(profile(secrets / "server")) as url:
            print(f"The ledger serves at {url}, and demands a certificate. Its CA is for this demonstration only.")
            for caller in callers:
                print(f"\n{caller.name}")
                for library in LIBRARIES:
                    wrong += knock(caller, library, url) != caller.expected
    total = len(callers) * len(LIBRARIES)
    print(f"\n{total - wrong} of {total} came out as they must.")
    return 1 if wrong else 0


def everybody(secrets: Path, ca: CertificateAuthority) -> list[Caller]:
    """Two callers that the routes name, one that they do not, and two that must not get a connection."""
    auditor = mtls.TLSProfile.client(keystore=ca.client("auditor.example"), truststore=ca.truststore)
    another = CertificateAuthority("Somebody else's CA").client("billing.example")
    stranger = mtls.TLSProfile.client(keystore=another, truststore=ca.truststore)
    nobody = mtls.TLSProfile.client(truststore=ca.truststore)
    step = mtls.HandshakeStep
    return [
        Caller("billing.example may read and write", clients.tls.profile(secrets / "billing"), [200, 200, 201]),
        Caller("reports.example may read", clients.tls.profile(secrets / "reports"), [200, 200, 403]),
        Caller("auditor.example is of our CA, and named by no route", auditor, [200, 403, 403]),
        Caller("billing.example of another CA", stranger, step.SERVER_VERIFIES_CLIENT),
        Caller("nobody: no certificate", nobody, step.CLIENT_CERTIFICATE),
    ]


def knock(caller: Caller, library: str, url: str) -> list[int] | mtls.HandshakeStep | None:
    """What became of it: the statuses, or the step that failed."""
    statuses = []
    try:
        for answer in LIBRARIES[library](caller.profile.ssl_context(), url):
            request = f"{answer.request.method} {httpx.URL(str(answer.url)).path}"
            line = f"  {library:8}  {request:14}  {answer.status_code}  {answer.text}"
            print(line if len(line) <= WIDTH else f"{line[: WIDTH - 1]}…")
            statuses.append(answer.status_code)
    except (httpx.HTTPError, requests.RequestException) as failure:
        error = mtls.explain(failure)
        said = " ".join(str(error or failure).split())
        print(textwrap.fill(said, WIDTH, initial_indent=f"  {library:8}  ", subsequent_indent=" " * 12))
        return error.step if isinstance(error, mtls.HandshakeError) else None
    return statuses


if __name__ == "__main__":
    sys.exit(demo())
