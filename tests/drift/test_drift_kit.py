"""What every drift test has to keep: the kit goes over our table, and over guests that keep it or do not."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from drifting import plain, reference, window

from mlops_magics.artifact.reference import ColumnReference
from mlops_magics.drift import DRIFT_TESTS, scoring
from mlops_magics.drift.base import DriftTest, Score
from mlops_magics.drift.judging import judge
from mlops_magics.drift.missing import TEST as MISSING
from mlops_magics.foundation.errors import MLOpsError
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


INSTALLED = """
from mlops_magics.drift.base import Score


class Rows:
    name = "rows"
    weight = 1.0
    floor = 0.0

    def score(self, reference, window):
        if reference.name == "town":
            return None
        if window.missing:
            raise ZeroDivisionError("on purpose")
        many = window.rows > 1_000
        return Score("rows", reference.name, window.rows, float(many), 0.0 if many else 1.0, "Many rows.")


TEST = Rows()
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    info = tmp_path / "guest_drift-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-drift\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[mlops_magics.drift]\nrows = guest_drift:TEST\n")
    (tmp_path / "guest_drift.py").write_text(INSTALLED)
    monkeypatch.syspath_prepend(tmp_path)
    for cached in (scoring.tests, scoring.deciding):
        cached.cache_clear()
    yield
    sys.modules.pop("guest_drift", None)
    for cached in (scoring.tests, scoring.deciding):
        cached.cache_clear()


@pytest.mark.usefixtures("installed")
def test_a_package_brings_a_test_that_decides_with_ours() -> None:
    known = reference(plain(0))
    few, many = (judge(known, window(known, plain(1, rows))) for rows in (900, 1_100))
    assert not few.alarmed
    assert {(each.name, each.test) for each in many.alarms} == {
        ("price", "rows"), ("temperature", "rows"), ("stars", "rows"),
    }  # fmt: skip
    gaps = plain(1).assign(price=None)
    with pytest.raises(MLOpsError, match="'rows' raised ZeroDivisionError at column 'price'"):
        judge(known, window(known, gaps))
