"""What a gate looks at: the model, the rows, what was predicted and measured, and the policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlops_magics.artifact.kept import Kept
from mlops_magics.artifact.rows import RowSample
from mlops_magics.artifact.takes import Takes
from mlops_magics.checks.discovery import Search
from mlops_magics.checks.metrics import Measured, Metric
from mlops_magics.checks.model import Model, Numbers, Predictions
from mlops_magics.checks.paired import Comparison
from mlops_magics.checks.policy import Policy
from mlops_magics.checks.problem import Kind, Problem
from mlops_magics.checks.slicing import Slice

_PRIMARY: Mapping[Kind, tuple[str, str]] = {
    "binary": ("roc_auc", "accuracy"),
    "multiclass": ("accuracy", "accuracy"),
    "regression": ("r2", "rmse"),
    "ranking": ("roc_auc", "ndcg"),
}
"""What a model is judged by, and what instead where that is not defined for the rows."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Facts:
    """Everything that was found out before the gates are asked.

    Attributes:
        model: The candidate.
        problem: The kind of problem.
        target: The column that is predicted.
        rows: The rows, features only, as a pandas table.
        truth: The target as numbers: codes of classes, or the numbers themselves.
        given: The candidate's predictions.
        measured: What its metrics are computed from; None where a prediction is unusable.
        metrics: Its metrics.
        policy: The bounds.
        comparisons: Candidate and champion, metric by metric; none without a champion.
        champion: "" where the champion was compared; why not, where it could not be; None without one.
        slices: The slices that were asked for, measured.
        groups: The columns whose groups are to be treated alike, by name, as pandas columns.
        search: The portions that nobody named and in which it is worse; None where none were looked for.
        trained_on: The rows that the model was fitted on; None where they are not known.
        kept: How its files hold it, and how it answers, read back from them; None where it was never logged.
        rival: Which rows the champion takes; None without one, and where that was not kept.
    """

    model: Model
    problem: Problem
    target: str
    rows: Any
    truth: Numbers
    given: Predictions
    measured: Measured | None
    metrics: tuple[Metric, ...]
    policy: Policy = field(default_factory=Policy)
    comparisons: tuple[Comparison, ...] = ()
    champion: str | None = None
    slices: tuple[Slice, ...] = ()
    groups: Mapping[str, Any] = field(default_factory=dict)
    search: Search | None = None
    trained_on: RowSample | None = None
    kept: Kept | None = None
    rival: Takes | None = None

    @property
    def primary(self) -> str:
        """The metric that the model is judged by beside others."""
        if self.policy.primary is not None:
            return self.policy.primary
        measured = {metric.name for metric in self.metrics}
        if "ndcg_by_list" in measured:
            return "ndcg_by_list"
        wanted, other = _PRIMARY[self.problem.kind]
        return wanted if wanted in measured else other

    def metric(self, name: str) -> Metric | None:
        """Find a metric by name; None where it is not defined for these rows."""
        return next((metric for metric in self.metrics if metric.name == name), None)
