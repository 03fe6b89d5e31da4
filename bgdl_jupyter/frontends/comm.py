"""
The conversation with the lab extension: one comm of target `bgdl_jupyter` for this kernel, as `wire` has it.

The kernel opens the comm. Who has subscribed is sent a snapshot in parts, then what changed and what was removed, with
the ticks of all views. Commands are ids and verbs; whatever else comes in is refused and counted.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from comm import create_comm, get_comm_manager

from bgdl_jupyter.events import AlertDismissed
from bgdl_jupyter.frontends import wire
from bgdl_jupyter.frontends.kernel import route_commands_to
from bgdl_jupyter.frontends.server import kernel_id, server_root
from bgdl_jupyter.frontends.verbs import perform
from bgdl_jupyter.model.downloader import default_downloader
from bgdl_jupyter.status import NotificationSetting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from bgdl_jupyter.events import AlertRaised
    from bgdl_jupyter.frontends.ledger import Changes
    from bgdl_jupyter.frontends.tally import Entry, GroupKey
    from bgdl_jupyter.frontends.views import Views
    from bgdl_jupyter.frontends.wire import Command

log = logging.getLogger(__name__)

#: Operations in one message: of a snapshot, and of what changed, which the loop makes while transfers run.
PART: Final = 1000
CHANGED: Final = 200
#: The most operations that the lab extension is told of: those that came last.
_MOST: Final = 20_000
#: Commands that are taken: so many at once, so many a second.
_BURST: Final = 60.0
_RATE: Final = 20.0


class LabComm:
    """
    The kernel's side of the comm; belongs to the engine's loop.

    Attributes
    ----------
    refused:
        How many messages came in that were no commands, or too many.
    """

    #: One message tells of everything: none is better spent.
    weight = 40.0

    def __init__(self, views: Views) -> None:
        self.refused = 0
        self._views = views
        self._application = views.application_of(default_downloader())
        self._root = server_root()
        self._is_subscribed = self._wants_snapshot = False
        self._operations: dict[UUID, Entry] = {}
        self._groups: set[str] = set()
        self._alerts: dict[str, AlertRaised] = {}
        self._gone: tuple[set[UUID], set[str], set[str]] = (set(), set(), set())
        self._allowance, self._counted_at = _BURST, time.monotonic()
        self._comm: Any = None

    # ------------------------------------------------------------------------------------------------------ the line

    def _new_comm(self, *, is_opened_by_us: bool) -> Any:
        comm = create_comm(target_name=wire.TARGET, primary=is_opened_by_us)
        get_comm_manager().register_comm(comm)
        comm.on_msg(self._on_message)
        comm.on_close(lambda _: self._views.place.post(self._on_close))
        route_commands_to(self._views.place, comm)
        return comm

    def open(self) -> None:
        """Let the lab extension know that the extension is loaded; once it does, nothing."""
        if self._comm is None:
            self._comm = self._new_comm(is_opened_by_us=True)

    def close(self) -> None:
        """Say good-bye: the extension is unloaded."""
        self._is_subscribed = False
        if self._comm is not None:
            self._comm.on_close(None)
            self._comm.close()
            self._comm = None

    def _on_close(self) -> None:
        # A page without the lab extension closes what it does not know. Another page may have it, so a line stays where
        # the extension looks for one; nothing is said about it, or the first page would close it again.
        self._is_subscribed = False
        self._comm = self._new_comm(is_opened_by_us=False)

    def _on_message(self, message: Mapping[str, Any]) -> None:
        """Hand over what came in, on whatever thread the kernel hears it."""
        content = message.get("content", {})
        self._views.place.post(self._receive, content.get("data"), bool(message.get("buffers")))

    def _say(self, message: dict[str, Any]) -> int:
        self._comm.send(message)
        return 1

    # -------------------------------------------------------------------------------------------------- what is said

    def take(self, changes: Changes, alerts: tuple[list[AlertRaised], set[str]]) -> None:
        """Remember what changed, for the next message."""
        if not self._is_subscribed:
            return
        operations, groups, notes = self._gone
        for operation_id, key in changes.removed.items():
            if key[0] == self._application:
                self._operations.pop(operation_id, None)
                operations.add(operation_id)
        for operation_id, entry in changes.operations.items():
            if entry.key[0] == self._application:
                operations.discard(operation_id)
                self._operations[operation_id] = entry
        for key in changes.groups:
            self._take_group(key, groups)
        raised, removed = alerts
        self._alerts |= {each.alert_id: each for each in raised if each.application == self._application}
        notes |= removed
        if self._operations or self._groups or self._alerts or any(self._gone):
            self._views.ticker.wake(self, is_urgent=bool(raised))

    def _take_group(self, key: GroupKey, gone: set[str]) -> None:
        application, name = key
        if application != self._application:
            return
        is_there = len(self._views.ledger.group(key)) > 0
        (self._groups if is_there else gone).add(name)
        (gone if is_there else self._groups).discard(name)

    def pulse(self) -> int:
        """Say the totals again, to whom it may concern: also where no page listens, the server has to see us alive."""
        return 0 if self._comm is None else self._say(self._changed((), (), ()))

    def send(self) -> int:
        """Say what there is to say."""
        if not self._is_subscribed:
            return 0
        if self._wants_snapshot:
            return self._send_snapshot()
        return self._send_removed() + self._send_changed()

    def _send_snapshot(self) -> int:
        self._wants_snapshot = False
        self._forget_changes()
        keys = self._groups_shown()
        entries = [entry for key in keys for entry in self._views.ledger.group(key) if not entry.is_old]
        entries = sorted(entries, key=lambda entry: entry.number)[-_MOST:]
        parts = [entries[start : start + PART] for start in range(0, len(entries), PART)] or [[]]
        for number, part in enumerate(parts, 1):
            is_last = number == len(parts)
            self._say(self._snapshot(part, keys if number == 1 else (), number, len(parts), with_alerts=is_last))
        return len(parts)

    def _snapshot(
        self, entries: Sequence[Entry], keys: Iterable[GroupKey], part: int, parts: int, *, with_alerts: bool
    ) -> dict[str, Any]:
        alerts = self._views.alerts.of(self._application) if with_alerts else ()
        changed = self._changed(entries, [name for _, name in keys], alerts)
        return changed | {
            "type": "snapshot",
            "version": wire.VERSION,
            "application": self._application,
            "kernel": self._kernel(),
            "part": part,
            "parts": parts,
            "settings": {"toasts": _wants_toasts()},
        }

    def _kernel(self) -> dict[str, Any]:
        place = self._views.place
        return {"id": kernel_id(), "loop": place.kind, "subshell": getattr(place, "subshell_id", None)}

    def _send_changed(self) -> int:
        if not (self._operations or self._groups or self._alerts):
            return 0
        part = list(itertools.islice(self._operations.items(), CHANGED))
        groups, alerts = sorted(self._groups), list(self._alerts.values())
        for operation_id, _ in part:
            del self._operations[operation_id]
        self._groups, self._alerts = set(), {}
        if self._operations:
            self._views.ticker.go_on(self)
        return self._say(self._changed([entry for _, entry in part], groups, alerts))

    def _send_removed(self) -> int:
        operations, groups, alerts = self._gone
        self._gone = (set(), set(), set())
        if not (operations or groups or alerts):
            return 0
        ids = [each.hex for each in operations]
        return self._say({"type": "removed", "operations": ids, "groups": sorted(groups), "alerts": sorted(alerts)})

    def _changed(
        self, entries: Iterable[Entry], groups: Iterable[str], alerts: Iterable[AlertRaised]
    ) -> dict[str, Any]:
        return {
            "type": "changed",
            "operations": [wire.operation_view(each, root=self._root) for each in entries],
            "groups": [self._group_view(name) for name in groups],
            "alerts": [wire.alert_view(each) for each in alerts],
            "totals": wire.totals_view(self._views.ledger.group(key) for key in self._groups_shown()),
        }

    def _group_view(self, name: str) -> dict[str, Any]:
        key = (self._application, name)
        group = self._views.runner.registry.group(*key) if name else None
        return wire.group_view(name, group, self._views.ledger.group(key))

    def _groups_shown(self) -> list[GroupKey]:
        return [key for key, _ in self._views.ledger.groups(self._application)]

    def _forget_changes(self) -> None:
        self._operations, self._groups, self._alerts, self._gone = {}, set(), {}, (set(), set(), set())

    # ------------------------------------------------------------------------------------------------- what is asked

    def _receive(self, data: object, has_buffers: bool) -> None:  # noqa: FBT001 (a callback's arguments are positional)
        command = None if has_buffers or not self._is_in_time() else wire.parse_command(data)
        if command is None or not self._obey(command):
            self.refused += 1
            log.debug("A message of the lab extension was refused; %d so far", self.refused)

    def _is_in_time(self) -> bool:
        """Whether this message is not one of too many."""
        now = time.monotonic()
        self._allowance = min(_BURST, self._allowance + (now - self._counted_at) * _RATE)
        self._counted_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _obey(self, command: Command) -> bool:
        """Do what was asked; returns whether what it is about is there."""
        match command.name:
            case "subscribe":
                self._subscribe()
            case "restore":
                self._views.place.spawn(asyncio.to_thread(default_downloader().restore), name="restore")
            case "allow_toasts" | "refuse_toasts":
                # The settings are those of the user, so whichever page said it last is right.
                self._views.runner.alerts.refuse_for_user(is_refused=command.name == "refuse_toasts")
            case "dismiss":
                return self._dismiss(command.alert_id or "")
            case _ if command.operation_id is not None:
                return self._act_on_operation(command, UUID(command.operation_id))
            case _:
                return self._act_on_group(command, command.group or "")
        return True

    def _subscribe(self) -> None:
        self._views.catch_up()
        self._is_subscribed = self._wants_snapshot = True
        self._views.ticker.wake(self, is_urgent=True)

    def _dismiss(self, alert_id: str) -> bool:
        if self._views.alerts.find(alert_id) is None:
            return False
        self._views.runner.publish(AlertDismissed(alert_id=alert_id))
        return True

    def _act_on_operation(self, command: Command, operation_id: UUID) -> bool:
        operation = self._views.runner.registry.find(operation_id)
        if operation is None or operation.application != self._application or command.verb is None:
            return False
        perform(self._views.runner, [operation], command.verb)
        return True

    def _act_on_group(self, command: Command, name: str) -> bool:
        self._views.catch_up()
        tally = self._views.ledger.group((self._application, name))
        if not len(tally) or command.verb is None:
            return False
        tally.perform(self._views.runner, command.verb)
        return True


def _wants_toasts() -> bool:
    """Whether the application lets the lab extension show toasts; what the user refuses, the extension knows itself."""
    setting = default_downloader().notification_setting
    return setting in {NotificationSetting.ENABLED, NotificationSetting.DISABLED_FOR_USER}
