"""The kernel's side of the comm, held against the examples that the lab extension is held against too."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import comm as comms
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.events import AlertKind, AlertRaised
from bgdl_jupyter.frontends import comm as module
from bgdl_jupyter.frontends import wire
from bgdl_jupyter.frontends.views import Views
from bgdl_jupyter.model.application import present_application
from bgdl_jupyter.model.process import current_runner
from tests.kernels import RealKernel, subshells
from tests.servers.faults import hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.downloads import Seen

WIRE: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "wire.json").read_text(encoding="utf-8"))
KERNEL_MESSAGES: dict[str, dict[str, Any]] = WIRE["from_kernel"]


# ------------------------------------------------------------------------------------------------------------- shapes


def kinds_of(value: Any) -> Any:
    """Return what a value is made of: names of types, fields, and what the elements of lists have in common."""
    if isinstance(value, dict):
        return {name: kinds_of(each) for name, each in value.items()}
    if isinstance(value, list):
        return [merged(*(kinds_of(each) for each in value))] if value else []
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return {type(value).__name__}
    return {"number"}


def merged(*kinds: Any) -> Any:
    """Return what any of several values is made of."""
    first = kinds[0]
    if isinstance(first, dict):
        assert all(each.keys() == first.keys() for each in kinds), kinds
        return {name: merged(*(each[name] for each in kinds)) for name in first}
    if isinstance(first, list):
        elements = [element for each in kinds for element in each]
        return [merged(*elements)] if elements else []
    return set().union(*kinds)


def assert_like(value: Any, kinds: Any) -> None:
    """Fail unless a value has the fields and types that the examples have."""
    if isinstance(kinds, dict):
        assert value.keys() == kinds.keys()
        for name, each in value.items():
            assert_like(each, kinds[name])
    elif isinstance(kinds, list):
        assert isinstance(value, list)
        for each in value:
            assert_like(each, kinds[0])
    else:
        assert kinds_of(value) <= kinds, value


def assert_in_fixture(message: dict[str, Any]) -> None:
    examples = list(KERNEL_MESSAGES.values())
    kinds = merged(*(kinds_of(each) for each in examples if each["type"] == message["type"]))
    if message["type"] != "removed":
        # What an operation may look like is the same in all messages.
        for name in ("operations", "groups", "alerts", "totals"):
            kinds[name] = merged(*(kinds_of(each[name]) for each in examples if each["type"] != "removed"))
    assert_like(message, kinds)
    json.dumps(message, allow_nan=False)


# --------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("data", WIRE["from_lab"].values(), ids=WIRE["from_lab"])
def test_what_the_lab_may_say_is_understood(data):
    command = wire.parse_command(data)
    assert command is not None
    assert command.name == data["verb"]


REFUSED = {name: data for name, data in WIRE["refused_by_kernel"].items() if name != "an operation that is not there"}


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_what_is_no_command_is_refused(data):
    assert wire.parse_command(data) is None


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=20,
)


@given(json_values)
def test_junk_is_refused_and_breaks_nothing(data):
    assert wire.parse_command(data) is None


@given(
    st.dictionaries(
        st.sampled_from(["verb", "operation_id", "group", "path", "uri", "alert_id"]),
        st.sampled_from(["pause", "subscribe", "dismiss", "x", "3f1c9f0e6d4b4a6e9a0c1d2e3f405162", "../etc", 7, None]),
    )
)
def test_a_command_names_at_most_one_thing_and_no_path(data):
    command = wire.parse_command(data)
    if command is not None:
        assert set(data) <= {"verb", "operation_id", "group"}
        assert sum(each is not None for each in (command.operation_id, command.group, command.alert_id)) <= 1


def test_a_text_that_is_too_long_is_refused():
    assert wire.parse_command({"verb": "pause", "group": "g" * 1000}) is not None
    assert wire.parse_command({"verb": "pause", "group": "g" * 70_000}) is None


# ------------------------------------------------------------------------------------------- messages of a real model


class Line:
    """What stands for the kernel's comm: keeps what is sent, and lets the test say something."""

    sent: list[dict[str, Any]]

    def __init__(self, *, primary: bool) -> None:
        self.comm_id = uuid.uuid4().hex
        self.primary = primary
        self.sent = []
        self.is_closed = False
        self._hear: Callable[[dict[str, Any]], None] = lambda _: None
        self._heard_close: Callable[[Any], None] | None = None

    def on_msg(self, hear: Callable[[dict[str, Any]], None]) -> None:
        self._hear = hear

    def on_close(self, hear: Callable[[Any], None] | None) -> None:
        self._heard_close = hear

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(json.loads(json.dumps(message, allow_nan=False)))

    def close(self) -> None:
        self.is_closed = True

    def say(self, data: Any, buffers: tuple[bytes, ...] = ()) -> None:
        """Let the lab say something; returns when the kernel has taken it."""
        self._hear({"content": {"data": data}, "buffers": list(buffers)})
        current_runner().place.call(lambda: None)

    def be_closed_by_a_page(self) -> None:
        assert self._heard_close is not None
        self._heard_close({})
        current_runner().place.call(lambda: None)


@pytest.fixture
def lines(monkeypatch) -> list[Line]:
    made: list[Line] = []

    def create(*, target_name: str, primary: bool) -> Line:
        assert target_name == WIRE["target"]
        made.append(Line(primary=primary))
        return made[-1]

    monkeypatch.setattr(module, "create_comm", create)
    monkeypatch.setattr(module, "kernel_id", lambda: "5f0e7c7e-9d2d-4d39-8c1c-0e6c6f2f8a10")
    monkeypatch.setattr(comms, "get_comm_manager", comms.base_comm.CommManager)
    return made


@pytest.fixture
def views(downloader, lines) -> Views:
    runner = current_runner()
    views = runner.place.call(Views, runner)
    runner.place.call(views.comm.open)
    return views


@pytest.fixture
def line(views, lines):
    return lines[0]


@pytest.fixture
def server(fault_server):
    return fault_server(
        {
            "/a.bin": FileSpec(size=10_000),
            "/held.bin": FileSpec(size=200_000, faults=(hold_after(30_000, until="go"),)),
            "/gone.bin": FileSpec(faults=(status(404),)),
        }
    )


def tell_now(views: Views) -> list[dict[str, Any]]:
    """Have everything said that there is to say, and return it."""

    def tell() -> None:
        views.catch_up()
        while views.comm.send():
            pass

    before = len(views.comm._comm.sent)
    views.place.call(tell)
    return list(views.comm._comm.sent[before:])


@pytest.fixture
def group(downloader, server, seen: Seen, views) -> Iterator[Any]:
    """Give the test a group with one done, one failed, one that stands still in the middle."""
    paths = ("/a.bin", "/held.bin", "/gone.bin")
    group = downloader.download_many([server.url(path) for path in paths], group="climate")
    held = next(each for each in group.operations if each.name == "held.bin")
    seen.until(lambda: group.progress.completed == group.progress.failed == 1 and held.bytes_received > 0)
    yield group
    server.events.set("go")


def test_nothing_is_said_to_nobody(views, line, group):
    assert tell_now(views) == []


def test_a_kernel_that_nobody_listens_to_still_shows_the_server_that_it_lives(views, line, group):
    """A server ends kernels that say nothing for long; the totals are no news to anybody else."""
    assert views.place.call(views._pulse) == 1
    (message,) = line.sent
    assert_in_fixture(message)
    assert message["operations"] == message["groups"] == []


def test_every_message_is_like_its_example(views, line, group, downloader, server):
    downloader.create_download(server.url("/a.bin?b"), "idle.bin")
    alert = AlertRaised(
        alert_id="batch-1",
        application=present_application(),
        kind=AlertKind.FAILURE,
        title="climate: 1 of 3 downloads failed",
        body="gone.bin",
        group="climate",
    )
    views.place.call(views.runner.publish, alert)
    line.say({"verb": "subscribe"})
    (snapshot,) = tell_now(views)
    assert snapshot["type"] == "snapshot"
    assert {each["name"] for each in snapshot["operations"]} == {"a.bin", "held.bin", "gone.bin", "idle.bin"}
    assert [each["name"] for each in snapshot["groups"]] == ["climate", ""]
    assert [each["id"] for each in snapshot["alerts"]] == ["batch-1"]
    assert_in_fixture(snapshot)
    next(each for each in group.operations if each.name == "held.bin").pause()
    (changed,) = tell_now(views)
    assert changed["type"] == "changed"
    assert [(each["name"], each["status"]) for each in changed["operations"]] == [("held.bin", "PAUSED_BY_APPLICATION")]
    assert_in_fixture(changed)
    line.say({"verb": "dismiss", "operation_id": "batch-1"})
    (removed,) = tell_now(views)
    assert removed == {"type": "removed", "operations": [], "groups": [], "alerts": ["batch-1"]}
    assert_in_fixture(removed)


def test_no_address_and_no_folder_is_on_the_wire(views, line, downloader, server):
    downloader.create_download(server.url("/secret-path/a.bin?token=hunter2"), "a.bin")
    line.say({"verb": "subscribe"})
    said = json.dumps(tell_now(views))
    assert "hunter2" not in said
    assert "secret-path" not in said
    assert server.url("") not in said


def test_commands_act_on_an_operation(views, line, group):
    held = next(each for each in group.operations if each.name == "held.bin")
    line.say({"verb": "pause", "operation_id": held.guid.hex})
    assert held.status.is_paused
    line.say({"verb": "resume", "operation_id": held.guid.hex})
    assert held.status.is_running
    line.say({"verb": "cancel", "operation_id": held.guid.hex})
    assert held.status.is_final
    assert views.comm.refused == 0


def test_commands_act_on_a_group(views, line, group, seen):
    line.say({"verb": "pause", "group": "climate"})
    assert group.progress.paused == 1
    line.say({"verb": "retry", "group": "climate"})
    assert group.progress.failed == 0
    seen.until(lambda: group.progress.failed == 1)
    line.say({"verb": "cancel", "group": "climate"})
    assert (group.progress.completed, group.progress.failed, group.progress.canceled) == (1, 1, 1)
    line.say({"verb": "clear", "group": "climate"})
    seen.until(lambda: not group.operations)


def test_what_is_cleared_is_said_to_be_gone(views, line, group, seen):
    line.say({"verb": "subscribe"})
    tell_now(views)
    gone = next(each for each in group.operations if each.name == "gone.bin")
    line.say({"verb": "clear", "operation_id": gone.guid.hex})
    seen.until(lambda: gone not in group.operations)
    removed, changed = tell_now(views)
    assert removed == {"type": "removed", "operations": [gone.guid.hex], "groups": [], "alerts": []}
    assert changed["groups"][0]["counts"]["total"] == 2


def test_a_step_that_is_no_longer_allowed_is_no_harm(views, line, group):
    done = next(each for each in group.operations if each.name == "a.bin")
    line.say({"verb": "pause", "operation_id": done.guid.hex})
    assert done.status.is_success


def test_junk_is_counted_and_nothing_happens(views, line, group):
    before = group.progress
    for data in WIRE["refused_by_kernel"].values():
        line.say(data)
    line.say({"verb": "subscribe"}, buffers=(b"x",))
    assert views.comm.refused == len(WIRE["refused_by_kernel"]) + 1
    assert group.progress == before
    assert tell_now(views) == []


def test_the_kernel_knows_when_nothing_may_pop_up(views, line, downloader):
    line.say({"verb": "refuse_toasts"})
    assert downloader.notification_setting.name == "DISABLED_FOR_USER"
    line.say({"verb": "subscribe"})
    tell_now(views)
    assert line.sent[0]["settings"] == {"toasts": True}  # where they go instead is the front end's affair
    line.say({"verb": "allow_toasts"})
    assert downloader.notification_setting.name == "ENABLED"


def test_the_bar_of_a_group_counts_files_where_sizes_are_unknown(views, line, downloader, fault_server, seen: Seen):
    """As the box in the notebook does: what is done of the files that are known of."""
    server = fault_server({"/a.bin": FileSpec(size=10_000), "/gone.bin": FileSpec(faults=(status(404),))})
    group = downloader.download_many([server.url("/a.bin"), server.url("/gone.bin")], group="mixed")
    seen.until(lambda: group.progress.completed == group.progress.failed == 1)
    line.say({"verb": "subscribe"})
    tell_now(views)
    (shown,) = line.sent[0]["groups"]
    assert group.progress.fraction is None
    assert shown["fraction"] == views.ledger.group((present_application(), "mixed")).share == 0.5


def test_a_flood_of_commands_is_refused(views, line, group):
    for _ in range(500):
        line.say({"verb": "pause", "group": "climate"})
    assert views.comm.refused > 300


def test_a_long_list_comes_in_parts(views, line, downloader, server, monkeypatch):
    monkeypatch.setattr(module, "PART", 3)
    for number in range(8):
        downloader.create_download(server.url(f"/{number}"), f"{number}.bin")
    line.say({"verb": "subscribe"})
    parts = tell_now(views)
    assert [(each["part"], each["parts"], len(each["operations"])) for each in parts] == [
        (1, 3, 3),
        (2, 3, 3),
        (3, 3, 2),
    ]
    assert [len(each["groups"]) for each in parts] == [1, 0, 0]
    for part in parts:
        assert_in_fixture(part)


def test_what_changed_for_many_comes_little_by_little(views, line, downloader, monkeypatch, seen: Seen):
    """The loop has transfers to run: what is left after one message comes a moment later, and every one once."""
    monkeypatch.setattr(module, "CHANGED", 3)
    line.say({"verb": "subscribe"})
    tell_now(views)
    made = [downloader.create_download(f"http://127.0.0.1:9/{number}", f"{number}.bin") for number in range(8)]
    before = len(line.sent)
    seen.until(lambda: sum(len(each["operations"]) for each in line.sent[before:]) >= 8)
    told = [each["operations"] for each in line.sent[before:]]
    assert [len(each) for each in told if each] == [3, 3, 2]
    assert sorted(each["id"] for some in told for each in some) == sorted(each.guid.hex for each in made)


def test_a_page_without_the_lab_extension_hangs_up_and_another_finds_a_line(views, lines, group):
    """JupyterLab closes comms of targets that it does not know; saying it again would close it again."""
    lines[0].be_closed_by_a_page()
    assert [each.primary for each in lines] == [True, False]
    lines[1].say({"verb": "subscribe"})
    assert tell_now(views)[0]["type"] == "snapshot"


# ------------------------------------------------------------------------------------------------------ a real kernel


@pytest.mark.kernel
@subshells
def test_a_real_kernel_answers_while_a_cell_computes(fault_server, tmp_path):
    server = fault_server({"/a": FileSpec(size=50_000_000, rate=2_000_000)})
    with RealKernel(cwd=tmp_path, env={"BGDL_STATE_FILE": str(tmp_path / "state.sqlite3")}) as kernel:
        assert kernel.run("%load_ext bgdl_jupyter").error is None
        opened = kernel.wait_for(lambda each: each.content.get("target_name") == wire.TARGET, since=0)
        kernel.run(
            "import bgdl_jupyter\nbgdl_jupyter.default_downloader().max_connections_per_download = 1\n"
            f"operation = bgdl_jupyter.download({server.url('/a')!r})"
        )
        cell = kernel.start(
            "import time\nprint('busy')\nend = time.monotonic() + 4\nwhile time.monotonic() < end: pass"
        )
        kernel.wait_for_text("busy")
        route = kernel.request("list_subshell_request")["subshell_id"]
        assert opened.comm_id is not None
        kernel.send_comm(opened.comm_id, {"verb": "subscribe"}, subshell_id=route[0])
        snapshot = kernel.wait_for(lambda each: each.content.get("data", {}).get("type") == "snapshot").content["data"]
        assert_in_fixture(snapshot)
        assert snapshot["kernel"]["subshell"] in route
        (shown,) = snapshot["operations"]
        kernel.send_comm(opened.comm_id, {"verb": "pause", "operation_id": shown["id"]}, subshell_id=route[0])
        kernel.wait_for(lambda each: '"PAUSED_BY_APPLICATION"' in json.dumps(each.content), timeout=3)
        assert not any(
            each.content.get("execution_state") == "idle" and each.parent_id == cell for each in kernel.messages
        )
        kernel.finish(cell)
        assert kernel.run("print(operation.status.name)").text == "PAUSED_BY_APPLICATION"
