"""The same requests to MLflow's own server and to ours: equal answers, and each difference is known."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest
from endpoint import Caller, application
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_magics.artifact.loading import load
from mlops_magics.tracking.pyfunc import opened

Says = Callable[[Any], Any]
pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow takes a warning of its own for a failure

ROW: dict[str, Any] = {"a": 0.5, "n": 1, "c": "x", "ok": True}
CELLS = list(ROW.values())
CSV = pd.DataFrame([ROW]).to_csv(index=False).encode()


def records(**others: Any) -> dict[str, Any]:
    return {"dataframe_records": [{**ROW, **others}]}


def split(**others: Any) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(ROW), "data": [CELLS], **others}}


ALIKE: dict[str, tuple[Any, str, int]] = {
    name: (body, "application/json", status)
    for name, (body, status) in {
        "split": (split(), 200),
        "split with index": (split(index=[5]), 200),
        "split without columns": ({"dataframe_split": {"data": [CELLS]}}, 400),
        "split by place": (split(columns=[0, 1, 2, 3]), 400),
        "a column twice": (split(columns=["a", "a", "c", "ok"]), 400),
        "records": (records(), 200),
        "an extra column": (records(z=1), 200),
        "no records": ({"dataframe_records": []}, 400),
        "records as an object": ({"dataframe_records": {"a": [1]}}, 400),
        "a cell that is missing": ({"dataframe_records": [ROW, {"n": 1, "c": "x", "ok": True}]}, 200),
        "inputs by column": ({"inputs": {name: [cell] for name, cell in ROW.items()}}, 200),
        "inputs as one row": ({"inputs": ROW}, 200),
        "inputs": ({"inputs": [ROW]}, 200),
        "instances": ({"instances": [ROW]}, 200),
        "a gap": (records(a=None), 200),
        "a gap as NaN": (records(a=float("nan")), 200),
        "a whole float for a long": (records(n=1.0), 200),
        "a whole number for a double": (records(a=1), 200),
        "a missing column": ({"dataframe_records": [{"a": 1.0}]}, 400),
        "params are null": ({**records(), "params": None}, 200),
        "params are empty": ({**records(), "params": {}}, 200),
        "no form": ({}, 400),
        "two forms": ({**records(), "inputs": [ROW]}, 400),
        "a list": ([ROW], 400),
        "nothing": (b"", 400),
        "no JSON": (b"{", 400),
    }.items()
} | {
    "csv": (CSV, "text/csv", 200),
    "csv with an index": (pd.DataFrame([ROW]).to_csv().encode(), "text/csv", 200),
    "csv with a gap": (b"a,n,c,ok\n,1,x,True\n", "text/csv", 200),
    "csv of a spreadsheet": (b"\xef\xbb\xbf" + CSV.replace(b"\n", b"\r\n"), "text/csv; charset=UTF-8", 200),
    "csv in Latin-1": (CSV, "text/csv; charset=latin-1", 415),
    "text": (b"x", "text/plain", 415),
}
OTHERWISE: dict[str, tuple[Any, int, int]] = {
    "rows of several types": ({"inputs": [CELLS]}, 400, 200),
    "null for a long": (records(n=None), 400, 422),
    "a text for a number": (records(a="x"), 400, 422),
    "a number in a text": (records(a="1.5"), 200, 422),
    "a fraction for a long": (records(n=1.5), 200, 422),
    "a number for a text": (records(c=1), 200, 422),
    "null for a text": (records(c=None), 200, 422),
    "1 for true": (records(ok=1), 200, 422),
    "infinity": (records(a=float("inf")), 200, 400),
    "unknown params": ({**records(), "params": {"x": 1}}, 200, 400),
    "an unknown key": ({**records(), "x": 1}, 200, 400),
}


TABLE = pd.DataFrame({"a": [0.5, None] * 2, "n": [1, 2] * 2, "c": ["x", "y"] * 2, "ok": [True, False] * 2})


class Both:
    """MLflow's server and ours with the same model, out of the same files.

    Args:
        folder: Where these are put.
        says: What a function answers that MLflow keeps; a pipeline where none is given.
    """

    def __init__(self, folder: Path, says: Says | None = None) -> None:
        import mlflow.pyfunc
        from mlflow.pyfunc.scoring_server import init

        if says is None:
            self._pipeline(folder)
        else:
            self._function(folder, says)
        self.theirs = init(mlflow.pyfunc.load_model(str(folder)))
        model = load(folder, allow_pickle=says is not None, allow_code=says is not None, opens=opened)
        self.ours = Caller(application(model))

    def _function(self, folder: Path, says: Says) -> None:
        import mlflow.pyfunc
        from mlflow.models import infer_signature

        class Function(mlflow.pyfunc.PythonModel):  # type: ignore[misc]
            def predict(self, context: Any, model_input: pd.DataFrame) -> Any:  # noqa: ARG002 - MLflow's names
                return says(model_input)

        mlflow.pyfunc.save_model(
            folder, python_model=Function(), signature=infer_signature(TABLE), pip_requirements=["numpy"]
        )

    def _pipeline(self, folder: Path) -> None:
        import mlflow.sklearn
        from mlflow.models import infer_signature

        encoder = make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["c"]))
        model = make_pipeline(encoder, LogisticRegression()).fit(TABLE, ["late", "on time"] * 2)
        signature = infer_signature(TABLE, model.predict(TABLE))
        mlflow.sklearn.save_model(
            model,
            folder,
            signature=signature,
            serialization_format="skops",
            pip_requirements=["scikit-learn"],
        )

    def ask(self, body: Any, kind: str) -> tuple[httpx.Response, httpx.Response]:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def sent() -> httpx.Response:
            transport = httpx.ASGITransport(self.theirs)
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
                return await client.post("/invocations", content=content, headers={"content-type": kind})

        return asyncio.run(sent()), self.ours.post("/invocations", content, content_type=kind)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    made = Both(tmp_path_factory.mktemp("models") / "model")
    with made.ours:
        yield made


@pytest.mark.parametrize("name", ALIKE)
def test_what_mlflow_answers_is_answered_alike(name: str, both: Both) -> None:
    body, kind, status = ALIKE[name]
    theirs, ours = both.ask(body, kind)
    assert (theirs.status_code, ours.status_code) == (status, status), (theirs.text, ours.text)
    if status == 200:
        assert ours.json() == theirs.json()


@pytest.mark.parametrize("name", OTHERWISE)
def test_each_difference_is_meant(name: str, both: Both) -> None:
    body, *statuses = OTHERWISE[name]
    theirs, ours = both.ask(body, "application/json")
    assert [theirs.status_code, ours.status_code] == statuses, (theirs.text, ours.text)


SAID: dict[str, Says] = {
    "numbers": lambda rows: (rows["n"] * 1.5).to_numpy(),
    "whole numbers": lambda rows: rows["n"].to_numpy(),
    "rows of numbers": lambda rows: rows[["n", "n"]].to_numpy(),
    "texts": lambda rows: rows["c"].tolist(),
    "texts in an array": lambda rows: rows["c"].to_numpy(dtype=object),
    "flags": lambda rows: rows["ok"].tolist(),
    "lists": lambda rows: [[text, len(text)] for text in rows["c"]],
    "types of all but texts": lambda rows: [" ".join(map(str, rows[["a", "n", "ok"]].dtypes))] * len(rows),
    "a table": lambda rows: rows[["c", "n", "ok"]].assign(more=rows["n"] / 4),
    "a table of one column": lambda rows: rows[["n"]],
}


@pytest.mark.parametrize("name", SAID)
def test_what_a_function_says_is_written_alike(name: str, tmp_path: Path) -> None:
    both = Both(tmp_path / "model", SAID[name])
    with both.ours:
        for body in (records(), {"dataframe_records": [ROW, {**ROW, "n": 7, "c": "ä", "ok": False}]}):
            theirs, ours = both.ask(body, "application/json")
            assert (theirs.status_code, ours.status_code) == (200, 200), (theirs.text, ours.text)
            assert ours.json() == theirs.json()


def test_a_series_is_a_value_a_row(tmp_path: Path) -> None:
    both = Both(tmp_path / "model", lambda rows: rows["n"])
    with both.ours:
        theirs, ours = both.ask(records(n=3), "application/json")
    assert theirs.json() == {"predictions": [{"n": 3}]}
    assert ours.json() == {"predictions": [3]}
