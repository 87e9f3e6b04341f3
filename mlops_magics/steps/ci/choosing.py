"""Which notebooks must run: those of which something that they execute, show or read has changed."""

from __future__ import annotations

import ast
import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from mlops_magics.steps.ci import hanging
from mlops_magics.steps.ci.book import Book, parse, plain
from mlops_magics.steps.ci.kinds import plain_module
from mlops_magics.steps.ci.reads import Needs, of_book, of_module
from mlops_magics.steps.ci.repository import Repository

_PINS: Final = (
    *("requirements*.txt", "constraints*.txt", "pyproject.toml", "setup.py", "setup.cfg", "*.lock"),
    *("pylock*.toml", "environment*.yml", "environment*.yaml", ".python-version"),
    *("conftest.py", "pytest.ini", "tox.ini"),
)
_WORKFLOWS: Final = (".github/workflows/mlops.yml", ".gitlab/mlops.yml")
_MODULES: Final = 200  # of one notebook; what lies behind those is not looked at


@dataclass(frozen=True, slots=True)
class Choice:
    """A notebook, and whether it must run.

    Attributes:
        path: The notebook, from the project's root.
        runs: Whether it must run.
        because: Why, or why not.
        book: The notebook; None where it cannot be read.
    """

    path: str
    runs: bool
    because: str
    book: Book | None = None


@dataclass(slots=True)
class _Look:
    """What is looked at for one notebook: files of the repository, from its top."""

    repository: Repository
    folders: list[str]
    seen: set[str] = field(default_factory=set)

    def places(self, text: str, folders: Iterable[str]) -> Iterator[str]:
        for folder in folders:
            place = os.path.normpath(f"{folder}/{text}" if folder else text)
            if not place.startswith(".."):
                yield PurePosixPath(place).as_posix()


def choose(paths: Iterable[str], root: Path, repository: Repository, *, scratch: bool) -> tuple[Choice, ...]:
    """Decide for each notebook whether it must run.

    Args:
        paths: The notebooks, from the project's root.
        root: The project's root.
        repository: What git says.
        scratch: Whether they run on an empty store, where nothing is that another one has not made.
    """
    common = _common(root, repository)
    choices = [_choice(path, root, repository, common) for path in paths]
    return _together(choices, scratch=scratch)


def _common(root: Path, repository: Repository) -> str:
    """Say what has changed that concerns each notebook: the pins, or how they are run."""
    inside = root.resolve().relative_to(repository.top.resolve()).as_posix() if repository.base else "."
    for folder in dict.fromkeys((".", inside)):
        for name in sorted(repository.changed):
            where, _, file = name.rpartition("/")
            pinned = (where or ".") == folder and any(fnmatch.fnmatch(file, pin) for pin in _PINS)
            if pinned or name in _WORKFLOWS:
                return f"{name} has changed"
    return ""


def _choice(path: str, root: Path, repository: Repository, common: str) -> Choice:
    try:
        book = parse((root / path).read_bytes())
    except (OSError, ValueError) as error:
        return Choice(path, runs=True, because=f"it cannot be read: {error}")
    if not repository.base:
        return Choice(path, runs=True, because=repository.why, book=book)
    name = (root.resolve() / path).relative_to(repository.top.resolve()).as_posix()
    needs, look, folders = _needed(book, name, root, repository)
    itself, beside = ("", "") if common else _itself(book, name, look)
    behind = "" if common or itself else _files(needs, look, folders) or _modules(needs, look) or needs.unsure
    if beside and needs.pries:
        itself = f"its code has changed ({needs.pries} may look into the notebook)"
    because = common or itself or behind
    left_out = beside or "nothing that it executes, shows or reads has changed"
    return Choice(path, bool(because), because or left_out, book)


def _itself(book: Book, name: str, look: _Look) -> tuple[str, str]:
    """Say what of a notebook itself has changed so that it must run; or what has, and is no reason."""
    if name not in look.repository.changed:
        return "", ""
    before = look.repository.before(name)
    if before is None:
        return "it is new", ""
    try:
        old = parse(before)
    except ValueError:
        return "it has changed", ""
    return _code(old, book, look)


def _code(old: Book, book: Book, look: _Look) -> tuple[str, str]:
    """Say whether what has changed of a notebook's cells is a reason to run it."""
    if [cell.source for cell in old.cells] == [cell.source for cell in book.cells]:
        return ("its outputs have changed", "") if old.essence() != book.essence() else ("", "")
    if not (hanging.makes_models(old) and hanging.makes_models(book)):
        return "its code has changed", ""
    why, count = hanging.hangs(old, book, _Own(look).plain)
    if why:
        return f"its code has changed ({why})", ""
    if hanging.shown_otherwise(old, book):
        return "its outputs have changed", ""
    cells = "the cell that changed is" if count == 1 else f"the {count} cells that changed are"
    return "", f"unchanged: {cells} not part of what makes {hanging.made_by(book)}" if count else ""


def _needed(book: Book, name: str, root: Path, repository: Repository) -> tuple[Needs, _Look, list[str]]:
    """Find what a notebook needs, and where that is looked for."""
    inside = root.resolve().relative_to(repository.top.resolve()).as_posix()
    own = str(PurePosixPath(name).parent)
    needs = of_book(book)
    folders = list(dict.fromkeys((own, inside, f"{inside}/src", ".", "src")))
    folders += [
        place for text in needs.folders if text for place in _Look(repository, []).places(text, [own])
    ]
    return needs, _Look(repository, folders), [own, inside, "."]


@dataclass(slots=True)
class _Own:
    """The project's own modules, asked whether what their functions return is of known kinds."""

    look: _Look
    known: dict[str, bool] = field(default_factory=dict)

    def plain(self, module: str) -> bool:
        """Tell it of one, by its full name or that of something within it."""
        if module not in self.known:
            self.known[module] = False  # in a circle nothing is said
            files = list(_sources(module, self.look))
            self.known[module] = bool(files) and all(self._file(*each) for each in files)
        return self.known[module]

    def _file(self, place: str, package: str) -> bool:
        if place in self.look.repository.changed or package.startswith("."):
            return False
        try:
            tree = ast.parse((self.look.repository.top / place).read_bytes())
        except (OSError, SyntaxError, ValueError, RecursionError):
            return False
        return plain_module(tree, self.plain)


def _files(needs: Needs, look: _Look, folders: list[str]) -> str:
    for text in sorted(needs.texts | needs.read):
        for place in look.places(text, folders) if 0 < len(text) < 300 and "\n" not in text else ():  # noqa: PLR2004
            if found := _differs(place, look.repository, whole=text in needs.read):
                return f"{found} has changed"
    for text in sorted(needs.read - needs.written):
        if "://" in text or text.startswith(("~", "/")):
            needs.doubt(f"it reads {text[:80]}, which is not in the repository")
        elif not any(_kept(place, look.repository) for place in look.places(text, folders)):
            needs.doubt(f"it reads {text[:80]}, which git does not keep")
    return ""


def _differs(place: str, repository: Repository, *, whole: bool) -> str:
    """Name the changed file that a path means; of a folder only where it is surely read."""
    if place in repository.changed:
        return place
    if whole and (found := [name for name in repository.changed if name.startswith(f"{place}/")]):
        return min(found)
    if set(place) & set("*?["):
        return min(fnmatch.filter(repository.changed, place.replace("**/", "*")), default="")
    return ""


def _kept(place: str, repository: Repository) -> bool:
    if set(place) & set("*?["):
        return bool(fnmatch.filter(repository.tracked, place.replace("**/", "*")))
    return place in repository.tracked or any(name.startswith(f"{place}/") for name in repository.tracked)


def _modules(needs: Needs, look: _Look) -> str:
    """Follow the imports of the project's own modules."""
    open_ = sorted(needs.imports)
    while open_ and len(look.seen) < _MODULES:
        for place, package in _sources(open_.pop(), look):
            if place in look.seen:
                continue
            look.seen.add(place)
            if place in look.repository.changed:
                return f"{place} has changed"
            behind = of_module((look.repository.top / place).read_bytes(), package)
            folder = str(PurePosixPath(place).parent)
            if found := _files(behind, look, [*look.folders[:2], ".", folder]):
                return found
            if behind.unsure:
                needs.doubt(f"{place}: {behind.unsure}")
            needs.pries = needs.pries or (place if behind.pries else "")
            open_ += sorted(behind.imports)
    if open_:
        needs.doubt("it imports more modules than are looked at")
    return ""


def _sources(name: str, look: _Look) -> Iterator[tuple[str, str]]:
    """Find the files of a module and its packages, with the package that each is in; gone ones too."""
    parts = name.split(".")
    for folder in look.folders:
        for length in range(1, len(parts) + 1):
            stem = "/".join(parts[:length])
            package = ".".join(parts[:length])
            for file, inner in ((f"{stem}/__init__.py", package), (f"{stem}.py", package.rpartition(".")[0])):
                for place in look.places(file, [folder]):
                    if place in look.repository.changed or (look.repository.top / place).is_file():
                        yield place, inner


def _together(choices: list[Choice], *, scratch: bool) -> tuple[Choice, ...]:
    """Add the notebooks that read a model which another one registers, and those that register it."""
    made = {item.path: _registered(item.book) for item in choices}
    asked = {item.path: _addressed(item.book) - made[item.path] for item in choices}
    found = {item.path: item for item in choices}
    again = True
    while again:
        again = False
        for maker in choices:
            for reader in choices:
                names = made[maker.path] & asked[reader.path]
                first, second = found[maker.path], found[reader.path]
                if not names or first.runs == second.runs:
                    continue
                if first.runs:
                    told = f"{maker.path}, which registers {min(names)}, runs"
                    found[reader.path] = replace(second, runs=True, because=told)
                elif scratch:
                    told = f"it registers {min(names)}, which {reader.path} asks for"
                    found[maker.path] = replace(first, runs=True, because=told)
                else:
                    continue
                again = True
    return tuple(found[item.path] for item in choices)


def _registered(book: Book | None) -> set[str]:
    lines = [line.strip() for cell in (book.cells if book else ()) for line in cell.source.splitlines()]
    words = [plain(line).words for line in lines if "%mlops_register" in line]
    return {each[1] for each in words if len(each) > 1 and not each[1].startswith("-")}


def _addressed(book: Book | None) -> set[str]:
    if book is None:
        return set()
    needs = of_book(book)
    return {text.partition("@")[0].partition("/")[0] for text in needs.texts if len(text) < 100}  # noqa: PLR2004
