"""The gate that finds a bad part hidden in a good mean."""

from __future__ import annotations

from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.metrics import HIGHER_IS_BETTER
from mlops_magics.checks.slicing import Slice, allowed_drop
from mlops_magics.foundation.blocks import shown


class Slices:
    """No slice is surely worse than the mean by more than is allowed, all slices tested together."""

    name = "slices"

    def judge(self, facts: Facts) -> Verdict:
        """Judge the slices that were asked for by the one that falls deepest."""
        if facts.given.unusable:
            return failed(self.name, None, None, "Slices cannot be measured: some predictions are unusable.")
        if not facts.slices:
            return not_applicable(self.name, "No slices were asked for.")
        tested = [one for one in facts.slices if one.drop is not None]
        if not tested:
            return not_applicable(self.name, f"All {len(facts.slices)} slices have too few rows.")
        allowed = allowed_drop(tested[0].metric, facts.policy.slice_drop)
        bad = [one for one in tested if one.worse]
        worst = max(bad or tested, key=_depth)
        words = (
            f"{worst.column} = {worst.level}: {worst.metric} {shown(worst.value)} "
            f"({shown(worst.low)} to {shown(worst.high)}, {worst.rows:,} rows)"
        )
        far = shown(allowed) if HIGHER_IS_BETTER[worst.metric] else f"{shown(100 * allowed)} %"
        below = f"more than {far} worse than the mean"
        if bad:
            more = f"; so are {len(bad) - 1} more" if len(bad) > 1 else ""
            return failed(self.name, worst.drop, allowed, f"{words} is surely {below}{more}.")
        found = f"{words} is the lowest of {len(tested)}, not surely {below}."
        return passed(self.name, worst.drop, allowed, found)


def _depth(one: Slice) -> float:
    return 0.0 if one.drop is None else one.drop


GATE = Slices()
