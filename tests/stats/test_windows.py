"""A window: rows counted in the bins of a reference. However rows are cut, windows add up to the same."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlops_magics.artifact.reference import Predictions, Reference, bucket
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.stats import dates
from mlops_magics.stats.counting import answers_of
from mlops_magics.stats.reference import bins_of, reference_of
from mlops_magics.stats.windows import Answers, ColumnWindow, Window, counted, total

ROWS = 3_000


class Mute:
    """A model that answers nothing."""

    def predict(self, rows: Any) -> Any:
        return np.zeros((len(rows), 0))


def _table(seed: int = 0) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    price = random.lognormal(3, 1, ROWS)
    price[::50] = np.nan
    towns = random.choice(["Oslo", "Rome", "Lima"], ROWS, p=[0.6, 0.37, 0.03]).astype(object)
    towns[::20] = None
    return pd.DataFrame(
        {
            "price": price,
            "stars": random.integers(1, 6, ROWS),
            "gift": random.random(ROWS) < 0.2,
            "town": towns,
            "when": pd.Timestamp("2025-01-01") + pd.to_timedelta(random.integers(0, 365 * 24, ROWS), "h"),
            "remark": [f"the parcel {row} is late" for row in range(ROWS)],
            "mail": [f"anna{row % 50}@mail.example" for row in range(ROWS)],
            "row": np.arange(ROWS),
        }
    )


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return _table()


@pytest.fixture(scope="module")
def reference(table: pd.DataFrame) -> Reference:
    return _of(table)


def _of(table: Any) -> Reference:
    made = reference_of(table, Mute())
    assert made is not None
    return made


def test_the_rows_of_the_reference_are_counted_as_it_has_them(
    table: pd.DataFrame, reference: Reference
) -> None:
    window = counted(reference, table)
    assert window.rows == ROWS
    for then, now in zip(reference.columns, window.columns, strict=True):
        assert (now.name, now.rows, now.missing) == (then.name, ROWS, then.missing)
        assert (now.wrong, now.absent, now.below, now.above) == (0, 0, 0, 0)
        assert now.counts == (() if then.bins is None else then.bins.counts)
        assert now.lengths == (() if then.lengths is None else then.lengths.counts)
        if then.levels is not None and then.levels.tail:
            assert now.named == then.levels.named
            assert now.tail == then.levels.tail
        assert (now.words, now.hours, now.weekdays) == (then.words, then.hours, then.weekdays)
    assert window.by_name["remark"].worded == 1_000


def test_each_library_gives_the_same_window(table: pd.DataFrame, reference: Reference) -> None:
    frame = pl.from_pandas(table)
    assert counted(reference, frame) == counted(reference, table) == counted(reference, frame.to_arrow())


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(1, ROWS - 1), max_size=4, unique=True))
def test_windows_of_parts_add_up_to_the_whole(cuts: list[int]) -> None:
    table, reference = _table(1), _of(_table())
    ends = [0, *sorted(cuts), ROWS]
    parts = [counted(reference, table[one:two]) for one, two in pairwise(ends)]
    whole, added = counted(reference, table), reduce(Window.__add__, parts)
    for now, then in zip(added.columns, whole.columns, strict=True):
        for name in ("rows", "missing", "infinite", "wrong", "below", "above", "counts", "named", "tail"):
            assert getattr(now, name) == getattr(then, name)
        assert (now.lengths, now.hours, now.weekdays) == (then.lengths, then.hours, then.weekdays)
    assert total(parts) == added
    assert total([]) is None


def test_quantiles_of_added_windows_stay_near(reference: Reference, table: pd.DataFrame) -> None:
    halves = [counted(reference, table[part::2]) for part in (0, 1)]
    one, both = (
        each.by_name["price"].quantiles for each in (counted(reference, table), halves[0] + halves[1])
    )
    assert np.allclose(one, both, rtol=0.1)
    assert both == (halves[1] + halves[0]).by_name["price"].quantiles


def test_numbers_beyond_the_range_and_infinities(reference: Reference) -> None:
    known = reference.by_name["price"].bins
    assert known is not None
    # The ends are kept with seven digits: the very ends are not beyond themselves.
    values = [known.minimum, known.maximum, known.minimum * 0.99, known.maximum * 1.01, 1e9, np.inf, -np.inf]
    found = counted(reference, pd.DataFrame({"price": values})).by_name["price"]
    assert (found.below, found.above, found.infinite, found.missing) == (1, 2, 2, 0)
    assert sum(found.counts) == 5


def test_large_whole_numbers_lie_in_their_own_range() -> None:
    values = pd.DataFrame({"x": 123_456_789_012 + 7 * np.arange(2_000) % 1_999})
    found = counted(_of(values), values).columns[0]
    assert (found.below, found.above) == (0, 0)


@pytest.mark.parametrize(
    ("name", "values", "wrong", "missing"),
    [
        ("price", ["1.5", "2", None, "x"], 3, 1),
        ("price", [1.5, "x", None, 2], 1, 1),
        ("price", pd.to_datetime(["2025-01-01"] * 4), 4, 0),
        ("gift", ["true", "False", "1", None], 3, 1),
        ("when", ["2025-01-01", "2025-06-01T10:00:00", "soon", None], 1, 1),
        (
            "when",
            ["2025-01-01T10:00:00Z", "2025-06-01T12:00:00.5+02:00", "2025-06-01 10:00 -0130", "1-1"],
            1,
            0,
        ),
        ("when", [1.0, 2.0, 3.0, np.nan], 3, 1),
        ("town", [1, 2, 3, 4], 4, 0),
        ("town", [None] * 4, 0, 4),
    ],
)
def test_values_of_another_kind_are_counted(
    reference: Reference, name: str, values: Any, wrong: int, missing: int
) -> None:
    found = counted(reference, pd.DataFrame({name: values})).by_name[name]
    assert (found.rows, found.wrong, found.missing) == (4, wrong, missing)


def test_numbers_in_texts_fall_into_their_bins_all_the_same(
    table: pd.DataFrame, reference: Reference
) -> None:
    texts = pd.DataFrame({"stars": table["stars"].astype(str)})
    assert counted(reference, texts).by_name["stars"].counts == reference.by_name["stars"].bins.counts  # type: ignore[union-attr]


def test_a_column_that_is_gone_is_told_and_one_that_looks_personal_is_not(reference: Reference) -> None:
    found = counted(reference, pd.DataFrame({"other": [1.0] * 10})).by_name
    assert (found["price"].rows, found["price"].absent) == (10, 10)
    assert found["mail"] == ColumnWindow("mail")


def test_new_values_have_names_where_they_may(reference: Reference) -> None:
    hidden = "api_key=sk-1234567890abcdefABCDEF12"
    rows = pd.DataFrame(
        {"town": ["Paris"] * 5 + ["Lima"] * 3 + [hidden] * 9 + ["x" * 200], "mail": ["a@new.example"] * 18}
    )
    window = counted(reference, rows)
    assert window.by_name["town"].fresh == {"Paris": 5, "Lima": 3}
    assert window.by_name["town"].tail[bucket(hidden)] >= 9
    assert window.by_name["mail"].fresh == {}
    written = window.to_json()
    assert b"sk-123" not in written
    assert b"new.example" not in written


def test_what_is_written_is_read(table: pd.DataFrame, reference: Reference) -> None:
    moments = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
    window = counted(reference, table, began=moments[0], ended=moments[1])
    assert Window.from_json(window.to_json()) == window
    assert len(window.to_json()) < 10_000
    both = window + counted(reference, table, began=moments[1])
    assert (both.began, both.ended, both.rows) == (*moments, 2 * ROWS)


@pytest.mark.parametrize(
    "spoilt", ["", "[]", "{}", '{"version":1}', '{"version":1,"reference":"x","columns":[3]}']
)
def test_what_is_no_window_is_refused(spoilt: str) -> None:
    with pytest.raises(MLOpsError, match="damaged"):
        Window.from_json(spoilt)


def test_a_window_of_another_form_or_reference_is_refused(table: pd.DataFrame, reference: Reference) -> None:
    window = counted(reference, table)
    other = counted(_of(_table(5)), table)
    with pytest.raises(MLOpsError, match="two references"):
        window + other
    with pytest.raises(MLOpsError, match="of version 9"):
        Window.from_json(json.dumps(json.loads(window.to_json()) | {"version": 9}))
    with pytest.raises(UsageError):
        counted(reference, [1, 2, 3])


def test_answers_are_counted() -> None:
    numbers = Predictions(500, numbers=bins_of(np.arange(500.0)))
    found = answers_of(numbers, [1.0, 499.0, np.nan, 1e9])
    assert (found.rows, found.missing, sum(found.numbers)) == (4, 1, 3)
    two = Predictions(
        500,
        labels={"no": 300, "yes": 200},
        probabilities={"yes": bins_of(np.linspace(0, 1, 500))},  # type: ignore[dict-item]
    )
    assert answers_of(two, ["yes", "no", "yes", None]).labels == {"no": 1, "yes": 2}
    chances = answers_of(two, np.array([[0.9, 0.1], [0.2, 0.8], [np.nan, np.nan]]))
    assert (chances.labels, chances.missing) == ({"no": 1, "yes": 1}, 1)
    assert sum(chances.probabilities["yes"]) == 2
    assert (chances + chances).labels == {"no": 2, "yes": 2}
    assert Answers() + chances == chances


def test_moments_with_a_time_zone_are_those_of_utc(reference: Reference) -> None:
    here = pd.date_range(
        "2025-03-29 20:00", periods=600, freq="7min", tz="Europe/Berlin"
    )  # summer time begins
    texts = [moment.isoformat() for moment in here]
    assert len({text[-6:] for text in texts}) == 2
    wanted = counted(reference, pd.DataFrame({"when": here.tz_convert(None)})).by_name["when"]
    for told in (here, texts, [text.replace(":00+", ":00 +") for text in texts]):
        found = counted(reference, pd.DataFrame({"when": told})).by_name["when"]
        assert (found.hours, found.weekdays, found.wrong) == (wanted.hours, wanted.weekdays, 0)
    assert dates.parsed(pl.Series(["2024-12-31 23:59", "31-12-2024", "2025-01-01T01:00+01:30"])).tolist() == [
        dates.micros("2024-12-31T23:59"), dates.micros("2024-12-31"), dates.micros("2024-12-31T23:30"),
    ]  # fmt: skip
