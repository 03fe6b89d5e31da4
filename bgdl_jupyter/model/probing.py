"""Whether a server has what would be downloaded: asked, and nothing kept of the answer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bgdl_jupyter.errors import BackgroundTransferError, TransferFailed
from bgdl_jupyter.model.operation import DownloadOperation
from bgdl_jupyter.model.orders import AttentionNeeded, make_request
from bgdl_jupyter.uris import origin_of
from bgdl_jupyter.web_error_status import WebErrorStatus

if TYPE_CHECKING:
    from bgdl_jupyter.model.draft import Draft
    from bgdl_jupyter.model.runner import Runner

_ABSENT: Final = frozenset({WebErrorStatus.NOT_FOUND, WebErrorStatus.GONE})


def probe(runner: Runner, draft: Draft) -> bool:
    """
    Ask the server whether it has what a draft wants; blocks.

    Raises
    ------
    TransferFailed
        There was no answer, or one that says neither yes nor no.
    """
    if runner.place.is_here():
        raise BackgroundTransferError("This loop runs the downloads, and waiting would stop it.")
    return asyncio.run_coroutine_threadsafe(_ask(runner, draft), runner.place.loop).result()


async def _ask(runner: Runner, draft: Draft) -> bool:
    """Open the exchange of a first request, and close it before the body."""
    own = {"guid": draft.operation_id, "requested_uri": draft.shown}
    picture = DownloadOperation.alike(runner, own, DownloadOperation.shared_values(draft.common))
    if draft.secrets is not None:
        picture.secrets = draft.secrets
    try:
        request = await make_request(runner, picture, start=None, stop=None, condition=None)
        transport = await runner.facilities.transport_for(origin_of(request.uri.public).scheme)
        async with transport.open(request):
            return True
    except AttentionNeeded as need:
        raise TransferFailed(need.reason) from None
    except TransferFailed as error:
        if error.web_error_status in _ABSENT:
            return False
        raise
