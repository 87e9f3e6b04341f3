"""A cell as it is handed over to be tracked."""

from __future__ import annotations

import numbers
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from mlops_magics.lineage.recorder import Recorder
from mlops_magics.tracking.provenance import Source
from mlops_magics.tracking.records import Failure


@dataclass(frozen=True, slots=True)
class Shown:
    """What a cell has shown.

    Attributes:
        text: What it printed, masked, on both streams.
        images: What it displayed, each with the ending of its file's name.
        more: How many more images there were.
    """

    text: str = ""
    images: tuple[tuple[str, bytes], ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Body:
    """A cell that is about to be executed.

    Attributes:
        source: What it says and where it stands.
        code: Its code as plain Python, magics transformed.
        namespace: The notebook's names.
        run: Executes it in the namespace; what it raises goes on.
        shown: Returns what it has shown; None where nobody looks.
        recorder: What saw the cells before it; None where nothing did.
        failed: Is told of the run of a cell that fails: what it raises goes on, and returns nothing.
    """

    source: Source
    code: str
    namespace: MutableMapping[str, Any]
    run: Callable[[], None]
    shown: Callable[[], Shown] | None = None
    recorder: Recorder | None = None
    failed: Callable[[Failure], object] | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for.

    Attributes:
        name: The run's name; None for one that is made up.
        metrics: The names of the cell's variables that are metrics; empty for all numbers.
        allow_pickle: Keep the model in pickle where the safe format cannot hold it.
        allow_code: Keep the user's own classes and functions with the model, as a module.
        reuse: Keep what the cell leaves, so that it need not be executed again.
        force: Make a run of its own even where an equal one is there.
        reference_rows: How many of the rows that the model was fitted on are kept with it, as numbers only.
    """

    name: str | None = None
    metrics: tuple[str, ...] = ()
    allow_pickle: bool = False
    allow_code: bool = False
    reuse: bool = False
    force: bool = False
    reference_rows: int = 0

    @property
    def asked(self) -> dict[str, object]:
        """The options as JSON types."""
        asked: dict[str, object] = {
            "name": self.name,
            "metrics": list(self.metrics),
            "allow_pickle": self.allow_pickle,
        }
        asked |= {"allow_code": True} if self.allow_code else {}
        return asked | ({"reference_rows": self.reference_rows} if self.reference_rows else {})

    @property
    def identifying(self) -> tuple[object, ...]:
        """What makes it another run than the same cell without it."""
        asked: tuple[object, ...] = (self.name, self.metrics, self.allow_pickle)
        if self.allow_code:
            asked = (*asked, "code")
        return (*asked, "rows", self.reference_rows) if self.reference_rows else asked


def number(value: object) -> float | None:
    """Return a number of any library as a float; None for what is no number. A truth value is none."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        return None
    return float(value)
