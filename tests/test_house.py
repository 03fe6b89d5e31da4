"""The rules that the whole repository keeps, whichever room a change is in."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.counterparts import require

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "bgdl_jupyter"
README = (ROOT / "README.md").read_text(encoding="utf-8")
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAX_LINES = 400
VENDORED = {"yarn.lock"}
"""Files that a tool writes; the rules of our own words do not hold for them, those about hosts do."""

DEVELOPERS = {"test", "docs", "bench"}
"""The extras that users do not install."""
BROUGHT_BY_THE_CALLER = {"pandas", "pooch", "tqdm"}
"""Whoever asks for a data frame or a bar of tqdm, or hands us to pooch, has them."""

# Joined here, so that this file does not contain what it looks for.
REGISTRIES = [
    "pypi" + ".org",
    "python" + "hosted.org",
    "npmjs" + ".org",
    "npmjs" + ".com",
    "yarnpkg" + ".com",
    "deb.debian" + ".org",
    "crates" + ".io",
]
# Followed by a slash or a letter, they are places on somebody's machine.
MACHINE_PATHS = [
    "/" + "work/main",
    "/" + "work/shared",
    "/" + "tmp/venv",
    "/" + "root/",
    "/" + "home/[a-z]",
    "/" + "opt/",
]
TOOLS = ["clau" + "de", "anthro" + "pic", "chat" + "gpt", "co" + "pilot", "language" + " model", "generated" + " by"]


def package_modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def tracked_files() -> list[Path]:
    """Return the files that git keeps and that still exist."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout: git does not say which files are the project's")
    # A checkout may belong to another user than the one who runs the tests.
    command = [str(require("git")), "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def occurrences(patterns: list[str], files: list[Path]) -> list[str]:
    """Return `file:line: match` for each place in the files, or in their names, that matches one of the patterns."""
    pattern = re.compile("|".join(patterns), re.IGNORECASE)
    found = []
    for path in files:
        name = str(path.relative_to(ROOT))
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{name}: {match.group()}" for match in pattern.finditer(name)]
        found += [
            f"{name}:{number}: {match.group()}"
            for number, line in enumerate(text.splitlines(), start=1)
            for match in pattern.finditer(line)
        ]
    return found


def readme_command(name: str) -> str:
    """Return the command between the README's markers of this name, as `.ci/run` reads it."""
    section = re.search(rf"<!-- {name}: begin -->\n```console\n(.*?)\n```\n<!-- {name}: end -->", README, re.DOTALL)
    assert section, f"the README has no command between the markers of {name!r}"
    return section.group(1)


def test_no_file_of_the_package_is_too_long_to_be_read_at_once():
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in package_modules()}
    assert lengths, "no module was looked at"
    assert {name: length for name, length in lengths.items() if length >= MAX_LINES} == {}


def test_every_module_says_what_its_room_is_for():
    silent = [path for path in package_modules() if not path.read_text("utf-8").lstrip().startswith(('"""', 'r"""'))]
    assert silent == []


def test_no_file_names_a_package_registry():
    """Whoever installs chooses the registry, in the configuration of their own tools."""
    assert occurrences([re.escape(host) for host in REGISTRIES], tracked_files()) == []


def test_no_file_names_a_place_on_somebodys_machine():
    files = [path for path in tracked_files() if path.name not in VENDORED]
    assert occurrences([rf"(?<![\w.:/-]){path}" for path in MACHINE_PATHS], files) == []


def test_no_file_speaks_of_the_tools_that_wrote_it():
    files = [path for path in tracked_files() if path.name not in VENDORED]
    assert occurrences([rf"\b{words}\b" for words in TOOLS], files) == []


@pytest.mark.parametrize("words", [*REGISTRIES, *TOOLS])
def test_the_search_finds_what_it_looks_for(words, tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path)
    (tmp_path / "a.txt").write_text(f"first\nsee {words.upper()} here\n")
    assert occurrences([re.escape(words)], [tmp_path / "a.txt"]) == [f"a.txt:2: {words.upper()}"]


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_the_import_contracts_are_kept():
    verdict = lint_imports(ROOT)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.fixture
def sketch(tmp_path):
    """Return a copy of the package's rooms with empty modules, under our contracts."""
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["type"] == "layers")
    rooms = [room for layer in layers for room in re.findall(r"\w+", layer)]
    package = tmp_path / "bgdl_jupyter"
    package.mkdir()
    for room in ["__init__", *rooms]:
        (package / f"{room}.py").touch()
    (tmp_path / "pyproject.toml").write_text((ROOT / "pyproject.toml").read_text("utf-8"))
    return package


def test_the_contracts_accept_the_house_as_it_is_drawn(sketch):
    verdict = lint_imports(sketch.parent)
    assert verdict.returncode == 0, verdict.stdout + verdict.stderr


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("utils", ""),
        ("errors", "import bgdl_jupyter.storage"),
        ("transport", "import bgdl_jupyter.storage"),
        ("conditions", "import bgdl_jupyter.transport"),
        ("engine", "import bgdl_jupyter.model"),
        ("engine", "import traitlets"),
        ("events", "import traitlets"),
        ("storage", "import jupyter_core"),
        ("model", "import ipywidgets"),
        ("model", "import bgdl_jupyter.frontends"),
        ("frontends", "import bgdl_jupyter.engine"),
        ("frontends", "import bgdl_jupyter.integrations"),
    ],
)
def test_the_contracts_refuse_what_breaks_the_house(sketch, room, line):
    """A contract that cannot fail would guard nothing."""
    (sketch / f"{room}.py").write_text(f"{line}\n")
    verdict = lint_imports(sketch.parent)
    assert verdict.returncode != 0
    assert "BROKEN" in verdict.stdout


def test_the_readme_has_the_command_that_shows_the_package_and_its_notebook_exists():
    command = readme_command("the demo")
    assert len(command.splitlines()) == 1
    notebook = command.split()[-1]
    assert (ROOT / notebook).is_file()


def test_the_readme_has_the_command_that_runs_the_tests():
    command = readme_command("the tests")
    assert len(command.splitlines()) == 1
    assert "pip install" in command
    assert "[test]" in command
    assert "pytest" in command


@pytest.mark.parametrize("name", ["the demo", "the tests"])
def test_the_gate_runs_the_commands_of_the_readme(name):
    """The gate reads the commands from the README, so that what is written there is what was checked."""
    gate = (ROOT / ".ci" / "run").read_text("utf-8")
    assert f'readme_command "{name}"' in gate
    script = re.search(r"^readme_command\(\) \{.*?^\}", gate, re.DOTALL | re.MULTILINE)
    assert script
    shell = ["bash", "-c", f'{script.group()}\nreadme_command "{name}"']
    answer = subprocess.run(shell, cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == readme_command(name)


def test_every_room_is_on_the_map():
    rooms = {f"`bgdl_jupyter/{path.name}/`" for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    rooms |= {f"`bgdl_jupyter/{path.name}`" for path in PACKAGE.glob("*.py")}
    rooms |= {
        f"`{path.relative_to(ROOT).parts[0]}/`" for path in tracked_files() if len(path.relative_to(ROOT).parts) > 1
    }
    rooms.discard("`bgdl_jupyter/`")
    places = set(re.findall(r"^\| (`[^`]+`) \|", README, re.MULTILINE))
    assert rooms - places == set(), "not on the map of the README"


def test_the_map_shows_only_what_exists():
    places = re.findall(r"^\| `([^`]+)` \|", README, re.MULTILINE)
    assert places
    assert [place for place in places if not (ROOT / place).exists()] == []


def imported_modules(path: Path) -> set[str]:
    """Return the top-level names of what the module imports, lazily too."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in names}


def test_everything_the_package_imports_is_declared():
    """What a developer happens to have installed, a user may not."""
    extras = PYPROJECT["project"]["optional-dependencies"]
    requirements = PYPROJECT["project"]["dependencies"] + [
        requirement for extra in extras.keys() - DEVELOPERS for requirement in extras[extra]
    ]
    declared = {normalized(re.split(r"[<>=!~\[; ]", requirement, maxsplit=1)[0]) for requirement in requirements}
    distributions = packages_distributions()
    imported = {name for path in package_modules() for name in imported_modules(path)}
    foreign = imported - sys.stdlib_module_names - BROUGHT_BY_THE_CALLER - {"bgdl_jupyter"}
    undeclared = {
        name for name in foreign if not declared & {normalized(each) for each in distributions.get(name, [name])}
    }
    assert undeclared == set()


def normalized(distribution: str) -> str:
    """Return the name of a distribution in the form in which two names are compared."""
    return re.sub(r"[-_.]+", "-", distribution).lower()


def test_every_exception_of_the_linter_has_its_reason():
    """One exception on a line, and behind it why."""
    section = (ROOT / "pyproject.toml").read_text("utf-8").split("[tool.ruff.lint]")[1].split("[tool.mypy]")[0]
    exceptions = re.findall(r'^ +"[A-Z]+[0-9]*",.*$', section, re.MULTILINE)
    assert exceptions
    assert [line for line in exceptions if not re.search(r'",  # \S', line)] == []
