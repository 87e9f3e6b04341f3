"""Cells that fit LightGBM and XGBoost, in their scikit-learn classes and in their own way to train."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_magics.artifact.loading import load
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]


@pytest.fixture
def auto(book: Book, shell: Any) -> Iterator[Book]:
    book("%mlops_track e")
    yield book
    shell.mlops_magics_extension.watch().off()


def _run() -> Any:
    store = open_store(Settings.discover())
    (run,) = store.client.search_runs([store.experiment_id("e")])
    return run


def _model(run: Any) -> Any:
    store = open_store(Settings.discover())
    (output,) = run.outputs.model_outputs
    made = store.client.get_logged_model(output.model_id)
    assert made.tags["mlops.format"] == "skops"
    return load(Path(made.artifact_location.removeprefix("file://"))).estimator


TABLE = 'X, y = train[["age"]], train["late"]\n'


def test_a_classifier_of_lightgbm_is_a_run_with_its_parameters_and_its_model(auto: Book, shell: Any) -> None:
    auto(
        f"from lightgbm import LGBMClassifier\n{TABLE}"
        "model = LGBMClassifier(n_estimators=5, num_leaves=7, verbose=-1, bagging_freq=2).fit(X, y)\n"
        "accuracy = model.score(X, y)"
    )
    run = _run()
    told = {name: run.data.params[name] for name in ("n_estimators", "num_leaves", "bagging_freq")}
    assert told == {"n_estimators": "5", "num_leaves": "7", "bagging_freq": "2"}
    assert "None" not in run.data.params.values()
    assert set(run.data.metrics) == {"accuracy", "fit_seconds"}
    rows = shell.user_ns["X"]
    again = _model(run)
    np.testing.assert_array_equal(again.predict_proba(rows), shell.user_ns["model"].predict_proba(rows))


@pytest.mark.parametrize("trained", ["lgb.train(", "train_it("], ids=["by module", "by name"])
def test_lightgbms_own_way_to_train_is_a_run(auto: Book, shell: Any, trained: str) -> None:
    auto(
        "import lightgbm as lgb\nfrom lightgbm import train as train_it\n"
        f"{TABLE}data = lgb.Dataset(X, y)\nrows_before = len(X)"
    )
    auto(
        f'booster = {trained}{{"objective": "binary", "num_leaves": 7, "verbose": -1}}, data, 5)\n'
        "loss = float(((booster.predict(X) - y) ** 2).mean())"
    )
    run = _run()
    assert run.data.params == {
        "objective": "binary",
        "num_leaves": "7",
        "verbose": "-1",
        "num_iterations": "5",
    }
    assert set(run.data.metrics) == {"loss", "fit_seconds"}
    rows = shell.user_ns["X"]
    np.testing.assert_array_equal(_model(run).predict(rows), shell.user_ns["booster"].predict(rows))


def test_a_classifier_of_xgboost_is_a_run_without_what_it_leaves_to_the_library(
    auto: Book, shell: Any
) -> None:
    auto(
        f"from xgboost import XGBClassifier\n{TABLE}"
        "model = XGBClassifier(n_estimators=5, max_depth=3).fit(X, y)\naccuracy = model.score(X, y)"
    )
    run = _run()
    assert run.data.params == {
        "objective": "binary:logistic",
        "n_estimators": "5",
        "max_depth": "3",
        "missing": "nan",
        "enable_categorical": "False",
    }
    assert set(run.data.metrics) == {"accuracy", "fit_seconds"}
    rows = shell.user_ns["X"]
    np.testing.assert_array_equal(_model(run).predict_proba(rows), shell.user_ns["model"].predict_proba(rows))


def test_a_model_of_xgboost_that_is_not_checked_is_not_kept_and_says_so(auto: Book, capsys: Any) -> None:
    auto(
        f"from xgboost import XGBClassifier\n{TABLE}"
        'model = XGBClassifier(n_estimators=5, booster="gblinear").fit(X, y)'
    )
    assert not _run().outputs.model_outputs
    assert "it is no plain gbtree" in capsys.readouterr().out


def test_xgboosts_own_way_to_train_is_a_run(auto: Book, capsys: Any) -> None:
    auto(
        f"import xgboost as xgb\n{TABLE}data = xgb.DMatrix(X, y)\n"
        'booster = xgb.train({"objective": "binary:logistic", "max_depth": 3}, data, 5)\n'
        "loss = float(((booster.predict(data) - y) ** 2).mean())"
    )
    run = _run()
    assert run.data.params == {"objective": "binary:logistic", "max_depth": "3", "num_boost_round": "5"}
    assert set(run.data.metrics) == {"loss", "fit_seconds"}
    assert _model(run).num_boosted_rounds() == 5
    assert "answers a DMatrix only" in capsys.readouterr().out


@pytest.mark.parametrize(
    "cell",
    [
        "import lightgbm as lgb\ndata = lgb.Dataset(train[['age']], train['late'])",
        "import xgboost as xgb\ndata = xgb.DMatrix(train[['age']], train['late'])",
    ],
)
def test_a_cell_that_only_makes_a_dataset_is_no_run(auto: Book, cell: str) -> None:
    auto(cell)
    store = open_store(Settings.discover())
    assert not list(store.client.search_runs([store.experiment_id("e")]))


def test_afterwards_the_classes_are_as_before() -> None:
    import lightgbm.basic
    import xgboost.core

    from mlops_magics.lineage.fits import observed

    watched = [
        (lightgbm.basic.Booster, "update"),
        (lightgbm.basic.Dataset, "__init__"),
        (xgboost.core.Booster, "update"),
        (xgboost.core.Booster, "__init__"),
    ]
    before = [cls.__dict__[name] for cls, name in watched]
    with observed("lightgbm, xgboost"):
        assert all(cls.__dict__[name] is not old for (cls, name), old in zip(watched, before, strict=True))
    assert [cls.__dict__[name] for cls, name in watched] == before


ROAD = """%%mlops_track --name boosted -o run
from lightgbm import LGBMClassifier
from sklearn.compose import make_column_transformer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
FEATURES = ["town", "size", "age"]
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
columns = make_column_transformer((encoder, ["town"]), remainder="passthrough")
columns.set_output(transform="pandas")
trees = LGBMClassifier(n_estimators=20, random_state=0, verbose=-1)
model = make_pipeline(columns, trees).fit(train[FEATURES], train["late"])
accuracy = model.score(test[FEATURES], test["late"])
"""


@pytest.mark.slow
def test_a_pipeline_of_lightgbm_goes_down_the_whole_road(book: Book, shell: Any) -> None:
    run = book(ROAD)
    assert run.model_kind == "LGBMClassifier"
    assert book("%mlops_evaluate run test --target late").metrics["roc_auc"] > 0.6
    made = book("%mlops_register run flights")
    assert made.version == "1"
    book('%mlops_promote flights --to champion --reason "boosted"')
    try:
        assert book("%mlops_deploy flights@champion -o live").version == "1"
        model, test = shell.user_ns["model"], shell.user_ns["test"]
        rows = test[shell.user_ns["FEATURES"]]
        chances = book("%mlops_predict flights test --proba")
        np.testing.assert_array_equal(np.array(chances.values), model.predict_proba(rows))
        assert list(book("%mlops_predict flights test").values) == model.predict(rows).tolist()
    finally:
        book("%mlops_deploy flights --remove")


def test_a_model_of_xgboost_is_registered(book: Book) -> None:
    book(
        "%%mlops_track --name own -o run\nfrom xgboost import XGBClassifier\n"
        'model = XGBClassifier(n_estimators=5).fit(train[["size", "age"]], train["late"])'
    )
    assert book("%mlops_register run flights").version == "1"


def test_lightgbms_own_booster_is_registered(book: Book) -> None:
    book(
        "%%mlops_track --name own -o run\nimport lightgbm as lgb\n"
        'data = lgb.Dataset(train[["size", "age"]], train["late"])\n'
        'booster = lgb.train({"objective": "binary", "verbose": -1}, data, 5)'
    )
    assert book("%mlops_register run flights").version == "1"


def test_what_a_dataset_was_made_of_is_known_by_few_rows_and_by_its_gaps() -> None:
    import lightgbm as lgb

    from mlops_magics.lineage.fits import observed

    table = pd.DataFrame({"a": np.arange(900.0), "b": np.arange(900.0)})
    table.loc[[700, 701], "b"] = np.nan
    with observed("lightgbm") as fits:
        booster = lgb.train({"verbose": -1}, lgb.Dataset(table.copy(), table["a"]), 2)
    (fit,) = fits.seen
    assert fit.estimator is booster
    assert fit.data.index.tolist() == [*range(200), 700]
