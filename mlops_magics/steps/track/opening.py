"""A run that is opened at once or only when it is known to be a new one, and that always ends."""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.lineage.fits import Fit
from mlops_magics.steps.track.attempt import Outcome, Place, Start
from mlops_magics.tracking import identity, runs
from mlops_magics.tracking.records import Run

_UNNAMED = "cell"  # a run that fitted no model and was given no name


class Opening:
    """A run of a cell.

    Args:
        start: What is known before the cell is executed.
        place: Where runs go.
    """

    def __init__(self, start: Start, place: Place) -> None:
        self.start = start
        self.place = place
        self._run: tuple[str, str] | None = None

    def open(self, kind: str | None = None) -> tuple[str, str]:
        """Start the run, unless it is; return its id and name.

        Args:
            kind: The kind of its model, which names a run that was given no name: made-up names would
                differ each time the notebook is validated.
        """
        named = self.start.options.name
        if self._run is not None and kind and named is None and self._run[1] != kind:
            runs.rename(self.place.store, self._run[0], kind)
            self._run = (self._run[0], kind)
        if self._run is None:
            start, place = self.start, self.place
            self._run = runs.start(
                place.store,
                place.experiment_id,
                name=named or kind or _UNNAMED,
                source=start.body.source,
                git=place.git,
                begun=start.begun,
                tags={identity.KEY: start.key.digest},
            )
            runs.log_files(place.store, self._run[0], runs.source_files(start.body.source, place.git))
        return self._run

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Keep the run's lease, where it is open."""
        if self._run is None:
            yield
            return
        with runs.kept_alive(self.place.store, self._run[0]):
            yield

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """End the run in the right status when the block does not end well; what it raised goes on."""
        try:
            yield
        except BaseException as error:
            self.failed(error)
            raise

    def failed(self, error: BaseException, kind: str | None = None) -> None:
        """End the run as one that failed, or was interrupted; a run that was not open yet is made.

        Args:
            error: What the cell raised.
            kind: The kind of the model that it had fitted by then.
        """
        # The cell's own error matters more than a store that cannot write it down.
        with contextlib.suppress(MLOpsError):
            run_id, _ = self.open(kind)
            status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
            with contextlib.suppress(MLOpsError):
                text = "".join(traceback.format_exception(error))
                runs.log_files(self.place.store, run_id, {"mlops/traceback.txt": text})
            runs.finish(self.place.store, run_id, status)

    def settled(self, fits: list[Fit], prior: tuple[identity.Known, ...]) -> Run:
        """Write the run; or, where an earlier one of the same key had the same outcome, attach to it.

        Args:
            fits: What the cell fitted.
            prior: The earlier runs of the same key.
        """
        store = self.place.store
        with self.closed():
            outcome = Outcome.of(self.start, fits)
            twin = next((item for item in prior if item.outcome == outcome.digest), None)
            if twin is not None:
                repeats = identity.attach(store, twin)
                remark = (
                    f"The same cell on the same data, with the same outcome: it is run {twin.name} again."
                )
                return outcome.run(
                    self.place.experiment,
                    twin.run_id,
                    twin.name,
                    twin.model_id,
                    repeats=repeats,
                    remark=remark,
                )
            remark = self._told(outcome, prior)
            run_id, name = self.open(outcome.kind)
            run = outcome.written(self.place, run_id, name, remark)
        runs.finish(store, run.id, "FINISHED")
        return run

    def _told(self, outcome: Outcome, prior: tuple[identity.Known, ...]) -> str:
        """Compare a new outcome with what there is, and note that on the run."""
        store = self.place.store
        if prior:
            because = outcome.cause()
            runs.log(store, self.open(outcome.kind)[0], tags={identity.DIFFERS: because})
            return f"Not deterministic: the same cell on the same data was run {prior[0].name}; {because}."
        found = identity.alike(store, self.place.experiment_id, outcome.digest) if outcome.fit else None
        if found is None:
            return ""
        runs.log(store, self.open(outcome.kind)[0], tags={identity.SAME_AS: found.run_id})
        return f"The same outcome as run {found.name}, from another cell or other data."
