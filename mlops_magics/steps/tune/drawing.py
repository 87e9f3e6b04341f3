"""Small drawings of a search: how the best score came about, and what each parameter explains."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Final

from mlops_magics.foundation.blocks import Figure, shown
from mlops_magics.tuners.journal import Attempt

_WIDE: Final = 480
_HIGH: Final = 80
_EDGE: Final = 4
_BARS: Final = "▁▂▃▄▅▆▇█"
_BAR: Final = 96
_LETTERS: Final = 10


def history(attempts: Sequence[Attempt], *, lower: bool) -> Figure | None:
    """Draw the scores of the complete trials as points, and the best so far as a line.

    Args:
        attempts: The trials by number.
        lower: Whether less is better.

    Returns:
        The drawing, better being higher; None where there are no two scores.
    """
    sign = -1.0 if lower else 1.0
    scores = [sign * each.score for each in attempts if each.state == "complete" and each.score is not None]
    if len(scores) < 2:  # noqa: PLR2004 - one point is no history
        return None
    # What is far below the rest would flatten all that matters.
    low = max(
        min(scores), sorted(scores)[len(scores) // 4] - 2 * (max(scores) - sorted(scores)[len(scores) // 4])
    )
    span = (max(scores) - low) or 1.0
    best = [max(scores[: place + 1]) for place in range(len(scores))]

    def place(at: int, score: float) -> tuple[int, int]:
        x = _EDGE + round((_WIDE - 2 * _EDGE) * at / (len(scores) - 1))
        share = max(0.0, (score - low) / span)
        return x, _HIGH - _EDGE - round((_HIGH - 2 * _EDGE) * share)

    dots = "".join(
        f'<circle cx="{x}" cy="{y}" r="2.5" opacity="0.5"/>'
        for x, y in (place(at, score) for at, score in enumerate(scores))
    )
    line = "L".join(f"{x} {y}" for x, y in (place(at, score) for at, score in enumerate(best)))
    words = f"best so far, first to last: {shown(sign * best[0])} to {shown(sign * best[-1])}"
    svg = (
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" width="{_WIDE}" height="{_HIGH}" role="img" '
        f'aria-label="{escape(words)}">{dots}<path fill="none" stroke-width="1.5" d="M{line}"/></svg>'
    )
    letters = "".join(_BARS[round(7 * max(0.0, (score - low) / span))] for score in best)
    return Figure(svg, f"best so far {letters}")


def share_bar(share: float) -> Figure:
    """Draw a share of one as a bar."""
    width = max(1, round(_BAR * share))
    svg = (
        f'<svg viewBox="0 0 {_BAR} 14" width="{_BAR}" height="14" role="img" '
        f'aria-label="{round(100 * share)} %"><rect x="0" y="2" width="{width}" height="10" '
        'opacity="0.45"/></svg>'
    )
    return Figure(svg, "▇" * round(_LETTERS * share))
