"""How rows are held out: as the line says, or as prepare divided them, in prepare's words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from mlops_magics.foundation.digests import digest
from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.stats.fingerprints import decoded, values_of
from mlops_magics.stats.splits import How, instants, missing
from mlops_magics.steps.prepare import Prepared
from mlops_magics.tuners import folds as ways
from mlops_magics.tuners.folds import Folds
from mlops_magics.tuners.metrics import Kind


@dataclass(frozen=True, slots=True)
class Division:
    """How rows are to be held out.

    Attributes:
        how: "random", "time" or "group".
        by: What the dates or groups are called; None for a random split.
        column: The dates or groups, a table of one column.
        rows: What is fitted on: without the groups, which no model is to learn by heart.
        notes: What the reader should know.
    """

    how: How
    by: str | None
    column: Frame | None
    rows: Any
    notes: tuple[str, ...] = ()

    def folds(self, truth: Any, kind: Kind, count: int, metric: str) -> Folds:  # noqa: ANN401 - an array
        """Make the folds.

        Args:
            truth: What is predicted.
            kind: What that is.
            count: How many folds to make.
            metric: What is computed.

        Raises:
            UsageError: What the rows are divided by does not suffice for them.
        """
        if self.column is None or self.by is None:
            return ways.at_random(truth, kind, count)
        if self.how == "time":
            made = ways.in_time(instants(self.column, 0, self.by), count, self.by)
        else:
            made = ways.in_groups(_groups(self.column), truth, kind, count, self.by)
        return ways.checked(made, truth, kind, metric, self.by)


def division(
    model: object,
    rows: Any,  # noqa: ANN401 - a table or an array
    *,
    split: How | None,
    by: object,
    called: Mapping[str, str],
) -> Division:
    """Decide how rows are held out.

    Args:
        model: What is tuned; what prepare made brings its own division.
        rows: The rows, without what is predicted.
        split: How to divide them; None where that was not said.
        by: The name of a column of dates or groups, or a value a row; None where that was not said.
        called: What the user wrote for them.

    Raises:
        UsageError: The options do not go together, or the values do not belong to the rows.
        NotFoundError: There is no such column.
    """
    own = model if isinstance(model, Prepared) and model.how in {"time", "group"} else None
    how = split or (cast("How", own.how) if own is not None else "random")
    if how == "random":
        if by is not None:
            raise UsageError("A random split has no --by.", "Say --split time or --split group with it.")
        return Division(how, None, None, rows)
    if by is not None:
        return _divided(how, *_named(rows, by, called), rows, called)
    found = _prepared(own, rows) if own is not None and own.how == how else None
    if found is not None:
        return _divided(how, *found, rows, called)
    if split is None and own is not None:
        note = (
            f"prepare divided by {own.by}, which these rows do not hold: the folds were drawn at random. "
            f"Say --split {how} --by with a value a row."
        )
        return Division("random", None, None, rows, (note,))
    noun = "dates" if how == "time" else "groups"
    raise UsageError(f"--split {how} needs the column of {noun}.", f"Name it: --split {how} --by COLUMN.")


def _divided(how: How, by: str, column: Frame, rows: Any, called: Mapping[str, str]) -> Division:  # noqa: ANN401
    count = Frame.of(rows).rows if kind_of(rows) is not None else rows.shape[0]
    if column.rows != count:
        raise UsageError(
            f"{by} holds {column.rows:,} values, {called.get('data', 'data')} {count:,} rows.",
            "Take both from the same rows.",
        )
    gone = int(missing(decoded(column, 0)).sum())
    if how == "time":
        if 0 < gone < count:  # fitted on first, such a row could tell of what is judged
            raise UsageError(
                f"{by} is missing in {gone:,} of {count:,} rows, which have no place in time.",
                f"Drop these rows first: keep = {by}.notna().",
            )
        return Division(how, by, column, rows)
    notes = (f"{gone:,} rows have no {by}: each is a group of its own.",) if gone else ()
    if kind_of(rows) is not None and by in map(str, Frame.of(rows).names):
        rows = Frame.of(rows).without(by).data
        notes = (f"{by} says which rows belong together: it was taken out of the rows.", *notes)
    return Division(how, by, column, rows, notes)


def _named(rows: Any, by: object, called: Mapping[str, str]) -> tuple[str, Frame]:  # noqa: ANN401
    """Find what rows are divided by: a column, also where a name of the notebook is the same, or values."""
    name, data = called.get("by", by if isinstance(by, str) else None), called.get("data", "data")
    if kind_of(rows) is not None and name is not None:
        frame = Frame.of(Frame.of(rows).data, data)
        if isinstance(by, str) or name in map(str, frame.names):
            return name, frame.select([frame.position(name)])
    if isinstance(by, str):
        raise UsageError(f"{data} has no names of columns.", "Pass a value a row with --by.")
    shown = name or str(getattr(by, "name", None) or "by")
    return shown, _table(by, shown)


def _table(values: Any, name: str) -> Frame:  # noqa: ANN401 - anything that holds a value a row
    import pandas as pd

    if kind_of(values) is None:
        if hasattr(values, "to_frame"):  # a column of pandas or Polars
            values = values.to_frame()
        else:
            array = values.to_pandas() if hasattr(values, "to_pandas") else np.asarray(values)
            if array.ndim != 1:
                raise UsageError(f"{name} holds no value a row.", "Pass one column, or the name of one.")
            values = pd.DataFrame({name: array})
    frame = Frame.of(values, name)
    if len(frame.names) != 1:
        raise UsageError(f"{name} has {len(frame.names)} columns.", "Pass one column, or the name of one.")
    return frame


def _prepared(made: Prepared, rows: Any) -> tuple[str, Frame] | None:  # noqa: ANN401 - a table or an array
    """Find the dates or groups of prepare's own rows, which are fitted on with the features alone."""
    if kind_of(rows) is None or made.by is None:
        return None
    table, train = Frame.of(rows), Frame.of(made.train)
    if made.by in map(str, table.names):
        return made.by, table.select([table.position(made.by)])
    if table.rows != train.rows:
        return None
    try:
        same = train.select([train.position(str(name)) for name in table.names])
    except (NotFoundError, UsageError):
        return None
    return (made.by, train.select([train.position(made.by)])) if digest(same) == digest(table) else None


def _groups(column: Frame) -> Any:  # noqa: ANN401 - an array
    """Number the groups; a row without one is a group of its own."""
    values = decoded(column, 0)
    numbers = np.unique(values_of(values), return_inverse=True)[1].reshape(-1).astype(np.int64)
    gone = missing(values)
    numbers[gone] = len(numbers) + np.arange(int(gone.sum()))
    return numbers
