"""A transport of another package: ``mirror://PATH`` is a file of the nearest mirror."""

import os
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from bgdl_jupyter.transport.base import Exchange, Request
from bgdl_jupyter.transport.http import HttpTransport


class MirrorTransport(HttpTransport):
    """Asks the mirror that MIRROR names, over HTTP."""

    def open(self, request: Request) -> AbstractAsyncContextManager[Exchange]:
        """Ask for a file of the mirror."""
        public = request.uri.public.replace("mirror://", os.environ["MIRROR"], 1)
        return super().open(replace(request, uri=replace(request.uri, public=public)))
