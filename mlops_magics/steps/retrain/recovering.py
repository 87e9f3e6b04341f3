"""What a killed retraining left behind is brought to an end: nothing more is trained, moved or taken back."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass

from mlops_magics.foundation.errors import NotFoundError
from mlops_magics.steps.retrain.flow import WATERMARK_FILE, folder_of
from mlops_magics.tracking import leases, moves, registry, retrainings
from mlops_magics.tracking.recall import fetched_text
from mlops_magics.tracking.retrainings import MADE_BY, WATERMARK, Attempt, Outcome
from mlops_magics.tracking.store import Store

PURPOSE = "retraining"


@dataclass(frozen=True, slots=True)
class Ended:
    """A retraining that was killed, and brought to its end.

    Attributes:
        model: The registered model.
        id: The retraining.
        outcome: "killed" where nothing was promoted, "promoted" where the alias had moved.
        why: How far it came.
    """

    model: str
    id: str
    outcome: str
    why: str


def recover(store: Store, model: str) -> tuple[Ended, ...]:
    """Bring the retrainings of a model whose processes died to their end; the living ones are left alone.

    Args:
        store: The open store.
        model: The registered model.
    """
    return tuple(_recovered(store, model))


def _recovered(store: Store, model: str) -> Iterator[Ended]:
    done = [one for one in retrainings.attempts(store, model) if not one.over]
    if not done:
        return
    # A retraining holds its lease from before it is written down until after it has ended.
    living = {lease.id for lease in leases.holders(store, model, PURPOSE)}
    dead = [attempt for attempt in done if attempt.id not in living]
    for attempt in dead:
        outcome, why = _came_to(store, attempt)
        _keep_notebooks(store, attempt)
        retrainings.end(store, attempt, outcome, why)
        yield Ended(model, attempt.id, outcome, why)
    if len(dead) == len(done):  # else they may be those of the living one
        for path in folder_of(store.settings, model).glob("train-*.parquet"):
            path.unlink(missing_ok=True)


def _came_to(store: Store, attempt: Attempt) -> tuple[Outcome, str]:
    """Find out how far a retraining came; what is registered is said to be its own."""
    run = attempt.run or next(iter(retrainings.made_by(store, attempt.id)), "")
    item = retrainings.version_of(store, attempt.model, attempt.id, run)
    if item is None:
        made = f"the run {run} was made, and not registered" if run else "no model was made"
        return "killed", f"killed: {made}"
    if MADE_BY not in item.tags or attempt.state == "executed":
        tags = {MADE_BY: attempt.id}
        try:
            mark = fetched_text(store, attempt.record, WATERMARK_FILE)
        except NotFoundError:
            mark = ""
        registry.tag_version(store, item, tags | ({WATERMARK: mark} if mark else {}))
    retrainings.advance(store, attempt, run=run, version=item.version)
    if attempt.state in {"promoting", "watching"}:
        moves.recover(store, attempt.model)
        if registry.aliases_of(store, attempt.model).get(attempt.alias) == item.version:
            late = ", and killed while it was watched" if attempt.state == "watching" else ""
            return "promoted", f"{attempt.alias} is version {item.version}{late}"
    return "killed", f"killed: version {item.version} was registered, and not promoted"


def _keep_notebooks(store: Store, attempt: Attempt) -> None:
    """Keep what was executed, where it lies on this machine, and take the folder away."""
    folder = folder_of(store.settings, attempt.model) / attempt.id
    if folder.is_dir():
        retrainings.keep_files(store, attempt.record, {path.name: path for path in folder.glob("*.ipynb")})
        shutil.rmtree(folder, ignore_errors=True)
