"""The fixtures of ``mtls`` with the service's own profiles, so that what is tested is what is deployed.

Rule: a fixture is replaced by one of the same name; ``mtls_server`` and ``mtls_faulty_server`` are built on these.
"""

from pathlib import Path

import pytest

import clients.tls
import mtls
from mtls.authority import CertificateAuthority
from service import development, tls


@pytest.fixture(scope="session")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="session")
def mtls_authority(secrets: Path) -> CertificateAuthority:
    return development.make_certificates(secrets)


@pytest.fixture(scope="session")
def mtls_server_profile(secrets: Path, mtls_authority: CertificateAuthority) -> mtls.ServerProfile:
    return tls.profile(secrets / "server")


@pytest.fixture(scope="session")
def mtls_client_profile(secrets: Path, mtls_authority: CertificateAuthority) -> mtls.ClientProfile:
    return clients.tls.profile(secrets / "billing")
