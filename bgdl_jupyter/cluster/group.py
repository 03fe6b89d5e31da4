"""The group of a job on a cluster, as a notebook holds it in its hands."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Final

from traitlets import Dict

from bgdl_jupyter.cluster.account import Account
from bgdl_jupyter.cluster.connection import LOCAL, Connection, connect
from bgdl_jupyter.cluster.coordinator import Coordinator, Plan
from bgdl_jupyter.cluster.outcomes import HasOutcomes
from bgdl_jupyter.cluster.ticket import CANCEL, PAUSE, RUN
from bgdl_jupyter.errors import BackgroundTransferError
from bgdl_jupyter.model.alerting import Ending, announce
from bgdl_jupyter.model.far import FarGroup
from bgdl_jupyter.model.notifications import PLAIN
from bgdl_jupyter.status import BackgroundTransferStatus, Step

if TYPE_CHECKING:
    from bgdl_jupyter.cluster.ledger import Ledger
    from bgdl_jupyter.cluster.references import Sealed
    from bgdl_jupyter.model.group import GroupProgress

log = logging.getLogger(__name__)

_ORDERS: Final = {Step.PAUSE: PAUSE, Step.RESUME: RUN, Step.CANCEL: CANCEL}
_WAITS: Final = BackgroundTransferStatus.PAUSED_RECOVERABLE_WEB_ERROR_STATUS


class ClusterGroup(HasOutcomes, FarGroup):
    """
    Files that the workers of a cluster fetch; made by ``download_many(…, cluster=…)``.

    It is steered, awaited and shown as any other group. Its results are tables beside the data: `iter_results` reads
    them one after the other, `result_tables` names them.
    """

    job = Dict(help="Where the ledger is, and what the job is told; holds shards, not files, and no secret.").tag(
        persist=True
    )

    def __init__(self, runner: Any, **values: Any) -> None:
        super().__init__(runner, **values)
        self._lock = threading.RLock()
        self._connection: Connection | None = None
        self._coordinator: Coordinator | None = None
        self._sealed: Sealed | None = None
        self._was_away = False

    # ---------------------------------------------------------------------------------------------------- its cluster

    def attach(self, cluster: object = LOCAL) -> ClusterGroup:
        """
        Go on with this cluster, in place of the one that it had; blocks until that answers.

        Parameters
        ----------
        cluster:
            As for `download_many`.

        Raises
        ------
        InvalidRequest, BackgroundTransferError
            It is no cluster, or its scheduler does not answer.
        """
        self._go_on(connect(cluster), "local" if cluster == LOCAL else "")
        return self

    def begin(self, connection: Connection, cluster: object, sealed: Sealed | None) -> None:
        """Run on a connection from now on; ``sealed`` is what workers are sent and nobody keeps."""
        self._sealed = sealed
        self._go_on(connection, "local" if cluster == LOCAL else "")

    def _go_on(self, connection: Connection, kind: str, *, begins_round: bool = False) -> None:
        with self._lock:
            self._let_go()
            address = "" if connection.is_embedded else connection.address
            self._note(cluster=kind or address, order=RUN if begins_round else self.job.get("order", RUN))
            self._connection = connection
            coordinator = Coordinator(
                self._plan(),
                self.ledger(),
                connection,
                tell=self._post,
                order=self.job["order"],
                begins_round=begins_round,
            )
            self._coordinator = coordinator
        self._runner.place.call(self.told, self.progress, BackgroundTransferStatus.RUNNING, "Its cluster begins.")
        coordinator.start()

    def _plan(self) -> Plan:
        job, ledger = self.job, self.ledger()
        cut = ledger.job()
        if cut is None:
            raise BackgroundTransferError(f"There is no job in {ledger.folder.url!r} any more.")
        return Plan(
            job=cut,
            directory=job["directory"],
            max_per_host=job["max_per_host"],
            max_rate=min(filter(None, (job.get("max_rate"), self.max_rate)), default=None),
            settings=job["settings"],
            options=job["options"],
            references=job["references"],
            sealed=self._sealed,
        )

    def _let_go(self) -> None:
        if self._coordinator is not None:
            self._coordinator.stop()
            self._coordinator = None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # --------------------------------------------------------------------------------------------------------- steps

    def ask(self, step: Step) -> None:
        """Have a step carried out; see `FarGroup`."""
        if step is Step.RETRY:
            threading.Thread(target=self._retry, name="bgdl-cluster-retry", daemon=True).start()
            self._runner.place.call(self.told, self.progress, BackgroundTransferStatus.RUNNING, "It begins again.")
            return
        order = _ORDERS[step]
        self._note(order=order)
        coordinator = self._coordinator
        if coordinator is not None and self.standing is not _WAITS:
            coordinator.order(order)
        elif order == CANCEL:
            self._runner.place.call(self.told, self.progress, BackgroundTransferStatus.CANCELED, "")

    def _retry(self) -> None:
        """Begin the next round where the last one ran."""
        try:
            with self._lock:
                if self._connection is not None and self._connection.is_alive:
                    connection, self._connection = self._connection, None
                else:
                    connection = connect(self.job["cluster"])
                self._go_on(connection, LOCAL if self.job["cluster"] == LOCAL else "", begins_round=True)
        except BackgroundTransferError as error:
            self._wait_for_cluster(str(error))

    def _note(self, **changes: object) -> None:
        """Record what is to be known after a restart."""

        def note() -> None:
            self.job = {**self.job, **changes}
            self._runner.registry.save_group(self)

        self._runner.place.call(note)

    # ----------------------------------------------------------------------------------------------------- what is told

    def _post(self, progress: GroupProgress, standing: BackgroundTransferStatus, remark: str) -> bool:
        """Hand over what the coordinator says; False where the engine has ended."""
        place, connection = self._runner.place, self._connection
        is_alive = place.is_alive
        if is_alive:
            place.post(self.told, progress, standing, remark)
        has_no_more_to_do = standing.is_final and self.job["cluster"] == LOCAL
        if connection is not None and (has_no_more_to_do or not is_alive):
            connection.close()
        return is_alive

    def told(self, progress: GroupProgress, standing: BackgroundTransferStatus, remark: str) -> None:
        """Take in how far it is, and raise the alert at its end, once."""
        is_news = standing.is_final and self.job.get("announced") != (end := self._end_of(progress, standing))
        super().told(progress, standing, remark)
        if is_news:
            self._note(announced=end)
            self._announce(progress)

    def _end_of(self, progress: GroupProgress, standing: BackgroundTransferStatus) -> str:
        return f"{standing.name} {progress.completed} {progress.failed}"

    def _announce(self, progress: GroupProgress) -> None:
        ending = Ending(
            application=self.application,
            batch_id=f"cluster-{self.name}",
            notifications=PLAIN,
            completed=progress.completed,
            failed=progress.failed,
            canceled=progress.canceled,
            group=self.name,
            name=self.name,
            failure=self.remark,
            while_away=self._was_away,
        )
        announce(self._runner, ending)

    def _wait_for_cluster(self, reason: str) -> None:
        if self._runner.place.is_alive:
            self._runner.place.post(self.told, self.progress, _WAITS, reason)

    # ------------------------------------------------------------------------------------------------- after a restart

    def revive(self) -> None:
        """Look how far it is and go on where that can be; returns at once."""
        threading.Thread(target=self._revive, name="bgdl-cluster-revive", daemon=True).start()

    def _revive(self) -> None:
        try:
            self._look_at_ledger()
            if self.standing.is_final:
                return
            cluster, lost = self.job["cluster"], self.job.get("sealed")
            if lost:
                self._wait_for_cluster(f"Secrets did not outlive the kernel ({lost}); call download_many again.")
            elif not cluster:
                self._wait_for_cluster("Its cluster ended with the kernel; group.attach(client) goes on where it was.")
            else:
                self._go_on(connect(cluster), LOCAL if cluster == LOCAL else "")
        except (BackgroundTransferError, OSError) as error:
            self._wait_for_cluster(f"{error} group.attach(client) goes on where it was.")

    def _look_at_ledger(self) -> None:
        """Say how far it is by the ledger alone."""
        ledger = self.ledger()
        account = Account(ledger.index(), ledger.markers().values(), round_=ledger.handed_out().round)
        is_canceled = self.job.get("order") == CANCEL
        progress = account.progress((), is_paused=self.job.get("order") == PAUSE, is_canceled=is_canceled)
        standing = BackgroundTransferStatus.RUNNING
        if is_canceled:
            standing = BackgroundTransferStatus.CANCELED
        elif not account.to_do:
            standing = BackgroundTransferStatus.ERROR if account.has_failed else BackgroundTransferStatus.COMPLETED
        self._was_away = standing.is_final
        self._runner.place.call(self.told, progress, standing, account.in_words((), 0))
        self._was_away = False

    # ------------------------------------------------------------------------------------------------------ its ledger

    def ledger(self) -> Ledger:
        """Return what is durable of the job."""
        from bgdl_jupyter.cluster.starting import ledger_at

        return ledger_at(self.job["ledger"], self.job["references"], self._sealed)
