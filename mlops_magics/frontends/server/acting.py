"""What the panel does: the same steps as the magics, with the same checks and refusals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.sentences import Sentence
from mlops_magics.frontends.server.asked import Asked, Here, Json
from mlops_magics.frontends.server.reading import desk_of
from mlops_magics.steps.deploy import deploy as deploy_step
from mlops_magics.steps.deploy import undoing
from mlops_magics.tracking.pages import elsewhere


def promote(here: Here, asked: Asked) -> Json:
    """Check every gate again, and move the alias."""
    return desk_of(here, asked).promote(asked.text("version"), asked.text("alias"), _reason(asked))


def roll_back(here: Here, asked: Asked) -> Json:
    """Give the alias back to the version before."""
    return desk_of(here, asked).roll_back(asked.text("alias"), _reason(asked))


def approve(here: Here, asked: Asked) -> Json:
    """Approve of a version."""
    return desk_of(here, asked).speak(
        asked.text("version"), asked.text("alias"), _reason(asked), approved=True
    )


def reject(here: Here, asked: Asked) -> Json:
    """Be against a version."""
    return desk_of(here, asked).speak(
        asked.text("version"), asked.text("alias"), _reason(asked), approved=False
    )


def comment(here: Here, asked: Asked) -> Json:
    """Say something of a version."""
    return desk_of(here, asked).comment(asked.text("version"), asked.text("alias"), _reason(asked))


def deploy(here: Here, asked: Asked) -> Json:
    """Put a version behind an endpoint on this machine; files that need a consent are refused here."""
    here.opened()
    done = deploy_step(asked.text("model"), follow=asked.flag("follow"), settings=here.settings)
    told = Sentence("%1 answers with version %2 of %3.", done.name, done.version, done.model)
    return {"what": told, "notes": [*done.notes, *_undoing(done.undo)], "url": done.url}


def stop(here: Here, asked: Asked) -> Json:
    """Take an endpoint away."""
    here.opened()
    done = deploy_step(asked.text("name"), remove=True, settings=here.settings)
    notes = [Sentence("Its journal stays.")] if done.journal_stays else []
    return {"what": Sentence("%1 is stopped.", done.name), "notes": [*notes, *_undoing(done.undo)]}


def _undoing(lines: str) -> list[Sentence]:
    return [Sentence("Undo: %1", undoing.told(lines))] if lines else []


def mlflow(here: Here, asked: Asked) -> Json:
    """Start MLflow's own pages for the store, unless they run; a tracking server has its own."""
    del asked
    store = here.opened()
    there = elsewhere(store.uri)
    if there is not None:
        return {"url": there, "outside": True}
    return {"url": here.shelf.open(store), "outside": False}


def _reason(asked: Asked) -> str:
    reason = asked.text("reason", "").strip()
    if not reason:
        raise UsageError(
            Sentence("A reason is missing."), Sentence("Write why, for those who read the history later.")
        )
    return reason


WRITES: Final[dict[str, Callable[[Here, Asked], Json]]] = {
    "promote": promote,
    "roll_back": roll_back,
    "approve": approve,
    "reject": reject,
    "comment": comment,
    "deploy": deploy,
    "stop": stop,
    "mlflow": mlflow,
}
