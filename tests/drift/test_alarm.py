"""Thresholds: solved for a budget of false alarms, from chance and from what was usual; shown before use."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import pytest
from drifting import plain, reference, window

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift.alarm import Alarm, slot
from mlops_magics.drift.backtest import backtest, wilson
from mlops_magics.drift.budget import rate_of
from mlops_magics.drift.judging import judge
from mlops_magics.drift.solving import solve
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.stats.windows import Answers, Window

HOUR = 3_600.0
MONTH = 2_629_746.0


@pytest.mark.parametrize(
    ("budget", "seconds", "rate"),
    [
        ("1/month", HOUR, HOUR / MONTH),
        ("2 / Weeks", 86_400.0, 2 / 7),
        ("1/year", MONTH, 1 / 12),
        ("0.5/day", HOUR, 0.5 / 24),
        ("1/100", None, 0.01),
        ("3/200", HOUR, 0.015),
    ],
)
def test_a_budget_is_a_rate_a_window(budget: str, seconds: float | None, rate: float) -> None:
    assert rate_of(budget, seconds) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("budget", "seconds", "words"),
    [
        ("often", HOUR, "no budget"),
        ("0/month", HOUR, "no budget"),
        ("1/fortnight", HOUR, "no budget"),
        ("1/month", None, "how long a window is"),
        ("1/day", 86_400.0, "be a false alarm"),
        ("1/1", None, "be a false alarm"),
        ("1/0", None, "be a false alarm"),
    ],
)
def test_what_is_no_budget_is_refused(budget: str, seconds: float | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        rate_of(budget, seconds)


def test_an_alarm_is_written_and_read() -> None:
    alarm = Alarm(
        floors={"x": {"ks": 0.1}},
        season="hour",
        seasons={"03h": {"x": {"ks": 0.3}}},
        answers=Answers(3, labels={"yes": 3}),
    )
    assert Alarm.from_json(alarm.to_json()) == alarm
    assert Alarm.from_json(Alarm().to_json()) == Alarm()
    for spoilt in (
        "",
        "[]",
        "{}",
        json.dumps({"version": 1}),
        json.dumps({"version": 1, "no": 1, "answers": None}),
    ):
        with pytest.raises(MLOpsError):
            Alarm.from_json(spoilt)
    with pytest.raises(MLOpsError, match="version"):
        Alarm.from_json(json.dumps(json.loads(alarm.to_json()) | {"version": 7}))


def test_floors_are_those_of_the_time() -> None:
    alarm = Alarm(
        floors={"x": {"ks": 0.1}}, season="hour of the week", seasons={"Mon 03h": {"x": {"ks": 0.3}}}
    )
    monday = datetime(2026, 3, 2, 3, 30, tzinfo=UTC)
    assert alarm.floors_at(monday) == {"x": {"ks": 0.3}}
    assert alarm.floors_at(monday.replace(hour=4)) == alarm.floors_at(None) == {"x": {"ks": 0.1}}
    assert (slot(monday, "weekday"), slot(monday, "hour"), slot(monday, "")) == ("Mon", "03h", "")


@pytest.fixture(scope="module")
def known() -> Reference:
    return reference(plain(0))


def test_a_rarer_budget_asks_for_more(known: Reference) -> None:
    often, rare = (solve(known, budget, rows=1_000, draws=200) for budget in ("1/20", "1/1000"))
    assert rare.alpha < often.alpha / 10
    assert solve(known, "1/20", rows=1_000, draws=200) == often  # drawn from a seed that is always the same
    assert "independent" in often.basis
    twice = solve(known, "1/1000", rows=1_000, persistence=2, draws=200)
    assert twice.alpha > rare.alpha
    assert twice.persistence == 2


def test_floors_that_leave_chance_nothing_are_told() -> None:
    table = plain(0, rows=60_000)
    alarm = solve(reference(table), "1/20", rows=500_000, draws=50)
    assert alarm.expected < alarm.rate == 0.05


def _history(known: Reference, count: int, wobble: float, rows: int = 400) -> list[Window]:
    """Windows in which the price is carried by chance, all rows of a window alike."""
    random = np.random.default_rng(3)
    return [
        window(known, plain(100 + place, rows, price=wobble * random.normal()), place)
        for place in range(count)
    ]


def test_a_history_of_independent_rows_leaves_chance_its_thresholds(known: Reference) -> None:
    alarm = solve(known, "1/50", rows=400, seconds=HOUR, history=_history(known, 60, 0.0), draws=200)
    assert alarm.floors == {}
    assert "60 windows of the history alarm no more often" in alarm.basis


def test_a_history_that_varies_raises_the_floor_of_what_varies(known: Reference) -> None:
    usual = _history(known, 60, 0.4)
    naive = Alarm(rate=1 / 50, alpha=1 / 50)
    assert len(backtest(naive, known, usual).alarms) > 30
    alarm = solve(known, "1/50", rows=400, seconds=HOUR, history=usual, draws=200)
    assert set(alarm.floors) == {"price"}
    assert "not independent" in alarm.basis
    shown = backtest(alarm, known, usual)
    assert shown.interval[0] <= 1 / 50
    assert len(shown.alarms) <= 4
    later = window(known, plain(999, 400, price=3), 61)
    assert judge(known, later, alarm=alarm).alarmed
    town = plain(999, 400)
    town["town"] = "Oslo"  # a column that does not vary keeps its fine threshold
    assert judge(known, window(known, town, 61), alarm=alarm).alarmed


def test_the_same_hour_is_compared_with_the_same_hour(known: Reference) -> None:
    def at(hour: int, shift: float = 0.0) -> Window:
        night = 1.0 if hour % 24 < 6 else 0.0
        return window(known, plain(200 + hour, 400, price=night + shift), hour)

    usual = [at(hour) for hour in range(24 * 7)]
    alarm = solve(known, "1/100", rows=400, seconds=HOUR, history=usual, draws=100)
    assert alarm.season == "hour"
    assert alarm.seasons["03h"]["price"]["ks"] > 0.3 > alarm.seasons["12h"]["price"]["ks"]
    night, day = 24 * 8 + 3, 24 * 8 + 12
    assert not judge(known, at(night), alarm=alarm).alarmed
    assert judge(known, at(night, 1.5), alarm=alarm).alarmed
    found = judge(known, at(day, 1.0), alarm=alarm)  # as at night, but it is noon
    assert [each.name for each in found.alarms] == ["price"]
    assert backtest(alarm, known, usual).interval[0] <= 0.01


def test_stretches_within_the_reference_are_usual() -> None:
    random = np.random.default_rng(0)
    rows = 24_000
    month = np.repeat(np.arange(12), rows // 12)
    when = pd.Timestamp("2025-01-15") + pd.to_timedelta(month * 30.4, "D")

    def of(season: Any, size: int) -> dict[str, Any]:
        return {
            "temperature": 10 + 8 * np.sin(season / 12 * 2 * np.pi) + 3 * random.normal(size=size),
            "price": random.lognormal(0, 1, size),
            "shop": np.where(random.random(size) < 0.3 + 0.2 * (season > 5), "web", "street"),
        }

    known = reference(pd.DataFrame({"when": when, **of(month, rows)}))
    assert known.periods is not None
    alarm = solve(known, "1/100", rows=2_000, draws=100)
    assert set(alarm.floors) == {"temperature", "shop"}
    assert "12 stretches of a month" in alarm.basis
    assert Alarm.from_json(alarm.to_json()) == alarm
    july = pd.DataFrame({"when": pd.Timestamp("2026-07-03"), **of(np.full(2_000, 6.0), 2_000)})
    assert judge(known, window(known, july)).alarmed
    assert not judge(known, window(known, july), alarm=alarm).alarmed
    hot = july.assign(temperature=july["temperature"] + 20)
    assert judge(known, window(known, hot), alarm=alarm).alarmed


def test_a_back_test_says_which_windows_would_alarm(known: Reference) -> None:
    history = [
        window(known, plain(300 + place, 500, price=shift), place)
        for place, shift in enumerate((0, 1, 1, 0, 1))
    ]
    shown = backtest(Alarm(), known, [*history, window(known, plain(1, 20), 5)])
    assert [each.place for each in shown.alarms] == [1, 2, 4]
    assert [each.first for each in shown.alarms] == [True, False, True]
    assert shown.alarms[0].columns == ("price",)
    assert shown.alarms[0].began == history[1].began
    assert (shown.windows, shown.judged, shown.rate) == (6, 5, 0.6)
    assert "2 alarms, over 3 of them" in shown.words
    assert shown.interval[0] < 0.6 < shown.interval[1]
    assert wilson(0, 0) == (0.0, 1.0)
