"""A model is made anew on what came since, judged beside the champion, and promoted or not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from retrained import champion, notebook, rows_of, tags

from mlops_magics.steps.retrain import retrain
from mlops_magics.tracking import registry, retrainings
from mlops_magics.tracking.recall import fetched_text
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.store import Store


@pytest.fixture
def store(registered: ModelVersion, project: Path) -> Store:
    """A champion, the notebook ``train.ipynb``, and rows that came since in ``new.parquet``."""
    assert registered.version == "1"
    notebook(project / "train.ipynb")
    rows_of().to_parquet(project / "new.parquet")
    return champion()


def again(**options: Any) -> Any:
    asked = {"notebook": ("train.ipynb",), "data": "new.parquet", "cursor": "number", "target": "late"}
    return retrain("flights", **{**asked, **options})


def test_a_better_successor_becomes_the_challenger(store: Store, project: Path) -> None:
    found = again()
    assert (found.outcome, found.version, found.alias) == ("promoted", "2", "challenger"), found
    assert registry.aliases_of(store, "flights") == {"candidate": "2", "challenger": "2", "champion": "1"}
    assert [one.holdout for one in found.judged] == ["frozen", "recent"]
    assert all(one.better for one in found.judged)
    assert found.holds
    assert found.exit_code == 0
    # Nothing that was held out was trained on, and the watermark is the highest number that was.
    mark = json.loads(tags(store, "2")["mlops.watermark"])
    assert (mark["cursor"], mark["value"]) == ("number", "959")
    assert found.counts.new == 1200
    assert found.trained + sum(one.rows for one in found.judged) == 1200
    assert tags(store, "2")["mlops.retraining"] == found.id
    for run_id, name in ((found.record, "1-train.ipynb"), (found.run, "mlops/retrain/1-train.ipynb")):
        assert "injected-parameters" in fetched_text(store, run_id, name)
    (attempt,) = retrainings.attempts(store, "flights")
    assert (attempt.outcome, attempt.version, attempt.run) == ("promoted", "2", found.run)
    assert [path.suffix for path in (project / ".mlops" / "retrain" / "flights").iterdir()] == [".parquet"]
    html = found.to_html()
    assert "1,200 new of 1,200" in html
    assert "better" in html
