"""Files scored with a version: larger than a part, gone on with, and rows that do not fit."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest

from mlops_magics.foundation.errors import NotFoundError, RefusedError, UsageError
from mlops_magics.serving import bulk

Book = Callable[[str], Any]
pytestmark = pytest.mark.usefixtures("registered")
FEATURES = ["town", "size", "age"]


def rows(count: int, seed: int = 1) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "id": np.arange(count),
            "town": pd.Series(random.choice(["Oslo", "Rome", "Lima", None], count), dtype=object),
            "size": np.where(random.random(count) < 0.2, np.nan, random.normal(size=count)),
            "age": random.integers(1, 90, count).astype(float),
        }
    )


def answers(folder: Path) -> pl.DataFrame:
    return pl.read_parquet(folder / "part-*.parquet").sort("id")


def test_files_are_scored_part_by_part_and_as_the_notebook_would(
    book: Book, shell: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_PART", 700)
    monkeypatch.setattr(bulk, "_ROWS", 300)
    table = rows(2500)
    (project / "in").mkdir()
    table[:2000].to_parquet(project / "in" / "a.parquet", row_group_size=400)
    table[2000:].to_csv(project / "in" / "b.csv", index=False)
    told = book("%mlops_predict flights/1 --input in --output out --keep age")
    assert (told.rows, told.refused, told.parts, told.found) == (2500, 0, 4, 0)
    found = answers(project / "out")
    assert found.columns == ["id", "age", "error", "prediction"]
    model = shell.user_ns["model"]
    np.testing.assert_array_equal(found["prediction"], model.predict(table[FEATURES]))
    likely = book("%mlops_predict flights/1 --input in/*.parquet --output likely --proba")
    assert likely.rows == 2000
    np.testing.assert_allclose(
        answers(project / "likely")["probability.1"],
        model.predict_proba(table[FEATURES][:2000])[:, 1],
        rtol=1e-9,
    )


def test_what_is_scored_already_is_left_out(
    book: Book, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "_PART", 100)
    rows(400).to_parquet(project / "in.parquet", row_group_size=100)
    scored: list[str] = []
    score = bulk.Scorer.score

    def stopping(self: Any, chunk: Any, folder: Path) -> Any:
        if len(scored) == 2:
            raise KeyboardInterrupt
        scored.append(chunk.name)
        return score(self, chunk, folder)

    monkeypatch.setattr(bulk.Scorer, "score", stopping)
    with pytest.raises(KeyboardInterrupt):
        book("%mlops_predict flights/1 --input in.parquet --output out")
    assert sorted(path.name for path in (project / "out").iterdir()) == [
        "_scoring.json",
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    monkeypatch.setattr(bulk.Scorer, "score", score)
    told = book("%mlops_predict flights/1 --input in.parquet --output out")
    assert (told.rows, told.parts, told.found) == (400, 4, 2)
    assert answers(project / "out")["id"].to_list() == list(range(400))
    assert book("%mlops_predict flights/1 --input in.parquet --output out").found == 4


PEAK = """
import resource, sys
from pathlib import Path
from mlops_magics import predict
told = predict("flights/1", input=sys.argv[1], output=Path(sys.argv[2]))
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # in kilobytes, on macOS in bytes
print(told.rows, peak if sys.platform == "darwin" else peak * 1024)
"""


@pytest.mark.slow
def test_five_times_the_rows_take_no_more_memory(project: Path) -> None:
    peaks = []
    for millions in (1, 5):
        file = project / f"{millions}.parquet"
        parts = [pl.from_pandas(rows(250_000, seed=seed)) for seed in range(4)] * millions
        pl.concat(parts).write_parquet(file, row_group_size=100_000)
        line = [sys.executable, "-c", PEAK, str(file), str(project / f"scored-{millions}")]
        found = subprocess.run(line, capture_output=True, text=True, check=True, timeout=300).stdout.split()
        assert int(found[0]) == millions * 1_000_000
        peaks.append(int(found[1]))
    assert peaks[1] - peaks[0] < 4_000_000 * 16  # the rows have 28 bytes and more, an answer eight


def test_a_folder_of_other_answers_is_not_mixed(book: Book, project: Path) -> None:
    rows(10).to_parquet(project / "in.parquet")
    book("%mlops_predict flights/1 --input in.parquet --output out")
    with pytest.raises(RefusedError, match="the answers of another version"):
        book("%mlops_predict flights/1 --input in.parquet --output out --proba")
    rows(11).to_parquet(project / "in.parquet")
    with pytest.raises(RefusedError, match="or to other rows"):
        book("%mlops_predict flights/1 --input in.parquet --output out")
    (project / "mine").mkdir()
    (project / "mine" / "notes.txt").touch()
    with pytest.raises(RefusedError, match="is not empty"):
        book("%mlops_predict flights/1 --input in.parquet --output mine")
    assert json.loads((project / "out" / "_scoring.json").read_text())["version"] == "1"


def test_a_row_that_does_not_fit_has_an_error_and_the_others_answers(book: Book, project: Path) -> None:
    table = rows(200).astype({"age": object})
    table.loc[[3, 77], "age"] = None
    table.astype({"age": float}).to_parquet(project / "in.parquet")
    told = book("%mlops_predict flights/1 --input in.parquet --output out")
    assert (told.rows, told.refused) == (200, 2)
    bad = answers(project / "out").filter(pl.col("error").is_not_null())
    assert bad["id"].to_list() == [3, 77]
    assert set(bad["error"]) == {"age: expected double"}
    assert bad["prediction"].null_count() == 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda table: table.drop(columns="age"), "have no column age"),
        (lambda table: table.assign(age="old"), "column age holds other values than double"),
        (lambda table: table.assign(age=np.nan), "No row of in.parquet fits the model: age: expected double"),
    ],
)
def test_rows_of_another_kind_are_refused_by_name(
    book: Book, project: Path, change: Callable[[pd.DataFrame], pd.DataFrame], why: str
) -> None:
    change(rows(20)).to_parquet(project / "in.parquet")
    with pytest.raises(UsageError, match=why):
        book("%mlops_predict flights/1 --input in.parquet --output out")
    assert [path.name for path in (project / "out").iterdir()] == ["_scoring.json"]


def test_what_is_missing_is_said(book: Book, project: Path) -> None:
    with pytest.raises(NotFoundError, match="no files at"):
        book("%mlops_predict flights/1 --input nothing/*.parquet --output out")
    with pytest.raises(UsageError, match="--input and --output"):
        book("%mlops_predict flights/1 --input in.parquet")
    assert not (project / "out").exists()
    with pytest.raises(UsageError, match="Which rows"):
        book("%mlops_predict flights")


@pytest.mark.slow
def test_the_tasks_of_a_cluster_score_parts(
    book: Book, shell: Any, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert importlib.util.find_spec("ray"), (
        "make test-slow installs it"
    )  # importing it here would be too early
    monkeypatch.setattr(bulk, "_PART", 500)
    table = rows(2000)
    table.to_parquet(project / "in.parquet", row_group_size=500)
    told = book(f"%mlops_predict flights/1 --input {project}/in.parquet --output {project}/out --engine ray")
    assert (told.rows, told.parts, told.refused) == (2000, 4, 0)
    expected = shell.user_ns["model"].predict(table[FEATURES])
    np.testing.assert_array_equal(answers(project / "out")["prediction"], expected)
