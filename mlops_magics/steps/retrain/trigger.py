"""Whether a retraining is due: the condition held against what is known of the model and its fresh rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.rows import Rows
from mlops_magics.steps.retrain.when import NEW_DATA, Facts
from mlops_magics.tracking.records import ModelVersion

_OWN: Final = frozenset({"age", "rows", NEW_DATA})  # facts that need nobody to look at the endpoint


Look = Callable[[], Facts]
"""Looks at the model's endpoints, and says what a condition may ask for."""


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a retraining is due.

    Attributes:
        due: Whether it is.
        because: Why, or why not.
    """

    due: bool
    because: str


def due(asked: Asked, base: ModelVersion, found: Rows, look: Look) -> Due:
    """Say whether a retraining is due.

    Args:
        asked: What was asked.
        base: The version that is in use.
        found: The fresh rows.
        look: Looks for what else the condition asks for; it is called only if it asks for more.
    """
    if asked.when is None:
        # Whoever asks may have rows tried again that another version, which was refused, has seen already.
        if found.fresh is not None and not found.fresh.counts.new:
            return Due(due=False, because="there are no new labelled rows")
        return Due(due=True, because="asked for")
    facts: Facts = {"age": _age(base)}
    seen: Facts = {}
    missing = ""
    if not set(asked.when.names()) <= _OWN:
        try:
            seen = look()
        except MLOpsError as error:
            missing = f" ({error.what.rstrip('.')})"
    held = asked.when.held({**facts, **seen, **found.facts})
    if held.holds:
        return Due(due=True, because=held.because)
    unknown = "" if held.holds is not None else missing
    return Due(due=False, because=f"{asked.condition!r} does not hold: {held.because}{unknown}")


def _age(base: ModelVersion) -> float:
    made = datetime.fromisoformat(base.made)
    return max(0.0, (datetime.now(UTC) - made).total_seconds())
