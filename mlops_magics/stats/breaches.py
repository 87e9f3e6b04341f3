"""A table against a contract: every breach with its rows counted, and the bad rows with the reasons."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import polars as pl

from mlops_magics.artifact.contract import Contract
from mlops_magics.foundation.frames import Frame
from mlops_magics.stats.fingerprints import decoded
from mlops_magics.stats.judging import Finding, Places, Severity, judge
from mlops_magics.stats.naming import labels

_SMALL: Final = 200_000  # cells: below it, starting threads costs more than it saves
_MOST_REASONS: Final = 5  # for one row; more are counted
REASON: Final = "reason"


@dataclass(frozen=True, slots=True)
class Breach:
    """A rule of the contract that a table breaks.

    Attributes:
        column: The column.
        rule: Which rule, in a word or two: "missing column", "type", "nulls", "range", "category", ...
        severity: "error", or "warning" for what may well be right.
        rows: How many rows it concerns.
        share: These as a share of all rows.
        what: The breach in a sentence.
        examples: A few of the values; none where the column looks personal.
        whole: Whether the column as a whole is wrong, so that no single row is to blame.
    """

    column: str
    rule: str
    severity: Severity
    rows: int
    share: float
    what: str
    examples: tuple[str, ...] = ()
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """What checking a table found.

    Attributes:
        breaches: All breaches, errors first, then by the rows that they concern.
        bad: How many rows are to blame for something.
        bad_rows: These rows, in the library of the table, with a column of reasons at the end.
    """

    breaches: tuple[Breach, ...]
    bad: int
    bad_rows: Any


def check(contract: Contract, frame: Frame) -> Check:
    """Hold a table against a contract.

    Args:
        contract: What the table must be.
        frame: The table.

    Returns:
        Every breach, and the bad rows. Breaches of whole columns (one is missing, of another type, in
        another unit) put no row among the bad ones.
    """
    names = labels(frame.names)
    places = {name: place for place, name in enumerate(names)}
    rules = [rule for rule in contract.columns if rule.name in places]

    def judged(place: int) -> list[Finding]:
        rule = rules[place]
        return judge(rule, decoded(frame, places[rule.name]), contract.rows)

    if len(names) * frame.rows < _SMALL:
        found = [judged(place) for place in range(len(rules))]
    else:
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            found = list(pool.map(judged, range(len(rules))))
    pairs = [(rule.name, item) for rule, items in zip(rules, found, strict=True) for item in items]
    breaches = [*_columns(contract, names, frame.rows), *(_breach(*pair, frame.rows) for pair in pairs)]
    breaches.sort(key=lambda each: (each.severity != "error", -each.rows))
    bad, reasons = _reasons([item for _, item in pairs])
    return Check(tuple(breaches), int(bad.size), _with_reasons(frame, bad, reasons))


def _breach(column: str, finding: Finding, rows: int) -> Breach:
    return Breach(
        column=column,
        rule=finding.rule,
        severity=finding.severity,
        rows=finding.rows,
        share=finding.rows / rows if rows else 0.0,
        what=finding.what,
        examples=finding.examples,
        whole=finding.places is None,
    )


def _columns(contract: Contract, names: Sequence[str], rows: int) -> Iterator[Breach]:
    """Find columns that are missing, that nobody asked for, and that were merely renamed."""
    import difflib

    known = contract.by_name
    extra = {_folded(name): name for name in names if name not in known}
    for name, rule in known.items():
        if name in names or rule.optional or name == contract.target:
            continue
        close = (
            [_folded(name)]
            if _folded(name) in extra
            else difflib.get_close_matches(_folded(name), extra, 1, 0.75)
        )
        share = 1.0 if rows else 0.0
        if close:
            other = extra.pop(close[0])
            what = f"{name} is not there, but {other} is: it was probably renamed."
            yield Breach(name, "renamed column", "error", rows, share, what, whole=True)
        else:
            what = f"{name} is not there."
            yield Breach(name, "missing column", "error", rows, share, what, whole=True)
    for name in extra.values():
        what = f"{name} is not in the contract; it is ignored."
        yield Breach(name, "extra column", "warning", rows, 1.0 if rows else 0.0, what, whole=True)


def _folded(name: str) -> str:
    """Bring a name to what stays the same when columns are renamed by habit."""
    return "".join(each for each in name.casefold() if each.isalnum()) or name


def _reasons(findings: Sequence[Finding]) -> tuple[Places, pl.Series]:
    """Put together, for each bad row, why it is bad.

    Rows that are bad for the same reasons share one text, so that a table with a million bad rows costs
    a few texts and one number a row.
    """
    blamed = [(item.reason, item.places) for item in findings if item.places is not None]
    empty: Places = np.zeros(0, np.int64)
    if not blamed:
        return empty, pl.Series(REASON, [], dtype=pl.String)
    bad = np.unique(np.concatenate([places for _, places in blamed]))
    sets: list[tuple[str, ...]] = [()]
    numbers: dict[tuple[str, ...], int] = {(): 0}
    which = np.zeros(bad.size, np.int64)
    for reason, places in blamed:
        here = np.searchsorted(bad, places)
        before, back = np.unique(which[here], return_inverse=True)
        after = []
        for old in before:
            told = (*sets[old], reason)
            if told not in numbers:
                numbers[told] = len(sets)
                sets.append(told)
            after.append(numbers[told])
        which[here] = np.array(after)[back]
    return bad, pl.Series(REASON, [_told(each) for each in sets], dtype=pl.String).gather(which)


def _told(reasons: tuple[str, ...]) -> str:
    more = f"; and {len(reasons) - _MOST_REASONS} more" if len(reasons) > _MOST_REASONS else ""
    return "; ".join(reasons[:_MOST_REASONS]) + more


def _with_reasons(frame: Frame, bad: Places, reasons: pl.Series) -> Any:  # noqa: ANN401 - of the table's library
    """Take the bad rows as a table of the same library, with the reasons as its last column."""
    name = labels([*frame.names, REASON])[-1]
    if frame.kind == "polars":
        return frame.data[bad].with_columns(reasons.alias(name))
    if frame.kind == "arrow":
        return frame.data.take(bad).append_column(name, reasons.to_arrow().cast("string"))
    rows = frame.data.iloc[bad].copy()
    levels = rows.columns.nlevels
    key = name if levels == 1 else (name, *[""] * (levels - 1))
    rows.insert(rows.shape[1], key, reasons.to_list())
    return rows
