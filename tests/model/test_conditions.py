"""What the network, its cost, the battery and the disk do to downloads that run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from bgdl_jupyter.conditions.fake import FakeConditions
from bgdl_jupyter.conditions.values import DiskConditions, NetworkConditions, NetworkCost, PowerConditions
from bgdl_jupyter.errors import InvalidRequest, NetworkFailed
from bgdl_jupyter.model.conditions_watch import denial
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.process import current_runner
from bgdl_jupyter.status import BackgroundTransferCostPolicy as CostPolicy
from bgdl_jupyter.status import BackgroundTransferStatus as Status
from bgdl_jupyter.status import Step
from tests.servers.addresses import closed_port
from tests.servers.faults import hold_after
from tests.servers.files import FileSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from bgdl_jupyter.model.downloader import BackgroundDownloader
    from bgdl_jupyter.model.operation import DownloadOperation
    from tests.downloads import Seen
    from tests.servers.fault_server import FaultServer

DOWN = NetworkConditions(is_up=False, reason="The cable is out.")
UP = NetworkConditions(is_up=True)
METERED = NetworkConditions(is_up=True, cost=NetworkCost.METERED)
ROAMING = NetworkConditions(is_up=True, cost=NetworkCost.ROAMING)
SAVING = PowerConditions(on_battery_saver=True, reason="The battery is at 9 %.")
AWAKE = PowerConditions(on_battery_saver=False)
SIZE = 300_000


@pytest.fixture
def server(fault_server: Callable[..., FaultServer]) -> FaultServer:
    """Serve a file that stops half-way until the test lets it go on."""
    held = FileSpec(size=SIZE, faults=(hold_after(SIZE // 2, until="go", on=1),))
    return fault_server({"/a": held, "/held": held, "/small": FileSpec(size=10)})


def status_of(operation: DownloadOperation) -> Status:
    """Return the status as it is now."""
    status: Status = operation.status
    return status


def everything(**changes: Any) -> Step | None:
    """Return the step that denies an operation under ordinary conditions, but for the changes."""
    conditions: dict[str, Any] = {
        "network": UP,
        "power": AWAKE,
        "disk": None,
        "to_host": "example.org",
        "policy": CostPolicy.DEFAULT,
    }
    denied = denial(**{**conditions, **changes})
    return denied.step if denied is not None else None


def test_nothing_is_denied_under_ordinary_conditions():
    assert everything() is None


def test_what_is_not_known_denies_nothing():
    assert everything(network=NetworkConditions(), power=PowerConditions()) is None


def test_a_missing_network_comes_before_its_cost_and_the_machine():
    assert everything(network=DOWN, policy=CostPolicy.UNRESTRICTED_ONLY, power=SAVING) is Step.NETWORK_LOST


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "127.3.2.1", "::1"])
def test_this_machine_is_reached_without_a_network(name):
    assert everything(network=DOWN, to_host=name) is None


@pytest.mark.parametrize(
    ("cost", "denied"),
    [
        (NetworkCost.UNKNOWN, []),
        (NetworkCost.UNRESTRICTED, []),
        (NetworkCost.METERED, [CostPolicy.UNRESTRICTED_ONLY]),
        (NetworkCost.APPROACHING_LIMIT, [CostPolicy.DEFAULT, CostPolicy.UNRESTRICTED_ONLY]),
        (NetworkCost.ROAMING, [CostPolicy.DEFAULT, CostPolicy.UNRESTRICTED_ONLY]),
        (NetworkCost.OVER_LIMIT, [CostPolicy.DEFAULT, CostPolicy.UNRESTRICTED_ONLY]),
    ],
)
def test_a_cost_denies_the_policies_of_the_table(cost, denied):
    network = NetworkConditions(is_up=True, cost=cost)
    assert [each for each in CostPolicy if everything(network=network, policy=each) is Step.COST_DENIED] == denied


def test_consent_lifts_what_the_machine_denies_and_not_what_a_network_costs():
    assert everything(power=SAVING) is Step.POLICY_DENIED
    assert everything(power=SAVING, is_unconstrained=True) is None
    assert everything(network=ROAMING, is_unconstrained=True) is Step.COST_DENIED


def half_way(operation: DownloadOperation, seen: Seen) -> None:
    operation.start()
    seen.until(lambda: operation.bytes_received > 0)


async def test_a_lost_network_pauses_and_its_return_lets_go_on_from_the_bytes_that_are_there(
    downloader, seen, server, machine, monkeypatch
):
    monkeypatch.setattr("bgdl_jupyter.model.conditions_watch.host_of", lambda _: "files.test")
    operation = downloader.create_download(server.url("/a"), "a")
    half_way(operation, seen)
    machine.change(network=DOWN)
    assert status_of(operation) is Status.PAUSED_NO_NETWORK
    assert "The cable is out." in operation.status_reason
    seen.until(lambda: current_runner().is_settled(operation))
    machine.change(network=UP)
    assert status_of(operation) is Status.RUNNING
    server.events.set("go")
    await operation
    assert server.requests("/a")[1].header("Range") is not None


async def test_a_download_that_is_started_without_a_network_waits_for_it(
    downloader, seen, server, machine, monkeypatch
):
    monkeypatch.setattr("bgdl_jupyter.model.conditions_watch.host_of", lambda _: "files.test")
    server.events.set("go")
    machine.change(network=DOWN)
    operation = downloader.create_download(server.url("/a"), "a")
    operation.start()
    assert status_of(operation) is Status.PAUSED_NO_NETWORK
    assert server.requests() == []
    machine.change(network=UP)
    await operation


async def test_loopback_is_reached_without_a_network(downloader, server, machine):
    server.events.set("go")
    machine.change(network=DOWN)
    assert status_of(await downloader.download(server.url("/a"), "a")) is Status.COMPLETED


async def test_what_a_network_costs_pauses_by_the_policy_of_each(downloader, seen, server, machine):
    server.put("/b", FileSpec(size=SIZE, faults=(hold_after(SIZE // 2, until="go", on=1),)))
    thrifty = downloader.create_download(server.url("/a"), "a", cost_policy=CostPolicy.UNRESTRICTED_ONLY)
    plain = downloader.create_download(server.url("/b"), "b")
    half_way(thrifty, seen)
    half_way(plain, seen)
    machine.change(network=METERED)
    assert status_of(thrifty) is Status.PAUSED_COSTED_NETWORK
    assert status_of(plain) is Status.RUNNING
    machine.change(network=UP)
    assert status_of(thrifty) is Status.RUNNING
    server.events.set("go")
    await thrifty
    await plain


async def test_a_pause_for_the_cost_ends_with_another_policy(downloader, seen, server, machine):
    server.events.set("go")
    machine.change(network=ROAMING)
    operation = downloader.create_download(server.url("/a"), "a")
    operation.start()
    assert status_of(operation) is Status.PAUSED_COSTED_NETWORK
    operation.cost_policy = CostPolicy.ALWAYS
    await operation


async def test_a_pause_follows_its_cause(downloader, seen, server, machine, monkeypatch):
    """A network that comes back at a price that is not allowed leaves the operation paused, for the cost."""
    monkeypatch.setattr("bgdl_jupyter.model.conditions_watch.host_of", lambda _: "files.test")
    machine.change(network=DOWN)
    operation = downloader.create_download(server.url("/a"), "a")
    operation.start()
    machine.change(network=ROAMING)
    assert status_of(operation) is Status.PAUSED_COSTED_NETWORK
    assert server.requests() == []


async def test_the_battery_saver_and_a_full_disk_pause_and_name_themselves(downloader, seen, server, machine, work):
    server.events.set("go")
    machine.change(power=SAVING)
    operation = downloader.create_download(server.url("/a"), "a")
    operation.start()
    assert status_of(operation) is Status.PAUSED_SYSTEM_POLICY
    assert "battery" in operation.status_reason
    full = DiskConditions(folder=work, is_almost_full=True, reason="1 MB is free.")
    machine.change(disk=full)
    machine.change(power=AWAKE)
    assert status_of(operation) is Status.PAUSED_SYSTEM_POLICY
    machine.change(disk=DiskConditions(folder=work, is_almost_full=False))
    await operation


async def test_folders_that_nothing_is_fetched_into_are_not_watched_for_ever(downloader, server, machine, work):
    held = downloader.create_download(server.url("/held"), "held/a")
    held.start()
    for number in range(80):
        await downloader.create_download(server.url("/small"), f"{number}/a")
    assert len(machine.monitors[-1].watched) <= 66
    assert work / "held" in machine.monitors[-1].watched
    server.events.set("go")
    await held


async def test_a_user_may_go_on_although_the_policy_denies(downloader, seen, server, machine):
    server.events.set("go")
    machine.change(power=SAVING, network=ROAMING)
    operation = downloader.create_download(server.url("/a"), "a")
    operation.start()
    assert Step.OVERRIDE in operation.allowed_steps
    await operation.resume(override_policy=True)
    assert status_of(operation) is Status.COMPLETED


async def test_a_pause_by_the_user_stays_when_the_conditions_change(downloader, seen, server, machine):
    operation = downloader.create_download(server.url("/a"), "a")
    half_way(operation, seen)
    await operation.pause()
    machine.change(power=SAVING)
    machine.change(power=AWAKE)
    assert status_of(operation) is Status.PAUSED_BY_APPLICATION


async def test_a_request_that_must_not_be_sent_twice_runs_on_when_the_cost_changes(downloader, seen, server, machine):
    server.events.set("go")
    server.put("/p", FileSpec(size=SIZE, faults=(hold_after(SIZE // 2, until="end"),)))
    operation = downloader.create_download(server.url("/p"), "p", method="POST")
    half_way(operation, seen)
    machine.change(network=ROAMING, power=SAVING)
    assert status_of(operation) is Status.RUNNING
    server.events.set("end")
    await operation
    assert len(server.requests("/p")) == 1


async def test_a_failure_without_a_network_spends_no_attempt(new_downloader, machine, monkeypatch):
    """The first to notice is the transfer whose connection fails: it makes the machine look, and is not blamed."""
    downloader = new_downloader(max_retries=1)
    runner = current_runner()
    runner.transfers.draw = lambda: 0.0
    asked: list[str] = []

    async def no_network(name: str) -> bool:
        asked.append(name)
        return len(asked) > 4

    runner.facilities.is_reachable = no_network
    monkeypatch.setattr("bgdl_jupyter.engine.retry._SHORTAGE_DELAY", 0.0)
    with closed_port() as port, pytest.raises(NetworkFailed):
        await downloader.create_download(f"http://127.0.0.1:{port}/a", "a").start()
    assert len(asked) == 6  # four without a network, the first that counts, and its one retry


async def test_a_failure_makes_the_machine_look_once_for_all_that_fail(downloader, machine):
    runner = current_runner()
    machine.change(network=DOWN)

    async def ask() -> list[bool]:
        return list(await asyncio.gather(*(runner.conditions.is_reachable("files.test") for _ in range(50))))

    answers = asyncio.run_coroutine_threadsafe(ask(), runner.place.loop).result(5)
    assert answers == [False] * 50
    assert machine.monitors[-1].looks == 1


async def test_the_users_word_about_the_cost_counts_and_survives_a_restart(downloader, seen, server, restart):
    server.events.set("go")
    downloader.override_network_cost("metered")
    assert downloader.network_conditions.cost is NetworkCost.METERED
    operation = downloader.create_download(server.url("/a"), "a", cost_policy=CostPolicy.UNRESTRICTED_ONLY)
    operation.start()
    assert status_of(operation) is Status.PAUSED_COSTED_NETWORK
    later = restart()
    (restored,) = later.get_current_downloads()
    assert status_of(restored) is Status.PAUSED_COSTED_NETWORK
    later.override_network_cost("unmetered")
    await restored.attach()
    assert later.network_conditions.cost is NetworkCost.UNRESTRICTED


def test_a_word_that_says_nothing_about_the_cost_is_refused(downloader):
    with pytest.raises(InvalidRequest, match="metered"):
        downloader.override_network_cost("cheap")


async def test_what_waited_for_the_network_goes_on_in_the_next_kernel(
    downloader, server, machine, restart, monkeypatch
):
    monkeypatch.setattr("bgdl_jupyter.model.conditions_watch.host_of", lambda _: "files.test")
    server.events.set("go")
    machine.change(network=DOWN)
    downloader.download(server.url("/a"), "a")
    later: BackgroundDownloader = restart()
    (restored,) = later.get_current_downloads()
    assert status_of(restored) is Status.PAUSED_NO_NETWORK
    machine.change(network=UP)
    await restored


async def test_nothing_is_watched_by_a_process_that_only_looks(downloader, machine):
    assert downloader.get_current_downloads() == []
    assert machine.monitors == []


async def test_a_policy_that_needs_an_unrestricted_network_waits_for_the_first_look(
    new_downloader, server, monkeypatch
):
    """No byte may go over a network whose cost is not known yet."""

    class Slow(FakeConditions):
        async def start(self) -> None:
            await looked.wait()

    looked = asyncio.Event()
    monkeypatch.setattr(host(), "conditions_factory", Slow)
    server.events.set("go")
    downloader = new_downloader()
    operation = downloader.download(server.url("/a"), "a", cost_policy=CostPolicy.UNRESTRICTED_ONLY)
    assert status_of(operation) is Status.PAUSED_COSTED_NETWORK
    current_runner().place.call(looked.set)
    await operation
