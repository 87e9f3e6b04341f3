"""Tables and models that nobody has in mind: each ends with a verdict or a sentence, never a traceback."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import Number, Said, fitted, said_table, table, verdict

from mlops_magics.checks.assess import assess
from mlops_magics.checks.assessment import Assessment
from mlops_magics.foundation.errors import UsageError


def told(model: Any, frame: pd.DataFrame, target: str = "late", **options: Any) -> Assessment:
    """Assess with all gates, each of which must have come to a verdict; write it down and read it again."""
    found = assess(model, frame, target, **options)
    assert [one.evidence for one in found.verdicts if "The gate itself raised" in one.evidence] == []
    assert Assessment.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))).rows == len(frame)
    return found


class Answers:
    """A model with ``predict`` only, which answers what a function makes of the rows."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.feature_names_in_ = np.array(["said"])

    def predict(self, rows: pd.DataFrame) -> Any:
        return self.answer(rows["said"])


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("kind", ["binary", "regression", "multiclass"])
def test_a_handful_of_rows_passes_no_model(rows: int, kind: str) -> None:
    frame = said_table(400)
    if kind == "binary":
        found = told(Said(), frame[:rows], champion=Said("noisy"), slices=["noisy"])
    elif kind == "regression":
        frame["late"] = frame["said"] + 0.01 * frame["noisy"]
        found = told(Number(), frame[:rows], champion=Number("noisy"), slices=["noisy"])
    else:
        from sklearn.linear_model import LogisticRegression

        frame["late"] = np.array(["a", "b", "c"])[(frame["said"] * 2.99).astype(int)]
        model = LogisticRegression().fit(frame[["said"]], frame["late"])
        found = told(model, frame[:rows], champion=model, slices=["noisy"])
    assert "quality" in found.failed


@pytest.mark.parametrize("late", [True, False])
def test_rows_of_one_class_pass_no_model(late: bool) -> None:  # noqa: FBT001 - a parameter of the test
    frame = said_table(2000)
    found = told(Said(), frame[frame["late"] == late], champion=Said("noisy"), slices=["noisy"])
    assert "quality" in found.failed
    assert "Too few rows of two classes" in verdict(found, "quality").evidence
    assert verdict(found, "leakage").outcome == "not applicable"


def test_a_constant_answer_is_no_skill_where_rows_are_of_a_few_of_the_classes() -> None:
    from sklearn.dummy import DummyClassifier

    frame = table().assign(late=np.array(list("abcdef"))[np.arange(600) % 6])
    model = DummyClassifier(strategy="constant", constant="a").fit(frame[["hour"]], frame["late"])
    for some in ("a", "ab", "abc"):
        found = told(model, frame[frame["late"].isin(list(some))])
        assert "quality" in found.failed, some


def test_a_few_rows_without_a_fault_are_not_certain() -> None:
    frame = said_table(3000)
    right = frame.assign(late=frame["said"] > 0.5)
    model = Answers(lambda said: np.asarray(said > 0.5))
    few = right.sort_values("late").iloc[[0, 1, -2, -1]]
    assert "quality" in told(model, few).failed
    assert "quality" not in told(model, right).failed
    (sure,) = [one for one in told(model, right).metrics if one.name == "balanced_accuracy"]
    assert sure.low is not None
    assert 0.99 < sure.low < sure.value == 1.0


def test_a_model_that_knows_one_class_only_is_no_better_than_nothing() -> None:
    from sklearn.dummy import DummyClassifier

    frame = table()
    lonely = DummyClassifier().fit(frame[["hour"]], np.ones(len(frame), dtype=int))
    found = told(lonely, frame.assign(late=frame["late"].astype(int)))
    assert "quality" in found.failed
    only = told(lonely, frame.assign(late=1))
    assert "quality" in only.failed


def test_classes_that_the_model_never_saw_are_wrong_and_hold_it_back_where_they_are_all() -> None:
    frame = table(900).assign(late=lambda rows: np.where(rows["late"], "late", "on time"))
    model = fitted(frame)
    frame.loc[::3, "late"] = "cancelled"
    found = told(model, frame, champion=model)
    assert found.kind == "multiclass"
    assert found.value("accuracy") < 0.67
    assert verdict(found, "champion").outcome == "pass"  # the same model, wrong in the same rows
    with pytest.raises(UsageError, match="None of the values of 'late' is a class of the model"):
        assess(model, frame.assign(late="cancelled"), "late")


@pytest.mark.parametrize(
    ("coded", "said"),
    [
        (lambda late: np.where(late, "yes", "no"), "knows classes that the problem does not have"),
        (lambda late: np.where(late, 2, 1), "knows classes that the problem does not have"),
        (lambda late: late.astype(int), ""),  # True and 1 are the same answer
    ],
)
def test_a_champion_of_another_coding_fails_its_gate_and_is_not_compared(coded: Any, said: str) -> None:
    frame = table(900)
    other = fitted(frame.assign(late=coded(frame["late"])))
    found = told(fitted(frame), frame, champion=other)
    gate = verdict(found, "champion")
    assert (gate.outcome, bool(found.comparisons)) == (("fail", False) if said else ("pass", True))
    assert said in gate.evidence


def test_a_champion_that_answers_in_other_words_without_probabilities_is_not_compared() -> None:
    frame = said_table()
    found = told(Said(), frame, champion=Answers(lambda said: np.where(said > 0.5, "yes", "no")))
    assert verdict(found, "champion").outcome == "fail"
    assert "no usable prediction for 4,000 rows" in verdict(found, "champion").evidence


def test_a_model_with_predict_alone_is_judged_by_its_answers() -> None:
    frame = said_table(3000)
    labels = told(
        Answers(lambda said: np.asarray(said > 0.5)), frame, champion=Answers(lambda said: said > 0.4)
    )
    assert labels.kind == "binary"
    assert verdict(labels, "calibration").outcome == "not applicable"
    assert (labels.primary, verdict(labels, "champion").outcome) == ("accuracy", "pass")
    frame["late"] = frame["said"] * 3 + frame["noisy"]
    numbers = told(Answers(lambda said: said * 3), frame)
    assert (numbers.kind, verdict(numbers, "calibration").outcome) == ("regression", "not applicable")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_one_answer_that_is_no_number_holds_back_a_model_of_any_kind(value: float) -> None:
    frame = said_table(500).assign(number=lambda rows: rows["said"] * 3.7)

    class Odd(Said):
        def predict_proba(self, rows: pd.DataFrame) -> Any:
            given = super().predict_proba(rows)
            given[rows["said"].to_numpy() == frame["said"].iloc[7]] = value
            return given

    found = told(Odd(), frame, champion=Said("noisy"))
    assert {"quality", "champion", "calibration"} <= set(found.failed)
    odd = frame["said"].iloc[7]
    number = told(Answers(lambda said: np.where(said == odd, value, said * 3.7)), frame, "number")
    assert "quality" in number.failed
    assert all(math.isnan(one.value) for one in (*found.metrics, *number.metrics))


def test_weights_at_the_fit_are_no_rows_of_the_test() -> None:
    from sklearn.linear_model import LogisticRegression

    frame = table()
    weights = np.where(frame["hour"] > 12, 5.0, 1.0)
    model = LogisticRegression().fit(frame[["hour", "humid"]], frame["late"], sample_weight=weights)
    found = told(model, frame.assign(weight=weights))
    assert model.feature_names_in_.tolist() == ["hour", "humid"]
    assert found.value("accuracy") == pytest.approx(
        float((model.predict(frame[["hour", "humid"]]) == frame["late"]).mean())
    )


def test_columns_without_a_value_or_with_one_are_withstood() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame = table(400).assign(one=1.0, empty=np.nan, day=pd.Timestamp("2026-01-01"))
    frame["word"] = pd.Series([None] * 400, dtype=object)
    features = frame[["hour", "one"]]
    model = HistGradientBoostingClassifier(max_iter=10).fit(features, frame["late"])
    found = told(model, frame, slices=["one", "empty", "day", "word"])
    assert {one.column for one in found.slices} == {"one", "empty", "day", "word"}
