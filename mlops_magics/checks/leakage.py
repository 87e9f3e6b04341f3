"""The gate that smells knowledge of the answer: in a column, or in rows that were trained on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlops_magics.artifact.rows import Overlap
from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.intervals import roc_auc, wilson
from mlops_magics.checks.model import Numbers
from mlops_magics.foundation.blocks import shown

_ROWS = 20_000  # a column that knows the answer shows it on these
_SCARCE = 30  # rows of the rarest class: with fewer, a column may separate them by chance
_BINS = 50
_SKILLS = {"binary": "AUC", "multiclass": "skill", "regression": "rank correlation"}


class Leakage:
    """No column knows the answer by itself, and few rows are rows that the model was fitted on."""

    name = "leakage"

    def judge(self, facts: Facts) -> Verdict:
        """Judge the features, then the rows."""
        if facts.target in facts.model.features:
            words = f"The target '{facts.target}' is itself among the features."
            return failed(self.name, 1.0, facts.policy.leakage_skill, words)
        overlap = self._overlap(facts)
        if overlap is not None and overlap.outcome == "fail":
            return overlap
        single = self._single(facts)
        if overlap is None:
            unknown = " Overlap with training rows is not known."
            return Verdict(
                self.name, single.outcome, single.value, single.threshold, single.evidence + unknown
            )
        if single.outcome == "not applicable":
            return overlap
        return Verdict(
            self.name, single.outcome, single.value, single.threshold, f"{single.evidence} {overlap.evidence}"
        )

    def _overlap(self, facts: Facts) -> Verdict | None:
        found = None if facts.trained_on is None else facts.trained_on.overlap(facts.rows)
        if found is None:
            return None
        # Rows that recur in the training rows would recur in any: so many more are nothing to wonder at.
        spread = math.sqrt(found.by_nature * (1 - found.by_nature) / max(1, found.distinct))
        bound = facts.policy.overlap_share + found.by_nature + 2 * spread
        words = _in_words(found, len(facts.rows))
        if found.by_nature > facts.policy.overlap_share:
            words += f" As rows recur, {_percent(found.by_nature)} would be in common by nature."
        surely = found.share if found.complete else wilson(found.share * found.distinct, found.distinct).low
        return (failed if surely > bound else passed)(self.name, found.share, bound, words)

    def _single(self, facts: Facts) -> Verdict:
        step = max(1, len(facts.rows) // _ROWS)
        rows, truth = facts.rows.iloc[::step], facts.truth[::step]
        kind = facts.problem.kind
        if kind == "ranking":  # of two grades a column tells as of two classes, of more as of numbers
            two = np.unique(truth).size == 2  # noqa: PLR2004 - two grades
            truth = facts.problem.sought(truth).astype(np.float64) if two else truth
            kind = "binary" if two else "regression"
        regression = kind == "regression"
        scarce = len(truth) if regression else np.unique(truth, return_counts=True)[1].min()
        if scarce < _SCARCE or (not regression and np.unique(truth).size < 2):  # noqa: PLR2004 - one class
            return not_applicable(
                self.name, f"Fewer than {_SCARCE} rows of a class: a column may look perfect."
            )
        bound = facts.policy.leakage_skill
        best, place = max((_skill(rows.iloc[:, i], truth, kind), -i) for i in range(rows.shape[1]))
        words = f"{rows.columns[-place]} alone reaches {_SKILLS[kind]} {shown(best)}"
        if best >= bound:
            return failed(self.name, best, bound, f"{words}: it may know the answer.")
        return passed(self.name, best, bound, f"{words}, the most of any column.")


def _in_words(found: Overlap, rows: int) -> str:
    """Say how many rows were trained on, and where it is an estimate, from how many rows it is one."""
    share = _percent(found.share)
    if found.complete:
        return f"{found.hits:,} of {rows:,} rows ({share}) were trained on."
    if not found.rows:
        return f"None of the {rows:,} rows is in the sample of the training rows that was kept."
    about = round(found.share * rows)
    return f"About {about:,} of {rows:,} rows ({share}) were trained on, judged by {found.rows:,} of them."


def _percent(share: float) -> str:
    return f"{shown(round(100 * share, 2))} %"


def _skill(column: Any, truth: Numbers, kind: str) -> float:  # noqa: ANN401 - a pandas column
    """Measure how well one column alone tells the answer, 1 being perfectly."""
    values, ordered = _as_numbers(column)
    if kind == "multiclass":
        return _lookup_skill(_binned(values) if ordered else values, truth)
    score = values if ordered else _out_of_fold_mean(values, truth)
    if kind == "binary":
        found = roc_auc(truth == 1, score)
        return 0.0 if found is None else max(found.value, 1 - found.value)
    from scipy.stats import rankdata

    ranks = rankdata(score)
    if np.ptp(ranks) == 0 or np.ptp(truth) == 0:
        return 0.0
    return abs(float(np.corrcoef(ranks, rankdata(truth))[0, 1]))


def _as_numbers(column: Any) -> tuple[Numbers, bool]:  # noqa: ANN401 - a pandas column
    import pandas as pd

    kind = column.dtype.kind
    if pd.api.types.is_numeric_dtype(column.dtype) or kind in "bmM":
        if kind in "mM":
            column = column.astype("int64").where(column.notna())
        numbers = column.to_numpy(dtype=np.float64, na_value=np.nan)
        # What is missing ranks below everything: that a value is missing may itself be the leak.
        there = np.nan_to_num(numbers[~np.isnan(numbers)])
        return np.where(np.isnan(numbers), there.min(initial=0.0) - 1.0, numbers), True
    codes = pd.factorize(column.astype(object).map(str, na_action="ignore"))[0]
    return np.asarray(codes, dtype=np.float64), False


def _binned(values: Numbers) -> Numbers:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, _BINS + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right").astype(np.float64)


def _out_of_fold_mean(codes: Numbers, truth: Numbers) -> Numbers:
    """Give each row the mean target of its category in the other half: an identifier then tells nothing."""
    places = codes.astype(np.int64) + 1
    half = np.arange(len(truth)) % 2 == 0
    score = np.empty(len(truth))
    for learn, tell in ((half, ~half), (~half, half)):
        rows = np.bincount(places[learn], minlength=places.max() + 1)
        sums = np.bincount(places[learn], weights=truth[learn], minlength=places.max() + 1)
        means = np.where(rows > 0, sums / np.maximum(rows, 1), truth[learn].mean())
        score[tell] = means[places[tell]]
    return score


def _lookup_skill(values: Numbers, truth: Numbers) -> float:
    """Share of what the commonest class misses that a look-up of this column gets right, out of fold."""
    places = np.unique(values, return_inverse=True)[1]
    classes = np.unique(truth, return_inverse=True)[1]
    half, width = np.arange(len(truth)) % 2 == 0, int(classes.max()) + 1
    right = 0
    for learn, tell in ((half, ~half), (~half, half)):
        table = np.zeros((int(places.max()) + 1, width))
        np.add.at(table, (places[learn], classes[learn]), 1)
        common = np.bincount(classes[learn]).argmax()
        guess = np.where(table.sum(axis=1) > 0, table.argmax(axis=1), common)
        right += int((guess[places[tell]] == classes[tell]).sum())
    trivial = float(np.bincount(classes).max()) / len(truth)
    return max(0.0, (right / len(truth) - trivial) / (1 - trivial))


GATE = Leakage()
