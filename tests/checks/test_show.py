from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pandas as pd
import pytest
from cases import Number, Said, Steady, fitted, said_table, table

from mlops_magics.checks.assess import assess
from mlops_magics.checks.assessment import Assessment
from mlops_magics.checks.points import Confusion
from mlops_magics.checks.show import blocks
from mlops_magics.foundation.blocks import Figure, text_of
from mlops_magics.foundation.html import page_part

EVIL = '"><img src=x onerror=alert(1)>'


def figures(assessment: Assessment) -> list[Figure]:
    return [block for block in blocks(assessment) if isinstance(block, Figure)]


def whole() -> Assessment:
    frame = said_table(900)
    frame["part"] = np.where(frame.index % 3 == 0, "a", "b")
    return assess(Steady(), frame, "late", champion=Said("noisy"), slices=["part", "noisy"])


def test_everything_is_shown_in_words() -> None:
    text = text_of(blocks(whole(), "churn"))
    assert text.startswith("✓ churn: binary classification of late on 900 rows · all 8 gates pass")
    for word in ("roc_auc", "95 % interval", "champion", "part = a", "robustness", "ROC curve: area"):
        assert word in text


def test_a_failure_is_said_first() -> None:
    found = assess(
        Said("noisy"), said_table(900), "late", gates=["quality", "latency"], thresholds={"f1": 0.999}
    )
    assert text_of(blocks(found)).splitlines()[0] == (
        "✗ Binary classification of late on 900 rows · fails quality"
    )


def test_unusable_predictions_and_no_gates_are_shown() -> None:
    frame = said_table(100)
    frame.loc[0, "said"] = np.nan
    text = text_of(blocks(assess(Said(), frame, "late", gates=["quality"])))
    assert "Some predictions are missing" in text
    assert "nan" not in text
    alone = assess(Said(), said_table(100), "late", gates=["champion"])
    assert "no gate applies" in text_of(blocks(alone))


def regression() -> Assessment:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"said": rng.normal(size=2000) * 1e4})
    return assess(Number(), frame.assign(late=frame.said + rng.normal(size=2000) * 1e3), "late")


def sliced(count: int = 30) -> Assessment:
    """More slices than are drawn, with names that want to be more than text; and portions that were found."""
    rng = np.random.default_rng(0)
    frame = said_table(6000)
    frame["part"] = [f"{EVIL}{i}" for i in rng.integers(0, count, 6000)]
    frame["side"] = rng.choice([f"x{EVIL}", "y"], 6000)
    frame["said"] = np.where(frame.part == f"{EVIL}3", 1 - frame.said, frame.said)
    model = Said()
    model.feature_names_in_ = np.array(["said", "part", "side"])
    return assess(model, frame, "late", slices=["part", "side"], gates=["slices"])


def test_the_slice_map_marks_what_is_surely_worse_in_more_than_colour() -> None:
    found = sliced(8)
    asked, searched = (figure for figure in figures(found) if "portion" in figure.words)
    assert "Slices: roc_auc of 10 portions, 1 surely worse; first part = " in asked.words
    root = ET.fromstring(asked.svg)  # noqa: S314 - drawn by ourselves
    texts = ["".join(item.itertext()) for item in root.iter("{http://www.w3.org/2000/svg}text")]
    assert [text for text in texts if text.startswith("✗ ")] == [f"✗ part = {EVIL}3"[:37] + "…"]
    assert "Found by search: accuracy of 1 portion," in searched.words
    assert "<circle" in searched.svg
    for part in ("--b", "--q", "--l", "--a"):  # the page's colours, which follow light and dark
        assert f"var({part}" in asked.svg


def many(count: int) -> Assessment:
    counts = tuple(tuple(987 if i == j else i + j for j in range(count)) for i in range(count))
    labels = tuple(f"{EVIL}{i}" for i in range(count))
    return replace(whole(), curves=(), confusion=Confusion(labels, counts))


@pytest.mark.parametrize("made", [whole, regression, sliced, lambda: many(2), lambda: many(10)])
def test_figures_are_small_labelled_and_well_formed(made: object) -> None:
    assert callable(made)
    drawn = figures(made())
    assert drawn
    for figure in drawn:
        assert len(figure.svg.encode()) <= 6 * 1024
        root = ET.fromstring(figure.svg)  # noqa: S314 - drawn by ourselves
        assert root.get("role") == "img"
        assert root.get("aria-label") == figure.words
        assert "<img" not in figure.svg
        assert "nan" not in figure.svg.replace("data-nan", "")


def test_names_of_columns_and_classes_are_text() -> None:
    frame = table().rename(columns={"carrier": EVIL, "late": f"late{EVIL}"})
    plain = frame.rename(columns={EVIL: "carrier", f"late{EVIL}": "late"})
    model = fitted(plain)

    class Renamed:
        classes_ = model.classes_
        feature_names_in_ = np.array(["hour", "humid", EVIL], dtype=object)

        def predict(self, rows: pd.DataFrame) -> object:
            return model.predict(rows.rename(columns={EVIL: "carrier"}))

        def predict_proba(self, rows: pd.DataFrame) -> object:
            return model.predict_proba(rows.rename(columns={EVIL: "carrier"}))

    found = assess(Renamed(), frame, f"late{EVIL}", slices=[EVIL])
    html = page_part(blocks(found))
    assert "<img" not in html
    assert "&lt;img" in html


PROGRAM = """
import sys
sys.path[:0] = [{folder!r}]
from cases import fitted, table
from mlops_magics.checks.assess import assess
from mlops_magics.checks.show import blocks
from mlops_magics.foundation.blocks import text_of
from mlops_magics.foundation.html import page_part
model, other = fitted(), fitted(table(200, 5))
shown = blocks(assess(model, table(900, 7), "late", champion=other, slices=["carrier", "hour"]))
sys.stdout.buffer.write((text_of(shown) + page_part(shown)).encode())
"""


def test_two_processes_show_the_same_bytes() -> None:
    program = PROGRAM.format(folder=str(Path(__file__).parent))
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
        )
        for seed in ("1", "2")
    ]
    one, two = (process.communicate(timeout=120)[0] for process in started)
    assert len(one) > 5000
    assert one == two
