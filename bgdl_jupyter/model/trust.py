"""Whom an operation trusts over TLS: the system's authorities, with those of a file beside them where one is named."""

from __future__ import annotations

import functools
import os
import ssl

from bgdl_jupyter.errors import InvalidRequest


def trusting(ca_file: str) -> ssl.SSLContext:
    """
    Return a context that trusts the system's authorities and those of a PEM file; blocks for a read.

    Raises
    ------
    InvalidRequest
        The file cannot be read, or holds no certificate.
    """
    try:
        changed_at = os.stat(ca_file).st_mtime_ns  # noqa: PTH116 (a Path of it is of no further use)
        return _trusting(ca_file, changed_at)
    except ssl.SSLError:
        raise InvalidRequest(f"ca_file {ca_file!r} holds no certificate in PEM form.") from None
    except OSError as error:
        raise InvalidRequest(f"ca_file {ca_file!r} cannot be read: {error.strerror}.") from None


@functools.lru_cache(maxsize=8)
def _trusting(ca_file: str, changed_at: int) -> ssl.SSLContext:  # noqa: ARG001 (a file that changed is read again)
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context
