"""The mixed tables that the benchmarks read: parquet files, made once and kept in a cache folder outside the project.

Twenty kinds of columns: five integers, six floats, five strings, two dates, two flags; a wider table repeats
them with draws of their own. A row group is drawn, written and forgotten, so a table larger than memory is
made in a few hundred megabytes. The same rows and columns always give the same values.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import platformdirs
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

TARGET = "churned"
GROUP = 131_072  # rows in a row group
_RECIPE = 1  # in the file's name: a change of what is drawn makes new files
_TEXT = (
    "we paid twice for a parcel that came late and broken please send another one or the money back "
    "thank you very much everything was fine except colour size smell of this green coat"
)
_STAGES = ("trial", "active", "paused", "lapsed", "closed")
_SECOND = 1_000_000  # dates are microseconds
_DAY = 86_400 * _SECOND
_EPOCH = 19_700 * _DAY  # a day in December 2023


def cache() -> Path:
    """Name the folder for what benchmarks make and keep: ``MLOPS_BENCH_CACHE``, or the user's cache."""
    chosen = os.environ.get("MLOPS_BENCH_CACHE")
    folder = Path(chosen) if chosen else platformdirs.user_cache_path("mlops-magics-benchmarks")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dataclass
class Draw:
    """One row group of twenty columns: its random numbers, and what several columns share."""

    random: np.random.Generator
    rows: int
    first: int  # number of the first row
    total: int  # rows of the whole table

    @cached_property
    def churned(self) -> npt.NDArray[np.bool_]:
        """The target: 30 % true."""
        return self.random.random(self.rows) < 0.3

    @cached_property
    def load(self) -> npt.NDArray[np.float64]:
        """A normal column that another one nearly copies."""
        return self.random.standard_normal(self.rows)

    def some(self, share: float) -> npt.NDArray[np.bool_]:
        """Draw a mask that is true for this share of the rows."""
        return self.random.random(self.rows) < share

    def levels(self, names: pa.Array, weights: npt.NDArray[np.float64] | None = None) -> pa.Array:
        """Draw one of these names for each row."""
        chances = None if weights is None else weights / weights.sum()
        return names.take(pa.array(self.random.choice(len(names), self.rows, p=chances)))


def _views(draw: Draw) -> pa.Array:
    return pa.array(np.minimum(draw.random.zipf(1.5, draw.rows), 250_000))


def _sensor(draw: Draw) -> pa.Array:
    return pa.array(np.where(draw.some(0.2), np.nan, draw.random.normal(20, 4, draw.rows)))


def _leak(draw: Draw) -> pa.Array:
    return pa.array(draw.churned + draw.random.normal(0, 0.1, draw.rows))


def _town(draw: Draw) -> pa.Array:
    towns = draw.levels(pa.array([f"town {i}" for i in range(20)]))
    return pc.if_else(pa.array(draw.some(0.03)), pa.scalar(None, pa.string()), towns)


def _article(draw: Draw) -> pa.Array:
    return draw.levels(pa.array([f"A-{i:04d}" for i in range(1_000)]), 1 / np.arange(1.0, 1_001))


def _member(draw: Draw) -> pa.Array:
    drawn = draw.random.integers(0, 20 * draw.total, draw.rows)
    return pc.binary_join_element_wise("m", pa.array(drawn).cast(pa.string()), "")


def _comment(draw: Draw) -> pa.Array:
    lengths = draw.random.integers(3, 13, draw.rows)
    ends = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    known = pa.array(_TEXT.split())
    words = known.take(pa.array(draw.random.integers(0, len(known), ends[-1])))
    return pc.binary_join(pa.ListArray.from_arrays(pa.array(ends), words), " ")


def _dates(values: npt.NDArray[np.int64], mask: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    return pa.array(_EPOCH + values, pa.int64(), mask=mask).cast(pa.timestamp("us"))


COLUMNS: dict[str, Callable[[Draw], pa.Array]] = {
    "order_id": lambda draw: pa.array(np.arange(draw.first, draw.first + draw.rows)),
    "items": lambda draw: pa.array(draw.random.poisson(4, draw.rows).astype(np.int32)),
    "stars": lambda draw: pa.array(draw.random.integers(1, 6, draw.rows, np.int8)),
    "views": _views,
    "refunds": lambda draw: pa.array(draw.some(0.001).astype(np.int64)),
    "load": lambda draw: pa.array(draw.load),
    "load_copy": lambda draw: pa.array(3 * draw.load + draw.random.normal(0, 0.4, draw.rows)),
    "price": lambda draw: pa.array(draw.random.lognormal(3, 1, draw.rows), mask=draw.some(0.05)),
    "minutes": lambda draw: pa.array(draw.random.exponential(12, draw.rows).round(2)),
    "sensor": _sensor,
    "leak": _leak,
    "stage": lambda draw: draw.levels(pa.array(_STAGES), np.array([50.0, 30, 10, 6, 4])),
    "town": _town,
    "article": _article,
    "member": _member,
    "comment": _comment,
    "ordered": lambda draw: _dates(draw.random.integers(0, 63_000_000, draw.rows) * _SECOND),
    "shipped": lambda draw: _dates(draw.random.integers(0, 730, draw.rows) * _DAY, draw.some(0.1)),
    "gift": lambda draw: pa.array(draw.some(0.02)),
    TARGET: lambda draw: pa.array(draw.churned),
}


def _group(first: int, rows: int, total: int, columns: int) -> pa.Table:
    made: dict[str, pa.Array] = {}
    for repeat in range(-(-columns // len(COLUMNS))):
        draw = Draw(np.random.default_rng([_RECIPE, repeat, first]), rows, first, total)
        for name, column in COLUMNS.items():
            if len(made) < columns:
                made[f"{name}_{repeat}" if repeat else name] = column(draw)
    return pa.table(made)


def table(rows: int, columns: int) -> Path:
    """Return the parquet file of a mixed table; make it if it is not in the cache."""
    path = cache() / f"mixed-{_RECIPE}-{rows}x{columns}.parquet"
    if path.exists():
        return path
    print(f"making {path.name}", flush=True)
    partial = path.with_suffix(f".{os.getpid()}.partial")  # a run that is stopped leaves no half table
    schema = _group(0, 1, rows, columns).schema
    with pq.ParquetWriter(partial, schema, compression="snappy") as writer:
        for first in range(0, rows, GROUP):
            writer.write_table(_group(first, min(GROUP, rows - first), rows, columns))
    return partial.replace(path)
