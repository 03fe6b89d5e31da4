"""What an operation knows of what follows its file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bgdl_jupyter.errors import PostProcessingFailed, TransferCanceled
from bgdl_jupyter.model import display
from bgdl_jupyter.model.placed import Placed
from bgdl_jupyter.model.post_processing_plan import KEPT_AS
from bgdl_jupyter.post_processing import NOTHING, PostProcessingState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bgdl_jupyter.errors import BackgroundTransferError
    from bgdl_jupyter.post_processing import PostProcessing
    from bgdl_jupyter.status import BackgroundTransferStatus


#: The traits that `standing_of` looks at.
STANDING: Final = frozenset({"status", "post_processing"})


def standing_of(values: Mapping[str, Any]) -> BackgroundTransferStatus:
    """Return as which status an operation with these values counts, see `PostProcessed.standing`."""
    status: BackgroundTransferStatus = values["status"]
    if not status.is_success:
        return status
    following: PostProcessing = values.get("post_processing", NOTHING)
    return following.standing


class PostProcessed(Placed):
    """
    The part of an operation that outlives its file.

    Attributes
    ----------
    post_process:
        The function that is called, where it has no name; dies with the kernel.
    post_process_called, post_process_outcome, post_process_error:
        What was called to its end in this kernel, what it returned, and what another call raised.
    """

    post_process: Callable[..., Any] | None = None
    post_process_called: Callable[..., Any] | None = None
    post_process_outcome: Any = None
    post_process_error: BaseException | None = None

    @property
    def standing(self) -> BackgroundTransferStatus:
        """
        As which status it counts in groups, batches and views, together with what follows its file.

        RUNNING while that waits or runs, ERROR or CANCELED where it was not carried out; else `status`.
        """
        return standing_of(self._trait_values)

    @property
    def is_over(self) -> bool:
        """Whether it is final, and what follows is done or given up."""
        return self.standing.is_final

    @property
    def post_process_result(self) -> Any:
        """
        What the function returned; where there is none, the path of what was unpacked.

        None where neither is there: it is not done, or the function ran in an earlier kernel.
        """
        if KEPT_AS in self.options and self._calls_function:
            return self.post_process_outcome
        path = self.post_processing.path
        return Path(path) if path is not None else None

    @property
    def _calls_function(self) -> bool:
        plan = self.options[KEPT_AS]
        return bool(plan.get("function") or plan.get("has_callable"))

    def await_post_processing(self) -> None:
        """Have what is to follow wait for its turn, unless it is over; on the engine's loop."""
        if KEPT_AS in self.peek("options") and not self.post_processing.is_over:
            self.set_trait("post_processing", replace(self.post_processing, state=PostProcessingState.WAITING))

    def _apply_post_processing(self, following: PostProcessing) -> None:
        self.set_trait("post_processing", following)
        error = self._post_processing_error()
        self.set_trait("status_reason", str(error) if error is not None else "")

    def _post_processing_error(self) -> BackgroundTransferError | None:
        """Return what an awaiter gets; None where nothing is wrong."""
        following = self.post_processing
        if following.was_canceled:
            return TransferCanceled("What was to follow the download was canceled.", hint=self._kept)
        if not following.has_failed:
            return None
        error = PostProcessingFailed(following.error, hint=self._kept)
        error.__cause__ = self.post_process_error
        return error

    @property
    def _kept(self) -> str:
        return f"The file is kept: {display.plain(self.destination or '')}; retry() does only this again."
