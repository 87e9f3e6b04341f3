"""Whether rows of several requests may be answered together by a model that may do anything with them.

A mean over the rows, a rank among them, a counter: the answer to a row then hangs on its neighbours, which
are other people's. So the stored example is asked row by row and together, in both directions and often.
"""

from __future__ import annotations

import time
from typing import Any, Final

import numpy as np

from mlops_magics.artifact.loadback import as_json
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.proof import alike
from mlops_magics.serving.engines import Computes
from mlops_magics.serving.example import stored_columns
from mlops_magics.serving.rows import Columns

_ROWS: Final = 16  # of the example
_MANY: Final = 128  # rows at once: more than two full groups of single requests have
_LONG: Final = "its example takes long to answer"
_SECONDS: Final = 5.0  # a worker that is to take over should not be waited for longer


def reason(engine: Computes, loaded: LoadedModel) -> str:
    """Say why each request must be answered alone.

    Args:
        engine: What computes.
        loaded: The model.

    Returns:
        The reason; "" where rows may be answered together: each gets the answer that it gets alone, numbers
        to six digits.
    """
    columns = stored_columns(loaded)
    if not columns:
        return "it has no example to try on whether rows may be answered together"
    rows = min(len(loaded.example), _ROWS)
    if not _differ(columns, rows):
        return "its example has no two rows that differ"
    try:
        return _tried(engine, columns, rows)
    except Exception as error:  # noqa: BLE001 - whatever a model raises, it cannot be asked so
        return f"it does not answer its example row by row ({type(error).__name__})"


def _tried(engine: Computes, columns: Columns, rows: int) -> str:
    began = time.monotonic()
    alone = []
    for row in range(rows):
        alone += _asked(engine, columns, [row])
        if time.monotonic() - began > _SECONDS:
            return _LONG
    forward = list(range(rows))
    often = (forward * _MANY)[:_MANY]
    began = time.monotonic()
    for order in (forward, forward[::-1], often, [0]):  # the last one shows whether it remembers
        if order is often and (time.monotonic() - began) / (2 * rows) * _MANY > _SECONDS:
            return _LONG
        if not alike(_asked(engine, columns, order), [alone[row] for row in order]):
            return "its answers hang on the rows beside them, or on what was asked before"
    return ""


def _differ(columns: Columns, rows: int) -> bool:
    """Tell whether any two rows do: of equal ones nothing shows in each other's company."""
    return any(len(set(map(str, cells[:rows].tolist()))) > 1 for cells in columns.values())


def _asked(engine: Computes, columns: Columns, order: list[int]) -> list[Any]:
    places = np.array(order)
    found = engine.predict({name: cells[places] for name, cells in columns.items()}, len(order), "predict")
    return list(as_json(found))
