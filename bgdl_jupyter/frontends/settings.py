"""The settings in words: each with its default, its variable in the environment, and what it is for."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Final

from bgdl_jupyter.model.configuration import FILE_NAME, variable_of
from bgdl_jupyter.model.downloader import BackgroundDownloader

_WIDTH: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A setting, as a person sets it."""

    name: str
    default: str
    variable: str
    kind: str
    help: str


def settings() -> list[Setting]:
    """Return all settings, by name."""
    traits = BackgroundDownloader.class_traits(config=True)
    return [
        Setting(
            name=name,
            default=repr(trait.default()),
            variable=variable_of(name),
            kind=str(trait.info()),
            help=str(trait.help),
        )
        for name, trait in sorted(traits.items())
    ]


def described() -> str:
    """Return the explanation of all settings."""
    head = (
        "Settings: as attributes of a BackgroundDownloader; else in the environment; else in the configuration, which "
        f"is {FILE_NAME}.py or .json in a folder that `jupyter --paths` lists under config, or that of the kernel, "
        "ipython_kernel_config.py."
    )
    lines = [textwrap.fill(head, _WIDTH), ""]
    for each in settings():
        lines.append(f"c.BackgroundDownloader.{each.name} = {each.default}")
        lines.append(f"    {each.variable}: {each.kind}")
        lines.append(textwrap.fill(each.help, _WIDTH, initial_indent="    ", subsequent_indent="    "))
    return "\n".join(lines)
