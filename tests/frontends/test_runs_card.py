"""The runs card in the kernel: it checks what a page asks as if a stranger had asked."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest
from many_runs import fill

from mlops_magics.foundation.errors import UsageError
from mlops_magics.foundation.settings import Settings
from mlops_magics.frontends.widgets import CARDS
from mlops_magics.steps.track import Comparison, Leaderboard, track
from mlops_magics.testing.plugin import stable
from mlops_magics.tracking.store import open_store

_ROOT = Path(__file__).parents[2]
_WIDGET = "application/vnd.jupyter.widget-view+json"
VIEW = {"filter": "", "brush": "", "sort": "started", "up": False, "columns": ["metrics.auc"]}


@pytest.fixture
def board(store_file: Path) -> Leaderboard:
    """The Leaderboard of 250 runs."""
    if not (_ROOT / "mlops_magics/frontends/widgets/static/track.js").is_file():
        missing = "The front end is not built. Build it with: make widgets"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(missing)
    track("e")
    fill(store_file, open_store(Settings.discover()).experiment_id("e"), 250, metrics=4, params=8)
    found = track()
    assert isinstance(found, Leaderboard)
    return found


@pytest.fixture
def card(board: Leaderboard) -> Any:
    made = CARDS.get("Leaderboard")(board)
    made.sent = []
    made.send = made.sent.append
    return made


def ask(card: Any, **request: Any) -> dict[str, Any]:
    """Send what a page sends, through ipywidgets' own door, and take the answer."""
    before = len(card.sent)
    _receive(card, {"method": "custom", "content": {"id": "q", **request}})
    (answer,) = card.sent[before:]
    assert answer["id"] == "q"
    json.dumps(answer, allow_nan=False)
    return dict(answer)


def _receive(card: Any, data: object) -> None:
    card._handle_msg({"content": {"data": data}, "buffers": []})


def test_the_page_begins_with_the_newest_runs(card: Any) -> None:
    json.dumps(card.state, allow_nan=False)
    answer = card.state["answer"]
    assert (answer["count"], answer["total"], len(answer["rows"])) == (250, 250, 100)
    assert answer["rows"][0][1].endswith("-249")
    assert [column["name"] for column in card.state["columns"] if not column["differs"]] == [
        f"fixed_{at:02}" for at in range(4)
    ]
    assert card.state["view"]["columns"][:2] == ["metrics.auc", "metrics.log_loss"]
    assert "params.fixed_00" not in card.state["view"]["columns"]


def test_pages_follow_each_other(card: Any) -> None:
    seen = [
        row[0]
        for first in (0, 100, 200, 300)
        for row in ask(card, ask="rows", first=first, **VIEW)["rows"]["rows"]
    ]
    assert len(seen) == len(set(seen)) == 250


def test_a_filter_an_order_and_the_best(card: Any) -> None:
    view = VIEW | {"filter": "model=forest", "brush": "metrics.auc>=0.6", "sort": "metrics.auc"}
    answer = ask(card, ask="rows", first=0, **view)["rows"]
    values = [row[6][0] for row in answer["rows"]]
    assert values == sorted(values, reverse=True)
    assert min(values) >= 0.6
    assert all(row[1].startswith("forest") for row in answer["rows"])
    assert answer["best"] == {"metrics.auc": values[0]}
    assert answer["code"] == "%mlops_track --best auc --where 'model=forest metrics.auc>=0.6'"
    wrong = ask(card, ask="rows", first=0, **(VIEW | {"filter": "auc>"}))
    assert "not complete" in wrong["error"]["what"]


def test_two_runs_are_selected_and_compared(card: Any) -> None:
    seen: list[Any] = []
    card.observe(lambda change: seen.append(change["new"]), "selected")
    one, two, three = (row[0] for row in card.state["answer"]["rows"][:3])
    assert ask(card, ask="select", runs=[one])["code"] == ""
    assert ask(card, ask="select", runs=[one, two])["code"] == f"%mlops_track --compare {one},{two}"
    assert seen == [[one], [one, two]]
    blocks = ask(card, ask="compare", runs=[one, two])["comparison"]
    assert {block["kind"] for block in blocks} >= {"title", "table"}
    assert isinstance(card.result, Comparison)
    assert card.result.run_ids == (one, two)
    for runs in ([one], [one, "0" * 32], [one, two, three], "xy", [1, 2]):
        assert "error" in ask(card, ask="compare", runs=runs)
    assert "error" in ask(card, ask="select", runs=["../../etc"])
    with pytest.raises(UsageError, match="At most two"):
        card.selected = [one, two, three]
    assert card.selected == [one, two]


@pytest.mark.parametrize(
    "change",
    [
        {"filter": None},
        {"filter": "x" * 3_000},
        {"brush": 7},
        {"sort": None},
        {"sort": "params.nothing"},
        {"sort": "__class__"},
        {"up": "yes"},
        {"columns": "metrics.auc"},
        {"columns": ["metrics.nothing"]},
        {"columns": [None]},
        {"columns": ["metrics.auc"] * 100},
        {"first": -1},
        {"first": True},
        {"first": 10**30},
        {"first": "0"},
        {"ask": "eval"},
        {"ask": None},
    ],
)
def test_odd_questions_are_refused(card: Any, change: dict[str, Any]) -> None:
    answer = ask(card, **({"ask": "rows", "first": 0} | VIEW | change))
    assert answer["error"]["remedy"]


@pytest.mark.parametrize("id_", [None, "", 1, "x" * 300, ["q"], {}])
def test_nobody_answers_a_question_without_an_id(card: Any, id_: object) -> None:
    _receive(card, {"method": "custom", "content": {"ask": "rows", "first": 0, **VIEW, "id": id_}})
    _receive(card, {"method": "custom", "content": "rows"})
    assert card.sent == []


def test_a_failure_tells_the_page_nothing(
    card: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("hunter2")

    monkeypatch.setattr("mlops_magics.frontends.widgets.track.rows", fail)
    with caplog.at_level(logging.ERROR):
        answer = ask(card, ask="rows", first=0, **VIEW)
    assert "hunter2" not in json.dumps(answer)
    assert "hunter2" in caplog.text


def test_a_page_cannot_write_the_state(card: Any) -> None:
    before = dict(card.state)
    _receive(
        card,
        {"method": "update", "state": {"state": {}, "selected": ["x"], "_esm": "alert(1)", "_view_count": 1}},
    )
    assert card.state == before
    assert card.selected == []
    assert "alert(1)" not in card._esm


def test_reading_again_shows_what_came_since_and_lets_go_of_what_went(card: Any, store_file: Path) -> None:
    store = open_store(Settings.discover())
    identifier = store.experiment_id("e")
    gone = card.state["answer"]["rows"][0][0]
    ask(card, ask="select", runs=[gone])
    store.client.delete_run(gone)
    new = store.client.create_run(identifier, run_name="later").info.run_id
    assert ask(card, ask="refresh")["refreshed"]
    assert card.state["answer"]["total"] == 250
    assert new in {row[0] for row in card.state["answer"]["rows"]}
    assert card.selected == []
    store_file.unlink()
    assert "error" in ask(card, ask="rows", first=0, **(VIEW | {"columns": ["params.fixed_00"]}))


def test_a_store_in_pages_is_read_on(board: Leaderboard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlops_magics.tracking.run_columns.schema_is_known", lambda _: False)
    board.table.refresh()
    card = CARDS.get("Leaderboard")(board)
    card.sent = []
    card.send = card.sent.append
    assert (card.state["answer"]["total"], card.state["answer"]["more"]) == (200, True)
    ask(card, ask="more")
    assert (card.state["answer"]["total"], card.state["answer"]["more"]) == (250, False)


def test_the_output_is_stable_and_read_without_a_kernel(card: Any) -> None:
    data, metadata = card._repr_mimebundle_()
    assert _WIDGET in data
    assert "Runs of e" in data["text/plain"]
    assert "ago" not in data["text/plain"]
    assert metadata["mlops_magics"]["type"] == "Leaderboard"
    output = {"output_type": "execute_result", "data": data, "metadata": metadata}
    assert stable([output]) == ([], ["Leaderboard"])


def test_the_card_answers_as_the_leaderboard_does(card: Any, board: Leaderboard) -> None:
    assert card.rows == board.rows
    assert len(card.to_pandas()) == 250
    with pytest.raises(AttributeError, match="no attribute '_nothing'"):
        _ = card._nothing


def test_without_runs_or_a_store_there_is_no_card(board: Leaderboard) -> None:
    alone = Leaderboard("e", None, board.rows)
    assert CARDS.get("Leaderboard")(alone) is alone
    track("empty")
    empty = track()
    assert CARDS.get("Leaderboard")(empty) is empty
