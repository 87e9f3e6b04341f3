"""What every drift test has to keep: the kit goes over our table, and over guests that keep it or do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift import DRIFT_TESTS
from mlops_magics.drift.base import DriftTest, Score
from mlops_magics.drift.missing import TEST as MISSING
from mlops_magics.stats.windows import ColumnWindow
from mlops_magics.testing import drift


@pytest.mark.parametrize("rule", drift.RULES)
@pytest.mark.parametrize("name", DRIFT_TESTS.table)
def test_ours_keep_the_rules(name: str, rule: drift.Rule) -> None:
    rule(DRIFT_TESTS.get(name))


@pytest.mark.parametrize("name", DRIFT_TESTS.table)
def test_a_part_is_named_as_its_row(name: str) -> None:
    assert DRIFT_TESTS.get(name).name == name


@dataclass(frozen=True)
class Guest:
    """The test of missing values with something spoilt."""

    spoilt: str
    name: str = "guest"
    weight: float = 1.0
    floor: float = 0.01

    def score(self, reference: ColumnReference, window: ColumnWindow) -> Score | None:
        found = MISSING.score(reference, window)
        assert found is not None
        found = replace(found, test=self.name)
        if self.spoilt == "bounds":
            return replace(found, effect=found.effect + 2)
        if self.spoilt == "equal":
            return replace(found, effect=max(found.effect, 0.5))
        if self.spoilt == "falls":
            return replace(found, effect=1 - found.effect if found.effect else 0.0)
        if self.spoilt == "raises" and not window.rows:
            raise ZeroDivisionError
        return found


def test_a_guest_that_keeps_the_rules_passes() -> None:
    for rule in drift.RULES:
        rule(Guest(""))


@pytest.mark.parametrize(
    ("spoilt", "rule"),
    [
        ("bounds", drift.it_says_what_it_is),
        ("equal", drift.it_finds_nothing_in_equal_samples),
        ("falls", drift.it_grows_with_the_shift),
        ("raises", drift.it_takes_empty_and_constant_columns),
    ],
)
def test_the_kit_finds_what_is_spoilt(spoilt: str, rule: drift.Rule) -> None:
    guest: DriftTest = Guest(spoilt)
    with pytest.raises(AssertionError):
        rule(guest)
