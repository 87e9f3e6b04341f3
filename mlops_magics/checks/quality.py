"""The gate that asks whether a model has learnt anything, and whether it has learnt enough."""

from __future__ import annotations

import numpy as np

from mlops_magics.checks.base import Verdict, failed, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.policy import Bounds
from mlops_magics.foundation.blocks import shown

_BASELINES = ("ndcg_by_list", "roc_auc", "balanced_accuracy", "r2")


class Quality:
    """Surely better than knowing nothing, and within the user's bounds.

    The trivial baseline answers the same for every row: an area under the ROC curve of 0.5, a balanced
    accuracy of one in the number of classes that the rows have, an R² of 0, of lists the gain of orders at
    random. The lower end of the 95 % interval must lie above it.
    """

    name = "quality"

    def judge(self, facts: Facts) -> Verdict:
        """Judge the metrics; a bound that is missed says so first."""
        if facts.given.unusable:
            rows = f"{facts.given.unusable:,} of {len(facts.truth):,} rows"
            return failed(self.name, None, None, f"The model gave no usable prediction for {rows}.")
        for name, bounds in facts.policy.thresholds.items():
            if (missed := self._missed(facts, name, bounds)) is not None:
                return missed
        verdict = self._beats_baseline(facts)
        if facts.policy.thresholds and verdict.outcome == "pass":
            count = len(facts.policy.thresholds)
            held = f" {count} bound{'s' if count > 1 else ''} of the policy held."
            return Verdict(self.name, "pass", verdict.value, verdict.threshold, verdict.evidence + held)
        return verdict

    def _missed(self, facts: Facts, name: str, bounds: Bounds) -> Verdict | None:
        metric = facts.metric(name)
        if metric is None:
            return failed(self.name, None, None, f"{name} is bounded by the policy but is not defined here.")
        for bound, side in ((bounds.min, "at least"), (bounds.max, "at most")):
            if bound is None:
                continue
            if not (metric.value >= bound if side == "at least" else metric.value <= bound):
                found = f"{name} is {shown(metric.value)}; the policy asks for {side} {shown(bound)}."
                return failed(self.name, metric.value, bound, found)
        return None

    def _beats_baseline(self, facts: Facts) -> Verdict:
        metric = next((found for name in _BASELINES if (found := facts.metric(name))), None)
        present = np.unique(facts.truth).size if facts.problem.classes else 0
        alone = metric is not None and metric.name == "balanced_accuracy" and present < 2  # noqa: PLR2004 - classes
        if metric is None or metric.low is None or alone:
            why = "Too few rows of two classes: no skill can be measured on them."
            if metric is not None and metric.name == "ndcg_by_list":
                why = "Too few lists: no skill can be measured on them."
            if facts.problem.kind == "regression":
                why = "The target is constant: no skill can be measured on it."
            return failed(self.name, None, None, why)
        chance = 1 / max(2, present)
        of_rows = {} if facts.measured is None else facts.measured.chance
        baseline = {"roc_auc": 0.5, "balanced_accuracy": chance, "r2": 0.0, **of_rows}[metric.name]
        low, nothing = shown(metric.low), f"knowing nothing gives {shown(baseline)}."
        if metric.low > baseline:
            return passed(self.name, metric.low, baseline, f"{metric.name} is surely above {low}; {nothing}")
        return failed(self.name, metric.low, baseline, f"{metric.name} may be as low as {low}; {nothing}")


GATE = Quality()
