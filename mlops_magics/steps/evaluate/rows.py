"""The rows that a model is judged on, and what it should say of each: in one table, or side by side."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.foundation.names import Called

_NAMES = ("target", "y", "truth")  # of a column whose values had no name that is free


def together(data: object, target: object, called: Called) -> tuple[Frame, str]:
    """Bring the rows and what is predicted together.

    Args:
        data: A table, the path of one, or an array.
        target: A column of it, or a value a row.
        called: What the user wrote for each.

    Returns:
        The rows with what is predicted as a column, and the name of that column.

    Raises:
        UsageError: What is predicted is not one value a row, or not as many of them as there are rows.
        NotFoundError: There is no such file.
    """
    frame = Frame.of_rows(data, "the test data")
    written, names = called.get("target", ""), {str(name) for name in frame.names}
    if written in names:  # a variable may be called as a column is: the column is meant
        return frame, written
    if isinstance(target, str):
        return frame, target
    if kind_of(target) is not None and len(Frame.of(target).names) == 1:
        target = Frame.of(target).column(0)
    values = _values(target)
    if len(values) != frame.rows:
        told = f"{written or 'The target'} holds {len(values):,} values"
        raise UsageError(
            f"{told}, {called.get('data', 'the data')} {frame.rows:,} rows.", "Take both from the same rows."
        )
    own = getattr(target, "name", None)
    free = (name for name in (own, *_NAMES) if isinstance(name, str) and name and name not in names)
    column = next(free, "")
    if not column:
        raise UsageError(
            f"The test data has columns called {', '.join(_NAMES)}; none is free for what is predicted.",
            "Name the column: --target COLUMN.",
        )
    table = frame.to_pandas()
    return Frame(table.assign(**{column: values}), "pandas", frame.source), column


def _values(target: object) -> Any:  # noqa: ANN401 - what a column of pandas can be made of
    """Take a value a row; the index of either side does not count, as in scikit-learn."""
    array = getattr(target, "array", None)
    if array is not None:  # a pandas Series: its type is kept
        return array
    values = np.asarray(target.to_numpy() if hasattr(target, "to_numpy") else target)
    if values.ndim > 1 and values.shape[1:] == (1,):
        values = values[:, 0]
    if values.ndim != 1:
        raise UsageError(
            "What is predicted must be one value a row.",
            "Name a column of the data, or pass the values: X_test --target y_test.",
        )
    return values
