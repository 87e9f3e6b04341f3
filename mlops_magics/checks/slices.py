"""The gate that finds a bad part hidden in a good mean."""

from __future__ import annotations

from dataclasses import replace

from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.metrics import HIGHER_IS_BETTER
from mlops_magics.checks.slicing import Slice, allowed_drop, part_of
from mlops_magics.foundation.blocks import shown


class Slices:
    """No slice is surely worse than the mean by more than is allowed, all slices tested together.

    What the search found is named, and holds a model back only where the policy says so: nobody said that
    these portions matter, and rows may be harder there for every model.
    """

    name = "slices"

    def judge(self, facts: Facts) -> Verdict:
        """Judge the slices that were asked for by the one that falls deepest, then what was found."""
        asked = self._asked(facts)
        if facts.search is None or not facts.search.tried or asked.outcome == "fail":
            return asked
        tried = f"{facts.search.tried:,} portions of one or two columns"
        if not facts.search.portions:
            words = f"None of {tried} that were tried is surely worse."
            return _after(asked, passed(self.name, None, None, words))
        first = facts.search.portions[0]
        more = len(facts.search.portions) - 1
        words = (
            f"Found among {tried}: {first.words} has {first.metric} {_short(first.value)} "
            f"on {first.rows:,} rows, where rows with similar answers have {_short(first.expected)}"
        )
        words += f"; {more} more {'are' if more > 1 else 'is'} listed." if more else "."
        if facts.policy.found_slices == "fail":
            allowed = allowed_drop(first.metric, facts.policy.slice_drop)
            return failed(self.name, first.drop, allowed, words)
        return _after(asked, passed(self.name, None, None, words))

    def _asked(self, facts: Facts) -> Verdict:
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
            f"{part_of(worst.column, worst.level)}: {worst.metric} {shown(worst.value)} "
            f"({shown(worst.low)} to {shown(worst.high)}, {worst.rows:,} rows)"
        )
        far = shown(allowed) if HIGHER_IS_BETTER[worst.metric] else f"{shown(100 * allowed)} %"
        below = f"more than {far} worse than the mean"
        if bad:
            more = f"; so are {len(bad) - 1} more" if len(bad) > 1 else ""
            return failed(self.name, worst.drop, allowed, f"{words} is surely {below}{more}.")
        found = f"{words} is the lowest of {len(tested)}, not surely {below}."
        return passed(self.name, worst.drop, allowed, found)


def _after(asked: Verdict, found: Verdict) -> Verdict:
    """Say both: the slices that were asked for give the number."""
    if asked.outcome == "not applicable":
        return found
    return replace(asked, evidence=f"{asked.evidence} {found.evidence}")


def _short(value: float) -> str:
    return shown(float(f"{value:.3g}"))


def _depth(one: Slice) -> float:
    return 0.0 if one.drop is None else one.drop


GATE = Slices()
