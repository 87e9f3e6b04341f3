"""The example that lies beside a model, in the types that a request's columns have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.schema import Column
from mlops_magics.serving.cells import decoder
from mlops_magics.serving.rows import Columns


def stored_columns(loaded: LoadedModel) -> Columns:
    """Bring the stored example to the types that the codec makes of a request.

    Args:
        loaded: The model.

    Returns:
        One array a column of the signature; nothing where there is no example, or it lacks a column.
    """
    if loaded.schema is None or loaded.example is None:
        return {}
    if not set(loaded.schema.names) <= set(loaded.example.columns):
        return {}
    return {
        column.name: typed_cells(column, loaded.example[column.name].tolist())
        for column in loaded.schema.columns
    }


def typed_cells(column: Column, cells: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Give cells the type that the codec would: gaps of any kind are gaps of the type."""
    if column.type == "datetime":
        return np.array(
            [np.datetime64("NaT" if is_gap(cell) else cell, "ns") for cell in cells], dtype="M8[ns]"
        )
    return decoder(column)([None if is_gap(cell) else cell for cell in cells])


def is_gap(cell: object) -> bool:
    """Tell whether a cell is None, NaN or NaT."""
    return cell is None or cell != cell  # noqa: PLR0124 - what NaN and NaT are known by
