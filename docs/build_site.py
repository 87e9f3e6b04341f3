"""What the site is made of beside the pages here: the front page, the notebooks, a page for each verb."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

from mlops_magics.frontends.signature import Parameter, Signature
from mlops_magics.road import CELLS, VERBS, magic_name

ROOT = Path(__file__).resolve().parents[1]
_COPIED = {"index.md": "README.md", "changelog.md": "CHANGELOG.md", "contributing.md": "CONTRIBUTING.md"}
_LINK = re.compile(r"\[([^\]\[]*)\]\(([^)\s]+)\)")
_BEGINNING = ("tutorial", "migrate", "team")  # pages for who comes to it
_INSIDE = ("architecture", "security", "release")  # pages for who looks into it
_SECTION = re.compile(r"^(Args|Returns|Raises):\n", re.MULTILINE)


def pages() -> dict[str, str]:
    """Make the pages that no file of this folder holds: path -> Markdown."""
    made = {page: _moved((ROOT / file).read_text(encoding="utf-8")) for page, file in _COPIED.items()}
    made |= {f"notebooks/{path.stem}.md": notebook(path) for path in _notebooks()}
    return made | {f"reference/{verb}.md": reference(verb) for verb in VERBS}


def reference(verb: str) -> str:
    """Write the page of a verb: its three doors, what it does, all that it takes, gives and raises.

    Args:
        verb: The verb.
    """
    found = _signature(VERBS[verb], f"%{magic_name(verb)}")
    shell = "mlops" if verb == "status" else f"mlops {verb}"
    doors = [found.usage, shell + found.usage.removeprefix(found.name), f"mlops_magics.{verb}(...)"]
    parts = [f"# {verb}", "```\n" + "\n".join(doors) + "\n```"]
    if (ROOT / "docs" / f"{verb}.md").is_file():
        parts.append(f"[How {verb} works, at length](../{verb}.md).")
    parts += _described(found)
    if verb in CELLS:
        cell = _signature(CELLS[verb], f"%%{magic_name(verb)}")
        parts += [f"## Above a cell: `{cell.name}`", f"```\n{cell.usage}\n```", *_described(cell)]
    return "\n\n".join(parts) + "\n"


def notebook(path: Path) -> str:
    """Write a notebook as a page: its prose, its cells, and what they said as text.

    Args:
        path: The notebook.
    """
    parts = []
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] != "code":
            parts.append(_linked(source, "../"))
            continue
        parts.append(_fenced(source, "python"))
        said = [text for output in cell["outputs"] if (text := _said(output))]
        parts += [_fenced("\n".join(said), "text")] if said else []
    return "\n\n".join(parts) + "\n"


def on_config(config: Any) -> Any:  # noqa: ANN401 - MkDocs ships no types for its hooks
    """Put the pages in order: the road, then what no verb is named for."""
    there = {path.stem for path in (ROOT / "docs").glob("*.md")}
    guides = [verb for verb in VERBS if verb in there]
    guides += sorted(there - {*guides, *_BEGINNING, *_INSIDE})
    config.nav = [
        {"Home": "index.md"},
        {"Begin": [f"{name}.md" for name in _BEGINNING]},
        {"Notebooks": [f"notebooks/{path.stem}.md" for path in _notebooks()]},
        {"How to": [f"{name}.md" for name in guides]},
        {"Reference": [f"reference/{verb}.md" for verb in VERBS]},
        {"Changes": "changelog.md"},
        {"Inside": [*(f"{name}.md" for name in _INSIDE), "contributing.md"]},
    ]
    return config


def on_files(files: Any, config: Any) -> Any:  # noqa: ANN401 - as above
    """Add the pages that are made."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:  # noqa: ANN401 - as above
    """Let links to notebooks and to the top folder's pages lead to their pages here."""
    told = re.sub(r"\]\(\.\./notebooks/(\w+)\.ipynb\)", r"](notebooks/\1.md)", markdown)
    for page, file in _COPIED.items():
        told = told.replace(f"](../{file})", f"]({page})")
    return told


def _notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))


def _said(output: dict[str, Any]) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain") or ""
    return "".join(text).rstrip("\n")


def _fenced(text: str, language: str) -> str:
    fence = "`" * max(3, max((len(run) for run in re.findall("`+", text)), default=0) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _linked(text: str, up: str) -> str:
    """Let the links of a notebook's prose lead to pages; what the site does not hold stays words."""

    def told(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        if target.startswith("../docs/"):
            return f"[{words}]({up}{target.removeprefix('../docs/')})"
        if target.endswith(".ipynb") and "/" not in target:
            return f"[{words}]({target.removesuffix('.ipynb')}.md)"
        return found[0] if target.startswith(("http", "#")) else words

    return _LINK.sub(told, text)


def _signature(place: str, name: str) -> Signature:
    module, _, function = place.partition(":")
    return Signature.of(getattr(importlib.import_module(module), function), name)


def _described(found: Signature) -> list[str]:
    summary, sections = _split(found.document)
    parts = [_inline(summary)]
    shown = [item for item in found.parameters if item.kind != "given"]
    if shown:
        rows = [f"| {_written(item)} | {_default(item)} | {_cell(item.about)} |" for item in shown]
        parts.append("\n".join(["| what | default | |", "| --- | --- | --- |", *rows]))
    if sections.get("Returns"):
        parts += ["## Returns", _inline(inspect.cleandoc(sections["Returns"]))]
    if sections.get("Raises"):
        raised = re.findall(r"^(\w+): (.*(?:\n +.*)*)", inspect.cleandoc(sections["Raises"]), re.MULTILINE)
        parts += [
            "## Raises",
            "\n".join(f"- `{name}`: {_inline(' '.join(why.split()))}" for name, why in raised),
        ]
    return parts


def _split(document: str) -> tuple[str, dict[str, str]]:
    """Split a docstring into what comes before its sections, and the sections."""
    before, *rest = _SECTION.split(document)
    return before.strip(), dict(zip(rest[::2], rest[1::2], strict=True))


def _written(item: Parameter) -> str:
    if item.kind in {"thing", "text"}:
        return f"`{item.name.upper()}`"
    values = " ".join(f"`{choice}`" for choice in item.choices)
    return f"`{item.flag}` {values}".strip()


def _default(item: Parameter) -> str:
    if item.required:
        return "required"
    empty = item.default is None or item.default in ((), "") or item.kind == "flag"
    return "" if empty else f"`{item.default}`"


def _cell(text: str) -> str:
    return _inline(text).replace("|", "\\|")


def _inline(text: str) -> str:
    """Turn reStructuredText's double backticks into Markdown's."""
    return text.replace("``", "`")


def _moved(text: str) -> str:
    """Take a page of the top folder into the site: links lead into it, or are words."""

    def told(found: re.Match[str]) -> str:
        words, target = found[1], found[2]
        if target.startswith("docs/"):
            return f"[{words}]({target.removeprefix('docs/')})"
        if target.startswith("notebooks/") and target.endswith(".ipynb"):
            return f"[{words}]({target.removesuffix('.ipynb')}.md)"
        return found[0] if target.startswith("http") else words

    return _LINK.sub(told, text)
