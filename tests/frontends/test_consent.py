"""The question whether downloads may run without limits, as a page sees it and where there is no page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.kernels import IPYKERNEL, RealKernel, routed, subshells
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.servers.fault_server import FaultServer

pytestmark = pytest.mark.kernel

ASK = (
    "result = await downloader.request_unconstrained_downloads(operations)\n"
    "print(result.is_unconstrained, result.reason)"
)


@pytest.fixture
def server(fault_server: Callable[..., FaultServer]) -> FaultServer:
    return fault_server({f"/{n}.bin": FileSpec(size=3_000_000) for n in range(3)})


@pytest.fixture
def kernel(tmp_path: Path, server: FaultServer) -> Iterator[RealKernel]:
    """Return a kernel with three downloads, one at a time and at a hundredth of what they could have."""
    state = {"BGDL_STATE_FILE": str(tmp_path / "state.sqlite3"), "JPY_SESSION_NAME": str(tmp_path / "demo.ipynb")}
    with RealKernel(cwd=tmp_path, env=state) as kernel:
        made = kernel.run(
            "%load_ext bgdl_jupyter\n"
            "from bgdl_jupyter import BackgroundDownloader\n"
            "downloader = BackgroundDownloader(max_parallel=1, max_rate=30_000)\n"
            f"site = {server.url('')!r}\n"
            "operations = [downloader.create_download(f'{site}/{n}.bin', f'{n}.bin') for n in range(3)]\n"
            "for each in operations: each.start()\n"
        )
        assert made.error is None
        yield kernel


def buttons(kernel: RealKernel) -> dict[str, str]:
    """Return the buttons of the question by their labels."""
    models = kernel.models()
    return {
        model["description"]: name
        for name, model in models.items()
        if model.get("_model_name") == "ButtonModel" and model.get("description") in ("Allow", "Deny")
    }


def answer(kernel: RealKernel, label: str) -> str:
    """Ask in a cell, click, and return what the cell printed."""
    cell = kernel.start(ASK)
    kernel.wait_for(lambda _: len(buttons(kernel)) == 2)
    kernel.click(buttons(kernel)[label])
    result = kernel.finish(cell)
    assert result.error is None
    return result.text


@routed
def test_allow_lifts_rate_and_number_at_once_also_of_what_runs(kernel, server):
    assert answer(kernel, "Allow").strip().endswith("True You allowed it.")
    done = kernel.run("print([(await each).status.name for each in operations])", timeout=30)
    assert done.text.strip() == "['COMPLETED', 'COMPLETED', 'COMPLETED']"


@routed
def test_deny_leaves_the_limits_as_they_are(kernel, server):
    assert answer(kernel, "Deny").strip().endswith("False You denied it.")
    limits = "print([each.is_unconstrained for each in operations], downloader.max_rate)"
    assert kernel.run(limits).text.strip() == "[False, False, False] 30000"


def test_a_run_without_a_person_is_denied_at_once_with_the_reason(kernel):
    cell = kernel.start(ASK, allow_stdin=False)
    assert "Nobody can be asked" in kernel.finish(cell, timeout=10).text


@subshells
def test_a_question_whose_asker_is_canceled_is_taken_back(kernel):
    cell = kernel.start(
        "import asyncio\n"
        "asking = asyncio.ensure_future(downloader.request_unconstrained_downloads(operations))\n"
        "asyncio.get_running_loop().call_later(0.5, asking.cancel)\n"
        "await asking"
    )
    assert "CancelledError" in str(kernel.finish(cell).error)
    assert kernel.run("print(operations[0].is_unconstrained)").text.strip() == "False"
    assert buttons(kernel) == {}


@pytest.mark.skipif(IPYKERNEL >= (7, 0), reason="this ipykernel hears a button while a cell runs")
def test_where_a_button_is_heard_too_late_the_answer_is_no_with_the_reason(kernel):
    answered = kernel.run(ASK, timeout=10).text
    assert answered.startswith("False")
    assert "upgrade to ipykernel 7" in answered
