"""One column against its rule: each thing that is wrong, with the rows that it is wrong in."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.stats import dates
from mlops_magics.stats.columns import Column
from mlops_magics.stats.units import unit_change

Severity = Literal["error", "warning"]
Places = npt.NDArray[np.int64]

_EXAMPLES: Final = 3
_LONGEST: Final = 40  # characters of an example
_SAMPLE: Final = 20_000  # values that a distribution is taken from
_SLACK: Final = 5.0  # standard errors above what is expected before a rate is too high
_NUMBER: Final = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$"
_NUMBERS: Final = frozenset({"integer", "number"})
_DECIMALS: Final = frozenset({"float", "decimal"})


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is wrong with a column.

    Attributes:
        rule: Which rule is broken, in a word or two.
        severity: "error", or "warning" for what may well be right.
        what: A sentence that begins with the column's name.
        reason: The same for one row, in a few words.
        rows: How many rows it concerns.
        places: These rows; None where the column as a whole is wrong.
        examples: A few of the values.
    """

    rule: str
    severity: Severity
    what: str
    reason: str
    rows: int
    places: Places | None = None
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A column beside its rule, as all judges see it.

    Attributes:
        rule: The rule.
        column: The column.
        base: How many rows the contract was made from.
        values: Its values, gaps left out: numbers (dates as microseconds since 1970) or texts.
        where: The row of each value.
    """

    rule: ColumnRule
    column: Column
    base: int
    values: Any
    where: Places

    def found(
        self, rule: str, wrong: npt.NDArray[np.bool_], words: str, *, severity: Severity = "error"
    ) -> Iterator[Finding]:
        """Report the values that are wrong, if there are any."""
        places = np.flatnonzero(wrong)
        if not places.size:
            return
        rows = int(places.size)
        said = f"{self.rule.name}: {rows:,} of {self.column.rows:,} rows {words}"
        yield Finding(
            rule,
            severity,
            said + ".",
            f"{self.rule.name} {_singular(words)}",
            rows,
            self.where[places],
            self._some(places),
        )

    def whole(self, rule: str, words: str) -> Finding:
        """Report the column as a whole."""
        return Finding(
            rule, "error", f"{self.rule.name} {words}.", f"{self.rule.name} {words}", self.column.rows
        )

    def _some(self, places: Places) -> tuple[str, ...]:
        """Show a few different values; none of a column that looks personal."""
        if self.rule.personal:
            return ()
        taken: dict[str, None] = {}
        for place in places[:1000]:
            taken[self.shown(self.values[int(place)])] = None
            if len(taken) == _EXAMPLES:
                break
        return tuple(taken)

    def shown(self, value: Any) -> str:  # noqa: ANN401 - a number or a text
        """Write one value."""
        if isinstance(value, str):
            return value if len(value) <= _LONGEST else value[:_LONGEST] + "…"
        if self.column.kind == "date":
            return dates.iso(float(value))
        return str(bool(value)) if self.column.kind == "boolean" else f"{float(value):.6g}"


def _singular(words: str) -> str:
    """Say of one row what was said of several."""
    verb, _, rest = words.partition(" ")
    one = {"are": "is", "hold": "holds", "lie": "lies", "share": "shares"}.get(verb, verb)
    return f"{one} {rest}"


def judge(rule: ColumnRule, column: Column, base: int) -> list[Finding]:
    """Hold a column against its rule.

    Args:
        rule: The rule.
        column: The column.
        base: How many rows the contract was made from.

    Returns:
        All that is wrong, the type first.
    """
    judged = _judged(rule, column, base)
    findings = list(_nulls(judged))
    if not judged.where.size:
        return findings
    typed, wrong = _typed(judged)
    findings = [*wrong, *findings]
    if typed is None or not typed.where.size:
        return findings
    for look in _LOOKS:
        findings += look(typed)
    return findings


def _judged(rule: ColumnRule, column: Column, base: int) -> Judged:
    if column.texts is not None:
        values = column.texts
        where = np.arange(column.rows)
        if column.nulls:
            where = np.flatnonzero(values.is_not_null().to_numpy())
            values = values.drop_nulls()
        return Judged(rule, column, base, values, where)
    numbers: Any = column.numbers
    where = np.arange(column.rows) if column.valid is None else np.flatnonzero(column.valid)
    if numbers.dtype.kind == "f" and (gaps := np.isnan(numbers)).any():
        numbers, where = numbers[~gaps], where[~gaps]
    if column.kind in {"date", "duration"} and column.unit != 1.0:
        numbers = numbers * column.unit
    return Judged(rule, column, base, numbers, where)


def _nulls(judged: Judged) -> Iterator[Finding]:
    rule, rows = judged.rule, judged.column.rows
    gaps = rows - judged.where.size
    if not gaps:
        return
    bound = rule.nullable
    if bound > 0:  # what is a bound for all rows is an expectation for these few
        bound += _SLACK * (bound * (1 - bound) * (1 / rows + 1 / max(judged.base, 1))) ** 0.5
    if gaps / rows <= bound:
        return
    here = np.ones(rows, bool)
    here[judged.where] = False
    usual = "never" if rule.nullable == 0 else f"in at most {rule.nullable:.1%}"
    yield Finding(
        "nulls",
        "error",
        f"{rule.name}: {gaps:,} of {rows:,} rows have no value; the contract has that {usual}.",
        f"{rule.name} has no value",
        int(gaps),
        np.flatnonzero(here) if rule.nullable == 0 else None,
    )


def _typed(judged: Judged) -> tuple[Judged | None, list[Finding]]:
    """Bring the values to the rule's kind, and say which cannot be brought."""
    rule, kind = judged.rule, judged.column.kind
    if rule.format is not None:
        return _dated(judged, rule.format)
    if rule.kind in {"any", kind} or (rule.kind == "number" and kind in {"integer", *_DECIMALS}):
        return judged, []
    if rule.kind == "integer" and kind in _DECIMALS:
        with np.errstate(invalid="ignore"):
            parts = judged.values % 1 != 0
        return judged, list(judged.found("type", parts & np.isfinite(judged.values), "are no whole number"))
    if kind == "string" and rule.kind in _NUMBERS:
        return _read(judged, _as_numbers(judged.values), "a number")
    if kind == "string" and rule.kind == "date":
        return _read(judged, dates.parsed(judged.values), "a date")
    return None, [judged.whole("type", f"holds {_WORDS[kind]}, not {_WORDS[rule.kind]}")]


_WORDS: Final = {
    "boolean": "truth values",
    "integer": "whole numbers",
    "float": "numbers",
    "decimal": "numbers",
    "number": "numbers",
    "date": "dates",
    "duration": "durations",
    "string": "texts",
    "other": "values of several kinds",
    "empty": "nothing",
}


def _as_numbers(texts: pl.Series) -> npt.NDArray[np.float64]:
    read = texts.str.strip_chars().cast(pl.Float64, strict=False)
    return np.asarray(read.fill_null(np.nan).to_numpy(), np.float64)


def _read(judged: Judged, read: npt.NDArray[np.float64], noun: str) -> tuple[Judged, list[Finding]]:
    """Go on with what texts say, and list those that say nothing."""
    bad = np.isnan(read)
    count = int(bad.sum())
    told = f"{count:,} of them cannot be read as {noun}" if count else f"each can be read as {noun}"
    findings = [judged.whole("type", f"holds texts, not {_WORDS[judged.rule.kind]}; {told}")]
    findings += judged.found("type", bad, f"cannot be read as {noun}")
    kind: Any = "date" if judged.rule.kind == "date" else "float"
    column = Column(kind, judged.column.rows, judged.column.nulls, numbers=read)
    return Judged(judged.rule, column, judged.base, read[~bad], judged.where[~bad]), findings


def _dated(judged: Judged, form: str) -> tuple[Judged | None, list[Finding]]:
    """Read dates that are kept as text in one form, and tell those in another form from what is no date."""
    if judged.column.kind != "string":
        words = f"holds {_WORDS[judged.column.kind]}, not texts such as {dates.example(form)}"
        return None, [judged.whole("type", words)]
    read = dates.written(judged.values, form)
    findings: list[Finding] = []
    if np.isnan(read).any():
        other = np.isnan(read) & ~np.isnan(dates.parsed(judged.values))
        usual = dates.example(form)
        findings += judged.found("format", other, f"are dates written in another way than {usual}")
        findings += judged.found("type", np.isnan(read) & ~other, f"cannot be read as a date such as {usual}")
    good = ~np.isnan(read)
    column = Column("date", judged.column.rows, judged.column.nulls, numbers=read)
    return Judged(judged.rule, column, judged.base, read[good], judged.where[good]), findings


def _range(judged: Judged) -> Iterator[Finding]:
    rule = judged.rule
    if judged.column.texts is not None or judged.column.kind == "boolean":
        return
    for bound, below in ((rule.minimum, True), (rule.maximum, False)):
        if bound is None:
            continue
        limit = dates.micros(bound) if isinstance(bound, str) else bound
        extreme = judged.values.min() if below else judged.values.max()
        if extreme >= limit if below else extreme <= limit:
            continue
        words = f"are {'below' if below else 'above'} {judged.shown(limit)}"
        yield from judged.found("range", judged.values < limit if below else judged.values > limit, words)


def _future(judged: Judged) -> Iterator[Finding]:
    if judged.rule.past and judged.column.kind == "date":
        limit = (datetime.now(UTC) + timedelta(days=1)).timestamp() * 1e6  # whatever the time zone
        if judged.values.max() > limit:
            yield from judged.found("future", judged.values > limit, "lie in the future")


def _categories(judged: Judged) -> Iterator[Finding]:
    allowed = judged.rule.allowed
    if allowed is None:
        return
    numeric = judged.column.texts is None
    values = pl.Series("", judged.values) if numeric else judged.values
    known = {float(item) if numeric and not isinstance(item, str) else item for item in allowed}
    strange = [item for item in values.unique().to_list() if item not in known]
    if not strange:
        return
    wrong = values.is_in(strange).to_numpy()
    severity: Severity = "error"
    if not judged.rule.closed:
        severity = "warning"
    if judged.rule.unseen:
        expected = judged.rule.unseen * len(values)
        # What is expected is an estimate itself, the worse the fewer rows the contract was made from.
        spread = (expected * (1 + len(values) / max(judged.base, 1)) + 1) ** 0.5
        if wrong.sum() <= expected + _SLACK * spread:
            return
    hint = "" if numeric or judged.rule.personal else _near(judged, strange, known)
    yield from judged.found("category", wrong, f"hold a value that was never seen{hint}", severity=severity)


def _near(judged: Judged, strange: Sequence[str], known: set[Any]) -> str:
    """Name unseen values, each with the one that was probably meant."""
    folded = {str(item).strip().casefold(): str(item) for item in known}
    told = []
    for item in sorted(strange)[:_EXAMPLES]:
        close = folded.get(item.strip().casefold()) or next(
            iter(difflib.get_close_matches(item[:100], folded.values(), 1, 0.7)), None
        )
        told.append(f"'{judged.shown(item)}'" + (f" (perhaps '{judged.shown(close)}')" if close else ""))
    more = f" and {len(strange) - _EXAMPLES} more" if len(strange) > _EXAMPLES else ""
    return f": {', '.join(told)}{more}"


def _unique(judged: Judged) -> Iterator[Finding]:
    if judged.rule.unique:
        values = judged.values if judged.column.texts is not None else pl.Series("", judged.values)
        if values.n_unique() < len(values):
            yield from judged.found(
                "unique", values.is_duplicated().to_numpy(), "share a key with another row"
            )


def _texts(judged: Judged) -> Iterator[Finding]:
    """Lengths and shapes."""
    rule, texts = judged.rule, judged.column.texts
    if texts is None or judged.column.kind != "string":
        return
    if rule.lengths is not None:
        least, most = rule.lengths
        lengths = judged.values.str.len_chars().to_numpy()
        wrong = (lengths < least) | (lengths > most)
        yield from judged.found("length", wrong, f"are not {least} to {most} characters long")
    if rule.shape is not None:
        wrong = (shapes(judged.values) != rule.shape).to_numpy()
        yield from judged.found("shape", wrong, f"are not written like {rule.shape}")


def _units(judged: Judged) -> Iterator[Finding]:
    rule = judged.rule
    if rule.quantiles is None or judged.column.texts is not None:
        return
    values = judged.values
    some = values[:: max(1, values.size // _SAMPLE)]
    some = some[np.isfinite(some)] if some.dtype.kind == "f" else some
    change = unit_change(rule.quantiles, max(1, round(judged.base * (1 - rule.nullable))), some)
    if change is not None:
        times = (
            f"{change.factor:.4g} times what it was" if change.factor > 0 else "the opposite of what it was"
        )
        more = f" and {change.offset:+.4g}" if change.offset else ""
        yield judged.whole("unit", f"is {times}{more} in all its values, as from {change.words}")


def shapes(texts: pl.Series) -> pl.Series:
    """Write how texts are made: ``N14228`` is ``a9``, ``2013-01-31`` is ``9-9-9``."""
    return texts.str.replace_all(r"\p{L}+", "a").str.replace_all(r"\p{Nd}+", "9")


_LOOKS: tuple[Callable[[Judged], Iterator[Finding]], ...] = (
    _units,
    _range,
    _future,
    _categories,
    _unique,
    _texts,
)
