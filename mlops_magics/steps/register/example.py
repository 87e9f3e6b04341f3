"""Example rows that are given for a model: tried whole, kept masked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from mlops_magics.artifact import proof
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.foundation.errors import MLOpsError, UsageError, nearest
from mlops_magics.foundation.frames import Frame
from mlops_magics.foundation.masking import MASK, masked
from mlops_magics.stats.engine import summarize
from mlops_magics.stats.meaning import looks_personal

_TRIED: Final = 200  # rows that a fresh process must answer alike
_KEPT: Final = 5
_LOOKED_AT: Final = 10_000  # rows in which personal data are looked for
_NAMED: Final = 3


def given(model: LoadedModel, rows: object) -> Any:  # noqa: ANN401 - a pandas frame
    """Take rows for a model: its columns, in its order.

    Args:
        model: The model.
        rows: A table, or the path of one; columns that the model does not take are left out.

    Returns:
        At most 200 rows as a pandas frame.

    Raises:
        UsageError: There are no rows, or a column is missing.
    """
    frame = Frame.of(rows, "the example")
    if not frame.rows:
        raise UsageError("The example has no rows.", "Give a few rows as the model takes them.")
    table = frame.head(_TRIED).to_pandas().reset_index(drop=True)
    wanted = _columns(model)
    if wanted is None:
        return _as_wide(model, table)
    names = {str(name): name for name in table.columns}
    missing = [name for name in wanted if name not in names]
    if missing:
        more = f" and {len(missing) - _NAMED} more" if len(missing) > _NAMED else ""
        raise UsageError(
            f"The example lacks columns of the model: {', '.join(missing[:_NAMED])}{more}.",
            nearest(missing[0], names) or "Give rows as the model takes them.",
        )
    return table[[names[name] for name in wanted]]


def _columns(model: LoadedModel) -> tuple[str, ...] | None:
    """Name the columns that a model takes; None where it knows them by their place only."""
    if model.schema is not None:
        names = model.schema.names
        return None if names == tuple(map(str, range(len(names)))) else names
    found = getattr(model.estimator, "feature_names_in_", None)
    return None if found is None else tuple(map(str, found))


def _as_wide(model: LoadedModel, table: Any) -> Any:  # noqa: ANN401 - a pandas frame
    width = getattr(model.estimator, "n_features_in_", table.shape[1])
    if table.shape[1] != width:
        raise UsageError(
            f"The example has {table.shape[1]} columns; the model was fitted on {width}, without names.",
            "Give rows of just these columns, in the order in which it was fitted.",
        )
    return table.set_axis([str(place) for place in range(width)], axis=1)


def written(table: Any, file: Path) -> Path:  # noqa: ANN401 - a pandas frame
    """Write rows into a file that a fresh process reads.

    Raises:
        UsageError: A column holds what no file can.
    """
    try:
        table.to_parquet(file, index=False)
    except Exception as error:  # Arrow's and pandas' own, of several families
        raise UsageError(
            f"The example cannot be handed to a fresh process: {str(error)[:200]}.",
            "Give numbers, texts, truth values and dates, one type a column.",
        ) from error
    return file


def keepable(model: LoadedModel, rows: object, table: Any) -> tuple[Any, Any]:  # noqa: ANN401 - a pandas frame
    """Mask a few rows so that they may be kept, and let the model answer them.

    Args:
        model: The model.
        rows: All that was given: what looks personal shows in many rows.
        table: The rows that are tried.

    Returns:
        The rows and the answers; None and None where the model does not take them masked.
    """
    few = table.head(_KEPT).copy()
    frame = Frame.of(rows, "the example").head(_LOOKED_AT)
    personal = {each.name for each in summarize(frame.data).columns if each.personal}
    for name in few.columns:
        few[name] = _masked(few[name], whole=str(name) in personal)
    try:
        return few, proof.answers(model, few)["predictions"]
    except MLOpsError:
        return None, None


def _masked(column: Any, *, whole: bool) -> Any:  # noqa: ANN401 - a pandas column
    if column.dtype.kind in "biufcmM":
        return column.where(~column.notna(), None) if whole else column
    return column.map(lambda value: _text(value, whole=whole), na_action="ignore").astype(object)


def _text(value: object, *, whole: bool) -> object:
    if not isinstance(value, str):
        return MASK if whole else value
    return MASK if whole or looks_personal(value) else re.sub(r"\S+@\S+", MASK, masked(value))
