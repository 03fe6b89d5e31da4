"""The real and the scripted FTP server do what they say, with ftplib and curl as witnesses."""

from __future__ import annotations

import ftplib
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.counterparts import require
from tests.servers.addresses import black_hole
from tests.servers.auth_faults import Login
from tests.servers.content import Pattern, file_sha256, read, write_file
from tests.servers.scripted_ftp import FtpSpec, ScriptedFtp
from tests.servers.steps import Cut, Repeat, Reset, Stall, raw

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFtpServer, StartScriptedFtp

CONTENT = Pattern(100_000, seed=3)
WHOLE = FtpSpec(files={"/a": CONTENT})


def connect(server: ScriptedFtp) -> ftplib.FTP:
    ftp = ftplib.FTP(timeout=5)  # noqa: S321 - FTP is what is tested
    ftp.connect(server.listener.host, server.listener.port)
    return ftp


def retrieve(ftp: ftplib.FTP, *, rest: int | None = None) -> bytes:
    pieces: list[bytes] = []
    ftp.retrbinary("RETR /a", pieces.append, rest=rest)
    return b"".join(pieces)


def test_the_real_server_serves_resumes_and_remembers(ftp_server: StartFtpServer, tmp_path: Path):
    server = ftp_server()
    write_file(server.root / "a.bin", CONTENT)
    copy = tmp_path / "copy"
    copy.write_bytes(read(CONTENT, 0, 40_000))
    command = [str(require("curl")), "--silent", "--noproxy", "*", "-C", "-", "-o", str(copy), server.url("/a.bin")]
    subprocess.run(command, check=True, timeout=20)
    assert file_sha256(copy) == file_sha256(server.root / "a.bin")
    assert ("REST", "40000") in server.commands
    assert ("RETR", "a.bin") in server.commands


def test_the_real_server_wants_the_right_password(ftp_server: StartFtpServer):
    server = ftp_server(login=Login(user="me", password="p@ss/"))
    with ftplib.FTP(timeout=5) as ftp:  # noqa: S321 - FTP is what is tested
        ftp.connect(server.host, server.port)
        with pytest.raises(ftplib.error_perm, match="530"):
            ftp.login("me", "wrong")
        ftp.login("me", "p@ss/")
    assert server.url("/a") == f"ftp://me:p%40ss%2F@127.0.0.1:{server.port}/a"


def test_the_real_server_secures_both_connections(ftp_server: StartFtpServer, authority: Authority, tmp_path: Path):
    server = ftp_server(authority=authority, requires_tls=True)
    write_file(server.root / "a.bin", CONTENT)
    certificate = authority.certificate_file(tmp_path)
    command = [str(require("curl")), "--silent", "--noproxy", "*", "-o", str(tmp_path / "copy"), server.url("/a.bin")]
    assert subprocess.run(command, check=False, timeout=20).returncode == 67
    subprocess.run([*command, "--ssl-reqd", "--cacert", str(certificate)], check=True, timeout=20)
    assert file_sha256(tmp_path / "copy") == file_sha256(server.root / "a.bin")
    assert ("PROT", "P") in server.commands


def test_a_scripted_session_is_whole_unless_told_otherwise(scripted_ftp: StartScriptedFtp):
    server = scripted_ftp(WHOLE)
    with connect(server) as ftp:
        ftp.login()
        assert ftp.size("/a") == 100_000
        assert ftp.sendcmd("MDTM /a") == "213 20240203040506"
        assert retrieve(ftp) == read(CONTENT)
        assert retrieve(ftp, rest=99_990) == read(CONTENT, 99_990)
    assert "REST 99990" in server.commands
    assert [each.ranges_sent for each in server.retrievals] == [[(0, 100_000)], [(99_990, 100_000)]]


def test_half_the_file_is_called_complete(scripted_ftp: StartScriptedFtp):
    """F1."""
    server = scripted_ftp(FtpSpec(files={"/a": CONTENT}, sends=500), WHOLE)
    with connect(server) as ftp:
        ftp.login()
        assert retrieve(ftp) == read(CONTENT, 0, 500)
    with connect(server) as ftp:
        ftp.login()
        assert len(retrieve(ftp)) == 100_000


@pytest.mark.parametrize(
    ("final", "error"),
    [
        (b"426 aborted\r\n", ftplib.error_temp),
        (b"451 local error\r\n", ftplib.error_temp),
        ((Cut(),), EOFError),
        ((Reset(),), ConnectionResetError),
        ((Stall(),), TimeoutError),
        (b"", TimeoutError),
    ],
)
def test_the_end_is_never_confirmed(scripted_ftp: StartScriptedFtp, final, error: type[Exception]):
    """F2."""
    server = scripted_ftp(FtpSpec(files={"/a": CONTENT}, final=final))
    with connect(server) as ftp:
        ftp.login()
        data = ftp.transfercmd("RETR /a")
        with data, data.makefile("rb") as file:
            assert file.read() == read(CONTENT)
        assert ftp.sock is not None
        ftp.sock.settimeout(0.2 if error is TimeoutError else 5)
        with pytest.raises(error):
            ftp.voidresp()
        ftp.close()
    assert server.body_bytes_sent() == 100_000


@pytest.mark.parametrize(("rest", "start"), [("ignores", 0), ("begins elsewhere", 25_000)])
def test_rest_is_answered_and_not_done(scripted_ftp: StartScriptedFtp, rest, start: int):
    """F3."""
    with connect(scripted_ftp(FtpSpec(files={"/a": CONTENT}, rest=rest))) as ftp:
        ftp.login()
        assert retrieve(ftp, rest=50_000) == read(CONTENT, start)


@pytest.mark.parametrize("verb", ["REST", "TYPE", "SIZE", "MDTM", "EPSV", "AUTH", "PROT"])
def test_a_command_is_refused(scripted_ftp: StartScriptedFtp, verb: str):
    """F3, F6, F10."""
    server = scripted_ftp(FtpSpec(files={"/a": CONTENT}, replies={verb: b"502 no\r\n"}))
    with connect(server) as ftp:
        ftp.login()
        with pytest.raises(ftplib.error_perm, match="502 no"):
            ftp.sendcmd(f"{verb} x")


def test_the_passive_address_is_somebody_elses(scripted_ftp: StartScriptedFtp):
    """F4."""
    server = scripted_ftp(FtpSpec(passive_host="127.0.0.2", passive_port=2 * 256 + 1))
    with connect(server) as ftp:
        ftp.login()
        assert ftp.sendcmd("PASV") == "227 entering (127,0,0,2,2,1)"
        assert ftp.sendcmd("EPSV") == "229 entering (|||513|)"


def test_the_data_port_swallows(scripted_ftp: StartScriptedFtp):
    """F5."""
    with (
        black_hole() as port,
        connect(scripted_ftp(FtpSpec(files={"/a": CONTENT}, passive_port=port))) as ftp,
    ):
        ftp.login()
        ftp.timeout = 0.2  # of the data connection
        with pytest.raises(TimeoutError):
            ftp.ntransfercmd("RETR /a")


@pytest.mark.parametrize(
    ("greeting", "begins"),
    [
        (b"421 too many\r\n", b"421 too many"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"HTTP/1.1 400"),
        (b"220 \xff\xfe\r\n", b"220 \xff\xfe\r\n"),
        (b"220-" + b"x" * 2_000_000, b"220-xxxx"),
        ((Repeat(b"220-more\r\n"),), b"220-more\r\n220-more"),
        ((raw(b"220 "), Cut()), b"220 "),
    ],
)
def test_the_greeting_is_anything(scripted_ftp: StartScriptedFtp, greeting, begins: bytes):
    """F7, F11."""
    server = scripted_ftp(FtpSpec(greeting=greeting))
    with socket.create_connection((server.listener.host, server.listener.port), timeout=5) as client:
        received = b""
        while len(received) < len(begins):
            received += client.recv(100)
    assert received.startswith(begins)


def test_a_password_is_wanted(scripted_ftp: StartScriptedFtp):
    """F11."""
    with connect(scripted_ftp(FtpSpec(logins={"me": "p"}))) as ftp:
        with pytest.raises(ftplib.error_perm, match="530"):
            ftp.login("me", "q")
        assert ftp.login("me", "p").startswith("230")


def test_the_data_are_reset(scripted_ftp: StartScriptedFtp):
    with connect(scripted_ftp(FtpSpec(files={"/a": CONTENT}, sends=10, data_end=Reset()))) as ftp:
        ftp.login()
        with pytest.raises(ConnectionResetError):
            retrieve(ftp)


def test_tls_is_agreed_to(scripted_ftp: StartScriptedFtp, authority: Authority):
    server = scripted_ftp(WHOLE, tls=authority.server())
    with ftplib.FTP_TLS(timeout=5, context=authority.client()) as ftp:  # noqa: S321 - as above
        ftp.connect(server.listener.host, server.listener.port)
        ftp.login()
        ftp.prot_p()
        assert retrieve(ftp, rest=5) == read(CONTENT, 5)
