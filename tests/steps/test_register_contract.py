"""The contract that %mlops_prepare made goes with the version whose rows it was made of."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.artifact import shelf
from mlops_magics.artifact.contract import Contract
from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import belongings
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import open_store

Book = Callable[[str], Any]

PREPARE = "%mlops_prepare table --target late --contract delays -o prepared"
FIT = (
    "%%mlops_track -o run\n"
    "from sklearn.tree import DecisionTreeClassifier\n"
    "model = prepared.pipeline(DecisionTreeClassifier(max_depth=3, random_state=0))\n"
    "model.fit({rows}[prepared.features], {rows}['late'])"
)


def _told(version: ModelVersion) -> dict[str, str]:
    card = json.loads(belongings.get(open_store(Settings.discover()), version, "card.json"))
    (part,) = [each for each in card["sections"] if each["title"] == "Contract"]
    return dict(part["rows"]) or {"": part["notes"][0]}


@pytest.mark.parametrize(
    ("rows", "part"),
    [("prepared.train", "its train part"), ("table", "the whole table"), ("again", "its train part")],
)
def test_the_contract_goes_with_the_version(
    book: Book, shell: Any, project: Path, rows: str, part: str
) -> None:
    prepared = book(PREPARE)
    prepared.train.to_parquet("train.parquet")  # read back in another notebook, say
    book("import pandas as pd\nagain = pd.read_parquet('train.parquet')")
    book(FIT.format(rows=rows))
    made = book("%mlops_register run flights")
    assert made.tags["mlops.contract"] == "delays"
    kept = belongings.get(open_store(Settings.discover()), made, "contract.json")
    assert Contract.from_json(kept) == prepared.contract == shelf.take(project, "delays")
    assert _told(made) == {
        "name": "delays",
        "fitted on": part,
        "rules": f"4 columns, made from {len(shell.user_ns['table'])} rows",
        "target": "late",
    }


def test_rows_that_are_not_those_of_the_contract_have_none(book: Book) -> None:
    book(PREPARE)
    book("other = prepared.train.assign(age=prepared.train['age'] + 1)")
    book(FIT.format(rows="other"))
    made = book("%mlops_register run flights")
    assert "mlops.contract" not in made.tags
    assert "contract.json" not in belongings.names(made)
    assert _told(made) == {"": "No contract of %mlops_prepare is known for these rows."}


@pytest.mark.parametrize(
    "spoilt",
    [pytest.param(b"", marks=pytest.mark.slow), pytest.param(b"[]", marks=pytest.mark.slow), b'{"train": 3}'],
)
def test_a_spoilt_note_of_the_rows_costs_nothing(book: Book, project: Path, spoilt: bytes) -> None:
    book(PREPARE)
    book(FIT.format(rows="prepared.train"))
    (project / ".mlops" / "contracts" / "delays.rows").write_bytes(spoilt)
    made = book("%mlops_register run flights")
    assert "mlops.contract" not in made.tags
