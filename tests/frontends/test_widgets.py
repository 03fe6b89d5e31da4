"""The panel, its boxes and rows: in a real kernel as a page sees it, and in this process."""

from __future__ import annotations

import json
import re
import time
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.events import AlertKind, AlertRaised
from bgdl_jupyter.frontends.widgets import look as looks
from bgdl_jupyter.frontends.widgets.ids import model_id
from tests.kernels import RealKernel, subshells
from tests.servers.faults import chunked, hold_after, status
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.kernel

WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
HOSTILE = "<img src=x onerror=alert(1)></script>$\\href{javascript:alert(1)}{x}$\u202egpj.exe"
BUSY = "import time\nprint('busy')\nend = time.monotonic() + {seconds}\nwhile time.monotonic() < end: sum(range(500))"


class Notebook:
    """A kernel and what a page that shows its widgets would know."""

    def __init__(self, kernel: RealKernel) -> None:
        self.kernel = kernel

    def run(self, code: str) -> Any:
        result = self.kernel.run(code)
        assert result.error is None, result.error
        return result

    def show(self, expression: str) -> str:
        """Display something and return the id of its widget."""
        shown = [each for each in self.run(expression).outputs if WIDGET_VIEW in each.content.get("data", {})]
        return str(shown[-1].content["data"][WIDGET_VIEW]["model_id"])

    def children(self, widget_id: str) -> Iterator[dict[str, Any]]:
        """Yield the models below a widget, depth first, in the order in which they are shown."""
        models = self.kernel.models()
        for reference in models[widget_id].get("children", ()):
            child = reference.removeprefix("IPY_MODEL_")
            yield {"id": child, **models[child]}
            yield from self.children(child)

    def texts(self, widget_id: str) -> list[str]:
        return [each["value"] for each in self.children(widget_id) if each["_model_name"] == "HTMLModel"]

    def bars(self, widget_id: str) -> list[dict[str, Any]]:
        return [each for each in self.children(widget_id) if each["_model_name"] == "FloatProgressModel"]

    def bar_color(self, widget_id: str) -> str | None:
        """Return the color of the first bar, which hides that of its style; None where it has none of its own."""
        style = self.bars(widget_id)[0]["style"].removeprefix("IPY_MODEL_")
        color: str | None = self.kernel.models()[style].get("bar_color")
        return color

    def buttons(self, widget_id: str) -> dict[str, str]:
        """Return the buttons' ids by what they say to a pointer."""
        found = [each for each in self.children(widget_id) if each["_model_name"] == "ButtonModel"]
        return {each["tooltip"]: each["id"] for each in reversed(found)}

    def wait_until(self, is_so: Callable[[], bool], timeout: float = 15.0) -> None:
        """Wait until what a page knows fulfills a condition."""
        deadline = time.monotonic() + timeout
        while not is_so():
            left = deadline - time.monotonic()
            assert left > 0, "not in time"
            self.kernel.wait_for(lambda _: True, timeout=left)

    def says_within(self, seconds: float) -> int:
        """Return how many messages of widgets come within so many seconds."""
        first = len(self.kernel.messages)
        self.run(f"time.sleep({seconds})")
        return sum(each.type == "comm_msg" for each in self.kernel.messages[first:])

    def is_busy(self, cell: str) -> bool:
        """Whether the cell has not come to its end."""
        ends = [each for each in self.kernel.messages if each.parent_id == cell and each.type == "status"]
        return not any(each.content["execution_state"] == "idle" for each in ends)


@pytest.fixture
def env(tmp_path) -> dict[str, str]:
    return {"BGDL_STATE_FILE": str(tmp_path / "state.sqlite3"), "JPY_SESSION_NAME": str(tmp_path / "demo.ipynb")}


@pytest.fixture
def notebook(tmp_path: Path, env: dict[str, str]) -> Iterator[Notebook]:
    with RealKernel(cwd=tmp_path, env=env) as kernel:
        made = Notebook(kernel)
        made.run("%load_ext bgdl_jupyter")
        made.run("import bgdl_jupyter, time\nfrom bgdl_jupyter import default_downloader, download, download_many")
        # The servers are slow on each connection.
        made.run("default_downloader().max_connections_per_download = 1")
        yield made


SLOW = FileSpec(size=60_000_000, rate=2_000_000)


def test_the_panel_moves_while_a_cell_computes(notebook, fault_server):
    server = fault_server({"/a.bin": SLOW, "/b.bin": SLOW})
    notebook.run(f"group = download_many([{server.url('/a.bin')!r}, {server.url('/b.bin')!r}], group='climate')")
    panel = notebook.show("default_downloader()")
    cell = notebook.kernel.start(BUSY.format(seconds=4))
    notebook.kernel.wait_for_text("busy")
    before = notebook.bars(panel)
    assert len(before) == 3, "the group's, and one a row"

    def have_all_moved() -> bool:
        return all(now["value"] > then["value"] for then, now in zip(before, notebook.bars(panel), strict=True))

    notebook.wait_until(have_all_moved)
    assert notebook.is_busy(cell)
    assert any("climate" in text and "/s" in text for text in notebook.texts(panel))
    notebook.kernel.finish(cell)


@subshells
def test_pause_and_resume_act_while_a_cell_computes(notebook, fault_server):
    server = fault_server({"/a.bin": SLOW})
    notebook.run(f"operation = download({server.url('/a.bin')!r})")
    row = notebook.show("operation")
    cell = notebook.kernel.start(BUSY.format(seconds=5))
    notebook.kernel.wait_for_text("busy")
    notebook.wait_until(lambda: "Pause" in notebook.buttons(row))
    notebook.kernel.click(notebook.buttons(row)["Pause"])
    notebook.wait_until(lambda: "Resume" in notebook.buttons(row))
    assert "Pause" not in notebook.buttons(row)
    assert "paused" in notebook.texts(row)[0]
    notebook.kernel.click(notebook.buttons(row)["Resume"])
    notebook.wait_until(lambda: "Pause" in notebook.buttons(row))
    assert notebook.is_busy(cell)
    notebook.kernel.finish(cell)
    assert notebook.run("print(operation.status.name)").text == "RUNNING"


def test_a_groups_buttons_act_on_all_of_it(notebook, fault_server):
    server = fault_server({"/a.bin": SLOW, "/b.bin": SLOW, "/gone.bin": FileSpec(faults=(status(404, on=1),))})
    uris = [server.url(f"/{name}.bin") for name in ("a", "b", "gone")]
    notebook.run(f"group = download_many({uris!r}, group='climate')")
    box = notebook.show("group")
    notebook.wait_until(lambda: "Start again what failed" in notebook.buttons(box))
    notebook.kernel.click(notebook.buttons(box)["Start again what failed"])
    notebook.wait_until(lambda: "1 of 3 done" in notebook.texts(box)[0])
    notebook.kernel.click(notebook.buttons(box)["Pause all of this group"])
    notebook.wait_until(lambda: "2 paused" in notebook.texts(box)[0])
    notebook.kernel.click(notebook.buttons(box)["Cancel all of this group"])
    notebook.wait_until(lambda: "2 canceled" in notebook.texts(box)[0])
    assert notebook.run("print(group.progress.canceled)").text == "2"


def test_a_group_that_is_too_long_for_one_turn_is_paused_and_canceled_by_its_buttons(notebook, fault_server):
    server = fault_server({f"/{number}.bin": SLOW for number in range(3)})
    notebook.run("from bgdl_jupyter.frontends import verbs\nverbs._MANY = 1")
    notebook.run(f"group = download_many({[server.url(f'/{number}.bin') for number in range(3)]!r}, group='long')")
    box = notebook.show("group")
    notebook.kernel.click(notebook.buttons(box)["Pause all of this group"])
    notebook.wait_until(lambda: "3 paused" in notebook.texts(box)[0])
    notebook.kernel.click(notebook.buttons(box)["Cancel all of this group"])
    notebook.wait_until(lambda: "3 canceled" in notebook.texts(box)[0])


def test_hundreds_of_live_downloads_send_at_most_twenty_messages_a_second(notebook, fault_server):
    server = fault_server({f"/{number}.bin": FileSpec(size=20_000_000, rate=50_000) for number in range(300)})
    notebook.run(
        f"default_downloader().max_parallel = default_downloader().max_parallel_per_host = 300\n"
        f"site = {server.url('')!r}\n"
        "group = download_many([f'{site}/{number}.bin' for number in range(300)], group='many')"
    )
    box = notebook.show("group")
    notebook.show("default_downloader()")
    notebook.wait_until(lambda: "/s" in notebook.texts(box)[0])
    began, first = time.monotonic(), len(notebook.kernel.messages)
    notebook.run("time.sleep(10)")
    took = time.monotonic() - began
    sent = [each for each in notebook.kernel.messages[first:] if each.type.startswith("comm_")]
    assert len(sent) <= 20 * took
    assert len(sent) > 5 * took  # it is not that nothing was sent
    assert len(notebook.bars(box)) <= 21
    assert any("and 280 more" in text for text in notebook.texts(box))


def test_the_final_state_is_sent_and_then_nothing(notebook, fault_server):
    server = fault_server({f"/{number}.bin": FileSpec(size=1000, seed=number) for number in range(50)})
    uris = [server.url(f"/{number}.bin") for number in range(50)]
    notebook.run(f"group = download_many({uris!r}, group='small')")
    box = notebook.show("group")
    notebook.wait_until(lambda: "50 of 50 done" in notebook.texts(box)[0])
    notebook.wait_until(lambda: [bar["value"] for bar in notebook.bars(box)] == [1.0] * 21)
    assert notebook.bars(box)[0]["bar_style"] == "success"
    assert notebook.bar_color(box) is None  # or it would be seen in the place of green
    # What is left of the budget's debt is paid; then the kernel is silent.
    assert any(not notebook.says_within(1.0) for _ in range(10))


def test_hostile_names_are_shown_as_text(notebook, fault_server, tmp_path):
    server = fault_server({"/a.bin": FileSpec(size=200_000, faults=(hold_after(30_000, until="go"),))})
    name = HOSTILE.replace("/", "\N{FRACTION SLASH}")
    notebook.run(
        f"group = download_many([dict(uri={server.url('/a.bin')!r}, destination={name!r})], group={HOSTILE!r})"
    )
    panel = notebook.show("default_downloader()")
    notebook.run(
        "from bgdl_jupyter.model.process import current_runner\n"
        "from bgdl_jupyter.events import AlertKind, AlertRaised\n"
        f"alert = AlertRaised(alert_id='1', application=group.application, kind=AlertKind.FAILURE, title={HOSTILE!r}, "
        f"body={HOSTILE!r})\n"
        "current_runner().place.call(current_runner().publish, alert)"
    )
    notebook.wait_until(lambda: any("role=" in text for text in notebook.texts(panel)))
    texts = "".join(notebook.texts(panel))
    assert "&lt;img src=x onerror=alert(1)&gt;" in texts
    assert not re.search(r"<(img|script)", texts)
    assert "\u202e" not in texts
    # MathJax typesets descriptions and the values of some widgets, never these.
    kinds = {each["_model_name"] for each in notebook.children(panel)}
    assert kinds <= {"HTMLModel", "FloatProgressModel", "ButtonModel", "VBoxModel", "HBoxModel", "BoxModel"}
    assert all("$" not in each.get("description", "") for each in notebook.children(panel))
    server.events.set("go")


def test_a_failure_is_shown_and_written_into_no_cell(notebook, fault_server):
    server = fault_server({"/gone.bin": FileSpec(faults=(status(404),))})
    notebook.run(f"operation = download({server.url('/gone.bin')!r})")
    row = notebook.show("operation")
    notebook.wait_until(lambda: "404 Not Found" in notebook.texts(row)[0])
    notebook.run("time.sleep(0.5)")
    streams = [each for each in notebook.kernel.messages if each.type == "stream"]
    assert [each.text for each in streams if each.content["name"] == "stderr"] == []


def test_an_alert_is_a_note_that_can_be_put_away(notebook):
    panel = notebook.show("default_downloader()")
    assert any("No downloads" in text for text in notebook.texts(panel))
    notebook.run(
        "from bgdl_jupyter.model.application import present_application\n"
        "from bgdl_jupyter.model.process import current_runner\n"
        "from bgdl_jupyter.events import AlertKind, AlertRaised\n"
        "alert = AlertRaised(alert_id='1', application=present_application(), kind=AlertKind.SUCCESS, "
        "title='climate: 3 downloads finished', body='1.2 GB')\n"
        "current_runner().place.call(current_runner().publish, alert)"
    )
    notebook.wait_until(lambda: any("3 downloads finished" in text for text in notebook.texts(panel)))
    notebook.kernel.click(notebook.buttons(panel)["Dismiss"])
    notebook.wait_until(lambda: not any("3 downloads finished" in text for text in notebook.texts(panel)))


def test_what_has_no_size_moves_and_shows_no_part(notebook, fault_server):
    spec = FileSpec(size=60_000_000, rate=1_000_000, faults=(chunked(65_536),))
    server = fault_server({"/stream.json": spec})
    notebook.run(f"operation = download({server.url('/stream.json')!r})")
    row = notebook.show("operation")
    notebook.wait_until(lambda: any("size unknown" in text for text in notebook.texts(row)))
    assert notebook.bars(row) == []
    notebook.kernel.click(notebook.buttons(row)["Pause"])
    notebook.wait_until(lambda: "Resume" in notebook.buttons(row))
    assert [bar["value"] for bar in notebook.bars(row)] == [0.0]


def test_whoever_has_no_kernel_sees_a_table_and_whoever_has_no_page_a_text(notebook, fault_server):
    server = fault_server({"/a.bin": FileSpec(size=1000)})
    notebook.run(
        f"group = download_many([{server.url('/a.bin') + '?token=hunter2'!r}], group='climate')\ngroup.wait(20)"
    )
    data = notebook.run("group").outputs[-2].content["data"]
    assert data.keys() == {"text/plain", "text/html", WIDGET_VIEW}
    assert "climate: 1 of 1 done" in data["text/plain"]
    assert "<td>a.bin</td>" in data["text/html"]
    everything = json.dumps([data, notebook.kernel.models()])
    assert "hunter2" not in everything


def test_one_widget_however_often_it_is_shown(notebook, fault_server):
    server = fault_server({"/a.bin": FileSpec(size=1000)})
    notebook.run(f"group = download_many([{server.url('/a.bin')!r}], group='climate')")
    first = notebook.show("group")
    count = len(notebook.kernel.models())
    assert notebook.show("group") == first
    assert len(notebook.kernel.models()) == count
    panel = notebook.show("default_downloader()")
    assert first in {each["id"] for each in notebook.children(panel)}


def test_the_next_kernel_makes_the_same_widgets_again(notebook, fault_server, env, tmp_path):
    """What a saved notebook refers to is there again as soon as the extension is loaded."""
    server = fault_server({"/a.bin": SLOW, "/b.bin": SLOW})
    notebook.run(f"group = download_many([{server.url('/a.bin')!r}], group='climate')")
    notebook.run(f"operation = download({server.url('/b.bin')!r})")
    saved = {notebook.show("default_downloader()"), notebook.show("group"), notebook.show("operation")}
    notebook.kernel.sigkill()
    notebook.kernel.restart(now=True)
    loaded = notebook.run("%load_ext bgdl_jupyter")
    assert loaded.text.splitlines()[0] == "bgdl_jupyter: 2 downloads restored, 2 running"
    shown = [
        each.content["data"][WIDGET_VIEW] for each in loaded.outputs if WIDGET_VIEW in each.content.get("data", {})
    ]
    assert len(shown) == 1
    assert saved <= notebook.kernel.models().keys()
    (panel,) = [each for each in saved if each.endswith("-panel")]
    assert shown[0]["model_id"] == panel
    first = [bar["value"] for bar in notebook.bars(panel)]
    notebook.wait_until(lambda: [bar["value"] for bar in notebook.bars(panel)] > first)


def test_a_cleared_download_leaves_no_widget(notebook, fault_server):
    server = fault_server({"/a.bin": FileSpec(size=1000)})
    notebook.run(f"operation = download({server.url('/a.bin')!r}).wait(20)")
    row, panel = notebook.show("operation"), notebook.show("default_downloader()")
    notebook.kernel.click(notebook.buttons(panel)["Forget what is over; the files stay"])
    notebook.wait_until(lambda: row not in notebook.kernel.models())
    notebook.wait_until(lambda: not any(each["id"].endswith("-box") for each in notebook.children(panel)))


# ---------------------------------------------------------------------------------------------------------- in parts


def test_names_of_widgets_are_the_same_in_every_kernel_and_tell_nothing():
    name = model_id("/data/ada/climate.ipynb", "ice", "box")
    assert re.fullmatch(r"bgdl-[0-9a-f]{12}-[0-9a-f]{12}-box", name)
    assert model_id("/data/ada/other.ipynb", "ice", "box") != name != model_id("/data/ada/climate.ipynb", "ace", "box")


def test_the_plot_has_its_place_before_there_is_anything_to_draw():
    width = "width:44px"
    assert width in looks.plot(())
    assert width in looks.plot((5,))
    drawn = looks.plot((0, 10, 5))
    assert width in drawn
    assert "0.0,16.0 22.0,1.0 44.0,8.5" in drawn


def test_a_note_is_said_by_screen_readers_and_escapes_what_it_says():
    alert = AlertRaised(alert_id="1", application="/a", kind=AlertKind.WARNING, title="<b>", body="&")
    note = looks.note_html(alert.kind.value, alert.title, alert.body, while_away=True)
    assert 'role="status"' in note
    assert "&lt;b&gt;" in note
    assert "while you were away" in note
