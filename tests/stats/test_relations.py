"""What columns say about a target, and the portions in which it differs: planted ones, and pure noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_magics.foundation.errors import NotFoundError, UsageError
from mlops_magics.stats.engine import survey
from mlops_magics.stats.segments import wilson
from mlops_magics.stats.summary import Relation, TableSummary

PROBLEMS = ["binary", "classes", "number"]


def noise(seed: int, rows: int = 1_000) -> pd.DataFrame:
    """Columns of several kinds, and targets that nothing says anything about."""
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "number": random.normal(0, 1, rows),
            "heavy": random.lognormal(0, 2, rows),
            "count": random.poisson(3, rows),
            "level": random.choice(["a", "b", "c", "d"], rows, p=[0.6, 0.2, 0.15, 0.05]),
            "gaps": np.where(random.random(rows) < 0.3, np.nan, random.random(rows)),
            "code": random.integers(0, 200, rows).astype(str),
            "binary": random.random(rows) < 0.3,
            "classes": random.choice(["x", "y", "z"], rows),
            "target": random.normal(10, 2, rows),
        }
    )


def against(frame: pd.DataFrame, problem: str) -> TableSummary:
    """Take one of the targets, and drop the others."""
    name = "target" if problem == "number" else problem
    rest = {"binary", "classes", "target"} - {name}
    found = survey(frame.drop(columns=[*rest]), target=name, workers=1).table
    assert found.target is not None
    assert found.target.problem == problem
    return found


def relations(table: TableSummary) -> dict[str, Relation]:
    assert table.target is not None
    return {item.column: item for item in table.target.relations}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_noise_has_no_skill(problem: str) -> None:
    skills: dict[str, list[float]] = {}
    for seed in range(50):
        for name, item in relations(against(noise(seed), problem)).items():
            skills.setdefault(name, []).append(item.skill)
            assert item.skill < 0.15
            assert item.share < 0.1
    assert max(float(np.mean(found)) for found in skills.values()) < 0.04


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_leak_has_nearly_all_skill(problem: str) -> None:
    frame = noise(0, 4_000)
    name = "target" if problem == "number" else problem
    frame["leak"] = frame[name] if problem == "number" else frame[name].astype(str)
    frame["leak"] = frame["leak"] * 3 + 1 if problem == "number" else frame["leak"]
    found = against(frame, problem)
    assert found.target is not None
    assert found.target.relations[0].column == "leak"
    assert found.target.relations[0].skill > 0.97
    assert relations(found)["number"].skill < 0.1


def test_a_leak_through_gaps_is_seen() -> None:
    frame = noise(1, 2_000)
    frame["closed"] = frame["number"].where(frame["binary"])
    found = relations(against(frame, "binary"))["closed"]
    assert found.when_missing > 0.95
    assert relations(against(frame, "binary"))["gaps"].when_missing < 0.15


def test_copies_and_time_go_together() -> None:
    frame = noise(2, 2_000)
    frame["copy"] = frame["number"] * -2 + 7
    frame["monotone"] = np.exp(frame["number"] * 3)
    frame["recoded"] = frame["level"].str.upper()
    frame["day"] = pd.date_range("2020-01-01", periods=2_000, freq="D")
    frame["trend"] = np.arange(2_000) + np.random.default_rng(0).normal(0, 5, 2_000)
    table = survey(frame).table
    pairs = {frozenset((pair.left, pair.right)): pair for pair in table.associations.pairs}
    assert pairs[frozenset(("number", "copy"))].value == pytest.approx(-1)
    assert pairs[frozenset(("number", "monotone"))].measure == "spearman"
    assert pairs[frozenset(("number", "monotone"))].value == pytest.approx(1)
    assert pairs[frozenset(("level", "recoded"))].value == pytest.approx(1, abs=1e-3)
    assert pairs[frozenset(("day", "trend"))].value > 0.999
    assert table.by_name["day"].ordered == "up"
    assert table.by_name["number"].ordered == ""
    reverse = survey(frame[::-1]).table
    assert reverse.by_name["day"].ordered == "down"


@pytest.mark.slow
@pytest.mark.parametrize("problem", PROBLEMS)
def test_segments_of_noise_are_seldom_reported(problem: str) -> None:
    tables = 200
    alarms = sum(bool(_segments(against(noise(1_000 + seed), problem))) for seed in range(tables))
    assert alarms <= tables * 0.05 + 2 * np.sqrt(tables * 0.05 * 0.95)


def _segments(table: TableSummary) -> list[str]:
    assert table.target is not None
    return [item.words for item in table.target.segments]


@pytest.mark.parametrize("problem", PROBLEMS)
def test_a_planted_segment_is_found_and_named(problem: str) -> None:
    frame = noise(3, 3_000)
    inside = (frame["level"] == "c").to_numpy()
    random = np.random.default_rng(4)
    frame.loc[inside, "binary"] = random.random(inside.sum()) < 0.6
    frame.loc[inside, "classes"] = "z"
    frame.loc[inside, "target"] += 1.5
    found = against(frame, problem)
    assert found.target is not None
    first = found.target.segments[0]
    assert (first.column, first.words, first.held) == ("level", "level = c", ("c", "c"))
    assert first.rows == inside.sum()
    assert first.low <= first.value <= first.high
    assert first.p_value < 1e-6
    name = "target" if problem == "number" else problem
    held = frame[name] if problem == "number" else (frame[name] == found.target.positive)
    assert first.value == pytest.approx(held[inside].mean())
    assert first.difference == pytest.approx(held[inside].mean() - held[~inside].mean())


def test_a_planted_range_and_missing_values_are_found() -> None:
    frame = noise(5, 4_000)
    frame.loc[frame["number"] > 1.2, "target"] += 3
    frame.loc[frame["gaps"].isna(), "target"] -= 3
    found = _segments(against(frame, "number"))
    assert "gaps is missing" in found
    assert any(words.startswith("number ") for words in found)


def test_an_interval_is_wilsons() -> None:
    for rate, rows in ((0.0, 40), (1.0, 233), (0.3, 100)):
        low, high = wilson(rate, rows)
        assert 0 <= low <= rate <= high <= 1
    assert wilson(0.3, 100) == pytest.approx((0.2189489, 0.3958485), abs=1e-6)


def test_rows_without_a_target_are_left_out() -> None:
    frame = noise(6)
    frame["level_copy"] = frame["level"]
    for kind in ("float", "Int64", "object"):
        values = pd.Series(np.where(frame["level"] == "a", 1.0, 0.0))
        values[::5] = np.nan
        if kind == "object":
            values = values.map({1.0: "yes", 0.0: "no"}).astype(object)
        frame["y"] = values.astype(kind)
        found = survey(frame, target="y").table.target
        assert found is not None
        assert found.problem == "binary"
        assert found.relations[0].skill > 0.97
        assert found.value == pytest.approx((frame["level"][values.notna()] == "a").mean())


@pytest.mark.parametrize("values", [[1] * 60, [None] * 60, [float("nan")] * 60])
def test_a_target_that_does_not_vary_is_refused(values: list[object]) -> None:
    with pytest.raises(UsageError, match="target") as caught:
        survey(pd.DataFrame({"x": range(60), "y": values}), target="y")
    assert caught.value.remedy


def test_a_target_that_is_not_there_is_refused() -> None:
    with pytest.raises(NotFoundError, match="no column 'z'"):
        survey(pd.DataFrame({"x": range(60)}), target="z")


@pytest.mark.parametrize("size", [1e300, 1e200, 1e-200])
def test_targets_of_any_size_will_do(size: float) -> None:
    frame = noise(7)
    frame["target"] = (frame["target"] - 10) * size
    assert relations(against(frame, "number"))["number"].skill < 0.15
