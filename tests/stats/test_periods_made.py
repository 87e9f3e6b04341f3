"""The stretches of time in a reference: which column tells the time, how long they are, what is in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.artifact.periods import GROUPS, MOST, starts
from mlops_magics.artifact.reference import Reference
from mlops_magics.stats.reference import reference_of

ROWS = 5_000


class Mute:
    """A model that answers nothing."""

    def predict(self, rows: Any) -> Any:
        return np.zeros((len(rows), 0))


def _of(table: Any) -> Reference:
    made = reference_of(table, Mute())
    assert made is not None
    return made


def _table(days: float, rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(0)
    when = pd.Timestamp("2025-01-01") + pd.to_timedelta(random.random(rows) * days * 86_400, "s")
    return pd.DataFrame(
        {
            "when": when,
            "price": np.where(random.random(rows) < 0.1, np.nan, random.lognormal(0, 1, rows)),
            "stars": random.integers(1, 4, rows),
            "town": random.choice(["Oslo", "Rome", "Lima"], rows),
            "mail": [f"anna{row % 50}@mail.example" for row in range(rows)],
            "same": ["x"] * rows,
        }
    )


@pytest.mark.parametrize(
    ("days", "unit", "count"),
    [
        (0.5, "hour", 12),
        (3, "day", 3),
        (20, "day", 20),
        (100, "week", 15),
        (365, "month", 12),
        (1_800, "quarter", 20),
    ],
)
def test_the_finest_unit_that_is_kept_is_chosen(days: float, unit: str, count: int) -> None:
    periods = _of(_table(days)).periods
    assert periods is not None
    assert (periods.column, periods.unit, len(periods.held)) == ("when", unit, count)
    assert count <= MOST
    assert all(one.ended < two.began for one, two in zip(periods.held, periods.held[1:], strict=False))


def test_they_add_up_to_the_reference() -> None:
    made = _of(_table(365))
    assert made.periods is not None
    assert sum(period.rows for period in made.periods.held) == ROWS
    for name, column in made.by_name.items():
        if name == "when":
            continue
        summed = np.sum([period.counts[name] for period in made.periods.held], axis=0)
        assert summed.sum() == ROWS
        assert summed[-1] == column.missing
        if column.bins is not None:
            at = list(starts(len(column.bins.counts)))
            assert summed[:-1].tolist() == np.add.reduceat(column.bins.counts, at).tolist()
            assert len(at) <= GROUPS
    assert made.columns[4].personal == "email"
    assert {len(period.counts["mail"]) for period in made.periods.held} == {2}  # there, or not
    assert Reference.from_json(made.to_json()) == made


def test_there_are_none_where_nothing_tells_the_time() -> None:
    assert _of(_table(365).drop(columns="when")).periods is None
    assert _of(_table(0.01)).periods is None  # one stretch tells nothing
    gaps = _table(365)
    gaps.loc[::5, "when"] = pd.NaT
    assert _of(gaps).periods is None
    assert _of(gaps.assign(later=_table(20)["when"])).periods.column == "later"  # type: ignore[union-attr]
    birth = _table(365).rename(columns={"when": "date_of_birth"})
    assert _of(birth).periods is None


def test_they_keep_the_reference_small() -> None:
    random = np.random.default_rng(0)
    table = _table(365 * 2, 20_000)[["when"]]
    for place in range(14):
        table[f"x{place}"] = random.lognormal(0, 2, 20_000)
    for place in range(5):
        table[f"c{place}"] = random.choice([f"level {k}" for k in range(10 ** (place % 4))], 20_000)
    assert len(_of(table).to_json()) < 115_000


def test_a_long_table_is_looked_at_from_all_over() -> None:
    made = _of(_table(365, 60_000))
    assert made.periods is not None
    assert len(made.periods.held) == 12
    assert sum(period.rows for period in made.periods.held) == 20_000
