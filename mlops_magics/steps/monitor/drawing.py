"""Drawings over time: lines with a time axis, windows that alarmed marked, plain SVG in light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from typing import Final

from mlops_magics.checks.drawing import DASHED, Scale, framed, path, round_ticks, ticked
from mlops_magics.foundation.blocks import Figure, shown

_SIZE: Final = (620, 128)
_LEFT, _TOP, _ACROSS, _DOWN = 52, 28, 556, 68
_CSS: Final = ".mlc .x{fill:var(--b,#c00)}.mlc .w{fill:var(--a);opacity:.18}"
_TICKS: Final = 5
_ALONE: Final = 2  # points that make a line


@dataclass(frozen=True, slots=True)
class Line:
    """What is drawn over time.

    Attributes:
        title: What it is.
        times: When each window began, in seconds since 1970.
        values: Its value; None where there is none.
        low: The lower end of each value's interval; empty where there is none.
        high: The upper end.
        bound: A level that is drawn as a dashed line; None for none.
        marked: The windows that alarmed, by their place.
        length: How long a window is, in seconds.
    """

    title: str
    times: Sequence[float]
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()
    bound: float | None = None
    marked: frozenset[int] = frozenset()
    length: float = 0.0


def drawn(line: Line) -> Figure | None:
    """Draw a line; None where fewer than two windows have a value.

    Args:
        line: What is drawn.
    """
    known = [(at, value) for at, value in enumerate(line.values) if value is not None]
    if len(known) < _ALONE:
        return None
    middle = [when + line.length / 2 for when in line.times]
    x = Scale(line.times[0], line.times[-1] + line.length, _LEFT, _ACROSS)
    y = _upward(line)
    parts = [_grid(x, y), _band(line, x, y, middle)]
    if line.bound is not None:
        parts.append(path(f"M{x(x.low)} {y(line.bound)}H{x(x.high)}", "r", DASHED))
    parts.append(path(_strokes(line, x, y, middle), "c", ' stroke-width="1.6" stroke-linejoin="round"'))
    parts += [
        f'<circle class="{"x" if at in line.marked else "f"}" cx="{x(middle[at])}" cy="{y(value)}" r="{r}"/>'
        for at, value in known
        if (r := _radius(line, at))
    ]
    return framed(line.title, _words(line, known), parts, _SIZE, _CSS)


def named(seconds: float, length: float) -> str:
    """Write a moment of a time axis, as exactly as its length asks for."""
    when = datetime.fromtimestamp(seconds, UTC)
    if length > 20 * 86_400:
        return f"{when:%d %b %Y}"
    return f"{when:%d %b %H:%M}" if length > 86_400 / 2 else f"{when:%H:%M:%S}"


def _upward(line: Line) -> Scale:
    every = [value for value in (*line.values, *line.low, *line.high, line.bound) if value is not None]
    low, high = min(every), max(every)
    low = 0.0 if low >= 0 and low < high / 2 else low
    if not high > low:
        low, high = low - max(abs(low), 1.0) * 0.1, high + max(abs(high), 1.0) * 0.1
    return Scale(low, high + (high - low) * 0.05, _TOP + _DOWN, -_DOWN)


def _grid(x: Scale, y: Scale) -> str:
    ticks = round_ticks(y.low, y.high)[-3:]
    lines = "".join(f"M{x(x.low)} {y(tick)}H{x(x.high)}" for tick in ticks)
    levels = "".join(
        f'<text class="q" x="{_LEFT - 7}" y="{y(tick)}" dy=".35em" text-anchor="end">{ticked(tick)}</text>'
        for tick in ticks
    )
    step = (x.high - x.low) / _TICKS
    moments = "".join(
        f'<text class="q" x="{x(x.low + step * at)}" y="{_TOP + _DOWN + 18}" text-anchor="{side}">'
        f"{escape(named(x.low + step * at, x.high - x.low))}</text>"
        for at, side in ((0, "start"), (1, "middle"), (2, "middle"), (3, "middle"), (4, "middle"))
    )
    return f'<path class="g" d="{lines}"/>{levels}{moments}'


def _strokes(line: Line, x: Scale, y: Scale, middle: Sequence[float]) -> str:
    """Join neighbours that have values; a gap stays a gap."""
    found, pen = [], "M"
    for at, value in enumerate(line.values):
        if value is None:
            pen = "M"
            continue
        found.append(f"{pen}{x(middle[at])} {y(value)}")
        pen = "L"
    return "".join(found)


def _band(line: Line, x: Scale, y: Scale, middle: Sequence[float]) -> str:
    pairs = list(zip(line.low, line.high, strict=True))
    held = [
        (middle[at], low, high)
        for at, (low, high) in enumerate(pairs)
        if low is not None and high is not None
    ]
    if len(held) < _ALONE:
        return ""
    upper = "L".join(f"{x(when)} {y(high)}" for when, _, high in held)
    lower = "L".join(f"{x(when)} {y(low)}" for when, low, _ in reversed(held))
    return f'<path class="w" d="M{upper}L{lower}Z"/>'


def _radius(line: Line, at: int) -> float:
    """Dot what alarmed, and a value without neighbours, which no line shows."""
    if at in line.marked:
        return 4
    beside = [*line.values[max(0, at - 1) : at], *line.values[at + 1 : at + 2]]
    return 0 if any(value is not None for value in beside) else 2


def _words(line: Line, known: Sequence[tuple[int, float]]) -> str:
    values = [value for _, value in known]
    alarms = f", {len(line.marked)} windows alarmed" if line.marked else ""
    return (
        f"{line.title} in {len(known)} windows: {shown(values[0])} at first, {shown(values[-1])} at last, "
        f"{shown(min(values))} at least, {shown(max(values))} at most{alarms}"
    )
