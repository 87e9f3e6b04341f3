"""What the names of a notebook may stand for, read off all that is done with them, in whatever order.

Names that meet in a statement are taken to share what they hold. One that ever met a class, an iterator, a
package that is not known here or a shell is *strange*: nothing can be said of what happens when it is shown.
"""

from __future__ import annotations

import ast
import builtins
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mlops_magics.lineage.syntax import dotted
from mlops_magics.steps.ci import pure

# Packages whose objects may be printed, indexed and looked at, and stay what they are.
_KNOWN: Final = frozenset(
    {"numpy", "pandas", "polars", "sklearn", "matplotlib", "mlops_magics", "IPython", "math", "pathlib"}
    | {"datetime", "json", "time", "statistics", "pprint", "typing", "__future__", "warnings"}
)
_EMPTYING: Final = {
    "list", "dict", "set", "tuple", "sum", "sorted", "max", "min", "any", "all", "len", "join",
}  # fmt: skip
_MOVING: Final = {
    *("iter", "map", "filter", "zip", "enumerate", "reversed", "open", "split", "glob", "rglob", "iterdir"),
    *("walk", "ndenumerate", "ndindex", "nditer", "memmap", "scandir", "collect_batches", "register_globals"),
}  # fmt: skip
_MOVING_HEADS: Final = ("iter", "staged_", "gen_", "scan_", "imap", "read_csv_batched", "register_")
_STORED: Final = {"columns", "index", "name"}  # what of an object may be set, so that it stays what it is
_ANYTHING: Final = {
    "setattr", "delattr", "exec", "eval", "globals", "locals", "vars", "get_ipython", "__import__",
}  # fmt: skip
_WHOLE: Final = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Match
_FRAMES: Final = {"_getframe", "currentframe", "user_ns", "__main__", "gc", "inspect"}


@dataclass(frozen=True, slots=True)
class Kinds:
    """What is known of a notebook's names.

    Attributes:
        bound: The names that something binds.
        strange: Those of which nothing can be said.
        callables: Those that may hold a function of the notebook's.
        drawings: Those that may hold a figure or its axes.
        imported: Those that imports bind, and what each stands for; "" where two differ.
        anything: What may read or change any name, or "".
        plots: Whether tables plot themselves by a library that is not known here.
    """

    bound: frozenset[str]
    strange: frozenset[str]
    callables: frozenset[str]
    drawings: frozenset[str]
    imported: dict[str, str]
    anything: str = ""
    plots: bool = False

    def full(self, node: ast.expr) -> str:
        """Write ``plt.plot`` by its module's name; "" where it hangs on no import.

        Args:
            node: The expression.
        """
        head, _, rest = dotted(node).partition(".")
        module = self.imported.get(head, "")
        return f"{module}.{rest}".removesuffix(".") if module else ""


def kinds(trees: Iterable[ast.Module], given: Iterable[str], own: Callable[[str], bool]) -> Kinds:
    """Read all cells of a notebook.

    Args:
        trees: What of each cell is Python.
        given: Names that magics bind.
        own: Tells of a module of no known package whether its values are of known kinds.
    """
    statements = list(_flat(statement for tree in trees for statement in tree.body))
    done = [each for each in statements if not isinstance(each, ast.Import | ast.ImportFrom)]
    found = _imports(statements)
    foreign = {name for name, modules in found.items() if not all(_known(each, own) for each in modules)}
    again = {name for each in done for name in binds(each) if name in found}  # by an import and otherwise
    bound = set(given) | set(found) | {name for each in done for name in binds(each)}
    shared, strange = _Shared(), foreign | again
    for statement in done:
        names = used(statement)
        if _looks(statement):
            continue
        mine = {name for name in names - set(found) if name in bound or not hasattr(builtins, name)}
        shared.together(mine)
        if names & (foreign | again) or moving(statement):
            strange |= mine
    only = {name: next(iter(modules)) if len(modules) == 1 else "" for name, modules in found.items()}
    told = next((told for each in done if (told := unbounded(each) or _patched(each, found))), "")
    drawing = {name for name, modules in found.items() if any(map(_draws, modules))}
    hands = (
        shared.spread(strange),
        _handed(done, set(found), _hands),
        _handed(done, drawing, _drawn) - drawing,
    )
    return Kinds(frozenset(bound), *hands, only, told, any(map(_plots_itself, only.values())))


def _draws(module: str) -> bool:
    return module.startswith("matplotlib")


def _plots_itself(module: str) -> bool:
    return module.partition(".")[0] == "polars"


def _flat(statements: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield statements one by one, those of loops and branches too: what they begin with stands alone."""
    for each in statements:
        blocks = [getattr(each, name, []) for name in ("body", "orelse", "finalbody")]
        blocks += [part.body for part in getattr(each, "handlers", ())]
        if isinstance(each, _WHOLE) or not any(blocks):
            yield each
            continue
        match each:
            case ast.For(target=target, iter=value) | ast.AsyncFor(target=target, iter=value):
                yield ast.copy_location(ast.For(target, value, [ast.Pass()], []), each)
            case ast.With(items=items) | ast.AsyncWith(items=items):
                for item in items:
                    yield _kept(item.optional_vars, item.context_expr)
            case _:
                heads = [part for part in ast.iter_child_nodes(each) if isinstance(part, ast.expr)]
                yield from (_kept(None, part) for part in heads)
        for block in blocks:
            yield from _flat(block)


def _kept(target: ast.expr | None, value: ast.expr) -> ast.stmt:
    """Write what a block begins with as a statement of its own."""
    made = ast.Expr(value) if target is None else ast.Assign([target], value)
    return ast.copy_location(made, value)


def plain_module(tree: ast.Module, own: Callable[[str], bool]) -> bool:
    """Tell whether what a module's functions return is of known kinds.

    Args:
        tree: The module.
        own: Tells the same of the modules that it imports.
    """
    found = _imports(tree.body)
    functions = {part.name for part in tree.body if isinstance(part, ast.FunctionDef)}
    odd = any(
        isinstance(part, ast.Lambda)
        or (isinstance(part, ast.FunctionDef) and part not in tree.body)
        or (isinstance(part, ast.Return) and part.value and _hands(part.value, functions | set(found)))
        for part in ast.walk(tree)
    )
    odd = odd or any(unbounded(each) or moving(each) or _patched(each, found) for each in tree.body)
    return not odd and all(_known(each, own) for modules in found.values() for each in modules)


def used(node: ast.AST) -> set[str]:
    """List all names in a piece of code, whatever is done with them."""
    loaded = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    return loaded | {part.arg for part in ast.walk(node) if isinstance(part, ast.arg)} | binds(node)


def binds(node: ast.AST) -> set[str]:
    """List the names that a piece of code may bind; those of inner scopes, too."""
    return {name for part in ast.walk(node) for name in _bound(part)}


def _bound(part: ast.AST) -> Iterable[str]:
    match part:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
            return (name,)
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return (name,)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return (name,)
        case ast.Global(names=names) | ast.Nonlocal(names=names):
            return names
        case ast.alias(name=name, asname=other) if name != "*":
            return (other or name.partition(".")[0],)
    return ()


def unbounded(node: ast.AST) -> str:
    """Name what in a piece of code may read or change any name of the notebook, or ""."""
    for part in ast.walk(node):
        match part:
            case ast.Name(id=name) if name in _ANYTHING or name in _FRAMES:
                return name
            case ast.Attribute(attr=name) if name in _FRAMES:
                return f".{name}"
            case ast.alias(name=name) if name == "*" or name.partition(".")[0] in _FRAMES:
                return f"import {name}"
            case ast.Constant(value="__main__"):
                return "__main__"
            case ast.Call(
                func=ast.Attribute(attr="query" | "eval" | "sql" as name), args=[first, *_]
            ) if not (isinstance(first, ast.Constant)):
                return f"{name}()"
    return ""


def _patched(statement: ast.stmt, imported: Mapping[str, set[str]]) -> str:
    """Name what of a library a statement puts something else for, or ""."""
    for part in ast.walk(statement):
        if isinstance(part, ast.Attribute) and not isinstance(part.ctx, ast.Load):
            name = dotted(part)
            if name.partition(".")[0] in imported and ".options." not in name:
                return f"{name} is patched"
    return ""


def pries(tree: ast.AST) -> str:
    """Name what in a module may look into the notebook that imports it, or ""."""
    for part in ast.walk(tree):
        name = getattr(part, "id", None) or getattr(part, "attr", None) or getattr(part, "name", None)
        value = getattr(part, "value", None)
        for word in (name, value):
            if isinstance(word, str) and word in _FRAMES | {"get_ipython"}:
                return word
    return ""


def moving(node: ast.AST) -> bool:
    """Tell whether what a piece of code makes may be an iterator, or an object of a class of its own."""
    emptied = {
        id(item)
        for part in ast.walk(node)
        if isinstance(part, ast.Call) and dotted(part.func).rpartition(".")[2] in _EMPTYING
        for item in part.args
    }
    emptied |= {id(part.iter) for part in ast.walk(node) if isinstance(part, ast.For | ast.comprehension)}
    return any(_moves(part) for part in ast.walk(node) if id(part) not in emptied)


def _moves(part: ast.AST) -> bool:
    match part:
        case ast.ClassDef() | ast.Yield() | ast.YieldFrom() | ast.GeneratorExp() | ast.Await():
            return True
        case ast.Call(func=func, keywords=words):
            name = dotted(func).rpartition(".")[2]
            given = {word.arg for word in words}
            chunked = given & {"chunksize", "iterator"} or (None in given and name.startswith("read"))
            return bool(chunked) or name in _MOVING or name.startswith(_MOVING_HEADS)
        case ast.Attribute(ctx=ast.Store() | ast.Del(), attr=name):
            return name not in _STORED
    return False


def _looks(statement: ast.stmt) -> bool:
    """Tell whether a statement keeps nothing of what it is given: it shows a text, or what a call returns."""
    match statement:
        case ast.Expr(value=ast.Call(func=ast.Name(id="print" | "display" | "len"))):
            return not moving(statement)
        case ast.Expr(value=ast.Call(func=ast.Attribute(attr=name))):
            return pure.keeps_nothing(name) and not moving(statement)
        case ast.Expr(value=ast.Constant() | ast.Name()):
            return True
    return False


def _imports(statements: Iterable[ast.stmt]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for part in (node for statement in statements for node in ast.walk(statement)):
        if isinstance(part, ast.Import):
            for item in part.names:
                full = item.name if item.asname else item.name.partition(".")[0]
                found[item.asname or full].add(full)
        elif isinstance(part, ast.ImportFrom):
            module = f"{'.' * part.level}{part.module or ''}"
            for item in part.names:
                found[item.asname or item.name].add(f"{module}.{item.name}")
    return dict(found)


def _known(module: str, own: Callable[[str], bool]) -> bool:
    return module.partition(".")[0] in _KNOWN or own(module)


def _handed(
    statements: Iterable[ast.stmt], first: set[str], hands: Callable[[ast.expr, set[str]], bool]
) -> frozenset[str]:
    """Find the names that may hold something that is handed on from name to name."""
    found = set(first)
    every = [part for statement in statements for part in ast.walk(statement)]
    if hands is _hands:
        found |= {part.name for part in every if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)}
        found |= {f"{part.name}()" for part in every if isinstance(part, ast.FunctionDef) and _makes(part)}
    pairs = [(set(binds(part)), value) for part in every for value in _assigned(part)]
    again = True
    while again:
        again = False
        for names, value in pairs:
            if not names <= found and hands(value, found):
                found |= names
                again = True
    return frozenset(found)


def _assigned(part: ast.AST) -> Iterator[ast.expr]:
    match part:
        case ast.Assign(value=value) | ast.NamedExpr(value=value) | ast.For(iter=value):
            yield value
        case ast.AnnAssign(value=ast.expr() as value):
            yield value


def _makes(node: ast.FunctionDef) -> bool:
    """Tell whether a function may return one."""
    return any(isinstance(part, ast.Lambda | ast.FunctionDef) for part in ast.walk(node) if part is not node)


def _hands(value: ast.expr, found: set[str]) -> bool:
    """Tell whether a value may be a function: one that is not called, or what makes one."""
    called = {id(part.func) for part in ast.walk(value) if isinstance(part, ast.Call)}
    called |= {
        id(part.value) for part in ast.walk(value) if isinstance(part, ast.Attribute)
    }  # a module's name
    for part in ast.walk(value):
        match part:
            case ast.Lambda():
                return True
            case ast.Name(id=name) if name in found and (id(part) not in called or f"{name}()" in found):
                return True
            case ast.Attribute(attr=name) if id(part) not in called and not is_part(name):
                return True
    return False


def is_part(name: str) -> bool:
    """Tell whether an attribute is a value, and no method that whoever gets it could call."""
    return name in pure.PARTS or (name.endswith("_") and not name.startswith("_"))


def _drawn(value: ast.expr, found: set[str]) -> bool:
    """Tell whether a value may be a figure or its axes: by pyplot, a table's own plot, or taken from one."""
    plots = {part.attr for part in ast.walk(value) if isinstance(part, ast.Attribute)} & pure.PLOTS
    return bool(plots or used(value) & found)


class _Shared:
    """Names that may share what they hold, in groups."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def together(self, names: set[str]) -> None:
        """Put names into one group."""
        first, *others = sorted(names) or [""]
        for other in others:
            self._above[self._head(other)] = self._head(first)

    def spread(self, names: set[str]) -> frozenset[str]:
        """Return the names, and all that share something with them."""
        heads = {self._head(name) for name in names}
        return frozenset(names | {name for name in list(self._above) if self._head(name) in heads})

    def _head(self, name: str) -> str:
        self._above.setdefault(name, name)
        while self._above[name] != name:
            name = self._above[name]
        return name
