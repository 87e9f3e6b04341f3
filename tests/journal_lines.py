"""Lines of a journal, and files of them, as an endpoint writes them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mlops_magics.serving.journal.entries import no_lines
from mlops_magics.serving.journal.files import Part, write

HOUR = 3600.0
DAY = time.time() // 86_400 * 86_400 - 86_400  # yesterday: what is older than a year is not kept


def lines_of(rows: int, began: float, seed: int, **more: Any) -> pl.DataFrame:
    """Make lines of a journal, one request a row, a second apart."""
    random = np.random.default_rng(seed)
    x = random.normal(size=rows)
    told = {
        "time": pl.Series((began + np.arange(rows)) * 1e6).cast(pl.Int64).cast(pl.Datetime("us", "UTC")),
        "request_id": [f"{seed}-{at}" for at in range(rows)],
        "row": pl.Series([0] * rows, dtype=pl.Int32),
        "version": ["1"] * rows,
        "role": ["live"] * rows,
        "method": ["predict"] * rows,
        "error": pl.Series([None] * rows, dtype=pl.String),
        "status": pl.Series([200] * rows, dtype=pl.Int16),
        **{f"{stage}_ms": random.exponential(size=rows).astype(np.float32) for stage in ("decode", "queue")},
        **{
            f"{stage}_ms": random.exponential(size=rows).astype(np.float32) for stage in ("predict", "encode")
        },
        "input.x": x,
        "prediction": (x > 0).astype(int),
    }
    return pl.DataFrame(told | more)


def put(folder: Path, number: int, frame: pl.DataFrame) -> Part:
    """Write lines as a file of a journal."""
    part = Part(1_700_000_000_000 + number, "abcd1234", number, number)
    write(folder, part, [pl.concat([pl.DataFrame(no_lines()), frame], how="diagonal_relaxed").to_arrow()])
    return part
