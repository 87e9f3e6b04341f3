"""Which changed cells a notebook's models, gates and tests can hang on.

A change is traced forwards: the cells that changed, as they were and as they are, and each cell that reads a
name which one of those binds. All of them have to do nothing but show (``showing``); then whatever else the
notebook does finds the same names, files and random numbers as before, and makes the same. Anything that
cannot be read that way counts: the trace grows, and never shrinks.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Final

from mlops_magics.lineage.identity import normalised
from mlops_magics.lineage.names import hidden
from mlops_magics.steps.ci import pure
from mlops_magics.steps.ci.book import Book, CodeCell, plain
from mlops_magics.steps.ci.kinds import Kinds, binds, kinds, unbounded
from mlops_magics.steps.ci.showing import Denied, Shows

_WORD: Final = re.compile(r"[^\W\d]\w*")
_MAKES: Final = re.compile(
    r"%mlops_(?:track|tune|evaluate|test|register|promote|deploy|predict|retrain|features|prepare|reproduce)\b"
)
_QUIET: Final = {"matplotlib", "config", "load_ext", "reload_ext", "who", "whos"} | {
    *("pip", "pwd", "pinfo", "pdoc", "psource"),
}
_TIMED: Final = {"time", "timeit"}
_BODIES: Final = {"%time", "%mlops_track", "%mlops_test"}
_FIGURES: Final = {"savefig", "log_figure", "gcf", "gca", "get_figure"}  # what another cell has drawn


@dataclass(frozen=True, slots=True)
class _Read:
    """A cell, as far as it can be read without being executed."""

    where: str
    tree: ast.Module
    magics: tuple[str, ...]
    reads: frozenset[str]
    binds: frozenset[str]
    anything: str
    figures: bool
    draws: bool


def makes_models(book: Book) -> bool:
    """Tell whether a notebook tracks, judges or registers something."""
    return any(_MAKES.search(cell.source) for cell in book.cells)


def code_of(cell: CodeCell) -> str:
    """Write what a cell does, so that comments and layout do not count."""
    bare = plain(cell.source)
    if cell.source.lstrip().startswith("%%") and not bare.code:
        return cell.source
    try:
        return "\n".join([*bare.magics, normalised(ast.parse(bare.code))])
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return cell.source


def hangs(old: Book, new: Book, own: Callable[[str], bool]) -> tuple[str, int]:
    """Say why a notebook must run although only its code has changed.

    Args:
        old: The notebook, as it was.
        new: The notebook, as it is.
        own: Tells of a module of no known package whether its values are of known kinds.

    Returns:
        Why, or "", and how many cells have changed.
    """
    before, after, gone = _differing(old, new)
    if gone or not after:  # nothing but comments and layout
        return gone, len(after)
    for was, cell in after:
        if told := _unproved(was, cell):
            return told, len(after)
    try:
        read_old = [_read(cell) for cell in old.cells]
        read_new = [_read(cell) for cell in new.cells]
    except Denied as denied:
        return str(denied), len(after)
    first = [*(read_old[cell.place] for cell in before), *(read_new[cell.place] for _, cell in after)]
    every = [*read_new, *(read_old[cell.place] for cell in before)]
    known = kinds(
        [cell.tree for cell in every], [name for cell in every for name in cell.binds - binds(cell.tree)], own
    )
    return _traced(first, every, known), len(after)


def shown_otherwise(old: Book, new: Book) -> bool:
    """Tell whether a cell whose code is the same has other outputs, or another tag that steers validation."""
    before, after, _ = _differing(old, new)
    changed = {cell.place for cell in before}, {cell.place for _, cell in after}
    kept = [
        [each[1:] for place, each in enumerate(book.essence()) if place not in places]
        for book, places in zip((old, new), changed, strict=True)
    ]
    return kept[0] != kept[1]


def _differing(old: Book, new: Book) -> tuple[list[CodeCell], list[tuple[CodeCell | None, CodeCell]], str]:
    """Find the cells that changed: as they were, as they are, and what was taken away or moved."""
    codes = [code_of(cell) for cell in old.cells], [code_of(cell) for cell in new.cells]
    before: list[CodeCell] = []
    after: list[tuple[CodeCell | None, CodeCell]] = []
    for what, start, stop, first, last in SequenceMatcher(None, *codes, autojunk=False).get_opcodes():
        if what == "equal":
            continue
        was, now = old.cells[start:stop], new.cells[first:last]
        if len(was) > len(now):
            return before, after, "a cell is gone"
        if set(codes[1][first:last]) & set(codes[0]):
            return before, after, f"code cell {first + 1} was moved or repeated"
        before += was
        after += zip([*was, *[None] * (len(now) - len(was))], now, strict=True)
    return before, after, ""


def _unproved(was: CodeCell | None, cell: CodeCell) -> str:
    """Say why it is not known that a changed cell runs to its end."""
    where = f"code cell {cell.place + 1}"
    if cell.steering or (was is not None and was.steering):
        return f"{where} has a tag that steers how it is validated"
    if any(output.get("output_type") == "error" for each in (was, cell) if each for output in each.outputs):
        return f"{where} raises"
    stale = was is not None and (was.count, was.outputs) == (cell.count, cell.outputs)
    if cell.count is None or stale:
        return f"{where} was not executed since it was changed"
    return ""


def _read(cell: CodeCell) -> _Read:
    where = f"code cell {cell.place + 1}"
    bare = plain(cell.source)
    try:
        tree = ast.parse(bare.code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Denied(f"{where} cannot be read as Python") from error
    anything, given = f"{where}: {bare.unsure}" if bare.unsure else "", set[str]()
    for line in bare.magics:
        name, _, rest = line.removeprefix("%").partition(" ")  # shell lines that are left only install
        if name in _TIMED:
            tree.body += _timed(rest, where)
        elif not (name.startswith(("mlops", "%mlops", "!")) or name in _QUIET | _BODIES):
            anything = anything or f"{where} runs {line[:40]}"
        words = rest.rstrip(";").split()
        given |= {after for word, after in pairwise(words) if word == "-o"}
    constants = [part.value for part in ast.walk(tree) if isinstance(part, ast.Constant)]
    texts = [text for text in (*constants, *bare.magics) if isinstance(text, str)]
    loaded = _loaded(tree)
    found = loaded | {name for text in texts for name in _WORD.findall(text)}
    if history := sorted(name for name in loaded if hidden(name) and name != "open"):
        anything = anything or f"{where} reads {history[0]}"
    if what := unbounded(tree):
        anything = anything or f"{where}: {what} may read or change any name"
    parts = {part.attr for part in ast.walk(tree) if isinstance(part, ast.Attribute)}
    figures, draws = bool(parts & _FIGURES), bool(parts & (pure.DRAWN | pure.PLOTS))
    return _Read(
        where, tree, bare.magics, frozenset(found), frozenset(binds(tree) | given), anything, figures, draws
    )


def _loaded(tree: ast.Module) -> set[str]:
    """List the names that a cell looks at; one that it only binds is none."""
    found = set()
    for part in ast.walk(tree):
        if isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Store):
            found.add(part.id)
        elif isinstance(part, ast.AugAssign) and isinstance(part.target, ast.Name):
            found.add(part.target.id)
        elif isinstance(part, ast.Global | ast.Nonlocal):
            found |= set(part.names)
    return found


def _timed(line: str, where: str) -> list[ast.stmt]:
    """Read the statement that a line measures."""
    try:
        return ast.parse(line.strip()).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise Denied(f"{where} measures what cannot be read") from error


def _traced(first: Sequence[_Read], every: Sequence[_Read], known: Kinds) -> str:
    """Follow what the changed cells bind; say what of it does more than show."""
    for cell in every:
        if cell.anything:
            return cell.anything
    if known.anything:
        return known.anything
    open_, seen = list(first), set[int]()
    names: set[str] = set(known.drawings) if any(cell.draws for cell in first) else set()
    why = {id(cell): "" for cell in first}
    draws = any(cell.draws for cell in first)
    while open_:
        cell = open_.pop(0)
        seen.add(id(cell))
        try:
            Shows(known).cell(cell.tree, cell.magics)
        except Denied as denied:
            return f"{cell.where}{why[id(cell)]}: {denied}"
        names |= cell.binds
        for other in every:
            met = sorted(names & other.reads) or (["the figure"] if draws and other.figures else [])
            if met and id(other) not in seen and id(other) not in why:
                why[id(other)] = f", which reads {met[0]} of a cell that changed"
                open_.append(other)
    return ""


def made_by(book: Book) -> str:
    """Name what a notebook makes: the models that it registers, else where it tracks."""
    registered = _named(book, "mlops_register", 1)
    tracked = _named(book, "mlops_track", 0)
    return ", ".join(sorted(set(registered) or set(tracked))) or "its models"


def _named(book: Book, verb: str, place: int) -> Iterator[str]:
    for cell in book.cells:
        for line in plain(cell.source).magics:
            words = line.lstrip("%").rstrip(";").split()
            named = [word for word in words[1:] if not word.startswith("-")]
            if words[:1] == [verb] and len(named) > place:
                yield named[place]
