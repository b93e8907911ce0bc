"""Who the service is, and whose certificates it believes: one directory, in the layout of a Kubernetes TLS secret."""

import os

import mtls


def profile(secrets: str | os.PathLike[str] | None = None) -> mtls.ServerProfile:
    """The profile in a directory with ``tls.crt``, ``tls.key`` and ``ca.crt`` (the CA of the clients).

    Left out, it is the directory that the variable ``SERVICE_SECRETS`` names, or else ``secrets/server``.
    """
    if secrets is None:
        secrets = os.environ.get("SERVICE_SECRETS", "secrets/server")
    return mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory(secrets),
        truststore=mtls.Truststore.from_directory(secrets),
    )
