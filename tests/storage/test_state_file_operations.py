"""Operations are kept as they are given, found again, and have no twin."""

from __future__ import annotations

import math
import os
from uuid import UUID

import pytest

from bgdl_jupyter.storage.state_file import RowConflict
from tests.storage.kernel_process import DEADLINE, row
from tests.storage.state_files import done, inserted


def test_the_first_name_that_is_nobodys_is_reserved(state):
    inserted(state, row(1, destination_key="/a"), row(2, destination_key=None), row(3, destination_key=None))

    def choices(*keys):
        return lambda: iter([{"destination_key": key} for key in keys])

    ids = [row(n).operation_id for n in (2, 3)]
    chosen = state.update_first([(ids[0], 1, choices("/a", "/b")), (ids[1], 1, choices("/b", "/c"))])
    assert [each["destination_key"] for each in done(chosen)] == ["/b", "/c"]
    assert done(state.update_first([(ids[0], 2, choices("/d"))])) == [None]
    with pytest.raises(RowConflict):
        done(state.update_first([(ids[0], 1, choices("/a", "/c"))]))
    assert [each.destination_key for each in done(state.rows())] == ["/a", "/b", "/c"]


def test_what_this_kernel_has_can_be_left_out(state):
    inserted(state, row(1), row(2, status=7, is_final=True), row(3))
    done(state.release([row(3).operation_id]))
    ids = [each.operation_id for piece in state.stream(skips_ours=True) for each in piece]
    assert ids == [row(2).operation_id, row(3).operation_id]


def test_an_operation_comes_back_as_it_was(state, open_state):
    given = row(
        1,
        group="grüße",
        status=7,
        is_final=True,
        was_seen=True,
        final_at=1_700_000_001.5,
        batch="b1",
        record={"text": "ünï\ud800", "number": 1.5, "nothing": None, "list": [1, [2]]},
        resource={"length": 2**62},
        watermark={"finished": [[0, 5]]},
    )
    inserted(state, given)
    assert state.close(DEADLINE)
    (back,) = done(open_state().rows())
    assert (back.owner, back.epoch) == (None, 1)
    assert back == given


def test_names_that_are_not_utf_8_come_back(state):
    name = os.fsdecode(b"/n\xff.ipynb")
    inserted(state, row(1, application=name, group=name, destination_key=name))
    (back,) = done(state.rows(name, name))
    assert (back.application, back.group, back.destination_key) == (name, name, name)


def test_its_maker_is_the_owner(state):
    inserted(state, row(1, owner="somebody", epoch=9))
    (back,) = done(state.rows())
    assert (back.owner, back.epoch) == (state.kernel_id, 1)


def test_operations_come_in_their_order(state):
    inserted(state, row(1, position=3), row(2, position=1), row(3, position=2))
    assert [each.operation_id.int for each in done(state.rows())] == [2, 3, 1]
    assert [each.operation_id.int for each in done(state.rows(limit=2))] == [2, 3]


def test_operations_are_found_by_application_group_life_and_id(state):
    inserted(
        state,
        row(1, group="g"),
        row(2, application="/b.ipynb"),
        row(3, group="g", is_final=True, final_at=1.0),
    )

    def numbers(**criteria):
        return [each.operation_id.int for each in done(state.rows(**criteria))]

    assert numbers(application="/a.ipynb") == [1, 3]
    assert numbers(group="g", live_only=True) == [1]
    assert numbers(operation_ids=[UUID(int=2), UUID(int=99)]) == [2]
    assert numbers(operation_ids=[]) == []


def test_very_many_are_streamed_in_their_order(state, monkeypatch):
    monkeypatch.setattr("bgdl_jupyter.storage.state_file._ROWS_AT_ONCE", 7)
    inserted(state, *(row(number, position=number // 3) for number in range(1, 51)))
    parts = list(state.stream("/a.ipynb"))
    assert [len(part) for part in parts] == [7] * 7 + [1]
    assert [each.operation_id.int for part in parts for each in part] == list(range(1, 51))


def test_single_columns_can_be_read(state):
    inserted(state, row(1), row(2))
    assert done(state.column_values("operation_id", "position")) == [(UUID(int=1).bytes, 1), (UUID(int=2).bytes, 2)]
    with pytest.raises(ValueError, match="secrets"):
        state.column_values("secrets")


@pytest.mark.parametrize(
    ("other", "kind"),
    [
        (row(2, identity="identity-1"), "identity"),
        (row(2, destination_key="/data/1", application="/b.ipynb"), "destination"),
        (row(1, identity="x", destination_key="/x"), "operation"),
    ],
)
def test_a_twin_is_refused_and_named(state, other, kind):
    inserted(state, row(1, group="g"))
    with pytest.raises(RowConflict) as caught:
        inserted(state, other)
    conflict = caught.value
    assert (conflict.kind, conflict.operation_id.int) == (kind, 1)
    assert (conflict.application, conflict.group) == ("/a.ipynb", "g")


def test_one_refused_row_does_not_take_others_with_it(state):
    futures = state.insert([row(1), row(2, identity="identity-1"), row(3, record={"x": math.nan}), row(4)])
    assert [type(future.exception(DEADLINE)) for future in futures] == [type(None), RowConflict, ValueError, type(None)]
    assert [each.operation_id.int for each in done(state.rows())] == [1, 4]


def test_many_at_once_say_the_same_with_one_future(state):
    outcomes = done(state.insert_many([row(1), row(2, destination_key="/data/1")]))
    assert outcomes[0] is None
    assert isinstance(outcomes[1], RowConflict)


@pytest.mark.parametrize(
    "free",
    [
        row(2, identity="identity-1", application="/b.ipynb"),
        row(2, identity="identity-1", is_final=True),
        row(2, destination_key=None),
        row(2, destination_key="/data/1", is_final=True),
    ],
)
def test_what_is_no_twin_is_taken(state, free):
    inserted(state, row(1), free)


def test_an_operation_without_a_destination_is_no_twin_of_another_one(state):
    inserted(state, row(1, destination_key=None), row(2, destination_key=None))


def test_a_final_operation_gives_its_name_free_and_cannot_come_back_to_it(state):
    inserted(state, row(1))
    assert done(state.update(UUID(int=1), is_final=True, status=5, at_once=True))
    inserted(state, row(2, destination_key="/data/1"))
    with pytest.raises(RowConflict) as caught:
        done(state.update(UUID(int=1), is_final=False, at_once=True))
    assert (caught.value.kind, caught.value.operation_id.int) == ("destination", 2)


def test_positions_follow_those_that_are_in_use(state, open_state):
    first = state.next_position()
    assert state.next_position() == first + 1
    inserted(state, row(1, position=500))
    assert open_state().next_position() == 501


def test_operations_are_deleted_and_pruned(state):
    inserted(state, row(1), *(row(number, is_final=True, final_at=float(number)) for number in (10, 20, 30)))
    assert done(state.prune(20.0)) == 1
    assert done(state.delete([UUID(int=20), UUID(int=99)])) == 1
    assert [each.operation_id.int for each in done(state.rows())] == [1, 30]
