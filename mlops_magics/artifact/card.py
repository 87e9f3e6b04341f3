"""A model card: what is recorded about a version, as data, as a page and as Markdown; nothing is made up.

What is not known has a sentence that says so in the place where it would stand.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mlops_magics.foundation.blocks import Block, Name, Note, Table, Title, shown
from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.html import page

VERSION: Final = 1
_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]|~])")
_CELL: Final = 300  # characters of a cell in Markdown

Cell = str | int | float | None


@dataclass(frozen=True, slots=True)
class Section:
    """One part of a card.

    Attributes:
        title: What it is about.
        headings: The columns of its table.
        rows: The rows.
        unknown: What is said where there are none.
        notes: Sentences below the table.
    """

    title: str
    headings: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    unknown: str = "Not recorded."
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Card:
    """A model card.

    Attributes:
        model: The registered model's name.
        made: When it was written, as ISO text in UTC.
        sections: Its parts, the ones that are asked for most often first.
    """

    model: str
    made: str
    sections: tuple[Section, ...]

    def section(self, title: str) -> Section:
        """Return a part by its title."""
        return next(each for each in self.sections if each.title == title)

    def to_json(self) -> str:
        """Return it as JSON; what is not finite is null."""
        parts = [
            {
                "title": each.title,
                "headings": each.headings,
                "rows": [[_finite(cell) for cell in row] for row in each.rows],
                "notes": each.notes if each.rows else (each.unknown, *each.notes),
            }
            for each in self.sections
        ]
        told = {"version": VERSION, "model": self.model, "made": self.made, "sections": parts}
        return json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)

    @classmethod
    def from_json(cls, content: bytes | str) -> Card:
        """Read it as :meth:`to_json` wrote it.

        Raises:
            MLOpsError: It is damaged, or of a version that this release does not read.
        """
        try:
            return _card(json.loads(content))
        except (ValueError, KeyError, TypeError) as error:
            raise MLOpsError(
                f"The model card cannot be read ({type(error).__name__}: {error}).",
                "Register the model again from its run: the card is made anew.",
            ) from error

    def files(self) -> dict[str, bytes]:
        """Return its files by name: a page, data, Markdown."""
        return {
            "card.html": self.to_html().encode(),
            "card.json": self.to_json().encode(),
            "card.md": self.to_markdown().encode(),
        }

    def to_html(self) -> str:
        """Return it as a whole page that opens offline, in light and dark."""
        return page(f"Model card of {self.model}", self.blocks())

    def blocks(self) -> Iterator[Block]:
        """Show it."""
        yield Title(f"Model card of {self.model}", self.made[:10])
        yield Note("Facts that were recorded, and nothing else. What is not known says so.", "quiet")
        for each in self.sections:
            yield Title(each.title)
            if each.rows:
                yield Table(each.headings, [tuple(map(_named, row)) for row in each.rows])
            else:
                yield Note(each.unknown, "quiet")
            yield from (Note(text, "quiet") for text in each.notes)

    def to_markdown(self, limit: int | None = None) -> str:
        """Return it as Markdown, whole sections only.

        Args:
            limit: How many characters there may be; what does not fit is named at the end.
        """
        parts = [_markdown(each) for each in self.sections]
        text = "\n\n".join(parts)
        if limit is None or len(text) <= limit:
            return text
        kept: list[str] = []
        left: list[str] = []
        room = limit - 200
        for each, part in zip(self.sections, parts, strict=True):
            fits = sum(map(len, kept)) + 2 * len(kept) + len(part) <= room
            (kept if fits else left).append(part if fits else each.title.lower())
        return "\n\n".join([*kept, f"More is in card.html: {', '.join(left)}."])[:limit]


def _card(told: Mapping[str, Any]) -> Card:
    if told["version"] != VERSION:
        raise ValueError(f"its version is {str(told['version'])[:20]}")
    return Card(str(told["model"]), str(told["made"]), tuple(map(_section, told["sections"])))


def _section(told: Mapping[str, Any]) -> Section:
    rows, notes = tuple(tuple(row) for row in told["rows"]), tuple(told["notes"])
    unknown, *more = ("Not recorded.", *notes) if rows else notes
    return Section(str(told["title"]), tuple(told["headings"]), rows, unknown, tuple(more))


def _markdown(section: Section) -> str:
    lines = [f"### {_escaped(section.title)}", ""]
    if section.rows:
        lines.append(f"| {' | '.join(map(_escaped, section.headings))} |")
        lines.append(f"|{' --- |' * len(section.headings)}")
        lines += [f"| {' | '.join(_escaped(shown(cell)) for cell in row)} |" for row in section.rows]
    told: Sequence[str] = section.notes if section.rows else (section.unknown, *section.notes)
    for note in told:
        lines += ["", _escaped(note)] if lines[-1] else [_escaped(note)]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    """Let nothing in a text be Markdown or HTML."""
    text = " ".join(text[:_CELL].split())
    return _SPECIAL.sub(r"\\\1", text).replace("<", "&lt;")


def _named(cell: Cell) -> Cell | Name:
    return Name(cell) if isinstance(cell, str) else cell


def _finite(cell: Cell) -> Cell:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell
