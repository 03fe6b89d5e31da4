"""The doctor, on set-ups that work and on broken ones."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.frontends import doctor
from bgdl_jupyter.frontends.commandline import Exit, main
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.model.process import shut_down

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def clean(state_path: Path, work: Path) -> Iterator[None]:
    default_downloader.cache_clear()
    yield
    shut_down()
    default_downloader.cache_clear()


def finding(subject: str) -> doctor.Finding:
    return next(each for each in doctor.examine() if each.subject == subject)


def test_what_works_is_said_with_exit_code_0(state_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["doctor"]) == Exit.DONE
    lines = capsys.readouterr().out.splitlines()
    assert f"ok  state file     {state_path}" in [line[: 19 + len(str(state_path))] for line in lines]
    assert not any(line.startswith("!!") for line in lines)


def test_a_program_gets_json(capsys: pytest.CaptureFixture[str]):
    main(["doctor", "--json"])
    subjects = {each["subject"] for each in json.loads(capsys.readouterr().out)}
    assert subjects >= {"state file", "permissions", "vault", "loop", "ipykernel", "lab extension", "downloads"}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such permissions")
def test_a_folder_that_others_may_write_to_is_bad_and_gets_a_command_that_mends_it(
    state_path: Path, capsys: pytest.CaptureFixture[str]
):
    state_path.parent.mkdir()
    state_path.parent.chmod(0o777)
    assert main(["doctor"]) == Exit.FAILED
    said = capsys.readouterr().out
    assert "!!  state file" in said
    assert "chmod go-w" in said


def test_a_state_file_that_cannot_be_made_is_bad(state_path: Path, monkeypatch: pytest.MonkeyPatch):
    state_path.parent.write_text("a file in the place of the folder")
    found = finding("state file")
    assert found.is_good is False
    assert found.remedy


def test_a_damaged_state_file_is_named(state_path: Path):
    state_path.parent.mkdir(mode=0o700)
    state_path.write_bytes(b"no database" * 1000)
    said = [each.says for each in doctor.examine() if each.subject == "state file"]
    assert any("corrupt" in each or "damaged" in each for each in said)


def test_a_vault_that_keeps_nothing_is_named_with_what_follows():
    found = finding("vault")
    assert found.is_good is None
    assert "restart" in found.remedy


def extension(home: Path, version: str) -> None:
    folder = home / "share" / "labextensions" / "bgdl-jupyter"
    folder.mkdir(parents=True)
    (folder / "package.json").write_text(json.dumps({"name": "bgdl-jupyter", "version": version}))


def test_a_lab_extension_of_another_version_is_bad(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("JUPYTER_PATH", str(home / "share"))
    extension(home, "0.0.1")
    found = finding("lab extension")
    assert found.is_good is False
    assert "0.0.1" in found.says


def test_a_disabled_lab_extension_is_bad_and_gets_the_command_that_enables_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JUPYTER_PATH", str(home / "share"))
    monkeypatch.setenv("JUPYTER_CONFIG_PATH", str(home / "config"))
    extension(home, "0.1.0")
    page = home / "config" / "labconfig" / "page_config.json"
    page.parent.mkdir(parents=True)
    page.write_text(json.dumps({"disabledExtensions": {"bgdl-jupyter": True}}))
    found = finding("lab extension")
    assert (found.is_good, found.remedy) == (False, "jupyter labextension enable bgdl-jupyter")


def test_an_old_ipykernel_is_named_with_what_it_lacks(monkeypatch: pytest.MonkeyPatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "6.29.5" if name == "ipykernel" else real(name))
    found = finding("ipykernel")
    assert "subshells" in found.says
    assert ">=7.1" in found.remedy


def test_a_missing_extra_is_named_with_what_it_is_for(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(doctor, "_EXTRAS", {"parquet": ("no_such_module", "manifests in Parquet files")})
    assert finding("extra parquet").remedy == "pip install 'bgdl-jupyter[parquet]'"


def test_an_ipykernel_whose_subshells_are_broken_is_bad(monkeypatch: pytest.MonkeyPatch):
    real = doctor._version
    monkeypatch.setattr(doctor, "_version", lambda name: "7.0.1" if name == "ipykernel" else real(name))
    found = finding("ipykernel")
    assert (found.is_good, "wrong cell" in found.says) == (False, True)


def test_a_lab_extension_that_is_missing_is_named_with_what_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("jupyter_core.paths.jupyter_path", lambda *parts: [str(tmp_path.joinpath(*parts))])
    found = finding("lab extension")
    assert (found.is_good, "no toasts" in found.says) == (None, True)
    assert found.remedy


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such owners")
def test_a_state_folder_of_another_user_is_bad(state_path: Path, monkeypatch: pytest.MonkeyPatch):
    state_path.parent.mkdir(mode=0o700)
    theirs = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: theirs)
    found = finding("state file")
    assert (found.is_good, "another user" in found.says) == (False, True)
    assert "XDG_STATE_HOME" in found.remedy


def test_a_broken_configuration_file_is_named_and_the_rest_still_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("JUPYTER_CONFIG_DIR", str(tmp_path))
    (tmp_path / "jupyter_bgdl_config.py").write_text("1 / 0")
    found = finding("configuration")
    assert (found.is_good, "jupyter_bgdl_config.py" in found.says) == (False, True)
    assert finding("ipykernel").says
    assert main(["doctor"]) == Exit.FAILED


def test_a_variable_that_cannot_be_read_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BGDL_MAX_PARALLEL", "s3cr3t")
    found = finding("configuration")
    assert (found.is_good, "BGDL_MAX_PARALLEL" in found.says) == (False, True)
    assert "s3cr3t" not in found.says + found.remedy


def test_where_settings_come_from_is_said(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("BGDL_PROXY", "http://ada:s3cr3t@proxy.example:3128")
    found = finding("configuration")
    assert found.is_good
    assert "BGDL_PROXY" in found.says
    assert "s3cr3t" not in found.says


def test_what_the_network_costs_is_said():
    assert "machine of the kernel" in finding("network").says
