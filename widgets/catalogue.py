"""Write a catalogue of the words that the JupyterLab extension shows, for translators: ``make catalogue``.

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

LAB = Path(__file__).resolve().parent / "src" / "lab"
_KEYWORDS = {"trans.__": None, "trans._n": (1, 2)}
# The contexts in which JupyterLab's server looks for the words of a schema.
_SCHEMA, _SETTINGS = "schema", "settings"

Message = tuple[str, int, str | tuple[str, ...], str | None]


def messages() -> Iterator[Message]:
    """Find each message: its file, its line, its text (or the texts for one and for many), its context."""
    for path in sorted(LAB.glob("*.ts")):
        with path.open("rb") as file:
            for line, text, _, _ in extract("javascript", file, keywords=_KEYWORDS):
                yield path.name, line, text, None
    for path in sorted((LAB / "schema").glob("*.json")):
        for text, context in _of_schema(json.loads(path.read_text("utf-8"))):
            yield path.name, 1, text, context


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
