"""The model under examination: what it takes, how it is asked, and what it answered."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError, nearest

Numbers = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

SCORES = ("decision_function", "score_samples")
"""Methods that score rows, the first that there is being asked."""

_REASON_CHARACTERS = 160  # an exception may carry a whole table in its message
_NEAR = 128  # rows on each side of the boundary that prove how labels follow from probabilities


@contextmanager
def one_thread() -> Iterator[None]:
    """Ask for few rows as a server does: many threads would wait for each other longer than they work."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """Any object with ``predict``, and the columns that it takes.

    Attributes:
        estimator: The object itself.
        features: The columns, in the order of its fit.
        named: Whether it is given a table; else it was fitted on an array and is given one.
    """

    estimator: Any
    features: tuple[Any, ...]
    named: bool = True

    @property
    def kind(self) -> str:
        """The name of its class, for sentences."""
        return type(self.estimator).__name__

    def ask(self, method: str, rows: Any) -> Any:  # noqa: ANN401 - a pandas table in, whatever it answers out
        """Call a method of the estimator with rows in the form that it was fitted on."""
        return getattr(self.estimator, method)(rows if self.named else rows.to_numpy())

    def answer(self, rows: Any) -> npt.NDArray[Any]:  # noqa: ANN401 - a pandas table
        """Return the finest answer that it gives: probabilities where it has them, else predictions."""
        with warnings.catch_warnings():
            # Odd rows are asked on purpose here; what is judged is the answer, not the warning.
            warnings.simplefilter("ignore")
            if callable(getattr(self.estimator, "predict_proba", None)):
                return np.asarray(self.ask("predict_proba", rows))
            return one_column(self.ask("predict", rows), len(rows), self.kind)


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """What a model answered for all rows.

    Attributes:
        labels: Codes of the classes (-1 for none of them) as numbers, or the predicted numbers or scores.
        proba: Probabilities, a column a class; None where it gives none.
        score: What ranks the rows of a binary problem or a ranking; None elsewhere, or where it gives none.
        unusable: How many rows got no finite answer.
    """

    labels: Numbers
    proba: Numbers | None = None
    score: Numbers | None = None
    unusable: int = 0


def model_of(estimator: Any, columns: Sequence[Any], target: str, features: Sequence[str] | None) -> Model:  # noqa: ANN401 - any object with predict
    """Find out which columns a model takes.

    Args:
        estimator: The object.
        columns: The columns of the table.
        target: The column that is predicted.
        features: The columns, where the user names them.

    Returns:
        The model.

    Raises:
        UsageError: It has no ``predict``, or is not fitted.
        NotFoundError: The table lacks a column that it takes.
    """
    _check_fitted(estimator)
    known = _names(estimator)
    wanted: tuple[Any, ...] = tuple(features) if features is not None else known or ()
    if not wanted:
        wanted = tuple(name for name in columns if name != target)
    missing = [name for name in wanted if name not in columns]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise NotFoundError(
            f"The table has no column '{missing[0]}'{more}, which the model takes.",
            nearest(str(missing[0]), (str(name) for name in columns if name not in wanted))
            or "Pass a table with all columns that the model was fitted on.",
        )
    return Model(estimator, wanted, named=known is not None or not hasattr(estimator, "n_features_in_"))


def _names(estimator: Any) -> tuple[Any, ...] | None:  # noqa: ANN401 - any object
    names = getattr(estimator, "feature_names_in_", None)
    return None if names is None else tuple(names)


def _check_fitted(estimator: Any) -> None:  # noqa: ANN401 - any object
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if isinstance(estimator, type) or not callable(getattr(estimator, "predict", None)):
        article = (
            f"the class {estimator.__name__}" if isinstance(estimator, type) else type(estimator).__name__
        )
        raise UsageError(f"The model is {article}, which has no predict to call.", "Pass a fitted model.")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise UsageError(
            f"This {type(estimator).__name__} is not fitted.", "Call its fit first, then evaluate it."
        ) from error
    except (TypeError, AttributeError):
        return  # no scikit-learn estimator: whether it is fitted shows when it predicts


def one_column(answer: Any, rows: int, kind: str) -> npt.NDArray[Any]:  # noqa: ANN401 - whatever a model answers
    """Take predictions as one column.

    Raises:
        UsageError: There are several outputs, or not one prediction a row.
    """
    array = np.asarray(answer)
    if array.ndim == 2 and array.shape[1] == 1:  # noqa: PLR2004 - a table of one column
        array = array[:, 0]
    if array.ndim != 1:
        raise UsageError(
            f"{kind} predicts several outputs at once (shape {array.shape}).",
            "Evaluate one output at a time: wrap it in an object whose predict returns one column.",
        )
    if len(array) != rows:
        raise UsageError(
            f"{kind} answered {len(array)} predictions for {rows} rows.", "Its predict must answer every row."
        )
    return array


def encode(values: Any, classes: Sequence[Any]) -> Codes:  # noqa: ANN401 - labels of any type
    """Turn labels into positions in ``classes``; -1 for what is none of them (nulls too)."""
    import pandas as pd

    index = pd.Index(list(classes), dtype=object)
    return np.asarray(index.get_indexer(pd.Index(np.asarray(values, dtype=object))), dtype=np.int64)


def predict(model: Model, rows: Any, classes: Sequence[Any], *, ranking: bool = False) -> Predictions:  # noqa: ANN401 - a pandas table
    """Ask for all predictions, each kind at most once.

    Args:
        model: The model.
        rows: The rows, features only.
        classes: The classes of the problem; none for regression and ranking.
        ranking: Whether only the order of the rows counts.

    Raises:
        UsageError: It cannot predict these rows.
    """
    try:
        if ranking:
            return _scored(model, rows)
        return _classified(model, rows, classes) if classes else _regressed(model, rows)
    except (UsageError, RefusedError):
        raise
    except Exception as error:
        raise UsageError(
            f"{model.kind} cannot predict these rows: {reason(error)}",
            "Pass rows that are prepared as those it was fitted on.",
        ) from error


def _regressed(model: Model, rows: Any) -> Predictions:  # noqa: ANN401 - a pandas table
    answer = one_column(model.ask("predict", rows), len(rows), model.kind)
    try:
        numbers = answer.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"{model.kind} predicts {answer.dtype} values for a target of numbers.",
            "Pass a target column of the kind that it was fitted on.",
        ) from error
    return Predictions(numbers, unusable=int((~np.isfinite(numbers)).sum()))


def finds_outliers(estimator: Any) -> bool:  # noqa: ANN401 - any estimator
    """Tell whether an estimator of scikit-learn's kind seeks outliers: its scores are then low for these."""
    from sklearn.base import is_outlier_detector

    try:
        return bool(is_outlier_detector(estimator))
    except (AttributeError, TypeError):
        return False


def _scored(model: Model, rows: Any) -> Predictions:  # noqa: ANN401 - a pandas table
    """Ask for what ranks the rows: those with a 1 in the target, or a high grade, should score high."""
    method = next((name for name in SCORES if callable(getattr(model.estimator, name, None))), "predict")
    if callable(getattr(model.estimator, "predict_proba", None)):
        method = "predict_proba"
    answer = np.asarray(model.ask(method, rows))
    if method == "predict_proba" and answer.ndim == 2:  # noqa: PLR2004 - a column a class
        answer = answer[:, -1]
    score = one_column(answer, len(rows), model.kind).astype(np.float64)
    if method in SCORES and finds_outliers(model.estimator):
        score = -score
    return Predictions(score, None, score, int((~np.isfinite(score)).sum()))


def _classified(model: Model, rows: Any, classes: Sequence[Any]) -> Predictions:  # noqa: ANN401 - a pandas table
    proba = _probabilities(model, rows, classes)
    if proba is not None and _labels_follow(model, rows, classes, proba):
        labels = proba.argmax(axis=1)
    else:
        labels = encode(one_column(model.ask("predict", rows), len(rows), model.kind), classes)
    binary = len(classes) == 2  # noqa: PLR2004 - two classes
    score = proba[:, 1] if proba is not None and binary else None
    if score is None and binary and callable(getattr(model.estimator, "decision_function", None)):
        score = np.asarray(model.ask("decision_function", rows), dtype=np.float64).ravel()
    bad = labels < 0
    for given in (proba, score if proba is None else None):
        if given is not None:
            bad |= ~np.isfinite(given if given.ndim == 1 else given.sum(axis=1))
    return Predictions(labels.astype(np.float64), proba, score, int(bad.sum()))


def _probabilities(model: Model, rows: Any, classes: Sequence[Any]) -> Numbers | None:  # noqa: ANN401 - a pandas table
    if not callable(getattr(model.estimator, "predict_proba", None)):
        return None
    answer = model.ask("predict_proba", rows)
    if isinstance(answer, list):
        raise UsageError(
            f"{model.kind} predicts {len(answer)} outputs at once.", "Evaluate one output at a time."
        )
    given = np.asarray(answer, dtype=np.float64)
    own = getattr(model.estimator, "classes_", classes)
    if given.ndim != 2 or given.shape != (len(rows), len(own)):  # noqa: PLR2004 - rows and classes
        raise UsageError(
            f"{model.kind} answered probabilities of shape {given.shape} for {len(rows)} rows and "
            f"{len(own)} classes.",
            "Its predict_proba must answer every row with one column a class.",
        )
    places = encode(own, classes)
    if (places < 0).any():
        raise UsageError(
            f"{model.kind} knows classes that the problem does not have.",
            "Compare models of the same target.",
        )
    # A class that only the test rows have gets probability zero: the model cannot know it.
    proba = np.zeros((len(rows), len(classes)))
    proba[:, places] = given
    return proba


def _labels_follow(model: Model, rows: Any, classes: Sequence[Any], proba: Numbers) -> bool:  # noqa: ANN401 - a pandas table
    """Tell whether ``predict`` is the likeliest class, so that it need not be called for all rows.

    A model with a threshold of its own (or Platt scaling) differs exactly on the rows nearest to the
    boundary, so those are asked, on both sides of it.
    """
    if not np.isfinite(proba).all() or proba.shape[1] < 2:  # noqa: PLR2004 - nothing to choose
        return False
    top = np.partition(proba, -2, axis=1)
    margin = top[:, -1] - top[:, -2]
    winners = proba.argmax(axis=1)
    asked = np.unique(
        np.concatenate(
            [
                np.flatnonzero(winners == code)[np.argsort(margin[winners == code], kind="stable")[:_NEAR]]
                for code in np.unique(winners)
            ]
        )
    )
    asked = asked[margin[asked] > 1e-9]  # noqa: PLR2004 - a tie may be broken either way in a smaller batch
    if not len(asked):
        return False
    with one_thread():
        answer = one_column(model.ask("predict", rows.iloc[asked]), len(asked), model.kind)
    return bool((encode(answer, classes) == winners[asked]).all())


def reason(error: BaseException) -> str:
    """Put an exception into one short line."""
    text = " ".join(str(error).split())
    if len(text) > _REASON_CHARACTERS:
        text = text[: _REASON_CHARACTERS - 1] + "…"
    return f"{type(error).__name__}: {text}"
