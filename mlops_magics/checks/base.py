"""What a gate is, and what it says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from mlops_magics.checks.facts import Facts
from mlops_magics.checks.model import reason

Outcome = Literal["pass", "fail", "not applicable"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate decided, and on what grounds.

    Attributes:
        name: The gate.
        outcome: "pass", "fail" or "not applicable".
        value: The number it looked at; None where there is none, or where it is not finite.
        threshold: The bound of that number.
        evidence: What it saw, in words that are the same in every run on the same data.
        unit: The unit of value and threshold; "" for a plain number.
    """

    name: str
    outcome: Outcome
    value: float | None
    threshold: float | None
    evidence: str
    unit: str = ""


class Check(Protocol):
    """A gate: it looks at what was measured, or asks the model once more, and decides."""

    @property
    def name(self) -> str:
        """Its name in the room."""

    def judge(self, facts: Facts) -> Verdict:
        """Decide.

        Args:
            facts: The model, the rows, what was predicted and measured, and the policy.

        Returns:
            The verdict. What it raises, and a number that is not finite, count as a failure.
        """


def passed(name: str, value: float | None, threshold: float | None, evidence: str, unit: str = "") -> Verdict:
    """Say that a gate holds."""
    return Verdict(name, "pass", value, threshold, evidence, unit)


def failed(name: str, value: float | None, threshold: float | None, evidence: str, unit: str = "") -> Verdict:
    """Say that a gate does not hold."""
    return Verdict(name, "fail", value, threshold, evidence, unit)


def not_applicable(name: str, evidence: str) -> Verdict:
    """Say that a gate has nothing to look at here."""
    return Verdict(name, "not applicable", None, None, evidence)


def judge_all(checks: Iterable[Check], facts: Facts) -> tuple[Verdict, ...]:
    """Ask every gate.

    Args:
        checks: The gates, in the order in which they are shown.
        facts: What they look at.

    Returns:
        One verdict a gate. A gate that raises, or that looked at a number which is not finite, fails.
    """
    return tuple(_judge(check, facts) for check in checks)


def _judge(check: Check, facts: Facts) -> Verdict:
    try:
        verdict = check.judge(facts)
    except Exception as error:  # noqa: BLE001 - a gate that breaks for any reason must not let a model through
        return failed(check.name, None, None, f"The gate itself raised {reason(error)}")
    if not isinstance(verdict, Verdict) or verdict.outcome not in {"pass", "fail", "not applicable"}:
        return failed(check.name, None, None, "The gate gave no verdict.")
    if verdict.value is not None and not math.isfinite(verdict.value):
        found = f"The gate looked at a number that is not finite. {verdict.evidence}"
        return replace(verdict, outcome="fail", value=None, evidence=found)
    return verdict
