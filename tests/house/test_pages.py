"""Nothing on the pages is false as far as a machine can tell: each line, option, path and name is there."""

from __future__ import annotations

import contextlib
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pages import PAGES, ROOT, blocks, words

from mlops_magics.foundation.errors import UsageError
from mlops_magics.frontends.magics.line import read
from mlops_magics.frontends.signature import Signature
from mlops_magics.road import CELLS, VERBS, magic_name

_LINE = re.compile(r"^\s*(?:\w+ = )?(%%?mlops\w*|mlops)(?: (.*))?$")
_MAGICS = {f"%{magic_name(verb)}": address for verb, address in VERBS.items()}
_MAGICS |= {f"%%{magic_name(verb)}": address for verb, address in CELLS.items()}
_SHORTENED = re.compile(r"\.\.\.|…|\[|\||<")  # a usage line, or one that is cut short
_OPTION = re.compile(r"(?<![\w-])--[a-z][\w-]*")


def _id(page: Path) -> str:
    return page.name


def _function(address: str) -> Any:
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name)


def _lines(page: Path) -> Iterator[tuple[str, bool]]:
    """Read each line that a user might type, and whether it has to be whole: prose may name half of one."""
    for block in blocks(page):
        yield from ((line, True) for line in block.text.splitlines() if _LINE.match(line))
    yield from ((word, False) for word in words(page) if _LINE.match(word))


@contextlib.contextmanager
def _incomplete() -> Iterator[None]:
    """Let a line be that lacks something, and no other."""
    try:
        yield
    except UsageError as error:
        if not re.search("arguments are required|expected one argument", error.what):
            raise


def _found(line: str) -> tuple[Signature, str] | None:
    """Find the verb of a line, and what stands behind it; None for the command's own options."""
    match = _LINE.match(line)
    assert match is not None
    door, rest = match[1], (match[2] or "").strip()
    if door != "mlops":
        return Signature.of(_function(_MAGICS[door.rstrip("?")]), door), rest
    verb, _, rest = rest.partition(" ")
    if not verb or verb.startswith(("-", "<", "VERB")):
        return None
    return Signature.of(_function(VERBS[verb]), f"mlops {verb}"), rest


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_each_line_is_understood_by_the_verb_that_it_names(page: Path) -> None:
    for line, whole in _lines(page):
        found = _found(line)
        if found is None:
            continue
        signature, rest = found
        known = {item.flag for item in signature.options} | {"--json", "--help"}
        assert set(_OPTION.findall(re.sub(r'"[^"]*"', "", rest))) <= known, line
        if not rest or _SHORTENED.search(rest):
            continue
        told = read(re.sub(r"\{\w+\}", "name", rest), {}).words
        told = tuple(word for word in told if word != "--json")
        if signature.asks_help(told):
            continue
        half = contextlib.nullcontext() if whole else _incomplete()
        with half:
            signature.parse(told, look_up=lambda text: text, given={})


def test_the_lines_are_seen() -> None:
    assert sum(1 for page in PAGES for _ in _lines(page)) > 150


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_what_is_set_as_code_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
        "optional-dependencies"
    ]
    for word in words(page):
        if made := re.fullmatch(r"make ([a-z][\w-]*)(?: .*)?", word):
            assert made[1] in targets, word
        path = re.fullmatch(r"((?:mlops_magics|tests|widgets|notebooks|docs)/[\w./<>*-]+)", word)
        if path:
            assert list(ROOT.glob(re.sub(r"<\w+>", "*", path[1]))), word
    for named in re.findall(r"mlops-magics\[([\w,]+)\]", text):
        assert set(named.split(",")) <= set(extras), named


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_variables_and_settings_are_read_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    code = _code()
    for name in set(re.findall(r"\b(?:MLOPS|MLFLOW)_[A-Z][A-Z0-9_]+\b", text)):
        assert name in code, name
    from mlops_magics.frontends.magics.config import MLOps

    for name in re.findall(r"%config MLOps\.(\w+)", text):
        assert name in MLOps.class_own_traits(), name


def _code() -> str:
    """All that reads a variable: our own sources, the tests' servers, and MLflow's list of its own."""
    import mlflow.environment_variables as theirs

    files = [*(ROOT / "mlops_magics").rglob("*.py"), *ROOT.glob("tests/*.py"), *ROOT.glob("*.py")]
    return "\n".join(path.read_text(encoding="utf-8") for path in (*files, Path(str(theirs.__file__))))


@pytest.mark.parametrize("page", PAGES, ids=_id)
def test_blocks_are_what_they_say_they_are(page: Path) -> None:
    from IPython.core.inputtransformer2 import TransformerManager

    for block in blocks(page):
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "python":
            compile(TransformerManager().transform_cell(block.text), block.place, "exec")


def test_policies_on_the_pages_are_policies(tmp_path: Path) -> None:
    from mlops_magics.steps.promote.governing import read as read_policy

    found = [
        block
        for page in PAGES
        for block in blocks(page)
        if block.language == "toml" and re.search(r"^(?:approvers|promoters) =", block.text, re.MULTILINE)
    ]
    assert found
    for block in found:
        (tmp_path / "policy.toml").write_text(block.text, encoding="utf-8")
        assert read_policy(tmp_path / "policy.toml").promoters, block.place


def test_the_map_has_each_room_and_the_floors_of_the_contract() -> None:
    map_ = ROOT / "docs" / "architecture.md"
    page = map_.read_text(encoding="utf-8")
    package = ROOT / "mlops_magics"
    rooms = {path.name for path in package.iterdir() if (path / "__init__.py").is_file()} | {"road"}
    assert set(re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)) == rooms
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    (layers,) = [one["layers"] for one in contracts["contracts"] if one["name"].startswith("Floors")]
    drawn = next(
        block for block in blocks(ROOT / "docs" / "architecture.md") if block.heading == "The floors"
    )
    assert drawn.text.split("\n") == [*layers, ""]


def test_what_is_said_to_be_open_is_open_and_nothing_else() -> None:
    from mlops_magics.serving.access import OPEN

    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    told = re.search(r"^- Open without a token: (.*?)\. Each other", page, re.MULTILINE)
    assert told is not None
    assert set(re.findall(r"`([^`]+)`", told[1])) == OPEN


def test_what_the_readme_says_of_speed_was_measured() -> None:
    results = (ROOT / "tests" / "benchmarks" / "RESULTS.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", results, re.MULTILINE | re.DOTALL))
    rows = re.findall(
        r"RESULTS\.md#(\w+)\)\) \|.*\| ([\d, ]+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE
    )
    assert len(rows) >= 8
    for section, times in rows:
        found = {
            int(float(number.replace(",", "")))
            for number in re.findall(r"\d[\d,]*(?:\.\d+)?", sections[section])
        }
        assert {int(number) for number in times.split(", ")} <= found, section
