"""A successor that would refuse rows which the champion takes is held back, and the columns are named."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from cases import fitted, judged, table
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from mlops_magics.artifact.contract import Contract
from mlops_magics.artifact.kept import Kept
from mlops_magics.artifact.rules import ColumnRule
from mlops_magics.artifact.schema import Column, Schema
from mlops_magics.artifact.takes import Takes
from mlops_magics.checks.assess import Holder, assess
from mlops_magics.checks.base import Verdict

COLUMNS = (Column("hour", "double"), Column("humid", "float", required=False), Column("carrier", "string"))
HOUR, HUMID, CARRIER = COLUMNS


def takes(*columns: Column, **known: Any) -> Takes:
    return Takes(Schema(columns or COLUMNS), **known)


def compared(mine: Takes | None, theirs: Takes | None, model: Any = None) -> Verdict:
    kept = None if mine is None else Kept("skops", takes=mine)
    champion = Holder(fitted(), theirs)
    return judged("signature", model or fitted(), table(), champion=champion, kept=kept)


def test_what_takes_the_same_rows_passes_and_without_a_champion_nothing_is_said() -> None:
    assert compared(takes(), takes()).outcome == "pass"
    assert compared(takes(), None).outcome == "not applicable"
    assert compared(None, takes()).outcome == "not applicable"
    kept = Kept("skops", takes=takes())
    assert judged("signature", fitted(), table(), kept=kept).outcome == "not applicable"
    told = {one.name for one in assess(fitted(), table(), "late", kept=kept).verdicts}
    assert "signature" not in told
    told = {one.name for one in assess(fitted(), table(), "late", kept=kept, champion=fitted()).verdicts}
    assert "signature" in told


@pytest.mark.parametrize(
    ("mine", "said"),
    [
        ((HOUR, Column("humid", "float"), CARRIER), "humid may not be missing any more"),
        ((HOUR, HUMID, CARRIER, Column("gate", "string")), "gate is new, and must be there"),
        ((HOUR, CARRIER), "humid is not there any more"),
        ((Column("hour", "long"), HUMID, CARRIER), "hour is long, and was double"),
        ((HOUR, HUMID, Column("carrier", "datetime")), "carrier is datetime, and was string"),
        ((HUMID, HOUR, CARRIER), "humid and others come in another order"),
    ],
)
def test_a_signature_that_takes_less_fails(mine: tuple[Column, ...], said: str) -> None:
    found = compared(takes(*mine), takes())
    assert (found.outcome, found.value) == ("fail", None)
    assert f"It refuses rows that the champion takes: {said}" in found.evidence


@pytest.mark.parametrize(
    "mine",
    [
        (HOUR, Column("humid", "double", required=False), Column("carrier", "string", required=False)),
        (HOUR, HUMID, CARRIER, Column("gate", "string", required=False)),
    ],
)
def test_a_signature_that_takes_more_passes(mine: tuple[Column, ...]) -> None:
    assert compared(takes(*mine), takes()).outcome == "pass"


def _strict(frame: pd.DataFrame) -> Any:
    encoder = OneHotEncoder(sparse_output=False)
    columns = make_column_transformer((encoder, ["carrier"]), remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=5, random_state=0))
    return model.fit(frame[["hour", "humid", "carrier"]], frame["late"])


def test_a_text_that_the_champion_knew_must_be_answered() -> None:
    few = table()[lambda rows: rows["carrier"] != "UA"]
    mine, theirs = takes(levels={"carrier": ("AA", "B6")}), takes(levels={"carrier": ("AA", "B6", "UA")})
    kept = Kept("skops", takes=mine)
    found = judged("signature", _strict(few), few, champion=Holder(fitted(), theirs), kept=kept)
    assert (found.outcome, found.evidence) == (
        "fail",
        "It refuses rows that the champion takes: carrier may not be 'UA'.",
    )
    assert compared(mine, theirs, fitted(few)).outcome == "pass"  # it takes texts that it has not seen
    assert compared(theirs, mine, _strict(table())).outcome == "pass"


def _contract(**rule: Any) -> Takes:
    told = {"name": "carrier", "kind": "string", "nullable": 0.1, **rule}
    columns = (ColumnRule(**told), ColumnRule("late", optional=True))
    return takes(contract=Contract("flights", columns, "late"))


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"nullable": 0.0}, "the contract does not let carrier be missing any more"),
        ({"kind": "integer"}, "the contract wants carrier to be integer, and before string"),
        ({"allowed": ("AA", "B6")}, "the contract does not take 'UA' in carrier any more"),
        ({"name": "gate"}, "the contract has the new column gate, which must be there"),
        ({"allowed": ("AA", "B6"), "closed": False}, ""),
        ({"allowed": ("AA", "B6", "UA", "DL")}, ""),
        ({"nullable": 0.3}, ""),
    ],
)
def test_a_contract_that_takes_less_fails(rule: dict[str, Any], said: str) -> None:
    found = compared(_contract(**rule), _contract(allowed=("AA", "B6", "UA")))
    assert found.outcome == ("fail" if said else "pass")
    assert said in found.evidence
    assert compared(_contract(**rule), takes()).outcome == "pass"
