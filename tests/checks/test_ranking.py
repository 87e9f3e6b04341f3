from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import Number, Said, judged, said_table

from mlops_magics.checks.assess import assess
from mlops_magics.checks.policy import Policy
from mlops_magics.checks.ranking import ndcg, ndcg_by_list, precision_at
from mlops_magics.checks.show import blocks
from mlops_magics.foundation.blocks import text_of
from mlops_magics.foundation.errors import NotFoundError, UsageError


def outliers(rows: int = 1500, seed: int = 0) -> pd.DataFrame:
    """Points around the origin, of which one in twenty is far away; few of these are told apart for sure."""
    rng = np.random.default_rng(seed)
    fraud = rng.uniform(size=rows) < 0.05
    spread = np.where(fraud, 3.0, 1.0)
    return pd.DataFrame(
        {"a": rng.normal(size=rows) * spread, "b": rng.normal(size=rows) * spread, "fraud": fraud.astype(int)}
    )


def test_an_isolation_forest_on_a_target_of_0_and_1_is_a_ranking() -> None:
    from sklearn.ensemble import IsolationForest
    from sklearn.metrics import average_precision_score, ndcg_score, roc_auc_score

    model = IsolationForest(random_state=0).fit(outliers(seed=1)[["a", "b"]])
    frame = outliers()
    found = assess(model, frame, "fraud", champion=model)
    said = -model.decision_function(frame[["a", "b"]])
    assert found.kind == "ranking"
    assert found.value("roc_auc") == pytest.approx(roc_auc_score(frame.fraud, said))
    assert found.value("average_precision") == pytest.approx(average_precision_score(frame.fraud, said))
    assert found.value("ndcg") == pytest.approx(ndcg_score([frame.fraud], [said]))
    first = frame.fraud.to_numpy()[np.argsort(-said)[: frame.fraud.sum()]]
    assert found.value("precision_at_k") == pytest.approx(first.mean())
    assert {one.name for one in found.metrics} == {"roc_auc", "average_precision", "ndcg", "precision_at_k"}
    assert all(one.low is not None and one.low < one.value < (one.high or 0) for one in found.metrics)
    assert found.passed
    outcomes = {one.name: one.outcome for one in found.verdicts}
    assert (outcomes["quality"], outcomes["champion"], outcomes["calibration"]) == (
        "pass",
        "pass",
        "not applicable",
    )
    assert {curve.name for curve in found.curves} == {"roc", "roc of the champion", "precision_recall"}
    assert "Ranking of fraud on 1,500 rows" in text_of(blocks(found))


def test_the_labels_of_an_outlier_detector_make_it_a_classifier() -> None:
    from sklearn.ensemble import IsolationForest

    model = IsolationForest(random_state=0).fit(outliers(seed=1)[["a", "b"]])
    frame = outliers().assign(fraud=lambda t: np.where(t.fraud == 1, -1, 1))
    found = assess(model, frame, "fraud", gates=["quality"])
    assert (found.kind, found.classes) == ("binary", ("-1", "1"))
    assert (found.value("roc_auc") or 0) > 0.7


class Scores:
    """Only a score, by whichever method."""

    def __init__(self, method: str) -> None:
        self.feature_names_in_ = np.array(["said"])
        if method != "predict":
            setattr(self, method, lambda rows: rows.said.to_numpy())

    def predict(self, rows: pd.DataFrame) -> Any:
        return rows.said.to_numpy()


@pytest.mark.parametrize("method", ["decision_function", "score_samples", "predict"])
def test_a_score_by_any_method_ranks(method: str) -> None:
    frame = said_table(600).assign(late=lambda t: t.late.astype(int))
    found = assess(Scores(method), frame, "late", gates=["quality", "champion", "leakage"], champion=Said())
    assert found.kind == "ranking"
    assert found.value("roc_auc") == assess(Said(), frame, "late", gates=["quality"]).value("roc_auc")
    assert found.comparisons[0].difference == 0
    assert found.passed


class GradedRanker(Number):
    """Named as those of boosting libraries are."""


def graded(rows: int = 800) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=rows), "part": rng.choice(["a", "b"], rows)})
    frame["stars"] = np.clip(np.floor(frame.said + rng.normal(size=rows) + 3), 1, 5).astype(int)
    return frame


def test_grades_are_ranked_where_the_model_is_a_ranker() -> None:
    from sklearn.metrics import ndcg_score

    frame = graded()
    found = assess(GradedRanker(), frame, "stars", gates=["quality", "slices", "leakage"], slices=["part"])
    assert found.kind == "ranking"
    assert found.value("ndcg") == pytest.approx(ndcg_score([frame.stars], [frame.said]))
    assert found.passed
    assert {one.metric for one in found.slices} == {"roc_auc"}
    assert assess(Number(), frame, "stars", gates=["quality"]).kind == "regression"  # counts look like grades


def test_how_many_rows_are_taken_is_the_policys() -> None:
    frame = outliers().assign(said=lambda t: t.a.abs() + t.b.abs(), late=lambda t: t.fraud)
    policy = Policy.of({"top": 20, "gates": ["quality"], "metrics": {"precision_at_k": 0.3}}, ["quality"])
    found = assess(Scores("score_samples"), frame, "late", gates=policy)
    best = frame.late.to_numpy()[np.argsort(-frame.said.to_numpy())[:20]]
    assert found.value("precision_at_k") == pytest.approx(best.mean())
    with pytest.raises(UsageError, match="top is 1"):
        Policy.of({"top": 1.5}, ["quality"])


def test_a_ranking_that_is_bad_in_a_portion_is_found() -> None:
    frame = said_table(4000).assign(late=lambda t: t.late.astype(int))
    bad = np.random.default_rng(1).uniform(size=4000) < 0.1
    frame["said"] = np.where(bad, 1 - frame.said, frame.said)
    frame["town"] = np.where(bad, "Oslo", "Rome")
    model = Scores("decision_function")
    model.feature_names_in_ = np.array(["said", "town"])
    found = assess(model, frame, "late", gates=["slices"])
    assert found.search is not None
    assert found.search.portions[0].where == (("town", "Oslo"),)


def test_what_cannot_be_ranked_is_said() -> None:
    model, frame = Scores("decision_function"), said_table(100).assign(late=0)
    with pytest.raises(UsageError, match="0 in all rows: nothing can be ranked"):
        assess(model, frame, "late")
    broken = said_table(100).assign(late=lambda t: t.late.astype(int))
    broken.loc[3, "said"] = np.nan
    assert judged("quality", model, broken).outcome == "fail"


@pytest.mark.parametrize("digits", [None, 1])
def test_the_gain_and_its_error(digits: int | None) -> None:
    """The value is scikit-learn's, ties included; the error is that of many draws."""
    from sklearn.metrics import ndcg_score

    values, errors, precisions, precision_errors = [], [], [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        score = rng.normal(size=1000)
        grades = (rng.uniform(size=1000) < 1 / (1 + np.exp(2 - 2 * score))).astype(float)
        score = score if digits is None else np.round(score, digits)
        found, first = ndcg(grades, score), precision_at(grades > 0, score, None)
        assert found is not None
        assert first is not None
        values.append(found.value)
        errors.append(found.error)
        precisions.append(first.value)
        precision_errors.append(first.error)
    assert values[-1] == pytest.approx(ndcg_score([grades], [score]))
    assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    assert np.mean(precision_errors) == pytest.approx(np.std(precisions), rel=0.15)


def test_rows_that_share_the_score_at_the_cut_count_in_part() -> None:
    found = precision_at(np.array([True, True, False, False]), np.array([3.0, 2.0, 2.0, 1.0]), 2)
    assert found is not None
    assert found.value == pytest.approx(0.75)
    assert precision_at(np.array([False, False]), np.array([1.0, 2.0]), None) is None
    assert ndcg(np.zeros(3), np.arange(3.0)) is None
    one = ndcg(np.array([1.0, 0.0]), np.array([2.0, 1.0]))
    assert one is not None
    assert math.isclose(one.value, 1.0)


def searches(count: int = 60, seed: int = 0, skill: float = 1.0) -> pd.DataFrame:
    """Lists of grades of 0 to 3, each with a level of its own: scores of two lists cannot be compared."""
    rng = np.random.default_rng(seed)
    place = np.repeat(np.arange(count), rng.integers(5, 25, count))
    stars = rng.choice(4, len(place), p=[0.5, 0.3, 0.15, 0.05])
    level = rng.normal(size=count)[place] * 10
    said = level + skill * stars + rng.normal(size=len(place))
    frame = pd.DataFrame({"said": said, "other": level + rng.normal(size=len(place)), "stars": stars})
    return frame.assign(search=[f"search {each}" for each in place])


LISTS = Policy(gates=("quality", "champion"), list_by="search")


def test_rows_are_ranked_within_their_list() -> None:
    from sklearn.metrics import ndcg_score

    frame = searches()
    frame.loc[frame.search == "search 3", "stars"] = 2  # no order of these is better than another
    frame["said"] = frame.said.round(0)  # with ties
    found = assess(GradedRanker(), frame.sample(frac=1, random_state=0), "stars", gates=LISTS)
    each = [
        ndcg_score([part.stars], [part.said]) for name, part in frame.groupby("search") if name != "search 3"
    ]
    (metric,) = [one for one in found.metrics if one.name == "ndcg_by_list"]
    assert metric.value == pytest.approx(np.mean(each))
    assert found.primary == "ndcg_by_list"
    # The interval is that of the mean of so many lists, however many rows there are.
    error = np.std(each) / math.sqrt(len(each))
    assert metric.low is not None
    assert metric.high is not None
    assert metric.high - metric.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert found.passed
    text = str(found.verdicts[0].evidence)
    assert "ndcg_by_list is surely above" in text


def test_what_orders_at_random_give_is_nothing() -> None:
    frame = searches(skill=0.0)
    found = assess(GradedRanker(), frame, "stars", gates=LISTS)
    quality = found.verdicts[0]
    assert quality.outcome == "fail"
    rng, drawn = np.random.default_rng(0), []
    for _ in range(200):
        frame["drawn"] = rng.normal(size=len(frame))
        one = ndcg_by_list(frame.stars.to_numpy(float), frame.drawn.to_numpy(), pd.factorize(frame.search)[0])
        assert one is not None
        drawn.append(one.value)
    assert quality.threshold == pytest.approx(np.mean(drawn), abs=0.005)


def test_two_rankers_are_compared_list_by_list() -> None:
    frame = searches()
    better = assess(GradedRanker("said"), frame, "stars", champion=GradedRanker("other"), gates=LISTS)
    (found,) = [one for one in better.comparisons if one.metric == "ndcg_by_list"]
    assert (found.better, better.passed) == (True, True)
    worse = assess(GradedRanker("other"), frame, "stars", champion=GradedRanker("said"), gates=LISTS)
    assert "champion" in worse.failed
    own, others = (
        ndcg_by_list(frame.stars.to_numpy(float), frame[name].to_numpy(), pd.factorize(frame.search)[0])
        for name in ("said", "other")
    )
    assert own is not None
    assert others is not None
    apart = own.each - others.each
    assert (found.high - found.low) / 3.92 == pytest.approx(apart.std() / math.sqrt(len(apart)), rel=1e-3)


def test_few_lists_prove_nothing() -> None:
    few = searches(9)
    found = assess(GradedRanker("said"), few, "stars", champion=GradedRanker("other"), gates=LISTS)
    (metric,) = [one for one in found.metrics if one.name == "ndcg_by_list"]
    assert (metric.low, metric.high) == (None, None)
    assert found.failed == ("quality", "champion")
    assert found.verdicts[0].evidence == "Too few lists: no skill can be measured on them."


def test_lists_that_cannot_be_told_are_refused() -> None:
    frame = searches(20)
    with pytest.raises(UsageError, match="'search' is null in 1 of"):
        assess(GradedRanker(), frame.assign(search=frame.search.where(frame.index > 0)), "stars", gates=LISTS)
    with pytest.raises(NotFoundError, match="'search'"):
        assess(GradedRanker(), frame.drop(columns="search"), "stars", gates=LISTS)
    with pytest.raises(UsageError, match="names 'search', but this is regression"):
        assess(Number(), frame, "stars", gates=LISTS)
    with pytest.raises(UsageError, match="which is predicted"):
        assess(GradedRanker(), frame, "stars", gates=Policy(list_by="stars"))
    with pytest.raises(UsageError, match="list_by is 3"):
        Policy.of({"list_by": 3}, [])
