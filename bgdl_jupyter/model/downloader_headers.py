"""The request headers of a downloader: new operations get them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from traitlets import Dict, HasTraits

from bgdl_jupyter.model.draft import put_header
from bgdl_jupyter.model.headers import RequestHeaders

if TYPE_CHECKING:
    from bgdl_jupyter.model.credentials import OperationSecrets


class SendsHeaders(HasTraits):
    """A downloader that has headers for its operations; the secret ones are kept apart."""

    _plain_headers = Dict()
    _secrets: OperationSecrets

    @property
    def request_headers(self) -> RequestHeaders:
        """The headers of new operations; secrets are masked."""
        return RequestHeaders(self._plain_headers, self._secrets.headers)

    def set_request_header(self, name: str, value: str, *, secret: bool | None = None) -> None:
        """
        Send a header with every request of new operations; a second call replaces the first.

        Parameters
        ----------
        secret:
            Whether the value is kept out of everything that is stored or shown; None decides by the name.

        Raises
        ------
        InvalidRequest
            The name or the value cannot be sent, or is ours to set.
        """
        plain = dict(self._plain_headers)
        put_header(plain, self._secrets, name, value, secret=secret)
        self._plain_headers = plain

    def remove_request_header(self, name: str) -> None:
        """Send the header no longer."""
        plain = dict(self._plain_headers)
        put_header(plain, self._secrets, name, None, secret=None)
        self._plain_headers = plain
