"""What a search comes to: a run like any other, with all its trials."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from mlops_magics.foundation.blocks import Block, Cell, Code, Facts, Name, Note, Table, Title
from mlops_magics.foundation.result import live
from mlops_magics.steps.tune.drawing import history, share_bar
from mlops_magics.tracking.records import Run
from mlops_magics.tuners.journal import Attempt
from mlops_magics.tuners.space import short

_BEST: Final = 5  # trials that are shown
_NOTED: Final = 120  # characters of what a failed trial raised


@dataclass(frozen=True)
class Study(Run):
    """A search for the best parameters, and the run that its best model is logged with.

    It goes wherever a run goes: ``%mlops_evaluate study test``, ``%mlops_register study NAME``.

    Attributes:
        metric: What was made better.
        lower: Whether less of it is better.
        score: The best, averaged over the folds.
        folds: How many folds there were.
        split: How rows were held out: "random", "time" or "group".
        by: What the dates or groups are called; None for a random split.
        as_it_came: The score of the best kind of model with the parameters that it came with; None where
            that was not tried.
        best: The best parameters by the estimator's names.
        family: Which candidate is the best: "yours", "linear", "boosting", ...
        trials: All trials that came to an end.
        importance: Which share of the good scores each parameter explains.
        resumed: How many trials an earlier search had brought to an end.
        timed_out: Whether the time was up before the trials were.
        seconds: How long the last fit took, while the kernel lives.
    """

    metric: str = ""
    lower: bool = False
    score: float = 0.0
    folds: int = 0
    split: str = "random"
    by: str | None = None
    as_it_came: float | None = None
    best: Mapping[str, Any] = field(default_factory=dict)
    family: str = ""
    trials: tuple[Attempt, ...] = ()
    importance: Mapping[str, float] = field(default_factory=dict)
    resumed: int = 0
    timed_out: bool = False
    seconds: float = live(default=0.0)

    # How many trials the time suffices for, and in which order workers end, is of the moment.
    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show the best score and parameters, what explains them, and the best trials."""
        yield Title(f"Tuned {self.model_kind}", f"{self.metric} {self.score:.4g}", "good")
        yield Facts(list(self._facts()))
        drawn = history(self.trials, lower=self.lower)
        if drawn is not None:
            yield drawn
        rows: list[tuple[Cell, ...]] = []
        for name, value in self.best.items():
            share = self.importance.get(name)
            told = (None, None) if share is None else (round(100 * share), share_bar(share))
            rows.append((Name(short(name)), _cell(value), *(told if self.importance else ())))
        if rows:
            yield Table(("parameter", "best", *(("explains %", "") if self.importance else ())), rows)
        yield from self._ranked()
        yield from (Note(text, "quiet") for text in self.notes)
        yield Code("%mlops_evaluate study TEST --target COLUMN")

    def _facts(self) -> Iterable[tuple[str, Cell]]:
        yield self.metric, f"{self.score:.4g}, the mean of {self.folds} folds"
        if self.by is not None:
            yield "divided", f"{self.split} split by {self.by}"
        if self.as_it_came is not None:
            yield "as it came", f"{self.as_it_came:.4g}"
        counts = [
            (sum(each.state == state for each in self.trials), state)
            for state in ("complete", "pruned", "failed")
        ]
        said = ", ".join(f"{count} {state}" for count, state in counts if count)
        yield "trials", f"{len(self.trials)}: {said}"
        if self.resumed:
            yield "went on from", f"{self.resumed} trials of an earlier search"
        if len({each.family for each in self.trials}) > 1:
            yield "family", self.family

    def _ranked(self) -> Iterable[Block]:
        done = [each for each in self.trials if each.state == "complete" and each.score is not None]
        sign = 1 if self.lower else -1
        done.sort(key=lambda each: (sign * (each.score or 0.0), each.number))
        several = len({each.family for each in self.trials}) > 1
        rows = [
            (
                each.number,
                each.score,
                ", ".join(
                    [
                        *([each.family] if several else []),
                        *(f"{short(name)}={_text(value)}" for name, value in each.params.items()),
                    ]
                ),
            )
            for each in done[:_BEST]
        ]
        yield Table(("trial", self.metric, "parameters"), rows)
        failed = [each for each in self.trials if each.error]
        if failed:
            yield Note(f"Trial {failed[0].number} failed: {failed[0].error[:_NOTED]}", "bad")


def _cell(value: Any) -> Cell:  # noqa: ANN401 - a parameter
    return value if isinstance(value, bool | int | float) else str(value)


def _text(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
