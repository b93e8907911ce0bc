"""``python -m service``: serve until Ctrl-C."""

import argparse
import logging
import sys

import mtls
from service import server

DEVELOPMENT = "For development, have certificates made first: python -m service.development"


def main() -> None:
    """Serve, or say why not."""
    parser = argparse.ArgumentParser(
        prog="python -m service", description="Serve the ledger with two-way TLS.", epilog=DEVELOPMENT
    )
    parser.add_argument("--host", default="127.0.0.1", help="%(default)s if left out")
    parser.add_argument("--port", default=8443, help="%(default)s if left out", type=int)
    chosen = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(levelname)s:     %(message)s")  # "mtls" logs refusals and reloads
    try:
        server.serve(chosen.host, chosen.port)
    except mtls.KeystoreError as error:
        sys.exit(f"{error}\n  {DEVELOPMENT}")
    except mtls.MTLSError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
