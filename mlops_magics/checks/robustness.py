"""The gate that asks what a model does with rows that are not quite as it was promised."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_magics.checks import jitter
from mlops_magics.checks.base import Verdict, failed, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.jitter import Moved
from mlops_magics.checks.model import Model, one_thread, reason
from mlops_magics.foundation.blocks import shown

_ROWS = 32
_COLUMNS = 50  # a column is one more call; a wide table must not take minutes
_UNSEEN = "mlops-magics: a value never seen"
_LISTED = 3
_CLOSE = 1e-6


class Robustness:
    """A usable answer to gaps in columns that have gaps here, to unseen categories, and to one row alone.

    The order of the columns must not change an answer; to refuse another order is as good. Only a
    few rows, spread over the table, are asked.

    How far answers move by noise in the numbers, and by numbers beyond what was seen, is told. How far they
    may move nobody can know who does not know what the numbers mean: only a ``noise_drop`` of the policy
    makes a fault of it.
    """

    name = "robustness"

    def judge(self, facts: Facts) -> Verdict:
        """Ask the model again, each time with something odd."""
        rows = facts.rows.iloc[np.unique(np.linspace(0, len(facts.rows) - 1, _ROWS).astype(int))]
        noise = past = None
        with one_thread():
            asked, faults = _faults(facts.model, rows, facts.rows.isna().any().to_numpy())
            if not facts.given.unusable:
                noise, past = jitter.jittered(facts), jitter.beyond(facts)
        faults += _too_far(facts, noise, past)
        told = f" {jitter.worded(noise, past, facts.problem.kind)}".rstrip()
        if faults:
            found = "; ".join(faults)
            return failed(self.name, float(len(faults)), 0.0, f"Not withstood: {found}.{told}")
        skipped = max(0, rows.shape[1] - _COLUMNS)
        more = f" ({skipped} columns beyond {_COLUMNS} were not tried)" if skipped else ""
        held = "Gaps where some occur, unseen categories, one row alone and another column order hold"
        return passed(self.name, 0.0, 0.0, f"{held}: {asked} trials{more}.{told}")


def _too_far(facts: Facts, noise: Moved | None, past: Moved | None) -> list[str]:
    """Name what noise and numbers beyond what was seen do, where the policy bounds it."""
    allowed = facts.policy.noise_drop
    if allowed is None:
        return []
    faults = [
        f"{what} (no answer)"
        for what, moved in (("noise", noise), ("a value beyond", past))
        if moved and moved.trouble
    ]
    if noise is not None and noise.lost is not None and noise.lost > allowed:
        lost = f"{noise.metric} loses {shown(noise.lost)} at least, {shown(allowed)} may be lost"
        faults.append(f"noise ({lost})")
    return faults


def _faults(model: Model, rows: Any, gaps: npt.NDArray[np.bool_]) -> tuple[int, list[str]]:  # noqa: ANN401 - a pandas table
    plain, asked, faults = model.answer(rows), 2, list[str]()
    for title, trials in (
        ("a missing value in", _without(rows, gaps)),
        ("an unseen category in", _with_unseen(rows)),
    ):
        columns, why, count = _unanswered(model, trials)
        asked += count
        if columns:
            faults.append(f"{title} {_listed(columns)} ({why})")
    faults += [fault for fault in (_alone(model, rows, plain), _reordered(model, rows, plain)) if fault]
    return asked, faults


def _without(rows: Any, gaps: npt.NDArray[np.bool_]) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - pandas tables
    """Empty one column at a time, of those that have gaps in these data: in others none is to be expected."""
    for place in range(min(rows.shape[1], _COLUMNS)):
        column = rows.iloc[:, place]
        if gaps[place] and column.dtype.kind in "iuf":
            empty = column.astype(np.float64) if isinstance(column.dtype, np.dtype) else column
            yield (
                str(rows.columns[place]),
                _replaced(rows, place, empty.where(np.zeros(len(rows), dtype=bool))),
            )


def _with_unseen(rows: Any) -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - pandas tables
    import pandas as pd

    for place in range(min(rows.shape[1], _COLUMNS)):
        dtype = rows.iloc[:, place].dtype
        if isinstance(dtype, pd.CategoricalDtype):
            if pd.api.types.is_numeric_dtype(dtype.categories.dtype):
                continue  # a number beyond the categories would be of another type than any of them
            strange = pd.Categorical([_UNSEEN] * len(rows), categories=[*dtype.categories, _UNSEEN])
            yield str(rows.columns[place]), _replaced(rows, place, pd.Series(strange, index=rows.index))
        elif _holds_text(rows.iloc[:, place]):
            strange = pd.Series([_UNSEEN] * len(rows), index=rows.index, dtype=dtype)
            yield str(rows.columns[place]), _replaced(rows, place, strange)


def _holds_text(column: Any) -> bool:  # noqa: ANN401 - a pandas column
    import pandas as pd

    if column.dtype == object:
        there = column.dropna()
        return bool(len(there)) and all(isinstance(value, str) for value in there)
    return isinstance(column.dtype, pd.StringDtype)


def _replaced(rows: Any, place: int, values: Any) -> Any:  # noqa: ANN401 - pandas tables
    changed = rows.copy()
    changed.isetitem(place, values)
    return changed


def _unanswered(model: Model, trials: Iterator[tuple[str, Any]]) -> tuple[list[str], str, int]:
    columns, why, count = list[str](), "", 0
    for name, rows in trials:
        count += 1
        fault = _fault(model, rows)
        if fault:
            columns.append(name)
            why = why or fault
    return columns, why, count


def _fault(model: Model, rows: Any) -> str:  # noqa: ANN401 - a pandas table
    try:
        answer = model.answer(rows)
    except Exception as error:  # noqa: BLE001 - whatever it raises, a caller gets no answer
        return reason(error)
    return "" if _usable(answer) else "the answer is not finite"


def _usable(answer: npt.NDArray[Any]) -> bool:
    import pandas as pd

    if answer.dtype.kind in "iufb":
        return bool(np.isfinite(answer).all())
    return not bool(pd.isna(answer).any())


def _same(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind in "iufb" and other.dtype.kind in "iufb":
        return bool(np.allclose(one, other, rtol=_CLOSE, atol=_CLOSE, equal_nan=True))
    return bool((one == other).all())


def _alone(model: Model, rows: Any, plain: npt.NDArray[Any]) -> str:  # noqa: ANN401 - a pandas table
    try:
        answer = model.answer(rows.head(1))
    except Exception as error:  # noqa: BLE001 - whatever it raises, a caller gets no answer
        return f"a single row ({reason(error)})"
    if not _usable(answer):
        return "a single row (the answer is not finite)"
    return "" if _same(answer, plain[:1]) else "a single row (it is answered otherwise than among others)"


def _reordered(model: Model, rows: Any, plain: npt.NDArray[Any]) -> str:  # noqa: ANN401 - a pandas table
    if not model.named or rows.shape[1] < 2:  # noqa: PLR2004 - an array has no names to go by
        return ""
    try:
        answer = model.answer(rows.iloc[:, ::-1])
    except Exception:  # noqa: BLE001 - a refusal changes no answer
        return ""
    return "" if _same(answer, plain) else "another order of columns (it changes the answers)"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


GATE = Robustness()
