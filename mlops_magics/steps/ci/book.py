"""A notebook as validation sees it: its code, what nbval compares of its outputs, and the tests in it."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

TEST: Final = "mlops_test"
_BODIES: Final = {"time", "timeit", "capture", "prun", "mlops_track", TEST}  # magics whose body is Python
_SHOWS: Final = {"html", "HTML", "javascript", "js", "svg", "SVG", "latex", "markdown", "writefile"}
_ANYTHING: Final = {"sx", "system", "bash", "sh", "script", "run", "cd", "pushd"}  # or from anywhere
_ASSIGNED: Final = re.compile(r"^(\s*[\w., \[\]'\"]+?=\s*)([%!].*)$")
_INSTALLS: Final = re.compile(r"(?:python\S* -m )?(?:pip|uv|conda|mamba)\b")
_RANDOM: Final = {"application/vnd.jupyter.widget-view+json", "image/png", "image/jpeg"}  # nbval skips them


@dataclass(frozen=True, slots=True)
class CodeCell:
    """One code cell.

    Attributes:
        place: Its place among the code cells, from 0 as nbval counts.
        source: Its code.
        outputs: What was saved below it.
        count: When it was executed, in the order of its kernel; None where it never was.
        tags: Its tags.
    """

    place: int
    source: str
    outputs: tuple[Mapping[str, Any], ...]
    count: int | None
    tags: frozenset[str]

    @property
    def steering(self) -> frozenset[str]:
        """The tags that change what validation says of the cell."""
        return frozenset(tag for tag in self.tags if tag == "raises-exception" or tag.startswith("nbval-"))

    @property
    def test(self) -> str | None:
        """What the behaviour test is called that the cell is; None where it is none."""
        first = self.source.lstrip().partition("\n")[0]
        if first.split()[:1] != [f"%%{TEST}"]:
            return None
        words = _words(first)[1:]
        named = [word for word in words[:1] if not word.startswith("-")]
        return " ".join(named[0].split()) if named else f"cell {self.place + 1}"


@dataclass(frozen=True, slots=True)
class Book:
    """A notebook.

    Attributes:
        cells: Its code cells, from the top.
    """

    cells: tuple[CodeCell, ...]

    @property
    def tests(self) -> tuple[str, ...]:
        """The names of the behaviour tests in it."""
        return tuple(cell.test for cell in self.cells if cell.test is not None)

    def essence(self) -> list[Any]:
        """Return what is executed and compared; prose, metadata and numbers of executions are none of it."""
        return [
            [cell.source, sorted(cell.steering), [_essence(item) for item in cell.outputs if _compared(item)]]
            for cell in self.cells
        ]


@dataclass(frozen=True, slots=True)
class Plain:
    """A cell without IPython's own syntax.

    Attributes:
        code: What of it is Python.
        words: The words on the lines of its magics.
        unsure: Why it may read anything, or "".
        magics: The lines of its magics and those for the shell, as written.
    """

    code: str
    words: tuple[str, ...] = ()
    unsure: str = ""
    magics: tuple[str, ...] = ()


def parse(content: bytes) -> Book:
    """Read a notebook.

    Raises:
        ValueError: It is none.
    """
    try:
        cells = json.loads(content)["cells"]
        code = [cell for cell in cells if cell.get("cell_type") == "code"]
        return Book(tuple(_cell(place, cell) for place, cell in enumerate(code)))
    except (KeyError, TypeError, AttributeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"it is no notebook ({type(error).__name__})") from error


def plain(source: str) -> Plain:
    """Take the magics and shell lines out of a cell.

    Args:
        source: The cell, as it was written.
    """
    first, _, rest = source.lstrip().partition("\n")
    words: list[str] = []
    magics: list[str] = []
    unsure = ""
    if first.startswith("%%"):
        name = first[2:].split()[0] if first[2:].split() else ""
        words += _words(first)[1:]
        magics.append(first.rstrip())
        if name not in _BODIES:
            said = "" if name in _SHOWS else f"what %%{name} reads is not known"
            return Plain("", tuple(words), said, tuple(magics))
        source = rest
    lines = []
    for line in source.split("\n"):
        kept, magic = _split(line)
        lines.append(kept)
        if magic:
            words += _words(magic)[1:]
            magics.append(magic.rstrip())
            unsure = unsure or _shell(magic)
    return Plain("\n".join(lines), tuple(words), unsure, tuple(magics))


def _cell(place: int, cell: Mapping[str, Any]) -> CodeCell:
    about = cell.get("metadata") or {}
    return CodeCell(
        place,
        _joined(cell.get("source", "")),
        tuple(cell.get("outputs") or ()),
        cell.get("execution_count"),
        frozenset(map(str, about.get("tags") or ())),
    )


def _joined(text: object) -> str:
    return "".join(map(str, text)) if isinstance(text, list) else str(text)


def _about(output: Mapping[str, Any]) -> Mapping[str, Any]:
    about: Mapping[str, Any] = (output.get("metadata") or {}).get("mlops_magics") or {}
    return about


def _compared(output: Mapping[str, Any]) -> bool:
    return not _about(output).get("transient")


def _essence(output: Mapping[str, Any]) -> list[Any]:
    about = _about(output)
    if about.get("volatile"):
        return ["volatile", about.get("type")]
    data = {key: value for key, value in (output.get("data") or {}).items() if key not in _RANDOM}
    shown = {key: _joined(value) if isinstance(value, list) else value for key, value in sorted(data.items())}
    said = [output.get("ename"), output.get("evalue")]
    return [output.get("output_type"), _joined(output.get("text", "")), shown, said]


def _split(line: str) -> tuple[str, str]:
    """Split a line into what is Python and what is a magic or goes to the shell."""
    bare = line.lstrip()
    if bare.startswith(("%", "!", "?")) or bare.rstrip().endswith("?"):
        return line[: len(line) - len(bare)] + "pass", bare
    found = _ASSIGNED.match(line)
    return (f"{found[1]}None", found[2]) if found else (line, "")


def _shell(magic: str) -> str:
    name = magic.lstrip("%").split()[0] if magic.lstrip("%").split() else ""
    if magic.startswith("!"):
        return "" if _INSTALLS.match(magic.lstrip("! ")) else "a shell line may read anything"
    return (
        f"what is read by %{name} or after it is not known"
        if magic.startswith("%") and name in _ANYTHING
        else ""
    )


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line.rstrip(";"))
    except ValueError:
        return line.split()
