from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import Number, Said, fitted, said_table, table

from mlops_magics.checks.assess import assess
from mlops_magics.checks.assessment import Assessment
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError


def test_an_assessment_survives_being_written_down() -> None:
    frame = said_table(800)
    frame["part"] = np.where(frame.index % 2 == 0, "a", "b")
    found = assess(Said(), frame, "late", champion=Said("noisy"), slices=["part"])
    again = Assessment.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found
    assert found.kind == "binary"
    assert found.classes == ("False", "True")
    assert {curve.name for curve in found.curves} == {
        "roc",
        "roc of the champion",
        "precision_recall",
        "calibration",
    }
    with pytest.raises(UsageError):
        Assessment.from_dict({"kind": "binary"})


def test_nan_is_written_as_null_and_read_as_nan() -> None:
    frame = said_table(100)
    frame.loc[0, "said"] = np.nan
    found = assess(Said(), frame, "late", gates=["quality"])
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["metrics"][0]["value"] is None
    assert written["passed"] is False
    assert np.isnan(Assessment.from_dict(written).metrics[0].value)


def test_the_model_is_asked_once_for_all_rows() -> None:
    asked: list[tuple[str, int]] = []

    class Counted(Said):
        def predict_proba(self, rows: pd.DataFrame) -> Any:
            asked.append(("predict_proba", len(rows)))
            return super().predict_proba(rows)

        def predict(self, rows: pd.DataFrame) -> Any:
            asked.append(("predict", len(rows)))
            return super().predict(rows)

    assess(Counted(), said_table(5000), "late")
    assert [name for name, rows in asked if rows == 5000] == ["predict_proba"]


def test_a_model_with_a_threshold_of_its_own_is_believed() -> None:
    class Cautious(Said):
        def predict(self, rows: pd.DataFrame) -> Any:
            return np.asarray(rows.said.to_numpy() > 0.3)

    frame = said_table()
    found = assess(Cautious(), frame, "late", gates=["quality"])
    assert found.value("accuracy") == pytest.approx(float(((frame.said > 0.3) == frame.late).mean()))


def test_string_labels_and_the_second_class_is_positive() -> None:
    from sklearn.metrics import f1_score, roc_auc_score

    frame = table()
    frame["late"] = np.where(frame.late, "late", "on time")  # "on time" is classes_[1]
    model = fitted(frame)
    found = assess(model, frame, "late", gates=["quality"])
    said = model.predict_proba(frame)[:, 1]
    assert found.value("roc_auc") == pytest.approx(roc_auc_score(frame.late == "on time", said))
    assert found.value("f1") == pytest.approx(f1_score(frame.late, model.predict(frame), pos_label="on time"))
    as_category = frame.assign(late=frame.late.astype("category"))
    assert assess(model, as_category, "late", gates=["quality"]).metrics == found.metrics


@pytest.mark.parametrize("cast", [int, float, "boolean", "Int64"])
def test_the_same_truth_in_other_types(cast: Any) -> None:
    frame = said_table(300)
    plain = assess(Said(), frame, "late", gates=["quality"])
    assert assess(Said(), frame.assign(late=frame.late.astype(cast)), "late", gates=["quality"]).metrics == (
        plain.metrics
    )


def test_tables_of_other_libraries_and_files(tmp_path: Path) -> None:
    import polars as pl
    import pyarrow as pa

    frame = said_table(300)
    plain = assess(Said(), frame, "late", gates=["quality"]).metrics
    frame.to_parquet(tmp_path / "test.parquet")
    for other in (pl.DataFrame(frame), pa.Table.from_pandas(frame), str(tmp_path / "test.parquet")):
        assert assess(Said(), other, "late", gates=["quality"]).metrics == plain


def test_several_classes() -> None:
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    data = load_iris(as_frame=True).frame
    model = LogisticRegression(max_iter=1000).fit(data.iloc[::2, :4], data.target[::2])
    found = assess(model, data.iloc[1::2], "target", gates=["quality", "calibration"])
    assert found.kind == "multiclass"
    assert found.passed
    assert found.confusion is not None
    assert sum(map(sum, found.confusion.counts)) == 75


def test_a_class_that_the_model_never_saw_counts_as_wrong() -> None:
    frame = table()
    frame["late"] = np.where(frame.late, "late", "on time")
    model = fitted(frame)
    frame.loc[:9, "late"] = "cancelled"
    found = assess(model, frame, "late", gates=["quality"])
    assert found.kind == "multiclass"
    assert found.classes == ("late", "on time", "cancelled")


def test_a_regression() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=300)})
    frame["late"] = frame.said + rng.normal(size=300)
    found = assess(Number(), frame, "late")
    assert found.kind == "regression"
    assert found.passed
    assert {curve.name for curve in found.curves} == {"residuals", "residual band"}


def test_models_without_probabilities() -> None:
    from sklearn.svm import LinearSVC

    frame = table()
    model = LinearSVC().fit(frame[["hour", "humid"]], frame.late)
    found = assess(model, frame, "late", gates=["quality", "calibration"])
    assert found.value("roc_auc") is not None  # ranked by its decision function
    assert [one.outcome for one in found.verdicts] == ["pass", "not applicable"]

    class Labels:
        def predict(self, rows: pd.DataFrame) -> Any:
            return np.asarray(rows.said > 0.5)

    found = assess(Labels(), said_table(), "late", gates=["quality"], features=["said"])
    assert found.kind == "binary"
    assert found.value("roc_auc") is None
    assert "balanced_accuracy" in found.verdicts[0].evidence


def test_an_object_of_unknown_kind_is_known_by_its_answers() -> None:
    class Rounds:
        def predict(self, rows: pd.DataFrame) -> Any:
            return rows.said.round().to_numpy()

    class Floats(Rounds):
        def predict(self, rows: pd.DataFrame) -> Any:
            return rows.said.to_numpy()

    frame = said_table(300).assign(late=lambda t: t.late.astype(int))
    assert assess(Rounds(), frame, "late", gates=["quality"], features=["said"]).kind == "binary"
    assert assess(Floats(), frame, "late", gates=["quality"], features=["said"]).kind == "ranking"
    counts = frame.assign(late=lambda t: t.late * 3)
    assert assess(Floats(), counts, "late", gates=["quality"], features=["said"]).kind == "regression"


def test_a_model_fitted_on_an_array_is_given_one() -> None:
    from sklearn.linear_model import LogisticRegression

    frame = table()
    model = LogisticRegression().fit(frame[["hour", "humid"]].to_numpy(), frame.late)
    found = assess(model, frame, "late", features=["hour", "humid"])
    assert "quality" not in found.failed


class Unfitted(Said):
    def predict_proba(self, rows: Any) -> Any:
        del rows
        raise AttributeError("coef_")


class Many(Said):
    def predict_proba(self, rows: Any) -> Any:
        return [super().predict_proba(rows)] * 2


class TwoColumns(Number):
    def predict(self, rows: Any) -> Any:
        return np.zeros((len(rows), 2))


class Short(Number):
    def predict(self, rows: Any) -> Any:
        return np.zeros(len(rows) - 1)


class Words(Number):
    def predict(self, rows: Any) -> Any:
        return np.full(len(rows), "late")


def holes(count: int) -> pd.DataFrame:
    frame = said_table(50).astype({"late": object})
    frame.loc[: count - 1, "late"] = None
    return frame


def unfitted() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression()


NUMBERS = said_table(50).assign(late=lambda t: t.said * 3.7)

WRONG: dict[str, tuple[Any, Any, dict[str, Any], type[MLOpsError], str]] = {
    "target": (Said(), said_table(50).rename(columns={"late": "later"}), {}, NotFoundError, "'later'"),
    "features": (Said("sadi"), said_table(50), {}, NotFoundError, "Did you mean 'said'?"),
    "named features": (Said(), said_table(50), {"features": ["x"]}, NotFoundError, "no column 'x'"),
    "no rows": (Said(), said_table(50)[:0], {}, UsageError, "no rows"),
    "all null": (Said(), holes(50), {}, UsageError, "null in all 50 rows"),
    "some null": (Said(), holes(7), {}, UsageError, "null in 7 of 50 rows"),
    "not fitted": (unfitted(), said_table(50), {}, UsageError, "not fitted"),
    "fails": (Unfitted(), said_table(50), {}, UsageError, "AttributeError: coef_"),
    "class": (Said, said_table(50), {}, UsageError, "the class Said"),
    "no predict": (object(), said_table(50), {}, UsageError, "no predict"),
    "many outputs": (Many(), said_table(50), {}, UsageError, "2 outputs"),
    "two columns": (TwoColumns(), NUMBERS, {}, UsageError, "several outputs"),
    "short": (Short(), NUMBERS, {}, UsageError, "49 predictions for 50 rows"),
    "words": (Words(), NUMBERS, {}, UsageError, "target of numbers"),
    "infinite": (Number(), NUMBERS.assign(late=np.inf), {}, UsageError, "infinite in 50 rows"),
    "other labels": (Said(), said_table(50).assign(late="x"), {}, UsageError, "None of the values"),
    "no table": (Said(), [1, 2], {}, UsageError, "not a table"),
    "gate": (Said(), said_table(50), {"gates": ["qualty"]}, NotFoundError, "'quality'"),
    "gates file": (Said(), said_table(50), {"gates": "none.toml"}, NotFoundError, "none.toml"),
    "metric": (Said(), said_table(50), {"thresholds": {"roc": 1}}, NotFoundError, "'roc'"),
    "slice": (Said(), said_table(50), {"slices": ["nosy"]}, NotFoundError, "'noisy'"),
    "slice as text": (Said(), said_table(50), {"slices": "noisy"}, UsageError, "slices=['noisy']"),
}


@pytest.mark.parametrize("name", WRONG)
def test_bad_input_says_what_to_do(name: str) -> None:
    model, frame, options, kind, words = WRONG[name]
    with pytest.raises(kind) as caught:
        assess(model, frame, "late", **options)
    assert words in str(caught.value)
    assert caught.value.remedy
