"""Ten million lines of a journal, read by Polars and by DuckDB."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from mlops_magics.serving.journal import files
from mlops_magics.serving.journal.entries import Answered, Calls, Texts, table_of

ROWS, FILES = 1_000_000, 10


@pytest.mark.slow
def test_polars_and_duckdb_read_ten_million_lines(tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="pip install 'mlops-magics[duckdb]'")
    random = np.random.default_rng(0)
    for number in range(FILES):
        columns = {
            "x": random.normal(size=ROWS),
            "word": random.choice(np.array(["a", "b"], dtype=object), ROWS),
        }
        calls = Calls(Texts([f"id-{number}"], {}), [ROWS], [float(number)], [0.001], [0.0], [0.002], [0.001])
        table: pa.Table = table_of([Answered(calls, columns, np.ones(ROWS), "predict", str(number % 2))], ())
        files.write(tmp_path, files.Part(number, "aaaaaaaa", number, number), [table])
    relation = duckdb.read_parquet(f"{tmp_path}/*.parquet", union_by_name=True)
    counted = relation.aggregate('version, count(*), avg("input.x")', "version").order("version").fetchall()
    frame = (
        pl.scan_parquet(tmp_path / "*.parquet")
        .group_by(pl.col("version").cast(pl.String))
        .agg(pl.len(), pl.col("input.x").mean())
    )
    found = frame.sort("version").collect().rows()
    assert [row[:2] for row in counted] == [row[:2] for row in found] == [("0", 5_000_000), ("1", 5_000_000)]
    np.testing.assert_allclose([row[2] for row in counted], [row[2] for row in found], rtol=1e-9, atol=1e-12)
