"""The pytest plugin: fixtures with certificates, profiles and servers, and a marker that runs a test once a fault.

Rule: it loads in every test run of everybody who has the distribution, so it imports nothing but pytest until a test
asks for one of its fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    import pytest
except ImportError as _missing:
    from mtls.errors import MissingExtraError

    raise MissingExtraError(package="pytest", extra="pytest") from _missing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mtls._profile import ClientProfile, ServerProfile
    from mtls.authority import CertificateAuthority
    from mtls.testing._catalogue import Fault, Faults
    from mtls.testing._server import LoopbackServer

_MARKER = "mtls_faults"
_FAULT, _SERVER = "mtls_fault", "mtls_faulty_server"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    line = (
        f"{_MARKER}(*faults): run the test once with each of these faults of mtls.testing.FAULTS (a Fault, its id, or "
        f"a collection; all without an argument), which the fixtures {_FAULT} and {_SERVER} give"
    )
    config.addinivalue_line("markers", line)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a fault once with each."""
    marker = metafunc.definition.get_closest_marker(_MARKER)
    if _FAULT not in metafunc.fixturenames:
        if marker is not None:
            _fail(metafunc, f"is marked {_MARKER}, and asks for neither {_FAULT} nor {_SERVER}: add one as an argument")
        return
    faults = _marked(metafunc, marker)
    if _SERVER in metafunc.fixturenames:
        faults = _of_a_server(metafunc, faults, named=marker is not None and bool(marker.args))
    metafunc.parametrize(_FAULT, list(faults), ids=str, indirect=True)


@pytest.fixture(scope="session")
def mtls_authority() -> CertificateAuthority:
    """The CA of this test run, a :class:`~mtls.authority.CertificateAuthority`; override it to use one of your own."""
    from mtls.authority import CertificateAuthority

    return CertificateAuthority("pytest fixture CA")  # no word of the default name: two CAs, not one with two floors


@pytest.fixture(scope="session")
def mtls_client_profile(mtls_authority: CertificateAuthority) -> ClientProfile:
    """A good client with a certificate for ``client.example``, which trusts ``mtls_authority``."""
    from mtls._profile import TLSProfile

    keystore = mtls_authority.client("client.example")
    return TLSProfile.client(truststore=mtls_authority.truststore, keystore=keystore)


@pytest.fixture(scope="session")
def mtls_server_profile(mtls_authority: CertificateAuthority) -> ServerProfile:
    """A good server for ``localhost`` and ``127.0.0.1``, which demands a certificate of ``mtls_authority``."""
    from mtls._profile import TLSProfile

    keystore = mtls_authority.server("localhost", "127.0.0.1")
    return TLSProfile.server(keystore=keystore, truststore=mtls_authority.truststore)


@pytest.fixture
def mtls_server(mtls_server_profile: ServerProfile) -> Iterator[LoopbackServer]:
    """A running :class:`~mtls.testing.LoopbackServer` with ``mtls_server_profile``, closed after the test."""
    from mtls.testing._server import LoopbackServer

    with LoopbackServer(mtls_server_profile) as server:
        yield server


@pytest.fixture
def mtls_fault(request: pytest.FixtureRequest) -> Fault:
    """The fault of this run of the test, one of those that the marker ``mtls_faults`` names."""
    return request.param  # type: ignore[no-any-return] # what pytest_generate_tests put there


@pytest.fixture
def mtls_faulty_server(
    mtls_fault: Fault, mtls_server_profile: ServerProfile, mtls_authority: CertificateAuthority
) -> Iterator[LoopbackServer]:
    """A running :class:`~mtls.testing.LoopbackServer` with a fault, ``.fault``: one after the other of those that the
    marker ``mtls_faults`` names, without it each fault of the wire.
    """
    from mtls.testing._server import LoopbackServer

    with LoopbackServer(mtls_server_profile, fault=mtls_fault, authority=mtls_authority) as server:
        yield server


def _marked(metafunc: pytest.Metafunc, marker: pytest.Mark | None) -> Faults:
    """The faults that the marker names."""
    from mtls.errors import UsageError
    from mtls.testing._catalogue import Faults, the_fault
    from mtls.testing._faults import FAULTS

    if marker is None:
        return FAULTS.transport.of("server") if _SERVER in metafunc.fixturenames else FAULTS
    if marker.kwargs:
        _fail(metafunc, f"gives {_MARKER} the keyword {next(iter(marker.kwargs))}=; it takes faults only")
    if not marker.args:
        return FAULTS
    found: list[Any] = []
    for given in marker.args:
        found += given if isinstance(given, (Faults, list, tuple)) else [given]
    try:
        return Faults(map(the_fault, found))
    except UsageError as fault:
        wrong = fault
    return _fail(metafunc, f"has a marker {_MARKER} that cannot be understood: {wrong}")  # type: ignore[no-any-return] # it fails


def _of_a_server(metafunc: pytest.Metafunc, faults: Faults, *, named: bool) -> Faults:
    """Those that a server can have. One that was named and cannot is an error, not left out in silence."""
    from mtls.testing._server import is_playable

    fit = type(faults)(fault for fault in faults if is_playable(fault))
    if named and len(fit) < len(faults):
        wrong = next(fault.id for fault in faults if fault not in fit)
        _fail(metafunc, f"asks for {_SERVER} with {wrong!r}, which a server cannot have by itself: ask for {_FAULT}")
    return fit


def _fail(metafunc: pytest.Metafunc, what: str) -> Any:
    pytest.fail(f"{metafunc.definition.nodeid} {what}", pytrace=False)
