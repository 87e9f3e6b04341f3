"""Policies of retraining, tried on what was: the world turns half way, and only who looks again sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from retrained import rows_of
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain import Backtest, retrain
from mlops_magics.steps.retrain.backtest import Policy
from mlops_magics.tracking import models, registry, runs
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

POLICIES = "never,weekly,on performance,on drift,auc < 0.6"


@pytest.fixture
def history(registered: ModelVersion, project: Path) -> Path:
    """Twelve weeks of rows; from the seventh on who is young is late, and people are older."""
    assert registered
    before = rows_of(1800, limit=45.0, spread=5.0)
    after = rows_of(1800, begin=1800, seed=2, limit=45.0, spread=5.0).assign(
        late=lambda rows: 1 - rows["late"]
    )
    after["age"] += 15
    frame = pd.concat([before, after], ignore_index=True)
    frame["day"] = pd.Timestamp("2026-01-05", tz="UTC") + pd.to_timedelta(frame["number"] / 300 * 7, unit="D")
    path = project / "history.parquet"
    frame.drop(columns="number").to_parquet(path)
    return path


def tried(**options: Any) -> Backtest:
    asked = {"data": "history.parquet", "cursor": "day", "target": "late", "window": "7d"}
    found = retrain("flights", backtest=tuple(POLICIES.split(",")), **{**asked, **options})
    assert isinstance(found, Backtest)
    return found


def test_policies_are_ranked_by_metric_against_cost(history: Path) -> None:
    assert history
    found = tried()
    by_name = {one.policy: one for one in found.policies}
    assert (found.metric, found.windows, found.rows) == ("roc_auc", 11, 3300)
    assert [one.against is None for one in found.policies] == [True, False, False, False, False]
    never, weekly, performance = by_name["never"], by_name["weekly"], by_name["on performance"]
    assert (never.retrainings, weekly.retrainings) == (0, 10)
    # The world turns with the seventh window, which is the sixth that is answered: who looks sees it then.
    assert 6 in performance.when
    assert 6 in by_name["on drift"].when
    assert by_name["auc < 0.6"].when[0] == 6
    # Nobody knows a window before it was answered: that one is bad for all.
    assert all(one.values[5] < 0.3 for one in found.policies)  # noqa: PD011
    # Who waits for it to be bad fits on what was before as well; who looks at the rows does not wait.
    assert found.policies[0].policy in {"weekly", "on drift"}
    assert found.advised.policy in {"weekly", "on drift"}
    assert never.mean < performance.mean < weekly.mean
    assert not never.as_good
    assert not performance.as_good
    html = found.to_html()
    assert "the best" in html
    assert "surely other" in html
    assert found.advised.policy in html
    assert tried() == found


def test_what_cannot_be_tried_is_said(history: Path) -> None:
    with pytest.raises(UsageError, match="The rows make 1 windows"):
        tried(window="700d")
    with pytest.raises(UsageError, match="goes by time"):
        tried(cursor=None)
    with pytest.raises(UsageError, match="a text that is no time"):
        tried(cursor="town")
    assert Policy.of("On Drift").when == Policy.of("drift").when
    with pytest.raises(UsageError, match="is not understood"):
        Policy.of("sometimes maybe")
    frame = pd.read_parquet(history)
    frame["number"] = range(len(frame))
    found = retrain(
        "flights", data=frame, cursor="number", target="late", window="600", backtest=("never", "always")
    )
    assert [one.policy for one in found.policies] == ["always", "never"]


def kept(model: str, estimator: Any, features: Any) -> None:
    """Make a fitted model the first version of a registered one; its proof is spared."""
    store = open_store(Settings.discover())
    experiment = store.experiment_id("e")
    run_id, _ = runs.start(store, experiment, name=model, source=Source("x"), git=None)
    logged = models.log_model(store, run_id, experiment, estimator, data=features)
    runs.finish(store, run_id, "FINISHED")
    registry.create_version(store, model, source=logged.uri, run_id=run_id, model_id=logged.model_id, tags={})


def replayed(model: str, rows: pd.DataFrame) -> Backtest:
    """Replay rows of which not all columns are the model's."""
    asked = {"cursor": "day", "target": "late", "window": "7d"}
    found = retrain(model, data=rows, backtest=("never", "weekly"), **asked)
    assert isinstance(found, Backtest)
    return found


@pytest.mark.parametrize(
    "estimator",
    [
        HistGradientBoostingClassifier(max_iter=10, random_state=0),
        make_pipeline("passthrough", LogisticRegression()),  # whose names stand in its signature alone
    ],
    ids=["by itself", "by signature"],
)
def test_models_are_given_the_columns_that_the_champion_takes(history: Path, estimator: Any) -> None:
    rows = pd.read_parquet(history)
    features = rows[["size", "age"]]
    kept("bare", estimator.fit(features, rows["late"]), features)
    found = replayed("bare", rows)
    weekly, never = found.policies
    assert (weekly.policy, weekly.retrainings, never.retrainings) == ("weekly", 10, 0)
    assert weekly.mean > 0.8 > never.mean
    assert replayed("bare", rows[["late", "age", "day", "size"]]) == found  # nor does their order count
    with pytest.raises(NotFoundError, match="no column 'age', which the champion's model takes") as caught:
        replayed("bare", rows.rename(columns={"age": "aged"}))
    assert caught.value.remedy == "Did you mean 'aged'?"


def test_a_champion_that_knows_no_names_takes_all_but_target_and_cursor(history: Path) -> None:
    rows = pd.read_parquet(history)
    features = rows[["size", "age"]].to_numpy()
    kept("placed", LogisticRegression().fit(features, rows["late"]), features)
    assert replayed("placed", rows[["size", "age", "late", "day"]]).policies[0].policy == "weekly"
    with pytest.raises(UsageError, match=r"have 3 columns beside .* was fitted on 2, without names"):
        replayed("placed", rows)
