"""A version beside the champion: what the evaluation found, what differs between the runs, all on a page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlops_magics.foundation.errors import UsageError
from mlops_magics.frontends.widgets.desk import StoreDesk
from mlops_magics.steps.promote import Desk
from mlops_magics.steps.promote.beside import beside
from mlops_magics.tracking import evaluations, registry
from mlops_magics.tracking.records import ModelVersion
from mlops_magics.tracking.subject import of_version

Book = Callable[[str], Any]


def test_the_version_beside_the_champion(challenged: Desk) -> None:
    found = challenged.beside("2")
    assert (found.version, found.holder, found.against) == ("2", "1", "flights/1")
    assert found.assessment is not None
    assert found.assessment.comparisons
    assert found.runs is not None
    assert ("depth", "3", "4") in found.runs.params
    told = found.to_html()
    for words in ("inside the noise", "surely not worse", "roc_auc", "depth = 4"):
        assert words in told
    itself = challenged.beside("1")
    assert (itself.holder, itself.runs) == (None, None)


def test_better_is_what_the_test_says_not_the_sign(challenged: Desk) -> None:
    review = challenged.review("2")
    summary = evaluations.read(challenged.store, _version(challenged, "2"))
    assert summary is not None
    assert review.readings == summary.readings
    assert set(review.readings) >= {"roc_auc", "accuracy"}
    shown = {row["metric"]: row for row in StoreDesk(challenged).look("2")["compare"]}
    for name, better in review.readings.items():
        assert (shown[name]["better"], shown[name]["noise"]) == (better, better is None)
    # A comparison with a version that is not the champion any more says nothing of today's.
    store = challenged.store
    other = dataclasses.replace(summary, against="flights/7", when=evaluations.moment())
    store.client.set_model_version_tag("flights", "2", *next(iter(evaluations.as_tags(other).items())))
    assert challenged.review("2").readings == {}
    assert {row["better"] for row in StoreDesk(challenged).look("2")["compare"]} == {None}


def _version(desk: Desk, number: str) -> ModelVersion:
    from mlops_magics.foundation.names import ModelAddress

    return registry.resolve(desk.store, ModelAddress(desk.model, number))


def test_the_card_is_told_in_blocks_that_a_page_can_draw(challenged: Desk) -> None:
    details = StoreDesk(challenged).details("2", "champion")["details"]
    assert (details["version"], details["alias"], details["holder"]) == ("2", "champion", "1")
    assert {block["kind"] for block in details["blocks"]} <= {"title", "facts", "table", "code", "note"}
    tables = [block for block in details["blocks"] if block["kind"] == "table"]
    (beside,) = [block for block in tables if "surely not worse" in block["headings"]]
    assert "95 % interval" in beside["headings"]
    assert any(row[0] == "roc_auc" for row in beside["rows"])


def test_each_gate_has_evidence_of_its_own(challenged: Desk, book: Book) -> None:
    book("%%mlops_test kind --model flights/2\nassert model.predict(test).mean() < 1")
    desk = StoreDesk(challenged)
    told = desk.details("2", "champion")["details"]
    of = {
        name: [
            block["headings"][0] for block in told["blocks"] if block.get("gate") == name and "rows" in block
        ]
        for name in ("quality", "champion", "slices", "latency")
    }
    assert of["quality"] == of["champion"] == ["metric"]
    assert of["latency"] == []
    gates = {row["name"] for row in desk.look("2", "champion")["gates"]}
    assert gates >= {"quality", "champion", "tests"}
    assert gates - told["gates"].keys() == set(), "each gate of the table opens to something"
    (facts,) = told["gates"]["latency"]
    assert [name for name, _ in facts["pairs"]] == ["value", "bound", "on"]
    assert facts["pairs"][0][1].endswith("\N{NO-BREAK SPACE}ms")
    assert facts["pairs"][2] == ["on", "200 rows, late predicted"]
    assert told["gates"]["tests"][0]["rows"][0][:2] == ["kind", "passes"]
    said, *bins = told["gates"]["calibration"]
    assert said["kind"] == "facts"
    assert bins[0]["headings"][0] == "probability that was said"
    # Nobody holds it: what it was compared with is not what stands there now.
    other = desk.details("2", "challenger")["details"]
    assert [block for block in other["blocks"] if block.get("gate") == "champion"] != []


def test_a_comparison_with_an_earlier_champion_is_no_evidence_of_the_gate(challenged: Desk) -> None:
    summary = evaluations.read(challenged.store, _version(challenged, "2"))
    assert summary is not None
    found = challenged.beside("2")
    assert "champion" in [gate for gate, _ in found.parts()]
    later = dataclasses.replace(found, holder="3")
    assert "champion" not in [gate for gate, _ in later.parts()]
    assert [*later.blocks()] == [*found.blocks()]
    assert "compared it with flights/1" in str(later.alone()["champion"])


def test_an_evaluation_that_is_not_the_newest_is_not_shown_as_it(
    challenged: Desk, registered: ModelVersion
) -> None:
    summary = evaluations.read(challenged.store, registered)
    assert summary is not None
    newer = dataclasses.replace(summary, data="other rows", when=evaluations.moment())
    store, version = challenged.store, of_version(registered).version
    assert version is not None
    store.client.set_model_version_tag("flights", "1", *next(iter(evaluations.as_tags(newer).items())))
    found = challenged.beside("1")
    assert found.assessment is None
    assert "Evaluate it again" in found.to_html()


def test_a_run_that_is_gone_is_said_to_be_gone(challenged: Desk, registered: ModelVersion) -> None:
    lost = dataclasses.replace(_version(challenged, "2"), run_id="f" * 32)
    found = beside(challenged.store, lost, registered)
    assert (found.assessment, found.runs, found.holder) == (None, None, "1")
    assert "or of version 1, is not there" in found.to_html()


def test_the_page_holds_the_whole_story(challenged: Desk, project: Path, book: Book) -> None:
    assert challenged
    book("%mlops_promote flights --version 2 --page review.html")
    told = (project / "review.html").read_text()
    assert told.startswith("<!doctype html>")
    for words in (
        "Promote flights/2 to champion",
        "champion is version 1",
        "95 % interval",
        "depth = 4",
        "first",
        "<svg",
    ):
        assert words in told
    assert told.count('<th scope="col">evidence') == 1, "the gates are told of once"
    assert "<script" not in told
    assert "http" not in told.replace("http://www.w3.org", "")
    assert [path.name for path in project.glob(".review*")] == []


@pytest.mark.parametrize(
    "words", ["--reason please --to champion", "--rollback --reason x", "--approve --reason x"]
)
def test_writing_a_page_moves_nothing(
    book: Book, registered: ModelVersion, project: Path, words: str
) -> None:
    assert registered
    with pytest.raises(UsageError, match="--page writes what is there, and moves nothing"):
        book(f"%mlops_promote flights --page review.html {words}")
    with pytest.raises(UsageError, match="cannot be written"):
        book("%mlops_promote flights --page nowhere/review.html")
    assert not (project / "review.html").exists()
