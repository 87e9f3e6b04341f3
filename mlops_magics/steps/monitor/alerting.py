"""From what was seen to what somebody should look at, each alert with what explains it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from mlops_magics.checks.intervals import wilson
from mlops_magics.drift.judging import ColumnDrift
from mlops_magics.foundation.blocks import shown
from mlops_magics.steps.monitor.examples import found_in
from mlops_magics.steps.monitor.observed import latency_of
from mlops_magics.steps.monitor.performance import Performance
from mlops_magics.steps.monitor.segments import Segment, most
from mlops_magics.steps.monitor.slo import Slo
from mlops_magics.steps.monitor.spans import WHOLE, Span, moment, total
from mlops_magics.steps.monitor.units import Judged
from mlops_magics.steps.monitor.watched import Watched
from mlops_magics.tracking.alerts import Alert

_UPSTREAM: Final = frozenset({"pipeline fault", "unit change"})  # a new model would only learn the fault
_FEW: Final = 20  # requests: of fewer a slow or a failed one says nothing
_FEWEST: Final = 5  # refusals
_BEARABLE: Final = 0.001  # refusals a request that are never too many
_DAY: Final = 86_400.0


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything that alerts are made of.

    Attributes:
        watched: Who is watched.
        spans: All windows, oldest first.
        judged: Those that were judged for drift, and what they say.
        measured: The measured metrics of each window, oldest first.
        recent: The metrics of all rows whose truth is known; None where there are none.
        slo: The rules of service.
        alpha: The chance that one look may be wrong with.
        seconds: How long a window is.
        now: This moment, in seconds since 1970.
        joined: How many labels belong to an answer; None where none were given.
    """

    watched: Watched
    spans: tuple[Span, ...]
    judged: Judged
    measured: tuple[Performance, ...]
    recent: Performance | None
    slo: Slo
    alpha: float
    seconds: float
    now: float
    joined: int | None = None

    @property
    def newest(self) -> Span:
        """The newest window with enough requests to say how they were served; several together of few."""
        over = [span for span in self.spans if span.ended <= self.now] or list(self.spans)
        held: list[Span] = []
        for span in reversed(over):
            held.append(span)
            if sum(one.requests for one in held) >= _FEW:
                break
        return total(held[::-1])


def alerts_of(seen: Seen) -> tuple[Alert, ...]:
    """Make the alerts of a look, the ones that matter most first.

    Args:
        seen: What was seen.
    """
    place, version = seen.watched.place, seen.watched.version.version
    every = (
        *_drifts(seen),
        *_performance(seen),
        *_service(seen),
        *_canary(seen),
        *_breaches(seen),
        *_age(seen),
        *_labels(seen),
    )
    return tuple(one.at(place, version) for one in every)


def _drifts(seen: Seen) -> Iterator[Alert]:
    drift, unit = seen.judged.drift, seen.judged.newest
    if drift is None or unit is None:
        return
    answers = {each.name for each in drift.answers}
    for each in drift.alarms:
        yield _drifted(seen, each, unit, "answers" if each.name in answers else "drift")


def _drifted(seen: Seen, each: ColumnDrift, unit: Span, kind: str) -> Alert:
    segment = _segment(seen, each, unit) if kind == "drift" else None
    examples: tuple[str, ...] = ()
    if segment is not None and seen.watched.journal is not None:
        examples = found_in(seen.watched.journal, each.name, segment, (unit.began, unit.ended))
    return Alert(
        kind,
        each.name,
        each.words,
        number=each.effect,
        since="" if each.since is None else moment(each.since.timestamp()),
        window=moment(unit.began),
        segment="" if segment is None else segment.words,
        cause=each.suspected,
        examples=examples,
        then=_then(seen, each.cause),
    )


def _segment(seen: Seen, each: ColumnDrift, unit: Span) -> Segment | None:
    reference = seen.watched.reference
    if reference is None or unit.window is None:
        return None
    known, now = reference.by_name.get(each.name), unit.window.by_name.get(each.name)
    return most(known, now) if known is not None and now is not None else None


def _then(seen: Seen, cause: str) -> str:
    if cause in _UPSTREAM:
        if seen.watched.journal is None:
            return "Correct it where the rows come from: a new model would only learn the fault."
        return f"%mlops_deploy {seen.watched.place} --traffic {_length(seen.seconds)}"
    return f"%mlops_retrain {seen.watched.version.model}"


def _performance(seen: Seen) -> Iterator[Alert]:
    """Alert of the metric that the model is judged by, where it is surely worse than at its evaluation."""
    recent = seen.recent
    number = None if recent is None else recent.primary
    if recent is None or number is None or not number.worse or number.before is None:
        return
    bad = [one for one in seen.measured if one.primary is not None and one.primary.worse]
    first = bad[0].began if bad else recent.began
    range_ = "" if number.low is None else f" ({shown(number.low)} to {shown(number.high)})"
    yield Alert(
        "performance",
        number.name,
        f"{number.name} is {shown(number.value)}{range_} on {recent.rows:,} labelled rows; the evaluation "
        f"found {shown(number.before)}, and chance alone does not make that difference.",
        number=number.value,
        threshold=number.before,
        since=moment(first),
        window=moment(recent.began),
        then=f"%mlops_retrain {seen.watched.version.model}",
    )


def _service(seen: Seen) -> Iterator[Alert]:
    newest, slo, place = seen.newest, seen.slo, seen.watched.place
    spent = latency_of(newest).get(WHOLE)
    if slo.p99 is not None and spent is not None and newest.requests >= _FEW and spent[2] > slo.p99:
        slowest = max(
            (name for name in latency_of(newest) if name != WHOLE), key=lambda n: latency_of(newest)[n][2]
        )
        yield Alert(
            "latency",
            "p99",
            f"99 of 100 requests took up to {shown(spent[2])} ms; the project asks for {shown(slo.p99)} ms.",
            number=spent[2],
            threshold=slo.p99,
            since=moment(_since(seen, lambda span: _slow(span, slo.p99 or 0.0))),
            window=moment(newest.began),
            segment=f"most of it in {slowest}",
            then=f"%mlops_deploy {place} --traffic {_length(seen.seconds)}",
        )
    if slo.errors is not None and newest.requests:
        share = newest.failed / newest.requests
        if wilson(newest.failed, newest.requests).low > slo.errors:
            yield Alert(
                "errors",
                "failed requests",
                f"{newest.failed:,} of {newest.requests:,} requests failed, {shown(share * 100)} %; "
                f"the project bears {shown(slo.errors * 100)} %.",
                number=share,
                threshold=slo.errors,
                since=moment(_since(seen, lambda span: span.failed > (slo.errors or 0.0) * span.requests)),
                window=moment(newest.began),
                segment=_codes(newest),
                then=f"%mlops_promote {seen.watched.version.model} --rollback",
            )


def _canary(seen: Seen) -> Iterator[Alert]:
    """Alert of a canary that surely fails more often than the project bears."""
    newest, bound, live = seen.newest, seen.slo.errors, seen.watched.version
    for version, failed in newest.saved.items():
        asked = newest.asked.get(version, 0) + failed
        if bound is None or version == live.version or wilson(failed, asked).low <= bound:
            continue
        yield Alert(
            "errors",
            f"canary {version}",
            f"The canary, version {version}, could not answer {failed:,} of {asked:,} requests; "
            f"the project bears {shown(bound * 100)} %. The live version answered them.",
            number=failed / asked,
            threshold=bound,
            since=moment(_since(seen, lambda span, name=version: bool(span.saved.get(name)))),  # type: ignore[misc]
            window=moment(newest.began),
            then=f"%mlops_deploy {live.model}/{live.version} --name {seen.watched.place}",
        )


def _breaches(seen: Seen) -> Iterator[Alert]:
    """Alert where surely more requests are refused for what they bring than before."""
    newest = seen.newest
    earlier = total([span for span in seen.spans if span.ended <= newest.began])
    now, before = newest.errors - newest.failed, earlier.errors - earlier.failed
    bearable = max(_BEARABLE, wilson(before, earlier.requests).high if earlier.requests else _BEARABLE)
    if now < _FEWEST or _chance(now, newest.requests, bearable) >= seen.alpha:
        return
    column = max(newest.breached, key=lambda name: newest.breached[name], default="")
    share = now / newest.requests
    about = f", most of them for the column {column}" if column else ""
    yield Alert(
        "contract",
        column or "requests",
        f"{now:,} of {newest.requests:,} requests were refused{about}; before it were {before:,} of "
        f"{earlier.requests:,}.",
        number=share,
        threshold=bearable,
        since=moment(_since(seen, lambda span: span.errors - span.failed > bearable * max(span.requests, 1))),
        window=moment(newest.began),
        segment=_codes(newest),
        cause="pipeline fault: whoever asks sends other columns or types than the model's contract has",
        then=f"%mlops_deploy {seen.watched.place} --traffic {_length(seen.seconds)}",
    )


def _age(seen: Seen) -> Iterator[Alert]:
    age, bound = seen.now - seen.watched.trained, seen.slo.age
    if bound is None or age <= bound:
        return
    yield Alert(
        "age",
        "age",
        f"The version is {_days(age)} days old; the project asks for {_days(bound)} at most.",
        number=age,
        threshold=bound,
        since=moment(seen.watched.trained + bound),
        then=f"%mlops_retrain {seen.watched.version.model}",
    )


def _labels(seen: Seen) -> Iterator[Alert]:
    if seen.joined != 0:
        return
    yield Alert(
        "labels",
        "labels",
        "None of the labels belongs to an answer of this version in this time.",
        number=0.0,
        cause="pipeline fault: the ids of the labels are not those of the requests, or --since is too short",
        then=f"%mlops_deploy {seen.watched.place} --traffic {_length(seen.seconds)}",
    )


def _since(seen: Seen, bad: Callable[[Span], bool]) -> float:
    """Find when the run of bad windows began that lasts to the newest one."""
    first = seen.newest.began
    for span in reversed(seen.spans):
        if not span.requests or span.ended > seen.now:
            continue
        if not bad(span):
            break
        first = min(first, span.began)
    return first


def _slow(span: Span, bound: float) -> bool:
    spent = latency_of(span).get(WHOLE)
    return spent is not None and spent[2] > bound


def _codes(span: Span) -> str:
    code = max(span.refused, key=lambda name: span.refused[name], default="")
    return f"{code}: {span.refused[code]:,}" if code else ""


def _chance(count: int, trials: int, share: float) -> float:
    """Say how likely so many or more are, if each is one with that chance."""
    from scipy.special import bdtrc

    return float(bdtrc(count - 1, trials, share)) if count > 0 else 1.0


def _days(seconds: float) -> str:
    return shown(round(seconds / _DAY, 1))


def _length(seconds: float) -> str:
    for size, word in ((_DAY, "d"), (3_600.0, "h"), (60.0, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g}{word}"
    return f"{seconds:g}s"
