"""What follows from what was observed: the decision table of costs, reachability, the machine's own reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bgdl_jupyter.conditions.values import (
    CostOverride,
    DiskConditions,
    NetworkConditions,
    NetworkCost,
    PowerConditions,
    may_reach,
    may_run,
    may_transfer,
)
from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.status import BackgroundTransferCostPolicy as CostPolicy
from bgdl_jupyter.uris import is_loopback

ALL = set(CostPolicy)


@pytest.mark.parametrize(
    ("cost", "allowed"),
    [
        (NetworkCost.UNKNOWN, ALL),
        (NetworkCost.UNRESTRICTED, ALL),
        (NetworkCost.METERED, {CostPolicy.DEFAULT, CostPolicy.ALWAYS}),
        (NetworkCost.APPROACHING_LIMIT, {CostPolicy.ALWAYS}),
        (NetworkCost.ROAMING, {CostPolicy.ALWAYS}),
        (NetworkCost.OVER_LIMIT, {CostPolicy.ALWAYS}),
    ],
)
def test_the_cost_allows(cost: NetworkCost, allowed: set[CostPolicy]):
    assert {policy for policy in CostPolicy if may_transfer(cost, policy).allowed} == allowed


@pytest.mark.parametrize("policy", CostPolicy)
def test_over_the_limit_with_background_data_restricted_nothing_runs(policy: CostPolicy):
    verdict = may_transfer(NetworkCost.OVER_LIMIT, policy, background_data_restricted=True)
    assert not verdict.allowed
    assert "data limit" in verdict.reason


@given(st.sampled_from(NetworkCost), st.sampled_from(CostPolicy), st.booleans())
def test_a_denial_always_has_a_reason(cost: NetworkCost, policy: CostPolicy, restricted: bool):
    verdict = may_transfer(cost, policy, background_data_restricted=restricted)
    assert verdict.allowed == (not verdict.reason)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST.", "x.localhost", "127.0.0.1", "127.9.9.9", "::1", "[::1]"])
def test_this_machine_is_reached_without_a_network(host: str):
    assert may_reach(NetworkConditions(is_up=False), host).allowed


@pytest.mark.parametrize("host", ["example.org", "localhost.example.org", "128.0.0.1", "::2", "notlocalhost"])
def test_others_are_not(host: str):
    assert not is_loopback(host)
    verdict = may_reach(NetworkConditions(is_up=False, reason="No interface has a route."), host)
    assert verdict.reason == "Waiting for the network. No interface has a route."


def test_a_mapped_loopback_address_is_this_machine():
    assert is_loopback("::ffff:127.0.0.1")


@pytest.mark.parametrize("is_up", [None, True])
def test_what_is_not_known_to_be_down_is_tried(is_up: bool | None):
    assert may_reach(NetworkConditions(is_up=is_up), "example.org").allowed


def test_what_cannot_be_observed_forbids_nothing():
    assert may_run(PowerConditions(), DiskConditions(folder=Path("/"))).allowed
    assert may_run(PowerConditions(), None).allowed


def test_the_machine_names_its_cause():
    disk = DiskConditions(folder=Path("/"), is_almost_full=True, reason="1 GB is free.")
    assert "disk space. 1 GB is free." in may_run(PowerConditions(), disk).reason
    assert "battery saver" in may_run(PowerConditions(on_battery_saver=True), None).reason


def test_the_users_word_about_the_cost_counts():
    seen = NetworkConditions(is_up=True, cost=NetworkCost.ROAMING, background_data_restricted=True)
    assert seen.overridden(CostOverride.AUTO) is seen
    assert seen.overridden(CostOverride.UNMETERED).cost is NetworkCost.UNRESTRICTED
    assert seen.overridden(CostOverride.METERED).cost is NetworkCost.METERED
    assert not seen.overridden(CostOverride.METERED).background_data_restricted


def test_a_word_that_is_none_is_refused_with_the_words_there_are():
    assert CostOverride.of(" Metered ") is CostOverride.METERED
    with pytest.raises(InvalidRequest, match="auto, metered, unmetered"):
        CostOverride.of("cheap")
