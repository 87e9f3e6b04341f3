"""The gate that asks whether a model is small enough to be carried around."""

from __future__ import annotations

import pickle

from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts
from mlops_magics.foundation.blocks import shown

_MEGABYTE = 1e6


class _TooLargeError(Exception):
    """More was written than the budget allows."""


class _Scale:
    """A file that keeps nothing and counts what is written to it, up to a limit."""

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.written = 0

    def write(self, data: bytes) -> int:
        """Count some bytes."""
        self.written += memoryview(data).nbytes
        if self.written > self.limit:
            raise _TooLargeError
        return self.written


class Size:
    """The model, written down, is no larger than the budget. Nothing is kept and nothing is loaded."""

    name = "size"

    def judge(self, facts: Facts) -> Verdict:
        """Weigh the model; the evidence names no size, which differs between releases of a library."""
        bound = facts.policy.size_mb
        scale = _Scale(bound * _MEGABYTE)
        try:
            pickle.Pickler(scale, protocol=5).dump(facts.model.estimator)
        except _TooLargeError:
            return failed(
                self.name, scale.written / _MEGABYTE, bound, f"It is larger than {shown(bound)} MB.", "MB"
            )
        except (pickle.PicklingError, TypeError, AttributeError):
            return not_applicable(self.name, "The model cannot be pickled, so it cannot be weighed this way.")
        return passed(self.name, scale.written / _MEGABYTE, bound, f"It is at most {shown(bound)} MB.", "MB")


GATE = Size()
