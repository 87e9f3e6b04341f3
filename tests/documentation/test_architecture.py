"""The gate that the map of the code adds is a gate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pages import ROOT, blocks

from mlops_magics.checks.base import judge_all
from mlops_magics.checks.facts import Facts
from mlops_magics.checks.model import Predictions


@pytest.fixture(scope="module")
def gate() -> Any:
    (block,) = [
        block for block in blocks(ROOT / "docs" / "architecture.md") if block.file == "checks/share.py"
    ]
    names: dict[str, Any] = {}
    exec(compile(block.text, block.place, "exec"), names)  # noqa: S102 - the page's own example
    return names["GATE"]


@pytest.mark.parametrize(("late", "outcome"), [(500, "pass"), (10, "pass"), (9, "fail"), (0, "fail")])
def test_it_judges_by_the_rarest_answer(gate: Any, late: int, outcome: str) -> None:
    labels = np.zeros(1000)
    labels[:late] = 1
    facts = object.__new__(Facts)  # it looks at nothing else
    object.__setattr__(facts, "given", Predictions(labels))
    (verdict,) = judge_all([gate], facts)
    assert (verdict.name, verdict.outcome) == ("share", outcome)
    assert verdict.value is not None
    assert math.isclose(verdict.value, late / 1000)
