"""The way of one retraining: model, version, gates, alias, watch; each step is written down as it is done."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, RefusedError
from mlops_magics.foundation.files import private_folder
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.promote.desk import Desk
from mlops_magics.steps.register import register
from mlops_magics.steps.retrain import again, alarms, making, updating, watching
from mlops_magics.steps.retrain.asked import Asked
from mlops_magics.steps.retrain.fresh import Fresh
from mlops_magics.steps.retrain.judging import Holdout, Sentence, judge
from mlops_magics.steps.retrain.result import Retraining, sentence
from mlops_magics.tracking import registry, retrainings
from mlops_magics.tracking.leases import Held
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.retrainings import MADE_BY, WATERMARK, Attempt, Outcome
from mlops_magics.tracking.store import Store

WATERMARK_FILE = "watermark.json"
PIPELINE_FILE = "notebooks.json"
_CHAMPION = "champion"


def folder_of(settings: Settings, model: str) -> Path:
    """Say where a model's retrainings work: below the project, where only this user may look."""
    return settings.root / ".mlops" / "retrain" / model


@dataclass(slots=True)
class Flow:
    """One retraining on its way.

    Attributes:
        store: The open store.
        asked: What was asked.
        base: The version that it goes on from: the champion, else the newest.
        champion: The version to compare with; None where there is none.
        target: The column that is predicted.
        fresh: The rows; None where the notebook finds them by itself.
        holdouts: Rows to judge by.
        held: The lease.
        attempt: Its record.
        notes: What is to be said at the end.
        reused: The notebooks that were not executed again.
        going: The version that the alias is moved to from where it was; "" before that.
    """

    store: Store
    asked: Asked
    base: ModelVersion
    champion: ModelVersion | None
    target: str
    fresh: Fresh | None
    holdouts: tuple[Holdout, ...]
    held: Held
    attempt: Attempt
    notes: list[str] = field(default_factory=list)
    reused: tuple[str, ...] = ()
    going: str = ""

    def go(self) -> Retraining:
        """Go all the way.

        Raises:
            MLOpsError: It failed; that is written down, and nothing was moved.
        """
        folder = self._home / self.attempt.id
        with self._written_down(folder), self._rows_file() as rows:
            private_folder(folder)
            run_id = self._made(folder, rows)
            version = self._registered(run_id)
            return self._judged(run_id, version)

    @property
    def _home(self) -> Path:
        return folder_of(self.store.settings, self.asked.model)

    @contextlib.contextmanager
    def _rows_file(self) -> Iterator[Path | None]:
        """Let the rows lie in a file where notebooks are given one; keep what it takes to have them again."""
        if self.fresh is not None and self.fresh.mark is not None:
            text = {WATERMARK_FILE: self.fresh.mark.to_json()}
            retrainings.keep_texts(self.store, self.attempt.record, text)
        if self.fresh is None or self.asked.update:
            yield None
            return
        path, origin, marks = again.written(self._home, self.fresh.train, self.asked.data)
        try:
            again.keep(self.store, self.attempt.record, origin, marks)
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _written_down(self, folder: Path) -> Iterator[None]:
        """Write down that it failed, where it does; in any case leave nothing in the folder."""
        try:
            yield
        except KeyboardInterrupt:
            self._broke_off(folder, "killed", "interrupted")
            raise
        except MLOpsError as error:
            self._broke_off(folder, "failed", error.what)
            raise
        except Exception as error:
            self._broke_off(folder, "failed", f"{type(error).__name__}: {error}")
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _broke_off(self, folder: Path, outcome: Outcome, why: str) -> None:
        """Write down why it broke off; a version whose alias had moved by then was promoted all the same."""
        with contextlib.suppress(MLOpsError):  # the store is what fails
            self._keep_notebooks(folder)
            alias = self.attempt.alias
            if self.going and registry.aliases_of(self.store, self.asked.model).get(alias) == self.going:
                outcome, why = "promoted", f"{alias} is version {self.going}, and then: {why}"
            self._ended(outcome, why)

    def _made(self, folder: Path, rows: Path | None) -> str:
        """Make the model; return its run."""
        experiment = retrainings.experiment_of(self.store, self.base.run_id, self.asked.model)
        record = self._home / PIPELINE_FILE
        place = making.Place(self.attempt.id, folder, experiment, rows, record)
        if self.asked.update:
            run_id = updating.updated(
                self.store, self.asked, self.base, self._rows(), target=self.target, place=place
            )
        else:
            todo = making.books(self.store, self.asked, self.base, experiment)
            self._reused(making.executed(self.store, self.asked, todo, place))
            run_id = making.made(self.store, self.asked.model, self.attempt.id)
            retrainings.keep_files(self.store, run_id, _named(place.executed(), "mlops/retrain"))
        self._keep_notebooks(folder)
        self._now("executed", run=run_id)
        return run_id

    def _reused(self, names: tuple[str, ...]) -> None:
        """Say which notebooks were not executed again."""
        if not names:
            return
        self.reused = names
        retrainings.advance(self.store, self.attempt, reused=", ".join(names))
        word = "was not executed again: nothing that it depends on has changed."
        self.notes += [f"{name} {word}" for name in names]

    def _rows(self) -> Any:  # noqa: ANN401 - a pandas frame
        if self.fresh is None:
            raise NotFoundError("There are no rows to go on with.", "Say --data PATH.")
        return self.fresh.train

    def _keep_notebooks(self, folder: Path) -> None:
        """Keep the executed notebooks with the record, however far they came."""
        done = {path.name: path for path in folder.glob("*.ipynb")}
        retrainings.keep_files(self.store, self.attempt.record, done)

    def _registered(self, run_id: str) -> ModelVersion:
        """Make the run's model a version, where its notebook has not; say where it came from."""
        self.held.check()
        found = retrainings.version_of(self.store, self.asked.model, self.attempt.id, run_id)
        if found is None:
            found = register(
                f"runs:/{run_id}",
                self.asked.model,
                allow_pickle=self.asked.allow_pickle,
                allow_code=self.asked.allow_code,
                settings=self.store.settings,
            )
        tags = {MADE_BY: self.attempt.id}
        if self.fresh is not None and self.fresh.mark is not None:
            tags[WATERMARK] = self.fresh.mark.to_json()
        registry.tag_version(self.store, found, tags)
        self._now("registered", version=found.version)
        return found

    def _judged(self, run_id: str, item: ModelVersion) -> Retraining:
        """Judge the version, and move the alias where it passes."""
        told = self._told(run_id, item)
        held = self.champion
        if held is not None and (item.version == held.version or item.digest == held.digest):
            return self._came_to(told, "unchanged", f"the same model as version {held.version} came of it")
        heard = judge(self.store, self.asked, item, champion=held, holdouts=self.holdouts, target=self.target)
        self.notes += heard.notes
        told = replace(told, judged=heard.judged)
        if self.asked.promote == "candidate":
            return self._came_to(told, "registered", "it is the candidate; no other alias was asked for")
        if heard.summary is None:
            return self._came_to(told, "refused", "there are too few rows to judge it by")
        if heard.refusal:
            return self._came_to(told, "refused", heard.refusal)
        return self._promoted(told, item, heard)

    def _promoted(self, told: Retraining, item: ModelVersion, heard: Sentence) -> Retraining:
        alias = self.asked.promote
        before = registry.aliases_of(self.store, self.asked.model).get(alias)
        self.held.check()
        if before != item.version:
            self.going = item.version
        self._now("promoting", before=before or "")
        desk = Desk(self.store, self.asked.model, alias)
        reason = f"retrained ({self.attempt.id}): {self.attempt.reason}"
        try:
            desk.move(item.version, alias, reason, heard.summary)
        except RefusedError as error:
            return self._came_to(told, "refused", error.what)
        told = replace(told, before=before)
        if alias == _CHAMPION and self.asked.watch:
            self._now("watching")
            wrong, notes = watching.watched(
                self.store,
                self.asked.model,
                item.version,
                self.asked.watch,
                look=alarms.looker(self.store, self.asked, item, time.time()),
            )
            self.notes += notes
            if wrong:
                return self._back(told, desk, before, wrong)
        return self._came_to(told, "promoted", f"{alias} is version {item.version}, past its gates")

    def _back(self, told: Retraining, desk: Desk, before: str | None, wrong: str) -> Retraining:
        """Bring the champion of before back."""
        if before is None:
            return self._came_to(
                told, "promoted", f"it goes wrong and there is nothing to go back to: {wrong}"
            )
        try:
            desk.back(_CHAMPION, f"retraining {self.attempt.id} went wrong: {wrong}", told.version)
        except RefusedError:
            holder = registry.aliases_of(self.store, self.asked.model).get(_CHAMPION)
            if holder == told.version:
                raise
            since = f"somebody has made version {holder} the champion since, and it stays"
            return self._came_to(told, "promoted", f"it goes wrong: {wrong}; {since}")
        return self._came_to(told, "rolled back", f"{wrong}; version {before} is the champion again")

    def _told(self, run_id: str, item: ModelVersion) -> Retraining:
        alias = "" if self.asked.promote == "candidate" else self.asked.promote
        return Retraining(
            self.asked.model,
            "",
            "",
            reason=self.attempt.reason,
            id=self.attempt.id,
            record=self.attempt.record,
            run=run_id,
            version=item.version,
            alias=alias,
            counts=None if self.fresh is None else self.fresh.counts,
            trained=None if self.fresh is None else len(self.fresh.train),
            reused=self.reused,
        )

    def _came_to(self, told: Retraining, outcome: Outcome, why: str) -> Retraining:
        metrics = {
            f"{one.holdout}_{one.metric}": one.new
            for one in told.judged
            if one.metric and one.new is not None
        }
        self._ended(outcome, why, metrics)
        return replace(told, outcome=outcome, why=sentence(why), notes=tuple(self.notes))

    def _now(self, state: str, **said: str) -> None:
        retrainings.advance(self.store, self.attempt, state=state, **said)

    def _ended(self, outcome: Outcome, why: str, metrics: dict[str, float] | None = None) -> None:
        retrainings.end(self.store, self.attempt, outcome, why, metrics)


def _named(paths: dict[str, Path], folder: str) -> dict[str, Path]:
    return {f"{folder}/{name}": path for name, path in paths.items()}
