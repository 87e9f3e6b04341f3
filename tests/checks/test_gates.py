from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import Number, Said, fitted, judged, said_table, table

from mlops_magics.artifact.kept import Kept
from mlops_magics.artifact.loadback import LoadBack
from mlops_magics.artifact.rows import RowSample
from mlops_magics.checks import CHECKS
from mlops_magics.checks.assess import assess
from mlops_magics.checks.base import Verdict, judge_all, passed
from mlops_magics.checks.policy import Bounds, Policy


class Raises:
    name = "raises"

    def judge(self, facts: Any) -> Verdict:
        del facts
        raise ZeroDivisionError("a gate's own fault")


class Nan:
    name = "nan"

    def judge(self, facts: Any) -> Verdict:
        del facts
        return passed(self.name, math.nan, 1.0, "It looked fine.")


class Silent:
    name = "silent"

    def judge(self, facts: Any) -> Verdict:
        del facts
        return None  # type: ignore[return-value]


def test_a_gate_that_breaks_fails() -> None:
    raised, nan, silent = judge_all([Raises(), Nan(), Silent()], None)  # type: ignore[arg-type]
    assert (raised.outcome, nan.outcome, silent.outcome) == ("fail", "fail", "fail")
    assert "ZeroDivisionError: a gate's own fault" in raised.evidence
    assert nan.value is None
    assert "not finite" in nan.evidence


def test_every_gate_of_the_room_names_itself() -> None:
    assert [CHECKS.get(name).name for name in CHECKS.table] == list(CHECKS.table)


def test_quality_wants_more_than_a_guess() -> None:
    frame = said_table()
    assert judged("quality", Said(), frame).outcome == "pass"
    frame["guess"] = np.random.default_rng(9).uniform(size=len(frame))
    found = judged("quality", Said("guess"), frame)
    assert found.outcome == "fail"
    assert found.threshold == 0.5
    assert judged("quality", Said(), said_table(12)).outcome == "fail"  # good, but surely so?


def test_quality_of_one_class_is_unknown_and_fails() -> None:
    frame = said_table()
    assert "two classes" in judged("quality", Said(), frame[frame.late]).evidence
    assert judged("quality", Said(), frame[frame.late]).outcome == "fail"


def test_quality_of_a_regression() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=300)})
    frame["late"] = frame.said + rng.normal(size=300)
    assert judged("quality", Number(), frame).outcome == "pass"
    assert judged("quality", Number(), frame.assign(late=rng.normal(size=300))).outcome == "fail"
    constant = judged("quality", Number(), frame.assign(late=1.5))
    assert (constant.outcome, "constant" in constant.evidence) == ("fail", True)


@pytest.mark.parametrize(
    ("bounds", "outcome", "words"),
    [
        ({"roc_auc": 0.5}, "pass", "1 bound of the policy held"),
        ({"roc_auc": 0.99}, "fail", "at least 0.99"),
        ({"log_loss": 0.1}, "fail", "at most 0.1"),
        ({"log_loss": {"min": 0.0, "max": 1.0}}, "pass", "held"),
        ({"rmse": 1.0}, "fail", "not defined here"),
    ],
)
def test_bounds_of_the_user(bounds: dict[str, Any], outcome: str, words: str) -> None:
    found = judged("quality", Said(), said_table(), thresholds=bounds)
    assert found.outcome == outcome
    assert words in found.evidence


def test_the_champion_gate() -> None:
    frame = said_table(noise=1.5)
    assert judged("champion", Said(), frame).outcome == "not applicable"
    assert judged("champion", Said(), frame, champion=Said("noisy")).outcome == "pass"
    worse = judged("champion", Said("noisy"), frame, champion=Said())
    assert (worse.outcome, worse.evidence[:6]) == ("fail", "Worse:")
    same = judged("champion", Said(), frame, champion=Said())
    assert same.outcome == "pass"
    strict = Policy(gates=("champion",), require="better")
    luck = judged("champion", Said(), frame, champion=Said(), gates=strict)
    assert (luck.outcome, luck.evidence[:17]) == ("fail", "Inside the noise:")
    assert judged("champion", Said(), frame, champion=Said("noisy"), gates=strict).outcome == "pass"


def test_a_champion_that_cannot_answer_fails_the_gate_only() -> None:
    class Broken(Said):
        def predict_proba(self, rows: Any) -> Any:
            del rows
            raise OSError("weights are gone")

    found = assess(Said(), said_table(), "late", champion=Broken(), gates=["quality", "champion"])
    assert found.failed == ("champion",)
    assert "weights are gone" in found.verdicts[1].evidence
    assert judged("champion", Said(), said_table(), champion=Said("gone")).outcome == "fail"


def test_a_champion_that_names_no_columns_takes_those_of_the_candidate() -> None:
    class Bare:
        def predict(self, rows: pd.DataFrame) -> Any:
            assert list(rows.columns) == ["said"]
            return np.asarray(rows.said > 0.5)

    found = assess(
        Said(), said_table(), "late", champion=Bare(), gates=Policy(gates=("champion",), primary="f1")
    )
    assert found.passed


def test_nan_predictions_fail_quality_champion_and_slices() -> None:
    frame = said_table()
    frame["part"] = "a"
    good = Said("noisy")
    frame.loc[3, "said"] = np.nan
    names = ["quality", "champion", "slices", "calibration"]
    found = assess(Said(), frame, "late", champion=good, slices=["part"], gates=names)
    assert found.failed == tuple(names)
    assert found.value("roc_auc") is None
    assert "1 of 4,000 rows" in found.verdicts[0].evidence


def sliced(bad_share: float, rows: int = 4000) -> pd.DataFrame:
    frame = said_table(rows)
    bad = np.random.default_rng(5).uniform(size=rows) < bad_share
    frame["region"] = np.where(bad, "north", np.where(np.arange(rows) % 2 == 0, "south", "east"))
    frame["said"] = np.where(bad, 1 - frame.said, frame.said)
    return frame


def test_a_bad_slice_hidden_in_a_good_mean_fails() -> None:
    found = assess(Said(), sliced(0.05), "late", slices=["region"], gates=["quality", "slices"])
    assert found.failed == ("slices",)
    assert "region = north" in found.verdicts[1].evidence
    assert [one.level for one in found.slices if one.worse] == ["north"]


def test_good_slices_pass_and_small_ones_are_not_judged() -> None:
    frame = sliced(0.0)
    frame["tiny"] = np.where(np.arange(len(frame)) < 5, "few", "many")
    frame["number"] = np.random.default_rng(1).normal(size=len(frame))
    frame.loc[:99, "number"] = np.nan
    found = assess(Said(), frame, "late", slices=["region", "tiny", "number"], gates=["slices"])
    assert found.passed
    levels = {(one.column, one.level): one for one in found.slices}
    assert levels["tiny", "few"].value is None
    assert len([one for one in found.slices if one.column == "number"]) == 5
    assert levels["number", "(missing)"].rows == 100
    assert judged("slices", Said(), frame[:20], slices=["region"]).outcome == "not applicable"


def test_a_column_that_predicts_well_leaves_no_slice_too_low() -> None:
    frame = said_table(8000)
    frame["cut"] = pd.qcut(frame.said, 5, labels=list("abcde"))
    found = assess(Said(), frame, "late", slices=["cut"], gates=["slices"])
    assert max(one.value or 0.0 for one in found.slices) < (found.value("roc_auc") or 0.0) - 0.1
    assert found.passed


def test_slices_of_a_regression_are_judged_by_their_error() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=2000), "part": rng.choice(["a", "b", "c"], 2000)})
    frame["late"] = frame.said + rng.normal(size=2000) * np.where(frame.part == "c", 4.0, 1.0)
    found = judged("slices", Number(), frame, slices=["part"])
    assert (found.outcome, found.evidence[:8]) == ("fail", "part = c")
    assert "50 %" in found.evidence


def test_many_levels_are_pooled() -> None:
    frame = said_table()
    frame["code"] = [f"c{i % 30:02}" for i in range(len(frame))]
    found = assess(Said(), frame, "late", slices=["code"], gates=["slices"])
    assert [one.level for one in found.slices][-1] == "(10 others)"
    assert sum(one.rows for one in found.slices) == len(frame)


def test_calibration() -> None:
    frame = said_table()
    good = judged("calibration", Said(), frame)
    assert good.outcome == "pass"
    assert "slope" in good.evidence
    frame["bold"] = np.where(frame.said > 0.5, 0.999, 0.001)
    assert judged("calibration", Said("bold"), frame).outcome == "fail"
    assert judged("calibration", Said(), frame[:20]).outcome == "not applicable"
    frame["hard"] = (frame.said > 0.5).astype(float)
    assert judged("calibration", Said("hard"), frame).outcome == "fail"


def test_a_whole_pipeline_is_robust() -> None:
    found = judged("robustness", fitted(), table(seed=1))
    assert found.outcome == "pass"
    assert "3 trials" in found.evidence


def test_a_gap_where_none_was_ever_seen_is_no_fault() -> None:
    frame = said_table(200)
    frame["word"] = np.where(np.arange(200) % 2 == 0, "a", "b")
    assert judged("robustness", Brittle("missing"), frame).outcome == "pass"


class Brittle(Said):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        self.feature_names_in_ = np.array(["said", "noisy", "word"])

    def predict_proba(self, rows: pd.DataFrame) -> Any:
        if self.how == "missing" and rows.said.isna().all():
            raise ValueError("Input contains NaN")
        said = rows.said.fillna(0.5)
        if self.how == "order":
            said = rows.select_dtypes("number").iloc[:, 0]
        if self.how == "alone" and len(rows) > 1:
            said = said / said.max()
        if self.how == "single" and len(rows) == 1:
            raise IndexError("too few")
        if self.how == "unseen" and not set(rows.word) <= {"a", "b"}:
            said = said * np.nan
        return np.column_stack([1 - said, said])


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("missing", "a missing value in said (ValueError: Input contains NaN)"),
        ("order", "another order of columns"),
        ("alone", "otherwise than among others"),
        ("single", "a single row (IndexError: too few)"),
        ("unseen", "an unseen category in word (the answer is not finite)"),
    ],
)
def test_what_is_not_withstood_is_named(how: str, words: str) -> None:
    frame = said_table(200)
    frame["word"] = np.where(np.arange(200) % 2 == 0, "a", "b")
    if how == "missing":
        frame.loc[7, "said"] = np.nan  # the columns without any gap are not expected to have one
    found = judged("robustness", Brittle(how), frame)
    assert found.outcome == "fail"
    assert words in found.evidence


def test_an_unseen_category_of_a_categorical_column() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    frame = table()
    frame["carrier"] = frame.carrier.astype("category")
    model = HistGradientBoostingClassifier(max_iter=5).fit(frame.iloc[:, :3], frame.late)
    assert judged("robustness", model, frame).outcome == "pass"


def test_a_column_that_knows_the_answer_leaks() -> None:
    frame = table()
    frame["humid"] = frame.late + np.random.default_rng(0).normal(size=600) * 0.01
    found = judged("leakage", fitted(frame), frame)
    assert (found.outcome, found.evidence[:5]) == ("fail", "humid")
    frame = table().assign(carrier=lambda t: np.where(t.late, "yes", "no"))
    assert judged("leakage", fitted(frame), frame).outcome == "fail"


def test_an_identifier_does_not_leak() -> None:
    frame = table().assign(carrier=[f"id{i}" for i in range(600)])
    assert judged("leakage", fitted(frame), frame).outcome == "pass"


def test_leaks_of_several_classes_and_of_numbers() -> None:
    from sklearn.ensemble import RandomForestClassifier

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"code": rng.integers(0, 3, 600), "noise": rng.normal(size=600)})
    frame["kind"] = np.array(["a", "b", "c"])[frame.code]
    model = RandomForestClassifier(5, random_state=0).fit(frame[["code", "noise"]], frame.kind)
    found = judged("leakage", model, frame, "kind")
    assert (found.outcome, found.evidence[:4]) == ("fail", "code")
    honest = frame.assign(kind=rng.permutation(frame.kind))
    assert judged("leakage", model, honest, "kind").outcome == "pass"
    numbers = pd.DataFrame({"said": rng.normal(size=300)}).assign(late=lambda t: t.said**3)
    assert judged("leakage", Number(), numbers).outcome == "fail"


def test_the_target_among_the_features_leaks() -> None:
    frame = said_table().assign(said=lambda t: t.late.astype(float))
    assert "itself among the features" in judged("leakage", Said("said"), frame, "said").evidence


def test_rows_that_were_trained_on_leak() -> None:
    train, test = table(seed=2), table(seed=3)
    model, known = fitted(train), RowSample.of(train[["carrier", "hour", "humid"]])
    clean = judged("leakage", model, test, trained_on=known)
    assert clean.outcome == "pass"
    assert "0 of 600 rows (0 %) were trained on" in clean.evidence
    mixed = pd.concat([test, train[:60]], ignore_index=True)
    mixed["carrier"] = mixed.carrier.astype("category")  # another type, the same rows
    found = judged("leakage", model, mixed, trained_on=known)
    assert (found.outcome, "60 of 660 rows (9.09 %)" in found.evidence) == ("fail", True)
    assert "not known" in judged("leakage", model, test).evidence
    others = RowSample.of(train.rename(columns={"hour": "minute"}))
    assert "not known" in judged("leakage", model, test, trained_on=others).evidence


def test_rows_that_were_trained_on_are_estimated_where_a_sample_was_kept(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mlops_magics.artifact.rows._KEPT", 600)
    train, test = table(6_000, seed=2), table(3_000, seed=3)
    model, known = fitted(train), RowSample.of(train[["carrier", "hour", "humid"]])
    mixed = pd.concat([test, train[:600]], ignore_index=True)
    found = judged("leakage", model, mixed, trained_on=known)
    assert (found.outcome, found.value) == ("fail", pytest.approx(1 / 6, abs=0.05))
    assert found.evidence.startswith("About ")
    assert judged("leakage", model, test, trained_on=known).outcome == "pass"


def few_values(rows: int, seed: int) -> pd.DataFrame:
    """Rows that recur: about half of the fresh ones are among the others too."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"said": rng.integers(1, 60, rows) / 60, "hour": rng.integers(0, 24, rows)})
    return frame.assign(late=rng.uniform(size=rows) < frame.said)


def test_rows_that_recur_by_nature_do_not_leak() -> None:
    outcomes = []
    for seed in range(0, 100, 2):
        train, test = few_values(1_000, seed), few_values(300, seed + 1)
        known = RowSample.of(train[["said", "hour"]])
        found = judged("leakage", Said(), test, trained_on=known, features=["said", "hour"])
        outcomes.append(found.outcome)
        assert "by nature" in found.evidence
    assert outcomes.count("fail") <= 3
    train = few_values(1_000, 1)
    copied = pd.concat([few_values(300, 0), train[:150]])
    known = RowSample.of(train[["said", "hour"]])
    assert judged("leakage", Said(), copied, trained_on=known, features=["said", "hour"]).outcome == "fail"


def test_too_few_rows_show_no_leak() -> None:
    assert judged("leakage", Said(), said_table(20)).outcome == "not applicable"


def test_latency_and_size_have_budgets() -> None:
    frame = said_table(50)
    fast = judged("latency", Said(), frame, gates=Policy(gates=("latency",), latency_ms=60_000))
    slow = judged("latency", Said(), frame, gates=Policy(gates=("latency",), latency_ms=1e-6))
    assert (fast.outcome, slow.outcome, fast.unit) == ("pass", "fail", "ms")
    assert judged("size", Said(), frame).outcome == "pass"
    large = Said()
    large.calls = ["x" * 2_000_000]
    assert judged("size", large, frame, gates=Policy(gates=("size",), size_mb=1.0)).outcome == "fail"
    large.calls = [lambda: None]  # type: ignore[list-item]
    assert judged("size", large, frame).outcome == "not applicable"


def test_a_model_that_came_back_as_another_fails() -> None:
    frame = said_table(50)
    unknown = judged("loadback", Said(), frame)
    assert (unknown.outcome, "not known" in unknown.evidence) == ("not applicable", True)
    same = judged("loadback", Said(), frame, kept=Kept("skops", loadback=LoadBack(5, 1e-16)))
    assert (same.outcome, same.evidence) == ("pass", "5 rows are answered as when it was logged.")
    for found in (LoadBack(5, 0.25), LoadBack(1, math.inf), LoadBack(5, math.inf, "KeyError: 'a'")):
        assert judged("loadback", Said(), frame, kept=Kept("skops", loadback=found)).outcome == "fail"


def test_pickle_goes_further_only_where_the_policy_says_so() -> None:
    frame = said_table(50)
    assert judged("format", Said(), frame).outcome == "not applicable"
    assert judged("format", Said(), frame, kept=Kept("skops")).evidence == "It is kept in the safe format."
    shipped = judged("format", Said(), frame, kept=Kept("skops", code=("Own", "twice")))
    assert shipped.outcome == "pass"
    assert shipped.evidence.endswith("with code of its author: Own, twice.")
    own = Kept("cloudpickle", foreign=("own.A", "own.B", "own.C", "own.D"))
    refused = judged("format", Said(), frame, kept=own)
    assert (refused.outcome, "own.A, own.B, own.C and 1 more" in refused.evidence) == ("fail", True)
    assert "The safe format can hold it." in judged("format", Said(), frame, kept=Kept("pickle")).evidence
    agreed = Policy(gates=("format",), allow_pickle=True)
    allowed = judged("format", Said(), frame, gates=agreed, kept=own)
    assert (allowed.outcome, "own.A" in allowed.evidence) == ("pass", True)
    theirs = judged("format", Said(), frame, kept=Kept("pyfunc"))
    assert (theirs.outcome, "runs any code that it holds" in theirs.evidence) == ("fail", True)
    assert judged("format", Said(), frame, gates=agreed, kept=Kept("pyfunc")).outcome == "pass"


def test_bounds_may_leave_a_side_open() -> None:
    policy = Policy(gates=("quality",), thresholds={"roc_auc": Bounds()})
    assert judged("quality", Said(), said_table(), gates=policy).outcome == "pass"
