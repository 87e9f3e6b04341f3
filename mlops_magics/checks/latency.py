"""The gate that asks whether a single row is answered in time."""

from __future__ import annotations

import time

import numpy as np

from mlops_magics.checks.base import Verdict, failed, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.model import one_thread
from mlops_magics.foundation.blocks import shown

_ROUNDS, _ASKED = 3, 20
_SECONDS = 1.0  # a slow model is asked less often: its verdict is clear sooner


class Latency:
    """95 % of single rows are answered, in this process, within the budget.

    Other work on the machine only adds time, so a round beyond the budget may be repeated twice.
    """

    name = "latency"

    def judge(self, facts: Facts) -> Verdict:
        """Time single rows; the evidence names no time, so that it reads the same in every run."""
        with one_thread():
            facts.model.answer(facts.rows.head(1))  # the first call loads what later ones have
            value = _round(facts)
            for _ in range(_ROUNDS - 1):
                if value > facts.policy.latency_ms:
                    value = min(value, _round(facts))
        bound = facts.policy.latency_ms
        if value > bound:
            words = f"More than 5 % of single rows take longer than {shown(bound)} ms."
            return failed(self.name, value, bound, words, "ms")
        words = f"95 % of single rows are answered within {shown(bound)} ms."
        return passed(self.name, value, bound, words, "ms")


def _round(facts: Facts) -> float:
    """Return the 95 % point of single rows, in milliseconds."""
    took, started = list[float](), time.perf_counter()
    for turn in range(_ASKED):
        place = turn * 7919 % len(facts.rows)  # a large prime visits rows all over the table
        row = facts.rows.iloc[place : place + 1]
        before = time.perf_counter()
        facts.model.answer(row)
        took.append(time.perf_counter() - before)
        if time.perf_counter() - started > _SECONDS:
            break
    return 1000 * float(np.quantile(took, 0.95))


GATE = Latency()
