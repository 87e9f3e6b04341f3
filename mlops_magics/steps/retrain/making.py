"""The model is made anew: by notebooks, or by the cells that made the champion."""

from __future__ import annotations

import ast
import contextlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from mlops_magics.foundation.cluster import joined
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError, UsageError, nearest
from mlops_magics.foundation.seal import sealed
from mlops_magics.lineage.recipe import Recipe
from mlops_magics.runner import Executed, Job, run
from mlops_magics.runner.book import read
from mlops_magics.runner.parameters import TAG, assigned
from mlops_magics.runner.pipeline import Stage, run_pipeline
from mlops_magics.runner.ray import run_on_ray
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.track.origin import RECIPE, SEAL
from mlops_magics.tracking import retrainings
from mlops_magics.tracking.recall import recall
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store

DATA: Final = "data"
"""The parameter that is given the path of the rows to train on."""

_RECORDED: Final = "%%mlops_track"


@dataclass(frozen=True, slots=True)
class Book:
    """A notebook to execute.

    Attributes:
        name: What its executed copy is called.
        content: Its path, or its cells.
        folder: Where it is executed; None for its own folder.
    """

    name: str
    content: Path | Mapping[str, Any]
    folder: Path | None = None


def books(store: Store, asked: Asked, champion: ModelVersion, experiment: str) -> tuple[Book, ...]:
    """Say what is to be executed.

    Args:
        store: The open store.
        asked: What was asked.
        champion: The version whose cells are executed where no notebook is named.
        experiment: The experiment that its runs go to.

    Raises:
        NotFoundError: Nobody recorded which cells made the champion.
        RefusedError: These cells are not the user's own, and that was not allowed.
        UsageError: No cell of them assigns the parameters.
    """
    if asked.notebooks:
        return tuple(Book(f"{place + 1}-{path.name}", path) for place, path in enumerate(asked.notebooks))
    return (_slice(store, asked, champion, experiment),)


def _slice(store: Store, asked: Asked, champion: ModelVersion, experiment: str) -> Book:
    shown = f"{champion.model}/{champion.version}"
    if champion.run_id is None:
        raise NotFoundError(f"{shown} has no run.", "Name the notebook that trains it: --notebook PATH.")
    known = recall(store, None, champion.run_id)
    try:
        recipe = Recipe.of_json(known.files[RECIPE])
    except (KeyError, ValueError) as error:
        raise NotFoundError(
            f"Nobody recorded which cells made {shown}.",
            "Name the notebook that trains it: --notebook PATH.",
        ) from error
    if not asked.allow_code and not sealed(
        store.settings.state, known.files[RECIPE], known.tags.get(SEAL, "")
    ):
        raise RefusedError(
            f"The cells of {shown} were not recorded by you here, or were changed since.",
            "They would run as you: read mlops/slice.py of its run and add --allow-code, or name a notebook.",
        )
    if not recipe.complete or not recipe.steps:
        raise NotFoundError(
            f"The cells that made {shown} are not kept whole.", "Name the notebook that trains it."
        )
    names = sorted({*asked.parameters, *([DATA] if asked.data is not None else [])})
    folder = Path(recipe.folder)
    content = _book(recipe, _assigning(recipe, tuple(names), known.name), experiment)
    return Book("slice.ipynb", content, folder if folder.is_dir() else Path.cwd())


def _book(recipe: Recipe, tagged: int | None, experiment: str) -> dict[str, Any]:
    """Write a recipe as a notebook whose cell that assigns the parameters is tagged so."""
    cells = [
        _cell(step.source, ["parameters"] if place == tagged else [] if step.ok else ["raises-exception"])
        for place, step in enumerate(recipe.steps)
    ]
    # Without the extension nothing is recorded; a cell that is no tracked one needs tracking turned on.
    head = ["%load_ext mlops_magics"]
    if not recipe.steps[-1].source.lstrip().startswith(_RECORDED):
        head.append(f'%mlops_track "{experiment}"')
    return {
        "cells": [*map(_cell, head), *cells],
        "metadata": {"kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _cell(source: str, tags: Iterable[str] = ()) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": {"tags": list(tags)} if tags else {},
        "execution_count": None,
        "outputs": [],
        "source": source,
    }


def _assigning(recipe: Recipe, names: tuple[str, ...], run_name: str) -> int | None:
    """Find the last cell that assigns all parameters."""
    if not names:
        return None
    for place in reversed(range(len(recipe.steps))):
        if set(names) <= _assigned(recipe.steps[place].source):
            return place
    raise UsageError(
        f"No one cell of those that made the run {run_name} assigns {' and '.join(names)}.",
        f'Let a cell of the notebook say {names[0]} = "..." and read the rows from there, or name a notebook '
        "with a cell tagged 'parameters': --notebook PATH.",
    )


def _assigned(source: str) -> set[str]:
    plain = "\n".join("" if line.lstrip().startswith(("%", "!")) else line for line in source.splitlines())
    try:
        tree = ast.parse(plain)
    except (SyntaxError, ValueError):
        return set()
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


@dataclass(frozen=True, slots=True)
class Place:
    """Where a retraining works, and under which name.

    Attributes:
        id: The retraining.
        folder: Its own folder.
        experiment: The experiment that its runs go to.
        rows: The file of the rows to train on; None where the notebook finds them by itself.
        record: The file in which is kept what each notebook read and wrote.
    """

    id: str
    folder: Path
    experiment: str
    rows: Path | None
    record: Path

    def executed(self) -> dict[str, Path]:
        """List the executed notebooks by name, whole or as far as they came."""
        return {path.name: path for path in sorted(self.folder.glob("*.ipynb"))}


def executed(store: Store, asked: Asked, todo: tuple[Book, ...], place: Place) -> tuple[str, ...]:
    """Execute notebooks one after another; one of which nothing has changed since the last time is reused.

    Whichever makes a run with a model is executed each time: the run is this retraining's.

    Returns:
        The names of those that were not executed again.

    Raises:
        MLOpsError: One of them did not finish; what it did is in its executed copy.
        UsageError: None of them knows a parameter.
    """
    known = set[str]().union(*(_known(path) for path in asked.notebooks))
    if asked.notebooks and (unknown := _all_parameters(asked, place).keys() - known):
        raise UsageError(
            f"No notebook has a cell tagged 'parameters' that assigns {min(unknown)}.",
            f"{nearest(min(unknown), known)} Let that cell assign its default.".strip(),
        )
    stages = [Stage(name=book.name, job=_job(store, asked, book, place)) for book in todo]
    with contextlib.ExitStack() as stack:
        watch = _Watch(store, asked, place, _engine(asked, stack))
        passed = run_pipeline(stages, record=place.record, force=asked.force, execute=watch)
    for one in passed:
        if one.executed is not None and not one.executed.finished:
            raise _failed(one.name, one.executed)
    return tuple(one.name for one in passed if one.reused)


Execute = Callable[[Job], Executed]


class _Watch:
    """Executes jobs in the time that is left for all, and sees which of them make a model."""

    def __init__(self, store: Store, asked: Asked, place: Place, engine: Execute) -> None:
        self._store, self._id, self._engine = store, place.id, engine
        self._until = time.monotonic() + asked.timeout
        self._made: tuple[str, ...] = ()

    def __call__(self, job: Job) -> Executed:
        """Execute one."""
        done = self._engine(replace(job, timeout=max(1.0, self._until - time.monotonic())))
        before, self._made = self._made, retrainings.made_by(self._store, self._id)
        if done.touched is None or self._made == before:
            return done
        return replace(done, touched=replace(done.touched, unknown="it makes the model"))


def _engine(asked: Asked, stack: contextlib.ExitStack) -> Execute:
    """Have what executes notebooks: this machine, or one Ray cluster for all, begun where one is executed."""
    if asked.engine == "local":
        return run

    def there(job: Job) -> Executed:
        stack.enter_context(joined())  # what is connected already stays as it is
        return run_on_ray(job)

    return there


def _job(store: Store, asked: Asked, book: Book, place: Place) -> Job:
    settings, given = store.settings, _all_parameters(asked, place)
    if len(asked.notebooks) > 1 and isinstance(book.content, Path):  # each is given what it knows
        given = {name: value for name, value in given.items() if name in _known(book.content)}
    context = json.dumps({retrainings.MADE_BY: place.id})
    variables = {
        "MLOPS_STORE": settings.store,
        "MLFLOW_TRACKING_URI": settings.store,
        "MLOPS_STATE": str(settings.state),
        "MLOPS_EXPERIMENT": place.experiment,
        "MLOPS_VERIFY": "false",
        "MLFLOW_RUN_CONTEXT": context,  # MLflow's own way to say something of each run that is begun
    }
    return Job(
        notebook=book.content,
        into=place.folder / book.name,
        parameters=given,
        timeout=asked.timeout,
        environment=asked.allow_env,
        variables=variables,
        folder=book.folder,
    )


def _all_parameters(asked: Asked, place: Place) -> dict[str, Any]:
    rows = {} if place.rows is None else {DATA: str(place.rows)}
    return {**asked.parameters, **rows}


def _known(path: Path) -> set[str]:
    """List the names that a notebook's cell tagged ``parameters`` assigns."""
    book = read(path)
    tagged = [cell for cell in book.node["cells"] if TAG in cell["metadata"].get("tags", [])]
    return {name for cell in tagged for name in assigned(cell["source"], book.name)}


def _failed(name: str, done: Executed) -> MLOpsError:
    failure = done.failure
    where = "" if failure is None or failure.cell is None else f" in cell {failure.cell}"
    said = "" if failure is None else f" {failure.name}: {failure.words}"
    return MLOpsError(
        f"The notebook {name} {done.status}{where}.{said}"[:2_000],
        "Its executed copy, as far as it came, is kept with the retraining's run.",
    )


def made(store: Store, model: str, identifier: str) -> str:
    """Find the run that a retraining's notebooks made: the last finished one with a model.

    Raises:
        NotFoundError: There is none.
    """
    found = retrainings.made_by(store, identifier)
    if not found:
        raise NotFoundError(
            f"The notebook made no run with a model for {model}.",
            "Fit the model in a %%mlops_track cell, or below %mlops_track NAME.",
        )
    return found[0]
