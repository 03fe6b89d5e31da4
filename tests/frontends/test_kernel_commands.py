"""How a click gets to the downloads while the kernel computes."""

from __future__ import annotations

import pytest

from tests.frontends.kernel_cells import run
from tests.kernels import RealKernel, routed, subshells

pytestmark = pytest.mark.kernel

BUTTON = """
import ipywidgets
button = ipywidgets.Button(description="Pause")
clicked_on = []
button.on_click(lambda _: clicked_on.append(threading.current_thread().name))
button.description = "Pause it"  # what the main shell publishes is answered on the main shell, unless it is routed
print(button.comm.comm_id)
"""
UNTIL_CLICKED = """
print("busy")
end = time.monotonic() + {0}
while not clicked_on and time.monotonic() < end:
    sum(range(1000))
print(f"clicked on {{clicked_on}}")
"""


def click_in_a_busy_cell(kernel: RealKernel, comm_id: str, *, patience: float = 10, **how: str) -> str:
    kernel.messages.clear()
    cell = kernel.start(UNTIL_CLICKED.format(patience))
    kernel.wait_for_text("busy")
    kernel.click(comm_id, **how)
    return kernel.finish(cell).text


@routed
@pytest.mark.parametrize("by_lab", [False, True], ids=["a plain front end", "JupyterLab"])
def test_a_click_on_a_routed_button_is_heard_on_our_subshell_while_a_cell_computes(kernel, by_lab):
    """JupyterLab names a subshell of its own in the header, others name none."""
    comm_id = run(kernel, BUTTON + "kernel.route_commands_to(place, button)").text
    (ours,) = kernel.request("list_subshell_request")["subshell_id"]
    header = {"subshell_id": kernel.request("create_subshell_request")["subshell_id"]} if by_lab else {}

    heard = click_in_a_busy_cell(kernel, comm_id, **header)

    if by_lab:
        kernel.request("delete_subshell_request", header)
    assert f"clicked on ['subshell-{ours}']" in heard


@routed
def test_a_button_that_is_not_routed_waits_for_the_cell(kernel):
    """Without this the test above would say nothing."""
    comm_id = run(kernel, BUTTON).text

    assert "clicked on []" in click_in_a_busy_cell(kernel, comm_id, patience=0.5)


@routed
def test_with_a_thread_the_subshell_of_the_front_end_hears_the_click(kernel):
    comm_id = run(kernel, BUTTON + "t = kernel.provide_place('thread')\nkernel.route_commands_to(t, button)").text
    theirs = kernel.request("create_subshell_request")["subshell_id"]

    heard = click_in_a_busy_cell(kernel, comm_id, subshell_id=theirs)

    kernel.request("delete_subshell_request", {"subshell_id": theirs})
    run(kernel, "t.stop(5)")
    assert f"clicked on ['subshell-{theirs}']" in heard


@routed
def test_clicks_get_through_after_our_subshell_is_gone(kernel):
    comm_id = run(kernel, BUTTON + "kernel.route_commands_to(place, button)\nplace.stop(5)").text
    kernel.click(comm_id)

    assert "MainThread" in run(kernel, "print(clicked_on)").text


def test_routing_what_has_no_comm_changes_nothing(kernel):
    run(kernel, BUTTON + "button.close()\nkernel.route_commands_to(place, button)")


def test_the_control_channel_is_opened_to_comms_where_there_are_no_subshells(kernel):
    """On ipykernel 6 the lab extension has no other way into a busy kernel."""
    comm_id = run(kernel, BUTTON).text
    opened = run(
        kernel,
        """
        import ipykernel
        handlers = get_ipython().kernel.control_handlers
        had = dict(handlers)
        real, ipykernel.__version__ = ipykernel.__version__, "6.29.5"
        print(kernel.control_comms())
        ipykernel.__version__ = real
        """,
    ).text

    heard = click_in_a_busy_cell(kernel, comm_id, channel="control")

    run(kernel, "handlers.clear(); handlers.update(had)")
    assert opened == "True"
    assert "clicked on ['Control']" in heard


@subshells
def test_the_control_channel_is_left_alone_where_there_are_subshells(kernel):
    assert run(kernel, "print(kernel.control_comms())").text == "False"
