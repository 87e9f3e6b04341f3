"""Write a catalogue for translators of what the panel and the promotion desk say: ``make catalogue``.

A language pack of JupyterLab brings what they make of it, under the name ``mlops_magics``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from babel.messages.catalog import Catalog
from babel.messages.extract import extract
from babel.messages.pofile import write_po

_SOURCE = Path(__file__).resolve().parent / "src"
_PACKAGE = _SOURCE.parents[1] / "mlops_magics"
LAB = _SOURCE / "lab"
# The promotion desk, in the panel and in a notebook: the parts of its card.
_DESK = ("action", "blocks", "detail", "evidence", "gates", "promote", "shown", "text", "versions")
FILES = (*sorted(LAB.glob("*.ts")), *(_SOURCE / "cards" / f"{name}.ts" for name in _DESK))
_KEYWORDS = {"trans.__": None, "trans._n": (1, 2)}
_SENTENCES = {"Sentence": None}  # what the server's side says
# The contexts in which JupyterLab's server looks for the words of a schema.
_SCHEMA, _SETTINGS = "schema", "settings"

Message = tuple[str, int, str | tuple[str, ...], str | None]


def messages() -> Iterator[Message]:
    """Find each message: its file, its line, its text (or the texts for one and for many), its context."""
    for path in FILES:
        yield from _of_code(path, "javascript", _KEYWORDS)
    for path in sorted(_PACKAGE.rglob("*.py")):
        if b"Sentence(" in path.read_bytes():
            yield from _of_code(path, "python", _SENTENCES)
    for path in sorted((LAB / "schema").glob("*.json")):
        for text, context in _of_schema(json.loads(path.read_text("utf-8"))):
            yield path.name, 1, text, context


def _of_code(path: Path, language: str, keywords: dict[str, Any]) -> Iterator[Message]:
    with path.open("rb") as file:
        for line, text, _, _ in extract(language, file, keywords=keywords):
            yield path.name, line, text, None


def _of_schema(schema: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, context in (
        ("title", _SCHEMA),
        ("description", _SCHEMA),
        ("jupyter.lab.setting-icon-label", _SETTINGS),
    ):
        yield str(schema[name]), context
    for one in schema["properties"].values():
        yield one["title"], _SETTINGS
        yield one["description"], _SETTINGS


def catalogue() -> Catalog:
    """Make the catalogue."""
    made = Catalog(
        project="mlops-magics",
        domain="mlops_magics",
        copyright_holder="The mlops-magics developers",
        charset="utf-8",
        fuzzy=False,
    )
    for file, line, text, context in messages():
        made.add(text, locations=[(file, line)], context=context)
    return made


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("wb") as file:
        write_po(file, catalogue(), sort_by_file=True)
