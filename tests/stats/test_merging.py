"""However a column is cut into parts, and in whatever tree they are put together: one answer."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracle import differences

from mlops_magics.stats import engine, numbers, texts
from mlops_magics.stats.distinct import SIZE, Distinct
from mlops_magics.stats.engine import survey
from mlops_magics.stats.histogram import Bins
from mlops_magics.stats.moments import Moments
from mlops_magics.stats.numbers import NumberPart
from mlops_magics.stats.summary import ColumnSummary
from mlops_magics.stats.texts import TextPart

PLAIN = settings(derandomize=True, database=None, deadline=None, max_examples=60)
SHORT = 500  # rows from which on a column is streamed, in the tests of streaming
ROWS = 6_000


def unlike(left: Any, right: Any, place: str = "", tolerance: float = 1e-9) -> list[str]:
    """Say where two answers differ: floats by more than rounding, all else at all."""
    if is_dataclass(left) and type(left) is type(right):
        return [
            words
            for item in fields(left)
            for words in unlike(
                getattr(left, item.name), getattr(right, item.name), f"{place}.{item.name}", tolerance
            )
        ]
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        return [
            words for key in left for words in unlike(left[key], right[key], f"{place}[{key}]", tolerance)
        ]
    if isinstance(left, tuple) and isinstance(right, tuple) and len(left) == len(right):
        pairs = enumerate(zip(left, right, strict=True))
        return [words for i, (a, b) in pairs for words in unlike(a, b, f"{place}[{i}]", tolerance)]
    if isinstance(left, float) and isinstance(right, float):
        same = math.isclose(left, right, rel_tol=tolerance, abs_tol=tolerance)
        return [] if same or (math.isnan(left) and math.isnan(right)) else [f"{place}: {left}, {right}"]
    return [] if type(left) is type(right) and left == right else [f"{place}: {left!r}, {right!r}"]


def shape(name: str, rows: int = ROWS) -> np.ndarray:
    """Values of many kinds: with gaps, infinities, ties, long ranges and short ones."""
    random = np.random.default_rng(7)
    whole = random.normal(0, 1, rows)
    made = {
        "normal": whole,
        "shifted": whole + 1e6,
        "gaps": np.where(random.random(rows) < 0.2, np.nan, whole),
        "infinite": np.where(random.random(rows) < 0.01, np.inf, whole),
        "ties": np.round(whole * 20),
        "heavy": random.standard_cauchy(rows),
        "wide": random.uniform(-1, 1, rows) * 10.0 ** random.integers(-200, 200, rows),
        "single": whole.astype(np.float32),
        "half": (whole * 300).astype(np.float16),
        "rising": np.cumsum(random.random(rows)),
        "integers": random.integers(-(2**62), 2**62, rows),
        "huge": random.integers(2**63, 2**64, rows, dtype=np.uint64),
        "counts": random.poisson(4, rows),
        "bytes": random.integers(-128, 128, rows).astype(np.int8),
        "constant": np.full(rows, 3.5),
        "empty": np.full(rows, np.nan),
    }
    return made[name]


SHAPES = [
    "normal",
    "shifted",
    "gaps",
    "infinite",
    "ties",
    "heavy",
    "wide",
    "single",
    "half",
    "rising",
    "integers",
    "huge",
    "counts",
    "bytes",
    "constant",
    "empty",
]


def table(rows: int = ROWS) -> pd.DataFrame:
    """All shapes, and texts, dates and flags."""
    random = np.random.default_rng(8)
    frame = pd.DataFrame({name: shape(name, rows) for name in SHAPES})
    frame["few"] = random.choice(["a", "b", "c", None], rows, p=[0.7, 0.2, 0.05, 0.05])
    frame["many"] = [f"name {n}" for n in random.zipf(1.3, rows) % 5000]
    frame["unique"] = [f"row {n} \u05e9" for n in range(rows)]
    frame["level"] = pd.Categorical(random.choice(["x", "y"], rows))
    frame["flag"] = random.random(rows) < 0.1
    frame["late"] = pd.array(random.integers(0, 9, rows), "Int64")
    frame.loc[frame.index % 7 == 0, "late"] = pd.NA
    frame["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 900, rows), "D")
    frame["waited"] = pd.to_timedelta(random.integers(-500, 900, rows), "s")
    frame["mixed"] = pd.Series([1, "x", 2.5, None, (1, 2)] * (rows // 5), dtype=object)
    # Of one type in the first half, of another in the second: no range alone tells.
    frame["turned"] = pd.Series([1] * (rows // 2) + ["x"] * (rows - rows // 2), dtype=object)
    frame["started"] = pd.Series([None] * (rows // 2) + [1.5] * (rows - rows // 2), dtype=object)
    return frame


@pytest.fixture
def streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stream whatever is longer than 500 rows."""
    for module in (engine, numbers, texts):
        monkeypatch.setattr(module, "EXACT_ROWS", SHORT)
    for module in (numbers, texts):
        monkeypatch.setattr(module, "_TABLED", 100)
        monkeypatch.setattr(module, "_FEW", 20)


def columns_of(frame: Any, **options: Any) -> dict[str, ColumnSummary]:
    return dict(survey(frame, **options).table.by_name)


@pytest.mark.parametrize("part_rows", [7, 1_000, 4_999])
def test_a_table_cut_into_parts_is_the_same_table(part_rows: int) -> None:
    frame = table(2_000 if part_rows == 7 else ROWS)
    whole, cut = survey(frame).table, survey(frame, part_rows=part_rows).table
    assert unlike(whole, cut) == []
    assert differences(cut, frame) == []


def test_a_row_a_part_is_the_same_table() -> None:
    frame = table(200)
    assert unlike(survey(frame).table, survey(frame, part_rows=1).table) == []


def test_so_it_is_with_any_number_of_threads() -> None:
    frame = table()
    alone = survey(frame, target="flag", workers=1)
    for workers in (2, 4):
        assert survey(frame, target="flag", workers=workers, part_rows=1_500).table == (
            survey(frame, target="flag", workers=1, part_rows=1_500).table
        )
        assert survey(frame, target="flag", workers=workers).table == alone.table


@pytest.mark.usefixtures("streamed")
@pytest.mark.parametrize("part_rows", [7, 300, 1_000])
def test_streams_are_the_same_however_they_are_cut(part_rows: int) -> None:
    frame = table(2_000 if part_rows == 7 else ROWS)
    whole, cut = columns_of(frame, part_rows=len(frame)), columns_of(frame, part_rows=part_rows)
    for name in whole:
        # Whether so many different values were counted or streamed may depend on the cut.
        found = unlike(whole[name], cut[name], name)
        assert [words for words in found if "rank_error" not in words and ".top" not in words] == []


def test_streams_agree_with_what_is_exact(request: pytest.FixtureRequest) -> None:
    frame = table()
    exact = columns_of(frame)
    request.getfixturevalue("streamed")
    for part_rows in (ROWS, 700):
        found = columns_of(frame, part_rows=part_rows)
        assert any(item.numbers and item.numbers.rank_error for item in found.values())
        for name, column in exact.items():
            assert [*_beyond_its_error(column, found[name])] == []


def _beyond_its_error(exact: ColumnSummary, found: ColumnSummary) -> list[str]:
    wrong = []
    free = {".top", ".top_exact", ".distinct", ".distinct_error", ".numbers.rank_error", ".meaning"}
    for words in unlike(exact, found, ""):
        name = words.partition(":")[0].partition("[")[0]
        if name not in free and name != ".numbers.quantiles":
            wrong.append(words)
    allowed = 4 * found.distinct_error * exact.distinct
    if abs(found.distinct - exact.distinct) > allowed:
        wrong.append(f"distinct {found.distinct}, not {exact.distinct}")
    return wrong


@pytest.mark.usefixtures("streamed")
def test_quantiles_of_a_stream_have_the_rank_they_should(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.stats.sample.ROWS", 4_000)
    values = np.random.default_rng(3).lognormal(0, 2, 50_000)
    found = columns_of(pd.DataFrame({"x": values}), part_rows=9_000)["x"].numbers
    assert found is not None
    assert 0 < found.rank_error <= 0.5 / math.sqrt(4_000)
    for share, value in found.quantiles.items():
        assert abs((values <= value).mean() - share) <= 5 * found.rank_error


@pytest.mark.usefixtures("streamed")
def test_distinct_counts_of_a_stream_keep_to_their_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.stats.distinct.SIZE", 256)
    random = np.random.default_rng(3)
    frame = pd.DataFrame({f"c{n}": random.integers(0, 2_000 * 4**n, 40_000) * 1.5 for n in range(4)})
    frame["text"] = frame["c1"].map(str)
    for name, column in columns_of(frame, part_rows=7_000).items():
        expected = frame[name].nunique()
        assert 0 < column.distinct_error <= 1 / math.sqrt(250)
        assert abs(column.distinct - expected) <= 4 * column.distinct_error * expected


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, list[int], int]:
    name = draw(st.sampled_from(SHAPES))
    edges = draw(st.lists(st.integers(0, 1_200), max_size=9))
    return name, sorted({0, 1_200, *edges}), draw(st.integers(0, 10**6))


def _tree(parts: list[Any], seed: int) -> Any:
    """Put neighbours together in a random order."""
    random = np.random.default_rng(seed)
    while len(parts) > 1:
        place = int(random.integers(len(parts) - 1))
        parts[place : place + 2] = [parts[place].then(parts[place + 1])]
    return parts[0]


@pytest.mark.parametrize("total", [1_200, numbers.EXACT_ROWS + 1])
@PLAIN
@given(cut=cuts())
def test_numbers_merge_in_any_tree(total: int, cut: tuple[str, list[int], int]) -> None:
    name, edges, seed = cut
    values = shape(name, 1_200)
    parts = [NumberPart.of(values[a:b], (b - a) % 3, total) for a, b in pairwise(edges)]
    left = reduce(lambda a, b: a.then(b), parts)
    tree = _tree([*parts], seed)
    once = NumberPart.of(values, sum(part.nulls for part in parts), total)
    sample = np.sort(values[np.isfinite(values.astype(float))].astype(float))
    for other in (tree, once):
        assert unlike(left.numbers(sample), other.numbers(sample)) == []
        assert (left.distinct, left.course, left.rows) == (other.distinct, other.course, other.rows)
        assert (left.nulls, left.nan, left.infinite) == (other.nulls, other.nan, other.infinite)


@pytest.mark.parametrize("total", [1_200, numbers.EXACT_ROWS + 1])
@PLAIN
@given(edges=st.lists(st.integers(0, 1_200), max_size=9), seed=st.integers(0, 10**6))
def test_texts_merge_in_any_tree_and_order(total: int, edges: list[int], seed: int) -> None:
    held = pl.Series([f"t{n}" if n % 11 else None for n in np.random.default_rng(0).zipf(1.5, 1_200)])
    marks = sorted({0, 1_200, *edges})
    parts = [TextPart.of(held[a:b], total) for a, b in pairwise(marks)]
    order = np.random.default_rng(seed).permutation(len(parts))
    sample = None
    tops = set()
    for found in (
        TextPart.of(held, total),
        reduce(lambda a, b: a.then(b), parts),
        _tree([*parts], seed),
        _tree([parts[place] for place in order], seed),
    ):
        told = (found.rows, found.nulls, found.distinct, found.lengths)
        tops.add((told, found.top(sample)))
    assert len(tops) == 1


@PLAIN
@given(
    values=st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
    cut=st.integers(0, 60),
)
def test_histograms_merge_exactly_in_any_order(values: list[float], cut: int) -> None:
    held = np.array(values)
    parts = [part for part in (held[:cut], held[cut:]) if part.size]
    bins = [Bins.of(part, part.min().item(), part.max().item()) for part in parts]
    whole = Bins.of(held, held.min().item(), held.max().item())
    for order in (bins, bins[::-1]):
        found = reduce(lambda a, b: a.merged(b), order)
        assert (found.exponent, found.first, found.low, found.high) == (
            whole.exponent,
            whole.first,
            whole.low,
            whole.high,
        )
        assert found.counts.tolist() == whole.counts.tolist()
    assert whole.counts.sum() == held.size
    assert len(whole.counts) <= 64


@PLAIN
@given(
    values=st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=80),
    cut=st.integers(0, 80),
)
def test_moments_merge_in_any_order(values: list[float], cut: int) -> None:
    held = np.array(values)
    left, right, whole = Moments.of(held[:cut]), Moments.of(held[cut:]), Moments.of(held)
    scale = max(1.0, float(np.abs(held).max()))
    for found in (left.merged(right), right.merged(left)):
        assert found.count == whole.count
        assert abs(found.mean - whole.mean) <= 1e-12 * scale
        for power, name in ((2, "m2"), (3, "m3"), (4, "m4")):
            assert abs(getattr(found, name) - getattr(whole, name)) <= 1e-12 * scale**power * whole.count


@PLAIN
@given(seed=st.integers(0, 10**6), parts=st.integers(1, 6))
def test_the_smallest_hashes_are_those_of_the_whole(seed: int, parts: int) -> None:
    random = np.random.default_rng(seed)
    hashes = random.integers(0, 2**64, 3 * SIZE // 2, dtype=np.uint64)[
        random.integers(0, 3 * SIZE // 2, 40_000)
    ]
    pieces = [Distinct.of(piece) for piece in np.array_split(hashes, parts)]
    found = reduce(lambda a, b: a.merged(b), [pieces[place] for place in random.permutation(parts)])
    assert found.kept.tolist() == Distinct.of(hashes).kept.tolist()
    assert found.kept.tolist() == np.unique(hashes)[:SIZE].tolist()
