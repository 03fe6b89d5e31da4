"""
Where settings come from: what is given in code, before the environment, before the configuration file.

Every setting of `BackgroundDownloader` that a configuration file may set may be set in the environment as well:
``BGDL_MAX_PARALLEL=8``, ``BGDL_ON_RESTORE=pause``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

from traitlets import TraitError

from bgdl_jupyter.errors import InvalidRequest

if TYPE_CHECKING:
    from collections.abc import Mapping

    from traitlets import TraitType

PREFIX: Final = "BGDL_"


def from_environment(traits: Mapping[str, TraitType[Any, Any]]) -> dict[str, Any]:
    """
    Return the settings that the environment makes.

    Raises
    ------
    InvalidRequest
        A variable cannot be read; the message names it, and not its value, which may be a secret.
    """
    settings = {}
    for name, trait in traits.items():
        variable = PREFIX + name.upper()
        text = os.environ.get(variable)
        if text is None or text == "":
            continue
        try:
            settings[name] = trait.from_string(text)
        except (TraitError, ValueError, TypeError):
            raise InvalidRequest(f"The environment variable {variable} cannot be read as {trait.info()}.") from None
    return settings
