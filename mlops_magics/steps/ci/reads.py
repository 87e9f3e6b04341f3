"""What a notebook depends on, read off its code: files by literal paths, and the project's own modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from mlops_magics.lineage import lore, sources
from mlops_magics.steps.ci.book import Book, plain
from mlops_magics.steps.ci.kinds import pries

_ARGUMENTS: Final = {"path", "source", "paths", "path_or_buf", "filepath", "filename", "file", "io", "fname"}
_OF_PATHS: Final = {
    "read_text", "read_bytes", "open", "exists", "stat", "iterdir", "glob", "rglob", "is_file", "is_dir",
}  # fmt: skip
_DATABASE: Final = ("read_sql", "read_database", "sql", "execute", "executemany", "executescript", "commit")
_RUNS_TEXT: Final = {"exec", "__import__", "import_module", "run_path", "run_module", "execfile"}

_EXTENSIONS: Final = re.compile(r"^[ \t]*%(?:re)?load_ext[ \t]+([\w.]+)", re.MULTILINE)


@dataclass(slots=True)
class Needs:
    """What some code needs.

    Attributes:
        texts: All texts in it; each may be a path.
        read: The paths that it surely reads.
        written: Texts that stand in a call that writes.
        imports: Full names of what it imports.
        folders: Folders that it puts on Python's path.
        unsure: Why it may read what nothing says, or "".
        pries: What of it may look at names of the notebook that nobody gave it, or "".
    """

    texts: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    written: set[str] = field(default_factory=set)
    imports: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    unsure: str = ""
    pries: str = ""

    def doubt(self, why: str) -> None:
        """Keep the first reason why it is not known what is read."""
        self.unsure = self.unsure or why


def of_book(book: Book) -> Needs:
    """Find what the cells of a notebook need."""
    found, codes = Needs(), []
    for cell in book.cells:
        bare = plain(cell.source)
        found.texts |= {word.strip("\"'") for word in bare.words}
        found.imports |= set(_EXTENSIONS.findall(cell.source))
        if cell.source.lstrip().startswith("%%writefile"):
            found.written |= set(bare.words)
        if bare.unsure:
            found.doubt(f"{bare.unsure} (code cell {cell.place + 1})")
        codes.append((f"code cell {cell.place + 1}", bare.code))
    trees = []
    for where, code in codes:
        try:
            trees.append(ast.parse(code))
        except (SyntaxError, ValueError, RecursionError):
            found.doubt(f"{where} cannot be read as Python")
    _walk(ast.Module([node for tree in trees for node in tree.body], []), found, "")
    return found


def of_module(content: bytes, package: str) -> Needs:
    """Find what a module needs.

    Args:
        content: Its file.
        package: The package that its relative imports begin from.
    """
    found = Needs()
    try:
        tree = ast.parse(content)
        _walk(tree, found, package)
        found.pries = pries(tree)
    except (SyntaxError, ValueError, RecursionError):
        found.doubt("a module of its own cannot be read as Python")
    return found


def _walk(tree: ast.Module, found: Needs, package: str) -> None:
    known = _known(tree)
    found.imports |= set(sources.imports(tree, package))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.texts.add(node.value)
        elif isinstance(node, ast.BinOp) and (text := _path(node, known)):
            found.texts.add(text)
        elif isinstance(node, ast.Call):
            _call(node, known, found)


def _call(node: ast.Call, known: Mapping[str, str], found: Needs) -> None:
    name = _dotted(node.func)
    last = name.rpartition(".")[2]
    if last in _RUNS_TEXT:
        found.doubt(f"{last}() may execute anything")
    elif last.startswith(_DATABASE):
        found.doubt(f"what {last}() reads is not known")
    elif name == "os.chdir":
        found.doubt("it goes to another folder")
    elif name in {"sys.path.append", "sys.path.insert"}:
        text = _path(node.args[-1], known) if node.args else ""
        found.folders.add(text)
        if not text:
            found.doubt("it puts a folder on Python's path that is not known")
    elif lore.writes_file(name) or lore.writes_unseen(name) or _writes(node):
        found.written |= {text for text in _paths(node, known) if text}
    elif lore.starts_process(name):
        found.doubt("it starts a program, which may read anything")
    elif lore.reads_file(name) or lore.reads_unseen(name):
        _reader(node, name, known, found)


def _reader(node: ast.Call, name: str, known: Mapping[str, str], found: Needs) -> None:
    last = name.rpartition(".")[2]
    given = [*node.args[:1], *(item.value for item in node.keywords if item.arg in _ARGUMENTS)]
    of_path = last in _OF_PATHS and isinstance(node.func, ast.Attribute)
    if of_path and isinstance(node.func, ast.Attribute) and (base := _path(node.func.value, known)):
        inner = _path(given[0], known) if given and last in {"glob", "rglob"} else ""
        found.read.add(f"{base}/**/{inner}" if last == "rglob" else f"{base}/{inner}" if inner else base)
    elif given:
        texts = [_path(item, known) for item in given]
        found.read |= {text for text in texts if text}
        if not all(texts):
            found.doubt(f"the path that {last}() reads is made while it runs")
    elif of_path:
        found.doubt(f"the path that {last}() reads is made while it runs")


def _writes(node: ast.Call) -> bool:
    """Tell whether ``open`` is asked to write."""
    if _dotted(node.func).rpartition(".")[2] != "open":
        return False
    place = 0 if isinstance(node.func, ast.Attribute) else 1
    modes = [*node.args[place : place + 1], *(item.value for item in node.keywords if item.arg == "mode")]
    return any(isinstance(mode, ast.Constant) and set(str(mode.value)) & set("wax") for mode in modes)


def _paths(node: ast.Call, known: Mapping[str, str]) -> Iterator[str]:
    for item in (*node.args, *(word.value for word in node.keywords)):
        yield _path(item, known)
    if isinstance(node.func, ast.Attribute):
        yield _path(node.func.value, known)


def _known(tree: ast.Module) -> dict[str, str]:
    """Find the names that hold one path from beginning to end; a file that is open counts as its path."""
    found: dict[str, str] = {}
    often: set[str] = set()
    pairs: list[tuple[ast.expr, ast.expr]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            pairs += [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.With):
            pairs += [(item.optional_vars, item.context_expr) for item in node.items if item.optional_vars]
        elif isinstance(node, ast.arg):
            often.add(node.arg)
        elif isinstance(node, ast.For | ast.comprehension):
            often |= {item.id for item in ast.walk(node.target) if isinstance(item, ast.Name)}
    for target, value in pairs:
        if not isinstance(target, ast.Name):
            continue
        text = _path(value, found)
        if target.id in found and found[target.id] != text:
            often.add(target.id)
        found[target.id] = text
    return {name: text for name, text in found.items() if text and name not in often}


def _path(node: ast.expr, known: Mapping[str, str]) -> str:
    """Read a path off an expression; "" where it is none that is known."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return known.get(name, "")
        case ast.BinOp(left=left, op=ast.Div(), right=right):
            first, second = _path(left, known), _path(right, known)
            return f"{first}/{second}" if first and second else ""
        case ast.Call(func=ast.Attribute(value=base, attr="open")) if _path(base, known):
            return _path(base, known)
        case ast.Call(args=args) if args and _dotted(node.func).endswith(("Path", "join", "open")):
            texts = [_path(item, known) for item in (args[:1] if _dotted(node.func) == "open" else args)]
            return "/".join(texts) if all(texts) else ""
    return ""


def _dotted(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{_dotted(value)}.{name}"
    return ""
