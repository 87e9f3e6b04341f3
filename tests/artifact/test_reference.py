from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.artifact.periods import Period, Periods
from mlops_magics.artifact.reference import (
    TAIL,
    Bins,
    ColumnReference,
    Levels,
    Predictions,
    Reference,
    bucket,
)
from mlops_magics.foundation.errors import MLOpsError


def _reference() -> Reference:
    bins = Bins((1.0, 2.5), (3, 0, 4), 0.0, 9.0, 2.0, 1.5)
    return Reference(
        rows=7,
        columns=(
            ColumnReference("a", "float", 7, 0, bins=bins, digest="d"),
            ColumnReference("", "string", 7, 2, levels=Levels({"x": 5}, (0,) * TAIL, 1), lengths=bins),
            ColumnReference("mail", "string", 7, 0, personal="email", levels=Levels({}, (), 7)),
            ColumnReference("none", "empty", 7, 7),
        ),
        left_out=2,
        predictions=Predictions(7, labels={"yes": 7}, probabilities={"yes": bins}),
        importance={"a": 1.0},
        measured="coef_",
        periods=Periods("day", "month", (Period(0.0, 1.0, 7, {"a": (3, 4, 0)}),)),
    )


def test_what_is_written_is_read() -> None:
    made = _reference()
    assert Reference.from_json(made.to_json()) == made
    assert made.to_json() == _reference().to_json()
    assert b"null" not in made.to_json()


@pytest.mark.parametrize("version", [0, 3, "1", None, True])
def test_another_version_is_refused_with_both_numbers(version: Any) -> None:
    told = json.loads(_reference().to_json()) | {"version": version}
    with pytest.raises(MLOpsError, match=r"of version .*; this release reads 1 to 2") as found:
        Reference.from_json(json.dumps(told), "reference.json of flights/1")
    assert found.value.what.startswith("reference.json of flights/1")
    assert "Update mlops-magics" in found.value.remedy


@pytest.mark.parametrize("spoilt", ["", "[]", "3", "{", "{}", '{"version": 1}', '{"version":1,"rows":"x"}'])
def test_what_is_no_reference_is_refused(spoilt: str) -> None:
    with pytest.raises(MLOpsError, match=r"no whole reference|damaged"):
        Reference.from_json(spoilt)


@pytest.mark.parametrize(
    ("where", "what"),
    [
        (("columns", 0, "bins", "counts"), [1, 2]),
        (("columns", 0, "bins", "edges"), [2.5, 1.0]),
        (("columns", 0, "bins", "mean"), "x"),
        (("columns", 1, "levels", "tail"), [1, 2]),
        (("columns", 1, "levels", "named"), ["x"]),
        (("columns", 0), []),
        (("predictions",), [1]),
        (("importance",), {"a": None}),
    ],
)
def test_a_spoilt_part_is_refused(where: tuple[Any, ...], what: Any) -> None:
    told = json.loads(_reference().to_json())
    part = told
    for step in where[:-1]:
        part = part[step]
    part[where[-1]] = what
    with pytest.raises(MLOpsError, match="damaged"):
        Reference.from_json(json.dumps(told))


def test_a_reference_of_an_earlier_release_is_read() -> None:
    content = (Path(__file__).parent / "reference_1.json").read_bytes()
    found = Reference.from_json(content)
    assert (found.version, found.rows, found.periods) == (1, 2_000, None)
    assert [column.kind for column in found.columns] == ["float", "integer", "string", "date", "string"]
    town = found.by_name["town"]
    assert town.levels is not None
    assert sum((*town.levels.named.values(), *town.levels.tail)) == 2_000 - town.missing
    assert (town.words, town.worded, found.by_name["stars"].distinct) == ((), 0, 0)
    assert Reference.from_json(found.to_json()) == found


def test_a_value_falls_into_the_same_bucket_for_ever() -> None:
    assert [bucket(text) for text in ("", "Oslo", "Rome", "Zürich", "\ud800")] == BUCKETS


BUCKETS = [2, 51, 43, 14, 16]
