"""``mtls.integrations.uvicorn.run``: what it refuses, its self-test, and several processes."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

import mtls
from mtls._handshake.generation import Generation
from mtls.integrations import uvicorn as integration
from mtls.integrations.self_test import self_test

if TYPE_CHECKING:
    from pathlib import Path

    from mtls.authority import CertificateAuthority
    from tests.servers.conftest import ClientOf

_SERVICE = """
import logging, os, sys
import mtls
from mtls.integrations import uvicorn

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    body = f"{mtls.peer_identity(scope).dns_names[0]} {os.getpid()}".encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})

def profile():
    return mtls.TLSProfile.server(
        keystore=mtls.Keystore.from_directory("secrets"), truststore=mtls.Truststore.from_directory("secrets")
    )

if __name__ == "__main__":
    uvicorn.run("service:app", "service:profile", lifespan="off", app_dir=".", **eval(sys.argv[1]))
"""


async def never(scope: Any, receive: Any, send: Any) -> None:
    pytest.fail("no server was to be started")


@pytest.mark.parametrize(
    "option", ["ssl_cert_reqs", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_ciphers", "ssl_context_factory"]
)
def test_what_uvicorn_would_set_tls_by_is_an_error(server_profile: mtls.ServerProfile, option: str) -> None:
    options: dict[str, Any] = {option: ssl.CERT_NONE}
    with pytest.raises(mtls.UsageError, match=f"{option} cannot be given beside a profile"):
        integration.run(never, server_profile, **options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"http2": True}, "http2= needs a protocol that does not tell the application who calls"),
        ({"http": "zttp"}, "http='zttp' would not tell the application who calls"),
        ({"ws": "other"}, "ws='other' would not tell the application who calls"),
        ({"http": "uvicorn.protocols.http.h11_impl:H11Protocol"}, "would not tell the application who calls"),
        ({"http": "no.such.module:Protocol"}, "Could not import"),
        ({"workers": 2}, "a profile holds a private key and is not sent to other processes"),
        ({"reload": True}, "a profile holds a private key and is not sent to other processes"),
    ],
)
def test_an_option_that_cannot_be_served_is_refused(
    server_profile: mtls.ServerProfile, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(mtls.UsageError, match=said):
        integration.run(never, server_profile, **options)


def test_workers_from_the_environment_count_too(
    server_profile: mtls.ServerProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", "2")
    with pytest.raises(mtls.UsageError, match="is not sent to other processes"):
        integration.run(never, server_profile)


def test_a_profile_of_the_wrong_kind_is_refused(client_profile: mtls.ClientProfile) -> None:
    said = r"uvicorn serves a server profile, made by TLSProfile.server\(\), not ClientProfile"
    with pytest.raises(mtls.UsageError, match=said):
        integration.run(never, client_profile)  # type: ignore[arg-type] # a type error, and a clear exception
    with pytest.raises(mtls.UsageError, match=said):
        integration.run(never, lambda: client_profile)  # type: ignore[arg-type, return-value] # the same
    with pytest.raises(mtls.UsageError, match="not TLSContext"):
        integration.run(never, client_profile.ssl_context())
    with pytest.raises(mtls.UsageError, match="Could not import module"):
        integration.run(never, "no_such_module:profile")


def test_a_profile_that_no_process_could_find_again_is_refused_before_anything_starts(
    server_profile: mtls.ServerProfile,
) -> None:
    with pytest.raises(mtls.UsageError, match=r"each process finds .* again by its name, and it cannot"):
        integration.run("service:app", lambda: server_profile, workers=2)


def test_a_factory_with_a_key_in_it_is_not_pickled(server_profile: mtls.ServerProfile) -> None:
    with pytest.raises(mtls.UsageError, match="a profile holds a private key"):
        pickle.dumps(integration.ssl_context_factory(server_profile))
    again = pickle.loads(pickle.dumps(integration.ssl_context_factory("service:profile", reload=mtls.Reload())))
    assert isinstance(again, integration.ContextFactory)


def test_a_protocol_of_ones_own_is_derived_from_the_mixin() -> None:
    class Own(integration.IdentityProtocol):
        """Not a name of a module, so it could not be sent to a worker."""

    assert integration._protocol("http", Own, {}) is Own
    assert integration._protocol("ws", "none", {}) == "none"
    with pytest.raises(AttributeError, match="has no attribute 'Missing'"):
        integration.Missing  # noqa: B018 - the access is the point


# --- the self-test ---


def test_a_context_that_lets_in_a_client_without_a_certificate_does_not_pass(
    server_profile: mtls.ServerProfile,
) -> None:
    context = server_profile.ssl_context()
    assert self_test(context) == ("a client without a certificate is refused, a client of an unknown CA is refused")
    laxer = replace(context._generation.settings, client_auth=mtls.ClientAuth.OPTIONAL)
    context.__dict__["_generation"] = Generation(laxer)
    with pytest.raises(mtls.ConfigurationError) as caught:
        self_test(context)
    [finding] = caught.value.report.errors
    assert (finding.step, finding.failure) == (5, "certificate_required")
    assert finding.message.endswith("so it was not started: a client without a certificate is let in")


def test_what_is_refused_in_the_self_test_is_not_logged_as_a_failure(
    server_profile: mtls.ServerProfile, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "mtls")
    self_test(server_profile.ssl_context())
    assert caplog.records == []


def test_a_context_that_trusts_a_stranger_does_not_pass(
    server_profile: mtls.ServerProfile, authority: CertificateAuthority
) -> None:
    assert server_profile.keystore is not None
    optional = mtls.TLSProfile.server(
        keystore=server_profile.keystore, truststore=authority.truststore, client_auth=mtls.ClientAuth.OPTIONAL
    )
    context = optional.ssl_context()
    assert self_test(context) == "a client of an unknown CA is refused"
    context.__dict__["_generation"] = Generation(context._generation.settings)
    context._generation.context.verify_mode = int(ssl.CERT_NONE)
    with pytest.raises(mtls.ConfigurationError, match="a client of an unknown CA is let in"):
        self_test(context)


def test_a_one_way_server_has_nobody_to_refuse(server_profile: mtls.ServerProfile) -> None:
    assert server_profile.keystore is not None
    one_way = mtls.TLSProfile.server(keystore=server_profile.keystore)
    assert self_test(one_way.ssl_context()) == "one-way, nobody is asked for a certificate"


def test_a_server_that_cannot_shake_hands_at_all_does_not_pass(authority: CertificateAuthority) -> None:
    rsa_only = mtls.TLSPolicy(
        name="RSA only", maximum_version=mtls.TLSVersion.TLSv1_2, ciphers=("ECDHE-RSA-AES128-GCM-SHA256",)
    )
    profile = mtls.TLSProfile.server(
        keystore=authority.server("localhost", key_type="rsa-2048"), truststore=authority.truststore, policy=rsa_only
    )
    context = profile.ssl_context()
    context._generation.context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    with pytest.raises(mtls.ConfigurationError, match="is refused for another reason: step 2"):
        self_test(context)


# --- processes ---


@contextlib.contextmanager
def _service(folder: Path, authority: CertificateAuthority, options: str) -> Any:
    (folder / "service.py").write_text(_SERVICE)
    authority.save_keystore(authority.server("localhost"), folder / "secrets")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "service.py", f"{{'port': {port}, {options}}}"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process, f"https://localhost:{port}/"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGINT)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _wait_for(process: subprocess.Popen[str], said: str, times: int = 1) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        times -= said in line
        if times == 0:
            return
    pytest.fail("".join(seen))


def _wait_until_listening(url: str) -> None:
    """A worker says that it has started just before it listens."""
    deadline = time.monotonic() + 20
    while True:
        try:
            socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        else:
            return


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_worker_makes_its_own_context_and_knows_its_callers(
    tmp_path: Path, authority: CertificateAuthority, client_of: ClientOf, loop: str
) -> None:
    with _service(tmp_path, authority, f"'workers': 2, 'loop': {loop!r}") as (process, url):
        _wait_for(process, "Started server process", times=2)
        _wait_until_listening(url)
        workers: Counter[str] = Counter()
        for number in range(60):
            name = f"user-{number % 5}.example"
            with httpx.Client(verify=client_of(name)) as client:
                caller, worker = client.get(url).text.split()
            assert caller == name
            workers[worker] += 1
        with httpx.Client(verify=client_of(None)) as client, pytest.raises(httpx.TransportError) as caught:
            client.get(url)
        told = mtls.explain(caught.value)
        assert isinstance(told, mtls.HandshakeError)
        assert told.step == 5
    assert str(process.pid) not in workers
    assert process.returncode == 0


def test_a_profile_that_cannot_work_stops_the_start_before_anything_listens(
    tmp_path: Path, authority: CertificateAuthority, stranger: CertificateAuthority
) -> None:
    with _service(tmp_path, authority, "'workers': 2") as (process, _):
        process.kill()
        process.communicate()
    authority.save_keystore(authority.client("billing.example"), tmp_path / "secrets", existing=mtls.Existing.REPLACE)
    done = subprocess.run(
        [sys.executable, "service.py", "{'workers': 2, 'port': 0}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "mtls.errors.ConfigurationError" in done.stderr
    assert "serverAuth" in done.stderr
    assert "Started" not in done.stderr


# --- what is not installed ---


@pytest.mark.parametrize(
    ("module", "package", "extra"),
    [
        ("mtls.integrations.uvicorn", "uvicorn", "uvicorn"),
        ("mtls.integrations.starlette", "starlette", "starlette"),
        ("mtls.integrations.requests", "requests", "requests"),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(module: str, package: str, extra: str) -> None:
    code = f"""
import sys
sys.modules[{package!r}] = sys.modules[{package + ".exceptions"!r}] = None
import mtls
try:
    import {module}
except mtls.MissingExtraError as error:
    print(error.package, error.extra, error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    assert done.stdout.startswith(f"{package} {extra} this needs the package '{package}'")
    assert f"pip install 'mtls-kit[{extra}]'" in done.stdout


def test_an_old_uvicorn_is_named_too() -> None:
    code = """
import mtls, uvicorn
class Old:
    def __init__(self, app): ...
uvicorn.Config = Old
try:
    import mtls.integrations.uvicorn
except mtls.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "this needs the package 'uvicorn>=0.47': pip install 'mtls-kit[uvicorn]'\n"
