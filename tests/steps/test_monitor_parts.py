"""The parts of monitoring: what is counted adds up, is kept, and says how good answers were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from journal_lines import DAY, HOUR, lines_of, put
from sklearn.metrics import accuracy_score, roc_auc_score

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.serving.journal.files import put_together
from mlops_magics.stats.reference import reference_of
from mlops_magics.stats.windows import counted
from mlops_magics.steps.monitor import journal, performance
from mlops_magics.steps.monitor.counting import chances_of
from mlops_magics.steps.monitor.drawing import Line, drawn
from mlops_magics.steps.monitor.performance import Answers, estimated, measured
from mlops_magics.steps.monitor.segments import most
from mlops_magics.steps.monitor.slo import slo_of
from mlops_magics.steps.monitor.spans import Span, buckets, quantile, total
from mlops_magics.tracking.evaluations import Gate, Summary


class Model:
    """A model that answers one of two classes."""

    classes_ = np.array([0, 1])

    def predict_proba(self, rows: Any) -> np.ndarray[Any, Any]:
        yes = 1 / (1 + np.exp(-np.asarray(rows)[:, 0].astype(float)))
        return np.column_stack([1 - yes, yes])


class Same:
    """A model that always answers the same."""

    def predict(self, rows: Any) -> np.ndarray[Any, Any]:
        return np.zeros(len(rows))


def plain(spans: tuple[Span, ...]) -> list[Span]:
    """Leave out the quantiles, which of windows that were added are only nearly right."""
    found = []
    for span in spans:
        window = span.window
        if window is not None:
            columns = tuple(replace(column, quantiles=()) for column in window.columns)
            window = replace(window, columns=columns)
        found.append(replace(span, window=window))
    return found


@pytest.fixture
def source(tmp_path: Path) -> journal.Source:
    folder = tmp_path / "journal"
    folder.mkdir()
    fitted = pl.DataFrame({"x": np.random.default_rng(0).normal(size=2000)})
    reference = reference_of(fitted, Model())
    assert reference is not None
    return journal.Source(folder, "1", reference, reference.digest)


def test_windows_are_the_same_whichever_way_a_journal_lies(source: journal.Source) -> None:
    parts = [put(source.folder, at, lines_of(900, DAY + 10 * HOUR + at * 900, at)) for at in range(8)]
    now = DAY + 12 * HOUR + 1
    asked = {"seconds": HOUR, "since": DAY + 9 * HOUR, "now": now}
    first = journal.read(source, **asked)
    assert [(span.requests, span.rows) for span in first] == [(0, 0), (3600, 3600), (3600, 3600), (0, 0)]
    put_together(source.folder, parts)
    again = journal.read(source, **asked)
    assert plain(again) == plain(first)
    (kept,) = (source.folder / ".monitor").iterdir()
    for path in kept.iterdir():  # what is damaged is counted again
        path.write_bytes(path.read_bytes()[:-20])
    assert plain(journal.read(source, **asked)) == plain(first)


def test_a_large_file_is_read_in_pieces_with_the_same_windows(
    source: journal.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = lines_of(5_000, DAY + 10 * HOUR, 1)
    failed = frame.filter(pl.int_range(5_000) % 50 == 0).with_columns(
        status=pl.lit(500, pl.Int16), error=pl.lit("INTERNAL"), version=pl.lit("2")
    )  # a canary that could not answer; the live version did, in the same second
    put(source.folder, 1, pl.concat([frame, failed.select(frame.columns)]).sort("time"))
    asked = {"seconds": 600.0, "since": DAY + 10 * HOUR, "now": DAY + 12 * HOUR}
    counted = [(part.height, part["time"].min()) for part in journal.lines(source.folder, DAY)]
    assert [count for count, _ in counted] == [5_100]
    whole = journal.read(source, **asked)
    for path in (source.folder / ".monitor").rglob("*.json"):
        path.unlink()
    monkeypatch.setattr(journal, "_MOST", 700)
    heights = [part.height for part in journal.lines(source.folder, DAY)]
    assert sum(heights) == 5_100
    assert max(heights) <= 702
    assert plain(journal.read(source, **asked)) == plain(whole)
    assert total(whole).saved == {"2": 100}
    newest = [part["time"].max() for part in journal.lines(source.folder, DAY, newest_first=True)]
    assert newest == sorted(newest, reverse=True)


def test_a_second_look_reads_only_what_came_since(
    source: journal.Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(source.folder, 1, lines_of(3600, DAY + 10 * HOUR, 1))
    now = DAY + 12 * HOUR + 120
    before = journal.read(source, seconds=HOUR, since=DAY + 10 * HOUR, now=now)
    put(source.folder, 2, lines_of(100, DAY + 12 * HOUR, 2))
    read = []
    through = journal.counted_lines

    def noted(lines: Any, *times: float) -> Span:
        read.append(lines.frame.height)
        return through(lines, *times)

    monkeypatch.setattr(journal, "counted_lines", noted)
    after = journal.read(source, seconds=HOUR, since=DAY + 10 * HOUR, now=now)
    assert after[:-1] == before[:-1]
    assert (read, after[-1].rows) == ([100], 100)


def test_what_is_counted_of_traffic(source: journal.Source) -> None:
    frame = lines_of(500, DAY + 10 * HOUR, 3)
    shadow = frame.head(50).with_columns(role=pl.lit("shadow"), version=pl.lit("2"))
    refused = (
        frame.head(20)
        .select("time", "request_id", "row", "version", "role")
        .with_columns(
            request_id=pl.lit("r"),
            status=pl.lit(422, pl.Int16),
            error=pl.lit("INVALID_CELL"),
            column=pl.lit("x"),
        )
    )
    failed = refused.head(3).with_columns(status=pl.lit(500, pl.Int16), error=pl.lit("INTERNAL"), column=None)
    # asked for labels and probabilities at once: two lines a row
    twice = frame.head(10).drop("prediction").with_columns(probabilities=pl.lit([0.25, 0.75]))
    canary = frame.tail(7).with_columns(
        version=pl.lit("2"), status=pl.lit(500, pl.Int16), error=pl.lit("INTERNAL")
    )
    canary = canary.drop("prediction")  # the live version answered these
    put(source.folder, 1, pl.concat([frame, shadow, refused, failed, twice, canary], how="diagonal_relaxed"))
    (span, _) = journal.read(source, seconds=HOUR, since=DAY + 10 * HOUR, now=DAY + 11 * HOUR)
    assert (span.requests, span.rows, span.failed) == (523, 500, 3)
    assert dict(span.refused) == {"INVALID_CELL": 20, "INTERNAL": 3}
    assert dict(span.breached) == {"x": 20}
    assert dict(span.versions) == {"1": 500}
    assert (dict(span.asked), dict(span.saved)) == ({"1": 500}, {"2": 7})
    assert span.chances.rows == 10
    assert span.window is not None
    assert span.window.rows == 500
    assert span.window.answers is not None
    assert span.window.answers.rows == 500
    whole = frame.select(pl.sum_horizontal("decode_ms", "queue_ms", "predict_ms", "encode_ms")).to_series()
    p99 = quantile(span.spent["all"], 0.99)
    assert p99 == pytest.approx(whole.quantile(0.99, "lower"), rel=0.0101)
    assert Span.from_dict(json.loads(span.to_json())) == span


def test_quantiles_are_right_to_one_percent() -> None:
    spent = np.random.default_rng(1).lognormal(size=20_000)
    for share in (0.5, 0.95, 0.99):
        found = quantile(buckets(spent), share)
        assert found == pytest.approx(np.quantile(spent, share, method="inverted_cdf"), rel=0.0101)
    assert quantile({}, 0.5) is None
    assert buckets(np.array([np.nan])) == {}


def test_spans_add_up_in_any_order() -> None:
    spans = [
        Span(at, at + 1, requests=at, rows=at, refused={"A": at}, spent={"all": {at % 3: 1}})
        for at in range(9)
    ]
    assert total(spans) == total(spans[::-1])
    assert total(spans).requests == 36
    assert total([]).requests == 0


def summary(**metrics: float) -> Summary:
    gate = Gate("calibration", "pass", 0.0, 0.1, "")
    return Summary("2026-01-01T00:00:00", "y", "", 10_000, metrics, (gate,))


def scored(rows: int, seed: int) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Draw probabilities, and a truth that they are right about."""
    random = np.random.default_rng(seed)
    chance = random.beta(1.2, 2, rows)
    return np.column_stack([1 - chance, chance]), (random.random(rows) < chance).astype(int)


def test_an_estimate_lies_near_what_labels_would_have_shown() -> None:
    held = 0
    for seed in range(20):
        probabilities, truth = scored(4000, seed)
        span = Span(0, 1, chances=chances_of(probabilities))
        found = estimated(span, summary(roc_auc=0.9))
        assert found is not None
        numbers = {number.name: number for number in found.numbers}
        area, accuracy = numbers["roc_auc"], numbers["accuracy"]
        assert area.estimated
        assert area.value == pytest.approx(roc_auc_score(truth, probabilities[:, 1]), abs=0.03)
        right = accuracy_score(truth, probabilities[:, 1] > 0.5)
        held += accuracy.low <= right <= accuracy.high
    assert held >= 17


def test_no_estimate_without_proof_that_probabilities_mean_what_they_say() -> None:
    span = Span(0, 1, chances=chances_of(scored(400, 0)[0]))
    assert estimated(span, None) is None
    assert (
        estimated(span, Summary("", "y", "", 100, {}, (Gate("calibration", "fail", 0.2, 0.1, ""),))) is None
    )
    assert (
        estimated(span, Summary("", "y", "", 100, {}, (Gate("calibration", "pass", 0.09, 0.1, ""),))) is None
    )
    assert estimated(Span(0, 1), summary()) is None


def test_metrics_are_those_of_scikit_learn_and_worse_only_beyond_noise() -> None:
    probabilities, truth = scored(3000, 1)
    answers = Answers(truth.tolist(), [None] * len(truth), probabilities)
    area = roc_auc_score(truth, probabilities[:, 1])
    found = measured(answers, None, summary(roc_auc=area), (0, 1), 0.001)
    assert found is not None
    assert found.primary is not None
    assert (found.primary.name, found.primary.value) == ("roc_auc", pytest.approx(area))
    assert not found.primary.worse
    worse = measured(answers, None, summary(roc_auc=area + 0.1), (0, 1), 0.001)
    assert worse is not None
    assert worse.primary is not None
    assert worse.primary.worse
    few = Answers(truth[:40].tolist(), [None] * 40, probabilities[:40])
    small = measured(few, None, summary(roc_auc=0.99), (0, 1), 0.001)
    assert small is not None
    assert small.primary is not None
    assert not small.primary.worse


def test_a_drop_that_is_noise_is_called_one_as_rarely_as_was_asked() -> None:
    false = 0
    before = summary(accuracy=0.0)
    for seed in range(300):
        probabilities, truth = scored(400, seed)
        _, later = scored(10_000, 10_000 + seed)
        chance, _ = scored(10_000, 10_000 + seed)
        held = Summary(
            "", "y", "", 10_000, {"accuracy": accuracy_score(later, chance[:, 1] > 0.5)}, before.gates
        )
        labels = (probabilities[:, 1] > 0.5).astype(int)
        found = measured(Answers(truth.tolist(), labels.tolist(), None), None, held, (0, 1), 0.05)
        assert found is not None
        false += next(number for number in found.numbers if number.name == "accuracy").worse
    assert 3 <= false <= 30  # 15 of 300; beyond it with a chance below 1 in 1,000


@pytest.mark.parametrize(
    ("truth", "labels"),
    [([0, 1, 1, 0] * 20, [0, 1, 0, 0] * 20), (["a", "b", "b", "a"] * 20, ["a", "b", "a", "a"] * 20)],
)
def test_labels_of_any_type_are_compared(truth: list[Any], labels: list[Any]) -> None:
    found = measured(Answers(truth, labels, None), None, None, (0, 1), 0.01)
    assert found is not None
    assert {number.name: number.value for number in found.numbers}["accuracy"] == pytest.approx(0.75)


def test_a_label_is_written_as_it_is_compared() -> None:
    assert {performance.written(value) for value in (1, 1.0, "1", np.int64(1), np.float64(1))} == {"1"}
    assert [performance.written(value) for value in np.array([True, False])] == ["True", "False"]


def test_numbers_are_measured_as_numbers() -> None:
    random = np.random.default_rng(0)
    truth = random.normal(size=200)
    found = measured(Answers(truth.tolist(), (truth + 0.5).tolist(), None), None, None, (0, 1), 0.01)
    assert found is not None
    assert found.primary is not None
    assert (found.primary.name, found.primary.value) == ("rmse", pytest.approx(0.5))


def test_where_most_of_a_shift_sits() -> None:
    random = np.random.default_rng(0)
    fitted = pl.DataFrame(
        {"n": random.normal(size=5000), "t": random.choice(["a", "b"], 5000), "g": random.normal(size=5000)}
    )
    reference = reference_of(fitted, Same())
    assert reference is not None
    now = fitted.with_columns(
        n=pl.when(pl.int_range(5000) % 3 == 0).then(pl.lit(2.2)).otherwise("n"),
        t=pl.when(pl.int_range(5000) % 2 == 0).then(pl.lit("c")).otherwise("t"),
        g=pl.when(pl.int_range(5000) % 4 == 0).then(None).otherwise("g"),
    )
    window = counted(reference, now)
    found = {name: most(reference.by_name[name], window.by_name[name]) for name in "ntg"}
    assert found["t"] is not None
    assert (found["t"].level, found["t"].share) == ("c", pytest.approx(0.5))
    assert found["g"] is not None
    assert found["g"].missing
    assert found["n"] is not None
    assert found["n"].low is not None
    assert 1.8 < found["n"].low <= 2.2
    assert found["n"].gain == pytest.approx(1 / 3, abs=0.03)
    assert most(reference.by_name["n"], counted(reference, fitted).by_name["n"]) is None


def test_rules_of_service_are_read(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.mlops_magics.slo]\np99 = "50ms"\nerrors = "1%"\nage = "90d"\n'
        '[tool.mlops_magics.slo.churn]\np99 = "2 s"\n'
    )
    table = Settings.discover(tmp_path, {}).slo
    assert (slo_of(table, "x").p99, slo_of(table, "churn").p99) == (50, 2000)
    assert (slo_of(table, "churn").errors, slo_of(table, "churn").age) == (0.01, 90 * 86_400)
    assert slo_of({}, "x").p99 is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"p98": "1ms"}, "no rule 'p98'"),
        ({"p99": "soon"}, "p99 in"),
        ({"errors": 3}, "errors in"),
        ({"age": "old"}, "age cannot be 'old'"),
        ({"x": {"p99": True}}, "p99 in"),
    ],
)
def test_a_rule_that_is_not_understood_is_said(table: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        slo_of(table, "x")


def test_a_drawing_has_a_time_axis_words_and_nothing_unescaped() -> None:
    line = Line("<b>age</b>", [0.0, 3600.0, 7200.0], [0.1, None, 0.4], marked=frozenset({2}), length=3600.0)
    figure = drawn(line)
    assert figure is not None
    assert "<b>" not in figure.svg
    assert 'aria-label="' in figure.svg
    assert "01 Jan" in figure.svg or "00:00" in figure.svg
    assert "1 windows alarmed" in figure.words
    assert drawn(Line("x", [0.0], [1.0])) is None
