"""A compiled plan answers what its pipeline answers; what it does not know is left to the pipeline."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor, make_column_selector
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.discriminant_analysis import QuadraticDiscriminantAnalysis
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    StackingRegressor,
    VotingClassifier,
    VotingRegressor,
)
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import (
    LinearRegression,
    LogisticRegression,
    PoissonRegressor,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.svm import SVR
from sklearn.tree import DecisionTreeClassifier
from xgboost import XGBClassifier, XGBRegressor, XGBRFRegressor

from mlops_magics.artifact.loading import LoadedModel, Method
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.model_parts.keep import KeepColumns
from mlops_magics.model_parts.plan import Plan as Columns
from mlops_magics.model_parts.plan import pipeline
from mlops_magics.serving.engines import PipelineEngine
from mlops_magics.serving.plan import parity
from mlops_magics.serving.plan.parity import compiled, tables
from mlops_magics.serving.predictor import Predictor

NUMBERS = ["distance", "delay", "hour", "late"]
WORDS = ["carrier", "origin"]
TYPES = {
    "distance": Column("distance", "double", required=False),
    "delay": Column("delay", "double"),
    "hour": Column("hour", "long"),
    "late": Column("late", "boolean"),
    "carrier": Column("carrier", "string", required=False),
    "origin": Column("origin", "string"),
    "left": Column("left", "datetime", required=False),
    "note": Column("note", "string", required=False),
}
METHODS: tuple[Method, ...] = ("predict", "predict_proba")


def flights(rows: int = 600) -> pd.DataFrame:
    """Numbers with gaps, whole numbers, truth, words with gaps, dates with gaps, texts with gaps."""
    random = np.random.default_rng(3)
    carrier = random.choice(["AA", "B6", "UA", "rare", "", "é"], rows, p=[0.4, 0.3, 0.2, 0.04, 0.03, 0.03])
    days = np.datetime64("2024-01-01T00:00") + random.integers(0, 500_000, rows).astype("timedelta64[m]")
    notes = [" ".join(random.choice(["gate", "fog", "ice", "crew", "fuel"], 4)) for _ in range(rows)]
    gap = random.random((3, rows)) < 0.1
    return pd.DataFrame(
        {
            "distance": np.where(gap[0], np.nan, random.normal(900, 300, rows)),
            "delay": random.normal(0, 1, rows),
            "hour": random.integers(0, 24, rows),
            "late": random.random(rows) < 0.3,
            "carrier": pd.Series(np.where(gap[1], np.nan, carrier.astype(object)), dtype=object),
            "origin": pd.Series(random.choice(["EWR", "JFK", "LGA"], rows), dtype=object),
            "left": np.where(gap[2], np.datetime64("NaT"), days).astype("M8[ns]"),
            "note": pd.Series(np.where(gap[2], np.nan, np.array(notes, dtype=object)), dtype=object),
        }
    )


TABLE = flights()
_NOISE = np.random.default_rng(4).normal(0, 1, len(TABLE))
_SIZE = (
    TABLE["delay"]
    + TABLE["hour"] / 12
    + TABLE["carrier"].eq("AA")
    + TABLE["distance"].fillna(0) / 600
    + _NOISE
).to_numpy()
TARGETS: dict[str, Any] = {
    "two": np.where(np.median(_SIZE) < _SIZE, "late", "on time"),
    "three": np.digitize(_SIZE, np.quantile(_SIZE, (0.3, 0.7))),
    "zero or one": (np.median(_SIZE) < _SIZE).astype(int),
    "number": _SIZE,
    "count": np.exp(_SIZE / 3),
}


def made(estimator: Any, target: str, names: list[str]) -> LoadedModel:
    """Fit an estimator on some columns, as if it had come from a folder."""
    table = TABLE[names]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator.fit(table, TARGETS[target])
    schema = Schema(tuple(TYPES[name] for name in names))
    return LoadedModel(estimator, schema, None, table.head(5), "predict")


def hot(**options: Any) -> OneHotEncoder:
    return OneHotEncoder(**({"handle_unknown": "ignore"} | options))


def numbered(scaler: Any, model: Any) -> Any:
    return make_pipeline(
        ColumnTransformer([("n", make_pipeline(SimpleImputer(), scaler), NUMBERS), ("w", hot(), WORDS)]),
        model,
    )


def codes(model: Any, **options: Any) -> Any:
    encoder = unseen_last(**options)
    return make_pipeline(ColumnTransformer([("w", encoder, WORDS)], remainder="passthrough"), model)


def unseen_last(**options: Any) -> OrdinalEncoder:
    return OrdinalEncoder(**({"handle_unknown": "use_encoded_value", "unknown_value": -1} | options))


def cells_of(names: list[str], rows: int | None = None) -> dict[str, Any]:
    """Columns as a request brings them."""
    return {
        each: TABLE[each].astype(object).where(TABLE[each].notna(), None).to_numpy()[:rows]
        if TYPES[each].type == "string"
        else TABLE[each].to_numpy()[:rows]
        for each in names
    }


BOTH = [*NUMBERS, *WORDS]
_HIST = HistGradientBoostingClassifier(max_iter=8)
KNOWN: dict[str, tuple[Callable[[], Any], str, list[str]]] = {
    "logistic": (lambda: numbered(StandardScaler(), LogisticRegression()), "two", BOTH),
    "logistic, three": (lambda: numbered(RobustScaler(), LogisticRegression()), "three", BOTH),
    "linear": (lambda: numbered(MinMaxScaler(clip=True), LinearRegression()), "number", BOTH),
    "poisson": (lambda: numbered(MaxAbsScaler(), PoissonRegressor()), "count", BOTH),
    "ridge labels": (lambda: numbered(StandardScaler(with_mean=False), RidgeClassifier()), "three", BOTH),
    "sgd": (lambda: numbered(StandardScaler(), SGDClassifier(loss="log_loss")), "three", BOTH),
    "hist": (lambda: codes(HistGradientBoostingClassifier(max_iter=20)), "two", BOTH),
    "hist, three": (
        lambda: codes(HistGradientBoostingClassifier(max_iter=8), encoded_missing_value=-2),
        "three",
        BOTH,
    ),
    "hist, number": (lambda: codes(HistGradientBoostingRegressor(max_iter=20)), "number", BOTH),
    "hist, poisson": (
        lambda: codes(HistGradientBoostingRegressor(loss="poisson", max_iter=9)),
        "count",
        BOTH,
    ),
    "hist, its own categories": (
        lambda: codes(HistGradientBoostingClassifier(max_iter=20, categorical_features=[0, 1, 4])),
        "two",
        BOTH,
    ),
    "hist, wide leaves": (
        lambda: HistGradientBoostingRegressor(max_iter=5, max_leaf_nodes=None, min_samples_leaf=1),
        "number",
        NUMBERS,
    ),
    "forest": (lambda: numbered(StandardScaler(), RandomForestClassifier(12)), "three", BOTH),
    "forest, gaps": (lambda: RandomForestRegressor(12), "number", NUMBERS),
    "forest, small": (lambda: RandomForestClassifier(30, max_leaf_nodes=9), "two", NUMBERS),
    "extra trees": (lambda: numbered(StandardScaler(), ExtraTreesRegressor(9, max_depth=7)), "number", BOTH),
    "one tree": (lambda: DecisionTreeClassifier(max_depth=3), "two", NUMBERS),
    "boosted": (lambda: numbered(StandardScaler(), GradientBoostingClassifier(n_estimators=20)), "two", BOTH),
    "boosted, three": (
        lambda: numbered(StandardScaler(), GradientBoostingClassifier(n_estimators=7)),
        "three",
        BOTH,
    ),
    "boosted, number": (lambda: numbered(StandardScaler(), GradientBoostingRegressor()), "number", BOTH),
    "boosted, from zero": (
        lambda: numbered(StandardScaler(), GradientBoostingRegressor(init="zero", n_estimators=9)),
        "number",
        BOTH,
    ),
    "many trees": (lambda: HistGradientBoostingRegressor(max_iter=700, max_leaf_nodes=4), "number", NUMBERS),
    "gaps marked": (
        lambda: make_pipeline(SimpleImputer(strategy="median", add_indicator=True), LogisticRegression()),
        "two",
        NUMBERS,
    ),
    "words filled": (
        lambda: make_pipeline(SimpleImputer(strategy="most_frequent"), hot(), LogisticRegression()),
        "two",
        WORDS,
    ),
    "words dropped": (lambda: make_pipeline(hot(drop="first"), LogisticRegression()), "two", WORDS),
    "rare words": (
        lambda: make_pipeline(
            hot(handle_unknown="infrequent_if_exist", min_frequency=60), LogisticRegression()
        ),
        "two",
        WORDS,
    ),
    "unknown refused": (
        lambda: make_pipeline(hot(handle_unknown="error"), LogisticRegression()),
        "two",
        WORDS,
    ),
    "target means": (lambda: make_pipeline(TargetEncoder(), LogisticRegression()), "two", WORDS),
    "target means, three": (lambda: make_pipeline(TargetEncoder(), LogisticRegression()), "three", WORDS),
    "hours as words": (
        lambda: make_pipeline(
            ColumnTransformer([("h", hot(), ["hour"]), ("n", "passthrough", ["delay"])]), LogisticRegression()
        ),
        "two",
        ["hour", "delay"],
    ),
    "products": (
        lambda: make_pipeline(
            SimpleImputer(), PolynomialFeatures(2), StandardScaler(), VarianceThreshold(), LinearRegression()
        ),
        "number",
        NUMBERS,
    ),
    "chosen": (
        lambda: make_pipeline(SimpleImputer(), SelectKBest(k=2), PCA(2, whiten=True), LinearRegression()),
        "number",
        NUMBERS,
    ),
    "union": (
        lambda: make_pipeline(
            SimpleImputer(),
            FeatureUnion([("same", "passthrough"), ("sine", FunctionTransformer(np.sin)), ("pca", PCA(1))]),
            LinearRegression(),
        ),
        "number",
        NUMBERS,
    ),
    "by kind": (
        lambda: make_pipeline(
            ColumnTransformer(
                [
                    ("n", SimpleImputer(), make_column_selector(dtype_include=["number", "bool"])),
                    ("w", hot(), make_column_selector(dtype_include=object)),
                ]
            ),
            LogisticRegression(),
        ),
        "two",
        BOTH,
    ),
    "searched": (
        lambda: GridSearchCV(
            numbered(StandardScaler(), LogisticRegression()), {"logisticregression__C": [0.1, 1]}
        ),
        "two",
        BOTH,
    ),
    "some columns": (
        lambda: make_pipeline(KeepColumns(["hour", "delay"]), LogisticRegression()),
        "two",
        NUMBERS,
    ),
    "lightgbm": (lambda: codes(LGBMClassifier(n_estimators=20, verbose=-1)), "two", BOTH),
    "lightgbm, three": (lambda: codes(LGBMClassifier(n_estimators=9, verbose=-1)), "three", BOTH),
    "lightgbm, number": (lambda: codes(LGBMRegressor(n_estimators=20, verbose=-1)), "number", BOTH),
    "lightgbm, tweedie": (
        lambda: codes(LGBMRegressor(n_estimators=9, objective="tweedie", verbose=-1)),
        "count",
        BOTH,
    ),
    "xgboost": (lambda: codes(XGBClassifier(n_estimators=20)), "zero or one", BOTH),
    "xgboost, three": (lambda: codes(XGBClassifier(n_estimators=9)), "three", BOTH),
    "xgboost, number": (lambda: codes(XGBRegressor(n_estimators=20, max_depth=9)), "number", BOTH),
    "xgboost, forest": (lambda: codes(XGBRFRegressor(n_estimators=20)), "number", BOTH),
    "votes": (
        lambda: VotingClassifier(
            [("a", numbered(StandardScaler(), LogisticRegression())), ("b", codes(_HIST)), ("c", "drop")],
            weights=[1, 2, 5],
        ),
        "three",
        BOTH,
    ),
    "soft votes": (
        lambda: VotingClassifier(
            [("a", numbered(StandardScaler(), LogisticRegression())), ("b", codes(_HIST))],
            voting="soft",
            weights=[0.3, 0.7],
        ),
        "two",
        BOTH,
    ),
    "soft votes, three": (
        lambda: make_pipeline(
            SimpleImputer(),
            VotingClassifier([("a", LogisticRegression()), ("b", RandomForestClassifier(9))], voting="soft"),
        ),
        "three",
        NUMBERS,
    ),
    "mean of two": (
        lambda: make_pipeline(
            SimpleImputer(),
            VotingRegressor(
                [("a", LinearRegression()), ("b", HistGradientBoostingRegressor(max_iter=9))], weights=[1, 3]
            ),
        ),
        "number",
        NUMBERS,
    ),
    "calibrated": (
        lambda: CalibratedClassifierCV(numbered(StandardScaler(), LogisticRegression()), cv=3),
        "two",
        BOTH,
    ),
    "calibrated steps": (
        lambda: CalibratedClassifierCV(codes(_HIST), method="isotonic", cv=3),
        "zero or one",
        BOTH,
    ),
    "calibrated forest": (
        lambda: numbered(StandardScaler(), CalibratedClassifierCV(RandomForestClassifier(9), cv=3)),
        "two",
        BOTH,
    ),
    "calibrated, three": (
        lambda: numbered(StandardScaler(), CalibratedClassifierCV(RidgeClassifier(), ensemble=False)),
        "three",
        BOTH,
    ),
    "calibrated steps, three": (
        lambda: codes(CalibratedClassifierCV(_HIST, method="isotonic", cv=3)),
        "three",
        BOTH,
    ),
    "stacked": (
        lambda: StackingClassifier(
            [("a", numbered(StandardScaler(), RidgeClassifier())), ("b", codes(_HIST))],
            LogisticRegression(),
            cv=3,
        ),
        "two",
        BOTH,
    ),
    "stacked, three": (
        lambda: numbered(
            StandardScaler(),
            StackingClassifier(
                [("a", LogisticRegression()), ("b", DecisionTreeClassifier(max_depth=3))],
                HistGradientBoostingClassifier(max_iter=5),
                cv=3,
            ),
        ),
        "three",
        BOTH,
    ),
    "stacked numbers": (
        lambda: numbered(
            StandardScaler(),
            StackingRegressor([("a", LinearRegression()), ("b", RandomForestRegressor(9))], cv=3),
        ),
        "number",
        BOTH,
    ),
    "logarithm of the target": (
        lambda: TransformedTargetRegressor(
            numbered(StandardScaler(), LinearRegression()), func=np.log1p, inverse_func=np.expm1
        ),
        "count",
        BOTH,
    ),
    "scaled target": (
        lambda: numbered(
            StandardScaler(),
            TransformedTargetRegressor(RandomForestRegressor(9), transformer=StandardScaler()),
        ),
        "number",
        BOTH,
    ),
    "target between 0 and 1": (
        lambda: TransformedTargetRegressor(
            HistGradientBoostingRegressor(max_iter=9), transformer=MinMaxScaler()
        ),
        "number",
        NUMBERS,
    ),
    "logarithm of columns": (
        lambda: make_pipeline(
            ColumnTransformer([("log", FunctionTransformer(np.log1p), ["hour"])], remainder="passthrough"),
            HistGradientBoostingRegressor(max_iter=9),
        ),
        "number",
        ["hour", "delay"],
    ),
    "texts": (
        lambda: make_pipeline(
            ColumnTransformer([("t", TfidfVectorizer(), "origin")]), TruncatedSVD(2), LogisticRegression()
        ),
        "two",
        ["origin", "hour"],
    ),
}


@pytest.mark.parametrize("name", KNOWN)
def test_a_plan_answers_as_its_pipeline(name: str) -> None:
    make, target, names = KNOWN[name]
    loaded = made(make(), target, names)
    engine = PipelineEngine(loaded)
    methods = tuple(method for method in METHODS if hasattr(loaded.estimator, method))
    found = compiled(loaded, engine, methods)
    assert found.plan is not None, found.why
    assert found.rows >= 256
    columns = cells_of(names)
    if name == "unknown refused":
        columns = {each: values[:1] for each, values in columns.items()}
    rows = len(next(iter(columns.values())))
    for method in methods:
        one, other = (each.predict(columns, rows, method) for each in (found.plan, engine))
        assert one.dtype == other.dtype
        if other.dtype.kind == "f":
            near = 1e-10 if other.dtype == np.float64 else 1e-5
            np.testing.assert_allclose(one, other, rtol=near, atol=near / 100)
        else:
            np.testing.assert_array_equal(one, other)
        for row in (0, rows - 1):  # a row alone takes another way through the trees
            single = {each: values[row : row + 1] for each, values in columns.items()}
            alone = found.plan.predict(single, 1, method)[0]
            if (
                other.dtype.kind == "f"
            ):  # as with the pipeline, a matrix product of one row may round otherwise
                np.testing.assert_allclose(alone, one[row], rtol=1e-13 if one.dtype == np.float64 else 1e-6)
            else:
                assert alone == one[row]


PREPARED = Columns(
    numbers=("distance", "delay", "hour"),
    categories=("origin",),
    many=("carrier",),
    dates={"left": ("month", "weekday", "hour", "minute")},
    texts=("note",),
    problem="binary",
)


@pytest.mark.parametrize(
    "model", [LogisticRegression(), HistGradientBoostingClassifier(), RandomForestClassifier(9)]
)
def test_what_prepare_makes_is_compiled(model: Any) -> None:
    loaded = made(pipeline(PREPARED, model), "two", list(PREPARED.columns))
    found = compiled(loaded, PipelineEngine(loaded), METHODS)
    assert found.plan is not None, found.why
    assert found.quick_rows >= 1


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M"])
def test_dates_that_are_kept_as_text_are_compiled(form: str) -> None:
    plan = replace(PREPARED, formats={"left": form})
    table = TABLE.assign(left=TABLE["left"].dt.strftime(form).astype(object))
    model = pipeline(plan, HistGradientBoostingClassifier(max_iter=9))
    names = list(plan.columns)
    model.fit(table[names], TARGETS["two"])
    types = TYPES | {"left": Column("left", "string", required=False)}
    schema = Schema(tuple(types[name] for name in names))
    loaded = LoadedModel(model, schema, None, table[names].head(5), "predict")
    engine = PipelineEngine(loaded)
    found = compiled(loaded, engine, METHODS)
    assert found.plan is not None, found.why
    odd = ["31.12.2024", "2024-13-01 00:00", "", "2024-01-02 03:04", "02/01/2024 03:04", None, "soon"]
    columns = {}
    for name in names:
        cells = table[name].astype(object).where(table[name].notna(), None).to_numpy()
        columns[name] = (
            cells[: len(odd)] if types[name].type == "string" else table[name].to_numpy()[: len(odd)]
        )
    columns["left"] = np.array(odd, dtype=object)
    for method in METHODS:
        one, other = (each.predict(dict(columns), len(odd), method) for each in (found.plan, engine))
        np.testing.assert_array_equal(one, other)


NOT_KNOWN: dict[str, tuple[Any, str, list[str], str]] = {
    "a dummy": (DummyClassifier(), "two", NUMBERS, "DummyClassifier"),
    "weights": (
        make_pipeline(
            ColumnTransformer([("a", SimpleImputer(), NUMBERS)], transformer_weights={"a": 2.0}),
            LogisticRegression(),
        ),
        "two",
        NUMBERS,
        "weights",
    ),
}


ASKED: dict[str, tuple[Any, str, list[str], str]] = {
    "own function": (
        make_pipeline(SimpleImputer(), FunctionTransformer(abs), LogisticRegression()),
        "two",
        NUMBERS,
        "a function of its author",
    ),
    "ranks beside words": (
        make_pipeline(
            ColumnTransformer(
                [("n", QuantileTransformer(n_quantiles=50), NUMBERS), ("w", unseen_last(), WORDS)]
            ),
            HistGradientBoostingClassifier(max_iter=5),
        ),
        "three",
        BOTH,
        "QuantileTransformer",
    ),
    "bins": (
        numbered(
            make_pipeline(SimpleImputer(), KBinsDiscretizer(4, quantile_method="linear")), LinearRegression()
        ),
        "number",
        BOTH,
        "KBinsDiscretizer",
    ),
    "neighbours fill gaps": (
        make_pipeline(KNNImputer(add_indicator=True), StandardScaler(), LogisticRegression()),
        "two",
        NUMBERS,
        "KNNImputer",
    ),
    "frames between": (
        make_pipeline(SimpleImputer(), PowerTransformer(), KNeighborsClassifier()).set_output(
            transform="pandas"
        ),
        "two",
        NUMBERS,
        "PowerTransformer is not known to the compiler; KNeighborsClassifier",
    ),
    "a neighbour": (
        make_pipeline(SimpleImputer(), KNeighborsClassifier()),
        "two",
        NUMBERS,
        "KNeighborsClassifier",
    ),
    "a neighbour votes": (
        make_pipeline(SimpleImputer(), VotingClassifier([("a", KNeighborsClassifier())])),
        "two",
        NUMBERS,
        "KNeighborsClassifier",
    ),
    "columns passed on": (
        make_pipeline(
            SimpleImputer(),
            StackingClassifier([("a", LogisticRegression())], LogisticRegression(), passthrough=True),
        ),
        "two",
        NUMBERS,
        "passes its columns on",
    ),
    "own target": (
        make_pipeline(
            SimpleImputer(),
            TransformedTargetRegressor(
                LinearRegression(), func=np.log1p, inverse_func=abs, check_inverse=False
            ),
        ),
        "count",
        NUMBERS,
        "a function of its author",
    ),
    "own start": (
        make_pipeline(SimpleImputer(), GradientBoostingRegressor(init=LinearRegression(), n_estimators=3)),
        "number",
        NUMBERS,
        "begins with LinearRegression",
    ),
    "a discriminant behind words": (
        make_pipeline(
            ColumnTransformer(
                [("n", SimpleImputer(), NUMBERS), ("w", unseen_last(encoded_missing_value=-2), WORDS)]
            ),
            QuadraticDiscriminantAnalysis(reg_param=0.1),
        ),
        "two",
        BOTH,
        "QuadraticDiscriminantAnalysis",
    ),
    "vectors behind words": (numbered(StandardScaler(), SVR()), "number", BOTH, "SVR"),
}


@pytest.mark.parametrize("name", NOT_KNOWN)
def test_what_is_not_known_is_named(name: str) -> None:
    estimator, target, names, why = NOT_KNOWN[name]
    loaded = made(estimator, target, names)
    found = compiled(loaded, PipelineEngine(loaded), ("predict",))
    assert found.plan is None
    assert why in found.why


@pytest.mark.parametrize("name", ASKED)
def test_what_is_not_known_is_asked_itself_in_a_plan(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parity, "_LONG", 60.0)  # else a busy machine takes it for what is not worth a plan
    estimator, target, names, why = ASKED[name]
    loaded = made(estimator, target, names)
    engine = PipelineEngine(loaded)
    predictor = Predictor(loaded)
    predictor.compile()
    assert predictor.engine.startswith("plan: ")
    assert why in predictor.engine
    for rows in (1, 90):
        asked = cells_of(names, rows)
        for method in predictor.methods:
            one, other = (each.predict(dict(asked), rows, method) for each in (predictor, engine))
            assert one.dtype == other.dtype
            if one.dtype.kind == "f":
                np.testing.assert_allclose(one, other, rtol=1e-9)
            else:
                np.testing.assert_array_equal(one, other)


class Neighbours(KNeighborsClassifier):
    """A predictor that is not scikit-learn's: what it does with names is not known."""


def test_a_predictor_that_knows_its_columns_by_name_is_asked_with_the_pipeline() -> None:
    estimator = make_pipeline(SimpleImputer(), Neighbours()).set_output(transform="pandas")
    found = compiled(loaded := made(estimator, "two", NUMBERS), PipelineEngine(loaded), ("predict",))
    assert found.plan is None
    assert "by name" in found.why


def by_name(table: Any) -> Any:
    """A function that is lost without names."""
    return table.assign(distance=table["distance"].abs())


class Shifted(StandardScaler):
    """A scaler that is not scikit-learn's."""


@pytest.mark.parametrize("step", [FunctionTransformer(by_name), Shifted()])
def test_a_step_that_knows_its_columns_by_name_is_asked_with_the_pipeline(step: Any) -> None:
    names = ["distance", "carrier"]
    loaded = made(
        make_pipeline(
            ColumnTransformer([("n", step, ["distance"]), ("w", unseen_last(), ["carrier"])]),
            HistGradientBoostingClassifier(max_iter=3),
        ),
        "two",
        names,
    )
    found = compiled(loaded, PipelineEngine(loaded), ("predict",))
    assert found.plan is None
    assert "a function of its author" in found.why or "knows its columns by name" in found.why


def test_what_a_plan_asks_keeps_the_names_that_it_knows() -> None:
    loaded = made(make_pipeline(QuantileTransformer(n_quantiles=50), LinearRegression()), "number", ["delay"])
    assert compiled(loaded, PipelineEngine(loaded), ("predict",)).plan is not None
    assert loaded.estimator[0].feature_names_in_.tolist() == ["delay"]


class Slow(PipelineEngine):
    """A pipeline that takes its time, and counts how often."""

    asked = 0

    def predict(self, columns: Any, rows: int, method: Method) -> Any:
        self.asked += 1
        time.sleep(0.03)
        return super().predict(columns, rows, method)


def test_a_predictor_that_takes_long_for_a_row_is_not_tried_on_hundreds() -> None:
    loaded = made(make_pipeline(SimpleImputer(), KNeighborsClassifier()), "two", NUMBERS)
    engine = Slow(loaded)
    found = compiled(loaded, engine, ("predict",))
    assert (found.plan, engine.asked) == (None, 5)
    assert "KNeighborsClassifier" in found.why


class Liar(PipelineEngine):
    """A pipeline that is off by a little, on rows with a gap only."""

    def predict(self, columns: Any, rows: int, method: Method) -> Any:
        found = super().predict(columns, rows, method)
        return found + 1e-6 * np.isnan(columns["distance"])


def test_a_plan_that_differs_is_not_used() -> None:
    loaded = made(HistGradientBoostingRegressor(max_iter=5), "number", NUMBERS)
    assert compiled(loaded, PipelineEngine(loaded), ("predict",)).plan is not None
    found = compiled(loaded, Liar(loaded), ("predict",))
    assert found.plan is None
    assert found.why == "plan and pipeline answer differently (predict)"


class Stubborn(PipelineEngine):
    """A pipeline that refuses rows with a gap."""

    def predict(self, columns: Any, rows: int, method: Method) -> Any:
        if np.isnan(columns["distance"]).any():
            raise ValueError("a gap")
        return super().predict(columns, rows, method)


def test_a_plan_that_takes_what_its_pipeline_refuses_is_not_used() -> None:
    loaded = made(HistGradientBoostingRegressor(max_iter=5), "number", NUMBERS)
    found = compiled(loaded, Stubborn(loaded), ("predict",))
    assert found.plan is None
    assert "do not refuse the same rows" in found.why


def test_rows_that_are_tried_have_gaps_unseen_words_and_what_encoders_know() -> None:
    names = [*BOTH, "left"]
    loaded = made(make_pipeline(KeepColumns(WORDS), hot(), LogisticRegression()), "two", names)
    seen = list(tables(loaded))
    words = {cell for columns in seen for cell in columns["carrier"].tolist()}
    assert {"AA", "rare", "", None} <= words
    assert any("unseen" in str(cell) for cell in words)
    assert any(np.isnan(columns["distance"]).any() for columns in seen)
    assert any(np.isnat(columns["left"]).any() for columns in seen)
    assert not any(np.isnan(columns["delay"]).any() for columns in seen), "the signature allows no gap there"
    (mixed,) = [columns for columns in seen if len(columns["hour"]) == 256]
    assert {2**31 - 1, -1, 0} <= set(mixed["hour"].tolist())
    assert {1e15, -1e15, 1e-12, 0.0} <= set(mixed["distance"].tolist())
    assert len({tuple(row) for row in zip(*mixed.values(), strict=True)}) > 200, "rows are mixed at random"


def test_a_model_without_a_signature_has_no_plan() -> None:
    loaded = made(LinearRegression(), "number", ["delay", "hour"])
    bare = LoadedModel(loaded.estimator, None, None, loaded.example, "predict")
    assert compiled(bare, PipelineEngine(bare), ("predict",)).why == "the model has no signature"
