"""What came of asking for a retraining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from mlops_magics.foundation.blocks import Block, Facts, Note, Table, Title, Tone
from mlops_magics.foundation.result import Result
from mlops_magics.steps.retrain.fresh import Counts

REFUSED: Final = 3
"""The exit code of a command whose new version a gate refused, or that was rolled back."""

_TONES: Final[Mapping[str, Tone]] = {
    "promoted": "good",
    "registered": "good",
    "unchanged": "quiet",
    "skipped": "quiet",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What an evaluation on one holdout said of the new version.

    Attributes:
        holdout: "frozen" or "recent".
        rows: How many rows it has.
        metric: The metric that the champion gate went by; "" where nothing was compared.
        new: The new version's value.
        champion: The champion's, on the same rows.
        better: Whether the new one is surely better; False for surely worse, None for inside the noise.
        refusal: Why it may not be promoted by this; "" where it may.
    """

    holdout: str
    rows: int
    metric: str = ""
    new: float | None = None
    champion: float | None = None
    better: bool | None = None
    refusal: str = ""


@dataclass(frozen=True)
class Retraining(Result):
    """What came of asking for a retraining.

    Attributes:
        model: The registered model.
        outcome: "promoted", "registered" (where no alias was asked for), "refused" by a gate, "rolled back",
            "unchanged" where the same model came of it, or "skipped".
        why: Why that came of it.
        reason: Why it began.
        id: What tells it from any other, in MLflow and in the history of the model.
        record: MLflow's id of the run in the ledger of the model's retrainings.
        run: MLflow's id of the run that made the model.
        version: The new version.
        alias: The alias that it was for.
        before: The version that the alias pointed to.
        judged: What its evaluations said.
        counts: What became of the rows of the source; None where there was none.
        trained: How many rows it was trained on; None where that is not known.
        notes: What else is to be known.
        reused: The notebooks that were not executed again, since nothing of them has changed.
    """

    model: str
    outcome: str
    why: str
    reason: str = ""
    id: str = ""
    record: str = ""
    run: str = ""
    version: str = ""
    alias: str = ""
    before: str | None = None
    judged: tuple[Judged, ...] = ()
    counts: Counts | None = None
    trained: int | None = None
    notes: tuple[str, ...] = ()
    reused: tuple[str, ...] = ()

    volatile: ClassVar[bool] = True

    @property
    def holds(self) -> bool:
        """Whether it was done, or rightly left out."""
        return self.outcome not in {"refused", "rolled back"}

    @property
    def exit_code(self) -> int:
        """What a command ends with: 0 done or rightly left out, 3 refused by a gate or rolled back."""
        return 0 if self.holds else REFUSED

    def blocks(self) -> Iterable[Block]:
        """Show what came of it and why, the rows, and the new version beside the champion."""
        yield Title(f"Retrain {self.model}", self.outcome, _TONES.get(self.outcome, "bad"))
        yield Note(self.why)
        facts: list[tuple[str, str | int]] = []
        if self.reason:
            facts.append(("because", self.reason))
        if self.version:
            now = f"version {self.version}"
            facts.append(("made", f"{now}, for {self.alias}" if self.alias else now))
        if self.trained is not None:
            facts.append(("trained on", f"{self.trained:,} rows"))
        if self.counts is not None:
            facts.append(("rows", _told(self.counts)))
        if facts:
            yield Facts(facts)
        if self.judged:
            words = {True: "better", False: "worse", None: "inside the noise"}
            yield Table(
                ("holdout", "rows", "metric", "new", "champion", "reading"),
                [
                    (
                        one.holdout,
                        one.rows,
                        one.metric or None,
                        one.new,
                        one.champion,
                        "" if one.champion is None else words[one.better],
                    )
                    for one in self.judged
                ],
                ["bad" if one.refusal else "plain" for one in self.judged],
            )
        for note in self.notes:
            yield Note(note, "quiet")

    def ids(self) -> Mapping[str, str]:
        """Name the retraining, its run and its version."""
        known = {"id": self.id, "record": self.record, "run_id": self.run, "version": self.version}
        return {name: text for name, text in known.items() if text}


def sentence(words: str) -> str:
    """Write words as a sentence: a capital at its beginning, one stop at its end."""
    return f"{words[:1].upper()}{words[1:].rstrip('.')}."


def _told(counts: Counts) -> str:
    said = [f"{counts.new:,} new of {counts.read:,}"]
    if counts.old:
        said.append(f"{counts.old:,} trained on before")
    if counts.late:
        said.append(f"{counts.late:,} late ones left out")
    if counts.unlabelled:
        said.append(f"{counts.unlabelled:,} without a label")
    if counts.without_cursor:
        said.append(f"{counts.without_cursor:,} without a cursor")
    return ", ".join(said)
