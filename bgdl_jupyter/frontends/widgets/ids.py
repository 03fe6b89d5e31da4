"""
Names of widgets that stay the same from kernel to kernel.

A saved output refers to a widget by its id. When the next kernel makes the widget again under the same id, the output
is alive again after a reload. The application is part of it: two notebooks on one page must not share a widget.
"""

from __future__ import annotations

import hashlib

#: What the lab extension knows our widgets by.
PREFIX = "bgdl"


def model_id(application: str, group: str, part: str) -> str:
    """Return the id of a part ("panel", "box", "row-…") of what an application's group shows."""
    return "-".join((PREFIX, _hash(application), _hash(group), part))


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]
