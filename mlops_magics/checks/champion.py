"""The gate that holds back what is worse than the champion, or better only by luck."""

from __future__ import annotations

from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.metrics import HIGHER_IS_BETTER
from mlops_magics.checks.paired import Comparison
from mlops_magics.foundation.blocks import shown


class Champion:
    """Surely not worse than the champion by more than the margin or, where asked for, surely better."""

    name = "champion"

    def judge(self, facts: Facts) -> Verdict:
        """Judge the primary metric on the same rows."""
        if facts.champion is None:
            return not_applicable(self.name, "There is no champion to compare with.")
        if facts.champion:
            return failed(self.name, None, None, facts.champion)
        found = next((item for item in facts.comparisons if item.metric == facts.primary), None)
        if found is None:
            return failed(self.name, None, None, f"{facts.primary} is not defined for both models here.")
        higher = HIGHER_IS_BETTER[found.metric]
        margin = facts.policy.margin if higher else facts.policy.margin * abs(found.champion)
        strict = facts.policy.require == "better"
        bound = 0.0 if strict else (-margin if higher else margin)
        holds = found.better is True if strict else found.non_inferior
        words = f"{reading(found)} {found.metric} differs by {shown(_rounded(found))} ({_interval(found)}); "
        words += "the policy asks for better." if strict else f"{shown(margin)} worse is allowed."
        return (passed if holds else failed)(self.name, found.difference, bound, words)


def reading(found: Comparison) -> str:
    """Put a comparison into one word or two."""
    if found.better is None:
        return "Inside the noise:"
    return "Better:" if found.better else "Worse:"


def _rounded(found: Comparison) -> float:
    return float(f"{found.difference:.3g}")


def _interval(found: Comparison) -> str:
    return f"{shown(float(f'{found.low:.3g}'))} to {shown(float(f'{found.high:.3g}'))}"


GATE = Champion()
