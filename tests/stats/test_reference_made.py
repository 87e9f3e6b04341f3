"""The reference of the rows that a model was fitted on: exact counts, few bytes, nothing personal."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlops_magics.artifact.reference import NAME, Reference, bucket
from mlops_magics.stats.coded import NAME as ROWS_NAME
from mlops_magics.stats.coded import CodedRows
from mlops_magics.stats.reference import bins_of, kept_of, reference_of

ROWS = 2_000


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(0)


def _fitted(table: pd.DataFrame) -> Any:
    return DummyClassifier().fit(table, np.arange(len(table)) % 2)


def _of(table: Any, model: Any = None) -> Reference:
    made = reference_of(table, _fitted(table) if model is None else model)
    assert made is not None
    return made


SHAPES: dict[str, Callable[[np.random.Generator], Any]] = {
    "normal": lambda random: random.normal(size=ROWS),
    "whole": lambda random: random.integers(-5, 5, ROWS).astype(float),
    "heavy": lambda random: np.where(random.random(ROWS) < 0.6, 3.14159265358, random.normal(size=ROWS)),
    "far from zero": lambda random: 1e9 + random.normal(size=ROWS) * 1e-3,
    "tiny": lambda random: random.normal(size=ROWS) * 1e-300,
    "huge": lambda random: random.normal(size=ROWS) * 1e307,
    "below zero": lambda random: -random.exponential(size=ROWS),
    "constant": lambda random: np.full(ROWS, random.normal()),
    "two": lambda random: (random.random(ROWS) < 0.1).astype(float),
    "moments": lambda random: 1.7e15 + random.integers(0, 10**12, ROWS).astype(float),
    "three rows": lambda random: random.normal(size=3),
    "zeros": lambda random: np.where(random.random(ROWS) < 0.5, -0.0, 0.0),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_each_bin_holds_what_it_says(shape: str, random: np.random.Generator) -> None:
    values = SHAPES[shape](random)
    _check(values)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=400))
def test_each_bin_holds_what_it_says_of_any_numbers(values: list[float]) -> None:
    _check(np.array(values * 3))


def _check(values: Any) -> None:
    found = bins_of(values)
    assert found is not None
    assert list(found.edges) == sorted(set(found.edges))
    held = Counter(bisect_right(found.edges, value) for value in values.tolist())
    assert found.counts == tuple(held.get(place, 0) for place in range(len(found.edges) + 1))


def test_bins_have_equal_mass(random: np.random.Generator) -> None:
    found = bins_of(random.lognormal(0, 3, 20_000))
    assert found is not None
    assert len(found.counts) == 256
    assert set(found.counts) <= {77, 78, 79}
    few = bins_of(random.normal(size=100))
    assert few is not None
    assert len(few.counts) == 5  # no edge stands for a single row


def test_the_same_distribution_stays_close_and_a_shift_shows(random: np.random.Generator) -> None:
    found = bins_of(random.normal(size=20_000))
    assert found is not None
    share = np.cumsum(found.counts) / 20_000

    def distance(values: Any) -> float:
        places = np.searchsorted(found.edges, values, "right")
        other = np.cumsum(np.bincount(places, minlength=len(found.counts))) / len(values)
        return float(np.abs(share - other).max())

    bound = 1.95 * np.sqrt(2 / 20_000)  # Kolmogorov-Smirnov's for one in a thousand
    assert max(distance(random.normal(size=20_000)) for _ in range(20)) < bound
    assert distance(random.normal(0.1, 1, 20_000)) > 1.5 * bound


def test_frequent_values_have_names_and_others_buckets(random: np.random.Generator) -> None:
    towns = random.choice(["Oslo", "Rome", "Lima"], ROWS, p=[0.6, 0.37, 0.03]).astype(object)
    towns[::10] = None
    levels = _of(pd.DataFrame({"town": towns})).by_name["town"].levels
    counts = Counter(town for town in towns if town is not None)
    assert levels is not None
    assert levels.named == {"Oslo": counts["Oslo"], "Rome": counts["Rome"]}
    assert levels.tail[bucket("Lima")] == sum(levels.tail) == counts["Lima"]
    assert levels.distinct == 3


def test_nothing_personal_is_written(random: np.random.Generator) -> None:
    people = 10
    one = random.integers(0, people, ROWS)
    table = pd.DataFrame(
        {
            "mail": [f"anna{i}@mail.example" for i in one],
            "customer_name": np.array(["Anna Smith", "Bob Jones", "Ann"])[one % 3],
            "phone": 4_912_345_000 + one,
            "dob": pd.Timestamp("1980-05-17") + pd.to_timedelta(one, "D"),
            "contact": [f"+49 151 234567{i}" for i in one],
            "remark": [f"please call Anna {i} at the desk on the second floor" for i in range(ROWS)],
            "setting": np.array(["api_key=sk-1234567890abcdefABCDEF12", "plain"])[one % 2],
            "grade": one.astype(float),
        }
    )
    made = _of(table)
    written = made.to_json()
    for text in (b"mail.example", b"Smith", b"Jones", b"49123", b"234567", b"call", b"sk-123"):
        assert text not in written
    looks = {column.name: column.personal for column in made.columns}
    assert looks == {
        "mail": "email", "customer_name": "name", "phone": "phone", "dob": "birth", "contact": "phone",
        "remark": "free text", "setting": "", "grade": "",
    }  # fmt: skip
    levels = made.by_name["mail"].levels
    assert levels is not None
    assert sum(levels.tail) == ROWS  # in buckets, so that drift shows all the same
    for name in ("phone", "dob"):
        assert made.by_name[name].bins is None
    setting = made.by_name["setting"].levels
    assert setting is not None
    assert set(setting.named) == {"plain"}


def test_gaps_and_infinities_are_counted() -> None:
    values = np.array([1.0, np.nan, np.inf, -np.inf, 2.0] * 10)
    frames = [
        pd.DataFrame({"x": values}),
        pl.DataFrame({"x": values}),
        pl.DataFrame({"x": values}).to_arrow(),
    ]
    for table in frames:
        column = _of(table, DummyClassifier().fit(values[:, None], np.arange(50) % 2)).by_name["x"]
        assert (column.rows, column.missing, column.infinite) == (50, 10, 20)
        assert column.bins is not None
        assert sum(column.bins.counts) == 20
    (empty,) = _of(pd.DataFrame({"x": [None] * 5})).columns
    assert (empty.missing, empty.bins, empty.levels) == (5, None, None)


def test_it_is_small(random: np.random.Generator) -> None:
    rows = 100_000
    table = {f"x{i}": random.lognormal(0, 2, rows) for i in range(14)}
    table |= {f"c{i}": random.choice([f"level {k}" for k in range(10 ** (i % 4))], rows) for i in range(6)}
    made = _of(pd.DataFrame(table))
    assert len(made.to_json()) < 100_000
    wide = _of(pd.DataFrame({f"x{i}": random.normal(size=3_000) for i in range(1_000)}))
    assert len(wide.columns) + wide.left_out == 1_000
    assert len(wide.to_json()) < 300_000


def test_importance_is_told_of_raw_columns(random: np.random.Generator) -> None:
    table = pd.DataFrame(
        {"town": random.choice(["a", "b", "c"], 300), "size": random.normal(size=300), "town_2": 1.0}
    )
    truth = (table["size"] > 0).astype(int)
    columns = make_column_transformer((OneHotEncoder(), ["town"]), remainder="passthrough")
    for model, measured in (
        (make_pipeline(columns, RandomForestClassifier(20, random_state=0)), "feature_importances_"),
        (make_pipeline(columns, StandardScaler(), LogisticRegression()), "coef_"),
    ):
        made = _of(table, model.fit(table, truth))
        assert made.measured == measured
        assert set(made.importance) == {"town", "size", "town_2"}
        assert sum(made.importance.values()) == pytest.approx(1, abs=1e-5)
        assert made.importance["size"] > 0.8
    assert _of(table).measured == ""


def test_what_the_model_answers_is_told(random: np.random.Generator) -> None:
    numbers = random.normal(size=(600, 2))
    two = _of(numbers, LogisticRegression().fit(numbers, numbers[:, 0] > 0)).predictions
    assert two is not None
    assert (two.rows, two.basis, set(two.probabilities), two.numbers) == (500, "fitted", {"True"}, None)
    assert sum(two.labels.values()) == sum(two.probabilities["True"].counts) == 500
    several = _of(numbers, LogisticRegression().fit(numbers, np.arange(600) % 3)).predictions
    assert several is not None
    assert set(several.probabilities) == {"0", "1", "2"}
    number = _of(numbers, LinearRegression().fit(numbers, numbers[:, 0])).predictions
    assert number is not None
    assert number.numbers is not None
    assert number.labels == {}
    assert _of(numbers, LinearRegression().fit(numbers, numbers)).predictions is None  # many outputs


def test_no_fit_is_lost_for_it() -> None:
    class Broken:
        def predict(self, rows: Any) -> Any:
            raise RuntimeError(rows)

    assert kept_of(pd.DataFrame({"x": [1.0]}), Broken()) == {}
    assert kept_of([1, 2, 3], LinearRegression()) == {}
    assert kept_of(None, LinearRegression()) == {}
    fitted = _fitted(pd.DataFrame({"x": [1.0, 2.0]}))
    table = pd.DataFrame({"x": [1.0, 2.0]})
    assert set(kept_of(table, fitted)) == {NAME}
    kept = kept_of(table, fitted, rows=1)
    assert CodedRows.from_bytes(kept[ROWS_NAME]).table.tolist() == [[1.0]]
