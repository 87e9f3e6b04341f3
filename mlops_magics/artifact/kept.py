"""How a model is kept: in which format, what made that needful, and whether it is what was logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mlops_magics.artifact.loadback import LoadBack
from mlops_magics.artifact.takes import Takes

SAFE: Final = "skops"


@dataclass(frozen=True, slots=True)
class Kept:
    """How the files of a model hold it.

    Attributes:
        format: "skops", "pickle" or "cloudpickle"; "pyfunc" where MLflow itself loads it.
        foreign: Of a pickle, the types that the safe format does not take; none where it would take it.
        code: The names that code of its author, which goes along, defines.
        loadback: How it answers its example, against when it was logged; None where that was not kept.
        ranges: Between which values each number was in the rows that it was fitted on, by column, where that
            was kept.
        takes: Which rows it takes.
    """

    format: str
    foreign: tuple[str, ...] = ()
    code: tuple[str, ...] = ()
    loadback: LoadBack | None = None
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    takes: Takes | None = None

    @property
    def safe(self) -> bool:
        """Whether nothing that the file holds is run when it is loaded."""
        return self.format == SAFE
