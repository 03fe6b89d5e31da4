"""What works here and how to mend what does not: the findings behind `%bgdl doctor` and `jupyter bgdl doctor`."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bgdl_jupyter.errors import BackgroundTransferError, InvalidRequest
from bgdl_jupyter.frontends.text import counted, network_in_words
from bgdl_jupyter.model import display, facts, housekeeping
from bgdl_jupyter.model.application import state_file_path
from bgdl_jupyter.model.configuration import configuration_files, file_configuration, from_environment, variable_of
from bgdl_jupyter.model.downloader import BackgroundDownloader, default_downloader
from bgdl_jupyter.model.host import kernel_is_running

_EXTENSION: Final = "bgdl-jupyter"
#: The first version of ipykernel whose subshells are used.
_SUBSHELLS_SINCE: Final = (7, 1)
_BROKEN_SUBSHELLS: Final = (7, 0)
_LEAST_LAB: Final = (4, 2)
#: The extras of this package, a module that each of them brings, and what it is for.
_EXTRAS: Final = {
    "parquet": ("pyarrow", "manifests in Parquet files"),
    "fsspec": ("fsspec", "destinations in object stores"),
    "zstd": ("backports.zstd", "unpacking of Zstandard files"),
    "dbus": ("dbus_fast", "the cost of the network, from NetworkManager"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """
    Something that was looked at.

    Parameters
    ----------
    is_good:
        None where it is neither good nor bad.
    remedy:
        What to do about it; empty where nothing is to be done.
    """

    subject: str
    is_good: bool | None
    says: str
    remedy: str = ""


def examine() -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding, too."""
    return [*_configuration(), *_state(), *_kernel(), _lab_extension(), _lab(), *_extras(), *_applications()]


def is_well(findings: list[Finding]) -> bool:
    """Whether nothing is bad."""
    return all(each.is_good is not False for each in findings)


def report(findings: list[Finding]) -> str:
    """Return the findings as text, a line each, and a second one for what to do."""
    marks = {True: "ok", False: "!!", None: "--"}
    width = max(len(each.subject) for each in findings)
    lines = []
    for each in findings:
        lines.append(f"{marks[each.is_good]}  {each.subject:<{width}}  {display.plain(each.says)}")
        lines += [f"    {'':<{width}}  -> {display.plain(each.remedy)}"] if each.remedy else []
    return "\n".join(lines)


def to_records(findings: list[Finding]) -> list[dict[str, Any]]:
    """Return the JSON form."""
    return [
        {"subject": each.subject, "is_good": each.is_good, "says": each.says, "remedy": each.remedy}
        for each in findings
    ]


# ------------------------------------------------------------------------------------------------------------- state


def _configuration() -> list[Finding]:
    """Look at the files and the environment that the settings come from; values may be secrets, and are not said."""
    files = [str(each) for each in configuration_files()]
    variables = sorted(variable_of(each) for each in BackgroundDownloader.class_traits(config=True))
    sources = [*files, *(each for each in variables if os.environ.get(each))]
    try:
        file_configuration()
        from_environment(BackgroundDownloader.class_traits(config=True))
    except InvalidRequest as error:
        remedy = error.hint or "Set it to a value of that kind, or unset it; jupyter bgdl --help-all lists them."
        return [Finding(subject="configuration", is_good=False, says=error.message, remedy=remedy)]
    says = f"from {', '.join(sources)}" if sources else "the defaults: no file, no variable"
    return [Finding(subject="configuration", is_good=True, says=says)]


def _state() -> list[Finding]:
    path = state_file_path()
    try:
        default_downloader()
        engine = facts.engine_facts()
    except (BackgroundTransferError, OSError) as error:
        hint = getattr(error, "hint", "") or f"Make {str(path.parent)!r} writable, or set BGDL_STATE_FILE."
        return [Finding(subject="state file", is_good=False, says=getattr(error, "message", str(error)), remedy=hint)]
    return [
        _state_file(engine),
        *(Finding(subject="state file", is_good=None, says=notice) for notice in engine.notices),
        *_permissions(engine.state_file),
        _vault(),
        _network(),
        Finding(subject="loop", is_good=_is_right_place(engine), says=f"{engine.place_kind}. {engine.place_reason}"),
    ]


def _state_file(engine: facts.EngineFacts) -> Finding:
    if engine.is_in_memory:
        return Finding(
            subject="state file",
            is_good=False,
            says=f"{engine.state_file} cannot be used; downloads will not survive this process.",
            remedy="Set BGDL_STATE_FILE to a path on a local disk that you may write to.",
        )
    if engine.is_read_only:
        return Finding(
            subject="state file",
            is_good=False,
            says=f"{engine.state_file} was written by a newer version and is only read.",
            remedy="Upgrade: pip install --upgrade bgdl-jupyter",
        )
    return Finding(subject="state file", is_good=True, says=str(engine.state_file))


def _permissions(path: Path | None) -> list[Finding]:
    if path is None or os.name != "posix" or not path.exists():
        return []
    open_to_others = [each for each in (path.parent, path) if stat.S_IMODE(each.stat().st_mode) & 0o077]
    if not open_to_others:
        return [Finding(subject="permissions", is_good=True, says="The state is this user's alone.")]
    names = " ".join(repr(str(each)) for each in open_to_others)
    return [
        Finding(
            subject="permissions",
            is_good=False,
            says=f"Others may look into {names}.",
            remedy=f"Run: chmod go= {names}",
        )
    ]


def _vault() -> Finding:
    works = facts.vault_works()
    says = facts.engine_facts().vault
    if works:
        return Finding(subject="vault", is_good=True, says=says)
    return Finding(
        subject="vault",
        is_good=None,
        says=says,
        remedy="Credentials are asked for again after a restart; a backend of keyring would keep them.",
    )


def _network() -> Finding:
    network = facts.look_at_network(default_downloader())
    remedy = ""
    if network.override == "auto" and importlib.util.find_spec("dbus_fast") is None and sys.platform == "linux":
        remedy = "Say it yourself by %bgdl network metered, or: pip install 'bgdl-jupyter[dbus]'"
    return Finding(subject="network", is_good=network.is_up or None, says=network_in_words(network), remedy=remedy)


# ------------------------------------------------------------------------------------------------------------ jupyter


def _is_right_place(engine: facts.EngineFacts) -> bool | None:
    if not kernel_is_running():
        return None
    return True if engine.place_kind == "subshell" else None


def _kernel() -> list[Finding]:
    version = _version("ipykernel")
    if version is None:
        return [Finding(subject="ipykernel", is_good=False, says="not installed", remedy="pip install ipykernel")]
    findings = [_ipykernel(version)]
    widgets = _version("ipywidgets")
    if widgets is None:
        remedy = "pip install ipywidgets"
        findings.append(Finding(subject="ipywidgets", is_good=False, says="not installed; no bars", remedy=remedy))
    else:
        findings.append(Finding(subject="ipywidgets", is_good=True, says=widgets))
    return findings


def _ipykernel(version: str) -> Finding:
    remedy = "pip install --upgrade 'ipykernel>=7.1'"
    if _numbers(version) == _BROKEN_SUBSHELLS:
        says = f"{version} sends what a subshell prints to the wrong cell; downloads run on a thread instead."
        return Finding(subject="ipykernel", is_good=False, says=says, remedy=remedy)
    if _numbers(version) < _SUBSHELLS_SINCE:
        says = f"{version} has no subshells that can be used; downloads run on a thread, buttons wait for the cell."
        return Finding(subject="ipykernel", is_good=None, says=says, remedy=remedy)
    return Finding(subject="ipykernel", is_good=True, says=f"{version}, with subshells")


def _lab() -> Finding:
    version = _version("jupyterlab")
    if version is None:
        return Finding(subject="jupyterlab", is_good=None, says="not in this environment; it may be in the server's")
    is_good = _numbers(version) >= _LEAST_LAB
    remedy = "" if is_good else "pip install --upgrade 'jupyterlab>=4.2'"
    return Finding(subject="jupyterlab", is_good=is_good, says=version, remedy=remedy)


def _lab_extension() -> Finding:
    from jupyter_core.paths import jupyter_path

    subject = "lab extension"
    found = [Path(folder) / _EXTENSION / "package.json" for folder in jupyter_path("labextensions")]
    installed = next((each for each in found if each.is_file()), None)
    if installed is None:
        return Finding(
            subject=subject,
            is_good=None,
            says="not installed for this environment: no side panel, no toasts; widgets and magics work all the same.",
            remedy="Install bgdl-jupyter into the environment of the Jupyter server as well.",
        )
    if _is_disabled():
        remedy = f"jupyter labextension enable {_EXTENSION}"
        return Finding(subject=subject, is_good=False, says="installed and disabled", remedy=remedy)
    theirs, ours = str(_json(installed).get("version")), _version("bgdl-jupyter")
    if ours is not None and theirs != ours:
        remedy = "Install the same version in both environments."
        says = f"its version is {theirs}, the package's {ours}"
        return Finding(subject=subject, is_good=False, says=says, remedy=remedy)
    return Finding(subject=subject, is_good=True, says=f"{theirs} in {installed.parent}")


def _is_disabled() -> bool:
    from jupyter_core.paths import jupyter_config_path

    pages = [Path(folder) / "labconfig" / "page_config.json" for folder in jupyter_config_path()]
    disabled = [_json(page).get("disabledExtensions") for page in pages if page.is_file()]
    return any(isinstance(each, dict) and each.get(_EXTENSION) for each in disabled)


def _json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}  # what cannot be read says nothing
    return content if isinstance(content, dict) else {}


# ------------------------------------------------------------------------------------------------------------ the rest


def _extras() -> list[Finding]:
    missing = {extra: what for extra, (module, what) in _EXTRAS.items() if not _is_there(module)}
    return [
        Finding(
            subject=f"extra {extra}",
            is_good=None,
            says=f"not installed: {what}",
            remedy=f"pip install 'bgdl-jupyter[{extra}]'",
        )
        for extra, what in missing.items()
    ]


def _is_there(module: str) -> bool:
    if module == "backports.zstd" and sys.version_info >= (3, 14):
        return True  # Python's own
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # nor is the package that it would be in
        return False


def _applications() -> list[Finding]:
    try:
        summaries = housekeeping.applications()
    except BackgroundTransferError:
        return []  # the state file says what is wrong with it
    forgotten = housekeeping.forgotten_applications(summaries)
    found = [
        Finding(
            subject="downloads",
            is_good=None,
            says=f"{each.application} was not opened for {housekeeping.FORGOTTEN_AFTER} days; its "
            f"{counted(each.operations)} hold {display.size(each.bytes_held)} in partial files.",
            remedy=f"jupyter bgdl purge --application {each.application!r}",
        )
        for each in forgotten
    ]
    total = sum(each.operations for each in summaries)
    says = f"{counted(total)} of {counted(len(summaries), 'application')}"
    return [Finding(subject="downloads", is_good=True, says=says), *found]


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _numbers(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version."""
    numbers = []
    for part in version.split(".")[:2]:
        digits = "".join(each for each in part if each.isdigit())
        numbers.append(int(digits or 0))
    return tuple(numbers)
