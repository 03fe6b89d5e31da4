"""Every member of the Windows classes does what its Python name says, and the table for those who come from there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bgdl_jupyter.conditions.fake import FakeConditions
from bgdl_jupyter.model.host import host
from tests.downloads import Seen
from tests.servers.faults import status
from tests.servers.files import FileSpec
from tests.windows_members import FILE, LOGIN, MEMBERS, Desk

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from tests.servers.fixtures import StartFaultServer, StartProxy

TABLE = Path(__file__).parents[1] / "docs" / "coming_from_windows.md"
_ROW = re.compile(r"^\| `?([^|`]+?)`? \| [^|]+\|", re.MULTILINE)


@pytest.fixture
def desk(
    new_downloader: Callable[..., BackgroundDownloader],
    restart: Callable[..., BackgroundDownloader],
    fault_server: StartFaultServer,
    proxy: StartProxy,
    *,
    work: Path,
    state_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Desk:
    conditions = FakeConditions()
    monkeypatch.setattr(host(), "conditions_factory", lambda: conditions)
    return Desk(
        new=new_downloader,
        restart=restart,
        downloader=new_downloader(max_retries=3, max_connections_per_download=1),
        server=fault_server({"/file": FILE, "/gone": FileSpec(size=1, faults=(status(404),))}),
        proxy=proxy(login=LOGIN),
        seen=Seen(),
        conditions=conditions,
        work=work,
        state=state_path,
    )


@pytest.mark.parametrize("member", MEMBERS)
def test_a_member_has_the_effect_of_its_windows_twin(desk: Desk, member: str):
    MEMBERS[member](desk)


def test_the_table_for_those_who_come_from_windows_names_what_is_tried_here():
    members = TABLE.read_text().partition("## The members")[2].partition("\n## ")[0]
    rows = [name for name in _ROW.findall(members) if name not in {"Windows", "---"}]
    assert rows == list(MEMBERS)
