"""What pandas, numpy, scipy and scikit-learn say about a table, in the words of our summaries.

Nothing of the engine is used here: each number is computed in the plainest way there is.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import stats

from mlops_magics.stats.summary import ColumnSummary, Pair, TableSummary

Floats = npt.NDArray[np.float64]

NUMBERS = ("boolean", "integer", "float", "decimal", "date", "duration")


def differences(table: TableSummary, frame: pd.DataFrame, tolerance: float = 1e-9) -> list[str]:
    """Say where a summary of a table differs from what the libraries find."""
    found = [
        f"{column.name}: {words}"
        for column in table.columns
        for words in of_column(column, frame.iloc[:, column.position], tolerance)
    ]
    if (table.rows, len(table.columns)) != frame.shape:
        found.append(f"shape {table.rows, len(table.columns)}, not {frame.shape}")
    if len(frame.columns) and table.duplicates is not None:
        repeated = int(frame.duplicated().sum())
        if table.duplicates.rows != repeated:
            found.append(f"duplicates {table.duplicates.rows}, not {repeated}")
    return found


def of_column(column: ColumnSummary, series: pd.Series, tolerance: float = 1e-9) -> list[str]:
    """Say where a column's summary differs."""
    there = series.dropna()
    if column.kind == "empty":
        return [] if there.empty else ["empty although it has values"]
    expected: dict[str, Any] = {"rows": len(series), "missing": len(series) - len(there)}
    if column.kind in NUMBERS:
        values = plain_numbers(there)
        finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        expected |= {"infinite": values.size - finite.size, "distinct": len(np.unique(finite))}
        found = _numbers(column, finite, tolerance)
        counts = pd.Series(finite).value_counts()
    else:
        texts = there.astype(object).map(lambda value: value if isinstance(value, str) else repr(value))
        expected |= {"distinct": texts.nunique()}
        found = _lengths(column, texts)
        counts = texts.value_counts()
    told = {name: getattr(column, name) for name in expected}
    found += [f"{name} {told[name]}, not {value}" for name, value in expected.items() if told[name] != value]
    return found + _top(column, counts)


def plain_numbers(there: pd.Series) -> npt.NDArray[Any]:
    """Turn values into numbers: dates and durations into microseconds, flags into 0 and 1."""
    if isinstance(there.dtype, pd.DatetimeTZDtype):
        there = there.dt.tz_convert("UTC").dt.tz_localize(None)
    values = there.to_numpy()
    if values.dtype.kind in "mM":
        unit = np.datetime_data(values.dtype)[0]
        scale = {"ns": 1e-3, "us": 1.0, "ms": 1e3, "s": 1e6}[unit]
        return values.astype(np.int64) * scale
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    if values.dtype.kind in "iuf":
        return values
    return there.astype(np.float64).to_numpy()


def moments(values: npt.NDArray[Any]) -> dict[str, float | None]:
    """Return mean, std, skew and kurtosis; None where there is none."""
    wide = values.astype(np.float64)
    varies = wide.size > 0 and wide.min() < wide.max()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return {
            "mean": float(wide.mean()),
            "std": _finite(wide.std(ddof=1)) if wide.size > 1 else None,
            "skew": _finite(stats.skew(wide)) if varies else None,
            "kurtosis": _finite(stats.kurtosis(wide)) if varies else None,
        }


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None  # squares beyond the greatest double say nothing


def close(found: float | None, expected: float | None, tolerance: float, scale: float = 0.0) -> bool:
    """Compare two numbers, either of which may be missing."""
    if found is None or expected is None:
        return found is expected
    return math.isclose(found, expected, rel_tol=tolerance, abs_tol=tolerance * scale)


def _numbers(column: ColumnSummary, values: npt.NDArray[Any], tolerance: float) -> list[str]:
    numbers = column.numbers
    if not values.size or numbers is None:
        return [] if (numbers is None) == (not values.size) else ["numbers are there or not"]
    scale = float(max(abs(float(values.min())), abs(float(values.max()))))
    wide = values.astype(np.float64)
    told = moments(values)
    for share in numbers.quantiles:
        told[f"quantile {share}"] = float(np.quantile(wide, share))
    told |= {"minimum": float(values.min()), "maximum": float(values.max())}
    found = []
    for name, value in told.items():
        own = numbers.quantiles[float(name.split()[1])] if " " in name else getattr(numbers, name)
        # The shape of a distribution is a ratio of sums: it has digits of its own.
        least = 1.0 if name in {"skew", "kurtosis"} else scale
        if not close(own, value, tolerance, least):
            found.append(f"{name} {own}, not {value}")
    counts = {
        "count": values.size,
        "zeros": int((values == 0).sum()),
        "negatives": int((values < 0).sum()),
    }
    found += [
        f"{name} {getattr(numbers, name)}, not {value}"
        for name, value in counts.items()
        if getattr(numbers, name) != value
    ]
    return found + _histogram(column, values)


def _histogram(column: ColumnSummary, values: npt.NDArray[Any]) -> list[str]:
    assert column.numbers is not None
    held = column.numbers.histogram
    edges = np.array(held.edges)
    if not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        return []  # a width of one digit's last place: numpy has no such bins
    counts = np.histogram(values.astype(np.float64), edges)[0]
    found = [] if counts.tolist() == list(held.counts) else [f"histogram {held.counts}, not {counts}"]
    if not held.counts or not held.counts[0] or not held.counts[-1] or len(held.counts) > 64:
        found.append(f"histogram of {len(held.counts)} bins, with empty ends")
    return found


def _lengths(column: ColumnSummary, texts: pd.Series) -> list[str]:
    if texts.empty:
        return [] if column.lengths is None else ["lengths of nothing"]
    lengths, own = texts.str.len(), column.lengths
    expected = (int(lengths.min()), float(lengths.mean()), int(lengths.max()))
    if own is None or (own.minimum, own.maximum) != expected[::2] or not close(own.mean, expected[1], 1e-9):
        return [f"lengths {own}, not {expected}"]
    return []


def _top(column: ColumnSummary, counts: pd.Series) -> list[str]:
    own = [level.count for level in column.top]
    expected = counts.head(10).tolist() if len(counts) and counts.iloc[0] > 1 else []
    if own != expected:
        return [f"top counts {own}, not {expected}"]
    if column.kind in {"date", "duration", "other"}:
        return []
    whole = counts.to_dict()
    return [
        f"top value {level.value!r} {level.count} times, not {whole.get(level.value)}"
        for level in column.top
        if whole.get(level.value) != level.count
    ]


def wrong_pairs(pairs: Sequence[Pair], frame: pd.DataFrame) -> Iterator[str]:
    """Say which associations are not what the textbook says."""
    for pair in pairs:
        left, right = frame[pair.left], frame[pair.right]
        expected = {
            "pearson": _pearson,
            "spearman": _spearman,
            "cramers_v": cramers_v,
            "correlation_ratio": correlation_ratio,
        }[pair.measure](left, right)
        if expected is not None and not math.isclose(pair.value, expected, rel_tol=1e-7, abs_tol=1e-7):
            yield f"{pair.measure} of {pair.left} and {pair.right}: {pair.value}, not {expected}"


def _both(left: pd.Series, right: pd.Series) -> tuple[Floats, Floats]:
    whole = left.notna().to_numpy() & right.notna().to_numpy()
    return plain_numbers(left[whole]).astype(np.float64), plain_numbers(right[whole]).astype(np.float64)


def _pearson(left: pd.Series, right: pd.Series) -> float:
    return float(stats.pearsonr(*_both(left, right)).statistic)


def _spearman(left: pd.Series, right: pd.Series) -> float | None:
    if left.isna().any() or right.isna().any():
        return None  # ours ranks among all values of a column, scipy among those of the rows compared
    return float(stats.spearmanr(*_both(left, right)).statistic)


def cramers_v(left: pd.Series, right: pd.Series) -> float | None:
    """Bergsma's bias-corrected V, by scipy's chi square; None where levels are folded."""
    whole = left.notna() & right.notna()
    if max(left.nunique(), right.nunique()) > 20:
        return None
    table = pd.crosstab(left[whole].astype(object), right[whole].astype(object)).to_numpy()
    total, (rows, columns) = table.sum(), table.shape
    phi = stats.chi2_contingency(table, correction=False).statistic / total
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (total - 1))
    rows, columns = (size - (size - 1) ** 2 / (total - 1) for size in (rows, columns))
    return min(1.0, math.sqrt(phi / (min(rows, columns) - 1)))


def correlation_ratio(category: pd.Series, number: pd.Series) -> float | None:
    """The root of Kelley's epsilon squared: one less the ratio of two unbiased variances."""
    if category.nunique() > 20:
        return None
    whole = category.notna() & number.notna()
    values = pd.Series(plain_numbers(number[whole]).astype(np.float64))
    groups = values.groupby(category[whole].astype(object).to_numpy())
    within = ((values - groups.transform("mean")) ** 2).sum() / (len(values) - groups.ngroups)
    return math.sqrt(min(1.0, max(0.0, 1 - within / values.var())))
