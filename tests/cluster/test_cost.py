from __future__ import annotations

import json
import random

import pytest

from bgdl_jupyter.cluster.cost import cost_of, main
from bgdl_jupyter.cluster.folder import Folder
from bgdl_jupyter.cluster.ledger import Ledger
from bgdl_jupyter.cluster.shards import Line, Shard
from bgdl_jupyter.cluster.tables import to_parquet
from tests.bench.results import RESULTS


def measured() -> list[dict[str, float]]:
    """Return the runs of `python -m tests.bench cluster_sizes`."""
    (table,) = json.loads((RESULTS / "cluster_sizes.json").read_text("utf-8"))["tables"]
    return [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]


@pytest.mark.parametrize("run", measured(), ids=lambda run: f"{run['files']:,}")
def test_the_model_says_what_was_measured(run):
    """Within a factor of two: the machine of the measurement had others to serve."""
    cost = cost_of(run["files"], workers=2, per_host=8, latency=0.0)
    assert cost.shards == run["shards"]
    processor = run["files"] * run["workers, ms a file"] / 1e3
    assert 0.5 < cost.fetching * 2 / processor < 2.0
    # A short manifest is taken in while the notebook still looks for the cluster.
    assert run["files"] < 10_000 or 0.5 < cost.taking_in / run["to take in, s"] < 2.0


def test_the_kernels_memory_was_flat_and_the_model_says_so():
    runs = measured()
    assert runs[-1]["kernel, MB"] / runs[0]["kernel, MB"] < 1.25
    assert cost_of(10**8, workers=100).client_memory < 10e6


def test_the_model_knows_what_a_line_and_its_result_take_in_the_ledger(tmp_path):
    draw = random.Random(1)
    names = [f"archive/{number // 1000}/{draw.getrandbits(64):016x}.bin" for number in range(2000)]
    requests = [{"uri": f"https://data.example/{name}", "destination": name} for name in names]
    lines = tuple(
        Line(number=number, host="data.example", size=0, request=request) for number, request in enumerate(requests)
    )
    Ledger(Folder(str(tmp_path))).put_shard(Shard(number=0, host="data.example", lines=lines))
    (stored,) = (tmp_path / "shards").iterdir()
    rows = [
        {**each, "line": number, "status": "COMPLETED", "seconds": draw.random()}
        for number, each in enumerate(requests)
    ]
    ledger_bytes = stored.stat().st_size + len(to_parquet(rows))
    assert 0.5 < cost_of(2000, workers=2).ledger_bytes / ledger_bytes < 2.0


def test_ten_times_the_files_are_no_more_messages_a_second():
    few, many = cost_of(10**7, workers=100), cost_of(10**8, workers=100)
    assert many.messages_to_scheduler <= few.messages_to_scheduler * 1.1
    assert many.state_file == few.state_file
    assert many.scheduler_share < 0.5


def test_more_workers_than_the_hosts_take_fetch_no_faster():
    assert cost_of(10**6, workers=1000, latency=1.0).fetching == cost_of(10**6, workers=100, latency=1.0).fetching


def test_the_command_prints_it(capsys):
    assert main(["--files", "1e6", "--workers", "50"]) == 0
    assert "1,000 of 1,000 files" in capsys.readouterr().out
