"""
How Sphinx makes these pages: ``python -m sphinx -W -b html docs docs/_build/html``.

Nothing is fetched while they are made or read. The notebooks are run here, against the server that each brings along.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sphinx.errors import ExtensionError
from traitlets import TraitType, Undefined

if TYPE_CHECKING:
    from sphinx.application import Sphinx

HERE = Path(__file__).parent
NOTEBOOKS = HERE / "notebooks"

project = "bgdl_jupyter"
author = "bgdl_jupyter contributors"
copyright = author  # noqa: A001 (Sphinx' name)
version = release = version("bgdl-jupyter")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
default_role = "py:obj"  # `BackgroundDownloader` in a docstring

html_theme = "furo"
html_title = f"bgdl_jupyter {release}"
html_static_path: list[str] = []
html_show_copyright = False
templates_path: list[str] = []

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_default_options = {"no-value": True}
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False

nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_timeout = 100
nb_execution_raise_on_error = True
# A page without a kernel shows a saved notebook as it is: the tables, not the widgets, whose library is elsewhere.
nb_ipywidgets_js: dict[str, Any] = {}
nb_mime_priority_overrides = [("html", "text/html", 0)]

# What the notebooks download is neither recorded nor kept with what is the developer's own.
os.environ["BGDL_STATE_FILE"] = str(Path(tempfile.mkdtemp(prefix="bgdl-docs-"), "state.sqlite3"))
os.environ["PYTHON_KEYRING_BACKEND"] = "keyring.backends.fail.Keyring"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(HERE.parent), os.environ.get("PYTHONPATH")]))


def bring_notebooks() -> None:
    """Put the notebooks where Sphinx looks for pages."""
    shutil.rmtree(NOTEBOOKS, ignore_errors=True)
    shutil.copytree(HERE.parent / "notebooks", NOTEBOOKS, ignore=shutil.ignore_patterns(".*"))


def describe_trait(_app: Sphinx, _what: str, _name: str, trait: object, *rest: Any) -> None:
    """Say of a trait what it may be and what it is at first."""
    if not isinstance(trait, TraitType):
        return
    lines: list[str] = rest[-1]
    facts = [trait.info() if hasattr(trait, "info") else type(trait).__name__]
    default = trait.default_value
    if default is not Undefined and isinstance(default, str | int | float | bool) and default != "":
        facts.append(f"at first {default!r}")
    if trait.metadata.get("config"):
        facts.append("may be configured")
    if trait.read_only:
        facts.append("read-only")
    lines[:] = [trait.help or "", "", f"*{'; '.join(facts)}*", ""]


def refuse_foreign_resources(app: Sphinx, failure: Exception | None) -> None:
    """Let no page load a script, a style, a font or a picture from elsewhere."""
    if failure is not None:
        return
    for page in Path(app.outdir).rglob("*.html"):
        text = page.read_text("utf-8")
        found = re.search(r"""<(?:script|img|iframe|source)\b[^>]*\bsrc=["'](?:https?:)?//[^"']*""", text)
        found = found or re.search(r"""<link\b[^>]*\bhref=["'](?:https?:)?//[^"']*""", text)
        if found:
            raise ExtensionError(f"{page.relative_to(app.outdir)} loads what is not in it: {found.group()[:200]}")


def setup(app: Sphinx) -> None:
    """Tell Sphinx of the above."""
    bring_notebooks()
    app.connect("autodoc-process-docstring", describe_trait)
    app.connect("build-finished", refuse_foreign_resources)
