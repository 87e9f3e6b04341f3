"""What all figures are drawn with: a frame with a title, axes, and colours that follow light and dark."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from mlops_magics.foundation.blocks import Figure, shown

WIDTH, HEIGHT = 300, 264
LEFT, TOP, ACROSS, DOWN = 40, 46, 246, 180
BOLD = ' stroke-width="2" stroke-linejoin="round" stroke-linecap="round"'
DASHED = ' stroke-dasharray="3 4"'

_TICKS = 5

# --i, --q, --l and --b come from the page (ink, quiet ink, line, bad); the accent follows JupyterLab's theme.
_STYLE = (
    "--a:var(--jp-brand-color1,light-dark(#1f6feb,#79b0ff));color:var(--i,currentColor);"
    "margin:4px 22px 10px 0;vertical-align:top"
)
_CSS = (
    ".mlc .q{fill:var(--q,currentColor)}.mlc .g{stroke:var(--l,#8884);fill:none}"
    ".mlc .r{stroke:var(--q,#888);fill:none}.mlc .c{stroke:var(--a);fill:none}.mlc .f{fill:var(--a)}"
)


@dataclass(frozen=True, slots=True)
class Scale:
    """Where a value lies in the drawing, on one axis."""

    low: float
    high: float
    start: float
    length: float

    def __call__(self, value: float) -> str:
        """Return the place as SVG writes it."""
        place = self.start + self.length * (value - self.low) / (self.high - self.low)
        return f"{place:.1f}".removesuffix(".0")


def framed(title: str, words: str, parts: Iterable[str], size: tuple[int, int], css: str = "") -> Figure:
    """Put parts under a title.

    Args:
        title: The title.
        words: The whole figure in words.
        parts: Pieces of SVG.
        size: Width and height.
        css: Rules beside those that all figures have.
    """
    width, height = size
    svg = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" aria-label="{escape(words)}" class="mlc" style="{_STYLE}" '
        f'fill="currentColor" font-size="11" font-family="var(--jp-ui-font-family,system-ui,sans-serif)">'
        f"<style>{_CSS}{css}</style>"
        f'<text x="0" y="14" font-size="13" font-weight="600">{escape(title)}</text>'
        f"{''.join(parts)}</svg>"
    )
    return Figure(svg, words)


def figure(title: str, upward: str, across: str, words: str, parts: Iterable[str]) -> Figure:
    """Put parts under a title; the upward axis is named below it, for no head should be tilted to read."""
    named = (
        f'<text class="q" x="0" y="32">{escape(upward)}</text>'
        f'<text class="q" x="{LEFT + ACROSS}" y="{TOP + DOWN + 33}" text-anchor="end">{escape(across)}</text>'
    )
    return framed(title, words, [named, *parts], (WIDTH, HEIGHT))


def axes(x: Scale, y: Scale, x_ticks: Sequence[float], y_ticks: Sequence[float]) -> str:
    """Draw the lines of the upward axis, and name the ticks of both."""
    lines = "".join(f"M{x(x.low)} {y(tick)}H{x(x.high)}" for tick in y_ticks)
    right = "".join(
        f'<text class="q" x="{LEFT - 7}" y="{y(tick)}" dy=".35em" text-anchor="end">{ticked(tick)}</text>'
        for tick in y_ticks
    )
    below = "".join(
        f'<text class="q" x="{x(tick)}" y="{TOP + DOWN + 16}" text-anchor="middle">{ticked(tick)}</text>'
        for tick in x_ticks
    )
    return f'<path class="g" d="{lines}"/>{right}{below}'


def ticked(value: float) -> str:
    """Write the value of a tick."""
    return escape(shown(value).replace("-", "\N{MINUS SIGN}"))


def line(x: Scale, y: Scale, xs: Sequence[float], ys: Sequence[float]) -> str:
    """Join points to what a path is drawn from."""
    return "M" + "L".join(f"{x(a)} {y(b)}" for a, b in zip(xs, ys, strict=True))


def path(d: str, kind: str, more: str = "") -> str:
    """Draw a path: "g" as an axis, "r" quiet, "c" in the accent, "f" filled with it."""
    return f'<path class="{kind}" d="{d}"{more}/>'


def padded(low: float, high: float) -> tuple[float, float]:
    """Leave some room on both sides."""
    room = 0.04 * (high - low) or max(1.0, abs(low)) * 0.1
    return low - room, high + room


def round_ticks(low: float, high: float) -> list[float]:
    """Choose round numbers inside a range: steps of 1, 2 or 5 times a power of ten."""
    if not high > low:
        return [low]
    rough = (high - low) / _TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(step * power for step in (1, 2, 5, 10) if step * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [float(f"{step * i:.10g}") for i in range(first, last + 1)]
