"""The rules of the house, each held here by a machine."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from order import LONGEST

from mlops_magics.road import CELLS, VERBS, magic_name

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "mlops_magics").rglob("*.py"))
# Folders that no commit holds, or that hold what others wrote; and the package's built front end.
_NOT_OURS = {"node_modules", "__pycache__", "static", "lib", "dist", "build", "mlartifacts", "mlruns", "data"}
_OURS = {
    ".py",
    ".md",
    ".toml",
    ".ts",
    ".css",
    ".mjs",
    ".json",
    ".ipynb",
    ".txt",
    ".yml",
    ".yaml",
    ".html",
    ".cfg",
}
# Put together here, so that this file does not hold what it looks for.
REGISTRIES = re.compile(
    r"https?://[^\s\"']*(?:"
    + "|".join(("py" + "pi", "registry\\.npm" + "js", "files\\.python" + "hosted"))
    + ")"
)
MACHINE = re.compile(r"(?<![\w.])/(?:" + "|".join(("wo" + "rk", "ro" + "ot")) + r")/")


def _named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (
        node for node in ast.walk(_tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )


def _lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first, last = function.body[0], function.body[-1]
    lines = (last.end_lineno or 0) - function.lineno + 1
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        lines -= (first.end_lineno or 0) - first.lineno + 1
    return lines


def _files() -> Iterator[Path]:
    open_ = [ROOT]
    while open_:
        for path in sorted(open_.pop().iterdir()):
            if path.name in _NOT_OURS or (path.name.startswith(".") and path.name != ".ci"):
                continue
            if path.is_dir():
                open_.append(path)
            elif path.suffix in _OURS or path.name == "Makefile" or path.parent.name == ".ci":
                yield path


def test_the_rules_see_the_code() -> None:
    assert len(MODULES) > 50
    assert ROOT / "Makefile" in set(_files())


def test_a_module_has_at_most_400_lines() -> None:
    long = {_named(path): n for path in MODULES if (n := len(path.read_text().splitlines())) > 400}
    assert long == {}


def test_a_function_has_at_most_40_lines() -> None:
    long = {
        f"{_named(path)}:{function.lineno} {function.name}": n
        for path in MODULES
        for function in _functions(path)
        if (n := _lines(function)) > 40
    }
    assert long == {}


def test_no_module_is_named_for_anything() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"}
    assert [_named(path) for path in MODULES if {path.stem, path.parent.name} & vague] == []


def test_nothing_prints() -> None:
    found = [
        f"{_named(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert found == []


def _undocumented(path: Path, parent: ast.Module | ast.ClassDef) -> Iterator[str]:
    if ast.get_docstring(parent) is None and isinstance(parent, ast.Module):
        yield _named(path)
    for node in parent.body:
        if not isinstance(
            node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
        ) or node.name.startswith("_"):
            continue
        decorators = {item.id for item in getattr(node, "decorator_list", ()) if isinstance(item, ast.Name)}
        if ast.get_docstring(node) is None and not decorators & {"overload", "override"}:
            yield f"{_named(path)}:{node.lineno} {node.name}"
        if isinstance(node, ast.ClassDef):
            yield from _undocumented(path, node)


def test_whatever_is_public_has_a_docstring() -> None:
    documented_above = {"error"}  # argparse's own method, overridden
    found = [name for path in MODULES for name in _undocumented(path, _tree(path))]
    assert [name for name in found if name.split()[-1] not in documented_above] == []


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_has_one_name_on_each_floor(verb: str) -> None:
    module, _, function = VERBS[verb].partition(":")
    assert (module, function) == (f"mlops_magics.steps.{verb}", verb)
    step = ROOT / "mlops_magics" / "steps"
    assert (step / f"{verb}.py").is_file() != (step / verb / "__init__.py").is_file()
    assert (ROOT / "tests" / "steps" / f"test_{verb}.py").is_file()
    assert re.search(rf"%{magic_name(verb)}\b", (ROOT / "README.md").read_text())
    assert re.search(rf"^\| {verb} \|", (ROOT / "README.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_things_by_place_and_options_by_name(verb: str) -> None:
    module, _, function = VERBS[verb].partition(":")
    found = inspect.signature(getattr(importlib.import_module(module), function))
    for item in found.parameters.values():
        assert item.kind in {item.POSITIONAL_OR_KEYWORD, item.KEYWORD_ONLY}
        assert item.annotation is not item.empty
    assert found.parameters["settings"].kind is inspect.Parameter.KEYWORD_ONLY


def test_there_is_no_step_beside_the_road() -> None:
    folder = ROOT / "mlops_magics" / "steps"
    steps = {path.stem for path in folder.glob("*.py")} - {"__init__"}
    steps |= {path.parent.name for path in folder.glob("*/__init__.py")}
    assert steps == set(VERBS)
    assert set(CELLS) <= set(VERBS)


def test_the_one_way_contract_has_the_roads_verbs() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    contract = re.search(
        r'name = "The road goes one way".*?^layers = (\[.*?\])', text, re.DOTALL | re.MULTILINE
    )
    assert contract is not None
    assert {verb for layer in ast.literal_eval(contract[1]) for verb in layer.split(" | ")} == set(VERBS)


def test_the_paths_that_contributing_names_are_there() -> None:
    words = re.findall(
        r"`((?:mlops_magics|tests|widgets|notebooks)/[^`]*|[\w.-]+\.(?:toml|md))`",
        (ROOT / "CONTRIBUTING.md").read_text(),
    )
    assert len(words) > 8
    for word in words:
        path = re.sub(r"<\w+>", "*", word)
        assert list(ROOT.glob(path)), f"CONTRIBUTING.md names {word}, which is not there"


@pytest.mark.parametrize(("what", "pattern"), [("a registry", REGISTRIES), ("one machine", MACHINE)])
def test_no_file_holds_the_address_of(what: str, pattern: re.Pattern[str]) -> None:
    found = [
        f"{_named(path)}:{number}"
        for path in _files()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if pattern.search(line)
    ]
    assert found == [], f"the address of {what}"


LOAD = """
import sys, threading, subprocess, os
from traitlets.config import Config
from IPython.core.interactiveshell import InteractiveShell
config = Config()
config.HistoryManager.enabled = False
shell = InteractiveShell(config=config, ipython_dir=sys.argv[1])
before, threads = set(sys.modules), threading.active_count()

def forbidden(*_):
    raise AssertionError("a process is started")

subprocess.Popen.__init__ = os.fork = os.posix_spawn = forbidden
shell.run_line_magic("load_ext", "mlops_magics")
assert "mlops_deploy" in shell.magics_manager.magics["line"]
assert threading.active_count() == threads, threading.enumerate()
print(*sorted(name for name in set(sys.modules) - before if "." not in name))
"""


def test_loading_the_extension_loads_and_starts_nothing(tmp_path: Path) -> None:
    words = [sys.executable, "-c", LOAD, str(tmp_path)]
    loaded = set(subprocess.run(words, check=True, capture_output=True, text=True, cwd=ROOT).stdout.split())
    assert "mlops_magics" in loaded
    heavy = "numpy pandas polars pyarrow mlflow sklearn skops anywidget ipywidgets"
    heavy += " psutil xxhash orjson uvicorn platformdirs"
    assert loaded & set(heavy.split()) == set()


def test_the_files_that_are_begun_first_are_there() -> None:
    names = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert set(LONGEST) <= names
