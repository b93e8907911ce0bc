"""What every test builds on: two authorities, two profiles, and an environment without somebody's CA settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

import mtls
from mtls.authority import CertificateAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator

_CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSLKEYLOGFILE")


@pytest.fixture(autouse=True, scope="session")
def _no_ca_settings_from_outside() -> Iterator[None]:
    kept = {name: os.environ.pop(name) for name in _CA_VARIABLES if name in os.environ}
    yield
    os.environ.update(kept)


@pytest.fixture(scope="session")
def authority() -> CertificateAuthority:
    """The CA that both sides trust."""
    return CertificateAuthority("test CA")


@pytest.fixture(scope="session")
def stranger() -> CertificateAuthority:
    """A CA that nobody trusts."""
    return CertificateAuthority("stranger CA")


@pytest.fixture(scope="session")
def client_profile(authority: CertificateAuthority) -> mtls.ClientProfile:
    """A client with a certificate."""
    return mtls.TLSProfile.client(truststore=authority.truststore, keystore=authority.client("billing-prod"))


@pytest.fixture(scope="session")
def bare_client_profile(authority: CertificateAuthority) -> mtls.ClientProfile:
    """A client without a certificate."""
    return mtls.TLSProfile.client(truststore=authority.truststore)


@pytest.fixture(scope="session")
def server_profile(authority: CertificateAuthority) -> mtls.ServerProfile:
    """A server that demands a certificate."""
    return mtls.TLSProfile.server(keystore=authority.server("localhost", "127.0.0.1"), truststore=authority.truststore)
