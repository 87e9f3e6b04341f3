from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import Number, Said, judged, said_table

from mlops_magics.checks.assess import assess
from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.discovery import Search, discover
from mlops_magics.checks.model import Predictions
from mlops_magics.checks.policy import Policy
from mlops_magics.checks.problem import Problem
from mlops_magics.foundation.errors import UsageError

KINDS = ["regression", "binary", "labels", "multiclass"]


def columns(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "town": rng.choice(list("abcd"), rows),
            "size": rng.normal(size=rows),
            "count": rng.integers(0, 5, rows),
            "side": rng.choice(["x", "y", None], rows),
            "code": rng.choice([f"l{i}" for i in range(12)], rows),
        }
    )


def trial(kind: str, seed: int, rows: int, *, bad: bool = False, drop: float | None = None) -> Search:
    """Search once where rows differ in how hard they are, and the model says so.

    A bad model answers without knowledge, or three times as far off, where town is a and count 0 or 1.
    """
    rng = np.random.default_rng(seed)
    frame = columns(rng, rows)
    place = ((frame.town == "a") & (frame["count"] <= 1)).to_numpy() & bad
    level = (2 * frame["size"] + (frame.side == "x") - 1).to_numpy()
    if kind == "regression":
        truth = level + rng.normal(size=rows)
        # Heavy tails: no mean of such errors is normal. They grow with the prediction.
        off = rng.standard_t(2, size=rows) * np.where(place, 3.0, 1.0) * np.exp(level / 4)
        return discover(Problem("regression"), level + off, Predictions(level), frame, drop=drop, alpha=0.05)
    if kind == "multiclass":
        proba = np.exp(np.column_stack([level, np.zeros(rows), rng.normal(size=rows)]))
        proba /= proba.sum(axis=1, keepdims=True)
        truth = (rng.uniform(size=(rows, 1)) > proba.cumsum(axis=1)).sum(axis=1).astype(float)
        truth = np.where(place, rng.permutation(truth), truth)
        given = Predictions(proba.argmax(axis=1).astype(float), proba)
        return discover(Problem("multiclass", (0, 1, 2)), truth, given, frame, drop=drop, alpha=0.05)
    said = 1 / (1 + np.exp(-(np.full(rows, 1.5) if kind == "labels" else level)))
    truth = (rng.uniform(size=rows) < np.where(place, 1 - said, said)).astype(float)
    labels = (said > 0.5).astype(float)
    given = Predictions(labels, None, None if kind == "labels" else said)
    return discover(Problem("binary", (0, 1)), truth, given, frame, drop=drop, alpha=0.05)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_is_nowhere_worse_raises_an_alarm_at_most_at_alpha(kind: str) -> None:
    alarms = [bool(trial(kind, seed, 1000, drop=0.0).portions) for seed in range(500)]
    assert sum(alarms) <= 25


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_portion_is_found(kind: str) -> None:
    """The portion is a tenth of the rows."""
    found = [trial(kind, seed, 2500, bad=True).portions for seed in range(100)]
    hits = [any(("town", "a") in one.where for one in portions) for portions in found]
    assert sum(hits) >= 80
    others = [one for portions in found for one in portions if ("town", "a") not in one.where]
    assert len(others) <= 25  # that overlap with it


def planted(rows: int = 4000) -> pd.DataFrame:
    frame = said_table(rows).drop(columns="noisy")
    rng = np.random.default_rng(5)
    frame["town"], frame["hour"] = rng.choice(["Oslo", "Rome"], rows), rng.integers(0, 24, rows)
    bad = (frame.town == "Rome") & (frame.hour < 6)
    frame["said"] = np.where(bad, 1 - frame.said, frame.said)
    return frame


class Wide(Said):
    def __init__(self) -> None:
        super().__init__()
        self.feature_names_in_ = np.array(["said", "town", "hour"])


def test_what_is_found_is_named_once_with_its_numbers() -> None:
    found = assess(Wide(), planted(), "late", gates=["slices"])
    assert found.search is not None
    (portion,) = found.search.portions
    assert portion.words == "town = Rome and hour ≤ 5"
    assert portion.value < 0.4
    assert portion.expected > 0.6
    assert portion.low < portion.value < portion.high
    assert portion.drop == pytest.approx(portion.expected - portion.value)
    assert portion.rows == pytest.approx(500, rel=0.15)


def test_what_is_found_survives_being_written_down() -> None:
    found = assess(Wide(), planted(), "late", gates=["slices"])
    again = Assessment.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again.search == found.search
    older = {name: value for name, value in found.to_dict().items() if name not in {"search", "policy"}}
    assert Assessment.from_dict(older).search is None


def test_what_is_found_warns_or_fails_as_the_policy_says() -> None:
    frame = planted()
    warned = judged("slices", Wide(), frame)
    assert warned.outcome == "pass"
    assert "town = Rome and hour ≤ 5 has accuracy 0." in warned.evidence
    failed = judged("slices", Wide(), frame, gates=Policy(gates=("slices",), found_slices="fail"))
    assert (failed.outcome, failed.threshold) == ("fail", 0.05)
    off = judged("slices", Wide(), frame, gates=Policy(gates=("slices",), found_slices="off"))
    assert off.outcome == "not applicable"
    given = judged("slices", Wide(), frame, slices=["town"])
    assert (given.outcome, given.evidence[:11]) == ("fail", "town = Rome")
    with pytest.raises(UsageError, match="found_slices is 'loud'"):
        Policy.of({"found_slices": "loud"}, ["slices"])


def test_an_honest_model_is_told_how_much_was_tried() -> None:
    frame = planted().assign(said=said_table().said)
    found = judged("slices", Wide(), frame)
    assert found.outcome == "pass"
    assert "portions of one or two columns that were tried" in found.evidence
    assert judged("slices", Wide(), frame[:50]).outcome == "not applicable"


def test_what_the_model_itself_is_unsure_about_is_no_finding() -> None:
    rng = np.random.default_rng(0)
    hard = rng.uniform(size=6000) < 0.3
    said = np.where(hard, rng.uniform(0.4, 0.6, 6000), rng.choice([0.03, 0.97], 6000))
    frame = pd.DataFrame({"said": said, "town": np.where(hard, "foggy", "clear")})
    frame["late"] = rng.uniform(size=6000) < said
    model = Wide()
    model.feature_names_in_ = np.array(["said", "town"])
    found = assess(model, frame, "late", gates=["slices"])
    assert found.search is not None
    assert found.search.tried == 9
    assert found.search.portions == ()


def test_a_regression_is_searched_by_its_errors() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=2000), "part": rng.choice(["a", "b", "c"], 2000)})
    frame["late"] = frame.said + rng.normal(size=2000) * np.where(frame.part == "c", 4.0, 1.0)

    class Both(Number):
        def __init__(self) -> None:
            super().__init__()
            self.feature_names_in_ = np.array(["said", "part"])

    found = assess(Both(), frame, "late", gates=["slices"])
    assert found.search is not None
    assert found.search.portions[0].where == (("part", "c"),)
    assert found.search.portions[0].drop > 0.5


def test_the_search_does_not_grow_with_the_rows() -> None:
    class Thin:
        """Counts the rows that are handed out."""

        columns = pd.Index(["town"])
        seen = 0

        @property
        def iloc(self) -> Any:
            return self

        def __getitem__(self, asked: tuple[slice, int]) -> Any:
            values = pd.Series(["a", "b"] * 500_000)[asked[0]]
            Thin.seen = len(values)
            return values

    truth = np.tile([0.0, 1.0], 500_000)
    discover(Problem("binary", (0, 1)), truth, Predictions(truth), Thin(), drop=None, alpha=0.05)
    assert Thin.seen == 100_000
