"""Which rows a model takes, as far as its files and its contract say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.reference import Reference
from mlops_magics.artifact.schema import Schema


@dataclass(frozen=True, slots=True)
class Takes:
    """Which rows a model takes.

    Attributes:
        schema: Its columns; None where it has no signature, or one that is no plain table.
        levels: The frequent texts of each column in the rows that it was fitted on, where that was kept;
            columns that look personal are left out.
        contract: The contract of its version; None where it has none.
    """

    schema: Schema | None
    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    contract: Contract | None = None

    @classmethod
    def of(cls, schema: Schema | None, reference: Reference | None) -> Takes:
        """Take it from what a model's files hold."""
        columns = () if reference is None else reference.columns
        levels = {
            one.name: tuple(one.levels.named)
            for one in columns
            if one.levels is not None and not one.personal
        }
        return cls(schema, {name: texts for name, texts in levels.items() if texts})
