"""What the model answers, compared as columns are: a drift of answers needs no labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mlops_magics.artifact.reference import TAIL, Bins, ColumnReference, Levels, Predictions, Reference
from mlops_magics.stats.windows import Answers, ColumnWindow, Window

PREDICTION: Final = "prediction"

_FEWEST: Final = 500  # answers of earlier windows, of which one can say how the model answers
_FEW: Final = (
    "Answers are not judged yet: what the model answered to the rows that it was fitted on says little of how "
    "it answers new ones, and of earlier windows there are too few."
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
        return [_numbers(PREDICTION, known.numbers, then, now, then.numbers, now.numbers)]
    found: Pairs = []
    if then.labels:
        old = ColumnReference(
            PREDICTION, "string", then.rows, then.missing, levels=_levels(then.labels)
        )
        fresh = {name: count for name, count in now.labels.items() if name not in then.labels}
        tail = (sum(fresh.values()), *(0,) * (TAIL - 1))
        told = {name: now.labels.get(name, 0) for name in then.labels}
        new = ColumnWindow(PREDICTION, now.rows, now.missing, named=told, tail=tail, fresh=fresh)
        found.append((old, new))
    found += [
        _numbers(f"probability of {name}", bins, then, now, then.probabilities[name], now.probabilities[name])
        for name, bins in known.probabilities.items()
        if name in then.probabilities and name in now.probabilities
    ]
    return found


def _levels(labels: dict[str, int] | object) -> Levels:
    named = dict(labels)  # type: ignore[call-overload]
    return Levels(named, (0,) * TAIL, len(named))


def _numbers(
    name: str, bins: Bins, then: Answers, now: Answers, counts: tuple[int, ...], new: tuple[int, ...]
) -> tuple[ColumnReference, ColumnWindow]:
    known = Bins(bins.edges, counts, bins.minimum, bins.maximum, bins.mean, bins.std)
    return (
        ColumnReference(name, "float", then.rows, then.missing, bins=known),
        ColumnWindow(name, now.rows, now.missing, counts=new),
    )
