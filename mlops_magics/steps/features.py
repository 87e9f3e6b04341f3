"""Features: which columns help a model, which harm it, which only travel along - and why."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from mlops_magics.foundation.blocks import Block, Cell, Code, Name, Note, Table, Title, Tone
from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.names import Called
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.stats.engine import Survey, aimed, survey
from mlops_magics.stats.importance import FOLDS, MOST, Importance, Trial, importances
from mlops_magics.stats.sample import LEVELS
from mlops_magics.stats.summary import Alert, Relation, TargetSummary
from mlops_magics.steps.profile.alerts import find

_SHOWN: Final = 60
_DROPS: Final = ("leak", "empty", "constant", "id", "copy", "redundant")  # the first that holds is said
_WORDS: Final = ("", "the most", "second most", "third most")


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
        skill: How well it alone predicts the target on rows it was not fitted on, at most 1.
        information: Mutual information with the target, as a share of the target's entropy.
        stable: The share of the folds in which it is among as many of the first as are kept.
    """

    column: str
    kept: bool
    why: str
    code: str
    importance: float | None
    low: float | None
    high: float | None
    skill: float
    information: float
    stable: float | None


@dataclass(frozen=True)
class FeatureSet(Result):
    """Columns ranked, with the reasons.

    Attributes:
        source: What the table is called.
        target: The target's column.
        ranking: All columns: the kept ones by importance, then the dropped ones, the most harmful first.
        folds: How many folds the quick model was fitted on.
        explained: What it explains of the loss of knowing nothing, on rows it has not seen.
        notes: What was left out, and what the reader should know.
        logged: Whether the store holds this ranking.
    """

    source: str
    target: str
    ranking: tuple[Feature, ...]
    folds: int
    explained: float
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
        words = f"{len(self.names)} of {len(self.ranking)} columns kept"
        yield Title(f"Features for {self.target}", words, "bad" if leaks else "good")
        yield from (Note(f"{item.why[:1].upper()}{item.why[1:]}.", "bad") for item in leaks)
        rows, tones = list[Sequence[Cell]](), list[Tone]()
        for item in self.ranking[:_SHOWN]:
            cost = None if item.importance is None else round(100 * item.importance, 1)
            rows.append(
                (Name(item.column), "yes" if item.kept else "no", cost, _digits(item.skill), item.why)
            )
            tones.append("plain" if item.kept else "bad" if item.code == "leak" else "quiet")
        yield Table(("column", "keep", "costs %", "skill alone", "why"), rows, tones)
        if (more := len(self.ranking) - _SHOWN) > 0:
            yield Note(f"and {more:,} more", "quiet")
        yield from (Note(text, "quiet") for text in self.notes)
        yield Code("make_pipeline(features.transformer, ...)")


def features(
    data: object,
    *,
    target: str,
    keep: int | None = None,
    budget: float = 20.0,
    called: Called | None = None,
    settings: Settings | None = None,
) -> FeatureSet:
    """Rank the columns for a target, and drop those that harm or only travel along, each with the reason.

    Dropped are columns that leak the target, have no or one value, name rows, say the same as another,
    and passengers: permuting them costs a quick model (gradient-boosted trees, five folds, on rows it has
    not seen) no more than permuting pure noise does in three quarters of the folds (Boruta: Kursa and
    Rudnicki, 2010). All is computed on the profile's fixed sample of rows.

    Where an experiment was chosen the ranking is kept there as ``features.json``.

    Args:
        data: A table, or the path of CSV or parquet files.
        target: The column that is to be predicted.
        keep: How many columns to keep at most; all that pass by default.
        budget: Seconds that all of it may take. What did not fit is said.
        called: What the table is called; given by the front end.
        settings: Where the store is; found from the current folder by default.

    Returns:
        The ranking. ``.names`` are the columns kept, ``.dropped`` the others with their reasons, and
        ``.transformer`` is the first step of a pipeline that keeps them.

    Raises:
        NotFoundError: A file or the target is not there.
        UsageError: The data are no table, the target has no two values, there is no other column, or
            ``keep`` or ``budget`` is not above zero.
    """
    until = time.monotonic() + budget
    if (keep is not None and keep < 1) or not budget > 0:
        raise UsageError("--keep and --budget must be above zero.", "Leave them out, or give larger numbers.")
    name = called.get("data", "data") if called else "data"
    found = survey(data, target=target, source=name)
    summary = found.table.target
    if summary is None or not summary.relations:
        raise UsageError(f"{name} has no column beside the target.", "Add columns that could predict it.")
    alerts = _drops(found, summary)
    trial, notes = _tried(found, summary, alerts, until)
    made = FeatureSet(
        source=name,
        target=summary.name,
        ranking=_ranking(found, summary, alerts, trial, keep),
        folds=trial.folds,
        explained=trial.explained,
        notes=notes,
    )
    return _logged(made, found, settings or Settings.discover(), keep)


def _drops(found: Survey, summary: TargetSummary) -> dict[str, Alert]:
    """Take from the profile's alerts, for each column, the first reason to drop it."""
    skills = {item.column: max(item.skill, item.share) for item in summary.relations}
    drops: dict[str, Alert] = {}
    alerts = [alert for alert in find(found) if alert.columns and summary.name not in alert.columns]
    for code in _DROPS:
        for alert in alerts:
            if alert.code != code or set(alert.columns) & set(drops):
                continue
            # Of two that say the same, the one that says more of the target stays.
            worse, *others = sorted(alert.columns, key=skills.__getitem__)
            drops[worse] = replace(alert, columns=(worse, *others))
    return drops


def _tried(
    found: Survey, summary: TargetSummary, drops: Mapping[str, Alert], until: float
) -> tuple[Trial, tuple[str, ...]]:
    notes: list[str] = []
    candidates = [item.column for item in summary.relations if item.column not in drops]
    if len(candidates) > MOST:
        notes.append(f"Importance was measured for the {MOST} columns that tell most alone.")
        candidates = candidates[:MOST]
    chosen = [found.sample.column(name) for name in candidates]
    goal = aimed(found)
    trial = importances(goal, chosen, until) if chosen else Trial((), 0, 0.0)
    if chosen and trial.folds < FOLDS:
        why = "the time was short" if goal.codes.size >= 100 else "there are fewer than 100 rows"  # noqa: PLR2004 - see importances
        notes.append(f"{trial.folds} of {FOLDS} folds were fitted: {why}.")
    notes += trial.notes
    if trial.folds and trial.explained <= 0:
        notes.append(f"The quick model explains nothing of {summary.name}: importance means little here.")
    if goal.keep is not None:
        column = found.table.by_name[summary.name]
        notes.append(f"Rows without a target were left out: {column.missing + column.infinite:,}.")
    return trial, tuple(notes)


def _ranking(
    found: Survey,
    summary: TargetSummary,
    drops: Mapping[str, Alert],
    trial: Trial,
    keep: int | None,
) -> tuple[Feature, ...]:
    relations = {item.column: item for item in summary.relations}
    tried = {item.column: item for item in trial.columns}
    passed = [
        item for item in trial.columns if not trial.folds or item.passed or _free_text(found, item.column)
    ]
    kept = passed if keep is None else passed[:keep]
    best = [
        _feature(relations[item.column], item, "kept", _kept_words(place, item, len(kept)), len(kept))
        for place, item in enumerate(kept, 1)
    ]
    rest = [
        _feature(relations[name], tried.get(name), code, why, len(kept))
        for name, code, why in _out(relations, drops, tried, {item.column for item in kept}, keep)
    ]
    order = [*_DROPS, "passenger", "limit", "untried"]
    rest.sort(key=lambda item: (order.index(item.code), -(item.importance or 0.0), -item.skill, item.column))
    return (*best, *rest)


def _out(
    relations: Mapping[str, Relation],
    drops: Mapping[str, Alert],
    tried: Mapping[str, Importance],
    kept: set[str],
    keep: int | None,
) -> Iterator[tuple[str, str, str]]:
    for name in relations:
        if name in drops:
            yield name, drops[name].code, _drop_words(drops[name])
        elif name not in tried:
            yield name, "untried", "tells too little alone to be tried"
        elif name not in kept:
            item = tried[name]
            if item.passed or not item.losses:
                yield name, "limit", f"passes, but only {keep} were asked for"
            else:
                folds = len(item.losses)
                words = f"passenger: permuting it costs more than noise in {item.wins} of {folds} folds only"
                yield name, "passenger", words


def _drop_words(alert: Alert) -> str:
    column = alert.columns[0]
    if alert.code == "leak":
        return f"leaks the target: {alert.what.rstrip('.')}"
    if alert.code == "copy":
        return f"says the same as {alert.columns[1]} ({abs(alert.value):.4f})"
    if alert.code == "redundant":
        return f"nearly follows {alert.columns[1]} ({abs(alert.value):.3f})"
    return alert.what.removeprefix(f"{column} ").rstrip(".")


def _kept_words(place: int, item: Importance, count: int) -> str:
    if not item.losses:
        return "kept: too few rows or too little time to judge it"
    rank = f"{_WORDS[place]} important" if place < len(_WORDS) else f"number {place} in importance"
    often = sum(rank <= count for rank in item.ranks)
    return f"{rank}; among the first {count} in {often} of {len(item.ranks)} folds"


def _feature(relation: Relation, item: Importance | None, code: str, why: str, count: int) -> Feature:
    losses = item.losses if item else ()
    return Feature(
        column=relation.column,
        kept=code == "kept",
        why=why,
        code=code,
        importance=item.mean if item and losses else None,
        low=min(losses) if losses else None,
        high=max(losses) if losses else None,
        skill=relation.skill,
        information=relation.share,
        stable=sum(rank <= count for rank in item.ranks) / len(losses) if item and losses else None,
    )


def _free_text(found: Survey, name: str) -> bool:
    """Tell whether a column is prose, which trees on its most frequent values cannot judge."""
    column = found.table.by_name[name]
    return column.meaning == "text" and column.distinct > LEVELS


def _logged(made: FeatureSet, found: Survey, settings: Settings, keep: int | None) -> FeatureSet:
    if settings.experiment is None:
        return made
    from mlops_magics.tracking import findings
    from mlops_magics.tracking.records import Dataset
    from mlops_magics.tracking.store import open_store

    table = found.table
    data = Dataset(made.source[:500], table.rows, len(table.columns), table.digest)
    try:
        findings.keep(
            open_store(settings),
            settings.experiment,
            verb="features",
            key=f"{table.digest}:{made.target}:{keep or ''}:{made.folds}",  # a short trial is another answer
            files={"features.json": json.dumps(made.to_dict(), ensure_ascii=False)},
            data=data,
        )
    except MLOpsError as error:
        return replace(made, notes=(*made.notes, f"Not kept: {error.what} {error.remedy}"))
    return replace(made, logged=True)


def _digits(value: float) -> float:
    return float(f"{value:.2g}")
