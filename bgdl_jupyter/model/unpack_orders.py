"""What is to be unpacked of an operation, and what an unpacking that nobody goes on with has left."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bgdl_jupyter.errors import PostProcessingFailed
from bgdl_jupyter.model.post_processing_plan import KEPT_AS, Plan
from bgdl_jupyter.status import CreationCollisionOption
from bgdl_jupyter.storage.archives.unpacking import Order, discard, private_folder, target_of
from bgdl_jupyter.storage.descriptor import Footprint

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.registry import Registry


def plan_of_operation(operation: DownloadOperation) -> Plan:
    """Return what is to follow an operation's file; raises `PostProcessingFailed` for what is no plan of ours."""
    try:
        return Plan.from_record(operation.options[KEPT_AS])
    except (KeyError, TypeError, ValueError) as error:
        raise PostProcessingFailed(f"What was to be done cannot be read: {error}") from error


def order_of_operation(
    operation: DownloadOperation, plan: Plan, *, replaces: frozenset[Footprint] = frozenset()
) -> Order:
    """Return what is to be unpacked; raises `PostProcessingFailed` where there is no file."""
    if operation.result_file is None:
        raise PostProcessingFailed("The file has no name.")
    return replace(_order(operation.result_file, plan, operation.collision, operation.guid), replaces=replaces)


def folders_to_replace(registry: Registry, operation: DownloadOperation) -> frozenset[Footprint]:
    """Return by what the folders are known that an application unpacked, where the operation may replace some."""
    if operation.collision is not CreationCollisionOption.REPLACE_EXISTING:
        return frozenset()
    known = (each.post_processing.footprint for each in registry.of_application(operation.application))
    return frozenset(Footprint(*each) for each in known if each is not None)


def _order(archive: Path, plan: Plan, collision: CreationCollisionOption, operation_id: UUID) -> Order:
    folder = Path(plan.folder) if plan.folder is not None else None
    return Order(archive=archive, folder=folder, collision=collision, operation_id=operation_id)


def discard_unpacking(operation: DownloadOperation) -> None:
    """Remove what an operation's unpacking left; blocks, and raises `StorageFailed` where the disk refuses."""
    plan = plan_of_operation(operation)
    if plan.unpacks:
        _discard(order_of_operation(operation, plan))


def discard_recorded_unpacking(record: Mapping[str, Any], operation_id: UUID) -> None:
    """Do the same for an operation of which only the record is there; one that cannot be read has left nothing."""
    try:
        plan = Plan.from_record(record["options"][KEPT_AS])
        archive = Path(record["result_file"])
    except (KeyError, TypeError, ValueError):
        return
    if plan.unpacks:
        _discard(_order(archive, plan, CreationCollisionOption.GENERATE_UNIQUE_NAME, operation_id))


def _discard(order: Order) -> None:
    discard(private_folder(target_of(order).parent, order.operation_id))
