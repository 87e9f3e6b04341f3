import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa

from mlops_magics.foundation.digests import digest
from mlops_magics.foundation.frames import Frame
from mlops_magics.lineage.tables import datasets


def test_each_table_and_array_has_its_shape_and_digest() -> None:
    frame = pd.DataFrame({"a": [1, 2, 3], "b": [1.0, 2.0, 3.0]})
    namespace = {
        "frame": frame,
        "polars": pl.DataFrame({"a": [1]}),
        "arrow": pa.table({"a": [1, 2]}),
        "matrix": np.zeros((4, 2)),
        "vector": np.zeros(5),
        "cube": np.zeros((2, 2, 2)),
        "number": 3,
        "words": ["a"],
        "unread": frame,
    }
    found = datasets([*(name for name in namespace if name != "unread"), "gone"], namespace)
    assert {name: (item.name, item.rows, item.columns) for name, item in found.items()} == {
        "frame": ("frame", 3, 2),
        "polars": ("polars", 1, 1),
        "arrow": ("arrow", 2, 1),
        "matrix": ("matrix", 4, 2),
        "vector": ("vector", 5, 1),
    }
    assert found["frame"].digest == digest(Frame.of(frame))
    assert len({item.digest for item in found.values()}) == len(found)
