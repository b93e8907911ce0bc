"""A client with httpx: ``python -m clients.with_httpx secrets/billing``."""

import sys
from collections.abc import Iterator

import httpx

import mtls
from clients.tls import profile

SECONDS = 10


def talk(context: mtls.TLSContext, url: str) -> Iterator[httpx.Response]:
    """Who am I, the invoices, and a new invoice: three answers over one connection."""
    with httpx.Client(verify=context, base_url=url, timeout=SECONDS, trust_env=False) as http:
        yield http.get("/whoami")
        yield http.get("/invoices")
        yield http.post("/invoices", json={"customer": "Ada", "cents": 12_000})


def main(secrets: str = "secrets/billing", url: str = "https://localhost:8443") -> None:
    """Print the answers, or why there are none."""
    try:
        for answer in talk(profile(secrets).ssl_context(), url):
            print(answer.status_code, answer.request.method, answer.url, answer.text)
    except (mtls.MTLSError, httpx.HTTPError) as error:
        sys.exit(str(mtls.explain(error) or error))


if __name__ == "__main__":
    main(*sys.argv[1:])
