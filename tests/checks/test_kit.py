"""What every gate has to keep: the kit goes over our table, and over a guest that is installed."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from cases import Number, Said, Steady, said_table, table, verdict

from mlops_magics.artifact.rows import RowSample
from mlops_magics.checks import CHECKS
from mlops_magics.checks.assess import assess
from mlops_magics.checks.base import Verdict
from mlops_magics.foundation.errors import NotFoundError, UnavailableError

GUEST = """
from mlops_magics.checks.base import failed, passed


class Polite:
    name = "polite"

    def judge(self, facts):
        metric = facts.metric("accuracy")
        if metric is None:
            return passed(self.name, None, None, "There is no accuracy to be polite about.")
        judged = passed if metric.value > 0.6 else failed
        return judged(self.name, metric.value, 0.6, f"{facts.model.kind} was asked politely.")


class Broken:
    name = "broken"

    def judge(self, facts):
        raise KeyError("a guest's own fault")


GATE, BROKEN = Polite(), Broken()
"""

POINTS = """
[mlops_magics.checks]
polite = guest_gate:GATE
broken = guest_gate:BROKEN
torn = guest_gate_torn:GATE
quality = guest_gate:BROKEN
"""


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "guest_gate-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-gate\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(POINTS)
    (tmp_path / "guest_gate.py").write_text(GUEST)
    (tmp_path / "guest_gate_torn.py").write_text("raise RuntimeError('torn')\n")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("guest_gate", "guest_gate_torn"):
        monkeypatch.delitem(sys.modules, name, raising=False)


def binary() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    frame = said_table(800)
    frame["part"] = np.where(frame.index % 3 == 0, "a", "b")
    return Steady(), frame, {"champion": Said("noisy"), "slices": ["part"]}


def regression() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=500), "part": rng.choice(["a", "b"], 500)})
    return Number(), frame.assign(late=frame.said + rng.normal(size=500)), {"slices": ["part"]}


def multiclass() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(600, 2)), columns=["a", "b"])
    frame["late"] = np.array(["x", "y", "z"])[np.digitize(frame.a + rng.normal(size=600), [-1, 1])]
    return LogisticRegression().fit(frame[["a", "b"]], frame.late), frame, {}


def ranking() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    from sklearn.ensemble import IsolationForest

    frame = table()
    frame["late"] = frame.late.astype(int)
    return IsolationForest(random_state=0).fit(frame[["hour", "humid"]]), frame, {}


def trained_on() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    frame = said_table(300)
    return Said(), frame, {"trained_on": RowSample.of(frame[["said"]])}


def one_row() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    return Said(), said_table(1), {"slices": ["noisy"], "champion": Said("noisy")}


def one_class() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    frame = said_table(300)
    return Said(), frame[frame.late], {"champion": Said("noisy")}


def unusable() -> tuple[Any, pd.DataFrame, dict[str, Any]]:
    frame = said_table(300)
    frame.loc[5, "said"] = np.nan
    return Said(), frame, {"champion": Said("noisy"), "slices": ["noisy"]}


CASES = [binary, regression, multiclass, ranking, trained_on, one_row, one_class, unusable]
GATES = [*CHECKS.table, "polite"]


@pytest.mark.usefixtures("guest")
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", GATES)
def test_a_gate_keeps_the_rules(
    name: str, case: Callable[[], tuple[Any, pd.DataFrame, dict[str, Any]]]
) -> None:
    assert CHECKS.get(name).name == name
    model, frame, options = case()
    before = frame.copy()
    found = assess(model, frame, "late", gates=[name], **options)
    judged = verdict(found, name)
    assert isinstance(judged, Verdict)
    assert judged.outcome in {"pass", "fail", "not applicable"}
    assert "The gate itself raised" not in judged.evidence
    assert judged.evidence.endswith(".")
    assert "\n" not in judged.evidence
    for number in (judged.value, judged.threshold):
        assert number is None or math.isfinite(number)
    if judged.outcome == "not applicable":
        assert judged.value is None
    pd.testing.assert_frame_equal(frame, before)
    assert (judged.outcome == "fail") == (found.failed == (name,))
    again = verdict(assess(model, frame, "late", gates=[name], **options), name)
    assert (again.outcome, again.evidence) == (judged.outcome, judged.evidence)  # what nbval compares
    if not judged.unit:  # not of a machine's kind: milliseconds, megabytes
        assert again == judged


@pytest.mark.usefixtures("guest")
def test_a_guest_is_asked_by_name_and_by_a_file(tmp_path: Path) -> None:
    assert "polite" in list(CHECKS)
    (tmp_path / "gates.toml").write_text('gates = ["quality", "polite", "broken"]\n')
    found = assess(Said(), said_table(), "late", gates=tmp_path / "gates.toml")
    assert [one.name for one in found.verdicts] == ["quality", "polite", "broken"]
    assert found.failed == ("broken",)
    assert "KeyError" in verdict(found, "broken").evidence
    assert verdict(found, "polite").evidence == "Said was asked politely."


@pytest.mark.usefixtures("guest")
def test_a_guest_is_asked_only_where_it_is_wanted_and_never_instead_of_ours() -> None:
    found = assess(Said(), said_table(200), "late")
    asked = [name for name in CHECKS.table if name not in {"fairness", "signature"}]
    assert [one.name for one in found.verdicts] == asked
    assert "The gate itself raised" not in verdict(found, "quality").evidence
    with pytest.raises(NotFoundError) as caught:
        assess(Said(), said_table(50), "late", gates=["polit"])
    assert "'polite'" in caught.value.remedy
    with pytest.raises(UnavailableError, match="torn"):
        assess(Said(), said_table(50), "late", gates=["torn"])
