from __future__ import annotations

import pickle

import pytest

from bgdl_jupyter.cluster.references import Sealed, check_references, looked_up
from bgdl_jupyter.cluster.ticket import Ticket
from bgdl_jupyter.errors import InvalidRequest

PASSWORD = "correct horse battery"


def test_a_reference_is_looked_up_where_it_says(tmp_path, monkeypatch):
    monkeypatch.setenv("DATA_TOKEN", PASSWORD)
    (tmp_path / "token").write_text(f"{PASSWORD}\n")
    found = looked_up({"header Authorization": "Bearer {env:DATA_TOKEN}", "password": f"{{file:{tmp_path}/token}}"})
    assert found["header Authorization"].reveal() == f"Bearer {PASSWORD}"
    assert found["password"].reveal() == PASSWORD
    assert PASSWORD not in repr(found)


def test_a_reference_to_nothing_names_the_place():
    with pytest.raises(InvalidRequest, match=r"\{env:NOT_THERE\}"):
        looked_up({"password": "{env:NOT_THERE}"})


@pytest.mark.parametrize(
    "given",
    [
        {"header Authorization": PASSWORD},
        {"token": "{env:TOKEN}"},
        {"user": "{env:NAME}"},
        {"header Bad Name": "{env:TOKEN}"},
    ],
)
def test_a_secret_itself_is_no_reference(given):
    with pytest.raises(InvalidRequest) as refused:
        check_references(given)
    assert PASSWORD not in str(refused.value)


def test_what_goes_to_a_worker_shows_no_secret():
    """Dask writes the arguments of a task that failed into the log of its worker."""
    sealed = Sealed({"password": PASSWORD})
    ticket = Ticket(job_id="j", shard=0, round=1, ledger="/l", directory="/d", connections=1, beat=1.0, sealed=sealed)
    assert PASSWORD not in repr(ticket)
    assert PASSWORD not in str(sealed)
    assert pickle.loads(pickle.dumps(ticket)).sealed.secrets()["password"].reveal() == PASSWORD  # noqa: S301 (our own)
