"""False alarms come at the rate that was allowed, and a small shift is found all the same."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from drifting import plain, reference, twenty, window

from mlops_magics.drift.backtest import wilson
from mlops_magics.drift.judging import judge
from mlops_magics.drift.solving import solve
from mlops_magics.drift.together import Rows
from mlops_magics.stats.coded import coded

SHIFTED = {"norm0", "norm1", "norm2"}


def _pairs(count: int, budget: str, rows: int, persistence: int = 1) -> tuple[int, int, Counter[str]]:
    """Count alarms of equal pairs, of pairs with a shift of 0.1 sd in three columns, and these columns."""
    false, found, columns = 0, 0, Counter[str]()
    for seed in range(count):
        random = np.random.default_rng(1_000 + seed)
        known = reference(twenty(random, rows))
        if seed % 50 == 0:  # solved anew now and then: from one reference to the next it hardly differs
            alarm = solve(known, budget, rows=rows, persistence=persistence)
        for shift in (0.0, 0.1):
            *before, now = (window(known, twenty(random, rows, shift), hour) for hour in range(persistence))
            drift = judge(known, now, alarm=alarm, before=before)
            if shift:
                found += drift.alarmed
                columns.update(each.name for each in drift.alarms if each.name in SHIFTED)
            else:
                false += drift.alarmed
    return false, found, columns


def test_a_few_equal_pairs_alarm_as_rarely_as_was_allowed() -> None:
    known = reference(plain(0))
    alarm = solve(known, "1/20", rows=1_000, draws=200)
    false = sum(
        judge(known, window(known, plain(seed, 1_000)), alarm=alarm).alarmed for seed in range(1, 101)
    )
    low, high = wilson(false, 100)
    assert low <= 0.05
    assert high >= 0.01  # and not silent either


@pytest.mark.slow
@pytest.mark.parametrize(("budget", "rate"), [("1/10", 0.1), ("1/20", 0.05), ("1/100", 0.01)])
def test_false_alarms_come_at_the_rate(budget: str, rate: float) -> None:
    false, found, columns = _pairs(200, budget, 10_000)
    low, high = wilson(false, 200)
    assert low <= rate <= high
    assert found == 200
    assert min(columns[name] for name in SHIFTED) >= 0.98 * 200


@pytest.mark.slow
def test_false_alarms_come_at_the_rate_with_columns_compared_together_too() -> None:
    false, joint = 0, 0
    for seed in range(300):
        random = np.random.default_rng(9_000 + seed)
        fitted, now = (twenty(random, 2_000) for _ in range(2))
        known = reference(fitted)
        if seed % 60 == 0:
            alarm = solve(known, "1/10", rows=2_000, draws=400, together=True)
        rows = Rows(coded(known, fitted, 2_000), coded(known, now, 2_000))
        drift = judge(known, window(known, now), alarm=alarm, rows=rows)
        false += drift.alarmed
        joint += drift.together is not None and drift.together.alarmed
    low, high = wilson(false, 300)
    assert low <= 0.1
    assert high >= 0.03  # and not silent either
    assert wilson(joint, 300)[0] <= 0.02


@pytest.mark.slow
def test_two_windows_in_a_row_come_at_the_rate_too() -> None:
    false, found, _columns = _pairs(200, "1/20", 10_000, persistence=2)
    low, high = wilson(false, 200)
    assert low <= 0.05 <= high
    assert found == 200


@pytest.mark.slow
def test_an_alarm_a_month_of_hours_finds_a_tenth_of_a_deviation() -> None:
    false, found, columns = _pairs(200, "1/730", 10_000)
    assert wilson(false, 200)[0] <= 1 / 730
    assert found >= 0.99 * 200
    assert min(columns[name] for name in SHIFTED) >= 0.97 * 200


@pytest.mark.slow
def test_windows_that_vary_alarm_at_the_rate_once_the_history_is_known() -> None:
    """Each history has 120 windows, all rows of a window carried alike by chance; 60 more are then judged."""
    false, judged = [], 0
    for seed in range(40):
        random = np.random.default_rng(seed)
        known = reference(plain(10_000 + seed, 3_000))

        def drawn(place: int, random: np.random.Generator = random, seed: int = seed) -> object:
            return plain(seed * 1_000 + place, 400, price=0.3 * random.normal())

        history = [window(known, drawn(place), place) for place in range(120)]
        alarm = solve(known, "1/20", rows=400, history=history, draws=100)
        hits = [
            judge(known, window(known, drawn(place), place), alarm=alarm).alarmed for place in range(120, 180)
        ]
        false.append(sum(hits))
        judged += len(hits)
    rate, error = sum(false) / judged, float(np.std(false)) / 60 / np.sqrt(len(false))
    # Half of the budget is for what varies, half for chance: a little is left over. Measured: 0.042.
    assert 0.03 <= rate <= 0.05 + 1.96 * error, f"{rate:.3f} with an error of {error:.3f}"
