"""
A plugin for pooch's own tests: their HTTP and FTP downloaders are ours, and their data comes from a local nginx.

Loaded with ``-p``, before pytest collects the tests of pooch: they take the classes from `pooch.downloaders` and the
address from `pooch.tests.utils` when they are imported.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pooch
import pooch.downloaders
import pytest
from pooch.tests import utils

from bgdl_jupyter.integrations.pooch import PoochDownloader
from tests.servers.ftp import FtpServer

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


_ARCHIVES = "asks the archives of the internet (figshare, Zenodo, Dataverse, doi.org)"
_HTTPSERVER = "reads what Zenodo's interface says, with a plugin of pytest; no downloader takes part"
#: The tests of pooch that are left out, and why.
LEFT_OUT = {
    "test_api_version": _HTTPSERVER,
    "test_create_and_fetch": "asks GitHub",
    "test_doi_downloader": _ARCHIVES,
    "test_doi_url_not_found": _ARCHIVES,
    "test_download_url": _HTTPSERVER,
    "test_downloader_arbitrary_progressbar": "expects the size of GitHub's gzip coding; ours asks for the file itself",
    "test_downloader_progressbar[figshare]": _ARCHIVES,
    "test_figshare_data_repository_versions": _ARCHIVES,
    "test_figshare_unspecified_version": _ARCHIVES,
    "test_figshare_url_file_not_found": _ARCHIVES,
    "test_invalid_doi_repository": _ARCHIVES,
    "test_load_registry_from_doi": _ARCHIVES,
    "test_load_registry_from_doi_zenodo_with_slash": _ARCHIVES,
    "test_pooch_custom_url[dataverse]": _ARCHIVES,
    "test_pooch_custom_url[figshare]": _ARCHIVES,
    "test_pooch_custom_url[zenodo]": _ARCHIVES,
    "test_pooch_download[dataverse]": _ARCHIVES,
    "test_pooch_download[figshare]": _ARCHIVES,
    "test_pooch_download[zenodo]": _ARCHIVES,
    "test_populate_registry": _HTTPSERVER,
    "test_sftp_downloader": "asks a server of the internet, over SFTP, which is not ours",
    "test_sftp_downloader_fail_if_file_object": "as test_sftp_downloader",
    "test_downloader_progressbar_sftp": "as test_sftp_downloader",
    "test_wrong_load_registry_from_doi": _ARCHIVES,
    "test_zenodo_downloader_with_slash_in_fname": _ARCHIVES,
}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is listed; what is listed and is no test of pooch any more is an error."""
    names = {name for item in items for name in (item.name, item.name.partition("[")[0])}
    if not LEFT_OUT.keys() <= names:
        raise pytest.UsageError(f"pooch has no tests {sorted(LEFT_OUT.keys() - names)}")
    out = [item for item in items if not LEFT_OUT.keys().isdisjoint({item.name, item.name.partition("[")[0]})]
    config.hook.pytest_deselected(items=out)
    items[:] = [item for item in items if item not in out]


class Http(PoochDownloader):
    """Ours with the signature of pooch's ``HTTPDownloader``."""

    def __init__(self, progressbar: Any = False, chunk_size: int = 1024, **options: Any) -> None:
        del chunk_size
        super().__init__(progressbar, **options)


class Ftp(PoochDownloader):
    """Ours with the signature of pooch's ``FTPDownloader``, whose port stands beside the URL and not in it."""

    def __init__(self, port: int = 21, progressbar: Any = False) -> None:
        super().__init__(progressbar)
        self._port = port

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> bool | None:
        with_port = url.replace("ftp://localhost/", f"ftp://localhost:{self._port}/")
        return super().__call__(with_port, output_file, pooch, check_only=check_only)


for module in (pooch, pooch.downloaders):
    module.HTTPDownloader = Http
    module.FTPDownloader = Ftp
utils.pooch_test_url = lambda: os.environ["POOCH_TEST_URL"]


class LocalFtp:
    """What pooch's tests know of their FTP server."""

    def __init__(self, server: FtpServer) -> None:
        self.anon_root = str(server.root)
        self.server_port = server.port


@pytest.fixture
def ftpserver(tmp_path: Path) -> Iterator[LocalFtp]:
    """Give pooch's tests an FTP server, under the name that they know it by."""
    with FtpServer(tmp_path / "ftp", host="localhost") as server:
        yield LocalFtp(server)
