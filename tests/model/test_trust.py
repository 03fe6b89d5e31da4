"""Whom an operation trusts over TLS: the system's authorities, a file's beside them, or a context's alone."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.errors import AttentionRequired, CertificateRejected, InvalidRequest
from bgdl_jupyter.web_error_status import WebErrorStatus
from tests.servers.content import file_sha256
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.downloads import Seen
    from tests.servers.authority import Authority
    from tests.servers.fixtures import StartFaultServer

FILE = FileSpec(size=400_000)
HALF = FILE.size // 2
WAIT = 20.0


def test_an_authority_that_the_system_does_not_know_is_refused(
    downloader: BackgroundDownloader, fault_server: StartFaultServer, authority: Authority, work: Path
):
    server = fault_server({"/a": FILE}, tls=authority.server())
    with pytest.raises(CertificateRejected):
        downloader.create_download(server.url("/a"), "a").wait(WAIT)
    assert not (work / "a").exists()


@pytest.mark.parametrize("way", ["setting", "option"])
def test_the_authorities_of_a_file_are_trusted_also_after_a_restart(
    *,
    new_downloader: Callable[..., BackgroundDownloader],
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    authority: Authority,
    tmp_path: Path,
    work: Path,
    way: str,
):
    pem = authority.certificate_file(tmp_path)
    server = fault_server({"/a": FILE}, tls=authority.server())
    downloader = new_downloader(**({"ca_file": pem} if way == "setting" else {}))
    downloader.create_download(server.url("/a"), "a", ca_file=None if way == "setting" else pem)
    (operation,) = restart().get_current_downloads()
    operation.wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256


@pytest.mark.parametrize("content", [None, b"no certificate"])
def test_a_file_without_certificates_is_refused_before_anything_is_written(
    downloader: BackgroundDownloader, tmp_path: Path, content: bytes | None
):
    pem = tmp_path / "authorities.pem"
    if content is not None:
        pem.write_bytes(content)
    with pytest.raises(InvalidRequest, match="ca_file"):
        downloader.create_download("https://files.test/a", "a", ca_file=pem)
    assert downloader.get_current_downloads() == []


def test_a_context_is_used_and_asked_for_again_after_a_restart(
    *,
    downloader: BackgroundDownloader,
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    authority: Authority,
    seen: Seen,
    work: Path,
):
    held = FileSpec(size=FILE.size, faults=(hold_after(HALF, until="go", on=1),))
    server = fault_server({"/a": held}, tls=authority.server())
    before = downloader.create_download(server.url("/a"), "a", ssl_context=authority.client())
    before.start()
    seen.until(lambda: before.bytes_received == HALF)
    (operation,) = restart().get_current_downloads()
    with pytest.raises(AttentionRequired, match="ssl_context"):
        operation.wait(WAIT)
    assert operation.current_web_error_status is WebErrorStatus.CERTIFICATE_CONTAINS_ERRORS
    operation.ssl_context = authority.client()
    operation.resume().wait(WAIT)
    assert file_sha256(work / "a") == FILE.sha256


def test_a_context_that_checks_nothing_does_not_outlive_the_kernel(
    downloader: BackgroundDownloader, restart: Callable[..., BackgroundDownloader], fault_server: StartFaultServer
):
    """What is not verified is the choice of one session, never a setting that stays."""
    blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
    server = fault_server({"/a": FILE})
    downloader.create_download(server.url("/a").replace("http:", "https:"), "a", ssl_context=blind)
    (operation,) = restart().get_current_downloads()
    with pytest.raises(AttentionRequired, match="ssl_context"):
        operation.wait(WAIT)
    assert server.requests() == []


@pytest.mark.parametrize("value", ["a.pem", True])
def test_what_is_no_context_is_refused(downloader: BackgroundDownloader, value: Any):
    with pytest.raises(InvalidRequest, match="ssl_context"):
        downloader.create_download("https://files.test/a", "a", ssl_context=value)
