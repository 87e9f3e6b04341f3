"""A table as the body of a request in MLflow's scoring protocol."""

from __future__ import annotations

from typing import Any, Literal

import orjson

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.frames import Frame

_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def split_body(frame: Frame, method: Literal["predict", "predict_proba"] = "predict") -> bytes:
    """Write a table as ``dataframe_split`` JSON; gaps of every kind become null, dates ISO text.

    Args:
        frame: The table.
        method: What to ask the model for.

    Raises:
        UsageError: A column holds what JSON cannot: the message names the column.
    """
    data = frame.to_pandas()
    columns = [_values(data.iloc[:, i]) for i in range(data.shape[1])]
    split = {"columns": [str(name) for name in data.columns], "data": list(zip(*columns, strict=True))}
    body: dict[str, Any] = {"dataframe_split": split}
    if method != "predict":
        body["params"] = {"method": method}
    try:
        return orjson.dumps(body, option=_OPTIONS)
    except TypeError as error:
        raise UsageError(
            f"A column of {frame.source} cannot be sent: {error}.",
            "Send numbers, text, truth values and dates; drop the other columns.",
        ) from error


def _values(column: Any) -> list[Any]:  # noqa: ANN401 - a pandas column
    if column.dtype.kind in "mM":
        column = column.map(lambda moment: moment.isoformat(), na_action="ignore")
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values
