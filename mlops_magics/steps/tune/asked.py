"""What a search is asked: the line or the call, read and checked, as rows, truth and candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from mlops_magics.foundation.errors import MissingExtraError, UsageError, nearest
from mlops_magics.foundation.frames import Frame, kind_of
from mlops_magics.model_parts.plan import Plan, pipeline
from mlops_magics.stats.engine import summarize
from mlops_magics.stats.planning import plan_of
from mlops_magics.stats.splits import How
from mlops_magics.steps.prepare import Prepared
from mlops_magics.steps.tune.folding import Division, division
from mlops_magics.tuners.families import FAMILIES, Candidate, candidate, installed, model_of
from mlops_magics.tuners.metrics import Kind, checked_metric
from mlops_magics.tuners.task import Task

_YOURS: Final = "yours"
_FEWEST: Final = 2  # folds, rows of a class, classes
_MANY: Final = 100  # classes; more are probably numbers
_TARGET: Final = "mlops target"  # the name of the truth in a table of its own


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that makes sense.

    Attributes:
        task: What workers are given.
        candidates: What is tried, by name.
        kind: What is predicted.
        data: What the rows are called.
        split: How rows are held out: "random", "time" or "group".
        by: What the dates or groups are called; None for a random split.
        notes: What the reader should know.
    """

    task: Task
    candidates: Mapping[str, Candidate]
    kind: Kind
    data: str
    split: How = "random"
    by: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of a search.

    Attributes:
        space: The space as it was written.
        auto: Whether all families are tried.
        metric: The metric, or None.
        folds: How many folds there are.
        split: How rows are held out; None where that was not said.
        by: A column of dates or groups, or a value a row.
    """

    space: str | None
    auto: bool
    metric: str | None
    folds: int
    split: How | None
    by: object


def asked(model: object, data: object, target: object, wanted: Wanted, called: Mapping[str, str]) -> Asked:
    """Read what a search is asked.

    Args:
        model: An estimator, what prepare made, or a family's name.
        data: The rows.
        target: What is predicted: a value a row, or the name of a column of the rows.
        wanted: The options.
        called: What the user wrote for them.

    Raises:
        UsageError: It does not make sense; the sentence says why.
        NotFoundError: There is no such column.
        MissingExtraError: It is a family whose library is not installed.
    """
    folds, space = wanted.folds, wanted.space
    if folds < _FEWEST:
        raise UsageError(f"--folds cannot be {folds}.", "Two folds are the fewest; five are usual.")
    own = _own(model)
    rows, truth, without = _rows(data, target, called)
    _matched(rows, truth, called)
    divided = division(model, rows, split=wanted.split, by=wanted.by, called=called)
    rows = divided.rows
    families = _families(model, own, auto=wanted.auto)
    if space is not None and len(families) + (own is not None) > 1:
        raise UsageError("--space and --auto do not go together.", "Families bring spaces of their own.")
    plan = _plan(model, rows, truth) if families else Plan()
    kind = _kind(own, plan, truth)
    truth = _checked(truth, kind, called.get("target", "y"))
    fewer = _folds(truth, kind, folds, called.get("target", "y"), divided)
    metric = checked_metric(wanted.metric, kind)
    made = {} if own is None else {_YOURS: candidate(_YOURS, own, space)}
    made |= _made(families, plan, kind, space)
    task = Task(
        estimators={name: each.estimator for name, each in made.items()},
        rows=rows,
        truth=truth,
        held_out=divided.folds(truth, kind, fewer, metric),
        metric=metric,
        positive=np.unique(truth)[-1] if kind == "binary" else None,
    )
    notes = [f"{without} is what is predicted: it was taken out of the rows."] if without else []
    if fewer < folds:
        notes.append(f"{fewer} folds instead of {folds}: the rarest class has {fewer} rows.")
    name = called.get("data", "data")
    return Asked(task, made, kind, name, divided.how, divided.by, (*notes, *divided.notes))


def _own(model: object) -> Any:  # noqa: ANN401 - an estimator or None
    """Return the user's estimator, where it is one."""
    if isinstance(model, str | Prepared):
        return None
    if not (hasattr(model, "fit") and hasattr(model, "get_params")) or isinstance(model, type):
        made = " Write () after its name." if isinstance(model, type) else ""
        raise UsageError(
            f"A {type(model).__name__} is no estimator that can be tuned.",
            f"Give a scikit-learn estimator or pipeline, or one of: auto, {', '.join(installed())}.{made}",
        )
    return model


def _families(model: object, own: object, *, auto: bool) -> tuple[str, ...]:
    if auto or model == "auto":
        return installed()
    if own is not None:
        return ()
    if isinstance(model, Prepared):
        return ("boosting",)
    if model in installed():
        return (str(model),)
    if model in FAMILIES:
        raise MissingExtraError("lightgbm", "lightgbm")
    raise UsageError(
        f"'{model}' is neither a pipeline in this notebook nor a family of models.",
        nearest(str(model), ("auto", *installed())),
    )


def _made(families: tuple[str, ...], plan: Plan, kind: Kind, space: str | None) -> dict[str, Candidate]:
    """Put the model of each family behind the preparation of the rows."""
    inner = {name: model_of(name, classes=kind != "regression") for name in families}
    return {name: candidate(name, pipeline(plan, model), space) for name, model in inner.items()}


def _rows(data: object, target: object, called: Mapping[str, str]) -> tuple[Any, Any, str]:
    """Return the rows, the truth, and the name of the column that was taken out of the rows."""
    name = called.get("data", "data")
    if kind_of(data) is None and not isinstance(data, str) and not hasattr(data, "suffix"):
        if not hasattr(data, "shape"):
            raise UsageError(
                f"{name} is a {type(data).__name__}, which holds no rows.", "Pass a table or an array."
            )
        if isinstance(target, str):
            raise UsageError(f"{name} has no names of columns.", "Pass what is predicted as a value a row.")
        return data, _values(target), ""
    frame = Frame.of(data, name)
    if isinstance(target, str):
        truth = _values(frame.column(frame.position(target)))
        return frame.without(target).data, truth, target
    return frame.data, _values(target), ""


def _matched(rows: Any, truth: Any, called: Mapping[str, str]) -> None:  # noqa: ANN401 - tables and arrays
    count = Frame.of(rows).rows if kind_of(rows) is not None else rows.shape[0]
    if count != len(truth):
        told = called.get("target", "y"), called.get("data", "data")
        raise UsageError(
            f"{told[0]} holds {len(truth):,} values, {told[1]} {count:,} rows.",
            "Take both from the same rows.",
        )


def _values(target: Any) -> Any:  # noqa: ANN401 - anything that holds a value a row
    if hasattr(target, "to_pandas") and not hasattr(target, "to_frame"):
        target = target.to_pandas()
    values = np.asarray(target.to_numpy() if hasattr(target, "to_numpy") else target)
    if values.ndim == _FEWEST and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise UsageError("What is predicted must be one value a row.", "Pass one column.")
    return values


def _plan(model: object, rows: Any, truth: Any) -> Plan:  # noqa: ANN401 - tables and arrays
    """Decide how columns are prepared, as prepare does."""
    if isinstance(model, Prepared):
        return model.plan
    if kind_of(rows) is None:
        raise UsageError(
            "Families of models need a table: columns are prepared by their names.",
            "Pass a DataFrame, or a pipeline of your own without --auto.",
        )
    table = Frame.of(Frame.of(rows).to_pandas().assign(**{_TARGET: truth}))
    plan, _ = plan_of(table, summarize(table.data, target=_TARGET, source="data"), target=_TARGET)
    return plan


def _kind(own: object, plan: Plan, truth: Any) -> Kind:  # noqa: ANN401 - an array
    from sklearn.base import is_classifier, is_regressor

    if own is not None and is_regressor(own):
        return "regression"
    if own is None or not is_classifier(own):
        number = plan.problem == "number" if plan.problem else truth.dtype.kind == "f"
        if number:
            return "regression"
    gone = _gaps(truth)
    return "multiclass" if len(set(truth[~gone].tolist())) > _FEWEST else "binary"


def _gaps(truth: Any) -> Any:  # noqa: ANN401 - arrays
    import pandas as pd

    return np.asarray(pd.isna(truth))


def _checked(truth: Any, kind: Kind, name: str) -> Any:  # noqa: ANN401 - arrays
    """Accept the truth: no gaps, and something to tell apart."""
    if not len(truth):
        raise UsageError("There are no rows.", "Pass the rows to learn from.")
    gaps = int(_gaps(truth).sum())
    if gaps:
        raise UsageError(
            f"{name} is missing in {gaps:,} of {len(truth):,} rows.",
            f"Drop these rows first: keep = {name}.notna().",
        )
    if kind == "regression":
        truth = truth.astype(float)
        if not np.isfinite(truth).all():
            raise UsageError(f"{name} holds infinite numbers.", "Drop these rows, or cap the numbers.")
        if np.ptp(truth) == 0:
            raise UsageError(f"{name} is the same in all rows.", "There is nothing to predict: check it.")
        return truth
    if truth.dtype == object:
        values = set(truth.tolist())
        if len({type(value) for value in values}) > 1:
            raise UsageError(f"{name} mixes kinds of values.", "Make all of them text, or all numbers.")
        truth = truth.astype(type(next(iter(values)))) if values <= {True, False} else truth
    return truth


def _folds(truth: Any, kind: Kind, folds: int, name: str, divided: Division) -> int:  # noqa: ANN401
    """Return how many folds the rows allow."""
    if kind == "regression":
        if len(truth) < 2 * folds:
            raise UsageError(f"{len(truth)} rows are too few for {folds} folds.", "Pass more rows.")
        return folds
    classes, counts = np.unique(truth, return_counts=True)
    if len(classes) < _FEWEST:
        raise UsageError(
            f"{name} has one class only: {classes[0]}.",
            "Pass rows of two classes at least: check the filter.",
        )
    if len(classes) > _MANY:
        raise UsageError(
            f"{name} has {len(classes):,} classes.", "Predict numbers with a regressor, or merge classes."
        )
    rarest = int(counts.min())
    if rarest < _FEWEST:
        raise UsageError(
            f"The class {classes[counts.argmin()]} of {name} has one row.",
            "Drop it or merge it: no fold can both learn and judge it.",
        )
    # How a class lies over groups or time is another matter, which is looked at with the folds.
    return min(folds, rarest) if divided.how == "random" else folds
