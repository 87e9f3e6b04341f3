"""Models that may do anything: whether requests are answered together, and how what they say is written."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from endpoint import BASE, Caller, application

from mlops_magics.artifact.foreign import Pyfunc
from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving.arrow import STREAM
from mlops_magics.serving.predictor import Predictor

SCHEMA = Schema(
    (Column("x", "double"), Column("n", "long", required=False), Column("word", "string", required=False))
)
EXAMPLE = pd.DataFrame({"x": [1.0, 2.0, 4.0], "n": [1.0, 2.0, 3.0], "word": ["a", None, "b"]})
ASKED = {"dataframe_split": {"columns": ["x", "n", "word"], "data": [[1.5, 1, "a"], [2.5, None, None]]}}
TOGETHER = "pyfunc: requests together"


def model(asks: Callable[[Any], Any], example: Any = EXAMPLE, outputs: Schema | None = None) -> LoadedModel:
    return LoadedModel(
        Pyfunc(asks, SCHEMA), SCHEMA, outputs, example, "predict", {"format": "pyfunc"}, null=None
    )


def twice(rows: Any) -> Any:
    return rows["x"] * 2


def table(rows: Any) -> Any:
    return pd.DataFrame({"twice": rows["x"] * 2, "said": rows["word"].fillna("?")})


def found(asks: Callable[[Any], Any], example: Any = EXAMPLE) -> tuple[bool, str]:
    predictor = Predictor(model(asks, example))
    predictor.compile()
    return predictor.together, predictor.engine


def _memory() -> Callable[[Any], Any]:
    count = itertools.count()
    return lambda rows: [next(count) for _ in range(len(rows))]


def _forgetful() -> Callable[[Any], Any]:
    seen: list[int] = []

    def asks(rows: Any) -> Any:
        seen.append(len(rows))
        return rows["x"] * (1 if len(seen) < 7 else 2)  # at the last look it is another

    return asks


def _no_single(rows: Any) -> Any:
    if len(rows) < 2:
        raise ZeroDivisionError
    return rows["x"]


@pytest.mark.parametrize(
    "asks", [twice, table, lambda rows: rows[["x"]].to_numpy(), lambda rows: ["a"] * len(rows)]
)
def test_a_model_that_looks_at_each_row_by_itself_answers_requests_together(
    asks: Callable[[Any], Any],
) -> None:
    assert found(asks) == (True, TOGETHER)


HANGS = "its answers hang on the rows beside them, or on what was asked before"
ALONE: dict[str, tuple[Callable[[Any], Any], Any, str]] = {
    "a mean": (lambda rows: rows["x"] - rows["x"].mean(), EXAMPLE, HANGS),
    "a rank": (lambda rows: rows["x"].rank(), EXAMPLE, HANGS),
    "the row before": (lambda rows: rows["x"].shift(fill_value=0.0), EXAMPLE, HANGS),
    "many rows": (lambda rows: rows["x"] * (1 + len(rows) // 100), EXAMPLE, HANGS),
    "a type": (lambda rows: rows["x"].astype(int if len(rows) > 1 else float), EXAMPLE, HANGS),
    "a draw": (lambda rows: np.random.default_rng().random(len(rows)), EXAMPLE, HANGS),
    "a memory": (_memory(), EXAMPLE, HANGS),
    "a late memory": (_forgetful(), EXAMPLE, HANGS),
    "no example": (twice, None, "it has no example"),
    "one row": (twice, EXAMPLE.head(1), "no two rows that differ"),
    "equal rows": (twice, EXAMPLE.iloc[[0, 0, 0]], "no two rows that differ"),
    "another example": (twice, EXAMPLE[["x"]], "it has no example"),
    "no single row": (_no_single, EXAMPLE, "does not answer its example row by row (ZeroDivisionError)"),
}


@pytest.mark.parametrize("case", ALONE)
def test_any_other_answers_each_request_alone(case: str) -> None:
    asks, example, why = ALONE[case]
    together, engine = found(asks, example)
    assert not together
    assert engine.startswith("pyfunc: each request alone, ")
    assert why in engine


def test_what_takes_long_is_not_tried_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.apart._SECONDS", -1.0)
    assert found(twice) == (False, "pyfunc: each request alone, its example takes long to answer")


def test_many_rows_are_not_asked_of_what_takes_long_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.serving.apart._SECONDS", 0.2)
    most = []

    def slow(rows: Any) -> Any:
        most.append(len(rows))
        time.sleep(0.01 * len(rows))
        return rows["x"]

    assert found(slow) == (False, "pyfunc: each request alone, its example takes long to answer")
    assert max(most) == len(EXAMPLE)


def _counted(asks: Callable[[Any], Any]) -> tuple[list[int], list[Any]]:
    """Ask twenty times at once; return the rows of each question that the model met, and the answers."""
    met: list[int] = []

    def noted(rows: Any) -> Any:
        met.append(len(rows))
        return asks(rows)

    loaded = model(noted)
    app = application(loaded, compiled=True)
    met.clear()
    lane = app.lanes.live

    async def ask() -> list[Any]:
        jobs = []
        for place in range(20):
            body = {"dataframe_split": {"columns": ["x", "n", "word"], "data": [[float(place), 1, "a"]]}}
            jobs.append(
                lane.batcher.submit(
                    lane.predictor.decode(json.dumps(body).encode(), "application/json"), str(place)
                )
            )
        answers = await asyncio.gather(*(job.answer for job in jobs))
        await lane.batcher.stop()
        return [answer.tolist() for answer in answers]

    return met, asyncio.run(ask())


def test_requests_that_wait_are_computed_together_only_where_that_was_proved() -> None:
    met, answers = _counted(twice)
    assert answers == [[2.0 * place] for place in range(20)]
    assert sum(met) == 20
    assert len(met) < 20
    met, answers = _counted(lambda rows: rows["x"].rank())
    assert answers == [[1.0]] * 20
    assert met == [1] * 20


def test_gaps_and_types_come_as_mlflow_hands_them_over() -> None:
    def shape(rows: Any) -> list[str]:
        return [" ".join(map(str, rows.dtypes)) + f" {word is None}" for word in rows["word"]]

    with Caller(application(model(shape))) as caller:
        answered = caller.post("/invocations", ASKED).json()["predictions"]
    assert answered == ["float64 float64 object False", "float64 float64 object True"]


def test_a_model_may_change_the_rows_that_it_is_given() -> None:
    def spoils(rows: Any) -> Any:
        rows.loc[:, "x"] = rows["x"] + 1.0
        rows["new"] = 1
        return rows["x"]

    assert found(spoils) == (True, TOGETHER)
    predictor = Predictor(model(spoils))
    columns = {"x": np.array([1.0]), "n": np.array([1.0]), "word": np.array(["a"], dtype=object)}
    assert predictor.predict(columns, 1, "predict").tolist() == [2.0]
    assert columns["x"].tolist() == [1.0]


def test_a_table_is_written_as_mlflow_writes_it_in_each_protocol() -> None:
    outputs = Schema((Column("twice", "double"), Column("said", "string")))
    with Caller(application(model(table, outputs=outputs))) as caller:
        told = caller.post("/invocations", ASKED)
        assert told.json() == {"predictions": [{"twice": 3.0, "said": "a"}, {"twice": 5.0, "said": "?"}]}
        known = caller.get(BASE).json()
        assert known["platform"] == "mlflow"
        assert known["outputs"] == [{"name": "predict", "datatype": "BYTES", "shape": [-1, 2]}]
        inputs = [
            {"name": "x", "datatype": "FP64", "shape": [2], "data": [1.5, 2.5]},
            {"name": "word", "datatype": "BYTES", "shape": [2], "data": ["a", "b"]},
        ]
        (tensor,) = caller.post(f"{BASE}/infer", {"inputs": inputs}).json()["outputs"]
        assert (tensor["shape"], tensor["data"]) == ([2, 2], ["3.0", "a", "5.0", "b"])
        stream = caller.post("/invocations", ASKED, accept=STREAM)
        column = pa.ipc.open_stream(io.BytesIO(stream.content)).read_all()["predictions"]
        assert column.to_pylist() == [["3.0", "a"], ["5.0", "?"]]
        assert caller.get("/openapi.json").status_code == 200
        refused = caller.post("/invocations", {**ASKED, "params": {"depth": 3}})
        assert (refused.status_code, "params" in refused.text) == (400, True)


def test_what_is_no_answer_is_a_500_that_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    def leaks(rows: Any) -> Any:
        raise RuntimeError(f"cannot take {rows['word'].tolist()} s3cr3t")

    for asks in (leaks, lambda rows: {"a": rows["x"].tolist()}, lambda rows: rows["x"].head(1)):
        with Caller(application(model(asks))) as caller:
            told = caller.post("/invocations", ASKED)
        assert (told.status_code, told.json()["error_code"]) == (500, "PREDICTION_FAILED")
        assert told.headers["x-request-id"] in caplog.text
        assert "s3cr3t" not in told.text + caplog.text
    assert "RuntimeError in leaks" in caplog.text


def test_a_thousand_rows_are_answered_at_once() -> None:
    rows = [[float(place), None, "a"] for place in range(1000)]
    body = {"dataframe_split": {"columns": ["x", "n", "word"], "data": rows}}
    with Caller(application(model(twice))) as caller:
        assert caller.post("/invocations", body).json()["predictions"] == [2.0 * row[0] for row in rows]
