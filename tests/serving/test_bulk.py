"""Files scored with models that answer with several values a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.linear_model import LinearRegression

from mlops_magics.artifact.foreign import Pyfunc
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving.bulk import Scorer, chunks
from mlops_magics.serving.predictor import Predictor

SCHEMA = Schema((Column("x", "double"),))
ROWS = pd.DataFrame({"id": range(50), "x": np.arange(50.0)})


def _table(rows: Any) -> Any:
    return pd.DataFrame({"said": ["odd" if x % 2 else "even" for x in rows["x"]], "twice": rows["x"] * 2})


def _asked(asks: Callable[[Any], Any]) -> LoadedModel:
    return LoadedModel(Pyfunc(asks, SCHEMA), SCHEMA, None, None, "predict", {"format": "pyfunc"}, null=None)


def _fitted() -> LoadedModel:
    model = LinearRegression().fit(ROWS[["x"]], np.stack([ROWS["x"] * 2, -ROWS["x"]], axis=1))
    return LoadedModel(model, SCHEMA, None, None, "predict")


def _scored(model: LoadedModel, folder: Path, rows: pd.DataFrame) -> tuple[int, pl.DataFrame]:
    rows.to_parquet(folder / "rows.parquet")
    (chunk,) = chunks([folder / "rows.parquet"])
    count = Scorer(Predictor(model), SCHEMA, "predict").score(chunk, folder)
    assert count.rows == len(rows)
    return count.refused, pl.read_parquet(folder / chunk.name)


@pytest.mark.parametrize("gaps", [[], [7, 33]])
@pytest.mark.parametrize(
    "model", [_fitted(), _asked(lambda rows: np.stack([rows["x"] * 2, -rows["x"]], axis=1))]
)
def test_several_outputs_are_a_list(model: LoadedModel, gaps: list[int], tmp_path: Path) -> None:
    refused, found = _scored(model, tmp_path, ROWS.assign(x=ROWS["x"].where(~ROWS["id"].isin(gaps))))
    assert refused == len(gaps)
    assert set(found.columns) == {"id", "error", "prediction"}
    for row in found.iter_rows(named=True):
        if row["id"] in gaps:
            assert (row["prediction"], row["error"]) == (None, "x: expected double")
        else:
            assert row["prediction"] == pytest.approx([row["id"] * 2, -row["id"]], abs=1e-9)


@pytest.mark.parametrize("gaps", [[], [7, 33]])
def test_a_table_has_its_columns(gaps: list[int], tmp_path: Path) -> None:
    rows = ROWS.assign(x=ROWS["x"].where(~ROWS["id"].isin(gaps)))
    refused, found = _scored(_asked(_table), tmp_path, rows)
    assert refused == len(gaps)
    said = found.filter(pl.col("error").is_null())
    right = _table(ROWS.drop(index=gaps))
    assert said["prediction.said"].to_list() == right["said"].tolist()
    assert said["prediction.twice"].to_list() == right["twice"].tolist()
    assert found.filter(pl.col("error").is_not_null())["prediction.said"].to_list() == [None] * len(gaps)


def test_a_table_of_one_column_is_the_prediction(tmp_path: Path) -> None:
    refused, found = _scored(_asked(lambda rows: rows[["x"]] * 2), tmp_path, ROWS)
    assert (refused, found["prediction"].to_list()) == (0, (ROWS["x"] * 2).tolist())
