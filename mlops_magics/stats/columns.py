"""A column of any library as one of two things: numbers, or texts.

Whatever Arrow cannot hold (mixed objects, big integers, complex numbers, periods, sparse and nested
values, broken text) is read in its text form, and a note says so: nothing raises.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from mlops_magics.stats.summary import Kind

# What a stored number is multiplied by to be microseconds.
_UNITS: Final[Mapping[str, float]] = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6, "D": 86_400e6}
_LOOKED_AT: Final = 10_000  # objects whose types are counted
_LONGEST: Final = 10_000  # characters of a text form that are kept
_DECIMALS: Final = "decimals read as floats"


@dataclass(frozen=True, slots=True)
class Column:
    """A part of a column, decoded.

    Attributes:
        kind: How it is stored.
        rows: Its rows.
        nulls: Rows without a value.
        numbers: For numbers, dates, durations and booleans: the values, nulls left out.
        texts: For everything else: the rows, nulls among them.
        valid: Which rows have a value, for numbers; None where all have one.
        unit: Microseconds a stored unit, for dates and durations.
        mixed: Python types and their shares, where there is more than one.
        notes: What was done to read it.
    """

    kind: Kind
    rows: int
    nulls: int
    numbers: npt.NDArray[Any] | None = None
    texts: pl.Series | None = None
    valid: npt.NDArray[np.bool_] | None = None
    unit: float = 1.0
    mixed: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def sampled(self, places: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return some rows of numbers as floats; NaN where there is no finite value."""
        assert self.numbers is not None  # noqa: S101 - asked of numbers only
        if self.valid is None:
            found = self.numbers[places].astype(np.float64)
        else:
            found = np.full(places.size, np.nan)
            here = self.valid[places]
            ranks = np.cumsum(self.valid) - 1
            found[here] = self.numbers[ranks[places[here]]]
        found[~np.isfinite(found)] = np.nan
        return found

    def hashes(self) -> npt.NDArray[np.uint64]:
        """Hash each row; rows without a value alike, NaN like them, minus zero like zero."""
        if self.numbers is None:
            assert self.texts is not None  # noqa: S101 - one of both is there
            return self.texts.hash().to_numpy()  # type: ignore[no-any-return]
        hashes = pl.Series(self.numbers).hash().to_numpy()
        if self.numbers.dtype.kind == "f":
            hashes = np.where(np.isnan(self.numbers), np.uint64(0), hashes)
        if self.valid is None:
            return hashes  # type: ignore[no-any-return]
        found = np.zeros(self.rows, np.uint64)
        found[self.valid] = hashes
        return found


def of_polars(series: pl.Series) -> Column:
    """Decode a Polars column."""
    dtype, nulls, rows = series.dtype, series.null_count(), len(series)
    if nulls == rows:
        return Column("empty", rows, nulls, texts=pl.Series("", [None] * rows, dtype=pl.String))
    if dtype == pl.Boolean or dtype.is_numeric():
        return _of_number(series)
    if dtype.is_temporal() and dtype != pl.Time:
        kind: Kind = "duration" if dtype == pl.Duration else "date"
        unit = "D" if dtype == pl.Date else dtype.time_unit
        return _numbers(kind, series.to_physical(), unit=_UNITS[unit])
    if dtype == pl.String:
        return Column("string", rows, nulls, texts=series)
    if isinstance(dtype, pl.Categorical | pl.Enum):  # categories have another hash than their class
        return Column("string", rows, nulls, texts=series.cast(pl.String))
    return _as_text(series)


def _of_number(series: pl.Series) -> Column:
    dtype = series.dtype
    if dtype == pl.Boolean:
        return _numbers("boolean", series.cast(pl.UInt8))
    if dtype.is_decimal():
        return _numbers("decimal", series.cast(pl.Float64), notes=(_DECIMALS,))
    if dtype.is_float():
        return _numbers("float", series)
    if str(dtype) in {"Int128", "UInt128"}:  # numpy has no such type
        return _numbers("integer", series.cast(pl.Float64), notes=("128-bit integers read as floats",))
    return _numbers("integer", series)


def of_arrow(array: Any) -> Column:  # noqa: ANN401 - pyarrow ships no types
    """Decode an Arrow column."""
    if str(array.type).startswith("decimal256"):  # Polars panics at these, which is no Exception
        array = array.cast("double")
        read = of_polars(pl.Series("", pl.from_arrow(array)))
        return replace(read, kind="decimal" if read.numbers is not None else read.kind, notes=(_DECIMALS,))
    try:
        return of_polars(pl.Series("", pl.from_arrow(array)))
    except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - as in _read: Polars may panic
        texts = [None if value is None else _text(value) for value in array.to_pylist()]
        return _as_text(pl.Series("", texts, dtype=pl.String))


def of_numpy(values: npt.NDArray[Any]) -> Column:
    """Decode a numpy array of numbers; NaN is no null here, it is counted as missing all the same."""
    if values.dtype.kind == "b":
        return Column("boolean", values.size, 0, numbers=values.view(np.uint8))
    native = values.astype(values.dtype.newbyteorder("="), copy=False)
    return Column("float" if native.dtype.kind == "f" else "integer", native.size, 0, numbers=native)


def of_pandas(series: Any) -> Column:  # noqa: ANN401 - pandas ships no types
    """Decode a pandas column."""
    dtype = series.dtype
    if not isinstance(dtype, np.dtype):
        return _of_extension(series)
    if dtype.kind in "fiub" and dtype.itemsize <= 8:  # noqa: PLR2004 - bytes
        return of_numpy(series.to_numpy())
    if dtype.kind in "mM":
        return _instants(series.to_numpy())
    read = _read(series)
    if isinstance(read, pl.Series) and dtype.kind == "O" and read.dtype not in {pl.String, pl.Null}:
        return _of_objects(series, of_polars(read))
    return of_polars(read) if isinstance(read, pl.Series) else read


def _of_extension(series: Any) -> Column:  # noqa: ANN401 - pandas ships no types
    """Decode a column of a type that numpy does not have."""
    dtype = series.dtype
    name = str(dtype)
    if dtype.kind == "M" and getattr(dtype, "tz", None) is not None:  # Polars' way is deprecated by pandas
        return _instants(series.dt.tz_convert(None).to_numpy())
    if name.startswith("period["):  # Polars takes them for their ordinals
        return _objects(series)
    if name.startswith("Sparse["):
        return of_pandas(series.sparse.to_dense())
    if name.startswith("decimal256"):
        return of_arrow(series.array.__arrow_array__())
    read = _read(series)
    return of_polars(read) if isinstance(read, pl.Series) else read


def _read(series: Any) -> pl.Series | Column:  # noqa: ANN401 - pandas ships no types
    try:
        return pl.from_pandas(series.rename(""), nan_to_null=isinstance(series.dtype, np.dtype))
    except (Exception, pl.exceptions.PanicException):  # noqa: BLE001 - a library has its own ways to refuse
        return _objects(series)


def _numbers(kind: Kind, series: pl.Series, *, unit: float = 1.0, notes: tuple[str, ...] = ()) -> Column:
    nulls = series.null_count()
    valid = None
    if nulls:
        valid = series.is_not_null().to_numpy()
        series = series.drop_nulls()
    return Column(
        kind, len(series) + nulls, nulls, numbers=series.to_numpy(), valid=valid, unit=unit, notes=notes
    )


def _instants(values: npt.NDArray[Any]) -> Column:
    unit, step = np.datetime_data(values.dtype)
    kind: Kind = "date" if values.dtype.kind == "M" else "duration"
    gaps = np.isnat(values)
    nulls = int(np.count_nonzero(gaps))
    held = values[~gaps] if nulls else values
    if unit not in _UNITS:  # months, years, hours: of no one length, or too rare to have a way of their own
        held, unit, step = held.astype(f"{values.dtype.kind}8[us]"), "us", 1
    if nulls == values.size:
        return Column("empty", values.size, nulls, texts=pl.Series("", [None] * values.size, dtype=pl.String))
    return Column(
        kind,
        values.size,
        nulls,
        numbers=held.view(np.int64),
        valid=~gaps if nulls else None,
        unit=_UNITS[unit] * step,
    )


def _of_objects(series: Any, read: Column) -> Column:  # noqa: ANN401 - pandas ships no types
    """Say which types a column of objects mixes, where Arrow found one type for all of them."""
    mixed = _types(series.head(_LOOKED_AT).tolist(), series.head(_LOOKED_AT).isna().to_numpy())
    return Column(
        read.kind, read.rows, read.nulls, read.numbers, read.texts, read.valid, read.unit, mixed, read.notes
    )


def _objects(series: Any) -> Column:  # noqa: ANN401 - pandas ships no types
    """Read what Arrow cannot hold by its text form."""
    try:
        gaps = np.asarray(series.isna(), bool)
        values = series.tolist()
    except Exception:  # noqa: BLE001 - an extension type of a stranger's
        values = [series.iloc[place] for place in range(len(series))]
        gaps = np.array([value is None for value in values], bool)
    texts = [None if gap else _text(value) for value, gap in zip(values, gaps, strict=True)]
    mixed = _types(values[:_LOOKED_AT], gaps[:_LOOKED_AT])
    return Column(
        "other",
        len(texts),
        int(gaps.sum()),
        texts=pl.Series("", texts, dtype=pl.String),
        mixed=mixed,
        notes=("read in its text form",),
    )


def _types(values: list[Any], gaps: npt.NDArray[np.bool_]) -> dict[str, float]:
    """Count the Python types among values that are there: share by type, empty where there is one."""
    seen = Counter(type(value).__name__ for value, gap in zip(values, gaps, strict=True) if not gap)
    total = sum(seen.values())
    return {name: count / total for name, count in seen.most_common()} if len(seen) > 1 else {}


def _text(value: object) -> str:
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - a stranger's __repr__
        text = f"<{type(value).__name__}>"
    return text[:_LONGEST].encode(errors="backslashreplace").decode()


def _as_text(series: pl.Series) -> Column:
    """Read nested and binary values by their text form."""
    values = series.to_list()  # for a list in a series is a series, whose text form is cut
    texts = pl.Series("", [None if value is None else _text(value) for value in values], dtype=pl.String)
    nulls = texts.null_count()
    return Column("other", len(texts), nulls, texts=texts, notes=("read in its text form",))
