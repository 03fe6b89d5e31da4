"""Which operations and groups there are in this process; everything here belongs to the engine's loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.engine.scheduler import GroupLimits
from bgdl_jupyter.model.far import FarGroup
from bgdl_jupyter.model.group import BackgroundTransferGroup
from bgdl_jupyter.model.host import host
from bgdl_jupyter.model.light import alike
from bgdl_jupyter.model.post_processed import STANDING, standing_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from uuid import UUID

    from bgdl_jupyter.model.operation import DownloadOperation
    from bgdl_jupyter.model.runner import Runner


# By which an operation is in a list of those that somebody asked for.
_LISTED: Final = STANDING | {"application", "group"}
_GROUPED: Final = frozenset({"application", "group"})


def _plain_group(runner: Runner, values: dict[str, Any]) -> BackgroundTransferGroup:
    return BackgroundTransferGroup(runner, **values)


def current_of(
    operations: Iterable[DownloadOperation], application: str | None, group: str | None
) -> list[DownloadOperation]:
    """Return those of an application and a group (None: of any) that are not final, or final and not seen yet."""
    found: list[DownloadOperation] = []
    for values, some in alike(operations, _LISTED):
        if application in (None, values["application"]) and group in (None, values["group"]):
            found += [each for each in some if not each.was_seen] if standing_of(values).is_final else some
    return found


class Registry:
    """The operations by their names, and the groups that they make."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        # By the number in their names: hashing a UUID costs more than the rest of a look, and there are many.
        self._operations: dict[int, DownloadOperation] = {}
        self._groups: dict[tuple[str, str], BackgroundTransferGroup] = {}
        # Nearly every request is that of one operation.
        self._by_identity: dict[str, DownloadOperation | list[DownloadOperation]] = {}

    def __len__(self) -> int:
        return len(self._operations)

    def find(self, operation_id: UUID) -> DownloadOperation | None:
        """Return the operation of this name."""
        return self._operations.get(operation_id.int)

    def find_all(self, operation_ids: Iterable[UUID]) -> list[DownloadOperation]:
        """Return the operations of these names that there are."""
        found = [self._operations.get(each.int) for each in operation_ids]
        return [each for each in found if each is not None]

    def all(self) -> list[DownloadOperation]:
        """Return all operations, in the order in which they came."""
        return list(self._operations.values())

    def add_all(self, operations: Iterable[DownloadOperation]) -> None:
        """Take operations in."""
        for values, some in alike(operations, _GROUPED):
            self._operations.update((each.values["guid"].int, each) for each in some)
            for each in some:
                self._identify(each)
            if values["group"]:
                self.group(values["application"], values["group"]).add_members(some)

    def remove(self, operation: DownloadOperation) -> None:
        """Let an operation go."""
        self._operations.pop(operation.guid.int, None)
        self._forget_identity(operation)
        if operation.group:
            self.group(operation.application, operation.group).remove_member(operation)

    def identify(self, operation: DownloadOperation, identity: str) -> None:
        """Have an operation fetch something else from now on."""
        self._forget_identity(operation)
        operation.identity = identity
        self._identify(operation)

    def _identify(self, operation: DownloadOperation) -> None:
        same = self._by_identity.setdefault(operation.identity, operation)
        if isinstance(same, list):
            same.append(operation)
        elif same is not operation:
            self._by_identity[operation.identity] = [same, operation]

    def _same(self, identity: str) -> list[DownloadOperation]:
        """Return the operations of a request, the oldest first."""
        same = self._by_identity.get(identity, [])
        return same if isinstance(same, list) else [same]

    def _forget_identity(self, operation: DownloadOperation) -> None:
        same = [each for each in self._same(operation.identity) if each is not operation]
        if same:
            self._by_identity[operation.identity] = same
        else:
            self._by_identity.pop(operation.identity, None)

    def group(self, application: str, name: str, record: Mapping[str, object] | None = None) -> BackgroundTransferGroup:
        """Return the group of this name, made if there is none."""
        key = application, name
        if key not in self._groups:
            values = {"name": name, "application": application, **(record or {})}
            is_far = "job" in values
            make = host().clusters.revive if is_far else _plain_group
            self._groups[key] = make(self._runner, values)
        return self._groups[key]

    def find_group(self, application: str, name: str) -> BackgroundTransferGroup | None:
        """Return the group of this name, None where there is none."""
        return self._groups.get((application, name))

    def far_groups(self) -> list[FarGroup]:
        """Return the groups whose files are fetched elsewhere."""
        return [each for each in self._groups.values() if isinstance(each, FarGroup)]

    def put_group(self, group: BackgroundTransferGroup) -> None:
        """Have this group under its name, in place of one that has nothing."""
        self._groups[group.application, group.name] = group

    def drop_group(self, application: str, name: str) -> None:
        """Let a group go."""
        self._groups.pop((application, name), None)

    def has_group(self, application: str, name: str) -> bool:
        """Whether the group of this name was made already."""
        return (application, name) in self._groups

    def groups(self, application: str) -> list[BackgroundTransferGroup]:
        """Return the groups of an application."""
        return [group for (owner, _), group in self._groups.items() if owner == application]

    def save_group(self, group: BackgroundTransferGroup) -> None:
        """Record the group's limits."""
        record = {name: getattr(group, name) for name in group.trait_names(persist=True)}
        self._runner.state.put_group(
            group.application, group.name, record | {"transfer_behavior": int(group.transfer_behavior)}
        )

    def group_limits(self) -> dict[str, GroupLimits]:
        """Return the limits of all groups that have some, by the key that candidates bear."""
        plain = GroupLimits()
        limits = ((f"{owner}\0{name}", group.limits) for (owner, name), group in self._groups.items())
        return {key: each for key, each in limits if each != plain}

    def finished_as(self, application: str, identity: str) -> list[DownloadOperation]:
        """Return the completed operations of the same request, the newest first."""
        if identity not in self._by_identity:  # as with nearly all
            return []
        finished = [each for each in self._same(identity) if each.values["status"].is_success]
        return [each for each in reversed(finished) if each.application == application]

    def live_twin(self, operation: DownloadOperation, identity: str) -> DownloadOperation | None:
        """Return another operation of the same application with this identity that is not final."""
        return self.live_as(operation.application, identity, but=operation)

    def live_as(
        self, application: str, identity: str, *, but: DownloadOperation | None = None
    ) -> DownloadOperation | None:
        """Return the operation of this request that is not final; from any thread."""
        if identity not in self._by_identity:  # as with nearly all
            return None
        same = (each for each in self._same(identity) if each is not but and each.application == application)
        return next((each for each in same if not each.status.is_final), None)

    def of_application(self, application: str) -> Iterable[DownloadOperation]:
        """Return the operations of an application."""
        return [each for each in self._operations.values() if each.application == application]
