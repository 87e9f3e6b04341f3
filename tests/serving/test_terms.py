"""The contract at the endpoint: it refuses the rows that %mlops_prepare --check blames, and no others."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from endpoint import MODEL, ROWS, SECRET, TOKEN, VERSION, Caller, loaded, question, tensor

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.order import JournalOrder, Limits
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.artifact.schema import Column
from mlops_magics.foundation.frames import Frame
from mlops_magics.serving.access import Access
from mlops_magics.serving.app import App, build_app
from mlops_magics.serving.codec import Batch
from mlops_magics.serving.journal import Journal
from mlops_magics.serving.predictor import Predictor
from mlops_magics.serving.rows import Layout, Rows
from mlops_magics.serving.terms import BreachError, Terms
from mlops_magics.stats.breaches import check
from mlops_magics.steps.deploy.traffic import read

RULES = (
    ColumnRule("size", "number", nullable=0.0, minimum=-1.0, maximum=1.0),
    ColumnRule("count", "integer", minimum=0),
    ColumnRule("level", "number", allowed=(1.0, 2.0, 3.0)),
    ColumnRule("town", "string", nullable=0.0, allowed=("Oslo", "Rome")),
    ColumnRule("open", "string", allowed=("x",), closed=False),
    ColumnRule("tail", "string", shape="a9a", lengths=(4, 6)),
    ColumnRule("left", "date", maximum="2026-02-01T00:00:00", past=True),
    ColumnRule("written", "date", format="%Y-%m-%d", minimum="2020-01-01T00:00:00", past=True),
)
_LATER = datetime.now() + timedelta(days=9)  # noqa: DTZ005 - tables have no zone
VALUES: dict[str, list[Any]] = {
    "size": [0.5, -1.0, 1.0, 1.5, -2.0, np.nan, np.inf],
    "count": [0.0, 3.0, 2.5, -1.0, np.nan],
    "level": [1.0, 3.0, 2.5, np.nan],
    "town": ["Oslo", "Rome", "Paris", "oslo", None],
    "open": ["x", "y", None],
    "tail": ["N1A", "N14A", "N14228A", "114A", "Ñ1²A", None],
    "left": [*(np.datetime64(each, "ns") for each in ("2025-01-01", "2026-02-01", "2026-02-02")),
             np.datetime64(_LATER, "ns"), np.datetime64("NaT")],
    "written": ["2025-01-31", "2019-12-31", "31.1.2025", "soon", f"{_LATER:%Y-%m-%d}", None],
}  # fmt: skip
GOOD: dict[str, Any] = {name: values[0] for name, values in VALUES.items()} | {"tail": "N14A"}


def _columns(row: dict[str, Any]) -> dict[str, np.ndarray[Any, Any]]:
    made: dict[str, np.ndarray[Any, Any]] = {}
    for name, value in row.items():
        kind = object if isinstance(value, str) or value is None else "M8[ns]" if name == "left" else float
        made[name] = np.empty(1, kind)
        made[name][0] = value
    return made


def _blamed(row: dict[str, Any]) -> bool:
    frame = pd.DataFrame(_columns(row))
    found = check(Contract("flights", RULES, rows=1000), Frame.of(frame, "rows"))
    return any(each.severity == "error" and not each.whole for each in found.breaches)


@pytest.mark.parametrize("name", VALUES)
def test_a_row_is_refused_where_checking_blames_it(name: str) -> None:
    terms = Terms(Contract("flights", RULES, rows=1000))
    refused = []
    for value in VALUES[name]:
        row = GOOD | {name: value}
        batch = Batch(_columns(row), 1, "predict")
        if not _blamed(row):
            terms.check(batch)
            continue
        with pytest.raises(BreachError) as caught:
            terms.check(batch)
        error = caught.value
        assert (error.status, error.code, error.column, error.row) == (422, "CONTRACT_BREACH", name, 0)
        assert not isinstance(value, str) or value not in error.message
        terms.count(error)
        refused.append(value)
    if name != "open":
        assert refused
    assert sum(terms.breaches.values()) == len(refused)


TYPES = {
    "size": "double",
    "count": "double",
    "level": "double",
    "town": "string",
    "open": "string",
    "tail": "string",
    "written": "string",
    "yes": "boolean",
}


def _cells(values: dict[str, list[Any]], *, rules: tuple[ColumnRule, ...] = RULES) -> list[tuple[Any, ...]]:
    """Hold each value against the contract, as a cell of JSON and as an array; return what came of both."""
    columns = [Column(name, kind, required=False) for name, kind in TYPES.items()]
    layout = Layout.of(columns, {name: place for place, name in enumerate(TYPES)}, len(TYPES))
    assert layout is not None
    found = []
    for name, several in values.items():
        for value in several:
            row = {key: GOOD.get(key, True) for key in TYPES} | {name: value}
            cells = [None if each is None or each != each else each for each in row.values()]  # noqa: PLR0124 - NaN
            assert layout.sound([cells])
            terms = Terms(Contract("flights", rules, rows=1000))
            rows = Rows(layout, [[GOOD.get(key, True) for key in TYPES], cells])
            ends = []
            for held in (rows, layout.typed(rows.cells)):
                try:
                    terms.check(Batch(held, 2, "predict"))
                except BreachError as error:
                    ends.append((error.column, error.row, error.rule))
                else:
                    ends.append(None)
            found.append((name, value, *ends))
    return found


def test_cells_of_json_are_judged_as_arrays_are() -> None:
    several = {name: values for name, values in VALUES.items() if name in TYPES} | {
        "yes": [True, False, None]
    }
    found = _cells(several)
    assert all(cells == arrays for *_, cells, arrays in found), found
    assert sum(cells is None for *_, cells, _ in found) >= 15
    assert {cells[2] for *_, cells, _ in found if cells} == {
        "nulls", "type", "range", "category", "length", "shape", "format", "future",
    }  # fmt: skip


def test_rules_of_other_kinds_than_the_column_are_judged_alike() -> None:
    rules = (
        ColumnRule("yes", "boolean", allowed=(True,)),
        ColumnRule("size", "date", minimum="2020-01-01T00:00:00", past=True),
        ColumnRule("count", "number", allowed=("a",)),
        ColumnRule("town", "number", minimum=3, maximum=4),
        ColumnRule("tail", "string", allowed=(1.0, 2.0)),
    )
    found = _cells(
        {"yes": [True, False, None], "size": [1.0], "town": ["x"], "count": [1.0, None]}, rules=rules
    )
    assert all(cells == arrays for *_, cells, arrays in found), found
    assert any(cells for *_, cells, _ in found)


def test_few_right_rows_make_no_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Rows, "typed", lambda _: pytest.fail("an array was made"))
    columns = [Column(name, kind, required=False) for name, kind in TYPES.items()]
    layout = Layout.of(columns, {name: place for place, name in enumerate(TYPES)}, len(TYPES))
    assert layout is not None
    row = [GOOD.get(key, True) for key in TYPES]
    Terms(Contract("flights", RULES, rows=1000)).check(Batch(Rows(layout, [row]), 1, "predict"))


def _app(rules: tuple[ColumnRule, ...], journal: Journal | None = None) -> App:
    return build_app(
        Predictor(loaded()),
        Access(hashlib.sha256(TOKEN.encode()).hexdigest()),
        limits=Limits(),
        model=MODEL,
        version=VERSION,
        name="endpoint",
        journal=journal,
        terms=Terms(Contract("flights", rules)),
    )


def _split(**changed: list[Any]) -> dict[str, Any]:
    rows = ROWS | changed
    return {"dataframe_split": {"columns": list(rows), "data": list(zip(*rows.values(), strict=True))}}


def test_a_refusal_names_column_and_rule_is_counted_and_is_in_the_journal(tmp_path: Path) -> None:
    rules = (
        ColumnRule("distance", "number", nullable=0.0, maximum=1000.0),
        ColumnRule("carrier", "string", allowed=("AA", "ÜA")),
        ColumnRule("unknown", "number", nullable=0.0),  # the model does not take it
    )
    journal = Journal(JournalOrder(folder=tmp_path / "journal"))
    app = _app(rules, journal)
    journal.start()
    with Caller(app) as caller:
        assert caller.post("/invocations", _split()).status_code == 200
        far = caller.post("/invocations", _split(distance=[1.0, 98765.5, 2.0]))
        assert far.status_code == 422
        told = far.json()
        assert (told["error_code"], told["column"], told["row"]) == ("CONTRACT_BREACH", "distance", 1)
        assert "(range)" in told["message"]
        assert "98765" not in far.text
        strange = caller.post("/invocations", _split(carrier=["AA", SECRET, SECRET]))
        assert (strange.status_code, strange.json()["column"]) == (422, "carrier")
        assert SECRET not in strange.text
        v2 = f"/v2/models/{MODEL}/infer"
        assert caller.post(v2, question()).status_code == 200
        refused = caller.post(v2, question(tensor("distance", data=[1.0, 5000.0, 2.0])))
        assert refused.status_code == 422
        assert "distance" in refused.text
        counted = caller.get("/metrics").text
        assert 'mlops_contract_breaches_total{endpoint="endpoint",model="flights",version="3",' in counted
        assert 'column="distance",rule="range"} 2' in counted
        assert 'column="carrier",rule="category"} 1' in counted
        assert SECRET not in counted
    asyncio.run(asyncio.to_thread(journal.close))
    traffic = read("endpoint", tmp_path / "journal", 600)
    assert traffic.breaches == {"distance: range": 2, "carrier: category": 1}
    assert traffic.errors == {"CONTRACT_BREACH": 3}
    lines = traffic.frame[traffic.frame["status"] == 422]
    assert set(zip(lines["column"], lines["rule"], strict=True)) == {
        ("distance", "range"),
        ("carrier", "category"),
    }
    assert "against the contract" in traffic.to_html()
