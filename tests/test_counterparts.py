from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests import counterparts
from tests.counterparts import Counterpart, find, missing_packages, report, require, version

if TYPE_CHECKING:
    from pathlib import Path


def program(folder: Path, script: str) -> str:
    executable = folder / "oracle"
    executable.write_text(f"#!/bin/sh\n{script}\n")
    executable.chmod(0o755)
    return str(executable)


@pytest.fixture
def oracle(tmp_path, monkeypatch):
    """Make the only counterpart one that is given by the test."""

    def only(script: str | None, *, must_answer: bool = False) -> None:
        executable = program(tmp_path, script) if script is not None else str(tmp_path / "nowhere")
        counterpart = Counterpart(
            name="oracle", package="oracle-light liboracle", executables=(executable,), must_answer=must_answer
        )
        monkeypatch.setattr(counterparts, "COUNTERPARTS", {"oracle": counterpart})

    find.cache_clear()
    yield only
    find.cache_clear()


def test_what_is_there_is_found_with_its_version(oracle, tmp_path):
    oracle("echo oracle 3.14 >&2")
    assert require("oracle") == tmp_path / "oracle"
    assert version("oracle") == "3.14"
    assert list(report()) == [f"found      oracle 3.14 ({tmp_path / 'oracle'})"]
    assert missing_packages() == []


def test_what_is_missing_skips_with_the_way_to_get_it(oracle, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    oracle(None)
    with pytest.raises(pytest.skip.Exception, match="apt-get install oracle-light liboracle"):
        require("oracle")
    assert missing_packages() == ["liboracle", "oracle-light"]
    assert "NOT FOUND  oracle" in next(report())


def test_what_is_missing_fails_the_gate(oracle, monkeypatch):
    monkeypatch.setenv("CI", "true")
    oracle(None)
    with pytest.raises(pytest.fail.Exception, match="oracle is not on this machine"):
        require("oracle")


def test_a_module_of_an_interpreter_is_there_only_if_it_loads(oracle):
    """The interpreter alone proves nothing."""
    oracle("exit 1", must_answer=True)
    assert find("oracle") is None


def test_a_counterpart_that_is_not_in_the_list_is_a_mistake_of_the_test():
    with pytest.raises(KeyError):
        require("no such program")
