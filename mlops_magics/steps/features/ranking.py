"""From what is known about columns to a ranking with reasons in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from mlops_magics.stats.engine import Survey
from mlops_magics.stats.importance import Importance, Trial
from mlops_magics.stats.sample import LEVELS
from mlops_magics.stats.summary import Alert, Associations, Relation, TargetSummary
from mlops_magics.steps.features.result import Feature
from mlops_magics.steps.profile.alerts import find

_DROPS: Final = ("leak", "empty", "constant", "id", "copy")  # the first that holds is said
_ORDER: Final = (*_DROPS, "redundant", "passenger", "limit", "untried")
_PLACES: Final = ("", "the most", "second most", "third most")
_TWIN: Final = 0.8  # going together so strongly is worth a word


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is known of columns before any model.

    Attributes:
        drops: Why a column is dropped whatever a model says: an alert whose first column it is.
        spare: Columns that another one nearly follows, the same way.
    """

    drops: Mapping[str, Alert]
    spare: Mapping[str, Alert]


def verdicts(found: Survey, summary: TargetSummary) -> Verdicts:
    """Take from the profile's alerts, for each column, the first reason to drop it.

    Args:
        found: The table.
        summary: What its columns say about the target.

    Returns:
        The reasons.
    """
    skills = {item.column: max(item.skill, item.share) for item in summary.relations}
    drops: dict[str, Alert] = {}
    spare: dict[str, Alert] = {}
    alerts = [alert for alert in find(found) if alert.columns and summary.name not in alert.columns]
    for code in (*_DROPS, "redundant"):
        for alert in alerts:
            if alert.code != code or set(alert.columns) & (drops.keys() | spare.keys()):
                continue
            # Of two that say the same, the one that says more of the target stays; of equals, the earlier.
            worse, *others = sorted(alert.columns, key=skills.__getitem__)
            (spare if code == "redundant" else drops)[worse] = replace(alert, columns=(worse, *others))
    return Verdicts(drops, spare)


def ranking(
    found: Survey, summary: TargetSummary, known: Verdicts, trial: Trial, keep: int | None
) -> tuple[Feature, ...]:
    """Rank all columns.

    Args:
        found: The table.
        summary: What its columns say about the target.
        known: What is dropped whatever a model says.
        trial: What the quick model says.
        keep: How many columns to keep at most.

    Returns:
        The kept columns by importance, then the others, the most harmful first.
    """
    relations = {item.column: item for item in summary.relations}
    tried = {item.column: item for item in trial.columns}
    prose = {item.column for item in trial.columns if _prose(found, item.column)}
    kept = [item for item in trial.columns if item.passed or item.column in prose][:keep]
    twins = _Twins.of(found.table.associations)
    names = [item.column for item in kept]
    best = []
    for place, item in enumerate(kept):
        why = _kept_words(place + 1, item, len(kept))
        feature = _feature(relations[item.column], item, "kept", why, len(kept))
        best.append(twins.beside(feature, names[:place]))
    rest = []
    for name, code, why in _out(relations, known, tried, set(names), keep):
        rest.append(twins.beside(_feature(relations[name], tried.get(name), code, why, len(kept)), names))
    rest.sort(key=lambda item: (_ORDER.index(item.code), -(item.importance or 0), -item.skill, item.column))
    return (*best, *map(_with_twin, rest))


def _prose(found: Survey, name: str) -> bool:
    """Tell whether a column is prose, which trees on its most frequent values cannot judge."""
    column = found.table.by_name[name]
    return column.meaning == "text" and column.distinct > LEVELS


def _out(
    relations: Mapping[str, Relation],
    known: Verdicts,
    tried: Mapping[str, Importance],
    kept: set[str],
    keep: int | None,
) -> Iterator[tuple[str, str, str]]:
    for name in relations:
        if name in known.drops:
            yield name, known.drops[name].code, _drop_words(known.drops[name])
        elif name not in tried:
            yield name, "untried", "tells too little alone to be tried"
        elif name not in kept:
            item = tried[name]
            if item.passed:
                yield name, "limit", f"passes, but only {keep} were asked for"
            elif name in known.spare:
                yield name, "redundant", _drop_words(known.spare[name])
            else:
                yield name, "passenger", _passenger_words(item)


def _drop_words(alert: Alert) -> str:
    column = alert.columns[0]
    if alert.code == "leak":
        return f"leaks the target: {alert.what.rstrip('.')}"
    if alert.code == "copy":
        return f"says the same as {alert.columns[1]} ({abs(alert.value):.4f})"
    if alert.code == "redundant":
        return f"nearly follows {alert.columns[1]} ({abs(alert.value):.3f})"
    return alert.what.removeprefix(f"{column} ").rstrip(".")


def _passenger_words(item: Importance) -> str:
    folds = len(item.losses)
    if not item.wins:
        return f"passenger: permuting it costs no more than pure noise in {folds} of {folds} folds"
    return f"passenger: permuting it costs more than pure noise in {item.wins} of {folds} folds only"


def _kept_words(place: int, item: Importance, count: int) -> str:
    if not item.passed:
        return "kept: prose, which the quick model cannot judge"
    if not item.losses:
        return "kept: too few rows or too little time to judge it"
    rank = f"{_PLACES[place]} important" if place < len(_PLACES) else f"number {place} in importance"
    folds = len(item.ranks)
    often = sum(rank <= count for rank in item.ranks)
    where = "every fold" if often == folds else f"{often} of {folds} folds"
    return f"{rank}; among the first {count} in {where}"


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
        stable=sum(rank <= count for rank in item.ranks) / len(losses) if item and losses else None,
        skill=relation.skill,
        when_missing=relation.when_missing,
        information=relation.share,
    )


@dataclass(frozen=True, slots=True)
class _Twins:
    """How strongly columns go together, by pairs."""

    strengths: Mapping[tuple[str, str], float]

    @classmethod
    def of(cls, known: Associations) -> _Twins:
        found = {(pair.left, pair.right): abs(pair.value) for pair in known.pairs}
        for i, left in enumerate(known.names):
            found |= {
                (left, right): known.matrix[i][j] or 0.0 for j, right in enumerate(known.names) if i < j
            }
        return cls(found)

    def beside(self, feature: Feature, others: Sequence[str]) -> Feature:
        """Name the column of some others that goes together with a feature most."""
        pairs = ((self._strength(feature.column, name), name) for name in others)
        strength, name = max(pairs, default=(0.0, ""), key=lambda pair: pair[0])
        return replace(feature, twin=name, redundancy=strength) if strength else feature

    def _strength(self, one: str, other: str) -> float:
        return max(self.strengths.get((one, other), 0.0), self.strengths.get((other, one), 0.0))


def _with_twin(item: Feature) -> Feature:
    if item.code != "passenger" or item.redundancy < _TWIN:
        return item
    return replace(item, why=f"{item.why}; {item.twin} says much of it ({item.redundancy:.2f})")
