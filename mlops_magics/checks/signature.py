"""The gate that holds back what would refuse rows which the champion takes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, Final

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.artifact.schema import Kind, Schema
from mlops_magics.artifact.takes import Takes
from mlops_magics.checks.base import Verdict, failed, not_applicable, passed
from mlops_magics.checks.facts import Facts

_NUMBERS: Final[tuple[Kind, ...]] = ("integer", "long", "float", "double")
"""Each takes what those before it take."""
_NAMED: Final = 4  # things that a sentence holds
_ASKED: Final = 50  # texts of a column that the model is asked about
_TRIED: Final = 20  # rows among which one is sought that the model answers
_NO_TEXT: Final = "biufcmM"  # kinds of columns of numbers and times


class Signature:
    """Takes every row that the champion takes: no other column, type or text, and no new want of a value."""

    name = "signature"

    def judge(self, facts: Facts) -> Verdict:
        """Judge the signatures, the contracts, and what the model says to texts that the champion knew."""
        mine = None if facts.kept is None else facts.kept.takes
        if facts.champion is None:
            return not_applicable(self.name, "There is no champion to compare with.")
        if facts.rival is None or mine is None:
            return not_applicable(self.name, "Of one of the two it is not kept which rows it takes.")
        told = [*_columns(mine, facts.rival), *_contracts(mine, facts.rival), *_texts(facts, mine)]
        told = list(dict.fromkeys(told))
        if told:
            more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
            words = f"It refuses rows that the champion takes: {'; '.join(told[:_NAMED])}{more}."
            return failed(self.name, None, None, words)
        if mine.schema is None and mine.contract is None:
            return not_applicable(self.name, "It has no signature.")
        return passed(self.name, None, None, "It takes the rows that the champion takes.")


def _columns(mine: Takes, theirs: Takes) -> Iterator[str]:
    """Compare the signatures."""
    if mine.schema is None or theirs.schema is None:
        return
    known, now = _by_name(theirs.schema), _by_name(mine.schema)
    for name, column in now.items():
        before = known.get(name)
        if before is None:
            if column.required:
                yield f"{name} is new, and must be there"
            continue
        if not _wide_enough(before.type, column.type):
            yield f"{name} is {column.type}, and was {before.type}"
        if column.required and not before.required:
            yield f"{name} may not be missing any more"
    # Rows without names, as lists, are told apart by the places of their values alone.
    for name in known.keys() - now.keys():
        yield f"{name} is not there any more, so that rows without names have a value too many"
    both = [name for name in mine.schema.names if name in known]
    if both != [name for name in theirs.schema.names if name in now]:
        yield f"{both[0]} and others come in another order, which rows without names do not tell"


def _by_name(schema: Schema) -> dict[str, Any]:
    return {column.name: column for column in schema.columns}


def _wide_enough(before: Kind, now: Kind) -> bool:
    if before in _NUMBERS and now in _NUMBERS:
        return _NUMBERS.index(now) >= _NUMBERS.index(before)
    return before == now


def _contracts(mine: Takes, theirs: Takes) -> Iterator[str]:
    """Compare the contracts, where both have one."""
    if mine.contract is None or theirs.contract is None:
        return
    known = theirs.contract.by_name
    for rule in _asked(mine.contract):
        before = known.get(rule.name)
        if before is None:
            yield f"the contract has the new column {rule.name}, which must be there"
            continue
        if rule.kind not in {before.kind, "any"} and (before.kind, rule.kind) != ("integer", "number"):
            yield f"the contract wants {rule.name} to be {rule.kind}, and before {before.kind}"
        if not rule.nullable and before.nullable:
            yield f"the contract does not let {rule.name} be missing any more"
        if lost := _lost(rule, before):
            yield f"the contract does not take {lost} in {rule.name} any more"


def _asked(contract: Contract) -> Iterator[ColumnRule]:
    return (rule for rule in contract.columns if not rule.optional and rule.name != contract.target)


def _lost(rule: ColumnRule, before: ColumnRule) -> str:
    """Name a value that was allowed and is not any more, or say that others were; ""."""
    if rule.allowed is None or not rule.closed:
        return ""
    if before.allowed is None or not before.closed:
        return "values that it has not seen"
    gone = [value for value in before.allowed if value not in set(rule.allowed)]
    return repr(gone[0]) if gone else ""


def _texts(facts: Facts, mine: Takes) -> Iterator[str]:
    """Ask the model about texts that the champion was fitted on and that are new to it."""
    theirs = {} if facts.rival is None else facts.rival.levels
    for place, name in enumerate(map(str, facts.model.features)):
        unknown = [text for text in theirs.get(name, ()) if text not in mine.levels.get(name, ())]
        if not unknown or facts.rows.dtypes.iloc[place].kind in _NO_TEXT:
            continue
        row = _answered(facts, place)
        refused = (
            text for text in unknown[:_ASKED] if row is not None and not _answers(facts, row, place, text)
        )
        if first := next(refused, ""):
            yield f"{name} may not be {first!r}"


def _answered(facts: Facts, place: int) -> Any:  # noqa: ANN401 - a pandas table
    """Find a row that the model answers, the column free to hold any text: then the text counts."""
    rows = facts.rows.iloc[:_TRIED].copy()
    rows.isetitem(place, rows.iloc[:, place].astype(object))
    found = (rows.iloc[each : each + 1] for each in range(len(rows)))
    return next((row for row in found if _holds(facts, row)), None)


def _answers(facts: Facts, row: Any, place: int, text: str) -> bool:  # noqa: ANN401 - a pandas table
    changed = row.copy()
    changed.iloc[0, place] = text
    return _holds(facts, changed)


def _holds(facts: Facts, row: Any) -> bool:  # noqa: ANN401 - a pandas table
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            facts.model.answer(row)
    except Exception:  # noqa: BLE001 - whatever a model raises: it does not take the row
        return False
    return True


GATE = Signature()
