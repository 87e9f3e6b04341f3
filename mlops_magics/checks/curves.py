"""Figures as small drawings of our own: plain SVG strings that follow light and dark by themselves."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.points import Confusion, Curve
from mlops_magics.foundation.blocks import Figure, shown

_WIDTH, _HEIGHT = 300, 264
_LEFT, _TOP, _ACROSS, _DOWN = 40, 46, 246, 180
_TICKS = 5
_LABEL_CHARACTERS = 10
_ROOMY = 4  # up to this many classes a cell has room for its share
_WIDE = 8  # beyond this many, counts are abbreviated

# --i, --q and --l come from the page (ink, quiet ink, line); the accent follows JupyterLab's theme.
_STYLE = (
    "--a:var(--jp-brand-color1,light-dark(#1f6feb,#79b0ff));color:var(--i,currentColor);"
    "margin:4px 22px 10px 0;vertical-align:top"
)
_CSS = (
    ".mlc .q{fill:var(--q,currentColor)}.mlc .g{stroke:var(--l,#8884);fill:none}"
    ".mlc .r{stroke:var(--q,#888);fill:none}.mlc .c{stroke:var(--a);fill:none}.mlc .f{fill:var(--a)}"
)


@dataclass(frozen=True, slots=True)
class _Scale:
    """Where a value lies in the drawing, on one axis."""

    low: float
    high: float
    start: float
    length: float

    def __call__(self, value: float) -> str:
        place = self.start + self.length * (value - self.low) / (self.high - self.low)
        return f"{place:.1f}".removesuffix(".0")


def figures(assessment: Assessment) -> list[Figure]:
    """Draw what an assessment traced.

    Args:
        assessment: The assessment.

    Returns:
        The figures, each with its words; none where nothing could be traced.
    """
    curves = {curve.name: curve for curve in assessment.curves}
    found = list[Figure]()
    if "roc" in curves:
        found.append(_roc(curves["roc"], curves.get("roc of the champion"), assessment))
    if "precision_recall" in curves:
        found.append(_precision_recall(curves["precision_recall"], assessment))
    if "calibration" in curves:
        found.append(_calibration(curves["calibration"]))
    if assessment.confusion is not None:
        found.append(_matrix(assessment.confusion))
    if "residuals" in curves and "residual band" in curves:
        found.append(_residuals(curves["residuals"], curves["residual band"]))
    return found


def _figure(title: str, upward: str, across: str, words: str, parts: Iterable[str]) -> Figure:
    """Put parts under a title; the upward axis is named below it, for no head should be tilted to read."""
    body = "".join(parts)
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" role="img" aria-label="{escape(words)}" class="mlc" style="{_STYLE}" '
        f'fill="currentColor" font-size="11" font-family="var(--jp-ui-font-family,system-ui,sans-serif)">'
        f"<style>{_CSS}</style>"
        f'<text x="0" y="14" font-size="13" font-weight="600">{escape(title)}</text>'
        f'<text class="q" x="0" y="32">{escape(upward)}</text>'
        f'<text class="q" x="{_LEFT + _ACROSS}" y="{_TOP + _DOWN + 33}" text-anchor="end">'
        f"{escape(across)}</text>"
        f"{body}</svg>"
    )
    return Figure(svg, words)


def _axes(x: _Scale, y: _Scale, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
    lines = "".join(f"M{x(x.low)} {y(tick)}H{x(x.high)}" for tick in y_ticks)
    right = "".join(
        f'<text class="q" x="{_LEFT - 7}" y="{y(tick)}" dy=".35em" text-anchor="end">{_tick(tick)}</text>'
        for tick in y_ticks
    )
    below = "".join(
        f'<text class="q" x="{x(tick)}" y="{_TOP + _DOWN + 16}" text-anchor="middle">{_tick(tick)}</text>'
        for tick in x_ticks
    )
    return f'<path class="g" d="{lines}"/>{right}{below}'


def _tick(value: float) -> str:
    return escape(shown(value).replace("-", "\N{MINUS SIGN}"))


def _unit() -> tuple[_Scale, _Scale, str]:
    x, y = _Scale(0, 1, _LEFT, _ACROSS), _Scale(0, 1, _TOP + _DOWN, -_DOWN)
    return x, y, _axes(x, y, (0, 0.5, 1), (0, 0.25, 0.5, 0.75, 1))


def _line(x: _Scale, y: _Scale, xs: Sequence[float], ys: Sequence[float]) -> str:
    return "M" + "L".join(f"{x(a)} {y(b)}" for a, b in zip(xs, ys, strict=True))


def _path(d: str, kind: str, more: str = "") -> str:
    return f'<path class="{kind}" d="{d}"{more}/>'


_BOLD = ' stroke-width="2" stroke-linejoin="round" stroke-linecap="round"'
_DASHED = ' stroke-dasharray="3 4"'


def _note(text: str, line: int, kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    x, y = _LEFT + _ACROSS - 8, _TOP + _DOWN - 12 - 16 * line
    return f'<text{marked} x="{x}" y="{y}" text-anchor="end">{escape(text)}</text>'


def _in_words(name: str, assessment: Assessment) -> str:
    found = next((metric for metric in assessment.metrics if metric.name == name), None)
    if found is None or found.low is None:
        return ""
    return f"{shown(found.value)} ({shown(found.low)} to {shown(found.high)})"


def _roc(curve: Curve, champion: Curve | None, assessment: Assessment) -> Figure:
    x, y, axes = _unit()
    area = _in_words("roc_auc", assessment)
    parts = [axes, _path(f"M{x(0)} {y(0)}L{x(1)} {y(1)}", "r", _DASHED)]
    if champion is not None:
        parts.append(_path(_line(x, y, champion.x, champion.y), "r", ' stroke-width="1.5"'))
        held = next((one for one in assessment.comparisons if one.metric == "roc_auc"), None)
        parts.append(_note(f"champion {shown(held.champion)}" if held else "champion", 0, "q"))
    parts += [_path(_line(x, y, curve.x, curve.y), "c", _BOLD), _note(f"area {area}", bool(champion), "f")]
    return _figure("ROC", "true positive rate", "false positive rate", f"ROC curve: area {area}", parts)


def _precision_recall(curve: Curve, assessment: Assessment) -> Figure:
    x, y, axes = _unit()
    mean, share = _in_words("average_precision", assessment), curve.y[-1]
    parts = [
        axes,
        _path(f"M{x(0)} {y(share)}H{x(1)}", "r", _DASHED),
        _path(_line(x, y, curve.x, curve.y), "c", _BOLD),
        _note(f"average {mean}", 0, "f"),
    ]
    words = f"Precision and recall: average precision {mean}; {shown(share)} of the rows are positive"
    return _figure("Precision and recall", "precision", "recall", words, parts)


def _calibration(curve: Curve) -> Figure:
    x, y, axes = _unit()
    bars = "".join(
        f"M{x(a)} {y(lo)}V{y(hi)}" for a, lo, hi in zip(curve.x, curve.low, curve.high, strict=True)
    )
    dots = "".join(f"M{x(a)} {y(b)}h0" for a, b in zip(curve.x, curve.y, strict=True))
    far = max((abs(a - b) for a, b in zip(curve.x, curve.y, strict=True)), default=0.0)
    parts = [
        axes,
        _path(f"M{x(0)} {y(0)}L{x(1)} {y(1)}", "r", _DASHED),
        _path(_line(x, y, curve.x, curve.y), "c", ' stroke-opacity=".45"'),
        _path(bars, "c"),
        _path(dots, "c", ' stroke-width="6" stroke-linecap="round"'),
    ]
    words = f"Calibration in {len(curve.x)} bins: said and seen differ by {shown(far)} at most"
    return _figure("Calibration", "share that came true", "probability that was said", words, parts)


def _matrix(confusion: Confusion) -> Figure:
    count = len(confusion.labels)
    short = [_short(label, count) for label in confusion.labels]
    start = max(_LEFT, 10 + 7 * max(map(len, short)))
    wide, high = (_LEFT + _ACROSS - start) / count, (_DOWN - 8) / count
    labels, texts, shades = list[str](), list[str](), dict[int, str]()
    for row, (label, counts) in enumerate(zip(short, confusion.counts, strict=True)):
        middle = _TOP + high * (row + 0.5)
        labels.append(_text(start - 7, middle, label, ' text-anchor="end"'))
        labels.append(_text(start + wide * (row + 0.5), _TOP + _DOWN + 8, label))
        for place, number in enumerate(counts):
            share, left = number / max(1, sum(counts)), start + wide * place
            shade = 4 + round(10 * share) * 5
            # A cell is a thick stroke: half the letters of a rectangle.
            shades[shade] = f"{shades.get(shade, '')}M{left + 1:.0f} {middle:.0f}h{wide - 2:.0f}"
            texts += _cell(left + wide / 2, middle, number, share, count)
    thick = f'stroke-width="{high - 2:.0f}" stroke-opacity'
    parts = [_path(d, "c", f' {thick}=".{shade:02}"') for shade, d in sorted(shades.items())]
    parts.append(f'<g class="q" text-anchor="middle">{"".join(labels)}</g>')
    parts.append(f'<g text-anchor="middle">{"".join(texts)}</g>')
    right = sum(counts[i] for i, counts in enumerate(confusion.counts))
    total = sum(map(sum, confusion.counts))
    words = f"Confusion matrix of {count} classes: {right:,} of {total:,} on the diagonal"
    return _figure("Confusion", "true class, shaded by its share of the row", "predicted class", words, parts)


def _cell(x: float, y: float, number: int, share: float, count: int) -> list[str]:
    if count > _ROOMY:
        return [_text(x, y, _brief(number) if count > _WIDE else f"{number:,}")] if number else []
    percent = f"{100 * share:.0f} %"
    return [_text(x, y - 8, f"{number:,}", ' font-weight="600"'), _text(x, y + 8, percent)]


def _text(x: float, y: float, text: str, more: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y + 4:.0f}"{more}>{escape(text)}</text>'


def _short(label: str, count: int) -> str:
    room = max(3, min(_LABEL_CHARACTERS, 28 // count))
    return label if len(label) <= room else label[: room - 1] + "…"


def _brief(number: int) -> str:
    return f"{number / 1000:.0f}k" if number >= 1000 else str(number)  # noqa: PLR2004 - a thousand


def _residuals(dots: Curve, band: Curve) -> Figure:
    ys = sorted([*dots.y, *band.low, *band.high])
    # A few rows far out would press all others flat: the axis holds 98 % of the dots and the whole band.
    cut = len(ys) // 100
    low, high = min(0.0, ys[cut]), max(0.0, ys[-1 - cut])
    x_ticks, y_ticks = _round_ticks(min(dots.x), max(dots.x)), _round_ticks(low, high)
    x = _Scale(*_padded(min(dots.x), max(dots.x)), _LEFT, _ACROSS)
    y = _Scale(*_padded(low, high), _TOP + _DOWN, -_DOWN)
    inside = [(a, b) for a, b in zip(dots.x, dots.y, strict=True) if y.low <= b <= y.high]
    edge = _line(x, y, band.x, band.high) + "L"
    edge += _line(x, y, band.x[::-1], band.low[::-1])[1:] + "Z"
    parts = [
        _axes(x, y, x_ticks, y_ticks),
        _path("".join(f"M{x(a)} {y(b)}h0" for a, b in inside), "r", _DOT),
        _path(f"M{x(x.low)} {y(0)}H{x(x.high)}", "r", _DASHED),
        _path(edge, "f", ' fill-opacity=".16"'),
        _path(_line(x, y, band.x, band.y), "c", _BOLD),
    ]
    middle = band.y[len(band.y) // 2]
    words = f"Residuals by prediction: the median in the middle is {shown(float(f'{middle:.4g}'))}"
    upward = "truth less prediction: median, and where 80 % lie"
    return _figure("Residuals", upward, "prediction", words, parts)


_DOT = ' stroke-width="3" stroke-linecap="round" stroke-opacity=".4"'


def _padded(low: float, high: float) -> tuple[float, float]:
    room = 0.04 * (high - low) or max(1.0, abs(low)) * 0.1
    return low - room, high + room


def _round_ticks(low: float, high: float) -> list[float]:
    """Choose round numbers inside a range: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{step * i:.10g}") for i in range(first, last + 1)]
