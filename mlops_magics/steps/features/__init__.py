"""Features: which columns help a model, which harm it, which only travel along - and why."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import replace

from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.names import Called
from mlops_magics.foundation.settings import Settings
from mlops_magics.stats.engine import Survey, aimed, survey
from mlops_magics.stats.importance import LEAST, MOST, Trial, importances
from mlops_magics.stats.quick import CLASSES, FOLDS
from mlops_magics.stats.summary import TargetSummary
from mlops_magics.steps.features.ranking import Verdicts, ranking, verdicts
from mlops_magics.steps.features.result import Feature, FeatureSet

__all__ = ["Feature", "FeatureSet", "features"]


def features(
    data: object,
    *,
    target: str,
    keep: int | None = None,
    budget: float = 30.0,
    called: Called | None = None,
    settings: Settings | None = None,
) -> FeatureSet:
    """Rank the columns for a target, and drop those that harm or only travel along, each with the reason.

    Dropped are columns that leak the target, have no or one value, name rows, say the same as another,
    and passengers: permuting them costs a quick model (gradient-boosted trees, five folds, on rows it has
    not seen) no more than permuting pure noise does (Boruta: Kursa and Rudnicki, 2010). Where columns
    stand in for each other, so that none seems needed, as many stay as the model misses. All is computed
    on the profile's fixed sample of rows.

    Where an experiment was chosen the ranking is kept there as ``features.json``.

    Args:
        data: A pandas or Polars DataFrame, an Arrow table, a DuckDB relation, or the path of CSV or
            parquet files.
        target: The column that is to be predicted.
        keep: How many columns to keep at most; all that pass by default.
        budget: Seconds that all of it may take. Reading the table comes first; the model is fitted on fewer
            rows or folds in what is left, which is said.
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
    known = verdicts(found, summary)
    candidates = [item.column for item in summary.relations if item.column not in known.drops]
    trial = _tried(found, known, candidates[:MOST], until)
    made = FeatureSet(
        source=name,
        target=summary.name,
        ranking=ranking(found, summary, known, trial, keep),
        folds=trial.folds,
        rows=trial.rows,
        explained=trial.explained,
        whole=trial.whole,
        notes=tuple(_notes(found, summary, trial, len(candidates))),
    )
    return _logged(made, found, settings or Settings.discover(), keep)


def _tried(found: Survey, known: Verdicts, names: list[str], until: float) -> Trial:
    held = {column.label: column for column in found.sample.columns}
    return importances(aimed(found), [held[name] for name in names], until, spare=known.spare.keys())


def _notes(found: Survey, summary: TargetSummary, trial: Trial, candidates: int) -> Iterator[str]:
    goal = found.table.by_name[summary.name]
    yield from _explained(summary.name, trial)
    if candidates > MOST:
        yield f"Importance was measured for the {MOST} columns that tell most alone."
    if candidates and trial.folds < FOLDS:
        few = found.table.sampled - goal.missing < LEAST
        why = f"there are fewer than {LEAST} rows" if few else "the time was short"
        yield f"{trial.folds} of {FOLDS} folds were fitted: {why}."
    elif trial.hurried:
        yield f"The model was fitted on {trial.rows:,} rows, some rounds may be missing: the time was short."
    elif trial.wide:
        yield f"The quick model takes {trial.rows:,} rows: there are many columns or classes."
    if goal.missing + goal.infinite:
        yield f"Rows without a target were left out: {goal.missing + goal.infinite:,}."
    personal = [column.name for column in found.table.columns if column.personal and column is not goal]
    if personal:
        yield f"Looks personal: {', '.join(personal[:5])}. Ask whether a model may use it."


def _explained(name: str, trial: Trial) -> Iterator[str]:
    if trial.folds and max(trial.whole, trial.explained or 0.0) <= 0:
        yield f"The quick model explains nothing of {name}: importance means little here."
    elif trial.explained is not None:
        yield (
            f"A quick model explains {_percent(trial.explained)} of {name} with those that pass, "
            f"{_percent(trial.whole)} with all that were tried, on rows it has not seen."
        )
    if trial.rounds:
        yield "Columns stand in for each other: the passengers left one after another, until none was left."
    if trial.folded:
        yield f"The quick model tells the {CLASSES} most frequent classes apart, and takes the others as one."


def _percent(share: float) -> str:
    return f"{max(0, round(100 * share))} %"


def _logged(made: FeatureSet, found: Survey, settings: Settings, keep: int | None) -> FeatureSet:
    if settings.experiment is None:
        return replace(made, notes=(*made.notes, "Not kept in the store: no experiment is chosen."))
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
            # A trial of fewer folds or rows is another answer.
            key=f"{table.digest}:{made.target}:{keep or ''}:{made.folds}x{made.rows}",
            files={"features.json": json.dumps(made.to_dict(), ensure_ascii=False)},
            data=data,
        )
    except MLOpsError as error:
        return replace(made, notes=(*made.notes, f"Not kept: {error.what} {error.remedy}"))
    return replace(made, logged=True)
