"""The columns that a model takes, read from its MLmodel file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

import orjson

from mlops_magics.foundation.errors import MLOpsError

Kind = Literal["boolean", "integer", "long", "float", "double", "string", "binary", "datetime"]
KINDS: Final[frozenset[str]] = frozenset(get_args(Kind))

_DTYPES: Final = {
    "double": "float64",
    "float": "float32",
    "long": "int64",
    "integer": "int32",
    "boolean": "bool",
}
_REMEDY = "Log the model again with a signature: pass the training frame when you log it."


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: Its name; a position ("0", "1", ...) where the model's columns have no names.
        type: One of MLflow's eight scalar types.
        required: Whether each request must bring it, without gaps.
    """

    name: str
    type: Kind
    required: bool = True


@dataclass(frozen=True, slots=True)
class Schema:
    """Columns in the model's own order."""

    columns: tuple[Column, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in order."""
        return tuple(column.name for column in self.columns)


def read(signature: object, side: Literal["inputs", "outputs"]) -> Schema | None:
    """Read one side of the signature of an MLmodel file.

    Args:
        signature: The value of ``signature`` in the file.
        side: "inputs" or "outputs".

    Returns:
        The columns, or None where there is no signature or it is not a plain table (tensors, nested
        types): such a model gets a frame as the caller sent it.

    Raises:
        MLOpsError: The signature cannot be read.
    """
    if signature is None:
        return None
    try:
        text = cast("Mapping[str, Any]", signature)[side]
        specs = orjson.loads(text) if text is not None else None
        if specs is None or not all(str(spec["type"]) in KINDS for spec in specs):
            return None
        columns = tuple(
            Column(str(spec.get("name", place)), spec["type"], _required(spec))
            for place, spec in enumerate(specs)
        )
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise MLOpsError(f"The model's signature ({side}) cannot be read.", _REMEDY) from error
    names = [column.name for column in columns]
    if len(set(names)) != len(names):
        raise MLOpsError("The model's signature names a column twice.", _REMEDY)
    return Schema(columns) if columns else None


def _required(spec: Mapping[str, Any]) -> bool:
    """Read whether a column must be there; older MLflow wrote the opposite word."""
    return bool(spec.get("required", not spec.get("optional", False)))


def typed(frame: Any, schema: Schema, null: float | None) -> Any:  # noqa: ANN401 - a pandas frame
    """Give a frame's columns the types of a schema.

    Args:
        frame: The rows, as a pandas frame.
        schema: The columns that the model takes; others are left out.
        null: What a missing text is to the model.
    """
    import pandas as pd

    frame.columns = [str(name) for name in frame.columns]
    made = {}
    for column in schema.columns:
        if column.name not in frame:
            continue
        values, dtype = frame[column.name], _DTYPES.get(column.type)
        if column.type == "datetime":
            made[column.name] = pd.to_datetime(values, utc=False).astype("datetime64[ns]")
        elif dtype is None or (dtype == "bool" and values.isna().any()):
            made[column.name] = values.astype(object).where(values.notna(), null)
        else:
            made[column.name] = values.astype("float64" if values.isna().any() else dtype)
    return pd.DataFrame(made)
