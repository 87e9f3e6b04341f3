"""What is known about a table: frozen facts, each with its error where it is not exact.

A number that was estimated says so: ``distinct_error`` and ``rank_error`` are 0.0 where the value is
exact, and the standard error (of the count, of the rank) where it is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

Kind = Literal["boolean", "integer", "float", "decimal", "date", "duration", "string", "other", "empty"]
Meaning = Literal["empty", "constant", "flag", "id", "category", "ordinal", "number", "date", "text", "other"]
Personal = Literal["", "email", "phone", "name", "address", "ip", "card", "account", "birth", "free text"]
Measure = Literal["pearson", "spearman", "cramers_v", "correlation_ratio"]
Scalar = str | int | float | bool | None

NUMERIC: Final[frozenset[str]] = frozenset({"integer", "float", "decimal"})
QUANTILES: Final[tuple[float, ...]] = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in bins of equal width, whose edges are multiples of a power of two.

    Attributes:
        start: The lower edge of the first bin, in the column's unit (dates: microseconds since 1970).
        width: The width of a bin.
        counts: How many values each bin holds: the lower edge belongs to it, the upper one does not.
    """

    start: float
    width: float
    counts: tuple[int, ...]

    @property
    def edges(self) -> tuple[float, ...]:
        """All edges, one more than there are bins."""
        return tuple(self.start + self.width * place for place in range(len(self.counts) + 1))


@dataclass(frozen=True, slots=True)
class Level:
    """A value and how often it occurs.

    Attributes:
        value: The value; dates as ISO text.
        count: How many rows hold it.
    """

    value: Scalar
    count: int


@dataclass(frozen=True, slots=True)
class Numbers:
    """The distribution of a column's finite numbers; of dates and durations, in microseconds.

    Attributes:
        count: How many finite values there are.
        minimum: The least.
        maximum: The greatest.
        mean: The mean.
        std: The standard deviation, with n - 1; None for a single value.
        skew: The third standardised moment; None where all values are equal.
        kurtosis: The fourth standardised moment less 3; None where all values are equal.
        quantiles: Quantile -> value, linearly interpolated, at ``QUANTILES``.
        rank_error: The standard error of a quantile's rank, as a share of the rows; 0.0 where exact.
        histogram: 33 to 64 bins where there are that many distinct values.
        zeros: How many are zero.
        negatives: How many are below zero.
    """

    count: int
    minimum: float
    maximum: float
    mean: float
    std: float | None
    skew: float | None
    kurtosis: float | None
    quantiles: Mapping[float, float]
    rank_error: float
    histogram: Histogram
    zeros: int
    negatives: int


@dataclass(frozen=True, slots=True)
class Lengths:
    """The lengths of a column's texts, in characters."""

    minimum: int
    mean: float
    maximum: int


@dataclass(frozen=True, slots=True)
class ColumnSummary:
    """One column.

    Attributes:
        name: Its name as text, made unique: the second "x" is "x#1", a tuple its parts with dots between.
        position: Its place in the table, from 0.
        dtype: Its type as its library calls it.
        kind: How it is stored.
        meaning: What it means, as far as its values tell.
        personal: Which kind of personal data it looks like; "" for none.
        rows: The table's rows.
        missing: Rows without a value: null, None, NaN, NaT.
        nan: Of these, the ones that are NaN beside true nulls (Arrow, Polars, nullable pandas).
        infinite: Rows that hold plus or minus infinity.
        distinct: How many different values there are, missing and infinite ones not counted.
        distinct_error: The relative standard error of ``distinct``; 0.0 where exact.
        top: The most frequent values, at most 10, the most frequent first; empty where all differ.
        top_exact: Whether their counts are exact, or scaled up from the sample.
        minimum: The least value as it is shown: a number, or ISO text for dates; None for texts.
        maximum: The greatest, in the same form.
        numbers: The distribution, for numbers, dates and durations.
        lengths: The texts' lengths, for strings.
        ordered: "up", "down" or "" - whether the values only rise or only fall in the table's order.
        mixed: Python types and their shares of a sample, where a column of objects holds more than one.
        memory: Bytes it takes in memory; in a file, its bytes there.
        notes: What was done to read it: a text form, a cast from decimals.
    """

    name: str
    position: int
    dtype: str
    kind: Kind
    meaning: Meaning
    rows: int
    missing: int
    nan: int = 0
    infinite: int = 0
    distinct: int = 0
    distinct_error: float = 0.0
    top: tuple[Level, ...] = ()
    top_exact: bool = True
    minimum: Scalar = None
    maximum: Scalar = None
    numbers: Numbers | None = None
    lengths: Lengths | None = None
    ordered: Literal["", "up", "down"] = ""
    mixed: Mapping[str, float] = field(default_factory=dict)
    personal: Personal = ""
    memory: int = 0
    notes: tuple[str, ...] = ()

    @property
    def missing_rate(self) -> float:
        """The share of rows without a value; 0.0 for a table without rows."""
        return self.missing / self.rows if self.rows else 0.0

    @property
    def distinct_rate(self) -> float:
        """Distinct values as a share of the rows that have one."""
        held = self.rows - self.missing
        return self.distinct / held if held else 0.0

    @property
    def numeric(self) -> bool:
        """Whether it holds numbers that may be added up: no dates, no flags, no ids are meant by it."""
        return self.kind in NUMERIC


@dataclass(frozen=True, slots=True)
class Pair:
    """How strongly two columns go together.

    Attributes:
        left: A column.
        right: Another.
        measure: Which measure: the first column of ``correlation_ratio`` is the category.
        value: Its value: -1 to 1 for correlations, 0 to 1 otherwise.
    """

    left: str
    right: str
    measure: Measure
    value: float


@dataclass(frozen=True, slots=True)
class Associations:
    """How columns go together, on one fixed sample of rows.

    Attributes:
        rows: How many rows the sample has; all of the table's where it is small.
        pairs: The strongest pairs, strongest first, at most 1,000.
        names: The columns of ``matrix``, in the table's order; empty above 60 columns.
        matrix: The strength of each pair, 0 to 1, by rows: the greater of |Pearson| and |Spearman| for
            two numbers, bias-corrected Cramer's V for two categories, the correlation ratio else. None
            where it cannot be said.
    """

    rows: int
    pairs: tuple[Pair, ...] = ()
    names: tuple[str, ...] = ()
    matrix: tuple[tuple[float | None, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Relation:
    """What one column alone says about the target.

    Attributes:
        column: The column.
        information: Mutual information with the target, in nats, bias-corrected (Miller-Madow).
        share: The same as a share of the target's entropy, 0 to 1.
        skill: How well the column alone predicts the target on the half of the sample that it was not
            fitted on: 2 AUC - 1 for two classes, R2 for numbers, the gain in accuracy over the most
            frequent class as a share of what is possible for more classes. At most 1; 0 is no skill.
        when_missing: The same skill of nothing but whether the column is missing.
    """

    column: str
    information: float
    share: float
    skill: float
    when_missing: float = 0.0


@dataclass(frozen=True, slots=True)
class Segment:
    """A portion of the rows in which the target differs from the rest.

    Attributes:
        column: The column that it is cut by.
        words: The portion in words: ``carrier = EV``, ``distance 500 to 800``, ``gate is missing``.
        rows: How many rows of the sample it holds.
        share: These as a share of the sample.
        value: The target's mean in it; for classes, the rate of ``TargetSummary.positive``.
        low: The lower end of its 95 % interval (Wilson for a rate, normal for a mean).
        high: The upper end.
        difference: The value less the value of all other rows.
        p_value: Of no difference to the other rows, Holm-adjusted over all portions looked at.
        held: The least and the greatest value in it, exact (dates: microseconds since 1970); a text twice.
            None for missing values.
    """

    column: str
    words: str
    rows: int
    share: float
    value: float
    low: float
    high: float
    difference: float
    p_value: float
    held: tuple[Scalar, Scalar] | None = None


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """The target, and what the other columns say about it.

    Attributes:
        name: The target's column.
        problem: "binary", "classes" or "number".
        positive: For classes, the one whose rate segments speak of: the rarer of two, else the most
            frequent.
        value: Its mean over the sample, or the rate of ``positive``.
        relations: A relation a column, the most telling first.
        segments: Where it differs most, the surest and largest first, at most 20.
    """

    name: str
    problem: Literal["binary", "classes", "number"]
    positive: Scalar
    value: float
    relations: tuple[Relation, ...]
    segments: tuple[Segment, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """Rows that repeat an earlier row in all columns.

    Attributes:
        rows: How many there are.
        exact: Whether all rows were compared (by 64-bit hashes); else a part of the hash range was, scaled
            up.
    """

    rows: int
    exact: bool = True


@dataclass(frozen=True, slots=True)
class MissingPattern:
    """A set of columns that are missing in the same rows.

    Attributes:
        columns: The columns without a value; empty for rows that are complete.
        rows: How many rows of the sample are so.
        share: These as a share of the sample.
    """

    columns: tuple[str, ...]
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Alert:
    """Something about the table that harms a model or a conclusion drawn from it.

    Attributes:
        code: Which kind: "missing", "constant", "leak", "copy", ...
        columns: The columns it is about, the one to act on first; empty for the whole table.
        level: "high" where a model would be wrong, "medium" where it would be worse, "low" to know of.
        harm: 0 to 1; alerts are ranked by it.
        value: The number behind it.
        what: One sentence with that number.
        remedy: One sentence: what to do.
    """

    code: str
    columns: tuple[str, ...]
    level: Literal["high", "medium", "low"]
    harm: float
    value: float
    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Change:
    """How a column differs between two tables.

    Attributes:
        column: Its name.
        status: "same", "changed" (beyond what chance and size explain), "type", "added" or "removed".
        distance: How far apart the two distributions are, 0 to 1: Kolmogorov-Smirnov's D for numbers and
            dates, total variation for categories; None where it cannot be said.
        p_value: Of equal distributions, Holm-adjusted over the columns; None likewise.
        before: What is shown of it in the table compared with: its mean, or the share of its most frequent
            value.
        after: The same here.
        missing_before: The share missing there.
        missing_after: The share missing here.
        words: The change in a sentence; "" where there is none.
    """

    column: str
    status: Literal["same", "changed", "type", "added", "removed"]
    distance: float | None
    p_value: float | None
    before: Scalar
    after: Scalar
    missing_before: float
    missing_after: float
    words: str


@dataclass(frozen=True, slots=True)
class TableSummary:
    """A whole table.

    Attributes:
        source: What the user called it.
        rows: Its rows.
        columns: Its columns, in order.
        digest: Of every value (of every byte for files), 32 hexadecimal digits.
        memory: Bytes in memory; of files, their size.
        sampled: Rows of the fixed sample that associations, segments and patterns come from.
        duplicates: Repeated rows; None for a table without columns.
        patterns: The most frequent patterns of missing values, at most 20.
        associations: How columns go together.
        target: What the columns say about the target, where one was named.
        head: The first rows, at most 10, as JSON types, a tuple a row.
    """

    source: str
    rows: int
    columns: tuple[ColumnSummary, ...]
    digest: str
    memory: int
    sampled: int
    duplicates: Duplicates | None
    patterns: tuple[MissingPattern, ...]
    associations: Associations
    target: TargetSummary | None = None
    head: tuple[tuple[Scalar, ...], ...] = ()

    @property
    def by_name(self) -> Mapping[str, ColumnSummary]:
        """The columns by name."""
        return {column.name: column for column in self.columns}
