"""One look at an endpoint or at a table: windows, thresholds, drift, performance, alerts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from mlops_magics.drift.together import NOT_APPLICABLE, Rows
from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.windows import Window
from mlops_magics.steps.monitor import glance, journal, labels, performance, table, together
from mlops_magics.steps.monitor.alarming import MINIMUM, ONE, alarm_of, quick, told, tried
from mlops_magics.steps.monitor.alerting import Seen, alerts_of
from mlops_magics.steps.monitor.observed import Labelled, latency_of
from mlops_magics.steps.monitor.performance import Performance
from mlops_magics.steps.monitor.result import Monitoring
from mlops_magics.steps.monitor.slo import Slo, slo_of
from mlops_magics.steps.monitor.spans import Span, moment, total
from mlops_magics.steps.monitor.units import Judged, judged, united
from mlops_magics.steps.monitor.watched import Watched, keeps_rows
from mlops_magics.tracking.store import Store

_NO_REFERENCE: Final = (
    "Nothing was kept of the rows that this version was fitted on, so drift cannot be told. Fit it again in "
    "a tracked cell and register that."
)
_SLACK: Final = 1.0  # seconds: a clock of another process


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for.

    Attributes:
        seconds: How long a window is.
        since: How far back an endpoint's journal is read, in seconds.
        budget: How many false alarms somebody bears.
        usual: How much of the time looked at, from its beginning, counts as usual, in seconds; 0 for none.
        data: The rows of a table; None for an endpoint.
        time: The column of the table that tells when each row was.
        labels: Labels that came late; None without any.
        target: The column that holds the truth.
        consents: What loading the model may do.
    """

    seconds: float
    since: float
    budget: str
    usual: float = 0.0
    data: object = None
    time: str | None = None
    labels: object = None
    target: str | None = None
    consents: tuple[bool, bool] = (False, False)


@dataclass(frozen=True, slots=True, eq=False)
class _Gathered:
    """What was counted and measured, before anything is judged."""

    spans: tuple[Span, ...]
    measured: tuple[Performance, ...] = ()
    recent: Performance | None = None
    labelled: Labelled = field(default_factory=Labelled)
    notes: tuple[str, ...] = ()
    now: float = 0.0


def look(store: Store, watched: Watched, asked: Asked, *, brief: bool = False) -> Monitoring:
    """Look once.

    Args:
        store: The open store.
        watched: Who is watched.
        asked: What is asked for.
        brief: Whether only the newest window is judged, with the thresholds of chance alone.

    Raises:
        UsageError: What is asked for cannot be read, or does not fit together.
        NotFoundError: A column is not there.
    """
    timed = asked.data is None or asked.time is not None
    budget = asked.budget if timed or "/" not in asked.budget or asked.budget.split("/")[1].isdigit() else ONE
    gathered = (
        _table(store, watched, asked)
        if asked.data is not None
        else _glance(watched, asked)
        if brief
        else _journal(watched, asked)
    )
    units = united(gathered.spans, MINIMUM, gathered.now)
    usual, rest = _parted(units, asked.usual)
    seconds = asked.seconds if timed else None
    alarm = (
        quick(budget, seconds)
        if brief
        else alarm_of(
            store.settings,
            watched.reference,
            budget,
            rest or units,
            seconds=seconds,
            usual=usual,
            together=watched.rows is not None,
        )
    )
    rows = None if brief else _rows(watched, asked, units)
    found = judged(watched.reference, units, alarm, newest=brief, rows=rows)
    slo = slo_of(store.settings.slo, watched.place) if asked.data is None else Slo()
    seen = _seen(watched, asked, gathered, _after(found, len(usual)), min(0.01, alarm.rate))
    seen = replace(seen, slo=slo)
    words = told(alarm, tried(alarm, watched.reference, usual)) if watched.reference is not None else ""
    return _monitoring(seen, gathered, found, words)


def _rows(watched: Watched, asked: Asked, units: Sequence[Span]) -> Rows | None:
    """Take rows of the newest window, where rows were kept that they can be compared with."""
    newest = next((unit for unit in reversed(units) if unit.window is not None), None)
    if newest is None or watched.rows is None:
        return None
    if asked.data is None:
        return together.of_journal(watched, newest)
    return together.of_table(watched, Frame.of(asked.data, "--data"), asked.time, newest)


def _journal(watched: Watched, asked: Asked) -> _Gathered:
    assert watched.journal is not None  # noqa: S101 - an endpoint without one was refused
    now = time.time() + _SLACK
    if asked.since / asked.seconds > table.WINDOWS:
        raise UsageError(
            f"{asked.since / asked.seconds:,.0f} windows are more than can be looked at.",
            "Write a longer --window, or a shorter --since.",
        )
    source = journal.Source(watched.journal, watched.version.version, watched.reference, watched.digest)
    spans = journal.read(source, seconds=asked.seconds, since=now - asked.since, now=now)
    spans = _begun(spans)
    if asked.labels is None:
        return _Gathered(spans, now=now)
    alpha = _alpha(asked)
    held = labels.joined(
        watched.journal, asked.labels, asked.target, watched.version.version, now - asked.since
    )
    times = (spans[0].began, spans[-1].ended)
    recent = None
    measured: tuple[Performance, ...] = ()
    if held.joined.height:
        recent = performance.measured(
            labels.answers_of(held.joined), watched.reference, watched.before, times, alpha
        )
        measured = labels.by_window(held, asked.seconds, watched.reference, watched.before, alpha)
    counted = Labelled(held.given, held.joined.height, held.unknown, held.waiting)
    return _Gathered(spans, measured, recent, counted, now=now)


def _glance(watched: Watched, asked: Asked) -> _Gathered:
    assert watched.journal is not None  # noqa: S101 - as above
    now = time.time() + _SLACK
    source = journal.Source(watched.journal, watched.version.version, watched.reference, watched.digest)
    since = now - asked.since
    return _Gathered(
        glance.read(source, seconds=asked.seconds, since=since, now=now, minimum=MINIMUM), now=now
    )


def _table(store: Store, watched: Watched, asked: Asked) -> _Gathered:
    frame = Frame.of(asked.data, "--data")
    if not frame.rows:
        raise UsageError("The table has no rows.", "Give rows that the model could have been asked.")
    pickle, code = asked.consents
    model, why = table.asked(store, watched, frame, asked.target, allow_pickle=pickle, allow_code=code)
    rows = table.read(
        watched,
        frame,
        model,
        time=asked.time,
        seconds=asked.seconds,
        target=asked.target,
        alpha=_alpha(asked),
    )
    recent = rows.measured[-1] if rows.measured else None
    counted = Labelled(rows.labelled, rows.labelled) if asked.target is not None else Labelled()
    return _Gathered(rows.spans, rows.measured, recent, counted, (why,) if why else (), rows.spans[-1].ended)


def _alpha(asked: Asked) -> float:
    """Say with which chance one look at a metric may be wrong: not oftener than an alarm of drift."""
    timed = asked.data is None or asked.time is not None
    return min(0.01, quick(asked.budget if timed else ONE, asked.seconds if timed else None).rate)


def _begun(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Leave out the windows before the first request: the endpoint may be younger than what is asked for."""
    first = next((at for at, span in enumerate(spans) if span.requests), max(0, len(spans) - 1))
    return tuple(spans[first:])


def _parted(units: Sequence[Span], usual: float) -> tuple[tuple[Window, ...], tuple[Span, ...]]:
    """Part the windows that count as usual from the rest."""
    if not usual or not units:
        return (), tuple(units)
    until = units[0].began + usual
    held = tuple(unit.window for unit in units if unit.ended <= until and unit.window is not None)
    if len(held) == len(units):
        raise UsageError(
            "All of the time that is looked at would count as usual.", "Write a shorter --usual."
        )
    return held, tuple(units[len(held) :])


def _after(found: Judged, usual: int) -> Judged:
    """Leave out what the usual windows say: by them nobody is alarmed."""
    return found if not usual else Judged(found.units[usual:], found.drifts)


def _seen(watched: Watched, asked: Asked, gathered: _Gathered, found: Judged, alpha: float) -> Seen:
    labelled = gathered.labelled
    return Seen(
        watched=watched,
        spans=gathered.spans,
        judged=found,
        measured=gathered.measured,
        recent=gathered.recent,
        slo=Slo(),
        alpha=alpha,
        seconds=asked.seconds,
        now=gathered.now,
        joined=labelled.joined if asked.data is None and labelled.given else None,
    )


def _monitoring(seen: Seen, gathered: _Gathered, found: Judged, alarm: str) -> Monitoring:
    watched, whole = seen.watched, total(seen.spans)
    guessed = tuple(
        one for span in seen.spans if (one := performance.estimated(span, watched.before)) is not None
    )
    recent = gathered.recent or performance.estimated(whole, watched.before)
    return Monitoring(
        place=watched.place,
        model=watched.version.model,
        version=watched.version.version,
        seconds=seen.seconds,
        began=moment(whole.began),
        ended=moment(whole.ended),
        windows=len(seen.spans),
        rows=whole.rows,
        requests=whole.requests,
        errors=whole.refused,
        failed=whole.failed,
        breached=whole.breached,
        versions=whole.versions,
        latency=latency_of(whole),
        age=max(0.0, time.time() - watched.trained),
        drift=found.drift,
        performance=recent,
        labelled=gathered.labelled,
        alerts=alerts_of(seen),
        alarm=alarm,
        notes=(*gathered.notes, *_notes(seen, found, recent)),
        journal=watched.journal,
        spans=seen.spans,
        drifts=found.drifts,
        units={unit.began: unit for unit in found.units if unit.began in found.drifts},
        measured=gathered.measured,
        guessed=guessed,
        reference=watched.reference,
    )


def _notes(seen: Seen, found: Judged, recent: Performance | None) -> tuple[str, ...]:
    notes = []
    if seen.watched.reference is None:
        notes.append(_NO_REFERENCE)
    elif found.drift is None:
        notes.append(f"Fewer than {MINIMUM} rows came: too few to say whether they drift.")
    elif not keeps_rows(seen.watched.version, seen.watched.reference):
        notes.append(NOT_APPLICABLE)
    if recent is not None and recent.numbers and recent.numbers[0].estimated:
        notes.append(
            "No labels were given: metrics are estimated from the model's own probabilities, and are wrong "
            "where these no longer mean what they say."
        )
    return tuple(notes)
