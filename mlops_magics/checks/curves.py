"""Figures as small drawings of our own: plain SVG strings that follow light and dark by themselves."""

from __future__ import annotations

from html import escape

from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.drawing import (
    ACROSS,
    BOLD,
    DASHED,
    DOWN,
    LEFT,
    TOP,
    Scale,
    axes,
    figure,
    line,
    padded,
    path,
    round_ticks,
)
from mlops_magics.checks.points import Confusion, Curve
from mlops_magics.foundation.blocks import Figure, shown

_LABEL_CHARACTERS = 10
_ROOMY = 4  # up to this many classes a cell has room for its share
_WIDE = 8  # beyond this many, counts are abbreviated


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


def _unit() -> tuple[Scale, Scale, str]:
    x, y = Scale(0, 1, LEFT, ACROSS), Scale(0, 1, TOP + DOWN, -DOWN)
    return x, y, axes(x, y, (0, 0.5, 1), (0, 0.25, 0.5, 0.75, 1))


def _note(text: str, line: int, kind: str = "") -> str:
    marked = f' class="{kind}"' if kind else ""
    x, y = LEFT + ACROSS - 8, TOP + DOWN - 12 - 16 * line
    return f'<text{marked} x="{x}" y="{y}" text-anchor="end">{escape(text)}</text>'


def _in_words(name: str, assessment: Assessment) -> str:
    found = next((metric for metric in assessment.metrics if metric.name == name), None)
    if found is None or found.low is None:
        return ""
    return f"{shown(found.value)} ({shown(found.low)} to {shown(found.high)})"


def _roc(curve: Curve, champion: Curve | None, assessment: Assessment) -> Figure:
    x, y, axes = _unit()
    area = _in_words("roc_auc", assessment)
    parts = [axes, path(f"M{x(0)} {y(0)}L{x(1)} {y(1)}", "r", DASHED)]
    if champion is not None:
        parts.append(path(line(x, y, champion.x, champion.y), "r", ' stroke-width="1.5"'))
        held = next((one for one in assessment.comparisons if one.metric == "roc_auc"), None)
        parts.append(_note(f"champion {shown(held.champion)}" if held else "champion", 0, "q"))
    parts += [path(line(x, y, curve.x, curve.y), "c", BOLD), _note(f"area {area}", bool(champion), "f")]
    return figure("ROC", "true positive rate", "false positive rate", f"ROC curve: area {area}", parts)


def _precision_recall(curve: Curve, assessment: Assessment) -> Figure:
    x, y, axes = _unit()
    mean, share = _in_words("average_precision", assessment), curve.y[-1]
    parts = [
        axes,
        path(f"M{x(0)} {y(share)}H{x(1)}", "r", DASHED),
        path(line(x, y, curve.x, curve.y), "c", BOLD),
        _note(f"average {mean}", 0, "f"),
    ]
    words = f"Precision and recall: average precision {mean}; {shown(share)} of the rows are positive"
    return figure("Precision and recall", "precision", "recall", words, parts)


def _calibration(curve: Curve) -> Figure:
    x, y, axes = _unit()
    bars = "".join(
        f"M{x(a)} {y(lo)}V{y(hi)}" for a, lo, hi in zip(curve.x, curve.low, curve.high, strict=True)
    )
    dots = "".join(f"M{x(a)} {y(b)}h0" for a, b in zip(curve.x, curve.y, strict=True))
    far = max((abs(a - b) for a, b in zip(curve.x, curve.y, strict=True)), default=0.0)
    parts = [
        axes,
        path(f"M{x(0)} {y(0)}L{x(1)} {y(1)}", "r", DASHED),
        path(line(x, y, curve.x, curve.y), "c", ' stroke-opacity=".45"'),
        path(bars, "c"),
        path(dots, "c", ' stroke-width="6" stroke-linecap="round"'),
    ]
    words = f"Calibration in {len(curve.x)} bins: said and seen differ by {shown(far)} at most"
    return figure("Calibration", "share that came true", "probability that was said", words, parts)


def _matrix(confusion: Confusion) -> Figure:
    count = len(confusion.labels)
    short = [_short(label, count) for label in confusion.labels]
    start = max(LEFT, 10 + 7 * max(map(len, short)))
    wide, high = (LEFT + ACROSS - start) / count, (DOWN - 8) / count
    labels, texts, shades = list[str](), list[str](), dict[int, str]()
    for row, (label, counts) in enumerate(zip(short, confusion.counts, strict=True)):
        middle = TOP + high * (row + 0.5)
        labels.append(_text(start - 7, middle, label, ' text-anchor="end"'))
        labels.append(_text(start + wide * (row + 0.5), TOP + DOWN + 8, label))
        for place, number in enumerate(counts):
            share, left = number / max(1, sum(counts)), start + wide * place
            shade = 4 + round(10 * share) * 5
            # A cell is a thick stroke: half the letters of a rectangle.
            shades[shade] = f"{shades.get(shade, '')}M{left + 1:.0f} {middle:.0f}h{wide - 2:.0f}"
            texts += _cell(left + wide / 2, middle, number, share, count)
    thick = f'stroke-width="{high - 2:.0f}" stroke-opacity'
    parts = [path(d, "c", f' {thick}=".{shade:02}"') for shade, d in sorted(shades.items())]
    parts.append(f'<g class="q" text-anchor="middle">{"".join(labels)}</g>')
    parts.append(f'<g text-anchor="middle">{"".join(texts)}</g>')
    right = sum(counts[i] for i, counts in enumerate(confusion.counts))
    total = sum(map(sum, confusion.counts))
    words = f"Confusion matrix of {count} classes: {right:,} of {total:,} on the diagonal"
    return figure("Confusion", "true class, shaded by its share of the row", "predicted class", words, parts)


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
    x_ticks, y_ticks = round_ticks(min(dots.x), max(dots.x)), round_ticks(low, high)
    x = Scale(*padded(min(dots.x), max(dots.x)), LEFT, ACROSS)
    y = Scale(*padded(low, high), TOP + DOWN, -DOWN)
    inside = [(a, b) for a, b in zip(dots.x, dots.y, strict=True) if y.low <= b <= y.high]
    edge = line(x, y, band.x, band.high) + "L"
    edge += line(x, y, band.x[::-1], band.low[::-1])[1:] + "Z"
    parts = [
        axes(x, y, x_ticks, y_ticks),
        path("".join(f"M{x(a)} {y(b)}h0" for a, b in inside), "r", _DOT),
        path(f"M{x(x.low)} {y(0)}H{x(x.high)}", "r", DASHED),
        path(edge, "f", ' fill-opacity=".16"'),
        path(line(x, y, band.x, band.y), "c", BOLD),
    ]
    middle = band.y[len(band.y) // 2]
    words = f"Residuals by prediction: the median in the middle is {shown(float(f'{middle:.4g}'))}"
    upward = "truth less prediction: median, and where 80 % lie"
    return figure("Residuals", upward, "prediction", words, parts)


_DOT = ' stroke-width="3" stroke-linecap="round" stroke-opacity=".4"'
