"""The parts of a prepared pipeline: raw rows of any origin give the same bits, and files are safe."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import skops.io
from sklearn.base import clone
from sklearn.ensemble import (
    BaggingClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier

from mlops_magics.artifact import trust
from mlops_magics.model_parts.dates import DateParts
from mlops_magics.model_parts.plan import Plan, pipeline, style_of
from mlops_magics.model_parts.raw import RawColumns

PLAN = Plan(
    numbers=("size", "flag"),
    categories=("town",),
    many=("street",),
    dates={"when": ("month", "weekday", "hour"), "day": ("year",)},
    texts=("words",),
    formats={"day": "%d/%m/%Y"},
    problem="binary",
)
ROWS = 300


def raw(seed: int = 0, rows: int = ROWS) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame(
        {
            "street": random.choice([f"s{i}" for i in range(60)], rows),
            "size": random.normal(size=rows),
            "words": random.choice(["a quick fox", "lazy dog here", "fox and dog"], rows),
            "flag": random.random(rows) < 0.5,
            "town": random.choice(["Oslo", "Rome", "Lima"], rows),
            "when": pd.Timestamp("2024-01-01 10:11:12") + pd.to_timedelta(np.arange(rows), unit="h"),
            "day": ["31/12/2024", "01/02/2025", "05/06/2023"] * (rows // 3),
            "extra": 1,
        }
    )
    for name in ("street", "size", "words", "town", "when", "day"):
        table.loc[random.choice(rows, rows // 10), name] = None
    return table


Y = np.random.default_rng(5).random(ROWS) < 0.4
MODELS = [
    HistGradientBoostingClassifier(max_iter=10),
    RandomForestClassifier(10, random_state=0),
    GradientBoostingClassifier(n_estimators=5),
    LogisticRegression(max_iter=1000),
    KNeighborsClassifier(),
]


def strange() -> pd.DataFrame:
    """Rows with gaps in all columns and values that were never seen."""
    table = raw(9)
    table.loc[:20, "town"] = "Atlantis"
    table.loc[10:30, "street"] = "<script>"
    table.loc[0, ["street", "size", "words", "town", "when", "day"]] = None
    return table


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_every_kind_of_model_takes_raw_rows_and_is_saved_on_our_trust_list(
    model: Any, tmp_path: Path
) -> None:
    made = pipeline(PLAN, clone(model)).fit(raw(), Y)
    rows = strange()
    expected = made.predict_proba(rows)
    assert np.isfinite(expected).all()
    path = tmp_path / "model.skops"
    skops.io.dump(made, path)
    assert [name for name in trust.untrusted(path) if "neighbors" not in name] == []
    if isinstance(model, KNeighborsClassifier):
        return
    read = skops.io.load(path, trusted=sorted(trust.TRUSTED))
    trust.check(read)
    np.testing.assert_array_equal(read.predict_proba(rows), expected)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: type(model).__name__)
def test_the_type_that_a_library_gives_a_column_changes_no_bit(model: Any) -> None:
    made = pipeline(PLAN, clone(model)).fit(raw(), Y)
    rows = strange()
    expected = made.predict_proba(rows)
    forms = {
        "objects": rows.astype(object).where(rows.notna(), None),
        "objects with NaN": rows.astype(dict.fromkeys(("town", "street", "words", "day"), object)),
        "nullable": rows.convert_dtypes(),
        "arrow types": rows.convert_dtypes(dtype_backend="pyarrow"),
        "categories": rows.astype({"town": "category", "street": "category"}),
        "float32 and back": rows.assign(flag=rows["flag"].astype("float32")),
        "nanoseconds": rows.assign(when=rows["when"].astype("datetime64[ns]")),
        "UTC": rows.assign(when=rows["when"].dt.tz_localize("UTC")),
        "New York": rows.assign(when=rows["when"].dt.tz_localize("UTC").dt.tz_convert("America/New_York")),
        "another order": rows[list(rows.columns[::-1])],
        "another index": rows.set_index(pd.Index(range(5, 5 + ROWS))),
        "repeated index": rows.set_index(pd.Index([0] * ROWS)),
        "polars": pl.from_pandas(rows),
        "arrow": pa.Table.from_pandas(rows),
    }
    for name, form in forms.items():
        np.testing.assert_array_equal(made.predict_proba(form), expected, err_msg=name)


def test_columns_that_are_all_null_are_survived_at_training_and_later() -> None:
    for model in MODELS:
        if isinstance(model, HistGradientBoostingClassifier):
            continue  # cannot be fitted on a column without a value: the verb leaves such columns out
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn says that a column has no median
            empty = raw().assign(size=None)
            made = pipeline(PLAN, clone(model)).fit(empty, Y)
            assert len(made.predict(empty)) == ROWS
    for model in MODELS:
        made = pipeline(PLAN, clone(model)).fit(raw(), Y)
        nothing = pd.DataFrame({name: [None] * 3 for name in raw()})
        assert len(made.predict(nothing)) == 3
        assert len(made.predict(nothing[:1])) == 1


def test_how_a_model_wants_its_columns() -> None:
    assert [style_of(model) for model in MODELS] == ["trees", "trees", "filled trees", "scaled", "scaled"]
    assert style_of(GridSearchCV(RandomForestClassifier(), {})) == "trees"
    assert style_of(BaggingClassifier(LogisticRegression())) == "scaled"
    assert style_of(LinearRegression()) == "scaled"


def test_a_pipeline_without_target_needs_none() -> None:
    from sklearn.cluster import KMeans

    plan = Plan(numbers=("size",), many=("street",))
    assert len(set(pipeline(plan, KMeans(3, n_init=1, random_state=0)).fit(raw()).predict(strange()))) <= 3


def test_raw_columns_names_what_does_not_fit() -> None:
    part = RawColumns(numbers=["size"], dates=["when"]).fit(raw())
    assert part.feature_names_in_.tolist() == ["size", "when"]
    with pytest.raises(ValueError, match="no column 'size'"):
        part.transform(raw().drop(columns="size"))
    with pytest.raises(ValueError, match="'size' holds values of another type"):
        part.transform(raw().assign(size="many"))
    with pytest.raises(ValueError, match="'when' holds values of another type"):
        part.transform(raw().assign(when=3))
    with pytest.raises(ValueError, match="named columns"):
        part.transform(np.zeros((2, 2)))


def test_an_infinite_number_is_a_gap() -> None:
    found = RawColumns(numbers=["x"]).fit_transform(pd.DataFrame({"x": [1.0, np.inf, -np.inf]}))
    assert found["x"].isna().tolist() == [False, True, True]


def test_parts_of_dates_are_those_of_pandas() -> None:
    dates = pd.Series(pd.date_range("1899-12-30 23:59", "2101-01-01", periods=500)).astype("datetime64[us]")
    names = ["year", "month", "day", "weekday", "hour", "minute"]
    found = DateParts([names]).fit_transform(pd.DataFrame({"d": [*dates, pd.NaT]}))
    for place, name in enumerate(names):
        theirs = getattr(dates.dt, "day_of_week" if name == "weekday" else name)
        assert found[:-1, place].tolist() == theirs.tolist()
    assert np.isnan(found[-1]).all()
    assert DateParts([names]).fit(pd.DataFrame({"d": dates})).get_feature_names_out()[1] == "d_month"
    with pytest.raises(ValueError, match="no part 'century'"):
        DateParts([["century"]]).fit(pd.DataFrame({"d": dates}))
