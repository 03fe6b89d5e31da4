"""Settings: said in code, in the environment or in a file, and which of them counts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from traitlets.config import Config

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.configuration import configuration_files, variable_of
from bgdl_jupyter.model.downloader import BackgroundDownloader
from bgdl_jupyter.model.host import host

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = BackgroundDownloader.class_traits(config=True)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path]:
    """Return the user's and an additional folder of Jupyter's configuration."""
    user, additional = tmp_path / "user", tmp_path / "additional"
    for folder in (user, additional):
        folder.mkdir()
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(user))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(additional))
    return user, additional


def write(folder: Path, **settings: object) -> Path:
    lines = [f"c.BackgroundDownloader.{name} = {value!r}\n" for name, value in settings.items()]
    path = folder / "jupyter_bgdl_config.py"
    path.write_text("c = get_config()\n" + "".join(lines))
    return path


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_every_setting_is_explained_in_a_sentence(name: str):
    said = str(SETTINGS[name].help)
    assert re.fullmatch(r"[A-Z].*\.", said)
    assert len(said.split()) >= 3


def test_a_file_sets_what_nobody_else_says(new_downloader: Callable[..., BackgroundDownloader], folders):
    write(folders[0], max_retries=3, expect_type="text/csv", max_parallel=5)
    downloader = new_downloader()
    assert (downloader.max_retries, downloader.expect_type, downloader.max_parallel) == (3, "text/csv", 5)
    assert new_downloader().max_parallel == 5


def test_a_json_file_does_as_well(new_downloader: Callable[..., BackgroundDownloader], folders):
    path = folders[0] / "jupyter_bgdl_config.json"
    path.write_text(json.dumps({"BackgroundDownloader": {"max_retries": 4}}))
    assert new_downloader().max_retries == 4
    assert configuration_files() == [path]


def test_attribute_before_environment_before_file(
    new_downloader: Callable[..., BackgroundDownloader], folders, monkeypatch: pytest.MonkeyPatch
):
    write(folders[0], max_retries=3)
    assert new_downloader().max_retries == 3
    monkeypatch.setenv("BGDL_MAX_RETRIES", "5")
    assert new_downloader().max_retries == 5
    assert new_downloader(max_retries=7).max_retries == 7


def test_the_first_folder_counts_for_more_and_the_kernels_configuration_for_most(
    new_downloader: Callable[..., BackgroundDownloader], folders, monkeypatch: pytest.MonkeyPatch
):
    user, additional = folders
    write(user, max_retries=1, connect_timeout=1.0, stall_timeout=1.0)
    write(additional, max_retries=2, connect_timeout=2.0)
    order = [each.parent for each in configuration_files()]
    first = order[-1]
    assert new_downloader().max_retries == (1 if first == user else 2)
    assert new_downloader().stall_timeout == 1.0
    monkeypatch.setattr(host(), "configuration", Config(BackgroundDownloader={"max_retries": 9}))
    assert new_downloader().max_retries == 9
    assert new_downloader(config=Config(BackgroundDownloader={"max_retries": 10})).max_retries == 10


def test_a_changed_file_is_read_again(new_downloader: Callable[..., BackgroundDownloader], folders):
    write(folders[0], max_retries=1)
    assert new_downloader().max_retries == 1
    write(folders[0], max_retries=22)
    assert new_downloader().max_retries == 22


@pytest.mark.parametrize("content", ["c.BackgroundDownloader.max_retries = ", "1 / 0"])
def test_a_broken_file_is_named(content: str, new_downloader: Callable[..., BackgroundDownloader], folders):
    path = folders[0] / "jupyter_bgdl_config.py"
    path.write_text(content)
    with pytest.raises(InvalidRequest, match=re.escape(str(path))):
        new_downloader()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("max_parallel", "8", 8),
        ("max_rate", "1000000", 1_000_000),
        ("allow_insecure_auth", "true", True),
        ("stall_timeout", "2.5", 2.5),
        ("on_restore", "pause", "pause"),
        ("expect_type", "text/*", "text/*"),
        ("unpack_max_members", "12", 12),
    ],
)
def test_every_kind_of_setting_may_stand_in_the_environment(
    name: str,
    text: str,
    value: object,
    *,
    new_downloader: Callable[..., BackgroundDownloader],
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv(variable_of(name), text)
    assert getattr(new_downloader(), name) == value


def test_a_variable_that_cannot_be_read_is_named_without_its_value(
    new_downloader: Callable[..., BackgroundDownloader], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("BGDL_MAX_PARALLEL", "s3cr3t")
    with pytest.raises(InvalidRequest, match="BGDL_MAX_PARALLEL") as raised:
        new_downloader()
    assert "s3cr3t" not in str(raised.value)


def test_the_page_on_configuration_lists_every_setting():
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text(encoding="utf-8")
    rows = {line for line in page.splitlines() if line.startswith("| `")}
    expected = {
        f"| `{name}` | `{variable_of(name)}` | `{trait.default()!r}` | {trait.help} |"
        for name, trait in SETTINGS.items()
    }
    assert rows == expected
