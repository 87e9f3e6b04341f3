"""The gate that asks whether the model in the store is the model that was fitted."""

from __future__ import annotations

import math

from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts

_CLOSE = 1e-9  # another processor may add in another order; another model lies further off


class Loadback:
    """Read back from the store, the model answers its example as it did when it was logged."""

    name = "loadback"

    def judge(self, facts: Facts) -> Verdict:
        """Judge what was found when the model was read."""
        found = None if facts.kept is None else facts.kept.loadback
        if found is None:
            return not_applicable(self.name, "What the model answered when it was logged is not known.")
        rows = f"{found.rows} row{'s' if found.rows > 1 else ''}"
        if found.trouble:
            words = f"The model that was read back cannot answer its own example ({found.trouble})."
            return failed(self.name, None, _CLOSE, words)
        if not math.isfinite(found.difference):
            words = f"The model that was read back answers {rows} of its example otherwise than when logged."
            return failed(self.name, None, _CLOSE, words)
        if found.difference > _CLOSE:
            words = f"The model that was read back differs from the one that was logged on {rows}."
            return failed(self.name, found.difference, _CLOSE, words)
        return passed(self.name, found.difference, _CLOSE, f"{rows} are answered as when it was logged.")


GATE = Loadback()
