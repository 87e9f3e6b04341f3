"""What a monitoring shows: alerts first, then traffic, drift and how good the answers are, over time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from mlops_magics.drift.judging import ColumnDrift
from mlops_magics.foundation.blocks import Block, Cell, Code, Facts, Name, Note, Phrase, Table, Title, shown
from mlops_magics.foundation.files import from_home
from mlops_magics.steps.monitor.drawing import Line, drawn
from mlops_magics.steps.monitor.observed import Observed, latency_of
from mlops_magics.steps.monitor.performance import Number, Performance
from mlops_magics.steps.monitor.spans import STAGES, WHOLE, Span
from mlops_magics.tracking.alerts import Alert

_COLUMNS: Final = 12
_ALERTS: Final = 12
_DRAWN: Final = 3  # columns that are drawn over time
_DAY: Final = 86_400


def blocks(seen: Observed) -> Iterator[Block]:
    """Say what is shown.

    Args:
        seen: The monitoring.
    """
    count = len(seen.alerts)
    badge, tone = ("quiet", "good") if not count else (f"{count} alert{'s' * (count > 1)}", "bad")
    yield Title(Phrase(("Monitor ", Name(seen.place))), badge, tone)  # type: ignore[arg-type]
    yield Facts(list(_facts(seen)))
    yield from _alerts(seen)
    yield from _drift(seen)
    yield from _performance(seen)
    yield from _traffic(seen)
    for note in seen.notes:
        yield Note(note, "quiet")
    for one in seen.sent:
        if one.trouble:
            yield Note(f"{one.where} did not take the alerts after {one.tries} tries: {one.trouble}.", "bad")


def explained(alert: Alert) -> Iterator[Block]:
    """Say all that is known of an alert.

    Args:
        alert: The alert.
    """
    yield Note(Phrase((f"{alert.kind}: ", Name(alert.subject))), "bad")
    told: list[tuple[str | Name, Cell]] = [("what", alert.words)]
    if alert.since:
        told.append(("since", _moment(alert.since)))
    if alert.segment:
        told.append(("where", alert.segment))
    if alert.cause:
        told.append(("suspected", alert.cause))
    if alert.examples:
        told.append(("requests", ", ".join(alert.examples)))
    yield Facts(told)
    if alert.then:
        yield Code(alert.then)


def _facts(seen: Observed) -> Iterator[tuple[str | Name, Cell]]:
    yield "model", Phrase((Name(seen.model), f", version {seen.version}, {_age(seen.age)} old"))
    if seen.began:
        windows = f"{seen.windows:,} window{'s' * (seen.windows > 1)} of {_length(seen.seconds)}"
        yield "looked at", f"{_moment(seen.began)} to {_moment(seen.ended)}, {windows}"
    if seen.journal is not None:
        yield (
            "requests",
            f"{seen.requests:,}, {sum(seen.errors.values()):,} refused, {seen.failed:,} of them failed",
        )
        yield "rows", f"{seen.rows:,} predicted"
        yield "journal", from_home(seen.journal)
    else:
        yield "rows", f"{seen.rows:,}"
    if seen.alarm:
        yield "false alarms", seen.alarm


def _alerts(seen: Observed) -> Iterator[Block]:
    for alert in seen.alerts[:_ALERTS]:
        yield from explained(alert)
    if len(seen.alerts) > _ALERTS:
        yield Note(f"And {len(seen.alerts) - _ALERTS} more: .alerts has them all.", "bad")
    if seen.over:
        told = ", ".join(f"{one.kind} of {one.subject}" for one in seen.over[:_ALERTS])
        yield Note(f"Over: {told}.", "good")


def _drift(seen: Observed) -> Iterator[Block]:
    drift = seen.drift
    if drift is None:
        return
    every = seen.moved
    if every:
        rows = [_row(each) for each in every[:_COLUMNS]]
        tones = ["bad" if each.alarmed else "plain" for each in every[:_COLUMNS]]
        yield Table(("column", "drift", "effect", "adjusted p", "importance", "seen"), rows, tones)  # type: ignore[arg-type]
    if len(every) > _COLUMNS:
        yield Note(f"And {len(every) - _COLUMNS} more columns: .drift has them all.", "quiet")
    for note in drift.notes:
        yield Note(note, "quiet")
    for each in every[:_DRAWN]:
        figure = drawn(_effects(seen, each.name))
        if figure is not None:
            yield figure


def _row(each: ColumnDrift) -> tuple[Cell, ...]:
    level = f"{each.level}, {each.windows} windows" if each.windows > 1 else each.level
    return Name(each.name), level, each.effect, each.adjusted, each.importance, each.words


def _effects(seen: Observed, name: str) -> Line:
    """Take how far a column has drifted in each window that was judged."""
    times, values, marked = [], list[float | None](), set[int]()
    for place, (began, drift) in enumerate(sorted(seen.drifts.items())):
        found = next((each for each in drift.every if each.name == name), None)
        times.append(began)
        values.append(None if found is None else found.effect)
        if found is not None and found.alarmed:
            marked.add(place)
    title = f"Drift of {name if len(name) < 60 else name[:59] + '…'}"  # noqa: PLR2004 - what fits above it
    return Line(title, times, values, marked=frozenset(marked), length=seen.seconds)


def _performance(seen: Observed) -> Iterator[Block]:
    labelled = seen.labelled
    if labelled.given:
        told = f"{labelled.joined:,} of {labelled.given:,} labels belong to answers"
        waiting = f"; {labelled.waiting:,} answers of that time have none yet" if labelled.waiting else ""
        yield Note(f"{told}{waiting}.", "quiet")
    if seen.performance is None:
        return
    kind = "estimated from the probabilities" if seen.performance.numbers[0].estimated else "measured"
    yield Table(
        ("metric", kind, "from", "to", "at the evaluation"),
        [(one.name, one.value, one.low, one.high, one.before) for one in seen.performance.numbers],
        ["bad" if one.worse else "plain" for one in seen.performance.numbers],
    )
    for line in _courses(seen):
        figure = drawn(line)
        if figure is not None:
            yield figure


def _courses(seen: Observed) -> Iterator[Line]:
    for told, found in (("measured", seen.measured), ("estimated", seen.guessed)):
        primary = next((one.primary for one in reversed(found) if one.primary is not None), None)
        if primary is None:
            continue
        held = [(one, number) for one in found if (number := _of(one, primary.name)) is not None]
        yield Line(
            f"{primary.name}, {told}",
            [one.began for one, _ in held],
            [number.value for _, number in held],
            [number.low for _, number in held],
            [number.high for _, number in held],
            bound=primary.before,
            marked=frozenset(at for at, (_, number) in enumerate(held) if number.worse),
            length=seen.seconds,
        )


def _of(performance: Performance, name: str) -> Number | None:
    return next((number for number in performance.numbers if number.name == name), None)


def _traffic(seen: Observed) -> Iterator[Block]:
    if seen.latency:
        stages = [name for name in (*STAGES, WHOLE) if name in seen.latency]
        yield Table(("stage", "p50 ms", "p95 ms", "p99 ms"), [(name, *seen.latency[name]) for name in stages])
    if len(seen.versions) > 1:
        yield Table(("version", "rows"), sorted(seen.versions.items()))
    if seen.errors:
        yield Table(
            ("refused", "requests"), sorted(seen.errors.items(), key=lambda pair: -pair[1])[:_COLUMNS]
        )
    if seen.breached:
        yield Table(("column of a refusal", "requests"), [(Name(n), c) for n, c in _most(seen.breached)])
    for line in _times(seen):
        figure = drawn(line)
        if figure is not None:
            yield figure


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: -pair[1])[:_COLUMNS]


def _times(seen: Observed) -> Iterator[Line]:
    spans = seen.spans
    if seen.journal is None:
        yield _line(seen, "Rows", spans, [float(span.rows) for span in spans])
        return
    yield _line(seen, "Requests", spans, [float(span.requests) for span in spans])
    spent = [latency_of(span).get(WHOLE) for span in spans]
    yield _line(seen, "p99 in milliseconds", spans, [None if each is None else each[2] for each in spent])
    if seen.errors:
        shares = [span.errors / span.requests if span.requests else None for span in spans]
        yield _line(seen, "Share of refused requests", spans, shares)


def _line(seen: Observed, title: str, spans: Sequence[Span], values: Sequence[float | None]) -> Line:
    return Line(title, [span.began for span in spans], values, length=seen.seconds)


def _age(seconds: float) -> str:
    return (
        f"{shown(round(seconds / _DAY, 1))} days"
        if seconds >= _DAY
        else f"{shown(round(seconds / 3600, 1))} hours"
    )


def _moment(text: str) -> str:
    return text[:16].replace("T", " ")


def _length(seconds: float) -> str:
    for size, word in ((_DAY, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:g} {word}"
    return f"{seconds:g} s"
