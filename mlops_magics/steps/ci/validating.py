"""The notebooks of a project are validated one by one, and what they left in the store is looked at."""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from mlops_magics.foundation.errors import MissingExtraError, NotFoundError, RefusedError
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.ci.book import Book
from mlops_magics.steps.ci.choosing import Choice, choose
from mlops_magics.steps.ci.orphans import orphans
from mlops_magics.steps.ci.repository import compared, first_commit, head
from mlops_magics.steps.ci.result import Validated, Validation
from mlops_magics.steps.ci.running import Failure, validated
from mlops_magics.targets.local import LocalTarget
from mlops_magics.tracking import behaviours, registry
from mlops_magics.tracking.context import told_of
from mlops_magics.tracking.since import (
    VALIDATION,
    Tracked,
    mark,
    set_mark,
    tracked_since,
    version_since,
    versions_now,
)
from mlops_magics.tracking.store import Store, open_store

LAST: Final = "last"  # the commit up to which all notebooks ran on this store
LENIENT: Final = "gates-may-fail"  # a cell's tag: its notebook shows gates that fail
_SKIPPED: Final = {".ipynb_checkpoints", ".venv", "venv", "node_modules", ".git", ".mlops"}
_SILENT: Final = {"raises-exception", "nbval-raises-exception", "nbval-skip"}
_NEEDED: Final = ("nbval", "pytest", "nbclient", "ipykernel")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be validated, and how.

    Attributes:
        notebooks: A glob from the project's root.
        since: The commit to compare with; "" for none; "last" for the one that the store says.
        register: Whether what the notebooks register is kept, in the project's own store.
        model: The model that a version is expected of.
        timeout: The most seconds that one notebook may take.
    """

    notebooks: str
    since: str
    register: bool
    model: str | None
    timeout: float


def validation(settings: Settings, asked: Asked) -> Validation:
    """Validate notebooks.

    Args:
        settings: Where the project and its store are.
        asked: What is to be validated.

    Raises:
        MissingExtraError: What validates is not installed.
        NotFoundError: There are no notebooks.
        RefusedError: Something is to be kept, and no store is named.
    """
    for package in _NEEDED:
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "ci")
    paths = found(settings.root, asked.notebooks)
    if not paths:
        raise NotFoundError(
            f"There is no notebook that {asked.notebooks} means.", "Name them: --notebooks 'folder/*.ipynb'."
        )
    with _place(settings, asked) as (place, environment):
        store = open_store(place)
        known = versions_now(store, asked.model) if asked.model else frozenset()
        key = f"mlops.ci.{first_commit(settings.root)[:40] or 'project'}"
        since = mark(store, key) if asked.since == LAST else asked.since
        repository = compared(settings.root, since)
        choices = choose(paths, settings.root, repository, scratch=not asked.register)
        done = tuple(_one(choice, settings.root, environment, asked, store) for choice in choices)
        notebooks = tuple(item for item, _ in done)
        made = version_since(store, asked.model, known) if asked.model else None
        runs = tuple((item.path, run) for item, tracked in done for run in tracked)
        saved = [(item.path, told) for item in choices if item.book for told in orphans(item.book)]
        remarks = (*saved, *_forgotten(store, choices, asked))
        result = Validation(notebooks, repository.base, runs, made.version if made else None, remarks)
        if asked.register and result.holds and (commit := head(settings.root)):
            set_mark(store, key, commit)
    return result


def found(root: Path, glob: str) -> tuple[str, ...]:
    """List the notebooks that a glob means, from the root on.

    Args:
        root: The project's root.
        glob: The glob.
    """
    names = (path.relative_to(root) for path in root.glob(glob) if path.suffix == ".ipynb" and path.is_file())
    return tuple(sorted(name.as_posix() for name in names if not _SKIPPED & set(name.parts)))


@contextmanager
def _place(settings: Settings, asked: Asked) -> Iterator[tuple[Settings, Mapping[str, str]]]:
    """Make what the notebooks run in: a store, and private files that nobody needs afterwards."""
    with tempfile.TemporaryDirectory(prefix="mlops-ci-") as name:
        store = settings.store if asked.register else f"sqlite:///{Path(name, 'mlflow.db')}"
        place = replace(settings, store=store, state=Path(name, "state"), standby=False, verify=False)
        # A secret that is not set comes as an empty variable, which MLflow would take for a password.
        given = {key: value for key, value in os.environ.items() if value or not key.startswith("MLFLOW_")}
        given.pop("MLFLOW_RUN_ID", None)
        environment = given | {
            "MLOPS_STORE": store,
            "MLFLOW_TRACKING_URI": store,
            "MLOPS_STATE": str(place.state),
            "MLOPS_STANDBY": "false",
            "MLOPS_VERIFY": "false",
            "IPYTHONDIR": str(Path(name, "ipython")),
            "MPLBACKEND": os.environ.get("MPLBACKEND", "module://matplotlib_inline.backend_inline"),
        }
        try:
            yield place, environment
        finally:
            target = LocalTarget(place, "")
            for endpoint in target.list():  # a server outlives its notebook, and would outlive us
                target.remove(endpoint.name)


def _one(
    choice: Choice, root: Path, environment: Mapping[str, str], asked: Asked, store: Store
) -> tuple[Validated, tuple[Tracked, ...]]:
    """Validate one notebook where it must run, and look at what it left in the store."""
    if not choice.runs:
        return Validated(choice.path, "not run", choice.because), ()
    path = root / choice.path
    book = choice.book
    begun = time.time()
    word = str(time.time_ns())
    outcome = validated(
        path,
        folder=root,
        environment={**environment, "MLOPS_NOTEBOOK": str(path), **told_of(environment, VALIDATION, word)},
        timeout=asked.timeout,
        # On a store that is kept nothing is made twice: the cells above a test would register again.
        tests=bool(book and book.tests) and not asked.register,
    )
    tracked = tracked_since(store, begun, str(path.resolve()), word)
    failures = (*outcome.failures, *_verdicts(book, tracked))
    ended = "failed" if failures and outcome.ended == "passed" else outcome.ended
    tests = dict(outcome.tests or {})
    return Validated(
        choice.path, ended, choice.because, outcome.seconds, outcome.cells, tests, failures
    ), tracked


def _verdicts(book: Book | None, runs: Sequence[Tracked]) -> Iterator[Failure]:
    """Name what failed although no cell did: gates, and tests that were told not to fail."""
    cells = book.cells if book else ()
    if not any(LENIENT in cell.tags for cell in cells):
        failed = [(run, gate) for run in runs for gate in run.gates if gate.outcome == "fail"]
        yield from (Failure(f"gate {gate.name} of run {run.name}", gate.evidence) for run, gate in failed)
    for run in runs:
        for test in run.tests:
            if not test.passed:
                yield Failure(f"test {test.name} of run {run.name}", test.evidence)
    for cell in cells:
        if cell.test is not None and (silent := cell.steering & _SILENT):
            told = f"Its tag {min(silent)} lets it pass whatever the model does. Take the tag away."
            yield Failure(f"test {cell.test}", told)


def _forgotten(store: Store, choices: Sequence[Choice], asked: Asked) -> Iterator[tuple[str, str]]:
    """Name behaviour tests of the model's champion that are in no notebook any more."""
    if not asked.model or asked.model not in registry.models(store):
        return
    standing = registry.standing(store, asked.model)
    number = standing.aliases.get("champion")
    titles = {title for choice in choices if choice.book for title in choice.book.tests}
    for version in standing.versions:
        if version.version == number:
            for test in behaviours.read(store, version):
                if test.name not in titles:
                    yield f"{asked.model}@champion", f"its test '{test.name}' is in no notebook"


def refuse_without_store(settings: Settings) -> None:
    """Refuse to keep something in a file that is gone with the machine that a CI has lent.

    Raises:
        RefusedError: No store is named, and this is a CI.
    """
    own = f"sqlite:///{settings.root / 'mlflow.db'}"
    if settings.store == own and os.environ.get("CI"):
        raise RefusedError(
            "No store is named, and this machine's own file is gone when the job ends.",
            "Give the store's address as the secret MLOPS_STORE.",
        )
