"""Profile: data explain themselves. What columns hold, what harms, which portion serves the question."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Literal

from mlops_magics.foundation.errors import MLOpsError, UnavailableError, UsageError
from mlops_magics.foundation.names import Called
from mlops_magics.foundation.settings import Settings
from mlops_magics.stats.engine import Survey, survey
from mlops_magics.steps.profile.alerts import find
from mlops_magics.steps.profile.comparison import compare
from mlops_magics.steps.profile.desk import DataDesk
from mlops_magics.steps.profile.privacy import quiet, without_values
from mlops_magics.steps.profile.result import Profile

_SUFFIXES = (".html", ".json")


def profile(
    data: object,
    *,
    target: str | None = None,
    against: object = None,
    save: Path | None = None,
    log_values: bool = False,
    engine: Literal["local", "ray"] = "local",
    called: Called | None = None,
    settings: Settings | None = None,
) -> Profile:
    """Explain a table: every column, what harms a model, what the columns say about a target.

    Up to 2,000,000 rows all numbers about a column are exact. Of longer tables the moments, the histogram
    and the counts are, and quantiles and large distinct counts are marked with their standard error.
    How columns go together, missing patterns and segments come from one fixed sample of 100,000 rows.

    Where an experiment was chosen (``%mlops_track NAME``) the profile is kept there as ``profile.json`` and
    ``profile.html``, with the table's digest as an input. Values of columns that look personal are left out
    of that.

    Args:
        data: A pandas or Polars DataFrame, an Arrow table, a DuckDB relation, or the path of CSV or parquet
            files, which may be larger than memory: one, a pattern such as ``"data/*.parquet"``, or a folder.
        target: The column that is to be predicted: what each other column alone says about it, columns that
            leak it, and the portions of the rows in which it differs most.
        against: Another table, to compare column by column.
        save: Where to write the profile: a path that ends with .html (one page that opens offline) or .json.
        log_values: Keep the values of columns that look personal in the store too.
        engine: Who reads the table: this process, or the tasks of a Ray cluster (``RAY_ADDRESS``, or Ray
            on this machine), for files that one machine would read for hours; every machine must see them.
        called: What the tables are called; given by the front end.
        settings: Where the store is; found from the current folder by default.

    Returns:
        The profile. ``.columns["x"].missing_rate`` and the like say all that is shown.

    Raises:
        NotFoundError: A file or the target is not there.
        UsageError: The data are no table, the target has no two values, or ``save`` ends otherwise.
        UnavailableError: The page cannot be written there.
        MissingExtraError: ``engine`` is "ray", and Ray is not installed.
    """
    if save is not None and save.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"A profile cannot be saved as '{save}'.", "Let the path end with .html or .json.")
    name = called.get("data", "data") if called else "data"
    found = survey(data, target=target, source=name, engine=engine)
    made = Profile(found.table, find(found), desk=DataDesk(data, found))
    if against is not None:
        other = called.get("against", "the other table") if called else "the other table"
        made = _compared(made, found, survey(against, source=other, engine=engine))
    made = _kept(made, settings or Settings.discover(), log_values=log_values)
    if save is not None:
        _saved(made, save)
    return made


def _compared(made: Profile, found: Survey, other: Survey) -> Profile:
    return replace(made, changes=compare(other, found), against=other.table.source)


def _kept(made: Profile, settings: Settings, *, log_values: bool) -> Profile:
    """Keep the profile where an experiment was chosen; a store that is down costs a note, not the profile."""
    if settings.experiment is None:
        return made
    from mlops_magics.tracking import findings
    from mlops_magics.tracking.records import Dataset
    from mlops_magics.tracking.store import open_store

    table = made.table
    told = made if log_values else _told(made)
    goal = table.target.name if table.target else ""
    key = f"{table.digest}:{goal}:{made.against or ''}:{'values' if log_values else ''}"
    files = {"profile.json": told.to_json(), "profile.html": told.to_html()}
    data = Dataset(table.source[:500], table.rows, len(table.columns), table.digest)
    try:
        findings.keep(
            open_store(settings), settings.experiment, verb="profile", key=key, files=files, data=data
        )
    except MLOpsError as error:
        return replace(made, notes=(*made.notes, f"Not kept: {error.what} {error.remedy}"))
    return replace(made, kept=True)


def _told(made: Profile) -> Profile:
    """Return the profile as it may leave the kernel."""
    table = without_values(made.table)
    return replace(made, table=table, changes=quiet(made.changes, made.table), desk=None)


def _saved(made: Profile, path: Path) -> None:
    text = made.to_json() if path.suffix.lower() == ".json" else made.to_html()
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UnavailableError(
            f"{path} cannot be written: {error.strerror}.", "Choose a folder that exists and may be written."
        ) from error
