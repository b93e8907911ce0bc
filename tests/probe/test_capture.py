"""``capture=``: what Wireshark makes of it, who may read it, and what is never in it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import mtls
from mtls._handshake import staging
from mtls._rehearsal.pcapng import Endpoint, Event, Moment, encoded
from tests.probe.conftest import Answering

if TYPE_CHECKING:
    import socket

    from mtls.authority import CertificateAuthority
    from tests.probe.conftest import Serve

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
_CHECKED = ("-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE")
_BY_CONTENT = ("-o", "tcp.try_heuristic_first:TRUE")
"""The system may give a connection a port at which Wireshark expects another protocol."""
CERTIFICATE = "11"
_WARNING = "this file holds the session secrets; whoever has it can read the connection"


def tshark(path: Path, *fields: str, only: str = "") -> list[list[str]]:
    """These fields of each packet of a capture, as Wireshark's engine reads them, without a key log of ours."""
    program = shutil.which("tshark")
    if program is None:
        reason = "tshark is not installed"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    command = [
        program,
        "-n",
        "-r",
        str(path),
        *_CHECKED,
        *_BY_CONTENT,
        "-T",
        "fields",
        "-E",
        "occurrence=a",
        "-E",
        "separator=\t",
    ]
    command += ["-Y", only] if only else []
    command += [part for field in fields for part in ("-e", field)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return [line.split("\t") for line in run.stdout.splitlines()]


def client(authority: CertificateAuthority, **options: Any) -> mtls.ClientProfile:
    return mtls.TLSProfile.client(**{"truststore": authority.truststore, **options})


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "visit.pcapng"


class TestWhatWiresharkReads:
    def test_of_a_good_probe_is_each_message_decrypted_with_the_request_and_the_answer(
        self,
        serve: Serve,
        server_profile: mtls.ServerProfile,
        authority: CertificateAuthority,
        policy: mtls.TLSPolicy,
        target: Path,
    ) -> None:
        profile = client(authority, keystore=authority.client("billing-prod"), policy=policy)
        port = serve(Answering(server_profile.ssl_context(), OK))
        assert mtls.probe(("localhost", port), profile, capture=target).ok
        asked = tshark(target, "http.request.method", "http.user_agent", "tcp.dstport", only="http.request")
        assert asked == [["GET", "mtls-probe", str(port)]]
        assert tshark(target, "http.response.code", only="http.response") == [["200"]]
        names = tshark(target, "x509sat.uTF8String", only=f"tls.handshake.type == {CERTIFICATE}")
        assert {name for [row] in names for name in row.split(",")} >= {"localhost", "billing-prod", "test CA"}

    @pytest.mark.parametrize("shows", ["a stranger's", "nothing"])
    def test_of_a_refused_probe_is_the_alert_which_tls_13_hides(
        self,
        serve: Serve,
        server_profile: mtls.ServerProfile,
        authority: CertificateAuthority,
        stranger: CertificateAuthority,
        policy: mtls.TLSPolicy,
        target: Path,
        shows: str,
    ) -> None:
        options = {"keystore": stranger.client("outsider")} if shows != "nothing" else {}
        port = serve(Answering(server_profile.ssl_context(), OK))
        result = mtls.probe(("localhost", port), client(authority, policy=policy, **options), capture=target)
        assert isinstance(result.error, mtls.HandshakeError)
        numbers = {"unknown_ca": "48", "certificate_required": "116", "handshake_failure": "40"}
        alerts = tshark(target, "tls.alert_message.desc", "tcp.srcport", only="tls.alert_message.level == 2")
        assert result.error.alert is not None
        assert alerts == [[numbers[result.error.alert], str(port)]], tshark(target, "tcp.port", "_ws.col.Info")

    def test_of_a_server_that_we_refuse_is_its_certificate_and_our_alert_and_no_request(
        self,
        serve: Serve,
        server_profile: mtls.ServerProfile,
        stranger: CertificateAuthority,
        policy: mtls.TLSPolicy,
        target: Path,
    ) -> None:
        port = serve(Answering(server_profile.ssl_context(), OK))
        result = mtls.probe(("localhost", port), client(stranger, policy=policy), capture=target)
        assert result.failed_step is mtls.HandshakeStep.CLIENT_VERIFIES_SERVER
        [[names]] = tshark(target, "x509sat.uTF8String", only=f"tls.handshake.type == {CERTIFICATE}")
        assert "localhost" in names.split(",")
        assert tshark(target, "tls.alert_message.desc", "tcp.dstport", only="tls.alert_message") == [["48", str(port)]]
        assert tshark(target, "frame.number", only="http") == []

    def test_of_an_http2_answer_is_the_status(
        self, serve: Serve, authority: CertificateAuthority, target: Path
    ) -> None:
        keystores: dict[str, Any] = {"keystore": authority.server("localhost"), "truststore": authority.truststore}
        server = mtls.TLSProfile.server(**keystores, alpn=["h2"])
        headers = bytes((0, 0, 1, 1, 5, 0, 0, 0, 1, 0x88))
        port = serve(Answering(server.ssl_context(), bytes(3) + b"\x04\x00" + bytes(4) + headers))
        profile = client(authority, keystore=authority.client("x"), alpn=["h2", "http/1.1"])
        result = mtls.probe(("localhost", port), profile, capture=target)
        assert (result.ok, result.alpn, result.http_status) == (True, "h2", 200)
        assert tshark(target, "http2.headers.method", only="http2.headers.method") == [["GET"]]
        assert tshark(target, "http2.headers.status", only="http2.headers.status") == [["200"]]

    def test_of_a_rehearsal_is_the_same(
        self,
        server_profile: mtls.ServerProfile,
        authority: CertificateAuthority,
        stranger: CertificateAuthority,
        policy: mtls.TLSPolicy,
        target: Path,
        tmp_path: Path,
    ) -> None:
        good = client(authority, keystore=authority.client("billing-prod"), policy=policy)
        assert mtls.rehearse(good, server_profile, capture=target).ok
        names = tshark(target, "x509sat.uTF8String", only=f"tls.handshake.type == {CERTIFICATE}")
        assert {"localhost", "billing-prod"} <= {name for [row] in names for name in row.split(",")}
        bad = client(authority, keystore=stranger.client("outsider"), policy=policy)
        refused = tmp_path / "refused.pcapng"
        assert not mtls.rehearse(bad, server_profile, capture=refused).ok
        assert tshark(refused, "tls.alert_message.desc", only="tls.alert_message") == [["48"]]

    def test_has_sequence_numbers_and_checksums_without_a_fault_and_real_times(
        self, serve: Serve, server_profile: mtls.ServerProfile, client_profile: mtls.ClientProfile, target: Path
    ) -> None:
        port = serve(Answering(server_profile.ssl_context(), b"HTTP/1.1 200 OK\r\n\r\n" + bytes(40_000)), "::1")
        result = mtls.probe(f"[::1]:{port}", client_profile, hostname="localhost", capture=target)
        assert result.ok
        assert (
            tshark(
                target, "frame.number", only="tcp.analysis.flags || tcp.checksum.status == 0 || ip.checksum.status == 0"
            )
            == []
        )
        times = [float(at) for [at] in tshark(target, "frame.time_epoch")]
        assert times == sorted(times)
        assert result.began is not None
        assert 0 <= times[0] - result.began.timestamp() < 20
        assert {source for [source] in tshark(target, "ipv6.src")} == {"::1"}


class TestTheFile:
    def test_can_be_read_by_nobody_else(self, server_profile: Any, client_profile: Any, target: Path) -> None:
        before = os.umask(0)
        try:
            mtls.rehearse(client_profile, server_profile, capture=target)
        finally:
            os.umask(before)
        assert stat.S_IMODE(target.stat().st_mode) == 0o600

    def test_is_never_written_over(
        self, serve: Serve, client_profile: mtls.ClientProfile, server_profile: mtls.ServerProfile, target: Path
    ) -> None:
        asked: list[socket.socket] = []
        port = serve(asked.append)
        target.write_text("precious")
        link = target.with_name("link")
        link.symlink_to(target.with_name("nowhere"))
        for path in (target, link):
            with pytest.raises(mtls.UsageError, match=f"capture={path} is there already, and nothing is overwritten"):
                mtls.probe(("localhost", port), client_profile, capture=path)
            with pytest.raises(mtls.UsageError, match="is there already"):
                mtls.rehearse(client_profile, server_profile, capture=str(path))
        assert target.read_text() == "precious"
        assert not target.with_name("nowhere").exists()
        assert asked == []

    @pytest.mark.parametrize("path", ["", b"x", 5, "a\0b"])
    def test_has_a_path_that_names_one(self, client_profile: Any, server_profile: Any, path: Any) -> None:
        with pytest.raises(mtls.UsageError, match="capture= takes a path that names a new file, not"):
            mtls.rehearse(client_profile, server_profile, capture=path)

    def test_is_tried_before_anything_is_sent(
        self, serve: Serve, client_profile: mtls.ClientProfile, tmp_path: Path
    ) -> None:
        asked: list[socket.socket] = []
        with pytest.raises(FileNotFoundError):
            mtls.probe(("localhost", serve(asked.append)), client_profile, capture=tmp_path / "no" / "folder")
        assert asked == []

    def test_is_gone_again_where_the_call_was_wrong(
        self, authority: CertificateAuthority, server_profile: mtls.ServerProfile, target: Path
    ) -> None:
        with pytest.raises(mtls.UsageError, match="not listed in hosts="):
            mtls.rehearse(client(authority, hosts=["other.example"]), server_profile, capture=target)
        assert not target.exists()

    def test_is_announced_loudly_with_its_name_escaped(
        self, client_profile: Any, server_profile: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        mtls.rehearse(client_profile, server_profile, capture=tmp_path / "a\x1b[31m")
        [record] = [entry for entry in caplog.records if entry.levelno == logging.WARNING]
        assert record.name == "mtls"
        text = record.getMessage()
        assert text == f"capture={tmp_path}/a\\x1b[31m: {_WARNING}"


class TestSecrets:
    def test_no_private_key_is_in_it_and_the_secrets_are_in_no_other_place(
        self,
        authority: CertificateAuthority,
        server_profile: mtls.ServerProfile,
        target: Path,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        profile = client(authority, keystore=authority.client("x", private_key=key))
        result = mtls.rehearse(profile, server_profile, capture=target)
        content = target.read_bytes()
        number = key.private_numbers().private_value.to_bytes(32, "big")
        der = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        for secret in (number, number.hex().encode(), der, b"PRIVATE KEY"):
            assert secret not in content
        secrets = [line.split()[2] for line in content.split(b"\n") if line.startswith(b"CLIENT_TRAFFIC_SECRET_0 ")]
        assert secrets
        told = (str(result), repr(result), json.dumps(result.to_dict()), caplog.text)
        assert not any(secret.decode() in text for secret in secrets for text in told)

    def test_a_context_that_is_handed_out_has_no_key_log_whatever_the_environment_says(
        self,
        client_profile: mtls.ClientProfile,
        server_profile: mtls.ServerProfile,
        target: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
        mtls.rehearse(client_profile, server_profile, capture=target)
        mtls.rehearse(client_profile, server_profile)
        contexts = (client_profile.ssl_context(), client_profile._observed_context())
        assert [context._serving().keylog_filename for context in contexts] == [None, None]
        assert list(tmp_path.iterdir()) == [target]

    def test_without_memory_files_the_key_log_is_a_private_file_that_is_removed(
        self,
        client_profile: mtls.ClientProfile,
        server_profile: mtls.ServerProfile,
        target: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = tmp_path / "temporary"
        folder.mkdir()
        monkeypatch.delattr(os, "memfd_create", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(folder))
        with staging.memory_file() as (path, _):
            assert stat.S_IMODE(Path(path).stat().st_mode) == 0o600
        mtls.rehearse(client_profile, server_profile, capture=target)
        assert b"CLIENT_TRAFFIC_SECRET_0 " in target.read_bytes()
        assert list(folder.iterdir()) == []


def test_a_reset_ends_both_directions_and_what_comes_after_an_end_is_left_out(target: Path) -> None:
    moments = [
        Moment(1.0, True, Event.DATA, b"hello"),
        Moment(2.0, False, Event.RESET),
        Moment(3.0, True, Event.DATA, b"too late"),
        Moment(3.0, True, Event.END),
    ]
    target.write_bytes(encoded(Endpoint("192.0.2.1", 1), Endpoint("192.0.2.2", 2), moments, b""))
    flags = [row for [row] in tshark(target, "tcp.flags.str")]
    assert len(flags) == 6
    assert "R" in flags[-1]
    assert b"too late" not in target.read_bytes()
