"""Which columns of some rows a model like the champion's is fitted on, and asked with."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from mlops_magics.foundation.errors import NotFoundError, UsageError, nearest
from mlops_magics.steps.retrain.marks import Table, has
from mlops_magics.tracking.subject import Opened


def columns_of(opened: Opened, rows: Table, besides: Collection[str]) -> tuple[Any, ...]:
    """Name the columns that a model takes, in their order.

    Args:
        opened: The model, with what was kept beside it.
        rows: The rows, a pandas frame.
        besides: The target and the cursor: a model that knows its columns by their place alone takes neither.

    Raises:
        NotFoundError: The rows lack one of them.
        UsageError: The rows have one of them twice, or another number of columns than the model, which
            knows no names.
    """
    known = _names(opened)
    if known is None:
        return _as_wide(opened.estimator, tuple(name for name in rows.columns if name not in besides))
    missing = [name for name in known if name not in rows.columns]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        others = (str(name) for name in rows.columns if name not in known and name not in besides)
        raise NotFoundError(
            f"The rows have no column '{missing[0]}'{more}, which the champion's model takes.",
            nearest(str(missing[0]), others) or "Name rows with all columns that it was fitted on.",
        )
    for name in known:
        has(rows, name)
    return known


def _names(opened: Opened) -> tuple[Any, ...] | None:
    """Name the columns by what the model says, else by its signature; None where it has but places."""
    found = getattr(opened.estimator, "feature_names_in_", None)
    if found is not None:
        return tuple(found)
    takes = None if opened.kept is None else opened.kept.takes
    if takes is None or takes.schema is None:
        return None
    names = takes.schema.names
    return None if names == tuple(map(str, range(len(names)))) else names


def _as_wide(estimator: Any, found: tuple[Any, ...]) -> tuple[Any, ...]:  # noqa: ANN401 - any estimator
    width = getattr(estimator, "n_features_in_", len(found))
    if len(found) != width:
        raise UsageError(
            f"The rows have {len(found)} columns beside target and cursor; the champion's model was fitted "
            f"on {width}, without names.",
            "Name rows with just these columns, in the order in which it was fitted.",
        )
    return found
