"""Where runs go: into the store, or, while it does not answer, onto this machine's disk."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from mlops_magics.foundation.errors import MLOpsError, UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import identity
from mlops_magics.tracking.provenance import GitState, git_state
from mlops_magics.tracking.spool import AWAY, Spool, replayed
from mlops_magics.tracking.store import Store, impatient, open_store

_PATIENCE = 0.4  # seconds: a cell must not lose one to a store that is down
_REPLAYING = 0.3  # seconds of a cell that may go into writing what waits


@dataclass(frozen=True, slots=True)
class Link:
    """An open store.

    Attributes:
        store: The store.
        experiment_id: MLflow's id of the experiment.
        experiment: The experiment's name.
    """

    store: Store
    experiment_id: str
    experiment: str


class Place:
    """Where the runs of a cell go.

    Args:
        settings: Where the store is.
        experiment: Another experiment than the chosen one.

    Attributes:
        settings: The settings.
        experiment: The experiment's name.
        git: The state of the repository.
        link: The open store; None while it does not answer.
        reason: Why it does not.

    Raises:
        UsageError: No experiment was ever chosen.
    """

    def __init__(self, settings: Settings, experiment: str | None = None) -> None:
        chosen = experiment or settings.experiment
        if chosen is None:
            raise UsageError(
                "No experiment is chosen yet.",
                "Choose one with %mlops_track NAME, or write its name on this line.",
            )
        self.settings = settings
        self.experiment = chosen
        self.git: GitState | None = git_state(settings.root)
        self.link: Link | None = None
        self.reason: MLOpsError | None = None
        with self.trying():
            store = open_store(settings, patience=_PATIENCE)
            self.link = Link(store, store.experiment_id(chosen), chosen)
            replayed(settings, store, seconds=_REPLAYING)

    @property
    def spool(self) -> Spool:
        """The runs that wait for the store."""
        return Spool.of(self.settings)

    @contextlib.contextmanager
    def trying(self) -> Iterator[None]:
        """Talk to the store; where it fails, the block ends and there is no link any more."""
        try:
            with impatient():
                yield
        except AWAY as error:
            self.link, self.reason = None, error

    def known(self, key: str) -> tuple[identity.Known, ...]:
        """Find the earlier runs of a key; none while the store does not answer."""
        found: tuple[identity.Known, ...] = ()
        if self.link is not None:
            with self.trying():
                found = identity.known(self.link.store, self.link.experiment_id, key)
        return found

    def waiting(self) -> str:
        """Say what waits, and why."""
        return self.spool.said(self.reason)
