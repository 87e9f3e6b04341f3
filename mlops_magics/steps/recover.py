"""Recover: what a killed process left in the middle of a promotion or a retraining is finished, or undone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

from mlops_magics.foundation.blocks import Block, Note, Table, Title
from mlops_magics.foundation.names import checked_name
from mlops_magics.foundation.result import Result
from mlops_magics.foundation.settings import Settings
from mlops_magics.steps.retrain.recovering import Ended
from mlops_magics.steps.retrain.recovering import recover as retrainings
from mlops_magics.tracking import moves, registry
from mlops_magics.tracking.history import Event
from mlops_magics.tracking.moves import Ending, Outside
from mlops_magics.tracking.store import open_store


@dataclass(frozen=True, slots=True)
class Repair:
    """A move that was left in the middle.

    Attributes:
        model: The registered model.
        event: The move.
        ending: "completed" where the alias had moved and only its record was missing, "undone" where the
            alias had not moved.
    """

    model: str
    event: Event
    ending: Ending


@dataclass(frozen=True)
class Recovery(Result):
    """What was put in order.

    Attributes:
        models: The registered models that were looked at.
        repairs: The moves that were finished or undone.
        outside: Aliases, by model, that were moved by other means than ours. They stay where they are.
        retrainings: The retrainings that were killed, with how far they came.
    """

    models: tuple[str, ...]
    repairs: tuple[Repair, ...]
    outside: tuple[tuple[str, Outside], ...]
    retrainings: tuple[Ended, ...] = ()

    volatile: ClassVar[bool] = True

    def blocks(self) -> Iterable[Block]:
        """Show what was finished, what was undone, and which aliases stand where no record put them."""
        count = len(self.models)
        yield Title("Recovered", f"{count} model{'' if count == 1 else 's'} looked at", "good")
        if self.repairs:
            yield Table(
                ("model", "alias", "move", "ending", "by", "reason"),
                [
                    (
                        each.model,
                        each.event.alias,
                        f"{each.event.old or '-'} → {each.event.new or '-'}",
                        each.ending,
                        each.event.who,
                        each.event.reason,
                    )
                    for each in self.repairs
                ],
            )
        else:
            yield Note("No move was left in the middle.", "quiet")
        if self.retrainings:
            yield Table(
                ("model", "retraining", "outcome", "why"),
                [(each.model, each.id, each.outcome, each.why) for each in self.retrainings],
            )
        for model, alias in self.outside:
            now = f"version {alias.version}" if alias.version else "nothing"
            last = f"version {alias.recorded}" if alias.recorded else "nothing"
            yield Note(f"{model}@{alias.alias} is {now}; the last recorded move made it {last}.", "bad")


def recover(model: str | None = None, *, settings: Settings | None = None) -> Recovery:
    """Put in order what a process that was killed in the middle of a promotion or a retraining left behind.

    An alias that had moved gets the record that was missing; a move that had not happened is dropped, and
    the alias stays where it was. Moves of living processes are left alone. Doing it twice changes nothing.
    The next promotion of a model does the same for it by itself. A killed retraining is written down as
    such, with how far it came, its executed notebook is kept, and the next one may begin.

    Args:
        model: The registered model; all of them by default.
        settings: Where the store is; found from the current folder by default.

    Returns:
        What was put in order, and which aliases were moved by other means than ours.

    Raises:
        NotFoundError: There is no such model.
        UnavailableError: The store does not answer.
    """
    if model is not None:
        checked_name(model, "model")
    store = open_store(settings or Settings.discover())
    names = (model,) if model is not None else tuple(sorted(registry.models(store)))
    repairs = tuple(
        Repair(name, event, ending) for name in names for event, ending in moves.recover(store, name)
    )
    ended = tuple(one for name in names for one in retrainings(store, name))
    outside = tuple(
        (name, alias)
        for name in names
        for alias in moves.outside(registry.aliases_of(store, name), registry.moves_of(store, name))
    )
    return Recovery(names, repairs, outside, ended)
