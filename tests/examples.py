"""The examples on a page, and what they need: ``tests/documentation/sessions`` has a file a page.

Python blocks are cells, and so is each line of a magic; lines of a shell are commands. Usage, which is told
by its brackets, and grammars are nothing of that.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from pages import ROOT, Block

SESSIONS: Final = ROOT / "tests" / "documentation" / "sessions"
_SHELL: Final = re.compile(r"(?:mlops|pytest|curl|duckdb|export|make|\w+=\S+ serve)\b")
_USAGE: Final = re.compile(r"\[-|\[[A-Z]|\.\.\.\]")


@dataclass(frozen=True)
class Session:
    """What the examples of a page need.

    Attributes:
        before: The cells before the first one.
        between: Cells before those that begin so.
    """

    before: tuple[str, ...] = ()
    between: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def pages() -> list[str]:
    """List the pages that have a session."""
    return sorted(path.name.removesuffix(".txt") for path in SESSIONS.glob("*.md.txt"))


def session(page: str) -> Session:
    """Read the session of a page."""
    parts = re.split(
        r"^=== (.*)\n", (SESSIONS / f"{page}.txt").read_text(encoding="utf-8"), flags=re.MULTILINE
    )
    found = {name.strip(): tuple(_cells(text)) for name, text in zip(parts[1::2], parts[2::2], strict=True)}
    between = {name.removeprefix("at "): made for name, made in found.items() if name.startswith("at ")}
    return Session(found["before"], between)


def left_out() -> dict[tuple[str, str], str]:
    """Read which examples are not done, by page and beginning, and why."""
    lines = (SESSIONS / "left_out.txt").read_text(encoding="utf-8").splitlines()
    rows = [[word.strip() for word in line.split(" | ")] for line in lines]
    return {(page, begin): why for page, begin, why in rows}


def cells(block: Block) -> Iterator[str]:
    """Split a block into what is executed one after the other."""
    if block.language == "python":
        magics = re.search(r"^%", block.text, re.MULTILINE)
        parts = re.split(r"\n\n+", block.text.strip()) if magics else [block.text]
        for part in parts:
            yield from part.splitlines() if re.match(r"%\w", part) else [part]
    elif block.text.startswith("%%") and "\n%" not in block.text:
        yield block.text
    elif block.language in {"", "shell"} and not _USAGE.search(block.text):
        for part in re.split(r"\n\n+", block.text.strip()):
            whole = part.startswith("export") or (part.startswith("%%") and "\n%" not in part)
            if part.startswith("%") or _SHELL.match(part):
                yield from [part] if whole else part.splitlines()


def is_command(cell: str) -> bool:
    """Tell whether something is for a shell."""
    return _SHELL.match(cell) is not None


def _cells(text: str, *words: str) -> Iterator[str]:
    for cell in filter(None, re.split(r"\n\n+", text.strip())):
        if found := re.fullmatch(r"include (\w+)(?: with (.*))?", cell):
            inner = (SESSIONS / f"{found[1]}.txt").read_text(encoding="utf-8")
            yield from _cells(inner, *_told(found[2] or "", *words).split())
        else:
            yield _told(cell, *words).replace("<root>", str(ROOT))


def _told(text: str, *words: str) -> str:
    for place, word in enumerate(words, 1):
        text = text.replace(f"<{place}>", word)
    return text
