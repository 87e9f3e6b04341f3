"""An assessment as blocks: the verdict first, then the numbers, then the drawings.

Nothing here differs between two runs on the same data: times and sizes, which a machine decides, are
in ``Assessment.to_dict`` only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.base import Outcome, Verdict
from mlops_magics.checks.curves import figures
from mlops_magics.checks.discovery import Search
from mlops_magics.checks.maps import maps
from mlops_magics.checks.paired import Comparison
from mlops_magics.checks.points import Curve
from mlops_magics.checks.slicing import Slice, part_of
from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title, Tone, shown

_KINDS = {
    "binary": "binary classification",
    "multiclass": "classification",
    "regression": "regression",
    "ranking": "ranking",
}
_MARKS: dict[Outcome, str] = {"pass": "✓", "fail": "✗", "not applicable": "\N{EN DASH}"}
_TONES: dict[Outcome, Tone] = {"pass": "plain", "fail": "bad", "not applicable": "quiet"}
_MACHINE = frozenset({"ms", "MB"})  # units of what differs from machine to machine
_SLICES = 12
GATES: Final = "*"  # no gate has that name


def blocks(assessment: Assessment, title: str = "") -> list[Block]:
    """Say what is shown of an assessment.

    Args:
        assessment: The assessment.
        title: What was assessed; the kind of problem where nothing is said.

    Returns:
        The blocks, the same in every run on the same data.
    """
    return [block for _, block in parts(assessment, title)]


def parts(assessment: Assessment, title: str = "") -> list[tuple[str, Block]]:
    """Say what is shown of an assessment, and which gate each block is the evidence of.

    Args:
        assessment: The assessment.
        title: What was assessed; the kind of problem where nothing is said.

    Returns:
        The blocks, each with the name of its gate: ``GATES`` for the table of all of them, "" for none.
    """
    found: list[tuple[str, Block]] = [("", _title(assessment, title))]
    if any(metric.low is None and not _finite(metric.value) for metric in assessment.metrics):
        told = Note("Some predictions are missing or not finite, so no metric is given.", "bad")
        found.append(("quality", told))
    found += [(GATES, _gates(assessment.verdicts)), ("quality", _metrics(assessment))]
    if assessment.comparisons:
        compared = (_comparisons(assessment.comparisons), _margin(assessment))
        found += [("champion", block) for block in compared]
    sliced = _slices(assessment.slices) if assessment.slices else []
    if assessment.search is not None and assessment.search.portions:
        sliced += _portions(assessment.search)
    found += [("slices", block) for block in sliced]
    return found + [("", block) for block in (*figures(assessment), *maps(assessment))]


def alone(assessment: Assessment, gate: str) -> list[Block]:
    """Say what one gate saw, beyond what ``parts`` shows.

    Args:
        assessment: The assessment.
        gate: The gate's name.

    Returns:
        The blocks; none where that gate was not asked.
    """
    verdict = next((one for one in assessment.verdicts if one.name == gate), None)
    if verdict is None:
        return []
    seen: list[tuple[str, str]] = [("on", f"{assessment.rows:,} rows, {assessment.target} predicted")]
    if verdict.unit:  # a table of gates has numbers without one
        pairs = (("value", verdict.value), ("bound", verdict.threshold))
        seen[:0] = [(name, _measure(number, verdict.unit)) for name, number in pairs if number is not None]
    found: list[Block] = [Facts(seen)]
    traced = next((one for one in assessment.curves if one.name == gate), None)
    if gate == "calibration" and traced is not None:
        found.append(_bins(traced))
    return found


def _measure(value: float | None, unit: str) -> str:
    return "" if value is None else f"{_rounded(value)}\N{NO-BREAK SPACE}{unit}".rstrip()


def _bins(curve: Curve) -> Table:
    bins = zip(curve.x, curve.y, curve.low, curve.high, strict=True)
    rows = [(_rounded(said), _rounded(seen), _interval(low, high)) for said, seen, low, high in bins]
    return Table(("probability that was said", "share that came true", "95 % interval"), rows)


def _title(assessment: Assessment, title: str) -> Title:
    what = f"{_KINDS[assessment.kind]} of {assessment.target} on {assessment.rows:,} rows"
    asked = [verdict for verdict in assessment.verdicts if verdict.outcome != "not applicable"]
    badge, tone = f"all {len(asked)} gates pass", "good"
    if assessment.failed:
        badge, tone = f"fails {', '.join(assessment.failed)}", "bad"
    elif not asked:
        badge, tone = "no gate applies", "plain"
    return Title(f"{title}: {what}" if title else what[0].upper() + what[1:], badge, _tone(tone))


def _tone(tone: str) -> Tone:
    return "good" if tone == "good" else "bad" if tone == "bad" else "plain"


def _gates(verdicts: Sequence[Verdict]) -> Table:
    rows = [
        (
            _MARKS[verdict.outcome],
            verdict.name,
            _number(verdict),
            _bound(verdict),
            verdict.evidence,
        )
        for verdict in verdicts
    ]
    tones = [_TONES[verdict.outcome] for verdict in verdicts]
    return Table(("", "gate", "value", "bound", "evidence"), rows, tones)


def _number(verdict: Verdict) -> str:
    if verdict.value is None or verdict.unit in _MACHINE:
        return ""
    return _rounded(verdict.value)


def _bound(verdict: Verdict) -> str:
    return _measure(verdict.threshold, verdict.unit)


def _metrics(assessment: Assessment) -> Table:
    rows = [
        (
            metric.name,
            metric.value if _finite(metric.value) else None,
            _interval(metric.low, metric.high),
            "higher" if metric.higher_is_better else "lower",
        )
        for metric in assessment.metrics
    ]
    return Table(("metric", "value", "95 % interval", "better is"), rows)


def _comparisons(comparisons: Sequence[Comparison]) -> Table:
    rows = [
        (
            one.metric,
            one.candidate,
            one.champion,
            _rounded(one.difference),
            _interval(one.low, one.high),
            "inside the noise" if one.better is None else "better" if one.better else "worse",
            one.non_inferior,
        )
        for one in comparisons
    ]
    tones: list[Tone] = [
        "quiet" if one.better is None else "plain" if one.better else "bad" for one in comparisons
    ]
    headings = (
        "metric",
        "candidate",
        "champion",
        "difference",
        "95 % interval",
        "reading",
        "surely not worse",
    )
    return Table(headings, rows, tones)


def _margin(assessment: Assessment) -> Note:
    allowed = shown(assessment.margin)
    return Note(
        f"Both models on the same rows. Up to {allowed} worse counts as not worse; where lower is better, "
        f"{shown(100 * assessment.margin)} % of the champion's value.",
        "quiet",
    )


def _slices(slices: Sequence[Slice]) -> list[Block]:
    # What fell deepest comes first; what has too few rows comes last.
    order = sorted(slices, key=lambda one: (not one.worse, one.drop is None, -(one.drop or 0.0)))
    rows = [
        (
            part_of(one.column, one.level),
            one.rows,
            one.value,
            _interval(one.low, one.high),
            "" if one.drop is None else _rounded(one.drop),
            _slice_reading(one),
        )
        for one in order[:_SLICES]
    ]
    tones: list[Tone] = [
        "bad" if one.worse else "quiet" if one.drop is None else "plain" for one in order[:_SLICES]
    ]
    table = Table(("slice", "rows", slices[0].metric, "95 % interval", "drop", "reading"), rows, tones)
    hidden = len(slices) - len(rows)
    return [table, Note(f"{hidden} more slices do better than these.", "quiet")] if hidden > 0 else [table]


def _portions(search: Search) -> list[Block]:
    rows = [
        (
            one.words,
            one.rows,
            _rounded(one.value),
            _interval(one.low, one.high),
            _rounded(one.expected),
            _rounded(one.drop),
        )
        for one in search.portions
    ]
    metric = search.portions[0].metric
    heads = ("found by search", "rows", metric, "95 % interval", "of rows with similar answers", "drop")
    words = f"{search.tried:,} portions of one or two columns were tried; these are surely worse (Holm)."
    return [Table(heads, rows, ["bad"] * len(rows)), Note(words, "quiet")]


def _slice_reading(one: Slice) -> str:
    if one.drop is None:
        return "too few rows"
    return "surely too low" if one.worse else "not surely too low"


def _interval(low: float | None, high: float | None) -> str:
    if low is None or high is None or not (_finite(low) and _finite(high)):
        return ""
    return f"{_rounded(low)} to {_rounded(high)}"


def _rounded(value: float) -> str:
    # Rounding first keeps -0.00001 and 1e-17 from showing as noise that differs between machines.
    return shown(float(f"{0.0 if abs(value) < 5e-7 else value:.4g}"))  # noqa: PLR2004 - far below any shown digit


def _finite(value: float) -> bool:
    return value - value == 0
