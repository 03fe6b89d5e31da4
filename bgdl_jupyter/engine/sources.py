"""The places that have the same file: which is asked, and which have failed in this transfer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bgdl_jupyter.errors import StorageFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bgdl_jupyter.errors import TransferFailed


class Sources:
    """
    The URI of an operation and its mirrors, asked in turn.

    Parameters
    ----------
    uris:
        What may be shown of them, the operation's own first.
    first:
        Which is asked first: the one that the bytes on the disk came from.
    """

    def __init__(self, uris: Sequence[str], first: int) -> None:
        self._uris = tuple(uris)
        self._failed: dict[int, str] = {}
        self.current = first if first < len(uris) else 0

    @property
    def name(self) -> str:
        """What may be shown of the present one."""
        return self._uris[self.current]

    def turn(self, error: TransferFailed) -> None:
        """
        Go on to the next that has not failed.

        Raises
        ------
        TransferFailed
            The error itself, where there is no other, or where no other would help; it names all that were tried.
        """
        self._failed[self.current] = error.message
        count = len(self._uris)
        left = [place for step in range(1, count) if (place := (self.current + step) % count) not in self._failed]
        if left and not isinstance(error, StorageFailed):
            self.current = left[0]
            return
        if len(self._failed) > 1:
            tried = "; ".join(f"{self._uris[place]}: {message.rstrip('.')}" for place, message in self._failed.items())
            error.args = (f"None of the places that were tried gave the file: {tried}.",)
        raise error
