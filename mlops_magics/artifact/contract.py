"""The contract of a table: what its columns must be, the same object at training, at the endpoint and after.

A contract is data: reading one imports nothing, evaluates nothing and trusts nothing in the file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from mlops_magics.artifact.rules import ColumnRule, refuse, text, whole
from mlops_magics.foundation.errors import MLOpsError, NotFoundError, nearest

VERSION: Final = 1
_KEYS: Final = ("version", "name", "target", "rows", "columns")


@dataclass(frozen=True, slots=True)
class Contract:
    """What a table must be.

    Attributes:
        name: What it is called.
        columns: A rule a column, in the table's order.
        target: The column that is predicted; new rows need not have it.
        rows: How many rows it was made from: how sure its shares are.
        version: The version of this form.
    """

    name: str
    columns: tuple[ColumnRule, ...]
    target: str | None = None
    rows: int = 0
    version: int = VERSION

    @property
    def by_name(self) -> Mapping[str, ColumnRule]:
        """The rules by column."""
        return {rule.name: rule for rule in self.columns}

    def rule(self, column: str) -> ColumnRule:
        """Return the rule of a column.

        Raises:
            NotFoundError: The contract has no such column.
        """
        found = self.by_name.get(column)
        if found is None:
            raise NotFoundError(
                f"The contract {self.name} has no column '{column}'.",
                nearest(column, self.by_name) or "It has none.",
            )
        return found

    def to_json(self) -> str:
        """Return it as JSON: the same contract is the same text, rules at their defaults are left out."""
        told = {
            "version": self.version,
            "name": self.name,
            "target": self.target,
            "rows": self.rows,
            "columns": [rule.to_dict() for rule in self.columns],
        }
        written = json.dumps(told, ensure_ascii=False, indent=1, allow_nan=False)
        # A lone surrogate, which no file can hold, becomes its own escape in JSON.
        return written.encode("utf-8", "backslashreplace").decode()

    @classmethod
    def from_json(cls, content: str | bytes, source: str = "The contract") -> Contract:
        """Read a contract.

        Args:
            content: The JSON text.
            source: What to call it in an error: its file.

        Returns:
            The contract.

        Raises:
            MLOpsError: It is not whole, is of a version that is not known, or a key or value in it is
                wrong; the message names the place.
        """
        try:
            told = json.loads(content, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise MLOpsError(
                f"{source} is not whole JSON ({type(error).__name__}).",
                "Make it again with %mlops_prepare DATA --contract NAME, or restore the file.",
            ) from error
        if not isinstance(told, dict):
            refuse(source, "is not a JSON object")
        if told.get("version") != VERSION or isinstance(told["version"], bool):
            raise MLOpsError(
                f"{source} is of version {str(told.get('version'))[:20]}; this release reads {VERSION}.",
                "Update mlops-magics, or make the contract again.",
            )
        return cls._of(told, source)

    @classmethod
    def _of(cls, told: dict[str, Any], source: str) -> Contract:
        if unknown := sorted(told.keys() - set(_KEYS)):
            refuse(source, f"has the unknown key '{unknown[0][:60]}'", nearest(unknown[0], _KEYS))
        if absent := [key for key in _KEYS if key not in told]:
            refuse(source, f"has no {absent[0]}")
        if not isinstance(told["columns"], list):
            refuse(f"columns of {source}", "is not a list")
        rules = tuple(
            ColumnRule.from_dict(each, f"column {place} of {source}")
            for place, each in enumerate(told["columns"])
        )
        counts = Counter(rule.name for rule in rules)
        if twice := next((name for name, count in counts.items() if count > 1), None):
            refuse(source, f"has two rules for '{twice[:60]}'")
        target = None if told["target"] is None else text(told["target"], f"target of {source}")
        return cls(
            name=text(told["name"], f"name of {source}"),
            columns=rules,
            target=target,
            rows=whole(told["rows"], f"rows of {source}"),
        )

    def to_pandera(self) -> Any:  # noqa: ANN401 - pandera is an extra
        """Return it as a pandera ``DataFrameSchema`` for pandas frames, to be used elsewhere.

        Types, gaps, ranges, categories, lengths and uniqueness go along. What pandera has no word for
        stays here: changes of unit, shapes and formats of text, the future.

        Raises:
            MissingExtraError: pandera is not installed.
        """
        from mlops_magics.artifact.pandera_schema import schema

        return schema(self.name, self.columns, self.target)


def _no_constant(word: str) -> NoReturn:
    raise ValueError(word)  # NaN and Infinity are no JSON
