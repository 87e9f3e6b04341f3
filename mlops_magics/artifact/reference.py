"""What a model's rows were like when it was fitted, small enough to be kept with it: drift is measured by it.

No row is in it. Numbers are counted in bins of equal mass, frequent values under their names, all others in
64 buckets by a hash that never changes. Of columns that look personal no value is in it at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import orjson
import xxhash

from mlops_magics.artifact.periods import Periods
from mlops_magics.foundation.errors import MLOpsError

VERSION: Final = 2
READ: Final = (1, 2)
"""The versions of the form that this release reads; 1 has no periods, no words and no times of day."""
NAME: Final = "mlops/reference.json"
"""Where it lies in a model's folder."""
TAIL: Final = 64

_AGAIN: Final = "Fit the model again in a %%mlops_track cell and register it: the reference is made anew."


def read(folder: Path) -> Reference | None:
    """Read the reference in a model's folder; None where there is none that this release reads."""
    try:
        return Reference.from_json((folder / NAME).read_bytes())
    except (OSError, MLOpsError):
        return None


def bucket(text: str) -> int:
    """Return the bucket of a value that has no name of its own: the same in each process and release."""
    return xxhash.xxh3_64_intdigest(text.encode(errors="surrogatepass")) % TAIL


@dataclass(frozen=True, slots=True)
class Bins:
    """Numbers, counted.

    Attributes:
        edges: Rising; a value belongs to bin ``bisect_right(edges, value)``.
        counts: How many values each bin held, one more than there are edges.
        minimum: The least value.
        maximum: The greatest.
        mean: The mean.
        std: The standard deviation, with n.
    """

    edges: tuple[float, ...]
    counts: tuple[int, ...]
    minimum: float
    maximum: float
    mean: float
    std: float


@dataclass(frozen=True, slots=True)
class Levels:
    """Texts, counted.

    Attributes:
        named: How often each frequent value occurred.
        tail: How often all others did, by :func:`bucket`; empty where nearly every row has its own.
        distinct: How many different values there were.
    """

    named: Mapping[str, int]
    tail: tuple[int, ...]
    distinct: int


@dataclass(frozen=True, slots=True)
class ColumnReference:
    """One column.

    Attributes:
        name: Its name, made unique.
        kind: How it is stored: "integer", "float", "boolean", "date" (microseconds since 1970), "string", ...
        rows: How many rows were looked at.
        missing: Of these, without a value.
        infinite: Of these, plus or minus infinity.
        personal: Which kind of personal data it looks like; "" for none. Such a column has no bins of
            values and no named levels.
        bins: Its numbers.
        levels: Its texts.
        lengths: How long these are, in characters.
        digest: The digest of all its values, of all rows.
        distinct: How many different numbers there were; 0 where that was not counted.
        worded: How many texts were looked at for words; 0 where most texts occur again and again.
        words: How many of these held a word of each bucket.
        hours: Dates by the hour of the day; empty where all are midnight.
        weekdays: Dates by the day of the week, Monday first.
    """

    name: str
    kind: str
    rows: int
    missing: int
    infinite: int = 0
    personal: str = ""
    bins: Bins | None = None
    levels: Levels | None = None
    lengths: Bins | None = None
    digest: str = ""
    distinct: int = 0
    worded: int = 0
    words: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Predictions:
    """What the model answered.

    Attributes:
        rows: How many rows it was asked.
        basis: Which rows these were: "fitted", the rows that it was fitted on. A model is surer of them
            than of new ones.
        numbers: Predicted numbers, of a regression.
        labels: How often each class was the likeliest.
        probabilities: The probability of each class by its name; of two classes the second alone.
    """

    rows: int
    basis: str = "fitted"
    numbers: Bins | None = None
    labels: Mapping[str, int] = field(default_factory=dict)
    probabilities: Mapping[str, Bins] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reference:
    """A whole table, as the model was fitted on it.

    Attributes:
        rows: Its rows.
        columns: Its columns, in order.
        left_out: How many more there were.
        predictions: What the model answered; None where it does not answer, or in many outputs.
        importance: How much the model uses each column, as shares of 1; empty where it does not say.
        measured: What these shares were taken from: "feature_importances_"; "coef_", by how much each
            column moves the answer; "shuffling" of each column among some rows; "" where there are none.
        periods: The same rows by stretches of time; None where no column tells the time.
        kept_rows: How many of the rows are kept beside it, as numbers only.
        version: The version of this form.
    """

    rows: int
    columns: tuple[ColumnReference, ...]
    left_out: int = 0
    predictions: Predictions | None = None
    importance: Mapping[str, float] = field(default_factory=dict)
    measured: str = ""
    periods: Periods | None = None
    kept_rows: int = 0
    version: int = VERSION

    @property
    def ranges(self) -> Mapping[str, tuple[float, float]]:
        """Between which values each column of numbers was, by name; those that look personal are left out."""
        return {
            column.name: (column.bins.minimum, column.bins.maximum)
            for column in self.columns
            if column.bins is not None and column.kind in {"integer", "float"}
        }

    @property
    def digest(self) -> str:
        """What tells its bins from those of other references: windows that were counted in them carry it."""
        made = [
            (
                each.name,
                each.kind,
                each.bins and each.bins.edges,
                each.levels and (sorted(each.levels.named), len(each.levels.tail)),
                each.lengths and each.lengths.edges,
                each.digest,
            )
            for each in self.columns
        ]
        return xxhash.xxh3_128_hexdigest(orjson.dumps([self.rows, made]))

    @property
    def by_name(self) -> Mapping[str, ColumnReference]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    def to_json(self) -> bytes:
        """Write it as compact JSON; the same reference is the same bytes, what is empty is left out."""
        return orjson.dumps(_full(asdict(self)), option=orjson.OPT_NON_STR_KEYS)

    @classmethod
    def from_json(cls, content: bytes | str, source: str = "The reference") -> Reference:
        """Read it.

        Args:
            content: The JSON text.
            source: What to call it in an error: its file.

        Raises:
            MLOpsError: It is damaged, or of a version that this release does not read.
        """
        try:
            told = orjson.loads(content)
            version = told["version"]
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise MLOpsError(f"{source} is no whole reference ({type(error).__name__}).", _AGAIN) from error
        if version not in READ or isinstance(version, bool):
            raise MLOpsError(
                f"{source} is of version {str(version)[:20]}; this release reads {READ[0]} to {READ[-1]}.",
                f"Update mlops-magics, or make it again. {_AGAIN}",
            )
        try:
            return _reference(told)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise MLOpsError(f"{source} is damaged ({type(error).__name__}: {error}).", _AGAIN) from error


def _full(value: Any) -> Any:  # noqa: ANN401 - JSON of any depth
    """Leave out what is empty: most columns have bins or levels, not both."""
    if isinstance(value, dict):
        return {
            key: _full(item) for key, item in value.items() if item is not None and item not in ({}, (), "")
        }
    return [_full(item) for item in value] if isinstance(value, list | tuple) else value


def _reference(told: dict[str, Any]) -> Reference:
    predictions, periods = told.get("predictions"), told.get("periods")
    return Reference(
        rows=int(told["rows"]),
        columns=tuple(map(_column, told.get("columns", ()))),
        left_out=int(told.get("left_out", 0)),
        predictions=None if predictions is None else _predictions(predictions),
        importance={str(name): float(share) for name, share in told.get("importance", {}).items()},
        measured=str(told.get("measured", "")),
        periods=None if periods is None else Periods.from_dict(periods),
        kept_rows=int(told.get("kept_rows", 0)),
        version=int(told["version"]),
    )


def _column(told: dict[str, Any]) -> ColumnReference:
    levels = told.get("levels")
    return ColumnReference(
        name=str(told.get("name", "")),
        kind=str(told["kind"]),
        rows=int(told["rows"]),
        missing=int(told["missing"]),
        infinite=int(told.get("infinite", 0)),
        personal=str(told.get("personal", "")),
        bins=_bins(told.get("bins")),
        levels=None if levels is None else _levels(levels),
        lengths=_bins(told.get("lengths")),
        digest=str(told.get("digest", "")),
        distinct=int(told.get("distinct", 0)),
        worded=int(told.get("worded", 0)),
        words=tuple(map(int, told.get("words", ()))),
        hours=tuple(map(int, told.get("hours", ()))),
        weekdays=tuple(map(int, told.get("weekdays", ()))),
    )


def _levels(told: dict[str, Any]) -> Levels:
    tail = tuple(map(int, told.get("tail", ())))
    if len(tail) not in {0, TAIL}:
        raise ValueError(f"a tail of {len(tail)} buckets")
    named = {str(name): int(count) for name, count in told.get("named", {}).items()}
    return Levels(named, tail, int(told["distinct"]))


def _predictions(told: dict[str, Any]) -> Predictions:
    probabilities = {str(name): _bins(bins) for name, bins in told.get("probabilities", {}).items()}
    return Predictions(
        rows=int(told["rows"]),
        basis=str(told["basis"]),
        numbers=_bins(told.get("numbers")),
        labels={str(name): int(count) for name, count in told.get("labels", {}).items()},
        probabilities={name: bins for name, bins in probabilities.items() if bins is not None},
    )


def _bins(told: dict[str, Any] | None) -> Bins | None:
    if told is None:
        return None
    edges, counts = tuple(map(float, told.get("edges", ()))), tuple(map(int, told["counts"]))
    if len(counts) != len(edges) + 1 or any(a >= b for a, b in pairwise(edges)):
        raise ValueError(f"{len(counts)} counts for {len(edges)} edges")
    numbers = (float(told[name]) for name in ("minimum", "maximum", "mean", "std"))
    return Bins(edges, counts, *numbers)
