"""What is predicted: which kind of problem it is, and its truth as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from mlops_magics.checks.model import SCORES, Model, Numbers, encode, finds_outliers, one_column
from mlops_magics.foundation.errors import UsageError

Kind = Literal["binary", "multiclass", "regression", "ranking"]

Mask = npt.NDArray[np.bool_]

_FEW = 20  # an object of unknown kind that answers this many whole numbers at most is a classifier
_SAMPLE = 200  # rows that tell the kind of an object that does not say it


@dataclass(frozen=True, slots=True)
class Problem:
    """The kind of problem and its classes.

    Attributes:
        kind: "binary", "multiclass", "regression" or "ranking".
        classes: The classes in the order of the model; of two, the second is the positive one.
        top: Of a ranking: how many rows ``precision_at_k`` takes; None for as many as are sought.
        lowest: Of a ranking: the lowest grade; rows above it are sought.
    """

    kind: Kind
    classes: tuple[Any, ...] = ()
    top: int | None = None
    lowest: float = 0.0

    def sought(self, truth: Numbers) -> Mask:
        """Say which rows should rank first."""
        return np.asarray(truth > self.lowest if self.kind == "ranking" else truth == 1)


def checked_target(values: Any, name: str) -> Any:  # noqa: ANN401 - a pandas column in and out
    """Accept the target's column.

    Raises:
        UsageError: It has no rows, or nulls.
    """
    rows = len(values)
    if rows == 0:
        raise UsageError("The table has no rows.", "Pass rows that the model has not seen.")
    nulls = int(values.isna().sum())
    if nulls == rows:
        raise UsageError(
            f"The target '{name}' is null in all {rows:,} rows.", "Pass rows whose truth is known."
        )
    if nulls:
        raise UsageError(
            f"The target '{name}' is null in {nulls:,} of {rows:,} rows.",
            f"Drop them first: table.dropna(subset='{name}').",
        )
    return values


def problem_of(model: Model, rows: Any, target: Any, name: str) -> Problem:  # noqa: ANN401 - pandas tables
    """Find out the kind of problem from the model, else from the target.

    Args:
        model: The model.
        rows: The rows, features only.
        target: The target's column.
        name: What it is called.

    Raises:
        UsageError: The model has several outputs, or its classes are not those of the target.
    """
    own = getattr(model.estimator, "classes_", None)
    if own is None and _ranks(model, rows, target):
        if target.nunique() == 1:
            raise UsageError(
                f"The target '{name}' is {target.iloc[0]} in all rows: nothing can be ranked.",
                "Pass rows of which some are sought, and some are not.",
            )
        return Problem("ranking", lowest=float(target.min()))
    if own is None and not _classifies(model, rows, target):
        return Problem("regression")
    if own is not None and not all(np.ndim(value) == 0 for value in own):
        raise UsageError(f"{model.kind} predicts several outputs at once.", "Evaluate one output at a time.")
    found = list(dict.fromkeys(np.asarray(target, dtype=object).tolist()))
    classes = [] if own is None else np.asarray(own).tolist()
    extra = [value for value, code in zip(found, encode(found, classes), strict=True) if code < 0]
    if classes and len(extra) == len(found):
        raise UsageError(
            f"None of the values of '{name}' is a class of the model: it knows {_some(classes)}, "
            f"the table has {_some(found)}.",
            "Pass the target in the form that the model was fitted on.",
        )
    classes += sorted(extra, key=lambda value: (type(value).__name__, value))
    return Problem("binary" if len(classes) <= 2 else "multiclass", tuple(classes))  # noqa: PLR2004 - yes and no


def truth_of(problem: Problem, target: Any, name: str) -> Numbers:  # noqa: ANN401 - a pandas column
    """Turn the target into numbers: codes of classes, or the numbers themselves.

    Raises:
        UsageError: Regression on what is no number, or not finite.
    """
    if problem.classes:
        return encode(target, problem.classes).astype(np.float64)
    try:
        numbers = np.asarray(target, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"The model predicts numbers, but '{name}' holds {target.dtype} values.",
            "Pass the target in the form that the model was fitted on.",
        ) from error
    if unusable := int((~np.isfinite(numbers)).sum()):
        raise UsageError(
            f"The target '{name}' is infinite in {unusable:,} rows.", "Drop these rows or correct them first."
        )
    return numbers


def _ranks(model: Model, rows: Any, target: Any) -> bool:  # noqa: ANN401 - pandas tables
    """Tell whether a model only scores rows, on a target of grades: 0 and 1, or a few more."""
    grades = (
        np.asarray(target.unique(), dtype=np.float64) if target.dtype.kind in "iufb" else np.array([-1.0])
    )
    if len(grades) > _FEW or (grades < 0).any() or (grades != np.round(grades)).any():
        return False
    if finds_outliers(model.estimator) or _last(model.estimator).endswith("Ranker"):
        return True
    if _says(model.estimator) is not None or callable(getattr(model.estimator, "predict_proba", None)):
        return False
    if any(callable(getattr(model.estimator, name, None)) for name in SCORES):
        return True
    if not set(grades) <= {0.0, 1.0}:
        return False  # a count may look like grades, and its predictions like scores
    answer = one_column(model.ask("predict", rows.head(_SAMPLE)), min(len(rows), _SAMPLE), model.kind)
    return answer.dtype.kind == "f" and not bool(np.isin(answer, grades).all())


def _last(estimator: Any) -> str:  # noqa: ANN401 - any estimator
    """Name the class that predicts: rankers of boosting libraries say what they are by their name only."""
    steps = getattr(estimator, "steps", None)
    return _last(steps[-1][1]) if steps else type(estimator).__name__


def _says(estimator: Any) -> str | None:  # noqa: ANN401 - any estimator
    """Ask an estimator of scikit-learn's kind what it is; None where it does not say."""
    from sklearn.base import is_classifier, is_regressor

    try:
        return "classifier" if is_classifier(estimator) else "regressor" if is_regressor(estimator) else None
    except (AttributeError, TypeError):
        return None


def _classifies(model: Model, rows: Any, target: Any) -> bool:  # noqa: ANN401 - pandas tables
    if (said := _says(model.estimator)) is not None:
        return said == "classifier"
    if callable(getattr(model.estimator, "predict_proba", None)) or target.dtype.kind not in "iuf":
        return True
    few = target.nunique() <= _FEW and bool((target == target.round()).all())
    if not few:
        return False
    answer = one_column(model.ask("predict", rows.head(_SAMPLE)), min(len(rows), _SAMPLE), model.kind)
    return bool(np.isin(answer, target.unique()).all())


def _some(values: Sequence[Any]) -> str:
    shown = ", ".join(repr(value) for value in values[:4])
    return shown + (", …" if len(values) > 4 else "")  # noqa: PLR2004 - as shown above
