"""A run that is opened at once or only when it is known to be a new one, and that always ends."""

from __future__ import annotations

import contextlib
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from mlops_magics.foundation.errors import MLOpsError
from mlops_magics.foundation.masking import masked
from mlops_magics.lineage.fits import Fit
from mlops_magics.steps.track.attempt import Outcome, Start
from mlops_magics.steps.track.kept import Kept, around, shown
from mlops_magics.steps.track.origin import origin
from mlops_magics.steps.track.place import Link, Place
from mlops_magics.steps.track.reuse import keep
from mlops_magics.tracking import identity, runs
from mlops_magics.tracking.drafts import KEY, OFFLINE, Draft, write
from mlops_magics.tracking.records import Failure, Run
from mlops_magics.tracking.searches import Cell

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
        source = start.body.source
        self._sent: dict[str, str | bytes] = {}  # files that the store has
        link = place.link
        self.cell = Cell(
            experiment=place.experiment,
            begin=self._begun,
            lost=self._lost,
            name=start.options.name or "",
            store=None if link is None else link.store,
            experiment_id="" if link is None else link.experiment_id,
        )
        self._draft = Draft(
            experiment=place.experiment,
            name=start.options.name or _UNNAMED,
            begun=start.begun,
            forced=start.options.force,
            tags=runs.starting_tags(source, place.git) | {identity.KEY: start.key.digest},
            files={path: masked(text) for path, text in runs.source_files(source, place.git).items()},
        )

    def open(self) -> None:
        """Start the run, so that it is seen while its cell is executed; what fails is written later."""
        link, start = self.place.link, self.start
        if link is None:
            return
        found = around(start.body, self.place.settings)
        self._draft = self._draft.with_(tags={**self._draft.tags, **found.tags}, kept=found.files)
        with self.place.trying():
            run_id, _ = runs.start(
                link.store,
                link.experiment_id,
                name=self._draft.name,
                source=start.body.source,
                git=self.place.git,
                begun=start.begun,
                # By the draft's key it is found again where the store made it and its answer was lost.
                tags={identity.KEY: start.key.digest, KEY: self._draft.key},
            )
            self._draft = self._draft.with_(run_id=run_id)
            files: dict[str, str | bytes] = {**self._draft.files, **self._draft.kept}
            runs.log_files(link.store, run_id, files)
            self._sent = files

    def _begun(self, known: str | None) -> str:
        """Open the run, where it is not open yet: a search in the cell is this run, or the one it was."""
        if self._draft.run_id is None:
            if known is not None:
                return known
            self.open()
        return self._draft.run_id or f"{OFFLINE}{self._draft.key}"

    def _lost(self, reason: MLOpsError) -> None:
        self.place.link, self.place.reason = None, reason

    @contextlib.contextmanager
    def alive(self) -> Iterator[None]:
        """Keep the run's lease, where it is open."""
        if self._draft.run_id is None or self.place.link is None:
            yield
            return
        with runs.kept_alive(self.place.link.store, self._draft.run_id):
            yield

    @contextlib.contextmanager
    def closed(self) -> Iterator[None]:
        """End the run in the right status when the block does not end well; what it raised goes on."""
        try:
            yield
        except BaseException as error:
            self.failed(error)
            raise

    def failed(self, error: BaseException, kind: str | None = None) -> Failure | None:
        """End the run as one that failed, or was interrupted; a run that was not open yet is made.

        Args:
            error: What the cell raised.
            kind: The kind of the model that it had fitted by then.

        Returns:
            The run; None where nothing takes it.
        """
        status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
        text = masked("".join(traceback.format_exception(error)))
        files = dict(self._draft.files) | {"mlops/traceback.txt": text}
        with contextlib.suppress(MLOpsError):  # the cell's own error matters more
            seen, draft = self._seen(), self._named(kind)
            tags = {**draft.tags, **seen.tags}
            draft = draft.with_(status=status, tags=tags, files=files, kept=seen.files)
            run_id, _ = self._committed(draft, None)
            body = self.start.body
            failure = Failure(run_id, draft.name, status, body.source.mark)
            if body.failed is not None:
                body.failed(failure)
            return failure
        return None

    def settled(self, fits: list[Fit], prior: tuple[identity.Known, ...], why: str = "") -> Run:
        """Write the run; or, where an earlier one of the same key had the same outcome, attach to it.

        Args:
            fits: What the cell fitted.
            prior: The earlier runs of the same key.
            why: Why it was executed, where that is to be said.
        """
        with self.closed():
            outcome = Outcome.of(self.start, fits, self.cell.found)
            twin = next((item for item in prior if item.outcome == outcome.digest), None)
            if self._draft.run_id is not None:  # what a search in the cell has opened is a run of its own
                twin = None
            if twin is not None and (run := self._attached(outcome, twin, why)) is not None:
                return run
            tags, remark = self._told(outcome, prior)
            seen, made = self._seen(), origin(self.start, outcome.targets, self.place.settings.state)
            draft = outcome.draft(self._named(outcome.title))
            draft = draft.with_(
                tags={**draft.tags, **seen.tags, **made.tags, **tags},
                files=dict(draft.files) | dict(made.files),
                kept=seen.files,
            )
            with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
                path = Path(folder, "model")
                form, notes = outcome.saved(path, draft.run_id)
                kept, unkept = self._reusable(outcome, path if form else None)
                draft = draft.with_(
                    form=form, tags={**draft.tags, **kept.tags}, kept={**draft.kept, **kept.files}
                )
                run_id, model_id = self._committed(draft, path if form else None)
        if not remark and made.recipe is not None and made.recipe.reasons:
            remark = f"Not reproducible: {made.recipe.reasons[0]}"
        remark = _joined(why and f"Executed: {why}.", unkept, remark)
        if run_id.startswith(OFFLINE):
            remark = self.place.waiting()
        return outcome.run(
            self.place.experiment,
            run_id,
            draft.name,
            model_id,
            remark=remark,
            notes=notes + seen.notes,
            recipe=made.recipe,
        )

    def _seen(self) -> Kept:
        """Gather what is kept once the cell was executed: it may have imported, seeded, printed, drawn."""
        body, begun = self.start.body, Kept(self._draft.kept)
        return begun | around(body, self.place.settings) | shown(body)

    def _reusable(self, outcome: Outcome, model: Path | None) -> tuple[Kept, str]:
        """Keep what the cell left, where that was asked for; return what is to be said if it cannot be."""
        if not self.start.options.reuse:
            return Kept(), ""
        files, reason = keep(self.start, outcome, model)
        tags = {identity.REUSE: f"no: {reason}" if reason else "yes"}
        return Kept(files, tags), f"Nothing was kept for --reuse: {reason}." if reason else ""

    def _attached(self, outcome: Outcome, twin: identity.Known, why: str) -> Run | None:
        link = self.place.link
        if link is None:
            return None
        repeats = 0
        with self.place.trying():
            self._add_reusable(link, outcome, twin)
            repeats = identity.attach(link.store, twin)
        if not repeats:  # the store has just gone: what happened is kept as a run of its own
            return None
        said = f"The same cell on the same data, with the same outcome: it is run {twin.name} again."
        remark = _joined(why and f"Executed: {why}.", said)
        return outcome.run(
            self.place.experiment, twin.run_id, twin.name, twin.model_id, repeats=repeats, remark=remark
        )

    def _add_reusable(self, link: Link, outcome: Outcome, twin: identity.Known) -> None:
        """Keep what the cell left with the run that it is again, where that run has not kept it."""
        if not self.start.options.reuse or twin.reuse == "yes":
            return
        with tempfile.TemporaryDirectory(prefix="mlops-") as folder:
            path = Path(folder, "model")
            form, _ = outcome.saved(path, twin.run_id)
            kept, _ = self._reusable(outcome, path if form else None)
        runs.log_files(link.store, twin.run_id, kept.files)
        runs.log(link.store, twin.run_id, tags=kept.tags)

    def _committed(self, draft: Draft, model: Path | None) -> tuple[str, str | None]:
        """Write the run into the store, or onto the disk; return its id and its model's."""
        draft = draft.with_(ended=int(time.time() * 1000))
        link, done = self.place.link, None
        if link is not None:
            new = {path: text for path, text in draft.files.items() if self._sent.get(path) != text}
            kept = {path: content for path, content in draft.kept.items() if self._sent.get(path) != content}
            with self.place.trying():
                done = write(link.store, draft.with_(files=new, kept=kept), model)
        if done is None:
            self.place.spool.add(draft, model)
            return f"{OFFLINE}{draft.key}", None
        return done.run_id, done.model_id

    def _named(self, kind: str | None) -> Draft:
        """Name a run that was given no name after its model: made-up names would differ each time."""
        name = self.start.options.name or kind
        return self._draft if name is None else self._draft.with_(name=name)

    def _told(self, outcome: Outcome, prior: tuple[identity.Known, ...]) -> tuple[dict[str, str], str]:
        """Compare a new outcome with what there is: what to note on the run, and what to say."""
        if prior:
            because = outcome.cause()
            said = f"Not deterministic: the same cell on the same data was run {prior[0].name}; {because}."
            return {identity.DIFFERS: because}, said
        link = self.place.link
        if link is None or outcome.fit is None:
            return {}, ""
        found = None
        with self.place.trying():
            found = identity.alike(link.store, link.experiment_id, outcome.digest)
        if found is None:
            return {}, ""
        said = f"The same outcome as run {found.name}, from another cell or other data."
        return {identity.SAME_AS: found.run_id}, said


def _joined(*said: str) -> str:
    return " ".join(filter(None, said))
