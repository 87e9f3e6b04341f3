"""What is judged a drift: how far, how surely, since when, and what is suspected behind it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from drifting import BEGAN, plain, reference, window
from sklearn.linear_model import LinearRegression, LogisticRegression

from mlops_magics.artifact.reference import Reference
from mlops_magics.drift import judging
from mlops_magics.drift.alarm import Alarm
from mlops_magics.drift.judging import ColumnDrift, judge
from mlops_magics.foundation.errors import UsageError
from mlops_magics.stats.windows import Window


@pytest.fixture(scope="module")
def known() -> Reference:
    return reference(plain(0))


def _of(known: Reference, rows: Any, name: str, **told: Any) -> ColumnDrift:
    drift = judge(known, window(known, rows), **told)
    return next(each for each in drift.columns if each.name == name)


def test_the_same_distribution_is_no_drift(known: Reference) -> None:
    drift = judge(known, window(known, plain(1)))
    assert not drift.alarmed
    assert drift.judged
    assert {each.level for each in drift.columns} == {"none"}
    assert {each.cause for each in drift.columns} == {""}
    assert {each.since for each in drift.columns} == {None}
    assert drift.weighted == 0
    assert [score.test for score in drift.columns[0].scores]


def test_a_shift_is_found_in_its_column_alone(known: Reference) -> None:
    drift = judge(known, window(known, plain(1, price=0.4)))
    assert [each.name for each in drift.alarms] == ["price"]
    first = drift.columns[0]
    assert (first.name, first.test, first.level, first.cause) == ("price", "ks", "strong", "shift")
    assert first.effect == pytest.approx(0.16, abs=0.03)
    assert first.since == drift.began == BEGAN
    assert 0 <= first.p <= first.adjusted < 1e-9
    slight = _of(known, plain(1, price=0.15), "price")
    assert slight.level == "slight"


def test_few_rows_are_not_judged(known: Reference) -> None:
    drift = judge(known, window(known, plain(1, rows=150, price=3)))
    assert (drift.judged, drift.alarmed, drift.columns) == (False, False, ())
    assert "150 rows are too few" in drift.notes[0]
    assert judge(known, window(known, plain(1, rows=150, price=3)), alarm=Alarm(minimum=100)).alarmed


def test_a_window_of_another_reference_is_refused(known: Reference) -> None:
    other = reference(plain(5))
    with pytest.raises(UsageError, match="another reference"):
        judge(known, window(other, plain(1)))
    with pytest.raises(UsageError, match="another reference"):
        judge(known, window(known, plain(1)), before=[window(other, plain(1))])


def _spoilt(name: str, values: Any) -> pd.DataFrame:
    table = plain(1)
    table[name] = values(table[name]) if callable(values) else values
    return table


@pytest.mark.parametrize(
    ("name", "values", "cause", "words"),
    [
        ("price", lambda x: x.where(x.index % 2 == 0), "pipeline fault", "So many gaps"),
        ("price", 7.25, "pipeline fault", "one and the same value"),
        ("town", "Oslo", "pipeline fault", "one and the same value"),
        ("price", lambda x: x.astype(str), "pipeline fault", "another kind"),
        ("stars", lambda x: x.where(x > 1, np.inf), "pipeline fault", "division by zero"),
        ("price", lambda x: x * 1000, "unit change", "\N{MULTIPLICATION SIGN}1000: "),
        ("price", lambda x: x / 1000, "unit change", "\N{MULTIPLICATION SIGN}0.001: "),
        ("price", lambda x: x * 1.609344, "unit change", "miles to kilometres"),
        ("temperature", lambda x: x + 273.15, "unit change", "Celsius to kelvin"),
        ("temperature", lambda x: x * 1.8 + 32, "unit change", "Celsius to Fahrenheit"),
        ("price", lambda x: -x, "unit change", "opposite"),
        ("town", lambda x: x.where(x != "Lima", "Paris"), "new category", "'Paris'"),
        ("price", lambda x: x.where(x < 40, 4_000 + x), "range", "mostly above"),
        ("temperature", lambda x: x + 3, "shift", "no single cause"),
    ],
)
def test_a_cause_is_suspected(known: Reference, name: str, values: Any, cause: str, words: str) -> None:
    found = _of(known, _spoilt(name, values), name)
    assert found.alarmed
    assert (found.cause, words in found.suspicion) == (cause, True), found.suspicion


def test_a_column_that_is_gone_is_a_fault(known: Reference) -> None:
    found = _of(known, plain(1).drop(columns="town"), "town")
    assert (found.test, found.cause, found.effect) == ("missing", "pipeline fault", 1.0)
    assert "without the column" in found.words


def test_dates_that_go_on_and_ids_that_count_on_are_no_drift() -> None:
    random = np.random.default_rng(0)

    def rows(first: int) -> pd.DataFrame:
        hours = np.sort(random.integers(0, 24 * 7 * 20, 4_000))
        return pd.DataFrame(
            {
                "row": np.arange(first, first + 4_000),
                "when": pd.Timestamp("2025-01-06") + pd.to_timedelta(hours + 24 * 7 * 20 * (first > 0), "h"),
            }
        )

    known = reference(rows(0))
    assert not judge(known, window(known, rows(4_000))).alarmed
    back = rows(4_000)
    back.loc[:400, "when"] = pd.Timestamp("1970-01-01")
    found = _of(known, back, "when")
    assert (found.alarmed, found.test, found.cause) == (True, "dates", "pipeline fault")
    nights = rows(4_000)
    nights["when"] = nights["when"].dt.floor("D") + pd.to_timedelta(random.integers(0, 6, 4_000), "h")
    assert "hours of the day" in _of(known, nights, "when").words


def test_columns_that_matter_to_the_model_come_first() -> None:
    table = plain(0).drop(columns="town")
    model = LinearRegression().fit(table / table.std(), table["temperature"] / table["temperature"].std())
    known = reference(table, model)
    drift = judge(known, window(known, plain(1, price=0.5, temperature=0.2)))
    assert [each.name for each in drift.columns[:2]] == ["temperature", "price"]
    assert drift.columns[1].effect > drift.columns[0].effect
    assert drift.columns[0].importance == pytest.approx(1, abs=0.01)
    assert drift.weighted == pytest.approx(drift.columns[0].effect, rel=0.1)


def _windows(known: Reference, shifts: list[float]) -> list[Window]:
    return [window(known, plain(10 + place, price=shift), place) for place, shift in enumerate(shifts)]


def test_it_tells_since_when(known: Reference) -> None:
    *before, now = _windows(known, [0.5, 0, 0, 0.5, 0.5, 0.5])
    drift = judge(known, now, before=before)
    assert drift.columns[0].windows == 3
    assert drift.columns[0].since == before[3].began


def test_an_alarm_waits_for_as_many_windows_in_a_row(known: Reference) -> None:
    windows = _windows(known, [0, 0.5, 0, 0.5, 0.5, 0.5])
    alarm = Alarm(persistence=2)
    alarmed = [
        judge(known, each, alarm=alarm, before=windows[:place]).alarmed for place, each in enumerate(windows)
    ]
    assert alarmed == [False, False, False, False, True, True]
    assert judge(known, windows[1], alarm=alarm).columns[0].level == "strong"


def test_answers_are_compared_with_earlier_windows_only() -> None:
    table = plain(0).drop(columns="town")
    model = LogisticRegression(max_iter=1_000).fit(table, table["temperature"] > 18)
    known = reference(table, model)

    def asked(seed: int, hour: int, **shifted: float) -> Window:
        rows = plain(seed, **shifted).drop(columns="town")
        return window(known, rows, hour, answers=model.predict(rows))

    first = judge(known, asked(1, 0, temperature=1))
    assert first.answers == ()
    assert "fitted on says little" in first.notes[0]
    before = [asked(seed, seed) for seed in range(3)]
    assert not judge(known, asked(9, 9), before=before).alarmed
    found = judge(known, asked(9, 9, temperature=1), before=before).answers[0]
    assert (found.name, found.alarmed, found.importance) == ("prediction", True, None)
    assert "The share of 'True' went from" in found.words or "The share of 'False'" in found.words


def test_answers_of_a_regression_are_compared() -> None:
    table = plain(0).drop(columns="town")
    model = LinearRegression().fit(table, table["temperature"])
    known = reference(table, model)
    windows = [
        window(
            known, rows := plain(seed, temperature=shift).drop(columns="town"), answers=model.predict(rows)
        )
        for seed, shift in ((1, 0.0), (2, 0.0), (3, 0.5))
    ]
    assert not judge(known, windows[1], before=windows[:1]).alarmed
    (found,) = judge(known, windows[2], before=windows[:2]).answers
    assert found.alarmed
    assert found.effect > 0.1


def test_texts_are_compared_by_words_and_lengths() -> None:
    random = np.random.default_rng(0)
    words = np.array("the parcel came late broken please send another money back".split())  # noqa: SIM905

    def rows(known: Any, length: int) -> pd.DataFrame:
        return pd.DataFrame(
            {"remark": [" ".join(random.choice(known, length)) + f" {row}" for row in range(3_000)]}
        )

    made = reference(rows(words, 6))
    assert made.columns[0].worded == 1_000
    assert not judge(made, window(made, rows(words, 6))).alarmed
    other = _of(made, rows(np.append(words, ["gratis"] * 3), 6), "remark")
    assert other.alarmed
    longer = _of(made, rows(words, 9), "remark")
    assert (longer.alarmed, longer.test) == (True, "lengths")


def test_a_shift_of_levels_is_found_in_a_small_window_of_a_large_reference() -> None:
    known = reference(plain(0, rows=60_000))
    for rows in (60_000, 500):
        table = plain(1, rows=rows)
        table.loc[table.index % 8 == 0, "town"] = "Bern"
        found = _of(known, table, "town")
        assert (found.alarmed, found.test, found.level) == (True, "chi2", "strong"), rows
        assert found.effect == pytest.approx(0.19, abs=0.05)


def test_a_history_that_drifts_for_long_is_judged_window_by_window(
    known: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows = _windows(known, [0.0, *[0.5] * 29])
    looked = []
    through = judging._scored

    def noted(*asked: Any, **told: Any) -> Any:
        looked.append(asked[1])
        return through(*asked, **told)

    monkeypatch.setattr(judging, "_scored", noted)
    drifted: dict[int, frozenset[str]] = {}
    found = [
        judge(known, each, before=windows[:place], drifted=drifted) for place, each in enumerate(windows)
    ]
    assert len(looked) == 30
    assert [each.columns[0].windows for each in found[1:]] == list(range(1, 30))
    assert found[-1].columns[0].since == windows[1].began
    assert found[-1] == judge(known, windows[-1], before=windows[:-1])
