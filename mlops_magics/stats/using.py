"""How much a model uses each column of its rows: what a drift of that column weighs.

Trees tell it themselves, and what they tell of the features that were made of one column adds up. The
coefficients of a linear model do not: a category of a hundred values has a hundred of them, of which one
counts in a row, and a number measured in grams has a smaller one than in tons. There, what a column adds
to the answer is put together over all its features, and what counts is how much that varies over the rows.
Of any other model each column is shuffled among a few rows: what counts is how much the answers change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_SEED: Final = 20
_ROWS: Final = 100  # among which columns are shuffled
_ASKED: Final = 1_000  # rows that the model is asked for it in all, once: a fit must not be slowed down by it
_FEWEST: Final = 20  # rows: among fewer a shuffled column says nothing

Floats = npt.NDArray[np.float64]
Weights = Mapping[str, float]


def importance_of(estimator: Any, names: Sequence[str], rows: Any) -> tuple[dict[str, float], str]:  # noqa: ANN401 - any fitted estimator, a pandas frame or an array
    """Say how much a model uses each raw column.

    Args:
        estimator: The fitted model.
        names: The columns of its rows.
        rows: Some of the rows that it was fitted on.

    Returns:
        Shares of 1 by column, and what they were taken from: "feature_importances_", "coef_", or "shuffling";
        nothing where the model cannot be asked.
    """
    measures: tuple[tuple[str, Callable[[], Weights]], ...] = (
        ("feature_importances_", lambda: _told(estimator, names)),
        ("coef_", lambda: _varied(estimator, names, rows)),
        ("shuffling", lambda: _shuffled(estimator, names, rows)),
    )
    for measured, measure in measures:
        try:
            found = measure()
        except Exception:  # noqa: BLE001, S112 - a stranger's steps, which may not even say what they make
            continue
        total = sum(found.values())
        if total > 0 and np.isfinite(total):
            return {name: float(f"{weight / total:.7g}") for name, weight in found.items()}, measured
    return {}, ""


def _last(estimator: Any) -> Any:  # noqa: ANN401 - any estimator
    steps = getattr(estimator, "steps", None)
    return steps[-1][1] if steps else estimator


def _told(estimator: Any, names: Sequence[str]) -> Weights:  # noqa: ANN401 - same
    """Add up what trees say of the features of each column."""
    last = _last(estimator)
    if not hasattr(last, "feature_importances_"):
        return {}
    weights = np.abs(np.asarray(last.feature_importances_, np.float64))
    places = _places(estimator, names, len(weights))
    return {name: float(weights[held].sum()) for name, held in places.items()}


def _varied(estimator: Any, names: Sequence[str], rows: Any) -> Weights:  # noqa: ANN401 - same
    """Say how much the part of a linear model's answer that comes from a column varies over the rows."""
    last = _last(estimator)
    if not hasattr(last, "coef_"):
        return {}
    coefficients = last.coef_.toarray() if hasattr(last.coef_, "toarray") else np.asarray(last.coef_)
    coefficients = np.atleast_2d(coefficients).astype(np.float64)
    made = estimator[:-1].transform(rows) if _prepared(estimator) else rows
    made = made.tocsc() if hasattr(made, "tocsc") else np.asarray(made, np.float64)
    places = _places(estimator, names, coefficients.shape[1])
    return {
        name: float(np.std(np.asarray(made[:, held] @ coefficients[:, held].T), axis=0).mean())
        for name, held in places.items()
    }


def _prepared(estimator: Any) -> bool:  # noqa: ANN401 - same
    """Tell whether rows are prepared before they come to the model itself."""
    return len(getattr(estimator, "steps", ())) > 1


def _places(estimator: Any, names: Sequence[str], count: int) -> dict[str, list[int]]:  # noqa: ANN401 - same
    """Find which features were made of each column; none where that cannot be told of all of them."""
    made = [str(name) for name in estimator[:-1].get_feature_names_out()] if _prepared(estimator) else names
    if len(made) != count:
        return {}
    found: dict[str, list[int]] = {}
    for place, name in enumerate(made):
        source = _source(name, names)
        if source is None:
            return {}
        found.setdefault(source, []).append(place)
    return found


def _source(made: str, names: Sequence[str]) -> str | None:
    """Find the raw column that a feature was made of: ``onehot__town_Oslo`` of ``town``."""
    ends = {made, made.partition("__")[2]}
    likely = [name for name in names if any(end == name or end.startswith(f"{name}_") for end in ends if end)]
    return max(likely, key=len, default=None)


def _shuffled(estimator: Any, names: Sequence[str], rows: Any) -> Weights:  # noqa: ANN401 - same
    """Shuffle each column among a few rows, and say how much the answers change; the model is asked once."""
    count = min(len(rows), _ROWS, _ASKED // (len(names) + 1))
    if count < _FEWEST:
        return {}
    few = np.linspace(0, len(rows) - 1, count).astype(np.int64)
    order = np.random.default_rng(_SEED).permutation(few)
    answers = _answers(estimator, _copies(rows, few, order, len(names)))
    if not answers.size:
        return {}
    answers = answers.reshape(len(names) + 1, count, -1)
    changes = np.abs(answers[1:] - answers[0]).mean(axis=(1, 2))
    return dict(zip(names, changes.tolist(), strict=True))


def _copies(rows: Any, few: Any, order: Any, columns: int) -> Any:  # noqa: ANN401 - frames or arrays
    """Put the rows below each other once as they are, and once for each column that is shuffled."""
    whole = np.tile(few, columns + 1)
    array = isinstance(rows, np.ndarray)
    copies = rows[whole].copy() if array else rows.iloc[whole].reset_index(drop=True)
    for place in range(columns):
        taken = whole.copy()
        taken[(place + 1) * few.size : (place + 2) * few.size] = order
        if array:
            copies[:, place] = rows[taken, place]
        else:
            copies.isetitem(place, rows.iloc[:, place].take(taken).array)
    return copies


def _answers(estimator: Any, rows: Any) -> Floats:  # noqa: ANN401 - same
    """Return the answers as numbers: probabilities, or numbers, or which label each is."""
    if hasattr(estimator, "predict_proba") and hasattr(estimator, "classes_"):
        return np.asarray(estimator.predict_proba(rows), np.float64)
    found = np.asarray(estimator.predict(rows))
    if found.dtype.kind in "fiu" and not hasattr(estimator, "classes_"):
        return found.astype(np.float64)
    labels = np.unique(found.astype(str), return_inverse=True)[1]
    return np.eye(int(labels.max(initial=0)) + 1)[labels.ravel()]
