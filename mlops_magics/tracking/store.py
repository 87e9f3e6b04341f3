"""Where all is logged: opening an MLflow store, and turning its failures into sentences."""

from __future__ import annotations

import contextlib
import logging
import os
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mlops_magics.foundation.errors import MLOpsError, UnavailableError
from mlops_magics.foundation.files import write_atomic
from mlops_magics.foundation.locks import locked
from mlops_magics.foundation.masking import masked
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking.failures import converted, told_once
from mlops_magics.tracking.reach import admitted, is_database, reach

Written = TypeVar("Written")

_REACH_SECONDS = 2.0  # MLflow itself would retry a dead server for four minutes
_NOISY = ("mlflow.store.db.utils", "alembic", "mlflow.tracking.fluent")
_ONCE = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "AWS_MAX_ATTEMPTS": "1",
    "PGCONNECT_TIMEOUT": "2",  # the least that PostgreSQL's client takes
}
_RACES = 5
_RACED = ("integrityerror", "unique constraint", "duplicate key", "duplicate entry", "already exists")
_IGNORED = ("mlflow.db", "mlflow.db-journal", "mlartifacts/", ".mlops/")


@dataclass(frozen=True, slots=True)
class Store:
    """An open MLflow store.

    Attributes:
        uri: Its tracking address; the registry is the same.
        client: MLflow's client. Run ids are always given: the thread's run stack is never used.
        settings: The settings it was opened with.
    """

    uri: str
    client: Any
    settings: Settings

    @property
    def shown(self) -> str:
        """The address as it may be shown: without a password, below the project's root by name only."""
        path = sqlite_path(self.uri)
        if path is not None and path.parent == self.settings.root:
            return path.name
        return masked(self.uri)

    @property
    def local(self) -> bool:
        """Whether it is a SQLite file on this machine."""
        return sqlite_path(self.uri) is not None

    def experiment_id(self, name: str) -> str:
        """Find an experiment by name, or make it; a deleted one is restored.

        Args:
            name: The experiment's name.
        """
        checked_name(name, "experiment")
        with door(f"The experiment '{name}'"):
            return raced(lambda: self._found_or_made(name))

    def _found_or_made(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        if found is None:
            return str(self.client.create_experiment(name, artifact_location=self.artifacts()))
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(found.experiment_id)
        return str(found.experiment_id)

    def artifacts(self) -> str | None:
        """Say where files go: where the settings say, or beside a SQLite file; None where a server knows it.

        A database has no place: MLflow would take the folder that the kernel happens to be in.
        """
        path = sqlite_path(self.uri)
        if self.settings.artifacts is not None:
            return self.settings.artifacts
        if path is None and not is_database(self.uri):
            return None
        return ((self.settings.root if path is None else path.parent) / "mlartifacts").as_uri()


def open_store(settings: Settings, *, patience: float = _REACH_SECONDS) -> Store:
    """Open the store that the settings name; a SQLite file is made when it is not there.

    Args:
        settings: Where it is.
        patience: Seconds within which a server must answer.

    Returns:
        The open store.

    Raises:
        UnavailableError: It cannot be reached in that time, or its folder is not writable.
    """
    reach(settings.store, patience)
    path = sqlite_path(settings.store)
    with door(f"The store {masked(settings.store)}"), _quiet():
        from mlflow import MlflowClient

        if is_database(settings.store):
            admitted(settings.store)
            # Of two that make the tables of an empty database one must wait; of another machine's kernel we
            # do not know, but the slower one finds the tables when it looks again.
            with locked(settings.state / "locks" / "create-store"):
                client = raced(lambda: MlflowClient(settings.store, settings.store))
            return Store(settings.store, client, settings)
        if path is None or path.exists():
            return Store(settings.store, MlflowClient(settings.store, settings.store), settings)
        _writable(path.parent)
        # Two kernels that open a new store at once would both create its tables.
        with locked(settings.state / "locks" / "create-store"):
            client = MlflowClient(settings.store, settings.store)
            client.search_experiments(max_results=1)
        _ignore_in_git(settings.root, path)
        return Store(settings.store, client, settings)


def reconnect(store: Store) -> None:
    """Let go of the connections to a SQLite file that was put in another one's place.

    MLflow keeps them for as long as the process lives, and they would go on with the file that is gone.

    Args:
        store: The open store.
    """
    for part in (store.client._tracking_client, store.client._get_registry_client()):  # noqa: SLF001 - MLflow has no other way
        if (engine := getattr(part.store, "engine", None)) is not None:
            engine.dispose()


def sqlite_path(uri: str) -> Path | None:
    """Return the file of a SQLite address; None for any other address."""
    if not uri.startswith("sqlite:///"):
        return None
    return Path(uri.removeprefix("sqlite:///").partition("?")[0]).absolute()


def read_only(path: Path) -> sqlite3.Connection:
    """Open a SQLite file so that nothing can be written; a writer is waited for five seconds."""
    return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5.0)


def _writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".mlops-probe"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UnavailableError(
            f"The store cannot be made in {folder}: {error.strerror}.",
            "Make the folder writable, or choose another store with %mlops --store URI.",
        ) from error


def _ignore_in_git(root: Path, path: Path) -> None:
    """Keep the store out of the project's commits, where there is a git folder and the store is in it."""
    if not (root / ".git").exists() or path.parent != root:
        return
    file = root / ".gitignore"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    missing = [line for line in _IGNORED if line not in text.splitlines()]
    if missing:
        joint = "" if not text or text.endswith("\n") else "\n"
        with contextlib.suppress(UnavailableError):  # a courtesy, never a reason to fail
            write_atomic(file, text + joint + "\n".join(missing) + "\n")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep MLflow's migration log out of the cell: it comes once only, so no output would be stable."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextlib.contextmanager
def switched(**variables: str) -> Iterator[None]:
    """Set some of MLflow's environment variables for the length of a ``with`` block.

    It prints progress bars and addresses into the cell, where they would never be the same twice.

    Args:
        **variables: The variables, whatever the user has set them to.
    """
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextlib.contextmanager
def impatient(seconds: int = 10) -> Iterator[None]:
    """Ask for each thing once for the length of a ``with`` block.

    MLflow would ask a failing server again for four minutes, and the clients of file stores and databases
    are patient too.

    Args:
        seconds: How long a server may take for an answer.
    """
    with switched(**_ONCE, MLFLOW_HTTP_REQUEST_TIMEOUT=str(seconds)):
        yield


@contextlib.contextmanager
def fetching() -> Iterator[None]:
    """Bring files from the store for the length of a ``with`` block: quietly, and by the way that there is.

    A server before a bucket would send each reader to the bucket itself. One that only the server may reach
    costs minutes a file before MLflow asks the server after all; who has a shorter way may still say so.
    """
    directly = os.environ.get("MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD", "false")
    with switched(
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR="false", MLFLOW_ENABLE_PROXY_MULTIPART_DOWNLOAD=directly
    ):
        yield


def raced(write: Callable[[], Written]) -> Written:
    """Write again when another kernel wrote the same thing first.

    MLflow looks whether a row is there and then adds it; of two kernels that do so at once the slower
    fails on the table's own constraint, and finds the row when it looks again.

    Args:
        write: What looks and then writes; doing it twice must be the same as once.

    Returns:
        What it returned.
    """
    for _ in range(_RACES - 1):
        try:
            return write()
        except Exception as error:
            if not any(sign in str(error).lower() for sign in _RACED):
                raise
    return write()


@contextlib.contextmanager
def door(subject: str) -> Iterator[None]:
    """Turn what MLflow and its backends raise into our errors.

    Args:
        subject: What was asked for, as the beginning of a sentence.
    """
    try:
        with told_once():
            yield
    except MLOpsError:
        raise
    except Exception as error:
        told = converted(subject, error)
        if told is None:
            raise
        raise told from error
