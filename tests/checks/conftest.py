"""What the tests of the checks share: how to ask for one finding, keys that are slow to make, and other tools."""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from mtls import FailureReason, Keystore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from mtls import Finding

    Only = Callable[[Iterable[Finding], FailureReason], Finding]


@pytest.fixture(scope="session")
def only() -> Only:
    """The one finding of this failure; the test fails where there is none, or more than one."""

    def find(findings: Iterable[Finding], failure: FailureReason) -> Finding:
        found = list(findings)
        matching = [finding for finding in found if finding.failure is failure]
        assert len(matching) == 1, f"wanted one {failure}, got {[finding.failure for finding in found]}"
        return matching[0]

    return find


@pytest.fixture(scope="session")
def rsa_key() -> Callable[[int], rsa.RSAPrivateKey]:
    """An RSA key of that many bits, made once."""
    made: dict[int, rsa.RSAPrivateKey] = {}

    def key(bits: int) -> rsa.RSAPrivateKey:
        if bits not in made:
            made[bits] = rsa.generate_private_key(public_exponent=65537, key_size=bits)
        return made[bits]

    return key


@pytest.fixture(scope="session")
def openssl(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs the openssl program in a folder of its own and returns the folder."""
    program = shutil.which("openssl")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("CI must have the openssl program", pytrace=False)
        pytest.skip("the openssl program, which still signs with old digests, is not installed")
    folder = tmp_path_factory.mktemp("openssl")

    def run(*arguments: str) -> Path:
        subprocess.run([program, *arguments], check=True, cwd=folder, capture_output=True, timeout=30)
        return folder

    return run


@pytest.fixture(scope="session")
def signed_with(openssl: Callable[..., Path]) -> Callable[[str], Keystore]:
    """A client's keystore whose leaf openssl has signed with that digest; ``cryptography`` no longer does."""

    def make(digest: str) -> Keystore:
        curve = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *curve, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=old CA")
        openssl("req", *curve, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=old leaf")
        signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", "7", f"-{digest}")
        folder = openssl("x509", "-req", "-in", "leaf.csr", *signing, "-days", "90", "-out", f"{digest}.pem")
        return Keystore.from_pem(folder / f"{digest}.pem", folder / "leaf.key")

    return make
