"""
Where settings come from: what is given in code, before the environment, before the configuration files.

Every setting of `BackgroundDownloader` that a configuration file may set may be set in the environment as well:
``BGDL_MAX_PARALLEL=8``, ``BGDL_ON_RESTORE=pause``. The files are ``jupyter_bgdl_config.py`` and ``.json`` in the
folders of Jupyter's configuration, and, in a kernel, its own, which counts for more.
"""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from traitlets import TraitError
from traitlets.config import Config
from traitlets.config.loader import JSONFileConfigLoader, PyFileConfigLoader

from bgdl_jupyter.errors import InvalidRequest
from bgdl_jupyter.model.host import host

if TYPE_CHECKING:
    from collections.abc import Mapping

    from traitlets import TraitType

PREFIX: Final = "BGDL_"
#: The name of the configuration files, without its ending.
FILE_NAME: Final = "jupyter_bgdl_config"


def variable_of(name: str) -> str:
    """Return the name of the environment variable that sets a setting."""
    return PREFIX + name.upper()


def configuration(given: Config | None = None) -> Config:
    """
    Return what configuration files say, under what the kernel's own says, under what is given.

    Raises
    ------
    InvalidRequest
        A file cannot be read or is wrong; the message names it.
    """
    merged = Config()
    for each in (file_configuration(), host().present_configuration(), given):
        if each is not None:
            merged.merge(each)
    return merged


def configuration_files() -> list[Path]:
    """Return the configuration files that there are; what a later one says counts for more."""
    from jupyter_core.paths import jupyter_config_path

    folders = [Path(each) for each in reversed(jupyter_config_path())]
    found = (folder / f"{FILE_NAME}{ending}" for folder in folders for ending in (".json", ".py"))
    return [each for each in found if each.is_file()]


def file_configuration() -> Config:
    """Return what the configuration files say; read again only when one of them has changed."""
    return _loaded(tuple((each, each.stat().st_mtime_ns) for each in configuration_files()))


@functools.lru_cache(maxsize=1)
def _loaded(files: tuple[tuple[Path, int], ...]) -> Config:
    merged = Config()
    for path, _ in files:
        kind = PyFileConfigLoader if path.suffix == ".py" else JSONFileConfigLoader
        try:
            merged.merge(kind(path.name, str(path.parent)).load_config())
        except Exception as error:  # whatever a file does that is run
            raise InvalidRequest(
                f"The configuration file {str(path)!r} cannot be used: {type(error).__name__}: {error}",
                hint="Mend it, or move it away.",
            ) from error
    return merged


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
        variable = variable_of(name)
        text = os.environ.get(variable)
        if text is None or text == "":
            continue
        try:
            settings[name] = trait.from_string(text)
        except (TraitError, ValueError, TypeError):
            raise InvalidRequest(f"The environment variable {variable} cannot be read as {trait.info()}.") from None
    return settings
