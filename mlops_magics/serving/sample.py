"""One row that shows how a request looks, without telling what a row of the training data held."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any, Final

from mlops_magics.artifact import trust
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.schema import Column
from mlops_magics.serving.example import is_gap
from mlops_magics.stats.meaning import Evidence, looks_personal, meaning, personal

_FEW: Final = 20  # categories of a column that name no person
_MADE_UP: Final[dict[str, Any]] = {
    "double": 0.0,
    "float": 0.0,
    "long": 0,
    "integer": 0,
    "boolean": False,
    "string": "text",
    "datetime": "2026-01-01T00:00:00",
    "binary": "AA==",
}


def row(loaded: LoadedModel, private: Collection[str] = ()) -> dict[str, Any] | None:
    """Make a row that the model takes.

    Args:
        loaded: The model.
        private: Columns that are known to be personal.

    Returns:
        A cell a column: from the stored example a number or truth value, unless the column's name looks
        personal or like an id, and a text that is one of few categories which the model learned; all else is
        made up. None where the model has no schema or no such example.
    """
    schema, example = loaded.schema, loaded.example
    if schema is None or example is None or not len(example) or not set(schema.names) <= set(example.columns):
        return None
    texts = not loaded.foreign and any(one.type == "string" for one in schema.columns)
    learned = _categories(loaded.estimator) if texts else set()
    return {
        column.name: _MADE_UP[column.type]
        if column.name in private
        else _cell(column, example[column.name].tolist(), learned)
        for column in schema.columns
    }


def _cell(column: Column, cells: list[Any], learned: set[str]) -> Any:  # noqa: ANN401 - JSON
    made_up = _MADE_UP[column.type]
    held = [cell for cell in cells if not is_gap(cell)]
    if not held or _private(column.name) or column.type in {"datetime", "binary"}:
        return made_up
    if column.type == "string":
        return next((cell for cell in held if cell in learned), made_up)
    try:
        cell = type(made_up)(held[0])
    except (TypeError, ValueError, OverflowError):
        return made_up
    return cell if math.isfinite(cell) else made_up


def _private(name: str) -> bool:
    """Tell by its name alone whether a column may be about a person, or identify one."""
    hint = personal(Evidence(name, "string", rows=5, held=5, distinct=5), "category")
    ids = meaning(Evidence(name, "integer", rows=5, held=5, distinct=5, whole=True)) == "id"
    return bool(hint) or ids


def _categories(estimator: object) -> set[str]:
    """Find the texts that encoders learned as one of few, and that do not look personal."""
    found: set[str] = set()
    for part in trust.parts(estimator):
        known = getattr(part, "categories_", None) if hasattr(part, "__dict__") else None
        for some in known if isinstance(known, list) else ():
            if len(some) <= _FEW:
                found.update(one for one in some if isinstance(one, str) and not looks_personal(one))
    return found
