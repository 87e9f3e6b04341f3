"""Noise in numbers, and numbers beyond what was seen: told, and a fault where the policy bounds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from cases import Number, Said, fitted, judged, said_table, table

from mlops_magics.artifact.kept import Kept
from mlops_magics.checks.policy import Policy

BOUNDED = Policy(gates=("robustness",), noise_drop=0.02)


class Learnt(Said):
    """Knows by heart the very numbers that it was shown, and nothing of those beside them."""

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__()
        self.known = set(frame["said"])

    def predict_proba(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        return super().predict_proba(rows.where(rows["said"].isin(self.known), 0.4))

    def predict(self, rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
        return np.asarray(self.predict_proba(rows)[:, 1] > 0.5)


class Watching(Number):
    """A regression that remembers what it was asked."""

    def __init__(self, columns: list[str]) -> None:
        super().__init__(columns[0])
        self.feature_names_in_ = np.array(columns)
        self.asked: list[pd.DataFrame] = []

    def predict(self, rows: pd.DataFrame) -> npt.NDArray[np.float64]:
        self.asked.append(rows)
        return super().predict(rows)


def test_noise_is_told_and_counts_only_where_the_policy_bounds_it() -> None:
    frame = said_table(600)
    found = judged("robustness", Learnt(frame), frame)
    assert found.outcome == "pass"
    # 47.8 % are above a half; the largest stay as they are, for noise does not pass the end.
    assert "Noise of 1 % of the spread moves 47.5 % of the classes" in found.evidence
    found = judged("robustness", Learnt(frame), frame, gates=BOUNDED)
    assert (found.outcome, found.value) == ("fail", 1.0)
    assert "noise (roc_auc loses 0.2" in found.evidence
    assert "0.02 may be lost" in found.evidence
    for model, rows in ((Said(), frame), (fitted(), table(seed=1))):
        assert judged("robustness", model, rows, gates=BOUNDED).outcome == "pass"


def test_a_loss_is_taken_as_a_share_and_a_ranking_as_places() -> None:
    from sklearn.ensemble import IsolationForest

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=500)})
    frame["late"] = frame.said + 0.01 * rng.normal(size=500)
    bounds = Policy(gates=("robustness",), noise_drop=0.02, primary="rmse")
    found = judged("robustness", Number(), frame, gates=bounds)
    assert "noise (rmse loses 0.3" in found.evidence  # from 0.010 to 0.014
    assert "moves answers by 0.8 % of their spread" in found.evidence
    frame = table().assign(late=lambda rows: rows.late.astype(int))
    ranked = judged("robustness", IsolationForest(random_state=0).fit(frame[["hour", "humid"]]), frame)
    assert "% of the list" in ranked.evidence


def test_a_model_that_answers_nothing_beyond_what_it_saw() -> None:
    from sklearn.linear_model import LinearRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import SplineTransformer

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(300, 2)), columns=["a", "b"]).assign(late=lambda rows: rows.a)
    model = make_pipeline(SplineTransformer(extrapolation="error"), LinearRegression())
    model.fit(frame[["a", "b"]], frame.late)
    found = judged("robustness", model, frame)
    assert found.outcome == "pass"
    assert "a value beyond what was seen in a gets no answer (Pipeline cannot predict" in found.evidence
    found = judged("robustness", model, frame, gates=BOUNDED)
    assert (found.outcome, "a value beyond (no answer)" in found.evidence) == ("fail", True)


def odd(rows: int = 400) -> pd.DataFrame:
    """Numbers of several types, with an end, a value and a type of their own."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "plain": rng.normal(size=rows),
            "whole": rng.integers(-9_000, 9_000, rows),
            "small": rng.integers(-100, 127, rows).astype("int8"),
            "gaps": pd.array(rng.integers(1_000, 9_000, rows), dtype="Int64"),
            "mostly": np.where(rng.uniform(size=rows) < 0.4, 0.0, rng.lognormal(size=rows)),
            "percent": np.clip(rng.normal(80, 20, rows), 0, 100),
            "same": 3.0,
            "flag": rng.uniform(size=rows) < 0.5,
        }
    )
    frame.loc[::9, "gaps"] = pd.NA
    frame.loc[3, "plain"] = np.inf
    frame.loc[0, "small"] = 127
    return frame.assign(late=rng.normal(size=rows))


def asked_of(frame: pd.DataFrame, **options: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the rows with noise, and those beyond what was seen."""
    model = Watching([name for name in frame if name not in {"late", "plain"}] + ["plain"])
    judged("robustness", model, frame, **options)
    noisy = next(rows for rows in model.asked[1:] if len(rows) == len(frame))
    return noisy, model.asked[-1]


def test_noise_respects_types_gaps_and_values_that_mean_something() -> None:
    frame = odd()
    noisy, _ = asked_of(frame)
    assert (noisy.dtypes == frame[noisy.columns].dtypes).all()
    assert (noisy.isna() == frame[noisy.columns].isna()).all(axis=None)
    for name in ("plain", "whole", "gaps", "small"):
        there = frame[name].notna() & (frame[name] != np.inf)
        moved = (noisy[name] - frame[name])[there].astype(float)
        assert 0 < moved.std() < 0.02 * frame[name][there].astype(float).std()
        assert noisy[name][there].max() <= frame[name][there].max()
    assert noisy.plain[3] == np.inf
    zero = frame.mostly == 0
    assert (noisy.mostly[zero] == 0).all()
    assert (noisy.mostly[~zero] != frame.mostly[~zero]).mean() > 0.9
    assert noisy[["same", "flag"]].equals(frame[["same", "flag"]])


def test_beyond_is_where_fresh_rows_will_lie_and_nowhere_else() -> None:
    frame = odd().assign(plain=lambda rows: rows.plain.replace(np.inf, 0.0))
    _, past = asked_of(frame)
    for name in ("plain", "whole"):
        assert past[name].min() < frame[name].min()
        assert past[name].max() > frame[name].max()
        assert past[name].max() - frame[name].max() < 0.2 * float(frame[name].std())
    assert past["gaps"].max() > frame["gaps"].max()
    # Zero is not passed, an end that many rows share is the column's own, and int8 ends at 127.
    assert past["mostly"].min() == 0
    assert past["percent"].max() == 100
    assert past["small"].max() == 127
    _, past = asked_of(frame, kept=Kept("skops", ranges={"plain": (-50.0, 70.0)}))
    assert (past["plain"].min(), past["plain"].max()) == pytest.approx((-50.1, 70.1), abs=0.02)
