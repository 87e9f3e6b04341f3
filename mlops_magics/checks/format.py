"""The gate that asks whether a model can be loaded without running what its file holds."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_magics.artifact.foreign import FORM
from mlops_magics.artifact.kept import Kept
from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts

_NAMED = 3  # names that a sentence holds


class Format:
    """Kept in the safe format, or in pickle where the policy says so."""

    name = "format"

    def judge(self, facts: Facts) -> Verdict:
        """Judge how the files hold the model; code that goes along was agreed to, and is named."""
        kept = facts.kept
        if kept is None:
            return not_applicable(self.name, "The model was never logged, so it is kept in no format.")
        if kept.safe:
            code = f", with code of its author: {_some(kept.code)}" if kept.code else ""
            return passed(self.name, None, None, f"It is kept in the safe format{code}.")
        if kept.format == FORM:
            judged = passed if facts.policy.allow_pickle else failed
            allowed = ", as the policy allows" if facts.policy.allow_pickle else ""
            return judged(
                self.name, None, None, f"MLflow loads it{allowed}: that runs any code that it holds."
            )
        if facts.policy.allow_pickle:
            return passed(self.name, None, None, f"It is kept in pickle, as the policy allows. {_why(kept)}")
        words = f"It is kept in pickle: loading it runs any code that it holds. {_why(kept)}"
        return failed(self.name, None, None, words)


def _why(kept: Kept) -> str:
    if not kept.foreign:
        return "The safe format can hold it."
    return f"The safe format cannot hold {_some(kept.foreign)}."


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(sorted(names)[:_NAMED]) + more


GATE = Format()
