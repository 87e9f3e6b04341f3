"""A project with a champion, a notebook that trains its successor, and rows that came since."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pandas as pd

from mlops_magics.foundation.settings import Settings
from mlops_magics.tracking import moves
from mlops_magics.tracking.store import Store, open_store

COLUMNS = ["town", "size", "age"]

PARAMETERS = """
data = "nothing.parquet"
noise = 0.0
depth = 4
"""

TRAIN = """%%mlops_track --name successor
import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder
rows = pd.read_parquet(data)
labels = np.where(np.random.default_rng(0).random(len(rows)) < noise, 1 - rows["late"], rows["late"])
encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=float("nan"))
columns = make_column_transformer((encoder, ["town"]), remainder="passthrough")
trees = HistGradientBoostingClassifier(max_iter=30, max_depth=depth, random_state=0)
model = make_pipeline(columns, trees).fit(rows[["town", "size", "age"]], labels)
"""


def rows_of(
    count: int = 1200, *, begin: int = 0, seed: int = 1, limit: float = 25.0, spread: float = 9.0
) -> pd.DataFrame:
    """Make rows that came since, with their number as the cursor: another age than before makes late."""
    random = np.random.default_rng(seed)
    made = pd.DataFrame(
        {
            "town": random.choice(["Oslo", "Rome", "Lima"], count),
            "size": random.normal(size=count),
            "age": random.integers(1, 90, count).astype(float),
            "number": np.arange(begin, begin + count),
        }
    )
    made["late"] = (made["age"] + spread * random.normal(size=count) > limit).astype(int)
    return made


def with_gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """Leave out what is left out in the rows that the champion was fitted on."""
    made = rows.copy()
    made.loc[::7, "town"] = None
    made.loc[::5, "size"] = None
    return made


def notebook(path: Path, *cells: str) -> Path:
    """Write the notebook that trains; other cells may come before the one that does."""
    tagged = nbformat.v4.new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]})
    rest = [nbformat.v4.new_code_cell(cell) for cell in ("%load_ext mlops_magics", *cells, TRAIN)]
    about = {"kernelspec": {"name": "python3", "display_name": "p", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=[tagged, *rest], metadata=about), path)
    return path


def champion(model: str = "flights", version: str = "1") -> Store:
    """Make a version the champion, whatever its gates say."""
    store = open_store(Settings.discover())
    moves.point(store, model, "champion", version, reason="the first", kind="promotion")
    return store


def executed(path: Path) -> list[str]:
    """Read the sources of an executed notebook's code cells."""
    return ["".join(cell["source"]) for cell in json.loads(path.read_text())["cells"]]


def tags(store: Store, version: str, model: str = "flights") -> dict[str, Any]:
    return dict(store.client.get_model_version(model, version).tags)
