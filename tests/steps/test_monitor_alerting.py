"""Which alerts come of what was seen, and which do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from monitorings import BEGAN, DAY, drifting

from mlops_magics.steps.monitor.alerting import Seen, alerts_of
from mlops_magics.steps.monitor.performance import Number, Performance
from mlops_magics.steps.monitor.slo import Slo
from mlops_magics.steps.monitor.spans import WHOLE, Span, buckets
from mlops_magics.steps.monitor.units import Judged, united
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking.records import ModelVersion

HOUR = 3600.0


def hours(*spans: dict[str, Any]) -> tuple[Span, ...]:
    """Make hours of traffic, one after the other."""
    return tuple(
        Span(BEGAN + at * HOUR, BEGAN + (at + 1) * HOUR, **{"requests": 1000, **more})
        for at, more in enumerate(spans)
    )


def seen_of(spans: tuple[Span, ...], **more: Any) -> Seen:
    version = ModelVersion("churn", "3", made="2025-12-01T00:00:00+00:00")
    seen = Seen(
        Watched("churn", version, None, None, None),
        spans,
        Judged((), {}),
        (),
        None,
        Slo(),
        0.001,
        HOUR,
        BEGAN + len(spans) * HOUR,
    )
    return replace(seen, **more)


def spent(milliseconds: float) -> dict[str, dict[int, int]]:
    held = buckets(np.full(1000, milliseconds))
    return {"queue": buckets(np.full(1000, 0.1)), "predict": held, WHOLE: held}


def test_slow_since_the_first_hour_of_the_run_and_in_which_stage() -> None:
    fast, slow = {"spent": spent(5)}, {"spent": spent(80)}
    spans = hours(slow, fast, fast, slow, slow)
    (alert,) = alerts_of(seen_of(spans, slo=Slo(p99=50)))
    assert (alert.kind, alert.threshold) == ("latency", 50)
    assert alert.since == "2026-01-01T03:00:00+00:00"
    assert alert.segment == "most of it in predict"
    assert alerts_of(seen_of(hours(slow, fast), slo=Slo(p99=50))) == ()
    assert alerts_of(seen_of(spans)) == ()


def test_failures_are_an_alert_only_when_surely_too_many() -> None:
    rule = {"slo": Slo(errors=0.01)}
    few = hours({"failed": 12, "refused": {"INTERNAL": 12}})
    assert alerts_of(seen_of(few, **rule)) == ()
    many = hours({}, {"failed": 30, "refused": {"INTERNAL": 30}})
    (alert,) = alerts_of(seen_of(many, **rule))
    assert (alert.kind, alert.number, alert.since) == ("errors", 0.03, "2026-01-01T01:00:00+00:00")
    assert alert.then == "%mlops_promote churn --rollback"


def test_a_canary_that_fails_is_named_with_the_line_that_ends_it() -> None:
    spans = hours({"asked": {"3": 900, "4": 80}, "saved": {"4": 20}})
    (alert,) = alerts_of(seen_of(spans, slo=Slo(errors=0.01)))
    assert (alert.kind, alert.subject, alert.number) == ("errors", "canary 4", 0.2)
    assert alert.then == "%mlops_deploy churn/3 --name churn"
    rare = hours({"asked": {"3": 900, "4": 99}, "saved": {"4": 1}})
    assert alerts_of(seen_of(rare, slo=Slo(errors=0.01))) == ()


def test_refusals_are_held_against_those_of_before() -> None:
    usual = {"refused": {"INVALID_CELL": 20}, "breached": {"age": 20}}
    worse = {"refused": {"INVALID_CELL": 90}, "breached": {"age": 85, "town": 5}}
    assert alerts_of(seen_of(hours(usual, usual, usual))) == ()
    (alert,) = alerts_of(seen_of(hours(usual, usual, worse)))
    assert (alert.kind, alert.subject, alert.segment) == ("contract", "age", "INVALID_CELL: 90")
    assert alerts_of(seen_of(hours({}, {"refused": {"INVALID_CELL": 4}}))) == ()


def test_an_old_model_and_labels_that_belong_to_nothing() -> None:
    (alert,) = alerts_of(seen_of(hours({}), slo=Slo(age=30 * DAY)))
    assert (alert.kind, alert.since) == ("age", "2025-12-31T00:00:00+00:00")
    assert [one.kind for one in alerts_of(seen_of(hours({}), joined=0))] == ["labels"]
    assert alerts_of(seen_of(hours({}), joined=5)) == ()


def test_a_metric_that_is_worse_is_an_alert_since_the_first_bad_window() -> None:
    good = Performance(BEGAN, BEGAN + HOUR, 500, (Number("roc_auc", 0.8, 0.78, 0.82, 0.8),))
    bad = Performance(
        BEGAN + HOUR, BEGAN + 2 * HOUR, 500, (Number("roc_auc", 0.6, 0.57, 0.63, 0.8, worse=True),)
    )
    (alert,) = alerts_of(seen_of(hours({}, {}), measured=(good, bad), recent=bad))
    assert (alert.kind, alert.subject, alert.number, alert.threshold) == ("performance", "roc_auc", 0.6, 0.8)
    assert alert.since == "2026-01-01T01:00:00+00:00"
    assert alerts_of(seen_of(hours({}), measured=(good,), recent=good)) == ()
    guess = replace(bad, numbers=(replace(bad.numbers[0], worse=False, estimated=True),))
    assert alerts_of(seen_of(hours({}), recent=guess)) == ()


def test_windows_are_put_together_until_there_are_enough_rows() -> None:
    spans = drifting().spans
    now = spans[-1].ended
    assert united(spans, 200, now) == spans
    two = united(spans, 1500, now)
    assert [(unit.began, unit.rows) for unit in two] == [(BEGAN + 2 * at * DAY, 1600) for at in range(3)]
    open_ = united(spans, 200, now - 1)
    assert open_ == spans[:-1]  # the last one is still open
    assert united(spans[-1:], 200, now - 1) == spans[-1:]  # unless there is no other
    assert united(spans, 10**6, now) == ()


def test_no_alert_before_the_fault_and_one_after_it() -> None:
    assert drifting(fault=99).holds
    seen = drifting(fault=4)
    (alert,) = [one for one in seen.alerts if one.subject == "town"]
    assert alert.since == "2026-01-05T00:00:00+00:00"
    assert alert.then == "%mlops_retrain churn"
    assert seen.facts()["drift"] is True
    assert "Cairo" in str(seen)
    assert seen.to_html().count("<svg") >= 3
    assert "<b>x</b>" not in seen.to_html()
