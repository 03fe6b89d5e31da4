"""The errors: a tree, a sentence and a hint each, nothing secret, and a form that outlives the kernel."""

from __future__ import annotations

import inspect
import json

import pytest

from bgdl_jupyter import errors
from bgdl_jupyter.errors import (
    TRANSFER_ERRORS,
    AttentionRequired,
    BackgroundTransferError,
    DestinationExists,
    DiskFull,
    HttpStatusError,
    InvalidRequest,
    NetworkFailed,
    StorageFailed,
    TransferCanceled,
    TransferFailed,
    TransferTimeout,
    error_from_record,
    error_to_record,
)
from bgdl_jupyter.web_error_status import WebErrorStatus

ALL = [
    each
    for _, each in inspect.getmembers(errors, inspect.isclass)
    if issubclass(each, BackgroundTransferError) and each.__module__ == errors.__name__
]


def drawn():
    """Return the names in the tree of the module's docstring, each with its parent."""
    parents: list[tuple[int, str]] = []
    found = {}
    for line in (errors.__doc__ or "").splitlines():
        if not line.strip(" │├└─").startswith(tuple(each.__name__ for each in ALL)):
            continue
        name = line.strip(" │├└─").split()[0]
        depth = line.index(name)
        parents = [(column, parent) for column, parent in parents if column < depth]
        found[name] = parents[-1][1] if parents else "Exception"
        parents.append((depth, name))
    return found


def test_the_drawn_tree_is_the_tree():
    assert drawn() == {each.__name__: each.__bases__[0].__name__ for each in ALL}


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_every_error_says_what_it_is(kind):
    assert inspect.getdoc(kind)
    assert inspect.getdoc(kind) != inspect.getdoc(kind.__bases__[0])


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_the_hint_follows_the_sentence(kind):
    error = kind("It failed.", hint="Try this.")
    assert str(error) == "It failed. Try this."
    assert error.message == "It failed."
    assert str(kind("It failed.", hint="")) == "It failed."


def test_a_class_has_its_own_hint():
    assert str(DestinationExists("a.txt exists.")).startswith("a.txt exists. Choose another name")


def test_what_an_error_knows_is_what_its_maker_says_or_else_its_class():
    plain = NetworkFailed("No.")
    assert (plain.web_error_status, plain.http_status, plain.operation) == (WebErrorStatus.CANNOT_CONNECT, None, None)
    special = HttpStatusError("No.", web_error_status=WebErrorStatus.GONE, http_status=410, operation="op")
    assert (special.web_error_status, special.http_status, special.operation) == (WebErrorStatus.GONE, 410, "op")
    assert HttpStatusError("No.").http_status is None, "an instance must not change its class"


def test_a_status_that_is_0_is_a_status_that_was_given():
    error = NetworkFailed("No.", web_error_status=WebErrorStatus.UNKNOWN)
    assert error.web_error_status is WebErrorStatus.UNKNOWN
    assert error.hresult is None


def test_bad_values_are_value_errors_too():
    with pytest.raises(ValueError, match="no host"):
        raise InvalidRequest("The URI has no host.")


def test_a_full_disk_is_a_failed_storage():
    assert issubclass(DiskFull, StorageFailed)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
def test_only_what_may_pass_by_itself_counts_as_transient(kind):
    assert getattr(kind, "is_transient", False) is (kind in {NetworkFailed, TransferTimeout})


@pytest.mark.parametrize("kind", TRANSFER_ERRORS.values(), ids=lambda kind: kind.__name__)
def test_the_error_of_a_final_operation_outlives_the_kernel(kind):
    error = kind("It failed.", web_error_status=WebErrorStatus.GONE, http_status=410, hint="Ask them.")
    restored = error_from_record(json.loads(json.dumps(error_to_record(error))))
    assert type(restored) is kind
    assert str(restored) == str(error)
    assert (restored.web_error_status, restored.http_status) == (WebErrorStatus.GONE, 410)


def test_every_way_a_transfer_fails_can_be_recorded():
    failures = {each for each in ALL if issubclass(each, TransferFailed)}
    assert failures <= set(TRANSFER_ERRORS.values())
    assert TransferCanceled in TRANSFER_ERRORS.values()


def test_an_error_of_a_later_version_is_still_a_failure():
    record = {**error_to_record(TransferFailed("It failed.")), "type": "QuantumLost"}
    assert type(error_from_record(record)) is TransferFailed


def test_a_record_names_no_class_but_those_of_the_table():
    """A state file must not choose what is made (TM13)."""
    record = {**error_to_record(TransferFailed("It failed.")), "type": AttentionRequired.__name__}
    assert type(error_from_record(record)) is TransferFailed


@pytest.mark.parametrize("number", [-1, 24, 99999])
def test_a_record_with_a_status_that_does_not_exist_is_refused(number):
    record = {**error_to_record(TransferFailed("It failed.")), "web_error_status": number}
    with pytest.raises(ValueError, match="WebErrorStatus"):
        error_from_record(record)
