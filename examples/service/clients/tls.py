"""Who a client is, and whom it believes to be the service."""

import os

import mtls


def profile(secrets: str | os.PathLike[str]) -> mtls.ClientProfile:
    """The profile in a directory with ``tls.crt``, ``tls.key`` and ``ca.crt`` (the CA of the service)."""
    return mtls.TLSProfile.client(
        keystore=mtls.Keystore.from_directory(secrets),
        truststore=mtls.Truststore.from_directory(secrets),
    )
