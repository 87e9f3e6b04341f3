"""A model that an earlier release saved is loaded by this one, and answers alike.

``saved_0_1_0.skops`` was written by ``python tests/model_parts/test_saved.py``; it is never written again.
"""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io

from mlops_magics import model_parts
from mlops_magics.artifact import trust
from mlops_magics.model_parts.dates import DateParts
from mlops_magics.model_parts.raw import RawColumns
from mlops_magics.model_parts.texts import FilledTexts

HERE = Path(__file__).parent
ROWS = {
    "size": [1.5, None, 3.0],
    "words": ["a fox", None, "{{7*7}}"],
    "when": [pd.Timestamp("2024-02-29 12:30"), None, pd.Timestamp("1969-12-31 23:59")],
    "day": ["31/12/2024", None, "01/02/2025"],
}


def parts() -> dict[str, Any]:
    raw = RawColumns(numbers=["size"], texts=["words"], dates=["when", "day"], formats={"day": "%d/%m/%Y"})
    table = raw.fit_transform(pd.DataFrame(ROWS))
    dates = DateParts([["year", "month", "day", "weekday", "hour", "minute"], ["month"]])
    return {
        "raw": raw,
        "dates": dates.fit(table[["when", "day"]]),
        "texts": FilledTexts().fit(table[["words"]]),
    }


def answers(found: dict[str, Any]) -> str:
    table = found["raw"].transform(pd.DataFrame(ROWS))
    told = {
        "raw": json.loads(table.to_json(orient="split", date_format="iso", date_unit="us")),
        "dates": found["dates"].transform(table[["when", "day"]]).tolist(),
        "texts": found["texts"].transform(table[["words"]]).tolist(),
    }
    return json.dumps(told, indent=1).replace("NaN", "null") + "\n"


@pytest.mark.parametrize("path", sorted(HERE.glob("saved_*.skops")), ids=lambda path: path.stem)
def test_it_answers_as_it_did(path: Path) -> None:
    assert trust.untrusted(path) == ()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn's own version may be another by now
        found = skops.io.load(path, trusted=sorted(trust.TRUSTED))
    trust.check(found)
    assert answers(found) == path.with_suffix(".json").read_text()
    np.testing.assert_array_equal(found["raw"].feature_names_in_, ["size", "words", "when", "day"])


def test_every_part_is_trusted_and_in_the_saved_file() -> None:
    package = model_parts.__name__
    named = {name.rsplit(".", 1)[1] for name in trust.TRUSTED if name.startswith(package)}
    assert {type(part).__name__ for part in parts().values()} <= named


if __name__ == "__main__":
    skops.io.dump(parts(), HERE / "saved_0_1_0.skops")
    (HERE / "saved_0_1_0.json").write_text(answers(parts()))
