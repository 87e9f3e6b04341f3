"""What was asked of a retraining, read and checked before anything is done."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from mlops_magics.foundation.durations import seconds
from mlops_magics.foundation.errors import UsageError, nearest
from mlops_magics.foundation.names import checked_name
from mlops_magics.steps.retrain.ledger import Limits
from mlops_magics.steps.retrain.when import Condition, parse

Alias = Literal["candidate", "challenger", "champion"]
Engine = Literal["local", "ray"]

_COOLDOWN, _BUDGET = "1d", "4/week"  # where nobody is there who asks


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What was asked of a retraining.

    Attributes:
        model: The registered model.
        notebooks: The notebooks to execute, in this order; empty for the cells that made the champion.
        data: Where fresh rows come from; None where the notebook finds them by itself.
        cursor: The column of it that grows with time.
        after: Up to which value of it the champion was trained, where no watermark says so.
        target: The column with the label; None for that of the last evaluation.
        everything: Train on all rows up to now, not on the new ones alone.
        holdout: Rows to judge by, in place of the frozen holdout that is drawn from the fresh rows.
        refreeze: Let the frozen holdout be another one from now on.
        when: When to retrain; None for now.
        condition: The same as it was written.
        window: By which length of time the monitor counts.
        alarm: How many false alarms the user bears there.
        promote: The alias that the new version is for.
        limits: How often there may be a retraining.
        debounce: How many seconds the condition must hold before it starts one.
        engine: Where notebooks are executed.
        force: All notebooks are executed, also those of which nothing has changed.
        timeout: The most seconds for all notebooks together.
        watch: How many seconds the new version is watched at its endpoints.
        parameters: Parameters of the notebooks, by name.
        allow_env: Variables of the environment that they are given beside the harmless ones.
        update: Go on from the champion's own model with the new rows, in place of executing notebooks.
        allow_pickle: Models in pickle may be loaded.
        allow_code: Models and cells that are not one's own may be executed.
        trying: Policies are tried, and nothing is retrained.
    """

    model: str
    notebooks: tuple[Path, ...] = ()
    data: Any = None
    cursor: str | None = None
    after: str | None = None
    target: str | None = None
    everything: bool = False
    holdout: Any = None
    refreeze: bool = False
    when: Condition | None = None
    condition: str = ""
    window: str = "1h"
    alarm: str = "1/month"
    promote: Alias = "challenger"
    limits: Limits = field(default_factory=Limits)
    debounce: float = 0.0
    engine: Engine = "local"
    force: bool = False
    timeout: float = 7_200.0
    watch: float = 0.0
    parameters: Mapping[str, Any] = field(default_factory=dict)
    allow_env: tuple[str, ...] = ()
    update: bool = False
    allow_pickle: bool = False
    allow_code: bool = False
    trying: bool = False

    @classmethod
    def of(cls, said: Mapping[str, Any]) -> Asked:
        """Read the arguments of the verb, by name.

        Raises:
            UsageError: One of them is not understood.
        """
        same = {field.name for field in fields(cls)} & said.keys() - {
            "when",
            "timeout",
            "watch",
            "debounce",
            "parameters",
        }
        return cls(
            **{name: said[name] for name in same - {"model"}},
            model=checked_name(said["model"], "model"),
            notebooks=tuple(map(Path, said["notebook"])),
            everything=said["all_rows"],
            when=None if said["when"] is None else parse(said["when"]),
            condition=said["when"] or "",
            limits=_limits(said["cooldown"], said["budget"], unattended=said["when"] is not None),
            timeout=_length(said["timeout"], "--timeout", 7_200.0),
            watch=_length(said["watch"], "--watch", 0.0),
            debounce=_length(said["debounce"], "--debounce", 0.0),
            parameters=_parameters(said["parameters"]),
            trying=bool(said["backtest"]),
        )

    def __post_init__(self) -> None:
        if self.data is None and (self.cursor or self.after or self.update or self.everything):
            raise UsageError(
                "--cursor, --after, --update and --all-rows are about fresh rows.",
                "Say where they come from: --data PATH, a pattern in quotes, or a query.",
            )
        if self.trying:
            return
        if self.data is None and self.holdout is None and self.promote != "candidate":
            raise UsageError(
                "There are no rows to judge the new version by.",
                "Name them: --data PATH for fresh ones, --holdout PATH for others, or --promote candidate.",
            )
        if self.after is not None and self.cursor is None:
            raise UsageError("--after is a value of a cursor.", "Name that column: --cursor COLUMN.")
        if self.debounce and self.when is None:
            raise UsageError("--debounce is about a condition.", "Say which one: --when CONDITION.")
        self._check_making()

    def _check_making(self) -> None:
        if self.engine not in get_args(Engine):
            raise UsageError(f"There is no engine {self.engine!r}.", nearest(self.engine, get_args(Engine)))
        if self.update and self.notebooks:
            raise UsageError("--update goes on from the champion's model.", "Leave --notebook out.")
        if self.update and (self.force or self.engine != "local"):
            raise UsageError(
                "--update executes no notebook.", "Leave --force and --engine out, or leave --update out."
            )


def _limits(cooldown: str | None, budget: str | None, *, unattended: bool) -> Limits:
    """Read how often there may be a retraining; without anything said, seldom where nobody asks for it."""
    if unattended:
        return Limits.of(cooldown or _COOLDOWN, budget or _BUDGET)
    return Limits.of(cooldown, budget)


def _length(text: str | None, option: str, otherwise: float) -> float:
    """Read a length of time."""
    return otherwise if text is None else seconds(text, option)


def _parameters(words: tuple[str, ...]) -> dict[str, Any]:
    """Read parameters as they are written, ``depth=3``; a value that is no JSON is text.

    Raises:
        UsageError: One has no ``=``.
    """
    found = dict[str, Any]()
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name.strip():
            raise UsageError(f"--parameters cannot read '{word}'.", "Write --parameters depth=3,rate=0.1.")
        try:
            found[name.strip()] = json.loads(text)
        except ValueError:
            found[name.strip()] = text
    return found
