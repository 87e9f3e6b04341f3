"""One table, read from wherever it may lie: the same answers, clear refusals, nothing left behind."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlops_magics.foundation.errors import MLOpsError, NotFoundError, UsageError
from mlops_magics.stats import sources
from mlops_magics.stats.engine import survey
from mlops_magics.stats.summary import TableSummary


def table() -> pd.DataFrame:
    random = np.random.default_rng(0)
    rows = 3_000
    return pd.DataFrame(
        {
            "whole": random.integers(-5, 500, rows),
            "number": random.normal(size=rows),
            "gaps": np.where(random.random(rows) < 0.2, np.nan, random.random(rows)),
            "text": random.choice(["a", "b, c", 'd "e"', "f\ng"], rows),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 300, rows), "D"),
            "flag": random.random(rows) < 0.5,
        }
    )


def told(table: TableSummary) -> list[tuple[Any, ...]]:
    """Say what must be the same, whichever library holds the table."""
    return [
        (
            column.name,
            column.meaning,
            column.missing,
            column.distinct,
            column.minimum,
            column.maximum,
            column.top,
            column.lengths,
            # Days are counted in days where the library has such a type: other bins, the same dates.
            column.numbers and (column.numbers.quantiles, column.kind == "date" or column.numbers.histogram),
        )
        for column in table.columns
    ]


def _relation(frame: pd.DataFrame, _: Path) -> Any:
    duckdb = pytest.importorskip("duckdb")
    return duckdb.from_df(frame)


def _csv(frame: pd.DataFrame, folder: Path) -> Any:
    frame.to_csv(folder / "t.csv", index=False)
    return str(folder / "t.csv")


def _parquet(frame: pd.DataFrame, folder: Path) -> Any:
    frame.to_parquet(folder / "t.parquet", row_group_size=700)
    return folder / "t.parquet"


def _several(frame: pd.DataFrame, folder: Path) -> None:
    (folder / "parts").mkdir()
    for place in range(3):
        frame[place * 1000 : place * 1000 + 1000].to_parquet(folder / "parts" / f"p{place}.parquet")


def _pattern(frame: pd.DataFrame, folder: Path) -> Any:
    _several(frame, folder)
    return str(folder / "parts" / "p*.parquet")


def _folder(frame: pd.DataFrame, folder: Path) -> Any:
    _several(frame, folder)
    return folder / "parts"


FORMS: dict[str, Callable[[pd.DataFrame, Path], Any]] = {
    "nullable pandas": lambda frame, _: frame.convert_dtypes(),
    "pandas on Arrow": lambda frame, _: frame.convert_dtypes(dtype_backend="pyarrow"),
    "Polars": lambda frame, _: pl.from_pandas(frame),
    "Arrow": lambda frame, _: pl.from_pandas(frame).to_arrow(),
    "DuckDB": _relation,
    "CSV": _csv,
    "parquet": _parquet,
    "a pattern": _pattern,
    "a folder": _folder,
}


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("form", FORMS)
def test_the_answers_are_the_same(form: str, tmp_path: Path, temporary: Path) -> None:
    frame = table()
    expected = survey(frame, target="flag").table
    found = survey(FORMS[form](frame, tmp_path), target="flag").table
    assert found.rows == expected.rows
    assert told(found) == told(expected)
    assert found.duplicates == expected.duplicates
    assert found.patterns == expected.patterns
    assert found.associations.pairs == pytest.approx(expected.associations.pairs)
    assert found.target == expected.target
    assert len(found.head) == 10
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("form", "limit"), [("CSV", "_IN_MEMORY"), ("DuckDB", "_CELLS")])
def test_what_is_larger_than_memory_goes_through_a_file(
    form: str, limit: str, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, limit, 1)
    frame = table()
    found = survey(FORMS[form](frame, tmp_path), part_rows=500).table
    assert told(found) == told(survey(frame).table)
    assert list(temporary.iterdir()) == []


def test_files_whose_columns_come_and_go_are_one_table(tmp_path: Path) -> None:
    pd.DataFrame({"a": [1, 2], "b": [1.0, 2.0]}).to_parquet(tmp_path / "1.parquet")
    pd.DataFrame({"a": [3]}).to_parquet(tmp_path / "2.parquet")
    found = {column.name: column for column in survey(str(tmp_path / "*.parquet")).table.columns}
    assert (found["a"].distinct, found["a"].missing) == (3, 0)
    assert (found["b"].distinct, found["b"].missing) == (2, 1)


def test_a_csv_whose_type_changes_far_down_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,y\n" + "1,2\n" * 20_000 + "no number,3\n")
    found = survey(path).table.columns
    assert (found[0].kind, found[0].distinct) == ("string", 2)
    assert (found[1].kind, found[1].distinct) == ("integer", 2)


def test_a_csv_in_another_encoding_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("name\nÅse\nBjørn\n".encode("latin-1"))
    assert survey(path).table.columns[0].distinct == 2


def test_rows_of_a_csv_that_are_too_long_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "ragged.csv"
    path.write_text("a,b\n1,2\n3,4,5\n6\n")
    found = survey(path).table
    assert (found.rows, [column.missing for column in found.columns]) == (3, [0, 1])


def test_the_digest_of_files_is_of_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    frame = pl.DataFrame({"x": range(1000)})
    frame.write_parquet(tmp_path / "a.parquet")
    before = survey(tmp_path / "a.parquet").table.digest
    assert survey(tmp_path / "a.parquet").table.digest == before
    frame.with_columns(pl.when(pl.col("x") == 999).then(0).otherwise(pl.col("x")).alias("x")).write_parquet(
        tmp_path / "a.parquet"
    )
    assert survey(tmp_path / "a.parquet").table.digest != before
    assert not path.exists()


def test_what_cannot_be_read_is_refused(tmp_path: Path, temporary: Path) -> None:
    whole = tmp_path / "whole.parquet"
    table().to_parquet(whole)
    torn = tmp_path / "torn.parquet"
    torn.write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "not.parquet").write_text("hello")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "parquet.csv").write_bytes(whole.read_bytes())
    for path, error in (
        (torn, UsageError),
        (tmp_path / "not.parquet", UsageError),
        (tmp_path / "empty.csv", UsageError),
        (tmp_path / "none.parquet", NotFoundError),
        (tmp_path / "n*.csv", NotFoundError),
        (tmp_path / "table.xlsx", UsageError),
        (tmp_path / "nowhere", UsageError),
    ):
        with pytest.raises(error) as caught:
            survey(path)
        assert isinstance(caught.value, MLOpsError)
        assert caught.value.remedy
    empty = tmp_path / "folder"
    empty.mkdir()
    with pytest.raises(NotFoundError):
        survey(empty)
    assert list(temporary.iterdir()) == []
