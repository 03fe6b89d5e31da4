"""A manifest that is written: under its name when all of it is there, and nowhere else."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.manifests import writing
from bgdl_jupyter.manifests.writing import write_manifest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def test_a_file_that_stands_where_it_is_written_first_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Even who guesses the name gets nothing written through a link."""
    (tmp_path / "precious").write_text("precious")
    folder = tmp_path / "lists"
    folder.mkdir()

    def records() -> Iterator[Mapping[str, str]]:
        (unfinished,) = folder.iterdir()
        names.append(unfinished.name)
        yield {"uri": "http://x/a"}

    names: list[str] = []
    for _ in range(2):
        write_manifest(folder / "list.csv", records())
        (folder / "list.csv").unlink()
    assert names[0] != names[1]

    class Guessed:
        hex = "guessed"

    monkeypatch.setattr(writing, "uuid4", Guessed)
    write_manifest(folder / "list.csv", records())
    (folder / "list.csv").unlink()
    (folder / names[-1]).symlink_to(tmp_path / "precious")
    with pytest.raises(FileExistsError):
        write_manifest(folder / "list.csv", [{"uri": "http://x/a"}])
    assert (tmp_path / "precious").read_text() == "precious"
    assert [each.name for each in folder.iterdir()] == names[-1:]


def test_a_manifest_has_the_mode_of_any_file_that_is_written(tmp_path: Path):
    (tmp_path / "usual").write_text("")
    write_manifest(tmp_path / "list.jsonl", [{"uri": "http://x/a"}])
    modes = {stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    assert len(modes) == 1
