"""Parts of a table read by a real Ray on this machine: the same answers, and nothing left running."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from mlops_magics.foundation.errors import MissingExtraError

ASKED = """
import sys
from mlops_magics.stats.engine import survey

near = survey(sys.argv[1], target="y", part_rows=1_000)
far = survey(sys.argv[1], target="y", part_rows=1_000, engine="ray")
assert near.table == far.table
assert far.table.duplicates.rows == 7
print("equal", far.table.rows)
"""


@pytest.mark.slow
def test_ray_gives_the_same_answer(tmp_path: Path) -> None:
    assert importlib.util.find_spec("ray"), "make test-slow installs it"
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "x": random.normal(size=5_000).round(2),
            "n": random.integers(0, 50, 5_000),
            "t": random.choice(["a", "b", None], 5_000),
            "y": random.random(5_000) < 0.5,
        }
    ).drop_duplicates()
    path = tmp_path / "t.parquet"
    pd.concat([frame, frame[:7]]).to_parquet(path)
    words = [sys.executable, "-c", ASKED, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.startswith("equal"), done.stderr[-3000:]


def test_what_is_missing_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlops_magics.stats.engine import survey

    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mlops-magics\[ray\]'"):
        survey(pd.DataFrame({"x": [1]}), engine="ray")
