"""Laws of the column engine: how rows are cut, and by how many threads they are read, changes no answer."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass, replace
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mlops_magics.stats import numbers, texts
from mlops_magics.stats.counted import Counted
from mlops_magics.stats.distinct import SIZE, Distinct
from mlops_magics.stats.engine import survey
from mlops_magics.stats.histogram import Bins
from mlops_magics.stats.moments import Moments
from mlops_magics.stats.numbers import NumberPart, Stream
from mlops_magics.stats.summary import QUANTILES, TableSummary
from mlops_magics.stats.texts import TextPart

QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
FLOATS = st.floats(-1e6, 1e6, width=64) | st.sampled_from(
    [0.0, -0.0, math.nan, math.inf, -math.inf, 1.5, 1e-300]
)
VALUES = st.one_of(
    arrays.arrays(np.float64, st.integers(0, 80), elements=FLOATS),
    arrays.arrays(np.int64, st.integers(0, 80), elements=st.integers(-(2**62), 2**62)),
    arrays.arrays(np.int8, st.integers(0, 80)),
    arrays.arrays(np.uint64, st.integers(0, 80)),
)
CUTS = st.lists(st.integers(0, 80), max_size=5)


def close(left: Any, right: Any) -> bool:
    """Compare two answers: exactly, numbers up to rounding."""
    if is_dataclass(left):
        return all(close(getattr(left, item.name), getattr(right, item.name)) for item in fields(left))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(close(left[key], right[key]) for key in left)
    if isinstance(left, tuple | list):
        return len(left) == len(right) and all(map(close, left, right))
    if isinstance(left, float) and isinstance(right, float):
        return math.isclose(left, right, rel_tol=1e-7, abs_tol=1e-9) or (
            math.isnan(left) and math.isnan(right)
        )
    return bool(left == right)


def cut(values: Any, places: list[int]) -> list[Any]:
    edges = [0, *sorted(min(place, len(values)) for place in places), len(values)]
    return [values[start:stop] for start, stop in pairwise(edges)]


def summed(parts: list[Any], *, tree: bool) -> Any:
    """Add parts up from the left, or in pairs."""
    if not tree:
        return reduce(lambda left, right: left.then(right), parts)
    while len(parts) > 1:
        parts = [
            reduce(lambda left, right: left.then(right), parts[i : i + 2]) for i in range(0, len(parts), 2)
        ]
    return parts[0]


@QUICK
@given(VALUES, CUTS, st.booleans(), st.sampled_from([0, 10**9]))
def test_numbers_add_up_however_they_are_cut(values: Any, places: list[int], tree: bool, total: int) -> None:  # noqa: FBT001
    sample = np.sort(values[np.isfinite(values)].astype(np.float64))
    whole = NumberPart.of(values, 2, total)
    parts = [NumberPart.of(part, 0, total) for part in cut(values, places)]
    parts[0] = replace(parts[0], rows=parts[0].rows + 2, nulls=2)
    both = summed(parts, tree=tree)
    assert close(replace(whole, held=None), replace(both, held=None))
    assert whole.distinct == both.distinct
    left, right = whole.numbers(sample), both.numbers(sample)
    if left is None or right is None:
        assert left is right
    else:
        # The last moments of a few huge numbers are rounding; all else must agree.
        assert close(replace(left, skew=None, kurtosis=None), replace(right, skew=None, kurtosis=None))


@QUICK
@given(st.lists(st.sampled_from(["a", "b", "", "ä", "long text", None]), max_size=60), CUTS, st.booleans())
def test_texts_add_up_however_they_are_cut(values: list[Any], places: list[int], tree: bool) -> None:  # noqa: FBT001
    series = pl.Series("x", values, dtype=pl.String)
    whole = TextPart.of(series, 100)
    both = summed([TextPart.of(part, 100) for part in cut(series, places)], tree=tree)
    assert (whole.rows, whole.nulls, whole.distinct, whole.lengths) == (
        both.rows,
        both.nulls,
        both.distinct,
        both.lengths,
    )
    if whole.held is not None:
        assert isinstance(whole.held, Counted)
        assert isinstance(both.held, Counted)
        assert whole.held.most() == both.held.most()
        for key, _ in both.held.most():
            assert both.names.get(key) == whole.names.get(key)


@QUICK
@given(
    arrays.arrays(np.float64, st.integers(1, 60), elements=st.floats(allow_nan=False, allow_infinity=False)),
    CUTS,
)
def test_bins_add_up_exactly_in_any_order(values: Any, places: list[int]) -> None:
    def bins(part: Any) -> Bins:
        return Bins.of(part, part.min().item(), part.max().item())

    parts = [bins(part) for part in cut(values, places) if part.size]
    whole = bins(values)
    for order in (parts, parts[::-1]):
        both = reduce(lambda left, right: left.merged(right), order)
        assert (both.exponent, both.first, both.counts.tolist()) == (
            whole.exponent,
            whole.first,
            whole.counts.tolist(),
        )
    assert whole.counts.sum() == values.size
    assert whole.counts.size <= 64
    assert whole.start <= values.min()


@QUICK
@given(arrays.arrays(np.float64, st.integers(2, 200), elements=st.floats(-1e3, 1e3)), CUTS)
def test_moments_are_scipys(values: Any, places: list[int]) -> None:
    stats = pytest.importorskip("scipy.stats")
    both = reduce(lambda left, right: left.merged(right), [Moments.of(part) for part in cut(values, places)])
    assert both.count == values.size
    assert both.mean == pytest.approx(values.mean(), abs=1e-9)
    assert both.std == pytest.approx(values.std(ddof=1), abs=1e-6)
    if values.std() > 1:
        assert both.skew == pytest.approx(stats.skew(values), abs=1e-6)
        assert both.kurtosis == pytest.approx(stats.kurtosis(values), abs=1e-6)


@pytest.mark.parametrize("distinct", [10, 16_000, 50_000, 400_000])
def test_distinct_is_within_its_error_and_merges_without_loss(distinct: int) -> None:
    random = np.random.default_rng(distinct)
    hashes = pl.Series(random.integers(0, distinct, 500_000)).hash().to_numpy()
    truth = np.unique(hashes).size
    whole = Distinct.of(hashes)
    assert abs(whole.count - truth) <= 4 * whole.error * truth
    assert whole.exact == (truth < SIZE)
    parts = [Distinct.of(part) for part in np.array_split(hashes[random.permutation(hashes.size)], 7)]
    both = reduce(lambda left, right: left.merged(right), parts)
    assert np.array_equal(both.kept, whole.kept)


def table(rows: int = 6_000) -> pd.DataFrame:
    random = np.random.default_rng(3)
    return pd.DataFrame(
        {
            "id": np.arange(rows),
            "x": np.where(random.random(rows) < 0.1, np.nan, random.normal(size=rows)),
            "n": random.poisson(4, rows),
            "wide": random.integers(-(2**60), 2**60, rows),
            "t": random.choice(["a", "b", "c", None], rows, p=[0.5, 0.3, 0.1, 0.1]),
            "u": [f"u{i}" for i in random.integers(0, rows * 2, rows)],
            "d": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 10**6, rows), "s"),
            "f": random.random(rows) < 0.3,
        }
    )


@pytest.mark.parametrize("part_rows", [700, 1_999, 6_000])
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_ranges_and_threads_change_nothing(part_rows: int, workers: int) -> None:
    expected = survey(table(), target="f").table
    found = survey(table(), target="f", part_rows=part_rows, workers=workers).table
    assert close(expected, found)


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> TableSummary:
    """The table, read as if it were too long to be sorted, in ranges."""
    for module in (numbers, texts):
        monkeypatch.setattr(module, "EXACT_ROWS", 500)
    for module, names in ((numbers, ("_TABLED", "_FEW")), (texts, ("_FEW",))):
        for name in names:
            monkeypatch.setattr(module, name, 50)
    return survey(table(), target="f", part_rows=1_000).table


def test_a_long_table_is_known_within_the_errors_that_are_stated(streamed: TableSummary) -> None:
    frame = table()
    exact = survey(frame).table
    assert isinstance(NumberPart.of(frame["x"].to_numpy(), 0, 6_000).held, Stream)
    for far, near in zip(streamed.columns, exact.columns, strict=True):
        assert (far.missing, far.infinite, far.minimum, far.maximum) == (
            near.missing,
            near.infinite,
            near.minimum,
            near.maximum,
        )
        assert far.lengths == near.lengths
        assert abs(far.distinct - near.distinct) <= 4 * far.distinct_error * near.distinct
        if far.numbers is None or near.numbers is None:
            continue
        plain = {"quantiles": {}, "rank_error": 0.0}
        assert close(replace(far.numbers, **plain), replace(near.numbers, **plain))
        values = np.sort(frame[far.name].dropna().astype("int64" if far.kind == "date" else float))
        unit = 1 if far.kind != "date" else values[-1] / far.numbers.maximum
        for share in QUANTILES:
            found = far.numbers.quantiles[share] * unit
            low, high = (np.searchsorted(values, found, side) / values.size for side in ("left", "right"))
            slack = 5 * far.numbers.rank_error + 1 / values.size
            assert low - slack <= share <= high + slack
    assert streamed.duplicates == exact.duplicates
