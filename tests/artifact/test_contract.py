"""A contract is data: it is read strictly, written stably, and says the same as its pandera schema."""

import builtins
import json
import warnings
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.foundation.errors import MissingExtraError, MLOpsError, NotFoundError

QUANTILES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
CONTRACT = Contract(
    "flights",
    (
        ColumnRule("distance", "number", nullable=0.0, minimum=0.0, maximum=5000.5, quantiles=QUANTILES),
        ColumnRule("seats", "integer", nullable=0.25, minimum=1, maximum=600),
        ColumnRule("carrier", "string", nullable=0.0, allowed=("AA", "<script>alert(1)</script>", "{{7*7}}")),
        ColumnRule("dest", "string", allowed=("BOS", "ORD"), closed=False, unseen=0.001),
        ColumnRule("sched_dep", "date", nullable=0.0, minimum="2012-01-01", past=True),
        ColumnRule("day", "date", format="%d/%m/%Y"),
        ColumnRule("tail", "string", unique=True, shape="a9a", lengths=(4, 6)),
        ColumnRule("ølstykke \ud800 \u202e", "string", personal=True),
        ColumnRule("late", "boolean"),
    ),
    target="late",
    rows=1000,
)


def test_a_contract_survives_json_and_is_the_same_text_each_time() -> None:
    text = CONTRACT.to_json()
    assert text.encode().decode() == text  # a file can hold it
    read = Contract.from_json(text)
    assert read == CONTRACT
    assert read.to_json() == text
    assert Contract.from_json(text.encode()) == CONTRACT
    assert list(json.loads(text)) == ["version", "name", "target", "rows", "columns"]
    assert [item["name"] for item in json.loads(text)["columns"]] == [rule.name for rule in CONTRACT.columns]


def test_a_rule_is_found_by_name_with_the_nearest_one() -> None:
    assert CONTRACT.rule("seats").kind == "integer"
    with pytest.raises(NotFoundError) as caught:
        CONTRACT.rule("seat")
    assert "seats" in caught.value.remedy


def test_a_file_cut_at_any_byte_is_refused_in_a_sentence() -> None:
    content = CONTRACT.to_json().encode()
    for length in range(len(content)):
        with pytest.raises(MLOpsError, match=r"flights\.json") as caught:
            Contract.from_json(content[:length], "flights.json")
        assert "%mlops_prepare" in caught.value.remedy


def _told(**changes: Any) -> str:
    return json.dumps(json.loads(CONTRACT.to_json()) | changes)


def _column(**rule: Any) -> str:
    return _told(columns=[{"name": "x", **rule}])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[]", "not a JSON object"),
        ("[" * 100_000, "not whole JSON"),
        ('{"version": NaN}', "not whole JSON"),
        (_told(version=2), "version 2"),
        (_told(version=True), "version True"),
        (_told(version="1"), "version 1"),
        (_told(colums=[]), "unknown key 'colums'"),
        (_told(columns={}), "not a list"),
        (_told(columns=[1]), "column 0 of f.json is not an object"),
        (_told(columns=[{}]), "no name"),
        (_told(columns=[{"name": "x"}, {"name": "x"}]), "two rules for 'x'"),
        (_told(name=3), "name of f.json is not a text"),
        (_told(rows=-1), "rows of f.json is not a whole number"),
        (_told(rows=True), "rows of f.json is not a whole number"),
        (_told(target=1), "target of f.json is not a text"),
        (_column(minimun=1), "unknown key 'minimun'"),
        (_column(kind="float"), "is not one of"),
        (_column(nullable=2), "not between 0 and 1"),
        (_column(nullable=True), "is not a number"),
        (_column(minimum="soon", kind="date"), "neither a number nor a date"),
        (_column(minimum="2013-01-01", kind="number"), "bounds a number by a date"),
        (_column(minimum=1, kind="string"), "bounds a string by a number"),
        (_column(minimum=2, maximum=1, kind="number"), "minimum above its maximum"),
        (_column(minimum="2014-01-01", maximum="2013-01-01", kind="date"), "minimum above its maximum"),
        (_column(allowed="AA"), "is not a list"),
        (_column(allowed=[{}]), "is not a number"),
        (_column(closed=1), "neither true nor false"),
        (_column(lengths=[1]), "least and the greatest"),
        (_column(lengths=[3, 1]), "least and the greatest"),
        (_column(quantiles=[1, 2]), "rising numbers"),
        (_column(quantiles=[7, 6, 5, 4, 3, 2, 1]), "rising numbers"),
        (_column(allowed=["Ann"], personal=True), "looks personal"),
    ],
)
def test_what_is_wrong_in_a_file_is_named(content: str, words: str) -> None:
    with pytest.raises(MLOpsError, match=words) as caught:
        Contract.from_json(content, "f.json")
    assert "f.json" in caught.value.what
    assert caught.value.remedy


def test_a_key_left_out_is_named() -> None:
    told = json.loads(CONTRACT.to_json())
    for key in told:
        rest = json.dumps({name: value for name, value in told.items() if name != key})
        with pytest.raises(MLOpsError, match=r"f\.json"):
            Contract.from_json(rest, "f.json")


GOOD: dict[str, list[Any]] = {
    "distance": [1.5, 5000.5, 0.0, 12.0],
    "seats": [1.0, 600.0, None, 33.0],
    "carrier": ["AA", "{{7*7}}", "<script>alert(1)</script>", "AA"],
    "dest": ["BOS", "ORD", None, "LAX"],
    "sched_dep": [*pd.date_range("2013-01-01", periods=4)],
    "day": ["31/12/2013", "01/02/2014", None, "01/02/2014"],
    "tail": ["N14A", "B777B", None, "C1234D"],
    "ølstykke": ["Ann", None, "Bo", "Cy"],
    "late": [True, False, None, True],
}


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("distance", [1.5, 5000.6, 0.0, 12.0]),
        ("distance", [1.5, None, 0.0, 12.0]),
        ("distance", ["1.5", "1", "2", "3"]),
        ("seats", [1.5, 2.0, 3.0, 4.0]),
        ("seats", [1.0, None, None, 4.0]),
        ("seats", [0.0, 2.0, 3.0, 4.0]),
        ("carrier", ["AA", "aa", "AA", "AA"]),
        ("carrier", ["AA", None, "AA", "AA"]),
        ("carrier", [1, 2, 3, 4]),
        ("sched_dep", [*pd.date_range("2011-12-31", periods=4)]),
        ("sched_dep", ["2013-01-01"] * 4),
        ("tail", ["N14A", "N14A", None, "C1234D"]),
        ("tail", ["N14", "B777B", None, "C1234D"]),
        ("late", ["yes", "no", None, "yes"]),
    ],
)
def test_pandera_takes_and_refuses_the_same_rows(column: str, values: list[Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        errors = pytest.importorskip("pandera.errors")
        rules = [replace(rule, name=rule.name.split()[0]) for rule in CONTRACT.columns]
        schema = replace(
            CONTRACT, columns=tuple(rules)
        ).to_pandera()  # pandas takes no lone surrogate as name
    schema.validate(pd.DataFrame(GOOD), lazy=True)
    schema.validate(pd.DataFrame(GOOD).drop(columns="late"), lazy=True)  # new rows need no target
    with pytest.raises(errors.SchemaErrors):
        schema.validate(pd.DataFrame(GOOD | {column: values}), lazy=True)
    with pytest.raises(errors.SchemaErrors):
        schema.validate(pd.DataFrame(GOOD).drop(columns=column), lazy=True) if column != "late" else (
            schema.validate(pd.DataFrame(GOOD | {"late": ["a"] * 4}), lazy=True)
        )


def test_pandera_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def absent(name: str, *rest: Any) -> Any:
        if name.startswith("pandera"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(builtins, "__import__", absent)
    with pytest.raises(MissingExtraError, match="pandera is not installed") as caught:
        CONTRACT.to_pandera()
    assert caught.value.remedy.endswith("pip install 'mlops-magics[pandera]'")


def test_an_empty_contract_is_a_contract() -> None:
    empty = replace(CONTRACT, columns=(), target=None)
    assert Contract.from_json(empty.to_json()) == empty
