"""Small drawings of a profile: plain SVG strings without styles of their own, and their words.

Colours come from the page by ``fill``; opacity is an attribute, because a report forbids inline styles.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from mlops_magics.foundation.blocks import Figure, Name, cut, shown
from mlops_magics.stats.summary import ColumnSummary, Histogram
from mlops_magics.steps.profile.wording import moment, percent

_BARS = "▁▂▃▄▅▆▇█"
_WIDTH, _HEIGHT = 96, 18
_LARGE = (640, 90)
_STATIC = 32  # bins of that one
_INLINE = 24  # bins of an inline histogram
_WORDS = 12  # bins of one in plain text
_SHADES = (1, 0.78, 0.6, 0.45, 0.33, 0.24)  # of the most frequent values in a bar
_REST = 0.1  # all others
_FAINT = 0.004  # a share of the bar that no eye can see


def merged(counts: Sequence[int], most: int) -> list[int]:
    """Merge neighbouring bins until there are few enough.

    Args:
        counts: The bins' counts.
        most: How many bins there may be.

    Returns:
        The merged counts.
    """
    step = -(-len(counts) // most) if counts else 1
    return [sum(counts[place : place + step]) for place in range(0, len(counts), step)]


def sparkline(counts: Sequence[int]) -> str:
    """Draw counts with characters; an empty bin is the lowest bar, one that holds anything is higher.

    Args:
        counts: The counts.

    Returns:
        A character a count.
    """
    top = max(counts, default=0)
    if not top:
        return _BARS[0] * len(counts)
    return "".join(_BARS[0 if not count else max(1, round(7 * count / top))] for count in counts)


def bars(counts: Sequence[int], width: int, height: int) -> str:
    """Draw counts as one path of upright strokes, each at least visible: half the letters of rectangles.

    Args:
        counts: The counts.
        width: The drawing's width.
        height: Its height.

    Returns:
        The path; "" where nothing is to be drawn.
    """
    top = max(counts, default=0)
    if not top:
        return ""
    step = width / len(counts)
    upper = [_coordinate(height - max(1.0, height * count / top)) for count in counts]
    strokes = (
        f"M{_coordinate(step * (place + 0.5))} {height}V{y}"
        for place, (count, y) in enumerate(zip(counts, upper, strict=True))
        if count
    )
    return f'<path stroke-width="{_coordinate(step - min(1.0, step / 4))}" d="{"".join(strokes)}"/>'


def area(counts: Sequence[int], words: str) -> str:
    """Draw a histogram as large as a report shows it.

    Args:
        counts: The bins' counts.
        words: What it shows, for those who do not see it.

    Returns:
        The svg.
    """
    return _svg(bars(merged(counts, _STATIC), *_LARGE), words, *_LARGE)


def distribution(column: ColumnSummary) -> Figure | None:
    """Draw how a column's values are distributed, small enough for a table's cell.

    Args:
        column: The column.

    Returns:
        A histogram of numbers and dates, a bar of the most frequent values else; None for nothing to draw.
    """
    if column.numbers is not None and column.meaning in {"number", "date", "ordinal", "id", "other", "text"}:
        counts = column.numbers.histogram.counts
        words = histogram_words(column)
        drawn = bars(merged(counts, _INLINE), _WIDTH, _HEIGHT)
        return Figure(_svg(drawn, words), sparkline(merged(counts, _WORDS)))
    if column.top and column.distinct > 1:
        return _shares(column)
    return None


def histogram_words(column: ColumnSummary) -> str:
    """Say what a histogram shows.

    Args:
        column: The column, with numbers.

    Returns:
        A sentence for those who do not see it.
    """
    low, high = shown(moment(column.minimum)), shown(moment(column.maximum))
    if column.numbers is None or not column.numbers.histogram.counts:
        return "no values"
    histogram = column.numbers.histogram
    peak = max(range(len(histogram.counts)), key=histogram.counts.__getitem__)
    if column.kind not in {"integer", "float", "decimal"}:
        return f"histogram from {low} to {high}"
    fullest = f"{_edge(histogram, peak)} to {_edge(histogram, peak + 1)}"
    return f"histogram from {low} to {high}, fullest from {fullest}"


def _edge(histogram: Histogram, place: int) -> str:
    return shown(float(f"{histogram.start + histogram.width * place:.6g}"))


def _shares(column: ColumnSummary) -> Figure:
    held = max(1, column.rows - column.missing)
    parts, start, named = list[str](), 0.0, list[str]()
    for place, level in enumerate(column.top[: len(_SHADES)]):
        share = min(level.count / held, 1 - start)
        named.append(f"{cut(shown(Name(shown(level.value))), 20)} {shown(percent(share))} %")
        if share >= _FAINT:
            parts.append(_part(start, share, _SHADES[place]))
        start += share
    if 1 - start >= _FAINT:
        parts.append(_part(start, 1 - start, _REST))
    words = sparkline([level.count for level in column.top])
    return Figure(_svg("".join(parts), ", ".join(named)), words)


def _part(start: float, share: float, opacity: float) -> str:
    wide = max(0.8, _WIDTH * share - 1)
    faint = "" if opacity == 1 else f' opacity="{opacity}"'
    x, w = _coordinate(_WIDTH * start), _coordinate(wide)
    return f'<rect x="{x}" y="4" width="{w}" height="{_HEIGHT - 8}"{faint}/>'


def _svg(body: str, words: str, width: int = _WIDTH, height: int = _HEIGHT) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(words)}">{body}</svg>'
    )


def _coordinate(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
