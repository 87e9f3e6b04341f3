from __future__ import annotations

import json
from typing import Any

import pytest

from mlops_magics.artifact.schema import Column, Schema, read
from mlops_magics.foundation.errors import MLOpsError


def signature(*specs: dict[str, Any]) -> dict[str, Any]:
    return {"inputs": json.dumps(specs), "outputs": None, "params": None}


def test_columns_keep_order_type_and_requirement() -> None:
    told = signature(
        {"type": "double", "name": "b", "required": False},
        {"type": "string", "name": "a", "required": True},
        {"type": "long", "name": "c", "optional": True},
        {"type": "datetime", "name": "d"},
    )
    assert read(told, "inputs") == Schema(
        (
            Column("b", "double", required=False),
            Column("a", "string"),
            Column("c", "long", required=False),
            Column("d", "datetime"),
        )
    )
    assert read(told, "outputs") is None


def test_columns_without_names_are_named_by_position() -> None:
    schema = read(signature({"type": "double"}, {"type": "double"}), "inputs")
    assert schema is not None
    assert schema.names == ("0", "1")


@pytest.mark.parametrize(
    "told",
    [
        None,
        signature({"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}),
        signature(
            {"type": "double", "name": "a"}, {"type": "array", "items": {"type": "double"}, "name": "b"}
        ),
        signature({"type": "object", "properties": {}, "name": "a"}),
        signature({"type": "any", "name": "a"}),
        signature(),
    ],
)
def test_what_is_no_plain_table_has_no_schema(told: Any) -> None:
    assert read(told, "inputs") is None


@pytest.mark.parametrize(
    "told",
    [
        "text",
        {"inputs": "{broken"},
        {"inputs": "[1]"},
        {"inputs": '[{"name": "a"}]'},
        {},
        signature({"type": "double", "name": "a"}, {"type": "long", "name": "a"}),
    ],
)
def test_a_broken_signature_is_named(told: Any) -> None:
    with pytest.raises(MLOpsError, match="signature"):
        read(told, "inputs")
