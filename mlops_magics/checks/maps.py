"""The slice map: each portion as a line, where its metric lies and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.drawing import Scale, framed, padded, round_ticks, ticked
from mlops_magics.checks.slicing import part_of
from mlops_magics.foundation.blocks import Figure, shown

_WIDTH, _LABELS, _ROW, _TOP, _BELOW = 620, 250, 20, 44, 26
_LABEL_CHARACTERS = 38
_MOST = 12
_SIZES = (5, 7, 9, 11)  # of the dots: a hundredth, a tenth, a third of the rows, or more
_SHARES = (0.02, 0.1, 0.3)
# What is surely worse is red, and marked with a cross too: colour alone tells not everybody.
_CSS = ".mlc .b{stroke:var(--b,#cf222e);fill:none}.mlc .bt{fill:var(--b,#cf222e)}"


@dataclass(frozen=True, slots=True)
class _Line:
    label: str
    rows: int
    value: float
    low: float
    high: float
    bad: bool
    expected: float | None = None


def maps(assessment: Assessment) -> list[Figure]:
    """Draw the slices that were asked for, and the portions that were found.

    Args:
        assessment: The assessment.

    Returns:
        A figure for each, none where there is nothing to draw.
    """
    slices = [one for one in assessment.slices if one.drop is not None]
    slices.sort(key=lambda one: (not one.worse, -(one.drop or 0.0)))
    asked = [
        _Line(part_of(one.column, one.level), one.rows, one.value, one.low, one.high, one.worse)
        for one in slices
        if one.value is not None and one.low is not None and one.high is not None
    ]
    portions = () if assessment.search is None else assessment.search.portions
    found = [
        _Line(one.words, one.rows, one.value, one.low, one.high, bad=True, expected=one.expected)
        for one in portions
    ]
    figures = list[Figure]()
    if asked:
        whole = assessment.value(slices[0].metric)
        figures.append(_map("Slices", slices[0].metric, asked, whole, assessment.rows))
    if found:
        figures.append(_map("Found by search", portions[0].metric, found, None, assessment.rows))
    return figures


def _map(title: str, metric: str, lines: Sequence[_Line], whole: float | None, rows: int) -> Figure:
    lines, more = lines[:_MOST], max(0, len(lines) - _MOST)
    marks = [one.expected for one in lines if one.expected is not None] + ([] if whole is None else [whole])
    ends = [end for one in lines for end in (one.low, one.high)] + marks
    low, high = padded(min(ends), max(ends))
    x = Scale(low, high, _LABELS, _WIDTH - _LABELS - 10)
    bottom = _TOP + _ROW * len(lines)
    parts = [_grid(x, bottom, round_ticks(min(ends), max(ends)))]
    if whole is not None:
        parts.append(f'<path class="r" d="M{x(whole)} {_TOP - 4}V{bottom}" stroke-dasharray="3 4"/>')
    parts += [_drawn(one, x, _TOP + _ROW * i + _ROW // 2, rows) for i, one in enumerate(lines)]
    mark = "dashed: all rows" if whole is not None else "hollow: rows with similar answers"
    note = f"{metric} with 95 % interval; {mark}" + (f"; {more} more are not drawn" if more else "")
    parts.append(f'<text class="q" x="0" y="32">{escape(note)}</text>')
    bad = sum(one.bad for one in lines)
    worst, plural = lines[0], "s" if len(lines) > 1 else ""
    words = (
        f"{title}: {metric} of {len(lines)} portion{plural}, {bad} surely worse; first {worst.label}: "
        f"{shown(_short(worst.value))} ({shown(_short(worst.low))} to {shown(_short(worst.high))})"
    )
    return framed(title, words, parts, (_WIDTH, bottom + _BELOW), _CSS)


def _grid(x: Scale, bottom: int, places: Sequence[float]) -> str:
    lines = "".join(f"M{x(place)} {_TOP - 4}V{bottom}" for place in places)
    names = "".join(
        f'<text class="q" x="{x(place)}" y="{bottom + 16}" text-anchor="middle">{ticked(place)}</text>'
        for place in places
    )
    return f'<path class="g" d="{lines}"/>{names}'


def _drawn(one: _Line, x: Scale, middle: int, rows: int) -> str:
    kind, text = ("b", "bt") if one.bad else ("c", "")
    share = one.rows / max(1, rows)
    size = _SIZES[sum(share > edge for edge in _SHARES)]
    label = f"✗ {one.label}" if one.bad else one.label
    label = label if len(label) <= _LABEL_CHARACTERS else label[: _LABEL_CHARACTERS - 1] + "…"
    marked = f' class="{text}"' if text else ""
    drawn = (
        f'<text{marked} x="{_LABELS - 12}" y="{middle + 4}" text-anchor="end">{escape(label)}</text>'
        f'<path class="{kind}" d="M{x(one.low)} {middle}H{x(one.high)}" stroke-width="1.5"/>'
        f'<path class="{kind}" d="M{x(one.value)} {middle}h0" stroke-width="{size}" stroke-linecap="round"/>'
    )
    if one.expected is None or not math.isfinite(one.expected):
        return drawn
    return f'{drawn}<circle class="r" cx="{x(one.expected)}" cy="{middle}" r="3.5"/>'


def _short(value: float) -> float:
    return float(f"{value:.3g}")
