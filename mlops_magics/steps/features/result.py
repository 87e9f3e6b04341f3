"""What came of ranking columns: frozen facts, and how they are shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from mlops_magics.foundation.blocks import Block, Cell, Code, Figure, Name, Note, Table, Title, Tone, shown
from mlops_magics.foundation.result import Result

_SHOWN: Final = 60
_WIDE, _HIGH = 96, 14
_LETTERS: Final = 10  # of the longest bar in plain text


@dataclass(frozen=True, slots=True)
class Feature:
    """A column, and whether a model should have it.

    Attributes:
        column: Its name.
        kept: Whether it is kept.
        why: The reason, in words.
        code: The reason in a word: "kept", "leak", "empty", "constant", "id", "copy", "redundant",
            "passenger", "limit", "untried".
        importance: What permuting it costs the quick model, as a share of the loss of knowing nothing,
            averaged over the folds; None where it was not tried.
        low: The least of the folds.
        high: The greatest of the folds.
        stable: The share of the folds in which it is among as many of the first as are kept.
        skill: How well it alone predicts the target on rows it was not fitted on, at most 1.
        when_missing: The same of nothing but whether it is missing.
        information: Mutual information with the target, as a share of the target's entropy.
        twin: The kept column, ranked before it, that it goes together with most; "" for none.
        redundancy: How strongly, 0 to 1: correlation, Cramer's V or correlation ratio.
    """

    column: str
    kept: bool
    why: str
    code: str
    importance: float | None
    low: float | None
    high: float | None
    stable: float | None
    skill: float
    when_missing: float
    information: float
    twin: str = ""
    redundancy: float = 0.0


@dataclass(frozen=True)
class FeatureSet(Result):
    """Columns ranked, with the reasons.

    Attributes:
        source: What the table is called.
        target: The target's column.
        ranking: All columns: the kept ones by importance, then the dropped ones, the most harmful first.
        folds: How many folds the quick model was fitted on.
        rows: How many rows it was fitted and judged on.
        explained: What it explains of the loss of knowing nothing with the kept columns, on rows it has
            not seen; None where that was not measured.
        whole: The same with all columns that were tried.
        notes: What was left out, and what the reader should know.
        logged: Whether the store holds this ranking.
    """

    source: str
    target: str
    ranking: tuple[Feature, ...]
    folds: int
    rows: int
    explained: float | None
    whole: float
    notes: tuple[str, ...] = ()
    logged: bool = False

    @property
    def names(self) -> list[str]:
        """The columns that are kept, the most important first."""
        return [item.column for item in self.ranking if item.kept]

    @property
    def dropped(self) -> Mapping[str, str]:
        """The columns that are dropped, each with the reason."""
        return {item.column: item.why for item in self.ranking if not item.kept}

    @property
    def transformer(self) -> Any:  # noqa: ANN401 - scikit-learn ships no types
        """The first step of a pipeline, which keeps these columns and drops all others."""
        from mlops_magics.model_parts.keep import KeepColumns

        return KeepColumns(self.names)

    def blocks(self) -> Iterable[Block]:
        """Show leaks first, then the columns by importance, then what is dropped and why."""
        leaks = [item for item in self.ranking if item.code == "leak"]
        words = f"{len(self.names):,} of {len(self.ranking):,} columns kept"
        yield Title(f"Features for {shown(Name(self.target))}", words, "bad" if leaks else "good")
        yield from (Note(f"{item.why[:1].upper()}{item.why[1:]}.", "bad") for item in leaks)
        rows, tones = list[Sequence[Cell]](), list[Tone]()
        most = max((item.importance or 0.0 for item in self.ranking), default=0.0)
        for item in self.ranking[:_SHOWN]:
            cost = None if item.importance is None else round(100 * item.importance, 1)
            keep = "yes" if item.kept else "no"
            rows.append((Name(item.column), keep, cost, _bar(item, most), _digits(item.skill), item.why))
            tones.append("plain" if item.kept else "bad" if item.code == "leak" else "quiet")
        yield Table(("column", "keep", "costs %", "", "skill alone", "why"), rows, tones)
        if (more := len(self.ranking) - _SHOWN) > 0:
            yield Note(f"and {more:,} more", "quiet")
        yield from (Note(text, "quiet") for text in self.notes)
        if self.names:
            yield Code("make_pipeline(features.transformer, ...)")


def _bar(item: Feature, most: float) -> Figure | None:
    """Draw the mean as a bar, and a line from the least to the greatest of the folds."""
    if item.importance is None or item.low is None or item.high is None or most <= 0:
        return None

    def place(value: float) -> int:
        return min(_WIDE, max(0, round(0.8 * _WIDE * value / most)))

    mean, low, high = place(item.importance), place(item.low), place(item.high)
    words = f"{shown(round(100 * item.low, 1))} to {shown(round(100 * item.high, 1))} % in the folds"
    line = f'<rect x="{low}" y="6" width="{max(1, high - low)}" height="2"/>' if item.kept else ""
    svg = (
        f'<svg viewBox="0 0 {_WIDE} {_HIGH}" width="{_WIDE}" height="{_HIGH}" role="img" '
        f'aria-label="{escape(words)}"><rect x="0" y="2" width="{mean}" height="{_HIGH - 4}" '
        f'opacity="0.45"/>{line}</svg>'
    )
    return Figure(svg, "▇" * round(_LETTERS * max(0.0, item.importance) / most))


def _digits(value: float) -> float:
    return float(f"{value:.2g}")
