"""Few rows are read as many are: the same arrays, the same refusals, alone or together with others."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from mlops_magics.artifact.schema import Column, Kind, Schema
from mlops_magics.serving.codec import Batch, Codec
from mlops_magics.serving.errors import RequestError
from mlops_magics.serving.predictor import joined

PLAIN: tuple[Kind, ...] = ("double", "long", "integer", "boolean", "string")
SCHEMA = Schema(tuple(Column(f"{kind}.{needed}", kind, needed) for kind in PLAIN for needed in (True, False)))
GOOD: dict[str, Any] = {"double": 0.5, "long": 7, "integer": -7, "boolean": True, "string": "a"}
ROW = {column.name: GOOD[column.type] for column in SCHEMA.columns}
WHOLE = [0, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**63)]
CELLS: list[Any] = [0.5, 2.0, 1e300, *WHOLE, True, None, "", "1", [], {}]
COUNTED = 17  # rows that are read column by column


def read(codec: Codec, rows: list[dict[str, Any]], form: str = "split") -> Batch:
    names = list(reversed(rows[0]))
    data = [[row[name] for name in names] for row in rows]
    if form == "split":
        body = json.dumps({"dataframe_split": {"columns": names, "data": data}})
        return codec.decode(body.encode(), "application/json")
    lines = [",".join(names), *(",".join(map(str, row)) for row in data)]
    return codec.decode("\n".join(lines).encode(), "text/csv")


def outcome(codec: Codec, rows: list[dict[str, Any]]) -> Any:
    try:
        batch = read(codec, rows)
    except RequestError as error:
        return error.status, error.code, error.message, error.column, error.row
    assert list(batch.columns) == list(SCHEMA.names)
    return {name: (values.dtype, values.tolist()[0]) for name, values in batch.columns.items()}


@pytest.mark.parametrize("cell", CELLS, ids=repr)
@pytest.mark.parametrize("name", ROW)
def test_a_cell_is_read_alike_in_few_rows_and_in_many(name: str, cell: object) -> None:
    codec = Codec(SCHEMA)
    row = ROW | {name: cell}
    few, many = outcome(codec, [row]), outcome(codec, [row] * COUNTED)
    np.testing.assert_equal(few, many)


def test_requests_together_have_the_columns_that_they_have_apart() -> None:
    codec = Codec(SCHEMA)
    gap = ROW | dict.fromkeys(("double.False", "boolean.False", "string.False"))
    more = {"another": [1], **ROW}
    batches = [read(codec, rows) for rows in ([ROW], [gap, ROW], [ROW | {"double.True": 3}], [more])]
    assert [batch.rows for batch in batches] == [1, 2, 1, 1]
    for some in (batches[:3], batches):  # of one layout, and of two
        found = joined([Batch(batch.held, batch.rows, batch.method) for batch in some])
        assert list(found) == list(SCHEMA.names)
        for name, values in found.items():
            apart = [batch.columns[name] for batch in some]
            np.testing.assert_array_equal(values, np.concatenate(apart))
            assert values.dtype == apart[0].dtype


def test_texts_of_a_csv_are_not_taken_for_cells() -> None:
    codec = Codec(Schema((Column("a", "string"), Column("b", "string", required=False))))
    assert read(codec, [{"a": "x", "b": ""}], "csv").columns["b"].tolist() == [None]
    with pytest.raises(RequestError):
        read(codec, [{"a": "", "b": "x"}], "csv")


def test_what_is_remembered_of_rows_is_bounded() -> None:
    codec = Codec(Schema((Column("0", "double"),)))
    for number in range(1000):
        row = [1.0, *("a" if number >> place & 1 else 0 for place in range(10))]
        names = [str(place) for place in range(len(row))]
        body = json.dumps({"dataframe_split": {"columns": names, "data": [row]}}).encode()
        assert codec.decode(body, "application/json").columns["0"].tolist() == [1.0]
    layout = codec._forms._last[2]
    assert layout is not None
    assert 0 < len(layout._known) < 1000
