"""What the model answers, compared as columns are: a drift of answers needs no labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mlops_magics.artifact.reference import TAIL, Bins, ColumnReference, Levels, Predictions, Reference
from mlops_magics.stats.windows import Answers, ColumnWindow, Window

PREDICTION: Final = "prediction"

_FEWEST: Final = 500  # answers of earlier windows, of which one can say how the model answers
_FEW: Final = (
    "Answers are not judged yet: what the model answered to the rows that it was fitted on says little of "
    "how it answers new ones, and of earlier windows there are too few."
)

Pairs = list[tuple[ColumnReference, ColumnWindow]]


def answer_pairs(
    reference: Reference, window: Window, usual: Answers | None, before: Sequence[Window]
) -> tuple[Pairs, str]:
    """Pair how the model answered with how it answers.

    Args:
        reference: Tells in which bins answers are counted. Its own answers are to the rows that the model was
            fitted on, of which a model is surer than of any others: they are not compared with.
        window: The window with its answers.
        usual: How the model usually answers, where that is known.
        before: Earlier windows, from which that is taken otherwise.

    Returns:
        Each as a column then and now, and why there are none.
    """
    known, now = reference.predictions, window.answers
    if known is None or now is None:
        return [], ""
    then = usual
    if then is None and known.basis != "fitted":
        then = Answers(
            known.rows,
            numbers=() if known.numbers is None else known.numbers.counts,
            labels=known.labels,
            probabilities={name: bins.counts for name, bins in known.probabilities.items()},
        )
    if then is None:
        for each in before:
            if each.answers is not None:
                then = each.answers if then is None else then + each.answers
    if then is None or then.rows < _FEWEST:
        return [], _FEW
    return _pairs(known, then, now), ""


def _pairs(known: Predictions, then: Answers, now: Answers) -> Pairs:
    if known.numbers is not None:
        old, new = _numbers(PREDICTION, known.numbers, then.numbers, now.numbers)
        return [_asked(old, new, then, now)]
    found: Pairs = []
    if then.labels:
        named = dict(then.labels)
        fresh = {name: count for name, count in now.labels.items() if name not in named}
        found.append(
            (
                ColumnReference(
                    PREDICTION, "string", then.rows, 0, levels=Levels(named, _tail(0), len(named))
                ),
                ColumnWindow(
                    PREDICTION,
                    now.rows,
                    named={name: now.labels.get(name, 0) for name in named},
                    tail=_tail(sum(fresh.values())),
                    fresh=fresh,
                ),
            )
        )
    found += [
        _numbers(f"probability of {name}", bins, then.probabilities[name], now.probabilities[name])
        for name, bins in known.probabilities.items()
        if name in then.probabilities and name in now.probabilities
    ]
    return [_asked(old, new, then, now) for old, new in found]


def _tail(count: int) -> tuple[int, ...]:
    return (count, *(0,) * (TAIL - 1))


def _numbers(
    name: str, bins: Bins, then: tuple[int, ...], now: tuple[int, ...]
) -> tuple[ColumnReference, ColumnWindow]:
    known = replace(bins, counts=then) if then else bins
    return ColumnReference(name, "float", sum(then), 0, bins=known), ColumnWindow(name, sum(now), counts=now)


def _asked(
    old: ColumnReference, new: ColumnWindow, then: Answers, now: Answers
) -> tuple[ColumnReference, ColumnWindow]:
    """Count the rows that got no answer among those without a value."""
    return (
        replace(old, rows=then.rows, missing=then.missing),
        replace(new, rows=now.rows, missing=now.missing),
    )
