"""How a search holds rows out: by time, by group, as prepare did; and it is what the store says of it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.tree import DecisionTreeClassifier

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError
from mlops_magics.frontends.cli.command import main
from mlops_magics.steps.prepare import prepare
from mlops_magics.steps.tune import Study, tune


@pytest.fixture
def visits(store_file: Path, monkeypatch: pytest.MonkeyPatch) -> pd.DataFrame:
    """Rows whose target hangs on the patient alone: whoever saw a patient knows the answer.

    Each patient comes in one week, so that what is known of earlier weeks says nothing of later ones.
    """
    assert store_file.is_file()
    monkeypatch.setenv("MLOPS_EXPERIMENT", "visits")
    random = np.random.default_rng(1)
    patient = np.repeat(np.arange(60), 8)
    ill = random.permutation(np.arange(60) % 2)
    table = pd.DataFrame(
        {
            "patient": [f"p{each}" for each in patient],
            "mark": random.permutation(60)[patient].astype(float),
            "age": random.normal(size=480),
            "day": pd.Timestamp("2026-01-05") + pd.to_timedelta(patient // 2, unit="D"),
            "ill": ill[patient],
        }
    )
    return table.sample(frac=1, random_state=0, ignore_index=True)


FEATURES = ["mark", "age"]
FEW_TREES = "max_iter=5|10"  # how rows are divided does not hang on how many trees see them


def tuned(rows: pd.DataFrame, **options: Any) -> Study:
    tree = DecisionTreeClassifier(random_state=0)
    asked: dict[str, Any] = {"trials": 2, "workers": 1, "timeout": "5m", "space": "max_depth=none|20"}
    return tune(tree, rows, options.pop("target", "ill"), **asked | options)


def test_what_is_known_of_a_group_or_of_later_rows_does_not_count(visits: pd.DataFrame) -> None:
    rows = visits[[*FEATURES, "ill"]]
    assert tuned(rows).score > 0.95
    grouped = tuned(rows, split="group", by=visits["patient"])
    assert grouped.score < 0.75
    timed = tuned(rows, split="time", by=visits["day"])
    assert timed.score < 0.75
    assert timed.estimator.score(visits[FEATURES], visits["ill"]) > 0.95, "the last fit is on all rows"


def test_the_score_of_a_trial_is_the_mean_of_its_folds(visits: pd.DataFrame) -> None:
    rows = visits.sort_values("day", ignore_index=True)
    study = tuned(rows[[*FEATURES, "ill"]], split="time", by=rows["day"], folds=4, trials=1)
    blocks = np.array_split(rows["day"].unique(), 5)
    scores = []
    for fold in range(1, 5):
        before = rows[rows["day"] < blocks[fold][0]]
        held = rows[rows["day"].isin(blocks[fold])]
        model = DecisionTreeClassifier(random_state=0).fit(before[FEATURES], before["ill"])
        scores.append(roc_auc_score(held["ill"], model.predict_proba(held[FEATURES])[:, 1]))
    assert study.score == pytest.approx(np.mean(scores))


@pytest.mark.slow
def test_another_split_is_another_search_and_its_run_says_so(project: Path, visits: pd.DataFrame) -> None:
    rows = visits[[*FEATURES, "ill"]]
    options: list[dict[str, Any]] = [
        {},
        {"split": "group", "by": visits["patient"]},
        {"split": "group", "by": visits["day"]},
        {"split": "time", "by": visits["day"]},
    ]
    studies = [tuned(rows, **each) for each in options]
    assert {study.resumed for study in studies} == {0}
    assert len({study.id for study in studies}) == 4
    again = tuned(rows, split="time", by=visits["day"].to_numpy())
    assert (again.id, again.resumed) == (studies[-1].id, 2)
    store = MlflowClient(f"sqlite:///{project}/mlflow.db")
    tags = [store.get_run(study.id).data.tags for study in studies]
    said = [(each["mlops.tune.split"], each.get("mlops.tune.by")) for each in tags]
    assert said == [("random", None), ("group", "patient"), ("group", "day"), ("time", "day")]
    held = Path(store.download_artifacts(studies[-1].id, "mlops"))
    assert "time split by day" in (held / "study.html").read_text()
    kept = json.loads((held / "study.json").read_text())
    assert (kept["split"], kept["by"]) == ("time", "day")
    assert "split='time', by='day'" in (held / "cell.py").read_text()


@pytest.mark.slow
def test_a_column_of_groups_is_no_feature_and_one_of_dates_is(visits: pd.DataFrame) -> None:
    grouped = tuned(visits.drop(columns="day"), split="group", by="patient")
    assert list(grouped.estimator.feature_names_in_) == FEATURES
    assert "patient says which rows belong together: it was taken out" in str(grouped)
    timed = tune("linear", visits, "ill", split="time", by="day", trials=1, folds=3, workers=1)
    assert "day" in timed.estimator.feature_names_in_
    hours = visits.assign(day=(visits["day"] - visits["day"].min()).dt.days.astype(float))
    numbers = tuned(hours.drop(columns="patient"), split="time", by="day")
    assert list(numbers.estimator.feature_names_in_) == [*FEATURES, "day"]


@pytest.mark.parametrize(
    "library",
    ["polars", *(pytest.param(name, marks=pytest.mark.slow) for name in ("arrow", "numpy", "list"))],
)
def test_values_and_rows_of_any_library(visits: pd.DataFrame, library: str) -> None:
    table: Any = pl.from_pandas(visits)
    rows: Any = {
        "polars": table.select(FEATURES),
        "arrow": table.select(FEATURES).to_arrow(),
        "numpy": table.select(FEATURES).to_numpy(),
        "list": visits[FEATURES],
    }[library]
    values: Any = {
        "polars": table["day"],
        "arrow": table.to_arrow()["day"],
        "numpy": visits["day"].to_numpy(),
        "list": visits["day"].dt.strftime("%Y-%m-%d").to_list(),
    }[library]
    scores = {tuned(rows, target=visits["ill"], split=split, by=values).score for split in ("time", "group")}
    assert len(scores) == 2
    assert max(scores) < 0.75


@pytest.mark.slow
def test_numbers_are_predicted_by_groups_and_by_time(visits: pd.DataFrame) -> None:
    for split, by in (("group", "patient"), ("time", visits["day"])):
        rows = visits[["mark", "patient", "age"]] if split == "group" else visits[["mark", "age"]]
        options: dict[str, Any] = {"split": split, "by": by, "folds": 3, "trials": 1, "workers": 1}
        study = tune("boosting", rows, "age", space=FEW_TREES, **options)
        assert (study.metric, study.split, study.folds) == ("rmse", split, 3)


@pytest.mark.parametrize(("how", "by"), [("time", "day"), ("group", "patient")])
def test_what_prepare_divided_is_tuned_as_it_was_divided(visits: pd.DataFrame, how: Any, by: str) -> None:
    prepared = prepare(visits, target="ill", split=how, by=by)
    options: dict[str, Any] = {"trials": 1, "folds": 3, "workers": 1, "space": FEW_TREES}
    study = tune(prepared, prepared.train[prepared.features], prepared.train["ill"], **options)
    assert (study.split, study.by) == (how, by)
    whole = tune(prepared, prepared.train, "ill", **options)
    assert (whole.split, whole.by) == (how, by)
    drawn = tune(
        prepared, prepared.train[prepared.features], prepared.train["ill"], split="random", **options
    )
    assert (drawn.split, drawn.by) == ("random", None)
    assert drawn.id != study.id


def test_rows_that_do_not_hold_what_prepare_divided_by_are_told(visits: pd.DataFrame) -> None:
    prepared = prepare(visits, target="ill", split="group", by="patient")
    fewer = prepared.train.iloc[9:]
    options: dict[str, Any] = {"trials": 1, "folds": 3, "workers": 1, "space": FEW_TREES}
    study = tune(prepared, fewer[prepared.features], fewer["ill"], **options)
    assert study.split == "random"
    assert "prepare divided by patient, which these rows do not hold" in str(study)
    given = tune(prepared, fewer[prepared.features], fewer["ill"], by=fewer["patient"], **options)
    assert (given.split, given.by) == ("group", "patient")


def test_rows_without_a_group_are_groups_of_their_own(visits: pd.DataFrame) -> None:
    gaps = visits.assign(patient=visits["patient"].where(visits.index % 7 != 0))
    study = tuned(gaps.drop(columns="day"), split="group", by="patient")
    assert "69 rows have no patient: each is a group of its own." in str(study)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "day"}, "A random split has no --by"),
        ({"split": "random", "by": "day"}, "A random split has no --by"),
        ({"split": "time"}, "--split time needs the column of dates"),
        ({"split": "group"}, "--split group needs the column of groups"),
        ({"split": "time", "by": "dya"}, "has no column 'dya'"),
        ({"split": "time", "by": "patient"}, "'patient' holds no dates"),
        ({"split": "time", "by": "late"}, "'late' holds no dates"),
        ({"split": "time", "by": "some"}, "some is missing in 48 of 480 rows"),
        ({"split": "group", "by": "half"}, "half has 2 groups, too few for 5 folds"),
        ({"split": "time", "by": "half"}, "half has 2 different values, too few for 5 folds"),
        ({"split": "time", "by": np.arange(7)}, "by holds 7 values, data 480 rows"),
        ({"split": "group", "by": np.zeros((480, 2))}, "by holds no value a row"),
        ({"split": "time", "by": "told"}, "Fold 1 of 5 by told has no row of class 1 to be fitted on"),
    ],
)
def test_what_cannot_be_divided_is_told(visits: pd.DataFrame, options: dict[str, Any], words: str) -> None:
    table = visits.assign(
        late=pd.NaT,
        some=visits["day"].where(visits.index % 10 != 0),
        half=visits["ill"] * 1.0,
        told=visits["ill"] * 1000 + visits.index,
    )
    with pytest.raises(MLOpsError, match=words) as caught:
        tuned(table, **options)
    assert isinstance(caught.value, UsageError | NotFoundError)
    assert caught.value.remedy


def test_an_array_has_no_names_to_divide_by(visits: pd.DataFrame) -> None:
    with pytest.raises(UsageError, match="has no names of columns"):
        tuned(visits[FEATURES].to_numpy(), target=visits["ill"], split="time", by="day")


@pytest.mark.slow
def test_it_is_an_option_of_the_magic_and_of_the_command(
    shell: Any, run: Callable[..., Any], visits: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    # A name of the notebook that is called as the column is not what is meant.
    shell.user_ns |= {"visits": visits, "rows": visits[[*FEATURES, "ill"]], "day": 3, "days": visits["day"]}
    line = f"%mlops_tune {{}} ill --split time --by {{}} --trials 1 --folds 3 --workers 1 --space {FEW_TREES}"
    study = run(shell, line.format("boosting visits", "day")).result
    assert (study.split, study.by) == ("time", "day")
    study = run(shell, line.format("boosting rows", "days")).result
    assert (study.split, study.by) == ("time", "days")
    visits.to_csv("visits.csv", index=False)
    words = ["tune", "linear", "visits.csv", "ill", "--split", "group", "--by", "patient", "--trials", "1"]
    capsys.readouterr()
    assert main([*words, "--folds", "3"]) == 0
    assert "group split by patient" in capsys.readouterr().out


class Patient(LogisticRegression):
    """Takes a few milliseconds a row."""

    def fit(self, X: Any, y: Any) -> Any:  # noqa: N803 - scikit-learn's own name
        time.sleep(len(X) / 150)
        return super().fit(X, y)


@pytest.mark.slow
def test_the_time_holds_where_folds_are_fitted_on_fewer_rows(visits: pd.DataFrame) -> None:
    rows = visits[[*FEATURES, "ill"]]
    tuned(rows, trials=1)  # what is imported once is no part of the promise
    began = time.monotonic()
    # A fit on all rows takes 3.2 seconds, one of the folds 1.6 on average.
    study = tune(
        Patient(),
        rows,
        "ill",
        space="C=0.1..10.0 log",
        split="time",
        by=visits["day"],
        trials=500,
        folds=3,
        workers=2,
        timeout="20s",
    )
    assert time.monotonic() - began <= 20 * 1.05
    assert study.timed_out
    assert study.id
