"""The pytest plugin, as a stranger's project has it: in a process of its own, with warnings as errors."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import mtls.testing

PLUGIN = "mtls.testing.pytest_plugin"
INSTALLED = any(entry.value == PLUGIN for entry in entry_points(group="pytest11"))


def run(pytester: pytest.Pytester, source: str, *options: str) -> pytest.RunResult:
    """A run without the plugins of others, which take longer to load than the tests to run."""
    pytester._monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    if source:
        pytester.makepyfile(source)
    return pytester.runpytest_subprocess("-W", "error", "-p", "no:cacheprovider", "-p", PLUGIN, *options)


def test_the_fixtures_are_a_good_pair_a_running_server_and_their_authority(pytester: pytest.Pytester) -> None:
    source = """
        import httpx
        import mtls
        from mtls.authority import CertificateAuthority

        def test_pair(mtls_client_profile, mtls_server_profile, mtls_authority):
            assert mtls.rehearse(mtls_client_profile, mtls_server_profile).ok
            assert isinstance(mtls_authority, CertificateAuthority)
            assert mtls_client_profile.two_way and mtls_server_profile.two_way

        def test_server(mtls_server, mtls_client_profile):
            with httpx.Client(verify=mtls_client_profile.ssl_context()) as client:
                assert client.get(mtls_server.url).text == "hello client.example\\n"
            assert mtls_server.wait_for_handshake().peer.dns_names == ("client.example",)

        def test_authority_of_the_session(mtls_authority, mtls_server_profile):
            assert mtls_server_profile.truststore == mtls_authority.truststore
    """
    run(pytester, source).assert_outcomes(passed=3)


def test_a_test_runs_once_with_each_fault_that_its_marker_names(pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        from mtls.testing import FAULTS, assert_refuses, raises

        @pytest.mark.mtls_faults("client-expired", FAULTS["client-no-certificate"], FAULTS.client_certificate[1:3])
        def test_it(mtls_fault, mtls_server_profile, mtls_client_profile, mtls_authority):
            handshake = mtls_fault.run(mtls_client_profile, mtls_server_profile, mtls_authority)
            with raises(step=mtls_fault.step, failure=mtls_fault.failure, side=mtls_fault.side):
                handshake.raise_for_failure()

        @pytest.mark.mtls_faults
        def test_all(mtls_fault):
            assert mtls_fault in FAULTS

        def test_all_without_a_marker(mtls_fault):
            assert mtls_fault in FAULTS
    """
    result = run(pytester, source, "-v")
    result.assert_outcomes(passed=4 + 2 * len(mtls.testing.FAULTS))
    for fault in ("client-expired", "client-no-certificate", "client-unknown-ca", "client-impostor-ca"):
        result.stdout.fnmatch_lines(f"*::test_it?{fault}? PASSED*")


def test_a_faulty_server_has_each_fault_of_the_wire_or_those_that_are_named(pytester: pytest.Pytester) -> None:
    source = """
        import socket
        import pytest
        import mtls
        from mtls.testing import FAULTS, raises

        def talk(server, profile):
            with socket.create_connection(("127.0.0.1", server.port), 0.5) as raw:
                with profile.ssl_context().wrap_socket(raw, server_hostname="localhost") as tls:
                    tls.sendall(b"hello")
                    tls.recv(10)

        def test_wire(mtls_faulty_server, mtls_fault):
            assert mtls_faulty_server.fault is mtls_fault
            assert mtls_fault in FAULTS.transport.of("server")

        @pytest.mark.mtls_faults(FAULTS.server_certificate.of("server")[:3], "server-closes-before-hello")
        def test_named(mtls_faulty_server, mtls_client_profile):
            fault = mtls_faulty_server.fault
            with raises(step=fault.step, failure=fault.failure, side=fault.side):
                talk(mtls_faulty_server, mtls_client_profile)

        @pytest.mark.mtls_faults
        def test_every_one_that_a_server_can_have(mtls_faulty_server):
            assert mtls_faulty_server.fault.culprit == "server"
    """
    result = run(pytester, source)
    wire = len(mtls.testing.FAULTS.transport.of("server"))
    assert result.parseoutcomes()["passed"] > wire + 4 + wire
    assert set(result.parseoutcomes()) == {"passed"}


def test_a_project_overrides_the_authority_with_one_of_trustme(pytester: pytest.Pytester) -> None:
    source = """
        import mtls
        import pytest
        import trustme
        from mtls.testing import authority_from_trustme

        @pytest.fixture(scope="session")
        def mtls_authority():
            return authority_from_trustme(trustme.CA(organization_name="Ledger"))

        def test_it(mtls_client_profile, mtls_server_profile):
            assert mtls.rehearse(mtls_client_profile, mtls_server_profile).ok
            assert "Ledger" in str(mtls_server_profile.truststore)
    """
    run(pytester, source).assert_outcomes(passed=1)


def test_a_project_serves_a_profile_of_its_own(pytester: pytest.Pytester) -> None:
    source = """
        import pytest
        import mtls

        @pytest.fixture
        def mtls_server_profile(mtls_authority):
            return mtls.TLSProfile.server(keystore=mtls_authority.server("api.example"))

        def test_it(mtls_server):
            assert mtls_server.host == "api.example"
    """
    run(pytester, source).assert_outcomes(passed=1)


def test_it_runs_on_many_workers_and_in_any_order(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import random

        def pytest_collection_modifyitems(items):
            random.Random(7).shuffle(items)
        """
    )
    source = """
        import threading
        import mtls
        import pytest
        from mtls.testing import FAULTS

        @pytest.fixture(autouse=True)
        def no_thread_is_left():
            before = set(threading.enumerate())
            yield
            assert set(threading.enumerate()) <= before

        @pytest.mark.mtls_faults(FAULTS.client_certificate)
        def test_fault(mtls_fault, mtls_client_profile, mtls_server_profile, mtls_authority):
            assert not mtls_fault.run(mtls_client_profile, mtls_server_profile, mtls_authority).ok

        @pytest.mark.parametrize("turn", range(10))
        def test_server(turn, mtls_server, mtls_client_profile):
            assert mtls.rehearse(mtls_client_profile, mtls_server.profile).ok
    """
    result = run(pytester, source, "-p", "xdist", "-n", "2", "--dist=load")
    result.assert_outcomes(passed=10 + len(mtls.testing.FAULTS.client_certificate))


def test_a_failed_assertion_shows_the_steps(pytester: pytest.Pytester) -> None:
    source = """
        import mtls
        from dataclasses import replace
        from mtls.testing import assert_refuses, raises

        def test_refuses(mtls_server_profile):
            lax = replace(mtls_server_profile, client_auth=mtls.ClientAuth.OPTIONAL)
            assert_refuses(lax, "client-no-certificate")

        def test_raises(mtls_client_profile, mtls_server_profile):
            bare = replace(mtls_client_profile, keystore=None)
            with raises(step=6, failure="expired"):
                mtls.rehearse(bare, mtls_server_profile).raise_for_failure()
    """
    result = run(pytester, source)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(
        [
            "E   *the server accepted 'client-no-certificate': the client shows no certificate",
            "E   *▸ 5 *should have broken here",
        ]
    )
    result.stdout.fnmatch_lines(
        ["E   *✗ 5 CLIENT_CERTIFICATE*broke here", "E   *▸ 6 SERVER_VERIFIES_CLIENT*should have broken*"]
    )
    result.stdout.no_fnmatch_line("*_assertions.py*")


WRONG = {
    "unknown": ('"client-lost"', "mtls_fault", "there is no fault 'client-lost' among these"),
    "number": ("42", "mtls_fault", "cannot be understood: a fault is one of mtls.testing.FAULTS or its id, not int"),
    "keyword": ('group="transport"', "mtls_fault", "gives mtls_faults the keyword group=; it takes faults only"),
    "unused": ('"client-expired"', "", "asks for neither mtls_fault nor mtls_faulty_server: add one as an argument"),
    "client": ('"client-expired"', "mtls_faulty_server", "'client-expired', which a server cannot have by itself"),
    "rule": ('"server-revoked"', "mtls_faulty_server", "'server-revoked', which a server cannot have by itself"),
}


def test_a_marker_that_makes_no_sense_is_answered_with_a_sentence(pytester: pytest.Pytester) -> None:
    for name, (marker, arguments, _) in WRONG.items():
        source = f"import pytest\n@pytest.mark.mtls_faults({marker})\ndef test_{name}({arguments}): pass\n"
        pytester.makepyfile(**{f"test_{name}": source})
    result = run(pytester, "")
    result.assert_outcomes(errors=len(WRONG))
    for name, (_, _, text) in WRONG.items():
        result.stdout.fnmatch_lines_random(f"test_{name}.py::test_{name} *{text}*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_the_marker_and_the_fixtures_are_documented_where_pytest_lists_them(pytester: pytest.Pytester) -> None:
    run(pytester, "", "--markers").stdout.fnmatch_lines(
        "@pytest.mark.mtls_faults(*faults): run the test once with each*"
    )
    listed = run(pytester, "", "--fixtures").stdout
    for name in ("mtls_authority", "mtls_client_profile", "mtls_server_profile", "mtls_server", "mtls_faulty_server"):
        listed.fnmatch_lines(f"{name}*")


def test_the_distribution_brings_the_plugin() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"mtls": PLUGIN}


@pytest.mark.skipif(not INSTALLED, reason="a source folder has no entry points: nox tests the wheel")
def test_it_loads_by_itself_and_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_it(mtls_authority): pass")
    pytester.runpytest_subprocess("-W", "error").assert_outcomes(passed=1)
    pytester.runpytest_subprocess("-W", "error", "-p", "no:mtls").assert_outcomes(errors=1)


# --- what it costs a project that does not use it ---

PROBE = """
import sys

def pytest_sessionfinish():
    print("LOADED", *sorted(sys.modules))
"""


def _loaded(pytester: pytest.Pytester, *options: str) -> set[str]:
    pytester.makeconftest(PROBE)
    pytester.makepyfile("def test_nothing(): pass")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    command = [sys.executable, "-W", "error", "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", *options]
    output = subprocess.run(command, cwd=pytester.path, env=environment, capture_output=True, text=True, check=True)
    line = next(line for line in output.stdout.splitlines() if line.startswith("LOADED"))
    return set(line.split()[1:])


def test_a_project_that_does_not_use_it_loads_three_light_modules(pytester: pytest.Pytester) -> None:
    added = _loaded(pytester, "-p", PLUGIN) - _loaded(pytester)
    assert added == {"mtls", "mtls.testing", PLUGIN}


def test_the_probe_sees_what_a_project_loads(pytester: pytest.Pytester) -> None:
    assert "ssl" in _loaded(pytester, "-p", "mtls.testing._server") - _loaded(pytester)


def test_unittest_users_need_no_pytest(tmp_path: Path) -> None:
    case = tmp_path / "case.py"
    case.write_text(
        """
import sys
import unittest
sys.modules["pytest"] = sys.modules["_pytest"] = None
import mtls
from mtls.authority import CertificateAuthority
from mtls.testing import *
from mtls.testing import FAULTS, LoopbackServer, assert_mutual, assert_refuses, audit, raises

class Case(unittest.TestCase):
    def setUp(self):
        ca = CertificateAuthority()
        self.server = mtls.TLSProfile.server(keystore=ca.server("localhost"), truststore=ca.truststore)
        self.stranger = mtls.TLSProfile.client(
            keystore=CertificateAuthority().client("stranger.example"), truststore=ca.truststore
        )

    def test_it(self):
        for fault in FAULTS.client_certificate[:3]:
            with self.subTest(fault=fault.id):
                assert_refuses(self.server, fault)
        with raises(step=6, failure="unknown_ca", side="local"):
            mtls.rehearse(self.stranger, self.server).raise_for_failure()
        with LoopbackServer(self.server) as running:
            assert_mutual(running)

unittest.main()
""",
        "utf-8",
    )
    subprocess.run([sys.executable, "-W", "error", str(case)], check=True, capture_output=True, timeout=60)


def test_without_pytest_the_plugin_names_the_extra() -> None:
    source = (
        f"import sys; sys.modules['pytest'] = None\nimport mtls\n"
        f"try: import {PLUGIN}\nexcept mtls.MissingExtraError as error: print(error)"
    )
    output = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True, text=True)
    assert output.stdout == "this needs the package 'pytest': pip install 'mtls-kit[pytest]'\n"
