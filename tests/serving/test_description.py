"""What an endpoint says of itself: a valid document, a page without scripts, no row of the training data."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from endpoint import BASE, ROWS, SCHEMA, SECRET, TOKEN, Caller, application, loaded, question
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from sklearn.linear_model import LinearRegression

from mlops_magics.artifact.loading import LoadedModel
from mlops_magics.artifact.order import JournalOrder, Limits
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.serving import sample
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import build_app
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.predictor import Predictor

SHA256 = hashlib.sha256(TOKEN.encode()).hexdigest()


@pytest.fixture(scope="module")
def caller() -> Iterator[Caller]:
    with Caller(application()) as made:
        yield made


@pytest.fixture(scope="module")
def document(caller: Caller) -> Any:
    return caller.get("/openapi.json").json()


def fits(document: Any, name: str, content: Any) -> bool:
    registry = Registry().with_resource("urn:x", Resource.opaque(document))
    schema = {"$ref": f"urn:x#/components/schemas/{name}"}
    return bool(OAS31Validator(schema, registry=registry).is_valid(content))


def test_the_document_is_valid_and_has_every_route(caller: Caller, document: Any) -> None:
    OpenAPIV31SpecValidator(document).validate()
    assert document["info"]["version"] == "3"
    assert set(document["paths"]) == set(caller.app.routes)
    for path, told in document["paths"].items():
        assert set(told) == {"post" if caller.app.routes[path].hear else "get"}
        is_open = next(iter(told.values())).get("security") == []
        assert is_open == (caller.ask("GET", path, authorization="").status_code == 200)


def test_the_columns_are_the_model_s_own(document: Any) -> None:
    row = document["components"]["schemas"]["Row"]
    assert list(row["properties"]) == list(ROWS)
    assert row["required"] == [column.name for column in SCHEMA.columns if column.required]
    assert row["properties"]["delay"]["type"] == ["number", "null"]
    assert row["properties"]["stops"] == {"type": "integer", "format": "int64"}


def test_its_examples_are_answered(caller: Caller, document: Any) -> None:
    for path, name in (("/invocations", "Question"), (f"{BASE}/infer", "TensorQuestion")):
        content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert fits(document, name, content["example"])
        assert caller.post(path, content["example"]).status_code == 200


def test_answers_and_refusals_are_as_described(caller: Caller, document: Any) -> None:
    records = [dict(zip(ROWS, row, strict=True)) for row in zip(*ROWS.values(), strict=True)]
    for form in (
        {"dataframe_records": records},
        {"instances": records},
        {"inputs": records, "params": {"method": "predict_proba"}},
        {"inputs": ROWS},
        {"inputs": records[0]},
        {"dataframe_split": {"columns": list(ROWS), "data": [list(row.values()) for row in records]}},
    ):
        assert fits(document, "Question", form)
        answer = caller.post("/invocations", form)
        assert answer.status_code == 200
        assert fits(document, "Predictions", answer.json())
    for wrong in ({}, {"inputs": []} | {"instances": []}, {"dataframe_records": [{"stops": "x"}]}):
        assert not fits(document, "Question", wrong)
        refused = caller.post("/invocations", wrong)
        assert str(refused.status_code) in document["paths"]["/invocations"]["post"]["responses"]
        assert fits(document, "Error", refused.json())
    assert fits(document, "TensorQuestion", question(id="1"))
    assert fits(document, "TensorAnswer", caller.post(f"{BASE}/infer", question(id="1")).json())
    assert fits(document, "TensorError", caller.post(f"{BASE}/infer", {}).json())


def test_the_example_tells_nothing_of_a_person() -> None:
    table = pd.DataFrame(ROWS).assign(
        note=[SECRET, "x", "y"],
        phone_no=[4915112345678, 2, 3],
        customer_id=[77001, 77002, 77003],
        carrier=["ÜA", "AA", "AA"],
        load=[float("inf")] * 3,
    )
    more = (Column("phone_no", "long"), Column("customer_id", "long"))
    model = dataclasses.replace(loaded(), schema=Schema((*SCHEMA.columns, *more)), example=table)
    row = sample.row(model)
    assert row is not None
    assert (row["note"], row["departs"], row["blob"]) == ("text", "2026-01-01T00:00:00", "AA==")
    assert (row["phone_no"], row["customer_id"], row["load"]) == (0, 0, 0.0)
    assert (row["carrier"], row["distance"], row["delay"], row["stops"]) == ("ÜA", 100.5, 3.5, 0)
    assert sample.row(dataclasses.replace(model, example=table.drop(columns="stops"))) is None
    assert sample.row(dataclasses.replace(model, example=None)) is None
    text = Caller(application(model)).get("/openapi.json").text + Caller(application(model)).get("/docs").text
    assert not re.search(f"{SECRET}|4915112345678|77001|2026-01-02|aGk=", text)


def test_what_the_journal_leaves_out_is_not_in_the_example(tmp_path: Path) -> None:
    journal = Journal(JournalOrder(folder=tmp_path, leave_out=("distance", "carrier")))
    caller = Caller(application(journal=journal))
    posted = caller.get("/openapi.json").json()["paths"]["/invocations"]["post"]
    split = posted["requestBody"]["content"]["application/json"]["example"]["dataframe_split"]
    row = dict(zip(split["columns"], split["data"][0], strict=True))
    assert (row["distance"], row["carrier"], row["delay"]) == (0.0, "text", 3.5)


def test_the_page_runs_and_loads_nothing_and_escapes_everything() -> None:
    names = ("<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{7*7}}", "plain")
    table = pd.DataFrame({name: [0.0, 1.0] for name in names})
    fitted = LinearRegression().fit(table, [0.0, 1.0])
    schema = Schema(tuple(Column(name, "double") for name in names))
    caller = Caller(application(LoadedModel(fitted, schema, None, table, "predict")))
    answer = caller.get("/docs")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    page = answer.text
    assert not re.search(r"<(script|img|link|iframe|form)|\bhttps?://|\son\w+=\"|url\(", page, re.IGNORECASE)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "{{7*7}}" in page
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    for style in re.findall(r"<style>(.*?)</style>", page, re.DOTALL):
        assert base64.b64encode(hashlib.sha256(style.encode()).digest()).decode() in policy
    assert not re.search(r"<[^>]+\sstyle=", page)
    OpenAPIV31SpecValidator(caller.get("/openapi.json").json()).validate()


def test_a_model_without_schema_is_described_too() -> None:
    fitted = LinearRegression().fit(np.array([[0.0], [1.0]]), [1.0, 3.0])
    caller = Caller(application(LoadedModel(fitted, None, None, None, "predict")))
    document = caller.get("/openapi.json").json()
    OpenAPIV31SpecValidator(document).validate()
    assert "example" not in str(document)
    assert "no signature" in caller.get("/docs").text


def test_a_model_of_any_name_is_described_under_the_path_that_answers() -> None:
    name = '{x} "late" \N{SNOWMAN}/?#'
    made = Predictor(loaded())
    app = build_app(made, Access(SHA256), limits=Limits(), model=name, version="3", name="endpoint")
    with Caller(app) as caller:
        told = caller.get("/openapi.json").json()
        OpenAPIV31SpecValidator(told).validate()
        assert not [path for path in told["paths"] if "{" in path or " " in path]
        (asked,) = [path for path in told["paths"] if path.endswith("/infer") and "/versions/" not in path]
        assert caller.post(asked, question()).json()["model_name"] == name
