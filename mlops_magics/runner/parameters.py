"""Parameters of a notebook: new values for names that one tagged cell assigns, and nothing else.

A name never becomes code: it must be one that the cell tagged ``parameters`` assigns. A value becomes code
only as the literal of a JSON value, which is read back and compared before it is believed.
"""

from __future__ import annotations

import ast
import copy
import keyword
import math
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mlops_magics.foundation.errors import UsageError, nearest
from mlops_magics.runner.book import Book
from mlops_magics.runner.job import Value

TAG: Final = "parameters"
INJECTED: Final = "injected-parameters"
_HEAD: Final = "# The parameters of this execution."
_ID: Final = "injected-parameters"
_SHOWN: Final = 40
_REMEDY: Final = (
    "Tag one cell 'parameters' that assigns the defaults (JupyterLab: Property Inspector, Cell Tags)."
)
_ATOMS: Final = (type(None), bool, int, str)


def injected(book: Book, parameters: Mapping[str, Value]) -> dict[str, Any]:
    """Put parameters into a notebook, in a cell behind the one that assigns their defaults.

    What an earlier execution put there is taken out.

    Args:
        book: The notebook; it is not changed.
        parameters: Values by name.

    Returns:
        The notebook to execute.

    Raises:
        UsageError: The notebook has no cell for them, or two; or a name or a value cannot be given.
    """
    node = copy.deepcopy(book.node)
    node["cells"] = [cell for cell in node["cells"] if INJECTED not in _tags(cell)]
    tagged = [place for place, cell in enumerate(node["cells"]) if _is_tagged(cell)]
    if len(tagged) > 1:
        cells = " and ".join(str(place + 1) for place in tagged[:2])
        raise UsageError(f"{book.name} has two cells tagged 'parameters': {cells}.", "Leave the tag on one.")
    if not parameters:
        return node
    if not book.is_python:
        raise UsageError(f"{book.name} is not in Python.", "Parameters are given to Python notebooks only.")
    if not tagged:
        raise UsageError(f"{book.name} has no cell tagged 'parameters'.", _REMEDY)
    known = assigned(node["cells"][tagged[0]]["source"], book.name)
    lines = [_line(name, value, known) for name, value in parameters.items()]
    node["cells"].insert(tagged[0] + 1, _cell("\n".join([_HEAD, *lines]), node["cells"]))
    return node


def assigned(source: str, name: str) -> tuple[str, ...]:
    """List the names that a cell assigns at its top level.

    Args:
        source: The cell.
        name: The notebook's name, for the sentence.

    Raises:
        UsageError: The cell is no Python.
    """
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise UsageError(
            f"The cell tagged 'parameters' of {name} is not plain Python.", "Let it assign the defaults only."
        ) from error
    return tuple(dict.fromkeys(found for statement in tree.body for found in _targets(statement)))


def _targets(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=targets):
            parts: list[ast.expr] = list(targets)
        case ast.AnnAssign(target=target, value=value) if value is not None:
            parts = [target]
        case _:
            return
    while parts:
        part = parts.pop(0)
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Tuple | ast.List):
            parts = [*part.elts, *parts]


def _line(name: str, value: Value, known: tuple[str, ...]) -> str:
    if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name):
        raise UsageError(f"{str(name)[:_SHOWN]!r} cannot be a parameter.", "A parameter is a name of Python.")
    if name not in known:
        raise UsageError(
            f"The cell tagged 'parameters' does not assign {name[:_SHOWN]}.",
            nearest(name, known) or "It assigns nothing yet: let it assign the defaults.",
        )
    return f"{name} = {_literal(name, value)}"


def _literal(name: str, value: Value) -> str:
    """Write a value as Python; only what reads back as the same value is taken."""
    problem = UsageError(
        f"The value of {name} cannot be written into a notebook.",
        "Give what JSON has: text, a finite number, true, false, null, lists and objects of these.",
    )
    try:
        if not _is_json(value):
            raise problem
        text = ascii(value)  # no character in it that an editor or a parser might take for something else
        same = ast.literal_eval(text) == value
    except (RecursionError, ValueError, MemoryError, SyntaxError):
        same = False
    if not same:
        raise problem
    return text


def _is_json(value: object) -> bool:
    """Tell whether a value is JSON's; subclasses may represent themselves as anything, so they are not."""
    kind = type(value)
    if kind is float:
        return math.isfinite(value)  # type: ignore[arg-type]
    if kind is list:
        return all(map(_is_json, value))  # type: ignore[call-overload]
    if kind is dict:
        return all(type(key) is str and _is_json(item) for key, item in value.items())  # type: ignore[attr-defined]
    return kind in _ATOMS


def _is_tagged(cell: Mapping[str, Any]) -> bool:
    return cell["cell_type"] == "code" and TAG in _tags(cell)


def _tags(cell: Mapping[str, Any]) -> list[Any]:
    found = cell["metadata"].get("tags", [])
    return found if isinstance(found, list) else []


def _cell(source: str, others: list[dict[str, Any]]) -> dict[str, Any]:
    taken, made = {cell["id"] for cell in others}, _ID
    while made in taken:
        made += "-"
    return {
        "cell_type": "code",
        "id": made,
        "metadata": {"tags": [INJECTED]},
        "source": source,
        "outputs": [],
        "execution_count": None,
    }
