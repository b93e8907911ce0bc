"""A client with requests: ``python -m clients.with_requests secrets/billing``."""

import sys
from collections.abc import Iterator

import requests

import mtls
from clients.tls import profile
from mtls.integrations.requests import session

SECONDS = 10


def talk(context: mtls.TLSContext, url: str) -> Iterator[requests.Response]:
    """Who am I, the invoices, and a new invoice: three answers over one connection."""
    with session(context) as http:
        http.trust_env = False  # straight to the service: no proxy, no .netrc
        yield http.get(f"{url}/whoami", timeout=SECONDS)
        yield http.get(f"{url}/invoices", timeout=SECONDS)
        yield http.post(f"{url}/invoices", json={"customer": "Ada", "cents": 12_000}, timeout=SECONDS)


def main(secrets: str = "secrets/billing", url: str = "https://localhost:8443") -> None:
    """Print the answers, or why there are none."""
    try:
        for answer in talk(profile(secrets).ssl_context(), url):
            print(answer.status_code, answer.request.method, answer.url, answer.text)
    except (mtls.MTLSError, requests.RequestException) as error:
        sys.exit(str(mtls.explain(error) or error))


if __name__ == "__main__":
    main(*sys.argv[1:])
