"""Certificates for development: ``python -m service.development``.

Rule: never for production, and never by itself; the service does not start without certificates that somebody gave it.
"""

from pathlib import Path

import mtls
from mtls.authority import CertificateAuthority

WARNING = "FOR DEVELOPMENT ONLY: the key of the CA lies in secrets/ca, and whoever reads it can be any caller."


def make_certificates(secrets: Path) -> CertificateAuthority:
    """Write a directory for the service and for each client, and return their CA.

    The CA in ``secrets/ca`` is made once; the certificates are new each time, and replace the old ones.
    """
    secrets.mkdir(mode=0o700, exist_ok=True)
    if (secrets / "ca").exists():
        ca = CertificateAuthority.load(secrets / "ca")
    else:
        ca = CertificateAuthority("Ledger development CA")
        ca.save(secrets / "ca")
    made = {
        "server": ca.server("localhost", "127.0.0.1"),
        "billing": ca.client("billing.example"),
        "reports": ca.client("reports.example"),
    }
    for name, keystore in made.items():
        ca.save_keystore(keystore, secrets / name, existing=mtls.Existing.REPLACE)
    return ca


def main() -> None:
    """Make or renew what is in ``secrets``, and say so loudly."""
    make_certificates(Path("secrets"))
    print(WARNING)
    print(*sorted(Path("secrets").glob("*/*")), sep="\n")


if __name__ == "__main__":
    main()
