"""The data contract of a version, held against each request: what breaks it names column and rule, no value.

Only what one row can break by itself is looked at. Whether a column as a whole has drifted, lost more values
than usual or changed its unit, many rows together show, and those are in the journal.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.judges import Array, Right, judges, right_number, right_text
from mlops_magics.serving.routes import Heads, Hear
from mlops_magics.serving.rows import Layout, Rows

CODE = "CONTRACT_BREACH"


class BreachError(RequestError):
    """A request that breaks the contract.

    Attributes:
        rule: Which rule, in a word.
        place: The column and the rule.
    """

    def __init__(self, contract: str, rule: str, column: str, row: int) -> None:
        super().__init__(
            422, CODE, f"The contract {contract}: {_SAID[rule]} ({rule}).", column=column, row=row
        )
        self.rule = rule
        self.place = (column, rule)


_SAID = {
    "nulls": "there is no value, and there must be one",
    "type": "this is no whole number",
    "format": "this is not a date in the form that was agreed",
    "range": "this is outside of what was agreed",
    "future": "this lies in the future",
    "category": "this is none of the values that were agreed",
    "length": "this text is shorter or longer than was agreed",
    "shape": "this text is not made as was agreed",
}


_FEW = 64  # rows; an array of more is quicker than their cells
_LAYOUTS = 64

_Glance = list[tuple[int, bool, Right]]
"""For each column that is looked at: its place in a row, whether it needs a value, and what looks at it."""


class Terms:
    """Holds requests against a contract, and counts what breaks it.

    Args:
        contract: The contract.

    Attributes:
        breaches: How many requests were refused, by column and rule.
    """

    def __init__(self, contract: Contract) -> None:
        self._name = contract.name
        self._asked = [rule for rule in contract.columns if rule.name != contract.target]
        self._rules = [(rule.name, rule.nullable == 0, tuple(judges(rule))) for rule in self._asked]
        self._glances: dict[Layout, _Glance] = {}
        self.breaches: Counter[tuple[str, str]] = Counter()

    def heard(self, hear: Hear) -> Hear:
        """Put this behind what reads requests."""

        def held(body: bytes, heads: Heads) -> Batch:
            batch = hear(body, heads)
            self.check(batch)
            return batch

        return held

    def check(self, batch: Batch) -> None:
        """Let a request pass.

        Raises:
            BreachError: It breaks the contract; the first column and row that do are named.
        """
        held = batch.held
        if isinstance(held, Rows) and self._right(held):
            return
        for name, needed, looking in self._rules:
            values = batch.columns.get(name)
            if values is None or not len(values):  # what the model does not take is not looked at
                continue
            gaps = _gaps(values)
            if gaps is not None and gaps.any():
                if needed:
                    self._refuse("nulls", name, int(gaps.argmax()))
                where = np.flatnonzero(~gaps)
                values = values[where]
            else:
                where = None
            for rule, judge in looking:
                wrong = judge(values) if len(values) else values
                if wrong.any():
                    row = int(wrong.argmax())
                    self._refuse(rule, name, row if where is None else int(where[row]))

    def _right(self, rows: Rows) -> bool:
        """Tell whether rows of plain cells are surely right; an array of any cell need not be made then."""
        if len(rows.cells) > _FEW:
            return False
        glance = self._glances.get(rows.layout)
        if glance is None:
            if len(self._glances) == _LAYOUTS:  # a client may send its columns in ever another order
                self._glances.clear()
            glance = self._glances[rows.layout] = _glance(rows.layout, self._asked)
        for row in rows.cells:
            for place, needed, right in glance:
                cell = row[place]
                if needed if cell is None else not right(cell):
                    return False
        return True

    def count(self, error: BreachError) -> None:
        """Count a request that was refused."""
        self.breaches[error.place] += 1

    def _refuse(self, rule: str, column: str, row: int) -> None:
        raise BreachError(self._name, rule, column, row)


def _gaps(values: Array) -> Array | None:
    if values.dtype.kind == "f":
        return np.isnan(values)
    if values.dtype.kind == "M":
        return np.isnat(values)
    if values.dtype.kind == "O":
        return np.fromiter((each is None for each in values), np.bool_, len(values))
    return None


def _glance(layout: Layout, rules: Sequence[ColumnRule]) -> _Glance:
    """Find what looks at the cells of a layout's rows."""
    made: _Glance = []
    for rule in rules:
        if rule.name not in layout.places:
            continue
        place, kind = layout.places[rule.name]
        right: Right = right_text(rule) if kind == "string" else right_number(rule)
        if kind == "boolean":
            right = _unsure if any(judges(rule)) else _sure
        made.append((place, rule.nullable == 0, right))
    return made


def _sure(cell: object) -> bool:
    del cell
    return True


def _unsure(cell: object) -> bool:
    del cell
    return False
